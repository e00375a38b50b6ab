# SPDX-License-Identifier: Apache-2.0
"""A producer and a consumer of Kafka that neither lose nor repeat anything over broken connections and broker restarts,
so that what is lost or repeated is the fault of what stands between them: as rig.qos2 for MQTT. And troublemakers:
transactions that are aborted, or left open. Each is a thread; none is ever killed."""
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from . import check
from .wait import until

PATIENT = {"log_level": 0, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "error_cb": lambda _: None}
CALL_S = 10  # one try of a call that blocks
LOST = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)  # pylint: disable=protected-access


class _Client:
    def __init__(self, name):
        self.faults = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._guarded, daemon=True, name=name)

    def _run(self):
        raise NotImplementedError

    def _guarded(self):
        try:
            self._run()
        except Exception as error:  # pylint: disable=broad-except
            self.faults.append(f"{self._thread.name}: {error!r}")
            raise

    def running(self):
        return self._thread.is_alive()

    def close(self):
        self._ending.set()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Taker(_Client):
    """Hands each committed record's value to take(), once, in its own thread: what the library should fetch twice is known
    by its offset. A broker that had stood still takes itself for the leader for a moment and says that there is no such
    offset: it is asked for again, until it is there."""

    def __init__(self, brokers, topic, partitions, take, name="taker"):
        super().__init__(name)
        self.arrived = 0
        self._topic, self._partitions = topic, partitions
        self._take = take
        self._next = {}  # partition → the offset that comes next, at least
        self._consumer = Consumer({
            **PATIENT, "bootstrap.servers": brokers, "group.id": "rig-" + name, "enable.auto.commit": False,
            "isolation.level": "read_committed", "fetch.wait.max.ms": 50, "socket.timeout.ms": 5000,
            "auto.offset.reset": "error", "topic.metadata.refresh.interval.ms": 2000})
        self._begin()
        self._thread.start()

    def _begin(self):
        self._consumer.assign([TopicPartition(self._topic, p, self._next.get(p, 0)) for p in range(self._partitions)])

    def _run(self):
        while not self._ending.is_set():
            again = False
            for message in self._consumer.consume(num_messages=1000, timeout=0.1):
                if message.error():
                    again = again or message.error().code() in LOST
                    continue
                if message.offset() >= self._next.get(message.partition(), 0):
                    self._next[message.partition()] = message.offset() + 1
                    self.arrived += 1
                    self._take(message.value())
            if again and not self._ending.wait(0.2):
                self._begin()
        self._consumer.close()


class Numberer(_Client):
    """Produces numbered messages, each key to one partition, about `rate` a second in all, until stop(). Idempotent and
    infinitely patient, so that each record is in Kafka once; whether it is so, a Taker of the same topic tells."""

    def __init__(self, brokers, topic, keys=4, rate=1000, size=100, window=100, may_go_on=None, prefix="k"):
        super().__init__("numberer")
        self._prefix = prefix
        self.sent = {f"{prefix}{n}": 0 for n in range(keys)}
        self.acknowledged = 0
        self.sessions_lost = 0
        self._topic, self._rate, self._size, self._window = topic, rate, size, window
        self._may_go_on = may_go_on or (lambda _total: True)
        self._last, self._written = threading.Event(), threading.Event()  # no more is to be written, is written
        self._round = 0
        # One request at a time: with more, a leader that is unknown for a moment can end librdkafka 2.0.2's idempotent producer for
        # good (OUT_OF_ORDER_SEQUENCE_NUMBER), and it could not tell which of its records are there.
        self._producer = Producer({**PATIENT, "bootstrap.servers": brokers, "enable.idempotence": True, "acks": "all",
                                   "message.timeout.ms": 0, "linger.ms": 5, "socket.timeout.ms": 5000,
                                   "max.in.flight.requests.per.connection": 1,
                                   "partitioner": "murmur2_random"})
        self._thread.start()

    @property
    def total(self):
        return sum(self.sent.values())

    def _reported(self, error, _message):
        if error:
            self.faults.append(f"numberer: {error}")
        self.acknowledged += 1

    def _produce_next(self):
        key = f"{self._prefix}{(self._round + 1) % len(self.sent)}"
        try:
            self._producer.produce(self._topic, check.numbered(key, self.sent[key] + 1, self._size), key,
                                   on_delivery=self._reported)
        except KafkaException as error:  # the topic was deleted
            self.faults.append(f"numberer: {error}")
            self._last.set()
            return
        self._round += 1
        self.sent[key] += 1

    def _run(self):
        due = 0.0
        while not self._ending.is_set():
            now = time.monotonic()
            due = max(due, now - 0.1)
            while (due <= now and not self._last.is_set() and self.total - self.acknowledged < self._window
                   and self._may_go_on(self.total)):
                self._produce_next()
                due += 1 / self._rate
            if self._last.is_set():
                self._written.set()
            self._producer.poll(0.005)

    def stop(self):
        self._last.set()
        until(lambda: self._written.is_set() and self.acknowledged >= self.total or not self.running(),
              lambda: f"Kafka to acknowledge {self.acknowledged} of {self.total}")
        return dict(self.sent)


def transactional(brokers, name, timeout_ms):
    """A producer with that transactional.id, ready to begin: everybody else who has it is fenced."""
    producer = Producer({**PATIENT, "bootstrap.servers": brokers, "transactional.id": name,
                         "transaction.timeout.ms": timeout_ms, "socket.timeout.ms": min(timeout_ms, 5000)})
    until(lambda: _initialized(producer), f"init_transactions of {name}")
    return producer


def _initialized(producer):
    try:
        producer.init_transactions(CALL_S)
        return True
    except KafkaException as error:
        if not error.args[0].retriable():
            raise
        return False


def open_transaction(brokers, name, timeout_ms, topic, partitions, key, value):
    """A producer whose transaction has a record in every partition and is open: until its time is over, or somebody calls
    commit_transaction. To forget it is what a killed process does."""
    producer = transactional(brokers, name, timeout_ms)
    producer.begin_transaction()
    for partition in range(partitions):
        producer.produce(topic, value, key, partition=partition)
    producer.flush(CALL_S)
    return producer


class Aborter(_Client):
    """Writes records that nobody may see, transaction by transaction, and aborts them."""

    def __init__(self, brokers, topic, partitions, pause_s=0.3):
        super().__init__("aborter")
        self.aborted = 0
        self._arguments = (brokers, "rig-aborter", 2000, topic, partitions, "aborted", b"aborted")
        self._pause_s = pause_s
        self._thread.start()

    def _run(self):
        while not self._ending.wait(self._pause_s):
            try:
                open_transaction(*self._arguments).abort_transaction(CALL_S)
                self.aborted += 1
            except (KafkaException, AssertionError):
                pass  # Kafka is away, or the transaction's time was over: so it is aborted, too
