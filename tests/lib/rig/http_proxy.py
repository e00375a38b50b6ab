# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that knows CONNECT alone. It keeps the request lines and, when told to, asks for credentials."""
import asyncio
import base64
import threading

from .wait import DEADLINE_S, free_port


class HttpProxy:
    def __init__(self, login=None):
        self.port = free_port()
        self.requests = []  # (request line, status)
        self._wanted = login and "Basic " + base64.b64encode(login.encode()).decode()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks = set()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", self.port))

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def count(self, status):
        return sum(1 for _, seen in self.requests if seen == status)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        method, target, _ = head[0].split(" ")
        status = 200
        if self._wanted and fields.get("Proxy-Authorization") != self._wanted:
            status = 407
        elif method != "CONNECT":
            status = 405
        self.requests.append((head[0], status))
        if status != 200:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        host, port = target.rsplit(":", 1)
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        # In two pieces: an answer is over at the empty line, not at the end of a read.
        writer.write(b"HTTP/1.1 200 OK\r\nVia: ")
        await writer.drain()
        writer.write(b"1.1 rig\r\n\r\n")
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            far_writer.close()

    @staticmethod
    async def _pump(source, sink):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    async def _end(self):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
