# SPDX-License-Identifier: Apache-2.0
"""CoAP messages (RFC 7252 over UDP) as bytes and back, of the tests' own: nothing is refused that could be sent, so that a
test may send what it must not; and a bare UDP client that sees every datagram."""
import random
import select
import socket
import time
from collections import namedtuple

from .wait import TimedOut, until

CON, NON, ACK, RST = range(4)
TYPES = ("CON", "NON", "ACK", "RST")
METHODS = {"GET": 1, "POST": 2, "PUT": 3, "DELETE": 4, "FETCH": 5, "PATCH": 6, "IPATCH": 7}
OPTIONS = {"If-Match": 1, "Uri-Host": 3, "ETag": 4, "If-None-Match": 5, "Observe": 6, "Uri-Port": 7, "Location-Path": 8,
           "Uri-Path": 11, "Content-Format": 12, "Max-Age": 14, "Uri-Query": 15, "Hop-Limit": 16, "Accept": 17,
           "Q-Block1": 19, "Location-Query": 20, "Block2": 23, "Block1": 27, "Size2": 28, "Proxy-Uri": 35, "Proxy-Scheme": 39,
           "Size1": 60, "No-Response": 258, "Request-Tag": 292}
NUMBERS = ("Observe", "Uri-Port", "Content-Format", "Max-Age", "Hop-Limit", "Accept", "Block2", "Block1", "Size2", "Size1",
           "No-Response")
MAX_RETRANSMIT, ACK_RANDOM_FACTOR = 4, 1.5

Block = namedtuple("Block", "number more size")


def number(value):
    """As an option has it: no leading zero bytes."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def code(text):
    """"2.05", or the name of a method, as a byte."""
    if text in METHODS:
        return METHODS[text]
    major, minor = text.split(".")
    return int(major) << 5 | int(minor)


def block(num, more, size):
    return num << 4 | more << 3 | size.bit_length() - 5


class Message:
    """options: (name or number, value) in any order; text and numbers become bytes."""

    def __init__(self, kind, what, mid, token=b"", options=(), payload=b""):
        self.kind, self.mid, self.token, self.payload = kind, mid, token, payload
        self.code = what if isinstance(what, int) else code(what)
        self.options = [(OPTIONS.get(name, name), self._bytes(value)) for name, value in options]

    @staticmethod
    def _bytes(value):
        return value.encode() if isinstance(value, str) else number(value) if isinstance(value, int) else value

    @property
    def text(self):
        """Its code as people write it."""
        return f"{self.code >> 5}.{self.code & 31:02}"

    def values(self, name):
        """Of all its options of that name: bytes, or numbers where an option is one."""
        values = [value for option, value in self.options if option == OPTIONS[name]]
        return [int.from_bytes(value, "big") for value in values] if name in NUMBERS else values

    def value(self, name, default=None):
        return (self.values(name) or [default])[0]

    def block(self, name):
        value = self.value(name)
        return None if value is None else Block(value >> 4, bool(value & 8), 16 << (value & 7))

    @property
    def path(self):
        return "/" + "/".join(value.decode(errors="replace") for value in self.values("Uri-Path"))

    def encode(self):
        out = bytearray([0x40 | self.kind << 4 | len(self.token), self.code, self.mid >> 8, self.mid & 0xff]) + self.token
        before = 0
        for option, value in sorted(self.options, key=lambda each: each[0]):
            head = [self._nibble(option - before), self._nibble(len(value))]
            out.append(head[0][0] << 4 | head[1][0])
            out += head[0][1] + head[1][1] + value
            before = option
        return bytes(out) + (b"\xff" + self.payload if self.payload else b"")

    @staticmethod
    def _nibble(value):
        if value < 13:
            return value, b""
        if value < 269:
            return 13, bytes([value - 13])
        return 14, (value - 269).to_bytes(2, "big")

    def __repr__(self):
        names = {option: name for name, option in OPTIONS.items()}
        shown = " ".join(f"{names.get(option, option)}={value!r}" for option, value in self.options)
        return f"{TYPES[self.kind]} {self.text} id={self.mid} token={self.token.hex()} {shown} {self.payload[:60]!r}"


def _extended(data, at, nibble):
    if nibble == 15:
        raise ValueError("a reserved nibble")
    if nibble == 14:
        return int.from_bytes(data[at:at + 2], "big") + 269, at + 2
    return (data[at] + 13, at + 1) if nibble == 13 else (nibble, at)


def decode(data):
    """A Message; ValueError when it is none."""
    if len(data) < 4 or data[0] >> 6 != 1:
        raise ValueError(f"no CoAP: {data[:8]!r}")
    token_end = 4 + (data[0] & 15)
    message = Message(data[0] >> 4 & 3, data[1], data[2] << 8 | data[3], data[4:token_end])
    at, option = token_end, 0
    while at < len(data) and data[at] != 0xff:
        delta, length = data[at] >> 4, data[at] & 15
        delta, at = _extended(data, at + 1, delta)
        length, at = _extended(data, at, length)
        option += delta
        if at + length > len(data):
            raise ValueError("an option that ends behind the datagram")
        message.options.append((option, bytes(data[at:at + length])))
        at += length
    if at < len(data):
        message.payload = bytes(data[at + 1:])
        if not message.payload:
            raise ValueError("a marker without a payload")
    return message


def path_options(target):
    """Options of "/a/b?x=1&y": as it stands, without any %-decoding."""
    path, _, query = target.partition("?")
    return [("Uri-Path", part) for part in path.split("/")[1:] if path != "/"] + \
        [("Uri-Query", part) for part in query.split("&") if query]


class Client:
    """A UDP socket. Nothing happens by itself but what `answer_pings` says: the RST to a CoAP ping, by which a server learns
    that an address is no one else's (RFC 7252 §4.3), or as `pong` another type. source: the address to be another host with."""

    def __init__(self, port, host="127.0.0.1", answer_pings=True, first_mid=None, local_port=0, pong=RST, source=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        if local_port or source:
            self.socket.bind((source or host, local_port))
        self.socket.connect((host, port))
        self.socket.setblocking(False)
        self.local_port = self.socket.getsockname()[1]
        self.mid = random.randrange(1 << 16) if first_mid is None else first_mid
        self.answer_pings, self.pong = answer_pings, pong
        self.bytes_in = self.bytes_out = self.pings = 0
        self.seen = []  # each Message that came, but for pings that were answered

    def next_mid(self):
        self.mid = (self.mid + 1) & 0xffff
        return self.mid

    def send(self, message):
        self.send_bytes(message.encode())
        return message

    def send_bytes(self, data):
        self.bytes_out += len(data)
        try:
            self.socket.send(data)
        except ConnectionRefusedError:
            self.socket.send(data)  # that was about an earlier one

    def request(self, method, target, payload=b"", kind=CON, options=(), token=None):
        """A request with an identifier of its own; to be sent."""
        token = random.randbytes(4) if token is None else token
        return Message(kind, method, self.next_mid(), token, [*path_options(target), *options], payload)

    def receive(self, timeout_s):
        """The next Message, or None."""
        deadline = time.monotonic() + timeout_s
        while True:
            ready, _, _ = select.select([self.socket], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return None
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionRefusedError:
                continue
            self.bytes_in += len(data)
            message = decode(data)
            if message.kind == CON and message.code == 0:
                self.pings += 1
                if self.answer_pings:
                    self.send(Message(self.pong, 0, message.mid))
                continue
            self.seen.append(message)
            return message

    def expect(self, condition, what, timeout_s=60):
        """The next Message for which it holds; others are let go (they stay in `seen`)."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.receive(max(0, deadline - time.monotonic()))
            if message is None:
                raise TimedOut(f"timed out waiting for {what}; came: {self.seen[-3:]}")
            if condition(message):
                return message

    def ask(self, message, timeout_s=60, ack_timeout_s=2):
        """Sends a request, again as RFC 7252 §4.2 says, and gives its response: piggybacked, separate (acknowledged) or NON."""
        self.send(message)
        wait_s = ack_timeout_s * random.uniform(1, ACK_RANDOM_FACTOR)
        deadline, left, acknowledged = time.monotonic() + timeout_s, MAX_RETRANSMIT, message.kind != CON
        again_at = time.monotonic() + wait_s
        while True:
            answer = self.receive(max(0, min(deadline, deadline if acknowledged else again_at) - time.monotonic()))
            if answer is None:
                if time.monotonic() >= deadline or (not acknowledged and not left):
                    raise TimedOut(f"timed out waiting for a response to {message}")
                if not acknowledged:
                    wait_s, left = wait_s * 2, left - 1
                    again_at = time.monotonic() + wait_s
                    self.send(message)
                continue
            if answer.kind == RST and answer.mid == message.mid:
                return answer
            if answer.kind == ACK and answer.mid == message.mid:
                acknowledged = True
            if answer.code and answer.token == message.token:
                if answer.kind == CON:
                    self.send(Message(ACK, 0, answer.mid))
                return answer

    def be_known(self):
        """Answers the ping that the server has sent by now, and waits until the server has had that: once a ping of ours has come
        back, its own is here, and once the next has, it knows the answer. (libcoap 4.3.1 answers every other ping alone.)"""
        for _ in range(2):
            ping = Message(CON, 0, self.next_mid())

            def has_come_back(ping=ping):
                self.send(ping)
                message = self.receive(0.2)
                return message is not None and (message.kind, message.mid) == (RST, ping.mid)
            until(has_come_back, "the answer to a ping")

    def quiet(self, for_s, condition=lambda _message: True):
        """What comes within that time and should not: for proofs that nothing does."""
        found, deadline = [], time.monotonic() + for_s
        while (message := self.receive(max(0, deadline - time.monotonic()))) is not None:
            if condition(message):
                found.append(message)
        return found

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server:
    """A UDP socket at which a test is the device: it takes what comes and says what to answer. Pings get their RST by themselves."""

    def __init__(self, port=0, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port = self.socket.getsockname()[1]
        self.mid = random.randrange(1 << 16)
        self.seen = []  # (message, address)
        self._answers = {}  # (message id, address) → what was said to that request

    def next_mid(self):
        self.mid = (self.mid + 1) & 0xffff
        return self.mid

    def receive(self, timeout_s):
        """The next (Message, address), or None."""
        deadline = time.monotonic() + timeout_s
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            data, address = self.socket.recvfrom(1 << 16)
            message = decode(data)
            if message.kind == CON and message.code == 0:
                self.send(Message(RST, 0, message.mid), address)
                continue
            self.seen.append((message, address))
            return message, address
        return None

    def expect(self, condition, what, timeout_s=60):
        """The next (Message, address) for which condition(message) holds."""
        deadline = time.monotonic() + timeout_s
        while True:
            came = self.receive(max(0, deadline - time.monotonic()))
            if came is None:
                raise TimedOut(f"timed out waiting for {what}; came: {self.seen[-3:]}")
            if condition(came[0]):
                return came

    def request(self, what="a request", timeout_s=60):
        """The next request, and its address. One that comes again although it was answered, for it was on its way or the
        machine is loaded, is answered again and is no other one."""
        while True:
            came, address = self.expect(lambda m: 1 <= m.code <= 7, what, timeout_s)
            if (came.mid, address) not in self._answers:
                return came, address
            self.send(self._answers[came.mid, address], address)

    def send(self, message, address):
        self.socket.sendto(message.encode(), address)
        return message

    def answer(self, request, address, what, payload=b"", options=()):
        """Piggybacked, or NON to NON."""
        kind, mid = (ACK, request.mid) if request.kind == CON else (NON, self.next_mid())
        answer = self.send(Message(kind, what, mid, request.token, options, payload), address)
        if kind == ACK:
            self._answers[request.mid, address] = answer
        return answer

    def respond(self, request, address, what, payload=b"", options=(), kind=CON):
        """A response of its own."""
        return self.send(Message(kind, what, self.next_mid(), request.token, options, payload), address)

    def quiet(self, for_s, condition=lambda _message: True):
        """What comes within that time and should not: for proofs that nothing does."""
        found, deadline = [], time.monotonic() + for_s
        while (came := self.receive(max(0, deadline - time.monotonic()))) is not None:
            if condition(came[0]):
                found.append(came[0])
        return found

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
