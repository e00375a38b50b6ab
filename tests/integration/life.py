#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Start and end: a clean stop, an impatient one, reboots and kills with a queue, and what a start must refuse."""
import os
import signal
import socket
import subprocess
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, tap, yaml
from rig.daemon import Linkspan, program
from rig.feed import Feed, flood
from rig.fixtures import own_mosquitto, shared_lake, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder
from rig.wait import until


def _lake_bridge(name, **options):
    """linkspan between the shared mosquitto and the Kafka behind the proxy: (bridge, kafka, proxy)."""
    kafka, proxy = shared_lake()
    kafka.create_topic(name)
    bridge = Linkspan(yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}"),
         yaml.kafka("lake", kafka.brokers_via)],
        [yaml.mapping("all", {"connection": "plant", "topic": name + "/{k}", "qos": 1},
                      {"connection": "lake", "topic": name, "key": "{k}"})],
        **options.pop("settings", {})), **options)
    return bridge, kafka, proxy


# What is in flight is waited for as long as it takes: what a stop that has run out of time leaves may come twice.
PATIENT = {"shutdown_timeout": "10m"}


def _all_there(kafka, name, sent):
    with kafka.reader(name) as reader:
        reader.wait_for(check.complete(sent), "all numbers")
        verdict = check.judge(sent, [r.value for r in reader.drain()])
        check.demand(verdict, "Kafka")
        return verdict


@tap.case("SIGTERM under load: what is in flight is delivered, exit 0, the rest comes after the next start")
def clean_stop():
    bridge, kafka, proxy = _lake_bridge("clean-stop", start=False, settings=PATIENT)
    proxy.forward()
    with bridge.start(), Feed(shared_mosquitto().port, "clean-stop", rate=2000) as feed, \
            kafka.reader("clean-stop") as reader:
        for _ in range(4):
            if not bridge.running():
                bridge.start()
            reader.wait_count(len(reader.records) + 1000)
            assert bridge.stop() == 0
            assert bridge.events("stopped"), "no event=stopped"
        bridge.start()
        sent = feed.stop()
        verdict = _all_there(kafka, "clean-stop", sent)
        assert not bridge.events("shutdown_timeout", whole=True)
        assert verdict.repeated == 0, f"{verdict.repeated} repeated though every stop was clean"
        assert bridge.stop() == 0


@tap.case("SIGTERM while mosquitto is held up: what it has not read of our acknowledgements is not lost")
def stop_with_a_slow_broker():
    total = 5000
    with own_mosquitto() as near, own_mosquitto() as far, Subscriber(far.port, "copy/#") as got, Linkspan(yaml.configuration(
            [yaml.mqtt("near", near.port), yaml.mqtt("far", far.port)],
            [yaml.mapping("all", {"connection": "near", "topic": "held-up", "qos": 1},
                          {"connection": "far", "topic": "copy/{topic}"})], **PATIENT)) as bridge:
        assert bridge.stop() == 0
        flood(near.port, "held-up", 1, total)  # so that it has much to send while it is to read
        bridge.start()
        got.wait_count(1)
        near.freeze()
        bridge.signal(signal.SIGTERM)
        bridge.wait_event("stopping")
        began = time.monotonic()
        until(lambda: not bridge.running() or time.monotonic() > began + 2, "more than a moment to pass")
        near.thaw()
        assert bridge.wait() == 0
        bridge.start()
        got.wait_for(check.complete({"flood": total}), "all numbers")
        verdict = check.judge({"flood": total}, [m.payload for m in got.messages])
        check.demand(verdict, "the far broker", repeats=False)
        assert bridge.stop() == 0


@tap.case("SIGTERM with Kafka away ends within shutdown_timeout, exit 0, and the queue outlives it")
def stop_while_away():
    bridge, kafka, proxy = _lake_bridge("stop-away", wait_up=["plant"], settings={"shutdown_timeout": "2s"})
    proxy.down()
    with bridge:
        flood(shared_mosquitto().port, "stop-away/x", 1, 1000)
        bridge.wait_waiting("lake", 1000)
        # Two seconds may be too few for mosquitto to read them.
        until(lambda: shared_mosquitto().log().count("Received PUBACK from linkspan-stop-away ") >= 1000, "all PUBACKs")
        assert bridge.stop() == 0
        proxy.forward()
        bridge.start()
        assert _all_there(kafka, "stop-away", {"flood": 1000}).repeated == 0
        assert bridge.stop() == 0


@tap.case("a second SIGTERM or SIGINT ends it at once; nothing is lost by that")
def impatient():
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)):
        name = f"impatient-{int(second)}"
        bridge, kafka, proxy = _lake_bridge(name, settings=PATIENT)
        proxy.forward()
        with bridge:
            with kafka.reader(name) as reader:
                flood(shared_mosquitto().port, f"{name}/x", 1, 200)
                reader.wait_count(200)
            proxy.stall()  # in flight, and no answer
            flood(shared_mosquitto().port, f"{name}/x", 201, 200)
            bridge.wait_waiting("lake", 200)
            bridge.signal(first)
            bridge.wait_event("stopping")
            assert bridge.running(), "it did not wait for what is in flight"
            bridge.signal(second)
            status = bridge.wait()  # in flight is waited for much longer than that
            assert status == 128 + second, f"it ended with {status}"
            proxy.forward()
            bridge.start()
            _all_there(kafka, name, {"flood": 400})
            assert bridge.stop() == 0


@tap.case("a clean reboot keeps the queue (field bug 3)")
def reboot():
    bridge, kafka, proxy = _lake_bridge("reboot", start=False, settings=PATIENT)
    proxy.down()  # before the first start: nothing is ever on its way
    with bridge.start(wait_up=["plant"]):
        total = 0
        for _ in range(5):
            if not bridge.running():
                bridge.start(wait_up=["plant"])
            flood(shared_mosquitto().port, "reboot/x", total + 1, 1000)
            total += 1000
            bridge.wait_waiting("lake", total)
            assert bridge.stop() == 0
        proxy.forward()
        bridge.start()
        verdict = _all_there(kafka, "reboot", {"flood": total})
        assert verdict.repeated == 0, f"{verdict.repeated} repeated"
        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="lake")
        assert bridge.stop() == 0


@tap.case("kill -9 with Kafka away: all that mosquitto saw acknowledged arrives (field bug 2)")
def kill_while_away():
    bridge, kafka, proxy = _lake_bridge("kill-away", wait_up=["plant"])
    proxy.down()
    with bridge:
        total = 0
        for _ in range(5):
            if not bridge.running():
                bridge.start(wait_up=["plant"])
            flood(shared_mosquitto().port, "kill-away/x", total + 1, 1000)
            total += 1000
            bridge.wait_waiting("lake", total - 500)
            bridge.kill()
        proxy.forward()
        bridge.start()
        verdict = _all_there(kafka, "kill-away", {"flood": total})
        tap.note(f"{total} sent, {verdict.repeated} repeated after five kills")
        assert bridge.stop() == 0


@tap.case("the data folder belongs to one process at a time")
def one_owner():
    bridge, _, proxy = _lake_bridge("one-owner")
    proxy.forward()
    with bridge:
        second = subprocess.run([program(), "run", bridge.path], capture_output=True, timeout=60, check=False)
        assert second.returncode != 0 and second.stderr, "a second process took the folder"
        assert bridge.running() and bridge.stop() == 0
        bridge.start()
        assert bridge.stop() == 0


@tap.case("waiting messages of a destination that is no longer named stop the start until told what to do")
def leftover():
    bridge, kafka, proxy = _lake_bridge("leftover", wait_up=["plant"])
    proxy.down()
    with bridge:
        flood(shared_mosquitto().port, "leftover/x", 1, 100)
        bridge.wait_waiting("lake", 100)
        assert bridge.stop() == 0
        with open(bridge.path, encoding="utf-8") as file:
            whole = file.read()
        port = shared_mosquitto().port
        bridge.configure(yaml.configuration(
            [yaml.mqtt("plant", port, client_id="linkspan-leftover")],
            [yaml.mapping("all", {"connection": "plant", "topic": "other/#", "qos": 1},
                          {"connection": "plant", "topic": "away/{topic}"})]))
        refused = subprocess.run([program(), "run", bridge.path], capture_output=True, timeout=60, text=True, check=False)
        assert refused.returncode != 0 and "lake" in refused.stderr and "--drop" in refused.stderr, refused.stderr
        with open(bridge.path, "w", encoding="utf-8") as file:
            file.write(whole)
        proxy.forward()
        bridge.start()
        _all_there(kafka, "leftover", {"flood": 100})
        assert bridge.stop() == 0


@tap.case("systemd hears READY, STOPPING and the watchdog")
def notify():
    with own_mosquitto() as broker, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        path = os.path.join(temp_folder("notify"), "socket")
        ear.bind(path)
        ear.settimeout(60)
        heard = []

        def hears(word):
            while not any(word in line for line in heard):
                heard.append(ear.recv(4096).decode())
            return True
        with Linkspan(yaml.configuration(
                [yaml.mqtt("plant", broker.port)],
                [yaml.mapping("all", {"connection": "plant", "topic": "a", "qos": 1},
                              {"connection": "plant", "topic": "b"})]),
                env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}) as bridge:
            assert hears("READY=1") and hears("WATCHDOG=1")
            bridge.signal(signal.SIGTERM)
            assert hears("STOPPING=1")
            assert bridge.wait() == 0


@tap.case("many connects and cuts leak neither memory nor descriptors")
def no_leaks():
    from rig.proxy import Proxy
    with own_mosquitto() as broker, Proxy(broker.port) as link, Linkspan(yaml.configuration(
            [yaml.mqtt("plant", link.port)],
            [yaml.mapping("all", {"connection": "plant", "topic": "a/#", "qos": 1},
                          {"connection": "plant", "topic": "b/{topic}"})])) as bridge:
        def connacks():
            return broker.log().count("Sending CONNACK to linkspan-plant")

        def reconnect(times):
            for _ in range(times):
                before = connacks()
                link.cut()
                until(lambda before=before: connacks() > before, "the next connection")
        reconnect(5)
        files, memory = bridge.open_files(), bridge.anonymous_kib()
        reconnect(20)
        with Publisher(broker.port) as out:
            out.publish("a/1", b"1")
            out.wait()
        until(lambda: bridge.open_files() <= files, lambda: f"{bridge.open_files()} descriptors, {files} before")
        until(lambda: bridge.anonymous_kib() < memory + 512, lambda: f"{memory} KiB, grown to {bridge.anonymous_kib()} KiB")
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
