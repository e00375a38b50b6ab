#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two mosquittos, linkspan between them, numbered readings with QoS 2: while they flow the link is cut, dies without a
word and is refused, and linkspan is killed. The table at the end counts at the far broker. Leaves nothing behind."""
import argparse
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tests", "lib")]
sys.dont_write_bytecode = True

from rig import check  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.mosquitto import Mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Publisher, Subscriber, settle  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import until  # noqa: E402  pylint: disable=wrong-import-position

CELLS, SIZE = 4, 60
# See README.md.
BROKER = ("autosave_interval 1", "max_inflight_messages 60000", "log_type error")


def say(text=""):
    print("   " + text, flush=True)


def headline(text):
    print(f"\n── {text} {'─' * max(0, 90 - len(text))}", flush=True)


class Show:
    """Readings that have arrived once, in `tally`."""

    def __init__(self, count):
        self.count = count
        self.tally = check.Tally([f"k{n}" for n in range(CELLS)], SIZE)

    def start(self):
        headline("A broker at the edge, one in the cloud, a link between")
        self.edge, self.cloud = Mosquitto(settings=BROKER), Mosquitto(settings=BROKER)
        self.link = Proxy(self.cloud.port, settle)
        with open(os.path.join(HERE, "linkspan.yaml"), encoding="utf-8") as file:
            self.bridge = Linkspan.from_file(file.read(), {
                "EDGE_BROKER": f"mqtt://127.0.0.1:{self.edge.port}", "CLOUD_BROKER": f"mqtt://127.0.0.1:{self.link.port}"})
        self.subscriber = Subscriber(self.cloud.port, "sites/7/+/reading", "counter",
                                     lambda _topic, payload: self.tally.take(payload))
        self.publisher = Publisher(self.edge.port, "site", "sensors", keys=CELLS, rate=self.count / 4, size=SIZE,
                                   suffix="/reading", may_go_on=lambda total: total < self.count)
        say(f"edge 127.0.0.1:{self.edge.port}   cloud 127.0.0.1:{self.cloud.port}   linkspan {self.bridge.pid}")

    def wait_share(self, share):
        """Until that part of all readings has arrived."""
        until(lambda: self.tally.arrived >= share * self.count, lambda: f"{self.tally.arrived} arrived")

    def wait_published(self, share):
        until(lambda: self.publisher.total >= share * self.count, lambda: f"{self.publisher.total} published")

    def report(self, what):
        say(f"{what:64} {self.publisher.total:6} published {self.tally.arrived:6} arrived")

    def faults(self):
        headline("The readings flow, and things break")
        self.wait_share(0.1)
        self.report("the link is cut")
        self.link.cut()
        self.wait_share(0.2)
        self.report("kill -9 linkspan")
        self.bridge.kill()
        self.bridge.start()
        self.wait_share(0.3)
        self.report("the link is down, and linkspan is killed meanwhile")
        self.link.down()
        self.wait_published(0.6)
        self.bridge.kill()
        self.bridge.start(wait_up=["edge"])
        self.wait_published(0.7)
        self.report("the link is back")
        self.link.forward()
        self.wait_share(0.8)
        self.report("the link dies without a word; keep-alive notices after 15 s")
        self.link.swallow()
        self.bridge.wait_event("link_down", connection="cloud")
        self.link.forward()

    def table(self):
        until(lambda: self.publisher.total >= self.count, "the last reading")
        sent = self.publisher.stop()
        until(lambda: self.tally.reached(sent), lambda: f"all readings: {self.tally.arrived} of {self.count}")
        self.bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="cloud")
        stopped = self.bridge.stop()
        verdict = self.tally.verdict(sent)
        headline("What came of it, counted in the cloud")
        say(f"published {verdict.expected}   arrived {verdict.arrived}   lost {len(verdict.lost)}   "
            f"twice {verdict.repeated}   out of order {len(verdict.out_of_order)}   strangers {verdict.strangers}")
        return stopped == 0 and verdict.expected == verdict.arrived and not (
            verdict.lost or verdict.repeated or verdict.out_of_order or verdict.strangers)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--count", type=int, default=4000)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that all is cleaned up
    show = Show(options.parse_args().count)
    show.start()
    show.faults()
    return 0 if show.table() else 1


if __name__ == "__main__":
    sys.exit(main())
