#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a message becomes, in a running linkspan: several destinations, several results of jq, formats, on_error,
logs without secrets."""
import os
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.process import temp_folder


def _one_broker(name, *mappings, **settings):
    return Linkspan(yaml.configuration([yaml.mqtt("near", shared_mosquitto().port, client_id=f"linkspan-{name}")],
                                       mappings, **settings))


def _rule(name, topic, *targets, **keys):
    return yaml.mapping(name, {"connection": "near", "topic": topic, "qos": 1},
                        *({"connection": "near", "topic": target} for target in targets), **keys)


@tap.case("one message becomes each of jq's results at each destination, in order")
def several_results():
    port = shared_mosquitto().port
    with _one_broker("several", _rule("split", "several/{line}/in", "several/one/{line}", "several/two/{line}",
                                      payload=".[] | {line: $line, n: .}")) as bridge, \
            Subscriber(port, ["several/one/#", "several/two/#"]) as got, Publisher(port) as out:
        out.publish("several/a/in", b"[1, 2, 3]")
        out.publish("several/a/in", b"[]")
        out.publish("several/a/in", b"[4]")
        got.wait_count(8)
        texts = [b'{"line":"a","n":%d}' % n for n in range(1, 5)]
        for topic in ("several/one/a", "several/two/a"):
            assert [m.payload for m in got.messages if m.topic == topic] == texts, got.messages
        assert bridge.stop() == 0


@tap.case("on_error and max_outputs: a dead letter, nothing, or the message as it came")
def on_error():
    port = shared_mosquitto().port
    rules = [_rule(word, f"wrong/{word}/in", f"wrong/{word}/out", payload=".[]", max_outputs=2, on_error=word)
             for word in ("dead_letter", "drop", "pass")]
    with _one_broker("on-error", *rules) as bridge, Subscriber(port, "wrong/+/out") as got, Publisher(port) as out:
        for word in ("dead_letter", "drop", "pass"):
            out.publish(f"wrong/{word}/in", b"[1,2,3]")  # one more than max_outputs
            out.publish(f"wrong/{word}/in", b"no json")
            out.publish(f"wrong/{word}/in", b"[1,2]")
        got.wait_count(8)
        came = {word: [m.payload for m in got.messages if m.topic == f"wrong/{word}/out"]
                for word in ("dead_letter", "drop", "pass")}
        assert came == {"dead_letter": [b"1", b"2"], "drop": [b"1", b"2"],
                        "pass": [b"[1,2,3]", b"no json", b"1", b"2"]}, came
        bridge.wait_event("message_dropped", mapping="drop")
        bridge.wait_event("message_passed", mapping="pass")
        bridge.wait_event("dead_letters", destination="near", count="2")
        bridge.wait_status(lambda s: s["dropped"] == 2, "both that were dropped", source="near")
        assert bridge.stop() == 0


@tap.case("payloads in other formats: CBOR, bytes, text and templates, with the content type that says so")
def formats():
    port = shared_mosquitto().port
    ways = (("cbor", "json", b"\xa2at\xfb@5\x80\x00\x00\x00\x00\x00bid\x1b\x00 \x00\x00\x00\x00\x00\x01",
             b'{"t":21.5,"id":9007199254740993}', "application/json"),
            ("json", "cbor", b'{"t": 21.5}', b"\xa1at\xfaA\xac\x00\x00", "application/cbor"),
            ("raw", "base64", b"\xff\x00\xfe", b"/wD+", "text/plain; charset=utf-8"),
            ("base64", "raw", b"/wD+", b"\xff\x00\xfe", None),
            ("text", "json", "Tür".encode(), '"Tür"'.encode(), "application/json"))
    rules = [yaml.mapping(f"{one}-{two}", {"connection": "near", "topic": f"formats/{one}/{two}", "qos": 1, "format": one},
                          {"connection": "near", "topic": f"formats/out/{one}/{two}", "format": two}) for one, two, *_ in ways]
    rules.append(_rule("sentence", "formats/door/{name}", "formats/out/door", payload_template="{name} is {.state}"))
    with _one_broker("formats", *rules) as bridge, Subscriber(port, ["formats/out/#"]) as got, Publisher(port) as out:
        for one, two, payload, *_ in ways:
            out.publish(f"formats/{one}/{two}", payload)
        out.publish("formats/door/kitchen", b'{"state": "open"}')
        out.publish("formats/cbor/json", b"\xa1")  # a dead letter
        got.wait_count(len(ways) + 1)
        came = {m.topic: (m.payload, getattr(m.properties, "ContentType", None)) for m in got.messages}
        for one, two, _, payload, content_type in ways:
            assert came[f"formats/out/{one}/{two}"] == (payload, content_type), (one, two, came)
        assert came["formats/out/door"] == (b"kitchen is open", "text/plain; charset=utf-8"), came
        bridge.wait_event("dead_letters", destination="near", count="1")
        assert bridge.stop() == 0


@tap.case("integers above 2^53: jq puts out another number, which is said once for each mapping and counted; others keep them")
def large_integers():
    port = shared_mosquitto().port
    rules = [_rule("made", "large/in", "large/made", payload="{id: .id}"),
             _rule("also-made", "large/in", "large/also", payload="[.id]", when=".id > 1"),
             _rule("passed", "large/in", "large/passed", when=".id > 1"),
             _rule("written", "large/in", "large/written/{.id}", payload_template="id {.id}")]
    with _one_broker("large", *rules) as bridge, Subscriber(port, ["large/made", "large/also", "large/passed", "large/written/+"]) \
            as got, Publisher(port) as out:
        for _ in range(3):
            out.publish("large/in", b'{"id": 9007199254740993}')
        out.publish("large/in", b'{"id": 9007199254740992}')
        got.wait_count(16)
        came = {(m.topic, m.payload) for m in got.messages}
        assert came == {
            ("large/made", b'{"id":9007199254740992}'), ("large/also", b"[9007199254740992]"),
            ("large/passed", b'{"id": 9007199254740993}'), ("large/passed", b'{"id": 9007199254740992}'),
            ("large/written/9007199254740993", b"id 9007199254740993"),
            ("large/written/9007199254740992", b"id 9007199254740992")}, came
        bridge.wait_status(lambda s: s["rounded"] == 6, "three messages, in two mappings", source="near")
        told = [event["mapping"] for event in bridge.events("integer_rounded")]
        assert sorted(told) == ["also-made", "made"], told
        assert bridge.stop() == 0


@tap.case("what is dropped counts once, however often its message is offered until there is room")
def counted_once():
    port = shared_mosquitto().port
    with Linkspan(yaml.configuration(
            [yaml.mqtt("near", port, client_id="counted-once"),
             yaml.kafka("lake", "127.0.0.1:1", outbox={"max_messages": 1})],
            [_rule("broken", "counted/in", "counted/out", payload='error("no")', on_error="drop"),
             yaml.mapping("all", {"connection": "near", "topic": "counted/in", "qos": 1},
                          {"connection": "lake", "topic": "t"})]), wait_up=["near"]) as bridge, Publisher(port) as out:
        for n in range(3):
            out.publish("counted/in", b"%d" % n)
        bridge.wait_status(lambda s: s["paused"] == "yes", "a full outbox", source="near")
        bridge.wait_status(lambda s: s["taken"] == s["dropped"] == 1, "as many as were taken", source="near")
        assert bridge.stop() == 0


@tap.case("no secret in the log, also at debug, nor in what check prints")
def secrets():
    secret = os.path.join(temp_folder("secret"), "password")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("open-sesame\n")
    with own_mosquitto(password="open-sesame") as broker:
        keys = {"username": "edge", "password": "${file:" + secret + "}"}
        with Linkspan(yaml.configuration(
                [yaml.mqtt("near", broker.port, **keys),
                 yaml.kafka("lake", "127.0.0.1:1", sasl={"username": "edge", "password": "${env:LAKE_PASSWORD}"},
                            properties={"debug": "all"})],
                [yaml.mapping("all", {"connection": "near", "topic": "in/#", "qos": 1},
                              {"connection": "near", "topic": "out/{topic}"}, {"connection": "lake", "topic": "t"})],
                log={"level": "debug"}), env={"LAKE_PASSWORD": "hocus-pocus"}, wait_up=False) as bridge, \
                Subscriber(broker.port, "out/#", login=("edge", "open-sesame")) as got, \
                Publisher(broker.port, login=("edge", "open-sesame")) as out:
            bridge.wait_event("link_up", connection="near")
            out.publish("in/1", b"1")
            got.wait_count(1)
            assert bridge.stop() == 0
            log = "\n".join(bridge.log_lines(whole=True))
            said = subprocess.run([program(), "check", bridge.path], capture_output=True, text=True, check=False,
                                  env={**os.environ, "LAKE_PASSWORD": "hocus-pocus"})
            for word in ("open-sesame", "hocus-pocus"):
                assert word not in log, f"{word} in the log"
                assert word not in said.stdout + said.stderr, f"{word} in what check says"


if __name__ == "__main__":
    tap.main()
