# SPDX-License-Identifier: Apache-2.0
"""See kill.sh."""
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

from rig import check, markers, tap, yaml  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan, program  # noqa: E402  pylint: disable=wrong-import-position
from rig.feed import Feed  # noqa: E402  pylint: disable=wrong-import-position
from rig.fixtures import own_kafka, own_mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.mqtt import Subscriber  # noqa: E402  pylint: disable=wrong-import-position
from rig.proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import until  # noqa: E402  pylint: disable=wrong-import-position

PASSES = (1, 2, 5, 13, 34, 89, 233, 610)


def configuration(mqtt_port, brokers, archive_port):
    """Small segments, so that they fill, are recycled and are checkpointed many times. The archive is away most of the time:
    what waits for it is spilled to its overflow log."""
    return yaml.configuration(
        [yaml.mqtt("plant", mqtt_port), yaml.kafka("lake", brokers), yaml.mqtt("archive", archive_port)],
        [yaml.mapping("all", {"connection": "plant", "topic": "in/{k}", "qos": 1},
                      {"connection": "lake", "topic": "kill", "key": "{k}"},
                      {"connection": "plant", "topic": "out/{k}"},
                      {"connection": "archive", "topic": "archive/{k}"}, markers=True),
         # What no rule can handle becomes a dead letter, which has steps of its own.
         yaml.mapping("poison", {"connection": "plant", "topic": "poison/#", "qos": 1},
                      {"connection": "lake", "topic": "kill"}, payload=".number")],
        journal={"segment_size": "1MiB", "max_size": "3MiB"}, shutdown_timeout="5s")


class Witness:
    """Both ends as an outside observer sees them, judged after each kill so that a loss has a name."""

    def __init__(self, reader, subscriber, archive):
        self.ends = {"Kafka": (lambda: [r.value for r in reader.records], {}),
                     "MQTT": (lambda: [m.payload for m in subscriber.messages], {}),
                     "Archive": (lambda: [m.payload for m in archive.messages], {})}
        self._reader = reader
        self._positions = {}
        self.faults = []
        self.kills = 0

    def arrived(self, end):
        self._reader.poll(0)
        return len(self.ends[end][0]())

    def look(self, after):
        """The first copies of a key come one by one: a number that jumps is lost, or overtaken, which is as bad."""
        while self._reader.poll(0):
            pass
        for end, (payloads, last) in self.ends.items():
            arrivals = payloads()
            for payload in arrivals[self._positions.get(end, 0):]:
                key, seq = check.parse(payload)
                if seq > last.get(key, 0) + 1:
                    self.faults.append(f"{end}: {key} went from {last.get(key, 0)} to {seq} after {after}")
                last[key] = max(seq, last.get(key, 0))
            self._positions[end] = len(arrivals)


def kill_at_random(bridge, n, dice, witness, archive):
    """A third of the kills hit the start-up and recovery, the others the flow. Now and then the archive is there."""
    for number in range(1, n + 1):
        if number % 7 == 0:
            archive.forward()
        elif number % 7 == 2:
            archive.down()
        bridge.start(wait_up=False)
        if number % 3:
            before = witness.arrived("Kafka")
            until(lambda before=before: witness.arrived("Kafka") > before or not bridge.running(), "messages to flow")
        if not bridge.running():
            raise AssertionError(f"linkspan ended by itself with {bridge.wait()}")
        time.sleep(dice.uniform(0, 0.3))  # the random moment is the test
        bridge.kill()
        witness.kills += 1
        witness.look(f"kill {number}")
        if number % 20 == 0:
            print(f"# {number} kills, {witness.arrived('Kafka')} records in Kafka", flush=True)


def fail_point_names():
    listed = subprocess.run([program(), "run", "--list-failpoints"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


def run_to_fail_point(bridge, name, nth, witness):
    """True if it was reached: under load, or at the latest in a clean stop."""
    bridge.start(env={"LINKSPAN_FAILPOINT": f"{name}:{nth}"}, wait_up=False)
    before = witness.arrived("Kafka")
    enough = 800 + 20 * nth
    until(lambda: not bridge.running() or witness.arrived("Kafka") > before + enough, f"{name}:{nth} or messages")
    status = bridge.stop() if bridge.running() else bridge.wait()
    if status not in (0, -9):
        raise AssertionError(f"linkspan ended with {status} on the way to {name}:{nth}")
    witness.kills += status == -9
    witness.look(f"{name}:{nth}")
    return status == -9


def walk_fail_points(bridge, passes, witness):
    names, reached = fail_point_names(), set()
    for name in names:
        for nth in PASSES[:passes]:
            if not run_to_fail_point(bridge, name, nth, witness):
                break
            reached.add(name)
    missed = [name for name in names if name not in reached]
    print(f"# {len(reached)} of {len(names)} fail points reached", flush=True)
    if missed:
        print(f"# not reached on this path: {' '.join(missed)}", flush=True)
    if len(reached) < 20:
        witness.faults.append(f"only {len(reached)} fail points were reached, 20 are wanted")


def campaign(mode, n, seed):
    with own_mosquitto() as broker, own_kafka() as kafka, Proxy(broker.port) as archive:
        kafka.create_topic("kill")
        bridge = Linkspan(configuration(broker.port, kafka.brokers, archive.port), start=False)
        # linkspan first: only from then on there is a session for which mosquitto keeps messages.
        with bridge.start(), kafka.reader("kill") as reader, Subscriber(broker.port, "out/#") as subscriber, \
                Subscriber(broker.port, "archive/#") as archived, \
                Feed(broker.port, "poison", "poisoner", keys=1, rate=20), \
                Feed(broker.port, "in", rate=1000, size=1000, arrived=lambda: len(reader.records)) as feed:
            witness = Witness(reader, subscriber, archived)
            reader.wait_count(1)
            bridge.kill()
            archive.down()
            try:
                if mode == "failpoints":
                    walk_fail_points(bridge, n, witness)
                else:
                    kill_at_random(bridge, n, random.Random(seed), witness, archive)
                archive.forward()
                bridge.start()
                sent = feed.stop()
                reader.wait_for(check.complete(sent), "all numbers in Kafka")
                subscriber.wait_for(check.complete(sent), "all numbers in MQTT")
                archived.wait_for(check.complete(sent), "all numbers in the archive")
                witness.look("the last start")
                reader.drain()
                # Numbers that linkspan gave: none missing, none twice.
                for end, arrivals in (("Kafka", markers.of_kafka(reader.records)),
                                      ("MQTT", markers.of_mqtt(subscriber.messages)),
                                      ("Archive", markers.of_mqtt(archived.messages))):
                    faults, report_of_markers = markers.faults(arrivals)
                    witness.faults += [f"{end}: {fault}" for fault in faults]
                    print(f"# {end}: markers: {report_of_markers}")
            except AssertionError as error:
                witness.faults.append(str(error))
                print("\n".join(f"# {line}" for line in bridge.log_lines()[-30:]))
                sent = dict(feed.sent)
            verdicts = {end: check.judge(sent, payloads()) for end, (payloads, _) in witness.ends.items()}
            if bridge.running() and bridge.stop() != 0:
                witness.faults.append("the last stop was not clean")
    return report(mode, witness.kills, seed, verdicts, witness.faults)


def report(mode, kills, seed, verdicts, faults):
    good = not faults
    for end, verdict in verdicts.items():
        good = good and not (verdict.lost or verdict.out_of_order or verdict.strangers)
        print(f"# {end}: {verdict.expected} sent, {verdict.arrived} arrived, {len(verdict.lost)} lost, "
              f"{verdict.repeated} repeated, {len(verdict.out_of_order)} out of order, {verdict.strangers} strangers")
    for fault in faults[:20]:
        print(f"# {fault}")
    some = next(iter(verdicts.values()))
    print(f"kill: {'ok' if good else 'FAILED'} mode={mode} kills={kills} sent={some.expected} " +
          " ".join(f"lost_{end.lower()}={len(v.lost)} repeated_{end.lower()}={v.repeated}"
                   for end, v in verdicts.items()) + f" seed={seed}")
    return 0 if good else 1


def main():
    arguments = sys.argv[1:]
    mode = "failpoints" if "failpoints" in arguments else "random"
    numbers = [int(a) for a in arguments if a.isdigit()]
    n = numbers[0] if numbers else (1 if mode == "failpoints" else 20)
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    try:
        return campaign(mode, n, seed)
    except tap.Skip as skip:
        print(f"kill: skipped: {skip}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
