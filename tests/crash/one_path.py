# SPDX-License-Identifier: Apache-2.0
"""A campaign over one path with MQTT at one end: what coap_campaign.py and http_campaign.py have in common. A path has
name, destination, tally, broker, plant, publisher, subscriber, begin(), configuration(), damage(), faults(), be_good(),
say() and close()."""
import contextlib
import os
import random
import sys
import time

import points
import qos2
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.qos2 import Subscriber
from rig.wait import free_port


class ToBroker:
    """The half of a path into linkspan that they share: a listener `api` → MQTT, QoS 2. A user of it sets `tally`."""
    name, destination = "in", "b"

    def __init__(self, resources, tally, window):
        self.tally, self._window = tally, window
        self.broker = qos2.own_broker(resources)
        self.plant = qos2.own_proxy(resources, "plant", self.broker)
        self.port = free_port()
        self.subscriber = resources.enter_context(Subscriber(
            self.broker.port, "out/#", "subscriber", lambda _topic, payload: self.tally.take(payload)))
        self.publisher = None

    def configuration_of(self, api, segment_mib):
        b = yaml.mqtt("b", self.plant.port, keep_alive="1s", ack_timeout="5s", max_in_flight=self._window)
        return yaml.configuration([api, b], [yaml.mapping("numbers", {"connection": "api", "topic": "/in/{name}"},
                                                          {"connection": "b", "topic": "out/{name}", "qos": 2},
                                                          delivery="at-least-once")],
                                  journal={"segment_size": f"{segment_mib}MiB"}, shutdown_timeout="3s")

    def damage(self):
        return self.tally.missing() + self.tally.repeated

    def faults(self):
        found = self.publisher.faults + self.subscriber.faults
        for what, n in (("sessions lost by the subscriber", self.subscriber.sessions_lost),
                        ("identifiers used again before their release", self.subscriber.reused)):
            if n:
                found.append(f"{n} {what}")
        return found

    def be_good(self):
        pass

    def close(self):
        if self.publisher:
            self.publisher.close()


class Campaign(points.Points, qos2.Campaign):
    """With the faults of a receiver."""

    def __init__(self, dice, path, bridge):
        points.Points.__init__(self)
        qos2.Campaign.__init__(self, dice, [path], bridge)
        self.path = path
        self.at_once = False  # enough as soon as something came twice

    def enough(self):
        return self.at_once and self.path.tally.repeated > 0

    def pause_s(self, least_s, most_s):
        """A wait that is the fault itself: no event ends it."""
        time.sleep(self.dice.uniform(least_s, most_s))

    def only(self, word, manners):
        """For a while the receiver does nothing else; in half of the cases linkspan is killed meanwhile."""
        self.path.receiver.behave({word: 1})
        self.pause_s(0.2, 1.5)
        if self.dice.random() < 0.5:
            self.kill_linkspan()
            self.pause_s(0, 0.5)
        self.path.receiver.behave(manners)


def _report(of, mode, campaign, seed):
    path = campaign.path
    verdict = path.tally.verdict(path.publisher.sent)
    print("# " + " ".join(f"{name}={n}" for name, n in sorted(campaign.done.items())))
    campaign.print_points()
    words = path.say()
    wrong = campaign.wrong + campaign.never_reached()
    exact = mode == "in"
    if mode == "control":
        wrong = [line for line in wrong if " came again " not in line]
        if not verdict.repeated:
            wrong.append("nothing came twice: this campaign could not find what it is for")
    for line in wrong[:20]:
        print(f"# {line}")
    good = not (wrong or verdict.lost or verdict.out_of_order or verdict.strangers or (exact and verdict.repeated))
    print(f"{of}: {'ok' if good else 'FAILED'} mode={mode} faults={sum(campaign.done.values())} sent={verdict.expected} "
          f"lost={len(verdict.lost)} {'repeated' if exact else 'delivered_again'}={verdict.repeated} "
          f"out_of_order={len(verdict.out_of_order)} strangers={verdict.strangers} {words} seed={seed}")
    return 0 if good else 1


def _run(module, of, mode, n, seed, essential):
    with contextlib.ExitStack() as resources:
        path = module.make_path(resources, mode, seed)
        bridge = resources.enter_context(Linkspan(path.configuration(), start=False))
        resources.callback(path.close)
        campaign = module.Campaign(random.Random(seed), path, bridge)
        campaign.at_once = mode == "control"
        kinds = module.faults(campaign, mode)
        if essential:
            kinds = [kind for kind in kinds if kind[0] in module.ESSENTIAL]
        try:
            bridge.start()  # before anything is published: only from then on there is a session to keep it for
            path.begin()
            campaign.flow(50)
            campaign.run(n or len(kinds), kinds)
            path.be_good()
            campaign.finish(True)
            if bridge.stop() != 0:
                campaign.wrong.append("the last stop was not clean")
        except AssertionError as error:
            campaign.look("the failure")
            campaign.wrong.append(str(error))
            print("\n".join(f"# {line}" for line in bridge.log_lines(whole=True)[-60:]))
        if mode not in ("in", "control"):
            campaign.wrong = [line for line in campaign.wrong if " came again " not in line]  # at least once
        if not path.publisher:
            print(f"{of}: FAILED mode={mode} linkspan does not start")
            return 1
        campaign.wrong = path.faults() + campaign.wrong  # what clients saw first
        return _report(of, mode, campaign, seed)


def main(of, modes):
    """The command OF.sh MODE [essential] [N] [SEED]; the calling module has make_path(), Campaign, faults() and ESSENTIAL."""
    words, module = sys.argv[1:], sys.modules["__main__"]
    mode = next((m for m in modes if m in words), None)
    numbers = [int(w) for w in words if w.isdigit()]
    if not mode:
        print(f"{of}.sh {'|'.join(modes)} [essential] [N] [SEED]", file=sys.stderr)
        return 2
    seed = numbers[1] if len(numbers) > 1 else int(os.environ.get("SEED") or random.randrange(1 << 32))
    essential = "essential" in words
    print(f"# seed={seed}", flush=True)
    try:
        return _run(module, of, mode, numbers[0] if numbers else None if essential else 30, seed, essential)
    except tap.Skip as skip:
        print(f"{of}: skipped: {skip}")
        return 77
