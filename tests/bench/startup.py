# SPDX-License-Identifier: Apache-2.0
"""The benchmark startup. Called by run.sh.

A configuration with 1,000 mappings, each with a `when`, an object and a filter of its own, is started beside a broker, and
while it runs exchanged for 1,000 others: other programs throughout, other filters but for the first mapping's. Through that one
a message goes round during the whole reload, the next as soon as one is back: what it waits for at most is what the loop was
held up for, and the disk and the broker with it.
"""
import os
import re
import socket
import statistics
import subprocess
import threading
import time
import urllib.request

import paho.mqtt.client as paho

from end_to_end import QuietMosquitto
from rig import fixtures, yaml
from rig.daemon import Linkspan, program
from rig.wait import free_port

MAPPINGS = int(os.environ.get("MAPPINGS", 1000))
ROUNDS = int(os.environ.get("ROUNDS", 3))
ALONE = 300  # messages that go round before the reload
READING = b'{"line":"l7","ts":1700000000123,"value":21.5,"quality":"good"}'


def mapping(generation, n):
    when = f'.quality == "good" and .value > {n % 100 - 100} and .value != {1000 * generation + n}'
    payload = f'{{line: .line, v: (.value * {n + 1} + {generation}), ts: (.ts / 1000 | floor), good: (.quality == "good"), n: {n}}}'
    topic = "bench/0" if n == 0 else f"bench/{generation}/{n}/+"
    return yaml.mapping(f"m{n}", {"connection": "plant", "topic": topic, "qos": 1},
                        {"connection": "cloud", "topic": f"out/{n}", "qos": 1}, when=when, payload=payload)


def configuration(broker, admin, generation):
    return yaml.configuration(
        [yaml.mqtt("plant", broker.port, client_id="startup-plant"), yaml.mqtt("cloud", broker.port, client_id="startup-cloud")],
        [mapping(generation, n) for n in range(MAPPINGS)], admin={"listen": f"127.0.0.1:{admin}"})


class Round:
    """A message that goes through linkspan and comes back."""

    def __init__(self, port):
        self._back, ready = threading.Event(), threading.Event()
        self._client = paho.Client("startup-round", protocol=paho.MQTTv311)
        self._client.on_message = lambda *_: self._back.set()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port, 60)
        self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()
        self._client.subscribe("out/0", 1)
        if not ready.wait(10):
            raise RuntimeError("no SUBACK")

    def go(self):
        """Milliseconds."""
        self._back.clear()
        began = time.monotonic()
        self._client.publish("bench/0", READING, 1)
        if not self._back.wait(30):
            raise RuntimeError("a message did not come back within 30 s")
        return (time.monotonic() - began) * 1000

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


def turns(admin):
    """How many turns of the loop took at most so many seconds, {bound: count}, by the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        found = re.findall(r'^linkspan_loop_turn_seconds_bucket\{le="([^"]+)"\} (\d+)', answer.read().decode(), re.M)
    return {float(bound): int(count) for bound, count in found}


def longest_turn_ms(bridge, admin):
    """Of the log, which names those past 50 ms; else what the histogram says that none was longer than."""
    slow = [int(event["ms"]) for event in bridge.events("slow_turn")]
    counted = turns(admin)
    return max(slow) if slow else 1000 * min(bound for bound, n in counted.items() if n == max(counted.values()))


def measure():
    with QuietMosquitto() as broker:
        return measure_beside(broker, free_port())


def measure_beside(broker, admin):
    bridge = Linkspan(configuration(broker, admin, 1), start=False)
    began = time.monotonic()
    bridge.start(wait_up=False)
    bridge.wait_event("started")
    started = time.monotonic() - began
    for name in ("plant", "cloud"):
        bridge.wait_ready(name)
    up = time.monotonic() - began
    around = Round(broker.port)
    alone = [around.go() for _ in range(ALONE)]
    bridge.configure(configuration(broker, admin, 2))
    began = time.monotonic()
    meanwhile = []
    with subprocess.Popen([program(), "reload", bridge.data_dir], stderr=subprocess.PIPE, text=True) as asking:
        while asking.poll() is None:
            meanwhile.append(around.go())
        reload_seconds = time.monotonic() - began
        if asking.returncode != 0:
            raise RuntimeError(asking.stderr.read())
    bridge.wait_event("reload_settled")
    meanwhile.append(around.go())
    longest = longest_turn_ms(bridge, admin)
    around.close()
    bridge.kill()
    print(f"# started after {started:.2f} s, links up after {up:.2f} s; reload {reload_seconds:.2f} s, {len(meanwhile)} messages "
          f"meanwhile: median {statistics.median(meanwhile):.1f} ms, longest {max(meanwhile):.1f} ms "
          f"(before it {statistics.median(alone):.1f} and {max(alone):.1f}); no turn past {longest:g} ms")
    return up, reload_seconds, longest, max(meanwhile), max(alone), len(meanwhile) / reload_seconds


if __name__ == "__main__":
    fixtures.need_mosquitto()
    rounds = list(zip(*(measure() for _ in range(ROUNDS))))
    print(f"bench startup mappings={MAPPINGS} seconds={statistics.median(rounds[0]):.2f} "
          f"reload_seconds={statistics.median(rounds[1]):.2f} longest_turn_ms={max(rounds[2]):g} "
          f"longest_wait_ms={max(rounds[3]):.1f} longest_wait_ms_before={max(rounds[4]):.1f} "
          f"messages_per_second={statistics.median(rounds[5]):.0f}")
