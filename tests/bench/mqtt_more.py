# SPDX-License-Identifier: Apache-2.0
"""More benchmarks of MQTT: mqtt-out, round-trip, sessions. Called by run.sh.

What is compared runs in turns, in one run, on the same broker; what is printed are the medians of the rounds.
"""
import os
import signal
import statistics
import subprocess
import sys
import time

from end_to_end import MESSAGES, ROUNDS, SIZE, QuietMosquitto, dead_kafka, load, status
from rig import fixtures, yaml
from rig.daemon import Linkspan
from rig.process import temp_folder
from rig.wait import until

WINDOW = 1000  # of linkspan, when the broker says nothing
SESSIONS, MAPPINGS = 20, 10
RATE, ROUND_TRIPS = 1000, 5000


def between_tenths(points, total):
    """Messages a second, from (time, count)."""
    inner = [p for p in points if total / 10 <= p[1] <= total * 9 / 10]
    if len(inner) < 2 or inner[0][1] == inner[-1][1]:
        inner = [points[0], points[-1]]
    (began, first), (ended, last) = inner[0], inner[-1]
    return (last - first) / (ended - began)


# --- out ---------------------------------------------------------------------------------------------------------------


def out_by_linkspan(plant, target):
    """Out of a full outbox: the target is away while linkspan takes everything in."""
    config = yaml.configuration(
        [yaml.mqtt("plant", plant.port), yaml.mqtt("cloud", target.port, outbox={"max_bytes": "4GiB"})],
        [yaml.mapping("bench", {"connection": "plant", "topic": "bench/+", "qos": 1},
                      {"connection": "cloud", "topic": "out", "qos": 1})])
    target.stop()
    bridge = Linkspan(config, wait_up=False)
    bridge.wait_event("link_up", connection="plant")
    load("publish", plant.port, "bench/#", MESSAGES, SIZE, 1)
    until(lambda: int(status(bridge, "source", "plant")["taken"]) >= MESSAGES, "all to be taken", timeout=120)
    target.start()
    points = [(time.monotonic(), 0)]
    while points[-1][1] < MESSAGES:
        count = int(status(bridge, "destination", "cloud")["delivered"])
        points.append((time.monotonic(), count))
    bridge.kill()
    return between_tenths(points, MESSAGES)


def mqtt_out():
    plant, target = QuietMosquitto(), QuietMosquitto()
    rates, ratios = [], []
    for _ in range(ROUNDS):
        seconds = float(subprocess.run([os.environ["PAHO_OUT"], str(target.port), "out", str(MESSAGES), str(SIZE), str(WINDOW)],
                                       check=True, capture_output=True, text=True).stdout)
        paho = MESSAGES * 0.8 / seconds
        rates.append(out_by_linkspan(plant, target))
        ratios.append(rates[-1] / paho)
        print(f"# linkspan {rates[-1]:.0f}/s, Paho {paho:.0f}/s", flush=True)
    print(f"bench mqtt-out per_second={statistics.median(rates):.0f} ratio={statistics.median(ratios):.2f} window={WINDOW}")


# --- there and back ----------------------------------------------------------------------------------------------------


def fdatasync_us(folder):
    """One, after a write as small as a commit of one message."""
    took = []
    with open(os.path.join(folder, "probe"), "wb", buffering=0) as probe:
        for _ in range(200):
            probe.write(bytes(512))
            began = time.monotonic()
            os.fdatasync(probe.fileno())
            took.append(time.monotonic() - began)
    return statistics.median(took) * 1e6


def round_trip():
    broker = QuietMosquitto()
    bridge = Linkspan(yaml.configuration(
        [yaml.mqtt("plant", broker.port)],
        [yaml.mapping("bench", {"connection": "plant", "topic": "there", "qos": 1},
                      {"connection": "plant", "topic": "back", "qos": 1})]))
    folder = temp_folder("bench")
    rounds = []
    for _ in range(ROUNDS):
        sync = fdatasync_us(folder)
        p50, p99 = map(float, load("round", broker.port, "there", "back", RATE, ROUND_TRIPS).split())
        sync = (sync + fdatasync_us(folder)) / 2
        print(f"# p50 {p50:.0f} us, p99 {p99:.0f} us, one fdatasync {sync:.0f} us", flush=True)
        rounds.append((p50 / sync, p99 / sync, p50, p99, sync))
    bridge.kill()
    median = [statistics.median(values) for values in zip(*rounds)]
    print("bench round-trip p50_ratio={:.2f} p99_ratio={:.2f} p50_us={:.0f} p99_us={:.0f} fdatasync_us={:.0f}".format(*median))


# --- many sessions -----------------------------------------------------------------------------------------------------


def sessions_configuration(broker, n):
    connections = [yaml.mqtt(f"plant-{s}", broker.port) for s in range(n)]
    mappings = [yaml.mapping(f"bench-{s}-{m}", {"connection": f"plant-{s}", "topic": f"bench/{s}/{m}/+", "qos": 1},
                             {"connection": "lake", "topic": "bench"}) for s in range(n) for m in range(MAPPINGS)]
    return yaml.configuration([*connections, ["  " + dead_kafka()]], mappings)


class Counter:
    """What all sources have taken together. Reads each line of the log once: to look for them one by one would take longer
    than what is measured."""

    def __init__(self, bridge, n):
        self._bridge, self._n = bridge, n
        self._log = open(bridge.log_path, encoding="utf-8", errors="replace")  # pylint: disable=consider-using-with
        self._log.seek(0, os.SEEK_END)
        self._rest = ""

    def taken(self):
        self._bridge.signal(signal.SIGUSR1)
        counts = []
        while len(counts) < self._n:
            *lines, self._rest = (self._rest + self._log.read()).split("\n")
            counts += [int(line.split(" taken=")[1].split()[0]) for line in lines if " taken=" in line]
        return sum(counts)


def drain_sessions(broker, n):
    """(anonymous MiB when idle, messages a second): n sessions whose queues hold the same total."""
    bridge = Linkspan(sessions_configuration(broker, n), wait_up=False)
    for s in range(n):
        bridge.wait_event("mqtt_subscribed", connection=f"plant-{s}")
    idle_mib = bridge.anonymous_kib() / 1024
    bridge.stop()
    for s in range(n):
        for m in range(MAPPINGS):
            load("publish", broker.port, f"bench/{s}/{m}/#", MESSAGES // n // MAPPINGS, SIZE, 1)
    bridge.start(wait_up=False)
    bridge.wait_event("started")
    points = [(time.monotonic(), 0)]
    counter = Counter(bridge, n)
    while points[-1][1] < MESSAGES:
        count = counter.taken()
        points.append((time.monotonic(), count))
    bridge.kill()
    return idle_mib, between_tenths(points, MESSAGES)


def sessions():
    broker = QuietMosquitto()
    memory, rates, ratios = [], [], []
    for _ in range(ROUNDS):
        _, one = drain_sessions(broker, 1)
        mib, many = drain_sessions(broker, SESSIONS)
        print(f"# {SESSIONS} sessions {many:.0f}/s and {mib:.1f} MiB, one session {one:.0f}/s", flush=True)
        memory.append(mib)
        rates.append(many)
        ratios.append(many / one)
    broker.stop()
    print(f"bench sessions memory_mib={statistics.median(memory):.1f} per_second={statistics.median(rates):.0f} "
          f"ratio={statistics.median(ratios):.2f}")


if __name__ == "__main__":
    fixtures.need_mosquitto()
    {"mqtt-out": mqtt_out, "round-trip": round_trip, "sessions": sessions}[sys.argv[1]]()
