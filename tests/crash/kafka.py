# SPDX-License-Identifier: Apache-2.0
"""See kafka.sh."""
import contextlib
import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True

import points  # noqa: E402  pylint: disable=wrong-import-position
import qos2  # noqa: E402  pylint: disable=wrong-import-position
from rig import check, tap, yaml  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.fixtures import need_kafka, own_kafka  # noqa: E402  pylint: disable=wrong-import-position
from rig.proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position
from rig.qos2 import Publisher, Subscriber  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import free_port, until  # noqa: E402  pylint: disable=wrong-import-position

KEYS, SIZE, WINDOW, RATE = 4, 120, 100, 1500
MOST_UNDERWAY = 1500
PARTITIONS = 3
TRANSACTION_S = 2  # the longest that linkspan's may last
ABORTS_EVERY_S = 2  # how often Kafka looks for transactions whose time is over
CURSOR_TOPIC = "linkspan-cursor"

# Transactions whose time is over are aborted sooner than within 10 s.
BROKER = [f"transaction.abort.timed.out.transaction.cleanup.interval.ms={1000 * ABORTS_EVERY_S}"]

# Of a source with a group, which cannot be exact: tests/integration/kafka_groups.py.
NOT_HERE = ("kafka.before_offset_commit", "kafka.after_offset_commit")
SOURCE_POINTS = ("kafka.before_offer", "kafka.after_offer")
ESSENTIAL = ("kill-linkspan", "kill-kafka", "kafka.before_commit", "kafka.after_commit", "stalled-too-long", "fence", "twin",
             "open-elsewhere", "kafka.before_offer", "kafka.after_offer", "open-before-source", "kill-broker",
             "freeze-broker")


class OutPath:
    """MQTT → linkspan → Kafka."""
    name, destination = "out", "lake"

    def __init__(self, mqtt_port, brokers):
        from rig.kafka_clients import Taker
        self._port = mqtt_port
        self.tally = check.Tally([f"k{n}" for n in range(KEYS)], SIZE)
        self.subscriber = Taker(brokers, "out", PARTITIONS, self.tally.take)
        self.publisher = None

    def may_go_on(self, total):
        return total - self.tally.arrived < MOST_UNDERWAY

    def begin(self):
        self.publisher = Publisher(self._port, "in", "publisher", keys=KEYS, rate=RATE, size=SIZE, window=WINDOW,
                                   may_go_on=self.may_go_on)

    def damage(self):
        return self.tally.missing() + self.tally.repeated

    def faults(self):
        found = self.publisher.faults + self.subscriber.faults
        if self.publisher.sessions_lost:
            found.append(f"{self.publisher.sessions_lost} sessions lost by the publisher")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in (self.publisher, self.subscriber):
            if client:
                client.close()


class InPath(OutPath):
    """Kafka → linkspan → MQTT. `truth` is what is in Kafka, so that the producer is judged as well."""
    name, destination = "in", "b"

    def __init__(self, mqtt_port, brokers):  # pylint: disable=super-init-not-called
        from rig.kafka_clients import Taker
        self._brokers = brokers
        self.tally = check.Tally([f"k{n}" for n in range(KEYS)], SIZE)
        self.truth = check.Tally([f"k{n}" for n in range(KEYS)], SIZE)
        self._truth_taker = Taker(brokers, "in", PARTITIONS, self.truth.take, "truth")
        self.subscriber = Subscriber(mqtt_port, "out/#", "subscriber", lambda _topic, payload: self.tally.take(payload))
        self.publisher = self._aborter = None

    def begin(self):
        from rig.kafka_clients import Aborter, Numberer
        self.publisher = Numberer(self._brokers, "in", KEYS, RATE, SIZE, MOST_UNDERWAY, self.may_go_on)
        self._aborter = Aborter(self._brokers, "in", PARTITIONS)

    def faults(self):
        found = super().faults() + self._truth_taker.faults + self._aborter.faults
        truth = self.truth.verdict(self.publisher.sent)
        if truth.repeated or truth.out_of_order or truth.strangers:
            found.append(f"the rig's own producer is not exact: {truth}")
        for what, n in (("sessions lost by the subscriber", self.subscriber.sessions_lost),
                        ("identifiers used again before their release", self.subscriber.reused)):
            if n:
                found.append(f"{n} {what}")
        print(f"# {truth.arrived} of {truth.expected} are in Kafka for everybody to read; {self._aborter.aborted} transactions "
              "of a stranger were aborted between them")
        return found

    def __exit__(self, *_):
        super().__exit__()
        self._truth_taker.close()
        if self._aborter:
            self._aborter.close()


class Campaign(points.Points, qos2.Campaign):
    """With the faults of Kafka. kafka: rig.kafka.Kafka, or a Cluster; proxy: before it."""
    OWN, AT_START = "kafka.", ("kafka.before_init", "kafka.after_init", "kafka.after_cursor_read")

    def __init__(self, dice, path, bridge, kafka, proxy=None):
        points.Points.__init__(self)
        qos2.Campaign.__init__(self, dice, [path], bridge)
        self.path, self.kafka, self.proxy = path, kafka, proxy
        self.at_once = False  # enough as soon as something came twice
        self.stood = 0  # times that one of two stood still because of the other
        self._configuration_of_twin = None
        self._strangers = 0
        self._uuid = None

    def enough(self):
        return self.at_once and self.path.tally.repeated > 0

    def pause_s(self, least_s, most_s):
        """A wait that is the fault itself: no event ends it."""
        time.sleep(self.dice.uniform(least_s, most_s))

    # --- linkspan

    def freeze_linkspan(self):
        """For longer than its transaction may last: it wakes up as one that everybody thought dead."""
        self.bridge.signal(signal.SIGSTOP)
        self.pause_s(TRANSACTION_S, TRANSACTION_S + ABORTS_EVERY_S + 1)
        self.bridge.signal(signal.SIGCONT)

    def twin(self):
        """A second process on a copy of the data folder, as after a restored backup: what waits there is sent by both, or
        would be. It reads nothing new. Then the first one alone again."""
        folder = os.path.join(self.bridge.folder, "twin")
        self.bridge.wait_event("started")
        self.bridge.wait_status(lambda s: s["transactions"] > 0, "a transaction", connection="lake")
        alone = self.dice.random() < 0.5
        if alone:
            self.proxy.stall()
            self.bridge.wait_waiting("lake", MOST_UNDERWAY // 2)
        self.bridge.signal(signal.SIGSTOP)
        shutil.copytree(self.bridge.data_dir, folder, ignore=shutil.ignore_patterns("control"))
        self.bridge.signal(signal.SIGCONT)
        twin = Linkspan(self._configuration_of_twin, start=False, data_dir=folder)
        before = self.bridge.mark("kafka_producer_replaced")
        twin.start(wait_up=["lake"])
        if alone:
            self.twin_goes_first(twin)
        else:
            until(lambda: self.bridge.mark("kafka_producer_replaced") > before or twin.mark("kafka_producer_replaced"),
                  "one to be fenced")
        self.moment(1)
        if self.dice.random() < 0.5:
            twin.kill()
        elif twin.stop() != 0:
            raise AssertionError("the clean stop of the second one was not clean")
        shutil.rmtree(folder)
        self.dice.choice((self.kill_linkspan, self.stop_linkspan))()

    def twin_goes_first(self, twin):
        """It has sent all that the first one has as well, which then sees that and does nothing more."""
        twin.wait_status(lambda s: s["waiting"] == 0, "all that waited to be sent by the second", destination="lake")
        self.proxy.forward()
        until(lambda: any("another process has written" in e["what"] for e in self.bridge.events("alarm")),
              "the first one to see that somebody else has written in its place")
        self.stood += 1

    # --- Kafka

    def kill_kafka(self):
        self.kafka.kill()
        self.moment(1)
        self.kafka.start()

    def kill_both(self):
        self.kafka.kill()
        self.bridge.kill()
        self.bridge.start(wait_up=False)
        self.kafka.start()

    def freeze_kafka(self):
        self.kafka.freeze()
        self.pause_s(0.1, 1)
        self.kafka.thaw()

    def frozen_too_long(self):
        self.kafka.freeze()
        self.pause_s(TRANSACTION_S, TRANSACTION_S + 2)
        self.kafka.thaw()

    def stall(self):
        self.proxy.stall()
        self.pause_s(0.1, 1)
        self.proxy.forward()

    def stalled_too_long(self):
        self.proxy.stall()
        self.pause_s(TRANSACTION_S, TRANSACTION_S + ABORTS_EVERY_S + 1)
        self.proxy.forward()

    # --- strangers

    def destination_uuid(self):
        """As 32 hex digits: the key of the cursor."""
        if not self._uuid:
            with self.kafka.reader(CURSOR_TOPIC) as reader:
                keys = {r.key.decode() for r in reader.wait_count(1) if r.key}
            self._uuid = next(key for key in keys if key != "0" * 32)
        return self._uuid

    def fence(self):
        """Somebody else takes the producer's name."""
        from rig.kafka_clients import transactional
        transactional(self.kafka.brokers, "linkspan-" + self.destination_uuid(), 2000)

    def open_elsewhere(self):
        """Another destination's transaction stands open before our cursor, and ends soon or when its time is over;
        meanwhile linkspan has gone on, is killed, and must find what it wrote behind that."""
        from rig.kafka_clients import open_transaction
        self._strangers += 1
        with self.kafka.reader(CURSOR_TOPIC) as reader:
            partitions = reader.n_partitions
        stranger = open_transaction(self.kafka.brokers, f"stranger-{self._strangers}", self.dice.choice((1000, 3000)),
                                    CURSOR_TOPIC, partitions, "0" * 32, b"v1 seq=1 writer=0000000000000000")
        if self.path.destination == "lake":
            self.flow(100)
        self.kill_linkspan()
        if self.dice.random() < 0.3:
            self.moment(0.5)
            with contextlib.suppress(Exception):  # its time may be over
                self.dice.choice((stranger.commit_transaction, stranger.abort_transaction))(5)

    def open_before_source(self):
        """A stranger's transaction is open in the topic that linkspan reads: what is behind it comes later."""
        from rig.kafka_clients import open_transaction
        self._strangers += 1
        open_transaction(self.kafka.brokers, f"stranger-{self._strangers}", 1500, "in", PARTITIONS, "aborted", b"aborted")
        self.dice.choice((self.kill_linkspan, lambda: self.moment(1)))()

    # --- three brokers

    def node_away(self, stop):
        node = self.dice.choice(self.kafka.nodes)
        stop(node)
        self.flow(200)
        self.dice.choice((self.kill_linkspan, lambda: None))()
        self.flow(200)
        node.start()
        self.kafka.wait_in_sync()

    def kill_node(self):
        self.node_away(lambda node: node.kill())

    def restart_node(self):
        self.node_away(lambda node: node.stop())

    def freeze_node(self):
        node = self.dice.choice(self.kafka.nodes)
        node.freeze()
        self.pause_s(1, 2 * TRANSACTION_S)
        node.thaw()
        self.kafka.wait_in_sync()


def own_points(campaign, wanted):
    """A fault for each fail point of linkspan's that is on this path."""
    return [(name, 2, lambda name=name: campaign.fail_point(name)) for name in points.fail_point_names()
            if name.startswith("kafka.") and name not in NOT_HERE and (name in SOURCE_POINTS) == (wanted == "in")]


def configuration(mode, mqtt_port, brokers):
    lake = yaml.kafka("lake", brokers, properties={"socket.timeout.ms": 2000},
                      **({"transaction": {"interval": "50ms", "max_messages": 200, "timeout": f"{TRANSACTION_S}s"}}
                         if mode == "out" else {}))
    mqtt = yaml.mqtt("a" if mode == "out" else "b", mqtt_port, keep_alive="1s", ack_timeout="5s", max_in_flight=WINDOW,
                     receive_maximum=WINDOW)
    if mode == "out":
        mapping = yaml.mapping("numbers", {"connection": "a", "topic": "in/+", "qos": 2},
                               {"connection": "lake", "topic": "out", "key": "{topic[1]}"}, delivery="exactly-once")
    else:
        mapping = yaml.mapping("numbers", {"connection": "lake", "topic": "in"},
                               {"connection": "b", "topic": "out/{key}", "qos": 2}, delivery="exactly-once")
    # Small segments, so that they fill, are recycled and are checkpointed many times.
    return yaml.configuration([mqtt, lake], [mapping], journal={"segment_size": "1MiB"}, shutdown_timeout="5s")


def make_kafka(resources, cluster):
    """Kafka, and the proxy before it."""
    if cluster:
        from rig.kafka_cluster import Cluster
        need_kafka()
        kafka, proxy = resources.enter_context(Cluster(BROKER)), None
    else:
        proxy = resources.enter_context(Proxy())
        proxy.name = "lake"
        kafka = resources.enter_context(own_kafka("kafka_single", via=proxy.port, properties=BROKER))
        proxy.target = kafka.port_behind
    for topic in ("in", "out"):
        kafka.create_topic(topic, PARTITIONS)
    return kafka, proxy


def prepare(resources, mode, cluster, dice):
    """The campaign and its faults."""
    broker = qos2.own_broker(resources)
    kafka, lake = make_kafka(resources, cluster)
    plant = qos2.own_proxy(resources, "plant", broker)
    control = mode == "control"
    mode = "out" if control else mode
    path = resources.enter_context((OutPath if mode == "out" else InPath)(broker.port, kafka.brokers))
    bridge = resources.enter_context(Linkspan(configuration(mode, plant.port, kafka.brokers_via),
                                              env={"LINKSPAN_TEST_CURSOR_OUTSIDE": "1"} if control else None))
    campaign = Campaign(dice, path, bridge, kafka, lake)
    campaign.at_once = control
    # The twin has nothing to read from, and goes to Kafka by another way.
    campaign._configuration_of_twin = configuration(mode, free_port(), kafka.brokers)  # pylint: disable=protected-access
    return campaign, faults(campaign, mode, cluster, control, plant)


def faults(campaign, mode, cluster, control, plant):
    always = [("kill-linkspan", 20, campaign.kill_linkspan), ("stop-linkspan", 4, campaign.stop_linkspan),
              *own_points(campaign, mode)]
    if control:
        return always
    always += [("other-failpoint", 4, campaign.other_fail_point), *qos2.faults_of_links(campaign, plant)]
    if cluster:
        return [*always, ("kill-broker", 20, campaign.kill_node), ("restart-broker", 5, campaign.restart_node),
                ("freeze-broker", 5, campaign.freeze_node)]
    always += [("kill-kafka", 6, campaign.kill_kafka), ("kill-both", 3, campaign.kill_both),
               ("restart-kafka", 2, lambda: campaign.restart(campaign.kafka)), ("freeze-kafka", 3, campaign.freeze_kafka),
               ("frozen-too-long", 2, campaign.frozen_too_long), ("stall-lake", 4, campaign.stall),
               ("stalled-too-long", 3, campaign.stalled_too_long), *qos2.faults_of_links(campaign, campaign.proxy)]
    if mode == "in":
        return [*always, ("open-before-source", 4, campaign.open_before_source)]
    return [*always, ("freeze-linkspan", 2, campaign.freeze_linkspan), ("fence", 5, campaign.fence),
            ("twin", 5, campaign.twin), ("open-elsewhere", 5, campaign.open_elsewhere)]


def report(mode, campaign, seed):
    path = campaign.path
    verdict = path.tally.verdict(path.publisher.sent)
    print("# " + " ".join(f"{name}={n}" for name, n in sorted(campaign.done.items())))
    campaign.print_points()
    if "twin" in campaign.done:
        print(f"# {campaign.stood} of {campaign.done['twin']} twins had sent what the first one had; it stood still")
    wrong = campaign.wrong + campaign.never_reached()
    good = not (verdict.lost or verdict.out_of_order or verdict.strangers)
    if mode == "control":
        if not verdict.repeated:
            wrong.append("nothing came twice: this campaign could not find what it is for")
    else:
        good = good and not verdict.repeated
    for line in wrong[:20]:
        print(f"# {line}")
    good = good and not wrong
    print(f"kafka: {'ok' if good else 'FAILED'} mode={mode} kafka={campaign.kafka.version} "
          f"faults={sum(campaign.done.values())} sent={verdict.expected} lost={len(verdict.lost)} repeated={verdict.repeated} "
          f"out_of_order={len(verdict.out_of_order)} strangers={verdict.strangers} seed={seed}")
    return 0 if good else 1


def forgive_repetitions(campaign):
    """In a control they are what is wanted."""
    campaign.wrong = [line for line in campaign.wrong if " came again " not in line]


def run(mode, words, n, seed):
    cluster = "cluster" in words
    with contextlib.ExitStack() as resources:
        campaign, kinds = prepare(resources, mode, cluster, random.Random(seed))
        if "essential" in words:
            kinds = [kind for kind in kinds if kind[0] in ESSENTIAL]
        campaign.path.begin()
        try:
            campaign.flow(50)
            campaign.run(n or len(kinds), kinds)
            campaign.finish(True)
            if campaign.bridge.stop() != 0:
                campaign.wrong.append("the last stop was not clean")
        except AssertionError as error:
            campaign.look("the failure")
            campaign.wrong.append(str(error))
            print("\n".join(f"# {line}" for line in campaign.bridge.log_lines(whole=True)[-60:]))
        campaign.wrong += campaign.path.faults()
        if mode == "control":
            forgive_repetitions(campaign)
        return report(mode + ("-cluster" if cluster else ""), campaign, seed)


def main():
    words = sys.argv[1:]
    mode = next((m for m in ("out", "in", "control") if m in words), None)
    numbers = [int(w) for w in words if w.isdigit()]
    if not mode:
        print("kafka.sh out|in|control [cluster] [essential] [N] [SEED]", file=sys.stderr)
        return 2
    seed = numbers[1] if len(numbers) > 1 else int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"# seed={seed}", flush=True)
    try:
        return run(mode, words, numbers[0] if numbers else None if "essential" in words else 30, seed)
    except tap.Skip as skip:
        print(f"kafka: skipped: {skip}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
