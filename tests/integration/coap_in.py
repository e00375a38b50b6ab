#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CoAP in, datagram by datagram: 2.04 means that the message is safe; what comes again is known by message id and bytes, also after a
SIGKILL; a device that reboots and uses its ids again loses nothing; what is not taken is told so."""
import select
import socket
from contextlib import ExitStack

import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, tap, yaml
from rig.coap import ACK, CON, NON, RST
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.wait import free_port, until

BODY = bytes(ord("a") + n % 26 for n in range(300))


def _listener(name, port, *extra, source=None, target=None, broker=None, host="127.0.0.1", **keys):
    """A listener, a broker and one mapping /in/{a}/# → NAME/{a}."""
    broker = broker or shared_mosquitto()
    return yaml.configuration(
        [yaml.coap("api", listen=[f"coap://{host}:{port}"], **keys),
         yaml.mqtt("b", broker.port, client_id=f"linkspan-{name}")],
        [yaml.mapping("in", {"connection": "api", "topic": "/in/{a}/#", **(source or {})},
                      {"connection": "b", "topic": name + "/{a}", "qos": 2, **(target or {})}), *extra])


def _taken(bridge):
    """How many messages linkspan has taken, by what it says of the destination."""
    return int(bridge.fresh("totals", destination="b")["offered"])


@tap.case("2.04 only once it is durable: killed right after it, the message arrives all the same, as it was")
def durable():
    port, broker = free_port(), own_mosquitto()
    with broker, Linkspan(_listener("durable", port, broker=broker)) as bridge:
        broker.freeze()
        with coap.Client(port) as client:
            for n in range(20):
                answer = client.ask(client.request("POST", "/in/x/y?unit=C&n=%20", b"\x00body %d" % n,
                                                   options=[("Content-Format", 50)]))
                assert (answer.kind, answer.text) == (ACK, "2.04"), answer
            bridge.kill()
        broker.thaw()
        with Subscriber(broker.port, "durable/#") as got:
            bridge.start()
            got.wait_count(20)
            assert {m.payload for m in got.messages} == {b"\x00body %d" % n for n in range(20)}
            properties = got.messages[0].properties
            assert properties.ContentType == "application/json", properties
            assert dict(properties.UserProperty)["coap-query"] == "unit=C&n=%2520", properties.UserProperty


@tap.case("what is confirmable has the qos of its mapping, 1 at least; what is not has none, whatever the mapping says")
def qos():
    port = free_port()
    with Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"]),
             yaml.mqtt("b", shared_mosquitto().port, client_id="linkspan-coap-qos")],
            [yaml.mapping("once", {"connection": "api", "topic": "/once/{a}", "qos": 2}, {"connection": "b", "topic": "qos/{a}"},
                          delivery="exactly-once"),
             yaml.mapping("least", {"connection": "api", "topic": "/least/{a}"}, {"connection": "b", "topic": "qos/{a}"})])), \
            Subscriber(shared_mosquitto().port, "qos/#", qos=2) as got, coap.Client(port) as client:
        for path, kind in (("/once/2", CON), ("/once/0", NON), ("/least/1", CON), ("/least/0", NON)):
            client.ask(client.request("PUT", path, b"x", kind))
        got.wait_count(4)
        assert all(m.topic == f"qos/{m.qos}" for m in got.messages), [(m.topic, m.qos) for m in got.messages]


def _in_blocks(client, target, body, size, tag=b"", method="PUT"):
    n = (len(body) + size - 1) // size
    return [client.request(method, target, body[i * size:(i + 1) * size],
                           options=[("Block1", coap.block(i, i + 1 < n, size)), *([("Request-Tag", tag)] if tag else [])])
            for i in range(n)]


@tap.case("the same datagrams again, also after a SIGKILL: the same answers, and each message once")
def again():
    port = free_port()
    with Linkspan(_listener("again", port, source={"delete": True})) as bridge, \
            Subscriber(shared_mosquitto().port, "again/#") as got, coap.Client(port) as client:
        requests = [client.request("PUT", "/in/x", b"put"), client.request("POST", "/in/x", b"posted"),
                    client.request("PUT", "/in/x", b"put"), client.request("PUT", "/in/non", b"unconfirmed", NON)]
        blocks = _in_blocks(client, "/in/blocks", BODY, 128)
        requests += [*blocks, client.request("DELETE", "/in/gone")]
        codes = [client.ask(request).text for request in requests]
        assert codes == ["2.04"] * 4 + ["2.31", "2.31", "2.04", "2.02"], codes

        def repeat():
            for request, code in zip(requests, codes):
                if code != "2.31" and request.kind == CON:
                    answer = client.ask(request)
                    assert (answer.kind, answer.text, answer.mid) == (ACK, code, request.mid), answer
            client.send(requests[3])
        repeat()
        bridge.kill()
        bridge.start()
        repeat()
        repeat()
        assert client.ask(client.request("PUT", "/in/last", b"last")).text == "2.04"
        wanted = sorted([b"put", b"posted", b"put", b"unconfirmed", BODY, b"", b"last"])
        got.wait_for(lambda ms: len(ms) >= len(wanted) and any(m.payload == b"last" for m in ms), "the last, and all others")
        payloads = sorted(m.payload for m in got.messages)
        assert payloads == wanted, payloads


@tap.case("with dedupe: memory what comes again after a SIGKILL is a new message: so the case above finds what it looks for")
def forgetful():
    port = free_port()
    with Linkspan(_listener("forgetful", port, dedupe="memory")) as bridge, coap.Client(port) as client, \
            Subscriber(shared_mosquitto().port, "forgetful/#") as got:
        request = client.request("PUT", "/in/x", b"x")
        assert client.ask(request).text == "2.04" and client.ask(request).text == "2.04"
        until(lambda: len(got.messages) == 1, "one")
        assert _taken(bridge) == 1
        bridge.kill()
        bridge.start()
        assert client.ask(request).text == "2.04"
        got.wait_count(2)


@tap.case("a device that reboots and uses its message ids again loses nothing, also after a SIGKILL")
def reboot():
    port = free_port()
    with Linkspan(_listener("reboot", port)) as bridge, Subscriber(shared_mosquitto().port, "reboot/#") as got:
        sent = []
        with coap.Client(port, first_mid=100) as client:
            for boot in range(4):
                client.mid = 100
                if boot == 2:
                    bridge.kill()
                    bridge.start()
                for n in range(10):
                    sent.append(b"%d of boot %d" % (n, boot))
                    # Some devices count their tokens as well.
                    request = client.request("PUT", "/in/x", sent[-1], token=b"%d" % n)
                    assert client.ask(request).text == "2.04"
                    assert client.ask(request).text == "2.04", "known again"
        got.wait_for(lambda ms: {m.payload for m in ms} == set(sent), "all")
        assert [m.payload for m in got.messages] == sent
        status = bridge.fresh(connection="api")
        assert int(status["ids_used_again"]) >= 10 and int(status["repeated"]) >= 20, status


@tap.case("what is not taken is told so: 4.04, 4.05, 4.02, 4.00, 4.13 with Size1, 4.08; the rest goes on")
def refusals():
    port = free_port()
    value = yaml.mapping("value", {"connection": "b", "topic": "refused-value"}, {"connection": "api", "path": "/value"})
    with Linkspan(_listener("refused", port, value, limits={"max_body": "1KiB"})) as bridge, coap.Client(port) as client:
        def asked(method, target, payload=b"", options=()):
            return client.ask(client.request(method, target, payload, options=options))

        def code(*arguments, **options):
            return asked(*arguments, **options).text
        assert code("PUT", "/other", b"x") == "4.04"
        assert code("GET", "/nowhere") == "4.04"
        assert code("GET", "/in/x") in ("4.04", "4.05")
        assert code("DELETE", "/in/x") == "4.05"
        assert code("FETCH", "/in/x", b"x") == "4.05"
        assert code("PUT", "/value", b"x") in ("4.04", "4.05")
        # Critical options that are not understood (RFC 7252 §5.4.1), and a condition that does not hold.
        for option, wanted in (((9999, b"x"), "4.02"), (("If-Match", b"x"), "4.12"), (("Proxy-Uri", "coap://a/b"), "5.05")):
            refused = code("PUT", "/in/x", b"x", [option])
            assert refused == wanted, (option, refused)
        assert code("PUT", "/in/x", b"x", [(9998, b"elective")]) == "2.04"
        for wrong in (["in", ".."], ["in", "."], ["in", "a/b"], ["in", "a\0b"], ["in", b"\xff\xfe"], ["in", "+"], ["in", "#"]):
            refused = client.ask(coap.Message(CON, "PUT", client.next_mid(), b"w", [("Uri-Path", part) for part in wrong], b"x"))
            assert refused.text in ("4.00", "4.02"), (wrong, refused)
        for options in ((), [("Size1", 2000), ("Block1", coap.block(0, True, 64))]):
            too_large = asked("PUT", "/in/x", b"x" * (64 if options else 1100), options)
            assert too_large.text == "4.13" and too_large.value("Size1") == 1024, too_large
        blocks = _in_blocks(client, "/in/x", b"y" * 2000, 256)
        codes = [client.ask(request).text for request in blocks[:6]]
        assert "4.13" in codes and set(codes[:codes.index("4.13")]) <= {"2.31"}, codes
        assert code("PUT", "/in/x", b"z" * 16, [("Block1", coap.block(3, True, 16))]) == "4.08"
        assert code("PUT", "/in/x", b"z" * 1000) == "2.04"
        assert _taken(bridge) == 2
        assert client.ask(coap.Message(CON, 0, client.next_mid())).kind == RST


@tap.case("two bodies of one device at the same time, told apart by Request-Tag; a repeated block is taken once")
def request_tags():
    port = free_port()
    with Linkspan(_listener("tags", port)) as bridge, Subscriber(shared_mosquitto().port, "tags/#") as got, \
            coap.Client(port) as client:
        one, two = BODY, BODY[::-1]
        for a, b in zip(_in_blocks(client, "/in/x", one, 64, b"1"), _in_blocks(client, "/in/x", two, 64, b"2")):
            for request in (a, a, b):
                assert client.ask(request).text in ("2.31", "2.04")
            again_with_new_id = coap.Message(CON, a.code, client.next_mid(), a.token, a.options, a.payload)
            if a.block("Block1").more:
                assert client.ask(again_with_new_id).text == "2.31", "the same block in another message"
        got.wait_count(2)
        assert {m.payload for m in got.messages} == {one, two}
        assert _taken(bridge) == 2


@tap.case("a late copy of a block of an older body changes nothing of the one that is under way")
def late_blocks():
    port = free_port()
    with Linkspan(_listener("late", port)), Subscriber(shared_mosquitto().port, "late/#") as got, coap.Client(port) as client:
        old = _in_blocks(client, "/in/x", b"A" * 192, 64)
        assert [client.ask(request).text for request in old] == ["2.31", "2.31", "2.04"]
        new = _in_blocks(client, "/in/x", b"b" * 192, 64)
        assert client.ask(new[0]).text == "2.31"
        for late in (old[0], new[0]):
            assert client.ask(late).text == "2.31"
        assert client.ask(new[1]).text == "2.31"
        for late in (old[2], new[0]):
            assert client.ask(late).text in ("2.31", "2.04")
        assert client.ask(new[2]).text == "2.04"
        # Nor does one that was refused, because its body was not there, end the body that is sent anew.
        last = _in_blocks(client, "/in/x", b"c" * 192, 64)
        assert client.ask(last[2]).text == "4.08"
        anew = _in_blocks(client, "/in/x", b"c" * 192, 64)
        assert [client.ask(request).text for request in anew[:2]] == ["2.31", "2.31"]
        assert client.ask(last[2]).text == "4.08"
        assert client.ask(anew[2]).text == "2.04"
        got.wait_count(3)
        assert [m.payload for m in got.messages] == [b"A" * 192, b"b" * 192, b"c" * 192]


@tap.case("a full outbox with block: requests wait for room, acknowledged after a second; beyond that 5.03 with Max-Age, which a late copy "
          "gets as well when there is room again")
def full():
    port, broker = free_port(), own_mosquitto()
    with broker, Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"], limits={"busy_timeout": "3s", "max_waiting": 3}),
             yaml.mqtt("b", broker.port, outbox={"max_messages": 5})],
            [yaml.mapping("in", {"connection": "api", "topic": "/in"}, {"connection": "b", "topic": "full"})])) as bridge, \
            Subscriber(broker.port, "full") as got, coap.Client(port) as client:
        broker.freeze()
        taken = 0
        while taken < 5:
            assert client.ask(client.request("PUT", "/in", b"%d" % taken)).text == "2.04"
            taken += 1
        waiting = [coap.Client(port) for _ in range(3)]
        for n, one in enumerate(waiting):
            one.waits = one.send(one.request("PUT", "/in", b"waits %d" % n))
        bridge.wait_status(lambda s: s["waiting_requests"] == 3, "three to wait", connection="api")
        no = client.request("PUT", "/in", b"no")
        answer = client.ask(no)
        assert answer.text == "5.03" and answer.value("Max-Age") >= 1, answer
        first = waiting[0]
        assert first.expect(lambda m: m.mid == first.waits.mid, "an empty ACK").code == 0
        refused = first.expect(lambda m: m.token == first.waits.token, "5.03 after busy_timeout")
        assert (refused.kind, refused.text) == (CON, "5.03"), refused
        first.send(coap.Message(ACK, 0, refused.mid))
        broker.thaw()
        until(lambda: client.ask(client.request("PUT", "/in", b"again")).text == "2.04", "room")
        # Who was refused sends it anew. Copies that the network has kept, taken as well, would be there beside it.
        for one, request in ((client, no), (first, first.waits)):
            late = one.ask(request)
            assert late.text == "5.03" and late.value("Max-Age") >= 1, late
        assert client.ask(client.request("PUT", "/in", b"last")).text == "2.04"
        got.wait_for(lambda ms: b"last" in [m.payload for m in ms], "all")
        assert not {b"no", first.waits.payload} & {m.payload for m in got.messages}
        for one in waiting:
            one.close()


@tap.case("too many requests of one device: 4.29 with Max-Age, others are served")
def rate():
    port = free_port()
    with Linkspan(_listener("rate", port, limits={"rate": 1, "rate_burst": 5})), coap.Client(port) as client, \
            coap.Client(port) as other:
        first = client.request("PUT", "/in/x", b"first")
        assert client.ask(first).text == "2.04"
        codes = ["2.04", *(client.ask(client.request("PUT", "/in/x", b"x")).text for _ in range(7))]
        assert codes[:5] == ["2.04"] * 5 and "4.29" in codes[5:], codes
        limited = next(m for m in client.seen if m.text == "4.29")
        assert limited.value("Max-Age") >= 1, limited
        # Its answer had got lost, say: who is told to come later sends it as a new one, and then it is there twice.
        assert client.ask(first).text == "2.04"
        assert other.ask(other.request("PUT", "/in/x", b"y")).text in ("2.04", "4.29")


@tap.case("values: over a kill with the same ETag; expired they are gone; Max-Age is what remains; large ones in blocks")
def values():
    port = free_port()
    mapping = yaml.mapping("value", {"connection": "b", "topic": "coap-values/{a}"}, {"connection": "api", "path": "/value/{a}"})
    with Linkspan(_listener("values", port, mapping, max_age="90s")) as bridge, coap.Client(port) as client, \
            Publisher(shared_mosquitto().port) as out:
        def get(path, *options):
            return client.ask(client.request("GET", path, options=options))
        assert get("/value/1").text == "4.04"
        out.publish("coap-values/1", b"21.5")
        until(lambda: get("/value/1").payload == b"21.5", "the value")
        assert get("/value/1").value("Max-Age") == 90 and get("/value/1").values("Content-Format") == [], get("/value/1")
        for accept, wanted in ((0, "2.05"), (42, "2.05"), (50, "4.06")):
            accepted = get("/value/1", ("Accept", accept))
            assert accepted.text == wanted and accepted.value("Content-Format") == (accept if wanted == "2.05" else None), accepted
        etag = get("/value/1").value("ETag")
        bridge.kill()
        bridge.start()
        assert get("/value/1").value("ETag") == etag and get("/value/1", ("ETag", etag)).text == "2.03"
        out.publish("coap-values/2", b"short", properties=publish_properties(expiry_s=3))
        until(lambda: get("/value/2").payload == b"short", "the value that expires")
        assert get("/value/2").value("Max-Age") <= 3
        until(lambda: get("/value/2").text == "4.04", "its end")
        assert get("/value").text == "4.04"
        out.publish("coap-values/3", b"\xff is no text")
        until(lambda: get("/value/3").text == "2.05", "a value that is no text")
        assert get("/value/3", ("Accept", 0)).text == "4.06" and get("/value/3", ("Accept", 42)).text == "2.05"


@tap.case("a client that acknowledges pings, as go-coap does, is as good as one that resets them: it observes on and on")
def acknowledged_pings():
    port = free_port()
    mapping = yaml.mapping("value", {"connection": "b", "topic": "coap-acked/{a}"}, {"connection": "api", "path": "/value/{a}"})
    with Linkspan(_listener("acked", port, mapping)) as bridge, coap.Client(port, pong=ACK) as client, \
            coap.Client(port) as other, Publisher(shared_mosquitto().port) as out:
        out.publish("coap-acked/1", b"0")
        until(lambda: other.ask(other.request("GET", "/value/1")).text == "2.05", "the value")
        observing = client.request("GET", "/value/1", options=[("Observe", 0)])
        assert client.ask(observing).value("Observe") is not None
        for n in range(1, 31):
            out.publish("coap-acked/1", b"%d" % n)
            told = client.expect(lambda m, n=n: m.token == observing.token and m.payload == b"%d" % n, f"notification {n}")
            if told.kind == CON:
                client.send(coap.Message(ACK, 0, told.mid))
        assert client.pings > 1, "it is asked now and then"
        assert int(bridge.fresh(connection="api")["observers"]) == 1


@tap.case("No-Response (RFC 7967): who wants no success is acknowledged once it is durable; a 5.03 is no acknowledgement")
def no_response():
    port, broker = free_port(), own_mosquitto()
    no_success, nothing = ("No-Response", 2), ("No-Response", 26)
    with broker, Linkspan(yaml.configuration(
            [yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"], limits={"busy_timeout": "2s"}),
             yaml.mqtt("b", broker.port, outbox={"max_messages": 2})],
            [yaml.mapping("in", {"connection": "api", "topic": "/in"}, {"connection": "b", "topic": "unanswered", "qos": 1})])) as bridge, \
            coap.Client(port) as client:
        broker.freeze()
        taken = client.send(client.request("PUT", "/in", b"1", options=[no_success]))
        answer = client.expect(lambda m: m.mid == taken.mid, "an acknowledgement")
        assert (answer.kind, answer.code) == (ACK, 0) and _taken(bridge) == 1, answer
        client.send(client.request("PUT", "/in", b"2", kind=NON, options=[no_success]))
        until(lambda: _taken(bridge) == 2, "the second, of which nothing is said")
        assert client.ask(client.request("PUT", "/nowhere", b"x", options=[no_success])).text == "4.04"
        before = len(client.seen)
        client.send(client.request("PUT", "/in", b"3", options=[nothing]))
        bridge.wait_status(lambda s: s["waiting_requests"] == 1, "it to wait for room", connection="api")
        bridge.wait_status(lambda s: s["waiting_requests"] == 0, "it to be given up", connection="api")
        assert client.ask(client.request("GET", "/nowhere")).text == "4.04"
        assert len(client.seen) == before + 1, f"it has been told something: {client.seen[before:]}"
        assert _taken(bridge) == 2


@tap.case("the list shows what a client may use; to nobody in particular all else is 4.01, and says nothing")
def listed():
    port = free_port()
    mapping = yaml.mapping("value", {"connection": "b", "topic": "coap-listed/{a}/{b}"},
                           {"connection": "api", "path": "/{a}/{b}", "rt": "{a}"})
    hidden = yaml.mapping("hidden", {"connection": "api", "topic": "/hidden"}, {"connection": "b", "topic": "hidden"})
    shown = yaml.mapping("shown", {"connection": "api", "topic": "/writable"}, {"connection": "b", "topic": "shown"})
    with Linkspan(_listener("listed", port, mapping, hidden, shown, allow={'"*"': "read:/open/# write:/writable"})), \
            coap.Client(port) as client, Publisher(shared_mosquitto().port) as out:
        def get(path):
            return client.ask(client.request("GET", path))
        out.publish("coap-listed/secret/1", b"x")
        out.publish("coap-listed/open/1", b"y")
        until(lambda: get("/open/1").payload == b"y", "the value")
        assert get("/secret/1").text == "4.01" and get("/secret/nothing").text == "4.01"
        assert get("/.well-known/core").payload.split(b",") == [b'</open/1>;rt="open";obs', b"</writable>"], get("/.well-known/core")
        assert get("/.well-known/core?rt=secret").payload == b""
        assert client.ask(client.request("PUT", "/hidden", b"x")).text == "4.01"
        assert client.ask(client.request("PUT", "/open/1", b"x")).text == "4.01"
        assert client.ask(client.request("PUT", "/writable", b"x")).text == "2.04"


@tap.case("multicast: a group is answered about /.well-known/core alone, never with an error or an empty list (RFC 7252 §8.2)")
def multicast():
    port, group = free_port(), "224.0.1.187"
    mapping = yaml.mapping("value", {"connection": "b", "topic": "coap-group/{a}"}, {"connection": "api", "path": "/value/{a}"})
    config = _listener("group", port, mapping, host="0.0.0.0", public=True, multicast=[group + "%lo"])
    with Linkspan(config) as bridge, coap.Client(port) as client, Publisher(shared_mosquitto().port) as out, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        out.publish("coap-group/1", b"x")
        until(lambda: client.ask(client.request("GET", "/value/1")).payload == b"x", "the value")
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        asking.settimeout(30)

        def ask(method, path, *options):
            request = client.request(method, path, b"" if method == "GET" else b"x", kind=NON, options=options)
            asking.sendto(request.encode(), (group, port))
            return request.token
        unanswered = [ask("GET", "/value/1"), ask("GET", "/nowhere"), ask("PUT", "/in/x"), ask("GET", "/.well-known/core?rt=none"),
                      ask("GET", "/.well-known/core", (9999, b"x")), ask("GET", "/.well-known/core", ("Accept", 50)),
                      ask("GET", "/.well-known/core", ("Block2", coap.block(9, False, 64))), ask("FETCH", "/.well-known/core"),
                      ask("DELETE", "/in/x"), ask("GET", "/.well-known/core", ("Proxy-Uri", "coap://a/b"))]
        wanted = ask("GET", "/.well-known/core?href=/value/1")
        answer = coap.decode(asking.recv(1 << 16))
        assert answer.token == wanted and answer.token not in unanswered, answer
        assert answer.text == "2.05" and answer.payload == b"</value/1>;obs", answer
        assert _taken(bridge) == 0


@tap.case("multicast: nobody is asked for a sign of life, or answered, before a time of its own; what is malformed gets no RST (§8.1)")
def multicast_leisure():
    port, group = free_port(), "224.0.1.187"
    config = _listener("leisure", port, source={"topic": [f"/in/a-path-that-is-long-enough-{n:03}" for n in range(30)]},
                       target={"topic": "leisure"}, host="0.0.0.0", public=True, multicast=[group + "%lo"])
    with Linkspan(config), coap.Client(port) as client, ExitStack() as stack:
        asking = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(8)]
        # From now on it knows that its list is too long to be given to who may be anybody.
        assert client.ask(client.request("GET", "/.well-known/core")).text == "2.05"
        malformed = client.request("GET", "/.well-known/core", kind=NON).encode() + b"\xf1"  # an option with delta 15
        for one in asking:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            one.sendto(malformed, (group, port))
            one.sendto(client.request("GET", "/.well-known/core", kind=NON).encode(), (group, port))
        assert client.ask(client.request("GET", "/in/nothing")).text in ("4.04", "4.05")
        told = select.select(asking, [], [], 0)[0]
        assert len(told) < len(asking), "all at once"
        for one in asking:
            one.settimeout(30)
            pings = 0
            while True:
                data, address = one.recvfrom(1 << 16)
                answer = coap.decode(data)
                if (answer.kind, answer.text) != (CON, "0.00"):
                    break
                pings += 1
                one.sendto(coap.Message(RST, 0, answer.mid).encode(), address)
            assert pings and answer.text == "2.05" and b"</in/a-path-that-is-long-enough-000>" in answer.payload, answer


@tap.case("multicast: an address that answers nothing gets at most three times what came from there, however often it asks")
def multicast_amplification():
    port, group = free_port(), "224.0.1.187"
    config = _listener("forged", port, source={"topic": [f"/in/a-path-that-is-long-enough-{n:03}" for n in range(10)]},
                       target={"topic": "forged"}, host="0.0.0.0", public=True, multicast=[group + "%lo"])
    with Linkspan(config) as bridge, coap.Client(port) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forged:
        forged.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sent = sum(forged.sendto(client.request("GET", "/.well-known/core", kind=NON).encode(), (group, port)) for _ in range(60))
        came = []

        def settled():
            while select.select([forged], [], [], 0.5)[0]:
                came.append(forged.recv(1 << 16))
                received = sum(map(len, came))
                assert received <= 3 * sent, f"{received} bytes for {sent}"
            answers = sum(coap.decode(data).text == "2.05" for data in came)
            return answers and answers + int(bridge.fresh(connection="api")["waiting_requests"]) >= 60
        until(settled, "each request to be answered, or to wait for its peer")


@tap.case("the shortest request that waits for a ping is worth one, and is answered after it")
def short():
    port = free_port()
    mapping = yaml.mapping("value", {"connection": "b", "topic": "coap-short/{a}"}, {"connection": "api", "path": "/{a}"})
    with Linkspan(_listener("short", port, mapping)), Publisher(shared_mosquitto().port) as out:
        out.publish("coap-short/t", b"1")
        with coap.Client(port) as client:
            until(lambda: client.ask(client.request("GET", "/t")).payload == b"1", "the value")
        for token in (b"", b"a", b"abcd"):
            with coap.Client(port) as client:
                request = client.send(client.request("GET", "/t", kind=NON, token=token, options=[("Observe", 0)]))
                answer = client.expect(lambda m, r=request: m.token == r.token and m.text == "2.05", "the value")
                assert client.pings and answer.value("Observe") is not None, answer


@tap.case("an IPv6 address, and many peers at the same time")
def many():
    port = free_port()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            raise tap.Skip("no IPv6 here") from error
    with Linkspan(_listener("many", port, host="[::1]")) as bridge:
        clients = [coap.Client(port, "::1") for _ in range(200)]
        for client in clients:
            client.waits = client.send(client.request("PUT", "/in/x", b"x"))
        for client in clients:
            answer = client.expect(lambda m, c=client: m.token == c.waits.token, "2.04")
            assert answer.text == "2.04"
            client.close()
        assert _taken(bridge) == 200
        assert not bridge.held_up()


if __name__ == "__main__":
    tap.main()
