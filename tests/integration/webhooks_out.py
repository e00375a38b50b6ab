#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Webhooks out: what a message becomes as a request, and what each answer of the receiver means for the message and for the
destination: retried, held, a dead letter, paused with an alarm, or given up until the configuration changes. Batches, order,
replies, redirects, TLS and what is read again on SIGHUP."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, tap, webhooks, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.process import temp_folder
from rig.receiver import Receiver
from rig.wait import until

SECRET = "whsec_" + base64.b64encode(b"a secret of webhooks_out").decode()
QUICK = {"failures": 100, "min": "10ms", "max": "100ms"}  # a breaker that is not what is tested


def _configuration(name, target, hook, outbox=None, **more):
    keys = {"breaker": QUICK, "outbox": {"backoff_min": "10ms", "backoff_max": "50ms", **(outbox or {})}, **hook}
    return yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, client_id=f"linkspan-{name}"),
         yaml._connection("hook", {"type": "http", **keys})],  # pylint: disable=protected-access
        [yaml.mapping(name, {"connection": "plant", "topic": f"{name}/#", "qos": 1},
                      {"connection": "hook", **target}, max_hops=0, **more)])


@contextmanager
def _scene(name, target, decide=None, answer=None, receiver=None, outbox=None, **hook):
    """(linkspan, receiver). The url is the receiver's unless `hook` names one."""
    receiver = receiver or Receiver(decide, answer)
    with receiver, Linkspan(_configuration(name, target, {"url": receiver.url, **hook}, outbox)) as bridge:
        yield bridge, receiver
        if bridge.running():
            assert bridge.stop() == 0


def _publish(*messages):
    """(topic, payload) or (topic, payload, keywords)."""
    with Publisher(shared_mosquitto().port) as publisher:
        for topic, payload, *more in messages:
            publisher.publish(topic, payload, **(more[0] if more else {}))
        publisher.wait()


def _letters(bridge, n):
    bridge.wait_status(lambda s: s["dead"] >= n, f"{n} dead letters", destination="hook")
    told = subprocess.run([program(), "queue", "export", bridge.data_dir, "hook", "--dead"], capture_output=True, text=True,
                          check=True, timeout=60)
    return [json.loads(line) for line in told.stdout.splitlines()]


def _in_turn(*words):
    """Each word once, then ok."""
    left = list(words)
    return lambda _request: left.pop(0) if left else "ok"


def _done(bridge, came=0):
    """Once that many have come to linkspan (of which a test has no other sign), until none waits."""
    bridge.wait_status(lambda s: s["journalled"] >= came and s["waiting"] == 0, "nothing waiting", destination="hook")


@tap.case("method, path, query, headers and content type come from the message; nothing of it leaves its place")
def templates():
    target = {"path": "/hooks/{topic[1]}?t={topic}&v={.v}", "method": "{.m}",
              "headers": {"x-site": "north", "x-line": "{topic[1]}"}, "content_type": "application/json"}
    with _scene("request", target) as (bridge, hook):
        hostile = "/../?x=1&y#z %\r\nX-Evil: 1"
        _publish(("request/a", json.dumps({"m": "PUT", "v": hostile}).encode(),
                  {"properties": publish_properties(user=[("Room", "12"), ("Content-Length", "7"), ("Cookie", "x")])}),
                 ("request/../b", b'{"m": "POST", "v": 1}'), ("request/c d", b'{"m": "GET", "v": "\xc3\xa9"}'),
                 ("request/d", b'{"m": "EVIL / HTTP/1.1", "v": 1}'))
        hook.wait_count(2)
        requests = {r.method: r for r in hook.requests}
        put = requests["PUT"]
        assert put.target == "/hooks/a?t=request%2Fa&v=%2F..%2F%3Fx%3D1%26y%23z%20%25%0D%0AX-Evil%3A%201", put.target
        assert put.header("x-site") == "north" and put.header("x-line") == "a" and put.header("room") == "12", put.headers
        assert put.header("content-length") == str(len(put.body)) and put.header("cookie") is None, put.headers
        assert put.header("content-type") == "application/json" and put.header("x-evil") is None, put.headers
        assert put.header("expect") is None and put.header("host") == f"127.0.0.1:{hook.port}", put.headers
        assert requests["GET"].target == "/hooks/c%20d?t=request%2Fc%20d&v=%C3%A9", requests["GET"].target
        assert requests["GET"].body == b"" and requests["GET"].header("content-type") is None
        reasons = " ".join(letter["reason"] for letter in _letters(bridge, 2))
        assert "segment . or .." in reasons and "method" in reasons, reasons


@tap.case("a path is optional; the body and its ids are the same at each attempt, and signed anew")
def identity():
    with _scene("identity", {}, _in_turn("500", "cut-answer", "503"), signing_secret=SECRET) as (_, hook):
        _publish(("identity/x", b"\x00\xff as it is"))
        hook.wait_count(1)
        assert len(hook.requests) == 4, hook.requests
        assert {r.target for r in hook.requests} == {"/"} and {r.body for r in hook.requests} == {b"\x00\xff as it is"}
        ids = {r.header("webhook-id") for r in hook.requests}
        assert len(ids) == 1 and re.fullmatch(r"msg_[a-z2-7]{26}\.1", ids.pop()), hook.requests
        for r in hook.requests:
            assert r.header("idempotency-key") == f'"{r.header("webhook-id")}"', r.headers
            assert r.header("webhook-signature") == webhooks.signature(
                SECRET, r.header("webhook-id"), r.header("webhook-timestamp"), r.body), r.headers
            assert r.header("content-type") == "application/octet-stream", r.headers


@tap.case("429 and 503 with Retry-After, seconds and date, are kept by the whole destination, and count as no attempt")
def retry_after():
    for word in ("429-seconds", "503-date", "429-date"):
        name = f"held-{word}"
        with _scene(name, {"path": "/{topic[1]}"}, _in_turn(word), outbox={"max_attempts": 1}) as (bridge, hook):
            _publish((f"{name}/a", b"1"), (f"{name}/b", b"2"), (f"{name}/c", b"3"))
            hook.wait_count(3)
            held = bridge.wait_event("http_waiting", connection="hook")
            assert word[:3] in held["reason"], held
            refused = next(r for r in hook.requests if r.did == word)
            later = [r for r in hook.requests if r.target == refused.target and r is not refused]
            assert later and later[0].got_s - refused.got_s > 0.9, (refused.got_s, [r.got_s for r in hook.requests])
            _done(bridge)
            assert bridge.status(destination="hook")["dead"] == "0"


@tap.case("500, 408, 409, 425, 429, a lost connection and half an answer are sent again; each counts as an attempt")
def retried():
    words = ["500", "502", "408", "409", "425", "429", "cut-request", "cut-answer", "half-head", "half-body"]
    with _scene("again", {}, _in_turn(*words)) as (bridge, hook):
        _publish(("again/x", b"1"))
        hook.wait_count(2)  # half a body has a 2xx before it
        assert len(hook.requests) == len(words), [r.did for r in hook.requests]  # cut-request has none
    with _scene("attempts", {}, lambda _: "500", outbox={"max_attempts": 3}) as (bridge, hook):
        _publish(("attempts/x", b"1"))
        reason = _letters(bridge, 1)[0]["reason"]
        assert "3 attempts" in reason and "500" in reason and "thank you" in reason, reason
        assert len(hook.requests) == 3, hook.requests


@tap.case("no answer in time is sent again; one that nobody listens to is tried until somebody does")
def unreachable():
    with _scene("silent", {}, _in_turn("hang"), timeout="300ms", connect_timeout="200ms") as (bridge, hook):
        _publish(("silent/x", b"1"))
        hook.wait_count(1)  # and once more, if a loaded machine has made that one late
        assert [r.did for r in hook.requests[:2]] == ["hang", "ok"], [r.did for r in hook.requests]
        assert len({(r.header("webhook-id"), r.body) for r in hook.requests}) == 1, hook.requests
    breaker = {"failures": 2, "min": "20ms", "max": "100ms"}
    with _scene("refused", {}, breaker=breaker, outbox={"max_attempts": 4}) as (bridge, hook):
        hook.down()
        _publish(*((f"refused/{n}", b"1") for n in range(5)))
        bridge.wait_event("http_waiting", connection="hook")
        bridge.wait_event("http_waiting", connection="hook", more_than=8)  # more probes than any message has attempts
        hook.up()
        hook.wait_count(5)
        _done(bridge)
        assert bridge.status(destination="hook")["dead"] == "0", "an outage is no attempt of a message"


@tap.case("other refusals are dead letters with what the receiver said, and hold up nothing")
def refused():
    words = {"400", "404", "405", "413", "415", "422", "302", "304"}
    with _scene("dead", {"path": "/{topic[1]}"}, lambda r: r.target[1:] if r.target[1:] in words else "ok") as (bridge, hook):
        _publish(*((f"dead/{word}", b"x") for word in sorted(words)), ("dead/good", b"x"))
        hook.wait_count(1)
        letters = {letter["topic"]: letter["reason"] for letter in _letters(bridge, len(words))}
        assert set(letters) == {f"/{word}" for word in words}, letters
        assert all(word in letters[f"/{word}"] for word in words), letters
        assert "thank you" in letters["/422"], letters
        assert not bridge.events("http_waiting"), "the destination is well"


@tap.case("401 raises an alarm and pauses the destination; the token is read again, and nothing is lost")
def no_access():
    token = os.path.join(temp_folder("token"), "token")

    def write(text):
        with open(token + ".new", "w", encoding="ascii") as out:
            out.write(text)
        os.replace(token + ".new", token)

    def decide(request):
        return "ok" if request.header("authorization") == "Bearer right" else "401"
    write("wrong\n")
    with _scene("access", {}, decide, auth={"token_file": token}, outbox={"max_attempts": 1}) as (bridge, hook):
        _publish(("access/x", b"1"), ("access/y", b"2"))
        assert "401" in bridge.wait_event("alarm", connection="hook")["what"]
        bridge.wait_event("link_down", connection="hook")
        write("right\n")
        bridge.signal(signal.SIGHUP)
        hook.wait_count(2)
        _done(bridge)
        assert bridge.status(destination="hook")["dead"] == "0"
        assert "right" not in "".join(bridge.log_lines()), "secrets are not logged"


@tap.case("410: nothing more is sent, over restarts, until the connection's keys change; what waits is delivered then")
def gone():
    receiver = Receiver(lambda r: "410" if r.target == "/old" else "ok")
    hook = {"url": receiver.url + "/old"}
    with receiver, Linkspan(_configuration("gone", {}, hook)) as bridge:
        _publish(("gone/a", b"1"), ("gone/b", b"2"))
        bridge.wait_event("link_down", connection="hook")
        assert "410" in bridge.wait_event("alarm", connection="hook")["what"]
        bridge.wait_waiting("hook", 2)
        asked = len(receiver.requests)
        for kill in (False, True):
            if kill:
                bridge.kill()
            else:
                assert bridge.stop() == 0
            bridge.start(wait_up=["plant"])
            assert "410" in bridge.wait_event("alarm", connection="hook")["what"]
            _publish(("gone/c", b"3"))
            bridge.wait_waiting("hook", 3)
        assert len(receiver.requests) == asked, "it wants no more requests"
        assert bridge.stop() == 0
        bridge.configure(_configuration("gone", {}, {"url": receiver.url + "/new"}))
        bridge.start()
        receiver.wait_count(4)
        _done(bridge)
        # And the old one is asked again when it comes back.
        assert bridge.stop() == 0
        bridge.configure(_configuration("gone", {}, hook))
        receiver.decide = lambda _: "ok"
        bridge.start()
        _publish(("gone/d", b"5"))
        until(lambda: receiver.requests[-1].target == "/old", "the old one to be asked")
        assert bridge.stop() == 0


@tap.case("a redirect is a refusal; followed where it is asked for, a POST stays one but after a 303, and secrets stay home")
def redirects():
    other = Receiver()

    def answer(request):
        path = request.target[1:]
        if path.startswith("to"):
            return int(path[2:]), [("Location", "/there")], b""
        if path == "away":
            return 307, [("Location", f"http://localhost:{other.port}/there")], b""
        if path == "loop":
            return 307, [("Location", "/loop")], b""
        if path == "login":
            return 302, [("Location", "http://anna:geheim@127.0.0.1/there?token=geheim#geheim")], b""
        return 200, [], b"ok"
    with other, _scene("moved", {"path": "/{topic[1]}"}, answer=answer, redirects="follow", allow_private=True,
                       auth={"token": "secret"}, signing_secret=SECRET) as (bridge, hook):
        _publish(*((f"moved/to{status}", b"body") for status in (301, 302, 303, 307, 308)), ("moved/away", b"body"),
                 ("moved/loop", b"body"))
        until(lambda: sum(r.target == "/there" for r in hook.requests) == 5 and other.requests, "all to arrive")
        methods = sorted((r.method, r.body) for r in hook.requests if r.target == "/there")
        assert methods == [("GET", b"")] + [("POST", b"body")] * 4, methods
        away = other.requests[0]
        assert away.body == b"body" and away.header("authorization") is None and away.header("webhook-id"), away.headers
        assert all(r.header("authorization") == "Bearer secret" for r in hook.requests), hook.requests
        assert "do not end" in _letters(bridge, 1)[0]["reason"]
    with _scene("stay", {"path": "/to307"}, answer=answer) as (bridge, hook):
        _publish(("stay/x", b"1"))
        reason = _letters(bridge, 1)[0]["reason"]
        assert "307" in reason and "/there" in reason and len(hook.requests) == 1, reason
    with _scene("secret", {"path": "/login"}, answer=answer) as (bridge, hook):
        _publish(("secret/x", b"1"))
        reason = _letters(bridge, 1)[0]["reason"]
        assert "a redirect to http://127.0.0.1/there, which" in reason, reason
        assert "geheim" not in "".join([*bridge.log_lines(), reason]), reason


@tap.case("a URL from a message does not lead inside, in any spelling; where it may, credentials do not go along")
def guarded():
    with _scene("inside", {"url": "{.url}"}, auth={"token": "secret"}, concurrency=1) as (bridge, hook):
        port = hook.port
        urls = [f"http://{host}:{port}/" for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "0x7f.1", "2130706433",
                                                      "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1")]
        _publish(*(("inside/x", json.dumps({"url": url}).encode()) for url in urls),
                 ("inside/y", b'{"url": "file:///etc/passwd"}'), ("inside/z", b'{"url": "http://a:b@c/"}'))
        letters = _letters(bridge, len(urls) + 2)
        assert all("allow_private" in letter["reason"] for letter in letters[:len(urls)]), letters
        assert not hook.requests and hook.connections == 0, hook.requests
    with Receiver() as other, _scene("outside", {"url": "{.url}"}, auth={"token": "secret"}, allow_private=True) as (_, hook):
        _publish(("outside/x", json.dumps({"url": other.url + "/a"}).encode()),
                 ("outside/x", json.dumps({"url": hook.url + "/b"}).encode()))
        hook.wait_count(1)
        other.wait_count(1)
        assert other.requests[0].header("authorization") is None, other.requests[0].headers
        assert hook.requests[0].header("authorization") == "Bearer secret", hook.requests[0].headers
    # A connection that the configuration's own URL has opened is not there for others.
    with Receiver() as receiver, Linkspan(yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-mixed"),
             yaml.http("hook", receiver.port, concurrency=1)],
            [yaml.mapping("own", {"connection": "plant", "topic": "mixed-own/#", "qos": 1}, {"connection": "hook"}),
             yaml.mapping("any", {"connection": "plant", "topic": "mixed-any/#", "qos": 1},
                          {"connection": "hook", "url": "{.url}"})])) as bridge:
        _publish(("mixed-own/x", b"1"))
        receiver.wait_count(1)
        _publish(("mixed-any/x", json.dumps({"url": receiver.url + "/other"}).encode()))
        assert "allow_private" in _letters(bridge, 1)[0]["reason"]
        assert [r.target for r in receiver.requests] == ["/"], receiver.requests
        assert bridge.stop() == 0


@tap.case("messages of one key go one after the other, others beside them, and with order: none all at once")
def order():
    lock, running, most = threading.Lock(), {}, {}

    def decide(request):
        key = request.target
        with lock:
            running[key] = running.get(key, 0) + 1
            most[key] = max(most.get(key, 0), running[key])
            most["all"] = max(most.get("all", 0), sum(running.values()))
        return "slow"

    def answer(request):
        with lock:
            running[request.target] -= 1
        return 200, [], b""
    with _scene("keys", {"path": "/{topic[1]}", "key": "{topic[1]}"}, decide, answer, concurrency=4) as (_, hook):
        _publish(*((f"keys/{key}", str(n).encode()) for n in range(8) for key in "abcd"))
        hook.wait_count(32)
        for key in "abcd":
            assert [r.body for r in hook.requests if r.target == f"/{key}"] == [b"%d" % n for n in range(8)]
            assert most[f"/{key}"] == 1, most
        assert 2 <= most["all"] <= 4 and hook.connections <= 4, (most, hook.connections)
    running.clear()
    most.clear()
    with _scene("free", {"path": "/one"}, decide, answer, concurrency=4, order="none") as (_, hook):
        _publish(*(("free/one", str(n).encode()) for n in range(20)))
        hook.wait_count(20)
        assert sorted(int(r.body) for r in hook.requests) == list(range(20)), hook.bodies()
        assert most["/one"] > 1, most


@tap.case("batches: arrays and lines, their bounds are the same over retries and a SIGKILL, and one id stands for each")
def batches():
    for form, parse in (("json-array", json.loads), ("ndjson", lambda b: [json.loads(x) for x in b.splitlines()])):
        name = f"batch-{form}"
        receiver = Receiver(lambda _: "503")
        with receiver, Linkspan(_configuration(name, {}, {
                "url": receiver.url, "signing_secret": SECRET,
                "batch": {"max": 10, "wait": "20ms", "format": form}})) as bridge:
            _publish(*((f"{name}/x", json.dumps({"n": n}).encode()) for n in range(25)), (f"{name}/x", b"text"),
                     (f"{name}/x", b"\xff\x00"))
            until(lambda: len(receiver.requests) > 2, "some attempts")
            # What mosquitto has no acknowledgement of would come again, as another message.
            bridge.wait_status(lambda s: s["taken"] == 27 and s["unacknowledged"] == 0, "all to be taken", source="plant")
            bridge.kill()
            receiver.decide = _in_turn("503", "cut-answer")
            bridge.start()
            _done(bridge)
            by_id = {}
            for request in receiver.requests:
                by_id.setdefault(request.header("webhook-id"), set()).add(request.body)
                assert request.header("webhook-signature") == webhooks.signature(
                    SECRET, request.header("webhook-id"), request.header("webhook-timestamp"), request.body)
                assert request.header("content-type") == ("application/json" if form == "json-array" else "application/x-ndjson")
            assert all(len(bodies) == 1 for bodies in by_id.values()), by_id
            values = [value for bodies in by_id.values() for value in parse(next(iter(bodies)))]
            assert values == [{"n": n} for n in range(25)] + ["text", {"data_base64": "/wA="}], values
            assert max(len(parse(next(iter(bodies)))) for bodies in by_id.values()) == 10, by_id
            bounds = [tuple(map(int, key.split(".")[1].split("-"))) for key in by_id]
            assert bounds[0][0] == 1 and all(b[0] == a[1] + 1 for a, b in zip(bounds, bounds[1:])), bounds
            assert bridge.stop() == 0


@tap.case("messages for different places do not share a batch")
def batch_places():
    with _scene("apart", {"path": "/{topic[1]}"}, batch={"max": 10, "wait": "20ms"}) as (bridge, hook):
        _publish(*((f"apart/{place}", b"%d" % n) for n, place in enumerate("aabba")))
        _done(bridge, came=5)
        assert [n for r in hook.requests for n in json.loads(r.body)] == list(range(5)), hook.bodies()
        for r in hook.requests:
            assert all("aabba"[n] == r.target[1:] for n in json.loads(r.body)), (r.target, r.body)


@tap.case("replies: status, headers and body go where the request or the mapping says")
def replies():
    def answer(request):
        return 201, [("Content-Type", "application/json"), ("X-Mine", "yes"), ("Set-Cookie", "no=1")], request.body[::-1]
    with _scene("reply", {"reply": {"topic": "reply-out/{topic[1]}"}}, answer=answer) as (_, hook), \
            Subscriber(shared_mosquitto().port, "reply-out/#") as got:
        _publish(("reply/a", b"abc"), ("reply/b", b"def", {"properties": publish_properties(
            response_topic="reply-out/own", correlation=b"\x01\x02")}))
        got.wait_count(2)
        hook.wait_count(2)
        by_topic = {m.topic: m for m in got.messages}
        assert by_topic["reply-out/a"].payload == b"cba", by_topic
        own = next(m for m in got.messages if m.payload == b"fed")
        user = dict(own.properties.UserProperty)
        assert user["http-status"] == "201" and user["x-mine"] == "yes" and "set-cookie" not in user, user
        assert own.properties.ContentType == "application/json", own.properties
        if own.topic == "reply-out/own":
            assert own.properties.CorrelationData == b"\x01\x02", own.properties


@tap.case("TLS: our certificate is shown, a stranger is not spoken to, and SIGHUP brings another certificate")
def tls():
    folder = temp_folder("certificates")
    made = certificates.make(folder)
    cert, key = os.path.join(folder, "mine.pem"), os.path.join(folder, "mine.key")
    shutil.copy(made.client_cert, cert)
    shutil.copy(made.client_key, key)
    keys = {"tls": {"ca": made.ca, "cert": cert, "key": key}, "concurrency": 1}
    with _scene("tls", {}, receiver=Receiver(certificates=made, mutual=True), **keys) as (bridge, hook):
        _publish(("tls/x", b"1"))
        hook.wait_count(1)
        new_cert, new_key = certificates.issue(folder, "renewed", made.ca, made.ca_key, "/CN=renewed", "DNS:renewed")
        shutil.copy(new_cert, cert)
        shutil.copy(new_key, key)
        before = bridge.mark("http_tls_files_read", connection="hook")
        bridge.signal(signal.SIGHUP)
        bridge.wait_event("http_tls_files_read", connection="hook", more_than=before)
        connections = hook.connections
        _publish(("tls/x", b"2"))
        hook.wait_count(2)
        assert hook.connections == connections + 1, "with the new certificate a new connection was expected"
        with open(cert, "w", encoding="ascii") as out:
            out.write("nonsense")
        bridge.signal(signal.SIGHUP)
        bridge.wait_event("http_tls_files", connection="hook")
        _publish(("tls/x", b"3"))
        hook.wait_count(3)
    with _scene("stranger", {}, receiver=Receiver(certificates=made),
                tls={"ca": certificates.strangers_ca(folder)}, breaker={"failures": 1, "min": "10ms", "max": "50ms"}) as (
                    bridge, hook):
        _publish(("stranger/x", b"1"))
        waiting = bridge.wait_event("http_waiting", connection="hook")
        assert "certificate" in waiting["reason"] and not hook.requests, waiting


@tap.case("TLS: without tls.ca the system's authorities are trusted, once they are renewed the new ones")
def system_authorities():
    folder = temp_folder("certificates")
    made = certificates.make(folder)
    stranger, system = certificates.strangers_ca(folder), os.path.join(folder, "system.pem")
    receiver = Receiver(certificates=made)

    def trust(path):
        shutil.copy(path, system + ".new")
        os.rename(system + ".new", system)

    trust(stranger)
    configuration = _configuration("system", {}, {"url": receiver.url, "breaker": {"failures": 1, "min": "10ms", "max": "50ms"}})
    with receiver, Linkspan(configuration, env={"SSL_CERT_FILE": system, "SSL_CERT_DIR": folder}) as bridge:
        _publish(("system/x", b"1"))
        waiting = bridge.wait_event("http_waiting", connection="hook")
        assert "certificate" in waiting["reason"] and not receiver.requests, waiting
        trust(made.ca)
        receiver.wait_count(1)
        assert bridge.stop() == 0


@tap.case("with HTTP/2 asked for, a receiver that only knows 1.1 is served")
def version():
    folder = temp_folder("certificates")
    made = certificates.make(folder)
    with _scene("two", {}, receiver=Receiver(certificates=made), tls={"ca": made.ca}, http_version="2") as (_, hook):
        _publish(("two/x", b"1"))
        hook.wait_count(1)


@tap.case("CloudEvents, binary and structured")
def cloudevents():
    events = {"source": "urn:plant", "type": "reading"}
    target = {"event_type": "{topic[1]}", "event_subject": "{topic}"}
    with _scene("bin", target, cloudevents={"mode": "binary", **events}) as (_, hook):
        _publish(("bin/temp", b"21", {"properties": publish_properties(content_type="text/plain")}))
        request = hook.wait_count(1)[0]
        assert request.header("ce-type") == "temp" and request.header("ce-source") == "urn:plant", request.headers
        assert request.header("ce-id") == request.header("webhook-id") and request.header("ce-specversion") == "1.0"
        assert request.header("content-type") == "text/plain" and request.body == b"21", request.headers
    with _scene("struct", target, cloudevents={"mode": "structured", **events}, batch={"max": 2, "wait": "5ms"}) as (_, hook):
        _publish(("struct/temp", b"21", {"properties": publish_properties(content_type="application/json")}))
        request = hook.wait_count(1)[0]
        event = json.loads(request.body)[0]
        assert event["data"] == 21 and event["type"] == "temp" and event["subject"] == "struct/temp", event
        assert request.header("content-type").startswith("application/cloudevents-batch+json"), request.headers


def _check(text):
    path = os.path.join(temp_folder("check"), "linkspan.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write("data_dir: d\n" + text)
    return subprocess.run([program(), "check", path], capture_output=True, text=True, timeout=60, check=False)


@tap.case("check says what is wrong with a sender, where, and what would be right")
def checks():
    def told(target=None, **hook):
        answer = _check(_configuration("c", target or {}, hook))
        return answer.returncode, answer.stderr
    for hook, *words in (
            ({"url": "ftp://a/"}, "http:// or https://"), ({"url": "https://me:word@a/"}, "auth: {basic"),
            ({"url": "https://a/#x"}, "fragment"), ({"url": "https://a", "signing_secret": "short"}, "signing_secret"),
            ({"url": "https://a", "batch": {"max": 5}, "order": "none"}, "order"),
            ({"url": "https://a", "batch": {"max": 5}, "cloudevents": {"mode": "binary"}}, "structured"),
            ({"url": "https://a", "breaker": {"min": "2s", "max": "1s"}}, "min must not be more than max"),
            ({"url": "http://a", "tls": {"ca": "/etc/ssl/certs/ca-certificates.crt"}}, "no TLS"),
            ({"url": "https://a", "timeout": "1s", "connect_timeout": "2s"}, "connect_timeout"),
            ({"url": "https://a", "auth": {"token": "x", "basic": {"username": "a", "password": "b"}}}, "one"),
            ({"url": "https://a", "access": {"passwords": {"a": "x"}}}, "access: this is a key of connections with listen"),
            ({"url": "https://a", "tls": {"client_ca": "/etc/ssl/certs/ca-certificates.crt"}}, "tls.client_ca: this"),
            ({"listen": "127.0.0.1:0", "auth": {"token": "x"}}, "auth: this says who a sender is"),
            ({"listen": "127.0.0.1:0", "timeout": "1s"}, "timeout is a key of connections with url")):
        code, text = told(**hook)
        assert code == 1 and all(word in text for word in words), (hook, text)
        assert re.search(r"linkspan.yaml:\d+:\d+: ", text) and not re.search(r" (\w+): \1: ", text), text
    code, text = told({"path": "no/slash"}, url="https://a")
    assert code == 1 and "begins with /" in text, text
    code, text = told({"headers": {"content-length": "5"}}, url="https://a")
    assert code == 1 and "content-length" in text.lower(), text
    code, text = told({"path": "/x/{topic[1]}?a=1"}, url="https://a")
    assert code == 0, text


if __name__ == "__main__":
    tap.main()
