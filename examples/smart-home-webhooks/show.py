#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A mosquitto, linkspan and receiver.py: the devices of a home speak and repeat themselves, the receiver goes away and comes
back, linkspan is killed; then the receiver's lines are counted. Leaves nothing behind."""
import argparse
import base64
import os
import signal
import sys
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "tests", "lib")]
sys.dont_write_bytecode = True

import home  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.mosquitto import Mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.mqtt import Publisher  # noqa: E402  pylint: disable=wrong-import-position
from rig.process import Process, temp_folder  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import free_port, listening, until  # noqa: E402  pylint: disable=wrong-import-position

# See ../edge-to-cloud/README.md.
BROKER = ("autosave_interval 1", "max_inflight_messages 60000", "log_type error")


def say(text=""):
    print("   " + text, flush=True)


def headline(text):
    print(f"\n── {text} {'─' * max(0, 90 - len(text))}", flush=True)


class Receiver:
    """receiver.py, and what it has printed."""

    def __init__(self, secret):
        self.port, self._secret = free_port(), secret
        self._log = os.path.join(temp_folder("receiver"), "log")
        self._process = None
        self.start()

    def start(self):
        self._process = Process("receiver", [os.path.join(HERE, "receiver.py"), "--port", str(self.port), "--secret",
                                             self._secret], self._log)
        until(lambda: listening(self.port), "the receiver to listen")

    def kill(self):
        self._process.kill()

    def lines(self):
        with open(self._log, encoding="utf-8") as log:
            return [line for line in log.read().splitlines() if not line.startswith("listening")]

    def events(self):
        """As home.EVENTS names them."""
        found = [line.rpartition(" (")[0] for line in self.lines() if not line.startswith(("again:", "refused:"))]
        return [" ".join((text[:15].strip(), text[15:].strip())) for text in found]


class Show:
    def start(self):
        headline("A broker, a receiver that verifies, linkspan between")
        self.secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        self.broker, self.receiver = Mosquitto(settings=BROKER), Receiver(self.secret)
        with open(os.path.join(HERE, "linkspan.yaml"), encoding="utf-8") as file:
            self.bridge = Linkspan.from_file(file.read(), {
                "HOME_BROKER": f"mqtt://127.0.0.1:{self.broker.port}", "WEBHOOK_URL": f"http://127.0.0.1:{self.receiver.port}",
                "WEBHOOK_SECRET": self.secret})
        self.devices = Publisher(self.broker.port)
        self.published = 0
        say(f"mosquitto 127.0.0.1:{self.broker.port}   receiver 127.0.0.1:{self.receiver.port}   linkspan {self.bridge.pid}")

    def speak(self, part):
        for topic, payload, _ in part:
            self.devices.publish(topic, payload)
            self.published += 1
        self.devices.wait()

    def wait_events(self, part):
        wanted = {event for _, _, event in part if event}
        until(lambda: wanted <= set(self.receiver.events()), lambda: f"events: {wanted - set(self.receiver.events())}")

    def day(self):
        third = len(home.DAY) // 3
        headline("The devices speak, each three times")
        for _ in range(3):
            self.speak(home.DAY[:third])
        self.wait_events(home.DAY[:third])
        headline("The receiver is gone; they go on, and what they say waits on disk; then kill -9 linkspan")
        self.receiver.kill()
        for _ in range(3):
            self.speak(home.DAY[third:2 * third])
        wanted = sum(1 for _, _, event in home.DAY[third:2 * third] if event)
        waiting = self.bridge.wait_waiting("hook", wanted)["waiting"]
        say(f"{waiting} events wait")
        self.bridge.kill()
        self.bridge.start(wait_up=["home"])
        self.receiver.start()
        self.wait_events(home.DAY[:2 * third])
        headline("Both are back. The devices repeat all that they have said, and go on")
        for _ in range(3):
            self.speak(home.DAY)
        self.wait_events(home.DAY)

    def forge(self):
        """Somebody else calls the receiver."""
        headline("Somebody who does not know the secret sends an event")
        forged = urllib.request.Request(f"http://127.0.0.1:{self.receiver.port}/events", b'{"event": "door.opened"}', {
            "webhook-id": "msg_1", "webhook-timestamp": "1764115200", "webhook-signature": "v1,AAAA"})
        try:
            urllib.request.urlopen(forged, timeout=30).close()  # only this machine
        except urllib.error.HTTPError as answer:
            say(f"answered {answer.code}")
            return answer.code == 401
        return False

    def table(self):
        self.bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="hook")
        refused = self.forge()
        headline("What the receiver printed")
        for line in self.receiver.lines():
            say(line)
        events = self.receiver.events()
        headline("What came of it")
        missing = sorted(set(home.EVENTS) - set(events))
        strangers = sorted(set(events) - set(home.EVENTS))
        say(f"published {self.published}   events {len(events)}   missing {len(missing)}   strangers {len(strangers)}   "
            f"again {len(events) - len(set(events))}")
        stopped = self.bridge.stop()
        return stopped == 0 and refused and not missing and not strangers


def main():
    argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0]).parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that all is cleaned up
    show = Show()
    show.start()
    show.day()
    return 0 if show.table() else 1


if __name__ == "__main__":
    sys.exit(main())
