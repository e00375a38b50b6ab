# SPDX-License-Identifier: Apache-2.0
"""A CoAP device that takes numbered messages and answers as devices in the field do: at once, late in a response of its own (with
and without an empty ACK before, confirmable or not), with 5.00, 5.03, 4.29, RST, or not at all; it reboots and forgets which
message ids it knew.

What it answers 2.xx to it has taken. It knows what is repeated by message id and bytes (RFC 7252 §4.5), so what comes twice was sent
twice."""
from . import coap
from .coap_loop import Confirmable, Loop

# A few of each thousand requests suffer what takes a while.
MANNERS = {"ok": 830, "separate": 60, "separate-without-ack": 20, "separate-non": 20, "5.00": 20, "deaf": 20, "silent": 2, "rst": 10,
           "5.03": 5, "4.29": 5, "reboot": 10, "done-but-silent": 3}
BLOCK_LIMIT = 1 << 20


class Receiver:
    """take(path, payload) for each request that it has taken, in that order. `port` is its own."""

    def __init__(self, take, manners=None, seed=0):
        self.loop = Loop(seed)
        self._tell = take
        self._manners = manners or MANNERS
        self._socket = self.loop.socket(self._take)
        self.port = self._socket.getsockname()[1]
        self.requests = self.repeated_ids = self.reboots = self.blocks = self.non_requests = 0
        self.wrong = []
        self._known, self._bodies, self._responses = {}, {}, {}
        self._mid = 0
        self.loop.start()

    def behave(self, manners):
        self.loop.soon(lambda: setattr(self, "_manners", manners))

    def running(self):
        return self.loop.running()

    @property
    def faults(self):
        return self.wrong + ([f"device: {self.loop.fault}"] if self.loop.fault else [])

    def close(self):
        self.loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- on the thread

    def _next_mid(self):
        self._mid = (self._mid + 1) & 0xffff
        return self._mid

    def _send(self, message, address):
        self._socket.sendto(message.encode(), address)

    def _take(self, message, address):
        if message.kind in (coap.ACK, coap.RST):
            response = self._responses.pop((address, message.mid), None)
            if response:
                response.end()
            return
        if not message.code:
            if message.kind == coap.CON:
                self._send(coap.Message(coap.RST, 0, message.mid), address)
            return
        if not 1 <= message.code <= 7:
            self.wrong.append(f"no request: {message}")
            return
        data = message.encode()
        known = self._known.get((address, message.mid))
        if known and known[0] == data:
            self.repeated_ids += 1
            for answer in known[1]:
                self._send(answer, address)
            return
        self.requests += 1
        self.non_requests += message.kind == coap.NON
        manners = self.loop.dice.choices(list(self._manners), list(self._manners.values()))[0]
        if manners == "deaf":
            return  # to this copy
        if manners == "reboot":
            self._reboot()
            return
        answers = self._known[address, message.mid] = (data, [])
        self._obey(message, address, manners, answers[1])

    def _reboot(self):
        self.reboots += 1
        self._known.clear()
        self._bodies.clear()
        for response in self._responses.values():
            response.end()
        self._responses.clear()
        self._mid = 0

    def _obey(self, message, address, manners, answers):
        if manners == "silent":
            return
        if manners == "rst":
            self._answer(coap.Message(coap.RST, 0, message.mid), address, answers)
            return
        if manners[0].isdigit():
            options = [("Max-Age", 1)] if manners in ("5.03", "4.29") else []
            self._respond(message, address, answers, manners, options)
            return
        code, options = self._body(message, address)
        if manners == "ok":
            self._respond(message, address, answers, code, options)
        elif manners != "done-but-silent":
            self._separate(message, address, answers, manners, code, options)

    def _respond(self, message, address, answers, code, options):
        kind, mid = (coap.ACK, message.mid) if message.kind == coap.CON else (coap.NON, self._next_mid())
        self._answer(coap.Message(kind, code, mid, message.token, options), address, answers)

    def _answer(self, answer, address, answers):
        answers.append(answer)
        self._send(answer, address)

    def _separate(self, message, address, answers, manners, code, options):
        if manners != "separate-without-ack" and message.kind == coap.CON:
            self._answer(coap.Message(coap.ACK, 0, message.mid), address, answers)
        kind = coap.NON if manners == "separate-non" else coap.CON

        def later():
            response = coap.Message(kind, code, self._next_mid(), message.token, options)
            if kind == coap.NON:
                self._send(response, address)
                return
            key = (address, response.mid)
            self._responses[key] = Confirmable(self.loop, lambda data: self._socket.sendto(data, address), response,
                                               lambda: self._responses.pop(key, None))
        self.loop.later(self.loop.dice.uniform(0, 0.3), later)

    def _body(self, message, address):
        """The code that it gets, with options; told once it is whole."""
        block = message.block("Block1")
        if block is None:
            self._tell(message.path, message.payload)
            return "2.04", []
        self.blocks += 1
        # A late block of another body does not get into this one (RFC 9175, section 3).
        key, at = (address, message.path, message.value("Request-Tag")), block.number * block.size
        body = self._bodies.setdefault(key, bytearray())
        if at == 0:
            body.clear()
        if len(body) < at or at + len(message.payload) > BLOCK_LIMIT:
            return "4.08", []
        body[at:] = message.payload
        option = [("Block1", coap.block(block.number, block.more, block.size))]
        if block.more:
            return "2.31", option
        self._tell(message.path, bytes(self._bodies.pop(key)))
        return "2.04", option
