# SPDX-License-Identifier: Apache-2.0
"""One mosquitto and one Kafka per test file, started when the first case asks, stopped at the end. Cases that stop or
break a broker start one of their own."""
import atexit
import subprocess

from . import brokers, kafka, mosquitto
from .process import temp_folder
from .proxy import Proxy
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


def need_kafka(of="kafka"):
    if not kafka.jars(of):
        raise Skip(f"no Apache Kafka here (tests/lib/install.sh {of})", missing=True)


def shared_broker(kind):
    """Of rig.brokers."""
    if not kind.installed():
        raise Skip(f"no {kind.name} here (tests/lib/install.sh brokers)", missing=True)
    broker = _once(kind.name + " of brokers", kind)
    if kind in brokers.SLOW:
        broker.wait_up()
    return broker


def begin_brokers(kinds):
    """Those that take seconds to start begin to, all at once, for shared_broker to wait for."""
    for kind in kinds:
        if kind in brokers.SLOW and kind.installed():
            _once(kind.name + " of brokers", lambda kind=kind: kind(wait=False))


def shared_mosquitto():
    need_mosquitto()
    return _once("mosquitto", mosquitto.Mosquitto)


def shared_kafka():
    need_kafka()
    # Nobody restarts it, and no pause of the machine is to make it seem dead: doc/exactly-once.md.
    return _once("kafka", lambda: kafka.Kafka(properties=["broker.session.timeout.ms=60000"]))


def shared_lake():
    """The shared kind of Kafka behind a proxy: (kafka, proxy). linkspan goes by kafka.brokers_via; the proxy forwards
    again when a case asks for it."""
    need_kafka()
    proxy = _once_closed("proxy", Proxy)
    lake = _once("lake", lambda: kafka.Kafka(via=proxy.port))
    proxy.target = lake.port_behind
    proxy.delay_s = 0
    proxy.flap_stop()
    return lake, proxy


def _once_closed(name, make):
    if name not in _shared:
        _shared[name] = make()
        atexit.register(_shared[name].close)
    return _shared[name]


def own_mosquitto(**options):
    need_mosquitto()
    return mosquitto.Mosquitto(**options)


def own_kafka(of="kafka", **options):
    """of: rig.kafka.version."""
    need_kafka(of)
    return kafka.Kafka(of=of, **options)


def small_disk(mib):
    """A file system of its own, to be unmounted by the case. Its folder."""
    folder = temp_folder("disk")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "linkspan-test", folder], capture_output=True,
                          text=True, check=False)
    if made.returncode:
        raise Skip(f"cannot mount a small file system: {made.stderr.strip()}")
    return folder
