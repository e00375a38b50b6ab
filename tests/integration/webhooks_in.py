#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Webhooks in: a 202 means that the message is safe, a key that comes again gets the same answer, and what cannot be
taken is told so; who may send; certificates that change; last values."""
import hashlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, daemon, raw_http, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder
from rig.wait import free_port, until


class Client:
    """One connection that is kept alive."""

    def __init__(self, port, tls=None):
        make = http.client.HTTPSConnection if tls else http.client.HTTPConnection
        self.link = make("127.0.0.1", port, timeout=60, **({"context": tls} if tls else {}))

    def ask(self, method, path, body=None, headers=None):
        self.link.request(method, path, body, headers or {})
        answer = self.link.getresponse()
        return answer, answer.read()

    def post(self, path, body, **headers):
        answer, text = self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return answer.status, json.loads(text) if text else None

    def close(self):
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _listener(name, port, *extra, source=None, target=None, broker=None, **keys):
    """A listener, a broker and one mapping /hooks/{service}/# → NAME/{service}."""
    broker = broker or shared_mosquitto()
    return yaml.configuration(
        [yaml.http("api", listen=[f"127.0.0.1:{port}"], **keys),
         yaml.mqtt("b", broker.port, client_id=f"linkspan-{name}")],
        [yaml.mapping("in", {"connection": "api", "topic": "/hooks/{service}/#", **(source or {})},
                      {"connection": "b", "topic": name + "/{service}", **(target or {})}), *extra])


@tap.case("202 only once it is durable: killed right after it, the message arrives all the same, as it was")
def durable():
    port, broker = free_port(), own_mosquitto()
    with broker, Linkspan(_listener("durable", port, broker=broker)) as bridge:
        broker.freeze()
        with Client(port) as client:
            for n in range(20):
                status, answer = client.post("/hooks/shop/order", b"\x00body %d" % n, Content_Type="text/x-test", X_Own="a, b",
                                             Authorization="Bearer secret")
                assert status == 202 and len(answer["id"]) == 32, answer
            bridge.kill()
        broker.thaw()
        with Subscriber(broker.port, "durable/#") as got:
            bridge.start()
            got.wait_count(20)
            assert {m.payload for m in got.messages} == {b"\x00body %d" % n for n in range(20)}
            properties = got.messages[0].properties
            assert properties.ContentType == "text/x-test", properties
            own = dict(properties.UserProperty)
            assert own["x-own"] == "a, b" and "authorization" not in own and "host" not in own, own


@tap.case("the same key and body get the same answer over a kill, another body 422; one message")
def idempotent():
    port = free_port()
    with Linkspan(_listener("keys", port)) as bridge, Subscriber(shared_mosquitto().port, "keys/#") as got:
        with Client(port) as client:
            first = client.post("/hooks/shop/x", b"one", Idempotency_Key="k-1")
            assert first[0] == 202
            assert client.post("/hooks/shop/x", b"one", Idempotency_Key='"k-1"') == first, "quoted, it is the same key"
            assert client.post("/hooks/shop/x", b"other", Idempotency_Key="k-1")[0] == 422
            assert client.post("/hooks/shop/y", b"one", Idempotency_Key="k-1")[1] != first[1], "of another path"
            assert client.post("/hooks/shop/x", b"one", Idempotency_Key="k-\u00e4".encode("latin-1"))[0] == 400
        bridge.kill()
        bridge.start()
        with Client(port) as client:
            assert client.post("/hooks/shop/x", b"one", Idempotency_Key="k-1") == first
            assert client.post("/hooks/shop/x", b"one", webhook_id="k-1") == first
            assert client.post("/hooks/shop/x", b"other", Idempotency_Key="k-1")[0] == 422
            assert client.post("/hooks/shop/x", b"last")[0] == 202
        until(lambda: b"last" in [m.payload for m in got.messages], "the last")
        assert {m.payload for m in got.messages} == {b"last", b"one"}
        # By MQTT a message may come twice after a kill; what was taken says how many there are.
        bridge.status(destination="b")
        assert bridge.wait_event("totals", destination="b")["offered"] == "3"
        counters = bridge.wait_status(lambda s: s["repeated"] >= 2, "repetitions", connection="api")
        assert counters["accepted"] == 1, counters


@tap.case("what is not taken is told so: 404, 405, 413, 431, 400; the connection goes on where it can")
def refusals():
    port = free_port()
    with Linkspan(_listener("refused", port, limits={"max_body": "10KB"})) as bridge, Client(port) as client:
        def status(method, path, body=None, headers=None):
            answer, _ = client.ask(method, path, body, headers)
            return answer.status, answer.getheader("Allow"), answer.getheader("Connection")
        writes = "POST, PUT, OPTIONS"
        assert status("POST", "/other", b"x" * 5000) == (404, None, None)
        assert status("GET", "/hooks/a/b") == (405, writes, None)
        assert status("DELETE", "/hooks/a/b") == (405, writes, None)
        assert status("OPTIONS", "/hooks/a/b") == (204, writes, None)
        assert status("PUT", "/hooks/a/b", b"x") == (202, None, None)
        assert status("POST", "/hooks/a/b", b"") == (202, None, None)
        assert status("POST", "/hooks/a/b", b"x" * 10001)[0] == 413
        assert status("POST", "/hooks/a/b", (b"x" * 5000 for _ in range(4)))[0] == 413, "in chunks"
        assert status("POST", "/hooks/a/b", b"x" * 10000)[0] == 202
        assert status("POST", "/hooks/a/b", b"x", {f"x-{n}": "y" for n in range(80)})[0] == 431
        for path in ("/hooks/../a", "/hooks/%2e%2e/a", "/hooks/a%2Fb", "/hooks/a%00", "/hooks/%zz", "/hooks/%ff"):
            assert status("POST", path, b"x")[::2] == (400, "close"), path
        assert status("POST", "/hooks/a/b", b"x", {"Content-Type": b"text/\xff"}) == (400, None, "close"), "it is no UTF-8"
        assert bridge.wait_status(lambda s: s["refused"] >= 10, "refusals", connection="api")["accepted"] == 3


@tap.case("a full outbox with block: requests wait for room, and beyond that 503 with Retry-After")
def full():
    port, broker = free_port(), own_mosquitto()
    with broker, Linkspan(yaml.configuration(
            [yaml.http("api", listen=[f"127.0.0.1:{port}"], limits={"busy_timeout": "500ms", "max_waiting": 2}),
             yaml.mqtt("b", broker.port, outbox={"max_messages": 10})],
            [yaml.mapping("in", {"connection": "api", "topic": "/in"}, {"connection": "b", "topic": "full"})])) as bridge, \
            Subscriber(broker.port, "full") as got, Client(port) as client:
        broker.freeze()
        taken = 0
        while client.post("/in", b"%d" % taken)[0] == 202:
            taken += 1
        assert taken >= 10
        answer, _ = client.ask("POST", "/in", b"no")
        assert answer.status == 503 and answer.getheader("Retry-After") == "1"
        waiting = [Client(port) for _ in range(2)]
        for one in waiting:
            one.link.request("POST", "/in", b"waits")
        bridge.wait_status(lambda s: s["waiting_requests"] == 2 or s["busy"] >= 4, "two to wait", connection="api")
        for one in waiting:
            assert one.link.getresponse().status == 503, "it waited for nothing"
            one.close()
        broker.thaw()
        until(lambda: client.post("/in", b"again")[0] == 202, "room")
        until(lambda: b"again" in [m.payload for m in got.messages], "all")
        assert b"no" not in [m.payload for m in got.messages]


@tap.case("a request that waits for room is taken when there is")
def waits_for_room():
    port, broker = free_port(), own_mosquitto()
    with broker, Linkspan(yaml.configuration(
            [yaml.http("api", listen=[f"127.0.0.1:{port}"], limits={"busy_timeout": "10m"}),
             yaml.mqtt("b", broker.port, outbox={"max_messages": 10})],
            [yaml.mapping("in", {"connection": "api", "topic": "/in"}, {"connection": "b", "topic": "room"})])) as bridge, \
            Subscriber(broker.port, "room") as got:
        broker.freeze()
        clients = [Client(port) for _ in range(40)]
        for n, client in enumerate(clients):
            client.link.request("POST", "/in", b"%d" % n)
        bridge.wait_status(lambda s: s["accepted"] >= 10 and s["waiting_requests"] == 40 - s["accepted"], "the rest to wait",
                           connection="api")
        broker.thaw()
        for client in clients:
            assert client.link.getresponse().status == 202
            client.close()
        got.wait_count(40)
        assert {m.payload for m in got.messages} == {b"%d" % n for n in range(40)}


@tap.case("split: an array becomes its elements, with their bytes, together; what is no array is 422")
def split():
    port = free_port()
    elements = [b'{"v": 1.10, "big": 12345678901234567890}', b'"x"', b"null", b"[1, 2]", b"1e400"]
    with Linkspan(_listener("split", port, source={"split": "json-array"}, limits={"max_split": 1000})) as bridge, \
            Subscriber(shared_mosquitto().port, "split/#") as got, Client(port) as client:
        body = b" [ " + b" ,\n".join(elements) + b" ] "
        first = client.post("/hooks/a/b", body, Idempotency_Key="s1")
        assert first[0] == 202
        assert client.post("/hooks/a/b", body, Idempotency_Key="s1") == first
        for wrong in (b"{}", b"[1,", b"", b"[1] 2", b"[NaN]"):
            assert client.post("/hooks/a/b", wrong)[0] == 422, wrong
        assert client.post("/hooks/a/b", b"[" + b",".join([b"1"] * 1001) + b"]")[0] == 413
        assert client.post("/hooks/a/b", b"[]")[0] == 202
        assert client.post("/hooks/a/b", b'["last"]')[0] == 202
        got.wait_count(len(elements) + 1)
        assert [m.payload for m in got.messages] == [*elements, b'"last"'], [m.payload for m in got.messages]
        assert bridge.stop() == 0


def _sha256(token):
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


@tap.case("tokens and paths: 401 with a challenge, 403, 202; who it was is in the message")
def access():
    port = free_port()
    keys = {"tokens": {"shop": _sha256("s3cret-of-the-shop"), "watch": _sha256("s3cret-of-the-watch")},
            "token_header": "X-Door", "allow": {"shop": "/hooks/shop/#", "watch": "read:/#"}}
    with Linkspan(_listener("access", port, access=keys)) as bridge, \
            Subscriber(shared_mosquitto().port, "access/#") as got, Client(port) as client:
        answer, _ = client.ask("POST", "/hooks/shop/x", b"x")
        assert answer.status == 401 and answer.getheader("WWW-Authenticate").startswith("Bearer"), answer.getheaders()
        assert client.post("/hooks/shop/x", b"x", Authorization="Bearer s3cret")[0] == 401
        shop = "Bearer s3cret-of-the-shop"
        assert client.post("/hooks/other/x", b"x", Authorization=shop)[0] == 403
        assert client.post("/hooks/shop/x", b"x", Authorization="Bearer s3cret-of-the-watch")[0] == 403
        assert client.post("/hooks/shop/x", b"x", Authorization=shop)[0] == 202
        assert client.post("/hooks/shop/x", b"x", X_Door="")[0] == 401
        assert client.post("/hooks/shop/x", b"x", X_Door="s3cret-of-the-shop", X_Other="o")[0] == 202
        got.wait_count(2)
        for message in got.messages:
            assert dict(message.properties.UserProperty)["http-identity"] == "shop", message.properties
        assert dict(got.messages[1].properties.UserProperty)["x-other"] == "o"
        assert "x-door" not in dict(got.messages[1].properties.UserProperty), got.messages[1].properties
        assert "s3cret" not in "".join(bridge.log_lines())
        assert bridge.wait_status(lambda s: s["denied"] >= 4, "denials", connection="api")["accepted"] == 2


def _names(context_ca):
    context = ssl.create_default_context(cafile=context_ca)
    context.check_hostname = False
    return context


@tap.case("TLS: certificates are read again on SIGHUP, a kept connection goes on, a bad file changes nothing")
def reload_certificates():
    folder, port = temp_folder("certificates"), free_port()
    old, new = (certificates.make(_made(folder, name)) for name in ("old", "new"))
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")

    def install(which):
        shutil.copy(which.server_cert, cert)
        shutil.copy(which.server_key, key)
    install(old)
    with Linkspan(_listener("reload", port, tls={"cert": cert, "key": key})) as bridge, Client(port, _names(old.ca)) as kept:
        assert kept.post("/hooks/a/b", b"1")[0] == 202
        install(new)
        bridge.signal(signal.SIGHUP)
        bridge.wait_event("reloaded")
        assert kept.post("/hooks/a/b", b"2")[0] == 202, "the connection that was there"
        with Client(port, _names(new.ca)) as fresh:
            assert fresh.post("/hooks/a/b", b"3")[0] == 202
        with open(key, "w", encoding="ascii") as out:
            out.write("no key\n")
        bridge.signal(signal.SIGHUP)
        bridge.wait_event("reload_failed")
        assert bridge.events("http_tls", connection="api")
        with Client(port, _names(new.ca)) as fresh:
            assert fresh.post("/hooks/a/b", b"4")[0] == 202
        assert kept.post("/hooks/a/b", b"5")[0] == 202
        assert bridge.stop() == 0


def _made(folder, name):
    path = os.path.join(folder, name)
    os.mkdir(path)
    return path


@tap.case("client certificates: their name is the identity; none and a stranger's get 401")
def client_certificates():
    folder, port = temp_folder("certificates"), free_port()
    ours, others = (certificates.make(_made(folder, name)) for name in ("ours", "others"))
    with Linkspan(_listener("mutual", port, tls={"cert": ours.server_cert, "key": ours.server_key, "client_ca": ours.ca},
                            access={"client_certificates": True, "allow": {"edge-7": "/hooks/edge/#"}})), \
            Subscriber(shared_mosquitto().port, "mutual/#") as got:
        def asks(path, who=None):
            context = _names(ours.ca)
            if who:
                context.load_cert_chain(who.client_cert, who.client_key)
            with Client(port, context) as client:
                return client.post(path, b"x")[0]
        assert asks("/hooks/edge/x") == 401
        assert asks("/hooks/edge/x", others) == 401
        assert asks("/hooks/other/x", ours) == 403
        assert asks("/hooks/edge/x", ours) == 202
        got.wait_count(1)


@tap.case("last values: GET and HEAD with ETag and 304, 404 for none, over a restart; removed by nothing")
def last_values():
    port = free_port()
    with Linkspan(yaml.configuration(
            [yaml.http("api", listen=[f"127.0.0.1:{port}"]),
             yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-values")],
            [yaml.mapping("state", {"connection": "plant", "topic": "values/{line}", "qos": 1},
                          {"connection": "api", "path": "/state/{line}"})])) as bridge, \
            Publisher(shared_mosquitto().port) as out, Client(port) as client:
        def get(path, method="GET", **headers):
            return client.ask(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert get("/state/1")[0].status == 404
        out.publish("values/1", b"21.5")
        out.publish("values/1", b"22.5")
        until(lambda: get("/state/1")[1] == b"22.5", "the value")
        answer, body = get("/state/1")
        etag = answer.getheader("ETag")
        assert answer.status == 200 and etag and answer.getheader("Last-Modified"), answer.getheaders()
        assert answer.getheader("Content-Type") == "application/octet-stream"
        answer, body = get("/state/1", If_None_Match=f'"x", {etag}')
        assert answer.status == 304 and body == b"" and answer.getheader("ETag") == etag
        answer, body = get("/state/1", "HEAD")
        assert answer.status == 200 and answer.getheader("Content-Length") == "4" and body == b""
        assert client.ask("POST", "/state/1", b"x")[0].getheader("Allow") == "GET, HEAD, OPTIONS"
        assert client.ask("POST", "/state/2", b"x")[0].status == 404
        for path, status in (("/state/1", 200), ("/state/2", 404)):
            answer, _ = client.ask("GET", path, iter([b"chunk"]))
            assert answer.status == status and answer.getheader("Connection") == "close", answer.getheaders()
        endless = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        answer = raw_http.exchange(port, raw_http.request("/state/1", endless * 8, "GET", headers=["Transfer-Encoding: chunked"]))
        assert not answer or answer.startswith(b"HTTP/1.1 413 "), answer
        bridge.kill()
        bridge.start()
        client.close()
        answer, body = get("/state/1")
        assert body == b"22.5" and answer.getheader("ETag") == etag
        assert bridge.stop() == 0


@tap.case("whoever may not read does not learn whether there is a value")
def hidden_values():
    port = free_port()
    with Linkspan(yaml.configuration(
            [yaml.http("api", listen=[f"127.0.0.1:{port}"], access={
                "tokens": {name: "sha256:" + hashlib.sha256(name.encode()).hexdigest() for name in ("reader", "writer")},
                "allow": {"reader": "read:/#", "writer": "write:/#"}}),
             yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-hidden")],
            [yaml.mapping("state", {"connection": "plant", "topic": "hidden/{line}", "qos": 1},
                          {"connection": "api", "path": "/state/{line}"})])) as bridge, \
            Publisher(shared_mosquitto().port) as out, Client(port) as client:
        def ask(method, path, who):
            answer, _ = client.ask(method, path, headers={"Authorization": f"Bearer {who}"})
            return answer.status, answer.getheader("Allow")
        out.publish("hidden/1", b"21.5")
        until(lambda: ask("GET", "/state/1", "reader")[0] == 200, "the value")
        assert ask("OPTIONS", "/state/1", "reader") == (204, "GET, HEAD, OPTIONS")
        assert ask("POST", "/state/1", "writer") == ask("POST", "/state/2", "writer") == (404, None)
        assert bridge.stop() == 0


@tap.case("a clean stop answers what it has and closes connections; a listener that cannot listen tries again")
def ends():
    port = free_port()
    with Linkspan(_listener("ends", port)) as bridge, Client(port) as idle, Client(port) as client:
        assert idle.post("/hooks/a/b", b"1")[0] == 202
        assert client.post("/hooks/a/b", b"2")[0] == 202
        second = Linkspan(_listener("ends-2", port), wait_up=["b"])
        with second:
            second.wait_event("alarm", connection="api")
            assert bridge.stop() == 0
            assert idle.link.sock.recv(1) == b"", "the idle connection was closed"
            second.wait_event("link_up", connection="api")
            with Client(port) as fresh:
                assert fresh.post("/hooks/a/b", b"3")[0] == 202


WRONG = """\
data_dir: /tmp/x
connections:
  open: {type: http, listen: [127.0.0.1:8080, "0.0.0.0:8081"]}
  nowhere: {type: http, listen: [localhost, "127.0.0.1:80800"]}
  halves: {type: http, listen: 127.0.0.1:8082, tls: {cert: pem}}
  asks: {type: http, listen: 127.0.0.1:8083, tls: {client_ca: pem}}
  none: {type: http, listen: 127.0.0.1:8083, tls: {cert: pem, key: pem}}
  small: {type: http, listen: 127.0.0.1:8084, limits: {max_body: 2MiB, max_buffered: 1MiB}}
  both: {type: http, listen: 127.0.0.1:8085, url: "http://127.0.0.1:8086"}
  good: {type: http, listen: 0.0.0.0:8087, public: true}
mappings:
  - name: no-slash
    from: {connection: good, topic: [hooks/x, "/fine", "#"]}
    to: {connection: good, path: state}
  - name: dots
    from: {connection: good, topic: "/a"}
    to: {connection: good, path: "/a/../b"}
"""
MISTAKES = (
    (3, "listen: '0.0.0.0:8081' can be reached from other machines"), (4, "listen.0: 'localhost': not an address"),
    (4, "listen.1: '127.0.0.1:80800': the port"), (5, "tls.cert: cert stands alone"), (6, "tls.client_ca: clients show"),
    (7, "this is no PEM file"), (8, "limits.max_buffered: max_buffered is less than max_body"),
    (9, "listen: a connection with url cannot listen"), (13, "topic.0: a path begins with a slash"),
    (13, "topic.2: a path begins with a slash, and '#' does not; write '/#'"), (14, "path: a path begins with /"),
    (17, "path: a path that can be asked for has no segments"))


@tap.case("check: what is wrong with a listener, each at its place")
def check_says():
    folder = temp_folder("check")
    path = os.path.join(folder, "wrong.yaml")
    for name, text in (("wrong.yaml", WRONG), ("pem", "none\n")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            out.write(text)
    done = subprocess.run([daemon.program(), "check", path], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(path + ":") and "mistake" not in line]
    for number, what in MISTAKES:
        assert any(line.startswith(f"{path}:{number}:") and what in line for line in said), (number, what, said)
    assert done.returncode == 1 and len(said) == len(MISTAKES), said


if __name__ == "__main__":
    tap.main()
