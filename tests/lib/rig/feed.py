# SPDX-License-Identifier: Apache-2.0
"""Sources of numbered messages: a steady feed that runs beside a test, and a flood that fills queues fast."""
import socket
import struct
import threading

from . import check
from .mqtt import Publisher


class Feed:
    """Publishes numbered QoS 1 messages on `keys` topics PREFIX/key in a thread, about `rate` a second, until stop().
    `sent` says up to which number each key got. arrived: a function; the feed holds back while more than 4,000 have
    not arrived."""

    def __init__(self, port, prefix, keys=4, rate=500, size=200, version=5, arrived=None):
        self.sent = {f"k{n}": 0 for n in range(keys)}
        self._prefix, self._size, self._pause_s = prefix, size, keys / rate
        self._stop = threading.Event()
        self._arrived = arrived
        self._publisher = Publisher(port, version)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(self._pause_s):
            if self._arrived and self.total - self._arrived() > 4000:
                continue
            for key in self.sent:
                self.sent[key] += 1
                self._publisher.publish(f"{self._prefix}/{key}",
                                        check.numbered(key, self.sent[key], self._size))

    @property
    def total(self):
        return sum(self.sent.values())

    @property
    def acknowledged(self):
        return self._publisher.acknowledged

    def stop(self):
        """Ends the feed once the broker has acknowledged all of it; what was sent."""
        self._stop.set()
        self._thread.join()
        self._publisher.wait()
        self._publisher.close()
        return self.sent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._publisher.close()


def _packet(kind, body):
    length, head = len(body), bytearray([kind])
    while True:
        head.append((length & 0x7f) | (0x80 if length > 0x7f else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


def flood(port, topic, first, count, size=200, key="flood"):
    """Publishes numbered messages first … first+count-1 on one topic by QoS 1, as fast as the broker takes them, and
    returns once all are acknowledged. A bare 3.1.1 client, because Paho for Python takes 200 µs a message."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        name = b"flood"
        link.sendall(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack(">H", len(name)) + name))
        _exactly(link, 4)
        encoded = topic.encode()
        done = 0
        while done < count:
            chunk = min(100, count - done)
            link.sendall(b"".join(
                _packet(0x32, struct.pack(">H", len(encoded)) + encoded + struct.pack(">H", 1 + i) +
                        check.numbered(key, first + done + i, size)) for i in range(chunk)))
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
