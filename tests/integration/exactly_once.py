#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`delivery: exactly-once` into a real Kafka: once through kills and broker restarts, in order, and what each mistake of a
message, of the cluster or of an operator becomes. The campaign is tests/crash/kafka.sh."""
import json
import shutil

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, mqtt, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_kafka, own_mosquitto, shared_kafka, shared_mosquitto
from rig.process import temp_folder
from rig.qos2 import Publisher
from rig.wait import until


def _bridge(name, kafka, broker=None, keys=None, to=None, **settings):
    broker = broker or shared_mosquitto()
    return Linkspan(yaml.configuration(
        [yaml.mqtt("plant", broker.port, client_id=f"linkspan-{name}"),
         yaml.kafka("lake", kafka.brokers, delivery="exactly-once", **(keys or {}))],
        [yaml.mapping("all", {"connection": "plant", "topic": name + "/{k}", "qos": 2},
                      {"connection": "lake", "topic": name, "key": "{k}", **(to or {})})], **settings))


def _exact(reader, sent):
    reader.wait_for(check.complete(sent), "all numbers")
    verdict = check.judge(sent, [r.value for r in reader.drain()])
    check.demand(verdict, "Kafka", repeats=False)
    assert verdict.repeated == 0, f"{verdict.repeated} repeated"


class _Source:
    """A publisher with QoS 2, some hundred messages at a time."""

    def __init__(self, name):
        self._limit = 0
        self._publisher = Publisher(shared_mosquitto().port, name, f"publisher-{name}", keys=1, rate=20000,
                                    may_go_on=lambda total: total < self._limit)

    def send(self, n=2000):
        self._limit += n

    def all_of_it(self):
        until(lambda: self._publisher.acknowledged >= self._limit, "the broker to have it all")
        return {"k0": self._limit}

    def close(self):
        self._publisher.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@tap.case("killed at each point of a transaction, and in between: everything is there once, in order")
def kills():
    points = ["kafka.after_init", "kafka.after_produce", "kafka.before_commit", "kafka.after_commit", "kafka.after_outcome"]
    kafka = shared_kafka()
    kafka.create_topic("kills", 1)
    with _bridge("kills", kafka) as bridge, kafka.reader("kills") as reader, _Source("kills") as source:
        for point in points:
            bridge.kill()
            bridge.start(env={"LINKSPAN_FAILPOINT": point}, wait_up=False)
            source.send()
            assert bridge.wait() == -9, point
            bridge.start()
            _exact(reader, source.all_of_it())
        assert bridge.stop() == 0


@tap.case("Kafka killed and restarted in the middle: everything is there once")
def broker_restart():
    with own_kafka("kafka_single") as kafka:
        kafka.create_topic("restart", 1)
        with _bridge("restart", kafka) as bridge, kafka.reader("restart") as reader, _Source("restart") as source:
            source.send()
            reader.wait_count(500)
            kafka.kill()
            source.send()
            kafka.start()
            source.send()
            _exact(reader, source.all_of_it())
            bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="lake")
            assert bridge.stop() == 0
            kafka.stop()


@tap.case("records that can never be written go to the dead letters, and the others are there once, in order")
def poison():
    kafka = shared_kafka()
    kafka.create_topic("poison", 1, {"max.message.bytes": "2000", "cleanup.policy": "compact"})
    with _bridge("poison", kafka, to={"key": "{.k}", "partition": "{.p}"}) as bridge, \
            kafka.reader("poison") as reader:
        with mqtt.Publisher(shared_mosquitto().port) as out:
            for n in range(400):
                bad = {7: {"p": "x"}, 20: {"p": 99}, 50: {"pad": "a" * 5000}}.get(n % 100, {})
                out.publish("poison/x", json.dumps({"k": n, "p": 0, **bad}).encode(), qos=2)
            out.wait()
        bridge.wait_status(lambda s: s["journalled"] == 400 and s["waiting"] == 0, "an empty outbox", destination="lake")
        got = [int(r.key) for r in reader.drain()]
        wanted = [n for n in range(400) if n % 100 not in (7, 20, 50)]
        assert got == wanted, f"too many: {sorted(set(got) - set(wanted))}, missing: {sorted(set(wanted) - set(got))}"
        assert bridge.status(destination="lake")["dead"] == "12", bridge.status(destination="lake")
        assert bridge.stop() == 0


@tap.case("a second process with the same identity fences the first, which stops for good; none is lost or repeated")
def fenced():
    kafka, broker = shared_kafka(), shared_mosquitto()
    kafka.create_topic("fenced", 1)
    with _bridge("fenced", kafka) as bridge, kafka.reader("fenced") as reader, _Source("fenced") as source:
        source.send()
        _exact(reader, source.all_of_it())
        assert bridge.stop() == 0
        copy = temp_folder("copy")
        shutil.rmtree(copy)
        shutil.copytree(bridge.data_dir, copy)
        bridge.start()
        source.send()
        _exact(reader, source.all_of_it())
        # The copy has a session of its own, and an outbox that goes on where the first one stood.
        with Linkspan(yaml.configuration(
                [yaml.mqtt("plant", broker.port, client_id="linkspan-copy"),
                 yaml.kafka("lake", kafka.brokers, delivery="exactly-once")],
                [yaml.mapping("all", {"connection": "plant", "topic": "copy/{k}", "qos": 2},
                              {"connection": "lake", "topic": "fenced", "key": "{k}"})]), data_dir=copy,
                wait_up=["plant"]) as second:
            second.wait_event("cursor_ahead")  # its data are older than the cluster
            assert second.stop() == 0
        source.send()
        _exact(reader, source.all_of_it())
        assert bridge.stop() == 0


@tap.case("the cursor's topic is made, compacted; a transaction of somebody else that is open there is waited for")
def cursor_topic():
    from confluent_kafka import Producer
    kafka = shared_kafka()
    kafka.create_topic("cursors", 1)
    keys = {"cursor_topic": "my-cursors", "transaction": {"timeout": "5s"}}
    with _bridge("cursors", kafka, keys=keys) as bridge, kafka.reader("cursors") as reader, \
            _Source("cursors") as source:
        assert bridge.events("kafka_cursor_topic_made", topic="my-cursors")
        source.send(500)
        _exact(reader, source.all_of_it())
        with kafka.reader("my-cursors") as cursors:
            cursors.wait_count(1)
            assert cursors.records[-1].value.startswith(b"v1 seq="), cursors.records[-1]
        other = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": "other",
                          "transaction.timeout.ms": 300000})
        other.init_transactions()
        other.begin_transaction()
        other.produce("my-cursors", key=b"other", value=b"v1 seq=1 writer=0000000000000001", partition=0)
        other.flush()
        source.send(500)
        _exact(reader, source.all_of_it())
        bridge.kill()
        bridge.start(wait_up=["plant"])
        source.send(500)
        bridge.wait_event("kafka_cursor_waits")
        until(lambda: any("stays open in topic my-cursors, partition 0" in e["what"] for e in bridge.events("alarm")),
              "an alarm that it lasts longer than ours may")
        other.commit_transaction()
        _exact(reader, source.all_of_it())
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
