#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka as a source when things move under load: instances of linkspan that share a consumer group come, go and are killed;
topics are deleted and made again. Nothing is lost, or it is said what. What one instance does on a quiet day:
kafka_source.py."""
import atexit
import functools

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_kafka, shared_mosquitto
from rig.kafka_clients import Numberer
from rig.mqtt import Subscriber
from rig.wait import until

PARTITIONS, KEYS = 6, 24
# So that a killed member's partitions are soon another's, and a deleted topic is soon noticed.
SOON = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500, "topic.metadata.refresh.interval.ms": 500}


@functools.lru_cache
def _kafka():
    # A topic that is deleted while it is written to stays away until the case makes it again.
    kafka = own_kafka(properties=["group.min.session.timeout.ms=1000", "auto.create.topics.enable=false"])
    atexit.register(kafka.stop)
    return kafka


def _instance(name, who, topics, start=True, env=None, **keys):
    """Instance `who` of a group: writes what it reads to out/NAME/WHO."""
    return Linkspan(yaml.configuration(
        [yaml.kafka("lake", _kafka().brokers, properties=SOON, **keys),
         yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}-{who}")],
        [yaml.mapping("all", {"connection": "lake", "topic": topics},
                      {"connection": "plant", "topic": f"out/{name}/{who}", "qos": 2})]), start=start, env=env)


def _subscriber(name):
    return Subscriber(shared_mosquitto().port, f"out/{name}/#", qos=2)


class _Shares:
    """How much of what arrived came by whom."""

    def __init__(self, subscriber):
        self._subscriber = subscriber

    def of(self, who, since=0):
        return sum(m.topic.endswith("/" + who) for m in self._subscriber.messages[since:])

    def wait(self, *names, at_least=100):
        """Until each of them has brought that many more, from now on."""
        since = len(self._subscriber.messages)
        until(lambda: all(self.of(who, since) >= at_least for who in names),
              lambda: f"messages by {names}: {[(who, self.of(who, since)) for who in names]}", poll_s=0.1)


def _none_lost(sent, subscriber):
    """Repetitions are what a group may bring; order does not outlive a member that comes back with what it had."""
    subscriber.wait_for(check.complete(sent), "all numbers")
    verdict = check.judge(sent, [m.payload for m in subscriber.messages])
    assert not verdict.lost and not verdict.strangers, verdict
    tap.note(f"{verdict.expected} sent, {verdict.arrived} arrived, 0 lost, {verdict.repeated} repeated")


@tap.case("three instances share a topic under load; one is killed, one is added, the killed one comes back: none lost")
def three_share():
    _kafka().create_topic("shared", PARTITIONS)
    with _subscriber("shared") as got, _instance("shared", "a", "shared", group="three") as a, \
            _instance("shared", "b", "shared", group="three") as b, \
            _instance("shared", "c", "shared", group="three") as c, \
            Numberer(_kafka().brokers, "shared", KEYS, rate=800,
                     may_go_on=lambda total: total - len(got.messages) < 4000) as feed:
        shares = _Shares(got)
        shares.wait("a", "b", "c")
        c.kill()
        with _instance("shared", "d", "shared", group="three") as d:
            shares.wait("a", "b", "d")
            c.start()
            shares.wait("a", "b", "c", "d")
            d.kill()
            shares.wait("a", "b", "c")
            assert b.stop() == 0
            shares.wait("a", "c")
            d.start()
            shares.wait("a", "c", "d")
            b.start()  # for what it had taken and not sent when it was stopped
            _none_lost(feed.stop(), got)
            assert not feed.faults, feed.faults
            assert a.stop() == b.stop() == c.stop() == d.stop() == 0


@tap.case("killed at each step between the journal and the group's commit, under load: none lost")
def killed_around_commits():
    _kafka().create_topic("steps", PARTITIONS)
    with _subscriber("steps") as got, _instance("steps", "a", "steps", group="steps"), \
            _instance("steps", "b", "steps", group="steps") as b, \
            Numberer(_kafka().brokers, "steps", KEYS, rate=800,
                     may_go_on=lambda total: total - len(got.messages) < 4000) as feed:
        shares = _Shares(got)
        for step in ("kafka.before_offer:400", "kafka.after_offer:400", "kafka.before_offset_commit:2",
                     "kafka.after_offset_commit:2"):
            shares.wait("a", "b")
            b.kill()
            b.start(env={"LINKSPAN_FAILPOINT": step}, wait_up=False)
            assert b.wait() == -9, f"{step} was not reached"
            b.start()
        shares.wait("a", "b")
        _none_lost(feed.stop(), got)


# --- topics that are deleted and made again ---------------------------------------------------------------------------------


def _messages_of(subscriber, letter):
    return [m for m in list(subscriber.messages) if m.payload.startswith(letter.encode())]


def _numbers_of(subscriber, letter):
    return [m.payload for m in _messages_of(subscriber, letter)]


class _Anew:
    """A topic of that name is deleted while it is written to and read, and made again and written to at once; another one
    that is read beside it just goes on."""

    def __init__(self, name, stopped, **keys):
        self.name, self._stopped = name, stopped
        for topic in (name, name + ".steady"):
            _kafka().create_topic(topic, 2)
        self.got = _subscriber(name)
        self.bridge = _instance(name, "x", [name, name + ".steady"], **keys)
        # Slow enough for a loaded machine: what one writes faster than it arrives is waited for in the end.
        self.steady = Numberer(_kafka().brokers, name + ".steady", 2, rate=100, prefix="s")
        self._first = Numberer(_kafka().brokers, name, 4, rate=250, prefix="k")
        self.second = None

    def wait(self, letter, condition, what):
        """As long as messages of that life come, and no longer: the other topic's always do."""
        def stands():
            return {one: len(_numbers_of(self.got, one)) for one in "kns"}
        until(condition, lambda: f"{what}: {stands()} came, {self.second and self.second.sent} were written",
              progress=lambda: stands()[letter])

    def make(self):
        self.wait("k", lambda: len(_numbers_of(self.got, "k")) > 500, "the first life to flow")
        if self._stopped:
            assert self.bridge.stop() == 0
        _kafka().delete_topic(self.name)
        self._first.close()
        _kafka().create_topic(self.name, 2)
        self.second = Numberer(_kafka().brokers, self.name, 4, rate=300, prefix="n")
        if self._stopped:
            # Beyond where the first life ended, so that its offsets are all there, with other records.
            until(lambda: self.second.acknowledged > 3 * len(_numbers_of(self.got, "k")), "the second life to grow")
            self.bridge.start()

    def noticed(self):
        return self.bridge.wait_event("kafka_offset_reset", connection="lake")

    def goes_on(self, letter):
        before = len(_numbers_of(self.got, letter))
        self.wait(letter, lambda: len(_numbers_of(self.got, letter)) > before + 100, f"{letter} to flow")

    def all_of(self, letter, feed):
        sent = feed.stop()
        complete = check.complete(sent)
        self.wait(letter, lambda: complete(_messages_of(self.got, letter)), f"all of {letter}")
        check.demand(check.judge(sent, _numbers_of(self.got, letter)), letter, repeats=False)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for feed in (self.steady, self._first, self.second):
            if feed:
                feed.close()
        self.bridge.__exit__(kind)
        self.got.close()


def _read_again(name, stopped, **keys):
    """beginning: all of the second life comes, once."""
    with _Anew(name, stopped, on_offset_reset="beginning", **keys) as anew:
        anew.make()
        anew.noticed()
        anew.goes_on("s")
        anew.all_of("n", anew.second)
        anew.all_of("s", anew.steady)


def _read_on(name, stopped, **keys):
    """end: what comes later comes, and the log says where that begins."""
    with _Anew(name, stopped, on_offset_reset="end", **keys) as anew:
        anew.make()
        until(lambda: len({e["partition"] for e in anew.bridge.events("kafka_offset_reset")}) == 2, "both partitions")
        begins = {int(e["partition"].rpartition("/")[2].rpartition("-")[2]): int(e["high"])
                  for e in anew.bridge.events("kafka_offset_reset")}
        anew.goes_on("n")
        anew.second.stop()
        with _kafka().reader(name) as reader:
            # What the first life's writer still had may be there as well.
            wanted = {r.value for r in reader.drain() if r.offset >= begins[r.partition] and r.value.startswith(b"n")}
        anew.wait("n", lambda: wanted <= set(_numbers_of(anew.got, "n")), f"all behind the end {begins}")
        assert set(_numbers_of(anew.got, "n")) == wanted, "more than what the log says was read"
        anew.all_of("s", anew.steady)


def _stands(name, stopped, **keys):
    """stop: an alarm, nothing of the second life, and all of it once somebody has decided."""
    with _Anew(name, stopped, on_offset_reset="stop", **keys) as anew:
        anew.make()
        anew.noticed()
        anew.bridge.wait_event("alarm", connection="lake")
        until(lambda: len({e["partition"] for e in anew.bridge.events("kafka_offset_reset")}) == 2, "both partitions")
        anew.goes_on("s")
        assert not _numbers_of(anew.got, "n"), "it was read although it was to stop"
        assert anew.bridge.stop() == 0
        with open(anew.bridge.path, encoding="utf-8") as text:
            decided = text.read().replace('on_offset_reset: "stop"', 'on_offset_reset: "beginning"')
        anew.bridge.configure(decided, whole=True)
        anew.bridge.start()
        anew.all_of("n", anew.second)
        anew.all_of("s", anew.steady)


for _policy, _case in (("stop", _stands), ("beginning", _read_again), ("end", _read_on)):
    for _where in ("running", "stopped"):
        tap.case(f"a topic made anew under load under a {_where} linkspan, on_offset_reset: {_policy}")(
            functools.partial(_case, f"{_policy}-{_where}", _where == "stopped"))
tap.case("a topic made anew under load under a group, on_offset_reset: beginning")(
    functools.partial(_read_again, "grouped", False, group="anew"))
tap.case("a topic made anew under load under a stopped group, on_offset_reset: stop")(
    functools.partial(_stands, "grouped-stopped", True, group="anew-stopped"))


if __name__ == "__main__":
    tap.main()
