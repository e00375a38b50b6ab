#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CoAP with the stacks that the field uses: aiocoap (Python, with tinydtls), Eclipse Californium (Java), go-coap (Go, with pion's DTLS)
and libcoap, each as a client of linkspan's listener and as the device that linkspan writes to and watches, over UDP, DTLS, TCP and
TLS."""
import atexit
import os
import threading

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, tap, yaml
from rig.coap_aiocoap import AioClient, AioServer
from rig.coap_californium import Californium
from rig.coap_go import GoCoap
from rig.coap_libcoap import LibcoapClient, LibcoapServer
from rig.coap_peers import need_libcoap, pem_with_key
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.wait import free_port, until

IDENTITY, KEY = "sensor-1", b"0123456789abcdef"
LARGE = bytes(n % 251 for n in range(20000))
_once = {}
_lock = threading.RLock()


def once(name, make, close=None):
    with _lock:
        if name not in _once:
            _once[name] = make()
            if close:
                atexit.register(close, _once[name])
        return _once[name]


LINE_PEERS = {"californium": Californium, "go-coap": GoCoap}


def line_peer(name):
    return once(name, LINE_PEERS[name], LINE_PEERS[name].stop)


def californium():
    return line_peer("californium")


class Keys:
    def __init__(self):
        folder = temp_folder("keys")
        c = self.certificates = certificates.make(folder)
        self.server_pem = pem_with_key(folder, "server", c.server_cert, c.server_key)
        self.client_pem = pem_with_key(folder, "client", c.client_cert, c.client_key)
        self.psk_file = os.path.join(folder, "psk")
        with open(self.psk_file, "w", encoding="ascii") as out:
            out.write(f'# devices\n{IDENTITY}: hex:{KEY.hex()}\n"reader": "{KEY.decode()}"\n')
        os.chmod(self.psk_file, 0o600)


def keys():
    return once("keys", Keys)


# --- clients of linkspan's listener

class Door:
    """A listener with all transports. PSK and certificates cannot be asked for at the same address."""

    def __init__(self):
        self.ports = {name: free_port() for name in ("udp", "tcp", "psk", "x509", "tls")}
        c = keys().certificates
        listen = [f"coap://127.0.0.1:{self.ports['udp']}", f"coap+tcp://127.0.0.1:{self.ports['tcp']}"]
        secure = [f"coaps://127.0.0.1:{self.ports['x509']}", f"coaps+tcp://127.0.0.1:{self.ports['tls']}"]
        tls = {"cert": c.server_cert, "key": c.server_key, "client_ca": c.ca}
        doors = [yaml.coap("plain", listen=listen), yaml.coap("cert", listen=secure, tls=tls),
                 yaml.coap("psk", listen=[f"coaps://127.0.0.1:{self.ports['psk']}"], psk={"file": keys().psk_file},
                           allow={IDENTITY: "/in/# read:/values/#", "reader": "read:/values/#"})]
        mappings = []
        for name in ("plain", "cert", "psk"):
            mappings += [
                yaml.mapping(f"in-{name}", {"connection": name, "topic": "/in/{a}", "delete": True},
                             {"connection": "b", "topic": "field/{a}"}),
                yaml.mapping(f"values-{name}", {"connection": "b", "topic": "value/{a}"},
                             {"connection": name, "path": "/values/{a}", "rt": "temperature"})]
        self.bridge = Linkspan(yaml.configuration(
            [*doors, yaml.mqtt("b", shared_mosquitto().port, client_id="linkspan-field")], mappings))
        self.publisher = Publisher(shared_mosquitto().port)

    def uri(self, kind, path):
        scheme = {"udp": "coap", "tcp": "coap+tcp", "psk": "coaps", "x509": "coaps", "tls": "coaps+tcp"}[kind]
        return f"{scheme}://127.0.0.1:{self.ports[kind]}{path}"


def door():
    return once("door", Door, lambda made: made.bridge.stop())


def aiocoap_client():
    c = keys().certificates
    return once("aiocoap", lambda: AioClient((c.ca, c.client_cert, c.client_key)), AioClient.close)


def client(peer, kind):
    """A client of that stack for that transport."""
    c = keys().certificates
    if peer == "aiocoap" and kind == "psk":
        return once("aiocoap-psk", lambda: AioClient(psk=(IDENTITY, KEY)), AioClient.close)
    if peer == "aiocoap":
        return aiocoap_client()
    if peer in LINE_PEERS:
        certificate = (c.ca, keys().client_pem)
        secrets = {"psk": (IDENTITY, KEY), "x509": certificate, "tls": certificate}.get(kind, ())
        return once(f"{peer}-{kind}", lambda: line_peer(peer).client(kind, kind, secrets))
    need_libcoap()
    secrets = {"psk": ["-u", IDENTITY, "-k", KEY.decode()]}.get(kind, [])
    if kind in ("x509", "tls"):
        secrets = ["-c", keys().client_pem, "-j", keys().client_pem, "-C", c.ca]
    return LibcoapClient(secrets, "gnutls" if peer == "libcoap-gnutls" else "openssl")


def _writes(peer, kind):
    """PUT, POST, DELETE, a large body, and what is refused."""
    one, name = client(peer, kind), f"{peer}-{kind}"
    with Subscriber(shared_mosquitto().port, f"field/{name}") as got:
        uri = door().uri(kind, f"/in/{name}")
        assert one.request("PUT", uri + "?unit=C", b"21.5", content_format=0).code == "2.04"
        assert one.request("POST", uri, b'{"t": 22.5}', content_format=50).code == "2.04"
        assert one.request("PUT", uri, LARGE, content_format=42).code == "2.04"
        assert one.request("DELETE", uri).code == "2.02"
        got.wait_count(4)
        assert [m.payload for m in got.messages] == [b"21.5", b'{"t": 22.5}', LARGE, b""], [m.payload[:20] for m in got.messages]
        types = [getattr(m.properties, "ContentType", None) for m in got.messages[:3]]
        assert types == ["text/plain;charset=utf-8", "application/json", "application/octet-stream"], types
        headers = dict(got.messages[0].properties.UserProperty)
        assert headers.get("coap-query") == "unit=C", headers
        identity = {"psk": IDENTITY, "x509": "edge-7", "tls": "edge-7"}.get(kind)
        assert headers.get("coap-identity") == identity, headers
        refused = one.request("PUT", door().uri(kind, "/nowhere"), b"x").code
        assert refused == ("4.03" if kind == "psk" else "4.04"), refused


def _reads(peer, kind):
    """GET, ETag, Accept, a large value, the list."""
    one, name = client(peer, kind), f"{peer}-{kind}"
    uri = door().uri(kind, f"/values/{name}")
    assert one.request("GET", uri).code == "4.04"
    door().publisher.publish(f"value/{name}", b'{"t": 1}', properties=publish_properties(content_type="application/json"))
    until(lambda: one.request("GET", uri).payload == b'{"t": 1}', "the value", poll_s=0.1)
    assert one.request("GET", uri, accept=60).code == "4.06"
    answer = one.request("GET", uri, accept=50)
    assert answer.code == "2.05" and answer.content_format in (50, None), answer
    if answer.etag:
        assert one.request("GET", uri, etag=answer.etag).code == "2.03"
    door().publisher.publish(f"value/{name}", LARGE)
    until(lambda: one.request("GET", uri).payload == LARGE, "the large value", poll_s=0.1)
    listed = one.request("GET", door().uri(kind, "/.well-known/core?rt=temp*")).payload
    assert f"</values/{name}>".encode() in listed and b'rt="temperature"' in listed, listed[:500]
    assert one.request("GET", door().uri(kind, "/.well-known/core?rt=nothing")).payload == b""


KINDS = {"aiocoap": ("udp", "tcp", "tls", "psk"), "californium": ("udp", "psk", "x509"),
         "go-coap": ("udp", "tcp", "psk", "x509", "tls"),
         "libcoap": ("udp", "tcp", "psk", "x509", "tls"), "libcoap-gnutls": ("psk", "x509")}
TITLES = {"udp": "UDP", "tcp": "TCP", "psk": "DTLS with a pre-shared key", "x509": "DTLS with certificates",
          "tls": "TLS with certificates"}

for _peer, _kinds in KINDS.items():
    for _kind in _kinds:
        tap.case(f"{_peer} writes and reads over {TITLES[_kind]}")(
            lambda peer=_peer, kind=_kind: (_writes(peer, kind), _reads(peer, kind)))


def _observes(peer, kind):
    one, name = AioClient() if kind == "tcp" else client(peer, kind), f"observed-{peer}-{kind}"
    uri = door().uri(kind, f"/values/{name}")
    door().publisher.publish(f"value/{name}", b"0", properties=publish_properties(content_type="text/plain"))
    until(lambda: one.request("GET", uri).payload == b"0", "the value", poll_s=0.1)
    observation = one.observe(uri)
    until(lambda: observation.notes or observation.failed, "the first answer")
    assert observation.notes and observation.notes[0].payload == b"0", (observation.notes, observation.failed)
    for n in range(1, 21):
        door().publisher.publish(f"value/{name}", b"%d" % n, properties=publish_properties(content_type="text/plain"))
        until(lambda n=n: observation.notes[-1].payload == b"%d" % n or observation.failed, lambda: observation.notes[-1])
    body = b"large " + LARGE
    door().publisher.publish(f"value/{name}", body, properties=publish_properties(content_type="text/plain"))
    until(lambda: observation.notes[-1].payload == body or observation.failed, lambda: observation.notes[-1].payload[:50])
    assert not observation.failed, observation.failed
    if kind == "tcp":
        one.close()  # aiocoap cancels nothing over TCP
    else:
        observation.cancel()
    connection = {"udp": "plain", "tcp": "plain", "psk": "psk"}.get(kind, "cert")
    n = iter(range(1000))

    def forgotten():
        door().publisher.publish(f"value/{name}", b"%d" % next(n), properties=publish_properties(content_type="text/plain"))
        return int(door().bridge.fresh(connection=connection)["observers"]) == 0
    until(forgotten, "the observer to be forgotten", poll_s=0.2)


for _peer, _kind in (("aiocoap", "udp"), ("aiocoap", "tcp"), ("aiocoap", "psk"), ("californium", "udp"), ("californium", "psk"),
                     ("californium", "x509"), ("go-coap", "udp"), ("go-coap", "psk"), ("go-coap", "x509"), ("go-coap", "tls")):
    tap.case(f"{_peer} observes over {TITLES[_kind]}, also a value in blocks, and cancels")(
        lambda peer=_peer, kind=_kind: _observes(peer, kind))


@tap.case("access by pre-shared key: an identity may use its paths, another one is refused with 4.03, a wrong key gets nothing")
def access():
    peers = californium()
    reader = peers.client("reader", "psk", ("reader", KEY))
    assert reader.request("PUT", door().uri("psk", "/in/access"), b"x").code == "4.03"
    assert reader.request("GET", door().uri("psk", "/values/access")).code == "4.04"
    writer = client("californium", "psk")
    assert writer.request("PUT", door().uri("psk", "/in/access"), b"x").code == "2.04"
    need_libcoap()
    for identity, key in (("reader", "wrong"), ("stranger", KEY.decode())):
        try:
            answer = LibcoapClient(["-u", identity, "-k", key]).request("GET", door().uri("psk", "/values/access"), timeout=3)
        except RuntimeError:
            continue
        raise AssertionError(f"{identity} was answered {answer}")


@tap.case("certificates: a stranger's, and none, get nothing")
def strangers():
    folder = temp_folder("strangers")
    others = certificates.make(folder)
    pem = pem_with_key(folder, "other", others.client_cert, others.client_key)
    peers = californium()
    try:
        answer = peers.client("stranger", "x509", (keys().certificates.ca, pem)).request("GET", door().uri("x509", "/values/x"))
    except RuntimeError:
        answer = None
    assert answer is None, answer
    need_libcoap()
    for kind in ("x509", "tls"):
        try:
            answer = LibcoapClient(["-C", keys().certificates.ca]).request("GET", door().uri(kind, "/values/x"), timeout=4)
        except RuntimeError:
            answer = None
        assert answer is None, (kind, answer)


# --- linkspan writes to their servers, and watches them

class Device:
    """A server of one of the stacks. `got` lists what it took, where the stack tells."""

    def __init__(self, peer, kind):
        c = keys().certificates
        self.peer, self.kind, self.port = peer, kind, free_port(and_next=True)
        self.secrets = {}
        scheme = {"udp": "coap", "tcp": "coap+tcp", "psk": "coaps", "x509": "coaps", "tls": "coaps+tcp"}[kind]
        if kind == "psk":
            self.secrets = {"psk": {"identity": IDENTITY, "key": KEY.decode()}}
        elif kind in ("x509", "tls"):
            self.secrets = {"tls": {"ca": c.ca, "cert": c.client_cert, "key": c.client_key}}
        if peer in LINE_PEERS:
            self.server = line_peer(peer)
            certificate = (c.ca, keys().server_pem)
            self.server.server(self.port, kind, {"psk": (IDENTITY, KEY), "x509": certificate, "tls": certificate}.get(kind, ()))
        elif peer == "aiocoap":
            self.server = AioServer(self.port, (c.ca, c.server_cert, c.server_key) if kind == "tls" else None)
            self.port += kind == "tls"
        else:
            arguments = {"psk": ["-k", KEY.decode()], "x509": ["-c", keys().server_pem, "-j", keys().server_pem, "-C", c.ca]}
            self.server = LibcoapServer(self.port, arguments.get(kind, []))
            self.port += kind in ("psk", "x509")
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def got(self, path):
        return [got for got in self.server.got if got.path.startswith(path)]

    def close(self):
        if self.peer not in LINE_PEERS:
            self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _client_of(device, name, *more, **options):
    """linkspan with mappings to the device: NAME/METHOD/… → /METHOD…"""
    methods = [yaml.mapping(f"to-{method}", {"connection": "b", "topic": f"{name}/{method}/{{a}}", "qos": 1},
                            {"connection": "device", "path": "/" + name + "/{a}?by=linkspan", "method": method.upper(),
                             "reply": {"topic": f"answers/{name}/{{a}}", "connection": "b"}})
               for method in ("put", "post", "delete")]
    codes = yaml.mapping("to-codes", {"connection": "b", "topic": f"{name}/code/{{a}}", "qos": 1},
                         {"connection": "device", "path": "/code/{a}/1"})
    separate = yaml.mapping("to-separate", {"connection": "b", "topic": f"{name}/separate/{{a}}", "qos": 1},
                            {"connection": "device", "path": "/separate/" + name + "-{a}"})
    return Linkspan(yaml.configuration(
        [yaml.coap("device", url=device.url, **device.secrets, outbox={"backoff_max": "300ms"}, **options),
         yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-{name}")], [*methods, codes, separate, *more]))


def _written(peer, kind):
    name = f"w-{peer}-{kind}"
    broker = shared_mosquitto().port
    with Device(peer, kind) as device, _client_of(device, name) as bridge, Publisher(broker) as out, \
            Subscriber(broker, f"answers/{name}/#") as answers:
        def properties(content_type):
            return publish_properties(content_type=content_type)
        out.publish(f"{name}/put/x", b'{"t": 1}', properties=properties("application/json"))
        out.publish(f"{name}/put/x", LARGE, properties=properties("application/octet-stream"))
        out.publish(f"{name}/post/y", b"text", properties=properties("text/plain"))
        out.publish(f"{name}/delete/x", b"")
        bridge.wait_status(lambda s: s["delivered"] == 4 and s["waiting"] == 0, "four to be delivered", destination="device")
        if peer == "libcoap":
            return
        def taken():
            return {g.method + g.payload[:4].hex(): g for g in device.got(f"/{name}/")}
        until(lambda: len(taken()) >= 4, lambda: f"the device to say what it took: {list(taken())}")
        got = taken()
        assert len(got) == 4, list(got)
        first = got["PUT" + b'{"t"'.hex()]
        assert (first.path, first.query, first.content_format, first.payload) == (f"/{name}/x", "by=linkspan", 50, b'{"t": 1}')
        assert kind in ("tcp", "tls") or first.kind == "CON", first
        # go-coap puts blocks together by token, and RFC 9175 §4.2 wants another one for each: it keeps the last block.
        assert peer == "go-coap" or got["PUT" + LARGE[:4].hex()].payload == LARGE, "the large body"
        answers.wait_for(lambda ms: any(m.payload == b"posted 4" for m in ms), "the answer to POST")
        answer = next(m for m in answers.messages if m.payload == b"posted 4")
        assert dict(answer.properties.UserProperty).get("coap-code") == "2.04", answer.properties
        out.publish(f"{name}/code/4.04", b"dead")
        until(lambda: bridge.fresh("totals", destination="device")["dead_lettered"] == "1", "a dead letter", poll_s=0.1)
        out.publish(f"{name}/separate/z", b"slowly")
        bridge.wait_status(lambda s: s["delivered"] == 5, "a separate response", destination="device")
        out.publish(f"{name}/code/5.03", b"later")
        until(lambda: len(device.got("/code/5.03")) >= 2, "another attempt after 5.03")
        bridge.kill()  # it would try for ever


WRITES = {"aiocoap": ("udp", "tcp", "tls"), "californium": ("udp", "psk", "x509"), "libcoap": ("udp", "tcp", "psk", "x509"),
          "go-coap": ("udp", "tcp", "psk", "x509", "tls")}

for _peer, _kinds in WRITES.items():
    for _kind in _kinds:
        tap.case(f"linkspan writes to {_peer} over {TITLES[_kind]}")(
            lambda peer=_peer, kind=_kind: _written(peer, kind))


def _watched(peer, kind):
    name = f"o-{peer}-{kind}"
    broker = shared_mosquitto().port
    watch = yaml.mapping("watch", {"connection": "device", "topic": f"/{name}/temp"}, {"connection": "b", "topic": f"seen/{name}"})
    poll = yaml.mapping("poll", {"connection": "device", "topic": f"/{name}/level", "mode": "poll", "every": "100ms",
                                 "query": "unit=C"}, {"connection": "b", "topic": f"polled/{name}"})
    with Device(peer, kind) as device, Subscriber(broker, [f"seen/{name}", f"polled/{name}"]) as seen:
        device.server.set(f"/{name}/temp", b"0")
        device.server.set(f"/{name}/level", b"l0")
        with _client_of(device, name, watch, poll) as bridge:
            def newest(topic):
                found = [m for m in seen.messages if m.topic == f"{topic}/{name}"]
                return found[-1].payload if found else None
            until(lambda: newest("seen") == b"0", "the first value")
            for n in range(1, 11):
                device.server.set(f"/{name}/temp", b"%d" % n)
                until(lambda n=n: newest("seen") == b"%d" % n, lambda: f"{newest('seen')}")
            until(lambda: newest("polled") == b"l0", "the polled value")
            device.server.set(f"/{name}/level", b"l1")
            until(lambda: newest("polled") == b"l1", "the polled value again")
            polled = [m.payload for m in seen.messages if m.topic == f"polled/{name}"]
            assert polled == [b"l0", b"l1"], "what has not changed is no message"
            until(lambda: any(g.query == "unit=C" for g in device.got(f"/{name}/level")), "the query at the device")
            device.server.remove(f"/{name}/temp")
            device.server.set(f"/{name}/temp", b"back")
            until(lambda: newest("seen") == b"back", "an observation after 4.04")
            bridge.kill()
            device.server.set(f"/{name}/temp", b"meanwhile")
            bridge.start()
            until(lambda: newest("seen") == b"meanwhile", "the newest state after a restart")
            before = device.server.observers(f"/{name}/temp")  # with that of the killed process, as long as nobody says RST
            assert bridge.stop() == 0
            until(lambda: device.server.observers(f"/{name}/temp") < before, "the observation to be cancelled at a clean stop")


for _peer, _kind in (("aiocoap", "udp"), ("californium", "udp"), ("californium", "psk"), ("californium", "x509"),
                     ("go-coap", "udp"), ("go-coap", "psk"), ("go-coap", "x509")):
    tap.case(f"linkspan watches {_peer} over {TITLES[_kind]}: observes and polls, over 4.04 and a kill")(
        lambda peer=_peer, kind=_kind: _watched(peer, kind))


@tap.case("linkspan watches libcoap's server, and it ends with the server's end and goes on with a new one")
def watched_libcoap():
    broker, port = shared_mosquitto().port, free_port()
    watch = yaml.mapping("watch", {"connection": "device", "topic": "/time"}, {"connection": "b", "topic": "seen/time"})
    config = yaml.configuration([yaml.coap("device", url=f"coap://127.0.0.1:{port}", transmission={"ack_timeout": "1s"}),
                                 yaml.mqtt("b", broker, client_id="linkspan-time")], [watch])
    with Subscriber(broker, "seen/time") as seen:
        first = LibcoapServer(port)
        with Linkspan(config):
            seen.wait_count(3)
            first.close()
            before = len(seen.messages)
            with LibcoapServer(port):
                seen.wait_count(before + 3)


if __name__ == "__main__":
    tap.main()
