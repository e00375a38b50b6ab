#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Kafka, a mosquitto, linkspan between them, numbered commands: while they flow the link to the broker is cut, Kafka is
stopped, and linkspan is killed. The table at the end counts what the devices heard. Leaves nothing behind."""
import argparse
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tests", "lib")]
sys.dont_write_bytecode = True

from rig import check, kafka  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.mosquitto import Mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Subscriber, settle  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import until  # noqa: E402  pylint: disable=wrong-import-position

DEVICES = {"press": ("feeder", "ram"), "weld": ("robot-1", "robot-2")}  # of each line
SIZE = 60
# See ../edge-to-cloud/README.md.
BROKER = ("autosave_interval 1", "max_inflight_messages 60000", "log_type error")


def say(text=""):
    print("   " + text, flush=True)


def headline(text):
    print(f"\n── {text} {'─' * max(0, 90 - len(text))}", flush=True)


class Commander:
    """Writes numbered commands, to the devices in turn, and waits until Kafka has them."""

    def __init__(self, brokers):
        from confluent_kafka import Producer
        self._producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "log_level": 0,
                                   "reconnect.backoff.max.ms": 500})
        self.sent = {device: 0 for devices in DEVICES.values() for device in devices}

    @property
    def total(self):
        return sum(self.sent.values())

    def command(self, count):
        """So many for each device."""
        for _ in range(count):
            for line, devices in DEVICES.items():
                for device in devices:
                    self.sent[device] += 1
                    self._producer.produce(f"plant.{line}.commands", check.numbered(device, self.sent[device], SIZE), device)
        until(lambda: self._producer.flush(1) == 0, "Kafka to have the commands")

    def set_point(self, device, value):
        self._producer.produce("plant.setpoints", value, device)
        until(lambda: self._producer.flush(1) == 0, "Kafka to have the set point")


class Show:
    """Commands that have arrived once, in `tally`."""

    def __init__(self, count):
        self.tenth = max(1, count // 10 // sum(map(len, DEVICES.values())))  # for each device
        self.set_points = {}

    def start(self):
        headline("A Kafka in the data centre, a broker in the plant, linkspan between")
        self.kafka = kafka.Kafka()
        for line in DEVICES:
            self.kafka.create_topic(f"plant.{line}.commands", partitions=2)
        self.kafka.create_topic("plant.setpoints", config={"cleanup.policy": "compact"})
        self.broker = Mosquitto(settings=BROKER)
        self.link = Proxy(self.broker.port, settle)
        with open(os.path.join(HERE, "linkspan.yaml"), encoding="utf-8") as file:
            self.bridge = Linkspan.from_file(file.read(), {
                "KAFKA_BROKERS": self.kafka.brokers, "PLANT_BROKER": f"mqtt://127.0.0.1:{self.link.port}"})
        self.commander = Commander(self.kafka.brokers)
        self.tally = check.Tally(self.commander.sent, SIZE)
        self.devices = Subscriber(self.broker.port, "plant/+/+/command", "devices",
                                  lambda _topic, payload: self.tally.take(payload))
        self.panel = Subscriber(self.broker.port, "plant/+/setpoint", "panel", self._on_set_point)
        say(f"Kafka {self.kafka.brokers}   mosquitto 127.0.0.1:{self.broker.port}   linkspan {self.bridge.pid}")

    def _on_set_point(self, topic, payload):
        self.set_points[topic.split("/")[1]] = payload

    def wait_heard(self):
        until(lambda: self.tally.reached(self.commander.sent),
              lambda: f"{self.tally.arrived} of {self.commander.total} commands heard")

    def report(self, what):
        say(f"{what:64} {self.commander.total:6} written {self.tally.arrived:6} heard")

    def set_a_point(self):
        headline("A set point, retained for who comes later, and its end")
        self.commander.set_point("ram", b"120 kN")
        until(lambda: self.set_points.get("ram") == b"120 kN", "the set point")
        say("ram: " + self.set_points["ram"].decode())
        self.commander.set_point("ram", None)
        until(lambda: self.set_points.get("ram") == b"", "the set point to be cleared")
        say("ram: cleared by a null value")

    def faults(self):
        headline("The commands flow, and things break")
        self.commander.command(self.tenth)
        self.wait_heard()
        self.report("all well")
        self.commander.command(2 * self.tenth)
        self.report("the link to the broker is cut")
        self.link.cut()
        self.commander.command(self.tenth)
        self.report("kill -9 linkspan")
        self.bridge.kill()
        self.commander.command(self.tenth)
        self.bridge.start(wait_up=False)
        self.commander.command(self.tenth)
        self.wait_heard()
        self.report("the link is down; linkspan reads on, and is killed")
        self.link.down()
        self.commander.command(2 * self.tenth)
        self.bridge.wait_waiting("plant", 1)
        self.bridge.kill()
        self.bridge.start(wait_up=["lake"])
        self.link.forward()
        self.report("Kafka is restarted")
        self.kafka.stop()
        self.kafka.start()
        self.commander.command(2 * self.tenth)
        self.wait_heard()
        self.report("all is well again")

    def table(self):
        self.bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="plant")
        stopped = self.bridge.stop()
        verdict = self.tally.verdict(self.commander.sent)
        headline("What came of it, counted by the devices")
        say(f"written {verdict.expected}   heard {verdict.arrived}   lost {len(verdict.lost)}   twice {verdict.repeated}   "
            f"out of order {len(verdict.out_of_order)}   strangers {verdict.strangers}")
        return stopped == 0 and verdict.expected == verdict.arrived and not (
            verdict.lost or verdict.repeated or verdict.out_of_order or verdict.strangers)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--count", type=int, default=4000)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that all is cleaned up
    show = Show(options.parse_args().count)
    show.start()
    show.set_a_point()
    show.faults()
    return 0 if show.table() else 1


if __name__ == "__main__":
    sys.exit(main())
