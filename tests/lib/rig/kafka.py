# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka (one node, KRaft) and a reader of its topics.

It has two listeners: `brokers` for the test's own tools, and, when `via` is a port (of a proxy), `brokers_via` for
linkspan, so that a link can be broken while the checkers still see the topic.
"""
import os
import re
import shutil
import signal
import subprocess
import time
from collections import namedtuple

from .process import Process, temp_folder
from .wait import DEADLINE_S, TimedOut, free_port, listening, until

JVM = ["-Xms64m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxMetaspaceSize=128m",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=DIRECT://127.0.0.1:{direct},VIA://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}{more_listeners}
advertised.listeners=DIRECT://127.0.0.1:{direct},VIA://127.0.0.1:{via}{more_listeners}
listener.security.protocol.map=DIRECT:PLAINTEXT,VIA:PLAINTEXT,CONTROLLER:PLAINTEXT{more_protocols}
controller.listener.names=CONTROLLER
inter.broker.listener.name=DIRECT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
num.partitions=1
num.network.threads=1
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=2097152
log.segment.bytes=67108864
message.max.bytes=8388608
socket.request.max.bytes=16777216
auto.create.topics.enable=true
"""

ARCHIVE = "classes.jsa"  # among the jars: Java's classes as it has them in memory, which halves the work of a start
TRY_S = 2  # one of the tries within the deadline: an answer that is lost is asked for again

Record = namedtuple("Record", "partition offset key value headers timestamp_ms")


def version(of="kafka"):
    """LINKSPAN_KAFKA_VERSION, or that of tests/lib/kafka/pom.xml. of="kafka_single": with which a single broker may be killed while
    transactions are open."""
    pom = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kafka", "pom.xml")
    with open(pom, encoding="utf-8") as text:
        return os.environ.get("LINKSPAN_KAFKA_VERSION") or re.search(rf"<{of}.version>(.*)</", text.read()).group(1)


def jars(of="kafka"):
    """The folder that tests/lib/install.sh filled, or None."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "linkspan", f"kafka-{version(of)}")
    return folder if os.path.exists(os.path.join(folder, "complete")) and shutil.which("java") else None


ANSWER_S = 180  # more than the library gives an answer: a future that it forgets must not stand for ever


def _admin(brokers):
    from confluent_kafka.admin import AdminClient
    return AdminClient({"bootstrap.servers": brokers, "log_level": 0})


def create_topic(brokers, name, partitions=1, config=None, replicas=1):
    """Also when it is there already."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic
    admin = _admin(brokers)  # who lets go of it, waits for ever
    topic = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=config or {})
    try:
        admin.create_topics([topic], operation_timeout=60, request_timeout=60)[name].result(ANSWER_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def delete_topic(brokers, name):
    """Returns once nobody is told of it any more, so that one of the same name can be made."""
    admin = _admin(brokers)
    admin.delete_topics([name], operation_timeout=60, request_timeout=60)[name].result(ANSWER_S)
    until(lambda: name not in admin.list_topics(timeout=60).topics, f"{name} to go")


class Kafka:
    """Stopping keeps the data: start() again is a restart. listeners: (name, protocol, port) of further ones. scram: what
    the storage tool's -S takes, one per user and mechanism. jvm: further arguments for Java. controller: the port of that
    listener, known beforehand. start=False: begin() and wait_up() follow. of: as in version()."""

    def __init__(self, via=None, properties=(), listeners=(), scram=(), jvm=(), controller=None, start=True, of="kafka"):
        self.folder = temp_folder("kafka")
        self._direct, self.port_behind, controller = free_port(), free_port(), controller or free_port()
        self.brokers = f"127.0.0.1:{self._direct}"
        self.brokers_via = f"127.0.0.1:{via or self.port_behind}"
        self._properties = os.path.join(self.folder, "server.properties")
        with open(self._properties, "w", encoding="ascii") as out:
            out.write(PROPERTIES.format(controller=controller, direct=self._direct, behind=self.port_behind,
                                        via=via or self.port_behind, folder=self.folder,
                                        more_listeners="".join(f",{n}://127.0.0.1:{port}" for n, _, port in listeners),
                                        more_protocols="".join(f",{n}:{protocol}" for n, protocol, _ in listeners)))
            out.writelines(f"{line}\n" for line in properties)
        self._process = None
        self.version = version(of)
        folder = jars(of)
        archive = os.path.join(folder, ARCHIVE)
        self._java = ["java", *JVM, *([f"-XX:SharedArchiveFile={archive}"] if os.path.exists(archive) else []), *jvm,
                      "-cp", os.path.join(folder, "*")]
        subprocess.run([*self._java, "kafka.tools.StorageTool", "format", "-t", "bGlua3NwYW4tdGVzdHMtLQ", "-c",
                        self._properties, *(word for user in scram for word in ("-S", user))], check=True, capture_output=True)
        if start:
            self.start()

    def start(self):
        self.begin()
        self.wait_up()

    def begin(self, *options):
        self._process = Process("kafka", [*self._java, *options, "kafka.Kafka", self._properties],
                                os.path.join(self.folder, "kafka.log"))

    def wait_up(self):
        until(lambda: listening(self._direct) or self._died(), "Kafka to listen")
        until(self._answers, "Kafka to answer")

    def _died(self):
        if not self._process.running():
            raise RuntimeError("Kafka ended: " + " | ".join(self._process.log_tail(5)))
        return False

    def _answers(self):
        # Topics can only be made once the controller has registered the broker.
        from confluent_kafka import KafkaException
        try:
            self.create_topic("rig.ready")
            return True
        except KafkaException:
            return self._died()

    def create_topic(self, name, partitions=1, config=None):
        """Also when it is there already."""
        create_topic(self.brokers, name, partitions, config)

    def delete_topic(self, name):
        delete_topic(self.brokers, name)

    def stop(self):
        if self._process:
            self._process.signal(signal.SIGCONT)
            self._process.stop()
            self._process = None

    def kill(self):
        self._process.kill()
        self._process = None

    def freeze(self):
        """Its connections stay, nobody answers."""
        self._process.signal(signal.SIGSTOP)

    def thaw(self):
        self._process.signal(signal.SIGCONT)

    def running(self):
        return self._process is not None and self._process.running()

    @property
    def pid(self):
        return self._process.pid

    def reader(self, topic):
        return Reader(self.brokers, topic)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def archive_classes():
    """Once for each version, after which all start sooner. Not needed: if it fails, they do not."""
    archive = os.path.join(jars(), ARCHIVE)
    if os.path.exists(archive):
        return
    fresh = f"{archive}.{os.getpid()}"
    with Kafka(start=False) as kafka:
        kafka.begin(f"-XX:ArchiveClassesAtExit={fresh}")
        kafka.wait_up()
    os.replace(fresh, archive)


class Reader:
    """Everything in a topic from its beginning, in `records`; goes on by itself when Kafka comes back."""

    def __init__(self, brokers, topic):
        from confluent_kafka import Consumer, TopicPartition
        self.topic = topic
        self.records = []
        self._last_error = None
        self._ends = {}  # partition → where its end was seen
        self._consumer = Consumer({
            "bootstrap.servers": brokers, "group.id": "rig", "enable.auto.commit": False, "log_level": 0,
            "isolation.level": "read_committed", "enable.partition.eof": True, "reconnect.backoff.max.ms": 500, "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": 8388608, "error_cb": lambda _: None, "topic.metadata.refresh.interval.ms": 2000,
            "socket.timeout.ms": 5000})
        # A topic that was just made takes a moment to have partitions, and these to have leaders.
        self._partitions = until(self._led_partitions, f"topic {topic} to have leaders")
        # An assignment to OFFSET_BEGINNING would look for the beginning in the background, and tell nobody why it fails.
        self._consumer.assign([TopicPartition(topic, p, until(lambda p=p: self._offsets(p), f"the offsets of {topic}")[0])
                               for p in self._partitions])

    @property
    def n_partitions(self):
        return len(self._partitions)

    def _led_partitions(self):
        from confluent_kafka import KafkaException
        try:
            found = self._consumer.list_topics(self.topic, timeout=TRY_S).topics[self.topic].partitions
        except KafkaException as error:
            return self._note(error.args[0])
        return sorted(found) if all(p.leader >= 0 for p in found.values()) else None

    def _offsets(self, partition):
        """The first and the next, or None."""
        from confluent_kafka import KafkaException, TopicPartition
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=TRY_S)
        except KafkaException as error:
            return self._note(error.args[0])

    def _note(self, error):
        """For who looks at a test that failed: a TAP comment, once while it lasts."""
        if error.code() != self._last_error:
            print(f"# reader of {self.topic}: {error}", flush=True)
        self._last_error = error.code()

    def poll(self, timeout_s=0.2):
        """Takes in what has come; how many."""
        from confluent_kafka import KafkaError
        n = 0
        for message in self._consumer.consume(num_messages=5000, timeout=timeout_s):
            if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
                self._ends[message.partition()] = message.offset()
                continue
            if message.error():
                self._note(message.error())
                continue
            self.records.append(Record(message.partition(), message.offset(), message.key(), message.value(),
                                       message.headers() or [], message.timestamp()[1]))
            n += 1
        return n

    def wait_for(self, condition, what, timeout=None):
        """Until condition(records)."""
        deadline = time.monotonic() + (timeout or DEADLINE_S)
        while not condition(self.records):
            if time.monotonic() > deadline:
                raise TimedOut(f"timed out waiting for {what}: {len(self.records)} records in {self.topic}; {condition}")
            if self.poll():  # slow is not stuck
                deadline = time.monotonic() + (timeout or DEADLINE_S)
        return self.records

    def wait_count(self, n, timeout=None):
        return self.wait_for(lambda records: len(records) >= n, f"{n} records", timeout)

    def drain(self):
        """Until everything that is in the topic now has been read."""
        from confluent_kafka import TopicPartition
        for partition in self._partitions:
            high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=DEADLINE_S)[1]
            # The last offsets may be those of a transaction's end, which is no record.
            self.wait_for(lambda records, partition=partition, high=high: self._ends.get(partition, 0) >= high or any(
                r.partition == partition and r.offset >= high - 1 for r in reversed(records)), "the topic's end")
        return self.records

    def close(self):
        self._consumer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
