#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Messages that could come round: mirrors in both directions, with and without what ends a loop."""
import subprocess
from collections import Counter

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.fixtures import own_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.wait import until


def _way(name, source, target, topic="m/#", no_local=False, **keys):
    start = {"connection": source, "topic": topic, "qos": 1}
    return yaml.mapping(name, {**start, "no_local": True} if no_local else start, {"connection": target}, **keys)


def _counts(messages):
    return Counter((m.topic, m.payload) for m in messages)


def _quiet(bridge, published, brokers):
    """Each side has published so many messages: nothing else has come, and nothing is on its way."""
    for name, broker in zip(("near", "far"), brokers):
        bridge.wait_status(lambda s: s["waiting"] == 0, "an empty outbox", destination=name)
        status = bridge.wait_status(lambda s: s["unacknowledged"] == 0, "quiet", source=name)
        assert status["taken"] == published, f"{published} were published: {status}"
        # Of what it has not read an acknowledgement it would send again after a restart.
        until(lambda broker=broker, name=name: broker.log().count(f"Received PUBACK from linkspan-{name} ") >= published,
              f"all acknowledgements at {name}")


@tap.case("two brokers mirror each other with no_local: everything is on both once, retained messages too, and it is quiet (field bug 11)")
def mirror():
    with own_mosquitto() as near, own_mosquitto() as far, \
            Publisher(near.port) as out_near, Publisher(far.port) as out_far:
        out_near.publish("m/near/old", b"retained", retain=True)
        out_far.publish("m/far/old", b"retained", retain=True)
        out_near.wait()
        out_far.wait()
        configuration = yaml.configuration(
            [yaml.mqtt("near", near.port), yaml.mqtt("far", far.port)],
            [_way("out", "near", "far", no_local=True), _way("back", "far", "near", no_local=True)])
        with Subscriber(near.port, "m/#") as on_near, Subscriber(far.port, "m/#") as on_far, \
                Linkspan(configuration) as bridge:
            texts = [b"%d" % n for n in range(100)]
            for text in texts:
                out_near.publish("m/near/x", text)
                out_far.publish("m/far/x", text)
                out_near.publish("m/near/state", text, retain=True)
                out_far.publish("m/far/state", text, retain=True)
            expected = Counter((f"m/{side}/{leaf}", text) for side in ("near", "far") for leaf in ("x", "state")
                               for text in texts) + Counter((f"m/{side}/old", b"retained") for side in ("near", "far"))
            for got in (on_near, on_far):
                got.wait_for(lambda messages: set(_counts(messages)) >= set(expected), "everything")
            _quiet(bridge, 201, (near, far))
            assert _counts(on_near.messages) == _counts(on_far.messages) == expected
            # A retained message that is mirrored is one for the other side: with each subscribing again it would come back.
            for name, broker in (("near", near), ("far", far)):
                broker.stop()
                bridge.wait_event("link_down", connection=name)
                broker.start()
                bridge.wait_event("mqtt_connected", connection=name, session_present="1")
            out_near.publish("m/near/x", b"last")
            out_far.publish("m/far/x", b"last")
            expected += Counter({("m/near/x", b"last"): 1, ("m/far/x", b"last"): 1})
            for got in (on_near, on_far):
                got.wait_for(lambda messages: {t for t, p in _counts(messages) if p == b"last"} ==
                             {"m/near/x", "m/far/x"}, "the last ones")
            _quiet(bridge, 202, (near, far))
            assert bridge.stop() == 0
        # The subscribers of the test get again what they had not acknowledged when the brokers stopped.
        assert set(_counts(on_near.messages)) == set(_counts(on_far.messages)) == set(expected)


@tap.case("two linkspans make a loop that neither can see: the hop count ends it, retained or not")
def hops():
    with own_mosquitto() as near, own_mosquitto() as far, Publisher(near.port) as out, \
            Subscriber(near.port, "m/#") as on_near, Subscriber(far.port, "m/#") as on_far:
        def one(name, source, target):
            return Linkspan(yaml.configuration(
                [yaml.mqtt("near", near.port, client_id=f"{name}-near"),
                 yaml.mqtt("far", far.port, client_id=f"{name}-far")],
                [_way(name, source, target, max_hops=4)]))
        with one("there", "near", "far") as there, one("back", "far", "near") as back:
            out.publish("m/a", b"1")
            out.publish("m/b", b"2", retain=True)
            there.wait_status(lambda s: s["looped"] == 2, "both loops ended", source="near")
            event = there.wait_event("loop_broken")
            assert event["mapping"] == "there" and event["max_hops"] == "4", event
            # It is acknowledged: nothing of it waits at the broker or comes again.
            for bridge, source in ((there, "near"), (back, "far")):
                bridge.wait_status(lambda s: s["unacknowledged"] == 0, "acknowledgements", source=source)
                assert bridge.stop() == 0
        # From hop 0 at near to hop 4 at near.
        for got, count in ((on_near, 3), (on_far, 2)):
            got.wait_count(2 * count)
            assert _counts(got.messages) == Counter({("m/a", b"1"): count, ("m/b", b"2"): count}), got.messages
        hops_seen = [dict(getattr(m.properties, "UserProperty", [])).get("linkspan-hops")
                     for m in on_near.messages if m.topic == "m/a"]
        assert hops_seen == [None, "2", "4"], hops_seen


@tap.case("a mirror without no_local is refused, with a condition it is a warning, and runs until max_hops")
def check():
    with own_mosquitto() as near, own_mosquitto() as far, Publisher(near.port) as out, \
            Subscriber(far.port, "m/#") as on_far:
        def configuration(**keys):
            return yaml.configuration([yaml.mqtt("near", near.port), yaml.mqtt("far", far.port)],
                                      [_way("out", "near", "far"), _way("back", "far", "near", **keys)])
        bridge = Linkspan(configuration(), start=False)
        said = subprocess.run([program(), "check", bridge.path], capture_output=True, text=True, check=False)
        assert said.returncode == 1 and "goes round for ever: 'out' → 'back' → 'out'" in said.stderr, said
        ran = subprocess.run([program(), "run", bridge.path], capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == 1 and "goes round for ever" in ran.stderr, ran
        bridge.configure(configuration(when=".go", max_hops=3))
        said = subprocess.run([program(), "check", bridge.path], capture_output=True, text=True, check=False)
        assert said.returncode == 0 and "warning: what is written here may go round" in said.stderr, said
        with bridge.start():
            out.publish("m/a", b'{"go":true}')
            bridge.wait_status(lambda s: s["looped"] == 1, "the end of the loop", source="far")
            bridge.wait_event("loop_broken", mapping="back")
            assert bridge.stop() == 0
        on_far.wait_count(2)
        assert len(on_far.messages) == 2, on_far.messages


if __name__ == "__main__":
    tap.main()
