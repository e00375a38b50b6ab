# SPDX-License-Identifier: Apache-2.0
"""The benchmark http-out. Called by run.sh.

A journal with MESSAGES waiting is filled once (`linkspan queue import`, the destination paused), and each round begins with a
copy of it. The clock runs from `queue resume`, with the link up, until linkspan says that nothing waits and has stopped
cleanly: then each DONE is durable. Beside it, in turns, libcurl alone (http_bare.c) posts as many bodies of the same size to
the same receiver, with as many requests under way. What is printed are the medians of the rounds.

Then messages come by MQTT with half of what that rate is, but not faster than the broker beside it lets them: how old is the
99th percentile when the receiver has it? Beside it what the same messages took through the broker alone, to a subscriber that
acknowledges at once: on a machine that stands still now and then, both wait.

The bare sender is curl_multi_perform and curl_multi_poll as libcurl's examples have them: one thread, as many connections, kept
alive, headers and body of the same length. The receiver runs beside it and has a third of a core's work to do for either.
"""
import json
import os
import re
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
SIZE, KEYS, UNDER_WAY = 200, 1000, 64
MOST_RATE, LATENCY_S = 5000, 5
BARE, LOAD = os.environ["HTTP_BARE"], os.environ["MQTT_LOAD"]


class Receiver:
    def __init__(self):
        self._process = subprocess.Popen([BARE, "receive"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/hooks"

    def ask(self):
        """(requests answered, 99th percentile in milliseconds)"""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answered, age = self._process.stdout.readline().split()
        return int(answered), float(age)

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


def hook_ls(bridge):
    return json.loads(queue(bridge, "ls", "hook", "--json"))["destinations"][0]


def waiting(bridge):
    """Asked by SIGUSR1, without starting a program for it."""
    before = os.path.getsize(bridge.log_path)
    bridge.signal(signal.SIGUSR1)
    while True:
        with open(bridge.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(before)
            found = re.search(r"event=status request=\d+ destination=hook .*\bwaiting=(\d+)", log.read())
        if found:
            return int(found.group(1))
        assert bridge.running(), bridge.log_path
        time.sleep(0.005)


def configuration(url, port=None, **keys):
    return yaml.configuration(
        [yaml.mqtt("plant", port or free_port()),
         yaml._connection("hook", {"type": "http", "url": url, "concurrency": UNDER_WAY,  # pylint: disable=protected-access
                                   "outbox": {"max_bytes": "64GiB"}, **keys})],
        [yaml.mapping("bench", {"connection": "plant", "topic": "bench/+", "qos": 1},
                      {"connection": "hook"}, max_hops=0)])


def messages():
    """As `linkspan queue import` takes them, in pieces."""
    rest = "x" * (SIZE - 10)
    for begin in range(0, MESSAGES, 1000):
        lines = []
        for n in range(begin, min(begin + 1000, MESSAGES)):
            lines.append(f'{{"topic":"","order_key":"key-{n % KEYS:04}","qos":1,"payload":"{n:010}{rest}"}}\n')
        yield "".join(lines).encode()


def fill(url):
    """A data folder with all of it waiting, and the destination paused."""
    bridge = Linkspan(configuration(url), wait_up=False)
    bridge.wait_event("started")
    queue(bridge, "pause", "hook")
    with subprocess.Popen([program(), "queue", "import", bridge.path, "--to", "hook"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as feeding:
        for piece in messages():
            feeding.stdin.write(piece)
        feeding.stdin.close()
    bridge.stop()
    assert feeding.returncode == 0 and hook_ls(bridge)["waiting"] == MESSAGES, hook_ls(bridge)
    return bridge.data_dir


def by_linkspan(receiver, filled):
    """(messages a second, CPU microseconds a message)"""
    bridge = Linkspan(configuration(receiver.url), start=False)
    shutil.copytree(filled, bridge.data_dir, ignore=lambda *_: ["control", "lock"])
    bridge.start(wait_up=["hook"])
    answered, _ = receiver.ask()
    cpu, began = cpu_seconds(bridge.pid), time.monotonic()
    queue(bridge, "resume", "hook")
    while waiting(bridge):
        time.sleep(0.05)
    cpu = cpu_seconds(bridge.pid) - cpu
    bridge.stop()
    ended = time.monotonic()
    left = hook_ls(bridge)
    assert left["waiting"] == 0 and left["delivered"] == MESSAGES, left
    assert receiver.ask()[0] - answered == MESSAGES, "each was to arrive once"
    shutil.rmtree(bridge.folder)
    return MESSAGES / (ended - began), cpu / MESSAGES * 1e6


def alone(receiver):
    done = subprocess.run([BARE, "send", receiver.url, str(MESSAGES), str(UNDER_WAY), str(SIZE)], check=True,
                          stdout=subprocess.PIPE, text=True)
    seconds, cpu = map(float, done.stdout.split())
    return MESSAGES / seconds, cpu / MESSAGES * 1e6


def latency(receiver, per_second):
    """(rate, the 99th percentile in milliseconds of what comes by MQTT and goes out by HTTP, that of the broker alone)"""
    broker = fixtures.shared_mosquitto()
    rate = min(MOST_RATE, int(per_second / 2))
    count = rate * LATENCY_S
    with Linkspan(configuration(receiver.url, broker.port, order="none")) as bridge:
        receiver.ask()
        done = subprocess.run([LOAD, "round", str(broker.port), "bench/x", "bench/x", str(rate), str(count)], check=True,
                              stdout=subprocess.PIPE, text=True)
        while waiting(bridge):
            time.sleep(0.05)
        _, age_ms = receiver.ask()
        bridge.stop()
    return rate, age_ms, float(done.stdout.split()[1]) / 1000


def main():
    receiver = Receiver()
    filled = fill(receiver.url)
    turns = {"linkspan": lambda: by_linkspan(receiver, filled), "alone": lambda: alone(receiver)}
    seen = {kind: [] for kind in turns}
    for _ in range(ROUNDS):
        for kind, turn in turns.items():
            seen[kind].append(turn())
            rate, cpu = seen[kind][-1]
            print(f"# http-out {kind}: {rate:.0f}/s, {cpu:.2f} us CPU a message", flush=True)
    rates = {kind: statistics.median(rate for rate, _ in seen[kind]) for kind in turns}
    cpus = {kind: statistics.median(cpu for _, cpu in seen[kind]) for kind in turns}
    ratio = statistics.median(ours / bare for (ours, _), (bare, _) in zip(seen["linkspan"], seen["alone"]))
    rate, p99_ms, broker_ms = latency(receiver, rates["linkspan"])
    receiver.close()
    print(f"bench http-out per_second={rates['linkspan']:.0f} ratio={ratio:.2f} p99_ms={p99_ms:.2f} p99_ms_broker={broker_ms:.2f} p99_at={rate} "
          f"per_second_alone={rates['alone']:.0f} cpu_us={cpus['linkspan']:.2f} cpu_us_alone={cpus['alone']:.2f}")


if __name__ == "__main__":
    main()
