# SPDX-License-Identifier: Apache-2.0
"""Devices that send numbered messages by CoAP over UDP, each in confirmable requests of which one is under way, repeated as RFC
7252 says. They behave as devices in the field do: they reboot and use their message ids again, send large bodies in blocks,
repeat what was answered long ago, and send some numbers by NON.

What is known of a number in the end: it was answered 2.xx; or nothing was heard and the device has given it up, and then it may
have arrived, but not twice."""
import collections
import time

from . import check, coap
from .coap_loop import ACK_TIMEOUT_S, RESPONSE_TIMEOUT_S, Confirmable, Loop
from .wait import until

MANNERS = {"put": 60, "post": 20, "blocks": 8, "again": 6, "reboot": 4, "non": 4}
BLOCK = 64
LATER = ("5.03", "4.29")
NON_S = 0.5  # longer than any copy is under way: what follows does not overtake it
AGAIN_S = (0.1, 1.5)  # when a network repeats what was answered
REBOOT_S = 2  # longer than any copy is under way: of those two, with the same id, nobody could tell the old one from a new one


class _Device:
    """One key, one socket, so one address for its life."""

    def __init__(self, owner, key):
        self._owner, self._loop, self.key = owner, owner.loop, key
        self._socket = self._loop.socket(self._take)
        self._first_mid = self._mid = self._loop.dice.randrange(1 << 16)
        self.seq, self.idle = 0, True
        self._flight = self._timer = self._body = None
        self._request, self._answered = None, {}  # token → the last answered request, for "again"
        self._manners, self._offset = "put", 0
        self.story = collections.deque(maxlen=60)  # what happened lately, for who looks for a fault

    def _note(self, what):
        self.story.append(f"{time.monotonic() % 1000:.3f} {self.seq} {self._manners}: {what}")

    def _send(self, data):
        self._owner.datagrams += 1
        self._socket.sendto(data, ("127.0.0.1", self._owner.port))

    def go(self):
        """The next number, if there may be one."""
        if self._owner.ending or not self._owner.may_go_on(self._owner.total):
            self.idle = True
            if not self._owner.ending:
                self._loop.later(0.02, self.go)
            return
        self.idle = False
        self.seq += 1
        self._manners = self._loop.dice.choices(list(MANNERS), list(MANNERS.values()))[0]
        self._body = check.numbered(self.key, self.seq, self._owner.size)
        self._offset = 0
        if self._manners == "reboot":
            self._owner.reboots += 1
            self._mid = self._first_mid
            self._loop.later(REBOOT_S, self._begin)
        else:
            self._begin()

    def _message(self, kind):
        """Of the whole body, or of its block at the offset."""
        self._mid = (self._mid + 1) & 0xffff
        options = coap.path_options(self._owner.target(self.key))
        payload = self._body
        if self._manners == "blocks":
            more = self._offset + BLOCK < len(self._body)
            options.append(("Block1", coap.block(self._offset // BLOCK, more, BLOCK)))
            payload = self._body[self._offset:self._offset + BLOCK]
        method = "POST" if self._manners == "post" else "PUT"
        return coap.Message(kind, method, self._mid, self._loop.dice.randbytes(4), options, payload)

    def _begin(self):
        self._owner.requests += 1
        if self._manners == "non":
            # Nobody knows what becomes of it: the number is given up, and must not come twice.
            self._give_up()
            self._send(self._message(coap.NON).encode())
            self._timer = self._loop.later(NON_S, self._over)
            return
        self._request = self._message(coap.CON)
        self._note(f"id {self._request.mid} at {self._offset}")
        self._flight = Confirmable(self._loop, self._send, self._request, self._given_up)

    def _give_up(self):
        self._note("given up")
        self._owner.forgiven.add((self.key, self.seq))

    def _given_up(self):
        self._owner.given_up += 1
        self._give_up()
        self._over()

    def _over(self):
        self._end_flight()
        self._request = None
        self._loop.later(self._owner.pause_s * self._loop.dice.uniform(0.5, 1.5), self.go)

    def _end_flight(self):
        if self._flight:
            self._flight.end()
        if self._timer:
            self._timer.cancel()
        self._flight = self._timer = None

    # --- what comes

    def _take(self, message, _address):
        if message.kind == coap.CON:
            # A ping, or a separate response: of a request that is over too, when our ACK got lost.
            self._send(coap.Message(coap.ACK if message.code else coap.RST, 0, message.mid).encode())
            self._owner.pings += not message.code
        request = self._request
        if message.kind == coap.RST:
            if request and message.mid == request.mid:
                self._owner.wrong.append(f"{self.key} {self.seq} was answered with RST")
                self._given_up()
            return
        if message.kind == coap.ACK and not message.code:
            if request and message.mid == request.mid and self._flight:
                self._owner.acks += 1
                self._end_flight()
                self._timer = self._loop.later(RESPONSE_TIMEOUT_S, self._given_up)
            return
        if request and message.token == request.token and (message.kind != coap.ACK or message.mid == request.mid):
            self._answer(message)
        elif message.token in self._answered and self._answered[message.token] != message.text:
            self._owner.wrong.append(f"{self.key}: {message} to what was answered {self._answered[message.token]}")

    def _answer(self, message):
        request, owner = self._request, self._owner
        self._note(f"{message.text} after {self._flight.copies if self._flight else 0} copies")
        self._end_flight()
        owner.answers[message.text] = owner.answers.get(message.text, 0) + 1
        if message.text in LATER:
            if message.value("Max-Age") is None:
                owner.wrong.append(f"{message.text} without Max-Age")
            self._timer = self._loop.later(ACK_TIMEOUT_S, self._restart)  # sooner than it was told, because a test has no time
        elif message.text == "2.31" and self._manners == "blocks":
            self._offset += BLOCK
            self._begin()
        elif message.text == "4.08" and self._manners == "blocks":
            self._restart()
        elif message.text in ("2.04", "2.01"):
            owner.acknowledged += 1
            if self._manners == "again":
                # As a network does that kept a copy. It must be known, and its answer is the same.
                self._answered = {request.token: message.text}
                data = request.encode()
                for wait_s in AGAIN_S:
                    self._loop.later(wait_s, lambda: self._send(data))
            self._over()
        else:
            owner.wrong.append(f"{self.key} {self.seq} was answered {message}")
            self._given_up()

    def _restart(self):
        self._offset = 0
        self._begin()


class Senders:
    """target(key): the path. may_go_on(total): nothing new is sent while it is false. stop() gives {key: highest number}."""

    sessions_lost = 0

    def __init__(self, port, target, n_keys=20, rate=200, size=100, may_go_on=None, seed=0):
        self.port, self.target, self.size = port, target, size
        self.pause_s = n_keys / rate
        self.may_go_on = may_go_on or (lambda _total: True)
        self.loop = Loop(seed)
        self.acknowledged = self.given_up = self.requests = self.datagrams = self.reboots = self.acks = self.pings = 0
        self.forgiven = set()  # (key, number) of which nothing is known
        self.answers = {}  # code → how often
        self.wrong = []
        self.ending = False
        self._devices = [_Device(self, f"k{n}") for n in range(n_keys)]
        for device in self._devices:
            self.loop.later(0, device.go)
        self.loop.start()

    @property
    def sent(self):
        return {device.key: device.seq for device in self._devices}

    @property
    def total(self):
        return sum(device.seq for device in self._devices)

    @property
    def faults(self):
        return self.wrong + ([f"devices: {self.loop.fault}"] if self.loop.fault else [])

    def story(self, key):
        """What a device did lately."""
        return list(next(device.story for device in self._devices if device.key == key))

    def running(self):
        return self.loop.running()

    def stop(self):
        self.ending = True
        until(lambda: all(device.idle for device in self._devices) or not self.running(), "the devices to end",
              progress=lambda: self.datagrams)
        return self.sent

    def close(self):
        self.ending = True
        self.loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Tally(check.Tally):
    """Does not miss what the devices have given up."""

    def __init__(self, keys, size):
        super().__init__(keys, size)
        self.forgiven = frozenset()

    def missing(self):
        return sum((key, seq) not in self.forgiven for key, seqs in self._missing.items() for seq in seqs)

    def lost(self, sent):
        return [number for number in super().lost(sent) if number not in self.forgiven]

    def complete(self, sent):
        return not self.lost(sent)

    def forgive_gaps(self):
        """`gaps` without those of which every number was given up."""
        self.gaps[:] = [gap for gap in self.gaps
                        if any((gap[0], seq) not in self.forgiven for seq in range(gap[1], gap[2]))]
