#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two mosquittos, linkspan between them, and a hall that talks all the time while linkspan is killed now and then. At the end
what arrived is compared with what the rules make of what was sent. Leaves nothing behind."""
import argparse
import json
import os
import random
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tests", "lib")]
sys.dont_write_bytecode = True

from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.mosquitto import Mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.mqtt import Publisher, Subscriber  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import until  # noqa: E402  pylint: disable=wrong-import-position

MACHINES = 3


def say(text=""):
    print("   " + text, flush=True)


def headline(text):
    print(f"\n── {text} {'─' * max(0, 90 - len(text))}", flush=True)


class Hall:
    """What is sent, by topic, and what the rules make of it."""

    def __init__(self, publisher, seed):
        self.publisher, self.random = publisher, random.Random(seed)
        self.sent = {}
        self.celsius = [20.0] * MACHINES
        self.door = "closed"

    def _say(self, topic, payload):
        self.sent.setdefault(topic, []).append(payload)
        self.publisher.publish(f"hall/{topic}", payload.encode(), qos=2)

    def moment(self, n):
        for machine in range(MACHINES):
            self.celsius[machine] = round(self.celsius[machine] + self.random.uniform(-0.2, 0.2), 2)
            self._say(f"m{machine}/temperature", json.dumps({"celsius": self.celsius[machine]}))
            self._say(f"m{machine}/spectrum", json.dumps({"n": n, "bins": [n] * 8}))
            self._say(f"m{machine}/power", json.dumps({"watts": self.random.randint(100, 900)}))
        if self.random.random() < 0.05:
            self.door = "open" if self.door == "closed" else "closed"
        self._say("gate/door", self.door)

    def expected(self, topic):
        """But of power, which depends on when it arrived."""
        told = []
        for n, payload in enumerate(self.sent[topic]):
            if topic.endswith("spectrum"):
                passes = n % 10 == 0
            elif topic.endswith("door"):
                passes = not told or payload != told[-1]
            else:
                passes = not told or abs(json.loads(payload)["celsius"] - json.loads(told[-1])["celsius"]) > 0.5
            if passes:
                told.append(payload)
        return told


class Show:
    def __init__(self, moments):
        self.moments = moments

    def start(self):
        headline("A broker in the hall, one in the cloud")
        self.near, self.far = Mosquitto(), Mosquitto()
        with open(os.path.join(HERE, "linkspan.yaml"), encoding="utf-8") as file:
            self.bridge = Linkspan.from_file(file.read(), {
                "HALL_BROKER": f"mqtt://127.0.0.1:{self.near.port}", "CLOUD_BROKER": f"mqtt://127.0.0.1:{self.far.port}"})
        self.subscriber = Subscriber(self.far.port, "hall7/#", qos=2)
        self.publisher = Publisher(self.near.port)
        self.hall = Hall(self.publisher, seed=7)
        say(f"hall 127.0.0.1:{self.near.port}   cloud 127.0.0.1:{self.far.port}   linkspan {self.bridge.pid}")

    def got(self, topic):
        return [m.payload.decode() for m in self.subscriber.messages if m.topic == f"hall7/{topic}"]

    def readings(self):
        return sum(json.loads(payload)["readings"] for machine in range(MACHINES)
                   for payload in self.got(f"m{machine}/energy"))

    def play(self):
        headline("The hall talks, and linkspan is killed")
        for n in range(self.moments):
            self.hall.moment(n)
            if n % (self.moments // 4) == self.moments // 8:
                self.publisher.wait()
                say(f"kill -9 linkspan {'':40} {self.publisher.published:6} sent {len(self.subscriber.messages):6} arrived")
                self.bridge.kill()
                self.bridge.start(wait_up=False)
        self.publisher.wait()

    def settle(self):
        until(lambda: self.readings() >= MACHINES * self.moments, lambda: f"{self.readings()} readings counted")
        self.bridge.wait_ready("cloud")
        for name in ("energy", "cloud"):
            self.bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination=name)
        with Publisher(self.far.port) as last:  # behind all that the broker has for who counts
            last.publish("hall7/end", b"", qos=2)
            until(lambda: self.got("end"), "the last message")
        return self.bridge.stop() == 0

    def table(self):
        headline("What came of it, counted in the cloud")
        good = True
        for topic in sorted(self.hall.sent):
            sent = len(self.hall.sent[topic])
            if topic.endswith("power"):
                got = [json.loads(payload) for payload in self.got(topic.replace("power", "energy"))]
                watts = [json.loads(payload)["watts"] for payload in self.hall.sent[topic]]
                counted = sum(result["readings"] for result in got)
                total = sum(result["watts"] * result["readings"] for result in got)
                right = counted == sent and abs(total - sum(watts)) < 1e-6 * sum(watts)
                say(f"{topic:16} sent {sent:5}   arrived {len(got):4}   in all of {counted} readings, {total:.0f} W summed")
            else:
                got = self.got(topic)
                right = got == self.hall.expected(topic)
                say(f"{topic:16} sent {sent:5}   arrived {len(got):4}   expected {len(self.hall.expected(topic)):4}")
            good = good and right
        say()
        say("all as the rules say" if good else "NOT as the rules say")
        return good


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--moments", type=int, default=400)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that all is cleaned up
    show = Show(max(8, options.parse_args().moments))
    show.start()
    show.play()
    return 0 if show.settle() and show.table() else 1


if __name__ == "__main__":
    sys.exit(main())
