# SPDX-License-Identifier: Apache-2.0
"""Numbered messages, and what arrived of them: lost, repeated, out of order.

Each message is `KEY SEQ padding`; SEQ counts from 1 per key. A repetition is legal under at-least-once, but the first
copies of a key must come in order.
"""
from collections import namedtuple

Verdict = namedtuple("Verdict", "expected arrived lost repeated out_of_order strangers")


def numbered(key, seq, size=0):
    body = f"{key} {seq} ".encode()
    return body + b"." * (size - len(body))


def parse(payload):
    key, seq, _ = payload.split(b" ", 2)
    return key.decode(), int(seq)


def judge(sent, payloads):
    """sent: {key: highest seq}; payloads in the order of arrival."""
    last, seen = {}, {key: set() for key in sent}
    repeated, out_of_order, strangers = 0, [], 0
    for payload in payloads:
        try:
            key, seq = parse(payload)
        except ValueError:
            strangers += 1
            continue
        if key not in seen or not 1 <= seq <= sent[key]:
            strangers += 1
        elif seq in seen[key]:
            repeated += 1
        else:
            seen[key].add(seq)
            if seq < last.get(key, 0):
                out_of_order.append((key, last[key], seq))
            last[key] = max(seq, last.get(key, 0))
    lost = [(key, seq) for key, n in sent.items() for seq in range(1, n + 1) if seq not in seen[key]]
    return Verdict(sum(sent.values()), sum(len(s) for s in seen.values()), lost, repeated, out_of_order, strangers)


def demand(verdict, where, repeats=True):
    """Fails unless everything arrived, in order per key, and nothing else."""
    assert not verdict.lost, f"{where}: lost {len(verdict.lost)} of {verdict.expected}: {verdict.lost[:10]}"
    assert not verdict.out_of_order, f"{where}: out of order: {verdict.out_of_order[:10]}"
    assert not verdict.strangers, f"{where}: {verdict.strangers} messages that nobody sent"
    if not repeats:
        assert not verdict.repeated, f"{where}: {verdict.repeated} repeated"


class Tally:
    """The same for any number of messages, one by one as they arrive: what was seen once is not kept. A number that
    jumps is noted in `gaps` at once (and is out of order if it comes later). size: as it was given to numbered()."""

    def __init__(self, keys, size=0):
        self.arrived = self.repeated = self.strangers = 0
        self.out_of_order = []  # as in a Verdict
        self.gaps = []  # (key, first missing, next that came); the caller may empty it
        self.copies = []  # (key, number) that came again; likewise
        self._size = size
        self._last = {key: 0 for key in keys}
        self._missing = {key: set() for key in keys}

    def take(self, payload):
        try:
            key, seq = parse(payload)
        except ValueError:
            key, seq = None, 0
        if key not in self._last or seq < 1 or payload != numbered(key, seq, self._size):
            self.strangers += 1
            return
        last, missing = self._last[key], self._missing[key]
        if seq > last:
            self._last[key] = seq
            if seq > last + 1:
                self.gaps.append((key, last + 1, seq))
                missing.update(range(last + 1, seq))
        elif seq in missing:
            missing.remove(seq)
            self.out_of_order.append((key, last, seq))
        else:
            self.repeated += 1
            self.copies.append((key, seq))
            return
        self.arrived += 1

    def missing(self):
        """How many of those below the highest numbers are not there."""
        return sum(map(len, self._missing.values()))

    def lost(self, sent):
        """(key, number) of what has not arrived of {key: highest seq}."""
        return [(key, seq) for key, n in sent.items()
                for seq in sorted(self._missing[key]) + list(range(self._last[key] + 1, n + 1))]

    def complete(self, sent):
        return all(self._last[key] >= n and not self._missing[key] for key, n in sent.items())

    def reached(self, sent):
        """The last of each key is there."""
        return all(self._last[key] >= n for key, n in sent.items())

    def verdict(self, sent):
        beyond = sum(max(0, last - sent[key]) for key, last in self._last.items())
        return Verdict(sum(sent.values()), self.arrived, self.lost(sent), self.repeated, self.out_of_order,
                       self.strangers + beyond)


class complete:  # pylint: disable=invalid-name
    """A condition for Reader.wait_for and Subscriber.wait_for: every number is there. Reads each arrival once; as text
    it says what is missing."""

    def __init__(self, sent):
        self._sent, self._wanted = sent, sum(sent.values())
        self._seen, self._position = set(), 0

    def __call__(self, arrivals):
        while self._position < len(arrivals):
            arrival = arrivals[self._position]
            self._position += 1
            payload = arrival.value if hasattr(arrival, "value") else arrival.payload
            self._seen.add(bytes(payload).split(b".", 1)[0])
        return len(self._seen) >= self._wanted

    def __str__(self):
        missing = [(key, seq) for key, n in self._sent.items() for seq in range(1, n + 1)
                   if numbered(key, seq) not in self._seen]
        return f"{len(missing)} of {self._wanted} are missing: {missing[:4]} … {missing[-4:]}"
