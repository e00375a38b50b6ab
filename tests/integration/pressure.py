#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No room: an outbox that is full, a destination that is dead, a disk that is full. The source waits without being cut,
nothing is lost, and what has room goes on."""
import os
import subprocess
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan
from rig.feed import Feed, flood
from rig.fixtures import own_mosquitto, shared_lake, shared_mosquitto, small_disk
from rig.mqtt import Subscriber
from rig.proxy import Proxy
from rig.wait import until


def _judge_mqtt(got, sent, where):
    got.wait_for(check.complete(sent), "all numbers")
    check.demand(check.judge(sent, [m.payload for m in got.messages]), where)


def _one_connection(version):
    """From one broker to the same broker by one connection whose outbox holds 50 messages: acknowledgements, deliveries
    and pauses all share one socket. A loop of waiting for each other would show as a stall."""
    name = f"pressure-v{version}"
    with own_mosquitto() as broker, Proxy(broker.port) as link, Linkspan(yaml.configuration(
            [yaml.mqtt("plant", link.port, version, keep_alive="10s",
                       outbox={"max_messages": 50})],
            [yaml.mapping("all", {"connection": "plant", "topic": "in/{k}", "qos": 1},
                          {"connection": "plant", "topic": "out/{k}"})])) as bridge, \
            Subscriber(broker.port, "out/#") as got:
        link.delay_s = 0.005
        flood(broker.port, "in/" + name, 1, 5000)
        bridge.wait_event("source_paused", connection="plant")
        link.stall()
        before = len(got.messages)
        flood(broker.port, "in/" + name, 5001, 1000)
        link.forward()
        got.wait_count(before + 1)
        link.delay_s = 0
        _judge_mqtt(got, {"flood": 6000}, "out")
        assert not bridge.events("link_down"), "the connection was cut"
        assert bridge.stop() == 0


@tap.case("a full outbox on one connection, then drained: no stall, no cut (5)")
def one_connection_5():
    _one_connection(5)


@tap.case("a full outbox on one connection, then drained: no stall, no cut (3.1.1)")
def one_connection_311():
    _one_connection(4)


def _pings(broker, client_id):
    return broker.log().count(f"Received PINGREQ from {client_id}")


def _full_outbox(far_goes, far_returns):
    """The far broker is away and the outbox full: the near connection stays up through two keep-alives. (mosquitto counts whole
    seconds: by a keep-alive of one it cuts a client that pings in time.)"""
    with own_mosquitto() as near, own_mosquitto() as far, Proxy(far.port) as to_far, Linkspan(yaml.configuration(
            [yaml.mqtt("near", near.port, keep_alive="4s"),
             yaml.mqtt("far", to_far.port, keep_alive="1s", outbox={"max_messages": 200})],
            [yaml.mapping("all", {"connection": "near", "topic": "in/{k}", "qos": 1},
                          {"connection": "far", "topic": "out/{k}"})])) as bridge, \
            Subscriber(far.port, "out/#") as got:
        far_goes(far, to_far)
        flood(near.port, "in/x", 1, 3000)
        bridge.wait_event("source_paused", connection="near")
        pings = _pings(near, "linkspan-near")
        until(lambda: _pings(near, "linkspan-near") >= pings + 2, "two more keep-alives on the paused connection")
        waiting = bridge.wait_waiting("far", 1)["waiting"]
        assert waiting <= 200, f"the outbox holds more than it may: {waiting}"
        far_returns(far, to_far)
        _judge_mqtt(got, {"flood": 3000}, "far")
        assert not bridge.events("link_down", connection="near"), "the paused connection was cut"
        assert bridge.stop() == 0


@tap.case("the far broker stopped with a full outbox: the near one waits uncut, then everything goes over (field bug 8)")
def far_stopped():
    _full_outbox(lambda far, _: far.stop(), lambda far, _: far.start())


@tap.case("the way to the far broker swallows everything with a full outbox (field bug 8)")
def far_swallowed():
    _full_outbox(lambda _, link: link.swallow(), lambda _, link: link.forward())


@tap.case("one dead destination with room in its outbox does not hold up the other")
def dead_destination():
    kafka, proxy = shared_lake()
    proxy.forward()
    broker = shared_mosquitto()
    count = 10000

    def run(name, dead):
        kafka.create_topic(name)
        connections = [yaml.mqtt("plant", broker.port, client_id=f"linkspan-{name}"),
                       yaml.kafka("lake", kafka.brokers)]
        targets = [{"connection": "lake", "topic": name, "key": "flood"}]
        if dead:
            connections.append(yaml.kafka("dead", f"127.0.0.1:{dead.port}"))
            targets.append({"connection": "dead", "topic": name, "key": "flood"})
        with Linkspan(yaml.configuration(connections, [
                yaml.mapping("all", {"connection": "plant", "topic": name + "/#", "qos": 1}, *targets)]),
                wait_up=["plant"]) as bridge, kafka.reader(name) as reader:
            bridge.wait_event("link_up", connection="lake")
            began = time.monotonic()
            flood(broker.port, name + "/x", 1, count)
            reader.wait_for(check.complete({"flood": count}), "all numbers")
            took = time.monotonic() - began
            check.demand(check.judge({"flood": count}, [r.value for r in reader.drain()]), name)
            if dead:
                bridge.wait_waiting("dead", count)
                assert not bridge.events("source_paused")
            bridge.signal(15)
            bridge.signal(15)
            bridge.wait()
        return took

    with Proxy() as silent:
        silent.swallow()
        alone, beside = run("alone", None), run("beside-a-dead-one", silent)
    tap.note(f"{count} messages: {alone:.2f} s alone, {beside:.2f} s beside a dead destination")


@tap.case("the disk full, then space again: it goes on")
def disk_full():
    kafka, proxy = shared_lake()
    proxy.down()
    kafka.create_topic("disk-full")
    broker = shared_mosquitto()
    disk = small_disk(64)
    try:
        filler = os.path.join(disk, "filler")
        with open(filler, "wb") as file:
            file.write(bytes(40 << 20))
        total = 40000
        with Linkspan(yaml.configuration(
                [yaml.mqtt("plant", broker.port, client_id="linkspan-disk-full"), yaml.kafka("lake", kafka.brokers_via)],
                [yaml.mapping("all", {"connection": "plant", "topic": "disk-full/#", "qos": 1},
                              {"connection": "lake", "topic": "disk-full", "key": "flood"})],
                journal={"segment_size": "2MiB", "min_free": "0"}), data_dir=os.path.join(disk, "data"), wait_up=["plant"]) as bridge, \
                kafka.reader("disk-full") as reader:
            flood(broker.port, "disk-full/x", 1, total, 1000)  # 40 MB into 24 MiB
            bridge.wait_event("source_paused", connection="plant")
            held = bridge.wait_status(lambda s: s["paused"] == "yes", "the source to pause", source="plant")
            assert held["taken"] < total, "it fitted: the test is wrong"
            waiting = bridge.wait_waiting("lake", 1)["waiting"]
            assert bridge.running()
            os.unlink(filler)
            bridge.wait_waiting("lake", waiting + 1000)  # space again: it takes more in while Kafka is still away
            proxy.forward()
            reader.wait_for(check.complete({"flood": total}), "all numbers")
            check.demand(check.judge({"flood": total}, [r.value for r in reader.drain()]), "Kafka")
            assert bridge.stop() == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


@tap.case("the disk full and Kafka back: draining alone makes room")
def disk_full_drain():
    kafka, proxy = shared_lake()
    proxy.down()
    kafka.create_topic("disk-drain")
    disk = small_disk(24)
    try:
        with own_mosquitto() as broker, Linkspan(yaml.configuration(
                [yaml.mqtt("plant", broker.port), yaml.kafka("lake", kafka.brokers_via)],
                [yaml.mapping("all", {"connection": "plant", "topic": "disk-drain/{k}", "qos": 1},
                              {"connection": "lake", "topic": "disk-drain", "key": "{k}"})],
                journal={"segment_size": "2MiB", "min_free": "0"}), data_dir=os.path.join(disk, "data"), wait_up=["plant"]) as bridge, \
                kafka.reader("disk-drain") as reader, Feed(broker.port, "disk-drain", rate=2000, size=2000) as feed:
            bridge.wait_event("source_paused", connection="plant")
            proxy.forward()
            before = len(reader.records)
            reader.wait_count(before + 2000)
            sent = feed.stop()
            reader.wait_for(check.complete(sent), "all numbers")
            check.demand(check.judge(sent, [r.value for r in reader.drain()]), "Kafka")
            assert bridge.stop() == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


if __name__ == "__main__":
    tap.main()
