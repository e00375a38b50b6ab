#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command beside a real mosquitto and, with --kafka, a real Kafka; both are gone afterwards.

    tests/lib/with-brokers.py [--kafka] [--topic NAME]... COMMAND ARGUMENT...

The command finds them in LINKSPAN_TEST_MQTT and LINKSPAN_TEST_KAFKA (host:port). Its exit status is returned; 77 when
a broker is not installed."""
import argparse
import os
import subprocess
import sys

from rig import kafka, mosquitto


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--kafka", action="store_true")
    options.add_argument("--topic", action="append", default=[])
    options.add_argument("command", nargs=argparse.REMAINDER)
    wanted = options.parse_args()
    if not mosquitto.program() or (wanted.kafka and not kafka.jars()):
        print("a broker is missing: run tests/lib/install.sh", file=sys.stderr)
        return 77
    environment = dict(os.environ)
    with mosquitto.Mosquitto() as broker:
        environment["LINKSPAN_TEST_MQTT"] = f"127.0.0.1:{broker.port}"
        if not wanted.kafka:
            return subprocess.call(wanted.command, env=environment)
        with kafka.Kafka() as log:
            for topic in wanted.topic:
                log.create_topic(topic)
            environment["LINKSPAN_TEST_KAFKA"] = log.brokers
            return subprocess.call(wanted.command, env=environment)


if __name__ == "__main__":
    sys.exit(main())
