# SPDX-License-Identifier: Apache-2.0
"""One mosquitto and one Kafka per test file, started when the first case asks, stopped at the end. Cases that stop or
break a broker start one of their own."""
import atexit

from . import kafka, mosquitto
from .tap import Skip

_shared = {}


def _once(name, make):
    if name not in _shared:
        _shared[name] = make()
        atexit.register(_shared[name].stop)
    return _shared[name]


def need_mosquitto():
    if not mosquitto.program():
        raise Skip("mosquitto is not installed (tests/lib/install.sh)", missing=True)


def need_kafka():
    if not kafka.jars():
        raise Skip("no Apache Kafka here (tests/lib/install.sh kafka)", missing=True)


def shared_mosquitto():
    need_mosquitto()
    return _once("mosquitto", mosquitto.Mosquitto)


def shared_kafka():
    need_kafka()
    return _once("kafka", kafka.Kafka)


def own_mosquitto(**options):
    need_mosquitto()
    return mosquitto.Mosquitto(**options)


def own_kafka(**options):
    need_kafka()
    return kafka.Kafka(**options)
