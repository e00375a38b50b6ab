# SPDX-License-Identifier: Apache-2.0
"""librdkafka's mock cluster with the face of rig.kafka.Kafka, for the quick start on a machine without Maven."""
import os
import re
import signal

from .kafka import Reader
from .process import Process, temp_folder
from .wait import until


class MockKafka:
    """program: tests/lib/mock_kafka, built. Stopping it cuts its connections; what it holds stays."""

    def __init__(self, program, topics):
        log = os.path.join(temp_folder("mock-kafka"), "log")
        self._process = Process("mock_kafka", [program, *topics], log)

        def address():
            if not self._process.running():
                raise RuntimeError("mock_kafka ended: " + " | ".join(self._process.log_tail()))
            with open(log, encoding="ascii", errors="replace") as file:
                return re.search(r"^(\S+:\d+)\n", file.read(), re.M)
        self.brokers = self.brokers_via = until(address, "the mock cluster").group(1)

    def create_topic(self, name, partitions=1, config=None):
        """They were made at the start."""

    def reader(self, topic):
        return Reader(self.brokers, topic)

    def stop(self):
        self._process.signal(signal.SIGUSR1)

    def start(self):
        self._process.signal(signal.SIGUSR2)

    def close(self):
        if self._process.running():
            self._process.stop()
