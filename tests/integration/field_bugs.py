#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What other bridges did wrong in the field, played to the real linkspan. The numbers are those of the table in
CONTRIBUTING.md, which also names the tests of those that are not here; `make lint` checks it against the tests."""
import os
import random
import re
import socket
import threading

import _path  # noqa: F401  pylint: disable=unused-import
from rig import check, qos2, tap, yaml
from rig.daemon import Linkspan
from rig.feed import flood
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Subscriber
from rig.proxy import Proxy
from rig.wait import free_port, until


def _configuration(name, far_port, far_keys=None, rule="all", **settings):
    return yaml.configuration(
        [yaml.mqtt("near", shared_mosquitto().port, client_id=f"linkspan-{name}"),
         yaml.mqtt("far", far_port, **(far_keys or {}))],
        [yaml.mapping(rule, {"connection": "near", "topic": name + "/#", "qos": 1},
                      {"connection": "far", "topic": "{topic}"})], **settings)


def _flood(name, first, count, size=200):
    flood(shared_mosquitto().port, name + "/x", first, count, size)


def _all_there(got, count, where, repeats=True):
    got.wait_for(check.complete({"flood": count}), "all numbers")
    check.demand(check.judge({"flood": count}, [m.payload for m in got.messages]), where, repeats)


def _waiting(bridge, count):
    return bridge.wait_status(lambda s: s["waiting"] == count, f"{count} waiting", destination="far")


def _last_message(bridge):
    """(file, offset, length) of the frame that ends the journal, if it is a message."""
    segments = re.findall(r"^(journal/\d+\.log): segment (\d+) (.*?)(?=^\S|\Z)", bridge.dump(), re.M | re.S)
    file, _, groups = max(segments, key=lambda segment: int(segment[1]))
    offset, kind, length = re.findall(r"^ +(\d+) lsn=\d+ (\w+) length=(\d+)", groups, re.M)[-1]
    return (os.path.join(bridge.data_dir, file), int(offset), int(length)) if kind == "MSG" else None


def _kill_after_a_message(bridge, waiting):
    """Publishes single messages until one ends the journal, and kills linkspan: where it is, and how many wait before it.
    Other things may be written at any time."""
    for extra in range(50):
        flood(shared_mosquitto().port, "torn/last", 1, 1, 3000, key="last")
        _waiting(bridge, waiting + extra + 1)
        bridge.wait_status(lambda s: s["unacknowledged"] == 0, "the last PUBACK", source="near")
        if _last_message(bridge):
            bridge.kill()
            if place := _last_message(bridge):
                return place, waiting + extra
            bridge.start(wait_up=["near"])
    raise AssertionError("the journal never ends with a message")


def _overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


_TORN = {
    "its second half was never written": lambda path, at, n: _overwrite(path, at + n // 2, bytes(n)),
    "only its first sector was written": lambda path, at, n: _overwrite(path, at + 512, bytes(n)),
    "all of it but what says that it is whole": lambda path, at, n: _overwrite(path, at + n, bytes(512)),
    "a sector in its middle was not written": lambda path, at, n: _overwrite(path, at + 1024, bytes(512)),
    "its first bytes were not written": lambda path, at, n: _overwrite(path, at, bytes(64)),
    "noise from its middle on": lambda path, at, n: _overwrite(path, at + 100, random.Random(4).randbytes(n)),
    "a length of 4 GiB": lambda path, at, n: _overwrite(path, at, b"\xff\xff\xff\xff"),
    "a length of 0": lambda path, at, n: _overwrite(path, at, bytes(4)),
    "the file ends in it": lambda path, at, n: os.truncate(path, at + n // 2),
}


@tap.case("the last record is torn in nine ways: each start goes on after what was whole (field bug 4)")
def torn_tail():
    with own_mosquitto() as far, Subscriber(far.port, "torn/#") as got, \
            Linkspan(_configuration("torn", far.port)) as bridge:
        far.stop()
        total = waiting = 0
        for what, tear in _TORN.items():
            _flood("torn", total + 1, 100)
            total += 100
            _waiting(bridge, waiting + 100)
            place, waiting = _kill_after_a_message(bridge, waiting + 100)
            tear(*place)
            bridge.start(wait_up=["near"])
            assert bridge.events("journal_tail"), f"{what}: nothing was noticed"
            _waiting(bridge, waiting)
        far.start()
        got.wait_count(waiting)
        payloads = [m.payload for m in got.messages if m.topic == "torn/x"]
        check.demand(check.judge({"flood": total}, payloads), "far", repeats=False)
        assert len(got.messages) == waiting
        assert bridge.stop() == 0


def _disk_mib(bridge):
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
               for folder, _, names in os.walk(bridge.data_dir) for name in names) / (1 << 20)


@tap.case("a start with 50 MB waiting takes no more memory (field bug 5), and the disk is given back (field bug 6)")
def big_backlog():
    count, size = 5000, 10000
    with own_mosquitto() as far, Subscriber(far.port, "big/#") as got, Linkspan(
            _configuration("big", far.port, journal={"segment_size": "2MiB"})) as bridge:
        far.stop()
        assert bridge.stop() == 0
        bridge.start(wait_up=["near"])
        memory, disk = bridge.anonymous_kib(), _disk_mib(bridge)
        _flood("big", 1, count, size)
        _waiting(bridge, count)
        full = _disk_mib(bridge)
        assert full > 45, "the test is wrong"
        for how in (bridge.stop, bridge.kill):
            how()
            bridge.start(wait_up=["near"])
            _waiting(bridge, count)
            until(lambda: bridge.anonymous_kib() < memory + 12 * 1024,
                  lambda: f"{memory} KiB when empty, {bridge.anonymous_kib()} KiB with 50 MB waiting")
            started = bridge.anonymous_kib()
        far.start()
        _all_there(got, count, "far")
        _waiting(bridge, 0)
        until(lambda: _disk_mib(bridge) <= max(disk, 16), lambda: f"the disk: {_disk_mib(bridge):.0f} MiB")
        until(lambda: bridge.anonymous_kib() < memory + 12 * 1024,
              lambda: f"{memory} KiB before, {bridge.anonymous_kib()} KiB after the drain")
        drained = bridge.anonymous_kib()
        tap.note(f"disk {disk:.0f}, {full:.0f}, then {_disk_mib(bridge):.0f} MiB; "
                 f"memory {memory}, at the start {started}, then {drained} KiB")
        assert bridge.stop() == 0


class _Forgetful(threading.Thread):
    """A version 5 broker that acknowledges all but some PUBLISHes, whose numbers in the order of arrival are given."""

    def __init__(self, silent_at, receive_maximum):
        super().__init__(daemon=True)
        self.payloads = []
        self.connections = 0
        self._silent_at, self._receive_maximum = set(silent_at), receive_maximum
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.start()

    def run(self):
        while True:
            try:
                link, _ = self._listener.accept()
                self.connections += 1
                with link:
                    self._serve(link)
            except ConnectionError:
                pass
            except OSError:
                return

    def _serve(self, link):
        buffer = bytearray()
        while more := link.recv(1 << 16):
            buffer += more
            for first, body in qos2.packets(buffer):
                if first & 0xf0 == 0x10:
                    limit = b"\x21" + self._receive_maximum.to_bytes(2, "big")
                    link.sendall(qos2.packet(qos2.CONNACK, bytes([self.connections > 1, 0, len(limit)]) + limit))
                elif first & 0xf0 == qos2.PUBLISH:
                    _, packet_id, payload = qos2.parse_publish(5, first, body)
                    self.payloads.append(bytes(payload))
                    if len(self.payloads) not in self._silent_at:
                        link.sendall(qos2.packet(0x40, packet_id.to_bytes(2, "big")))
                elif first == 0xc0:
                    link.sendall(b"\xd0\x00")

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@tap.case("PUBACKs that never come, more than the window: what is behind them goes over, and they too (field bug 7)")
def missing_puback():
    broker = _Forgetful([3, 10, 11, 40, 41, 42, 43, 44, 45, 46, 47], receive_maximum=4)
    with Linkspan(_configuration("puback", broker.port, {"ack_timeout": "300ms", "reconnect_max": "100ms"})) as bridge:
        _flood("puback", 1, 500)
        bridge.wait_status(lambda s: s["journalled"] == 500 and s["waiting"] == 0, "all to be delivered", destination="far")
        check.demand(check.judge({"flood": 500}, broker.payloads), "the broker")
        assert broker.connections > 1, "it never noticed"
        assert bridge.stop() == 0
    broker.close()


@tap.case("a full outbox by default blocks the source: nothing acknowledged is lost, over a kill -9 too (field bug 13)")
def overflow_blocks():
    with own_mosquitto() as far, Subscriber(far.port, "full/#") as got, Linkspan(
            _configuration("full", far.port, {"outbox": {"max_messages": 100}})) as bridge:
        far.stop()
        _flood("full", 1, 2000)
        bridge.wait_event("source_paused", connection="near")
        for how in (bridge.kill, bridge.stop):
            assert bridge.wait_waiting("far", 1)["waiting"] <= 100
            how()
            bridge.start(wait_up=["near"])
            bridge.wait_event("source_paused", connection="near")
        far.start()
        _all_there(got, 2000, "far")
        for event in ("expired", "dead_letters", "dropped"):
            assert not bridge.events(event, whole=True), f"event={event}"
        assert bridge.stop() == 0


@tap.case("started again with another configuration: the queue is the same (field bug 14)")
def other_configuration():
    with own_mosquitto() as far, Subscriber(far.port, "other/#") as got, \
            Linkspan(_configuration("other", far.port, shutdown_timeout="10m")) as bridge:
        far.stop()
        _flood("other", 1, 500)
        _waiting(bridge, 500)
        changes = [
            {"rule": "renamed"},
            {"journal": {"segment_size": "2MiB"}},
            {"far_keys": {"outbox": {"max_messages": 100, "lookahead": 10}, "keep_alive": "3s"}},
        ]
        for change in changes:
            assert bridge.stop() == 0
            bridge.configure(_configuration("other", far.port, shutdown_timeout="10m", **change))
            bridge.start(wait_up=["near"])
            _waiting(bridge, 500)
        far.start()
        _all_there(got, 500, "far", repeats=False)
        assert bridge.stop() == 0


@tap.case("what was published after the link died and before keep-alive noticed is sent again (field bug 15)")
def silent_link():
    with own_mosquitto() as far, Subscriber(far.port, "silent/#") as got, Proxy(far.port) as link, \
            Linkspan(_configuration("silent", link.port, {"keep_alive": "1s", "connect_timeout": "500ms"})) as bridge:
        _flood("silent", 1, 200)
        got.wait_count(200)
        for first in (201, 501):
            dialled, vanished = link.connections, link.vanished
            link.swallow()
            _flood("silent", first, 300)
            # By bytes: what linkspan says is in flight is so no more when keep-alive has noticed.
            until(lambda vanished=vanished: link.vanished >= vanished + 1000, "some to vanish on their way")
            until(lambda dialled=dialled: link.connections > dialled, "keep-alive to notice")
            link.forward()
            got.wait_for(check.complete({"flood": first + 299}), "all numbers")
        _all_there(got, 800, "far")
        assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
