# SPDX-License-Identifier: Apache-2.0
"""Three brokers of a real Apache Kafka that are controllers as well: every topic has three replicas, of which two must
have a record before it is acknowledged. One of them can be away at a time, and nothing is lost."""
from .kafka import Kafka, Reader, create_topic
from .tap import Skip
from .wait import free_port, until

NEEDS_MIB = 2500  # three JVMs of some 500 MiB, and what runs beside them

PROPERTIES = """\
node.id={node}
controller.quorum.voters={voters}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
replica.lag.time.max.ms=5000
replica.fetch.wait.max.ms=100
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
"""


def _available_mib():
    with open("/proc/meminfo", encoding="ascii") as info:
        return next(int(line.split()[1]) for line in info if line.startswith("MemAvailable")) // 1024


class Cluster:
    """`nodes` are Kafka objects: kill() and start() them one by one, with wait_in_sync() between."""

    def __init__(self, properties=()):
        if _available_mib() < NEEDS_MIB:
            raise Skip(f"three brokers need {NEEDS_MIB} MiB of memory, there are {_available_mib()}")
        controllers = [free_port() for _ in range(3)]
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(controllers, 1))
        self.nodes = [Kafka(controller=port, start=False, properties=[PROPERTIES.format(node=node, voters=voters),
                                                                      *properties])
                      for node, port in enumerate(controllers, 1)]
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.wait_up()
        self.version = self.nodes[0].version
        self.brokers = self.brokers_via = ",".join(node.brokers for node in self.nodes)
        self.wait_in_sync()

    def create_topic(self, name, partitions=1, config=None):
        create_topic(self.brokers, name, partitions, config, replicas=3)

    def wait_in_sync(self):
        """Until all three are there and have everything that they should, so that each of them may go."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
        admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

        def in_sync():
            try:
                seen = admin.list_topics(timeout=5)
            except KafkaException:
                return False
            partitions = [p for topic in seen.topics.values() for p in topic.partitions.values()]
            return len(seen.brokers) == 3 and all(len(p.isrs) == len(p.replicas) and p.leader >= 0 for p in partitions)
        until(in_sync, "three brokers in sync", poll_s=0.1)

    def reader(self, topic):
        return Reader(self.brokers, topic)

    def stop(self):
        """For good, and so at once: the last two could not even say good-bye without a majority."""
        for node in self.nodes:
            if node.running():
                node.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
