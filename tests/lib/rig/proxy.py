# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that breaks links in the ways that networks do.

forward   as a wire (after a swallow: for new connections only; what was cut stays cut)
swallow   the network is cut and nobody says so: bytes vanish, no FIN, no RST, new connections get no answer either
stall     nothing moves, nothing is lost: a peer that does not read
refuse    new connections are refused, those that exist go on
cut()     RST on all connections, now
flap()    for that long: cut and refused, then forwarded, in turns
delay_s   each chunk arrives that much later

settle    given: a coroutine function. The target sees no connection end before it has answered on it and settle(target)
          has returned, whatever happens to the other side.
"""
import asyncio
import os
import socket
import struct
import threading

from .wait import DEADLINE_S, free_port


class Proxy:
    def __init__(self, target=None, settle=None):
        self.port = free_port()
        self.target = target  # a port, may be set later
        self.delay_s = 0
        self.connections = 0  # accepted so far
        self.vanished = 0  # bytes on their way to the target that were swallowed
        self._settle = settle
        self._parting = set()  # tasks
        self._mode = "forward"
        self._pairs = set()
        self._server = None
        self._flapping = None
        self._gate = None
        self._never = None  # an event, kept here: a task that waits for one that only it knows is collected as garbage
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._open())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    @property
    def url_host(self):
        return f"127.0.0.1:{self.port}"

    # --- from the test's thread

    def forward(self):
        self._call(self._set("forward"))

    def swallow(self):
        self._call(self._set("swallow"))

    def stall(self):
        self._call(self._set("stall"))

    def refuse(self):
        self._call(self._set("refuse"))

    def cut(self):
        self._call(self._reset())

    def down(self):
        """A host that is gone: cut and refused."""
        self._call(self._set("refuse"))
        self._call(self._reset())

    def flap(self, period_s):
        async def begin():
            self._flapping = asyncio.ensure_future(self._flap(period_s))
        self._call(begin())

    def flap_stop(self):
        async def end():
            if self._flapping:
                self._flapping.cancel()
                self._flapping = None
            await self._set("forward")
        self._call(end())

    def close(self):
        if not self._loop.is_closed():
            self.flap_stop()
            self.down()
            self._call(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- on the loop

    async def _open(self):
        if self._gate is None:
            self._gate = asyncio.Event()
            self._gate.set()
            self._never = asyncio.Event()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=1 << 18)

    @staticmethod
    async def _end():
        # A connection accepted meanwhile becomes a task only now.
        while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _set(self, mode):
        self._mode = mode
        if mode == "stall":
            self._gate.clear()
        else:
            self._gate.set()
        if mode == "swallow":
            for pair in self._pairs:
                pair.swallowed = True
        if mode == "refuse" and self._server:
            self._server.close()
            self._server = None
        elif mode != "refuse" and not self._server:
            await self._open()

    async def _reset(self):
        for pair in list(self._pairs):
            self._part(pair)

    def _part(self, pair):
        pair.reset(pair.writer)
        if self._settle and pair.asked and not pair.parting:
            task = asyncio.ensure_future(self._part_far(pair))
            self._parting.add(task)
            task.add_done_callback(self._parting.discard)
        elif not pair.parting:
            pair.reset(pair.far_writer)
        pair.parting = True

    async def _part_far(self, pair):
        try:
            await asyncio.wait_for(pair.answered.wait(), 5)
            await asyncio.wait_for(self._settle(self.target), 5)
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            pair.reset(pair.far_writer)

    async def _flap(self, period_s):
        while True:
            await self._set("refuse")
            await self._reset()
            await asyncio.sleep(period_s)
            await self._set("forward")
            await asyncio.sleep(period_s)

    async def _accept(self, reader, writer):
        self.connections += 1
        pair = _Pair(reader, writer)
        pair.swallowed = self._mode == "swallow"
        self._pairs.add(pair)
        try:
            if pair.swallowed:
                while await reader.read(1 << 16):
                    pass
                await self._never.wait()  # its FIN vanished as well
            pair.far_reader, pair.far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=1 << 18)
            if pair.parting:
                pair.reset(pair.far_writer)
                return
            await asyncio.gather(self._pump(pair, pair.reader, pair.far_writer),
                                 self._pump(pair, pair.far_reader, pair.writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pairs.discard(pair)
            self._part(pair)

    async def _pump(self, pair, source, sink):
        while True:
            data = await source.read(1 << 16)
            if source is pair.far_reader:
                pair.answered.set()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._gate.wait()
            if pair.swallowed:
                if not data:
                    await self._never.wait()
                self.vanished += len(data) if sink is pair.far_writer else 0
                continue
            if not data:
                if self._settle:
                    raise ConnectionResetError("ends in both directions")
                if sink.can_write_eof():
                    sink.write_eof()
                return
            if sink is pair.far_writer:
                pair.asked = True
            sink.write(data)
            await sink.drain()


class _Pair:
    """The two halves of one proxied connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.far_reader = self.far_writer = None
        self.swallowed = False
        self.asked = self.parting = False  # something was forwarded to the target; the end has begun
        self.answered = asyncio.Event()

    @staticmethod
    def reset(writer):
        """Closing with linger 0 sends RST instead of FIN."""
        if writer is None or writer.transport.is_closing():
            return
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


if __name__ == "__main__":
    raise SystemExit(f"{os.path.basename(__file__)} is a module of the tests")
