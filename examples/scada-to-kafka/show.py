#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The quick start's director: brokers, linkspan and a plant of its own; Kafka is stopped in the middle and linkspan killed;
the table at the end counts from outside. Run by examples/quickstart.sh, which builds first and cleans up last."""
import argparse
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "tests", "lib")]
sys.dont_write_bytecode = True

from plant import Plant, number_of  # noqa: E402  pylint: disable=wrong-import-position
from rig import kafka, process  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.mock_kafka import MockKafka  # noqa: E402  pylint: disable=wrong-import-position
from rig.mosquitto import Mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.mqtt import Publisher, Subscriber  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import until  # noqa: E402  pylint: disable=wrong-import-position

# See ../edge-to-cloud/README.md.
BROKER = ("autosave_interval 1", "max_inflight_messages 60000", "log_type error")
TOPICS = {"telemetry": "scada.telemetry", "vibration": "scada.vibration", "alarm": "scada.alarms"}
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def headline(text):
    print(f"\n{paint('1', '── ' + text + ' ' + '─' * max(0, 90 - len(text)))}", flush=True)


def say(text=""):
    print("   " + text, flush=True)


class Show:
    def __init__(self, options):
        self.options = options
        self.plant = Plant()
        self.stream = self.plant.readings()
        self.published = {kind: 0 for kind in TOPICS}

    def start(self):
        headline("A mosquitto, a Kafka and a linkspan of our own")
        self.mock = not kafka.jars("kafka_single")
        self.broker = Mosquitto(settings=BROKER)
        say(f"mosquitto          127.0.0.1:{self.broker.port}")
        if not self.mock:
            self.kafka = kafka.Kafka(of="kafka_single")
            say(f"Apache Kafka       {self.kafka.brokers}")
            for topic in TOPICS.values():
                self.kafka.create_topic(topic, partitions=2)
        else:
            self.kafka = MockKafka(self.options.mock, TOPICS.values())
            say(f"Kafka              {self.kafka.brokers}")
            say(paint("33", "This is librdkafka's mock cluster: Maven could not fetch an Apache Kafka here. It has no"))
            say(paint("33", "transactions that a reader could rely on, so this run is at-least-once into Kafka."))
        self.readers = {kind: self.kafka.reader(topic) for kind, topic in TOPICS.items()}
        with open(os.path.join(HERE, "linkspan.yaml"), encoding="utf-8") as file:
            text = file.read()
        if self.mock:
            text = re.sub(r"^ *(delivery|transaction|cursor_topic):.*\n", "", text, flags=re.M)
        self.bridge = Linkspan.from_file(text, {
            "PLANT_BROKER": f"mqtt://127.0.0.1:{self.broker.port}", "KAFKA_BROKERS": self.kafka.brokers})
        say(f"linkspan           process {self.bridge.pid}, running examples/scada-to-kafka/linkspan.yaml")
        self.control_room = Subscriber(self.broker.port, "control-room/#", qos=2)
        self.publisher = Publisher(self.broker.port)

    def publish(self, count):
        """The plant speaks; returns when mosquitto has acknowledged all of it."""
        for _ in range(count):
            kind, _, topic, payload = next(self.stream)
            self.publisher.publish(topic, payload, qos=2)
            self.published[kind] += 1
            self.publisher.wait_backlog(500)
        self.publisher.wait()

    def wait_arrived(self):
        for kind, reader in self.readers.items():
            numbers = _Numbers(kind, reader)
            until(lambda numbers=numbers, kind=kind: numbers.count() >= self.published[kind],
                  lambda numbers=numbers, kind=kind: f"{kind}: {numbers.count()} of {self.published[kind]} in Kafka",
                  poll_s=0)
        until(lambda: len(self._alarms_heard()) >= self.published["alarm"], "alarms in the control room")

    def _alarms_heard(self):
        return {number_of("alarm", m.payload) for m in self.control_room.messages}

    def samples(self):
        for kind, reader in self.readers.items():
            say(paint("36", TOPICS[kind]))
            for record in reader.records[:2]:
                headers = " ".join(f"{name}={value.decode()}" for name, value in record.headers)
                value = (f"{len(record.value)} bytes: {record.value[:12].hex(' ')} …" if kind == "vibration"
                         else record.value.decode())
                say(f"  key {record.key.decode():9} {value}")
                say(f"                {paint('2', headers)}")

    def bar(self, waiting, most, what):
        filled = round(50 * waiting / max(most, 1))
        say(f"{what:8} {waiting:6} waiting  {paint('33', '█' * filled)}{'·' * (50 - filled)}")

    def outage(self):
        headline("Kafka is stopped. The plant goes on")
        self.kafka.stop()
        began, part = time.monotonic(), self.options.count // 8
        for step in range(1, 5):
            self.publish(part)
            waiting = self.bridge.wait_waiting("lake", step * part)["waiting"]
            self.bar(waiting, 4 * part, f"{time.monotonic() - began:5.1f} s")
            until(lambda step=step: time.monotonic() - began >= step * self.options.outage / 4, "the next reading",
                  self.options.outage + 60)
        most = waiting
        say(f"Every one of these {most} is on disk, and was acknowledged to mosquitto only then.")
        headline("Kafka is back. While the backlog drains, kill -9 linkspan")
        self.kafka.start()
        self.bridge.wait_status(lambda s: s["waiting"] < most, "the backlog to begin to drain", destination="lake")
        self.bridge.kill()
        self.bridge.start()
        began, shown = time.monotonic(), most
        while shown:
            # A line for each tenth that has gone, and the last one.
            shown = self.bridge.wait_status(lambda s: s["waiting"] == 0 or s["waiting"] <= shown - most // 10,
                                            "the backlog to drain", destination="lake")["waiting"]
            self.bar(shown, most, f"{time.monotonic() - began:5.1f} s")

    def table(self):
        rows, good = [], True
        for kind, topic in TOPICS.items():
            numbers = _Numbers(kind, self.readers[kind])
            self.readers[kind].drain()
            rows.append((f"{topic} (Kafka)", self.published[kind], numbers.count(), numbers.repeated()))
        rows.append(("control-room/+/alarm (MQTT)", self.published["alarm"], len(self._alarms_heard()),
                     len(self.control_room.messages) - len(self._alarms_heard())))
        journalled = sum(int(self.bridge.status(destination=name)["journalled"]) for name in ("lake", "plant"))
        headline("What came of it, counted from outside")
        say(paint("1", f"{'':30}{'published':>11}{'delivered':>11}{'repeated':>10}{'lost':>7}"))
        for name, published, delivered, repeated in rows:
            lost = published - delivered
            good = good and lost == 0 and (repeated == 0 or self.mock)
            say(f"{name:30}{published:11}{delivered:11}{repeated:10}{lost:7}")
        readings, twice = sum(self.published.values()), self.published["alarm"]
        delivered = sum(row[2] for row in rows)
        say()
        say(paint("2", f"{twice} alarms go to two places, so {readings} readings make {readings + twice} deliveries."))
        verdict = (f"published {readings}   journalled {journalled}   delivered {delivered}   "
                   f"lost {readings + twice - delivered}   repeated {sum(row[3] for row in rows)}")
        say(paint("1;32" if good else "1;31", verdict))
        return good

    def perform(self):
        self.start()
        headline("A plant of three lines and twelve cells speaks")
        self.publish(self.options.count // 4)
        self.wait_arrived()
        say(f"{sum(self.published.values())} readings published and arrived. Some of them, as Kafka's readers see them:")
        self.samples()
        self.outage()
        self.publish(self.options.count - sum(self.published.values()))
        self.wait_arrived()
        self.bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="lake")
        return self.table()

    def keep(self):
        headline("Left running")
        pids = process.keep()
        say(f"mosquitto 127.0.0.1:{self.broker.port}   Kafka {self.kafka.brokers}")
        say(f"more readings:   examples/scada-to-kafka/plant.py --port {self.broker.port} 1000")
        say(f"the log:         {self.bridge.log_path}")
        say(f"what waits:      kill -USR1 {self.bridge.pid}")
        say(f"stop and clean:  kill {' '.join(map(str, pids))}; rm -rf {self.options.folder}")

    def stop(self):
        headline("SIGTERM")
        status = self.bridge.stop()
        say(f"linkspan ended with {status} after delivering what was in flight. Brokers and folders go too.")
        return status == 0


class _Numbers:
    """The distinct numbers in a reader's records so far."""

    def __init__(self, kind, reader):
        self._kind, self._reader, self._position, self._seen = kind, reader, 0, set()

    def count(self):
        self._reader.poll(0.1)
        self._take_in()
        return len(self._seen)

    def repeated(self):
        self._take_in()
        return len(self._reader.records) - len(self._seen)

    def _take_in(self):
        records = self._reader.records
        self._seen.update(number_of(self._kind, r.value) for r in records[self._position:])
        self._position = len(records)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--count", type=int, default=4000)
    options.add_argument("--outage", type=float, default=5.0, help="seconds, at least")
    options.add_argument("--mock", help="the mock cluster's program, for machines without an Apache Kafka")
    options.add_argument("--folder", default="?", help="what there is to remove afterwards")
    options.add_argument("--keep", action="store_true")
    show = Show(options.parse_args())
    good = show.perform()
    if not good:
        return 1
    if show.options.keep:
        show.keep()
        return 0
    return 0 if show.stop() else 1


if __name__ == "__main__":
    sys.exit(main())
