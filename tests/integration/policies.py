#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A destination that is away until its outbox is full, with each when_full and with a ttl, and linkspan killed again and
again meanwhile: what was offered is what was delivered, dropped, expired, dead or waits, to the message, by linkspan's own
totals and by what the broker gets in the end.

LINKSPAN_TEST_KILLS is how often it is killed in each case (default 5)."""
import os
import random
import re
import signal
import subprocess
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, small_disk
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder
from rig.wait import until

KILLS = int(os.environ.get("LINKSPAN_TEST_KILLS", "5"))
COUNT = max(2000, 100 * KILLS)
LIMIT = 400
ENDS = ["delivered", "expired", "dropped_oldest", "dropped_newest", "dead_lettered", "purged", "lost"]


def _totals(bridge):
    """Fresh ones of `far`, which must add up."""
    before = bridge.mark("totals", destination="far")
    bridge.signal(signal.SIGUSR1)
    said = bridge.wait_event("totals", more_than=before, destination="far")
    totals = {key: int(said[key]) for key in ["offered", "waiting", *ENDS]}
    assert totals["offered"] == totals["waiting"] + sum(totals[end] for end in ENDS), totals
    return totals


def _wait_totals(bridge, condition, what):
    return until(lambda: (lambda t: t if condition(t) else None)(_totals(bridge)), lambda: f"{what}: {_totals(bridge)}",
                 poll_s=0.05)


class Scene:
    """near → linkspan → far. Messages come by QoS 2, so that each is offered once however often linkspan dies."""

    def __init__(self, near, far, got, bridge, feed):
        self.near, self.far, self.got, self.bridge, self._feed = near, far, got, bridge, feed
        self.sent = 0

    def publish(self, count):
        for _ in range(count):
            self.sent += 1
            self._feed.publish("in/x", check.numbered("x", self.sent, 100), 2)

    def die(self):
        self.bridge.kill()
        self.bridge.start(wait_up=["near"])

    def publish_and_die(self, most=COUNT):
        """KILLS times, each at another point of what comes in, and then the rest. most: so many are taken at last."""
        chance = random.Random(7)
        share = COUNT // (KILLS + 1)
        for _ in range(KILLS):
            self.publish(share)
            before = _totals(self.bridge)["offered"]
            enough = min(before + chance.randrange(share), self.sent, most)
            _wait_totals(self.bridge, lambda t, n=enough: t["offered"] >= n, "messages to come in")
            self.die()
        self.publish(COUNT - self.sent)
        return _wait_totals(self.bridge, lambda t: t["offered"] == most, "all to be offered")

    def return_far(self):
        """The broker is back: what waits is delivered, once. Gives the totals and the numbers that arrived."""
        self.far.start()
        totals = _wait_totals(self.bridge, lambda t: t["waiting"] == 0 and t["offered"] == COUNT, "the outbox to drain")
        self.got.wait_count(totals["delivered"])
        numbers = [check.parse(m.payload)[1] for m in self.got.messages]
        assert len(numbers) == totals["delivered"], f"{len(numbers)} arrived, {totals}"
        assert numbers == sorted(set(numbers)), "repeated, or out of order"
        assert self.bridge.stop() == 0
        return totals, numbers


@contextmanager
def _away(**outbox):
    with own_mosquitto() as near, own_mosquitto() as far, Subscriber(far.port, "out/#") as got, \
            Publisher(near.port) as feed:
        far.stop()
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", near.port, session_expiry="1h"), yaml.mqtt("far", far.port, outbox=outbox)],
                [yaml.mapping("all", {"connection": "near", "topic": "in/{k}", "qos": 2},
                              {"connection": "far", "topic": "out/{k}", "qos": 1})]),
                wait_up=["near"]) as bridge:
            yield Scene(near, far, got, bridge, feed)


@tap.case("block: the source waits, nothing is lost")
def block():
    with _away(max_messages=LIMIT, when_full="block") as scene:
        totals = scene.publish_and_die(LIMIT)
        scene.bridge.wait_event("source_paused", connection="near")
        assert totals["waiting"] == LIMIT, totals
        totals, numbers = scene.return_far()
        assert totals["delivered"] == COUNT and numbers == list(range(1, COUNT + 1)), totals


@tap.case("drop_newest: those that came first arrive")
def drop_newest():
    with _away(max_messages=LIMIT, when_full="drop_newest") as scene:
        scene.publish_and_die()
        assert not scene.bridge.events("source_paused")
        scene.bridge.wait_event("dropped", destination="far")
        totals, numbers = scene.return_far()
        assert totals["delivered"] == LIMIT and totals["dropped_newest"] == COUNT - LIMIT, totals
        assert numbers == list(range(1, LIMIT + 1))


@tap.case("drop_oldest: those that came last arrive")
def drop_oldest():
    with _away(max_messages=LIMIT, when_full="drop_oldest") as scene:
        scene.publish_and_die()
        totals = _wait_totals(scene.bridge, lambda t: t["waiting"] <= LIMIT, "drops to catch up")
        assert totals["waiting"] >= LIMIT - LIMIT // 64, totals
        totals, numbers = scene.return_far()
        kept = totals["delivered"]
        assert kept + totals["dropped_oldest"] == COUNT, totals
        assert numbers == list(range(COUNT - kept + 1, COUNT + 1))


def _letters(scene):
    """The numbers of all dead letters on disk; here each message has its number for seq."""
    dump = scene.bridge.dump()
    return {int(seq) for seq in re.findall(r"^ +\d+ lsn=0 DEAD .* seq=(\d+) ", dump, re.M)}


@tap.case("dead_letter: what finds no room is kept, and the others arrive")
def dead_letter():
    with _away(max_messages=LIMIT, when_full="dead_letter") as scene:
        scene.publish_and_die()
        totals, numbers = scene.return_far()
        assert totals["delivered"] + totals["dead_lettered"] == COUNT, totals
        # A crash between a message and its letter lets it wait with the others.
        assert totals["delivered"] >= LIMIT, totals
        assert numbers[:LIMIT] == list(range(1, LIMIT + 1))
        missing = set(range(1, COUNT + 1)) - set(numbers)
        assert missing <= _letters(scene), "a message was neither delivered nor is it a dead letter"


@tap.case("ttl: what has waited too long is gone, and counted")
def ttl():
    with _away(ttl="1s") as scene:
        scene.publish_and_die()
        totals = _wait_totals(scene.bridge, lambda t: t["expired"] == COUNT, "all to expire")
        scene.die()
        assert _totals(scene.bridge) == totals
        totals, numbers = scene.return_far()
        assert not numbers


@tap.case("low space: nothing more is taken in, what waits is delivered; then space again")
def low_space():
    disk = small_disk(64)
    filler = os.path.join(disk, "filler")
    try:
        with own_mosquitto() as near, own_mosquitto() as far, Subscriber(far.port, "out/#") as got, \
                Publisher(near.port) as feed, Linkspan(yaml.configuration(
                    [yaml.mqtt("near", near.port), yaml.mqtt("far", far.port)],
                    [yaml.mapping("all", {"connection": "near", "topic": "in/{k}", "qos": 2},
                                  {"connection": "far", "topic": "out/{k}", "qos": 1})],
                    journal={"segment_size": "2MiB", "min_free": "16MiB"}),
                    data_dir=os.path.join(disk, "data")) as bridge:
            scene = Scene(near, far, got, bridge, feed)
            assert bridge.events("disk_limits"), "1 GiB may wait on a disk of 64 MiB"
            far.stop()
            bridge.wait_event("link_down", connection="far")
            scene.publish(100)
            _wait_totals(bridge, lambda t: t["waiting"] == 100, "messages to wait")
            with open(filler, "wb") as file:  # by somebody else; there is space, but little
                file.write(bytes(45 << 20))
            bridge.wait_event("low_space")
            scene.publish(100)
            bridge.wait_event("source_paused", connection="near", reason="disk_full")
            far.start()
            totals = _wait_totals(bridge, lambda t: t["waiting"] == 0, "what waits to be delivered")
            assert totals["offered"] < 200, totals
            os.unlink(filler)
            bridge.wait_event("space_again")
            got.wait_count(200)
            assert sorted(check.parse(m.payload)[1] for m in got.messages) == list(range(1, 201))
            assert bridge.stop() == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def _check(*connections, **keys):
    folder = temp_folder("check")
    path = os.path.join(folder, "linkspan.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write("data_dir: data\n" + yaml.configuration(list(connections), [
            yaml.mapping("all", {"connection": "near", "topic": "in/{k}"}, {"connection": "far", "topic": "out/{k}"},
                         **keys)]))
    return subprocess.run([program(), "check", path], capture_output=True, text=True, check=False)


@tap.case("check says what a full outbox does, and refuses to lose what must not be lost")
def checked():
    near = yaml.mqtt("near", 1883)
    said = _check(near, yaml.mqtt("far", 1884))
    assert said.returncode == 0 and "\nfull outbox of far (block) stops: near\n" in said.stdout, said
    said = _check(near, yaml.mqtt("far", 1884, outbox={"when_full": "drop_oldest"}))
    assert "at-most-once, for its outbox has when_full: drop_oldest\n" in said.stdout, said
    assert "stops:" not in said.stdout
    said = _check(near, yaml.mqtt("far", 1884, outbox={"when_full": "dead_letter"}), delivery="at-least-once")
    assert said.returncode == 0 and "full dead letters of far (dead_letter) stops: near\n" in said.stdout, said
    said = _check(near, yaml.mqtt("far", 1884, outbox={"when_full": "drop_oldest"}), delivery="at-least-once")
    assert said.returncode == 1 and "when_full: drop_oldest throws messages away, but mapping 'all' declares" in \
        said.stderr, said


if __name__ == "__main__":
    tap.main()
