#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""linkspan and MQTT brokers that others have written: mosquitto, HiveMQ Community Edition, Apache ActiveMQ Artemis and
aedes, each in the versions it speaks. The same cases for all, named `BROKER VERSION what`, so that any word chooses:

    interop.py hivemq        interop.py "artemis 5 QoS 2"        interop.py restart

linkspan has two MQTT clients: its own, and Paho, which is tried with mosquitto and HiveMQ. LINKSPAN_TEST_CLIENTS names those
to try with every broker: `linkspan`, `paho` or `linkspan paho`. A Paho connection is read or written, not both, so there
it has two."""
import os
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import brokers, check, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import begin_brokers, shared_broker, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties

MOST_QOS = {"linkspan": 2, "paho": 1}
VERSIONS = {4: "3.1.1", 5: "5"}
WITH_PAHO = (brokers.Mosquitto, brokers.HiveMQ)
KEYS = 4


class Path:
    """One broker, one protocol version, one of linkspan's clients. Topics of a case lie below `topic(case)`."""

    def __init__(self, kind, version, client):
        self.kind, self.version, self.client = kind, version, client
        self.name = f"{kind.name} {VERSIONS[version]}" + ("" if client == "linkspan" else f" {client}")
        self.most_qos = MOST_QOS[client]
        self.written = "near" if client == "linkspan" else "near-out"  # the connection that is written to; "near" is read

    def topic(self, case):
        return f"{self.kind.name}-v{self.version}-{self.client}-{case}"

    @property
    def broker(self):
        return shared_broker(self.kind)

    def near(self, case, port=None, read_only=False, **keys):
        """linkspan's connections to the broker."""
        ours = {} if self.client == "linkspan" else {"client": self.client}
        if self.version == 5 and not self.kind.sets_aliases:
            ours["topic_alias_maximum"] = 0
        names = ["near"] if read_only else sorted({"near", self.written})
        return [yaml.mqtt(name, port or self.broker.port, self.version, client_id=f"{name}-{self.topic(case)}", **ours,
                          **keys) for name in names]

    def far(self, case):
        """linkspan's connection to the mosquitto that everything is copied to."""
        return yaml.mqtt("far", shared_mosquitto().port, 5, client_id=f"far-{self.topic(case)}")

    def publisher(self):
        return Publisher(self.broker.port, self.version, window=self.kind.window)

    def subscriber(self, filters, qos=1):
        return Subscriber(self.broker.port, filters, qos, self.version)

    @contextmanager
    def relay(self, case, qos, **to):
        """linkspan between CASE/in/# of the broker and CASE/out of the same and of a mosquitto: (bridge, what arrives
        at the one, what arrives at the other)."""
        top = self.topic(case)
        # linkspan last: what is retained goes out at once, and in artemis it can fall between a subscribing and its copy.
        with self.subscriber(top + "/out/#", qos) as here, \
                Subscriber(shared_mosquitto().port, top + "/out/#", qos) as there, \
                Linkspan(yaml.configuration(
                    [*self.near(case), self.far(case)],
                    [yaml.mapping("all", {"connection": "near", "topic": top + "/in/{k}", "qos": qos},
                                  {"connection": self.written, "topic": top + "/out/{k}", **to},
                                  {"connection": "far", "topic": top + "/out/{k}", **to})])) as bridge:
            yield bridge, here, there
            assert bridge.stop() == 0


def _numbers(out, topic, qos, first, last):
    for seq in range(first, last + 1):
        for key in range(KEYS):
            out.publish(f"{topic}/k{key}", check.numbered(f"k{key}", seq, 200), qos)


def _judge(got, sent, where, order, repeats=0):
    """Everything, once but for `repeats`, in order if the brokers on the way keep any."""
    verdict = check.judge(sent, [m.payload for m in got.messages])
    assert verdict.repeated <= repeats, f"{where}: {verdict.repeated} repeated, at most {repeats} may be"
    check.demand(verdict if order else verdict._replace(out_of_order=[]), where)
    return verdict


def numbers(path, qos):
    """None lost, for QoS 0 and 2 none twice, in order."""
    case = f"numbers-q{qos}"
    with path.relay(case, qos) as (_, here, there), path.publisher() as out:
        _numbers(out, path.topic(case) + "/in", qos, 1, 100)
        sent = {f"k{key}": 100 for key in range(KEYS)}
        for got in (here, there):
            got.wait_for(check.complete(sent), "all numbers")
    # After the orderly end: a second copy that was on its way has arrived.
    for got, where in ((here, path.name), (there, "mosquitto")):
        _judge(got, sent, where, path.kind.keeps_order, repeats=KEYS * 100 if qos == 1 else 0)
        assert {m.qos for m in got.messages} == {qos}, f"{where}: QoS {sorted({m.qos for m in got.messages})}"


def payloads(path):
    """Empty, one byte, every byte value, text, and 1 MiB."""
    wanted = [b"", b"\x00", bytes(range(256)), '{"t": 21.5, "unit": "°C"}'.encode(), os.urandom(1 << 20)]
    qos = path.most_qos
    with path.relay("payloads", qos) as (_, here, there), path.publisher() as out:
        for n, payload in enumerate(wanted):
            out.publish(f"{path.topic('payloads')}/in/{n}", payload, qos)
        for got, where in ((here, path.name), (there, "mosquitto")):
            got.wait_count(len(wanted))
            found = {m.topic.rsplit("/", 1)[1]: m.payload for m in got.messages}
            for n, payload in enumerate(wanted):
                assert found.get(str(n)) == payload, f"{where}: payload {n} of {len(payload)} bytes"


def retained(path):
    """Taken at the start, passed on retained; a deletion too; a late subscriber sees what is left."""
    top = path.topic("retained")
    with path.publisher() as out:
        out.publish(f"{top}/in/door", b"open", retain=True)
        out.publish(f"{top}/in/light", b"on", retain=True)
        out.wait()
        with path.relay("retained", 1, retain="set") as (_, here, there):
            both = {f"{top}/out/door", f"{top}/out/light"}
            for got in (here, there):
                got.wait_for(lambda messages: {m.topic for m in messages} >= both, "both states")
            out.publish(f"{top}/in/door", b"", retain=True)
            for got in (here, there):
                got.wait_for(lambda messages: any(m.topic.endswith("/door") and not m.payload for m in messages),
                             "the deletion")
    for late, where in ((path.subscriber(top + "/out/#"), path.name),
                        (Subscriber(shared_mosquitto().port, top + "/out/#"), "mosquitto")):
        with late:
            late.wait_count(1)
            found = [(m.topic, m.payload, m.retain) for m in late.messages]
            assert found == [(f"{top}/out/light", b"on", 1)], f"{where}: {found}"


def properties(path):
    """Of version 5: all that belongs to a message arrives at the other end."""
    sent = publish_properties(user=[("trace", "4bf92f"), ("unit", "°C"), ("twice", "1"), ("twice", "2")],
                              content_type="application/json", expiry_s=3600, response_topic="answers/7",
                              correlation=b"\x07\x00\xff")
    sent.PayloadFormatIndicator = 1
    with path.relay("properties", path.most_qos) as (_, here, there), path.publisher() as out:
        out.publish(f"{path.topic('properties')}/in/1", "{\"t\": \"21 °C\"}".encode(), path.most_qos, properties=sent)
        for got, where in ((here, path.name), (there, "mosquitto")):
            found = got.wait_count(1)[0].properties
            user = [pair for pair in found.UserProperty if pair[0] in ("trace", "unit", "twice")]
            assert user == sent.UserProperty, f"{where}: {found}"
            assert found.ContentType == "application/json" and found.ResponseTopic == "answers/7", f"{where}: {found}"
            assert found.CorrelationData == b"\x07\x00\xff" and found.PayloadFormatIndicator == 1, f"{where}: {found}"
            assert 3500 < found.MessageExpiryInterval <= 3600, f"{where}: {found}"


def overlapping(path, case, filters, topics, wanted):
    """filters: {mapping: (filter, qos)}; wanted: {mapping: the topics it must see}, each once."""
    top, qos = path.topic(case), path.most_qos
    with Linkspan(yaml.configuration(
            [*path.near(case, read_only=True), path.far(case)],
            [yaml.mapping(name, {"connection": "near", "topic": f"{top}/{one}", "qos": min(most, qos)},
                          {"connection": "far", "topic": f"{top}-{name}/{{topic}}", "qos": qos})
             for name, (one, most) in filters.items()])) as bridge, \
            Subscriber(shared_mosquitto().port, [f"{top}-{name}/#" for name in filters], qos) as got, \
            path.publisher() as out:
        for n in range(20):
            for topic in topics:
                out.publish(f"{top}/{topic}", f"{n}".encode(), qos)
        out.publish(f"{top}/end", b"", qos)  # the last one of the mapping that takes everything
        got.wait_for(lambda messages: any(m.topic.endswith("/end") for m in messages), "the end")
        expected = sorted((f"{top}-{name}/{top}/{topic}", f"{n}".encode()) for name in filters for topic in wanted[name]
                          for n in range(20))
        got.wait_for(lambda messages: len([m for m in messages if not m.topic.endswith("/end")]) >= len(expected),
                     f"{len(expected)} messages")
        assert bridge.stop() == 0
    found = sorted((m.topic, m.payload) for m in got.messages if not m.topic.endswith("/end"))
    more = {pair for pair in found if found.count(pair) > 1}
    assert found == expected, f"{len(found)} for {len(expected)}; more than once: {sorted(more)[:6]}"


def nested_filters(path):
    overlapping(path, "nested", {"all": ("#", 2), "plus": ("+", 2), "exact": ("b", 2)}, ("b", "c", "b/d"),
                {"all": ("b", "c", "b/d"), "plus": ("b", "c"), "exact": ("b",)})


def crossing_filters(path):
    """Of different QoS, and none contains the other: a broker may send a copy for each, or one that names several."""
    if not path.kind.identifies_copies:
        raise tap.Skip(f"{path.kind.name} sends a copy per subscription and names all subscriptions in each")
    overlapping(path, "crossing", {"low": ("#", 1), "left": ("b/+", 2), "right": ("+/d", 2), "both": ("b/d", 1)},
                ("b/d", "b/e", "c/d"),
                {"low": ("b/d", "b/e", "c/d"), "left": ("b/d", "b/e"), "right": ("b/d", "c/d"), "both": ("b/d",)})


def tls(path):
    """With a client certificate messages flow; without one it is refused, and said so."""
    cert, top = path.broker.certificates, path.topic("tls")
    keys = {"ca": cert.ca, "cert": cert.client_cert, "key": cert.client_key}
    mapping = [yaml.mapping("all", {"connection": "near", "topic": top + "/in/#", "qos": 1},
                            {"connection": path.written, "topic": top + "/out"})]
    with Linkspan(yaml.configuration(
            path.near("tls", path.broker.tls_port, secure=True, tls=keys), mapping)) as bridge, \
            path.subscriber(top + "/out") as got, path.publisher() as out:
        out.publish(top + "/in/1", b"sealed")
        assert got.wait_count(1)[0].payload == b"sealed"
        assert bridge.stop() == 0
    with Linkspan(yaml.configuration(
            path.near("tls", path.broker.tls_port, secure=True, tls={"ca": cert.ca}), mapping),
            wait_up=False) as bridge:
        alarm = bridge.wait_event("alarm", connection="near")
        assert "tls.cert" in alarm["what"], alarm
        assert not bridge.events("link_up", connection="near")
        assert bridge.stop() == 0


def restart(path, qos):
    """From a mosquitto to the broker and back, while that broker is restarted: it is destination and source. What was
    in flight to a broker that forgets QoS 2 packet identifiers may come twice, and no more than that; a broker that
    sends again under new identifiers may repeat anything."""
    case, broker, steady, window = f"restart-q{qos}", path.broker, shared_mosquitto(), 20
    top, sent = path.topic(case), {f"k{key}": 300 for key in range(KEYS)}
    with Linkspan(yaml.configuration(
            [*path.near(case, max_in_flight=window), path.far(case)],
            [yaml.mapping("there", {"connection": "far", "topic": top + "/in/{k}", "qos": qos},
                          {"connection": path.written, "topic": top + "/mid/{k}"}),
             yaml.mapping("back", {"connection": "near", "topic": top + "/mid/{k}", "qos": qos},
                          {"connection": "far", "topic": top + "/out/{k}"})])) as bridge, \
            Subscriber(steady.port, top + "/out/#", qos) as got, Publisher(steady.port, window=20) as out:
        _numbers(out, top + "/in", qos, 1, 200)
        got.wait_count(100)
        broker.stop()
        _numbers(out, top + "/in", qos, 201, 300)
        broker.start()
        got.wait_for(check.complete(sent), "all numbers")
        assert bridge.stop() == 0
    any_number = qos == 1 or not path.kind.keeps_sent_ids
    most = KEYS * 300 if any_number else 0 if path.kind.keeps_received_ids else window
    verdict = _judge(got, sent, path.name, path.kind.keeps_order, most)
    tap.note(f"{path.name} QoS {qos}: {verdict.expected} sent, {verdict.repeated} repeated, 0 lost")


def _refusal():
    """A broker that knows only 3.1.1 is no reason to end, and is named."""
    broker = shared_broker(brokers.Aedes)
    with Linkspan(yaml.configuration(
            [yaml.mqtt("near", broker.port, 5)],
            [yaml.mapping("all", {"connection": "near", "topic": "in/#"}, {"connection": "near", "topic": "out"})]),
            wait_up=False) as bridge:
        alarm = bridge.wait_event("alarm", connection="near")
        assert "protocol version" in alarm["what"] and "version: 3.1.1" in alarm["what"], alarm
        assert not bridge.events("link_up", connection="near") and bridge.running()
        assert bridge.stop() == 0


def _cases(path):
    """All in the newest version that the broker speaks; below it what a version makes different, which for Paho, whose
    packets are its own affair, is little."""
    newest, own = path.version == path.kind.versions[-1], path.client == "linkspan"
    for qos in range(0 if newest else 1, path.most_qos + 1):
        yield f"QoS {qos}: numbered messages to itself and to mosquitto", lambda q=qos: numbers(path, q)
    if newest or own:
        yield "payloads from nothing to 1 MiB", lambda: payloads(path)
        yield "retained messages", lambda: retained(path)
        yield "overlapping filters that contain each other, each mapping once", lambda: nested_filters(path)
    if path.version == 5:
        yield "properties", lambda: properties(path)
    if path.version == 5 and own:  # Paho uses no subscription identifiers
        yield "overlapping filters of different QoS, each mapping once", lambda: crossing_filters(path)
    if newest:
        yield "TLS with a client certificate", lambda: tls(path)
    # That a broker keeps its sessions has been seen when Paho's turn comes.
    if path.kind.keeps_sessions and (own or (newest and path.kind is brokers.Mosquitto)):
        yield f"QoS {path.most_qos}: broker restart", lambda: restart(path, path.most_qos)


def _clients(kind):
    wanted = os.environ.get("LINKSPAN_TEST_CLIENTS")
    return wanted.split() if wanted else list(MOST_QOS) if kind in WITH_PAHO else ["linkspan"]


def _all():
    for kind in brokers.ALL:
        for client in _clients(kind):
            for version in kind.versions:
                path = Path(kind, version, client)
                for what, run in _cases(path):
                    tap.case(f"{path.name} {what}")(run)
    tap.case("aedes refuses version 5, which the log says")(_refusal)


_all()

if __name__ == "__main__":
    begin_brokers(kind for kind in brokers.ALL if any(name.startswith(kind.name) for name in tap.chosen()))
    tap.main()
