#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""aggregate between real brokers: one result of each window and key, each message in exactly one of them; over stops and
kills, with an outage of the target, and with more messages in a window than are in flight."""
import json
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.wait import until


def _bridge(name, port, aggregate, **keys):
    """What comes below NAME/in is taken together and goes to NAME/out."""
    return Linkspan(yaml.configuration(
        [yaml.mqtt("near", port, client_id=f"linkspan-{name}")],
        [yaml.mapping("together", {"connection": "near", "topic": f"{name}/in/{{k}}", "qos": 2},
                      {"connection": "near", "topic": f"{name}/out/{{k}}", "qos": 2},
                      aggregate=aggregate, delivery="exactly-once", **keys)]))


def _results(subscriber, key):
    return [json.loads(m.payload) for m in subscriber.messages if m.topic.endswith(f"/out/{key}")]


def _total(subscriber):
    return sum(json.loads(m.payload)["count"] for m in subscriber.messages)


@tap.case("results of all kinds, by key, and payload made of them; what is no number is a dead letter")
def kinds():
    port = shared_mosquitto().port
    kinds_ = ["last", "min", "max", "mean", "count", "list", "start", "end"]
    with _bridge("kinds", port, {"window": "1s", "value": ".v", "key": "{k}", "as": kinds_},
                 payload=". + {key: $k}") as bridge, Subscriber(port, "kinds/out/#") as got, \
            Publisher(port) as out:
        out.publish("kinds/in/a", b'{"v": "no"}', qos=1)
        for n in range(200):
            out.publish(f"kinds/in/{'ab'[n % 2]}", b'{"v": %d.5}' % n, qos=1 + n % 2)
        until(lambda: _total(got) >= 200, "all to be counted")
        for key in "ab":
            values = []
            for result in _results(got, key):
                some = result["list"]
                assert result["key"] == key and result["end"] - result["start"] == 1000 and result["end"] % 1000 == 0
                assert (result["count"], result["last"], result["min"], result["max"], result["mean"]) == (
                    len(some), some[-1], min(some), max(some), sum(some) / len(some)), result
                values += some
            assert values == [n + 0.5 for n in range("ab".index(key), 200, 2)], values
            ends = [result["end"] for result in _results(got, key)]
            assert ends == sorted(set(ends)), ends
        bridge.wait_event("dead_letters", destination="together", count="1")
        bridge.wait_status(lambda s: s["waiting"] == 0, "nothing to wait", destination="together")
        assert bridge.stop() == 0


@tap.case("over kill -9 under load each message is in one result, in its order")
def kills():
    with own_mosquitto() as broker, _bridge("kills", broker.port, {"window": "500ms", "value": ".", "as": [
            "count", "list"]}) as bridge, Subscriber(broker.port, "kills/out/#") as got, Publisher(broker.port) as out:
        for round_ in range(8):
            for _ in range(400):
                out.publish(f"kills/in/{out.published % 8}", b"%d" % out.published, qos=2)
            if round_ < 7:
                before = len(got.messages)
                until(lambda before=before: len(got.messages) >= before + 8, "results to come")
                bridge.kill()
                bridge.start(wait_up=False)
        out.wait()
        until(lambda: _total(got) >= out.published, "all to be counted")
        bridge.wait_ready("near")
        for name in ("near", "together"):
            bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination=name)
        assert _total(got) == out.published
        for key in range(8):
            values = [value for result in _results(got, key) for value in result["list"]]
            assert values == list(range(key, out.published, 8)), key
        tap.note(f"messages={out.published} results={len(got.messages)}")
        assert bridge.stop() == 0


@tap.case("what is in a window waits over a stop and a kill, and linkspan queue shows it")
def stops():
    port = shared_mosquitto().port
    with _bridge("stops", port, {"window": "31d", "as": "count"}) as bridge, Publisher(port) as out:
        for n in range(100):
            out.publish(f"stops/in/{n % 4}", b"any", qos=2)
        out.wait()
        bridge.wait_status(lambda s: s["waiting"] == 100, "all to wait", destination="together")
        assert bridge.stop() == 0
        bridge.start()
        bridge.wait_status(lambda s: s["waiting"] == 100 and s["in_flight"] == 100, "all to be read back",
                           destination="together")
        bridge.kill()
        bridge.start()
        bridge.wait_status(lambda s: s["waiting"] == 100 and s["in_flight"] == 100, "all to be read back",
                           destination="together")
        shown = subprocess.run([program(), "queue", "ls", bridge.data_dir], capture_output=True, text=True,
                               check=True).stdout
        assert "together" in shown and " 100 " in shown, shown
        assert bridge.stop() == 0


@tap.case("a window of more messages than are in flight has one result for each key, over kills as well")
def folded():
    with own_mosquitto() as broker, _bridge("folded", broker.port, {"window": "8s", "value": ".", "as": [
            "count", "mean", "end"]}) as bridge, Subscriber(broker.port, "folded/out/#") as got, \
            Publisher(broker.port) as out:
        for round_ in range(3):
            for _ in range(10000):
                out.publish(f"folded/in/{out.published % 3}", b"%d" % (out.published // 3), qos=1)
            out.wait()
            if round_ < 2:
                bridge.kill()
                bridge.start(wait_up=False)
        until(lambda: _total(got) >= out.published, "all to be counted")
        bridge.wait_ready("near")
        bridge.wait_status(lambda s: s["waiting"] == 0, "nothing to wait", destination="together")
        for key in range(3):
            ends = [result["end"] for result in _results(got, key)]
            assert ends == sorted(set(ends)), ends
            # QoS 1: after a kill the broker may send again what was taken.
            count = sum(result["count"] for result in _results(got, key))
            assert count >= 10000, count
        tap.note(f"results={len(got.messages)} repeated={_total(got) - out.published}")
        assert bridge.stop() == 0


def _changing(port, aggregate, out="out", mapping="together"):
    """Of near/in; the window is a month unless it is said, so that only a change ends it."""
    keys = {"aggregate": {"window": "30d", "as": ["count", "list"], "value": ".", **aggregate}} if aggregate is not None else {}
    return yaml.configuration(
        [yaml.mqtt("near", port, client_id="linkspan-changing")],
        [yaml.mapping(mapping, {"connection": "near", "topic": "changing/in/{k}", "qos": 2},
                      {"connection": "near", "topic": f"changing/{out}", "qos": 2}, delivery="exactly-once", **keys)])


def _listed(messages):
    """Values of all results, sorted; each must be there once."""
    return sorted(value for m in messages for value in json.loads(m.payload)["list"])


@tap.case("a reload while a window is open: another window, key or target, and what waits counts once")
def reloads():
    port = shared_mosquitto().port
    with Linkspan(_changing(port, {"key": "{k}"})) as bridge, Publisher(port) as out, \
            Subscriber(port, ["changing/out", "changing/other"]) as got:
        def send(values, waiting=10):
            for n in values:
                out.publish(f"changing/in/{'ab'[n % 2]}", b"%d" % n, qos=2)
            bridge.wait_waiting("together", waiting)

        def change(aggregate, **keys):
            bridge.configure(_changing(port, aggregate, **keys))
            return bridge.reload()

        send(range(10))
        change({"key": "{k}", "window": "1s"})  # they were stamped within some seconds
        until(lambda: _listed(got.messages) == list(range(10)), "all to be counted")
        assert all(len({n % 2 for n in json.loads(m.payload)["list"]}) == 1 for m in got.messages), got.messages
        bridge.wait_status(lambda s: s["waiting"] == 0, "nothing to wait", destination="together")
        got.messages.clear()
        change({"key": "{k}"})
        send(range(10))
        change({})
        send(range(10, 20), waiting=20)  # of no key
        change({"window": "31d"}, out="other")
        bridge.wait_waiting("together", 20)
        assert not got.messages
        bridge.kill()  # with what the reloads have made of it
        bridge.configure(_changing(port, {"window": "31d"}, out="other"))
        bridge.start()
        bridge.wait_waiting("together", 20)
        change({"window": "1s"}, out="other")
        until(lambda: _listed(got.messages) == list(range(20)), lambda: f"{_listed(got.messages)}")
        parts = [json.loads(m.payload)["list"] for m in got.messages]
        assert {m.topic for m in got.messages} == {"changing/other"}
        assert all(len({n % 2 if n < 10 else 2 for n in part}) == 1 for part in parts), parts
        assert bridge.stop() == 0


@tap.case("an aggregate that goes while its window is open: refused, also to be drained; dropped if that is said")
def gone():
    port = shared_mosquitto().port
    with Linkspan(_changing(port, {})) as bridge, Publisher(port) as out, Subscriber(port, "changing/out") as got:
        out.publish("changing/in/a", b"1", qos=2)
        bridge.wait_waiting("together", 1)
        for without in (_changing(port, None), _changing(port, {}, mapping="renamed")):
            bridge.configure(without)
            for options in ((), ("--drain", "together")):
                said = bridge.reload(*options, status=1)
                assert "together has 1 messages waiting for their window" in said and "put it back" in said, said
        bridge.configure(_changing(port, {"window": "1s"}))
        bridge.reload()  # put back: nothing was lost
        until(lambda: _listed(got.messages) == [1], "the result")
        bridge.wait_status(lambda s: s["waiting"] == 0, "nothing to wait", destination="together")
        bridge.configure(_changing(port, {}))
        bridge.reload()
        out.publish("changing/in/a", b"2", qos=2)
        bridge.wait_waiting("together", 1)
        bridge.configure(_changing(port, None))
        bridge.settled(lambda: bridge.reload("--drop", "together"))
        bridge.wait_event("destination_dropped", destination="together", messages="1")
        out.publish("changing/in/a", b"plain", qos=2)
        until(lambda: got.messages and got.messages[-1].payload == b"plain", "the mapping without aggregate")
        assert _listed(got.messages[:-1]) == [1]
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
