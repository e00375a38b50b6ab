# SPDX-License-Identifier: Apache-2.0
"""See http.sh."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

import one_path  # noqa: E402  pylint: disable=wrong-import-position
import points  # noqa: E402  pylint: disable=wrong-import-position
import qos2  # noqa: E402  pylint: disable=wrong-import-position
from rig import check, webhooks, yaml  # noqa: E402  pylint: disable=wrong-import-position
from rig.poster import Posters  # noqa: E402  pylint: disable=wrong-import-position
from rig.proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Publisher  # noqa: E402  pylint: disable=wrong-import-position
from rig.receiver import ReceiverProcess  # noqa: E402  pylint: disable=wrong-import-position

KEYS, SIZE, WINDOW, RATE = 8, 120, 100, 1500
# Keys that come within KEY_TTL_S must fit into an eighth of a segment, 32 bytes each. Nobody here repeats for so long.
RATE_IN, KEY_TTL_S, SEGMENT_IN_MIB = 800, 30, 8
KEYS_BY_QOS_1 = ("k6", "k7")
MOST_UNDERWAY = 1000
TIMEOUT_S = 2  # linkspan's for an answer
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
OUT_POINTS = ("http.before_send", "http.after_send", "http.after_response")
BATCH_POINTS = ("http.before_batch", "http.after_batch")
IN_POINTS = ("http.before_offer", "http.after_offer", "http.before_answer")
ESSENTIAL = ("kill-linkspan", "kill-receiver", "stalled-too-long", "all-500", "reset-door", *OUT_POINTS, *BATCH_POINTS,
             *IN_POINTS)

# A few of each thousand requests suffer what takes a while.
MANNERS = {"ok": 820, "slow": 20, "500": 30, "502": 10, "409": 10, "408": 5, "cut-request": 15, "cut-answer": 30,
           "half-head": 15, "half-body": 5, "burst": 3, "hang": 2, "429-seconds": 1, "429-date": 1, "503-seconds": 1, "die": 5}


class OutPath:
    """MQTT → linkspan → an HTTP server with bad manners. batch: None or a format."""
    name, destination = "out", "hook"

    def __init__(self, resources, seed, batch=None):
        self._batch = batch
        self.arrivals = webhooks.Arrivals(check.Tally([f"k{n}" for n in range(KEYS)], SIZE), SECRETS, batch,
                                          twice=KEYS_BY_QOS_1)
        self.tally = self.arrivals.tally
        self.broker = qos2.own_broker(resources)
        self.plant = qos2.own_proxy(resources, "plant", self.broker)
        self.subscriber = self.receiver = resources.enter_context(ReceiverProcess(self.arrivals.take, MANNERS, seed))
        self.hook = resources.enter_context(Proxy(self.receiver.port))
        self.hook.name = "hook"
        self.publisher = None

    def begin(self):
        self.publisher = Publisher(self.broker.port, "in", "publisher", keys=KEYS, rate=RATE, size=SIZE, window=WINDOW,
                                   may_go_on=lambda total: total - self.tally.arrived < MOST_UNDERWAY,
                                   make=webhooks.numbered_json if self._batch else check.numbered)

    def configuration(self):
        batch = {"batch": {"max": 50, "wait": "20ms", "format": self._batch}} if self._batch else {}
        hook = yaml.http("hook", self.hook.port, timeout=f"{TIMEOUT_S}s", connect_timeout=f"{TIMEOUT_S}s", concurrency=KEYS,
                         signing_secret=" ".join(SECRETS), outbox={"backoff_max": "300ms"},
                         breaker={"min": "100ms", "max": "500ms"}, **batch)
        # Never reached: mosquitto 2.0.11 lets a message go before those that it has queued when QoS 1 and 2 share a full window.
        plant = yaml.mqtt("plant", self.plant.port, keep_alive="1s", ack_timeout="5s", receive_maximum=2 * MOST_UNDERWAY)
        path = "/hooks" if self._batch else "/hooks/{topic[1]}?of={topic[0]}"
        mappings = [yaml.mapping(f"qos-{qos}", {"connection": "plant", "topic": [f"in/{key}" for key in keys], "qos": qos},
                                 {"connection": "hook", "path": path}, delivery="at-least-once")
                    for qos, keys in ((1, KEYS_BY_QOS_1), (2, [f"k{n}" for n in range(KEYS) if f"k{n}" not in KEYS_BY_QOS_1]))]
        # Small segments, so that they fill, are recycled and are checkpointed many times.
        return yaml.configuration([plant, hook], mappings, journal={"segment_size": "1MiB"}, shutdown_timeout="3s")

    def damage(self):
        return self.tally.missing()

    def faults(self):
        found = self.arrivals.wrong + self.publisher.faults + self.receiver.faults
        if self.publisher.sessions_lost:
            found.append(f"{self.publisher.sessions_lost} sessions lost by the publisher")
        return found

    def be_good(self):
        self.receiver.behave({"ok": 1})

    def close(self):
        if self.publisher:
            self.publisher.close()

    def say(self):
        """Comments, and words for the last line."""
        a = self.arrivals
        print(f"# {a.requests} requests, {a.repetitions()} of them repetitions; {a.again} messages that QoS 1 made of one; "
              f"{self.receiver.deaths} deaths of the receiver, {self.receiver.torn} records torn by them")
        words = f"requests={a.requests} repetitions={a.repetitions()}"
        return words + (f" batches={a.batches} largest={a.largest}" if self._batch else "")


class InPath(one_path.ToBroker):
    """Senders with bad manners → linkspan → MQTT, QoS 2. keys: do the senders name any?"""

    def __init__(self, resources, seed, keys=True):
        super().__init__(resources, check.Tally([f"k{n}" for n in range(KEYS)], SIZE), WINDOW)
        self._seed, self._keys = seed, keys
        self.door = resources.enter_context(Proxy(self.port))
        self.door.name = "door"

    def begin(self):
        self.publisher = Posters(self.door.port, "/in/{}".format, KEYS, RATE_IN, SIZE, self._keys,
                                 lambda total: total - self.tally.arrived < MOST_UNDERWAY, self._seed)

    def configuration(self):
        return self.configuration_of(yaml.http("api", listen=[f"127.0.0.1:{self.port}"], key_ttl=f"{KEY_TTL_S}s"), SEGMENT_IN_MIB)

    def say(self):
        sender = self.publisher
        print(f"# {sender.repetitions} repetitions by senders; {sender.refused} other bodies with a known key refused; "
              f"told to come later: {sender.answers}, in the end {sender.later}")
        return f"repetitions_sent={sender.repetitions}"


class Campaign(one_path.Campaign):
    """With the faults of HTTP."""
    OWN = "http."

    # --- the receiver

    def kill_receiver(self):
        self.path.receiver.kill()
        self.moment(1)
        self.path.receiver.start()

    def kill_both(self):
        self.path.receiver.kill()
        self.bridge.kill()
        self.bridge.start(wait_up=False)
        self.path.receiver.start()

    def freeze_receiver(self, least_s=0.1, most_s=1):
        self.path.receiver.freeze()
        self.pause_s(least_s, most_s)
        self.path.receiver.thaw()

    def frozen_too_long(self):
        self.freeze_receiver(TIMEOUT_S, TIMEOUT_S + 1)

    def stall(self, proxy, least_s=0.1, most_s=1):
        proxy.stall()
        self.pause_s(least_s, most_s)
        proxy.forward()


def faults(campaign, mode):
    path = campaign.path
    wanted = {"out": OUT_POINTS, "batches": OUT_POINTS + BATCH_POINTS}.get(mode, IN_POINTS)
    known = points.fail_point_names()
    always = [("kill-linkspan", 20, campaign.kill_linkspan), ("stop-linkspan", 4, campaign.stop_linkspan),
              *((name, 3, lambda name=name: campaign.fail_point(name, 1000)) for name in wanted if name in known)]
    if mode == "control":
        return always
    always += [("other-failpoint", 4, campaign.other_fail_point), *qos2.faults_of_links(campaign, path.plant)]
    if mode == "in":
        return [*always, *qos2.faults_of_links(campaign, path.door), ("stall-door", 3, lambda: campaign.stall(path.door)),
                ("restart-broker", 3, lambda: campaign.restart(path.broker))]
    return [*always, *qos2.faults_of_links(campaign, path.hook), ("stall-hook", 3, lambda: campaign.stall(path.hook)),
            ("stalled-too-long", 2, lambda: campaign.stall(path.hook, TIMEOUT_S, TIMEOUT_S + 1)),
            ("kill-receiver", 6, campaign.kill_receiver), ("kill-both", 3, campaign.kill_both),
            ("freeze-receiver", 3, campaign.freeze_receiver), ("frozen-too-long", 2, campaign.frozen_too_long),
            *((f"all-{word}", 3, lambda word=word: campaign.only(word, MANNERS)) for word in ("500", "cut-answer", "cut-request")),
            ("all-429", 2, lambda: campaign.only("429-seconds", MANNERS)), ("all-503", 2, lambda: campaign.only("503-seconds", MANNERS))]


def make_path(resources, mode, seed):
    if mode == "batches":
        return OutPath(resources, seed, ("json-array", "ndjson")[seed % 2])
    return OutPath(resources, seed) if mode == "out" else InPath(resources, seed, mode == "in")


if __name__ == "__main__":
    sys.exit(one_path.main("http", ("out", "batches", "in", "control")))
