# SPDX-License-Identifier: Apache-2.0
"""Sources of numbered messages: a steady feed that runs beside a test, and a flood that fills queues fast."""
import collections
import select
import socket
import struct
import threading

from . import check
from .wait import DEADLINE_S, until


def _packet(kind, body):
    length, head = len(body), bytearray([kind])
    while True:
        head.append((length & 0x7f) | (0x80 if length > 0x7f else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


def _connect_packet(client_id):
    """3.1.1, a clean session, keep-alive 60 s."""
    return _packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + _text(client_id))


def _text(text):
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _publish_packet(topic, packet_id, payload):
    return _packet(0x32, _text(topic) + struct.pack(">H", packet_id) + payload)


class Feed:
    """Publishes numbered QoS 1 messages on `keys` topics PREFIX/key in a thread, about `rate` a second, until stop().
    `sent` says up to which number each key got. arrived: a function; the feed holds back while more than 4,000 have
    not arrived.

    After a broker's restart it sends again, in order, all that was not acknowledged, and only then what is new. Paho
    for Python does not: there a new message may overtake those that are sent again."""

    MOST_UNACKNOWLEDGED = 1000

    def __init__(self, port, prefix, client_id="feed", keys=4, rate=500, size=200, arrived=None):
        self.sent = {f"k{n}": 0 for n in range(keys)}
        self.acknowledged = 0
        self._port, self._prefix, self._size, self._pause_s = port, prefix, size, keys / rate
        self._arrived, self._client_id = arrived, client_id
        self._unacknowledged = collections.deque()  # of packets
        self._link = None
        self._got = b""
        self._stop = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def total(self):
        return sum(self.sent.values())

    def _run(self):
        while not self._given_up.is_set() and not (self._stop.is_set() and not self._unacknowledged):
            self._given_up.wait(self._pause_s)
            try:
                if self._link is None:
                    self._connect()
                if not self._stop.is_set() and self._may_go_on():
                    self._publish()
                self._take_acknowledgements()
            except OSError:
                self._link = None
        if self._link:
            self._link.close()

    def _may_go_on(self):
        behind = self._arrived is not None and self.total - self._arrived() > 4000
        return not behind and len(self._unacknowledged) < self.MOST_UNACKNOWLEDGED

    def _connect(self):
        link = socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE_S)
        link.sendall(_connect_packet(self._client_id))
        _exactly(link, 4)
        self._got = b""
        link.sendall(b"".join(self._unacknowledged))
        self._link = link

    def _publish(self):
        packets = []
        for key in self.sent:
            self.sent[key] += 1
            packets.append(_publish_packet(f"{self._prefix}/{key}", 1 + self.total % 65535,
                                           check.numbered(key, self.sent[key], self._size)))
        self._unacknowledged.extend(packets)
        self._link.sendall(b"".join(packets))

    def _take_acknowledgements(self):
        """mosquitto acknowledges in order; so each PUBACK is for the oldest."""
        while select.select([self._link], [], [], 0)[0]:
            more = self._link.recv(1 << 16)
            if not more:
                raise ConnectionError("the broker closed the connection")
            self._got += more
            whole = len(self._got) // 4
            for _ in range(whole):
                self._unacknowledged.popleft()
            self.acknowledged += whole
            self._got = self._got[4 * whole:]

    def stop(self):
        """Ends the feed once the broker has acknowledged all of it; what was sent."""
        self._stop.set()
        until(lambda: not self._thread.is_alive(), lambda: f"PUBACKs: {self.acknowledged} of {self.total}")
        return self.sent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._given_up.set()
        self._thread.join()


def flood(port, topic, first, count, size=200, key="flood"):
    """Publishes numbered messages first … first+count-1 on one topic by QoS 1, as fast as the broker takes them, and
    returns once all are acknowledged. A bare 3.1.1 client, because Paho for Python takes 200 µs a message."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(_connect_packet("flood"))
        _exactly(link, 4)
        done = 0
        while done < count:
            chunk = min(100, count - done)
            link.sendall(b"".join(
                _publish_packet(topic, 1 + i, check.numbered(key, first + done + i, size)) for i in range(chunk)))
            _exactly(link, 4 * chunk)  # PUBACKs
            done += chunk
        link.sendall(b"\xe0\x00")


def _exactly(link, n):
    got = b""
    while len(got) < n:
        more = link.recv(n - len(got))
        if not more:
            raise ConnectionError("the broker closed the connection")
        got += more
    return got
