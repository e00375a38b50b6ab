# SPDX-License-Identifier: Apache-2.0
"""See coap.sh."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

import one_path  # noqa: E402  pylint: disable=wrong-import-position
import qos2  # noqa: E402  pylint: disable=wrong-import-position
from rig import check, coap_receivers, coap_senders, yaml  # noqa: E402  pylint: disable=wrong-import-position
from rig.coap_proxy import LossyProxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Publisher  # noqa: E402  pylint: disable=wrong-import-position

SIZE, SHARE = 150, 0.2
# In: 247 s of message ids must fit into an eighth of a segment, 32 bytes each.
DEVICES, RATE_IN, SEGMENT_IN_MIB = 60, 400, 32
# Out: keys of the first are sent in one datagram each, those of the second in blocks.
KEYS, KEYS_IN_BLOCKS, BLOCK_SIZE, RATE_OUT, WINDOW = 200, 40, 64, 400, 100
MOST_UNDERWAY = 300
OUT_POINTS = ("coap.before_send", "coap.after_send", "coap.after_response")
IN_POINTS = ("coap.before_offer", "coap.after_offer", "coap.before_answer", "coap.after_answer")
ESSENTIAL = ("kill-linkspan", "silent-link", *OUT_POINTS, *IN_POINTS)


class InPath(one_path.ToBroker):
    """Devices → a bad link → linkspan → MQTT, QoS 2. dedupe: how the listener knows what comes again."""

    def __init__(self, resources, seed, dedupe):
        super().__init__(resources, coap_senders.Tally([f"k{n}" for n in range(DEVICES)], SIZE), WINDOW)
        self._seed, self._dedupe = seed, dedupe
        self.link = resources.enter_context(LossyProxy(self.port, SHARE, SHARE, SHARE, seed))

    def begin(self):
        self.publisher = coap_senders.Senders(self.link.port, "/in/{}".format, DEVICES, RATE_IN, SIZE,
                                              lambda total: total - self.tally.arrived - len(self.publisher.forgiven)
                                              < MOST_UNDERWAY if self.publisher else False, self._seed)
        self.tally.forgiven = self.publisher.forgiven

    def configuration(self):
        return self.configuration_of(yaml.coap("api", listen=[f"coap://127.0.0.1:{self.port}"], dedupe=self._dedupe), SEGMENT_IN_MIB)

    def say(self):
        """Comments, and words for the last line."""
        sender = self.publisher
        print(f"# {sender.requests} requests in {sender.datagrams} datagrams; {sender.reboots} reboots; answers {sender.answers}; "
              f"{sender.acks} empty ACKs, {sender.pings} pings; {sender.given_up} of {len(sender.forgiven)} numbers given up "
              "were confirmable")
        print(f"# the link lost {self.link.lost} datagrams, repeated {self.link.repeated}, held back {self.link.delayed}")
        return f"answered={sender.acknowledged} given_up={sender.given_up}"


class OutPath:
    """MQTT → linkspan → a bad link → a device with bad manners."""
    name, destination = "out", "device"

    def __init__(self, resources, seed):
        self.tally = check.Tally([f"k{n}" for n in range(KEYS)], SIZE)
        self.broker = qos2.own_broker(resources)
        self.plant = qos2.own_proxy(resources, "plant", self.broker)
        self.receiver = self.subscriber = resources.enter_context(coap_receivers.Receiver(self._take, seed=seed))
        self.link = resources.enter_context(LossyProxy(self.receiver.port, SHARE, SHARE, SHARE, seed))
        self.strange_paths = []
        self.publisher = None

    def _take(self, path, payload):
        if path != "/in/" + payload.split(b" ", 1)[0].decode(errors="replace"):
            self.strange_paths.append(path)
        self.tally.take(payload)

    def begin(self):
        self.publisher = Publisher(self.broker.port, "in", "publisher", keys=KEYS, rate=RATE_OUT, size=SIZE, window=WINDOW,
                                   may_go_on=lambda total: total - self.tally.arrived < MOST_UNDERWAY)

    def configuration(self):
        # Times as short as they can be, and as many requests at a time as there are keys.
        keys = {"url": f"coap://127.0.0.1:{self.link.port}", "timeout": "10s", "concurrency": KEYS, "outbox": {"backoff_max": "300ms"},
                "transmission": {"ack_timeout": "1s", "nstart": KEYS}, "method": "PUT"}
        plant = yaml.mqtt("plant", self.plant.port, keep_alive="1s", ack_timeout="5s", receive_maximum=2 * MOST_UNDERWAY)
        names = [f"in/k{n}" for n in range(KEYS)]
        mappings = [yaml.mapping(connection, {"connection": "plant", "topic": topics, "qos": 2},
                                 {"connection": connection, "path": "/in/{topic[1]}"}, delivery="at-least-once")
                    for connection, topics in (("device", names[KEYS_IN_BLOCKS:]), ("blocks", names[:KEYS_IN_BLOCKS]))]
        return yaml.configuration([plant, yaml.coap("device", **keys), yaml.coap("blocks", block_size=BLOCK_SIZE, **keys)],
                                  mappings, journal={"segment_size": "1MiB"}, shutdown_timeout="3s")

    def damage(self):
        return self.tally.missing()

    def faults(self):
        found = self.publisher.faults + self.receiver.faults
        if self.publisher.sessions_lost:
            found.append(f"{self.publisher.sessions_lost} sessions lost by the publisher")
        if self.strange_paths:
            found.append(f"paths that are not of the message: {self.strange_paths[:3]}")
        return found

    def be_good(self):
        self.receiver.behave({"ok": 1})
        self.link.behave()

    def close(self):
        if self.publisher:
            self.publisher.close()

    def say(self):
        device = self.receiver
        print(f"# {device.requests} requests, {device.blocks} of them with a block, {device.non_requests} by NON; "
              f"{device.repeated_ids} ids came again; {device.reboots} reboots")
        print(f"# the link lost {self.link.lost} datagrams, repeated {self.link.repeated}, held back {self.link.delayed}")
        return f"requests={device.requests} reboots={device.reboots}"


class Campaign(one_path.Campaign):
    """With the faults of CoAP."""
    OWN = "coap."

    def look(self, after):
        tally = self.path.tally
        if isinstance(tally, coap_senders.Tally):
            tally.forgive_gaps()
            for key, seq in [] if self.at_once else tally.copies[:3]:
                print(f"# {key} {seq} came again: " + "; ".join(self.path.publisher.story(key)), flush=True)
        super().look(after)

    def silent_link(self):
        """Nothing comes through; in half of the cases linkspan is killed meanwhile."""
        self.path.link.silent = True
        self.pause_s(0.2, 1.5)
        if self.dice.random() < 0.5:
            self.kill_linkspan()
        self.path.link.silent = False

    def storm(self):
        link = self.path.link
        link.behave(0.5, 0.5, 0.5)
        self.pause_s(0.5, 1.5)
        self.kill_linkspan()
        self.pause_s(0, 0.5)
        link.behave(SHARE, SHARE, SHARE)


def faults(campaign, mode):
    path = campaign.path
    wanted = OUT_POINTS if mode == "out" else IN_POINTS
    always = [("kill-linkspan", 20, campaign.kill_linkspan), ("stop-linkspan", 4, campaign.stop_linkspan),
              *((name, 3, lambda name=name: campaign.fail_point(name, 600)) for name in wanted)]
    if mode == "control":
        return always
    always += [("other-failpoint", 4, campaign.other_fail_point), ("silent-link", 4, campaign.silent_link),
               ("storm", 4, campaign.storm), *qos2.faults_of_links(campaign, path.plant),
               ("restart-broker", 3, lambda: campaign.restart(path.broker))]
    if mode == "in":
        return always
    return [*always, *((f"all-{word}", 2, lambda word=word: campaign.only(word, coap_receivers.MANNERS))
                       for word in ("5.00", "5.03", "silent", "done-but-silent", "reboot", "separate"))]


def make_path(resources, mode, seed):
    if mode == "out":
        return OutPath(resources, seed)
    return InPath(resources, seed, "memory" if mode == "control" else "durable")


if __name__ == "__main__":
    sys.exit(one_path.main("coap", ("out", "in", "control")))
