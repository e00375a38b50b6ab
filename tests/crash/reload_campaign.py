# SPDX-License-Identifier: Apache-2.0
"""See reload.sh."""
import contextlib
import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

from rig import check, tap, yaml  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.fixtures import own_mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Publisher, Subscriber  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import free_port, until  # noqa: E402  pylint: disable=wrong-import-position

KEYS, RATE, SIZE = 4, 400, 200
MOST_UNDERWAY = 2000
BROKER = ("max_inflight_messages 1000", "max_queued_messages 0", "max_queued_bytes 0", "log_type error", "log_type warning")
GROWTH_KIB, GROWTH_FILES = 3072, 3


class State:
    """What the file says now. The dice change it."""

    def __init__(self, near, far, dice):
        self.near, self.far, self.dice = near, far, dice
        self.http_port = free_port()
        self.way = {f"k{n}": "one" for n in range(KEYS)}
        self.jq = {f"k{n}": False for n in range(KEYS)}
        self.names = {f"k{n}": 0 for n in range(KEYS)}
        self.settings = {"in": {"receive_maximum": 100}, "one": {"window": 50}, "two": {"window": 50}}
        self.further = set()
        self.filters = set()
        self.path = "/p0"
        self.turned = False
        self.changed = {name: 0 for name in ("in", "one", "two")}

    def change(self):
        """Returns a word for what was changed."""
        kinds = [self._way, self._way, self._jq, self._name, self._setting, self._further, self._filter, self._path, self._order]
        return self.dice.choice(kinds)()

    def _key(self):
        return f"k{self.dice.randrange(KEYS)}"

    def _way(self):
        key = self._key()
        self.way[key] = "two" if self.way[key] == "one" else "one"
        return "way"

    def _jq(self):
        key = self._key()
        self.jq[key] = not self.jq[key]
        return "jq"

    def _name(self):
        self.names[self._key()] += 1
        return "name"

    def _setting(self):
        name = self.dice.choice(("in", "one", "two"))
        key = "receive_maximum" if name == "in" else "window"
        self.settings[name] = {key: self.settings[name][key] % 100 + self.dice.randrange(1, 40)}
        self.changed[name] += 1
        return "setting"

    def _further(self):
        self.further ^= {self.dice.randrange(3)}
        return "further"

    def _filter(self):
        self.filters ^= {self.dice.randrange(4)}
        return "filter"

    def _path(self):
        self.path = f"/p{self.dice.randrange(5)}"
        return "path"

    def _order(self):
        self.turned = not self.turned
        return "order"

    def configuration(self):
        links = [yaml.mqtt("still-in", self.near.port, session_expiry="1h"), yaml.mqtt("still-out", self.far.port, session_expiry="1h"),
                 yaml.mqtt("in", self.near.port, session_expiry="1h", receive_maximum=self.settings["in"]["receive_maximum"]),
                 yaml.http("hooks", listen=[f"127.0.0.1:{self.http_port}"])]
        links += [yaml.mqtt(name, self.far.port, session_expiry="1h", outbox={"window": self.settings[name]["window"]})
                  for name in ("one", "two")]
        links += [yaml.mqtt(f"further{n}", self.far.port, session_expiry="1h") for n in sorted(self.further)]

        def one(name, source, topic, sink, target, **keys):
            return yaml.mapping(name, {"connection": source, "topic": topic, "qos": 2}, {"connection": sink, "topic": target, "qos": 2},
                                **keys)
        maps = [one(f"way-{key}-{self.names[key]}", "in", f"in/{key}", way, f"out/{key}",
                    **({"payload": "."} if self.jq[key] else {})) for key, way in self.way.items()]
        maps += [one(f"further{n}", "in", "in/k0", f"further{n}", f"further/{n}") for n in sorted(self.further)]
        maps += [one(f"filter{n}", "in", f"filter/{n}", "one", f"filter/out/{n}") for n in sorted(self.filters)]
        maps.append(yaml.mapping("hook", {"connection": "hooks", "topic": self.path}, {"connection": "two", "topic": "hook"}))
        if self.turned:
            maps.reverse()
        maps.append(one("still", "still-in", "still/+", "still-out", "still-out"))
        return yaml.configuration(links, maps)


def text(key, seq, size):
    """As check.numbered, in JSON, which jq gives back as it is."""
    return b'"' + check.numbered(key, seq, size - 2) + b'"'


def connections(broker, name):
    """How often the broker has seen it connect. linkspan's own log leaves repetitions out."""
    with open(os.path.join(broker.folder, "mosquitto.log"), "rb") as log:
        return sum(b"New client connected" in line and b" as linkspan-%b " % name.encode() in line for line in log)


class Campaign:
    """All that runs."""

    def __init__(self, resources, dice):
        self.dice = dice
        self.wrong, self.kinds, self.refused = [], {}, 0
        self.got = {"out": [], "still-out": [], "further": []}
        near, far = (resources.enter_context(own_mosquitto(settings=BROKER, in_memory=True)) for _ in range(2))
        self.state = State(near, far, dice)
        self.subscriber = resources.enter_context(Subscriber(far.port, ["out/#", "still-out", "further/#"], "subscriber", self._take))
        self.bridge = resources.enter_context(Linkspan(self.state.configuration()))
        may_go_on = lambda _total: self.behind() < MOST_UNDERWAY  # noqa: E731
        self.publishers = {
            "out": resources.enter_context(Publisher(near.port, "in", "publisher", keys=KEYS, rate=RATE, size=SIZE, make=text,
                                                     may_go_on=may_go_on)),
            "still-out": resources.enter_context(Publisher(near.port, "still", "still", keys=1, rate=100, size=SIZE, make=text,
                                                           may_go_on=may_go_on))}

    def _take(self, topic, payload):
        where = topic.split("/")[0]
        self.got[where].append((topic, payload.strip(b'"')))

    def behind(self):
        if not hasattr(self, "publishers"):
            return 0
        return sum(p.total for p in self.publishers.values()) - len(self.got["out"]) - len(self.got["still-out"])

    # --- what happens

    def reload(self):
        if self.dice.random() < 0.1:
            self._broken()
            return
        kinds = [self.state.change() for _ in range(self.dice.randrange(1, 4))]
        for kind in kinds:
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.bridge.configure(self.state.configuration())
        drain = [word for name in ("one", "two", *(f"further{n}" for n in range(3))) for word in ("--drain", name)]
        if self._leaves_nothing() and self.dice.random() < 0.3:
            before = self._reloaded()
            self.bridge.settled(lambda: self.bridge.signal(signal.SIGHUP))
            if self._reloaded() == before:
                self.wrong.append(f"SIGHUP was refused: {self.bridge.events('reload_refused')[-3:]}")
        else:
            self.bridge.settled(lambda: self.bridge.reload(*drain))

    def _reloaded(self):
        return sum(" event=reloaded " in line for line in self.bridge.log_lines())

    def _leaves_nothing(self):
        """Without --drain nothing may wait for what has gone: nothing has gone that was there the last time."""
        there = {*self.state.way.values(), *(f"further{n}" for n in self.state.further), "two"} | ({"one"} if self.state.filters else set())
        left, self._there = getattr(self, "_there", there) - there, there
        # What drains may still do so.
        self._lately = left or (getattr(self, "_lately", set()) - there)
        return not left and not self._lately

    def _broken(self):
        good = self.state.configuration()
        self.bridge.configure(self.dice.choice((good.replace("qos: 2", "qos: 7"), good.replace("in/k1", "in/#/k1"), good + "  - nothing\n",
                                                good.replace("type: \"mqtt\"", "type: \"mqqt\""))))
        before = self._reloaded()
        said = self.bridge.settled(lambda: self.bridge.reload(status=1))
        if "nothing has changed" not in said or ".yaml:" not in said or self._reloaded() != before:
            self.wrong.append(f"a broken file: {said}")
        self.refused += 1

    def flow(self, n):
        before = len(self.got["out"])
        until(lambda: len(self.got["out"]) >= before + n or not self.bridge.running(), "messages to flow")
        if not self.bridge.running():
            raise AssertionError(f"linkspan ended by itself with {self.bridge.wait()}")

    def run(self, n):
        self.flow(1)
        for number in range(1, n + 1):
            self.reload()
            self.flow(self.dice.randrange(1, 40))
            if number == max(1, n // 5):
                self.memory, self.files = self.bridge.anonymous_kib(), self.bridge.open_files()
            if number % 50 == 0:
                print(f"# {number} reloads, {len(self.got['out'])} arrived, {self.bridge.anonymous_kib()} KiB, "
                      f"{self.bridge.open_files()} files", flush=True)

    def finish(self):
        sent = {where: publisher.stop() for where, publisher in self.publishers.items()}
        until(lambda: self.behind() <= 0, lambda: f"the rest: {self.behind()} are missing", progress=self.behind)
        for name in ("one", "two", "still-out"):
            self.bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination=name)
        self.last = self.bridge.anonymous_kib(), self.bridge.open_files()
        connects = {name: connections(broker, name) for broker, names in ((self.state.near, ("still-in", "in")),
                                                                          (self.state.far, ("still-out", "one", "two")))
                    for name in names}
        self.slow = self.bridge.held_up()
        if self.bridge.stop() != 0:
            self.wrong.append("the stop was not clean")
        return sent, connects

    def judge(self, sent, connects, n):
        for where in ("out", "still-out"):
            verdict = check.judge(sent[where], [payload for _, payload in self.got[where]])
            print(f"# {where}: {verdict._replace(lost=len(verdict.lost), out_of_order=len(verdict.out_of_order))}")
            if verdict.lost or verdict.repeated or verdict.strangers:
                self.wrong.append(f"{where}: lost {verdict.lost[:5]} repeated {verdict.repeated} strangers {verdict.strangers}")
            if where == "still-out" and verdict.out_of_order:
                self.wrong.append(f"{where}: out of order {verdict.out_of_order[:5]}")
        if len(set(self.got["further"])) != len(self.got["further"]):
            self.wrong.append("a further destination got some twice")
        for name in ("still-in", "still-out"):
            if connects[name] != 1:
                self.wrong.append(f"{name} was touched: connected {connects[name]} times")
        if self.state.changed["in"] + 1 < connects["in"]:
            self.wrong.append(f"in: connected {connects['in']} times, changed {self.state.changed['in']} times")
        down = [e for e in self.bridge.events("link_down") if e["connection"].startswith("still")]
        self.wrong += [f"down: {event}" for event in down]
        self.wrong += [f"held up: {turn}" for turn in self.slow]
        growth, files = self.last[0] - self.memory, self.last[1] - self.files
        if n >= 50 and growth > GROWTH_KIB:
            self.wrong.append(f"memory has grown by {growth} KiB since reload {n // 5}")
        if n >= 50 and files > GROWTH_FILES:
            self.wrong.append(f"{files} descriptors more than after reload {n // 5}")
        return growth, files


def run(n, seed):
    with contextlib.ExitStack() as resources:
        campaign = Campaign(resources, random.Random(seed))
        growth = files = 0
        connects = {}
        try:
            campaign.run(n)
            sent, connects = campaign.finish()
            growth, files = campaign.judge(sent, connects, n)
        except AssertionError as error:
            campaign.wrong.append(str(error))
            print("\n".join(f"# {line}" for line in campaign.bridge.log_lines()[-30:]))
        faults = campaign.wrong + [fault for c in (campaign.subscriber, *campaign.publishers.values()) for fault in c.faults]
        for fault in faults[:20]:
            print(f"# {fault}")
        print("# " + " ".join(f"{kind}={times}" for kind, times in sorted(campaign.kinds.items())))
        print(f"reload: {'FAILED' if faults else 'ok'} reloads={n} refused={campaign.refused} "
              f"sent={sum(p.total for p in campaign.publishers.values())} arrived={len(campaign.got['out']) + len(campaign.got['still-out'])} "
              f"untouched={connects.get('still-in')},{connects.get('still-out')} "
              f"connects={','.join(str(connects.get(name)) for name in ('in', 'one', 'two'))} "
              f"growth_kib={growth} growth_files={files} seed={seed}")
        return 1 if faults else 0


def main():
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    n = numbers[0] if numbers else 60
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"# seed={seed}", flush=True)
    try:
        return run(n, seed)
    except tap.Skip as skip:
        print(f"reload: skipped: {skip}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
