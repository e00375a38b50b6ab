#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Devices of CoAP by name: one that has several addresses, the first of which nobody has, or has another order each time it is
asked for; and one that moves."""
from contextlib import ExitStack, contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.names import Names

NAME = "pump.test"
QUICK = {"ack_timeout": "1s", "max_retransmit": 1}


@contextmanager
def _writer(label, port, names):
    broker = shared_mosquitto()
    with Linkspan(yaml.configuration(
            [yaml.coap("device", url=f"coap://{NAME}:{port}", transmission=QUICK, timeout="2s",
                       outbox={"backoff_min": "50ms", "backoff_max": "200ms"}),
             yaml.mqtt("b", broker.port, client_id=f"linkspan-{label}")],
            [yaml.mapping("out", {"connection": "b", "topic": f"{label}/{{a}}", "qos": 1},
                          {"connection": "device", "path": "/dev/{a}"})]), env=names.env) as bridge, \
            Publisher(broker.port) as out:
        yield bridge, lambda payload: out.publish(f"{label}/x", payload)


def _take(device, payload):
    request, address = device.request(f"the request with {payload}")
    assert request.payload == payload and request.value("Uri-Host") == NAME.encode(), request
    device.answer(request, address, "2.04")


@tap.case("a name with several addresses of both families: where nobody is, or says nothing, the next has its turn; who has answered keeps it")
def several():
    names = Names()
    with coap.Server() as device, coap.Server(device.port, "127.0.0.9") as silent:
        names.set({NAME: ["::1", "127.0.0.8", "127.0.0.9", "127.0.0.1"]})
        with _writer("names-several", device.port, names) as (bridge, publish):
            publish(b"1")
            _take(device, b"1")
            silent.request("that the silent one was asked before")
            bridge.wait_status(lambda s: s["delivered"] == 1, "one delivered", destination="device")
            publish(b"2")
            _take(device, b"2")
            bridge.wait_status(lambda s: s["delivered"] == 2, "both delivered", destination="device")
            assert bridge.events("coap_device_away") and bridge.events("coap_device_back")


@tap.case("a name whose addresses come in another order each time it is asked for: no address is tried for ever while another is right")
def rotated():
    names = Names()
    with coap.Server() as device:
        names.set({NAME: ["127.0.0.8", "127.0.0.1"]}, order="rotated")
        with _writer("names-rotated", device.port, names) as (bridge, publish):
            publish(b"1")
            _take(device, b"1")
            bridge.wait_status(lambda s: s["delivered"] == 1, "one delivered", destination="device")


@tap.case("a device that moves to another address is found there: its name is asked for again")
def moved():
    names = Names()
    with coap.Server() as device:
        names.set({NAME: ["127.0.0.1"]})
        with _writer("names-moved", device.port, names) as (bridge, publish):
            publish(b"1")
            _take(device, b"1")
            bridge.wait_status(lambda s: s["delivered"] == 1, "one delivered", destination="device")
            with coap.Server(device.port, "127.0.0.2") as elsewhere:
                names.set({NAME: ["127.0.0.2"]})
                device.close()
                publish(b"2")
                _take(elsewhere, b"2")
                bridge.wait_status(lambda s: s["delivered"] == 2, "both delivered", destination="device")


@tap.case("a device that is watched and moves to another address is registered with there, when its last value is no longer valid")
def watched():
    names, broker = Names(), shared_mosquitto()
    with coap.Server() as device, Subscriber(broker.port, "names/watched") as got, ExitStack() as stack:
        names.set({NAME: ["127.0.0.1"]})
        stack.enter_context(Linkspan(yaml.configuration(
            [yaml.coap("device", url=f"coap://{NAME}:{device.port}", transmission=QUICK, timeout="2s"),
             yaml.mqtt("b", broker.port, client_id="linkspan-names-watched")],
            [yaml.mapping("in", {"connection": "device", "topic": "/sensors/temp"}, {"connection": "b", "topic": "names/watched"})]),
            env=names.env))

        def register(server, payload, age_s):
            request, address = server.request(f"a registration, for {payload}")
            assert request.value("Observe") == 0 and request.value("Uri-Host") == NAME.encode(), request
            server.answer(request, address, "2.05", payload, [("Observe", 1), ("Max-Age", age_s)])
        register(device, b"here", 0)
        got.wait_count(1)
        elsewhere = stack.enter_context(coap.Server(device.port, "127.0.0.2"))
        names.set({NAME: ["127.0.0.2"]})
        device.close()
        register(elsewhere, b"there", 100)
        got.wait_count(2)
        assert [m.payload for m in got.messages] == [b"here", b"there"], got.messages


if __name__ == "__main__":
    tap.main()
