#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka as a source, from a real cluster to a real MQTT broker: what a record becomes, where reading goes on, and what is
said when the place is not there any more."""
import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_kafka, own_mosquitto, shared_kafka, shared_mosquitto
from rig.kafka_requests import commit, committed, delete_records
from rig.mqtt import Subscriber
from rig.wait import until

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

# Soon, so that a test does not wait for it.
SOON = {"topic.metadata.refresh.interval.ms": 500}


class Writer:
    """Writes to Kafka and waits until it is there. Transactional if it is given an id."""

    def __init__(self, brokers, transactional_id=None, timeout_ms=300000, batch_messages=10000):
        settings = {"bootstrap.servers": brokers, "log_level": 0, "linger.ms": 0, "batch.num.messages": batch_messages}
        if transactional_id:
            settings.update({"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms})
        self.producer = Producer(settings)
        if transactional_id:
            self.producer.init_transactions(60)

    def write(self, topic, values, partition=0, **fields):
        failed = []
        for value in values:
            while True:
                try:
                    self.producer.produce(topic, value, partition=partition,
                                          on_delivery=lambda e, _: failed.append(e) if e else None, **fields)
                    break
                except BufferError:
                    self.producer.poll(0.1)
        left = len(self.producer)
        while left and self.producer.flush(60) < left: # for as long as some of them get there, however slowly
            left = len(self.producer)
        assert not left and not failed, f"{left} not written to {topic}, {failed[:3]}"


def numbers(key, first, count, size=0):
    return [check.numbered(key, seq, size) for seq in range(first, first + count)]


def bridge_of(name, topics, brokers, target=None, properties=None, mapping=None, start=True, **keys):
    """From Kafka to out/NAME/… of the shared mosquitto, by QoS 2."""
    return Linkspan(yaml.configuration(
        [yaml.kafka("lake", brokers, properties={**SOON, **(properties or {})}, **keys),
         yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}")],
        [yaml.mapping("all", {"connection": "lake", "topic": topics},
                      {"connection": "plant", "topic": f"out/{name}", "qos": 2, **(target or {})}, **(mapping or {}))]),
        start=start)


def reader_of(name):
    return Subscriber(shared_mosquitto().port, f"out/{name}", qos=2)


def admin_of(kafka):
    return AdminClient({"bootstrap.servers": kafka.brokers, "log_level": 0})


def make_anew(kafka, topic, partitions=1):
    admin = admin_of(kafka)
    admin.delete_topics([topic], operation_timeout=60)[topic].result()
    until(lambda: topic not in admin.list_topics(timeout=60).topics, f"{topic} to be gone")
    admin.create_topics([NewTopic(topic, partitions, 1)], operation_timeout=60)[topic].result()
    until(lambda: topic in admin.list_topics(timeout=60).topics, f"{topic} to be there")


def positions(bridge):
    """{partition: position} that the journal of a stopped linkspan has."""
    found = {}
    for line in bridge.dump().splitlines():
        if " POSITION " in line or "type=POSITION" in line:
            words = dict(w.split("=", 1) for w in line.split() if "=" in w)
            found[words["partition"].strip('"')] = int(words.get("position", 0))
    return found


def values(got):
    return [m.payload for m in got.messages]


def come(got, wanted, where):
    """All of `wanted`, once, in order."""
    got.wait_count(len(wanted))
    assert values(got) == wanted, f"{where}: {values(got)[:20]} … instead of {wanted[:20]} …"


# --- what a record becomes ----------------------------------------------------------------------------------------------


@tap.case("a record's key, value, headers, content type and time; an empty value and a null one")
def record():
    kafka, name = shared_kafka(), "record"
    kafka.create_topic("rec.fields")
    kafka.create_topic("rec.copy")
    writer = Writer(kafka.brokers)
    writer.write("rec.fields", [b"\x00\xff"], key=b"k1", timestamp=1600000000123,
                 headers=[("content-type", b"text/x"), ("a", b"1"), ("a", b"2"), ("n", None)])
    writer.write("rec.fields", [b""], key=b"k2")
    writer.write("rec.fields", [None], key=b"k3")
    writer.write("rec.fields", [b"no key"])
    bridge = Linkspan(yaml.configuration(
        [yaml.kafka("lake", kafka.brokers, properties=SOON),
         yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}")],
        [yaml.mapping("all", {"connection": "lake", "topic": "rec.fields"},
                      {"connection": "plant", "topic": f"out/{name}", "qos": 2}),
         yaml.mapping("copy", {"connection": "lake", "topic": "rec.fields"},
                      {"connection": "lake", "topic": "rec.copy"})]), start=False)
    with reader_of(name) as got, kafka.reader("rec.copy") as copy, bridge:
        bridge.start()
        copy.wait_count(4)
        first, empty, null, last = copy.records
        assert (first.key, first.value, first.timestamp_ms) == (b"k1", b"\x00\xff", 1600000000123), first
        assert [h for h in first.headers if h[0] in "an"] == [("a", b"1"), ("a", b"2"), ("n", None)], first.headers
        assert (empty.value, null.value, last.value, last.key) == (b"", None, b"no key", None), copy.records
        got.wait_count(4)
        by_value = {m.payload: m for m in got.messages}
        assert by_value[b"\x00\xff"].properties.ContentType == "text/x"
        assert ("a", "2") in by_value[b"\x00\xff"].properties.UserProperty
        assert bridge.stop() == 0


@tap.case("a null value clears a retained message")
def tombstone():
    kafka = shared_kafka()
    kafka.create_topic("state")
    writer = Writer(kafka.brokers)
    writer.write("state", [b"on"], key=b"lamp")

    def kept():
        with Subscriber(shared_mosquitto().port, ["out/tombstone", "$SYS/broker/version"]) as late:
            late.wait_for(lambda m: any(x.topic.startswith("$SYS") for x in m), "the version")
            return [m.payload for m in late.messages if m.topic == "out/tombstone"]

    with bridge_of("tombstone", "state", kafka.brokers, target={"retain": "set"}) as bridge:
        until(lambda: kept() == [b"on"], "the retained message")
        writer.write("state", [None], key=b"lamp")
        until(lambda: kept() == [], "the retained message to be gone")
        assert bridge.stop() == 0


# --- where reading goes on -----------------------------------------------------------------------------------------------


@tap.case("a restart goes on behind what is on disk, also where no mapping wants a record")
def restart():
    kafka = shared_kafka()
    kafka.create_topic("restart", partitions=2)
    writer = Writer(kafka.brokers)
    wanted = [b"%d" % n for n in range(1, 151)]
    writer.write("restart", wanted[:100], partition=0)
    writer.write("restart", [b"0"] * 7, partition=1)
    with reader_of("restart") as got, bridge_of("restart", "restart", kafka.brokers, mapping={"when": ". > 0"}) as bridge:
        come(got, wanted[:100], "first run")
        bridge.wait_status(lambda s: s["taken"] == 107, "107 taken", source="lake")
        assert bridge.stop() == 0
        assert positions(bridge) == {"restart/0": 100, "restart/1": 7}, positions(bridge)
        writer.write("restart", wanted[100:], partition=0)
        bridge.start()
        come(got, wanted, "second run")
        assert not bridge.events("kafka_partition_begins"), "what was known began anew"
        bridge.wait_status(lambda s: s["taken"] == 50, "50 taken", source="lake")
        assert bridge.stop() == 0


@tap.case("killed again and again while it reads: each record once")
def killed():
    kafka = shared_kafka()
    kafka.create_topic("killed", partitions=3)
    writer = Writer(kafka.brokers)
    count = 400
    bridge = bridge_of("killed", "killed", kafka.brokers, start=False)
    points = [None, "kafka.before_offer:50", "kafka.after_offer:300", "journal.after_group_write:3",
              "journal.before_group_fdatasync:2", "journal.after_group_fdatasync:2"]
    with reader_of("killed") as got:
        for run, point in enumerate(points * 2):
            for partition in range(3):
                writer.write("killed", numbers(f"p{partition}", run * count + 1, count), partition=partition)
            before = len(got.messages)
            bridge.start(env={"LINKSPAN_FAILPOINT": point} if point else {}, wait_up=False)
            if point:
                bridge.wait()
            else:
                got.wait_count(before + count)
                bridge.kill()
        total = len(points) * 2 * count
        with bridge:
            bridge.start()
            sent = {f"p{partition}": total for partition in range(3)}
            got.wait_for(check.complete(sent), "all numbers")
            check.demand(check.judge(sent, values(got)), "out", repeats=False)
            assert bridge.stop() == 0


@tap.case("a destination that is away: reading waits, memory is bounded, and all comes once")
def pressure():
    kafka = shared_kafka()
    kafka.create_topic("pressure")
    writer = Writer(kafka.brokers)
    writer.write("pressure", numbers("a", 1, 6000, 10000))
    with own_mosquitto() as broker, Linkspan(yaml.configuration(
            [yaml.kafka("lake", kafka.brokers, properties=SOON, hold_messages=1000),
             yaml.mqtt("plant", broker.port, outbox={"max_messages": 500})],
            [yaml.mapping("all", {"connection": "lake", "topic": "pressure"},
                          {"connection": "plant", "topic": "out", "qos": 2})]), start=False) as bridge:
        with Subscriber(broker.port, "out", qos=2) as got:
            broker.freeze()
            bridge.start(wait_up=["lake"])
            bridge.wait_event("source_paused", connection="lake")
            memory = bridge.anonymous_kib()
            assert memory < 96 * 1024, f"{memory} KiB for 60 MB in Kafka"
            broker.thaw()
            sent = {"a": 6000}
            got.wait_for(check.complete(sent), "all numbers")
            check.demand(check.judge(sent, values(got)), "out", repeats=False)
            assert bridge.stop() == 0


def _queue_full(name, count, size, batch=1, **properties):
    """What stands still for a few tenths of a second each time takes longer than is waited here."""
    kafka = shared_kafka()
    kafka.create_topic(name)
    Writer(kafka.brokers, batch_messages=batch).write(name, numbers("a", 1, count, size))
    with reader_of(name) as got, bridge_of(name, name, kafka.brokers, hold_messages=1, properties={
            key.replace("_", "."): value for key, value in properties.items()}) as bridge:
        until(lambda: len(got.messages) >= count, lambda: f"all of {count}, of which {len(got.messages)} have come", timeout=120)
        check.demand(check.judge({"a": count}, values(got)), "out", repeats=False)
        assert bridge.stop() == 0


@tap.case("the library's queue full again and again: it goes on reading at once, and not a while later each time")
def queue_full():
    _queue_full("full-of-one", 1500, 0, fetch_message_max_bytes=1, queued_min_messages=1)
    _queue_full("full-of-bytes", 1500, 2000, fetch_message_max_bytes=1, queued_max_messages_kbytes=1)
    _queue_full("full-of-some", 20000, 100, batch=10, fetch_message_max_bytes=5000, queued_min_messages=20)


@tap.case("Kafka killed and started again while it is read: each record once")
def broker_killed():
    with own_kafka() as kafka:
        kafka.create_topic("away")
        writer = Writer(kafka.brokers)
        writer.write("away", numbers("a", 1, 5000))
        with reader_of("broker-killed") as got, bridge_of("broker-killed", "away", kafka.brokers) as bridge:
            got.wait_count(100)
            kafka.kill()
            bridge.wait_event("kafka_brokers_down")
            kafka.start()
            writer.write("away", numbers("a", 5001, 1000))
            come(got, numbers("a", 1, 6000), "out")
            assert not bridge.events("link_down"), "the link went down"
            assert not bridge.events("kafka_offset_reset")
            assert bridge.stop() == 0


# --- where it begins --------------------------------------------------------------------------------------------------------


@tap.case("from: end begins behind what is there, and stays there over a restart; a partition that is added begins at its beginning")
def from_end():
    kafka = shared_kafka()
    kafka.create_topic("from-end")
    writer = Writer(kafka.brokers)
    writer.write("from-end", numbers("old", 1, 10))
    with reader_of("from-end") as got, bridge_of("from-end", "from-end", kafka.brokers, **{"from": "end"}) as bridge:
        bridge.wait_event("kafka_partition_begins", why="end", offset="10")
        assert bridge.stop() == 0
        writer.write("from-end", numbers("a", 1, 10))
        bridge.start()
        come(got, numbers("a", 1, 10), "behind the end")
        admin = admin_of(kafka)
        admin.create_partitions([NewPartitions("from-end", 2)])["from-end"].result()
        until(lambda: len(admin.list_topics("from-end", timeout=60).topics["from-end"].partitions) == 2,
              "two partitions")
        writer = Writer(kafka.brokers)
        writer.write("from-end", numbers("b", 1, 10), partition=1)
        come(got, numbers("a", 1, 10) + numbers("b", 1, 10), "with the new partition")
        assert bridge.stop() == 0


@tap.case("from: stored reads nothing of which no position is stored, and says so")
def from_stored():
    kafka = shared_kafka()
    kafka.create_topic("from-stored")
    writer = Writer(kafka.brokers)
    writer.write("from-stored", numbers("a", 1, 10))
    with reader_of("from-stored") as got, \
            bridge_of("from-stored", "from-stored", kafka.brokers, **{"from": "stored"}) as bridge:
        bridge.wait_event("kafka_no_position", partition="from-stored/0")
        assert bridge.stop() == 0
        assert not got.messages and not positions(bridge)


@tap.case("a topic that is not there: said, looked for, read from its beginning once it is there")
def missing():
    kafka = shared_kafka()
    with reader_of("missing") as got, bridge_of("missing", "missing.topic", kafka.brokers, **{"from": "end"}) as bridge:
        bridge.wait_event("kafka_topic_missing", topic="missing.topic")
        kafka.create_topic("missing.topic")
        Writer(kafka.brokers).write("missing.topic", numbers("a", 1, 10))
        come(got, numbers("a", 1, 10), "out")
        assert len(bridge.events("kafka_topic_missing")) == 1
        assert bridge.stop() == 0


def _patterns(name, **keys):
    kafka = shared_kafka()
    for topic in ("a.x", "b.x", "b.y", "b.x.deep"):
        kafka.create_topic(f"{name}.{topic}")
    writer = Writer(kafka.brokers)
    for topic in ("a.x", "b.x", "b.y", "b.x.deep"):
        writer.write(f"{name}.{topic}", [topic.encode()])
    with Subscriber(shared_mosquitto().port, f"out/{name}/#", qos=2) as got, bridge_of(
            name, [name + ".{line}.x", name + ".b.x.#"], kafka.brokers, target={"topic": f"out/{name}/{{topic[1]}}"},
            **keys) as bridge:
        got.wait_count(3)
        kafka.create_topic(f"{name}.c.x")  # while it is read
        Writer(kafka.brokers).write(f"{name}.c.x", [b"c.x"])
        got.wait_count(4)
        assert sorted((m.topic, m.payload) for m in got.messages) == [
            (f"out/{name}/a", b"a.x"), (f"out/{name}/b", b"b.x"), (f"out/{name}/b", b"b.x.deep"),
            (f"out/{name}/c", b"c.x")], got.messages
        assert bridge.stop() == 0


@tap.case("patterns of topics, and a topic that comes later")
def patterns():
    _patterns("patterns")


@tap.case("patterns of topics in a group, and a topic that comes later")
def patterns_in_a_group():
    _patterns("grouped", group="patterns")


@tap.case("read_committed: what was aborted does not come, what is open waits; read_uncommitted takes it all")
def isolation():
    kafka = shared_kafka()
    kafka.create_topic("isolation")
    first, second = Writer(kafka.brokers, "first"), Writer(kafka.brokers, "second")
    first.producer.begin_transaction()
    first.write("isolation", numbers("aborted", 1, 10))
    first.producer.abort_transaction(60)
    first.producer.begin_transaction()
    first.write("isolation", numbers("a", 1, 10))
    first.producer.commit_transaction(60)
    second.producer.begin_transaction()
    second.write("isolation", numbers("b", 1, 10))
    first.producer.begin_transaction()
    first.write("isolation", numbers("a", 11, 10))
    first.producer.commit_transaction(60)
    with reader_of("committed") as got, bridge_of("committed", "isolation", kafka.brokers) as bridge, \
            reader_of("uncommitted") as all_of_it, bridge_of(
                "uncommitted", "isolation", kafka.brokers, properties={"isolation.level": "read_uncommitted"}) as other:
        come(got, numbers("a", 1, 10), "before the open transaction")
        come(all_of_it, numbers("aborted", 1, 10) + numbers("a", 1, 10) + numbers("b", 1, 10) + numbers("a", 11, 10),
             "uncommitted")
        assert bridge.stop() == 0
        bridge.start()
        second.producer.commit_transaction(60)
        come(got, numbers("a", 1, 10) + numbers("b", 1, 10) + numbers("a", 11, 10), "after it")
        assert bridge.stop() == 0 and other.stop() == 0


# --- a place that is not there any more -------------------------------------------------------------------------------------


def _made_anew(policy, grown, running=False):
    """A topic of which 20 records were read is made anew and gets 30 (grown) or 10."""
    kafka, topic = shared_kafka(), f"anew.{policy}.{'grown' if grown else 'short'}{'.running' if running else ''}"
    kafka.create_topic(topic)
    kafka.create_topic(topic + ".other")
    writer, count = Writer(kafka.brokers), 30 if grown else 10
    writer.write(topic, numbers("old", 1, 20))
    with reader_of(topic) as got, bridge_of(topic, [topic, topic + ".other"], kafka.brokers,
                                            on_offset_reset=policy) as bridge:
        come(got, numbers("old", 1, 20), "the old topic")
        if not running:
            assert bridge.stop() == 0
        make_anew(kafka, topic)
        writer = Writer(kafka.brokers)
        writer.write(topic, numbers("new", 1, count))
        if not running:
            bridge.start()
        reset = bridge.wait_event("kafka_offset_reset")
        assert reset["stored"] == "20" and reset["policy"] == policy, reset
        wanted = numbers("old", 1, 20)
        if policy == "beginning":
            wanted += numbers("new", 1, count)
            come(got, wanted, "from its beginning")
        if policy != "stop":
            writer.write(topic, numbers("after", 1, 5))
            wanted += numbers("after", 1, 5)
            come(got, wanted, "and on")
        writer.write(topic + ".other", numbers("other", 1, 5))
        wanted += numbers("other", 1, 5)
        come(got, wanted, "others go on")
        assert bridge.stop() == 0
        stands = {"stop": 20, "beginning": count + 5, "end": count + 5}[policy]
        assert positions(bridge)[topic + "/0"] == stands, positions(bridge)
        bridge.start()
        if policy == "stop":
            bridge.wait_event("kafka_offset_reset")  # as long as it lasts
            bridge.stop()
            bridge.configure(open(bridge.path, encoding="utf-8").read().replace('"stop"', '"beginning"'), whole=True)
            bridge.start()
            wanted += numbers("new", 1, count)
        else:
            assert not bridge.events("kafka_offset_reset"), "reset again"
            writer.write(topic, numbers("last", 1, 1))
            wanted += numbers("last", 1, 1)
        come(got, wanted, "after a restart")
        assert bridge.stop() == 0


for _policy in ("stop", "beginning", "end"):
    for _grown in (False, True):
        tap.case(f"a topic made anew, {'grown beyond' if _grown else 'shorter than'} where it was, on_offset_reset: {_policy}")(
            lambda policy=_policy, grown=_grown: _made_anew(policy, grown))
tap.case("a topic made anew while it is read")(lambda: _made_anew("beginning", False, running=True))


@tap.case("records deleted before they were read: said how many, and on_offset_reset decides")
def truncated():
    kafka = shared_kafka()
    kafka.create_topic("truncated")
    writer = Writer(kafka.brokers)
    writer.write("truncated", numbers("a", 1, 20))
    with reader_of("truncated") as got, bridge_of("truncated", "truncated", kafka.brokers) as bridge:
        come(got, numbers("a", 1, 20), "before")
        assert bridge.stop() == 0
        writer.write("truncated", numbers("a", 21, 30))
        delete_records(kafka, "truncated", 20)  # up to where we stand: nothing is lost
        bridge.start()
        come(got, numbers("a", 1, 50), "nothing lost")
        assert not bridge.events("kafka_offset_reset"), bridge.events("kafka_offset_reset")
        assert bridge.stop() == 0
        writer.write("truncated", numbers("a", 51, 30))
        delete_records(kafka, "truncated", 57)
        bridge.start()
        reset = bridge.wait_event("kafka_offset_reset")
        assert (reset["missing"], reset["low"], reset["stored"]) == ("7", "57", "50"), reset
        bridge.stop()
        bridge.configure(open(bridge.path, encoding="utf-8").read().replace(
            "    type: \"kafka\"\n", "    type: \"kafka\"\n    on_offset_reset: beginning\n"), whole=True)
        bridge.start()
        come(got, numbers("a", 1, 50) + numbers("a", 58, 23), "with a gap that was said")
        assert bridge.stop() == 0


# --- groups ----------------------------------------------------------------------------------------------------------------


@tap.case("a group: what is durable is committed; it begins at the larger of that and the journal's position")
def group():
    kafka = shared_kafka()
    kafka.create_topic("group")
    writer = Writer(kafka.brokers)
    writer.write("group", numbers("a", 1, 100))
    with reader_of("group") as got, bridge_of("group", "group", kafka.brokers, group="bridges") as bridge:
        mapping = bridge.events("mapping")[0]
        assert mapping["guarantee"] == "at-least-once", mapping
        come(got, numbers("a", 1, 100), "first run")
        until(lambda: committed(kafka, "bridges", "group")[0] == 100, "the commit")
        writer.write("group", numbers("a", 101, 10))
        come(got, numbers("a", 1, 110), "first run")
        assert bridge.stop() == 0
        assert committed(kafka, "bridges", "group")[0] == 110, "a clean stop commits"
        commit(kafka, "bridges", "group", 30)  # behind the journal
        bridge.start()
        bridge.wait_event("kafka_assigned", partitions="1")
        writer.write("group", numbers("a", 111, 10))
        come(got, numbers("a", 1, 120), "the journal knows better")
        assert bridge.stop() == 0
        writer.write("group", numbers("a", 121, 20))
        commit(kafka, "bridges", "group", 130)  # somebody has read on
        bridge.start()
        come(got, numbers("a", 1, 120) + numbers("a", 131, 10), "the group knows better")
        assert bridge.stop() == 0


@tap.case("two of a group share the partitions, and one takes over from the other: none lost")
def shared_group():
    kafka = shared_kafka()
    kafka.create_topic("shared-group", partitions=4)
    writer = Writer(kafka.brokers)

    def write(run):
        for partition in range(4):
            writer.write("shared-group", numbers(f"p{partition}", run * 500 + 1, 500), partition=partition)

    def bridge(number):
        return bridge_of("shared-group", "shared-group", kafka.brokers, group="sharing", target={
            "topic": f"out/shared-group/{number}"}, properties={"session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
    with Subscriber(shared_mosquitto().port, "out/shared-group/#", qos=2) as got, bridge(1) as one:
        write(0)
        one.wait_event("kafka_assigned", partitions="4")
        with bridge(2) as two:
            two.wait_event("kafka_assigned", partitions="2")
            one.wait_event("kafka_assigned", partitions="2")
            write(1)
            until(lambda: any(m.topic.endswith("/1") for m in got.messages[2000:]) and
                  any(m.topic.endswith("/2") for m in got.messages), "both to deliver")
            two.kill()
            write(2)
            one.wait_event("kafka_assigned", partitions="4", more_than=1)
            two.start()  # what it had on disk
            sent = {f"p{partition}": 1500 for partition in range(4)}
            got.wait_for(check.complete(sent), "all numbers")
            verdict = check.judge(sent, values(got))
            assert not verdict.lost and not verdict.strangers, verdict
            tap.note(f"{verdict.repeated} repeated")
            assert one.stop() == 0 and two.stop() == 0


@tap.case("a group: one partition whose place is gone, and the other is read on")
def group_halted():
    kafka = shared_kafka()
    kafka.create_topic("halted", partitions=2)
    writer = Writer(kafka.brokers)
    writer.write("halted", numbers("a", 1, 20))
    writer.write("halted", numbers("b", 1, 20), partition=1)
    with reader_of("halted") as got, bridge_of("halted", "halted", kafka.brokers, group="halting") as bridge:
        got.wait_count(40)
        assert bridge.stop() == 0
        writer.write("halted", numbers("a", 21, 30))
        delete_records(kafka, "halted", 25)
        bridge.start()
        assert bridge.wait_event("kafka_offset_reset")["missing"] == "5"
        writer.write("halted", numbers("b", 21, 500), partition=1)
        got.wait_count(540)
        assert sorted(values(got)) == sorted(numbers("a", 1, 20) + numbers("b", 1, 520)), len(got.messages)
        assert bridge.stop() == 0


@tap.case("a group: what another member has committed is not taken back when its partition returns")
def group_returned():
    kafka = shared_kafka()
    kafka.create_topic("returned", partitions=2)
    writer = Writer(kafka.brokers)
    for partition in range(2):
        writer.write("returned", numbers(f"p{partition}", 1, 100), partition=partition)
    with bridge_of("returned", "returned", kafka.brokers, group="returning") as bridge:
        for partition in range(2):
            until(lambda: committed(kafka, "returning", "returned", partition)[0] == 100, "the commit")  # pylint: disable=cell-var-from-loop
        other = Consumer({"bootstrap.servers": kafka.brokers, "group.id": "returning", "log_level": 0,
                          "enable.auto.commit": False, "partition.assignment.strategy": "range"})
        other.subscribe(["returned"])
        until(lambda: other.poll(0.1) or other.assignment(), "a partition of it to move")
        moved = other.assignment()[0].partition
        stays = 1 - moved
        writer.write("returned", numbers(f"p{moved}", 101, 100), partition=moved)
        other.commit(offsets=[TopicPartition("returned", moved, 200)], asynchronous=False)
        other.close()
        alone = admin_of(kafka)
        until(lambda: [(g.state, len(g.members)) for g in alone.list_groups("returning", timeout=60)] == [("Stable", 1)],
              "linkspan to have both")
        writer.write("returned", numbers(f"p{stays}", 101, 1), partition=stays)
        until(lambda: committed(kafka, "returning", "returned", stays)[0] == 101, "the commit")
        assert committed(kafka, "returning", "returned", moved)[0] == 200
        assert bridge.stop() == 0
        assert committed(kafka, "returning", "returned", moved)[0] == 200


@tap.case("a group: an offset that is committed late, of a topic that was made anew since, moves nobody")
def group_late_commit():
    kafka = shared_kafka()
    kafka.create_topic("late-commit")
    Writer(kafka.brokers).write("late-commit", numbers("old", 1, 400))
    with reader_of("late-commit") as got, bridge_of("late-commit", "late-commit", kafka.brokers, group="committing",
                                                    on_offset_reset="beginning") as bridge:
        come(got, numbers("old", 1, 400), "the old topic")
        assert bridge.stop() == 0
        old = committed(kafka, "committing", "late-commit")
        assert old[0] == 400 and old[1], old
        make_anew(kafka, "late-commit")
        writer = Writer(kafka.brokers)
        writer.write("late-commit", numbers("new", 1, 100))
        bridge.start()
        bridge.wait_event("kafka_offset_reset", stored="400")
        wanted = numbers("old", 1, 400) + numbers("new", 1, 100)
        come(got, wanted, "the new topic")
        assert bridge.stop() == 0
        commit(kafka, "committing", "late-commit", *old)
        writer.write("late-commit", numbers("new", 101, 400))
        bridge.start()
        wanted += numbers("new", 101, 400)
        come(got, wanted, "what lies below that offset as well")
        assert bridge.events("kafka_other_position")[0]["offset"] == "100", bridge.events("kafka_other_position")
        assert not bridge.events("kafka_offset_reset"), "its own position was there"
        until(lambda: committed(kafka, "committing", "late-commit")[0] == 500, "the commit")
        assert bridge.stop() == 0
        assert committed(kafka, "committing", "late-commit")[1] != old[1]


@tap.case("a group: an offset of a topic that was made anew since is refused by a member that has no position of its own")
def group_foreign_commit():
    kafka = shared_kafka()
    kafka.create_topic("foreign-commit")
    Writer(kafka.brokers).write("foreign-commit", numbers("old", 1, 40))
    with reader_of("foreign-commit-1") as got, bridge_of("foreign-commit-1", "foreign-commit", kafka.brokers,
                                                         group="foreign") as bridge:
        come(got, numbers("old", 1, 40), "the old topic")
        assert bridge.stop() == 0
    old = committed(kafka, "foreign", "foreign-commit")
    make_anew(kafka, "foreign-commit")
    Writer(kafka.brokers).write("foreign-commit", numbers("new", 1, 100))
    commit(kafka, "foreign", "foreign-commit", *old)
    with reader_of("foreign-commit-2") as got, bridge_of("foreign-commit-2", "foreign-commit", kafka.brokers,
                                                         group="foreign", on_offset_reset="beginning") as bridge:
        bridge.wait_event("kafka_offset_reset", stored="40")
        come(got, numbers("new", 1, 100), "all of the new topic")
        assert bridge.stop() == 0
        assert committed(kafka, "foreign", "foreign-commit")[0] == 100


@tap.case("a group: what another member has committed of a topic that was made anew holds, and not the own position")
def group_commit_holds():
    kafka = shared_kafka()
    kafka.create_topic("commit-holds")
    Writer(kafka.brokers).write("commit-holds", numbers("old", 1, 400))
    with reader_of("commit-holds-1") as got, bridge_of("commit-holds-1", "commit-holds", kafka.brokers,
                                                       group="holding") as bridge:
        come(got, numbers("old", 1, 400), "the old topic")
        assert bridge.stop() == 0
        make_anew(kafka, "commit-holds")
        writer = Writer(kafka.brokers)
        writer.write("commit-holds", numbers("new", 1, 100))
        with reader_of("commit-holds-2") as others, bridge_of("commit-holds-2", "commit-holds", kafka.brokers,
                                                              group="holding") as other:
            come(others, numbers("new", 1, 100), "another member")
            assert other.stop() == 0
        writer.write("commit-holds", numbers("new", 101, 400))
        bridge.start()
        come(got, numbers("old", 1, 400) + numbers("new", 101, 400), "what nobody has read")
        assert not bridge.events("kafka_offset_reset"), "on_offset_reset: stop was asked"
        assert bridge.stop() == 0
        assert committed(kafka, "holding", "commit-holds")[0] == 500


@tap.case("a group, from: end: a topic that comes while it is read is read from its beginning")
def group_late():
    kafka = shared_kafka()
    kafka.create_topic("late-group.a")
    Writer(kafka.brokers).write("late-group.a", numbers("old", 1, 5))
    with reader_of("late-group") as got, bridge_of("late-group", "late-group.+", kafka.brokers, group="late",
                                                   **{"from": "end"}) as bridge:
        bridge.wait_event("kafka_partition_begins", partition="late-group.a/0", why="end")
        kafka.create_topic("late-group.b")
        Writer(kafka.brokers).write("late-group.b", numbers("b", 1, 10))
        bridge.wait_event("kafka_partition_begins", partition="late-group.b/0", why="new")
        come(got, numbers("b", 1, 10), "all of the new topic")
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
