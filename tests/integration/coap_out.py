#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CoAP out, datagram by datagram, to a device that the test plays: confirmable requests and their repetition, responses in all their
forms, blocks, outcomes, what a SIGKILL repeats; and resources that are watched (RFC 7641), with the test descriptions of ETSI's
Plugtests that concern clients, under their numbers."""
import json
import resource
import select
import socket

import _path  # noqa: F401  pylint: disable=unused-import
from rig import coap, coap_stream, tap, yaml
from rig.coap import ACK, CON, NON, RST
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.wait import until

BODY = bytes(ord("a") + n % 26 for n in range(300))


def _sender(name, port, *extra, target=None, source=None, others=(), **keys):
    """NAME/{a} → PUT /dev/{a}"""
    return yaml.configuration(
        [yaml.coap("device", url=f"coap://127.0.0.1:{port}", **{"transmission": {"ack_timeout": "1s"},
                                                                "outbox": {"backoff_max": "200ms"}, **keys}),
         yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-{name}"), *others],
        [yaml.mapping("out", {"connection": "b", "topic": f"{name}/{{a}}", "qos": 1, **(source or {})},
                      {"connection": "device", "path": "/dev/{a}", **(target or {})}), *extra])


def _delivered(bridge, n):
    bridge.wait_status(lambda s: s["delivered"] == n and s["waiting"] == 0, f"{n} delivered", destination="device")


class Plan:
    """A device, linkspan that writes to it, a publisher."""

    def __init__(self, name, *extra, **keys):
        self.name, self.device = name, coap.Server()
        self.bridge = Linkspan(_sender(name, self.device.port, *extra, **keys))
        self.out = Publisher(shared_mosquitto().port)

    def publish(self, payload, key="x", **options):
        self.out.publish(f"{self.name}/{key}", payload, **options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.out.close()
        self.bridge.__exit__(kind, *rest)
        self.device.close()


@tap.case("TD_COAP_CORE_03 as a client: PUT, confirmable, with path, query, content format and a token; and CORE_15: repeated until "
          "it is acknowledged, with the same id")
def con():
    with Plan("out-con", target={"path": "/dev/{a}/%C3%BC%20?by=linkspan&n=1"}) as plan:
        plan.publish(b'{"t": 1}', properties=publish_properties(content_type="application/json"))
        first, _ = plan.device.request()
        assert first.kind == CON and first.code == coap.METHODS["PUT"] and first.token, first
        assert first.values("Uri-Path") == [b"dev", b"x", "ü ".encode()] and first.values("Uri-Query") == [b"by=linkspan", b"n=1"]
        assert first.value("Content-Format") == 50 and first.payload == b'{"t": 1}', first
        second, address = plan.device.request("the same again")
        assert second.encode() == first.encode()
        plan.device.answer(second, address, "2.04")
        _delivered(plan.bridge, 1)
        found = plan.device.quiet(2.5)
        assert not found, found


@tap.case("TD_COAP_CORE_07 as a client: what was QoS 0 goes by NON, once, and is delivered when it is sent")
def non():
    with Plan("out-non", source={"qos": 0}) as plan:
        plan.publish(b"x", qos=0)
        request, _ = plan.device.request()
        assert request.kind == NON and request.code == coap.METHODS["PUT"], request
        _delivered(plan.bridge, 1)
        assert not plan.device.quiet(2)


@tap.case("TD_COAP_CORE_09 as a client: a separate response, with and without an empty ACK, confirmable and not, and repeated")
def separate():
    with Plan("out-separate") as plan:
        device = plan.device
        for n, (acknowledge, kind) in enumerate(((True, CON), (False, CON), (True, NON), (False, NON)), 1):
            plan.publish(b"%d" % n)
            request, address = device.request()
            assert request.payload == b"%d" % n, request
            if acknowledge:
                device.send(coap.Message(ACK, 0, request.mid), address)
                assert not device.quiet(2), "again, though it was acknowledged"
            response = device.respond(request, address, "2.04", kind=kind)
            if kind == CON:
                for _ in range(2):
                    device.expect(lambda m, r=response: m.kind == ACK and m.code == 0 and m.mid == r.mid, "an ACK of the response")
                    device.send(response, address)
            _delivered(plan.bridge, n)


@tap.case("a response over TCP after one over UDP that came twice is no repetition of it")
def streams():
    with socket.create_server(("127.0.0.1", 0)) as listening, Plan(
            "out-streams", yaml.mapping("stream", {"connection": "b", "topic": "out-streams-tcp", "qos": 1},
                                        {"connection": "stream", "path": "/x"}),
            others=[yaml.coap("stream", url=f"coap+tcp://127.0.0.1:{listening.getsockname()[1]}", timeout="8s")]) as plan:
        plan.publish(b"x")
        request, address = plan.device.request()
        plan.device.send(coap.Message(ACK, 0, request.mid), address)
        response = plan.device.respond(request, address, "2.04", kind=CON)
        for _ in range(2):
            plan.device.expect(lambda m: m.kind == ACK and m.code == 0 and m.mid == response.mid, "an ACK of the response")
            plan.device.send(response, address)
        _delivered(plan.bridge, 1)
        plan.out.publish("out-streams-tcp", b"y")
        listening.settimeout(30)
        stream = listening.accept()[0]
        with stream:
            stream.settimeout(30)
            stream.sendall(coap_stream.CSM)
            code, token = 0, b""
            while code != coap.METHODS["PUT"]:
                code, token = coap_stream.receive(stream.recv)
            stream.sendall(coap_stream.encode(coap.Message(NON, "2.04", 0, token)))
            # Or it is asked for once more, over another connection.
            until(lambda: plan.bridge.fresh("totals", destination="stream")["delivered"] == "1" or
                  select.select([listening], [], [], 0)[0], "an end")
            assert not select.select([listening], [], [], 0)[0], "again"


@tap.case("responses that are none of ours: another token, another id, an unknown answer by CON is reset; the right one counts")
def strangers():
    with Plan("out-strangers") as plan:
        plan.publish(b"x")
        request, address = plan.device.request()
        plan.device.send(coap.Message(ACK, "2.04", (request.mid + 1) & 0xffff, request.token), address)
        stranger = coap.Message(CON, "2.05", plan.device.next_mid(), b"another")
        for _ in range(2):
            plan.device.send(stranger, address)
            answer, _ = plan.device.expect(lambda m: m.kind in (ACK, RST) and m.mid == stranger.mid, "RST to what nobody asked")
            assert answer.kind == RST, "acknowledged when it came again"
        again, address = plan.device.request("the same again")
        assert again.mid == request.mid
        assert int(plan.bridge.fresh("totals", destination="device")["delivered"]) == 0
        plan.device.answer(again, address, "2.04")
        _delivered(plan.bridge, 1)


@tap.case("messages that name more devices than there are descriptors for take half of them, and all devices have their turn")
def descriptors():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as devices, Plan(
            "out-many", allow_private=True, source={"qos": 0},
            target={"path": "", "url": "coap://127.1.0.{a}:%d/x" % _bind_all(devices)}) as plan:
        files = plan.bridge.open_files()
        limit = 5 * files
        hard = resource.prlimit(plan.bridge.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(plan.bridge.pid, resource.RLIMIT_NOFILE, (limit, hard))
        seen = set()
        for n in range(1, 150):
            plan.publish(b"%d" % n, key=str(n), qos=0)
        devices.settimeout(60)
        while len(seen) < 149:
            seen.add(devices.recv(2000)[-3:])
            assert plan.bridge.open_files() < limit - files // 2, (plan.bridge.open_files(), files)


def _bind_all(made):
    """A device at each address of the loopback net, that takes what comes and says nothing; its port."""
    made.bind(("0.0.0.0", 0))
    return made.getsockname()[1]


@tap.case("outcomes: refused ones become dead letters, RST and 5.00 and 4.29 and 5.03 come again, in order; the others go on")
def outcomes():
    with Plan("out-outcomes") as plan:
        device, refused = plan.device, ("4.00", "4.02", "4.04", "4.05", "4.06", "4.13", "4.15")
        for code in refused:
            plan.publish(code.encode())
            request, address = device.request()
            assert request.payload == code.encode(), request
            device.answer(request, address, code)
        until(lambda: int(plan.bridge.fresh("totals", destination="device")["dead_lettered"]) == len(refused), "dead letters")
        plan.publish(b"again")
        plan.publish(b"behind it")
        mids = []
        for code in ("RST", "5.00", "4.29", "5.03", "4.08"):
            request, address = device.request(f"what gets {code}")
            assert request.payload == b"again", request
            mids.append(request.mid)
            if code == "RST":
                device.send(coap.Message(RST, 0, request.mid), address)
            else:
                device.answer(request, address, code, options=[("Max-Age", 1)])
        assert len(set(mids)) == len(mids), "an attempt is a request of its own"
        for wanted in (b"again", b"behind it"):
            request, address = device.request()
            assert request.payload == wanted, request
            device.answer(request, address, "2.01", options=[("Location-Path", "a")])
        _delivered(plan.bridge, 2)


@tap.case("TD_COAP_BLOCK_03 as a client: a large body in blocks, smaller ones when the device asks; what got lost begins anew")
def block1():
    with Plan("out-block1", block_size=64) as plan:
        device, body, size = plan.device, bytearray(), 64
        plan.publish(BODY)
        while True:
            request, address = device.request("a block")
            block = request.block("Block1")
            assert block.size == size and block.number * size == len(body), (request, len(body))
            body += request.payload
            assert len(request.payload) == size or not block.more, request
            if not block.more:
                device.answer(request, address, "2.04", options=[("Block1", coap.block(block.number, False, size))])
                break
            if len(body) == 64:
                size = 32
            device.answer(request, address, "2.31", options=[("Block1", coap.block(block.number * block.size // size, True, size))])
        assert bytes(body) == BODY
        _delivered(plan.bridge, 1)
        plan.publish(BODY[::-1])
        request, address = device.request()
        device.answer(request, address, "2.31", options=[("Block1", coap.block(0, True, 64))])
        request, address = device.request()
        assert request.block("Block1").number == 1, request
        tags = [request.value("Request-Tag")]
        device.answer(request, address, "4.08")  # the device has rebooted
        request, address = device.request()
        assert request.block("Block1").number == 0 and request.payload == BODY[::-1][:64], request
        # It takes smaller blocks only: another body, for who tells bodies apart by Request-Tag (RFC 9175, section 3).
        tags.append(request.value("Request-Tag"))
        device.answer(request, address, "4.13", options=[("Block1", coap.block(0, False, 32))])
        request, address = device.request()
        assert request.block("Block1") == (0, True, 32) and request.payload == BODY[::-1][:32], request
        tags.append(request.value("Request-Tag"))
        assert None not in tags and len(set(tags)) == 3, tags


@tap.case("TD_COAP_BLOCK_05 as a client: POST in blocks whose response comes in blocks becomes a reply")
def two_way():
    answer = BODY * 5
    with Plan("out-two-way", block_size=128, target={"method": "POST", "reply": {"topic": "answers/two-way"}}) as plan, \
            Subscriber(shared_mosquitto().port, "answers/two-way") as replies:
        plan.publish(BODY)
        while True:
            request, address = plan.device.request("a block")
            block = request.block("Block1")
            option = [("Block1", coap.block(block.number, block.more, block.size))]
            if not block.more:
                break
            plan.device.answer(request, address, "2.31", options=option)
        number, size = 0, 64
        while True:
            part = answer[number * size:(number + 1) * size]
            more = (number + 1) * size < len(answer)
            plan.device.answer(request, address, "2.04", part, [*option, ("Block2", coap.block(number, more, size)),
                                                                ("Content-Format", 42), ("ETag", b"e")])
            if not more:
                break
            request, address = plan.device.request("the next block")
            assert request.code == coap.METHODS["POST"] and request.block("Block2").number == number + 1, request
            number, option = number + 1, []
        replies.wait_count(1)
        assert replies.messages[0].payload == answer
        assert replies.messages[0].properties.ContentType == "application/octet-stream"
        _delivered(plan.bridge, 1)


@tap.case("a response of one message, larger than max_response: its reply is cut, and says so")
def large_response():
    with Plan("out-large", max_response="100B", target={"reply": {"topic": "answers/large"}}) as plan, \
            Subscriber(shared_mosquitto().port, "answers/large") as replies:
        for n, size in enumerate((100, 300), 1):
            plan.publish(b"x")
            request, address = plan.device.request()
            plan.device.answer(request, address, "2.04", BODY[:size])
            replies.wait_count(n)
        whole, cut = replies.messages
        assert whole.payload == cut.payload == BODY[:100], (whole.payload, cut.payload)
        assert dict(cut.properties.UserProperty).get("coap-body-cut") == "true", cut.properties
        assert "coap-body-cut" not in dict(whole.properties.UserProperty)


@tap.case("a device that falls silent in the middle of its response has taken that message, and no other one that waits for it")
def silent_half_way():
    with Plan("out-half-way", target={"method": "POST", "reply": {"topic": "answers/half-way"}},
              transmission={"ack_timeout": "1s", "max_retransmit": 1}) as plan, \
            Subscriber(shared_mosquitto().port, "answers/half-way") as replies:
        plan.publish(b"0", "key-0")
        request, address = plan.device.request()
        plan.device.answer(request, address, "2.04", BODY[:64], [("Block2", coap.block(0, True, 64))])
        replies.wait_count(1)
        for n in range(1, 30):  # it rests now
            plan.publish(b"%d" % n, f"key-{n}")
        assert dict(replies.messages[0].properties.UserProperty).get("coap-body-cut") == "true", replies.messages[0].properties
        came = {request.payload}
        while len(came) < 30:
            request, address = plan.device.request(f"what the device has not taken; {came} was")
            if request.payload and not request.block("Block2"):
                plan.device.answer(request, address, "2.04")
                came.add(request.payload)
        _delivered(plan.bridge, 30)


@tap.case("a SIGKILL before the answer: the message comes again, with another id or token, and in order")
def killed():
    with Plan("out-killed") as plan:
        for n in range(3):
            plan.publish(b"%d" % n)
        request, _ = plan.device.request()
        assert request.payload == b"0"
        plan.out.wait()
        plan.bridge.kill()
        plan.bridge.start()
        came = []
        while not came or came[-1] != b"2":  # the broker may send some of them again, too
            again, address = plan.device.request(f"what was not answered; {came} was")
            plan.device.answer(again, address, "2.04")
            if (again.mid, again.token) != (request.mid, request.token):
                came.append(again.payload)
        assert list(dict.fromkeys(came)) == [b"0", b"1", b"2"], came

        def emptied():
            came = plan.device.receive(0.1)
            if came and came[0].payload:
                plan.device.answer(*came, "2.04")
            return int(plan.bridge.fresh("totals", destination="device")["waiting"]) == 0
        until(emptied, "an empty outbox")


@tap.case("one device that sleeps holds up its own messages alone, with devices that messages name")
def sleeping():
    awake, asleep = coap.Server(), coap.Server()
    with awake, asleep, Plan("out-sleeping", target={"url": "coap://127.0.0.1:{header.port}", "path": "/dev/{a}"}, allow_private=True,
                             concurrency=8, transmission={"ack_timeout": "1s", "max_retransmit": 1}) as plan:
        for n in range(20):
            for device, key in ((asleep, "asleep"), (awake, "awake")):
                plan.publish(b"%d" % n, key, properties=publish_properties([("port", str(device.port))]))
        for n in range(20):
            request, address = awake.request("what the device that is awake gets")
            assert request.payload == b"%d" % n, request
            awake.answer(request, address, "2.04")
        assert {m.payload for m, _ in asleep.seen} <= {b"0"}
        answered = {}

        def wakes_up():
            request, address = asleep.request()
            asleep.answer(request, address, "2.04")
            answered.setdefault(request.payload)
            return len(answered) == 20
        until(wakes_up, "all of it")
        assert list(answered) == [b"%d" % n for n in range(20)], list(answered)


# --- watched resources

def _watcher(name, port, **source):
    return yaml.configuration(
        [yaml.coap("device", url=f"coap://127.0.0.1:{port}", transmission={"ack_timeout": "1s"}),
         yaml.mqtt("b", shared_mosquitto().port, client_id=f"linkspan-{name}")],
        [yaml.mapping("watch", {"connection": "device", "topic": "/obs", **source}, {"connection": "b", "topic": f"watch/{name}"})])


class Watched:
    """A device whose /obs linkspan watches, and what comes of it."""

    def __init__(self, name, **source):
        self.device = coap.Server()
        self.got = Subscriber(shared_mosquitto().port, f"watch/{name}")
        self.bridge = Linkspan(_watcher(name, self.device.port, **source), wait_up=["b"])
        self.registration = self.address = None

    def register(self, payload, number=1, max_age=60, kind=ACK):
        """Waits for the registration and answers it."""
        self.registration, self.address = self.device.request("a registration")
        assert self.registration.code == coap.METHODS["GET"] and self.registration.value("Observe") == 0, self.registration
        self.device.send(coap.Message(kind, "2.05", self.registration.mid if kind == ACK else self.device.next_mid(),
                                      self.registration.token, self._options(number, max_age), payload), self.address)
        return self.registration

    @staticmethod
    def _options(number, max_age, etag=None):
        return [("Observe", number), ("Content-Format", 0), ("Max-Age", max_age), *([("ETag", etag)] if etag else [])]

    def notify(self, payload, number, kind=CON, max_age=60, code="2.05", options=None):
        made = coap.Message(kind, code, self.device.next_mid(), self.registration.token,
                            self._options(number, max_age) if options is None else options, payload)
        self.device.send(made, self.address)
        if kind == CON:
            self.device.expect(lambda m: m.kind == ACK and m.mid == made.mid, "an ACK of a notification")
        return made

    def wait(self, *payloads):
        """Until all of those have come, and nothing else. A kill may repeat one."""
        self.got.wait_for(lambda ms: payloads[-1] in [m.payload for m in ms], f"{payloads[-1]}")
        assert list(dict.fromkeys(m.payload for m in self.got.messages)) == list(payloads), [m.payload for m in self.got.messages]

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.bridge.__exit__(kind, *rest)
        self.got.close()
        self.device.close()


@tap.case("TD_COAP_OBS_01, OBS_02 as a client: notifications, confirmable and not, become messages; a repeated one and an old one do not")
def observe():
    with Watched("observe") as watched:
        watched.register(b"a", 5)
        watched.wait(b"a")
        watched.notify(b"b", 6)
        again = watched.notify(b"c", 8, NON)
        watched.notify(b"old", 7, NON)  # overtaken (RFC 7641 §3.4)
        watched.device.send(again, watched.address)
        watched.notify(b"d", 9)
        watched.wait(b"a", b"b", b"c", b"d")
        # The number starts again after it has reached its end.
        watched.notify(b"e", (1 << 23) + 8)
        watched.notify(b"f", 3)
        watched.wait(b"a", b"b", b"c", b"d", b"e", b"f")
        assert watched.got.messages[0].properties.ContentType.startswith("text/plain"), watched.got.messages[0]


@tap.case("TD_COAP_OBS_04: after Max-Age without a word linkspan registers again, with the same token")
def max_age():
    with Watched("max-age") as watched:
        first = watched.register(b"a", 5, 1)
        second = watched.register(b"b", 1, 60)
        assert second.token == first.token and second.mid != first.mid, (first, second)
        watched.wait(b"a", b"b")
        watched.notify(b"c", 2)
        watched.wait(b"a", b"b", b"c")


@tap.case("TD_COAP_OBS_07, OBS_08 as a client: a notification that is an error ends the observation; linkspan asks again")
def ended():
    with Watched("ended") as watched:
        watched.register(b"a", 5)
        watched.notify(b"", 0, code="4.04", options=[])
        watched.register(b"b", 1)
        watched.notify(b"", 0, code="4.06", options=[])
        watched.register(b"c", 1)
        watched.wait(b"a", b"b", b"c")


@tap.case("TD_COAP_OBS_13 as a client: large notifications, whose rest is fetched; a change meanwhile is not mixed in")
def large_notifications():
    def part(body, n):
        more = (n + 1) * 64 < len(body)
        return body[n * 64:(n + 1) * 64], [("Block2", coap.block(n, more, 64)), ("ETag", body[:2]), ("Content-Format", 0)]
    with Watched("large") as watched:
        def serve(body):
            for n in range(1, (len(body) + 63) // 64):
                request, address = watched.device.request(f"block {n}")
                assert request.block("Block2").number == n, request
                payload, options = part(body, n)
                watched.device.answer(request, address, "2.05", payload, options)
        watched.registration, watched.address = watched.device.request("a registration")
        payload, options = part(BODY, 0)
        watched.device.answer(watched.registration, watched.address, "2.05", payload, [("Observe", 1), *options])
        serve(BODY)
        watched.wait(BODY)
        second, third = b"2" + BODY, b"3" + BODY
        payload, options = part(second, 0)
        watched.notify(payload, 2, options=[("Observe", 2), *options])
        request, address = watched.device.request("block 1")
        payload, options = part(third, 1)  # it has changed
        watched.device.answer(request, address, "2.05", payload, options)
        payload, options = part(third, 0)
        watched.notify(payload, 3, options=[("Observe", 3), *options])
        until(lambda: _serve_any(watched, third, part) or third in [m.payload for m in watched.got.messages], "the third")
        watched.wait(BODY, third)


def _serve_any(watched, body, part):
    came = watched.device.receive(0.1)
    if came and came[0].code == coap.METHODS["GET"]:
        number = came[0].block("Block2").number if came[0].block("Block2") else 0
        payload, options = part(body, number)
        if came[0].value("Observe") == 0:
            options = [("Observe", 9), *options]
        watched.device.answer(came[0], came[1], "2.05", payload, options)


@tap.case("TD_COAP_OBS_12 as a client: a clean stop cancels; a device that does not know the observation is asked again after a SIGKILL")
def cancelled():
    with Watched("cancelled") as watched:
        watched.register(b"a", 5)
        watched.wait(b"a")
        watched.bridge.kill()
        watched.bridge.start(wait_up=["b"])
        watched.register(b"b", 6)
        watched.wait(b"a", b"b")
        watched.bridge.signal(15)
        request, address = watched.device.expect(lambda m: m.value("Observe") == 1 or m.kind == RST, "a cancellation")
        if request.kind != RST:
            assert request.code == coap.METHODS["GET"] and request.token == watched.registration.token, request
            watched.device.answer(request, address, "2.05", b"b")
        assert watched.bridge.wait() == 0


@tap.case("TD_COAP_CORE_21 as a client: a polled resource is asked with its ETag; 2.03 is no message")
def polled():
    with Watched("polled", mode="poll", every="200ms", accept="application/json") as watched:
        device = watched.device
        request, address = device.request()
        assert request.value("Observe") is None and request.value("Accept") == 50 and not request.values("ETag"), request
        device.answer(request, address, "2.05", b"[1]", [("ETag", b"one"), ("Content-Format", 50)])
        for _ in range(3):
            request, address = device.request()
            assert b"one" in request.values("ETag"), request
            device.answer(request, address, "2.03", options=[("ETag", b"one")])
        request, address = device.request()
        device.answer(request, address, "2.05", b"[2]", [("ETag", b"two"), ("Content-Format", 50)])
        for code in ("5.00", "4.04"):
            request, address = device.request()
            device.answer(request, address, code)
        request, address = device.request()
        device.answer(request, address, "2.05", b"[3]", [("Content-Format", 50)])
        watched.wait(b"[1]", b"[2]", b"[3]")
        assert [json.loads(m.payload) for m in watched.got.messages] == [[1], [2], [3]]


if __name__ == "__main__":
    tap.main()
