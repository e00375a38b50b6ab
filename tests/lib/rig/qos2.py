# SPDX-License-Identifier: Apache-2.0
"""A publisher and a subscriber of QoS 2 that lose and repeat nothing over any number of broken connections and broker
restarts, so that what is lost or repeated is the fault of what stands between them.

Each is one thread with one socket and a codec of a few lines, because the state that makes QoS 2 exact must be in plain
sight: the publisher keeps its packet identifiers and how far each has come, the subscriber keeps the identifiers that it
has taken and that are not released. Paho for Python keeps both out of reach, and lets a new message overtake those that
it sends again. Neither client is ever killed, so its memory is as good as a disk. Versions 3.1.1 (4) and 5.
"""
import asyncio
import collections
import select
import socket
import struct
import threading
import time

from . import check
from .wait import until

CONNACK, PUBLISH, PUBREC, PUBREL, PUBCOMP, SUBACK, PINGRESP = 0x20, 0x30, 0x50, 0x62, 0x70, 0x90, 0xd0
SILENCE_S = 8  # a broker that says nothing for so long, asked once a second, is gone


def packet(kind, body=b""):
    length, head = len(body), bytearray([kind])
    while True:
        head.append((length & 0x7f) | (0x80 if length > 0x7f else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


def text(value):
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def variable_integer(body, at):
    """Value and the offset behind it; IndexError when it is not all there."""
    value = shift = 0
    while True:
        byte = body[at]
        value, at, shift = value | (byte & 0x7f) << shift, at + 1, shift + 7
        if byte < 0x80:
            return value, at


def packets(buffer):
    """Takes the whole packets off the front of a bytearray: (first byte, body)."""
    at, found = 0, []
    while True:
        try:
            length, body = variable_integer(buffer, at + 1)
        except IndexError:
            break
        if len(buffer) < body + length:
            break
        found.append((buffer[at], bytes(buffer[body:body + length])))
        at = body + length
    del buffer[:at]
    return found


def parse_publish(version, first, body):
    """Topic, packet identifier (0 for QoS 0) and payload."""
    at = 2 + struct.unpack_from(">H", body)[0]
    topic, packet_id = body[2:at].decode(), 0
    if first & 0x06:
        packet_id, at = struct.unpack_from(">H", body, at)[0], at + 2
    if version == 5:
        length, at = variable_integer(body, at)
        at += length
    return topic, packet_id, body[at:]


def _receive_maximum(properties):
    """Of a CONNACK; 65535 when it does not say."""
    sizes = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2a: 1}
    at = 0
    while at < len(properties):
        name, at = properties[at], at + 1
        if name == 0x21:
            return struct.unpack_from(">H", properties, at)[0]
        size = sizes.get(name)
        at += size if size else 2 + struct.unpack_from(">H", properties, at)[0]
    return 65535


async def settle(port):
    """For a Proxy before a broker with one thread: returns once the broker has done all it had begun.

    When mosquitto 2.0.11 resumes a session and the connection turns out to be gone while it does, the messages that wait
    for PUBCOMP are PUBLISHed again on the next one, after their PUBREL: no receiver can know those for repetitions
    (database.c, db__message_reconnect_reset_outgoing). So no test of exactly-once may end a connection just then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(packet(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text("")))
    await reader.read(4)
    writer.close()


class _Client:
    """A thread that connects again for ever and keeps its session. What is wrong with the broker's answers gathers in
    `faults`; `sessions_lost` counts a broker that has forgotten us."""

    def __init__(self, port, client_id, version):
        self.port, self.client_id, self.version = port, client_id, version
        self.faults = []
        self.connects = self.sessions_lost = 0
        self._link = None
        self._buffer = bytearray()
        self._out = []
        self._heard = self._asked = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=client_id)

    # what a client does beyond connecting
    def _on_up(self, session_present, receive_maximum):
        raise NotImplementedError

    def _on_packet(self, first, body):
        raise NotImplementedError

    def _on_turn(self):
        """Returns for how many seconds nothing needs to be done unless something comes."""
        return 1.0

    def _run(self):
        try:
            while not self._ending.is_set():
                try:
                    if self._link is None:
                        self._connect()
                    self._turn(self._on_turn())
                except OSError:
                    self._hang_up()
                    self._ending.wait(0.02)
            if self._link:
                self._send(b"\xe0\x00")
                self._flush()
        except OSError:
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.faults.append(f"{self.client_id}: {error!r}")
            raise
        finally:
            self._hang_up()

    def _hang_up(self):
        if self._link:
            self._link.close()
        self._link = None

    def _connect(self):
        link = socket.create_connection(("127.0.0.1", self.port), timeout=SILENCE_S)
        self._link = link
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer, self._out = bytearray(), []
        head = text("MQTT") + bytes([self.version, 0]) + b"\x00\x00"  # session kept, no keep-alive
        if self.version == 5:
            head += b"\x05\x11" + struct.pack(">I", 86400)
        link.sendall(packet(0x10, head + text(self.client_id)))
        got = []
        while not got:
            self._receive()
            got = packets(self._buffer)
        first, body = got[0]
        if first != CONNACK or body[1] != 0:
            raise ConnectionError(f"the broker answers {first:#x} {body.hex()}")
        maximum = 65535
        if self.version == 5:
            length, at = variable_integer(body, 2)
            maximum = _receive_maximum(body[at:at + length])
        present = bool(body[0] & 1)
        self.connects += 1
        self.sessions_lost += self.connects > 1 and not present
        self._on_up(present, maximum)
        self._flush()
        for one in got[1:]:
            self._on_packet(*one)
        self._flush()

    def _receive(self):
        more = self._link.recv(1 << 16)
        if not more:
            raise ConnectionError("the broker closed the connection")
        self._buffer += more
        self._heard = time.monotonic()

    def _send(self, data):
        self._out.append(data)

    def _flush(self):
        if self._out:
            data, self._out = b"".join(self._out), []
            self._link.sendall(data)

    def _turn(self, wait_s):
        self._flush()
        now = time.monotonic()
        if select.select([self._link], [], [], wait_s)[0]:
            self._receive()
            for one in packets(self._buffer):
                self._on_packet(*one)
            self._flush()
        elif now - self._heard > SILENCE_S:
            raise ConnectionError("the broker is silent")
        elif now - self._heard > 1 and now - self._asked > 1:
            self._asked = now
            self._send(b"\xc0\x00")

    def running(self):
        return self._thread.is_alive()

    def close(self):
        self._ending.set()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Flight:
    """A message from its PUBLISH to its PUBCOMP."""
    __slots__ = ("topic", "payload", "received")

    def __init__(self, topic, payload):
        self.topic, self.payload, self.received = topic, payload, False


class Publisher(_Client):
    """Publishes numbered messages on PREFIX/key and the suffix for each of `keys`, about `rate` a second in all, until
    stop(). `sent` says up to which number each key got. size: of each, or a function of its number; make: as
    check.numbered. may_go_on(total): nothing new is published while it is false.

    A message is made once, has one packet identifier until its PUBCOMP, and is sent again with DUP as long as no PUBREC
    has come; from then on only PUBREL is. Everything is sent again in the order of its first time [MQTT-4.6.0-1]."""

    def __init__(self, port, prefix, client_id, version=5, keys=4, rate=1000, size=100, window=100, may_go_on=None,
                 suffix="", make=check.numbered):
        super().__init__(port, client_id, version)
        self.sent = {f"k{n}": 0 for n in range(keys)}
        self.acknowledged = 0
        self._prefix, self._suffix, self._rate, self._make = prefix, suffix, rate, make
        self._size = size if callable(size) else lambda _seq: size
        self._most = self._window = window
        self._may_go_on = may_go_on or (lambda _total: True)
        self._flights = collections.OrderedDict()  # packet identifier → flight, oldest first
        self._id = self._round = 0
        self._due = 0.0  # when the next message is to be made
        self._last, self._written = threading.Event(), threading.Event()  # no more is to be sent, is sent for the first time
        self._thread.start()

    @property
    def total(self):
        return sum(self.sent.values())

    def _publish_packet(self, packet_id, flight, dup):
        properties = b"\x00" if self.version == 5 else b""
        return packet(PUBLISH | 0x04 | (0x08 if dup else 0),
                      text(flight.topic) + struct.pack(">H", packet_id) + properties + flight.payload)

    def _on_up(self, session_present, receive_maximum):
        self._window = min(self._most, receive_maximum)
        for packet_id, flight in self._flights.items():
            if not session_present:
                flight.received = False  # neither of us can know; a message twice is better than none
            if flight.received:
                self._send(packet(PUBREL, struct.pack(">H", packet_id)))
            else:
                self._send(self._publish_packet(packet_id, flight, session_present))

    def _on_packet(self, first, body):
        if first == PUBREC:
            self._on_pubrec(*self._acknowledgement(body))
        elif first == PUBCOMP:
            packet_id, reason = self._acknowledgement(body)
            flight = self._flights.get(packet_id)
            if flight is None or not flight.received:
                self.faults.append(f"{self.client_id}: PUBCOMP {packet_id} (reason {reason:#x}) for what was not released")
                return
            del self._flights[packet_id]
            self.acknowledged += 1
        elif first != PINGRESP:
            raise ConnectionError(f"the broker sends {first:#x} {body.hex()}")

    def _on_pubrec(self, packet_id, reason):
        flight = self._flights.get(packet_id)
        if reason >= 0x80 or flight is None:
            self.faults.append(f"{self.client_id}: PUBREC {packet_id} with reason {reason:#x}")
            return
        flight.received = True
        self._send(packet(PUBREL, struct.pack(">H", packet_id)))

    @staticmethod
    def _acknowledgement(body):
        return struct.unpack_from(">H", body)[0], body[2] if len(body) > 2 else 0

    def _on_turn(self):
        if self._last.is_set():
            self._written.set()
            return 0.02
        if not self._rate:
            return 0.02
        now = time.monotonic()
        self._due = max(self._due, now - 0.1)  # what could not be sent in time is not made up for
        while self._due <= now and len(self._flights) < self._window and self._may_go_on(self.total):
            self._publish_next()
            self._due += 1 / self._rate
        return 0.005

    def _publish_next(self):
        self._round += 1
        key = f"k{self._round % len(self.sent)}"
        self.sent[key] += 1
        seq = self.sent[key]
        flight = _Flight(f"{self._prefix}/{key}{self._suffix}", self._make(key, seq, self._size(seq)))
        self._id = self._id % 65535 + 1
        while self._id in self._flights:
            self._id = self._id % 65535 + 1
        self._flights[self._id] = flight
        self._send(self._publish_packet(self._id, flight, False))

    def stop(self):
        """Ends the flow once the broker has completed all of it; what was sent."""
        self._last.set()
        until(lambda: self._written.is_set() and not self._flights or not self._thread.is_alive(),
              lambda: f"PUBCOMPs for {self.client_id}: {self.acknowledged} of {self.total}")
        return dict(self.sent)


class Subscriber(_Client):
    """Takes each QoS 2 message once and hands it to take(topic, payload), in its own thread. The same packet identifier
    with other bytes is a new message, and counted in `reused`: only a broker that has lost its memory does that."""

    def __init__(self, port, filters, client_id, take, version=5):
        super().__init__(port, client_id, version)
        self._filters = [filters] if isinstance(filters, str) else list(filters)
        self._take = take
        self.arrived = self.again = self.reused = 0
        self._open = {}  # packet identifier → payload: taken, not released
        self._ready = threading.Event()
        self._thread.start()
        until(self._ready.is_set, f"{client_id}'s SUBACK")

    def _on_up(self, session_present, receive_maximum):
        if session_present and self._ready.is_set():
            return
        self._open.clear()
        properties = b"\x00" if self.version == 5 else b""
        self._send(packet(0x82, b"\x00\x01" + properties + b"".join(text(one) + b"\x02" for one in self._filters)))

    def _on_packet(self, first, body):
        if first & 0xf0 == PUBLISH:
            self._on_publish(*parse_publish(self.version, first, body), first)
        elif first == PUBREL:
            self._on_pubrel(body[:2])
        elif first == SUBACK:
            if body[-1] != 2:
                self.faults.append(f"{self.client_id}: SUBACK {body.hex()}")
            self._ready.set()
        elif first != PINGRESP:
            raise ConnectionError(f"the broker sends {first:#x} {body.hex()}")

    def _on_publish(self, topic, packet_id, payload, first):
        if first & 0x06 != 0x04:
            self.faults.append(f"{self.client_id}: a message of QoS {first >> 1 & 3} on {topic}")
        known = self._open.get(packet_id)
        if known == payload:
            self.again += 1
        else:
            self.reused += known is not None
            self._open[packet_id] = payload
            self.arrived += 1
            self._take(topic, payload)
        self._send(packet(PUBREC, struct.pack(">H", packet_id)))

    def _on_pubrel(self, packet_id):
        self._open.pop(struct.unpack(">H", packet_id)[0], None)
        self._send(packet(PUBCOMP, packet_id))
