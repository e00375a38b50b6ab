# SPDX-License-Identifier: Apache-2.0
"""Senders of numbered messages by HTTP that repeat each with the same key until they have their 202, and that behave as badly
as senders in the field do: they hang up before the answer or within the request, send twice at once, repeat what was
accepted long ago, and use a key again for something else, which must be refused.

One thread and one order key each, so that what arrives is in order per key."""
import http.client
import json
import random
import threading
import time

from . import check
from .wait import until

MANNERS = {"plain": 80, "chunked": 5, "hang-up": 4, "half": 4, "twice": 4, "again": 2, "other-body": 1}
TIMEOUT_S = 10


class _Sender:
    """One order key. keys: does it send any?"""

    def __init__(self, owner, key, seed):
        self._owner, self._key = owner, key
        self._dice = random.Random(seed)
        self._link = None
        self.seq = self.repetitions = 0
        self.thread = threading.Thread(target=self._run, daemon=True, name=key)

    def _run(self):
        owner = self._owner
        try:
            while not owner.ending.is_set():
                if not owner.may_go_on(owner.total):
                    owner.ending.wait(0.01)
                    continue
                began = time.monotonic()
                self._message()
                owner.ending.wait(max(0, owner.pause_s - (time.monotonic() - began)))
        except Exception as error:  # pylint: disable=broad-except
            owner.faults.append(f"sender {self._key}: {error!r}")
            raise

    def _message(self):
        self.seq += 1
        body = check.numbered(self._key, self.seq, self._owner.size)
        manners = self._dice.choices(list(MANNERS), list(MANNERS.values()))[0]
        given_id = self._until_accepted(body, manners)
        with self._owner.lock:
            self._owner.acknowledged += 1
        if not self._owner.keys:
            return
        if manners == "again":
            assert self._until_accepted(body, "plain") == given_id, f"{self.seq} came back with another id"
        elif manners == "other-body":
            self._until_refused(body[:-1] + b"!")

    def _until_accepted(self, body, manners):
        first = True
        while not self._owner.give_up.is_set():
            if not first:
                self.repetitions += 1
            first = False
            try:
                status, headers, text = self._attempt(body, manners)
            except (OSError, http.client.HTTPException):
                self._hang_up()
                self._owner.give_up.wait(0.02)
                continue
            finally:
                manners = "plain"
            if status == 202:
                return self._id_of(text)
            self._wait(status, headers, text)
        return None

    def _id_of(self, text):
        given = json.loads(text)["id"]
        assert isinstance(given, str) and given, text
        return given

    def _until_refused(self, body):
        while not self._owner.give_up.is_set():
            try:
                status, headers, text = self._attempt(body, "plain")
            except (OSError, http.client.HTTPException):
                self._hang_up()
                self._owner.give_up.wait(0.02)
                continue
            if status == 422:
                with self._owner.lock:
                    self._owner.refused += 1
                return
            self._wait(status, headers, text)

    def _wait(self, status, headers, text):
        """What may be answered for now."""
        assert status in (409, 429, 503), f"answered {status}: {text[:200]}"
        after = headers.get("Retry-After")
        assert after and after.isdigit(), f"{status} with Retry-After {after}"
        with self._owner.lock:
            self._owner.answers[status] = self._owner.answers.get(status, 0) + 1
            self._owner.later = (status, text[:200])
        self._owner.give_up.wait(0.05)  # sooner than it was told, because a test has no time

    def _headers(self):
        owner = self._owner
        if not owner.keys:
            return {}
        key = f"{owner.name}-{self._key}-{self.seq}"
        # The same key in all of its forms, as after an upgrade of the sender.
        return self._dice.choice(({"Idempotency-Key": key}, {"Idempotency-Key": f'"{key}"'}, {"webhook-id": key}))

    def _open(self):
        link = http.client.HTTPConnection("127.0.0.1", self._owner.port, timeout=TIMEOUT_S)
        link.connect()
        return link

    def _hang_up(self):
        if self._link:
            self._link.close()
        self._link = None

    def _request(self, link, body, chunked=False):
        headers = {"Content-Type": "text/plain", **self._owner.headers, **self._headers()}
        target = self._owner.target(self._key)
        if chunked:
            link.request("POST", target, iter((body[:7], body[7:])), headers, encode_chunked=True)
        else:
            link.request("POST", target, body, headers)

    def _attempt(self, body, manners):
        if self._link is None or self._link.sock is None:  # it may have been told to close
            self._link = self._open()
        if manners == "half":
            head = [f"POST {self._owner.target(self._key)} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}",
                    *(f"{name}: {value}" for name, value in {**self._owner.headers, **self._headers()}.items())]
            self._link.sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body[:len(body) // 2])
            raise ConnectionError("hung up within the request")
        self._request(self._link, body, manners == "chunked")
        if manners == "hang-up":
            raise ConnectionError("hung up before the answer")
        if manners == "twice":
            self._second(body)
        answer = self._link.getresponse()
        return answer.status, answer.headers, answer.read()

    def _second(self, body):
        """The same at the same time by another connection. What it says does not matter, unless it is no answer for that."""
        if not self._owner.keys:
            return
        second = self._open()
        try:
            self._request(second, body)
            status = second.getresponse().status
            assert status in (202, 409, 429, 503), f"the second of two was answered {status}"
        finally:
            second.close()


class Posters:
    """keys: False for senders that know no keys. stop() gives what was sent: {order key: highest number}."""

    def __init__(self, port, target, n_keys=8, rate=1000, size=100, keys=True, may_go_on=None, seed=0, headers=None,
                 name="rig"):
        """target(order key): the path. may_go_on(total): nothing new is sent while it is false."""
        self.port, self.target, self.size, self.keys, self.name = port, target, size, keys, name
        self.headers = headers or {}
        self.pause_s = n_keys / rate
        self.may_go_on = may_go_on or (lambda _total: True)
        self.acknowledged = self.refused = 0
        self.answers = {}  # status → how often, of those that say "later"
        self.later = None  # the newest of them, with its text
        self.faults = []
        self.sessions_lost = 0
        self.lock = threading.Lock()
        self.ending, self.give_up = threading.Event(), threading.Event()
        self._senders = [_Sender(self, f"k{n}", f"{seed}-{n}") for n in range(n_keys)]
        for sender in self._senders:
            sender.thread.start()

    @property
    def sent(self):
        return {sender.thread.name: sender.seq for sender in self._senders}

    @property
    def total(self):
        return sum(sender.seq for sender in self._senders)

    @property
    def repetitions(self):
        return sum(sender.repetitions for sender in self._senders)

    def running(self):
        return all(sender.thread.is_alive() for sender in self._senders)

    def stop(self):
        self.ending.set()
        until(lambda: not any(sender.thread.is_alive() for sender in self._senders),
              lambda: f"202 to all that was sent: {self.acknowledged} of {self.total}")
        return self.sent

    def close(self):
        self.ending.set()
        self.give_up.set()
        for sender in self._senders:
            sender.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
