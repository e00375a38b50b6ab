# SPDX-License-Identifier: Apache-2.0
"""http-dead: what one dead webhook costs nine that live. Called by run.sh.

MESSAGES numbers go from mosquitto (QoS 1) through linkspan to nine webhooks, and in turns with that to ten of which the tenth takes
connections and never answers: once with room in its outbox, once with drop_oldest and an outbox that is full at once. The clock
runs from the first PUBLISH until all nine servers have answered all of them. What is printed are medians of ROUNDS rounds.
"""
import mmap
import os
import statistics
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from rig import yaml  # noqa: E402
from rig.daemon import Linkspan  # noqa: E402
from rig.feed import flood  # noqa: E402
from rig.fixtures import own_mosquitto  # noqa: E402
from rig.process import Process, temp_folder  # noqa: E402
from rig.wait import free_port, listening, until  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", 5000))
ROUNDS = int(os.environ.get("ROUNDS", 5))
LIVING, KEYS = 9, 10


class Sinks:
    """The servers, and how many requests each has answered."""

    def __init__(self):
        folder = temp_folder("sinks")
        path = os.path.join(folder, "answered")
        self.ports = [free_port() for _ in range(LIVING)]
        self.dead = free_port()
        self._process = Process("http_sinks", [os.environ["HTTP_SINKS"], path, *map(str, self.ports), f"-{self.dead}"],
                                os.path.join(folder, "log"))
        until(lambda: all(map(listening, [*self.ports, self.dead])), "the servers to listen")
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 8 * (LIVING + 1), prot=mmap.PROT_READ)

    def answered(self):
        return struct.unpack(f"={LIVING + 1}Q", self._map)[:LIVING]


def configuration(broker, sinks, dead):
    """dead: None, or its outbox."""
    connections = [yaml.mqtt("plant", broker.port)]
    connections += [yaml.http(f"hook{n}", port) for n, port in enumerate(sinks.ports)]
    names = [f"hook{n}" for n in range(LIVING)]
    if dead is not None:
        connections.append(yaml.http("dead", sinks.dead, outbox=dead))
        names.append("dead")
    targets = ({"connection": name, "path": "/{topic[1]}"} for name in names)
    return yaml.configuration(connections, [yaml.mapping("all", {"connection": "plant", "topic": "in/+", "qos": 1}, *targets)])


def turn(sinks, dead):
    """Messages a second, of each of the nine. With a broker that holds nothing of earlier turns."""
    before = sinks.answered()
    with own_mosquitto(settings=["log_type error"], in_memory=True) as broker, \
            Linkspan(configuration(broker, sinks, dead), wait_up=["plant"]) as bridge:
        began = time.monotonic()
        for key in range(KEYS):
            flood(broker.port, f"in/k{key}", 1, MESSAGES // KEYS)
        until(lambda: all(now - then >= MESSAGES for now, then in zip(sinks.answered(), before)), "all requests", poll_s=0.001)
        took = time.monotonic() - began
        if bridge.events("source_paused"):
            raise AssertionError("the dead one has stopped the source")
        bridge.kill()
    return MESSAGES / took


def main():
    kinds = {"none": None, "room": {}, "drop_oldest": {"max_messages": 100, "when_full": "drop_oldest"}}
    found = {kind: [] for kind in kinds}
    sinks = Sinks()
    turn(sinks, None)  # everything warm
    for _ in range(ROUNDS):
        for kind, dead in kinds.items():
            found[kind].append(turn(sinks, dead))
        print("# " + " ".join(f"{kind}={rates[-1]:.0f}" for kind, rates in found.items()), flush=True)
    rates = {kind: statistics.median(values) for kind, values in found.items()}
    print(f"bench http-dead per_second={rates['none']:.0f} ratio={rates['room'] / rates['none']:.2f} "
          f"ratio_drop_oldest={rates['drop_oldest'] / rates['none']:.2f}")


if __name__ == "__main__":
    main()
