#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packet identifiers of QoS 2 messages that never came to their end: expired, rejected, refused, cut off at every stage.
After as many messages as there are identifiers each has been used again: none of those may be taken for a repetition of
what was given up, and none may come twice."""
import collections

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan
from rig.feed import flood
from rig.fixtures import own_mosquitto
from rig.mqtt import Publisher, publish_properties
from rig.number_broker import NumberBroker
from rig.proxy import Proxy
from rig.qos2 import Subscriber, settle
from rig.wait import until

IDENTIFIERS = 61440  # that linkspan uses: MQTT_SESSION_LAST_ID
TOO_LARGE = b"x" * 8000
ATTEMPTS = 8

# Brokers that are not restarted need not save. What is in flight stays below mosquitto's limit: crash/qos2.py.
BROKER = ("autosave_on_changes false", "autosave_interval 0", "log_type error", "max_inflight_messages 60000")

# Topic below out/, what the broker does with it, how often it is to be published in the end.
WHILE_UP = [("refused", [0x99], 0), ("no-room", [0x97] * ATTEMPTS, 0), ("room-at-last", [0x97], 1), ("ignored", ["ignore"], 1),
            ("taken", ["take"], 1), ("kept", ["keep"], 1), ("released", ["release"], 1)]
# All of them too old before the link comes back. What the broker may have can only be brought to its end.
# The last one is refused and not sent again: on its way when the link falls it would be one that may have been sent.
WHILE_DOWN = [("old-ignored", ["ignore"], 1), ("old-taken", ["take"], 1), ("old-kept", ["keep"], 1),
              ("old-released", ["release"], 1), ("old-refused", ["last"], 0)]
STEP = {"keep": "keepd", "release": "released"}


def _bridge(name, source, destination, **keys):
    return Linkspan(yaml.configuration(
        [yaml.mqtt("a", source, client_id=f"linkspan-{name}"),
         yaml.mqtt("b", destination, client_id=f"linkspan-{name}-out", ack_timeout="60s", **keys,
                   outbox={"max_attempts": ATTEMPTS, "backoff_min": "300ms", "backoff_max": "300ms"})],
        [yaml.mapping("all", {"connection": "a", "topic": f"{name}/#", "qos": 1},
                      {"connection": "b", "topic": "out/{topic[1]}", "qos": 2})]))


def _wait_empty(bridge):
    bridge.wait_status(lambda s: s["waiting"] == 0, "all to have come to an end", destination="b")


def _stages(name, broker, bridge, out, kills):
    """Leaves an identifier in every stage there is, and lets linkspan come to an end with each."""
    for topic, steps, _ in WHILE_UP + WHILE_DOWN:
        broker.script[f"out/{topic}"] = list(steps)
    for topic, _, _ in WHILE_UP:
        out.publish(f"{name}/{topic}", topic.encode())
    out.publish(f"{name}/large", TOO_LARGE)
    broker.wait_done(*((f"out/{topic}", STEP.get(steps[0], steps[0])) for topic, steps, _ in WHILE_UP))
    broker.cut()
    _wait_empty(bridge)
    young = publish_properties(expiry_s=4)
    for topic, steps, _ in WHILE_DOWN:
        out.publish(f"{name}/{topic}", topic.encode(), properties=young)
        broker.wait_done((f"out/{topic}", STEP.get(steps[0], steps[0])))
    broker.down()
    out.publish(f"{name}/old-unsent", b"old-unsent", properties=young)
    # Sent after the others, so those are too old as well.
    bridge.wait_status(lambda s: s["journalled"] == len(WHILE_UP) + 1 + len(WHILE_DOWN) + 1 and s["waiting"] == 4,
                       "what may not expire to be left", destination="b")
    if kills:
        bridge.kill()
        bridge.start(wait_up=["a"])
    broker.up()
    _wait_empty(bridge)


def _through_number_broker(name, says_in_use, kills):
    with own_mosquitto(settings=BROKER) as feeder, NumberBroker(says_in_use) as broker, \
            _bridge(name, feeder.port, broker.port) as bridge, Publisher(feeder.port) as out:
        _stages(name, broker, bridge, out, kills)
        wanted = {f"out/{topic}": n for topic, _, n in WHILE_UP + WHILE_DOWN if n}
        came = collections.Counter(topic for topic, _ in broker.published)
        if kills:
            # That these have expired is not worth a write to the disk of its own, and after a kill they may have been sent.
            assert came.pop("out/old-unsent", 0) <= 1 and came.pop("out/old-refused", 0) <= 1, broker.published
        assert came == wanted, f"{came} instead of {wanted}"
        assert not broker.open, f"identifiers given up: {broker.open}"
        before = len(broker.published)
        flood(feeder.port, f"{name}/further", 1, IDENTIFIERS + 1000, size=30)
        broker.wait_published(before + IDENTIFIERS + 1000)
        _wait_empty(bridge)
        tally = check.Tally(["flood"], 30)
        for topic, payload in broker.published[before:]:
            assert topic == "out/further", topic
            tally.take(payload)
        check.demand(tally.verdict({"flood": IDENTIFIERS + 1000}), "the broker", repeats=False)
        assert not broker.swallowed and not broker.open, (broker.swallowed[:5], list(broker.open)[:5])
        tap.note(f"{len(broker.published)} messages, {broker.repetitions} repetitions")
        assert bridge.stop() == 0


@tap.case("given up at every stage, a broker that answers 0x91: 61,440 identifiers later none is swallowed, none comes twice")
def in_use():
    _through_number_broker("in-use", True, False)


@tap.case("the same, a broker that is silent about it, and linkspan killed in the middle")
def silent():
    _through_number_broker("silent", False, True)


def _shrinks(name, kills):
    with own_mosquitto(settings=BROKER) as feeder, NumberBroker(False, max_packet=1 << 20) as broker, \
            _bridge(name, feeder.port, broker.port) as bridge, Publisher(feeder.port) as out:
        broker.script = {"out/had": ["take"], "out/not-had": ["ignore"]}
        for topic in ("had", "not-had"):
            out.publish(f"{name}/{topic}", TOO_LARGE)
        broker.wait_done(("out/had", "take"), ("out/not-had", "ignore"))
        broker.down()
        if kills:
            bridge.wait_status(lambda s: s["unacknowledged"] == 0, "both to be acknowledged", source="a")
            bridge.kill()
        broker.max_packet = 4096
        broker.up()
        if kills:
            bridge.start()
        out.publish(f"{name}/behind", b"x")
        bridge.wait_status(lambda s: s["dead"] == 2 and s["journalled"] == 3 and s["waiting"] == 0,
                           "two letters and an empty outbox", destination="b")
        assert sorted(topic for topic, _ in broker.published) == ["out/behind", "out/had"], broker.published
        assert not broker.open and not broker.repetitions, broker.open
        assert not bridge.events("alarm"), bridge.events("alarm")
        reasons = [e["reason"] for e in bridge.events("dead_letters")]
        assert all("may have been delivered before" in reason for reason in reasons), reasons
        assert bridge.stop() == 0


@tap.case("a broker that takes smaller messages than before: what may have been sent is released and buried, nothing stands still")
def shrinks():
    _shrinks("shrinks", False)
    _shrinks("shrinks-killed", True)


def _through_lost_sessions(name, kills, policy):
    """Leaves messages between PUBREC and PUBCOMP and loses the session there."""
    rounds = [f"{n}".encode() for n in range(1, 6)]
    times = 2 if policy == "resend" else 1
    with own_mosquitto(settings=BROKER) as feeder, NumberBroker(False) as broker, \
            _bridge(name, feeder.port, broker.port, on_session_loss=policy) as bridge, Publisher(feeder.port) as out:
        for n, payload in enumerate(rounds, 1):
            broker.script["out/kept"] = ["keep"]
            out.publish(f"{name}/kept", payload)
            until(lambda: broker.done["out/kept", "keepd"] == n, "the PUBREL")  # pylint: disable=cell-var-from-loop
            if kills:
                broker.down()
                bridge.kill()
            broker.forget()
            if kills:
                broker.up()
                bridge.start()
            out.publish(f"{name}/next", payload)
            # Whatever was to come of the first has come when the one behind it has.
            until(lambda: ("out/next", payload) in broker.published and not broker.open,  # pylint: disable=cell-var-from-loop
                  "what came after it")
        came = collections.Counter(broker.published)
        for payload in rounds:
            assert came["out/kept", payload] == times and came["out/next", payload] == 1, came
        # Of this process.
        bridge.wait_status(lambda s: s["ambiguous"] == (1 if kills else len(rounds)), "a count of them", connection="b")
        bridge.wait_status(lambda s: s["delivered"] + s["dead"] >= 1 and s["waiting"] == 0, "an empty outbox",
                           destination="b")
        assert bridge.stop() == 0


@tap.case("a session that is lost between PUBREC and PUBCOMP: what was under way is sent again, and nothing stands still")
def lost():
    _through_lost_sessions("lost", False, "resend")


@tap.case("the same with linkspan killed before it hears of it, and on_session_loss: park")
def lost_and_killed():
    _through_lost_sessions("lost-killed", True, "resend")
    _through_lost_sessions("lost-park", False, "park")


@tap.case("mosquitto behind a link that breaks, messages too large or too old: the next 61,440 come once each")
def real_broker():
    tally, rest = check.Tally(["flood"], 30), []

    def take(topic, payload):
        if topic == "out/flood":
            tally.take(payload)
        else:
            rest.append(payload)
    with own_mosquitto(settings=BROKER) as feeder, own_mosquitto(settings=[*BROKER, "max_packet_size 4096"]) as broker, \
            Proxy(broker.port, settle) as link, Subscriber(broker.port, "out/#", "abandoned", take), \
            _bridge("real", feeder.port, link.port) as bridge, Publisher(feeder.port) as out:
        sent = 0
        for _ in range(20):
            flood(feeder.port, "real/flood", sent + 1, 300, size=30)
            sent += 300
            out.publish("real/large", TOO_LARGE)
            until(lambda: tally.arrived > sent - 290, "the messages to flow", poll_s=0.002)
            link.cut()
        link.down()
        for n in range(20):
            out.publish("real/old", f"{n}".encode(), properties=publish_properties(expiry_s=3))
        out.wait()
        bridge.wait_status(lambda s: s["expired"] >= 20, "20 to expire", destination="b")
        link.forward()
        for _ in range(7):
            flood(feeder.port, "real/flood", sent + 1, 9000, size=30)
            sent += 9000
        until(lambda: tally.complete({"flood": sent}), lambda: f"all {sent}: {tally.arrived}")
        _wait_empty(bridge)
        check.demand(tally.verdict({"flood": sent}), "the subscriber", repeats=False)
        assert not rest, rest
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
