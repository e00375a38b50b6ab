#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`linkspan queue`: seeing and mending what waits and what has died, on a running daemon and on the files of a stopped
one, and what a SIGKILL in between leaves."""
import collections
import json
import os
import pty
import signal
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.feed import flood
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Publisher, Subscriber
from rig.proxy import Proxy
from rig.wait import until


def _queue(*arguments, given=None, status=0, env=None):
    """Runs it; what it wrote, or with a status other than 0 what it complained of."""
    done = subprocess.run([program(), "queue", *map(str, arguments)], input=given, capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, timeout=120, check=False)
    assert done.returncode == status, f"queue {arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if status == 0 else done.stderr


def _row(folder, name="far"):
    rows = json.loads(_queue("ls", folder, "--json"))["destinations"]
    return next(row for row in rows if row["name"] == name)


def _lines(text):
    return [json.loads(line) for line in text.splitlines()]


def _plain(lines):
    """Without what the queue gives: the messages themselves."""
    return [{k: v for k, v in line.items() if k not in ("seq", "destination", "reason", "died_ms", "attempts")}
            for line in lines]


def _bridge(near, to_far, qos=1, start=True, **mapping):
    return Linkspan(yaml.configuration(
        [yaml.mqtt("near", near.port), yaml.mqtt("far", to_far.port)],
        [yaml.mapping("all", {"connection": "near", "topic": "in/{k}", "qos": qos},
                      {"connection": "far", "topic": "out/{k}"}, **mapping)],
        journal={"segment_size": "1MiB"}), wait_up=["near"], start=start)


def _mend(folder):
    """Everything that can be done with 300 messages that wait, whoever has the files."""
    row = _row(folder)
    assert (row["waiting"], row["dead"], row["delivered"]) == (300, 0, 0), row
    assert row["oldest_ms"] > 1_600_000_000_000, row
    assert " 300 " in _queue("ls", folder) and "DESTINATION" in _queue("ls", folder)
    shown = _queue("peek", folder, "far", "--topic", "out/b", "--limit", 2)
    assert shown.count('"out/b"') == 2 and "payload: " in shown, shown
    exported = _queue("export", folder, "far")
    lines = _lines(exported)
    assert [line["seq"] for line in lines] == list(range(1, 301))
    assert {line["destination"] for line in lines} == {"far"}
    assert len(_lines(_queue("peek", folder, "far", "--json", "--seq", "5-9"))) == 5
    assert "say --yes" in _queue("purge", folder, "far", status=1)
    assert _queue("purge", folder, "far", "--topic", "out/b", "--yes") == "100 messages purged\n"
    row = _row(folder)
    assert (row["waiting"], row["purged"]) == (200, 100), row
    some = "".join(line + "\n" for line in exported.splitlines() if json.loads(line)["topic"] == "out/b")
    assert _queue("import", folder, given=some) == "100 messages imported, durably\n"
    again = _lines(_queue("export", folder, "far"))
    assert [line["seq"] for line in again[-100:]] == list(range(301, 401))
    assert _plain(again[-100:]) == _plain(_lines(some)), "what was imported is not what was exported"
    _queue("pause", folder, "far")
    assert _row(folder)["paused"] is True
    assert "paused" in _queue("ls", folder)
    return again


def _flood_three(near):
    for topic in "abc":
        flood(near.port, f"in/{topic}", 1, 100)


def _arrive(got, lines):
    got.wait_count(len(lines))
    sent = collections.Counter((line["topic"], line["payload"]) for line in lines)
    came = collections.Counter((m.topic, m.payload.decode()) for m in got.messages)
    assert sent == came, "not what had been waiting"


@tap.case("a running daemon, its destination away: ls, peek, export, purge, import, pause; resume delivers it all")
def running():
    with own_mosquitto() as far, Proxy(far.port) as to_far, Subscriber(far.port, "#") as got, \
            own_mosquitto() as near, _bridge(near, to_far, start=False) as bridge:
        to_far.down()
        bridge.start(wait_up=["near"])
        _flood_three(near)
        bridge.wait_waiting("far", 300)
        left = _mend(bridge.path)
        assert bridge.events("purged", destination="far", messages="100"), "not in the log"
        assert bridge.events("destination_paused", destination="far")
        bridge.wait_status(lambda s: s["paused"] == "yes", "a status that says paused", destination="far")
        to_far.forward()
        bridge.wait_event("link_up", connection="far")
        with Publisher(far.port) as direct:
            direct.publish("direct", b"x")
            direct.wait()
        got.wait_count(1)
        assert [m.topic for m in got.messages] == ["direct"], "it sends though it is paused"
        got.messages.clear()
        _queue("resume", bridge.data_dir, "far")
        _arrive(got, left)
        assert bridge.stop() == 0
        assert not os.path.exists(os.path.join(bridge.data_dir, "control")), "the socket is left behind"


@tap.case("the files of a stopped daemon: the same, and the pause outlives it")
def stopped():
    with own_mosquitto() as far, Proxy(far.port) as to_far, Subscriber(far.port, "#") as got, \
            own_mosquitto() as near, _bridge(near, to_far, start=False) as bridge:
        to_far.down()
        bridge.start(wait_up=["near"])
        _flood_three(near)
        bridge.wait_waiting("far", 300)
        assert bridge.stop() == 0
        left = _mend(bridge.data_dir)
        segments = {os.path.getsize(os.path.join(bridge.data_dir, "journal", name))
                    for name in os.listdir(os.path.join(bridge.data_dir, "journal"))}
        assert segments == {1 << 20}, f"segments of other sizes: {segments}"
        to_far.forward()
        bridge.start()
        with Publisher(far.port) as direct:
            direct.publish("direct", b"x")
            direct.wait()
        got.wait_count(1)
        assert [m.topic for m in got.messages] == ["direct"], "it sends though it is paused"
        got.messages.clear()
        assert bridge.stop() == 0
        assert _row(bridge.data_dir)["paused"] is True
        _queue("resume", bridge.data_dir, "far")
        bridge.start()
        _arrive(got, left)
        assert bridge.stop() == 0


def _answered(folder, answer):
    """`queue purge` at a terminal on which somebody answers: (exit status, what it asked)."""
    ours, its = pty.openpty()
    with subprocess.Popen([program(), "queue", "purge", folder, "far"], stdin=its, stderr=its,
                          stdout=subprocess.PIPE) as purge:
        os.close(its)
        asked = b""
        while b"[y/N]" not in asked:
            asked += os.read(ours, 1000)
        os.write(ours, answer)
        purge.stdout.read()
        status = purge.wait()
    os.close(ours)
    return status, asked.decode()


@tap.case("purge asks on a terminal, and does nothing without a yes")
def asks():
    with own_mosquitto() as near, Proxy(near.port) as to_far:
        to_far.down()
        with _bridge(near, to_far) as bridge:
            flood(near.port, "in/x", 1, 100)
            bridge.wait_waiting("far", 100)
            for answer in (b"n\n", b"\n", b"\x04"):
                status, asked = _answered(bridge.data_dir, answer)
                assert status == 1 and "far has 100 messages waiting" in asked, (status, asked)
            assert _row(bridge.data_dir)["waiting"] == 100
            assert _answered(bridge.data_dir, b"y\n")[0] == 0
            assert _row(bridge.data_dir)["waiting"] == 0
            assert bridge.stop() == 0


@tap.case("SIGTERM while letters are sent again: none is in both places afterwards")
def stopped_in_requeue():
    with own_mosquitto() as near, Proxy(near.port) as to_far, _with_letters(near, to_far) as bridge:
        given = "".join(json.dumps({"topic": f"out/{n}", "payload": "x" * 300, "reject_reason": "no"}) + "\n"
                        for n in range(3000))
        _queue("import", bridge.data_dir, "--to", "far", given=given)
        until(lambda: _row(bridge.data_dir)["dead"] == 3005, "the dead letters")
        with subprocess.Popen([program(), "queue", "requeue", bridge.data_dir, "far"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as requeue:
            until(lambda: _row(bridge.data_dir)["waiting"] > 0, "the first that waits")
            assert bridge.stop() == 0
            requeue.wait()
        row = _row(bridge.data_dir)
        assert row["waiting"] + row["dead"] == 3005, row


LINES = [
    {"topic": "out/null", "payload": None, "headers": [["a", None], ["", ""], [{"base64": "//8="}, {"base64": "/w=="}]]},
    {"topic": "out/empty", "payload": "", "key": "", "order_key": "o", "origin_ms": 1700000000000, "qos": 2},
    {"topic": "out/bytes", "payload": {"base64": "AAH/"}, "correlation": {"base64": "/w=="}, "response_topic": "r",
     "content_type": "text/plain", "retain": True, "utf8_payload": True, "expires_ms": 99999999999999,
     "params": [["partition", "3"]]},
    {"topic": "out/ümläut", "payload": "line\nbreak \"quoted\" \u0000 \U0001f600"},
]


@tap.case("export and import lose nothing: null, empty, bytes, headers, parameters, expiry; mistakes by their line")
def lossless():
    with Proxy(shared_mosquitto().port) as to_far, _bridge(shared_mosquitto(), to_far, start=False) as bridge:
        to_far.down()
        bridge.start(wait_up=["near"])
        given = "".join(json.dumps(line) + "\n" for line in LINES)
        assert "4 messages imported" in _queue("import", bridge.data_dir, "--to", "far", given=given)
        first = _queue("export", bridge.data_dir, "far")
        for line, wanted in zip(_lines(first), LINES):
            assert {k: line[k] for k in wanted} == wanted, f"{line} is not {wanted}"
        _queue("pause", bridge.data_dir, "far")
        assert bridge.stop() == 0
        told = _queue("purge", bridge.path, "far", "--seq", "1-4", "--yes")
        assert "3 messages purged\n1 kept: " in told, f"what may have been sent with QoS 2 goes: {told}"
        _queue("import", bridge.data_dir, given=first)
        assert _plain(_lines(_queue("export", bridge.data_dir, "far"))[-4:]) == _plain(_lines(first))
        before = _row(bridge.data_dir)["next_seq"]
        path = os.path.join(bridge.folder, "bad.jsonl")
        with open(path, "w", encoding="utf-8") as out:
            out.write('{"topic": "a"}\n\n{"topic": "a", "qos": 3}\n{"topic": "a", "topc": 1}\n')
        told = _queue("import", bridge.data_dir, path, "--to", "far", status=1)
        assert ":3: qos: " in told and ":4: topc: " in told and "nothing was imported" in told, told
        assert _row(bridge.data_dir)["next_seq"] == before
        assert "there is no destination 'sea'" in _queue("import", bridge.data_dir, "-", "--to", "sea", status=1,
                                                         given='{"topic": "a"}\n')


def _with_letters(near, to_far):
    """A daemon, paused towards far, with five dead letters: what came is not what its jq takes."""
    bridge = _bridge(near, to_far, start=False, payload=".v")
    bridge.start(wait_up=["near"])
    _queue("pause", bridge.data_dir, "far")
    with Publisher(near.port) as out:
        for n in range(5):
            out.publish(f"in/{n}", b"not JSON %d" % n)
        out.wait()
    until(lambda: _row(bridge.data_dir)["dead"] == 5, "five dead letters")
    return bridge


@tap.case("dead letters: looked at, sent again by filter and all, thrown away")
def letters():
    with own_mosquitto() as far, Proxy(far.port) as to_far, Subscriber(far.port, "out/#") as got, \
            own_mosquitto() as near, _with_letters(near, to_far) as bridge:
        shown = _queue("peek", bridge.data_dir, "far", "--dead")
        assert shown.count("died: ") == 5 and "not JSON 3" in shown, shown
        lines = _lines(_queue("export", bridge.data_dir, "far", "--dead"))
        assert all(line["reason"] and line["died_ms"] for line in lines)
        topic = lines[1]["topic"]
        assert _queue("requeue", bridge.data_dir, "far", "--topic", topic) == "1 message queued again\n"
        assert "0 messages" in _queue("requeue", bridge.data_dir, "far", "--reason", "no such reason")
        assert _queue("peek", bridge.data_dir, "far", "--dead", "--reason", "no such reason") == "no messages\n"
        assert _queue("purge", bridge.data_dir, "far", "--dead", "--topic", lines[2]["topic"],
                      "--yes") == "1 message purged\n"
        row = _row(bridge.data_dir)
        assert (row["waiting"], row["dead"]) == (1, 3), row
        assert bridge.stop() == 0
        assert _queue("requeue", bridge.data_dir, "far") == "3 messages queued again\n"
        assert (_row(bridge.data_dir)["waiting"], _row(bridge.data_dir)["dead"]) == (4, 0)
        _queue("resume", bridge.path, "far")
        bridge.start()
        got.wait_count(4)
        assert sorted(m.payload for m in got.messages) == [b"not JSON %d" % n for n in (0, 1, 3, 4)]
        assert bridge.stop() == 0


POINTS = ["journal.before_group_write", "journal.after_group_fdatasync", "queue.after_requeue_durable",
          "queue.before_dead_remove", "journal.before_dead_replace", "journal.after_dead_replace"]


def _judge_letters(folder, point):
    there = [line["payload"] for line in _lines(_queue("export", folder, "far"))]
    dead = [line["payload"] for line in _lines(_queue("export", folder, "far", "--dead"))]
    for n in range(5):
        text = f"not JSON {n}"
        assert there.count(text) + dead.count(text) >= 1, f"{point}: {text} is lost"
        assert there.count(text) <= 1 and dead.count(text) <= 1, f"{point}: {text} is there more than twice"
    return there, dead


@tap.case("SIGKILL in the middle of a requeue, of the daemon and of the tool: nothing is lost")
def killed():
    with own_mosquitto() as near, Proxy(near.port) as to_far:
        for stop_first in (False, True):
            for point in POINTS:
                with _with_letters(near, to_far) as bridge:
                    armed = {"LINKSPAN_FAILPOINT": point}
                    assert bridge.stop() == 0
                    if not stop_first:
                        bridge.start(env=armed if point.startswith("queue.") or "dead_replace" in point else None,
                                     wait_up=["near"])
                    told = _queue("requeue", bridge.data_dir, "far", env=armed if stop_first else None,
                                  status=_expected(point, stop_first))
                    if not stop_first and bridge.running():
                        bridge.kill()
                    elif not stop_first:
                        assert bridge.wait() == -9, told
                    there, dead = _judge_letters(bridge.data_dir, point)
                    if point == "journal.after_dead_replace":
                        assert not dead, dead
                    if point.startswith("queue."):
                        assert len(there) == 5 and len(dead) == 5, (point, there, dead)


def _expected(point, stop_first):
    """Points of the journal's own are passed before a daemon has started: there it is killed afterwards."""
    return 0 if not stop_first and point.startswith("journal.") and "group" in point else 1


@tap.case("a folder whose daemon does not answer is refused; another owner's clients are not heard")
def refused():
    with own_mosquitto() as near, Proxy(near.port) as to_far, _bridge(near, to_far) as bridge:
        mode = os.stat(os.path.join(bridge.data_dir, "control")).st_mode & 0o777
        assert mode == 0o600, oct(mode)
        os.unlink(os.path.join(bridge.data_dir, "control"))
        told = _queue("ls", bridge.data_dir, status=1)
        assert "another process holds the folder" in told, told
        bridge.kill()
        assert _row(bridge.data_dir)["link"] == "stopped"
        assert "no journal" in _queue("ls", bridge.folder, status=1)
        with subprocess.Popen([program(), "queue", "purge", bridge.data_dir, "fra", "--yes"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as purge:
            counted, told = purge.communicate(timeout=60)
        assert counted == "" and "there is no destination 'fra'" in told, (counted, told)
        assert "linkspan queue: unrecognized option '--frob'" in _queue("ls", bridge.data_dir, "--frob", status=2)
        assert "No such file" in _queue("ls", bridge.folder + "/nowhere", status=1)
        bridge.start()  # after a kill the socket file may be there still
        assert _row(bridge.data_dir)["link"] in ("up", "down")


@tap.case("a backlog that has left the journal: exported, thrown away in part, and the rest delivered")
def overflow():
    with own_mosquitto() as far, Proxy(far.port) as to_far, Subscriber(far.port, "#") as got, \
            own_mosquitto() as near, Linkspan(yaml.configuration(
                [yaml.mqtt("near", near.port), yaml.mqtt("far", to_far.port)],
                [yaml.mapping("all", {"connection": "near", "topic": "in/{k}", "qos": 1},
                              {"connection": "far", "topic": "out/{k}"})],
                journal={"segment_size": "1MiB", "max_size": "3MiB"}), start=False) as bridge:
        to_far.down()
        bridge.start(wait_up=["near"])
        for topic in "abc":
            flood(near.port, f"in/{topic}", 1, 2000, size=2000)
        bridge.wait_waiting("far", 6000)
        assert os.listdir(os.path.join(bridge.data_dir, "outbox")), "nothing has left the journal"
        lines = _lines(_queue("export", bridge.data_dir, "far"))
        assert [line["seq"] for line in lines] == list(range(1, 6001))
        assert "3000 messages purged" in _queue("purge", bridge.data_dir, "far", "--seq", "2001-5000", "--yes")
        bridge.kill()
        left = lines[:2000] + lines[5000:]
        assert _plain(_lines(_queue("export", bridge.path, "far"))) == _plain(left)
        to_far.forward()
        bridge.start()
        _arrive(got, left)
        assert bridge.stop() == 0


@tap.case("clients that are killed or stopped in the middle of an export leave the daemon as it was")
def lazy_clients():
    with own_mosquitto() as near, Proxy(near.port) as to_far:
        to_far.down()
        with _bridge(near, to_far) as bridge:
            flood(near.port, "in/x", 1, 20000)
            bridge.wait_waiting("far", 20000)
            files, memory = bridge.open_files(), bridge.anonymous_kib()
            clients = [subprocess.Popen([program(), "queue", "export", bridge.data_dir, "far"], stdout=subprocess.PIPE)
                       for _ in range(3)]
            for client in clients:
                client.stdout.read(1)
                client.send_signal(signal.SIGSTOP)
            assert _row(bridge.data_dir)["waiting"] == 20000
            # 256 KiB each, once they are full; all that they have asked for would be 18 MB.
            assert bridge.anonymous_kib() < memory + 4096, f"{memory} KiB grew to {bridge.anonymous_kib()} KiB"
            for client in clients:
                client.kill()
                client.wait()
                client.stdout.close()
            with subprocess.Popen([program(), "queue", "export", bridge.data_dir, "far"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as client:  # as `| head -1` does it
                client.stdout.readline()
                client.stdout.close()
                told = client.stderr.read()
            assert (client.returncode, told) == (1, b""), (client.returncode, told)
            until(lambda: bridge.open_files() <= files, "their sockets closed")
            assert len(_queue("export", bridge.data_dir, "far").splitlines()) == 20000
            assert not bridge.held_up(), bridge.held_up()
            assert bridge.stop() == 0


if __name__ == "__main__":
    tap.main()
