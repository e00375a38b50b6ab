# SPDX-License-Identifier: Apache-2.0
"""What a receiver demands of webhooks, over any number of attempts, crashes and repetitions:

- a message has one webhook-id for all its attempts, no two messages share one, and the same id always has the same bytes,
  target and type;
- the Idempotency-Key is the same;
- the signature, of this attempt's time, is right (Standard Webhooks 1.0);
- in order per key: before the receiver has said 2xx to a number, the next one does not come;
- with batches: an id always has the same members, no message is in two, and what the ids say of their bounds is so.
"""
import base64
import hashlib
import hmac
import json
import re

from . import check
from .receiver import DONE

ID = re.compile(r"msg_([a-z2-7]{26})\.([0-9]+)(?:-([0-9]+))?\Z")
TOLERANCE_S = 300  # that of the reference libraries


def signature(secret, webhook_id, timestamp, body):
    key = base64.b64decode(secret[len("whsec_"):])
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def numbered_json(key, seq, size=0):
    """As check.numbered(), where a message must be JSON."""
    text = json.dumps({"key": key, "seq": seq, "pad": "."})
    return (text[:-2] + "." * (size - len(text)) + text[-2:]).encode()


def as_numbered(member):
    """Of JSON that was made by numbered_json: what check.numbered() would have made."""
    return check.numbered(member["key"], member["seq"], len(json.dumps(member)))


class Arrivals:
    """take(request) for each in the order of arrival. `tally` counts what the receiver has said 2xx to; a repetition is no
    fault. batch: None, "json-array" or "ndjson"; in_order: per key, as above; twice: keys of which a number may be two messages,
    as what came by QoS 1 may. What is wrong gathers in `wrong`."""

    def __init__(self, tally, secrets=(), batch=None, in_order=True, twice=()):
        self.tally, self.wrong = tally, []
        self.requests = self.batches = self.largest = 0
        self.again = 0  # new ids of numbers that had one, of keys that may
        self._secrets, self._batch, self._in_order, self._twice = secrets, batch, in_order, frozenset(twice)
        self._ids = {}  # webhook-id → (digest of all that must stay, done)
        self._messages = {}  # (key, seq) → its first webhook-id
        self._bounds = (0, 0, None)  # of the newest batch, and its id
        self._destination = None

    @property
    def arrived(self):
        return self.tally.arrived

    def repetitions(self):
        """Attempts beyond the first."""
        return self.requests - len(self._ids)

    def take(self, request):
        self.requests += 1
        try:
            self._take(request)
        except (AssertionError, KeyError, ValueError, TypeError) as error:
            self._note(request.header("webhook-id"), repr(error))

    def _note(self, webhook_id, what):
        if len(self.wrong) < 100:
            self.wrong.append(f"request {self.requests}, {webhook_id}: {what}"[:400])

    def _demand(self, holds, webhook_id, what):
        """What is wrong is noted, and the request counts all the same, so that one fault is not taken for many."""
        if not holds:
            self._note(webhook_id, what)

    def _take(self, request):
        webhook_id = request.header("webhook-id")
        assert webhook_id, "no webhook-id"
        self._check_head(request, webhook_id)
        digest = hashlib.sha256("\0".join((request.method, request.target, request.header("content-type", "none"), "")).encode()
                                + request.body).digest()
        known, done = self._ids.get(webhook_id, (digest, False))
        self._demand(known == digest, webhook_id, "the same id with other bytes, another target or another type")
        payloads = self._payloads(request.body)
        if webhook_id not in self._ids:
            self._take_new(webhook_id, payloads)
        first_done = request.did in DONE and not done
        self._ids[webhook_id] = (known, done or first_done)
        if first_done:
            for payload in payloads:
                self.tally.take(payload)

    def _check_head(self, request, webhook_id):
        match = ID.match(webhook_id)
        assert match, "an id of another shape"
        self._destination = self._destination or match[1]
        assert self._destination == match[1], "the id names another destination"
        assert request.header("idempotency-key") == f'"{webhook_id}"', f"key {request.header('idempotency-key')}"
        if not self._secrets:
            return
        timestamp = request.header("webhook-timestamp")
        assert abs(int(timestamp) - request.got_s) < TOLERANCE_S, f"signed at {timestamp}"
        given = request.header("webhook-signature").split(" ")
        wanted = [signature(secret, webhook_id, timestamp, request.body) for secret in self._secrets]
        assert given == wanted, f"signatures {given}"

    def _payloads(self, body):
        if not self._batch:
            return [body]
        members = json.loads(body) if self._batch == "json-array" else [json.loads(line) for line in body.splitlines()]
        assert isinstance(members, list) and members, "no members"
        return [as_numbered(member) for member in members]

    def _take_new(self, webhook_id, payloads):
        numbers = [check.parse(payload) for payload in payloads]
        for number in numbers:
            other = self._messages.setdefault(number, webhook_id)
            self.again += other != webhook_id
            self._demand(other == webhook_id or number[0] in self._twice, webhook_id, f"{number} came with the id {other} before")
        if self._batch:
            self._take_batch(webhook_id, len(payloads))
        for key, seq in numbers if self._in_order else ():
            before = self._messages.get((key, seq - 1))
            self._demand(seq == 1 or before, webhook_id, f"{key} {seq} came before {seq - 1} did")
            self._demand(before in (None, webhook_id) or self._ids[before][1], webhook_id,
                         f"{key} {seq} came before 2xx to {before}, {seq - 1}")

    def _take_batch(self, webhook_id, members):
        match = ID.match(webhook_id)
        first, last = int(match[2]), int(match[3] or match[2])
        self._demand(members == last - first + 1, webhook_id, f"{members} members")
        _, before, newest = self._bounds
        self._demand(first == before + 1, webhook_id, f"begins at {first}, the one before ended at {before}")
        self._demand(newest is None or self._ids[newest][1], webhook_id, f"came before 2xx to {newest}")
        self._bounds = (first, last, webhook_id)
        self.batches += 1
        self.largest = max(self.largest, members)
