#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a message becomes in Kafka and a record in MQTT: topics, keys, partitions, headers and times by template, which topics
may be written to, null values, and MQTT 5 properties there and back."""
import json
import os
import subprocess
import threading

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import shared_kafka, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.wait import until

TIME_MS = 1764112345678


def _bridge(name, *mappings, **lake):
    """linkspan between the shared mosquitto and the shared Kafka."""
    return Linkspan(yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}"),
         yaml.kafka("lake", shared_kafka().brokers, **lake)], mappings))


def _mapping(name, source, target):
    """Without the count of hops, which would be one more header."""
    return yaml.mapping(name, source, target, max_hops=0)


def _publish(*messages):
    """(topic, payload) or (topic, payload, keywords)."""
    with Publisher(shared_mosquitto().port) as publisher:
        for topic, payload, *more in messages:
            publisher.publish(topic, payload, **(more[0] if more else {}))
        publisher.wait()


def _produce(topic, **record):
    """Until Kafka has it."""
    from confluent_kafka import Producer
    done = threading.Event()
    producer = Producer({"bootstrap.servers": shared_kafka().brokers, "log_level": 0})
    producer.produce(topic, on_delivery=lambda error, _: None if error else done.set(), **record)
    producer.flush(60)
    assert done.is_set(), f"{topic}: not produced"


def _topics():
    from confluent_kafka.admin import AdminClient
    return set(AdminClient({"bootstrap.servers": shared_kafka().brokers}).list_topics(timeout=60).topics)


def _letters(bridge, n):
    """Reasons and payloads of the dead letters of the lake, once there are n."""
    bridge.wait_status(lambda s: s["dead"] >= n, f"{n} dead letters", destination="lake")
    told = subprocess.run([program(), "queue", "export", bridge.data_dir, "lake", "--dead"], capture_output=True, text=True,
                          check=True, timeout=60)
    return [json.loads(line) for line in told.stdout.splitlines()]


@tap.case("topic, key, partition, headers and time come from the message")
def templates():
    kafka = shared_kafka()
    kafka.create_topic("map.a", partitions=3)
    with _bridge("templates", _mapping(
            "all", {"connection": "plant", "topic": "map/{line}/{cell}"},
            {"connection": "lake", "topic": "map.{line}", "key": "{cell}", "partition": "{.p}", "timestamp": "{.ts}",
             "headers": {"site": "north", "from": "{topic}"}}), topics_allowed=["map.*"]) as bridge, \
            kafka.reader("map.a") as reader:
        _publish(("map/a/7", b'{"p": 2, "ts": 1764112345.678}'), ("map/a/8", b'{"p": 1, "ts": "2025-11-25T23:12:25.678Z"}'),
                 ("map/a/9", b'{"p": 0, "ts": 12}'),  # a clock that nobody has set
                 ("map/a/x", b'{"p": 0, "ts": "yesterday"}'), ("map/a/y", b'{"p": "two", "ts": 1764112345}'),
                 ("map/a/z", b'{"p": 0}'), ("map/b c/1", b'{"p": 0, "ts": 1764112345}'))
        records = {r.key: r for r in reader.wait_count(3)}
        assert (records[b"7"].partition, records[b"7"].timestamp_ms) == (2, TIME_MS), records
        assert (records[b"8"].partition, records[b"8"].timestamp_ms) == (1, TIME_MS), records
        assert records[b"9"].timestamp_ms > TIME_MS, "the time of origin was expected"
        assert records[b"7"].headers == [("site", b"north"), ("from", b"map/a/7")], records[b"7"].headers
        reasons = sorted(letter["reason"] for letter in _letters(bridge, 4))
        assert len(reasons) == 4 and "b c" in " ".join(reasons), reasons
        for part in ("no .ts", "timestamp", "partition", "character"):
            assert any(part in reason for reason in reasons), f"{part}: {reasons}"
        assert bridge.stop() == 0


@tap.case("a device cannot create topics by its name; what is not allowed is a dead letter")
def allowed():
    kafka = shared_kafka()
    kafka.create_topic("allowed.good")
    with _bridge("allowed", _mapping("all", {"connection": "plant", "topic": "not-allowed"},
                                     {"connection": "lake", "topic": "{.to}"}), topics_allowed=["allowed.*"]) as bridge, \
            kafka.reader("allowed.good") as reader:
        _publish(("not-allowed", b'{"to": "mischief"}'), ("not-allowed", b'{"to": "allowed.good"}'))
        reader.wait_count(1)
        letters = _letters(bridge, 1)
        assert "mischief" in letters[0]["reason"] and "topics_allowed" in letters[0]["reason"], letters
        # Sent once more it has the source's topic, which Kafka could have and nobody has allowed either.
        subprocess.run([program(), "queue", "requeue", bridge.data_dir, "lake"], check=True, timeout=60, capture_output=True)
        again = until(lambda: [one for one in _letters(bridge, 0) if one["seq"] != letters[0]["seq"]], "it to be refused again")
        assert again[0]["topic"] == "not-allowed" and "topics_allowed" in again[0]["reason"], again
        assert not {"mischief", "not-allowed"} & _topics(), _topics()
        assert bridge.stop() == 0


def _check(text):
    path = os.path.join(temp_folder("check"), "linkspan.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return subprocess.run([program(), "check", path], capture_output=True, text=True, timeout=60, check=False)


@tap.case("check: constant topics that are not allowed, filters that nothing can match, open topics")
def checks():
    def told(mapping, **lake):
        return _check("data_dir: d\n" + yaml.configuration(
            [yaml.mqtt("plant", 1883), yaml.kafka("lake", "127.0.0.1:9092", **lake)], [mapping]))
    plant = {"connection": "plant", "topic": "a/{b}"}
    to_lake = told(_mapping("m", plant, {"connection": "lake", "topic": "other"}), topics_allowed=["scada.*"])
    assert to_lake.returncode == 1 and "topics_allowed" in to_lake.stderr, to_lake
    open_topic = told(_mapping("m", plant, {"connection": "lake", "topic": "scada.{b}"}))
    assert open_topic.returncode == 0 and "warning: topic: the topic has something of the message" in open_topic.stderr, open_topic
    for kept in ("linkspan-cursor", "__consumer_offsets"):
        to_kept = told(_mapping("m", plant, {"connection": "lake", "topic": kept}))
        assert to_kept.returncode == 1 and "another" in to_kept.stderr, to_kept
    for wrong in ({"partition": -1}, {"partition": "two"}, {"timestamp": "yesterday"}):
        constant = told(_mapping("m", plant, {"connection": "lake", "topic": "a", **wrong}))
        assert constant.returncode == 1 and f" {list(wrong)[0]}: the {list(wrong)[0]} is n" in constant.stderr, constant
    good = told(_mapping("m", plant, {"connection": "lake", "topic": "a", "partition": 0, "timestamp": "2026-11-25T22:58:34Z"}))
    assert good.returncode == 0, good
    bounded = told(_mapping("m", plant, {"connection": "lake", "topic": "scada.{b}"}), topics_allowed=["scada.*"])
    assert bounded.returncode == 0 and not bounded.stderr, bounded
    slash = told(_mapping("m", {"connection": "lake", "topic": "scada/{b}"}, {"connection": "plant", "topic": "x/{b}"}))
    assert slash.returncode == 1 and "scada.{b}" in slash.stderr, slash
    sound = told(_mapping("m", {"connection": "lake", "topic": "scada.{b}.#"}, {"connection": "plant", "topic": "x/{b}"}))
    assert sound.returncode == 0 and "scada.{b}.#" in sound.stdout, sound


@tap.case("a cleared retained message is a null value, and a null value clears one")
def tombstones():
    kafka, broker = shared_mosquitto_and_kafka()
    kafka.create_topic("tomb.state", config={"cleanup.policy": "compact"})
    with _bridge("tombstones", _mapping(
            "out", {"connection": "plant", "topic": "tomb/{device}"},
            {"connection": "lake", "topic": "tomb.state", "key": "{device}", "tombstones": "cleared"}),
            _mapping("back", {"connection": "lake", "topic": "tomb.state"},
                         {"connection": "plant", "topic": "tomb-copy/{key}"})) as bridge, \
            kafka.reader("tomb.state") as reader, Subscriber(broker.port, "tomb-copy/#") as copies:
        _publish(("tomb/a", b"on", {"retain": True}), ("tomb/b", b"on", {"retain": True}),
                 ("tomb/b", b"", {"retain": True}), ("tomb/c", b""))
        records = reader.wait_count(4)
        assert {(r.key, r.value) for r in records} == {(b"a", b"on"), (b"b", b"on"), (b"b", None), (b"c", b"")}, records
        copies.wait_count(4)
        with Subscriber(broker.port, "tomb-copy/#") as late:
            _publish(("tomb-copy/end", b"end"))
            got = late.wait_for(lambda messages: any(m.payload == b"end" for m in messages), "the end")
            assert [(m.topic, m.payload) for m in got] == [("tomb-copy/a", b"on"), ("tomb-copy/end", b"end")], got
        _produce("tomb.state", key="a", value=None)  # a record of somebody else
        copies.wait_for(lambda messages: ("tomb-copy/a", b"") in [(m.topic, m.payload) for m in messages], "a to be cleared")
        with Subscriber(broker.port, "tomb-copy/#") as late:
            _publish(("tomb-copy/end", b"end"))
            got = late.wait_for(lambda messages: any(m.payload == b"end" for m in messages), "the end")
            assert [m.topic for m in got] == ["tomb-copy/end"], got
        assert bridge.stop() == 0


def shared_mosquitto_and_kafka():
    return shared_kafka(), shared_mosquitto()


USER = [("a", "1"), ("content-type", "mine"), ("a", "2"), ("mqtt-retain", "1"), ("mqtt-user-content-type", "x"), ("", "empty"),
        ("kafka-base64-b", "/w=="), ("kafka-null-n", ""), ("K\u00e4se", "\u00fc")]


@tap.case("MQTT 5 properties go through Kafka without loss")
def properties():
    kafka, broker = shared_mosquitto_and_kafka()
    kafka.create_topic("props.all")
    with _bridge("props", _mapping("out", {"connection": "plant", "topic": "props/x"},
                                       {"connection": "lake", "topic": "props.all"}),
                 _mapping("back", {"connection": "lake", "topic": "props.all"},
                              {"connection": "plant", "topic": "props-copy"})) as bridge, \
            kafka.reader("props.all") as reader, Subscriber(broker.port, "props-copy") as copies:
        _publish(("props/x", b"{}", {"properties": publish_properties(
            user=USER, content_type="text/x", response_topic="answer/7", correlation=b"\0\xff", expiry_s=3600)}))
        record = reader.wait_count(1)[0]
        headers = dict(record.headers)
        assert headers["content-type"] == b"text/x" and headers["mqtt-correlation-data"] == b"\0\xff", headers
        assert headers["mqtt-response-topic"] == b"answer/7" and headers["mqtt-message-expiry-interval"] == b"3600", headers
        assert headers["b"] == b"\xff" and headers["n"] is None and headers["mqtt-user-content-type"] == b"mine", headers
        got = copies.wait_count(1)[0].properties
        assert got.UserProperty == USER, got.UserProperty
        assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/x", "answer/7", b"\0\xff"), got
        assert 3000 < got.MessageExpiryInterval <= 3600, got.MessageExpiryInterval
        assert bridge.stop() == 0


@tap.case("what is empty, longest or retained in MQTT 5 is so again behind Kafka")
def limits():
    kafka, broker = shared_mosquitto_and_kafka()
    kafka.create_topic("limits.all")
    user = [("", ""), ("a", ""), ("a", ""), ("b" * 65535, "c"), ("mqtt-qos", "0"), ("kafka-null-", "x")]
    with _bridge("limits", _mapping("out", {"connection": "plant", "topic": "limits/x"},
                                        {"connection": "lake", "topic": "limits.all"}),
                 _mapping("back", {"connection": "lake", "topic": "limits.all"},
                              {"connection": "plant", "topic": "limits-copy"}), mqtt_headers="all") as bridge, \
            kafka.reader("limits.all") as reader:
        sent = publish_properties(user=user, response_topic="\u00e4/\U0001f600", correlation=b"", expiry_s=4294967295)
        sent.PayloadFormatIndicator = 1
        sent.ContentType = ""
        _publish(("limits/x", b"", {"retain": False, "properties": sent}),
                 ("limits/x", b"kept", {"retain": True, "qos": 2, "properties": sent}))
        records = reader.wait_count(2)
        assert [r.value for r in records] == [b"", b"kept"] and not any(r.key for r in records), records
        headers = [dict(r.headers) for r in records]
        assert [h.get("mqtt-retain") for h in headers] == [None, b"1"] and headers[0]["mqtt-correlation-data"] == b"", headers
        bridge.wait_status(lambda s: s["delivered"] == 2, "both", destination="plant")
        with Subscriber(broker.port, "limits-copy") as late:  # what the broker has kept
            got = late.wait_count(1)[0]
        assert (got.payload, got.retain) == (b"kept", True), got
        told = got.properties
        assert told.UserProperty == user, [(name[:20], value) for name, value in told.UserProperty]
        assert (told.ContentType, told.ResponseTopic, told.CorrelationData) == ("", "\u00e4/\U0001f600", b""), told
        assert told.PayloadFormatIndicator == 1 and told.MessageExpiryInterval > 4294967000, told
        assert bridge.stop() == 0


@tap.case("a record is the same record in another topic: key, value and headers, null or empty, and its time")
def copies_of_records():
    kafka = shared_kafka()
    for topic in ("same.all", "same-copy"):
        kafka.create_topic(topic)
    headers = [("n", None), ("e", b""), ("b", b"\xff\0"), ("e", b"2"), ("", b"x"), ("mqtt-qos", b"1"), ("content-type", b"t")]
    sent = [(None, None), (b"", b""), (b"k\xff", None), (None, b"v"), (b"k", b"\0")]
    on = _mapping("on", {"connection": "lake", "topic": "same.all"}, {"connection": "lake", "topic": "same-copy"})
    with Linkspan(yaml.configuration([yaml.kafka("lake", kafka.brokers)], [on])) as bridge, kafka.reader("same-copy") as reader:
        for key, value in sent:
            _produce("same.all", key=key, value=value, headers=headers, timestamp=TIME_MS)
        records = reader.wait_count(len(sent))
        assert [(r.key, r.value) for r in records] == sent, records
        assert {tuple(r.headers) for r in records} == {tuple(headers)}, records[0].headers
        assert {r.timestamp_ms for r in records} == {TIME_MS}, records
        assert bridge.stop() == 0


@tap.case("headers that MQTT cannot carry arrive as text, and no broker cuts the link because of them")
def foreign_headers():
    kafka, broker = shared_mosquitto_and_kafka()
    kafka.create_topic("foreign.all")
    with _bridge("foreign", _mapping("back", {"connection": "lake", "topic": "foreign.+"},
                                         {"connection": "plant", "topic": "foreign-copy"})) as bridge, \
            Subscriber(broker.port, "foreign-copy") as copies:
        _produce("foreign.all", value=b"x", headers=[("offset", b"\0\0\0\0\0\0\0\7"), ("none", None), ("content-type", b"\xff"),
                                                     ("t", b"text")])
        got = copies.wait_count(1)[0].properties
        assert got.UserProperty == [("kafka-base64-offset", "AAAAAAAAAAc="), ("kafka-null-none", ""),
                                    ("kafka-base64-content-type", "/w=="), ("t", "text")], got.UserProperty
        assert bridge.events("link_up", connection="plant") and not bridge.events("link_down", connection="plant")
        assert bridge.stop() == 0


@tap.case("a dead letter that is sent again has the headers that it would have had")
def letter_again():
    kafka, broker = shared_mosquitto_and_kafka()
    kafka.create_topic("again.all")
    with _bridge("again", _mapping("back", {"connection": "lake", "topic": "again.all"},
                                       {"connection": "plant", "topic": "again-copy/{.x}"})) as bridge, \
            Subscriber(broker.port, "again.all") as copies:  # a letter has the topic of its source
        _produce("again.all", value=b"no JSON", headers=[("bytes", b"\xff"), ("none", None), ("t", b"text")])
        bridge.wait_status(lambda s: s["dead"] == 1, "a dead letter", destination="plant")
        subprocess.run([program(), "queue", "requeue", bridge.data_dir, "plant"], check=True, timeout=60, capture_output=True)
        got = copies.wait_count(1)[0].properties
        assert got.UserProperty == [("kafka-base64-bytes", "/w=="), ("kafka-null-none", ""), ("t", "text")], got.UserProperty
        assert bridge.stop() == 0


@tap.case("topic_characters: escape: any MQTT topic has a place in Kafka and comes back")
def escaped():
    kafka, broker = shared_mosquitto_and_kafka()
    topics = ["esc/plain", "esc/v1.2/a b", "esc/K\u00e4se/_x2E_", "esc//x/"]
    names = ["esc.plain", "esc.v1_x2E_2.a_x20_b", "esc.K_xC3__xA4_se._x5F_x2E_", "esc..x."]
    for name in names:
        kafka.create_topic(name)
    with _bridge("escaped", _mapping("out", {"connection": "plant", "topic": "esc/#"}, {"connection": "lake"}),
                 _mapping("back", {"connection": "lake", "topic": "esc.#"},
                              {"connection": "plant", "topic": "back/{topic}"}),
                 topics_allowed=["esc.*"], topic_characters="escape") as bridge, \
            Subscriber(broker.port, "back/#") as copies:
        _publish(*((topic, topic.encode()) for topic in topics))
        got = copies.wait_count(len(topics))
        assert {(m.topic, m.payload.decode()) for m in got} == {("back/" + t, t) for t in topics}, got
        until(lambda: set(names) <= _topics(), "the topics")
        assert not {name for name in _topics() if name.startswith("esc")} - set(names), _topics()
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
