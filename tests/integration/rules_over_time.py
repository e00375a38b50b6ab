#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""changes_only and sample between real brokers: what passes, for each key, counted and acknowledged; over stops and kills
as well."""
import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.wait import until


def _bridge(name, port, **rules):
    """Everything below NAME/in, by these rules to NAME/out and all of it to NAME/all."""
    source = {"connection": "near", "topic": f"{name}/in/{{k}}", "qos": 2}
    return Linkspan(yaml.configuration(
        [yaml.mqtt("near", port, client_id=f"linkspan-{name}")],
        [yaml.mapping("thin", source, {"connection": "near", "topic": f"{name}/out/{{k}}", "qos": 2}, **rules),
         yaml.mapping("all", source, {"connection": "near", "topic": f"{name}/all/{{k}}", "qos": 2})]))


def _payloads(subscriber, topic):
    return [m.payload.decode() for m in subscriber.messages if m.topic == topic]


@tap.case("only changes pass, by a value with a dead band and byte by byte; the rest is counted and acknowledged")
def changes():
    port = shared_mosquitto().port
    readings = [20, 20.4, 20.5, 20.6, 20.2, 19.9, "off", "off", 20]
    with _bridge("changes", port, changes_only={"value": ".t", "dead_band": 0.5}) as bridge, \
            Subscriber(port, ["changes/out/#", "changes/all/#"]) as got, Publisher(port) as out:
        for n, reading in enumerate(readings):
            text = f'"{reading}"' if isinstance(reading, str) else reading
            out.publish("changes/in/a", f'{{"t": {text}, "n": {n}}}'.encode(), qos=1)
            out.publish("changes/in/b", f'{{"t": 7, "n": {n}}}'.encode(), qos=1)
        out.publish("changes/in/b", b"seven", qos=1)
        got.wait_count(6 + len(readings) * 2 + 1)
        assert [p[6:].split(",")[0] for p in _payloads(got, "changes/out/a")] == ["20", "20.6", "19.9", '"off"', "20"]
        assert len(_payloads(got, "changes/out/b")) == 1, got.messages
        bridge.wait_event("dead_letters", destination="near", count="1")
        bridge.wait_status(lambda s: s["left_out"] == 12 and s["unacknowledged"] == 0, "the rest", source="near")
        assert bridge.stop() == 0


@tap.case("one of so many passes for each key; the short form is the same as the long one")
def sample():
    port = shared_mosquitto().port
    with _bridge("sample", port, sample=4) as bridge, Subscriber(port, ["sample/out/#", "sample/all/#"]) as got, \
            Publisher(port) as out:
        for n in range(30):
            out.publish(f"sample/in/{n % 3}", b"%d" % n, qos=1)
        got.wait_count(30 + 9)
        assert [_payloads(got, f"sample/out/{k}") for k in range(3)] == [
            [str(k + 12 * i) for i in range(3)] for k in range(3)], got.messages
        bridge.wait_status(lambda s: s["left_out"] == 21 and s["unacknowledged"] == 0, "the rest", source="near")
        assert bridge.stop() == 0


def _load(bridge, out, got, name, payload):
    """Messages with numbers n of 16 keys, over kills and a clean stop."""
    for round_ in range(5):
        for _ in range(400):
            n = out.published
            out.publish(f"{name}/in/{n % 16}", payload(n), qos=2)
        before = len(got.messages)
        until(lambda before=before: len(got.messages) > before + 50, "messages to flow")
        if round_ < 4:
            bridge.kill()
            bridge.start(wait_up=False)
    out.wait()
    until(lambda: sum(m.topic.startswith(f"{name}/all/") for m in got.messages) >= out.published, "all to come")
    bridge.wait_ready("near")
    bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="near")
    out.publish(f"{name}/out/end", b"", qos=1)  # behind all that the broker has
    until(lambda: got.messages[-1].topic == f"{name}/out/end", "the end")


@tap.case("over kill -9 under load exactly one of five passes for each key, in its turn")
def sample_kills():
    with own_mosquitto() as broker, _bridge("count", broker.port, sample=5) as bridge, \
            Subscriber(broker.port, ["count/out/#", "count/all/#"]) as got, Publisher(broker.port) as out:
        _load(bridge, out, got, "count", lambda n: b"%d" % n)
        for key in range(16):
            every = _payloads(got, f"count/all/{key}")
            assert len(every) == 125 and _payloads(got, f"count/out/{key}") == every[::5], key
        assert bridge.stop() == 0


@tap.case("over kill -9 under load each change passes, exactly once")
def changes_kills():
    with own_mosquitto() as broker, _bridge("turn", broker.port, changes_only=True) as bridge, \
            Subscriber(broker.port, ["turn/out/#", "turn/all/#"]) as got, Publisher(broker.port) as out:
        _load(bridge, out, got, "turn", lambda n: b"%d" % (n // (16 * 7)))
        for key in range(16):
            every = _payloads(got, f"turn/all/{key}")
            assert len(every) == 125
            assert _payloads(got, f"turn/out/{key}") == sorted(set(every), key=int), key
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
