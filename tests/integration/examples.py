#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The examples: check takes each of their configurations and says what each promises, and those with a show run to its
end."""
import glob
import os
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap
from rig.coap_peers import need_libcoap
from rig.daemon import program
from rig.fixtures import need_kafka, need_mosquitto
from rig.process import temp_folder

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
PROMISES = {"constrained-sensors/linkspan.yaml": ("at-least-once", "exactly-once"),
            "edge-to-cloud/linkspan.yaml": ("exactly-once", "at-least-once"),
            "edge-to-cloud/websocket.yaml": ("at-least-once", "exactly-once"),
            "fewer-messages/linkspan.yaml": ("exactly-once", "at-least-once"),
            "gaps/linkspan.yaml": ("at-least-once", "exactly-once"),
            "kafka-to-mqtt/linkspan.yaml": ("exactly-once", "at-least-once"),
            "notifications/linkspan.yaml": ("at-most-once", "at-least-once"),
            "webhooks-in/linkspan.yaml": ("at-least-once", "exactly-once"),
            "scada-to-kafka/linkspan.yaml": ("exactly-once", "at-least-once"),
            "smart-home-webhooks/linkspan.yaml": ("at-least-once", "exactly-once")}


@tap.case("check takes every configuration, and says what its own comments say")
def configurations():
    found = {os.path.relpath(path, EXAMPLES) for path in glob.glob(os.path.join(EXAMPLES, "*", "*.yaml"))}
    assert found == set(PROMISES), found
    keys = os.path.join(temp_folder("keys"), "keys")
    with open(os.open(keys, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
        out.write('sensor-1: "e"\n')
    for name, (kept, other) in PROMISES.items():
        scheme = "wss" if "websocket" in name else "mqtt"
        said = subprocess.run([program(), "check", os.path.join(EXAMPLES, name)], capture_output=True, text=True, check=False,
                              env={**os.environ, "PLANT_BROKER": "mqtt://127.0.0.1", "KAFKA_BROKERS": "127.0.0.1:9092",
                                   "EDGE_BROKER": "mqtt://127.0.0.1", "CLOUD_BROKER": f"{scheme}://127.0.0.1",
                                   "HOME_BROKER": "mqtt://127.0.0.1", "HALL_BROKER": "mqtt://127.0.0.1",
                                   "WEBHOOK_URL": "http://127.0.0.1:8088",
                                   "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                   "NTFY_URL": "https://ntfy.sh", "SLACK_URL": "https://hooks.slack.com/services/T0/B0/x",
                                   "TELEGRAM_URL": "https://api.telegram.org/bot1:x", "TELEGRAM_CHAT": "-100",
                                   "HOOKS_LISTEN": "127.0.0.1:8080", "GITHUB_SECRET": "a", "STRIPE_SECRET": "b",
                                   "GRAFANA_SECRET": "c", "COAP_LISTEN": "coaps://127.0.0.1:5684",
                                   "SENSOR_KEYS": keys, "VALVE_URL": "coaps://127.0.0.1:5784", "VALVE_KEY": "d",
                                   "PROXY": "http://user:password@127.0.0.1:3128", "LINKSPAN_DATA": temp_folder("data")})
        assert said.returncode == 0 and not said.stderr, (name, said.stderr)
        assert kept in said.stdout and other not in said.stdout, (name, said.stdout)


def _show(name, *arguments):
    """Runs it; what it says. Nothing of it is left behind."""
    folder = temp_folder("examples")
    done = subprocess.run([os.path.join(EXAMPLES, name, "show.py"), *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, "TMPDIR": folder, "LINKSPAN": program()})
    tap.note(done.stdout)
    assert done.returncode == 0, done.stderr
    assert not os.listdir(folder), os.listdir(folder)
    return done.stdout


@tap.case("edge-to-cloud: each reading once, whatever breaks, and nothing left behind")
def edge_to_cloud():
    need_mosquitto()
    said = _show("edge-to-cloud", "--count", "2000")
    assert "arrived 2000   lost 0   twice 0   out of order 0" in said, said


@tap.case("fewer-messages: changes, samples and sums as the rules say, over kills, and nothing left behind")
def fewer_messages():
    need_mosquitto()
    said = _show("fewer-messages", "--moments", "200")
    assert "all as the rules say" in said and said.count("in all of 200 readings") == 3, said


@tap.case("scada-to-kafka: each reading once in Kafka, whatever breaks, and nothing left behind")
def scada_to_kafka():
    need_mosquitto()
    need_kafka("kafka_single")
    said = _show("scada-to-kafka", "--count", "2000", "--outage", "1")
    assert "published 2000 " in said and "lost 0   repeated 0" in said, said


@tap.case("kafka-to-mqtt: each command heard once, whatever breaks, and nothing left behind")
def kafka_to_mqtt():
    need_mosquitto()
    need_kafka()
    said = _show("kafka-to-mqtt", "--count", "2000")
    assert "heard 2000   lost 0   twice 0   out of order 0" in said, said


@tap.case("smart-home-webhooks: each event signed and delivered, debounced over a kill, and nothing left behind")
def smart_home_webhooks():
    need_mosquitto()
    said = _show("smart-home-webhooks")
    assert "missing 0   strangers 0" in said and "answered 401" in said, said


@tap.case("constrained-sensors: each reading in MQTT and Kafka, commands done, thieves refused, and nothing left behind")
def constrained_sensors():
    need_mosquitto()
    need_kafka()
    need_libcoap()
    said = _show("constrained-sensors")
    assert said.count("lost 0   strangers 0") == 2 and "now sleeps 60 s" in said, said
    assert "wrong key: no handshake   as another: 4.03   its commands: 4.03" in said, said


if __name__ == "__main__":
    tap.main()
