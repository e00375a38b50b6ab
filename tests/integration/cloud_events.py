#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CloudEvents over MQTT 5, MQTT 3.1.1, Kafka and HTTP: what linkspan writes is read by the official SDK, an event stays the
same event from one binding to the next, and what is received is taken apart where that is asked for."""
import http.client
import json
import os
import shutil
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, webhook_libraries, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import shared_kafka, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.receiver import Receiver
from rig.wait import free_port

SUBJECT = 'line 7/ä 100% "hot"'
ATTRIBUTES = {"specversion": "1.0", "id": "r-7", "source": "/plants/north", "type": "com.example.reading", "subject": SUBJECT,
              "time": "2025-11-25T23:12:25.678901Z", "partitionkey": "cell 7", "plant": "north"}
DATA = b'{"n": 12345678901234567890, "t": 21.50}'


def _mapping(name, source, target):
    """Without the count of hops, which would be one more header."""
    return yaml.mapping(name, source, target, max_hops=0)


def _user_properties(message):
    return dict(getattr(message.properties, "UserProperty", []))


def _kafka_sdk(record):
    """The event that the official SDK reads in a record."""
    webhook_libraries.need()
    from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
    return from_kafka_event(KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value))


def _http_sdk(request):
    webhook_libraries.need()
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
    return from_http_event(HTTPMessage(headers=dict(request.headers), body=request.body))


def _assert_event(event):
    """It is the one of ATTRIBUTES and DATA, as the SDK understands them."""
    told = event.get_attributes()
    assert {name: str(told[name]) for name in ("id", "source", "type", "subject", "plant", "partitionkey")} == \
        {name: ATTRIBUTES[name] for name in ("id", "source", "type", "subject", "plant", "partitionkey")}, told
    assert event.get_time().isoformat().startswith("2025-11-25T23:12:25.678901"), event.get_time()
    data = event.get_data()
    assert (data if isinstance(data, dict) else json.loads(data)) == json.loads(DATA), data


def _post(port, path, body, headers):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request("POST", path, body, headers)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def _http_event_headers():
    """As the SDK writes them."""
    webhook_libraries.need()
    from cloudevents.core.bindings.http import to_binary_event
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent
    import datetime
    attributes = {**ATTRIBUTES, "time": datetime.datetime.fromisoformat(ATTRIBUTES["time"].replace("Z", "+00:00")),
                  "datacontenttype": "application/json"}
    return to_binary_event(CloudEvent(attributes, json.loads(DATA)), JSONFormat()).headers


@tap.case("HTTP, Kafka, MQTT 5, HTTP: one event all the way, in binary mode")
def all_the_way():
    kafka, port = shared_kafka(), free_port()
    kafka.create_topic("events.way", partitions=3)
    with Receiver() as receiver, Linkspan(yaml.configuration(
            [yaml.http("hooks", listen=f"127.0.0.1:{port}"), yaml.http("hook", receiver.port, cloudevents={"mode": "binary"}),
             yaml.kafka("lake", kafka.brokers, cloudevents={"mode": "binary", "read": True}),
             yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-events-way",
                       cloudevents={"mode": "binary", "read": True})],
            [_mapping("in", {"connection": "hooks", "topic": "/way"}, {"connection": "lake", "topic": "events.way"}),
             _mapping("on", {"connection": "lake", "topic": "events.way"},
                      {"connection": "plant", "topic": "events/way/{header.ce-plant}", "qos": 1}),
             _mapping("out", {"connection": "plant", "topic": "events/way/#"}, {"connection": "hook", "path": "/end"})])) \
            as bridge, kafka.reader("events.way") as reader, Subscriber(shared_mosquitto().port, "events/way/#") as bus:
        status, answer = _post(port, "/way", DATA, _http_event_headers())
        assert status == 202, (status, answer)
        record = reader.wait_count(1)[0]
        assert record.value == DATA and record.key == b"cell 7", record
        headers = dict(record.headers)
        for name, value in ATTRIBUTES.items():
            assert name == "time" or headers[f"ce_{name}"] == value.encode(), (name, headers)
        assert headers["content-type"] == b"application/json", headers
        _assert_event(_kafka_sdk(record))
        message = bus.wait_count(1)[0]
        assert message.topic == "events/way/north" and message.payload == DATA, message
        user = _user_properties(message)
        assert {name: user[name] for name in ATTRIBUTES if name != "time"} == \
            {name: value for name, value in ATTRIBUTES.items() if name != "time"}, user
        assert message.properties.ContentType == "application/json"
        request = receiver.wait_count(1)[0]
        assert request.body == DATA, request.body
        _assert_event(_http_sdk(request))
        assert bridge.stop() == 0


@tap.case("MQTT 3.1.1, Kafka, MQTT 5: one event all the way, in structured mode; numbers keep their digits")
def structured_all_the_way():
    kafka = shared_kafka()
    kafka.create_topic("events.json")
    told = {**ATTRIBUTES, "datacontenttype": "application/json"}
    event = json.dumps(told)[:-1].encode() + b', "data": ' + DATA + b"}"
    with Linkspan(yaml.configuration(
            [yaml.mqtt("old", shared_mosquitto().port, version=4, client_id="linkspan-events-old", cloudevents={"read": True}),
             yaml.kafka("lake", kafka.brokers, cloudevents={"mode": "structured", "read": True}),
             yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-events-json", cloudevents={"mode": "structured"}),
             yaml.mqtt("old_out", shared_mosquitto().port, version=4, client_id="linkspan-events-old-out",
                       cloudevents={"mode": "structured"})],
            [_mapping("in", {"connection": "old", "topic": "events/old"}, {"connection": "lake", "topic": "events.json"}),
             yaml.mapping("on", {"connection": "lake", "topic": "events.json"},
                          {"connection": "plant", "topic": "events/json/{.n}"},
                          {"connection": "old_out", "topic": "events/json4"}, max_hops=0)])) as bridge, \
            kafka.reader("events.json") as reader, \
            Subscriber(shared_mosquitto().port, ["events/json/#", "events/json4"]) as bus, \
            Publisher(shared_mosquitto().port) as publisher:
        publisher.publish("events/old", event)
        record = reader.wait_count(1)[0]
        assert dict(record.headers)["content-type"].startswith(b"application/cloudevents+json"), record
        assert b'"data":' + DATA in record.value and record.key == b"cell 7", record
        _assert_event(_kafka_sdk(record))
        got = {message.topic: message for message in bus.wait_count(2)}
        message = got["events/json/12345678901234567890"]
        assert message.properties.ContentType.startswith("application/cloudevents+json"), message
        assert json.loads(message.payload) == json.loads(event) and b'"data":' + DATA in message.payload, message.payload
        assert json.loads(got["events/json4"].payload) == json.loads(event), got["events/json4"].payload
        publisher.publish("events/old", b'{"n": 1, "specversion": "of another kind"}')
        plain = reader.wait_count(2)[1]
        assert json.loads(plain.value)["type"] == "linkspan.message", plain.value
        assert bridge.stop() == 0


def _assert_made(attributes, source):
    assert attributes["specversion"] == "1.0" and attributes["source"] == source, attributes
    assert attributes["type"] == "com.example.t" and attributes["subject"] == "a/7", attributes
    assert attributes["id"].startswith("msg_") and attributes["plant"] == "north", attributes


@tap.case("messages that are no events become some; headers ce-NAME of a mapping are attributes")
def made():
    kafka = shared_kafka()
    kafka.create_topic("events.made")
    target = {"event_source": "/p/{topic[0]}", "event_type": "com.example.t", "event_subject": "a/{n}",
              "headers": {"ce-plant": "north"}, "content_type": "text/plain"}
    with Linkspan(yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-events-made", cloudevents={"mode": "binary"}),
             yaml.kafka("lake", kafka.brokers, cloudevents={"mode": "binary"})],
            [yaml.mapping("all", {"connection": "plant", "topic": "made/{n}"},
                          {"connection": "lake", "topic": "events.made", **target},
                          {"connection": "plant", "topic": "out/made", **target}, max_hops=0)])) as bridge, \
            kafka.reader("events.made") as reader, Subscriber(shared_mosquitto().port, "out/made") as bus, \
            Publisher(shared_mosquitto().port) as publisher:
        publisher.publish("made/7", b"21.5 C", properties=publish_properties([("id", "of the device"), ("x-trace", "1")]))
        record = reader.wait_count(1)[0]
        _assert_made({name[3:]: value.decode() for name, value in record.headers if name.startswith("ce_")}, "/p/made")
        assert record.value == b"21.5 C" and dict(record.headers)["content-type"] == b"text/plain", record
        event = _kafka_sdk(record)
        assert event.get_type() == "com.example.t" and event.get_datacontenttype() == "text/plain"
        message = bus.wait_count(1)[0]
        _assert_made(_user_properties(message), "/p/made")
        assert _user_properties(message)["x-trace"] == "1"
        assert len([1 for name, _ in message.properties.UserProperty if name == "id"]) == 1, message.properties
        assert bridge.stop() == 0


def _configuration(topic, brokers, mode):
    return yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{topic}"),
         yaml.kafka("lake", brokers, cloudevents={"mode": mode})],
        [_mapping("all", {"connection": "plant", "topic": topic}, {"connection": "lake", "topic": topic})])


def _sent_again(topic, mode):
    """The records of one message that is sent, and sent again by a process that finds the disk as it was before: as after
    a crash between the two."""
    kafka = shared_kafka()
    kafka.create_topic(topic)
    with Linkspan(_configuration(topic, "127.0.0.1:1", mode), wait_up=["plant"]) as bridge, kafka.reader(topic) as reader, \
            Publisher(shared_mosquitto().port) as publisher:
        publisher.publish(topic, b"1")
        bridge.wait_waiting("lake", 1)
        bridge.kill()
        before = os.path.join(temp_folder("cloud-events"), "data")
        shutil.copytree(bridge.data_dir, before, ignore=shutil.ignore_patterns("control"))
        bridge.configure(_configuration(topic, kafka.brokers, mode))
        bridge.start()
        reader.wait_count(1)
        bridge.kill()
        shutil.rmtree(bridge.data_dir)
        shutil.copytree(before, bridge.data_dir)
        bridge.start()
        records = reader.wait_count(2)
        assert bridge.stop() == 0
        return records


@tap.case("an id is the same after a crash")
def stable_ids():
    for topic, mode in (("events.twice", "binary"), ("events.twicejson", "structured")):
        records = _sent_again(topic, mode)
        assert all((r.headers, r.value) == (records[0].headers, records[0].value) for r in records), records
        event = _kafka_sdk(records[0])
        assert event.get_id().startswith("msg_") and event.get_source() == "linkspan:lake", event.get_attributes()


@tap.case("exactly-once: events in transactions")
def exactly_once():
    kafka = shared_kafka()
    kafka.create_topic("events.exact")
    with Linkspan(yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-events-exact"),
             yaml.kafka("lake", kafka.brokers, delivery="exactly-once", cloudevents={"mode": "structured"})],
            [_mapping("all", {"connection": "plant", "topic": "events/exact", "qos": 2},
                      {"connection": "lake", "topic": "events.exact"})])) as bridge, \
            kafka.reader("events.exact") as reader, Publisher(shared_mosquitto().port) as publisher:
        for n in range(20):
            publisher.publish("events/exact", str(n).encode(), qos=2, properties=publish_properties(content_type="text/plain"))
        events = [_kafka_sdk(record) for record in reader.wait_count(20)]
        assert [event.get_data() for event in events] == [str(n) for n in range(20)]
        assert len({event.get_id() for event in events}) == 20
        assert bridge.stop() == 0


@tap.case("a listener takes events apart, batches too, and refuses what is none")
def listener():
    port = free_port()
    one = {**ATTRIBUTES, "data": {"a": 1}}
    with Linkspan(yaml.configuration(
            [yaml.http("hooks", listen=f"127.0.0.1:{port}", cloudevents={"read": True}),
             yaml.mqtt("bus", shared_mosquitto().port, client_id="linkspan-events-hooks")],
            [yaml.mapping("all", {"connection": "hooks", "topic": "/#"},
                          {"connection": "bus", "topic": "events/hooks/{header.ce-id}", "content_type": "{header.ce-subject}"},
                          when='$headers["ce-type"] == "com.example.reading"')])) as bridge, \
            Subscriber(shared_mosquitto().port, "events/hooks/#") as bus:
        def send(content_type, text):
            return _post(port, "/e", text if isinstance(text, bytes) else json.dumps(text).encode(), {"Content-Type": content_type})
        assert send("application/cloudevents+json; charset=UTF-8", one)[0] == 202
        assert send("application/cloudevents-batch+json", [{**one, "id": "b1"}, {**one, "id": "b2", "type": "another"},
                                                           {**one, "id": "b3", "data": "text"}])[0] == 202
        got = bus.wait_count(3)
        assert [(m.topic, m.payload) for m in got] == [
            ("events/hooks/r-7", b'{"a": 1}'), ("events/hooks/b1", b'{"a": 1}'), ("events/hooks/b3", b'"text"')], got
        assert got[0].properties.ContentType == SUBJECT
        for content_type, text in (("application/cloudevents+json", b"{"), ("application/cloudevents+json", {"id": "1"}),
                                   ("application/cloudevents-batch+json", [one, {"specversion": "0.3"}])):
            status, answer = send(content_type, text)
            assert status == 400 and b"CloudEvent" in answer + b"CloudEvent" * (text == b"{"), (status, answer)
        assert bridge.stop() == 0


@tap.case("what says that it is an event and is none is taken as it came, and counted")
def broken():
    with Linkspan(yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-events-broken", cloudevents={"read": True})],
            [_mapping("all", {"connection": "plant", "topic": "broken/#"}, {"connection": "plant", "topic": "out/broken"})])) \
            as bridge, Subscriber(shared_mosquitto().port, "out/broken") as bus, Publisher(shared_mosquitto().port) as publisher:
        for _ in range(2):
            publisher.publish("broken/1", b"{", properties=publish_properties(content_type="application/cloudevents+json"))
        got = bus.wait_count(2)
        assert got[0].payload == b"{" and got[0].properties.ContentType == "application/cloudevents+json", got
        bridge.wait_event("cloudevent_broken", connection="plant")
        bridge.wait_status(lambda s: s.get("events_broken") == 2, "two broken events", connection="plant")
        assert len(bridge.events("cloudevent_broken")) == 1
        assert bridge.stop() == 0


MISTAKES = [
    ("cloudevents: {mode: binary}", "type: mqtt, url: 'mqtt://h', client_id: a, version: 3.1.1", "structured, or use version 5"),
    ("cloudevents: {mode: binary, type: ''}", "type: kafka, brokers: [h]", "a type that is not empty"),
    ("cloudevents: {read: true}", "type: http, url: 'http://h'", "this one sends"),
    ("cloudevents: {mode: binary}", "type: http, listen: ['127.0.0.1:1']", "read: true takes apart"),
]


def _assert_refused(text, words, line):
    path = os.path.join(temp_folder("cloud-events"), "wrong.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    told = subprocess.run([program(), "check", path], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode != 0, text
    assert any(words in mistake and f":{line}:" in mistake for mistake in (told.stdout + told.stderr).splitlines()), \
        (words, line, told.stdout + told.stderr)


@tap.case("check names what is wrong at its place")
def mistakes():
    for keys, connection, words in MISTAKES:
        text = (f"connections:\n  c: {{{connection}, {keys}}}\n  d: {{type: kafka, brokers: [h]}}\n  s: {{type: mqtt, url: 'mqtt://h', "
                "client_id: b}\nmappings:\n"
                + ("  - {name: m, from: {connection: c, topic: /a}, to: {connection: s, topic: b}}\n" if "listen" in connection
                   else "  - {name: m, from: {connection: s, topic: a}, to: {connection: c, path: /x}}\n" if "http" in connection
                   else "  - {name: m, from: {connection: s, topic: a}, to: {connection: c, topic: b}}\n"))
        _assert_refused(text, words, line=2)
    text = ("connections:\n  s: {type: mqtt, url: 'mqtt://h', client_id: b}\n  d: {type: kafka, brokers: [h], cloudevents: {mode: "
            "binary}}\nmappings:\n  - {name: m, from: {connection: s, topic: a}, to:\n      [{connection: s, topic: b,\n"
            "        event_type: x}, {connection: d, topic: b,\n        headers: {ce-id: x}}]}\n")
    _assert_refused(text, "writes no CloudEvents", line=7)
    _assert_refused(text, "use event_type", line=8)


if __name__ == "__main__":
    tap.main()
