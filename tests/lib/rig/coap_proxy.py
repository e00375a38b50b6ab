# SPDX-License-Identifier: Apache-2.0
"""A UDP proxy that loses, repeats and overtakes: what a bad radio link does to datagrams. Each client has a socket of its own
towards the target, for as long as the proxy lives, so that the target sees one address per client. One thread."""
import heapq
import itertools
import random
import selectors
import socket
import threading
import time

from .wait import free_port

LATE_S = 0.25  # a datagram that is held back comes so much later at most


class LossyProxy:
    """loss, repeat, late: the shares of datagrams that get lost, come twice, and are held back so that others overtake them.
    seed repeats the choices, as far as the same datagrams come in the same order."""

    def __init__(self, target, loss=0.2, repeat=0.2, late=0.2, seed=0):
        self.target, self.port = target, free_port()
        self.loss, self.repeat, self.late = loss, repeat, late
        self.silent = False  # everything gets lost
        self.lost = self.repeated = self.delayed = self.forwarded = 0
        self.watch = None  # watch(to_target, data) is called for each datagram that came, on the proxy's thread
        self.drop = None  # drop(to_target, data), on that thread too: does it get lost?
        self._dice = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._front = self._bound(self.port)
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, "end")
        self._backs = {}  # address of a client → socket towards the target
        self._later, self._order = [], itertools.count()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lossy proxy")
        self._thread.start()

    @staticmethod
    def _bound(port):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind(("127.0.0.1", port))
        made.setblocking(False)
        return made

    def behave(self, loss=0.0, repeat=0.0, late=0.0):
        self.loss, self.repeat, self.late = loss, repeat, late

    def close(self):
        self._wake.send(b"x")
        self._thread.join()
        for one in (self._front, self._wake, self._woken, *self._backs.values()):
            one.close()
        self._selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- on the thread

    def _run(self):
        while True:
            wait_s = max(0, self._later[0][0] - time.monotonic()) if self._later else None
            for key, _ in self._selector.select(wait_s):
                if key.data == "end":
                    return
                self._read(key.fileobj, key.data)
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                _, _, send, data = heapq.heappop(self._later)
                self._send(send, data)

    def _read(self, readable, client):
        for _ in range(64):
            try:
                data, sender = readable.recvfrom(1 << 16)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if client is None:
                back = self._back(sender)
                self._pass(True, lambda data, back=back: back.sendto(data, ("127.0.0.1", self.target)), data)
            else:
                self._pass(False, lambda data, client=client: self._front.sendto(data, client), data)

    def _back(self, client):
        if client not in self._backs:
            self._backs[client] = self._bound(0)
            self._selector.register(self._backs[client], selectors.EVENT_READ, client)
        return self._backs[client]

    def _pass(self, to_target, send, data):
        if self.watch:
            self.watch(to_target, data)
        if self.silent or (self.drop and self.drop(to_target, data)) or self._dice.random() < self.loss:
            self.lost += 1
            return
        copies = 2 if self._dice.random() < self.repeat else 1
        self.repeated += copies - 1
        for copy in range(copies):
            if copy or self._dice.random() < self.late:
                self.delayed += 1
                at = time.monotonic() + self._dice.uniform(0, LATE_S)
                heapq.heappush(self._later, (at, next(self._order), send, data))
            else:
                self._send(send, data)

    def _send(self, send, data):
        try:
            send(data)
            self.forwarded += 1
        except OSError:
            pass  # nobody there: lost
