#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Battery sensors: each wakes, shakes hands (DTLS with its own pre-shared key), sends its reading as SenML until that is
acknowledged, asks whether there is something to do, does it, and sleeps. Real CoAP: libcoap's coap-client-openssl speaks.

    sensors.py --url coaps://127.0.0.1:5684 --keys FILE [COUNT]      each of them wakes so often
"""
import argparse
import json
import random
import re
import subprocess
import tempfile

SENSORS = ("sensor-1", "sensor-2", "sensor-3", "sensor-4")
SENML_JSON, RESPONSE_S = 110, 10


def request(url, identity, key, method, payload=None, content_format=None):
    """(code, payload) of the response; (None, "") when there is none."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as body:
        words = ["coap-client-openssl", "-v", "6", "-B", str(RESPONSE_S), "-u", identity, "-k", key, "-m", method, "-o", body.name]
        if payload is not None:
            words += ["-e", payload, "-t", str(content_format)]
        said = subprocess.run([*words, url], capture_output=True, text=True, check=False)
        codes = re.findall(r"^v:1 .* c:([2-5]\.\d\d) ", said.stdout + said.stderr, re.M)
        return (codes[-1] if codes else None), body.read()


class Sensor:
    def __init__(self, name, key, url):
        self.name, self._key, self._url = name, key, url
        self._dice = random.Random(name)
        self.seq, self.again = 0, 0
        self.celsius, self.volts = 20.0, 3.1
        self.interval_s = 900
        self.done = []

    def ask(self, method, path, payload=None):
        return request(f"{self._url}{path}", self.name, self._key, method, payload, SENML_JSON)

    def wake(self):
        self.seq += 1
        self.celsius += self._dice.gauss(0, 0.2)
        self.volts -= 0.0004
        reading = json.dumps([{"bn": f"urn:dev:{self.name}:", "n": "seq", "v": self.seq},
                              {"n": "temperature", "u": "Cel", "v": round(self.celsius, 2)},
                              {"n": "battery", "u": "V", "v": round(self.volts, 4)}])
        while self.ask("post", f"/readings/{self.name}", reading)[0] != "2.04":
            self.again += 1  # 5.03, or nobody there: it keeps the reading
        self.obey()

    def obey(self):
        code, text = self.ask("get", f"/commands/{self.name}")
        if code != "2.05":
            return
        command = json.loads(text)
        self.interval_s = command.get("interval_s", self.interval_s)
        while self.ask("delete", f"/commands/{self.name}")[0] != "2.02":
            self.again += 1
        self.done.append(command)


def read_keys(path):
    """As linkspan's psk.file has them."""
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r'^([\w-]+): "(.*)"$', file.read(), re.M))


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--url", required=True)
    options.add_argument("--keys", required=True)
    options.add_argument("count", nargs="?", type=int, default=10)
    options = options.parse_args()
    keys = read_keys(options.keys)
    sensors = [Sensor(name, keys[name], options.url) for name in SENSORS]
    for _ in range(options.count):
        for sensor in sensors:
            sensor.wake()
            print(f"{sensor.name} reading {sensor.seq}: {sensor.celsius:.2f} °C, {sensor.volts:.3f} V, sleeps "
                  f"{sensor.interval_s} s", flush=True)


if __name__ == "__main__":
    main()
