#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka behind TLS, SASL and tokens: each way in, by configuration alone; and what is said when one does not fit."""
import atexit

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import need_kafka, shared_mosquitto
from rig.guarded_kafka import PASSWORD, SESSION_S, USER, GuardedKafka
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder
from rig.token_server import Signer, TokenServer
from rig.wait import free_port, until

_kafka = []


def _guarded():
    need_kafka()
    if not _kafka:
        _kafka.append(GuardedKafka())
        atexit.register(_kafka[0].stop)
    return _kafka[0]


def _bridge(name, connections, qos=1):
    """One linkspan with a mapping to each of the connections: name: (brokers, keys)."""
    return Linkspan(yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}"),
         *(yaml.kafka(c, brokers, **keys) for c, (brokers, keys) in connections.items())],
        [yaml.mapping(c, {"connection": "plant", "topic": f"{name}/#", "qos": qos}, {"connection": c, "topic": c})
         for c in connections]), wait_up=False)


def _password(mechanism, password=PASSWORD, user=USER):
    return {"mechanism": mechanism, "username": user, "password": password}


def _oauth(server, **keys):
    return {"mechanism": "OAUTHBEARER", "oauth": {
        "token_url": server.url, "client_id": "edge-7", "client_secret": PASSWORD, "scope": "lake.write", **keys}}


def _no_secrets(bridge):
    log = "\n".join(bridge.log_lines(whole=True))
    assert "sesame" not in log and "eyJ" not in log, log


@tap.case("TLS, mutual TLS, PLAIN, SCRAM-SHA-256 and -512 with and without TLS, OAUTHBEARER: messages go through")
def let_in():
    kafka = _guarded()
    cert, at = kafka.certificates, kafka.at
    tls = {"ca": cert.ca}
    ways = {
        "tls": (at["tls"], {"tls": tls}),
        "mutual": (at["mutual"], {"tls": {**tls, "cert": cert.client_cert, "key": cert.client_key}}),
        "token": (at["token"], {"tls": tls, "sasl": _oauth(kafka.tokens, ca=cert.ca)}),
        "token-post": (at["token"], {"tls": tls, "sasl": _oauth(kafka.tokens, ca=cert.ca, auth="client_secret_post",
                                                                audience="lake")}),
        **{f"{mechanism}-{listener}".lower(): (at[listener], {"sasl": _password(mechanism),
                                                              **({"tls": tls} if listener == "login" else {})})
           for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512") for listener in ("login", "open")},
    }
    # A transactional producer and a cursor's reader log in as well.
    ways |= {f"exact-{name}": (ways[name][0], {**ways[name][1], "delivery": "exactly-once"})
             for name in ("token", "scram-sha-512-login")}
    for name in ways:
        kafka.create_topic(name)
    with _bridge("in", ways, qos=2) as bridge, Publisher(shared_mosquitto().port) as out:
        bridge.wait_ready("plant")
        out.publish("in/1", b"sealed")
        for name in ways:
            bridge.wait_event("link_up", connection=name)
            with kafka.reader(name) as reader:
                assert reader.wait_count(1)[0].value == b"sealed", name
        assert not bridge.events("alarm"), bridge.events("alarm")
        assert bridge.stop() == 0
        _no_secrets(bridge)
    forms = [form for _, _, form in kafka.tokens.asked]
    assert all(form["scope"] == "lake.write" for form in forms), forms
    assert any(form.get("audience") == "lake" and form.get("client_id") == "edge-7" for form in forms), forms
    assert any("client_secret" not in form for form in forms), forms


@tap.case("a source logs in too: by token, by SCRAM and by certificate")
def read_from():
    kafka = _guarded()
    cert, at = kafka.certificates, kafka.at
    ways = {"from-token": (at["token"], {"tls": {"ca": cert.ca}, "sasl": _oauth(kafka.tokens, ca=cert.ca)}),
            "from-scram": (at["login"], {"tls": {"ca": cert.ca}, "sasl": _password("SCRAM-SHA-512"), "group": "readers"}),
            "from-cert": (at["mutual"], {"tls": {"ca": cert.ca, "cert": cert.client_cert, "key": cert.client_key}})}
    kafka.create_topic("sealed")
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": kafka.brokers})
    producer.produce("sealed", b"read")
    assert producer.flush(60) == 0
    configuration = yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-readers"),
         *(yaml.kafka(name, brokers, **keys) for name, (brokers, keys) in ways.items())],
        [yaml.mapping(name, {"connection": name, "topic": "sealed"},
                      {"connection": "plant", "topic": f"read/{name}", "qos": 1}) for name in ways])
    with Subscriber(shared_mosquitto().port, "read/#", qos=1) as reader, Linkspan(configuration, wait_up=False) as bridge:
        until(lambda: {message.topic for message in reader.messages} == {f"read/{name}" for name in ways},
              lambda: f"all three: {reader.messages}")
        assert not bridge.events("alarm"), bridge.events("alarm")
        assert bridge.stop() == 0
        _no_secrets(bridge)


@tap.case("what does not fit is an alarm that names the part, the message is held, and no secret is shown")
def kept_out():
    kafka = _guarded()
    cert, at = kafka.certificates, kafka.at
    tls = {"ca": cert.ca}
    strange = certificates.make(temp_folder("stranger"))
    wrong = {  # connection: (brokers, keys, words of the alarm)
        "strange-ca": (at["tls"], {"tls": {"ca": strange.ca}}, "authority that is not trusted here"),
        "expired": (at["expired"], {"tls": tls}, "broker's certificate has expired"),
        "other-host": (at["other"], {"tls": tls}, "certificate is for another host than 127.0.0.1"),
        "no-cert": (at["mutual"], {"tls": tls}, "wants a client certificate; set tls.cert"),
        "strange-cert": (at["mutual"], {"tls": {**tls, "cert": strange.client_cert, "key": strange.client_key}},
                         "refuses our client certificate"),
        "tls-to-plain": (kafka.brokers, {"tls": tls}, "hangs up during the TLS handshake"),
        "plain-to-tls": (at["tls"], {}, "does this listener want TLS?"),
        "sasl-to-plain": (kafka.brokers, {"sasl": _password("PLAIN")}, "this listener does not use SASL"),
        "plain-to-sasl": (at["open"], {}, "does this listener want SASL?"),
        "no-mechanism": (at["token"], {"tls": tls, "sasl": _password("PLAIN")},
                         "does not offer PLAIN here but OAUTHBEARER"),
        **{f"wrong-{mechanism}".lower(): (at["open"], {"sasl": _password(mechanism, "close sesame")},
                                          "refuses user name or password")
           for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")},
        "no-user": (at["login"], {"tls": tls, "sasl": _password("SCRAM-SHA-256", user="nobody")},
                    "refuses user name or password"),
        "exact-no-user": (at["login"], {"tls": tls, "sasl": _password("SCRAM-SHA-512", user="nobody"),
                                        "delivery": "exactly-once"}, "refuses user name or password"),
        "exact-no-cert": (at["mutual"], {"tls": tls, "delivery": "exactly-once"}, "wants a client certificate"),
        "scram-to-tls": (at["login"], {"sasl": _password("SCRAM-SHA-256")}, "TLS"),
        "scram-strange-ca": (at["login"], {"tls": {"ca": strange.ca}, "sasl": _password("SCRAM-SHA-256")},
                             "authority that is not trusted here"),
        "scram-other-mechanism": (at["token"], {"tls": tls, "sasl": _password("SCRAM-SHA-256")},
                                  "does not offer SCRAM-SHA-256 here but OAUTHBEARER"),
    }
    with _bridge("out", {name: row[:2] for name, row in wrong.items()}, qos=2) as bridge, \
            Publisher(shared_mosquitto().port) as out:
        bridge.wait_ready("plant")
        out.publish("out/1", b"held")
        for name, (_, _, words) in wrong.items():
            said = bridge.wait_event("alarm", connection=name)
            tap.note(f"{name}: {said['what']}")
            assert words in said["what"], said
            bridge.wait_waiting(name, 1)
        assert not [name for name in wrong if bridge.events("link_up", connection=name)]
        assert bridge.running() and bridge.stop() == 0
        _no_secrets(bridge)


@tap.case("a token endpoint that fails is an alarm that says how; once it is mended the link comes up by itself")
def token_endpoint():
    kafka = _guarded()
    folder = temp_folder("tokens")
    strange = certificates.make(temp_folder("stranger"))
    servers, connections, words = {}, {}, {}

    def add(name, said, change, certs=None, **keys):
        server = TokenServer(folder, free_port(), certs)
        server.signer, server.audience, server.issuer = kafka.tokens.signer, kafka.tokens.audience, kafka.tokens.issuer
        change(server)
        kafka.create_topic(name)
        servers[name], words[name] = server, said
        connections[name] = (kafka.at["token"], {"tls": {"ca": kafka.certificates.ca}, "sasl": _oauth(server, **keys)})

    def answers(status, body):
        return lambda server: setattr(server, "answer", (status, body))

    add("away", "cannot be reached", TokenServer.stop)
    add("no-client", "refuses: invalid_client: no such client", lambda server: server.clients.clear())
    add("no-json", "is not a JSON object", answers(200, "<html>welcome</html>"))
    add("no-token", "has no access_token", answers(200, "{}"))
    add("endless", "is longer than", answers(200, b"[" * 100000))
    add("busy", "HTTP 503", answers(503, ""))
    add("moved", "HTTP 302", answers(302, ""))
    add("no-trust", "endpoint's certificate is signed by an authority that is not trusted", lambda server: None,
        certs=strange, ca=kafka.certificates.ca)
    add("no-audience", "refuses the token", lambda server: setattr(server, "audience", "somebody else"))
    add("forged", "refuses the token", lambda server: setattr(server, "signer", Signer(folder, "forger")))
    with _bridge("endpoint", connections) as bridge, Publisher(shared_mosquitto().port) as out:
        bridge.wait_ready("plant")
        out.publish("endpoint/1", b"late")
        for name, said in words.items():
            alarm = bridge.wait_event("alarm", connection=name)["what"]
            tap.note(f"{name}: {alarm}")
            assert said in alarm, alarm
        _no_secrets(bridge)
        for name, server in servers.items():
            server.stop()
            server._certificates = None if name != "no-trust" else kafka.certificates  # pylint: disable=protected-access
            server.answer, server.clients, server.audience = None, {"edge-7": PASSWORD}, kafka.tokens.audience
            server.signer = kafka.tokens.signer
            server.start()
        for name in connections:
            bridge.wait_event("link_up", connection=name)
            with kafka.reader(name) as reader:
                assert reader.wait_count(1)[0].value == b"late", name
        assert bridge.stop() == 0
    for server in servers.values():
        server.stop()


@tap.case("tokens are renewed, brokers cut what outlives its token, the broker dies: messages go on, none lost, none twice")
def short_tokens():
    kafka = _guarded()
    kafka.tokens.lifetime_s = SESSION_S
    given, sent = len(kafka.tokens.given), 0
    # A broker that is slow because the machine is loaded is not one that is away.
    keys = {"tls": {"ca": kafka.certificates.ca}, "properties": {"socket.timeout.ms": 60000}}
    ways = {"by-token": (kafka.at["token"], {**keys, "sasl": _oauth(kafka.tokens, ca=kafka.certificates.ca)}),
            "by-scram": (kafka.at["login"], {**keys, "sasl": _password("SCRAM-SHA-512")})}
    for name in ways:
        kafka.create_topic(name)
    with _bridge("on", ways) as bridge, Publisher(shared_mosquitto().port) as out:
        for name in ("plant", *ways):
            bridge.wait_ready(name)

        def send_until(condition, what):
            nonlocal sent

            def one_more():
                nonlocal sent
                out.publish("on/1", b"%d" % sent)
                sent += 1
                return condition()
            until(one_more, what, poll_s=0.01)

        # The broker has but one connection to lose: then none is up for a moment.
        send_until(lambda: bridge.events("kafka_brokers_down", connection="by-token") and
                   len(kafka.tokens.given) >= given + 3, "a cut and three tokens")
        assert not bridge.events("kafka_brokers_down", connection="by-scram"), "only sessions by token end"
        kafka.kill()
        send_until(lambda: bridge.events("kafka_brokers_down", connection="by-scram"), "the broker's death to be seen")
        kafka.start()
        for name in ways:
            with kafka.reader(name) as reader:
                reader.wait_count(sent)
                assert [int(record.value) for record in reader.drain()] == list(range(sent)), name
        assert not bridge.events("alarm"), bridge.events("alarm")
        assert not [e for e in bridge.events("link_down") if e["connection"] in ways]
        assert bridge.stop() == 0
    kafka.tokens.lifetime_s = 3600


if __name__ == "__main__":
    tap.main()
