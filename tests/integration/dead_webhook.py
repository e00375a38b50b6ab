#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ten webhooks of which one is dead: the other nine get everything meanwhile, with room in the outbox of the dead one and with
drop_oldest when it is full, and what becomes of each message is counted, to the message. How fast the nine are beside a dead
one: tests/bench/run.sh http-dead."""
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, webhooks, yaml
from rig.daemon import Linkspan
from rig.feed import flood
from rig.fixtures import shared_mosquitto
from rig.proxy import Proxy
from rig.receiver import DONE, Receiver
from rig.wait import until

COUNT, LIMIT, SIZE = 400, 100, 60
ENDS = ["delivered", "expired", "dropped_oldest", "dropped_newest", "dead_lettered", "purged", "lost"]
LIVING = [f"hook{n}" for n in range(1, 10)]


def _totals(bridge, destination):
    """Fresh ones, which must add up."""
    before = bridge.mark("totals", destination=destination)
    bridge.signal(10)  # SIGUSR1
    said = bridge.wait_event("totals", more_than=before, destination=destination)
    totals = {key: int(said[key]) for key in ["offered", "waiting", *ENDS]}
    assert totals["offered"] == totals["waiting"] + sum(totals[end] for end in ENDS), totals
    return totals


def _wait_totals(bridge, destination, condition, what):
    return until(lambda: (lambda t: t if condition(t) else None)(_totals(bridge, destination)),
                 lambda: f"{what}: {_totals(bridge, destination)}", poll_s=0.05)


class Scene:
    """One server; each webhook is a destination of its own at /name. The dead one is behind a proxy."""

    def __init__(self, name, receiver, way, broker, bridge):
        self.receiver, self.way, self.broker, self.bridge, self._name = receiver, way, broker, bridge, name

    def publish(self):
        flood(self.broker.port, f"{self._name}/x", 1, COUNT, SIZE)

    def arrivals(self, hook):
        """What has come for it, judged."""
        judged = webhooks.Arrivals(check.Tally(["flood"], SIZE), in_order=hook != "dead")
        for request in list(self.receiver.requests):
            if request.target == f"/{hook}":
                judged.take(request)
        assert not judged.wrong, (hook, judged.wrong)
        return judged

    def numbers(self, hook):
        return [check.parse(r.body)[1] for r in list(self.receiver.requests) if r.target == f"/{hook}" and r.did in DONE]

    def wait_living(self):
        """All is there for the nine."""
        for hook in LIVING:
            until(lambda hook=hook: len(self.numbers(hook)) >= COUNT, lambda hook=hook: f"{hook}: {len(self.numbers(hook))}")
            verdict = self.arrivals(hook).tally.verdict({"flood": COUNT})
            check.demand(verdict, hook, repeats=False)
            _wait_totals(self.bridge, hook, lambda t: t["delivered"] == COUNT and t["waiting"] == 0, "its outbox to be empty")


@contextmanager
def _ten(name, **outbox):
    broker = shared_mosquitto()
    with Receiver() as receiver, Proxy(receiver.port) as way:
        connections = [yaml.mqtt("plant", broker.port, client_id=f"linkspan-{name}")]
        for hook in [*LIVING, "dead"]:
            # On a loaded machine an answer takes its time, and each message must come once.
            port, keys = (way.port, {"timeout": "5s", "connect_timeout": "5s"}) if hook == "dead" else (receiver.port, {})
            keys["breaker"] = {"max": "1s"}
            keys["outbox"] = {"backoff_max": "200ms", **(outbox if hook == "dead" else {})}
            connections.append(yaml.http(hook, port, **keys))
        mapping = yaml.mapping("all", {"connection": "plant", "topic": f"{name}/#", "qos": 1},
                               *({"connection": hook, "path": f"/{hook}"} for hook in [*LIVING, "dead"]))
        with Linkspan(yaml.configuration(connections, [mapping]), wait_up=["plant"]) as bridge:
            yield Scene(name, receiver, way, broker, bridge)
            assert bridge.stop() == 0


def _room(name, die):
    with _ten(name) as scene:
        die(scene.way)
        scene.publish()
        scene.wait_living()
        totals = _totals(scene.bridge, "dead")
        assert totals["waiting"] == COUNT and totals["offered"] == COUNT, totals
        assert not scene.numbers("dead") and not scene.bridge.events("source_paused")
        scene.way.forward()
        _wait_totals(scene.bridge, "dead", lambda t: t["delivered"] == COUNT and t["waiting"] == 0, "the dead one to catch up")
        numbers = scene.numbers("dead")
        assert numbers == list(range(1, COUNT + 1)), numbers[:20]
        scene.arrivals("dead")


@tap.case("room in its outbox: nothing answers at the dead one, the nine get all, and later it does too")
def silent_with_room():
    _room("room-silent", lambda way: way.swallow())


@tap.case("room in its outbox: the dead one refuses connections")
def refused_with_room():
    _room("room-refused", lambda way: way.down())


def _drop_oldest(name, die):
    with _ten(name, max_messages=LIMIT, when_full="drop_oldest") as scene:
        die(scene.way)
        scene.publish()
        scene.wait_living()
        totals = _wait_totals(scene.bridge, "dead", lambda t: t["offered"] == COUNT and t["waiting"] <= LIMIT,
                              "drops to catch up")
        assert totals["waiting"] >= LIMIT - LIMIT // 64 - 1, totals
        assert totals["waiting"] + totals["dropped_oldest"] == COUNT and not totals["delivered"], totals
        assert not scene.bridge.events("source_paused")
        kept = totals["waiting"]
        scene.way.forward()
        totals = _wait_totals(scene.bridge, "dead", lambda t: t["waiting"] == 0, "the dead one to catch up")
        assert totals["delivered"] == kept and totals["dropped_oldest"] == COUNT - kept, totals
        numbers = scene.numbers("dead")
        assert len(numbers) == kept and numbers == sorted(set(numbers)), numbers[:20]
        # What was on its way when it died is kept (one of a key at a time); all else is the newest.
        assert numbers[1:] == list(range(COUNT - kept + 2, COUNT + 1)), numbers[:20]


@tap.case("drop_oldest: the outbox of a silent one is full, the nine get all, and the newest are kept, to the message")
def silent_drop_oldest():
    _drop_oldest("drop-silent", lambda way: way.swallow())


@tap.case("drop_oldest: the outbox of one that refuses connections is full")
def refused_drop_oldest():
    _drop_oldest("drop-refused", lambda way: way.down())


@tap.case("an answer that breaks off, in its head or its body, is none: the same request comes again")
def half_answers():
    broker, words = shared_mosquitto(), iter(["half-head"] * 5 + ["half-body"] * 5)
    with Receiver(lambda _request: next(words, "ok")) as receiver, Linkspan(yaml.configuration(
            [yaml.mqtt("plant", broker.port, client_id="linkspan-half"),
             yaml.http("hook", receiver.port, breaker={"failures": 100}, outbox={"backoff_min": "10ms", "backoff_max": "20ms"})],
            [yaml.mapping("all", {"connection": "plant", "topic": "half/#", "qos": 1},
                          {"connection": "hook", "path": "/half"})])) as bridge:
        flood(broker.port, "half/x", 1, 3, SIZE)
        _wait_totals(bridge, "hook", lambda t: t["delivered"] == 3, "all to be delivered")
        firsts = receiver.requests[:11]
        assert [r.did for r in firsts] == ["half-head"] * 5 + ["half-body"] * 5 + ["ok"], [r.did for r in firsts]
        assert len({(r.header("webhook-id"), r.body) for r in firsts}) == 1, firsts
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
