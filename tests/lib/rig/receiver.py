# SPDX-License-Identifier: Apache-2.0
"""An HTTP server for webhooks whose manners can be as bad as those in the field, and which keeps all that it was sent.

What it does with a request is one word, chosen for each by `decide`:

ok            a 2xx at once                        slow          … after up to 0.2 s
hang          no answer, for as long as the sender waits
cut-request   the connection breaks in the middle of the request     cut-answer    it has done the work and says nothing
half-head     … and breaks off within the answer's head              half-body     … within its body: a 2xx all the same
die           … and the process is killed (of a ReceiverProcess, which starts another on the same port)
500 … 599, 4xx, 3xx      that status               429-date, 429-seconds, 503-seconds   with a Retry-After of one second

It is chosen when the head is there and the body is not. Receiver lives in a thread of this process. ReceiverProcess is a process of its own, and what it records outlives it: before
it answers anything, the request stands in a file.
"""
import asyncio
import base64
import email.utils
import json
import os
import random
import signal
import ssl
import struct
import socket
import sys
import threading
import time

if __package__:
    from .process import Process, temp_folder
    from .wait import DEADLINE_S, free_port, listening, until

DONE = ("ok", "slow", "half-body")  # it has said 2xx
WORKED = (*DONE, "cut-answer", "half-head", "die")  # it has the message, whatever it said
HEAD_LIMIT = 1 << 17


class Request:
    """headers: [(name, value)] as they came. did: what became of it, as above. got_s: when, by the wall clock."""
    __slots__ = ("method", "target", "headers", "body", "did", "got_s", "connection")

    def __init__(self, method, target, headers, body, did="", got_s=0.0, connection=0):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.did, self.got_s, self.connection = did, got_s, connection

    def header(self, name, default=None):
        """The only one of that name; several are a fault of who sends."""
        found = [value for n, value in self.headers if n.lower() == name.lower()]
        assert len(found) < 2, f"{len(found)} headers {name}: {found}"
        return found[0] if found else default

    def to_line(self):
        return json.dumps([self.method, self.target, self.headers, base64.b64encode(self.body).decode(), self.did, self.got_s,
                           self.connection]).encode() + b"\n"

    @classmethod
    def from_line(cls, line):
        method, target, headers, body, did, got_s, connection = json.loads(line)
        return cls(method, target, headers, base64.b64decode(body), did, got_s, connection)


class Weighted:
    """A `decide` that draws. weights: {word: weight}; `burst` is the word "500" for a while: about that many requests in a
    row."""

    def __init__(self, weights, seed=None, burst=30):
        self.weights = weights
        self._dice, self._burst, self._left = random.Random(seed), burst, 0

    def __call__(self, _request):
        if self._left:
            self._left -= 1
            return "500"
        word = self._dice.choices(list(self.weights), list(self.weights.values()))[0]
        if word == "burst":
            self._left = self._dice.randrange(self._burst)
            return "500"
        return word


class _Server:
    """The protocol: enough of HTTP/1.1 for what a client may send."""

    def __init__(self, decide, record, answer=None):
        """decide(request) → word; record(request): before anything is answered; answer(request) → (headers, body)."""
        self.decide, self.record, self.answer = decide, record, answer
        self.dice = random.Random()
        self.connections = 0
        self._writers = set()

    async def accept(self, reader, writer):
        self.connections += 1
        number = self.connections
        self._writers.add(writer)
        try:
            while await self._one(reader, writer, number):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def cut_all(self):
        for writer in list(self._writers):
            _reset(writer)

    async def _one(self, reader, writer, number):
        """False: this connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in head[1:] if line]
        request = Request(method, target, headers, b"", "", time.time(), number)
        request.did = word = self.decide(request)
        if word == "cut-request":
            _reset(writer)
            return False
        if (request.header("expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = await self._body(reader, request)
        self.record(request)
        return await self._act(word, request, reader, writer)

    @staticmethod
    async def _body(reader, request):
        if (request.header("transfer-encoding") or "").lower() != "chunked":
            return await reader.readexactly(int(request.header("content-length") or 0))
        parts = []
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
            if not size:
                return b"".join(parts)

    async def _act(self, word, request, reader, writer):
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            await reader.read()  # until the sender has had enough
            return False
        if word == "cut-answer":
            _reset(writer)
            return False
        if word == "slow":
            await asyncio.sleep(self.dice.uniform(0, 0.2))
        text = self._text(word, request)
        if word in ("half-head", "half-body"):
            end = text.index(b"\r\n\r\n") + 4
            writer.write(text[:self.dice.randrange(1, end) if word == "half-head" else self.dice.randrange(end, len(text))])
            await writer.drain()
            return False
        writer.write(text)
        await writer.drain()
        return (request.header("connection") or "").lower() != "close"

    def _text(self, word, request):
        headers, body = [], b'{"status": "thank you"}'
        status, _, how = word.partition("-")
        if not status.isdigit():
            status = str(self.dice.choice((200, 201, 202, 204)) if word != "half-body" else 200)
            if self.answer:
                status, headers, body = self.answer(request)
        if how == "seconds":
            headers = [("Retry-After", "1")]
        elif how == "date":
            headers = [("Retry-After", email.utils.formatdate(time.time() + 2, usegmt=True))]
        if str(status) == "204":
            body = b""
        else:
            headers = [*headers, ("Content-Length", str(len(body)))]
        lines = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _reset(writer):
    link = writer.get_extra_info("socket")
    if link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _tls(cert, key, ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Receiver:
    """In a thread. `requests` has all of them in the order of arrival. decide(request) and answer(request) run in that
    thread; answer gives (status, [(header, value)], body) of an "ok". down() and up() are an outage on the same port."""

    def __init__(self, decide=None, answer=None, certificates=None, mutual=False, port=None):
        self.port = port or free_port()
        self.requests = []
        self._tls = None
        if certificates:
            self._tls = _tls(certificates.server_cert, certificates.server_key, certificates.ca if mutual else None)
        self.url = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"
        self._core = _Server(decide or (lambda _request: "ok"), self.requests.append, answer)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = None
        self.up()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    @property
    def decide(self):
        return self._core.decide

    @decide.setter
    def decide(self, decide):
        self._core.decide = decide

    @property
    def connections(self):
        """Accepted so far."""
        return self._core.connections

    def up(self):
        async def begin():
            self._server = await asyncio.start_server(self._core.accept, "127.0.0.1", self.port, limit=HEAD_LIMIT,
                                                      ssl=self._tls, backlog=1024)
        self._call(begin())

    def down(self):
        async def end():
            self._server.close()
            self._core.cut_all()
        self._call(end())

    def bodies(self):
        return [request.body for request in self.requests]

    def wait_count(self, n, timeout=None):
        """Until that many have said 2xx."""
        until(lambda: sum(r.did in DONE for r in self.requests) >= n,
              lambda: f"{n} requests: {len(self.requests)} came", timeout)
        return self.requests

    def close(self):
        if self._loop.is_closed():
            return
        self.down()

        async def settle():
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._call(settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class ReceiverProcess:
    """take(request) gets what it has recorded, in order, in a thread of its own. behave(weights) at any time. When it has
    died by itself another is started; killed by kill(), only by start(). `deaths`: by itself."""

    def __init__(self, take, weights=None, seed=0, certificates=None):
        self.port = free_port()
        self.url = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"
        self.folder = temp_folder("receiver")
        self.deaths = self.torn = 0
        self.faults = []
        self._records = os.path.join(self.folder, "records")
        self._orders = os.path.join(self.folder, "orders")
        self._arguments = [str(self.port), self._records, self._orders, str(seed)]
        if certificates:
            self._arguments += [certificates.server_cert, certificates.server_key]
        self._process = None
        self._lock = threading.RLock()  # of _process
        with open(self._records, "wb"):
            pass
        self._take, self._ending = take, threading.Event()
        self.behave(weights or {"ok": 1})
        self.start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def behave(self, weights):
        with open(self._orders + ".new", "w", encoding="ascii") as out:
            json.dump(weights, out)
        os.replace(self._orders + ".new", self._orders)
        with self._lock:
            if self._process:
                self._process.signal(signal.SIGHUP)

    def start(self):
        with self._lock:
            self._process = Process("receiver", [sys.executable, os.path.abspath(__file__), *self._arguments],
                                    os.path.join(self.folder, "log"))
            until(lambda: listening(self.port) or not self._process.running(), "the receiver to listen")

    def kill(self):
        with self._lock:
            process, self._process = self._process, None
            if process:
                process.signal(signal.SIGCONT)
                process.kill()

    def freeze(self):
        with self._lock:
            self._process.signal(signal.SIGSTOP)

    def thaw(self):
        with self._lock:
            self._process.signal(signal.SIGCONT)

    def running(self):
        return self._thread.is_alive()

    def _run(self):
        with open(self._records, "rb") as records:
            rest = b""
            while not self._ending.is_set():
                self._look_after()
                more = records.read(1 << 20)
                if not more:
                    self._ending.wait(0.005)
                    continue
                *lines, rest = (rest + more).split(b"\n")
                try:
                    for line in lines:
                        self._take_line(line)
                except Exception as error:  # pylint: disable=broad-except
                    self.faults.append(f"a record that the rig cannot read: {error!r}")
                    raise

    def _take_line(self, line):
        try:
            request = Request.from_line(line)
        except ValueError:  # a kill in the middle of a write; nothing was answered
            self.torn += bool(line)
            return
        self._take(request)

    def _look_after(self):
        with self._lock:
            if not self._process or self._process.running():
                return
            if self._process.status() != -signal.SIGKILL:
                self.faults.append("the receiver ended: " + " | ".join(self._process.log_tail()))
                self._process = None
                return
            self._process.wait()
            self.deaths += 1
            self.start()

    def close(self):
        self._ending.set()
        self._thread.join()
        self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


async def _serve(port, records, orders, seed, tls):
    out = os.open(records, os.O_WRONLY | os.O_APPEND)
    os.write(out, b"\n")  # what an earlier process may have left half-written ends here
    weighted = Weighted({}, f"{seed}-{os.getpid()}" if seed else None)

    def read_orders():
        with open(orders, encoding="ascii") as file:
            weighted.weights = json.load(file)
    read_orders()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, read_orders)
    core = _Server(weighted, lambda request: os.write(out, request.to_line()))
    # Over a restart connections wait in the same queue for a new process.
    server = await asyncio.start_server(core.accept, "127.0.0.1", port, limit=HEAD_LIMIT, ssl=tls, backlog=1024)
    async with server:
        await server.serve_forever()


def main():
    port, records, orders, seed, *tls = sys.argv[1:]
    asyncio.run(_serve(int(port), records, orders, int(seed), _tls(*tls) if tls else None))


if __name__ == "__main__":
    main()
