#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The test descriptions of ETSI's CoAP Plugtests (CoAP#4) that apply, each under its number, against linkspan's listener, message by
message. What a PUT or POST writes goes through the listener to MQTT and comes back as a value, so /test is what the descriptions
say it is. CORE_17, a late response to NON, is in tests/conformance/test_coap_in.c. Not here: resources that a server names (CORE_18,
CORE_19), has in two formats (half of CORE_20), describes by `if` and `sz` (LINK_05, LINK_06) or arranges below others (LINK_09); a
large response to POST (BLOCK_05); Max-Age, which a client watches (OBS_04); a client that is switched off (OBS_05), which a server
notices after the 93 s of its repetitions; raw public keys (DTLS_04 to DTLS_07), which libcoap has not with OpenSSL. As a client:
coap_out.py, coap_plugtest_out.py."""
import atexit
import os

import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, tap, yaml
from rig.coap import ACK, CON, NON, RST
from rig.coap_libcoap import LibcoapClient
from rig.coap_proxy import LossyProxy
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.wait import free_port, until

LARGE = bytes(ord("a") + n % 26 for n in range(1900))
IDENTITY, KEY = "sensor-1", "secretPSK"
_site = {}


class Site:
    """The listener with the resources of the descriptions, for the whole file."""

    def __init__(self):
        self.port, self.secure_port = free_port(), free_port()
        keys = os.path.join(temp_folder("psk"), "keys")
        with open(keys, "w", encoding="ascii") as out:
            out.write(f'{IDENTITY}: "{KEY}"\n')
        os.chmod(keys, 0o600)
        self.broker = shared_mosquitto()
        written = ["/test", "/obs", "/separate", "/large-update", "/obs-pumping"]
        values = [yaml.mapping(f"values-{n}", {"connection": "b", "topic": topic},
                               {"connection": "api", "path": path, "tombstones": "empty", **more})
                  for n, (topic, path, more) in enumerate((
                      ("plug/{a}", "/{a}", {}), ("plug/{a}/{b}", "/{a}/{b}", {}), ("plug/{a}/{b}/{c}", "/{a}/{b}/{c}", {}),
                      ("typed/{rt}/{a}", "/{a}", {"rt": "{rt}"})))]
        self.bridge = Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{self.port}", f"coaps://127.0.0.1:{self.secure_port}"],
                       psk={"file": keys}),
             yaml.mqtt("b", self.broker.port, client_id="linkspan-plugtest")],
            [yaml.mapping("written", {"connection": "api", "topic": written, "delete": True},
                          {"connection": "b", "topic": "plug{topic}", "retain": "set"}),
             yaml.mapping("created", {"connection": "api", "topic": "/large-create/#", "success": "created"},
                          {"connection": "b", "topic": "plug{topic}", "retain": "set"}), *values]))
        atexit.register(self.bridge.stop)
        self.publisher = Publisher(self.broker.port)

    def set(self, path, payload, content_type="text/plain", rt=None):
        """A value, once a GET gives it."""
        self.publish(path, payload, content_type, rt)
        self.publisher.wait()  # else, where the value is the same as before, what comes next could overtake it
        with self.client() as client:
            until(lambda: client.ask(client.request("GET", path, options=[("Block2", 6)])).payload == payload[:1024], path)

    def publish(self, path, payload, content_type="text/plain", rt=None):
        self.publisher.publish((f"typed/{rt}" if rt else "plug") + path, payload, retain=True,
                               properties=publish_properties(content_type=content_type))

    def client(self, **options):
        return coap.Client(self.port, **options)


def site():
    if "site" not in _site:
        _site["site"] = Site()
    return _site["site"]


def _ask(method, path, kind=CON, payload=b"", options=(), token=None):
    """(request, response) of a client of its own."""
    with site().client() as client:
        request = client.request(method, path, payload, kind, options, token)
        return request, client.ask(request)


def _piggybacked(request, answer, code, token=None):
    assert (answer.kind, answer.text, answer.mid) == (ACK, code, request.mid), answer
    assert answer.token == (request.token if token is None else token), answer


def _unconfirmed(request, answer, *codes):
    assert answer.kind == NON and answer.text in codes and answer.token == request.token, answer


def _test_is_there():
    site().set("/test", b"a value")


# --- CORE

@tap.case("TD_COAP_CORE_01: GET, confirmable")
def core_01():
    _test_is_there()
    request, answer = _ask("GET", "/test")
    _piggybacked(request, answer, "2.05")
    assert answer.value("Content-Format") == 0 and answer.payload == b"a value", answer


@tap.case("TD_COAP_CORE_02: DELETE, confirmable")
def core_02():
    _test_is_there()
    _piggybacked(*_ask("DELETE", "/test"), "2.02")
    until(lambda: _ask("GET", "/test")[1].text == "4.04", "the value to be gone")


@tap.case("TD_COAP_CORE_03: PUT, confirmable")
def core_03():
    _piggybacked(*_ask("PUT", "/test", payload=b"put", options=[("Content-Format", 0)]), "2.04")
    until(lambda: _ask("GET", "/test")[1].payload == b"put", "what was put")


@tap.case("TD_COAP_CORE_04: POST, confirmable")
def core_04():
    _piggybacked(*_ask("POST", "/test", payload=b"posted", options=[("Content-Format", 0)]), "2.04")
    until(lambda: _ask("GET", "/test")[1].payload == b"posted", "what was posted")


@tap.case("TD_COAP_CORE_05: GET, not confirmable")
def core_05():
    _test_is_there()
    request, answer = _ask("GET", "/test", NON)
    _unconfirmed(request, answer, "2.05")
    assert answer.value("Content-Format") == 0 and answer.payload, answer


@tap.case("TD_COAP_CORE_06: DELETE, not confirmable")
def core_06():
    _test_is_there()
    _unconfirmed(*_ask("DELETE", "/test", NON), "2.02")
    until(lambda: _ask("GET", "/test")[1].text == "4.04", "the value to be gone")


@tap.case("TD_COAP_CORE_07: PUT, not confirmable")
def core_07():
    _unconfirmed(*_ask("PUT", "/test", NON, b"put by NON", [("Content-Format", 0)]), "2.04", "2.01")
    until(lambda: _ask("GET", "/test")[1].payload == b"put by NON", "what was put")


@tap.case("TD_COAP_CORE_08: POST, not confirmable")
def core_08():
    _unconfirmed(*_ask("POST", "/test", NON, b"posted by NON", [("Content-Format", 0)]), "2.04", "2.01")
    until(lambda: _ask("GET", "/test")[1].payload == b"posted by NON", "what was posted")


class Slow:
    """A listener whose requests wait for room until release(): what is not served at once is not acknowledged with the answer."""

    def __init__(self, link=None):
        self._port = free_port()
        self._broker = own_mosquitto()
        self.bridge = Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{self._port}"], limits={"busy_timeout": "1m"}),
             yaml.mqtt("b", self._broker.port, outbox={"max_messages": 1})],
            [yaml.mapping("in", {"connection": "api", "topic": "/separate"}, {"connection": "b", "topic": "separate"})]))
        self.got = Subscriber(self._broker.port, "separate")
        self._broker.freeze()
        self.link = link(self._port) if link else None
        with coap.Client(self._port) as client:
            assert client.ask(client.request("POST", "/separate", b"fills the outbox")).text == "2.04"
        self.client = coap.Client(self.link.port if link else self._port)

    def release(self):
        self._broker.thaw()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self._broker.thaw()
        self.client.close()
        self.bridge.__exit__(kind, *rest)
        self.got.close()
        self._broker.stop()
        if self.link:
            self.link.close()


def _separately(slow, token):
    client = slow.client
    request = client.send(client.request("POST", "/separate", b"slow", token=token))
    acknowledged = client.expect(lambda m: m.mid == request.mid and m.kind == ACK, "an empty ACK")
    assert acknowledged.code == 0 and not acknowledged.token and not acknowledged.payload, acknowledged
    client.be_known()  # a stranger gets no response that is repeated
    slow.release()
    answer = client.expect(lambda m: m.token == request.token and m.code, "the separate response")
    assert (answer.kind, answer.text) == (CON, "2.04"), answer
    client.send(coap.Message(ACK, 0, answer.mid))
    slow.got.wait_count(2)
    assert not client.quiet(3, lambda m: m.code), "the response came again though it was acknowledged"


@tap.case("TD_COAP_CORE_09: a separate response (to POST: only what is written takes time here)")
def core_09():
    with Slow() as slow:
        _separately(slow, b"t")


@tap.case("TD_COAP_CORE_10: a token, of one byte and of eight")
def core_10():
    _test_is_there()
    for token in (b"\x00", b"12345678"):
        _piggybacked(*_ask("GET", "/test", token=token), "2.05")


@tap.case("TD_COAP_CORE_11: a token of eight bytes with a separate response")
def core_11():
    with Slow() as slow:
        _separately(slow, b"12345678")


@tap.case("TD_COAP_CORE_12: an empty token")
def core_12():
    _test_is_there()
    _piggybacked(*_ask("GET", "/test", token=b""), "2.05")


@tap.case("TD_COAP_CORE_13: several Uri-Path options")
def core_13():
    site().set("/seg1/seg2/seg3", b"deep")
    request, answer = _ask("GET", "/seg1/seg2/seg3")
    assert len(request.values("Uri-Path")) == 3
    _piggybacked(request, answer, "2.05")
    assert answer.payload == b"deep"


@tap.case("TD_COAP_CORE_14: several Uri-Query options")
def core_14():
    site().set("/query", b"asked")
    _piggybacked(*_ask("GET", "/query?first=1&second=2&third=3"), "2.05")


@tap.case("TD_COAP_CORE_15: GET over a link that loses datagrams")
def core_15():
    _test_is_there()
    with LossyProxy(site().port, 0.15, 0, 0, seed=15) as link, coap.Client(link.port) as client:
        lost = {"request": 0, "response": 0}
        passed = []
        link.watch = lambda to_target, _data: passed.append(to_target)

        def both_ways():
            before, link.lost = len(passed), 0
            answer = client.ask(client.request("GET", "/test"), ack_timeout_s=0.1)
            assert answer.text == "2.05" and answer.payload == b"a value", answer
            if link.lost:
                # More than one response was on its way: one got lost. Else the request did, or a ping.
                lost["response" if passed[before:].count(False) > 1 else "request"] += 1
            return lost["request"] and lost["response"]
        until(both_ways, lambda: f"losses both ways: {lost}")


@tap.case("TD_COAP_CORE_16: a separate response, where the request, its ACK, the response and its ACK get lost, each once")
def core_16():
    kinds = {(True, CON): "the request", (False, ACK): "its ACK", (False, CON): "the response", (True, ACK): "the ACK of that"}
    left = list(kinds.values())

    def drop(to_target, data):
        message = coap.decode(data)
        what = kinds.get((to_target, message.kind))
        if what not in left or (message.kind == CON and not message.code):  # or a ping
            return False
        left.remove(what)
        return True
    with Slow(lambda port: LossyProxy(port, 0, 0, 0)) as slow:
        client, responses = slow.client, []
        slow.link.drop = drop
        request = client.request("POST", "/separate", b"slow")

        def acknowledged():
            client.send(request)
            message = client.receive(0.5)
            return message is not None and message.kind == ACK and message.mid == request.mid
        until(acknowledged, "an empty ACK")
        assert left == ["the response", "the ACK of that"], left
        client.be_known()
        slow.release()
        # linkspan repeats its response until it hears the ACK, by the real times of RFC 7252.
        for _ in range(2):
            responses.append(client.expect(lambda m: m.code and m.token == request.token, "the response"))
            client.send(coap.Message(ACK, 0, responses[-1].mid))
        assert not left and responses[0].encode() == responses[1].encode(), (left, responses)
        assert (responses[0].kind, responses[0].text) == (CON, "2.04"), responses
        slow.got.wait_count(2)
        assert [m.payload for m in slow.got.messages] == [b"fills the outbox", b"slow"], slow.got.messages


@tap.case("TD_COAP_CORE_20: Accept, with the format that is there and another one")
def core_20():
    site().set("/validate", b"{}", "application/json")
    for options in ([("Accept", 50)], []):
        request, answer = _ask("GET", "/validate", options=options)
        _piggybacked(request, answer, "2.05")
        assert answer.value("Content-Format") == 50, answer
    _piggybacked(*_ask("GET", "/validate", options=[("Accept", 41)]), "4.06")


@tap.case("TD_COAP_CORE_21: ETag, and 2.03 for what has not changed")
def core_21():
    site().set("/validate", b"first")
    _, first = _ask("GET", "/validate")
    etag = first.value("ETag")
    assert first.text == "2.05" and 1 <= len(etag) <= 8, first
    request, valid = _ask("GET", "/validate", options=[("ETag", etag)])
    _piggybacked(request, valid, "2.03")
    assert valid.value("ETag") == etag and not valid.payload, valid
    site().set("/validate", b"second")
    request, changed = _ask("GET", "/validate", options=[("ETag", etag)])
    _piggybacked(request, changed, "2.05")
    assert changed.payload == b"second" and changed.value("ETag") != etag, changed


@tap.case("TD_COAP_CORE_22: If-Match, with the ETag that is there and an old one")
def core_22():
    site().set("/test", b"first")
    etag = _ask("GET", "/test")[1].value("ETag")
    _piggybacked(*_ask("PUT", "/test", payload=b"second", options=[("If-Match", etag), ("Content-Format", 0)]), "2.04")
    until(lambda: _ask("GET", "/test")[1].payload == b"second", "what was put")
    _piggybacked(*_ask("PUT", "/test", payload=b"third", options=[("If-Match", etag), ("Content-Format", 0)]), "4.12")
    assert _ask("GET", "/test")[1].payload == b"second"


@tap.case("TD_COAP_CORE_23: If-None-Match, on a path without a value and on one with it")
def core_23():
    _ask("DELETE", "/test")
    until(lambda: _ask("GET", "/test")[1].text == "4.04", "the value to be gone")
    _piggybacked(*_ask("PUT", "/test", payload=b"new", options=[("If-None-Match", b""), ("Content-Format", 0)]), "2.04")
    until(lambda: _ask("GET", "/test")[1].payload == b"new", "what was put")
    _piggybacked(*_ask("PUT", "/test", payload=b"newer", options=[("If-None-Match", b"")]), "4.12")


@tap.case("TD_COAP_CORE_31: a ping is answered with RST")
def core_31():
    with site().client() as client:
        ping = client.send(coap.Message(CON, 0, client.next_mid()))
        answer = client.expect(lambda m: m.mid == ping.mid, "RST")
        assert (answer.kind, answer.code, answer.token) == (RST, 0, b""), answer


# --- LINK

def _links(query=""):
    request, answer = _ask("GET", "/.well-known/core" + query, options=[("Accept", 40)])
    body, number = answer.payload, 0
    while answer.block("Block2") and answer.block("Block2").more:
        number += 1
        request, answer = _ask("GET", "/.well-known/core" + query, options=[("Block2", coap.block(number, False, 1024))])
        body += answer.payload
    _piggybacked(request, answer, "2.05")
    assert answer.value("Content-Format") == 40, answer
    links = {}
    for link in body.decode().split(",<"):
        target, *attributes = link.lstrip("<").split(";") if link else [""]
        links[target.rstrip(">")] = dict(a.partition("=")[::2] for a in attributes)
    links.pop("", None)
    return links


def _typed():
    for path, rt in (("/link1", "Type1 Type2"), ("/link2", "Type2 Type3"), ("/link3", "Type1 Type3"), ("/plain", None)):
        site().set(path, b"x", rt=rt)


@tap.case("TD_COAP_LINK_01: /.well-known/core lists what is there")
def link_01():
    _typed()
    links = _links()
    assert {"/link1", "/link2", "/link3", "/plain"} <= set(links), links
    assert links["/link1"]["rt"] == '"Type1 Type2"' and links["/link1"]["ct"] in ("0", '"0"') and "obs" in links["/link1"], links


@tap.case("TD_COAP_LINK_02: filtered by a resource type")
def link_02():
    _typed()
    assert set(_links("?rt=Type1")) == {"/link1", "/link3"}, _links("?rt=Type1")


@tap.case("TD_COAP_LINK_03: filtered by an empty prefix: those with any resource type")
def link_03():
    _typed()
    links = _links("?rt=*")
    assert {"/link1", "/link2", "/link3"} <= set(links) and "/plain" not in links, links


@tap.case("TD_COAP_LINK_04: filtered where a resource has several types")
def link_04():
    _typed()
    assert set(_links("?rt=Type2")) == {"/link1", "/link2"}, _links("?rt=Type2")
    assert not _links("?rt=Type"), _links("?rt=Type")


@tap.case("TD_COAP_LINK_07: filtered by a whole href")
def link_07():
    _typed()
    assert set(_links("?href=/link1")) == {"/link1"}, _links("?href=/link1")


@tap.case("TD_COAP_LINK_08: filtered by the beginning of hrefs")
def link_08():
    _typed()
    assert set(_links("?href=/link*")) == {"/link1", "/link2", "/link3"}, _links("?href=/link*")


# --- BLOCK

def _fetch(client, path, first_option, size=None):
    """Block by block; size: the one that is asked for from the beginning."""
    answer = client.ask(client.request("GET", path, options=first_option))
    block, body, etag = answer.block("Block2"), answer.payload, answer.value("ETag")
    assert answer.text == "2.05" and block.number == 0 and block.more and len(body) == block.size, answer
    assert size is None or block.size <= size, answer
    number = 0
    while block.more:
        number += 1
        request = client.request("GET", path, options=[("Block2", coap.block(number, False, block.size))])
        answer = client.ask(request)
        _piggybacked(request, answer, "2.05")
        assert answer.value("ETag") == etag, "another representation"
        assert answer.block("Block2")[::2] == (number, block.size), answer
        block = answer.block("Block2")
        assert len(answer.payload) == block.size if block.more else 0 < len(answer.payload) <= block.size, answer
        body += answer.payload
    return body


@tap.case("TD_COAP_BLOCK_01: GET in blocks, negotiated early")
def block_01():
    site().set("/large", LARGE)
    with site().client() as client:
        assert _fetch(client, "/large", [("Block2", coap.block(0, False, 64))], 64) == LARGE


@tap.case("TD_COAP_BLOCK_02: GET in blocks, negotiated late")
def block_02():
    site().set("/large", LARGE)
    with site().client() as client:
        assert _fetch(client, "/large", []) == LARGE


def _write_in_blocks(client, method, path, size, code, body=LARGE):
    n = (len(body) + size - 1) // size
    for number in range(n):
        more = number + 1 < n
        request = client.request(method, path, body[number * size:(number + 1) * size],
                                 options=[("Block1", coap.block(number, more, size)), ("Content-Format", 0)])
        answer = client.ask(request)
        _piggybacked(request, answer, "2.31" if more else code)
        block = answer.block("Block1")
        assert block == (number, more, size), answer
    return answer


@tap.case("TD_COAP_BLOCK_03: PUT in blocks")
def block_03():
    with site().client() as client:
        _write_in_blocks(client, "PUT", "/large-update", 128, "2.04")
        until(lambda: _ask("GET", "/large-update")[1].payload == LARGE[:1024], "what was put")
        assert _fetch(client, "/large-update", []) == LARGE


@tap.case("TD_COAP_BLOCK_04: POST in blocks that creates")
def block_04():
    with site().client() as client:
        _write_in_blocks(client, "POST", "/large-create/ps", 512, "2.01")
        until(lambda: _ask("GET", "/large-create/ps")[1].payload == LARGE[:1024], "what was posted")
        assert _fetch(client, "/large-create/ps", []) == LARGE


@tap.case("TD_COAP_BLOCK_06: GET in blocks of 16 bytes")
def block_06():
    site().set("/large", LARGE)
    with site().client() as client:
        assert _fetch(client, "/large", [("Block2", coap.block(0, False, 16))], 16) == LARGE


# --- OBS

class Observer:
    """Registered at `path`, with the first answer."""

    def __init__(self, path, kind=CON, port=None, options=(), ack_timeout_s=2):
        self.client = coap.Client(port or site().port)
        self.path, self.request = path, None
        self.register(kind, options, ack_timeout_s)

    def register(self, kind, options=(), ack_timeout_s=2):
        self.request = self.client.request("GET", self.path, kind=kind, options=[("Observe", 0), *options])
        self.first = self.client.ask(self.request, ack_timeout_s=ack_timeout_s)
        assert self.first.text == "2.05" and self.first.value("Observe") is not None, self.first
        self.newest = self.first

    def next(self, condition=lambda m: True, acknowledge=True, timeout_s=30):
        """The next notification for which it holds."""
        def ours(message):
            if message.token != self.request.token or not message.code:
                return False
            if message.kind == CON and acknowledge:
                self.client.send(coap.Message(ACK, 0, message.mid))
            return condition(message)
        message = self.client.expect(ours, "a notification", timeout_s)
        if message.value("Observe") is not None:
            assert 0 < (message.value("Observe") - self.newest.value("Observe")) % (1 << 24) < 1 << 23, (self.newest, message)
            self.newest = message
        return message

    def nothing_more(self, change):
        change()
        found = self.client.quiet(1, lambda m: m.token == self.request.token and m.code)
        assert not found, found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()


def _observe_and_change(kind):
    site().set("/obs", b"0")
    with Observer("/obs", kind) as observer:
        if kind == CON:
            _piggybacked(observer.request, observer.first, "2.05")
        else:
            _unconfirmed(observer.request, observer.first, "2.05")
        for n in range(1, 12):
            site().publish("/obs", b"%d" % n)
            notification = observer.next(lambda m, n=n: m.payload == b"%d" % n)
            assert notification.text == "2.05" and notification.value("Content-Format") == 0, notification
        return [m for m in observer.client.seen if m.token == observer.request.token]


@tap.case("TD_COAP_OBS_01: a resource is observed")
def obs_01():
    assert all(m.kind == CON for m in _observe_and_change(CON) if m.kind != ACK)


@tap.case("TD_COAP_OBS_02: a resource is observed by a NON request; a notification is confirmable now and then")
def obs_02():
    kinds = [m.kind for m in _observe_and_change(NON)]
    assert 0 < kinds.count(CON) < kinds.count(NON), "nobody asked whether the client is still there, or each time"


def _observers():
    return int(site().bridge.fresh(connection="api")["observers"])


@tap.case("TD_COAP_OBS_06: a client that has rebooted says RST")
def obs_06():
    site().set("/obs", b"0")
    before = _observers()
    with Observer("/obs") as observer:
        assert _observers() == before + 1
        site().set("/obs", b"1")
        notification = observer.next(acknowledge=False)
        observer.client.send(coap.Message(RST, 0, notification.mid))
        until(lambda: _observers() == before, "the observer to be forgotten")
        observer.nothing_more(lambda: site().set("/obs", b"2"))


@tap.case("TD_COAP_OBS_07: a resource that is deleted ends its observations with 4.04")
def obs_07():
    site().set("/obs", b"0")
    with Observer("/obs") as observer:
        assert _ask("DELETE", "/obs")[1].text == "2.02"
        last = observer.next(lambda m: m.text == "4.04")
        assert last.value("Observe") is None, last
        observer.nothing_more(lambda: site().set("/obs", b"again"))


@tap.case("TD_COAP_OBS_08: another content format ends observations with 4.06")
def obs_08():
    site().set("/obs", b"0")
    with Observer("/obs") as observer:
        site().set("/obs", b"{}", "application/json")
        last = observer.next(lambda m: m.text != "2.05")
        assert last.text == "4.06" and last.value("Observe") is None, last
        observer.nothing_more(lambda: site().set("/obs", b"[]", "application/json"))


@tap.case("TD_COAP_OBS_09: an observed resource is updated by a PUT of another client")
def obs_09():
    site().set("/obs", b"0")
    with Observer("/obs") as observer:
        assert _ask("PUT", "/obs", payload=b"new", options=[("Content-Format", 0)])[1].text == "2.04"
        assert observer.next(lambda m: m.payload == b"new").value("Content-Format") == 0


@tap.case("TD_COAP_OBS_10: a GET without Observe does not cancel")
def obs_10():
    site().set("/obs", b"0")
    with Observer("/obs") as observer:
        answer = observer.client.ask(observer.client.request("GET", "/obs"))
        assert answer.text == "2.05" and answer.value("Observe") is None, answer
        site().set("/obs", b"1")
        observer.next(lambda m: m.payload == b"1")


@tap.case("TD_COAP_OBS_11: an observation over a link that loses datagrams; one notification is on its way at a time")
def obs_11():
    site().set("/obs", b"0")
    with LossyProxy(site().port, 0.1, 0.1, 0, seed=11) as link:
        with Observer("/obs", port=link.port, ack_timeout_s=0.3) as observer:
            for n in range(1, 8):
                site().publish("/obs", b"%d" % n)
                # The state arrives, by a NON or, when that got lost, by what follows.
                message = observer.client.receive(0.2)
                if message is not None and message.kind == CON and message.code:
                    observer.client.send(coap.Message(ACK, 0, message.mid))
            link.behave()
            site().publish("/obs", b"last")
            observer.next(lambda m: m.payload == b"last")
    with Observer("/obs") as observer:
        site().publish("/obs", b"first")
        first = observer.next(lambda m: m.payload == b"first", acknowledge=False)
        for body in (b"second", b"third"):
            site().set("/obs", body)
        client = observer.client
        ping = client.send(coap.Message(CON, 0, client.next_mid()))
        client.expect(lambda m: m.kind == RST and m.mid == ping.mid, "RST")
        active = {m.mid for m in client.seen if m.kind == CON and m.token == observer.request.token}
        assert active == {first.mid}, "several notifications are on their way at the same time"
        client.send(coap.Message(ACK, 0, first.mid))
        observer.next(lambda m: m.payload == b"third")


@tap.case("TD_COAP_OBS_12: a GET with Observe 1 cancels")
def obs_12():
    site().set("/obs", b"0")
    with Observer("/obs") as observer:
        client = observer.client
        answer = client.ask(client.request("GET", "/obs", options=[("Observe", 1)], token=observer.request.token))
        assert answer.text == "2.05" and answer.value("Observe") is None, answer
        observer.nothing_more(lambda: site().set("/obs", b"1"))


def _rest(client, path, first):
    body, block, number = first.payload, first.block("Block2"), 0
    while block is not None and block.more:
        number += 1
        answer = client.ask(client.request("GET", path, options=[("Block2", coap.block(number, False, block.size))]))
        assert answer.text == "2.05" and answer.value("Observe") is None, answer
        body, block = body + answer.payload, answer.block("Block2")
    return body


@tap.case("TD_COAP_OBS_13: a large resource is observed, its rest fetched in blocks")
def obs_13():
    site().set("/obs-large", LARGE)
    with Observer("/obs-large") as observer:
        assert _rest(observer.client, "/obs-large", observer.first) == LARGE
        for n in range(3):
            body = b"%d" % n + LARGE
            site().publish("/obs-large", body)
            notification = observer.next(lambda m, body=body: m.payload == body[:len(m.payload)])
            assert notification.block("Block2") == (0, True, len(notification.payload)), notification
            assert _rest(observer.client, "/obs-large", notification) == body


@tap.case("TD_COAP_OBS_14: a resource whose size changes is observed")
def obs_14():
    site().set("/obs-pumping", b"small")
    with Observer("/obs-pumping") as observer:
        for n in range(4):
            body = (b"%d" % n + LARGE) if n % 2 == 0 else b"%d small" % n
            site().publish("/obs-pumping", body)
            notification = observer.next(lambda m, body=body: m.payload == body[:len(m.payload)])
            assert _rest(observer.client, "/obs-pumping", notification) == body


# --- DTLS

@tap.case("TD_COAP_DTLS_01: DTLS with a pre-shared key")
def dtls_01():
    _test_is_there()
    client = LibcoapClient(["-u", IDENTITY, "-k", KEY])
    answer = client.request("GET", f"coaps://127.0.0.1:{site().secure_port}/test")
    assert (answer.code, answer.payload) == ("2.05", b"a value"), answer


@tap.case("TD_COAP_DTLS_02: DTLS with a wrong pre-shared key")
def dtls_02():
    client = LibcoapClient(["-u", IDENTITY, "-k", "another"])
    try:
        answer = client.request("GET", f"coaps://127.0.0.1:{site().secure_port}/test", timeout=5)
    except RuntimeError:
        return
    raise AssertionError(f"answered: {answer}")


@tap.case("TD_COAP_DTLS_03: DTLS with a pre-shared key over a link that loses datagrams")
def dtls_03():
    _test_is_there()
    with LossyProxy(site().secure_port, 0.1, 0, 0, seed=3) as link:
        answer = LibcoapClient(["-u", IDENTITY, "-k", KEY]).request("GET", f"coaps://127.0.0.1:{link.port}/test")
        assert (answer.code, answer.payload) == ("2.05", b"a value"), answer
        until(lambda: link.lost or LibcoapClient(["-u", IDENTITY, "-k", KEY]).request(
            "GET", f"coaps://127.0.0.1:{link.port}/test").code == "2.05" and link.lost, "a loss")


if __name__ == "__main__":
    tap.main()
