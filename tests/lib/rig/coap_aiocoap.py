# SPDX-License-Identifier: Apache-2.0
"""aiocoap as client and as server, on a thread with an event loop of its own: over UDP, TCP, TLS with certificates; as a client
over DTLS with a pre-shared key too, by tinydtls."""
import asyncio
import ssl
import sys
import threading

from .coap_peers import Answer, Got, cached, need
from .wait import until


def _need():
    """From now on `import aiocoap` finds it."""
    path = need(cached("aiocoap", "aiocoap/requirements.txt"), "aiocoap")
    if path not in sys.path:
        sys.path.append(path)
    import aiocoap  # pylint: disable=import-outside-toplevel
    import aiocoap.resource  # pylint: disable=import-outside-toplevel
    return aiocoap


def _answer(message):
    opt = message.opt
    return Answer(message.code.dotted, message.payload, None if opt.content_format is None else int(opt.content_format),
                  message.mtype.name if message.mtype is not None else "", opt.etag, opt.max_age, opt.observe,
                  "/" + "/".join(opt.location_path) if opt.location_path else None)


class _Loop:
    def __init__(self):
        self.aiocoap = _need()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="aiocoap").start()

    def call(self, coroutine, timeout=120):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def soon(self, function):
        self._loop.call_soon_threadsafe(function)

    async def _cancel_all(self):
        while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end(self, context):
        self.call(context.shutdown())
        self.call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)


class Observation:
    def __init__(self, loop, request):
        self._loop, self._request = loop, request
        self.notes, self.failed = [], []
        self.task = None

    async def run(self):
        try:
            self.notes.append(_answer(await self._request.response))
            async for message in self._request.observation:
                self.notes.append(_answer(message))
        except Exception as error:  # pylint: disable=broad-except
            self.failed.append(repr(error))

    def cancel(self):
        """aiocoap forgets it: RST to the next notification."""
        self._loop.soon(self._request.observation.cancel)

    forget = cancel


def _dtls(identity, key):
    return {"dtls": {"psk": {"hex": key.hex()}, "client-identity": {"ascii": identity}}}


class AioClient:
    """tls: (ca, certificate, key) for coaps+tcp. psk: (identity, key) for coaps, and then for nothing else."""

    name = "aiocoap"

    def __init__(self, tls=None, psk=None):
        self._loop = _Loop()
        self._context = self._loop.call(self._make(tls, psk))

    async def _make(self, tls, psk):
        transports = ["tinydtls"] if psk else ["udp6", "tcpclient", "tlsclient"]
        context = await self._loop.aiocoap.Context.create_client_context(transports=transports)
        if psk:
            context.client_credentials.load_from_dict({"coaps://*": _dtls(*psk)})
        if tls:
            ca, cert, key = tls
            made = ssl.create_default_context(cafile=ca)
            made.load_cert_chain(cert, key)
            context.client_credentials.ssl_client_context = lambda _scheme, _host: made
        return context

    def _message(self, method, uri, payload, content_format, accept, etag, con):
        make = self._loop.aiocoap
        options = {"mtype": make.CON if con else make.NON} if "+tcp" not in uri else {}
        message = make.Message(code=make.Code[{"IPATCH": "iPATCH"}.get(method, method)], uri=uri, payload=payload, **options)
        if content_format is not None:
            message.opt.content_format = content_format
        if accept is not None:
            message.opt.accept = accept
        if etag is not None:
            message.opt.etags = [etag]
        return message

    def request(self, method, uri, payload=b"", content_format=None, accept=None, etag=None, con=True, timeout=120):
        async def ask():
            return await self._context.request(
                self._message(method, uri, payload, content_format, accept, etag, con)).response
        return _answer(self._loop.call(ask(), timeout))

    def observe(self, uri, con=True):
        async def begin():
            message = self._message("GET", uri, b"", None, None, None, con)
            message.opt.observe = 0
            made = Observation(self._loop, self._context.request(message))
            made.task = asyncio.ensure_future(made.run())
            return made
        return self._loop.call(begin())

    def close(self):
        self._loop.end(self._context)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class AioServer:
    """Any path, as the server of CoapPeer.java: holds what is put, /code/4.04[/MAX_AGE] answers that, /separate/… answers late.
    tls: (ca, certificate, key): coaps+tcp on the same number + 1 as aiocoap has it. `got` lists what it took."""

    name = "aiocoap"

    def __init__(self, port, tls=None, tcp=True):
        self.port, self.got, self.values = port, [], {}
        self._observations = {}  # path → set
        self._loop = _Loop()
        self._context = self._loop.call(self._make(tls, tcp))

    async def _make(self, tls, tcp):
        transports, secure = ["udp6"], None
        if tcp:
            transports.append("tcpserver")
        if tls:
            ca, cert, key = tls
            secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
            secure.load_cert_chain(cert, key)
            secure.verify_mode = ssl.CERT_REQUIRED
            secure.set_alpn_protocols(["coap"])
            transports.append("tlsserver")
        return await self._loop.aiocoap.Context.create_server_context(
            self._site(), bind=("127.0.0.1", self.port), transports=transports, _ssl_context=secure)

    def _site(self):
        server = self

        class Site(self._loop.aiocoap.resource.Resource, self._loop.aiocoap.interfaces.ObservableResource):
            async def render(self, request):
                return await server.render(request)

            async def add_observation(self, request, serverobservation):
                watching = server._observations.setdefault("/" + "/".join(request.opt.uri_path), set())
                watching.add(serverobservation)
                serverobservation.accept(lambda: watching.discard(serverobservation))

            async def render_to_pipe(self, pipe):
                return await server._loop.aiocoap.interfaces.ObservableResource._render_to_pipe(self, pipe)
        return Site()

    async def render(self, request):
        make, opt = self._loop.aiocoap, request.opt
        path = "/" + "/".join(opt.uri_path)
        method = str(request.code).upper()
        self.got.append(Got(method, path, "&".join(opt.uri_query), request.mtype.name if request.mtype is not None else "",
                            None if opt.content_format is None else int(opt.content_format), request.payload, ""))
        parts = opt.uri_path
        if parts and parts[0] == "code":
            major, minor = parts[1].split(".")
            answer = make.Message(code=make.Code(int(major) << 5 | int(minor)))
            if len(parts) > 2:
                answer.opt.max_age = int(parts[2])
            return answer
        if parts and parts[0] == "separate":
            await asyncio.sleep(0.5)  # longer than aiocoap waits before its empty ACK
        if method == "GET":
            return self._value(path)
        if method == "DELETE":
            self._change(path, None)
            return make.Message(code=make.DELETED)
        if method == "POST":
            return make.Message(code=make.CHANGED, payload=b"posted %d" % len(request.payload), content_format=0)
        created = path not in self.values
        self._change(path, (request.payload, opt.content_format))
        return make.Message(code=make.CREATED if created else make.CHANGED)

    def _value(self, path):
        make = self._loop.aiocoap
        if self.values.get(path) is None:
            return make.Message(code=make.NOT_FOUND)
        payload, content_format = self.values[path]
        answer = make.Message(code=make.CONTENT, payload=payload, etag=(hash(payload) & 0xffff).to_bytes(2, "big"))
        if content_format is not None:
            answer.opt.content_format = content_format
        return answer

    def _change(self, path, value):
        if value is None:
            self.values.pop(path, None)
        else:
            self.values[path] = value
        for observation in list(self._observations.get(path, ())):
            observation.trigger(self._value(path))

    def set(self, path, payload, content_format=0):
        self._loop.soon(lambda: self._change(path, (payload, content_format)))

    def remove(self, path):
        self._loop.soon(lambda: self._change(path, None))

    def observers(self, path):
        return len(self._observations.get(path, ()))

    def wait_got(self, condition, what):
        until(lambda: condition(self.got), lambda: f"{what}: {self.got[-3:]}")

    def close(self):
        self._loop.end(self._context)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
