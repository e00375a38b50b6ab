#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Gap and delay markers as a consumer sees them, in Kafka and over MQTT: every number once over kills, the same number
for a repetition, a gap for what was dropped, and how long a message was under way."""
import datetime
import os
import subprocess
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, markers, tap, yaml
from rig.daemon import Linkspan
from rig.feed import Feed
from rig.fixtures import own_mosquitto, shared_kafka, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.wait import until


def _check(where, arrivals, n_streams):
    faults, report = markers.faults(arrivals)
    assert not faults, f"{where}: {report} {faults[:5]}"
    assert report.startswith(f"streams={n_streams} "), f"{where}: {report}"
    assert {headers["linkspan-source"] for headers, _ in arrivals} == {"plant"}
    tap.note(f"{where}: {report}")


def _kill_under_load(bridge, arrived, times):
    for _ in range(times):
        before = arrived()
        until(lambda before=before: arrived() > before + 300, "messages to flow")
        bridge.kill()
        bridge.start(wait_up=False)


@tap.case("numbers over kills: none is missing, none is given twice, a repetition has the same one")
def kills():
    broker, kafka = shared_mosquitto(), shared_kafka()
    kafka.create_topic("marked")
    configuration = yaml.configuration(
        [yaml.mqtt("plant", broker.port, client_id="linkspan-markers-kills"), yaml.kafka("lake", kafka.brokers)],
        [yaml.mapping("all", {"connection": "plant", "topic": "marked/{k}", "qos": 1},
                      {"connection": "lake", "topic": "marked", "key": "{k}"},
                      {"connection": "plant", "topic": "marked-copy/{k}"}, markers=True)],
        journal={"segment_size": "1MiB"})  # so that numbers come from CHECKPOINTs as well
    with Linkspan(configuration) as bridge, kafka.reader("marked") as reader, \
            Subscriber(broker.port, "marked-copy/#") as copies, Feed(broker.port, "marked", rate=1000, size=500) as feed:
        def arrived():
            reader.poll(0)
            return len(reader.records)
        _kill_under_load(bridge, arrived, 5)
        sent = feed.stop()
        reader.wait_for(check.complete(sent), "all numbers in Kafka")
        copies.wait_for(check.complete(sent), "all numbers over MQTT")
        bridge.wait_ready("plant")
        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="plant")
        assert bridge.stop() == 0
        _check("Kafka", markers.of_kafka(reader.drain()), len(sent))
        _check("MQTT", markers.of_mqtt(copies.messages), len(sent))
    told = subprocess.run([os.path.join(markers.EXAMPLE, "check_markers.py"), "kafka", kafka.brokers, "marked"],
                          capture_output=True, text=True, check=False)
    assert told.returncode == 0 and " missing=0 " in told.stdout, told.stdout + told.stderr


def _to_far(near, far, **keys):
    """One topic to a broker that can be stopped."""
    return yaml.configuration(
        [yaml.mqtt("near", near.port, client_id=f"linkspan-markers-{far.port}"), yaml.mqtt("far", far.port, **keys)],
        [yaml.mapping("all", {"connection": "near", "topic": "to-far/#", "qos": 1}, {"connection": "far"},
                      markers=True)])


def _publish(port, n, **properties):
    with Publisher(port) as publisher:
        for _ in range(n):
            publisher.publish("to-far/x", b"x", properties=publish_properties(**properties))
        publisher.wait()


def _numbered(got, n):
    """Headers of the first n numbers that arrive, once each: mosquitto repeats at its restart what it has no PUBACK of yet."""
    def seen(messages):
        first = {}
        for headers, _ in markers.of_mqtt(messages):
            first.setdefault(headers["linkspan-sequence"], headers)
        return list(first.values())
    got.wait_for(lambda messages: len(seen(messages)) >= n, f"{n} different messages")
    return seen(got.messages)


@tap.case("what has expired is a gap")
def expired():
    near = shared_mosquitto()
    with own_mosquitto() as far, Linkspan(_to_far(near, far, outbox={"ttl": "2s"})) as bridge, \
            Subscriber(far.port, "to-far/#") as got:
        _publish(near.port, 5)
        got.wait_count(5)
        bridge.wait_status(lambda s: s["delivered"] == 5, "five acknowledgements", destination="far")
        far.stop()
        bridge.wait_event("link_down", connection="far")
        _publish(near.port, 20)
        bridge.wait_status(lambda s: s["expired"] == 20, "20 to expire", destination="far")
        bridge.kill()
        bridge.start(wait_up=["near"])
        far.start()
        bridge.wait_event("link_up", connection="far")
        _publish(near.port, 5)
        _numbered(got, 10)
        gaps, checker = [], markers.Checker(lambda _stream, first, last: gaps.append((first, last)))
        for headers, _ in markers.of_mqtt(got.messages):
            checker.take(headers)
        assert gaps == [(6, 25)] and checker.counts["arrived"] == 10, f"{gaps} {checker.report()}"
        assert bridge.stop() == 0


def _seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(
        tzinfo=datetime.timezone.utc).timestamp()


def _waits_as_long_as_the_outage(client):
    near = shared_mosquitto()
    with own_mosquitto() as far, Linkspan(_to_far(near, far, client=client)) as bridge, \
            Subscriber(far.port, "to-far/#") as got:
        before = time.time()
        _publish(near.port, 1, user=[("site", "7"), ("linkspan-sequence", "99"), ("linkspan-waited-ms", "5")])
        got.wait_count(1)
        most_ms = 1000 * (time.time() - before)
        bridge.wait_status(lambda s: s["delivered"] == 1, "its acknowledgement", destination="far")
        far.stop()
        bridge.wait_event("link_down", connection="far")
        _publish(near.port, 1)
        bridge.wait_waiting("far", 1)
        began = time.monotonic()
        until(lambda: time.monotonic() - began >= 1.5, "the outage to last a while")
        far.start()
        first, second = _numbered(got, 2)
        assert first["site"] == "7" and first["linkspan-sequence"] == "1" and second["linkspan-sequence"] == "2"
        assert int(first["linkspan-waited-ms"]) <= most_ms, (first, most_ms)
        assert 1500 <= int(second["linkspan-waited-ms"]) < 60000, second
        assert before - 1 <= _seconds(first["linkspan-origin-time"]) <= time.time() + 1, first
        names = [name for name, _ in got.messages[0].properties.UserProperty]
        assert sorted(names) == sorted(set(names)), f"each marker once: {names}"
        assert bridge.stop() == 0


@tap.case("a message that waits for its destination says how long")
def waited():
    _waits_as_long_as_the_outage(None)


@tap.case("the same with client: paho")
def waited_paho():
    _waits_as_long_as_the_outage("paho")


@tap.case("two linkspans in a row: the time of the first, the numbers of the last")
def chain():
    with own_mosquitto() as broker, Subscriber(broker.port, "c/#") as got:
        def one(name, source, target):
            return Linkspan(yaml.configuration(
                [yaml.mqtt(name, broker.port, client_id=name)],
                [yaml.mapping("all", {"connection": name, "topic": source, "qos": 1},
                              {"connection": name, "topic": target}, markers=True)]))
        with one("first", "a", "b") as first, one("last", "b", "c/x") as last, Publisher(broker.port) as publisher:
            publisher.publish("a", b"1", properties=publish_properties(
                user=[("linkspan-origin-time", "2020-01-02T03:04:05.678Z")]))
            publisher.publish("a", b"2")
            got.wait_count(2)
            kept, made = [headers for headers, _ in markers.of_mqtt(got.messages)]
            assert kept["linkspan-origin-time"] == "2020-01-02T03:04:05.678Z", kept
            assert abs(_seconds(made["linkspan-origin-time"]) - time.time()) < 60, made
            assert [h["linkspan-sequence"] for h in (kept, made)] == ["1", "2"]
            assert kept["linkspan-source"] == "last"
            assert first.stop() == 0 and last.stop() == 0


if __name__ == "__main__":
    tap.main()
