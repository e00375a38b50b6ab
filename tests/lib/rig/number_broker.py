# SPDX-License-Identifier: Apache-2.0
"""The receiving half of a version 5 broker that knows QoS 2 messages by their packet identifier alone, as EMQX does: an
identifier that it was given and that is not released makes any PUBLISH with it a repetition, whatever it carries. It
passes a message on at PUBLISH, keeps its session as long as it lives, and does on a topic what a test tells it to."""
import collections
import select
import socket
import struct
import threading

from . import qos2
from .wait import free_port, until

PINGREQ, DISCONNECT, PUBREL = 0xc0, 0xe0, 0x62


class NumberBroker:
    """script: {topic: list of actions}, one for each PUBLISH there, as long as there are any:

    a number        PUBREC with that reason, 0x80 or more: not taken
    "ignore"        not taken, no answer
    "take"          taken, no answer
    "keep"          taken, PUBREC; the PUBREL is ignored
    "release"       taken, PUBREC; released by the PUBREL, and no PUBCOMP
    "last"          PUBREC 0x97, and with it the connection ends, as by down()

    says_in_use: a PUBLISH with an open identifier gets PUBREC 0x91, else PUBREC 0x00 as a repetition deserves."""

    def __init__(self, says_in_use, max_packet=4096):
        self.port = free_port()
        self.script = {}
        self.published = []  # (topic, payload)
        self.done = collections.Counter()  # (topic, action) → how often
        self.open = {}  # packet identifier → topic
        self.swallowed = []  # (packet identifier, topic before, topic now): other bytes under an open identifier
        self.repetitions = 0
        self.max_packet = max_packet  # that it says from the next connection on
        self._says_in_use = says_in_use
        self._unreleased = {}  # packet identifier → "keep" or "release", of this connection
        self._payloads = {}
        self._session = False
        self._accepting = threading.Event()
        self._accepting.set()
        self._cut = self._ending = self._forget = False
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- from the test's thread

    def cut(self):
        """Ends the connection; a new one may come."""
        self._cut = True
        until(lambda: not self._cut or self._died(), "the connection to be cut")

    def forget(self):
        """Ends the connection and loses the session."""
        self._forget = True
        self.cut()

    def down(self):
        """Ends the connection and refuses new ones until up()."""
        self._accepting.clear()
        self.cut()

    def up(self):
        self._accepting.set()

    def wait_done(self, *steps):
        """steps: (topic, action)"""
        until(lambda: all(self.done[step] for step in steps) or self._died(), lambda: f"{steps}: {self.done}")

    def wait_published(self, count):
        until(lambda: len(self.published) >= count or self._died(), lambda: f"{count} messages: {len(self.published)}")

    def _died(self):
        if self._error:
            raise AssertionError(f"the broker ended: {self._error!r}")
        return False

    def close(self):
        self._ending = True
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- in its own

    def _run(self):
        try:
            while not self._ending:
                self._cut = False
                if not self._accepting.wait(0.02):
                    continue
                with socket.create_server(("127.0.0.1", self.port)) as listener:
                    while self._accepting.is_set() and not self._ending:
                        self._cut = False
                        if select.select([listener], [], [], 0.02)[0]:
                            self._serve(listener.accept()[0])
        except Exception as error:  # pylint: disable=broad-except
            self._error = error
            raise

    def _serve(self, link):
        buffer = bytearray()
        self._unreleased = {}
        with link:
            link.settimeout(20)
            try:
                while not self._cut and not self._ending:
                    if not select.select([link], [], [], 0.02)[0]:
                        continue
                    more = link.recv(1 << 16)
                    if not more:
                        return
                    buffer += more
                    answers = [self._on_packet(first, body) for first, body in qos2.packets(buffer)]
                    link.sendall(b"".join(answers))
                    if not self._accepting.is_set():
                        self._leave(link)
            except OSError:
                pass

    @staticmethod
    def _leave(link):
        """So that what was answered arrives: closed at once, with something unread, it might not."""
        link.shutdown(socket.SHUT_WR)
        while link.recv(1 << 16):
            pass

    def _on_packet(self, first, body):
        kind = first & 0xf0
        if kind == 0x10:
            if self._forget:
                self._forget = self._session = False
                self.open.clear()
                self._payloads.clear()
            properties = b"\x27" + struct.pack(">I", self.max_packet)
            answer = qos2.packet(qos2.CONNACK, bytes([self._session, 0, len(properties)]) + properties)
            self._session = True
            return answer
        if kind == qos2.PUBLISH:
            return self._on_publish(*qos2.parse_publish(5, first, body), first)
        if first == PUBREL:
            return self._on_pubrel(struct.unpack_from(">H", body)[0])
        if kind == PINGREQ:
            return b"\xd0\x00"
        if kind == DISCONNECT:
            return b""
        raise ValueError(f"linkspan sends {first:#x} {body[:40].hex()}")

    def _on_publish(self, topic, packet_id, payload, first):
        if first & 0x06 != 0x04:
            raise ValueError(f"QoS is not 2: {first:#x} on {topic}")
        answer = struct.pack(">H", packet_id)
        if packet_id in self.open:
            self.repetitions += 1
            if (topic, payload) != self._payloads[packet_id]:
                self.swallowed.append((packet_id, self.open[packet_id], topic))
            return qos2.packet(qos2.PUBREC, answer + (b"\x91" if self._says_in_use else b""))
        steps = self.script.get(topic)
        action = steps.pop(0) if steps else None
        self.done[topic, action] += 1
        if action == "ignore":
            return b""
        if action == "last":
            self._accepting.clear()
            return qos2.packet(qos2.PUBREC, answer + b"\x97")
        if isinstance(action, int):
            return qos2.packet(qos2.PUBREC, answer + bytes([action]))
        self.open[packet_id] = topic
        self._payloads[packet_id] = (topic, payload)
        self.published.append((topic, payload))
        if action == "take":
            return b""
        if action:
            self._unreleased[packet_id] = action
        return qos2.packet(qos2.PUBREC, answer)

    def _on_pubrel(self, packet_id):
        action = self._unreleased.pop(packet_id, None)
        if action:
            self.done[self.open[packet_id], action + "d"] += 1
        if action == "keep":
            return b""
        known = self.open.pop(packet_id, None)
        self._payloads.pop(packet_id, None)
        if action == "release":
            return b""
        return qos2.packet(qos2.PUBCOMP, struct.pack(">H", packet_id) + (b"" if known else b"\x92"))
