#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""linkspan and MQTT brokers that others have written: mosquitto, HiveMQ Community Edition, Apache ActiveMQ Artemis and
aedes, each in the versions it speaks. The same cases for all, named `BROKER VERSION what`, so that any word chooses:

    interop.py hivemq        interop.py "artemis 5 QoS 2"        interop.py restart

LINKSPAN_TEST_CLIENTS names linkspan's own MQTT clients to run them with (default: linkspan; `linkspan paho`)."""
import os
from contextlib import contextmanager

import _path  # noqa: F401  pylint: disable=unused-import
from rig import brokers, check, tap, yaml
from rig.daemon import Linkspan
from rig.fixtures import shared_broker, shared_mosquitto
from rig.mqtt import Publisher, Subscriber, publish_properties
from rig.wait import until

MOST_QOS = {"linkspan": 2, "paho": 1}
VERSIONS = {4: "3.1.1", 5: "5"}
KEYS = 4


class Path:
    """One broker, one protocol version, one of linkspan's clients. Topics of a case lie below `topic(case)`."""

    def __init__(self, kind, version, client):
        self.kind, self.version, self.client = kind, version, client
        self.name = f"{kind.name} {VERSIONS[version]}" + ("" if client == "linkspan" else f" {client}")
        self.most_qos = MOST_QOS[client]

    def topic(self, case):
        return f"{self.kind.name}-v{self.version}-{self.client}-{case}"

    @property
    def broker(self):
        return shared_broker(self.kind)

    def connection(self, name, port, case, **keys):
        """linkspan's."""
        client = {} if self.client == "linkspan" else {"client": self.client}
        return yaml.mqtt(name, port, self.version, client_id=f"{name}-{self.topic(case)}", **client, **keys)

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
        with Linkspan(yaml.configuration(
                [self.connection("near", self.broker.port, case), self.far(case)],
                [yaml.mapping("all", {"connection": "near", "topic": top + "/in/{k}", "qos": qos},
                              {"connection": "near", "topic": top + "/out/{k}", **to},
                              {"connection": "far", "topic": top + "/out/{k}", **to})])) as bridge, \
                self.subscriber(top + "/out/#", qos) as here, \
                Subscriber(shared_mosquitto().port, top + "/out/#", qos) as there:
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
            [path.connection("near", path.broker.port, case), path.far(case)],
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


def tls(path):
    """With a client certificate messages flow; without one it is refused, and said so."""
    cert, top = path.broker.certificates, path.topic("tls")
    keys = {"ca": cert.ca, "cert": cert.client_cert, "key": cert.client_key}
    mapping = [yaml.mapping("all", {"connection": "near", "topic": top + "/in/#", "qos": 1},
                            {"connection": "near", "topic": top + "/out"})]
    with Linkspan(yaml.configuration(
            [path.connection("near", path.broker.tls_port, "tls", secure=True, tls=keys)], mapping)) as bridge, \
            path.subscriber(top + "/out") as got, path.publisher() as out:
        out.publish(top + "/in/1", b"sealed")
        assert got.wait_count(1)[0].payload == b"sealed"
        assert bridge.stop() == 0
    with Linkspan(yaml.configuration(
            [path.connection("near", path.broker.tls_port, "tls", secure=True, tls={"ca": cert.ca})], mapping),
            wait_up=False) as bridge:
        until(lambda: bridge.events("link_down", connection="near") or bridge.events("alarm", connection="near"),
              "a word about the missing certificate")
        assert not bridge.events("link_up", connection="near")
        assert bridge.stop() == 0


def restart(path, qos):
    """From a mosquitto to the broker and back, while that broker is restarted: it is destination and source. What was
    in flight to a broker that forgets QoS 2 packet identifiers may come twice, and no more than that."""
    case, broker, steady, window = f"restart-q{qos}", path.broker, shared_mosquitto(), 20
    top, sent = path.topic(case), {f"k{key}": 300 for key in range(KEYS)}
    with Linkspan(yaml.configuration(
            [path.connection("near", broker.port, case, max_in_flight=window), path.far(case)],
            [yaml.mapping("there", {"connection": "far", "topic": top + "/in/{k}", "qos": qos},
                          {"connection": "near", "topic": top + "/mid/{k}"}),
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
    most = KEYS * 300 if qos == 1 else 0 if path.kind.keeps_received_ids else window
    verdict = _judge(got, sent, path.name, path.kind.keeps_order, most)
    tap.note(f"{path.name} QoS {qos}: {verdict.expected} sent, {verdict.repeated} repeated, 0 lost")


def _refusal():
    """A broker that knows only 3.1.1 is no reason to end, and is named."""
    broker = shared_broker(brokers.Aedes)
    with Linkspan(yaml.configuration(
            [yaml.mqtt("near", broker.port, 5)],
            [yaml.mapping("all", {"connection": "near", "topic": "in/#"}, {"connection": "near", "topic": "out"})]),
            wait_up=False) as bridge:
        failed = bridge.wait_event("mqtt_connect_failed", connection="near")
        assert "unacceptable protocol version" in failed["reason"], failed
        assert not bridge.events("link_up", connection="near") and bridge.running()
        assert bridge.stop() == 0


def _cases(path):
    for qos in range(path.most_qos + 1):
        yield f"QoS {qos}: numbered messages to itself and to mosquitto", lambda q=qos: numbers(path, q)
    yield "payloads from nothing to 1 MiB", lambda: payloads(path)
    yield "retained messages", lambda: retained(path)
    if path.version == 5:
        yield "properties", lambda: properties(path)
    yield "overlapping filters, each mapping once", lambda: nested_filters(path)
    yield "TLS with a client certificate", lambda: tls(path)
    if path.kind.keeps_sessions:
        for qos in range(1 if path.version == 5 else path.most_qos, path.most_qos + 1):
            yield f"QoS {qos}: broker restart", lambda q=qos: restart(path, q)


for _client in os.environ.get("LINKSPAN_TEST_CLIENTS", "linkspan").split():
    for _kind in brokers.ALL:
        for _version in _kind.versions:
            _one = Path(_kind, _version, _client)
            for _what, _run in _cases(_one):
                tap.case(f"{_one.name} {_what}")(_run)
tap.case("aedes refuses version 5, which the log says")(_refusal)

if __name__ == "__main__":
    tap.main()
