#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What waited goes out again: at the pace that is set, alarms first, new messages before old ones where order allows."""
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan
from rig.feed import flood
from rig.fixtures import own_mosquitto
from rig.mqtt import Subscriber
from rig.proxy import Proxy
from rig.wait import until

ROUNDS = 6
RATE = 4000


def _configuration(near, to_far):
    return yaml.configuration(
        [yaml.mqtt("near", near.port),
         yaml.mqtt("far", to_far.port, outbox={"max_rate": {"messages": RATE}, "drain": "live_first"})],
        [yaml.mapping("telemetry", {"connection": "near", "topic": "telemetry/{k}", "qos": 1},
                      {"connection": "far", "topic": "telemetry/{k}"}),
         yaml.mapping("alarms", {"connection": "near", "topic": "alarm/{k}", "qos": 1},
                      {"connection": "far", "topic": "alarm/{k}"}, priority=9)])


def _fill(near, bridge):
    """2,000 readings and ten alarms, ten times: more than the courier holds."""
    for i in range(ROUNDS):
        flood(near.port, "telemetry/old", 1 + 2000 * i, 2000, key="old")
        flood(near.port, "alarm/pump", 1 + 10 * i, 10, key="pump")
    bridge.wait_waiting("far", ROUNDS * 2010)


def _topics(got):
    return [m.topic for m in got.messages]


def _judge(near, to_far, bridge, got):
    to_far.forward()
    got.wait_count(ROUNDS * 10 + 1)
    began = time.monotonic()
    first = _topics(got)[:ROUNDS * 10]
    assert set(first) == {"alarm/pump"}, f"{sum(t != 'alarm/pump' for t in first)} readings among the first alarms"
    flood(near.port, "telemetry/new", 1, 10, key="new")
    flood(near.port, "telemetry/old", 1 + 2000 * ROUNDS, 10, key="old")
    until(lambda: _topics(got).count("telemetry/new") == 10, "new readings of another key")
    behind = _topics(got).count("telemetry/old")
    assert behind < 2000 * ROUNDS, "the new readings came behind the old ones"
    sent = {"old": 2000 * ROUNDS + 10, "pump": 10 * ROUNDS, "new": 10}
    got.wait_for(check.complete(sent), "all numbers")
    took = time.monotonic() - began
    check.demand(check.judge(sent, [m.payload for m in got.messages]), "far")
    assert took > 0.9 * 2000 * ROUNDS / RATE, f"{took:.2f} s: faster than max_rate"
    tap.note(f"{behind} of {2000 * ROUNDS} waiting readings came before the new ones; {took:.2f} s in all")
    assert bridge.stop() == 0


@tap.case("after an outage: alarms, then new readings, then what waited, at max_rate")
def outage():
    with own_mosquitto() as near, own_mosquitto() as far, Proxy(far.port) as to_far, \
            Linkspan(_configuration(near, to_far)) as bridge, Subscriber(far.port, ["telemetry/#", "alarm/#"]) as got:
        to_far.down()
        bridge.wait_event("link_down", connection="far")
        _fill(near, bridge)
        _judge(near, to_far, bridge, got)


@tap.case("the same over a kill: alarms that are on disk only are found")
def killed():
    with own_mosquitto() as near, own_mosquitto() as far, Proxy(far.port) as to_far, \
            Linkspan(_configuration(near, to_far)) as bridge, Subscriber(far.port, ["telemetry/#", "alarm/#"]) as got:
        to_far.down()
        bridge.wait_event("link_down", connection="far")
        _fill(near, bridge)
        bridge.kill()
        bridge.start(wait_up=["near"])
        bridge.wait_event("backlog_counted", destination="far")
        _judge(near, to_far, bridge, got)


if __name__ == "__main__":
    tap.main()
