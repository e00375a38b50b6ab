#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How linkspan connects to a real mosquitto: addresses, credentials from files, TLS, the will, identifiers, limits."""
import os
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder
from rig.proxy import Proxy
from rig.wait import free_port, until


def _echo(name, port, wait_up=True, start=True, **keys):
    """linkspan from NAME/in/# to NAME/out/…, both at the broker on that port."""
    return Linkspan(yaml.configuration(
        [yaml.mqtt("plant", port, **keys)],
        [yaml.mapping("all", {"connection": "plant", "topic": name + "/in/#", "qos": 1},
                      {"connection": "plant", "topic": name + "/out/{topic}"})]), wait_up=wait_up, start=start)


def _write(path, text):
    """As a secret is renewed: at once."""
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.rename(path + ".new", path)


def _works(name, port, login=None, tls=None):
    with Subscriber(port, name + "/out/#", login=login, tls=tls) as got, Publisher(port, login=login, tls=tls) as out:
        out.publish(name + "/in/1", b"hello")
        messages = got.wait_count(1)
        assert messages[0].topic == f"{name}/out/{name}/in/1", messages


@tap.case("of several addresses the one that answers is taken, and another when it has gone")
def several_addresses():
    with own_mosquitto() as near, own_mosquitto() as far:
        urls = [f"mqtt://127.0.0.1:{port}" for port in (free_port(), near.port, far.port)]
        with _echo("several", 0, url=urls) as bridge:
            assert bridge.events("mqtt_connected")[-1]["port"] == str(near.port)
            _works("several", near.port)
            near.stop()
            bridge.wait_event("mqtt_connected", port=str(far.port))
            until(lambda: "Sending SUBACK to linkspan-plant" in far.log(), "a SUBACK of the other broker")
            _works("several", far.port)
            assert bridge.stop() == 0


@tap.case("a password from a file is read again at each connect and never told")
def password_file():
    secret = os.path.join(temp_folder("secret"), "token")
    _write(secret, "not-the-one\n")
    with own_mosquitto(password="open-sesame") as broker, \
            _echo("token", broker.port, username="edge", password_file=secret, wait_up=False) as bridge:
        bridge.wait_event("alarm", connection="plant")
        _write(secret, "open-sesame\n")
        bridge.wait_ready("plant")
        _works("token", broker.port, login=("edge", "open-sesame"))
        os.unlink(secret)
        broker.stop()
        broker.start()
        until(lambda: any("password_file" in event.get("what", "") for event in bridge.events("alarm")),
              "an alarm about the file")
        _write(secret, "open-sesame")
        bridge.wait_event("mqtt_connected", session_present="1")
        assert bridge.stop() == 0
        log = "\n".join(bridge.log_lines(whole=True))
        assert "open-sesame" not in log and "not-the-one" not in log
        os.unlink(secret)
        said = subprocess.run([program(), "check", bridge.path], capture_output=True, text=True, check=False)
        assert said.returncode != 0 and "password_file" in said.stdout + said.stderr, said


@tap.case("TLS 1.3 alone, by an address whose certificate is for a name, with ALPN offered")
def tls():
    with own_mosquitto(tls="mutual") as broker:
        cert = broker.certificates
        keys = {"ca": cert.ca, "cert": cert.client_cert, "key": cert.client_key, "min_version": "1.3", "alpn": ["mqtt"]}
        with _echo("tls", broker.tls_port, secure=True, tls={**keys, "server_name": "localhost"}) as bridge:
            _works("tls", broker.port)
            assert bridge.stop() == 0
        with _echo("tls", broker.tls_port, secure=True, tls={**keys, "server_name": "elsewhere"}, client_id="other",
                   wait_up=False) as bridge:
            alarm = bridge.wait_event("alarm", connection="plant")
            assert "tls.server_name" in alarm["what"], alarm
            assert not bridge.events("mqtt_connected")
            assert bridge.stop() == 0


@tap.case("TLS spoken to a port without it, and the other way round: the log says which of the two the port wants")
def wrong_kind_of_port():
    with own_mosquitto(tls="mutual") as broker:
        for port, secure, words in ((broker.port, True, "is this its port for TLS?"),
                                    (broker.tls_port, False, "does this port want TLS?")):
            with _echo("kind", port, secure=secure, wait_up=False) as bridge:
                failed = bridge.wait_event("mqtt_connect_failed", connection="plant")
                assert words in failed["reason"], failed
                assert bridge.stop() == 0


@tap.case("a will with every property is published when linkspan is killed")
def will():
    port = shared_mosquitto().port
    bridge = _echo("will", port, connect_headers={"site": "north"}, will={
        "topic": "will/gone", "payload": "gone", "qos": 2, "retain": False, "expiry": "60s", "utf8": True,
        "content_type": "text/plain", "response_topic": "will/ask", "correlation": "c-1", "headers": {"line": "7"}})
    with Subscriber(port, "will/gone", qos=2) as got:
        bridge.kill()
        message = got.wait_count(1)[0]
    assert (message.payload, message.qos) == (b"gone", 2), message
    props = message.properties
    assert props.UserProperty == [("line", "7")] and props.ContentType == "text/plain", props
    assert props.ResponseTopic == "will/ask" and props.CorrelationData == b"c-1", props
    assert props.PayloadFormatIndicator == 1 and 0 < props.MessageExpiryInterval <= 60, props


@tap.case("without a client_id the broker assigns one, and gets it back")
def assigned_identifier():
    with own_mosquitto() as broker, Proxy(broker.port) as link, \
            _echo("assigned", link.port, client_id=None, clean_start=True) as bridge:
        name = bridge.events("mqtt_client_id_assigned")[0]["client_id"]
        assert name and not name.startswith("linkspan-"), name
        link.cut()
        until(lambda: broker.log().count(f"Sending CONNACK to {name}") == 2, "a CONNACK for the same identifier")
        assert len(bridge.events("mqtt_client_id_assigned")) == 1
        assert bridge.stop() == 0
    with own_mosquitto(settings=("allow_zero_length_clientid false",)) as broker, \
            _echo("assigned", broker.port, client_id=None, clean_start=True) as bridge:
        assert bridge.events("mqtt_connected")[-1]["client_id"].startswith("linkspan-")
        assert not bridge.events("alarm")
        assert bridge.stop() == 0


@tap.case("topics sent by alias arrive as themselves, also more than the broker has aliases for")
def topic_aliases():
    port = shared_mosquitto().port
    sent = [(f"alias/in/line-{n * 7 % 30}", str(n).encode()) for n in range(3000)]
    with _echo("alias", port) as bridge, Subscriber(port, "alias/out/#") as got, Publisher(port) as out:
        for topic, payload in sent:
            out.publish(topic, payload)
        messages = got.wait_count(len(sent))
        assert [(m.topic, m.payload) for m in messages] == [("alias/out/" + t, p) for t, p in sent]
        assert bridge.stop() == 0
        assert not bridge.events("mqtt_disconnected")


@tap.case("max_packet_size: the broker keeps larger messages to itself, and the rest comes")
def max_packet_size():
    port = shared_mosquitto().port
    with _echo("limit", port, max_packet_size="1KiB") as bridge, Subscriber(port, "limit/out/#") as got, \
            Publisher(port) as out:
        out.publish("limit/in/1", b"1")
        out.publish("limit/in/2", b"2" * 2000)
        out.publish("limit/in/3", b"3")
        messages = got.wait_count(2)
        assert [m.payload for m in messages] == [b"1", b"3"], messages
        assert bridge.stop() == 0
        assert not bridge.events("mqtt_disconnected")


if __name__ == "__main__":
    tap.main()
