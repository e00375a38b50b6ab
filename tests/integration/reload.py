#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The configuration is read again while linkspan runs: what has not changed is not touched, what has changed begins anew where it
was, what waits is delivered as it was rendered, and a file that cannot be applied changes nothing."""
import os
import re
import signal
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, coap, tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, shared_kafka, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.wait import free_port, until


def _lines(broker, pattern):
    """Of the broker's log."""
    with open(os.path.join(broker.folder, "mosquitto.log"), encoding="utf-8", errors="replace") as log:
        return [line for line in log if re.search(pattern, line)]


def _connects(broker, client):
    return len(_lines(broker, rf"New client connected from \S+ as {client} "))


def _subscribes(broker, client):
    return [len(_lines(broker, rf"Received {kind} from {client}$")) for kind in ("SUBSCRIBE", "UNSUBSCRIBE")]


def _map(name, topic, target, source="in", sink="out", **keys):
    return yaml.mapping(name, {"connection": source, "topic": topic, "qos": 2},
                        {"connection": sink, "topic": target, "qos": 2}, **keys)


def _two(name, broker, out=None):
    """Two connections to brokers: NAME-in and NAME-out."""
    return [yaml.mqtt("in", broker.port, client_id=f"{name}-in"),
            yaml.mqtt("out", (out or broker).port, client_id=f"{name}-out")]


@tap.case("mappings come, change and go; the connections are not touched, and counters go on")
def mappings():
    broker = shared_mosquitto()
    two = _two("maps", broker)
    with Linkspan(yaml.configuration(two, [_map("a", "maps/a", "maps/out/1")])) as bridge, \
            Subscriber(broker.port, "maps/out/#") as got, Publisher(broker.port) as out:
        out.publish("maps/a", b"1", qos=2)
        got.wait_count(1)
        bridge.configure(yaml.configuration(two, [_map("a", "maps/a", "maps/out/2", payload="{n: .}"),
                                                  _map("b", "maps/a", "maps/out/b")]))
        said = bridge.reload()
        assert "2 kept" in said, said
        out.publish("maps/a", b"2", qos=2)
        got.wait_count(3)
        bridge.configure(yaml.configuration(two, [_map("b", "maps/a", "maps/out/b")]))
        bridge.signal(signal.SIGHUP)
        bridge.wait_event("reloaded", more_than=1)
        out.publish("maps/a", b"3", qos=2)
        got.wait_count(4)
        assert sorted((m.topic, m.payload) for m in got.messages) == [
            ("maps/out/1", b"1"), ("maps/out/2", b'{"n":2}'), ("maps/out/b", b"2"), ("maps/out/b", b"3")], got.messages
        bridge.wait_status(lambda s: s["taken"] == 3 and s["unacknowledged"] == 0, "what was taken", source="in")
        bridge.wait_status(lambda s: s["delivered"] == 4, "what was delivered", destination="out")
        assert [_connects(broker, f"maps-{end}") for end in ("in", "out")] == [1, 1]
        assert _subscribes(broker, "maps-in") == [1, 0]
        assert not bridge.events("link_down")
        assert bridge.stop() == 0


@tap.case("topic filters come and go on the connection that is there, and a restart knows which it has")
def filters():
    with own_mosquitto() as broker:
        two = _two("filters", broker)
        with Linkspan(yaml.configuration(two, [_map("a", "filters/a", "filters/out/a"), _map("b", "filters/b", "filters/out/b")])) \
                as bridge, Subscriber(broker.port, "filters/out/#") as got, Publisher(broker.port) as out:
            bridge.configure(yaml.configuration(two, [_map("c", "filters/c", "filters/out/c"),
                                                      _map("b", "filters/b", "filters/out/bb")]))
            said = bridge.reload()
            assert "1 told of other subscriptions" in said, said
            until(lambda: _subscribes(broker, "filters-in") == [3, 1], "one SUBSCRIBE and one UNSUBSCRIBE")
            until(lambda: len(_lines(broker, "Sending UNSUBACK to filters-in")) == 1, "UNSUBACK")
            for topic in "abc":
                out.publish(f"filters/{topic}", b"1", qos=2)
            got.wait_count(2)
            assert sorted(m.topic for m in got.messages) == ["filters/out/bb", "filters/out/c"]
            bridge.wait_status(lambda s: s["taken"] == 2 and s["unmatched"] == 0, "two taken", source="in")
            assert [_connects(broker, f"filters-{end}") for end in ("in", "out")] == [1, 1]
            bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="out")
            bridge.kill()
            bridge.start()
            out.publish("filters/c", b"2", qos=2)
            got.wait_count(3)
            assert _subscribes(broker, "filters-in") == [3, 1], "what the session has was known"
            # A connection that was read only is written to as well, and no longer.
            both = [_map("c", "filters/c", "filters/out/c", sink="in")]
            bridge.configure(yaml.configuration([two[0]], both))
            bridge.settled(bridge.reload)
            out.publish("filters/c", b"3", qos=2)
            got.wait_count(4)
            assert _connects(broker, "filters-in") == 2 and not _lines(broker, "Client filters-in .*already connected")
            bridge.wait_status(lambda s: s["delivered"] == 1 and s["waiting"] == 0, "delivered by it", destination="in")
            bridge.configure(yaml.configuration(two, [_map("c", "filters/c", "filters/out/c")]))
            bridge.settled(bridge.reload)
            out.publish("filters/c", b"4", qos=2)
            got.wait_count(5)
            assert _connects(broker, "filters-in") == 2
            assert bridge.stop() == 0


@tap.case("connections come, change and go: the others stay, each message arrives once")
def connections():
    with own_mosquitto() as near, own_mosquitto() as far, own_mosquitto() as other:
        source = yaml.mqtt("in", near.port, client_id="conn-in")
        plain = yaml.mqtt("out", far.port, client_id="conn-out")
        steps = [  # connections, where 'a' goes
            [source, plain, yaml.mqtt("more", other.port, client_id="conn-more")],  # one more, which is written to
            [source, yaml.mqtt("out", far.port, client_id="conn-out", outbox={"window": 7}), yaml.mqtt("more", other.port, client_id="conn-more")],
            [yaml.mqtt("in", near.port, client_id="conn-in", receive_maximum=50), plain],
            [source, yaml.mqtt("out", other.port, client_id="conn-out")],  # another broker
        ]
        sent = {"k": 0}
        with Linkspan(yaml.configuration([source, plain], [_map("a", "conn/a", "conn/out")])) as bridge, \
                Subscriber(far.port, "conn/out/#") as at_far, Subscriber(other.port, "conn/out/#") as at_other, \
                Publisher(near.port) as out:
            for links in [None, *steps]:
                if links:
                    more = [_map("m", "conn/m", "conn/out/m", sink="more")] if len(links) == 3 else []
                    bridge.configure(yaml.configuration(links, [_map("a", "conn/a", "conn/out"), *more]))
                    if links is steps[-1]:  # what still waits goes to the other broker, and of what is under way nobody knows
                        until(lambda: len(at_far.messages) == sent["k"], "all of them before the broker changes")
                        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination="out")
                    bridge.settled(bridge.reload)
                for _ in range(50):
                    sent["k"] += 1
                    out.publish("conn/a", check.numbered("k", sent["k"]), qos=2)
            out.publish("conn/m", b"gone", qos=2)
            got = at_far.messages, at_other.messages
            until(lambda: sum(map(len, got)) >= sent["k"], "all of them")
            check.demand(check.judge(sent, [m.payload for m in (*got[0], *got[1])]), "conn", repeats=False)
            assert len(got[1]) == 50, "those after the last reload"
            assert bridge.events("connection_removed", connection="more")
            assert _connects(near, "conn-in") == 3 and _connects(far, "conn-out") == 3, \
                (_connects(near, "conn-in"), _connects(far, "conn-out"))
            assert bridge.stop() == 0


@tap.case("what waits keeps its rendering and its numbers while the destination becomes another one")
def waiting():
    with own_mosquitto() as near, own_mosquitto() as far:
        source, nowhere = yaml.mqtt("in", near.port, client_id="wait-in"), free_port()
        with Linkspan(yaml.configuration([source, yaml.mqtt("out", nowhere, client_id="wait-out")],
                                         [_map("a", "wait/a", "wait/old")]), wait_up=["in"]) as bridge, \
                Subscriber(far.port, "wait/#") as got, Publisher(near.port) as out:
            for n in range(100):
                out.publish("wait/a", b"%d" % n, qos=2)
            bridge.wait_waiting("out", 100)
            there = yaml.configuration([source, yaml.mqtt("out", far.port, client_id="wait-out")], [_map("a", "wait/a", "wait/new")])
            bridge.configure(there)
            bridge.settled(bridge.reload)
            for n in range(100, 110):
                out.publish("wait/a", b"%d" % n, qos=2)
            got.wait_count(110)
            assert [(m.topic, int(m.payload)) for m in got.messages] == \
                [("wait/old" if n < 100 else "wait/new", n) for n in range(110)], got.messages
            assert _connects(near, "wait-in") == 1
            bridge.wait_status(lambda s: s["delivered"] == 110 and s["waiting"] == 0, "all delivered", destination="out")
            assert bridge.fresh("totals", destination="out")["offered"] == "110"
            assert not bridge.events("mqtt_delivery_ambiguous"), "none of them was sent to anybody before"
            assert bridge.stop() == 0


@tap.case("a destination with messages that nothing writes to any more: refused, drained, dropped")
def leftovers():
    with own_mosquitto() as near, own_mosquitto() as far:
        source = yaml.mqtt("in", near.port, client_id="left-in")
        out_link = yaml.mqtt("out", far.port, client_id="left-out")
        with_out = yaml.configuration([source, out_link], [_map("a", "left/a", "left/out"), _map("b", "left/b", "left/b/out", sink="in")])
        without = yaml.configuration([source], [_map("b", "left/b", "left/b/out", sink="in")])
        named = yaml.configuration([source, out_link], [_map("b", "left/b", "left/b/out", sink="in")])
        with Linkspan(with_out) as bridge, Publisher(near.port) as out, Subscriber(far.port, "left/out") as got, \
                Subscriber(near.port, "left/b/out") as still:
            far.freeze()
            for n in range(30):
                out.publish("left/a", b"%d" % n, qos=2)
            bridge.wait_waiting("out", 30)
            bridge.configure(without)
            said = bridge.reload(status=1)
            assert "out has 30 messages waiting" in said and "--drain out" in said and "nothing has changed" in said, said
            said = bridge.reload("--drop", "in", "--drain", "b", status=1)
            assert "out has 30 messages waiting" in said, said
            bridge.signal(signal.SIGHUP)
            bridge.wait_event("reload_failed")
            assert any("out has 30 messages" in e["what"] for e in bridge.events("reload_refused")), bridge.events("reload_refused")
            bridge.configure(with_out)
            said = bridge.reload("--drop", "out", "--drain", "out", "--drop", "uot")  # what is told and comes to nothing
            for words in ("--drop out: nothing becomes of what waits there", "--drain out: nothing becomes of what waits there",
                          "--drop uot: there is no destination of that name"):
                assert words in said, said
            bridge.configure(without)
            out.publish("left/a", b"30", qos=2)  # by the configuration that still holds
            bridge.wait_waiting("out", 31)
            assert "--drain" not in bridge.reload("--drain", "out")
            assert "--drain" not in bridge.reload("--drain", "out")  # while it drains
            out.publish("left/a", b"nobody's", qos=2)
            out.publish("left/b", b"still", qos=2)
            still.wait_count(1)
            assert not bridge.events("connection_removed")
            far.thaw()
            got.wait_count(31)
            bridge.wait_event("connection_removed", connection="out")
            assert [int(m.payload) for m in got.messages] == list(range(31))
            # And once more, to be dropped: with the connection in the file, and without it.
            for round_, then in enumerate((named, without)):
                bridge.configure(with_out)
                bridge.settled(bridge.reload)
                bridge.wait_status(lambda s: s["link"] == "up", "its link", destination="out")
                far.freeze()
                for n in range(20):
                    out.publish("left/a", b"dropped", qos=2)
                bridge.wait_waiting("out", 20)
                bridge.configure(then)
                bridge.settled(lambda: bridge.reload("--drop", "out"))
                assert bridge.mark("destination_dropped", destination="out", messages="20") == round_ + 1
                far.thaw()
            assert bridge.mark("connection_removed", connection="out") == 2
            assert bridge.stop() == 0
            bridge.start()  # what was dropped does not stop a start
            assert bridge.stop() == 0


@tap.case("a bad file changes nothing and says why: each mistake at its place, to who asked and in the log")
def bad_file():
    broker = shared_mosquitto()
    two = _two("bad", broker)
    good = yaml.configuration(two, [_map("a", "bad/a", "bad/out")])
    with Linkspan(good) as bridge, Subscriber(broker.port, "bad/out") as got, Publisher(broker.port) as out:
        bridge.configure(good.replace('"bad/out"', '"bad/out/{nobody}"').replace("mappings:", "mapings: 1\nmappings:")
                         .replace("qos: 2", "qos: 3", 1))
        said = bridge.reload(status=1)
        for place in (r"linkspan\.yaml:\d+:\d+: .*mapings", r"linkspan\.yaml:\d+:\d+: .*nobody", r"linkspan\.yaml:\d+:\d+: .*qos"):
            assert re.search(place, said), (place, said)
        assert "nothing has changed" in said, said
        bridge.signal(signal.SIGHUP)
        bridge.wait_event("reload_failed")
        told = [e["what"] for e in bridge.events("reload_refused")]
        assert sum("linkspan.yaml:" in what for what in told) >= 3, told
        os.unlink(bridge.path)
        assert "cannot be read" in bridge.reload(status=1)
        with open(bridge.path, "w", encoding="utf-8") as file:
            file.write(": : :\n\t- {")
        assert "linkspan.yaml:" in bridge.reload(status=1)
        asked = subprocess.run([program(), "reload", bridge.path], capture_output=True, text=True, timeout=60, check=False)
        assert asked.returncode == 1 and "name the folder instead" in asked.stderr, asked
        assert re.search(r"linkspan\.yaml:\d+:\d+: ", asked.stderr), asked.stderr  # and why that cannot be read
        for setting, key in (("journal: {max_size: 512MiB}", "journal.max_size"), ("admin: {listen: \"127.0.0.1:1\"}", "admin.listen")):
            bridge.configure(setting + "\n" + good)
            assert key + " is another one than linkspan was started with" in bridge.reload(status=1)
        with open(bridge.path, "w", encoding="utf-8") as file:
            file.write(f"data_dir: {bridge.data_dir}2\n" + good)
        assert "data_dir is another one" in bridge.reload(status=1)
        assert not os.path.exists(bridge.data_dir + "2")
        out.publish("bad/a", b"1", qos=2)
        got.wait_count(1)
        bridge.configure(good)
        said = bridge.reload()
        assert "2 kept" in said and bridge.path + ": connections:" in said, said
        assert [_connects(broker, f"bad-{end}") for end in ("in", "out")] == [1, 1]
        assert bridge.stop() == 0
        asked = subprocess.run([program(), "reload", bridge.path], capture_output=True, text=True, timeout=60, check=False)
        assert asked.returncode == 1 and "no linkspan runs" in asked.stderr, asked


@tap.case("a hundred jq programs are compiled beside the loop, and orders that come together are carried out one after the other")
def off_the_loop():
    broker = shared_mosquitto()
    two = _two("jq", broker)
    many = [_map(f"m{n}", f"jq/{n}", f"jq/out/{n}", payload="{n: (. + %d)}" % n) for n in range(100)]
    with Linkspan(yaml.configuration(two, many[:1])) as bridge, Subscriber(broker.port, "jq/out/#") as got, \
            Publisher(broker.port) as out:
        bridge.configure(yaml.configuration(two, many))
        asking = [subprocess.Popen([program(), "reload", bridge.data_dir], stderr=subprocess.PIPE, text=True) for _ in range(2)]
        bridge.signal(signal.SIGHUP)
        n = 0
        while any(one.poll() is None for one in asking):
            out.publish("jq/0", b"%d" % n, qos=2)
            n += 1
            got.wait_count(n)
        assert [one.wait() for one in asking] == [0, 0], [one.stderr.read() for one in asking]
        bridge.wait_event("reload_settled", more_than=2)
        out.publish("jq/99", b"1", qos=2)
        got.wait_count(n + 1)
        assert got.messages[-1].payload == b'{"n":100}', got.messages[-1]
        assert not bridge.held_up(), bridge.held_up()
        assert bridge.stop() == 0


@tap.case("a message that its source holds for want of room becomes what the new mappings make of it; min_interval is kept")
def held():
    with own_mosquitto() as near, own_mosquitto() as far:
        source = yaml.mqtt("in", near.port, client_id="held-in")
        full = yaml.mqtt("out", far.port, client_id="held-out", outbox={"max_messages": 5})
        maps = [_map("a", "held/a", "held/out"), _map("s", "held/s", "held/s/out", sink="in", min_interval={"every": "1h"})]
        with Linkspan(yaml.configuration([source, full], maps)) as bridge, Subscriber(far.port, "held/out") as got, \
                Subscriber(near.port, ["held/new", "held/s/out"]) as at_near, Publisher(near.port) as out:
            out.publish("held/s", b"first", qos=2)
            at_near.wait_count(1)
            far.freeze()
            for n in range(20):
                out.publish("held/a", b"%d" % n, qos=2)
            bridge.wait_event("source_paused", connection="in")
            bridge.configure(yaml.configuration([source, full], [_map("a", "held/a", "held/new", sink="in"), maps[1],
                                                                 _map("z", "held/z", "held/out")]))
            bridge.reload()
            out.publish("held/s", b"second", qos=2)
            at_near.wait_count(16)
            far.thaw()
            got.wait_count(5)
            assert [int(m.payload) for m in got.messages] == list(range(5))
            assert [m.payload for m in at_near.messages if m.topic == "held/new"] == [b"%d" % n for n in range(5, 20)]
            bridge.wait_status(lambda s: s["left_out"] == 1, "the second one left out", source="in")
            assert _connects(near, "held-in") == 1 and _connects(far, "held-out") == 1
            assert bridge.stop() == 0


@tap.case("a stop in the middle of a reload is clean: while the file is read, and while a connection leaves")
def stopped():
    with own_mosquitto() as near, own_mosquitto() as far:
        source = yaml.mqtt("in", near.port, client_id="stop-in")

        def of(*maps, **out):
            return yaml.configuration([source, yaml.mqtt("out", far.port, client_id="stop-out", **out)], maps,
                                      shutdown_timeout="1s")
        one = _map("a", "stop/a", "stop/out")
        with Linkspan(of(one)) as bridge, Subscriber(far.port, "stop/out") as got, Publisher(near.port) as out:
            bridge.configure(of(*(_map(f"m{n}", f"stop/{n}", "stop/out", payload="{n: (. + %d)}" % n) for n in range(20))))
            bridge.signal(signal.SIGHUP)
            assert bridge.stop() == 0
            bridge.configure(of(one))
            bridge.start()
            far.freeze()
            for n in range(20):
                out.publish("stop/a", b"%d" % n, qos=2)
            bridge.wait_waiting("out", 20)
            bridge.configure(of(one, outbox={"window": 3}))
            bridge.reload()  # in flight is what the broker does not answer
            assert bridge.stop() == 0
            far.thaw()
            bridge.start()
            got.wait_count(20)
            assert [int(m.payload) for m in got.messages] == list(range(20)), got.messages
            assert bridge.stop() == 0


@tap.case("a listener for webhooks reads other paths without closing a connection; its values come and go")
def http_paths():
    broker, port = shared_mosquitto(), free_port()
    links = [yaml.http("api", listen=[f"127.0.0.1:{port}"]), yaml.mqtt("b", broker.port, client_id="paths-b")]

    def from_api(path):
        return yaml.mapping("in", {"connection": "api", "topic": path}, {"connection": "b", "topic": "paths/out"})
    to_api = yaml.mapping("v", {"connection": "b", "topic": "paths/v"}, {"connection": "api", "path": "/v"})
    with Linkspan(yaml.configuration(links, [from_api("/one")])) as bridge, Publisher(broker.port) as out:
        from http.client import HTTPConnection
        kept = HTTPConnection("127.0.0.1", port, timeout=60)

        def ask(method, path):
            kept.request(method, path, b"x" if method == "POST" else None)
            answer = kept.getresponse()
            return answer.status, answer.read()
        assert ask("POST", "/one")[0] == 202 and ask("POST", "/two")[0] == 404
        place = kept.sock.getsockname()
        bridge.configure(yaml.configuration(links, [from_api("/two"), to_api]))
        bridge.settled(bridge.reload)
        assert ask("POST", "/two")[0] == 202 and ask("POST", "/one")[0] == 404
        out.publish("paths/v", b"value", qos=1)
        until(lambda: ask("GET", "/v") == (200, b"value"), "the value")
        bridge.configure(yaml.configuration(links, [from_api("/two")]))
        bridge.settled(bridge.reload)
        assert ask("GET", "/v")[0] in (404, 405)
        assert kept.sock.getsockname() == place, "the same connection"
        assert bridge.mark("link_up", connection="api") == 1
        assert bridge.stop() == 0


@tap.case("a CoAP listener reads other paths on the sockets that are there")
def coap_paths():
    broker, port = shared_mosquitto(), free_port()
    links = [yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"]), yaml.mqtt("b", broker.port, client_id="coap-paths-b")]

    def from_api(path):
        return yaml.mapping("in", {"connection": "api", "topic": path}, {"connection": "b", "topic": "coap-paths/out"})
    with Linkspan(yaml.configuration(links, [from_api("/one")])) as bridge, coap.Client(port) as client:
        assert client.ask(client.request("POST", "/one", b"1")).text == "2.04"
        bridge.configure(yaml.configuration(links, [from_api("/two")]))
        bridge.settled(bridge.reload)
        assert client.ask(client.request("POST", "/two", b"2")).text == "2.04"
        assert client.ask(client.request("POST", "/one", b"3")).text == "4.04"
        assert bridge.mark("link_up", connection="api") == 1
        bridge.configure(yaml.configuration([yaml.coap("api", listen=[f"coap://127.0.0.1:{port}"], limits={"rate": 1000}), links[1]],
                                            [from_api("/two")]))
        bridge.settled(bridge.reload)
        assert client.ask(client.request("POST", "/two", b"4")).text == "2.04", "on the same port again"
        assert bridge.stop() == 0


@tap.case("Kafka: other topics are read from where they were left, and a sink that has not changed stays")
def kafka_topics():
    from confluent_kafka import Producer
    kafka, broker = shared_kafka(), shared_mosquitto()
    producer = Producer({"bootstrap.servers": kafka.brokers, "log_level": 0})

    def write(topic, first, count):
        for n in range(first, first + count):
            producer.produce(topic, check.numbered(topic, n), partition=0)
        assert producer.flush(60) == 0
    write("reload.one", 1, 50)
    write("reload.two", 1, 50)
    links = [yaml.kafka("lake", kafka.brokers), yaml.kafka("sink", kafka.brokers),
             yaml.mqtt("b", broker.port, client_id="kafka-reload-b")]
    back = yaml.mapping("back", {"connection": "b", "topic": "kafka-reload/in"}, {"connection": "sink", "topic": "reload.back"})

    def read(*topics):
        return [yaml.mapping("out", {"connection": "lake", "topic": list(topics)},
                             {"connection": "b", "topic": "kafka-reload/out", "qos": 2}), back]
    with Subscriber(broker.port, "kafka-reload/out", qos=2) as got, Linkspan(yaml.configuration(links, read("reload.one"))) as bridge:
        got.wait_count(50)
        for topics in (("reload.one", "reload.two"), ("reload.two",), ("reload.two", "reload.one")):
            bridge.configure(yaml.configuration(links, read(*topics)))
            bridge.settled(bridge.reload)
            if topics == ("reload.two",):
                got.wait_count(100)
                write("reload.one", 51, 50)
        got.wait_count(150)
        verdict = check.judge({"reload.one": 100, "reload.two": 50}, [m.payload for m in got.messages])
        check.demand(verdict, "reload", repeats=False)
        assert bridge.mark("link_up", connection="sink") == 1 and bridge.mark("link_up", connection="b") == 1
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
