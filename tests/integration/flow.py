#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Messages on a good day: MQTT into Kafka and into MQTT, both protocol versions, with everything that belongs to a
message; TLS, passwords, and peers that do not behave."""
import math
import os
import socket
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, check, tap, yaml
from rig.daemon import Linkspan
from rig.feed import Feed, flood
from rig.fixtures import own_mosquitto, shared_kafka, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.proxy import Proxy
from rig.wait import until


def _headers(record):
    return {name: value for name, value in record.headers}


def _to_kafka(name, version=5, **to):
    """linkspan with one mapping NAME/{line}/{cell}/# → topic NAME."""
    kafka = shared_kafka()
    kafka.create_topic(name)
    bridge = Linkspan(yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, version, client_id=f"linkspan-{name}"),
         yaml.kafka("lake", kafka.brokers, properties={"message.max.bytes": 4 << 20})],
        [yaml.mapping("all", {"connection": "plant", "topic": name + "/{line}/{cell}/#", "qos": 1},
                      {"connection": "lake", "topic": name, **to})]))
    return bridge, kafka.reader(name)


def _payloads_to_kafka(version):
    """Empty, one byte, every byte value, text, and 1 MiB arrive as they were, with their keys and headers."""
    payloads = [b"", b"\x00", bytes(range(256)), '{"t": 21.5, "unit": "°C"}'.encode(), os.urandom(1 << 20)]
    name = f"payloads-v{version}"
    bridge, reader = _to_kafka(name, version, key="{line}.{cell}", headers={"plant": "north", "cell": "{cell}"})
    with bridge, reader, Publisher(shared_mosquitto().port, version) as out:
        for n, payload in enumerate(payloads):
            out.publish(f"{name}/a/{n}/value", payload)
        reader.wait_count(len(payloads))
        for n, record in enumerate(reader.drain()):
            assert record.value == payloads[n], f"payload {n} of {len(payloads[n])} bytes"
            assert record.key == f"a.{n}".encode(), record.key
            headers = _headers(record)
            assert headers["plant"] == b"north" and headers["cell"] == str(n).encode(), headers
        assert len(reader.records) == len(payloads)
        assert bridge.stop() == 0


@tap.case("3.1.1 into Kafka: payloads from nothing to 1 MiB, keys, headers")
def payloads_311():
    _payloads_to_kafka(4)


@tap.case("5 into Kafka: payloads from nothing to 1 MiB, keys, headers")
def payloads_5():
    _payloads_to_kafka(5)


@tap.case("version 5 user properties become Kafka headers, binary beside text")
def user_properties():
    bridge, reader = _to_kafka("properties")
    with bridge, reader, Publisher(shared_mosquitto().port) as out:
        out.publish("properties/a/1/x", b"1", properties=publish_properties(
            user=[("trace", "4bf92f"), ("unit", "°C"), ("twice", "1"), ("twice", "2")], content_type="text/plain"))
        record = reader.wait_count(1)[0]
        pairs = [(n, v) for n, v in record.headers if n in ("trace", "unit", "twice")]
        assert pairs == [("trace", b"4bf92f"), ("unit", "°C".encode()), ("twice", b"1"), ("twice", b"2")], record.headers
        assert b"text/plain" in [value for _, value in record.headers], record.headers


@tap.case("order per key into a topic of four partitions, nothing repeated")
def order_per_key():
    kafka = shared_kafka()
    kafka.create_topic("ordered", partitions=4)
    with Linkspan(yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-ordered"),
             yaml.kafka("lake", kafka.brokers)],
            [yaml.mapping("all", {"connection": "plant", "topic": "ordered/{k}", "qos": 1},
                          {"connection": "lake", "topic": "ordered", "key": "{k}"})])) as bridge, \
            kafka.reader("ordered") as reader, Feed(shared_mosquitto().port, "ordered", keys=8, rate=4000) as feed:
        reader.wait_count(4000)
        sent = feed.stop()
        reader.wait_for(check.complete(sent), "all numbers")
        partition_of = {}
        for record in reader.drain():
            partition_of.setdefault(record.key, set()).add(record.partition)
        assert all(len(p) == 1 for p in partition_of.values()), f"one key, several partitions: {partition_of}"
        assert len(set.union(*partition_of.values())) > 1, "the keys all went to one partition"
        check.demand(check.judge(sent, [r.value for r in reader.records]), "Kafka", repeats=False)
        assert bridge.stop() == 0


def _mqtt_to_mqtt(version):
    """Between two brokers; payload, QoS, retain and version 5 properties go along."""
    name = f"relay-v{version}"
    with own_mosquitto() as far, Linkspan(yaml.configuration(
            [yaml.mqtt("near", shared_mosquitto().port, version, client_id=f"linkspan-{name}"),
             yaml.mqtt("far", far.port, version)],
            [yaml.mapping("all", {"connection": "near", "topic": name + "/{rest}/#", "qos": 1},
                          {"connection": "far", "topic": "copy/{topic}"})])) as bridge, \
            Subscriber(far.port, "copy/#", version=5) as got, Publisher(shared_mosquitto().port, 5) as out:
        out.publish(f"{name}/a/1", b"\x00\x01", properties=publish_properties(
            user=[("who", "me")], content_type="application/octet-stream", response_topic="answers/1",
            correlation=b"\x07\x00"))
        out.publish(f"{name}/a/2", b"")
        big = os.urandom(1 << 20)
        out.publish(f"{name}/a/3", big)
        got.wait_count(3)
        assert [(m.topic, m.qos) for m in got.messages] == [(f"copy/{name}/a/{n}", 1) for n in (1, 2, 3)]
        assert [m.payload for m in got.messages] == [b"\x00\x01", b"", big]
        if version == 5:
            properties = got.messages[0].properties
            assert ("who", "me") in properties.UserProperty, properties
            assert properties.ContentType == "application/octet-stream"
            assert properties.ResponseTopic == "answers/1" and properties.CorrelationData == b"\x07\x00"
        assert bridge.stop() == 0


@tap.case("3.1.1 to 3.1.1")
def relay_311():
    _mqtt_to_mqtt(4)


@tap.case("5 to 5, with its properties")
def relay_5():
    _mqtt_to_mqtt(5)


@tap.case("an expiry that has waited is passed on as what remains of it")
def expiry_waits():
    """The second message expires while both wait, so three seconds have passed before the first one is sent, of which a
    broker that is late may have taken one off already."""
    port = shared_mosquitto().port
    with Proxy(port) as link, Linkspan(yaml.configuration(
            [yaml.mqtt("near", port, client_id="linkspan-expiry-near"), yaml.mqtt("far", link.port, client_id="linkspan-expiry-far")],
            [yaml.mapping("all", {"connection": "near", "topic": "expiry/in/#", "qos": 1},
                          {"connection": "far", "topic": "expiry/out"})])) as bridge, \
            Subscriber(port, "expiry/out") as got, Publisher(port) as out:
        link.down()
        bridge.wait_event("link_down", connection="far")
        began = time.monotonic()
        out.publish("expiry/in/long", b"long", properties=publish_properties(expiry_s=600))
        out.publish("expiry/in/short", b"short", properties=publish_properties(expiry_s=3))
        bridge.wait_status(lambda s: s["journalled"] == 2, "both to be on disk", destination="far")
        waits_since = time.monotonic()
        bridge.wait_status(lambda s: s["expired"] == 1 and s["waiting"] == 1, "the second to expire", destination="far")
        waited = time.monotonic() - waits_since
        link.forward()
        message = got.wait_count(1)[0]
        most, least = min(598, 600 - math.floor(waited)), 600 - math.ceil(time.monotonic() - began) - 1
        left = message.properties.MessageExpiryInterval
        assert message.payload == b"long" and least <= left <= most, f"{least} <= {left} <= {most}: {message}"
        assert bridge.stop() == 0
        assert [m.payload for m in got.messages] == [b"long"], got.messages


@tap.case("retained messages are taken at the start, passed on retained, and a late subscriber gets them")
def retained():
    with own_mosquitto() as near, own_mosquitto() as far:
        with Publisher(near.port) as out:
            out.publish("state/door", b"open", retain=True)
            out.publish("state/light", b"on", retain=True)
            out.wait()
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", near.port), yaml.mqtt("far", far.port)],
                [yaml.mapping("all", {"connection": "near", "topic": "state/#", "qos": 1},
                              {"connection": "far", "topic": "{topic}", "retain": "set"})])) as bridge:
            with Subscriber(far.port, "state/#") as live, Publisher(near.port) as out:
                live.wait_for(lambda got: {m.topic for m in got} >= {"state/door", "state/light"}, "both states")
                out.publish("state/door", b"", retain=True)  # deletes it, everywhere
                live.wait_for(lambda got: any(m.topic == "state/door" and m.payload == b"" for m in got), "deletion")
            with Subscriber(far.port, "state/#") as late:
                late.wait_count(1)
                assert [(m.topic, m.payload, m.retain) for m in late.messages] == [("state/light", b"on", 1)]
            assert bridge.stop() == 0


@tap.case("one message to two destinations and two topics, filtered and reshaped by jq")
def fan_out():
    kafka, near = shared_kafka(), shared_mosquitto()
    kafka.create_topic("fan-good")
    with Linkspan(yaml.configuration(
            [yaml.mqtt("near", near.port, client_id="linkspan-fan"), yaml.kafka("lake", kafka.brokers)],
            [yaml.mapping("good", {"connection": "near", "topic": "fan/{line}/in", "qos": 1},
                          {"connection": "lake", "topic": "fan-good", "key": "{line}"},
                          {"connection": "near", "topic": "fan/{line}/out"},
                          when=".ok", payload="{line: $line, v: (.v * 2)}")])) as bridge, \
            kafka.reader("fan-good") as reader, Subscriber(near.port, "fan/+/out") as got, Publisher(near.port) as out:
        for n in range(10):
            out.publish("fan/a/in", f'{{"ok": {"true" if n % 2 else "false"}, "v": {n}}}'.encode())
        reader.wait_count(5)
        got.wait_count(5)
        wanted = [f'{{"line":"a","v":{2 * n}}}'.encode() for n in range(1, 10, 2)]
        assert [r.value for r in reader.drain()] == wanted, [r.value for r in reader.records]
        assert [m.payload for m in got.messages] == wanted
        assert bridge.stop() == 0


@tap.case("TLS with a client certificate on both legs; a stranger's certificate is refused and said so")
def tls():
    with own_mosquitto(tls="mutual") as broker:
        cert = broker.certificates
        keys = {"ca": cert.ca, "cert": cert.client_cert, "key": cert.client_key}
        mapping = [yaml.mapping("all", {"connection": "near", "topic": "in/#", "qos": 1},
                                {"connection": "far", "topic": "out/{topic}"})]
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", broker.tls_port, 5, True, tls=keys), yaml.mqtt("far", broker.tls_port, 4, True, tls=keys)],
                mapping)) as bridge, Subscriber(broker.port, "out/#") as got, Publisher(broker.port) as out:
            out.publish("in/1", b"sealed")
            assert got.wait_count(1)[0].payload == b"sealed"
            assert bridge.stop() == 0
        strange = {**keys, "ca": certificates.strangers_ca(temp_folder("stranger"))}
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", broker.tls_port, 5, True, tls=strange), yaml.mqtt("far", broker.port)],
                mapping), wait_up=False) as bridge:
            bridge.wait_event("link_up", connection="far")
            until(lambda: bridge.events("link_down", connection="near") or bridge.events("alarm", connection="near"),
                  "a word about the certificate")
            assert not bridge.events("link_up", connection="near")
            assert bridge.stop() == 0


@tap.case("a password; a wrong one is an alarm and not the end, and shows nowhere in the log")
def password():
    with own_mosquitto(password="open sesame") as broker:
        mapping = [yaml.mapping("all", {"connection": "near", "topic": "in/#", "qos": 1},
                                {"connection": "near", "topic": "out/{topic}"})]
        secret = os.path.join(temp_folder("secret"), "password")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("open sesame\n")
        good = {"username": "edge", "password": "${file:" + secret + "}"}
        with Linkspan(yaml.configuration([yaml.mqtt("near", broker.port, **good)], mapping)) as bridge, \
                Subscriber(broker.port, "out/#", login=("edge", "open sesame")) as got, \
                Publisher(broker.port, login=("edge", "open sesame")) as out:
            out.publish("in/1", b"1")
            got.wait_count(1)
            assert bridge.stop() == 0
        bad = {"username": "edge", "password": "knock knock"}
        with Linkspan(yaml.configuration([yaml.mqtt("near", broker.port, **bad)], mapping), wait_up=False) as bridge:
            bridge.wait_event("alarm", connection="near")
            assert bridge.running() and bridge.stop() == 0
            assert "knock knock" not in "\n".join(bridge.log_lines(whole=True))


@tap.case("a batch that is too large for the topic is no reason to refuse the messages in it")
def large_batch():
    kafka, near = shared_kafka(), shared_mosquitto()
    kafka.create_topic("batches", config={"max.message.bytes": "5000"})
    with Linkspan(yaml.configuration(
            [yaml.mqtt("near", near.port, client_id="linkspan-batches"),
             yaml.kafka("lake", kafka.brokers, properties={"linger.ms": 100})],
            [yaml.mapping("all", {"connection": "near", "topic": "batches/{k}", "qos": 1},
                          {"connection": "lake", "topic": "batches", "key": "{k}"})])) as bridge, \
            kafka.reader("batches") as reader:
        flood(near.port, "batches/x", 1, 200, 1000)
        reader.wait_for(check.complete({"flood": 200}), "all numbers")
        check.demand(check.judge({"flood": 200}, [r.value for r in reader.drain()]), "Kafka")
        assert bridge.stop() == 0


class RudePeer:
    """Says something to whoever connects, and hangs up."""

    def __init__(self, words):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.words = words
        self.visits = 0

    def serve_one(self):
        peer, _ = self.listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(self.words)
            self.visits += 1


@tap.case("peers that talk nonsense do not end it, and the other links go on")
def rude_peers():
    near = shared_mosquitto()
    # A web server, a CONNACK cut in half, one with a reserved bit, an endless length, a packet before CONNACK.
    for words in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00", b"\x20\x03\x02\x00\x00", b"\x20\xff\xff\xff\xff\x7f",
                  b"\x30\x05\x00\x01a\x00x", b""):
        rude = RudePeer(words)
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", near.port, client_id="linkspan-rude"), yaml.mqtt("rude", rude.port)],
                [yaml.mapping("good", {"connection": "near", "topic": "rude/in", "qos": 1},
                              {"connection": "near", "topic": "rude/out"}),
                 yaml.mapping("bad", {"connection": "near", "topic": "rude/bad", "qos": 1},
                              {"connection": "rude", "topic": "x"})]), wait_up=["near"]) as bridge, \
                Subscriber(near.port, "rude/out") as got, Publisher(near.port) as out:
            rude.serve_one()
            rude.serve_one()  # it tries again
            out.publish("rude/in", b"1")
            got.wait_count(1)
            assert bridge.stop() == 0
        rude.listener.close()


@tap.case("bad messages do not end it: jq errors, wrong topics, too large for Kafka; the good ones go on")
def bad_messages():
    kafka, near = shared_kafka(), shared_mosquitto()
    kafka.create_topic("small", config={"max.message.bytes": "10000"})
    with Linkspan(yaml.configuration(
            [yaml.mqtt("near", near.port, client_id="linkspan-bad"), yaml.kafka("lake", kafka.brokers)],
            [yaml.mapping("jq", {"connection": "near", "topic": "bad/jq/{n}", "qos": 1},
                          {"connection": "lake", "topic": "small", "key": "{n}"}, payload=".v / .by"),
             yaml.mapping("topic", {"connection": "near", "topic": "bad/topic/{n}", "qos": 1},
                          {"connection": "near", "topic": "out/{.name}"}),
             yaml.mapping("size", {"connection": "near", "topic": "bad/size/{n}", "qos": 1},
                          {"connection": "lake", "topic": "small", "key": "{n}"})])) as bridge, \
            kafka.reader("small") as reader, Subscriber(near.port, "out/#") as got, Publisher(near.port) as out:
        for payload in (b"", b"{", b"\xff\xfe", b'{"v": 1, "by": 0}', b'{"v": "x"}', b"[" * 5000, b'{"v": 6, "by": 3}'):
            out.publish("bad/jq/1", payload)
        for payload in (b"not json", b'{"name": "a/#"}', b'{"name": "\\u0000"}', b'{}', b'{"name": "fine"}'):
            out.publish("bad/topic/1", payload)
        out.publish("bad/size/1", os.urandom(100000))
        out.publish("bad/size/2", b"small")
        out.wait()
        got.wait_count(1)
        assert [m.topic for m in got.messages] == ["out/fine"], got.messages
        reader.wait_count(2)
        assert sorted(r.value for r in reader.drain()) == [b"2", b"small"]
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
