# SPDX-License-Identifier: Apache-2.0
"""http-in: POSTs of 200 bytes over 64 connections that are answered once they are durable, beside a bare libmicrohttpd
program that suspends, resumes and keeps nothing; in turns, the ratio is the median of the rounds' ratios. The destination
is away, so that only the way in is measured. p99 at half of that load, counted from when a request was due, the median of as
many rounds; beside it what the bare program takes for as many: on a machine that stands still now and then, both do. Called by
run.sh.
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
from rig.wait import free_port, listening, until  # noqa: E402

CONNECTIONS, SIZE = 64, 200
ROUNDS = int(os.environ.get("ROUNDS", 3))
SECONDS = int(os.environ.get("SECONDS_A_ROUND", 5))
PATH = "/hooks/a/b"


def load(port, seconds, *rate):
    """(requests a second, p50 us, p99 us)"""
    words = [os.environ["HTTP_LOAD"], port, PATH, CONNECTIONS, seconds, SIZE, *rate]
    done = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def bare(*rate):
    """As load, of the bare program."""
    port = free_port()
    with subprocess.Popen([os.environ["HTTP_IN_BARE"], str(port)], stdin=subprocess.PIPE) as program:
        until(lambda: listening(port), "the bare program to listen")
        load(port, 1)
        seen = load(port, SECONDS, *rate)
        program.stdin.close()
    return seen


def figures(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    return {name: sum(float(v) for v in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)", text, re.M))
            for name in ("linkspan_journal_groups_total", "linkspan_journal_appended_messages_total")}


def configuration(port, admin):
    return yaml.configuration(
        [yaml.http("api", listen=[f"127.0.0.1:{port}"]),
         yaml.mqtt("away", free_port(), outbox={"max_bytes": "8GiB", "max_messages": 100000000})],
        [yaml.mapping("in", {"connection": "api", "topic": "/hooks/{service}/#"}, {"connection": "away", "topic": "x"})],
        admin={"listen": [f"127.0.0.1:{admin}"]})


def linkspan():
    """(requests a second, requests per fdatasync, the process)"""
    port, admin = free_port(), free_port()
    bridge = Linkspan(configuration(port, admin), wait_up=["api"])
    load(port, 1)
    before = figures(admin)
    rate = load(port, SECONDS)[0]
    after = figures(admin)
    messages, groups = (after[name] - before[name] for name in
                        ("linkspan_journal_appended_messages_total", "linkspan_journal_groups_total"))
    return rate, messages / groups, port, bridge


def main():
    rates, ratios, groups = [], [], []
    bridge = port = None
    for _ in range(ROUNDS):
        if bridge:
            bridge.kill()
        kept_nothing = bare()[0]
        rate, per_fsync, port, bridge = linkspan()
        print(f"# linkspan {rate:.0f}/s with {per_fsync:.1f} requests per fdatasync, bare {kept_nothing:.0f}/s")
        rates.append(rate)
        ratios.append(rate / kept_nothing)
        groups.append(per_fsync)
    half = statistics.median(rates) / 2
    paced, alone = [], []
    for _ in range(ROUNDS):
        paced.append(load(port, SECONDS, int(half)))
        alone.append(bare(int(half)))
        print(f"# at {half:.0f}/s: p50 {paced[-1][1] / 1000:.2f} ms, p99 {paced[-1][2] / 1000:.2f} ms, "
              f"bare {alone[-1][1] / 1000:.2f} ms and {alone[-1][2] / 1000:.2f} ms", flush=True)
    bridge.kill()
    p99, p99_alone = (statistics.median(seen[2] for seen in rounds) for rounds in (paced, alone))
    print(f"bench http-in per_second={statistics.median(rates):.0f} ratio={statistics.median(ratios):.2f} "
          f"requests_per_fsync={statistics.median(groups):.1f} p99_ms={p99 / 1000:.2f} "
          f"p99_ms_alone={p99_alone / 1000:.2f}")


main()
