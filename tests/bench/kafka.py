# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of Kafka alone: kafka-out, kafka-in. Called by run.sh.

kafka-out: a journal with MESSAGES waiting is filled once (`linkspan queue import`, the destination paused), and each turn of
linkspan's begins with a copy of it. Each turn begins with all that there is on disk, and with nothing left of the one before.
The clock runs from `queue resume`, with the link up, until linkspan says that nothing waits and has stopped cleanly: then each
DONE is durable, which the files confirm. Beside it, in turns, librdkafka alone (kafka_bare.c) writes the same records to the
same broker, from the first record to the last report. linkspan's time holds some things that the other's does not: the command
that resumes, the question who leads the topic's partitions, up to an interval that the last transaction waits, what has ended in
the journal, and the stop; together up to two tenths of a second, whatever MESSAGES is. With fewer than some millions of messages
they count for more than they are here.

kafka-in: a topic is filled once, by librdkafka alone. linkspan reads it from the beginning into its journal, for a destination
that is away: the clock runs from the first of them that it is seen to have taken until all are, and durable. Beside it
librdkafka alone reads the same topic and discards, from its assignment to the last record.

All run in turns, of which each round begins with another one; what is printed are the medians of the rounds. A broker that has just
started is several times slower, until it has compiled itself, and each kind of turn has it compile something else. So before kafka-out
each kind of turn is made until the broker's compilers rest (or MOST_WARM times, which is told), librdkafka alone first; none of it
is counted.
"""
import itertools
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

from rig import fixtures, kafka, yaml  # noqa: E402
from rig.daemon import Linkspan, program  # noqa: E402
from rig.process import temp_folder  # noqa: E402
from rig.wait import free_port, until  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", 2_000_000 if "kafka-in" in sys.argv else 6_000_000))
ROUNDS = int(os.environ.get("ROUNDS", 3))
TOPIC, SIZE, KEYS, PARTITIONS = "bench", 200, 1000, 4
INTERVAL_MS = 100
FASTEST = 1_000_000 # messages a second, about
MOST_WARM, WARM = 16, 0.02 # turns; until the compilers take no more than that of a processor while messages are sent
BARE = os.environ["KAFKA_BARE"]
# The rig's broker is made to be small. This one is to be no slower than one in the field: what Kafka's documentation says of Java for
# production, with a smaller heap. With smaller regions each batch is an object that the collector has to treat apart.
JVM = ["-Xms2g", "-Xmx2g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
       "-XX:G1HeapRegionSize=16M", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
# A compiler's thread that ends takes what it has used with it: compiler_seconds.
COUNTED = ["-XX:-UseDynamicNumberOfCompilerThreads"]
# Kafka's 100 KiB for what a socket receives are less than two segments of the loopback device, which are 64 KiB where a network's are
# 1460 bytes: with them both processors were seen to have nothing to do for milliseconds within requests. So the system decides.
BROKER = ("log.segment.delete.delay.ms=1000", "log.segment.bytes=268435456", "socket.request.max.bytes=104857600",
          "socket.receive.buffer.bytes=-1")

def own_kafka():
    kafka.JVM[:] = JVM + COUNTED
    return fixtures.own_kafka(properties=BROKER)

def bare(what, *arguments):
    """(records a second, CPU microseconds a record)"""
    done = subprocess.run([BARE, what, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True)
    seconds, cpu = map(float, done.stdout.split())
    return MESSAGES / seconds, cpu / MESSAGES * 1e6

class Topic:
    """Made anew for each turn: its name is in the messages that wait."""

    def __init__(self, lake):
        from confluent_kafka.admin import AdminClient
        self._lake = lake
        self._admin = AdminClient({"bootstrap.servers": lake.brokers, "log_level": 0})
        self._made = False

    def renew(self):
        if self._made:
            self._admin.delete_topics([TOPIC], operation_timeout=30)[TOPIC].result()
            until(lambda: TOPIC not in self._admin.list_topics(timeout=10).topics, "the topic to be gone")
            data = os.path.join(self._lake.folder, "data")
            until(lambda: not any(name.startswith(f"{TOPIC}-") for name in os.listdir(data)), "its files to be gone")
        self._lake.create_topic(TOPIC, partitions=PARTITIONS)
        self._made = True
        os.sync() # what the turn before has left is not written in this one

    def end(self):
        """How far its partitions go, all together: records, and the markers of transactions."""
        from confluent_kafka import Consumer, TopicPartition
        consumer = Consumer({"bootstrap.servers": self._lake.brokers, "group.id": "bench", "log_level": 0})
        ends = [consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=30)[1] for p in range(PARTITIONS)]
        consumer.close()
        return sum(ends)

def rest(left):
    """Each question takes processor time from both sides of what is measured. So the nearer the end may be, the more often."""
    time.sleep(min(max(left / FASTEST / 4, 0.005), 0.2))

class Status:
    """What linkspan answers to SIGUSR1, read from where the log ended the last time."""

    def __init__(self, bridge, what):
        self._bridge = bridge
        self._what = f"event=status request=(?P<n>\\d+) {what} "
        self._offset = os.path.getsize(bridge.log_path)
        self._rest = ""

    def ask(self):
        self._bridge.signal(signal.SIGUSR1)
        with open(self._bridge.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(self._offset)
            while True:
                self._rest += log.read()
                lines = self._rest.split("\n")
                self._rest = lines.pop()
                self._offset = log.tell()
                for line in lines:
                    if re.search(self._what, line):
                        return dict(re.findall(r"(\w+)=(\S+)", line))
                if not self._bridge.running():
                    raise RuntimeError("linkspan has ended: " + self._bridge.log_path)
                time.sleep(0.002)

def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def compiler_seconds(pid):
    """CPU that Java's compilers have taken in a process. Their threads have names of their own, cut short in one way or another."""
    ticks = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as stat:
                name, fields = stat.read().split("(", 1)[1].rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue # it has ended
        if name.startswith(("C1 Com", "C2 Com")):
            ticks.append(sum(map(int, fields.split()[11:13])))
    assert ticks, "Java's compilers have other names here"
    return sum(ticks) / os.sysconf("SC_CLK_TCK")

def queue(bridge, *arguments, **options):
    return subprocess.run([program(), "queue", arguments[0], bridge.path, *arguments[1:]], check=True, capture_output=True,
                          text=True, **options).stdout

def lake_ls(bridge):
    return json.loads(queue(bridge, "ls", "lake", "--json"))["destinations"][0]

# --- out -----------------------------------------------------------------------------------------------------------------

def messages():
    """As `linkspan queue import` takes them, in pieces."""
    rest = "x" * (SIZE - 10)
    for begin in range(0, MESSAGES, 1000):
        lines = []
        for n in range(begin, min(begin + 1000, MESSAGES)):
            key = f"key-{n % KEYS:04}"
            lines.append(f'{{"topic":"{TOPIC}","key":"{key}","order_key":"{key}","qos":2,"payload":"{n:010}{rest}"}}\n')
        yield "".join(lines).encode()

def out_configuration(lake, cursor_topic=None):
    keys = {"outbox": {"max_bytes": "64GiB"}}
    if cursor_topic:
        keys.update(transaction={"interval": f"{INTERVAL_MS}ms"}, cursor_topic=cursor_topic)
    return yaml.configuration(
        [yaml.mqtt("plant", free_port()), yaml.kafka("lake", lake.brokers, **keys)],
        [yaml.mapping("bench", {"connection": "plant", "topic": "bench/+", "qos": 2}, {"connection": "lake", "topic": TOPIC},
                      **({"delivery": "exactly-once"} if cursor_topic else {}))])

def fill(lake):
    """A data folder with all of it waiting, and the destination paused."""
    bridge = Linkspan(out_configuration(lake), wait_up=False)
    bridge.wait_event("started")
    queue(bridge, "pause", "lake")
    with subprocess.Popen([program(), "queue", "import", bridge.path, "--to", "lake"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as feeding:
        for piece in messages():
            feeding.stdin.write(piece)
        feeding.stdin.close()
    bridge.stop()
    assert feeding.returncode == 0 and lake_ls(bridge)["waiting"] == MESSAGES
    return bridge.data_dir

def out_by_linkspan(lake, filled, cursor_topic=None):
    """(messages a second, CPU microseconds a message); exactly once with a cursor_topic that is new."""
    bridge = Linkspan(out_configuration(lake, cursor_topic), start=False)
    shutil.copytree(filled, bridge.data_dir, ignore=lambda *_: ["control", "lock"])
    os.sync() # it was filled beforehand: else it is written while Kafka writes, which then has to wait for the disk
    bridge.start(wait_up=["lake"])
    status = Status(bridge, "destination=lake")
    cpu, began = cpu_seconds(bridge.pid), time.monotonic()
    queue(bridge, "resume", "lake")
    while (left := int(status.ask()["waiting"])) != 0:
        rest(left)
    cpu = cpu_seconds(bridge.pid) - cpu
    empty = time.monotonic()
    bridge.stop()
    ended = time.monotonic()
    left = lake_ls(bridge)
    assert left["waiting"] == 0 and left["delivered"] == MESSAGES, left
    shutil.rmtree(bridge.folder)

    print(f"# {empty - began:.2f} s until nothing waited, {ended - empty:.2f} s to stop")
    return MESSAGES / (ended - began), cpu / MESSAGES * 1e6

# --- in ------------------------------------------------------------------------------------------------------------------


def in_by_linkspan(lake):
    """(records a second, CPU microseconds a record)"""
    bridge = Linkspan(yaml.configuration(
        [yaml.kafka("lake", lake.brokers), yaml.mqtt("away", free_port(), outbox={"max_bytes": "64GiB"})],
        [yaml.mapping("bench", {"connection": "lake", "topic": TOPIC}, {"connection": "away", "topic": "bench", "qos": 1})]),
        wait_up=["lake"])
    status = Status(bridge, "source=lake")
    while (first := int(status.ask()["taken"])) == 0:
        time.sleep(0.002)
    cpu, began = cpu_seconds(bridge.pid), time.monotonic()
    while (now := status.ask())["taken"] != str(MESSAGES) or now["unacknowledged"] != "0":
        rest(MESSAGES - int(now["taken"]))
    ended = time.monotonic()
    cpu = cpu_seconds(bridge.pid) - cpu
    bridge.kill()
    left = json.loads(queue(bridge, "ls", "away", "--json"))["destinations"][0]
    assert left["waiting"] == MESSAGES, left
    shutil.rmtree(bridge.folder)
    return (MESSAGES - first) / (ended - began), cpu / (MESSAGES - first) * 1e6


def kafka_in():
    lake = own_kafka()
    topic = Topic(lake)
    topic.renew()
    bare("produce", lake.brokers, TOPIC, MESSAGES, SIZE, KEYS)
    rate, cpu, ratio = compare("kafka-in", {
        "linkspan": lambda: in_by_linkspan(lake),
        "alone": lambda: bare("consume", lake.brokers, TOPIC, MESSAGES, PARTITIONS),
    }, lambda: None)
    lake.stop()
    print("bench kafka-in ratio={:.2f} cpu_us={:.2f} cpu_us_alone={:.2f} per_second={:.0f} per_second_alone={:.0f}".format(
        ratio["linkspan"], cpu["linkspan"], cpu["alone"], rate["linkspan"], rate["alone"]))


# --- turns ---------------------------------------------------------------------------------------------------------------


def warm_up(lake, turns, before_each):
    for kind in reversed(turns):
        for _ in range(MOST_WARM):
            before_each()
            compiled = compiler_seconds(lake.pid)
            rate, _ = turns[kind]()
            share = (compiler_seconds(lake.pid) - compiled) * rate / MESSAGES
            print(f"# before: {kind} {rate:.0f}/s, compilers {share:.3f}", flush=True)
            if share <= WARM:
                break
        else:
            print(f"# before: {kind} has the broker compile still", flush=True)


def compare(name, turns, before_each):
    """turns: name → function that gives (rate, CPU). The last one is what the others are compared with. Their medians, and
    those of the ratios of each round."""
    seen = {kind: [] for kind in turns}
    for n in range(ROUNDS):
        order = list(turns)
        for kind in order[n % len(order):] + order[:n % len(order)]:
            before_each()
            seen[kind].append(turns[kind]())
            rate, cpu = seen[kind][-1]
            print(f"# {name} {kind}: {rate:.0f}/s, {cpu:.2f} us CPU a message", flush=True)
    last = list(turns)[-1]
    rate = {kind: statistics.median(r for r, _ in seen[kind]) for kind in turns}
    cpu = {kind: statistics.median(c for _, c in seen[kind]) for kind in turns}
    ratio = {kind: statistics.median(r / bare for (r, _), (bare, _) in zip(seen[kind], seen[last])) for kind in turns}
    return rate, cpu, ratio

def kafka_out():
    lake = own_kafka()
    topic = Topic(lake)
    filled = fill(lake)
    numbers = itertools.count()
    turns = {
        "idempotent": lambda: out_by_linkspan(lake, filled),
        "exactly_once": lambda: out_by_linkspan(lake, filled, f"cursor-{next(numbers)}"),
        "transactions_alone": lambda: bare("transact", lake.brokers, TOPIC, MESSAGES, SIZE, KEYS, INTERVAL_MS),
        "alone": lambda: bare("produce", lake.brokers, TOPIC, MESSAGES, SIZE, KEYS),
    }
    warm_up(lake, turns, topic.renew)
    rate, cpu, ratio = compare("kafka-out", turns, topic.renew)
    assert topic.end() >= MESSAGES
    lake.stop()
    print("bench kafka-out ratio_idempotent={:.2f} ratio_exactly_once={:.2f} cpu_us={:.2f} cpu_us_exactly_once={:.2f} "
          "cpu_us_alone={:.2f} ratio_transactions_alone={:.2f} per_second={:.0f} per_second_exactly_once={:.0f} "
          "per_second_alone={:.0f}".format(
              ratio["idempotent"], ratio["exactly_once"], cpu["idempotent"], cpu["exactly_once"], cpu["alone"],
              ratio["transactions_alone"], rate["idempotent"], rate["exactly_once"], rate["alone"]))


if __name__ == "__main__":
    fixtures.need_kafka()
    if sys.argv[1] == "kafka-out":
        kafka_out()
    else:
        kafka_in()
