#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rig's own test, without linkspan: what it starts works, what it breaks is broken, what it checks goes red."""
import http.client
import http.server
import re
import socket
import sys
import threading

from rig import check, coap, coap_receivers, coap_senders, qos2, tap, webhooks
from rig.coap_proxy import LossyProxy
from rig.fixtures import own_kafka, own_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.poster import Posters
from rig.proxy import Proxy
from rig.receiver import Receiver, ReceiverProcess, Request
from rig.wait import TimedOut, free_port, until


def _tally(sent, payloads):
    tally = check.Tally(sent)
    for payload in payloads:
        tally.take(payload)
    return tally.verdict(sent)


@tap.case("the checker sees what was lost, repeated, swapped or never sent")
def checker():
    sent = {"a": 3, "b": 2}
    good = [check.numbered(k, n) for k, n in (("a", 1), ("b", 1), ("a", 2), ("a", 1), ("a", 2), ("a", 3), ("b", 2))]
    verdict = check.judge(sent, good)
    assert not verdict.lost and verdict.repeated == 2 and not verdict.out_of_order
    check.demand(verdict, "good")
    for name, bad in (("lost", good[:-1]), ("swapped", [good[2], *good]), ("stranger", [*good, b"x 1 "]),
                      ("beyond", [*good, check.numbered("a", 4)]), ("not ours", [*good, b"?"])):
        for verdict in (check.judge(sent, bad), _tally(sent, bad)):
            try:
                check.demand(verdict, name)
            except AssertionError:
                continue
            raise RuntimeError(f"not noticed: {name}")
    assert _tally(sent, good).repeated == 2


@tap.case("mosquitto keeps its sessions over a restart; both versions, TLS and password")
def brokers_mqtt():
    with own_mosquitto() as broker:
        for version in (4, 5):
            with Subscriber(broker.port, "a/#", version=version) as got, Publisher(broker.port, version) as out:
                out.publish("a/b", b"\x00\xff")
                got.wait_count(1)
                broker.stop()
                out.publish("a/c", b"")
                broker.start()
                out.wait()
                got.wait_count(2)
                assert [m.payload for m in got.messages] == [b"\x00\xff", b""]
    with own_mosquitto(tls="mutual", password="secret") as broker:
        with Subscriber(broker.tls_port, "#", tls=broker.certificates, login=("edge", "secret")) as got, \
                Publisher(broker.port, login=("edge", "secret")) as out:
            out.publish("x", b"1")
            got.wait_count(1)


@tap.case("Kafka keeps its records over a restart and a kill")
def broker_kafka():
    from confluent_kafka import Producer
    with own_kafka() as kafka:
        kafka.create_topic("t", partitions=2)
        with kafka.reader("t") as reader:
            producer = Producer({"bootstrap.servers": kafka.brokers, "log_level": 0, "enable.idempotence": True,
                                 "compression.type": "zstd", "reconnect.backoff.max.ms": 200})
            producer.produce("t", b"v\x001", b"k", headers=[("h", b"\xff")])
            producer.flush(30)
            first = reader.wait_count(1)[0]
            assert (first.key, first.value, first.headers) == (b"k", b"v\x001", [("h", b"\xff")])
            kafka.stop()
            kafka.start()
            kafka.kill()
            kafka.start()
            producer.produce("t", b"v2", b"k")
            producer.flush(30)
            reader.wait_count(2)
            assert len(reader.drain()) == 2


class Echo:
    """Answers each byte with itself."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self._echo, args=(peer,), daemon=True).start()

    @staticmethod
    def _echo(peer):
        try:
            while data := peer.recv(4096):
                peer.sendall(data)
            peer.close()
        except OSError:
            pass


def _dial(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def _silent(client):
    client.settimeout(0.3)
    try:
        return client.recv(1) is None
    except socket.timeout:
        return True
    finally:
        client.settimeout(60)


@tap.case("the proxy forwards, swallows, stalls, cuts and refuses")
def proxy():
    with Proxy(Echo().port) as link:
        old = _dial(link)
        old.sendall(b"1")
        assert old.recv(1) == b"1"
        link.stall()
        old.sendall(b"2")
        assert _silent(old)
        link.forward()
        assert old.recv(1) == b"2"  # stalled, not lost
        link.swallow()
        old.sendall(b"3")
        assert _silent(old)
        link.forward()
        old.sendall(b"4")
        assert _silent(old)  # what was cut stays cut
        new = _dial(link)
        new.sendall(b"5")
        assert new.recv(1) == b"5"
        link.down()
        try:
            new.recv(1)
            raise RuntimeError("no RST")
        except ConnectionResetError:
            pass
        try:
            _dial(link)
            raise RuntimeError("not refused")
        except ConnectionRefusedError:
            pass
        link.forward()
        again = _dial(link)
        again.sendall(b"6")
        assert again.recv(1) == b"6"


@tap.case("the proxy flaps")
def flapping():
    with Proxy(Echo().port) as link:
        link.flap(0.05)
        seen = {"refused": 0, "served": 0}

        def probe():
            try:
                with _dial(link) as client:
                    client.sendall(b"x")
                    seen["served"] += client.recv(1) == b"x"
            except OSError:
                seen["refused"] += 1
            return seen["refused"] > 3 and seen["served"] > 3
        until(probe, "both faces of a flapping link")
        link.flap_stop()
        with _dial(link) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"


class Forgetful(qos2.Subscriber):
    """Forgets once what it has taken, and with that takes it again."""
    forgot = False

    def _on_publish(self, topic, packet_id, payload, first):
        super()._on_publish(topic, packet_id, payload, first)
        if not self.forgot:
            self.forgot = True
            self._open.clear()
            raise ConnectionError("before the PUBREC")


class Careless(qos2.Publisher):
    """Takes once PUBREC for the end of it."""
    forgot = False

    def _on_pubrec(self, packet_id, reason):
        if not self.forgot:
            self.forgot = True
            del self._flights[packet_id]
            raise ConnectionError("before the PUBREL")
        super()._on_pubrec(packet_id, reason)


def _exactly_once(version, publisher, subscriber, done):
    """Messages through a mosquitto that is restarted, over links that are cut; the verdict once done(tally, sent)."""
    tally = check.Tally(["k0", "k1"], 50)
    with own_mosquitto(settings=["autosave_interval 1", "max_inflight_messages 60000"], in_memory=True) as broker, \
            Proxy(broker.port, qos2.settle) as link, \
            subscriber(link.port, "q/#", "in", lambda _topic, payload: tally.take(payload), version) as got, \
            publisher(link.port, "q", "out", version, keys=2, rate=1000, size=50) as out:
        for act in (link.cut, broker.stop, broker.start) * 2 + (link.cut,):
            before = tally.arrived
            until(lambda before=before: tally.arrived > before or not broker.running(), "messages to flow")
            act()
        sent = out.stop()
        until(lambda: done(tally, sent), lambda: f"the end: {tally.verdict(sent)}")
        assert not out.sessions_lost and not got.sessions_lost
        return tally.verdict(sent)


@tap.case("the QoS 2 clients are exact over restarts and cuts; the tally sees it when they are not")
def exactly_once():
    for version in (4, 5):
        verdict = _exactly_once(version, qos2.Publisher, qos2.Subscriber, check.Tally.complete)
        check.demand(verdict, f"version {version}", repeats=False)
        assert verdict.arrived > 10
    verdict = _exactly_once(5, qos2.Publisher, Forgetful, check.Tally.complete)
    assert not verdict.lost and verdict.repeated == 1, verdict
    verdict = _exactly_once(5, Careless, qos2.Subscriber, check.Tally.reached)
    assert len(verdict.lost) == 1 and not verdict.repeated, verdict


def _coap(manners):
    """Devices over a bad link to a server: (verdict, devices, server)."""
    tally = coap_senders.Tally([f"k{n}" for n in range(30)], 150)
    with coap_receivers.Receiver(lambda _path, body: tally.take(body), manners) as server, \
            LossyProxy(server.port, seed=1) as link, \
            coap_senders.Senders(link.port, "/in/{}".format, 30, 400, 150) as devices:
        tally.forgiven = devices.forgiven
        until(lambda: devices.acknowledged > 200 and devices.reboots > 2 and "2.31" in devices.answers or devices.faults,
              lambda: f"answers: {devices.answers}")
        sent = devices.stop()
        until(lambda: tally.complete(sent), lambda: f"lost: {tally.lost(sent)[:5]}")
        tally.forgive_gaps()
        assert not (devices.faults or server.faults or tally.gaps), (devices.faults, server.faults, tally.gaps[:3])
        assert link.lost and link.repeated and link.delayed and devices.acknowledged > 200
        return tally.verdict(sent), devices, server


@tap.case("the CoAP devices are exact over a bad link to a server that knows what comes again; the tally sees one that forgets")
def coap_devices():
    verdict, _, server = _coap({"ok": 90, "separate": 10})
    assert server.repeated_ids, "nothing came again"
    check.demand(verdict, "a server that knows", repeats=False)
    verdict, devices, server = _coap({"ok": 95, "reboot": 5})
    assert not verdict.lost and verdict.repeated and server.reboots, verdict
    tally = coap_senders.Tally(["k0"], 0)
    for seq in (1, 2, 4, 7):
        tally.take(check.numbered("k0", seq))
    tally.forgiven = {("k0", 3), ("k0", 5), ("k0", 9)}
    tally.forgive_gaps()
    assert tally.gaps == [("k0", 5, 7)] and tally.missing() == 1, tally.gaps
    assert tally.lost({"k0": 9}) == [("k0", 6), ("k0", 8)] and not tally.complete({"k0": 9})


@tap.case("CoAP messages as bytes: those of RFC 7252, long options, and what is none")
def coap_codec():
    # RFC 7252, Appendix A, Figure 16 and 17.
    request = coap.Message(coap.CON, "GET", 0x7d34, options=[("Uri-Path", "temperature")])
    assert request.encode() == b"\x40\x01\x7d\x34\xbb" + b"temperature"
    answer = coap.decode(b"\x61\x45\x7d\x35\x20\xff22.3 C")
    assert (answer.kind, answer.text, answer.token, answer.payload) == (coap.ACK, "2.05", b"\x20", b"22.3 C"), answer
    everything = coap.Message(coap.NON, "FETCH", 7, b"12345678", [("Request-Tag", b"x" * 20), ("Block1", coap.block(5, 1, 64)),
                                                                 (65000, b"y" * 300), ("Uri-Query", ""), ("Size1", 70000)], b"z")
    again = coap.decode(everything.encode())
    assert again.encode() == everything.encode() and again.block("Block1") == (5, True, 64) and again.value("Size1") == 70000
    for wrong in (b"", b"\x40\x01\x00", b"\x80\x01\x00\x01", b"\x40\x01\x00\x01\xff", b"\x40\x01\x00\x01\xf0",
                  b"\x40\x01\x00\x01\xb5abc"):
        try:
            coap.decode(wrong)
            raise RuntimeError(f"taken: {wrong}")
        except (ValueError, IndexError):
            pass


@tap.case("a wait that is in vain ends")
def waiting():
    try:
        until(lambda: False, "nothing", timeout=0.05)
    except TimedOut:
        return
    raise RuntimeError("it did not")


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DESTINATION = "msg_abcdefghijklmnopqrstuvwxyz"


def _webhook(seqs, did="ok", **changes):
    """Numbers of one key, with the id that they have; changes: whatever is not as it should be."""
    batch = isinstance(seqs, tuple)
    name = f"{seqs[0]}-{seqs[-1]}" if batch else str(seqs)
    body = b"[" + b",".join(webhooks.numbered_json("k0", seq, 60) for seq in seqs) + b"]" if batch else \
        check.numbered("k0", seqs, 60)
    given = {"id": f"{DESTINATION}.{name}", "body": body, "got_s": 1614265330.5, "secret": SECRET, "target": "/", **changes}
    headers = [("Webhook-Id", given["id"]), ("Idempotency-Key", given.get("key", f'"{given["id"]}"')),
               ("webhook-timestamp", "1614265330"),
               ("webhook-signature", webhooks.signature(given["secret"], given["id"], "1614265330", given["body"]))]
    return Request("POST", given["target"], headers, given["body"], did, given["got_s"])


def _arrivals(requests, batch=None):
    arrivals = webhooks.Arrivals(check.Tally(["k0"], 60), [SECRET], batch)
    for request in requests:
        arrivals.take(request)
    return arrivals


@tap.case("the checker of webhooks sees another id, other bytes, another order, other bounds, a wrong signature")
def webhook_checker():
    assert webhooks.signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}') == \
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "the vector that Standard Webhooks publishes"
    good = [_webhook(1, "500"), _webhook(1, "hang"), _webhook(1), _webhook(2), _webhook(1), _webhook(3, "cut-answer"), _webhook(3)]
    arrivals = _arrivals(good)
    assert not arrivals.wrong and arrivals.arrived == 3 and arrivals.repetitions() == 4, arrivals.wrong
    assert not arrivals.tally.verdict({"k0": 3}).lost
    assert _arrivals(good[:-1]).tally.verdict({"k0": 3}).lost == [("k0", 3)], "said 2xx to what only arrived"
    one = f"{DESTINATION}.1"
    for name, more in (
            ("another id for the same message", [_webhook(1, id=f"{DESTINATION}.7")]),
            ("one id for two messages", [_webhook(2, id=one)]),
            ("other bytes", [_webhook(1, body=check.numbered("k0", 1, 61))]),
            ("another target", [_webhook(1, target="/else")]),
            ("another key", [_webhook(2, key="2")]), ("another destination", [_webhook(2, id=one.replace("a", "b", 1)[:-1] + "2")]),
            ("no such id", [_webhook(2, id="msg_2")]),
            ("a gap", [_webhook(3)]), ("ahead of what failed", [_webhook(2, "500"), _webhook(3)]),
            ("a wrong secret", [_webhook(2, secret="whsec_" + "A" * 32)]), ("an old signature", [_webhook(2, got_s=1614266000)])):
        assert _arrivals([_webhook(1), *more]).wrong, f"not noticed: {name}"
    good = [_webhook((1, 2), "500"), _webhook((1, 2)), _webhook((3,)), _webhook((1, 2)), _webhook((4, 5, 6))]
    arrivals = _arrivals(good, "json-array")
    assert not arrivals.wrong and arrivals.arrived == 6 and arrivals.batches == 3, arrivals.wrong
    for name, more in (("other members", [_webhook((3, 4)), _webhook((4, 5))]), ("a gap", [_webhook((4, 5))]),
                       ("fewer members", [_webhook((3, 4, 5), id=f"{DESTINATION}.3-4")]),
                       ("ahead of what failed", [_webhook((3,), "503"), _webhook((4, 5))])):
        assert _arrivals([_webhook((1, 2)), *more], "json-array").wrong, f"not noticed: {name}"


def _post(link, body=b"hello", **headers):
    link.request("POST", "/a?b=c", body, headers)
    answer = link.getresponse()
    return answer.status, answer.headers, answer.read()


def _is_answered(port):
    """As a whole? http.client takes a head that breaks off for one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        parts = []
        try:
            while part := link.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
    head, end, body = b"".join(parts).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and len(body) >= int(length[1])


@tap.case("the receiver answers, refuses, hangs, breaks off and dies as it is told to")
def receiver():
    words = iter(["ok", "slow", "500", "429-date", "503-seconds", "cut-answer", "half-head", "half-body", "cut-request", "ok"])
    with Receiver(lambda _request: next(words)) as got:
        link = http.client.HTTPConnection("127.0.0.1", got.port, timeout=60)
        statuses = [_post(link)[:2] for _ in range(5)]
        assert [200 <= status < 205 for status, _ in statuses] == [True, True, False, False, False], statuses
        assert statuses[3][1]["Retry-After"].endswith("GMT") and statuses[4][1]["Retry-After"] == "1"
        assert not any(_is_answered(got.port) for _ in range(4))
        link.request("POST", "/chunks", iter([b"a", b"bc"]), encode_chunked=True)
        assert link.getresponse().status < 205
        link.close()
        assert [r.did for r in got.requests] == ["ok", "slow", "500", "429-date", "503-seconds", "cut-answer", "half-head",
                                                 "half-body", "ok"]
        assert got.requests[0].target == "/a?b=c" and got.bodies()[-2:] == [b"hello", b"abc"]
        got.down()
        assert link.sock is None
        try:
            _post(link)
            raise RuntimeError("it is not down")
        except ConnectionRefusedError:
            link.close()
        got.up()
        got.decide = lambda _request: "hang"
        silent = http.client.HTTPConnection("127.0.0.1", got.port, timeout=0.2)
        try:
            _post(silent)
            raise RuntimeError("it was answered")
        except TimeoutError:
            silent.close()
    taken = []
    with ReceiverProcess(taken.append, {"die": 1}) as got:
        link = http.client.HTTPConnection("127.0.0.1", got.port, timeout=60)
        try:
            _post(link)
            raise RuntimeError("it was answered")
        except (OSError, http.client.HTTPException):
            link.close()
        until(lambda: got.deaths == 1 and taken, "it to die and its record")
        got.behave({"ok": 1})
        until(lambda: _post_again(got.port), "an answer")
        until(lambda: len(taken) > 1, "its record")
        assert taken[0].did == "die" and taken[0].body == b"hello" and not got.faults, got.faults


def _post_again(port):
    try:
        return _post(http.client.HTTPConnection("127.0.0.1", port, timeout=60))[0] < 205
    except (OSError, http.client.HTTPException):
        return False


class _Shop(http.server.BaseHTTPRequestHandler):
    """Takes what a Poster sends as linkspan promises to. forgets: keys."""
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # the answer in one packet
    lock, known, taken, forgets = threading.Lock(), {}, [], False

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_POST(self):  # pylint: disable=invalid-name
        expected = int(self.headers.get("Content-Length", 0))
        body = self._body()
        if expected and len(body) < expected:
            self.close_connection = True
            return
        key = (self.headers.get("Idempotency-Key") or self.headers.get("webhook-id") or "").strip('"')
        with self.lock:
            known = self.known.get(key) if not self.forgets else None
            if known is None:
                known = (body, len(self.taken))
                self.known[key] = known
                self.taken.append(body)
        status, text = (202, b'{"id": "%d"}' % known[1]) if known[0] == body else (422, b"{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@tap.case("senders by HTTP repeat with the same key; one that forgets keys gets repetitions")
def poster():
    for forgets in (False, True):
        _Shop.known, _Shop.taken, _Shop.forgets = {}, [], forgets
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
            server.daemon_threads = True
            server.handle_error = lambda *_: None
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            with Posters(server.server_port, lambda key: f"/in/{key}", n_keys=4, rate=2000, size=80, keys=not forgets) as sender:
                until(lambda sender=sender: sender.total > 800, "800 messages")
                sent = sender.stop()
                assert not sender.faults and sender.repetitions, sender.faults
                assert forgets or sender.refused, "never another body with the same key"
            server.shutdown()
        verdict = check.judge(sent, _Shop.taken)
        assert not verdict.lost and not verdict.strangers, verdict
        assert bool(verdict.repeated) == forgets, verdict


if __name__ == "__main__":
    sys.path.insert(0, sys.path[0])
    tap.main()
