#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket, with TLS, and through HTTP proxies: what the Paho client carries, between real brokers."""
import os
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.certificates import strangers_ca
from rig.daemon import Linkspan, program
from rig.feed import Feed
from rig.fixtures import own_mosquitto
from rig.http_proxy import HttpProxy
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.proxy import Proxy


def _one_way(name, near, far, **options):
    """What comes from `near` goes to `far`, each a connection of its own."""
    return Linkspan(yaml.configuration([near, far], [yaml.mapping(
        "all", {"connection": "near", "topic": f"{name}/in/#", "qos": 1},
        {"connection": "far", "topic": f"{name}/out"})]), **options)


def _carries(broker, name, near, far, login=None):
    with _one_way(name, near, far) as bridge, Subscriber(broker.port, f"{name}/out", login=login) as got, \
            Publisher(broker.port, login=login) as out:
        for n in range(100):
            out.publish(f"{name}/in/{n}", b"%d" % n)
        got.wait_count(100)
        assert [m.payload for m in got.messages] == [b"%d" % n for n in range(100)], got.messages
        assert bridge.events("mqtt_connected", client="paho"), "Paho carries neither connection"
        assert bridge.stop() == 0
        assert not bridge.held_up(), bridge.held_up()


@tap.case("ws:// as source and as destination, version 5 and 3.1.1, with the properties of version 5")
def plain():
    with own_mosquitto(websocket=True) as broker:
        _carries(broker, "five", yaml.websocket("near", broker.ws_port), yaml.websocket("far", broker.ws_port))
        _carries(broker, "three", yaml.websocket("near", broker.ws_port, version="3.1.1"),
                 yaml.websocket("far", broker.ws_port, version="3.1.1"))
        with _one_way("props", yaml.websocket("near", broker.ws_port), yaml.websocket("far", broker.ws_port)) as bridge, \
                Subscriber(broker.port, "props/out") as got, Publisher(broker.port) as out:
            out.publish("props/in/1", b"\x00\xff", properties=publish_properties(
                user=[("a", "1"), ("a", "2")], content_type="text/x", response_topic="answer", correlation=b"\x01"))
            got.wait_count(1)
            message = got.messages[0]
            assert message.payload == b"\x00\xff"
            props = message.properties
            assert props.UserProperty[:2] == [("a", "1"), ("a", "2")], props
            assert (props.ContentType, props.ResponseTopic, props.CorrelationData) == ("text/x", "answer", b"\x01")
            assert bridge.stop() == 0


@tap.case("wss:// trusts its ca and no other")
def secure():
    with own_mosquitto(tls="server", websocket=True) as broker:
        tls = {"ca": broker.certificates.ca}
        _carries(broker, "wss", yaml.websocket("near", broker.wss_port, secure=True, tls=tls),
                 yaml.websocket("far", broker.wss_port, secure=True, tls=tls))
        stranger = {"ca": strangers_ca(temp_folder("stranger"))}
        with _one_way("strange", yaml.websocket("near", broker.wss_port, secure=True, tls=stranger),
                      yaml.mqtt("far", broker.port), wait_up=False) as bridge:
            bridge.wait_event("alarm", connection="near")
            assert not bridge.events("mqtt_connected", connection="near")
            assert bridge.stop() == 0


@tap.case("through a proxy by CONNECT: ws, wss, mqtts; refused without its credentials, which are never shown")
def proxied():
    with own_mosquitto(tls="server", websocket=True) as broker, HttpProxy(login="gate:s3cr:t@x") as proxy:
        url = f"http://gate:s3cr%3At%40x@127.0.0.1:{proxy.port}"
        tls = {"ca": broker.certificates.ca}
        _carries(broker, "ws-proxy", yaml.websocket("near", broker.ws_port, proxy=url),
                 yaml.websocket("far", broker.wss_port, secure=True, tls=tls, proxy=url))
        _carries(broker, "tls-proxy", yaml.mqtt("near", broker.tls_port, secure=True, tls=tls, proxy=url),
                 yaml.mqtt("far", broker.port, proxy=url))
        seen = {line for line, status in proxy.requests if status == 200}
        assert seen == {f"CONNECT 127.0.0.1:{port} HTTP/1.1"
                        for port in (broker.ws_port, broker.wss_port, broker.tls_port, broker.port)}, seen
        wrong = f"http://gate:wrong-one@127.0.0.1:{proxy.port}"
        with _one_way("wrong", yaml.websocket("near", broker.ws_port, proxy=wrong),
                      yaml.mqtt("far", broker.port), wait_up=False) as bridge:
            bridge.wait_event("alarm", connection="near")
            assert proxy.count(407) >= 1
            assert bridge.stop() == 0
            log = "\n".join(bridge.log_lines(whole=True))
            assert "407" in log and "wrong-one" not in log, log


@tap.case("cuts, kills and clean stops of linkspan lose nothing and keep the order")
def faults():
    with own_mosquitto(websocket=True) as broker, Proxy(broker.ws_port) as wire:
        near = yaml.websocket("near", wire.port, reconnect_max="200ms")
        far = yaml.websocket("far", wire.port, reconnect_max="200ms")
        with _one_way("faults", near, far) as bridge, Subscriber(broker.port, "faults/out") as got:
            with Feed(broker.port, "faults/in", rate=500) as feed:
                for turn in range(6):
                    before = len(got.messages)
                    got.wait_count(before + 50)
                    if turn % 3 == 0:
                        wire.cut()
                    elif turn % 3 == 1:
                        bridge.kill()
                        bridge.start()
                    else:
                        assert bridge.stop() == 0
                        bridge.start()
                sent = feed.stop()
            got.wait_for(check.complete(sent), "all numbers")
            check.demand(check.judge(sent, [m.payload for m in got.messages]), "the subscriber")
            assert bridge.stop() == 0


@tap.case("a destination without room: the source leaves its broker alone, and comes back when there is room")
def pressure():
    with own_mosquitto(websocket=True) as broker, own_mosquitto() as second:
        far = yaml.mqtt("far", second.port, outbox={"max_messages": 50})
        with _one_way("full", yaml.websocket("near", broker.ws_port), far) as bridge, \
                Publisher(broker.port) as out, Subscriber(second.port, "full/out") as got:
            second.freeze()
            for n in range(2000):
                out.publish(f"full/in/{n % 7}", b"%d" % n)
            bridge.wait_event("mqtt_disconnected", connection="near")
            second.thaw()
            got.wait_for(lambda messages: len({m.payload for m in messages}) == 2000, "all 2000")
            assert bridge.stop() == 0


@tap.case("check refuses what Paho cannot keep")
def refusals():
    def said(near, mapping):
        path = os.path.join(temp_folder("refusals"), "linkspan.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(yaml.configuration([near, yaml.mqtt("far", 1)], [mapping], data_dir="data"))
        done = subprocess.run([program(), "check", path], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def there(qos):
        return yaml.mapping("m", {"connection": "near", "topic": "a", "qos": qos}, {"connection": "far", "topic": "b"})

    both = yaml.mapping("m", {"connection": "near", "topic": "a", "qos": 1}, {"connection": "near", "topic": "b"},
                        {"connection": "far", "topic": "b"})
    for near, mapping, word in (
            (yaml.websocket("near", 1), there(2), "QoS 0 and 1 only"),
            (yaml.mqtt("near", 1, client="paho"), there(2), "QoS 0 and 1 only"),
            (yaml.websocket("near", 1, client="linkspan"), there(1), "no WebSocket"),
            (yaml.mqtt("near", 1, proxy="http://h:1", client="linkspan"), there(1), "no proxy"),
            (yaml.mqtt("near", 1, proxy="socks://h:1"), there(1), "only http:// proxies"),
            (yaml.websocket("near", 1), both, "second one with another client_id")):
        status, text = said(near, mapping)
        assert status == 1 and word in text, (status, word, text)
    status, text = said(yaml.websocket("near", 1), there(1))
    assert status == 0, text


if __name__ == "__main__":
    tap.main()
