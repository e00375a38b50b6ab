# SPDX-License-Identifier: Apache-2.0
"""The benchmarks that need brokers: mqtt-qos1, mqtt-qos2, mqtt-to-kafka, footprint; mqtt_more.py has the others. Called by
run.sh.

Rates are taken while a queue that the broker already holds is drained, so that no publisher competes for the cores: first
by a subscriber that acknowledges at once and discards, then by linkspan, from the same broker, in turns; the ratio is the
median of the rounds' ratios.
"""
import os
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from rig import fixtures, mosquitto  # noqa: E402
from rig.daemon import Linkspan  # noqa: E402
from rig.wait import free_port, until  # noqa: E402

# mosquitto sends all that a resumed session has, and the time of a QoS 2 acknowledgement grows with what is in flight.
MESSAGES = int(os.environ.get("MESSAGES", 50_000 if "mqtt-qos2" in sys.argv else 200_000))
SIZE = 256
ROUNDS = 3
LOAD = os.environ["MQTT_LOAD"]


class QuietMosquitto(mosquitto.Mosquitto):
    """Without a log line for every packet. inflight: its max_inflight_messages; 0: no limit but the client's own."""

    def __init__(self, inflight=0):
        self._inflight = inflight
        super().__init__()

    def _write_configuration(self, tls, password, settings):
        super()._write_configuration(tls, password, settings)
        with open(self._configuration, encoding="utf-8") as conf:
            lines = conf.read().splitlines()
        lines = ["log_type error" if line == "log_type all" else line for line in lines]
        lines = [f"max_inflight_messages {self._inflight}" if line.startswith("max_inflight") else line
                 for line in lines]
        lines = ["persistence false" if line == "persistence true" else line for line in lines]
        lines.insert(0, "set_tcp_nodelay true")
        with open(self._configuration, "w", encoding="utf-8") as conf:
            conf.write("\n".join(lines) + "\n")


def load(*arguments):
    return subprocess.run([LOAD, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def configuration(broker, sink, qos=1):
    return f"""
        connections:
          plant: {{type: mqtt, url: "mqtt://127.0.0.1:{broker.port}", version: 5, client_id: bench-linkspan}}
          {sink}
        mappings:
          - name: bench
            from: {{connection: plant, topic: "bench/+", qos: {qos}}}
            to: {{connection: lake, topic: bench}}
    """


def dead_kafka():
    return f'lake: {{type: kafka, brokers: ["127.0.0.1:{free_port()}"], outbox: {{max_bytes: 4GiB}}}}'


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(bridge, who, name):
    """The newest status line of a source or destination, asked for now."""
    seen = bridge.mark("status", **{who: name})
    bridge.signal(signal.SIGUSR1)
    return bridge.wait_event("status", more_than=seen, **{who: name})


def drain_by_linkspan(bridge, who, name, field):
    """(messages a second, CPU microseconds a message) between the first and the last tenth."""
    points = []
    while not points or points[-1][1] < MESSAGES:
        count = int(status(bridge, who, name)[field])
        points.append((time.monotonic(), count, cpu_seconds(bridge.pid)))
    inner = [p for p in points if MESSAGES / 10 <= p[1] <= MESSAGES * 9 / 10]
    if len(inner) < 2:
        inner = [p for p in points if p[1] > 0][:1] + points[-1:]
    (began, first, cpu_began), (ended, last, cpu_ended) = inner[0], inner[-1]
    return (last - first) / (ended - began), (cpu_ended - cpu_began) / (last - first) * 1e6


def measure(name, sink_of, who, whose, field, qos=1):
    ratios, rates, cpus = [], [], []
    inflight = 256 if qos == 2 else 0
    broker = QuietMosquitto(inflight)
    sink = sink_of()
    for _ in range(ROUNDS):
        load("session", broker.port, "bench-discard", "bench/+", qos)
        load("publish", broker.port, "bench/#", MESSAGES, SIZE, qos)
        seconds, _cpu = map(float, load("drain", broker.port, "bench-discard", MESSAGES).split())
        discarding = MESSAGES * 0.8 / seconds
        subprocess.run(["mosquitto_sub", "-p", str(broker.port), "-V", "5", "-i", "bench-discard", "-x", "0", "-E", "-t",
                        "none"], check=True, capture_output=True)

        bridge = Linkspan(configuration(broker, sink, qos), wait_up=False)
        bridge.wait_event("link_up", connection="plant")
        status(bridge, "source", "plant")
        bridge.stop()
        load("publish", broker.port, "bench/#", MESSAGES, SIZE, qos)
        bridge.start(wait_up=False)
        bridge.wait_event("started")
        rate, cpu_us = drain_by_linkspan(bridge, who, whose, field)
        bridge.kill()
        print(f"# linkspan {rate:.0f}/s, discarding subscriber {discarding:.0f}/s, {cpu_us:.2f} us CPU a message")
        rates.append(rate)
        ratios.append(rate / discarding)
        cpus.append(cpu_us)
    broker.stop()
    print(f"bench {name} per_second={statistics.median(rates):.0f} ratio={statistics.median(ratios):.2f} "
          f"cpu_us={statistics.median(cpus):.2f} max_inflight_messages={inflight} receive_maximum=256")


def real_kafka():
    kafka = fixtures.shared_kafka()
    return f'lake: {{type: kafka, brokers: ["{kafka.brokers}"], outbox: {{max_bytes: 4GiB}}}}'


def footprint():
    broker = QuietMosquitto()
    bridge = Linkspan(configuration(broker, dead_kafka()), wait_up=False)
    bridge.wait_event("link_up", connection="plant")
    status(bridge, "source", "plant")
    idle = bridge.anonymous_kib()
    total = 0
    while total < 1_000_000:
        load("publish", broker.port, "bench/#", MESSAGES, 100, 1)
        total += MESSAGES
        until(lambda: int(status(bridge, "source", "plant")["taken"]) >= total, f"{total} messages taken")
    waiting = status(bridge, "destination", "lake")
    kib = bridge.anonymous_kib()
    bridge.kill()
    broker.stop()
    print(f"# waiting={waiting['waiting']} waiting_bytes={waiting['waiting_bytes']}")
    print(f"bench footprint idle_mib={idle / 1024:.1f} waiting_mib={kib / 1024:.1f}")


if __name__ == "__main__":
    fixtures.need_mosquitto()
    if sys.argv[1] == "mqtt-qos1":
        measure("mqtt-qos1", dead_kafka, "source", "plant", "taken")
    elif sys.argv[1] == "mqtt-qos2":
        measure("mqtt-qos2", dead_kafka, "source", "plant", "taken", qos=2)
    elif sys.argv[1] == "mqtt-to-kafka":
        measure("mqtt-to-kafka", real_kafka, "destination", "lake", "delivered")
    else:
        footprint()
