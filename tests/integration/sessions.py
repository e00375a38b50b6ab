#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Twenty MQTT sessions with ten mappings each in one process: every message arrives once, and memory stays small."""
import collections

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber

SESSIONS, MAPPINGS, EACH = 20, 10, 10
MOST_KIB = 16 * 1024  # of anonymous memory, for all sessions together


def _configuration(port):
    sources = [yaml.mqtt(f"line-{s}", port) for s in range(SESSIONS)]
    mappings = [yaml.mapping(f"cell-{s}-{m}", {"connection": f"line-{s}", "topic": f"many/in/{s}/{m}/+", "qos": 1},
                             {"connection": "cloud", "topic": f"many/out/{s}/{m}", "qos": 1})
                for s in range(SESSIONS) for m in range(MAPPINGS)]
    return yaml.configuration([*sources, yaml.mqtt("cloud", port)], mappings)


@tap.case("20 sessions with 10 mappings each: all arrives, memory stays below 16 MiB")
def many_sessions():
    port = shared_mosquitto().port
    with Subscriber(port, "many/out/#") as came, Linkspan(_configuration(port)) as bridge, Publisher(port) as out:
        for s in range(SESSIONS):
            bridge.wait_event("mqtt_subscribed", connection=f"line-{s}")
        idle_kib = bridge.anonymous_kib()
        for n in range(EACH):
            for s in range(SESSIONS):
                for m in range(MAPPINGS):
                    out.publish(f"many/in/{s}/{m}/value", f"{s}/{m} {n}")
        came.wait_count(SESSIONS * MAPPINGS * EACH)
        full_kib = bridge.anonymous_kib()
        assert bridge.stop() == 0
        by_topic = collections.defaultdict(list)
        for message in came.messages:
            by_topic[message.topic].append(message.payload.decode())
        for s in range(SESSIONS):
            for m in range(MAPPINGS):
                got = by_topic.pop(f"many/out/{s}/{m}")
                assert got == [f"{s}/{m} {n}" for n in range(EACH)], f"{s}/{m}: {got}"
        assert not by_topic, list(by_topic)
    print(f"# anonymous memory: {idle_kib} KiB idle, {full_kib} KiB after {SESSIONS * MAPPINGS * EACH} messages")
    assert max(idle_kib, full_kib) < MOST_KIB, (idle_kib, full_kib)


if __name__ == "__main__":
    tap.main()
