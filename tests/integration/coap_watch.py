#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CoAP devices as a source: what is observed and polled becomes messages, in the order in which it came to be, over reboots, lost
sessions, bad links and a destination without room. Devices: aiocoap, libcoap's own server, and one of the tests' own."""
import os
import socket
import subprocess
import threading

import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, tap, yaml
from rig.coap_aiocoap import AioServer
from rig.coap_libcoap import LibcoapClient, LibcoapServer
from rig.coap_proxy import LossyProxy
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Subscriber
from rig.process import temp_folder
from rig.wait import free_port, until


class Device:
    """One socket, resources by path. Notifications are NON, and sent once: what gets lost is lost."""

    def __init__(self, max_age=0, observable=True, etags=False, first_sequence=1, at=("127.0.0.1", None)):
        self.host, self.port = at[0], at[1] or free_port()
        self.max_age, self.observable, self.etags = max_age, observable, etags
        self.values, self.observers, self.got = {}, {}, []
        self.sequence = first_sequence
        self._mid = 0
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.host, self.port))
        self._thread = threading.Thread(target=self._run, daemon=True, name="device")
        self._thread.start()

    def _run(self):
        while True:
            data, sender = self._socket.recvfrom(1 << 16)
            if data == b"end":
                return
            message = coap.decode(data)
            with self._lock:
                if message.kind == coap.RST:
                    self.observers = {key: path for key, path in self.observers.items() if key[0] != sender}
                elif message.code == 1:
                    self._answer(message, sender)

    def _answer(self, request, sender):
        self.got.append(request)
        observe = request.value("Observe")
        key = (sender, request.token)
        if observe == 0 and self.observable and request.path in self.values:
            self.observers[key] = request.path
        else:
            self.observers.pop(key, None)
        options = self._options(request.path, key in self.observers)
        if request.path not in self.values:
            reply = coap.Message(coap.ACK, "4.04", request.mid, request.token)
        elif self.etags and self._etag(request.path) in request.values("ETag"):
            reply = coap.Message(coap.ACK, "2.03", request.mid, request.token, options)
        else:
            reply = coap.Message(coap.ACK, "2.05", request.mid, request.token, options, self.values[request.path])
        self._socket.sendto(reply.encode(), sender)

    def _etag(self, path):
        return self.values[path][-4:]

    def _options(self, path, observed):
        options = [("Max-Age", self.max_age), ("Content-Format", 50)]
        if self.etags and path in self.values:
            options.append(("ETag", self._etag(path)))
        if observed:
            self.sequence += 1
            options.append(("Observe", self.sequence))
        return options

    def set(self, path, payload, tell=True, sequence=None):
        with self._lock:
            self.values[path] = payload
            if sequence is not None:
                self.sequence = sequence - 1
            for (peer, token), watched in self.observers.items():
                if tell and watched == path:
                    self._mid = (self._mid + 1) & 0xffff
                    note = coap.Message(coap.NON, "2.05", self._mid, token, self._options(path, True), payload)
                    self._socket.sendto(note.encode(), peer)

    def reboot(self):
        """It knows nobody any more, and counts from the start."""
        with self._lock:
            self.observers = {}
            self.sequence = 0

    def wait_observed(self, n=1):
        until(lambda: len(self.observers) >= n, "the device to be observed")

    def close(self):
        if not self._thread.is_alive():
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", (self.host, self.port))
        self._thread.join()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _watching(name, url, topic="/temp", broker=None, target=None, **keys):
    """A device, a broker and one mapping of a resource to the topic NAME. keys: of `from`; `connection` of the connection."""
    own = keys.pop("connection", {})
    return yaml.configuration(
        [yaml.coap("device", url=url, **own),
         yaml.mqtt("b", (broker or shared_mosquitto()).port, client_id=f"linkspan-{name}", **(target or {}))],
        [yaml.mapping("watch", {"connection": "device", "topic": topic, **keys}, {"connection": "b", "topic": name, "qos": 1})])


def _payloads(seen):
    return [message.payload for message in seen.messages]


def _wait_newest(seen, payload):
    seen.wait_for(lambda messages: messages and messages[-1].payload == payload, f"{payload[:40]} to come last")


@tap.case("a value becomes a message with its content type; what has been overtaken is left out")
def order():
    with Device(max_age=3600, first_sequence=100) as device, Subscriber(shared_mosquitto().port, "order") as seen:
        device.set("/temp", b'{"t": 0}')
        with Linkspan(_watching("order", f"coap://127.0.0.1:{device.port}")) as bridge:
            _wait_newest(seen, b'{"t": 0}')
            assert seen.messages[0].properties.ContentType == "application/json"
            assert ("coap-max-age", "3600") in seen.messages[0].properties.UserProperty
            device.set("/temp", b"new", sequence=200)
            device.set("/temp", b"old", sequence=150)
            device.set("/temp", b"newer", sequence=201)
            _wait_newest(seen, b"newer")
            assert _payloads(seen)[1:] == [b"new", b"newer"], _payloads(seen)
            bridge.wait_status(lambda s: s["reordered"] == 1 and s["notifications"] == 2, "what was left out",
                               connection="device")


class Names:
    """A program that starts linkspan with an /etc/hosts of its own."""

    def __init__(self):
        folder = temp_folder("names")
        self._hosts, self.program = os.path.join(folder, "hosts"), os.path.join(folder, "linkspan")
        self.set("127.0.0.1")
        with open(self.program, "w", encoding="ascii") as out:
            out.write(f"#!/bin/sh\nexec unshare -m sh -c 'mount --bind {self._hosts} /etc/hosts && exec {program()} \"$@\"' sh \"$@\"\n")
        os.chmod(self.program, 0o755)
        tried = subprocess.run([self.program, "version"], capture_output=True, text=True, check=False)
        if tried.returncode:
            raise tap.Skip(f"no mount namespace: {tried.stderr.strip()}")

    def set(self, address):
        with open(self._hosts, "w", encoding="ascii") as out:
            out.write(f"{address} nomad.test\n")

    def __enter__(self):
        self._before = os.environ.get("LINKSPAN")
        os.environ["LINKSPAN"] = self.program
        return self

    def __exit__(self, *_):
        os.environ.pop("LINKSPAN")
        if self._before:
            os.environ["LINKSPAN"] = self._before


@tap.case("a device that has rebooted counts from the start, and one that has moved has another address: both are registered with again")
def reboot():
    broker = shared_mosquitto().port
    names = Names()
    with Device(first_sequence=50000) as device, Device() as nomad, Subscriber(broker, ["reboot", "moved"]) as seen, names:
        device.set("/temp", b"before")
        nomad.set("/temp", b"here")
        with Linkspan(yaml.configuration(
                [yaml.coap("device", url=f"coap://127.0.0.1:{device.port}"),
                 yaml.coap("nomad", url=f"coap://nomad.test:{nomad.port}", transmission={"max_retransmit": 1}),
                 yaml.mqtt("b", broker, client_id="linkspan-reboot")],
                [yaml.mapping("reboot", {"connection": "device", "topic": "/temp"}, {"connection": "b", "topic": "reboot"}),
                 yaml.mapping("moved", {"connection": "nomad", "topic": "/temp"}, {"connection": "b", "topic": "moved"})])):
            def payloads(topic):
                return [m.payload for m in seen.messages if m.topic == topic]
            until(lambda: payloads("reboot") == [b"before"] and payloads("moved") == [b"here"], "the first values")
            device.reboot()
            device.set("/temp", b"after")
            nomad.close()
            names.set("127.0.0.2")
            with Device(at=("127.0.0.2", nomad.port)) as there:
                there.set("/temp", b"there")
                until(lambda: payloads("reboot") == [b"before", b"after"], lambda: f"the state: {payloads('reboot')}")
                until(lambda: payloads("moved") == [b"here", b"there"], lambda: f"the state: {payloads('moved')}")
                device.set("/temp", b"and on")
                there.set("/temp", b"and on")
                until(lambda: payloads("reboot")[2:] == payloads("moved")[2:] == [b"and on"], lambda: f"{seen.messages[-3:]}")


@tap.case("over a link that loses, repeats and reorders 20 % of all datagrams values never go back, and the last one comes")
def lossy():
    with Device(first_sequence=(1 << 24) - 100) as device, Subscriber(shared_mosquitto().port, "lossy") as seen, \
            LossyProxy(device.port, seed=5) as link:
        device.set("/temp", b"0")
        with Linkspan(_watching("lossy", f"coap://127.0.0.1:{link.port}")):
            _wait_newest(seen, b"0")
            for n in range(1, 301):  # its numbers go round meanwhile
                device.sequence &= 0xffffff
                device.set("/temp", b"%d" % n)
            _wait_newest(seen, b"300")
            numbers = [int(payload) for payload in _payloads(seen)]
            assert numbers == sorted(numbers), numbers
            assert len(numbers) > 50, f"{len(numbers)} of 300 came; the proxy lost {link.lost}"


@tap.case("while the destination has no room the newest value is held, and no other")
def newest():
    with own_mosquitto() as far, Subscriber(far.port, "newest") as seen, Device(max_age=3600) as device:
        device.set("/temp", b"0")
        config = _watching("newest", f"coap://127.0.0.1:{device.port}", broker=far,
                           target={"outbox": {"max_messages": 5, "when_full": "block"}})
        with Linkspan(config) as bridge:
            _wait_newest(seen, b"0")
            far.stop()
            bridge.wait_event("link_down", connection="b")
            for n in range(1, 101):
                device.set("/temp", b"%d" % n)
            bridge.wait_event("source_paused", connection="device")
            bridge.wait_status(lambda s: s["notifications"] == 100, "all notifications", connection="device")
            far.start()
            _wait_newest(seen, b"100")
            assert _payloads(seen) == [b"0", b"1", b"2", b"3", b"4", b"5", b"100"], _payloads(seen)


@tap.case("poll: asks with the ETag of what it has, and makes messages of what has changed")
def poll():
    with Device(etags=True) as device, Subscriber(shared_mosquitto().port, "poll") as seen:
        device.set("/base/a b/level", b"one1")
        config = _watching("poll", f"coap://127.0.0.1:{device.port}/base?site=1", topic="/a b/level", mode="poll", every="100ms",
                           query="unit=%C2%B0C&fine", accept="application/json")
        with Linkspan(config) as bridge:
            _wait_newest(seen, b"one1")
            until(lambda: len(device.got) >= 4, "polls")
            first, later = device.got[0], device.got[3]
            assert first.path == "/base/a b/level" and first.value("Accept") == 50 and first.value("Observe") is None, first
            assert first.values("Uri-Query") == [b"site=1", "unit=°C".encode(), b"fine"], first
            assert not first.values("ETag") and later.values("ETag") == [b"one1"], later
            device.set("/base/a b/level", b"two2")
            _wait_newest(seen, b"two2")
            bridge.wait_status(lambda s: s["unchanged"] >= 3, "polls without news", connection="device")
            assert _payloads(seen) == [b"one1", b"two2"], _payloads(seen)
            assert seen.messages[1].topic == "poll" and bridge.events("link_up", connection="device")


@tap.case("poll: of a device without ETags what has not changed is no message either")
def poll_without_etags():
    with Device() as device, Subscriber(shared_mosquitto().port, "bare") as seen:
        device.set("/level", b"one")
        config = _watching("bare", f"coap://127.0.0.1:{device.port}", topic="/level", mode="poll", every="100ms")
        with Linkspan(config) as bridge:
            bridge.wait_status(lambda s: s["unchanged"] >= 3, "polls without news", connection="device")
            device.set("/level", b"two")
            _wait_newest(seen, b"two")
            assert _payloads(seen) == [b"one", b"two"], _payloads(seen)


@tap.case("a device that does not let itself be observed is asked again and again, and one without the resource too")
def not_observable():
    with Device(observable=False) as device, Subscriber(shared_mosquitto().port, "ask") as seen:
        with Linkspan(_watching("ask", f"coap://127.0.0.1:{device.port}", every="100ms")) as bridge:
            failed = bridge.wait_event("coap_watch_failed", connection="device", path="/temp")
            assert failed["reason"] == "the device answered 4.04 Not Found", failed
            device.set("/temp", b"a")
            _wait_newest(seen, b"a")
            bridge.wait_event("coap_not_observed", connection="device")
            device.set("/temp", b"b")
            _wait_newest(seen, b"b")
            assert _payloads(seen) == [b"a", b"b"], _payloads(seen)


@tap.case("large values come in blocks, whole; one beyond max_response is left out, and a smaller one comes after it")
def large():
    values = [bytes((n + k) % 251 for n in range(20000)) for k in range(3)]
    port, client = free_port(), LibcoapClient()

    def put(payload):
        client.request("PUT", f"coap://127.0.0.1:{port}/temp", payload, 42)

    with LibcoapServer(port), Subscriber(shared_mosquitto().port, "large") as seen:
        put(values[0])
        config = _watching("large", f"coap://127.0.0.1:{port}", connection={"max_response": "20000B"})
        with Linkspan(config) as bridge:
            _wait_newest(seen, values[0])
            for value in values[1:]:
                put(value)
                _wait_newest(seen, value)
            put(b"x" * 20001)
            bridge.wait_event("coap_value_cut", connection="device", path="/temp")
            put(b"small")
            _wait_newest(seen, b"small")
            assert set(_payloads(seen)) == {*values, b"small"}, [len(p) for p in _payloads(seen)]
            assert seen.messages[0].properties.ContentType == "application/octet-stream"


@tap.case("over TCP a lost session is made again, and the observation with it")
def tcp():
    port = free_port()
    with Subscriber(shared_mosquitto().port, "tcp") as seen, Linkspan(_watching("tcp", f"coap+tcp://127.0.0.1:{port}")):
        for life in (b"one", b"two"):
            with AioServer(port) as device:
                device.set("/temp", life)
                _wait_newest(seen, life)
                until(lambda device=device: device.observers("/temp") == 1, "the observation")
                for n in range(20):
                    value = life + b" %d" % n
                    device.set("/temp", value)
                    _wait_newest(seen, value)


@tap.case("libcoap's server over DTLS with a pre-shared key; killed in between, linkspan observes again")
def dtls():
    port = free_port(and_next=True)
    with LibcoapServer(port, keys=["-k", "correct horse"]), Subscriber(shared_mosquitto().port, "dtls") as seen:
        config = _watching("dtls", f"coaps://127.0.0.1:{port + 1}", topic="/time",
                           connection={"psk": {"identity": "linkspan", "key": "correct horse"}})
        with Linkspan(config) as bridge:
            seen.wait_count(2)
            bridge.kill()
            before = len(seen.messages)
            bridge.start()
            seen.wait_count(before + 2)


if __name__ == "__main__":
    tap.main()
