#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What observers of a CoAP listener's values are told (RFC 7641): each change, in the order in which it came about, also that a
value has gone."""
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, tap, yaml
from rig.coap import ACK, CON
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher
from rig.wait import free_port, until


@contextmanager
def _listener(name, **keys):
    """A listener whose values are what is published to NAME/…."""
    port, broker = free_port(), shared_mosquitto()
    with Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"], **keys),
             yaml.mqtt("b", broker.port, client_id=f"linkspan-{name}")],
            [yaml.mapping("values", {"connection": "b", "topic": name + "/{a}", "qos": 1},
                          {"connection": "api", "path": "/state/{a}"})])) as bridge, Publisher(broker.port) as values:

        def set_value(a, payload):
            values.publish(f"{name}/{a}", payload, qos=1, retain=False)
            with coap.Client(port) as reader:
                until(lambda: reader.ask(reader.request("GET", f"/state/{a}")).payload == payload, f"the value {payload}")
        yield port, set_value
        assert bridge.stop() == 0


def _register(client, path, token=None):
    answer = client.ask(client.request("GET", path, options=[("Observe", 0)], token=token))
    assert answer.text == "2.05" and answer.value("Observe") is not None, answer
    return answer


def _told(client, what, condition):
    """The notification for which it holds; each is acknowledged, or the next would not come."""
    while True:
        note = client.expect(lambda m: m.code and m.kind == CON, what)
        client.send(coap.Message(ACK, 0, note.mid))
        if condition(note):
            return note


def _is_newer(later, earlier):
    """RFC 7641 §3.4, but for the time."""
    return 0 < (later - earlier) % (1 << 24) < 1 << 23


@tap.case("a value that goes because there are too many: who observes it is told 4.04, and others are told nothing")
def evicted():
    with _listener("evicted", last_values={"max_entries": 2}) as (port, set_value):
        with coap.Client(port) as first, coap.Client(port) as second:
            set_value("one", b"1")
            set_value("two", b"2")
            _register(first, "/state/one")
            _register(second, "/state/two")
            set_value("three", b"3")
            note = _told(first, "that there is no value any more", lambda m: m.text == "4.04")
            assert note.value("Observe") is None, note
            set_value("two", b"22")
            assert _told(second, "the next value", lambda m: m.payload == b"22").text == "2.05"
            # What is acknowledged late comes again.
            told = {(m.kind, m.mid): m.text for m in second.seen if m.code}
            assert list(told.values()) == ["2.05", "2.05"], second.seen


@tap.case("who registers again is told a higher sequence number than before, with the same token and with another")
def registered_again():
    with _listener("again") as (port, set_value), coap.Client(port) as client:
        set_value("one", b"1")
        numbers = [_register(client, "/state/one", (b"same", b"other")[n % 2]).value("Observe") for n in range(20)]
        assert all(_is_newer(b, a) for a, b in zip(numbers, numbers[1:])), numbers
        set_value("one", b"2")
        for _ in range(2):
            note = _told(client, "a notification", lambda m: m.payload == b"2")
            assert _is_newer(note.value("Observe"), numbers[-1]), (numbers, note)


if __name__ == "__main__":
    tap.main()
