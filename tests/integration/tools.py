#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""linkspan explain and linkspan trace, against files and beside the daemon that they speak of; what is live."""
import json
import os
import re
import shutil
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PLANT = """data_dir: data
connections:
  plant: {type: mqtt, url: "mqtt://localhost", client_id: c}
  lake:
    type: kafka
    brokers: ["localhost:9092"]
    topics_allowed: ["scada.*"]
    outbox: {max_bytes: 2GiB}
  people:
    type: http
    url: "https://example.com/${env:TOKEN}"
    outbox: {when_full: drop_oldest, ttl: 6h}
mappings:
  - name: telemetry
    from: {connection: plant, topic: "plant/{line}/{cell}/telemetry", qos: 2}
    when: .quality == "good"
    payload: '{line: $line, v: .value}'
    min_interval: {every: 30s, key: "{cell}"}
    to: {connection: lake, topic: "{line}.telemetry", key: "{cell}", headers: {from: "{topic}"}}
    priority: 9
  - name: alarms
    from: {connection: plant, topic: ["plant/+/alarm", "spare/alarm"], qos: 0}
    to:
      - {connection: people, path: /alarms}
      - {connection: lake, topic: "scada.{.site}"}
"""


def _file(text):
    path = os.path.join(temp_folder("tools"), "linkspan.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def _say(*arguments, text=None, status=0, env=None, **keys):
    said = subprocess.run([program(), *arguments], capture_output=True, timeout=60, check=False, input=text,
                          env={**os.environ, "TOKEN": "geheim-4711", "COLUMNS": "80", **(env or {})}, **keys)
    assert said.returncode == status, said
    assert b"geheim-4711" not in said.stdout + said.stderr, said
    return (said.stdout if status == 0 else said.stderr).decode()


def _rule(name, topic, target, **keys):
    return yaml.mapping(name, {"connection": "near", "topic": topic, "qos": 1}, {"connection": "near", "topic": target}, **keys)


def _trace(*arguments, **keys):
    """By the name of its mapping each part of what is said; the message and the sum as "" and "sum"."""
    text = _say("trace", *arguments, **keys)
    parts = re.split(r"\n(?=\S)", text)
    return {"": parts[0], "sum": parts[-1], **{part.split()[0]: part for part in parts[1:-1]}}, text


@tap.case("explain: a table and each way with its guarantee, no line longer than the terminal is wide")
def explain_text():
    path = _file(PLANT)
    for width in (80, 120):
        text = _say("explain", "--width", str(width), path)
        assert max(map(len, text.splitlines())) <= width, text
        words = " ".join(text.split())
        assert "telemetry plant: plant/{line}/{cell}/te" in words, text
        assert "reading from plant (mqtt, qos 2) would keep exactly-once" in words, text
        assert "writing to lake (kafka) keeps no more, unless delivery: exactly-once is declared" in words, text
        assert "throws away what finds no room (when_full: drop_oldest) and what has waited for more than 6h" in words, text
        assert "with 2GiB waiting for lake nothing more is taken from plant until there is room (block)" in words, text
        assert "QoS 0 is not acknowledged (say qos: 1)" in words, text
        assert "messages of one key ({cell}) keep their order; priority 9 goes before others" in words, text
        assert "min_interval every: 30s, key: {cell}" in words, text


@tap.case("explain --json: the guarantee is the one that check prints, with what bounds it")
def explain_json():
    path = _file(PLANT)
    routes = json.loads(_say("explain", "--json", path))["routes"]
    assert [(r["mapping"], r["to"]["connection"], r["guarantee"], r["bounded_by"]) for r in routes] == [
        ("telemetry", "lake", "at-least-once", "destination"), ("alarms", "people", "at-most-once", "source"),
        ("alarms", "lake", "at-most-once", "source")], routes
    checked = re.findall(r"^  to .*?(at-\w+-once|exactly-once)", _say("check", path), re.M)
    assert checked == [r["guarantee"] for r in routes], checked
    assert routes[0]["steps"] == {"when": '.quality == "good"', "payload": "{line: $line, v: .value}", "priority": "9",
                                  "min_interval": "every: 30s, key: {cell}"}, routes[0]
    assert routes[1]["from"]["topics"] == ["plant/+/alarm", "spare/alarm"], routes[1]
    assert routes[1]["when_full"]["policy"] == "drop_oldest", routes[1]


@tap.case("explain: formats, and two targets that differ by them alone")
def explain_formats():
    path = _file("""data_dir: data
connections:
  plant: {type: mqtt, url: "mqtt://localhost", client_id: c}
  lake: {type: kafka, brokers: ["localhost:9092"], topics_allowed: [v]}
mappings:
  - name: readings
    from: {connection: plant, topic: "plant/#", format: cbor}
    to:
      - {connection: lake, topic: v, format: json}
      - {connection: lake, topic: v, format: base64}
""")
    words = " ".join(_say("explain", path).split())
    assert "plant/# format: cbor to lake" in words, words
    assert "lake (kafka): v format: json guarantee" in words, words
    assert "lake (kafka): v format: base64 guarantee" in words, words
    routes = json.loads(_say("explain", "--json", path))["routes"]
    assert [route["to"]["keys"]["format"] for route in routes] == ["json", "base64"], routes
    assert "twice" not in _say("check", path)


@tap.case("explain --dot: Graphviz draws it")
def explain_dot():
    if not shutil.which("dot"):
        raise tap.Skip("no dot: install graphviz", missing=True)
    text = _say("explain", "--dot", _file(PLANT.replace("name: alarms", 'name: al-ar.ms')))
    drawn = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=True, timeout=60)
    assert drawn.stderr == b"", drawn
    lines = drawn.stdout.decode().splitlines()
    assert len([line for line in lines if line.startswith("node ")]) == 3 + 2, lines
    assert len([line for line in lines if line.startswith("edge ")]) == 2 + 3 + 1, lines  # the last one: answers of people


WINDOWS = """\
data_dir: /tmp/windows
connections:
  plant: {type: mqtt, url: "mqtt://h", client_id: a}
  lake: {type: kafka, brokers: [h]}
mappings:
  - name: minutes
    from: {connection: plant, topic: "plant/{line}/t", qos: 2}
    aggregate: {window: 1m, key: "{line}", value: .v, as: [mean, count]}
    payload: ". + {line: $line}"
    to:
      - {connection: lake, topic: minutes}
      - {connection: plant, topic: "out/{line}", qos: 1}
  - name: alarms
    from: {connection: plant, topic: alarm}
    to: {connection: lake, topic: alarms}
"""


@tap.case("explain, trace and check: a mapping with aggregate is one way, from its source to its targets")
def windows():
    path = _file(WINDOWS)
    routes = json.loads(_say("explain", "--json", path))["routes"]
    assert [(r["mapping"], r["from"]["connection"], r["to"]["connection"], r["guarantee"], r["bounded_by"]) for r in routes] == [
        ("minutes", "plant", "lake", "at-least-once", "destination"), ("minutes", "plant", "plant", "at-least-once", "destination"),
        ("alarms", "plant", "lake", "at-least-once", "both")], routes
    assert routes[0]["window"]["ms"] == 60000 and routes[0]["window"]["destination"] == "minutes", routes[0]
    assert routes[0]["steps"]["payload"] == ". + {line: $line}" and "window: 1m" in routes[0]["steps"]["aggregate"], routes[0]
    assert "window" not in routes[2], routes[2]
    words = " ".join(_say("explain", path).split())
    assert "one result each 1m and key ({line})" in words and "(aggregate)" not in words, words
    drawn = _say("explain", "--dot", path)
    assert "minutes\\nwindow 1m" in drawn and "aggregate" not in drawn and drawn.count("shape=ellipse") == 2, drawn
    checked = _say("check", path)
    assert "into  windows of 1m" in checked and "2 connections, 2 mappings" in checked and "(aggregate)" not in checked, checked
    parts, text = _trace(path, "--topic", "plant/l1/t", "--payload", '{"v": 20.50}', "--all")
    said = " ".join(parts["minutes"].split())
    for words in ("one result each 1m", "its key l1", "its value 20.5", "result to lake (kafka): minutes, at-least-once",
                  "result to plant (mqtt): out/{line}, at-least-once"):
        assert words in said, said
    assert "1 in a window, 0 dead letters" in parts["sum"] and "reads from minutes" not in text, text


@tap.case("trace: captures, jq, a rendered target, what depends on earlier messages, and a target that is not allowed")
def trace_steps():
    path = _file(PLANT)
    parts, _ = _trace(path, "--topic", "plant/scada/c2/telemetry", "--payload", '{"quality":"good","value":20.5}', "--qos", "2")
    said = " ".join(parts["telemetry"].split())
    for words in ("line = scada cell = c2", '.quality == "good": true', "makes 1 message of it",
                  "nothing of 'c2' has passed for 30s: depends on earlier messages"):
        assert words in said, said
    assert "telemetry" in parts and "alarms" not in parts, parts
    parts, text = _trace(path, "--topic", "plant/scada/c2/telemetry", "--payload", '{"quality":"good","value":20.5}', "--all")
    for words in ("to lake (kafka): scada.telemetry key c2 payload {\"line\":\"scada\",\"v\":20.5}", "guarantee at-least-once",
                  "headers from: plant/scada/c2/telemetry", "level 2 is 'c2', and the filter has 'alarm'",
                  "1 message to send, 0 dead letters."):
        assert words in " ".join(text.split()), text
    _, text = _trace(path, "--topic", "plant/other/c2/telemetry", "--payload", '{"quality":"good","value":1}')
    assert "0 messages to send, 1 dead letter." in text and "the target other.telemetry is not legal" in text, text
    assert ":19:9:" in text and "\n   19 |     to: {connection: lake" in text, text


@tap.case("trace: what jq and templates fail on is shown at its place; when that is not true leaves nothing")
def trace_failures():
    path = _file(PLANT)
    _, text = _trace(path, "--topic", "plant/a/b/telemetry", "--payload", "no json")
    assert "when fails: the payload is not JSON" in " ".join(text.split()) and ":16:11:" in text, text
    assert '\n   16 |     when: .quality == "good"\n      |           ^' in text, text
    assert "dead letter" in text and "0 messages to send, 1 dead letter." in text, text
    _, text = _trace(path, "--topic", "plant/a/b/telemetry", "--payload", '{"quality":"bad"}')
    assert "not true, so this mapping leaves it" in " ".join(text.split()) and "Nothing goes out" in text, text
    _, text = _trace(path, "--topic", "spare/alarm", "--payload", '{"a":1}', "--retain")
    assert "the payload has no .site" in text and "1 message to send, 1 dead letter." in text, text
    _, text = _trace(path, "--topic", "x/y")
    assert "No mapping takes it" in text and "level 0 is 'x', and the filter has 'plant'" in " ".join(text.split()), text


@tap.case("trace: of the rules over time and of aggregate, what fails is named and shown at its place")
def trace_failing_rules():
    path = _file("""data_dir: data
connections:
  plant: {type: mqtt, url: "mqtt://localhost", client_id: a}
mappings:
  - name: value
    from: {connection: plant, topic: value}
    when: .on
    changes_only: {value: ".v[]"}
    payload: .v
    to: {connection: plant, topic: out}
  - name: window
    from: {connection: plant, topic: window}
    aggregate: {window: 1m, as: last, value: .v, key: "{.k}"}
    payload: .
    to: {connection: plant, topic: out}
""")
    for topic, words, place in (
            ("value", "changes_only value fails: the transform gives more than 1 output; so it becomes a dead letter", ":8:27:"),
            ("window", "aggregate key fails: the payload has no .k; so it becomes a dead letter", ":13:55:")):
        _, text = _trace(path, "--topic", topic, "--payload", '{"on": true, "v": [1, 2]}')
        assert words in " ".join(text.split()) and place in text and text.count("fails:") == 1, text


@tap.case("trace: a partition and a time that Kafka cannot have make a dead letter")
def trace_impossible_values():
    path = _file("""data_dir: data
connections:
  plant: {type: mqtt, url: "mqtt://localhost", client_id: a}
  lake: {type: kafka, brokers: ["localhost:9092"]}
mappings:
  - name: up
    from: {connection: plant, topic: in}
    to: {connection: lake, topic: t, partition: "{.p}", timestamp: "{.t}"}
""")
    for payload, words in (('{"p": 3, "t": 1700000000}', "1 message to send, 0 dead letters."),
                           ('{"p": -1, "t": 1700000000}', "rejected so it becomes a dead letter: the partition is no number"),
                           ('{"p": 2147483648, "t": 1700000000}', "rejected so it becomes a dead letter: the partition is no number"),
                           ('{"p": 3, "t": "soon"}', "rejected so it becomes a dead letter: the timestamp is neither")):
        _, text = _trace(path, "--topic", "in", "--payload", payload)
        assert words in " ".join(text.split()), text
        assert ("0 messages to send, 1 dead letter." in text) == ("rejected" in words), text


@tap.case("trace: payloads from a file, from standard input and null; headers; bytes that are no text")
def trace_inputs():
    path = _file("""data_dir: data
connections:
  old: {type: mqtt, url: "mqtt://localhost", client_id: a}
  lake: {type: kafka, brokers: ["localhost:9092"]}
mappings:
  - name: up
    from: {connection: old, topic: "#"}
    to: {connection: lake, topic: "t.{header.site}", content_type: text/plain}
  - name: down
    from: {connection: lake, topic: "t.{x}"}
    to: {connection: old, topic: "down/{x}/{key}"}
""")
    with open(os.path.join(os.path.dirname(path), "payload"), "wb") as out:
        out.write(b"\x00\xff\x01")
    _, text = _trace(path, "--from", "old", "--topic", "a", "--header", "site=n=1", "--payload",
                     "@" + os.path.join(os.path.dirname(path), "payload"))
    assert "t.n=1" not in text or "dead letter" in text, text  # Kafka has no such topic name
    assert '{"base64":"AP8B"}' in text.replace(": ", ":"), text
    _, text = _trace(path, "--from", "lake", "--topic", "t.l1", "--key", "k7", "--payload", "@-", text=b"{}\n")
    assert "to           old (mqtt): down/l1/k7\n" in text, text
    _, text = _trace(path, "--from", "lake", "--topic", "t.l1", "--key", "k7", "--null")
    assert "payload      null\n  headers      linkspan-hops: 1\n  qos          1, retain" in text, text
    assert "note         the key: a message of MQTT has no key" in _trace(path, "--from", "old", "--topic", "a", "--key", "k")[1]
    assert "old (mqtt) receives" in _trace(path, "--topic", "a")[1]  # nobody else reads it
    assert "--from with one of: old lake" in _say("trace", path, "--topic", "t.l1", status=2)
    assert "did you mean 'lake'?" in _say("trace", path, "--topic", "a", "--from", "leke", status=2)
    assert "--header takes NAME=VALUE" in _say("trace", path, "--topic", "a", "--header", "x", status=2)
    assert "No such file" in _say("trace", path, "--topic", "a", "--payload", "@/none", status=1)
    assert "the topic holds + or #" in _say("trace", path, "--topic", "a/#", status=2)


@tap.case("trace says what the daemon does: the same topics and payloads")
def trace_is_true():
    port = shared_mosquitto().port
    rules = [yaml.mapping("split", {"connection": "near", "topic": "true/{line}/in", "qos": 1},
                          {"connection": "near", "topic": "true/split/out/{line}"}, payload=".[] | {n: .}", on_error="drop"),
             yaml.mapping("raw", {"connection": "near", "topic": "true/+/in", "qos": 1},
                          {"connection": "near", "topic": "true/raw/out/{topic[1]}"}, when=".[0] > 1", on_error="pass")]
    messages = [("true/a/in", b"[1,2]"), ("true/b/in", b"[2]"), ("true/c/in", b"no json")]
    with Linkspan(yaml.configuration([yaml.mqtt("near", port, client_id="linkspan-trace-true")], rules)) as bridge, \
            Subscriber(port, ["true/+/out/#"]) as got, Publisher(port) as out:
        said = []
        for topic, payload in messages:
            text = _say("trace", bridge.path, "--topic", topic, "--payload", payload.decode())
            for block in text.split("\n\n"):
                found = re.search(r"^  to +near \(mqtt\): (\S+)\n  payload +(.*)$", block, re.M)
                if found:
                    said.append((found.group(1), found.group(2).encode()))
            out.publish(topic, payload)
        got.wait_count(len(said))
        assert sorted((m.topic, m.payload) for m in got.messages) == sorted(said) and len(said) == 5, (said, got.messages)
        assert bridge.stop() == 0


class _Watch:
    """linkspan trace --live --json, already watching: what it says as dicts, read as they are asked for."""

    def __init__(self, bridge, topic, *arguments):
        self.process = subprocess.Popen([program(), "trace", "--live", topic, "--json", *arguments, bridge.path],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.next() == {"watching": True}, self.process.stderr.read()

    def next(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def until(self, is_last):
        said = []
        while not said or not is_last(said[-1]):
            said.append(self.next())
            assert said[-1] is not None, (said, self.process.stderr.read())
        return said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def _is_outcome(line, what="delivered"):
    return line.get("outcome", {}).get("what") == what


@tap.case("trace --live: what passes, what it becomes and what becomes of that, without secrets; the filter holds")
def live():
    port = shared_mosquitto().port
    rules = [_rule("up", "live/{line}/in", "live/out/${env:PLACE}", when=".v > 1"),
             _rule("copy", "live/{line}/in", "copied/{.v}")]
    with Linkspan(yaml.configuration([yaml.mqtt("near", port, client_id="linkspan-live")], rules),
                  env={"PLACE": "geheim-4711"}) as bridge, Publisher(port) as out:
        os.environ["PLACE"] = "geheim-4711"
        with _Watch(bridge, "live/+/in") as watch, _Watch(bridge, "live/b/#") as other:
            out.publish("live/a/in", b'{"v":2,"p":"geheim-4711"}')
            said = watch.until(_is_outcome) + watch.until(_is_outcome)
            assert "geheim" not in json.dumps(said), said
            message = said[0]["message"]
            assert (message["connection"], message["topic"], message["outputs"]) == ("near", "live/a/in", 2), said
            assert message["payload"] == '{"v":2,"p":"***"}' and message["bytes"] == 25, said
            outputs = [line["output"] for line in said if "output" in line]
            assert [(o["n"], o["mapping"], o["destination"], o["topic"], o["what"]) for o in outputs] == [
                (1, "up", "near", "live/out/***", "queued"), (1, "copy", "near", "copied/2", "queued")], said
            outcomes = [line["outcome"] for line in said if "outcome" in line]
            assert {o["seq"] for o in outcomes} == {o["seq"] for o in outputs}, said
            out.publish("live/b/in", b"\xff\x00")  # no JSON: two dead letters
            said = watch.until(lambda line: _is_outcome(line, "dead letter"))
            assert said[0]["message"]["payload"] == {"hex": "ff00"}, said
            assert said[1]["output"]["what"] == "dead letter" and "not JSON" in said[1]["output"]["reason"], said
            assert other.next()["message"]["topic"] == "live/b/in"  # the first that it hears of
        text = subprocess.Popen([program(), "trace", "--live", "live/#", "--count", "1", bridge.path],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"watching live/#" in text.stderr.readline()
        out.publish("live/c/in", b'{"v":1}')
        printed = text.communicate(timeout=60)[0].decode()
        assert text.returncode == 0 and re.search(
            r'^#1 near: live/c/in  \{"v":1\}  \(7 bytes\)\n#1   copy -> near: copied/1  queued as (\d+)\n'
            r'#1   near \1  delivered\n$', printed), printed
        assert bridge.stop() == 0


@tap.case("trace --live: a watcher who does not read holds up nobody, and is told how much he has missed")
def live_slow():
    port = shared_mosquitto().port
    with Linkspan(yaml.configuration([yaml.mqtt("near", port, client_id="linkspan-slow")],
                                     [_rule("up", "slow/in", "slow/out")])) as bridge, \
            Publisher(port) as out, Subscriber(port, ["slow/out"]) as got:
        with _Watch(bridge, "slow/in") as watch:
            for n in range(3000):
                out.publish("slow/in", b"%d " % n + b"x" * 400)
            got.wait_count(3000)
            lost, last = 0, None
            while last is None:
                said = watch.next()
                lost += said.get("lost", 0)
                if "lost" in said:
                    out.publish("slow/in", b"last")  # and that can be lost, too: then another number comes
                if said.get("message", {}).get("payload") == "last":
                    last = said["message"]["n"]
            assert lost > 0 and last > 3000, (lost, last)
        assert bridge.stop() == 0


@tap.case("trace --live: the daemon stops while somebody watches; without a daemon it says so")
def live_ends():
    port = shared_mosquitto().port
    with Linkspan(yaml.configuration([yaml.mqtt("near", port, client_id="linkspan-live-ends")],
                                     [_rule("up", "ends/in", "ends/out")])) as bridge:
        with _Watch(bridge, "#") as watch:
            assert bridge.stop() == 0
            assert watch.next() is None
        said = subprocess.run([program(), "trace", "--live", "#", bridge.path], capture_output=True, timeout=60, check=False)
        assert said.returncode == 1 and b"no linkspan runs on this data folder" in said.stderr, said
    assert "--live: # matches everything below" in _say("trace", "--live", "#/a", "x", status=2)
    assert "only --count and --json" in _say("trace", "--live", "#", "--topic", "a", "x", status=2)


@tap.case("check --strict: a warning fails")
def strict():
    path = _file(PLANT.replace('topic: "scada.{.site}"', 'topic: "scada.alarm"').replace("  people:", """  unused:
    type: mqtt
    url: "mqtt://localhost:1"
    client_id: d
  people:"""))
    assert "no mapping uses connection 'unused'" in _say("check", "--strict", path, status=1)
    said = _say("check", path)
    assert "is good" in said, said


@tap.case("all examples can be explained")
def examples():
    keys = os.path.join(temp_folder("tools"), "keys")
    with open(keys, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
        out.write('a: "aaaaaaaaaaaaaaaaaaaa"\n')
    env = {"COAP_LISTEN": "coaps://127.0.0.1:0", "SENSOR_KEYS": keys, "VALVE_URL": "coaps://127.0.0.1",
           "VALVE_KEY": "abcdefghijklmnop", "KAFKA_BROKERS": "k:9092", "PROXY": "http://p:1", "TELEGRAM_CHAT": "5",
           "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "HOOKS_LISTEN": "127.0.0.1:0", "LINKSPAN_DATA": "/tmp/none",
           "STRIPE_SECRET": "whsec_abcdefghijklmnopqrstuvw"}
    env.update({name: "mqtt://broker" for name in ("HOME_BROKER", "EDGE_BROKER", "CLOUD_BROKER", "PLANT_BROKER", "HALL_BROKER")})
    env.update({name: "https://server/x" for name in ("NTFY_URL", "SLACK_URL", "TELEGRAM_URL", "WEBHOOK_URL")})
    env.update({name: "abcdefghijklmnopqrst" for name in ("GITHUB_SECRET", "GRAFANA_SECRET")})
    n = 0
    for folder in sorted(os.listdir(os.path.join(_ROOT, "examples"))):
        path = os.path.join(_ROOT, "examples", folder, "linkspan.yaml")
        if os.path.exists(path):
            n += 1
            text = _say("explain", path, env=env)
            assert "GUARANTEE" in text and len(text.splitlines()) > 10, text
            _say("check", "--strict", "--quiet", path, env=env)
    assert n >= 7, n


if __name__ == "__main__":
    tap.main()
