# SPDX-License-Identifier: Apache-2.0
"""coap-in: confirmable POSTs of 200 bytes over UDP from 512 devices, each with one request under way, that are answered once
they are durable, beside a bare libcoap program that answers in its handler and keeps nothing; in turns, the ratio is the
median of the rounds' ratios. The destination is away, so that only the way in is measured. p99 at half of that load, counted
from when a request was due, the median of as many rounds. Each request's key is known for 247 s, so a round's must all find
room: journal.max_keys.

Then 2,500 sensors with DTLS and keys of their own send 900 requests a second: p50, p99, memory. Last, 10,000 observe one
value: how long after it was put have all of them the new one? Called by run.sh.
"""
import os
import re
import statistics
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from rig import yaml  # noqa: E402
from rig.daemon import Linkspan  # noqa: E402
from rig.process import temp_folder  # noqa: E402
from rig.wait import free_port  # noqa: E402

DEVICES, SIZE = 512, 200
ROUNDS = int(os.environ.get("ROUNDS", 3))
SECONDS = int(os.environ.get("SECONDS_A_ROUND", 5))
PATH = "/in/a/b"
SENSORS, SENSOR_RATE, SENSOR_SIZE, SENSOR_SECONDS = 2500, 900, 60, 20
OBSERVERS, NOTIFICATIONS = 10000, 5
KEY = "battery-powered"


def words_of(*arguments):
    return [str(word) for word in arguments]


def load(port, seconds, *rate):
    """(requests a second, p50 us, p99 us, how many were sent again)"""
    done = subprocess.run(words_of(os.environ["COAP_LOAD"], port, PATH, DEVICES, seconds, SIZE, *rate), check=True,
                          stdout=subprocess.PIPE, text=True)
    return [float(number) for number in done.stdout.split()]


def bare():
    port = free_port()
    with subprocess.Popen([os.environ["COAP_IN_BARE"], str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        load(port, 1)
        rate = load(port, SECONDS)[0]
        program.stdin.close()
    return rate


def figures(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    return {name: sum(float(v) for v in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)", text, re.M))
            for name in ("linkspan_journal_groups_total", "linkspan_journal_appended_messages_total")}


def bridge_at(listen, admin=None, values=False, **keys):
    connections = [yaml.coap("devices", listen=[listen], **keys)]
    mappings = []
    if values:
        mappings.append(yaml.mapping("values", {"connection": "devices", "topic": "/in/{name}"},
                                     {"connection": "devices", "path": "/state/{name}"}))
    else:
        connections.append(yaml.mqtt("away", free_port(), outbox={"max_bytes": "8GiB", "max_messages": 100000000}))
        mappings.append(yaml.mapping("in", {"connection": "devices", "topic": "/in/{name}/#"},
                                     {"connection": "away", "topic": "x"}))
    return Linkspan(yaml.configuration(connections, mappings, journal={"segment_size": "256MiB", "max_keys": 1000000},
                                       **({"admin": {"listen": [f"127.0.0.1:{admin}"]}} if admin else {})),
                    wait_up=["devices"])


def fresh():
    """(port, port of the figures, a linkspan that has had a second of load)"""
    port, admin = free_port(), free_port()
    bridge = bridge_at(f"coap://127.0.0.1:{port}", admin)
    load(port, 1)
    return port, admin, bridge


def durable():
    """(requests a second, requests per fdatasync, how many were sent again)"""
    port, admin, bridge = fresh()
    before = figures(admin)
    rate, _, _, again = load(port, SECONDS)
    after = figures(admin)
    bridge.kill()
    messages, groups = (after[name] - before[name] for name in
                        ("linkspan_journal_appended_messages_total", "linkspan_journal_groups_total"))
    return rate, messages / groups, again


def paced(rate):
    """p99 in us"""
    port, _, bridge = fresh()
    _, p50, p99, again = load(port, SECONDS, rate)
    bridge.kill()
    print(f"# at {rate}/s: p50 {p50 / 1000:.2f} ms, p99 {p99 / 1000:.2f} ms, {again:.0f} sent again", flush=True)
    return p99


def key_file():
    path = os.path.join(temp_folder("keys"), "keys")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
        out.writelines(f'sensor-{number}: "{KEY}"\n' for number in range(SENSORS))
    return path


def sensors():
    """p50 and p99 in ms, MiB before and with them, how many were sent again."""
    port = free_port()
    with bridge_at(f"coaps://127.0.0.1:{port}", psk={"file": key_file()}, limits={"max_sessions": SENSORS + 100}) as bridge:
        idle_kib = bridge.anonymous_kib()
        command = words_of(os.environ["COAP_SWARM"], port, PATH, SENSORS, SENSOR_SECONDS, SENSOR_SIZE, SENSOR_RATE, KEY)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as swarm:
            handshakes_s = float(swarm.stdout.readline().split()[1])
            swarm.stdin.write("\n")
            swarm.stdin.flush()
            rate, p50, p99, again = [float(number) for number in swarm.stdout.readline().split()]
            with_kib = bridge.anonymous_kib()
            swarm.stdin.close()
    print(f"# {SENSORS} sensors shook hands in {handshakes_s:.1f} s; {rate:.0f}/s: p50 {p50 / 1000:.2f} ms, "
          f"p99 {p99 / 1000:.2f} ms, {again:.0f} sent again, {idle_kib >> 10} MiB before, {with_kib >> 10} MiB with them")
    return p50 / 1000, p99 / 1000, with_kib - idle_kib


def observers():
    """Milliseconds until all have a new value, the median; KiB for them."""
    port = free_port()
    with bridge_at(f"coap://127.0.0.1:{port}", values=True) as bridge:
        idle_kib = bridge.anonymous_kib()
        command = words_of(os.environ["COAP_OBSERVERS"], port, "/state/x", "/in/x", OBSERVERS, NOTIFICATIONS)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            print(f"# {OBSERVERS} observers {program.stdout.readline().strip()} s")
            seen = []
            for _ in range(NOTIFICATIONS):
                program.stdin.write("\n")
                program.stdin.flush()
                seen.append([float(word) for word in program.stdout.readline().split()[1:]])
                print("# notified the first after {:.1f} ms, half after {:.1f} ms, all after {:.1f} ms".format(*seen[-1]))
            with_kib = bridge.anonymous_kib()
    return statistics.median(last for _, _, last in seen), with_kib - idle_kib


def main():
    rates, ratios, groups = [], [], []
    for _ in range(ROUNDS):
        kept_nothing = bare()
        rate, per_fsync, again = durable()
        print(f"# linkspan {rate:.0f}/s with {per_fsync:.1f} requests per fdatasync, {again:.0f} sent again, "
              f"bare {kept_nothing:.0f}/s", flush=True)
        rates.append(rate)
        ratios.append(rate / kept_nothing)
        groups.append(per_fsync)
    half = statistics.median(rates) / 2
    p99 = statistics.median(paced(int(half)) for _ in range(ROUNDS))
    dtls_p50, dtls_p99, dtls_kib = sensors()
    notify_ms, observers_kib = observers()
    print(f"bench coap-in per_second={statistics.median(rates):.0f} ratio={statistics.median(ratios):.2f} "
          f"requests_per_fsync={statistics.median(groups):.1f} p99_ms={p99 / 1000:.2f} dtls_p50_ms={dtls_p50:.2f} "
          f"dtls_p99_ms={dtls_p99:.2f} dtls_mib={dtls_kib / 1024:.1f} notify_all_ms={notify_ms:.1f} "
          f"observers_mib={observers_kib / 1024:.1f}")


main()
