#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rig's own test, without linkspan: what it starts works, what it breaks is broken, what it checks goes red."""
import socket
import sys
import threading

from rig import check, qos2, tap
from rig.fixtures import own_kafka, own_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.proxy import Proxy
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
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=20)


def _silent(client):
    client.settimeout(0.3)
    try:
        return client.recv(1) is None
    except socket.timeout:
        return True
    finally:
        client.settimeout(20)


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


@tap.case("a wait that is in vain ends")
def waiting():
    try:
        until(lambda: False, "nothing", timeout=0.05)
    except TimedOut:
        return
    raise RuntimeError("it did not")


if __name__ == "__main__":
    sys.path.insert(0, sys.path[0])
    tap.main()
