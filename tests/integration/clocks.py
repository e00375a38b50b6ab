#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A wall clock that is wrong: at 1970, a year ahead, and back, while linkspan runs and over its restarts. Nothing expires
that should not, and what should expire does. (Reboots are played in tests/unit/delivery/test_courier_clock.c.)"""
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.clock import YEAR_MS, Clock
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties


def _bridge(name, far_port, clock, **outbox):
    return Linkspan(yaml.configuration(
        [yaml.mqtt("near", shared_mosquitto().port, client_id=f"linkspan-{name}"),
         yaml.mqtt("far", far_port, outbox={"backoff_max": "200ms", **outbox})],
        [yaml.mapping("all", {"connection": "near", "topic": name + "/#", "qos": 1},
                      {"connection": "far", "topic": "{topic}"})]), env=clock.env)


def _publish(topic, count, expiry_s=None):
    with Publisher(shared_mosquitto().port) as out:
        for i in range(count):
            out.publish(topic, b"%d" % i, properties=publish_properties(expiry_s=expiry_s))
        out.wait()


def _restart(bridge, waiting, how):
    """Once so many wait, and the broker knows: after a kill what it has no acknowledgement of would come twice."""
    bridge.wait_waiting("far", waiting)
    bridge.wait_status(lambda s: s["unacknowledged"] == 0, "all to be acknowledged", source="near")
    how()
    bridge.start(wait_up=["near"])


@tap.case("restarts with the clock at 1970, a year ahead and right again: an hour's expiry stands, three seconds' does not")
def own_expiry():
    clock = Clock()
    with own_mosquitto() as far, Subscriber(far.port, "own/#") as got, _bridge("own", far.port, clock) as bridge:
        far.stop()
        _publish("own/long", 50, expiry_s=3600)
        _restart(bridge, 50, bridge.stop)
        clock.set_to_1970()  # while it runs: it does not care
        _publish("own/long", 50, expiry_s=3600)
        bridge.wait_waiting("far", 100)
        _restart(bridge, 100, bridge.kill)
        _publish("own/long", 50, expiry_s=3600)
        clock.set(YEAR_MS)
        _restart(bridge, 150, bridge.stop)
        assert bridge.events("clock_set", whole=True), "it was not noticed"
        _publish("own/short", 20, expiry_s=3)
        # Some may have expired by now, so how many wait says nothing; and the broker must not be the one who expires them.
        bridge.wait_status(lambda s: s["journalled"] == 170, "all to have come", destination="far")
        clock.set(0)
        _restart(bridge, 150, bridge.stop)
        bridge.wait_status(lambda s: s["waiting"] == 150, "the short ones to expire", destination="far")
        far.start()
        got.wait_count(150)
        left = {m.properties.MessageExpiryInterval for m in got.messages}
        assert len(got.messages) == 150 and {m.topic for m in got.messages} == {"own/long"}
        assert min(left) > 3600 - 300 and max(left) <= 3600, f"what is passed on of an hour: {min(left)} to {max(left)} s"
        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="far")
        assert bridge.stop() == 0
        expired = sum(int(e["count"]) for e in bridge.events("expired", whole=True))
        assert expired == 20, f"{expired} expired"


@tap.case("ttl: a year ahead after a restart drops nothing before its time, 1970 keeps nothing after it")
def ttl():
    clock = Clock()
    with own_mosquitto() as far, _bridge("ttl", far.port, clock, ttl="6s") as bridge:
        far.stop()
        began = time.monotonic()
        _publish("ttl/a", 30)
        bridge.wait_waiting("far", 30)
        clock.set(YEAR_MS)
        bridge.stop()
        bridge.start(wait_up=["near"])
        waiting = bridge.wait_status(lambda s: True, "a status", destination="far")["waiting"]
        assert waiting == 30 or time.monotonic() - began > 5, f"only {waiting} are left"
        clock.set_to_1970()
        bridge.kill()
        bridge.start(wait_up=["near"])
        bridge.wait_status(lambda s: s["waiting"] == 0, "all of it to expire", destination="far")
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
