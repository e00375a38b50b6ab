# SPDX-License-Identifier: Apache-2.0
"""One thread for many CoAP devices: their sockets, their timers, and the repetition of confirmable messages (RFC 7252 §4.2) with
its times shortened."""
import heapq
import itertools
import random
import selectors
import socket
import threading
import time

from . import coap

ACK_TIMEOUT_S = 0.2  # RFC 7252: 2 s; MAX_RETRANSMIT and ACK_RANDOM_FACTOR are the real ones
RESPONSE_TIMEOUT_S = 8  # of a separate response, once the request was acknowledged


class Timer:
    """cancel() it, or it calls its function once."""

    def __init__(self, function):
        self.function = function

    def cancel(self):
        self.function = None


class Loop:
    def __init__(self, seed=0):
        self.dice = random.Random(seed)
        self.fault = None  # the first exception of a device; the loop has ended then
        self._selector = selectors.DefaultSelector()
        self._timers, self._order = [], itertools.count()
        self._sockets = []
        self._ending = False
        self._lock = threading.Lock()
        self._orders = []
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, daemon=True, name="devices")

    def start(self):
        self._thread.start()

    def running(self):
        return self._thread.is_alive()

    def socket(self, take, port=0):
        """A bound UDP socket; take(message, address) for what comes there and is CoAP."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", port))
        made.setblocking(False)
        self._selector.register(made, selectors.EVENT_READ, take)
        self._sockets.append(made)
        return made

    def later(self, wait_s, function):
        timer = Timer(function)
        heapq.heappush(self._timers, (time.monotonic() + wait_s, next(self._order), timer))
        return timer

    def soon(self, function):
        """From any thread."""
        with self._lock:
            self._orders.append(function)
        self._wake.send(b"x")

    def close(self):
        self._ending = True
        self._wake.send(b"x")
        if self._thread.ident:
            self._thread.join()
        for one in (*self._sockets, self._wake, self._woken):
            one.close()
        self._selector.close()

    # --- on the thread

    def _run(self):
        try:
            while not self._ending:
                wait_s = max(0, self._timers[0][0] - time.monotonic()) if self._timers else None
                for key, _ in self._selector.select(wait_s):
                    self._read(key.fileobj, key.data)
                self._expire()
        except Exception as error:  # pylint: disable=broad-except
            self.fault = repr(error)
            raise

    def _read(self, readable, take):
        if take is None:
            readable.recv(4096)
            with self._lock:
                orders, self._orders = self._orders, []
            for function in orders:
                function()
            return
        for _ in range(32):
            try:
                data, address = readable.recvfrom(1 << 16)
            except BlockingIOError:
                return
            take(coap.decode(data), address)

    def _expire(self):
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            function, timer.function = timer.function, None
            if function:
                function()


class Confirmable:
    """A CON that is sent until end() or until it has been in vain: then given_up()."""

    def __init__(self, loop, send, message, given_up):
        self._loop, self._send, self._data, self._given_up = loop, send, message.encode(), given_up
        self.copies = 0
        self._wait_s = ACK_TIMEOUT_S * loop.dice.uniform(1, coap.ACK_RANDOM_FACTOR)
        self._timer = None
        self._again()

    def _again(self):
        if self.copies > coap.MAX_RETRANSMIT:
            self._given_up()
            return
        self.copies += 1
        self._send(self._data)
        self._timer = self._loop.later(self._wait_s, self._again)
        self._wait_s *= 2

    def end(self):
        self._timer.cancel()
