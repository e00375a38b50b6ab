# SPDX-License-Identifier: Apache-2.0
"""See outbox.sh."""
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

from rig import check, tap, yaml  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan, program  # noqa: E402  pylint: disable=wrong-import-position
from rig.fixtures import own_mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.mqtt import Publisher as PlainPublisher  # noqa: E402  pylint: disable=wrong-import-position
from rig.proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Publisher, Subscriber, settle  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import until  # noqa: E402  pylint: disable=wrong-import-position

KEYS, WINDOW, RATE = 4, 100, 800
SIZE, LARGE, SIZE_LIMIT = 600, 1200, 1000  # one in ten is large, too large for the broker of `picky`
LIMIT = 400  # messages
NOT_DURABLE = 400  # messages that were delivered and wait again after a kill, at most
MOST_UNDERWAY = 5000  # published and not yet delivered by `block`
# max_queued_messages 0, "no limit", would make mosquitto hang up after each message that it finds too large.
BROKER = ("max_inflight_messages 60000", "max_queued_messages 1000000", "max_queued_bytes 0", "log_type error",
          "log_type warning")
ENDS = ("delivered", "expired", "dropped_oldest", "dropped_newest", "dead_lettered", "purged", "lost")
STEPS = ("_overflow_", "_unlink", "_segment_header_", "_group_", "_dead_", "_spare_")
OTHER_STEPS = ("_id_", "_dead_re")  # of a new data folder; of linkspan queue


def large(seq):
    return seq % 10 == 0


def size_of(seq):
    return LARGE if large(seq) else SIZE


class Destination:
    """One with its policy, its link, and what its subscriber got."""

    def __init__(self, name, end, up, most=None, **outbox):
        """end: how messages end there, but for delivered; up: how often its link is; most: that may ever wait."""
        self.name, self.end, self.up, self.most, self.outbox = name, end, up, most, outbox
        self.proxy = None
        self.got, self.faults = set(), []
        self.letters = []
        self._last = {}

    def take(self, payload):
        key, seq = check.parse(payload)
        if payload != check.numbered(key, seq, size_of(seq)):
            self.faults.append(f"{self.name}: {key} {seq} is not what was sent")
        if (key, seq) in self.got:
            self.faults.append(f"{self.name}: {key} {seq} came again")
        elif seq < self._last.get(key, 0):
            self.faults.append(f"{self.name}: {key} {seq} came after {self._last[key]}")
        self.got.add((key, seq))
        self._last[key] = max(seq, self._last.get(key, 0))

    def judge(self, sent, totals):
        """What is not as the totals say."""
        everything = {(key, seq) for key, n in sent.items() for seq in range(1, n + 1)}
        dead = set(self.letters)
        gone = everything - self.got
        allowed = {"delivered", self.end}
        expected = {"offered": len(everything), "waiting": 0, "delivered": len(self.got),
                    **{end: 0 for end in ENDS if end not in allowed}}
        if self.end:
            expected[self.end] = len(gone)
        wrong = [f"{self.name}: {what} is {totals[what]}, but {n} by what came and what was sent"
                 for what, n in expected.items() if totals[what] != n]
        if (self.got | dead) - everything:
            wrong.append(f"{self.name}: messages that nobody sent")
        if self.end == "dead_lettered" and gone - dead:
            wrong.append(f"{self.name}: {len(gone - dead)} neither came nor are dead letters")
        if self.end != "dead_lettered" and dead:
            wrong.append(f"{self.name}: {len(dead)} dead letters")
        if self.end and not gone:
            wrong.append(f"{self.name}: its limit was never reached")
        return wrong


def destinations():
    return [
        Destination("block", None, 0.7, most=LIMIT + NOT_DURABLE, max_messages=LIMIT, when_full="block"),
        Destination("oldest", "dropped_oldest", 0.4, most=LIMIT + 1024 + NOT_DURABLE, max_messages=LIMIT,
                    when_full="drop_oldest"),
        Destination("newest", "dropped_newest", 0.4, max_bytes="256KiB", when_full="drop_newest"),
        Destination("dead", "dead_lettered", 0.4, max_messages=LIMIT, when_full="dead_letter"),
        Destination("ttl", "expired", 0.4, ttl="1s"),
        Destination("picky", "dead_lettered", 0.6, max_attempts=3),
    ]


def configuration(source, ends):
    common = {"keep_alive": "1s", "ack_timeout": "5s", "max_in_flight": WINDOW, "reconnect_max": "100ms"}
    connections = [yaml.mqtt("source", source.port, receive_maximum=WINDOW, session_expiry="1h", **common)]
    connections += [yaml.mqtt(d.name, d.proxy.port, session_expiry="1h", outbox=d.outbox, **common) for d in ends]
    mapping = yaml.mapping("all", {"connection": "source", "topic": "in/{k}", "qos": 2},
                           *({"connection": d.name, "topic": f"{d.name}/{{k}}", "qos": 2} for d in ends))
    return yaml.configuration(connections, [mapping], journal={"segment_size": "1MiB", "max_size": "3MiB"},
                              shutdown_timeout="5s")


def queue(*arguments):
    done = subprocess.run([program(), "queue", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise AssertionError(f"queue {arguments} ended with {done.returncode}: {done.stderr}")
    return done.stdout


class Campaign:
    """All that runs. What is wrong gathers in `wrong`."""

    def __init__(self, resources, dice):
        self.dice = dice
        self.ends = destinations()
        self.kills = self.stops = 0
        self.wrong = []
        self._after = "the start"
        self._lost = {}  # destination → how many linkspan has said so far
        self._ended = threading.Semaphore(0)
        main = resources.enter_context(own_mosquitto(settings=BROKER, in_memory=True))
        small = resources.enter_context(own_mosquitto(settings=(*BROKER, f"message_size_limit {SIZE_LIMIT}"),
                                                      in_memory=True))
        self.brokers = (main, small)
        for d in self.ends:
            d.proxy = resources.enter_context(Proxy((small if d.name == "picky" else main).port, settle))
        # Between linkspan and its source too: see settle.
        source = resources.enter_context(Proxy(main.port, settle))
        self.subscribers = [
            resources.enter_context(Subscriber(broker.port, [*(f"{d.name}/#" for d in self.ends), "end"], "subscriber",
                                               self._take)) for broker in self.brokers]
        self._by_name = {d.name: d for d in self.ends}
        self.bridge = resources.enter_context(Linkspan(configuration(source, self.ends)))
        self.publisher = resources.enter_context(
            Publisher(main.port, "in", "publisher", keys=KEYS, rate=RATE, size=size_of, window=WINDOW,
                      may_go_on=lambda total: total - len(self._by_name["block"].got) < MOST_UNDERWAY))

    def _take(self, topic, payload):
        if topic == "end":
            self._ended.release()
        else:
            self._by_name[topic.split("/")[0]].take(payload)

    # --- what linkspan says

    def totals(self):
        """{destination: totals}, fresh. They must add up, at every moment."""
        names = {d.name for d in self.ends}
        before = self.bridge.mark("totals")
        self.bridge.signal(signal.SIGUSR1)

        def fresh():
            if not self.bridge.running():
                raise AssertionError(f"linkspan ended by itself with {self.bridge.wait()}")
            said = {e["destination"]: e for e in self.bridge.events("totals")[before:]}
            return said if set(said) == names else None
        return self._add_up(until(fresh, "totals"), "SIGUSR1")

    def totals_on_disk(self):
        """The same of the files that a killed or stopped linkspan has left."""
        rows = json.loads(queue("ls", self.bridge.data_dir, "--json"))["destinations"]
        for row in rows:
            row["offered"] = row["waiting"] + sum(int(row[end]) for end in ENDS)
        return self._add_up({row["name"]: row for row in rows}, "queue ls")

    def _add_up(self, said, where):
        result = {name: {key: int(row[key]) for key in ("offered", "waiting", *ENDS)} for name, row in said.items()}
        for d in self.ends:
            totals = result[d.name]
            if totals["offered"] != totals["waiting"] + sum(totals[end] for end in ENDS):
                self.wrong.append(f"{d.name}: does not add up after {self._after} ({where}): {totals}")
            if totals["lost"] > self._lost.get(d.name, 0) or totals["offered"] > self.publisher.total:
                self._lost[d.name] = totals["lost"]
                self.wrong.append(f"{d.name}: impossible after {self._after} ({where}): {totals}")
            if d.most and totals["waiting"] > d.most:
                self.wrong.append(f"{d.name}: {totals['waiting']} wait after {self._after}, {d.most} may")
        if len({totals["offered"] for totals in result.values()}) > 1:
            self.wrong.append(f"one message for some destinations only after {self._after} ({where}): " +
                              " ".join(f"{name}={totals['offered']}" for name, totals in result.items()))
        return result

    # --- what happens

    def links(self, block=False):
        """Some are there and the others are not."""
        for d in self.ends:
            if self.dice.random() < d.up or (block and d.name == "block"):
                d.proxy.forward()
            else:
                d.proxy.down()

    def arrived(self):
        return sum(len(d.got) for d in self.ends)

    def flow(self, messages):
        """Until so many have arrived, or the source has to wait."""
        before = self.arrived()

        def moves():
            return (not self.bridge.running() or self.arrived() >= before + messages or
                    self.bridge.events("source_paused"))
        until(moves, "messages to flow or the source to be paused")

    def kill(self):
        self.bridge.kill()
        self.kills += 1
        self._after = f"kill {self.kills}"

    def stop(self):
        """Cleanly; the next start finds what the stop has left."""
        self.bridge.wait_event("started")
        if self.bridge.stop() != 0:
            raise AssertionError("a clean stop failed")
        self.stops += 1
        left = self.totals_on_disk()
        if self.totals_on_disk() != left:
            self.wrong.append("a look at the files changed the totals")

    def at_random(self, n):
        """A third of the kills hit the start-up and recovery, the others the flow."""
        for number in range(1, n + 1):
            self.links()
            if number % 10 == 5:
                self.bridge.start(wait_up=False)
                self.stop()
            if not self.bridge.running():
                self.bridge.start(wait_up=False)
            if number % 3:
                self.bridge.wait_event("started")
                self.flow(300)
                self.totals()
            time.sleep(self.dice.uniform(0, 0.8))  # the random moment is the test
            if not self.bridge.running():
                raise AssertionError(f"linkspan ended by itself with {self.bridge.wait()}")
            self.kill()
            if number % 4 == 0:
                self.totals_on_disk()
            if number % 20 == 0:
                print(f"# {number} kills, {self.publisher.total} sent, {self.arrived()} arrived", flush=True)

    def at_fail_points(self, passes):
        listed = subprocess.run([program(), "run", "--list-failpoints"], check=True, capture_output=True, text=True)
        names = [name for name in listed.stdout.split() if any(step in name for step in STEPS) and
                 not any(step in name for step in OTHER_STEPS)]
        self.dice.shuffle(names)  # each meets another state of the journal in each run
        self.bridge.kill()
        # A spare is not made in each run, and what is made depends on what is away.
        reached = {(name, nth) for name in names for nth in range(1, passes + 1)
                   if any(self._at_fail_point(name, nth) for _ in range(3))}
        print(f"# {len(reached)} of {len(names) * passes} steps reached", flush=True)
        never = [name for name in names if not any((name, nth) in reached for nth in range(1, passes + 1))]
        if never:
            self.wrong.append(f"never reached: {' '.join(never)}")

    def _at_fail_point(self, name, nth):
        """True if it was reached, with the source never stopped for long; at the latest in a clean stop."""
        self.links(block=True)
        self.bridge.start(env={"LINKSPAN_FAILPOINT": f"{name}:{nth}"}, wait_up=False)
        block, before = self._by_name["block"], len(self._by_name["block"].got)
        until(lambda: not self.bridge.running() or len(block.got) >= before + 4000, f"{name}:{nth} or messages")
        status = self.bridge.stop() if self.bridge.running() else self.bridge.wait()
        if status not in (0, -9):
            raise AssertionError(f"linkspan ended with {status} on the way to {name}:{nth}")
        self.kills += status == -9
        self.stops += status == 0
        self._after = f"{name}:{nth}"
        self.totals_on_disk()
        return status == -9

    def finish(self):
        """Everybody is there, nothing waits. What has become of all of it."""
        for d in self.ends:
            d.proxy.forward()
        if not self.bridge.running():
            self.bridge.start()
        sent = self.publisher.stop()

        def drained():
            totals = self.totals()
            done = all(t["waiting"] == 0 and t["offered"] >= sum(sent.values()) for t in totals.values())
            return totals if done else None
        totals = until(drained, lambda: f"an empty outbox: {self.totals()}", poll_s=0.1)
        if self.bridge.stop() != 0:
            raise AssertionError("the last stop was not clean")
        if self.totals_on_disk() != totals:
            self.wrong.append("what is on disk differs from what the daemon said last")
        for broker in self.brokers:  # behind all that linkspan has brought
            with PlainPublisher(broker.port) as publisher:
                publisher.publish("end", b"", 2)
                publisher.wait()
            if not self._ended.acquire(timeout=60):  # pylint: disable=consider-using-with
                raise AssertionError("the last message does not come")
        for d in self.ends:
            lines = queue("export", self.bridge.data_dir, d.name, "--dead").splitlines()
            d.letters = [check.parse(json.loads(line)["payload"].encode()) for line in lines]
        return sent, totals

    def judge(self, sent, totals):
        for d in self.ends:
            self.wrong += d.judge(sent, totals[d.name])
            again = len(d.letters) - len(set(d.letters))
            print(f"# {d.name}: " + " ".join(f"{key}={n}" for key, n in totals[d.name].items() if n) +
                  f" arrived={len(d.got)} letters={len(d.letters)} twice={again}"
                  f" of_delivered={len(set(d.letters) & d.got)}")
        picky = self._by_name["picky"]
        wrong = [one for one in picky.got if large(one[1])] + [one for one in picky.letters if not large(one[1])]
        if wrong:
            self.wrong.append(f"picky: {len(wrong)} came that are too large, or died that are not")
        for event in ("source_paused", "journal_spilled"):
            happened = len(self.bridge.events(event, whole=True))
            print(f"# {event} {happened} times")
            if not happened:
                self.wrong.append(f"no {event}: its limit was never reached")

    def faults(self):
        clients = [self.publisher, *self.subscribers]
        found = [fault for d in self.ends for fault in d.faults[:5]] + [fault for c in clients for fault in c.faults]
        found += [f"{c.client_id}: session lost" for c in clients if c.sessions_lost]
        found += [f"linkspan: {e}" for e in self.bridge.events("mqtt_session_lost", whole=True)]
        return self.wrong + found


def run(mode, n, seed):
    with contextlib.ExitStack() as resources:
        campaign = Campaign(resources, random.Random(seed))
        totals = {}
        try:
            campaign.flow(1)
            if mode == "failpoints":
                campaign.at_fail_points(n)
            else:
                campaign.at_random(n)
            sent, totals = campaign.finish()
            campaign.judge(sent, totals)
        except AssertionError as error:
            campaign.wrong.append(str(error))
            print("\n".join(f"# {line}" for line in campaign.bridge.log_lines()[-30:]))
        return report(mode, campaign, totals, seed)


def report(mode, campaign, totals, seed):
    faults = campaign.faults()
    for fault in faults[:20]:
        print(f"# {fault}")

    def total(what):
        return sum(t[what] for t in totals.values())
    print(f"outbox: {'FAILED' if faults else 'ok'} mode={mode} kills={campaign.kills} stops={campaign.stops} "
          f"sent={campaign.publisher.total} offered={total('offered')} delivered={total('delivered')} "
          f"dropped={total('dropped_oldest') + total('dropped_newest')} expired={total('expired')} "
          f"dead={total('dead_lettered')} seed={seed}")
    return 1 if faults else 0


def main():
    arguments = sys.argv[1:]
    mode = "failpoints" if "failpoints" in arguments else "random"
    numbers = [int(a) for a in arguments if a.isdigit()]
    n = numbers[0] if numbers else (2 if mode == "failpoints" else 20)
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"# seed={seed}", flush=True)
    try:
        return run(mode, n, seed)
    except tap.Skip as skip:
        print(f"outbox: skipped: {skip}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
