#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What linkspan asks a real broker for, and that each mapping takes each message once although a broker sends a copy per
subscription that matches."""
from collections import Counter

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.wait import until


def _mapping(name, topic, qos, **source):
    """What comes goes to out/NAME."""
    return yaml.mapping(name, {"connection": "near", "topic": topic, "qos": qos, **source},
                        {"connection": "near", "topic": f"out/{name}", "qos": 1})


def _configuration(broker, *mappings, version=5):
    return yaml.configuration([yaml.mqtt("near", broker.port, version)], mappings)


def _counts(messages):
    return Counter((m.topic, m.payload) for m in messages)


def _expect(got, expected, repeated=()):
    """Waits until everything of `expected` has come; then nothing else has, and nothing more often but at topics that are
    `repeated`. (The last that was published may come before others: mosquitto lets a client's queue be overtaken where
    QoS 1 and 2 share its window.)"""
    until(lambda: not expected - _counts(got.messages), lambda: f"too few: {expected - _counts(got.messages)}",
          progress=lambda: len(got.messages))
    more = {one: n for one, n in (_counts(got.messages) - expected).items() if one not in expected or one[0] not in repeated}
    assert not more, f"too many: {more}"


@tap.case("version 5: overlapping filters of different QoS, each mapping takes each message once")
def overlaps():
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, "out/#") as got:
        out.publish("a/b", b"retained", retain=True)
        out.wait()
        with Linkspan(_configuration(
                broker,
                _mapping("all", "a/#", 0), _mapping("level", "a/{x}", 1), _mapping("one", "a/b", 1),
                _mapping("low", "a/b", 1), _mapping("two", ["a/b/#", "+/b"], 0),
                _mapping("options", "a/+/#", 1, retain_as_published=False))) as bridge:
            payloads = [b"%d" % n for n in range(200)] + [b"last"]
            for payload in payloads:
                out.publish("a/b", payload)
            names = ("all", "level", "one", "low", "two", "options")
            _expect(got, Counter((f"out/{name}", payload) for name in names for payload in [b"retained"] + payloads))
            assert bridge.stop() == 0
        assert sum(_counts(got.messages).values()) == len(names) * (len(payloads) + 1)


@tap.case("exactly-once with filters that overlap, over a kill -9: once at each mapping, from QoS 2 to QoS 2")
def exactly_once():
    def exact(name, topic, qos):
        return yaml.mapping(name, {"connection": "near", "topic": topic, "qos": qos},
                            {"connection": "near", "topic": f"out/{name}", "qos": qos},
                            **({"delivery": "exactly-once"} if qos == 2 else {}))
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, "out/#", qos=2) as got:
        bridge = Linkspan(_configuration(broker, exact("all", "a/#", 2), exact("level", "+/b", 2),
                                         exact("low", "a/+", 1), exact("several", ["a/b/#", "a/b"], 2)))
        payloads = [b"%d" % n for n in range(600)] + [b"last"]
        with bridge:
            for payload in payloads[:300]:
                out.publish("a/b", payload, qos=2)
            got.wait_count(100)
            bridge.kill()
            for payload in payloads[300:]:
                out.publish("a/b", payload, qos=2)
            bridge.start()
            every = Counter((f"out/{name}", p) for name in ("all", "level", "low", "several") for p in payloads)
            _expect(got, every, repeated={"out/low"})
            assert bridge.stop() == 0
            out.publish("out/end", b"", qos=2)
            until(lambda: got.messages[-1].topic == "out/end", "the end of what the broker has")
            _expect(got, every + Counter([("out/end", b"")]), repeated={"out/low"})


@tap.case("version 5: what the broker kept over a restart with other mappings; what is gone is unsubscribed")
def restart():
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, "out/#") as got:
        same = [_mapping("all", "a/#", 1), _mapping("level", "+/b", 1)]
        bridge = Linkspan(_configuration(broker, *same, _mapping("gone", "gone/#", 1)))
        with bridge:
            out.publish("a/b", b"last")
            _expect(got, Counter({("out/all", b"last"): 1, ("out/level", b"last"): 1}))
        # The identifiers are those of the first process.
        out.publish("a/b", b"kept")
        out.wait()
        with bridge.start():
            out.publish("a/b", b"end")
            _expect(got, Counter((f"out/{name}", payload) for name in ("all", "level")
                                 for payload in (b"last", b"kept", b"end")))
            assert not bridge.events("mqtt_subscribed"), "it subscribed again although nothing has changed"
        # Now a mapping changes to a filter that the broker's copies do not know.
        out.publish("a/b", b"kept too")
        out.wait()
        bridge.configure(_configuration(broker, same[0], _mapping("level", "a/b/#", 0)))
        with bridge.start():
            bridge.wait_event("mqtt_subscribed")
            until_end = Counter((f"out/{name}", payload) for name in ("all", "level")
                                for payload in (b"last", b"kept", b"end", b"kept too", b"new"))
            out.publish("a/b", b"new")
            got.wait_for(lambda messages: set(_counts(messages)) >= set(until_end), "all of them at both")
            out.publish("gone/x", b"nobody")
            out.publish("x/b", b"nobody")
            out.publish("a/b", b"end of all")
            got.wait_for(lambda messages: sum(m.payload == b"end of all" for m in messages) >= 2, "the end")
            assert not any(m.payload == b"nobody" or m.topic == "out/gone" for m in got.messages)
            status = bridge.wait_status(lambda s: True, "a status", source="near")
            assert status["unmatched"] == 0, f"the broker still has an old subscription: {status}"


@tap.case("3.1.1: a filter that another one contains brings nothing twice")
def contained():
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, "out/#") as got, \
            Linkspan(_configuration(broker, _mapping("all", "a/#", 1), _mapping("one", "a/b", 1), version=4)):
        payloads = [b"%d" % n for n in range(50)] + [b"last"]
        for payload in payloads:
            out.publish("a/b", payload)
        _expect(got, Counter((f"out/{name}", payload) for name in ("all", "one") for payload in payloads))


@tap.case("group: two linkspans share the work, beside a mapping that takes everything (field bug 10)")
def shared():
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, "out/#") as got:
        def one(client_id, name):
            return Linkspan(yaml.configuration(
                [yaml.mqtt("near", broker.port, client_id=client_id)],
                [_mapping(name, "work/#", 1, group="team"), _mapping(f"all-{name}", "work/+", 1)]))
        with one("first", "a"), one("second", "b"):
            payloads = [b"%d" % n for n in range(200)]
            for payload in payloads:
                out.publish("work/x", payload)
            got.wait_for(lambda messages: len(messages) >= 3 * len(payloads), "all of them three times")
            out.publish("work/x", b"last")
            got.wait_for(lambda messages: sum(m.payload == b"last" for m in messages) >= 3, "the last one")
            counts = _counts(got.messages)
            assert all(counts["out/all-a", p] == counts["out/all-b", p] == 1 for p in payloads), counts
            assert all(counts["out/a", p] + counts["out/b", p] == 1 for p in payloads), counts
            for name in ("a", "b"):
                assert sum(n for (topic, _), n in counts.items() if topic == f"out/{name}") > 20, \
                    f"{name} had nothing to do"


@tap.case("retain: skip leaves out what comes retained, for that destination alone")
def retain_skip():
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, "out/#") as got:
        out.publish("a/old", b"old", retain=True)
        out.wait()
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", broker.port)],
                [yaml.mapping("m", {"connection": "near", "topic": "a/#", "qos": 1},
                              {"connection": "near", "topic": "out/skip", "retain": "skip"},
                              {"connection": "near", "topic": "out/clear", "retain": "clear"})])) as bridge:
            out.publish("a/new", b"new", retain=True)
            out.publish("a/new", b"last")
            _expect(got, Counter({("out/skip", b"last"): 1, ("out/clear", b"old"): 1, ("out/clear", b"new"): 1,
                                  ("out/clear", b"last"): 1}))
            assert bridge.stop() == 0


@tap.case("no_local, retain_handling and retain_as_published do what they say")
def options():
    with own_mosquitto() as broker, Publisher(broker.port) as out, Subscriber(broker.port, ["s/#", "out/#"]) as got:
        out.publish("r/old", b"old", retain=True)
        out.wait()
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", broker.port)],
                [yaml.mapping("local", {"connection": "near", "topic": "s/#", "qos": 1, "no_local": True},
                              {"connection": "near", "topic": "s/copy"}),
                 _mapping("new", "r/#", 1, retain_handling="never", retain_as_published=False)])) as bridge:
            out.publish("s/in", b"1")
            out.publish("r/new", b"new", retain=True)
            out.publish("s/in", b"2")
            got.wait_for(lambda messages: sum(m.topic == "s/copy" for m in messages) >= 2, "both copies")
            got.wait_for(lambda messages: any(m.topic == "out/new" for m in messages), "the new one")
            out.publish("s/in", b"last")
            got.wait_for(lambda messages: ("s/copy", b"last") in _counts(messages), "the last copy")
            assert bridge.stop() == 0
            assert [m.payload for m in got.messages if m.topic == "s/copy"] == [b"1", b"2", b"last"]
            assert [(m.payload, m.retain) for m in got.messages if m.topic == "out/new"] == [(b"new", 0)]
            with Subscriber(broker.port, "out/#") as late:
                out.publish("out/end", b"")
                late.wait_count(1)
                assert [m.topic for m in late.messages] == ["out/end"], "the copy was retained"


if __name__ == "__main__":
    tap.main()
