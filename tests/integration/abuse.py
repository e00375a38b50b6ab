#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile clients of the HTTP listener: slow, many, large, malformed, ambiguous, forged. Each gets its answer, none of what
they smuggle becomes a message, linkspan's memory stays below what connectors/http/README.md says, and honest clients are served
all the while."""
import os
import resource
import select
import socket
import time
from contextlib import contextmanager, suppress

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, raw_http, tap, webhooks, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Subscriber
from rig.poster import Posters
from rig.raw_http import exchange, request, statuses
from rig.wait import free_port, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY_LIMIT = 64 << 10
CHUNKED = "Transfer-Encoding: chunked"
# What connectors/http/README.md says: of each connection max_head and 2 KiB, and max_buffered; and a little for everything else.
BASE_MIB, PER_CONNECTION_KIB, MAX_HEAD_KIB = 8, 2, 16


class Scene:
    """An honest client goes on all the time."""

    def __init__(self, port, bridge, got, honest):
        self.port, self.bridge, self.got, self.honest = port, bridge, got, honest

    def honest_goes_on(self, n=20):
        before = self.honest.acknowledged

        def served():
            assert self.honest.running(), self.honest.faults
            return self.honest.acknowledged >= before + n
        until(served, "an honest client to be served")

    def others(self):
        """Topics of all that came and was not the honest client's."""
        return [m.topic for m in list(self.got.messages) if not m.topic.startswith("out/honest-")]

    def nothing_smuggled(self):
        """A right request behind the wrong ones arrives; so all that they became is there."""
        before = self.others().count("out/last")
        assert statuses(exchange(self.port, request("/in/last", b"x"))) == [202]
        until(lambda: self.others().count("out/last") > before, "the last message")
        found = [topic for topic in self.others() if topic != "out/last"]
        assert not found, f"became messages: {found}"


@contextmanager
def _listener(name, **keys):
    broker, port = shared_mosquitto(), free_port()
    api = yaml.http("api", listen=[f"127.0.0.1:{port}"], **keys)
    with Subscriber(broker.port, "#", qos=2) as got, Linkspan(yaml.configuration(
            [api, yaml.mqtt("b", broker.port, client_id=f"linkspan-{name}")],
            [yaml.mapping("in", {"connection": "api", "topic": "/in/{name}"},
                          {"connection": "b", "topic": "out/{name}", "qos": 2})])) as bridge:
        with Posters(port, "/in/honest-{}".format, n_keys=2, rate=100, size=60) as honest:
            scene = Scene(port, bridge, got, honest)
            scene.honest_goes_on(1)
            yield scene
            scene.honest_goes_on()
            sent = honest.stop()
            assert not honest.faults, honest.faults
            def judged():
                return check.judge(sent, [m.payload for m in list(got.messages) if m.topic.startswith("out/honest-")])
            got.wait_for(lambda _: not judged().lost, "the honest client's messages")
            check.demand(judged(), "honest", repeats=False)
        assert bridge.stop() == 0


# --- slow and many ------------------------------------------------------------------------------------------------------


def _hung_up(links):
    """How many of them the other side has closed."""
    poll = select.poll()
    for link in links:
        poll.register(link.fileno(), select.POLLRDHUP)
    return len(poll.poll(0))


def _drip(links, text):
    for link in links:
        try:
            link.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass


@tap.case("slow loris: half-sent heads and bodies that go on by a byte are cut off, and honest clients are served")
def slow_loris():
    with _listener("loris", limits={"head_timeout": "2s", "request_timeout": "2s", "idle_timeout": "2s"}) as scene:
        beginnings = [b"POST /in/loris HTTP/1.1\r\nHost: x\r\nX-Drip: ",
                      request("/in/loris", b"ab", headers=["Content-Length: 100000"]),
                      request("/in/loris", b"2\r\nab\r\n99999\r\n", headers=[CHUNKED]),
                      request("/in/last", b"whole")]  # and then a second one, of which the first line never ends
        links = []
        for n in range(400):
            links.append(raw_http.connect(scene.port, f"127.0.0.{2 + n % 4}"))
            _drip(links[-1:], beginnings[n % 4])

        def all_cut():
            _drip(links, b"z")  # so that no connection is ever idle
            return _hung_up(links) == len(links)
        scene.honest_goes_on()
        until(all_cut, lambda: f"all to be cut off: {_hung_up(links)} of {len(links)}", poll_s=0.2)
        assert statuses(raw_http.read_to_end(links[3])) in ([202], [202, 400], [202, 408])
        for link in links:
            link.close()
        scene.nothing_smuggled()


def _raise_limit(files):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(hard, files)))
        except (OSError, ValueError) as error:
            raise tap.Skip(f"no {files} open files here: {error}") from error


@tap.case("10,000 connections: honest clients are served, memory stays below its bound and comes back")
def ten_thousand():
    count, sources = 10000, 20
    _raise_limit(count + 500)
    with _listener("many", limits={"max_connections": count + 100, "max_per_address": count // sources,
                                   "head_timeout": "5m"}) as scene:
        idle_kib = scene.bridge.anonymous_kib()
        links = []
        try:
            for n in range(count):
                links.append(raw_http.connect(scene.port, f"127.0.0.{2 + n % sources}"))
                links[-1].send(b"POST /in/many HTTP/1.1\r\nHost: x\r\nX-Half: " + b"y" * (6000 if n % 2 else 0))
            scene.honest_goes_on()
            until(lambda: scene.bridge.open_files() >= count, lambda: f"all to be taken: {scene.bridge.open_files()}")
            full_kib = scene.bridge.anonymous_kib()
            tap.note(f"anonymous memory: {idle_kib >> 10} MiB idle, {full_kib >> 10} MiB with {count} connections")
            assert full_kib < idle_kib + (BASE_MIB << 10) + count * (PER_CONNECTION_KIB + MAX_HEAD_KIB), full_kib
            for link in links[::100]:
                link.send(b"y\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            for link in links[::100]:
                assert statuses(raw_http.read_to_end(link)) == [202]
            # One more of an address that has all it may have is turned away.
            assert not statuses(raw_http.exchange(scene.port, request(body=b"x"), "127.0.0.3")), "a place too many"
        finally:
            for link in links:
                link.close()
        until(lambda: scene.bridge.open_files() < 100, "all to be closed")
        scene.honest_goes_on()


# --- large --------------------------------------------------------------------------------------------------------------


def _chunks(total, size=4096):
    piece = b"%x\r\n" % size + b"a" * size + b"\r\n"
    return piece * (total // size) + b"0\r\n\r\n"


@tap.case("bodies beyond the limit: 413 by Content-Length before they are read, and by chunks; at the limit 202")
def oversized():
    with _listener("large", limits={"max_body": f"{BODY_LIMIT >> 10}KiB"}) as scene:
        assert statuses(exchange(scene.port, request("/in/last", b"a" * BODY_LIMIT))) == [202]
        assert statuses(exchange(scene.port, request(body=b"a" * (BODY_LIMIT + 1)))) == [413]
        with raw_http.connect(scene.port) as link:  # nothing of the body is ever sent
            link.sendall(request(headers=[f"Content-Length: {1 << 40}", "Expect: 100-continue"]))
            assert statuses(raw_http.read_to_end(link)) == [413]
        with raw_http.connect(scene.port) as link:
            link.sendall(request(headers=["Content-Length: 99999999999999999999999999"]))
            assert statuses(raw_http.read_to_end(link))[0] in (400, 413)
        assert statuses(exchange(scene.port, request("/in/last", _chunks(BODY_LIMIT), headers=[CHUNKED]))) == [202]
        assert statuses(exchange(scene.port, request(body=_chunks(BODY_LIMIT + 4096), headers=[CHUNKED]))) == [413]
        before = scene.bridge.anonymous_kib()
        for _ in range(5):
            assert statuses(exchange(scene.port, request(body=_chunks(20 << 20), headers=[CHUNKED]))) in ([413], [])
        assert scene.bridge.anonymous_kib() < before + (4 << 10), "what is too large was kept"
        scene.nothing_smuggled()


@tap.case("many bodies at a time: no more of them than max_buffered is kept, the others are told to come later")
def half_bodies():
    half = b"a" * 500000
    with _listener("half", limits={"max_buffered": "4MiB", "request_timeout": "60s"}) as scene:
        before = scene.bridge.anonymous_kib()
        links = [raw_http.connect(scene.port, f"127.0.0.{2 + n % 4}") for n in range(80)]
        try:
            for announced, chunked in zip(links[::2], links[1::2]):
                announced.sendall(request("/in/last", half, headers=[f"Content-Length: {2 * len(half)}", "Connection: close"]))
                chunked.sendall(request("/in/last", b"%x\r\n" % len(half) + half, headers=[CHUNKED, "Connection: close"]))
            scene.honest_goes_on()  # so what was sent has been read
            used = scene.bridge.anonymous_kib() - before
            tap.note(f"{used} KiB for 40 MB of bodies")
            assert used < (4 + BASE_MIB) << 10, f"{used} KiB"
            for number, link in enumerate(links):
                with suppress(OSError):  # of chunks no end is in sight, so it does not wait for that
                    link.sendall(b"\r\n0\r\n\r\n" if number % 2 else half)
            answers = [statuses(raw_http.read_to_end(link)) for link in links]
            # A reset may overtake the answer.
            assert all(answer in ([503], [202], []) for answer in answers) and answers.count([503]) >= 40, answers
        finally:
            for link in links:
                link.close()
        scene.nothing_smuggled()


@tap.case("heads beyond the limit: many fields, long fields, long targets")
def header_bombs():
    with _listener("bombs") as scene:
        before = scene.bridge.anonymous_kib()
        for what, wrong, wanted in (
                ("many fields", request(body=b"x", headers=[f"X-{n}: y" for n in range(20000)]), (431, 400, 413)),
                ("a long field", request(body=b"x", headers=["X: " + "y" * (1 << 20)]), (431, 400, 413)),
                ("a field that never ends", request(headers=["X: " + "y" * (1 << 20)])[:-4], (431, 400, 413)),
                ("a long name", request(body=b"x", headers=["X" * (1 << 20) + ": y"]), (431, 400, 413)),
                ("a long target", request("/in/" + "y" * (1 << 20), b"x"), (414, 431, 400)),
                ("a long query", request("/in/x?" + "y=1&" * (1 << 18), b"x"), (414, 431, 400)),
                ("a long method", request(method="P" * (1 << 20), body=b"x"), (400, 405, 414, 431, 501))):
            answer = statuses(exchange(scene.port, wrong))
            assert not answer or answer[0] in wanted and len(answer) == 1, (what, answer)
        for fields in (10, 50):  # what is not much is taken
            assert statuses(exchange(scene.port, request("/in/last", b"x", headers=[f"X-{n}: y" for n in range(fields)]))) == [202]
        assert scene.bridge.anonymous_kib() < before + (4 << 10)
        scene.nothing_smuggled()


# --- malformed and ambiguous --------------------------------------------------------------------------------------------

INNER = request("/in/smuggled", b"inner")  # must never be a request of its own


def _refused(scene, what, wrong, wanted=(400, 413)):
    """One answer at most, which is a refusal, and the connection is over: what is behind it is not a request. libmicrohttpd
    0.9.75 writes the head of its own 400 for a wrong Content-Length twice, and closes."""
    answer = statuses(exchange(scene.port, wrong))
    assert (len(answer) <= 1 or answer == [400, 400]) and all(status in wanted for status in answer), (what, answer)


@tap.case("chunks that are none: refused, and nothing behind them is a request")
def bad_chunks():
    with _listener("chunks") as scene:
        for what, chunks in (("no number", b"zz\r\nabc\r\n0\r\n\r\n"), ("a negative number", b"-3\r\nabc\r\n0\r\n\r\n"),
                             ("a number too large", b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
                             ("a number that wraps", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
                             ("0x", b"0x3\r\nabc\r\n0\r\n\r\n"), ("a blank before", b" 3\r\nabc\r\n0\r\n\r\n"),
                             ("no end of the data", b"3\r\nabcdef\r\n0\r\n\r\n"), ("nothing", b"\r\n\r\n")):
            _refused(scene, what, request(body=chunks + INNER, headers=[CHUNKED]))
        # It ends before its end: no message, whatever the answer.
        for cut in (b"5\r\nab", b"2\r\nab\r\n", b"2\r\nab\r\n0\r\n", b"2"):
            _refused(scene, cut, request(body=cut, headers=[CHUNKED]), (400, 408))
        assert statuses(exchange(scene.port, request("/in/last", b"2;x=y\r\nab\r\n0\r\nT: v\r\n\r\n", headers=[CHUNKED]))) == [202]
        scene.nothing_smuggled()


@tap.case("requests that two parsers would read differently: refused, and the connection closed")
def smuggling():
    with _listener("smuggle") as scene:
        five = [b"0\r\n\r\n" + INNER, b"hello" + INNER]
        for what, headers in (
                ("length and chunks", ["Content-Length: 5", CHUNKED]), ("chunks and length", [CHUNKED, "Content-Length: 5"]),
                ("two lengths", ["Content-Length: 5", f"Content-Length: {5 + len(INNER)}"]),
                ("a list of lengths", ["Content-Length: 5, 6"]), ("a signed length", ["Content-Length: +5"]),
                ("a negative length", ["Content-Length: -5"]), ("a length in hex", ["Content-Length: 0x5"]),
                ("a length with a tail", ["Content-Length: 5 5"]), ("an empty length", ["Content-Length:"]),
                ("chunked twice", [CHUNKED, CHUNKED]), ("another coding", ["Transfer-Encoding: xchunked"]),
                ("chunked is not last", ["Transfer-Encoding: chunked, identity"]),
                ("two codings", ["Transfer-Encoding: gzip, chunked"]), ("identity", ["Transfer-Encoding: identity", "Content-Length: 5"]),
                ("a blank before the colon", ["Transfer-Encoding : chunked"]),
                ("a blank before another colon", ["Content-Length : 5"]),
                ("a tab in the name", ["Transfer-Encoding\t: chunked"]),
                ("a folded line", ["Content-Length: 5", "X: y", " Transfer-Encoding: chunked"]),
                ("a folded coding", ["Transfer-Encoding:", " chunked", "Content-Length: 5"]),
                ("NUL in a value", ["Content-Length: 5", "X: a\0b"]), ("NUL in a name", ["Content-Length: 5", "X\0: b"]),
                ("a bare CR", ["Content-Length: 5", "X: a\rTransfer-Encoding: chunked"]),
                ("a bare LF", ["Content-Length: 5\nTransfer-Encoding: chunked"]),
                ("a field without a colon", ["Content-Length: 5", "Transfer-Encoding"]),
                ("two hosts", ["Content-Length: 5", "Host: other"])):
            for behind in five:
                _refused(scene, what, request(body=behind, headers=headers), (400, 411, 413, 501))
                _refused(scene, what, request("*", behind, "OPTIONS", headers=headers), (400, 411, 413, 501))
        for what, wrong in (("no host", request(body=b"hello", host="X: y")),
                            ("version 0.9", b"POST /in/x\r\n\r\n" + INNER), ("version 3", b"POST /in/x HTTP/3.0\r\n\r\n" + INNER),
                            ("a blank before the method", b" " + request(body=b"hello")),
                            ("blanks in the target", request("/in/x /in/y", b"hello")),
                            ("another authority", request("http://other/in/x", b"hello")),
                            ("NUL in the target", request("/in/\0", b"hello")), ("noise", bytes(range(256)) * 20 + b"\r\n\r\n"),
                            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n"),
                            ("version 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))):
            _refused(scene, what, wrong, (400, 404, 405, 421, 501, 505))
        scene.nothing_smuggled()


@tap.case("targets that lead elsewhere, and methods that are none: no message beyond what the mapping says")
def traversal():
    with _listener("paths") as scene:
        for target in ("/in/../last", "/in/%2e%2e/last", "/../../etc/passwd", "//in/last", "/in//last", "/in/last/", "/in/./last",
                       "/in/a%2fb", "/in/a/b", "/in/%00", "/in/a%00b", "/in/%zz", "/in/%", "/in/%c0%ae", "/in/%ff", "/in/", "/in", "*",
                       "/in/%0d%0aX:%20y", "/in/+", "/in/%23", "/in/x%2b"):
            answer = statuses(exchange(scene.port, request(target, b"x")))
            assert len(answer) <= 1 and all(status in (202, 400, 404, 405, 422) for status in answer), (target, answer)
        for method in ("TRACE", "CONNECT", "DELETE", "OPTIONS", "BREW", "PATCH", "post", "GET"):
            target = "127.0.0.1:80" if method == "CONNECT" else "/in/x"
            answer = statuses(exchange(scene.port, request(target, b"x", method)))
            wanted = (204,) if method == "OPTIONS" else (400, 404, 405, 501)
            assert len(answer) <= 1 and all(status in wanted for status in answer), (method, answer)
        assert statuses(exchange(scene.port, request("/in/last", b"x"))) == [202]
        until(lambda: "out/last" in scene.others(), "the last one")
        for topic in scene.others():
            assert topic.startswith("out/") and topic.count("/") == 1 and not set(topic) & set("+#\0"), topic
            assert topic not in ("out/..", "out/."), topic


# --- forged -------------------------------------------------------------------------------------------------------------


def _signed(body=b"hello", webhook_id="msg_1", when=None, secret=SECRET, **changes):
    when = str(int(time.time()) if when is None else when)
    fields = {"Connection": "close", "webhook-id": webhook_id, "webhook-timestamp": when,
              "webhook-signature": webhooks.signature(secret, webhook_id, when, body), **changes}
    return request("/in/signed", body, headers=[f"{name}: {value}" for name, value in fields.items() if value is not None])


@contextmanager
def _signed_listener(**keys):
    """A listener that takes what is signed, and, for the honest client, beside it one that asks for nothing."""
    broker, port, open_port = shared_mosquitto(), free_port(), free_port()
    with Subscriber(broker.port, ["signed/#", "else/mark"], qos=2) as got, Linkspan(yaml.configuration(
            [yaml.http("api", listen=[f"127.0.0.1:{port}"], access={"standard_secrets": {"shop": SECRET}}, **keys),
             yaml.http("open", listen=[f"127.0.0.1:{open_port}"], **keys),
             yaml.mqtt("b", broker.port, client_id="linkspan-signed")],
            [yaml.mapping(name, {"connection": name, "topic": "/in/{name}"},
                          {"connection": "b", "topic": topic, "qos": 2}) for name, topic in (("api", "signed/{name}"),
                                                                                            ("open", "else/{name}"))])) as bridge:
        yield port, open_port, bridge, got
        assert bridge.stop() == 0


@tap.case("wrong signatures and old ones: 401; a replay is known, and becomes no second message")
def forged():
    with _signed_listener() as (port, open_port, _, got):
        now = int(time.time())
        with Posters(open_port, "/in/{}".format, n_keys=2, rate=100, size=60) as honest:
            for what, wrong in (("no signature", request("/in/signed", b"hello", headers=["Connection: close"])),
                                ("another secret", _signed(secret="whsec_" + "A" * 32)),
                                ("another body", _signed(b"hello").replace(b"hello", b"jello")),
                                ("another id", _signed().replace(b"msg_1", b"msg_2")),
                                ("too old", _signed(when=now - 3600)), ("from the future", _signed(when=now + 3600)),
                                ("no time", _signed(**{"webhook-timestamp": None})), ("no id", _signed(**{"webhook-id": None})),
                                ("a time that is none", _signed(**{"webhook-timestamp": "now"})),
                                ("an empty signature", _signed(**{"webhook-signature": ""})),
                                ("another version", _signed(**{"webhook-signature": "v2,AAAA"})),
                                ("noise", _signed(**{"webhook-signature": "v1," + "A" * 5000})),
                                ("many", _signed(**{"webhook-signature": "v1,AAAA " * 500}))):
                answer = statuses(exchange(port, wrong))
                assert answer in ([401], [400], [431]), (what, answer)
            first = exchange(port, _signed())
            assert statuses(first) == [202], first
            for _ in range(20):
                again = exchange(port, _signed())
                assert statuses(again) == [202] and again.rpartition(b"\r\n\r\n")[2] == first.rpartition(b"\r\n\r\n")[2], again
            assert statuses(exchange(port, _signed(b"other"))) == [422], "the same id with another body"
            assert statuses(exchange(port, _signed(b"last", "msg_last"))) == [202]
            got.wait_count(2)
            assert [m.payload for m in got.messages] == [b"hello", b"last"], got.messages
            until(lambda: honest.acknowledged >= 20, "an honest client to be served")
            honest.stop()
            assert not honest.faults, honest.faults


@tap.case("a replay with another key beside its own, or once key_ttl is over, is known as well")
def replayed():
    with _signed_listener(key_ttl="1s") as (port, open_port, _, got):
        first = _signed()
        assert statuses(exchange(port, first)) == [202]
        assert statuses(exchange(port, _signed(**{"Idempotency-Key": "other"}))) == [202]
        for more in (b"webhook-id: msg_2", b"Idempotency-Key: a\r\nidempotency-key: b", b"Authorization: a\r\nAuthorization: b"):
            behind = first.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n\r\n", 1)
            for wrong in (behind, first.replace(b"webhook-id", more + b"\r\nwebhook-id")):
                assert statuses(exchange(port, wrong)) == [400], wrong

        def time_is_over():  # of what is not signed
            mark = request("/in/mark", b"m", headers=["Idempotency-Key: m", "Connection: close"])
            assert statuses(exchange(open_port, mark)) == [202]
            return sum(m.topic == "else/mark" for m in got.messages) >= 2
        until(time_is_over, "keys to be forgotten")
        assert statuses(exchange(port, first)) == [202]
        assert statuses(exchange(port, _signed(b"last", "msg_last"))) == [202]
        until(lambda: b"last" in [m.payload for m in got.messages], "the last one")
        assert [m.payload for m in got.messages if m.topic != "else/mark"] == [b"hello", b"last"], got.messages


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    tap.main()
