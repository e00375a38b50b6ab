# SPDX-License-Identifier: Apache-2.0
"""The benchmark coap-out. Called by run.sh.

A journal with MESSAGES waiting for 64 devices is filled once (`linkspan queue import`, the destination paused), and each round
begins with a copy of it. The clock runs from `queue resume` until linkspan says that nothing waits and has stopped cleanly: then each DONE is
durable. Beside it, in turns, libcoap alone (coap_out_bare.c) sends as many confirmable PUTs of the same size to the same devices, one under way at each (NSTART 1). What is
printed are the medians of the rounds.

Then messages come by MQTT for one device with half of what one device at a time lets through, but at most 2,000 a second: how
old is the 99th percentile when the device has it?
"""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from rig import fixtures, yaml  # noqa: E402
from rig.daemon import Linkspan, program  # noqa: E402
from rig.wait import free_port  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", 200_000))
ROUNDS = int(os.environ.get("ROUNDS", 3))
SIZE, DEVICES = 200, 64
RATE, LATENCY_S = 2000, 5
SINK, BARE, LOAD = os.environ["COAP_SINK"], os.environ["COAP_OUT_BARE"], os.environ["MQTT_LOAD"]


class Devices:
    def __init__(self):
        self._process = subprocess.Popen([SINK, str(DEVICES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = [int(port) for port in self._process.stdout.readline().split()]

    def ask(self):
        """(requests answered, of them repeated, 99th percentile in milliseconds), since it was last asked."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answered, repeated, age = self._process.stdout.readline().split()
        return int(answered), int(repeated), float(age)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queue(bridge, *arguments):
    return subprocess.run([program(), "queue", arguments[0], bridge.path, *arguments[1:]], check=True, capture_output=True,
                          text=True).stdout


def devices_ls(bridge):
    return json.loads(queue(bridge, "ls", "devices", "--json"))["destinations"][0]


def waiting(bridge):
    """Asked by SIGUSR1, without starting a program for it."""
    seen = bridge.mark("status", destination="devices")
    bridge.signal(signal.SIGUSR1)
    return int(bridge.wait_event("status", more_than=seen, destination="devices")["waiting"])


def configuration(devices, port=None):
    """The URL of the connection is a device that gets nothing but what names no other."""
    return yaml.configuration(
        [yaml.mqtt("plant", port or free_port()),
         yaml.coap("devices", url=f"coap://127.0.0.1:{devices.ports[0]}", concurrency=DEVICES, allow_private=True,
                   outbox={"max_bytes": "64GiB"})],
        [yaml.mapping("bench", {"connection": "plant", "topic": "bench/+", "qos": 1},
                      {"connection": "devices", "path": "/x"}, max_hops=0)])


def messages(devices):
    """As `linkspan queue import` takes them, in pieces. Each device is a key: in order, one under way."""
    rest = "x" * (SIZE - 10)
    for begin in range(0, MESSAGES, 1000):
        lines = []
        for n in range(begin, min(begin + 1000, MESSAGES)):
            port = devices.ports[n % DEVICES]
            lines.append(f'{{"topic":"/x","order_key":"{port}","qos":1,"params":[["url","coap://127.0.0.1:{port}"]],'
                         f'"payload":"{n:010}{rest}"}}\n')
        yield "".join(lines).encode()


def fill(devices):
    """A data folder with all of it waiting, and the destination paused."""
    bridge = Linkspan(configuration(devices), wait_up=False)
    bridge.wait_event("started")
    queue(bridge, "pause", "devices")
    with subprocess.Popen([program(), "queue", "import", bridge.path, "--to", "devices"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as feeding:
        for piece in messages(devices):
            feeding.stdin.write(piece)
        feeding.stdin.close()
    bridge.stop()
    assert feeding.returncode == 0 and devices_ls(bridge)["waiting"] == MESSAGES, devices_ls(bridge)
    return bridge.data_dir


def by_linkspan(devices, filled):
    """(messages a second, CPU microseconds a message)"""
    bridge = Linkspan(configuration(devices), start=False)
    shutil.copytree(filled, bridge.data_dir, ignore=lambda *_: ["control", "lock"])
    bridge.start(wait_up=["devices"])
    devices.ask()
    cpu, began = cpu_seconds(bridge.pid), time.monotonic()
    queue(bridge, "resume", "devices")
    while waiting(bridge):
        time.sleep(0.05)
    cpu = cpu_seconds(bridge.pid) - cpu
    bridge.stop()
    ended = time.monotonic()
    left = devices_ls(bridge)
    assert left["waiting"] == 0 and left["delivered"] == MESSAGES, left
    answered, repeated, _ = devices.ask()
    assert answered - repeated == MESSAGES, f"each was to arrive once: {answered}, {repeated} repeated"
    shutil.rmtree(bridge.folder)
    return MESSAGES / (ended - began), cpu / MESSAGES * 1e6


def alone(devices):
    done = subprocess.run([BARE, str(MESSAGES), str(SIZE), *map(str, devices.ports)], check=True, stdout=subprocess.PIPE,
                          text=True)
    seconds, cpu = map(float, done.stdout.split())
    return MESSAGES / seconds, cpu / MESSAGES * 1e6


def latency(devices):
    """The 99th percentile in milliseconds of what comes by MQTT and goes to one device."""
    broker = fixtures.shared_mosquitto()
    with Linkspan(configuration(devices, broker.port)) as bridge:
        devices.ask()
        subprocess.run([LOAD, "round", str(broker.port), "bench/x", "bench/x", str(RATE), str(RATE * LATENCY_S)], check=True,
                       stdout=subprocess.DEVNULL)
        while waiting(bridge):
            time.sleep(0.05)
        age_ms = devices.ask()[2]
        bridge.stop()
    return age_ms


def main():
    devices = Devices()
    filled = fill(devices)
    turns = {"linkspan": lambda: by_linkspan(devices, filled), "alone": lambda: alone(devices)}
    seen = {kind: [] for kind in turns}
    for _ in range(ROUNDS):
        for kind, turn in turns.items():
            seen[kind].append(turn())
            rate, cpu = seen[kind][-1]
            print(f"# coap-out {kind}: {rate:.0f}/s, {cpu:.2f} us CPU a message", flush=True)
    rates = {kind: statistics.median(rate for rate, _ in seen[kind]) for kind in turns}
    cpus = {kind: statistics.median(cpu for _, cpu in seen[kind]) for kind in turns}
    ratio = statistics.median(ours / bare for (ours, _), (bare, _) in zip(seen["linkspan"], seen["alone"]))
    p99_ms = latency(devices)
    devices.close()
    print(f"bench coap-out per_second={rates['linkspan']:.0f} ratio={ratio:.2f} p99_ms={p99_ms:.2f} p99_at={RATE} "
          f"per_second_alone={rates['alone']:.0f} cpu_us={cpus['linkspan']:.2f} cpu_us_alone={cpus['alone']:.2f}")


if __name__ == "__main__":
    main()
