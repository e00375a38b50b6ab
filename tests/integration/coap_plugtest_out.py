#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The test descriptions of ETSI's CoAP Plugtests (CoAP#4) from the client's side, each under its number: linkspan asks, the test is
the server, message by message. CORE_03, CORE_07, CORE_09, CORE_21, BLOCK_03, BLOCK_05, OBS_01, OBS_02, OBS_04, OBS_07, OBS_08, OBS_12
and OBS_13 are in coap_out.py, DTLS_02 in tests/conformance/test_coap_out_secure.c; a server's side: coap_plugtest.py. Not here: what linkspan never asks for (If-Match and If-None-Match:
CORE_22, CORE_23; a ping over UDP: CORE_31; /.well-known/core: LINK_01 to LINK_09; a GET beside an observation: OBS_10), an empty
token (CORE_12, which not all clients can send: each message has one of its own), OBS_05 and OBS_06, in which the client is what the
server notices the end of (its RST is below), and raw public keys (DTLS_04 to DTLS_07)."""
import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, tap, yaml
from rig.coap import ACK, CON, NON, RST
from rig.coap_libcoap import LibcoapServer
from rig.coap_proxy import LossyProxy
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.wait import free_port, until

BODY = bytes(ord("a") + n % 26 for n in range(1900))


class Asked:
    """A server, and linkspan that asks it for each message: METHOD coap://server/PATH. What comes back goes to a reply topic."""

    def __init__(self, name, method, path, qos=1, connection=None, **target):
        self.topic, self.qos = f"plug-out/{name}", qos
        self.server = coap.Server()
        self.replies = Subscriber(shared_mosquitto().port, f"plug-answers/{name}")
        self.bridge = Linkspan(yaml.configuration(
            [yaml.coap("server", url=f"coap://127.0.0.1:{self.server.port}",
                       **{"transmission": {"ack_timeout": "1s"}, **(connection or {})}),
             yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-plug-{name}")],
            [yaml.mapping("asks", {"connection": "b", "topic": self.topic, "qos": qos},
                          {"connection": "server", "method": method, "path": path,
                           "reply": {"topic": f"plug-answers/{name}"}, **target})]))
        self.out = Publisher(shared_mosquitto().port)
        self.method = method

    def publish(self, payload=b"", **properties):
        self.out.publish(self.topic, payload, qos=self.qos, properties=publish_properties(**properties))

    def ask(self, payload=b"", **properties):
        """(request, address) of what a message becomes."""
        self.publish(payload, **properties)
        return self.request()

    def request(self):
        request, address = self.server.request()
        assert request.code == coap.METHODS[self.method] and request.kind == (CON if self.qos else NON), request
        assert 1 <= len(request.token) <= 8, request
        return request, address

    def reply(self, n=1):
        """The last of n."""
        self.replies.wait_count(n)
        return self.replies.messages[n - 1]

    def delivered(self, n=1):
        self.bridge.wait_status(lambda s: s["delivered"] == n and s["waiting"] == 0, f"{n} delivered", destination="server")

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.out.close()
        self.bridge.__exit__(kind, *rest)
        self.replies.close()
        self.server.close()


def _headers(reply):
    return dict(reply.properties.UserProperty)


# --- CORE

def _get(name, qos):
    with Asked(name, "GET", "/test", qos) as asked:
        request, address = asked.ask(b"what is published is not for a GET")
        assert request.values("Uri-Path") == [b"test"] and not request.payload, request
        asked.server.answer(request, address, "2.05", b"a value", [("Content-Format", 0)])
        reply = asked.reply()
        assert reply.payload == b"a value" and reply.properties.ContentType.startswith("text/plain"), reply.payload
        assert _headers(reply)["coap-code"] == "2.05", _headers(reply)
        asked.delivered()


@tap.case("TD_COAP_CORE_01 as a client: GET, confirmable")
def core_01():
    _get("get", 1)


@tap.case("TD_COAP_CORE_05 as a client: GET, not confirmable")
def core_05():
    _get("get-non", 0)


def _delete(name, qos):
    with Asked(name, "DELETE", "/test", qos) as asked:
        request, address = asked.ask(b"x")
        assert not request.payload and request.value("Content-Format") is None, request
        asked.server.answer(request, address, "2.02")
        assert _headers(asked.reply())["coap-code"] == "2.02"
        asked.delivered()


@tap.case("TD_COAP_CORE_02 as a client: DELETE, confirmable")
def core_02():
    _delete("delete", 1)


@tap.case("TD_COAP_CORE_06 as a client: DELETE, not confirmable")
def core_06():
    _delete("delete-non", 0)


def _post(name, qos, code):
    with Asked(name, "POST", "/test", qos) as asked:
        request, address = asked.ask(b"posted", content_type="text/plain")
        assert request.payload == b"posted" and request.value("Content-Format") == 0, request
        asked.server.answer(request, address, code)
        assert _headers(asked.reply())["coap-code"] == code
        asked.delivered()


@tap.case("TD_COAP_CORE_04 as a client: POST, confirmable")
def core_04():
    _post("post", 1, "2.04")


@tap.case("TD_COAP_CORE_08 as a client: POST, not confirmable")
def core_08():
    _post("post-non", 0, "2.01")


@tap.case("TD_COAP_CORE_10 as a client: a token, another one for each request")
def core_10():
    tokens = set()
    with Asked("tokens", "PUT", "/test") as asked:
        for n in range(20):
            request, address = asked.ask(b"%d" % n)
            tokens.add(request.token)
            asked.server.answer(request, address, "2.04")
        assert len(tokens) == 20, tokens
        asked.delivered(20)


@tap.case("TD_COAP_CORE_11 as a client: GET with a token and a separate response")
def core_11():
    with Asked("token-separate", "GET", "/separate") as asked:
        request, address = asked.ask()
        asked.server.send(coap.Message(ACK, 0, request.mid), address)
        response = asked.server.respond(request, address, "2.05", b"late", [("Content-Format", 0)])
        asked.server.expect(lambda m: m.kind == ACK and not m.code and m.mid == response.mid, "an ACK of the response")
        assert asked.reply().payload == b"late"


@tap.case("TD_COAP_CORE_13, CORE_14 as a client: several Uri-Path and Uri-Query options")
def core_13_14():
    with Asked("parts", "GET", "/seg1/seg2/seg3?first=1&second=2&third=3") as asked:
        request, address = asked.ask()
        assert request.values("Uri-Path") == [b"seg1", b"seg2", b"seg3"], request
        assert request.values("Uri-Query") == [b"first=1", b"second=2", b"third=3"], request
        asked.server.answer(request, address, "2.05", b"x")
        assert asked.reply().payload == b"x"


@tap.case("TD_COAP_CORE_15, CORE_17 as a client: GET whose request or response gets lost is asked again; NON is answered late")
def core_15_17():
    with Asked("lossy", "GET", "/test") as asked:
        request, address = asked.ask()
        again, _ = asked.request()
        assert again.encode() == request.encode(), (request, again)
        asked.server.answer(again, address, "2.05", b"x")
        assert asked.reply().payload == b"x"
        asked.server.answer(again, address, "2.05", b"x")  # a copy that is late
        request, address = asked.ask()
        asked.server.answer(request, address, "2.05", b"y")
        assert asked.reply(2).payload == b"y"
        asked.delivered(2)
    with Asked("late-non", "GET", "/separate", qos=0) as asked:
        for n in (1, 2):
            request, address = asked.ask()
            asked.server.respond(request, address, "2.05", b"late %d" % n, kind=NON)
            assert asked.reply(n).payload == b"late %d" % n
        assert len(asked.server.seen) == 2, asked.server.seen


@tap.case("TD_COAP_CORE_16 as a client: a separate response whose ACK got lost comes again; the response ends the repetitions")
def core_16():
    with Asked("lossy-separate", "GET", "/separate") as asked:
        request, address = asked.ask()  # the ACK of it gets lost
        again, _ = asked.request()
        assert again.encode() == request.encode()
        response = asked.server.respond(request, address, "2.05", b"late")
        for _ in range(2):
            asked.server.expect(lambda m: m.kind == ACK and not m.code and m.mid == response.mid, "an ACK of the response")
            asked.server.send(response, address)
        assert asked.reply().payload == b"late"
        # The next request is the second message, and no third copy of the first.
        request, address = asked.ask()
        assert request.mid != again.mid, "again, after the response"
        asked.server.answer(request, address, "2.05", b"at once")
        assert asked.reply(2).payload == b"at once"
        asked.delivered(2)


@tap.case("TD_COAP_CORE_18, CORE_19 as a client: several Location-Path and Location-Query options")
def core_18_19():
    with Asked("location", "POST", "/test") as asked:
        for n, (options, wanted) in enumerate((
                ([("Location-Path", part) for part in ("location1", "location2", "location3")], "/location1/location2/location3"),
                ([("Location-Path", "location-query"), ("Location-Query", "first=1"), ("Location-Query", "second=2")],
                 "/location-query?first=1&second=2"),
                ([("Location-Path", "a/b"), ("Location-Query", "a&b")], "/a%2Fb?a%26b")), 1):
            request, address = asked.ask(b"x")
            asked.server.answer(request, address, "2.01", options=options)
            reply = _headers(asked.reply(n))
            assert (reply["coap-code"], reply["coap-location"]) == ("2.01", wanted), reply


@tap.case("TD_COAP_CORE_20 as a client: Accept, and the format that comes back")
def core_20():
    with Asked("accept", "GET", "/multi-format", accept="{header.accept}") as asked:
        for n, (wanted, number, body) in enumerate((("text/plain", 0, b"text"), ("application/xml", 41, b"<xml/>")), 1):
            request, address = asked.ask(user=[("accept", wanted)])
            assert request.value("Accept") == number, request
            asked.server.answer(request, address, "2.05", body, [("Content-Format", number)])
            reply = asked.reply(n)
            assert reply.payload == body and reply.properties.ContentType.startswith(wanted), reply.properties


# --- BLOCK

def _serve(asked, body, request, address, size):
    """A large value, block by block."""
    number = 0
    while True:
        part = body[number * size:(number + 1) * size]
        more = (number + 1) * size < len(body)
        asked.server.answer(request, address, "2.05", part,
                            [("ETag", b"e"), ("Content-Format", 0), ("Block2", coap.block(number, more, size))])
        if not more:
            return
        number += 1
        request, address = asked.request()
        block = request.block("Block2")
        assert (block.number, block.more, block.size) == (number, False, size), request


def _get_in_blocks(name, size, negotiated):
    with Asked(name, "GET", "/large", connection={"block_size": size} if negotiated else None) as asked:
        request, address = asked.ask()
        block = request.block("Block2")
        if negotiated:
            assert (block.number, block.more, block.size) == (0, False, size), request
        else:
            assert block is None, request
        _serve(asked, BODY, request, address, size)
        assert asked.reply().payload == BODY


@tap.case("TD_COAP_BLOCK_01 as a client: GET in blocks, negotiated early")
def block_01():
    _get_in_blocks("block-early", 64, True)


@tap.case("TD_COAP_BLOCK_02 as a client: GET in blocks, negotiated late")
def block_02():
    _get_in_blocks("block-late", 256, False)


@tap.case("TD_COAP_BLOCK_06 as a client: GET in blocks of 16 bytes")
def block_06():
    _get_in_blocks("block-16", 16, True)


@tap.case("TD_COAP_BLOCK_04 as a client: POST in blocks that creates")
def block_04():
    with Asked("block-create", "POST", "/large-create", connection={"block_size": 256}) as asked:
        asked.publish(BODY, content_type="text/plain")
        body, tags = b"", set()
        while True:
            request, address = asked.request()
            block = request.block("Block1")
            assert block.size == 256 and block.number * 256 == len(body) and request.value("Content-Format") == 0, request
            assert request.value("Size1") == (None if body else len(BODY)), request
            tags.add(request.value("Request-Tag"))
            body += request.payload
            asked.server.answer(request, address, "2.31" if block.more else "2.01",
                                options=[("Location-Path", "large-create"), ("Location-Path", "1")] * (not block.more) +
                                [("Block1", coap.block(block.number, block.more, 256))])
            if not block.more:
                break
        assert body == BODY and len(tags) == 1 and None not in tags, (len(body), tags)
        assert _headers(asked.reply())["coap-location"] == "/large-create/1"


# --- OBS

class Watched:
    """/obs of a server that linkspan observes, and what comes of it."""

    def __init__(self, name, link=None):
        self.server = coap.Server()
        self.link = link(self.server.port) if link else None
        self.got = Subscriber(shared_mosquitto().port, f"plug-watch/{name}")
        self.bridge = Linkspan(yaml.configuration(
            [yaml.coap("server", url=f"coap://127.0.0.1:{self.link.port if link else self.server.port}",
                       transmission={"ack_timeout": "1s"}),
             yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-plug-{name}")],
            [yaml.mapping("watch", {"connection": "server", "topic": "/obs"},
                          {"connection": "b", "topic": f"plug-watch/{name}"})]), wait_up=["b"])
        self.registration = self.address = None
        self.number = 0

    def register(self, payload, options=()):
        self.registration, self.address = self.server.expect(lambda m: m.value("Observe") == 0, "a registration")
        assert self.registration.kind == CON and self.registration.token, self.registration
        self.answer(self.registration, self.address, payload, options)

    def answer(self, request, address, payload, options=()):
        self.number += 1
        self.server.answer(request, address, "2.05", payload, [("Observe", self.number), ("Content-Format", 0), *options])

    def notify(self, payload, options=(), again_s=30, token=None):
        """A confirmable notification, again until it is acknowledged or reset; which of them."""
        self.number += 1
        made = coap.Message(CON, "2.05", self.server.next_mid(), token or self.registration.token,
                            [("Observe", self.number), ("Content-Format", 0), *options], payload)
        while True:
            self.server.send(made, self.address)
            try:
                return self.server.expect(lambda m: m.mid == made.mid and m.kind in (ACK, RST), "an ACK", again_s)[0].kind
            except coap.TimedOut:
                if again_s >= 30:
                    raise
                # A registration that got lost or was not answered.
                asked = next((m for m, _ in reversed(self.server.seen) if m.value("Observe") == 0), None)
                if asked is not None and asked.token != self.registration.token:
                    self.registration = asked

    def wait(self, payload):
        self.got.wait_for(lambda ms: ms and ms[-1].payload == payload, f"{payload[:20]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.bridge.__exit__(kind, *rest)
        self.got.close()
        self.server.close()
        if self.link:
            self.link.close()


@tap.case("TD_COAP_OBS_06 as a client: after a SIGKILL a notification of an observation of before is answered with RST")
def obs_06():
    with Watched("reset") as watched:
        watched.register(b"before")
        before = watched.registration.token
        assert watched.notify(b"told") == ACK
        watched.wait(b"told")
        watched.bridge.kill()
        watched.bridge.start(wait_up=["b"])
        watched.register(b"after")
        assert watched.registration.token != before
        watched.wait(b"after")
        assert watched.notify(b"to whom?", token=before) == RST
        assert watched.notify(b"goes on") == ACK
        watched.wait(b"goes on")
        assert b"to whom?" not in [m.payload for m in watched.got.messages]


@tap.case("TD_COAP_OBS_09, OBS_11 as a client: updates over a link that loses datagrams; none comes twice, and the last one comes")
def obs_11():
    with Watched("lossy", lambda port: LossyProxy(port, 0.2, 0, 0, seed=11)) as watched:
        watched.register(b"0")
        until(lambda: watched.got.messages or _answer_again(watched, b"0"), "the first value")
        for n in range(1, 21):
            assert watched.notify(b"%d" % n, again_s=0.2) == ACK
        watched.wait(b"20")
        assert watched.link.lost, "nothing got lost"
        numbers = [int(m.payload) for m in watched.got.messages]
        assert numbers == sorted(set(numbers)), numbers


def _answer_again(watched, payload):
    came = watched.server.receive(0.1)
    if came and came[0].value("Observe") == 0:
        watched.registration, watched.address = came
        watched.answer(*came, payload)


@tap.case("TD_COAP_OBS_14 as a client: an observed resource whose size changes, with and without blocks")
def obs_14():
    def part(body, number):
        more = (number + 1) * 64 < len(body)
        return body[number * 64:(number + 1) * 64], [("Block2", coap.block(number, more, 64)), ("ETag", body[:8])]

    def rest(watched, body):
        for number in range(1, (len(body) + 63) // 64):
            request, address = watched.server.request(f"block {number}")
            assert request.block("Block2").number == number and request.value("Observe") is None, request
            payload, options = part(body, number)
            watched.server.answer(request, address, "2.05", payload, [*options, ("Content-Format", 0)])

    def options_of(body):
        return part(body, 0) if len(body) > 64 else (body, [])
    for name, sizes in (("pumping", (10, 300, 20, 400, 30)), ("pumping-large", (300, 10, 400))):
        with Watched(name) as watched:
            for n, size in enumerate(sizes):
                body = b"%d: " % n + BODY[:size]
                payload, options = options_of(body)
                if n:
                    assert watched.notify(payload, options) == ACK
                else:
                    watched.register(payload, options)
                rest(watched, body)
                watched.wait(body)


# --- DTLS

def _secured(name, port, key):
    """linkspan that puts what is published at /NAME of libcoap's server."""
    return Linkspan(yaml.configuration(
        [yaml.coap("server", url=f"coaps://127.0.0.1:{port}", psk={"identity": "linkspan", "key": key}),
         yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-plug-{name}")],
        [yaml.mapping("puts", {"connection": "b", "topic": f"plug-out/{name}"}, {"connection": "server", "path": "/" + name})]))


def _put(bridge, name, n=1):
    with Publisher(shared_mosquitto().port) as out:
        out.publish(f"plug-out/{name}", b"%d" % n)
        out.wait()
    bridge.wait_status(lambda s: s["delivered"] == n, f"{n} delivered", destination="server")


@tap.case("TD_COAP_DTLS_01, DTLS_03 as a client: DTLS with a pre-shared key, also over a link that loses datagrams")
def dtls_01_03():
    port = free_port(and_next=True)
    with LibcoapServer(port, keys=["-k", "correct horse"]):
        with _secured("dtls", port + 1, "correct horse") as bridge:
            _put(bridge, "dtls")
        with LossyProxy(port + 1, 0, 0, 0) as link:
            dropped = []

            def drop(to_target, data):
                """Each second of the first eight datagrams each way: a part of each flight of the handshake."""
                count = len(dropped)
                dropped.append((to_target, len(data)))
                return count < 16 and count % 4 == 1
            link.drop = drop
            with _secured("dtls-lossy", link.port, "correct horse") as bridge:
                _put(bridge, "dtls-lossy")
            assert link.lost >= 2, dropped


if __name__ == "__main__":
    tap.main()
