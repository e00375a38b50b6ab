#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests by MQTT, answers of an HTTP server, and back: response topics (MQTT 5), configured topics, guards, and no request
without its reply however often linkspan is killed. Batches to the same kind of server: an id names the same bytes for ever."""
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.wait import free_port, until


class Server:
    """Answers with what it got, backwards. Keeps (path, headers, body) of every request. refuse: that many get 503."""

    def __init__(self, refuse=0):
        self.requests = []
        self.refuse = refuse
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                server.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.handle_error = lambda *_: None  # a client that was killed
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, handler, body):
        with self._lock:
            self.requests.append((handler.path, dict(handler.headers), body))
            refused = self.refuse > 0
            self.refuse -= refused
        handler.send_response(503 if refused else 200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("X-Machine", "7")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[::-1])

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _http(name, server, **keys):
    return [f"  {name}:", "    type: http", f"    url: \"{server.url}\""] + \
        [f"    {key}: {json.dumps(value)}" for key, value in keys.items()]


def _bridge(name, server, to=None, sender=None, version=5, admin=None, **mapping):
    return yaml.configuration(
        [yaml.mqtt("plant", shared_mosquitto().port, version, client_id=f"linkspan-{name}"),
         _http("server", server, **(sender or {}))],
        [yaml.mapping("ask", {"connection": "plant", "topic": f"{name}/ask/{{who}}", "qos": 1},
                      {"connection": "server", "path": "/{who}", **(to or {})}, **mapping)],
        **({"admin": {"listen": [f"127.0.0.1:{admin}"]}} if admin else {}))


def _metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return answer.read().decode().splitlines()


def _asking(topic, correlation):
    return publish_properties(response_topic=topic, correlation=correlation)


@tap.case("a request's answer comes to its response topic, with its correlation data")
def response_topic():
    admin = free_port()
    with Server() as server, Subscriber(shared_mosquitto().port, "rt/answers/#") as answers, \
            Linkspan(_bridge("rt", server, admin=admin)) as bridge, Publisher(shared_mosquitto().port) as out:
        out.publish("rt/ask/7", b"abc", properties=_asking("rt/answers/client", b"\x00\xff7"))
        out.publish("rt/ask/8", b"nobody wants this")
        out.publish("rt/ask/9", b"xyz", properties=_asking("rt/answers/client", b"9"))
        got = answers.wait_count(2)
        assert [m.payload for m in got] == [b"cba", b"zyx"] or [m.payload for m in got] == [b"zyx", b"cba"], got
        first = next(m for m in got if m.payload == b"cba")
        assert first.properties.CorrelationData == b"\x00\xff7", first.properties
        assert first.properties.ContentType == "text/plain" and first.qos == 1 and not first.retain
        headers = dict(first.properties.UserProperty)
        assert headers["http-status"] == "200" and headers["x-machine"] == "7", headers
        assert headers["linkspan-hops"] == "1", headers
        status = bridge.wait_status(lambda s: s["waiting"] == 0 and s["delivered"] == 3, "three", destination="server")
        assert status["replies"] == 2 and status["replies_dropped"] == 0, status
        until(lambda: 'linkspan_destination_replies_total{destination="server"} 2' in _metrics(admin), "the metric")
        assert 'linkspan_destination_replies_dropped_total{destination="server"} 0' in _metrics(admin), _metrics(admin)
        assert bridge.stop() == 0
        assert len(answers.messages) == 2 and len(server.requests) == 3


@tap.case("a topic, a key and a QoS from the configuration, for a client of 3.1.1 too")
def configured():
    reply = {"topic": "cf/answers/{who}", "qos": 0, "retain": True}
    with Server() as server, Subscriber(shared_mosquitto().port, "cf/answers/#", version=4) as answers, \
            Linkspan(_bridge("cf", server, {"reply": reply}, version=4)) as bridge, \
            Publisher(shared_mosquitto().port, 4) as out:
        out.publish("cf/ask/7", b"abc")
        got = answers.wait_count(1)[0]
        assert (got.topic, got.payload, got.qos) == ("cf/answers/7", b"cba", 0), got
        assert bridge.stop() == 0
    with Subscriber(shared_mosquitto().port, "cf/answers/#") as later:
        assert later.wait_count(1)[0].retain


@tap.case("a response topic that may not be written to is not answered, and the request goes out")
def guarded():
    reply = {"response_topics": ["gd/answers/#"]}
    with Server() as server, Subscriber(shared_mosquitto().port, ["gd/#", "$SYS/gd"]) as all_of_it, \
            Linkspan(_bridge("gd", server, {"reply": reply})) as bridge, Publisher(shared_mosquitto().port) as out:
        out.publish("gd/ask/1", b"1", properties=_asking("gd/valves/open", b"1"))
        out.publish("gd/ask/2", b"2", properties=_asking("$SYS/gd", b"2"))
        out.publish("gd/ask/3", b"3", properties=_asking("gd/answers/x", b"3"))
        all_of_it.wait_for(lambda ms: any(m.topic == "gd/answers/x" for m in ms), "the third")
        until(lambda: len(server.requests) == 3, "three requests")
        assert bridge.stop() == 0
        topics = {m.topic for m in all_of_it.messages}
        assert topics == {"gd/ask/1", "gd/ask/2", "gd/ask/3", "gd/answers/x"}, topics


@tap.case("an answer that is asked again: the hop count ends it")
def hops():
    with Server() as server, Subscriber(shared_mosquitto().port, "hp/ask/#") as seen, \
            Linkspan(_bridge("hp", server, {"reply": {"topic": "hp/ask/{who}"}}, max_hops=3)) as bridge, \
            Publisher(shared_mosquitto().port) as out:
        out.publish("hp/ask/7", b"abc")
        bridge.wait_event("loop_broken")
        seen.wait_count(4)
        assert bridge.stop() == 0
        assert len(server.requests) == 3 and len(seen.messages) == 4, (server.requests, seen.messages)


def _ask_many(out, name, n, begin=0):
    for i in range(begin, begin + n):
        out.publish(f"{name}/ask/{i}", f"{i:05}".encode(), properties=_asking(f"{name}/answers", str(i).encode()))


def _answered(messages):
    return {int(m.properties.CorrelationData) for m in messages}


@tap.case("killed again and again: every request has its reply")
def killed():
    total = 600
    with Server() as server, Subscriber(shared_mosquitto().port, "kl/answers") as answers, \
            Publisher(shared_mosquitto().port) as out:
        configuration = _bridge("kl", server, sender={"concurrency": 4})
        with Linkspan(configuration) as bridge:
            for life in range(3):
                _ask_many(out, "kl", total // 4, life * total // 4)
                before = len(server.requests)
                until(lambda at=before: len(server.requests) > at + 20, "some requests")
                bridge.kill()
                bridge.start()
            _ask_many(out, "kl", total // 4, 3 * total // 4)
            answers.wait_for(lambda ms: len(_answered(ms)) == total, "all answers")
            bridge.wait_status(lambda s: s["waiting"] == 0, "nothing waits", destination="plant")
            bridge.wait_status(lambda s: s["waiting"] == 0, "nothing waits", destination="server")
            assert bridge.stop() == 0
        for m in answers.messages:
            assert m.payload == f"{int(m.properties.CorrelationData):05}".encode()[::-1], m


@tap.case("killed at each step between request and reply")
def killed_at():
    with Server() as server, Publisher(shared_mosquitto().port) as out:
        for number, point in enumerate(["http.before_send:2", "http.after_send", "http.after_response", "http.after_response:3"]):
            name = f"ka{number}"
            with Subscriber(shared_mosquitto().port, f"{name}/answers") as answers, \
                    Linkspan(_bridge(name, server), start=False) as bridge:
                bridge.start(env={"LINKSPAN_FAILPOINT": point})
                _ask_many(out, name, 5)
                until(lambda b=bridge: not b.running(), point)
                bridge.start()
                answers.wait_for(lambda ms: len(_answered(ms)) == 5, f"answers after {point}")
                bridge.wait_status(lambda s: s["waiting"] == 0, "nothing waits", destination="server")
                assert bridge.stop() == 0


@tap.case("no room for replies: requests wait, and none is lost or asked again")
def no_room():
    with Server() as server, Subscriber(shared_mosquitto().port, "nr/answers/#") as answers, \
            Publisher(shared_mosquitto().port) as out:
        text = yaml.configuration(
            [yaml.mqtt("plant", shared_mosquitto().port, client_id="linkspan-nr"),
             yaml.mqtt("back", shared_mosquitto().port, client_id="linkspan-nr-back",
                       outbox={"max_messages": 2}),
             _http("server", server, outbox={"backoff_min": "10ms", "backoff_max": "20ms"})],
            [yaml.mapping("ask", {"connection": "plant", "topic": "nr/ask/{who}", "qos": 1},
                          {"connection": "server", "path": "/{who}",
                           "reply": {"connection": "back", "topic": "nr/answers/{who}"}})])
        with Linkspan(text) as bridge:
            for i in range(200):
                out.publish(f"nr/ask/{i}", b"x")
            answers.wait_count(200)
            bridge.wait_status(lambda s: s["waiting"] == 0, "nothing waits", destination="server")
            assert bridge.stop() == 0
        assert len(server.requests) == 200 and len(answers.messages) == 200


# --- batches


def _batches(server):
    """id → the bodies that came under it."""
    bodies = {}
    for _, headers, body in list(server.requests):
        bodies.setdefault(headers["webhook-id"], set()).add(body)
    return bodies


def _numbers(server):
    return {json.loads(line)["n"] for under in _batches(server).values() for body in under for line in body.splitlines()}


def _check_disjoint(bodies):
    """Each batch is all of its bounds, which its id says, and no message is in two. (What MQTT repeats after a crash is
    another message.)"""
    end = 0
    for first, last, size in sorted((*map(int, key.rsplit(".", 1)[1].split("-")), len(body.splitlines()))
                                    for key, under in bodies.items() for body in under):
        assert first > end and size == last - first + 1 and size <= 20, (first, last, size, end)
        end = last


@tap.case("batches: killed again and again, an id names the same bytes for ever, and nothing is missing")
def batches():
    sender = {"batch": {"max": 20, "wait": "20ms", "format": "ndjson"}, "outbox": {"backoff_min": "10ms", "backoff_max": "50ms"}}
    with Server(refuse=3) as server, Publisher(shared_mosquitto().port) as out:
        configuration = _bridge("bt", server, {"path": "/all"}, sender)
        total = 900
        with Linkspan(configuration) as bridge:
            for life in range(3):
                for i in range(life * 300, life * 300 + 300):
                    out.publish("bt/ask/x", f"{{\"n\":{i}}}".encode())
                before = len(server.requests)
                until(lambda at=before: len(server.requests) > at + 3, "some batches")
                bridge.kill()
                bridge.start()
            until(lambda: _numbers(server) == set(range(total)), lambda: f"all: {total - len(_numbers(server))} are missing")
            bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="server")
            assert bridge.stop() == 0
        bodies = _batches(server)
        for key, under in bodies.items():
            assert len(under) == 1, f"{key} names {len(under)} bodies"
        assert len(server.requests) < total, "they are sent together"
        _check_disjoint(bodies)


if __name__ == "__main__":
    tap.main()
