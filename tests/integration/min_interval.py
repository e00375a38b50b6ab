#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""min_interval between real brokers: the first of a burst passes and the rest is left out, counted and acknowledged; over
stops and kills as well."""
import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.wait import until


def _bridge(name, port, interval, **keys):
    """Everything below NAME/in, at most one of a key to NAME/out and all of it to NAME/all."""
    source = {"connection": "near", "topic": f"{name}/in/{{k}}", "qos": 2}
    return Linkspan(yaml.configuration(
        [yaml.mqtt("near", port, client_id=f"linkspan-{name}")],
        [yaml.mapping("seldom", source, {"connection": "near", "topic": f"{name}/out/{{k}}", "qos": 2},
                      min_interval=interval, **keys),
         yaml.mapping("all", source, {"connection": "near", "topic": f"{name}/all/{{k}}", "qos": 2})]))


def _numbers(subscriber, topic):
    return [int(m.payload) for m in subscriber.messages if m.topic == topic]


@tap.case("the first of a burst passes for each key, the rest is left out, counted and acknowledged")
def burst():
    port = shared_mosquitto().port
    with _bridge("burst", port, {"every": "1h"}) as bridge, Subscriber(port, ["burst/out/#", "burst/all/#"]) as got, \
            Publisher(port) as out:
        for n in range(300):
            out.publish(f"burst/in/{n % 3}", b"%d" % n, qos=n % 3)  # one QoS for each key
        got.wait_count(303)
        assert [_numbers(got, f"burst/out/{k}") for k in range(3)] == [[0], [1], [2]], got.messages
        assert [_numbers(got, f"burst/all/{k}") for k in range(3)] == [list(range(k, 300, 3)) for k in range(3)]
        bridge.wait_status(lambda s: s["taken"] == 300 and s["left_out"] == 297 and s["unacknowledged"] == 0,
                           "all to be acknowledged", source="near")
        assert bridge.stop() == 0


@tap.case("what counts as the same is a key of the message; several results pass together")
def by_key():
    port = shared_mosquitto().port
    with _bridge("by-key", port, {"every": "1h", "key": "{.id}"}, payload=".v[]") as bridge, \
            Subscriber(port, "by-key/out/#") as got, Publisher(port) as out:
        out.publish("by-key/in/a", b'{"id": "x", "v": [1, 2]}')
        out.publish("by-key/in/b", b'{"id": "x", "v": [3]}')
        out.publish("by-key/in/a", b'{"id": "y", "v": [4]}')
        out.publish("by-key/in/a", b'{"v": [5]}')  # without a key: a dead letter
        got.wait_count(3)
        bridge.wait_event("dead_letters", destination="near", count="1")
        bridge.wait_status(lambda s: s["left_out"] == 1, "what was left out", source="near")
        assert [m.payload for m in got.messages] == [b"1", b"2", b"4"], got.messages
        assert bridge.stop() == 0


@tap.case("when the time is over the next one passes, whatever came between")
def again():
    port = shared_mosquitto().port
    with _bridge("again", port, {"every": "700ms"}) as bridge, Subscriber(port, ["again/out/#", "again/all/#"]) as got, \
            Publisher(port) as out:
        def four_passed():
            out.publish("again/in/k", b"%d" % out.published)
            out.wait()
            return len(_numbers(got, "again/out/k")) >= 4
        until(four_passed, "four to pass")
        until(lambda: len(_numbers(got, "again/all/k")) == out.published, "all to come")
        passed, all_of_them = _numbers(got, "again/out/k"), _numbers(got, "again/all/k")
        assert all_of_them == list(range(out.published))
        assert passed == sorted(set(passed)) and passed[0] == 0
        bridge.wait_status(lambda s: s["left_out"] == out.published - len(passed), "the rest left out", source="near")
        assert len(passed) < out.published
        assert bridge.stop() == 0


@tap.case("over kill -9 under load and a clean stop one passes for each key, the first, and exactly once")
def kills():
    with own_mosquitto() as broker, _bridge("kills", broker.port, {"every": "1h"}) as bridge, \
            Subscriber(broker.port, ["kills/out/#", "kills/all/#"]) as got, Publisher(broker.port) as out:
        for round_ in range(6):
            for n in range(400):  # half of them of keys that are new in this round
                key = round_ * 20 + n % 20 if n % 2 else n % max(1, round_ * 20)
                out.publish(f"kills/in/{key}", b"%d" % out.published, qos=2)
            if round_ < 5:
                before = len(got.messages)
                until(lambda before=before: len(got.messages) > before + 50, "messages to flow")
                bridge.kill()
                bridge.start(wait_up=False)
        out.wait()
        everything = out.published
        until(lambda: sum(m.topic.startswith("kills/all/") for m in got.messages) >= everything, "all to come")
        bridge.wait_ready("near")
        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="near")
        assert bridge.stop() == 0
        bridge.start()
        for topic in {m.topic for m in got.messages if m.topic.startswith("kills/all/")}:
            out.publish(topic.replace("/all/", "/in/"), b"%d" % out.published, qos=2)
        until(lambda: sum(m.topic.startswith("kills/all/") for m in got.messages) >= out.published, "the last ones")
        bridge.wait_status(lambda s: s["left_out"] == out.published - everything, "all left out", source="near")
        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="near")
        with Publisher(broker.port) as last:  # behind all that it has
            last.publish("kills/all", b"", qos=1)
            until(lambda: got.messages[-1].topic == "kills/all", "the end")
        wrong = []
        for topic in {m.topic for m in got.messages if m.topic.startswith("kills/all/")}:
            every, passed = _numbers(got, topic), _numbers(got, topic.replace("/all/", "/out/"))
            if passed != [min(every)] or len(set(every)) != len(every):
                wrong.append((topic, passed, every[:5]))
        assert not wrong, wrong[:5]
        assert sum(m.topic.startswith("kills/out/") for m in got.messages) == out.published - everything
        tap.note(f"keys={out.published - everything} messages={out.published}")
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
