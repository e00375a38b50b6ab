#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A mosquitto, a Kafka, a linkspan, four sensors and a valve: the sensors wake and sleep, Kafka goes away and comes back, linkspan is
killed, commands wait for a sensor and go to the valve, a thief tries; then the readings are counted. Leaves nothing behind."""
import argparse
import json
import os
import secrets
import signal
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "tests", "lib")]
sys.dont_write_bytecode = True

from sensors import SENSORS, Sensor, request  # noqa: E402  pylint: disable=wrong-import-position
from rig.daemon import Linkspan  # noqa: E402  pylint: disable=wrong-import-position
from rig.kafka import Kafka  # noqa: E402  pylint: disable=wrong-import-position
from rig.mosquitto import Mosquitto  # noqa: E402  pylint: disable=wrong-import-position
from rig.mqtt import Publisher, Subscriber  # noqa: E402  pylint: disable=wrong-import-position
from rig.process import Process, temp_folder  # noqa: E402  pylint: disable=wrong-import-position
from rig.wait import free_port, until  # noqa: E402  pylint: disable=wrong-import-position

# See ../edge-to-cloud/README.md.
BROKER = ("autosave_interval 1", "max_inflight_messages 60000", "log_type error")


def say(text=""):
    print("   " + text, flush=True)


def headline(text):
    print(f"\n── {text} {'─' * max(0, 90 - len(text))}", flush=True)


class Valve:
    """libcoap's example server, whose resources are what is put; with DTLS at the port after its own."""

    def __init__(self):
        self.key, port = secrets.token_hex(16), free_port(and_next=True)
        self.url = f"coaps://127.0.0.1:{port + 1}"
        self._process = Process("valve", ["coap-server-openssl", "-A", "127.0.0.1", "-p", str(port), "-d", "4", "-k", self.key,
                                          "-h", "valve"], os.path.join(temp_folder("valve"), "log"))

    def state(self):
        return request(f"{self.url}/valve", "reader", self.key, "get")[1]


class Show:
    def __init__(self, count):
        self.part = max(1, count // 4)
        self.keys = {name: secrets.token_hex(16) for name in SENSORS}

    def start(self):
        headline("A broker, a Kafka, a valve, linkspan between, and four sensors that sleep")
        folder = temp_folder("sensor-keys")
        path = os.path.join(folder, "keys")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.writelines(f'{name}: "{key}"\n' for name, key in self.keys.items())
        self.broker, self.kafka, self.valve = Mosquitto(settings=BROKER), Kafka(), Valve()
        self.kafka.create_topic("sensor.readings", partitions=2)
        self.url = f"coaps://127.0.0.1:{free_port()}"
        with open(os.path.join(HERE, "linkspan.yaml"), encoding="utf-8") as file:
            self.bridge = Linkspan.from_file(file.read(), {
                "HOME_BROKER": f"mqtt://127.0.0.1:{self.broker.port}", "KAFKA_BROKERS": self.kafka.brokers,
                "COAP_LISTEN": self.url, "SENSOR_KEYS": path, "VALVE_URL": self.valve.url, "VALVE_KEY": self.valve.key})
        self.home = Subscriber(self.broker.port, "sensors/#", qos=1)
        self.panel = Publisher(self.broker.port)
        self.lake = self.kafka.reader("sensor.readings")
        self.sensors = [Sensor(name, self.keys[name], self.url) for name in SENSORS]
        say(f"mosquitto 127.0.0.1:{self.broker.port}   Kafka {self.kafka.brokers}   linkspan {self.bridge.pid} at {self.url}")

    @property
    def sent(self):
        return sum(sensor.seq for sensor in self.sensors)

    def wake(self, times, meanwhile=None):
        """All of them, side by side."""
        def sleep_and_wake(sensor):
            for _ in range(times):
                sensor.wake()
        threads = [threading.Thread(target=sleep_and_wake, args=(sensor,)) for sensor in self.sensors]
        for thread in threads:
            thread.start()
        if meanwhile:
            meanwhile()
        for thread in threads:
            thread.join()

    def in_mqtt(self):
        return [(state["device"], state["seq"]) for state in
                (json.loads(m.payload) for m in list(self.home.messages) if m.topic.endswith("/state"))]

    def in_kafka(self):
        self.lake.poll(0.1)
        return [(record["device"], record["seq"]) for record in (json.loads(r.value) for r in self.lake.records)]

    def wait_arrived(self):
        until(lambda: len(set(self.in_mqtt())) >= self.sent and len(set(self.in_kafka())) >= self.sent,
              lambda: f"{len(set(self.in_mqtt()))} in MQTT and {len(set(self.in_kafka()))} in Kafka of {self.sent}", poll_s=0)

    def readings(self):
        headline("They wake, are acknowledged once linkspan has it on disk, and sleep")
        self.wake(self.part)
        self.wait_arrived()
        say(f"{self.sent} readings in MQTT and in Kafka, the last one: {self.home.messages[-1].payload.decode()}")
        headline("Kafka is stopped; they go on; kill -9 linkspan in between")
        self.kafka.stop()
        self.wake(self.part)
        say(f"{self.bridge.wait_waiting('lake', 1)['waiting']} readings wait for Kafka")
        self.wake(self.part, lambda: (self.bridge.kill(), self.bridge.start(wait_up=["sensors"])))
        self.kafka.start()
        self.wait_arrived()
        say(f"{sum(sensor.again for sensor in self.sensors)} requests were sent again")

    def commands(self):
        headline("A command for sensor-3, which sleeps; one for the valve, which does not")
        sleeper, command = self.sensors[2], {"id": 1, "interval_s": 60}
        self.panel.publish("sensors/sensor-3/set", json.dumps(command).encode())
        self.panel.publish("valve/set", b'{"open": true}')
        self.panel.wait()
        until(lambda: "true" in self.valve.state(), "the valve to open")
        say(f"valve: {self.valve.state()}")
        self.bridge.wait_status(lambda s: s["delivered"] >= 1, "the command to be kept", destination="sensors")
        self.wake(self.part)
        until(lambda: any(m.topic == "sensors/sensor-3/done" for m in list(self.home.messages)), "sensor-3 to have done it")
        say(f"sensor-3 did {sleeper.done} and now sleeps {sleeper.interval_s} s at a time")
        self.wait_arrived()
        return sleeper.done == [command] and sleeper.interval_s == 60

    def thieves(self):
        headline("Somebody with a wrong key; and sensor-1, stolen, speaks for sensor-2")
        wrong = request(f"{self.url}/readings/sensor-1", "sensor-1", "guessed", "post", "[]", 110)
        other = self.sensors[0].ask("post", "/readings/sensor-2", "[]")
        spied = self.sensors[0].ask("get", "/commands/sensor-2")
        say(f"wrong key: {wrong[0] or 'no handshake'}   as another: {other[0]}   its commands: {spied[0]}")
        return wrong[0] is None and other[0] == "4.03" and spied[0] == "4.03"

    def table(self):
        obeyed, refused = self.commands(), self.thieves()
        headline("What came of it, counted from outside")
        good = obeyed and refused
        wanted = {(sensor.name, seq) for sensor in self.sensors for seq in range(1, sensor.seq + 1)}
        for name, found in (("MQTT", self.in_mqtt()), ("Kafka", self.in_kafka())):
            lost, strangers = len(wanted - set(found)), len(set(found) - wanted)
            good = good and not lost and not strangers
            say(f"{name:6} acknowledged {len(wanted)}   arrived {len(set(found))}   lost {lost}   strangers {strangers}   "
                f"again {len(found) - len(set(found))}")
        return self.bridge.stop() == 0 and good


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--count", type=int, default=12, help="readings of each sensor")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that all is cleaned up
    show = Show(options.parse_args().count)
    show.start()
    show.readings()
    return 0 if show.table() else 1


if __name__ == "__main__":
    sys.exit(main())
