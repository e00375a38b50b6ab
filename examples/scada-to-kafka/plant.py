#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small plant: three lines of four cells, whose temperature, pressure, speed and power wander about, with a frame of
raw vibration samples now and then and an alarm when something runs hot.

    plant.py [--host HOST] [--port PORT] [--rate PER_SECOND] [COUNT]      publishes to any broker, QoS 2

Every message carries a number, so that an observer can tell what is missing."""
import argparse
import json
import math
import random
import struct
import time

LINES = ("press", "weld", "paint")
CELLS = 4
SENSORS = {"temperature": (55.0, 0.4, "°C"), "pressure": (6.2, 0.05, "bar"), "speed": (1480.0, 6.0, "rpm"),
           "power": (11.0, 0.3, "kW")}


class Cell:
    def __init__(self, line, number, dice):
        self.path = f"plant/{line}/{number}"
        self.values = {name: normal for name, (normal, _, _) in SENSORS.items()}
        self._dice = dice
        self.hot = False

    def step(self, name):
        """A wandering value that is drawn back to normal."""
        normal, jitter, unit = SENSORS[name]
        value = self.values[name]
        value += self._dice.gauss(0, jitter) + 0.02 * (normal - value)
        if self._dice.random() < 0.003:
            value += 9 * jitter
        self.values[name] = value
        return round(value, 2), unit

    def alarm(self):
        """True when it has just become hot."""
        was, self.hot = self.hot, self.values["temperature"] > SENSORS["temperature"][0] + 2.5
        return self.hot and not was

    def vibration(self, number):
        """Number, sample rate, 128 samples of 16 bit: nothing that JSON could carry."""
        pitch = self.values["speed"] / 60
        samples = [int(9000 * math.sin(2 * math.pi * pitch * n / 3200) + self._dice.gauss(0, 1500)) for n in range(128)]
        return struct.pack("<IH128h", number, 3200, *(max(-32768, min(32767, s)) for s in samples))


class Plant:
    """readings(): an endless stream of (kind, number, topic, payload); numbers count from 1 per kind."""

    def __init__(self, seed=7):
        self._dice = random.Random(seed)
        self._cells = [Cell(line, n, self._dice) for line in LINES for n in range(1, CELLS + 1)]
        self.numbers = {"telemetry": 0, "vibration": 0, "alarm": 0}

    def _next(self, kind):
        self.numbers[kind] += 1
        return self.numbers[kind]

    def readings(self):
        while True:
            for cell in self._cells:
                for name in SENSORS:
                    value, unit = cell.step(name)
                    number = self._next("telemetry")
                    yield "telemetry", number, f"{cell.path}/telemetry/{name}", json.dumps(
                        {"seq": number, "ts": round(time.time(), 3), "value": value, "unit": unit, "quality": "good",
                         "device": f"S7-1500/{cell.path}"}, ensure_ascii=False).encode()
                if self._dice.random() < 0.15:
                    number = self._next("vibration")
                    yield "vibration", number, f"{cell.path}/vibration", cell.vibration(number)
                if cell.alarm():
                    number = self._next("alarm")
                    yield "alarm", number, f"{cell.path}/alarm", json.dumps(
                        {"seq": number, "ts": round(time.time(), 3), "text": f"bearing of {cell.path} runs hot",
                         "value": round(cell.values["temperature"], 1), "unit": "°C"}, ensure_ascii=False).encode()


def number_of(kind, payload):
    """The number that a message of that kind carries."""
    return struct.unpack_from("<I", payload)[0] if kind == "vibration" else json.loads(payload)["seq"]


def main():
    import paho.mqtt.client as paho
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=1883)
    options.add_argument("--rate", type=float, default=200.0)
    options.add_argument("count", nargs="?", type=int, default=1000)
    wanted = options.parse_args()
    client = paho.Client(protocol=paho.MQTTv5)
    client.connect(wanted.host, wanted.port)
    client.loop_start()
    stream = Plant(seed=None).readings()
    for _ in range(wanted.count):
        _, _, topic, payload = next(stream)
        sent = client.publish(topic, payload, qos=2)
        time.sleep(1 / wanted.rate)
    sent.wait_for_publish()
    client.disconnect()


if __name__ == "__main__":
    main()
