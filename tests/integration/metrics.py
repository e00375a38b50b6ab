#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The admin listener: figures that add up, health, and clients that behave badly. Prometheus itself, where it is installed,
judges the formats and the rules of doc/."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap, yaml
from rig.daemon import Linkspan, program
from rig.feed import flood
from rig.fixtures import own_mosquitto, shared_mosquitto
from rig.mqtt import Subscriber
from rig.process import Process, temp_folder
from rig.proxy import Proxy
from rig.wait import free_port, until

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def need(program):
    if not shutil.which(program):
        raise tap.Skip(f"{program} is not installed (tests/lib/install.sh test)", missing=True)


def request(port, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def samples(port, accept="text/plain"):
    """{'name{label="value"}': number}"""
    status, _, text = request(port, "/metrics", Accept=accept)
    assert status == 200, status
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def wait_sample(port, name, condition, what):
    """Until condition(value); all samples of that moment. An answer may be a tenth of a second old."""
    found = {}

    def holds():
        found.clear()
        found.update(samples(port))
        return name in found and condition(found[name])
    until(holds, lambda: f"{what}: {name} is {found.get(name)}")
    return found


def finished(found, destination):
    return {re.search('outcome="(.*)"', key).group(1): value for key, value in found.items()
            if key.startswith(f'linkspan_destination_finished_total{{destination="{destination}"')}


def configuration(admin, near, far, **settings):
    return yaml.configuration(
        [yaml.mqtt("near", near), yaml.mqtt("far", far)],
        [yaml.mapping("all", {"connection": "near", "topic": "in/#", "qos": 1}, {"connection": "far", "topic": "out"})],
        admin={"listen": f"127.0.0.1:{admin}"}, **settings)


@tap.case("every message is counted once on each of its ways, in both formats")
def adds_up():
    broker, admin, count = shared_mosquitto(), free_port(), 3000
    with Linkspan(configuration(admin, broker.port, broker.port)) as bridge, Subscriber(broker.port, "out") as got:
        flood(broker.port, "in/x", 1, count)
        got.wait_count(count)
        found = wait_sample(admin, 'linkspan_destination_waiting_messages{destination="far"}', lambda v: v == 0,
                            "nothing waits")
        assert found['linkspan_source_acknowledgement_seconds_sum{connection="near"}'] > 0
        for name in ('linkspan_source_taken_total{connection="near"}', "linkspan_journal_appended_messages_total",
                     'linkspan_source_acknowledgement_seconds_count{connection="near"}',
                     'linkspan_source_acknowledgement_seconds_bucket{connection="near",le="+Inf"}',
                     'linkspan_destination_offered_total{destination="far"}',
                     'linkspan_destination_delivery_seconds_count{destination="far"}'):
            assert found[name] == count, f"{name} is {found[name]}"
        assert finished(found, "far") == {"delivered": count, **{key: 0 for key in finished(found, "far")
                                                                 if key != "delivered"}}
        assert found['linkspan_destination_sent_total{destination="far"}'] >= count
        assert found['linkspan_link_up{connection="near"}'] == 1 and found["linkspan_ready"] == 1
        groups = found["linkspan_journal_groups_total"]
        assert 0 < groups <= count
        assert found["linkspan_journal_group_frames_count"] == found["linkspan_journal_group_bytes_count"] == groups
        assert found["linkspan_journal_group_frames_sum"] == found["linkspan_journal_frames_total"] > count
        assert found["linkspan_journal_fdatasync_seconds_count"] >= groups
        written = found["linkspan_disk_written_bytes_total"]
        assert written == found["linkspan_disk_written_last_day_bytes"] > found["linkspan_journal_written_bytes_total"]
        assert found["linkspan_disk_free_bytes"] < found["linkspan_disk_size_bytes"]
        assert found["process_resident_memory_bytes"] > 1e6 and found["process_open_fds"] > 10
        # Turns happen between the two.
        as_open = samples(admin, OPENMETRICS)
        canonical = {re.sub(r'le="(\d+)\.0"', r'le="\1"', key) for key in as_open}
        assert canonical == set(found), sorted(canonical ^ set(found))[:10]
        assert bridge.stop() == 0


@tap.case("an outage shows while it lasts; a restart counts anew and what waits stays")
def outage():
    broker, admin, count = shared_mosquitto(), free_port(), 500
    with own_mosquitto() as far, Linkspan(configuration(admin, broker.port, far.port)) as bridge:
        far.stop()
        bridge.wait_event("link_down", connection="far")
        flood(broker.port, "in/y", 1, count)
        found = wait_sample(admin, 'linkspan_destination_waiting_messages{destination="far"}', lambda v: v == count,
                            "all wait")
        assert found['linkspan_link_up{connection="far"}'] == found['linkspan_destination_sending{destination="far"}'] == 0
        assert found['linkspan_link_downs_total{connection="far"}'] == 1
        assert found['linkspan_destination_waiting_bytes{destination="far"}'] > count * 10
        wait_sample(admin, 'linkspan_destination_oldest_age_seconds{destination="far"}', lambda v: v > 0.2, "they age")
        status, _, text = request(admin, "/readyz")
        assert (status, text) == (200, "ready\nlink near up\nlink far down\n"), (status, text)
        status, _, text = request(admin, "/readyz?strict")
        assert status == 503 and text.startswith("not ready: a link is down\n"), (status, text)
        assert bridge.stop() == 0
        bridge.start(wait_up=["near"])
        found = samples(admin)
        assert found['linkspan_destination_waiting_messages{destination="far"}'] == count
        assert found['linkspan_destination_offered_total{destination="far"}'] == 0
        assert not any(finished(found, "far").values())
        far.start()
        found = wait_sample(admin, 'linkspan_destination_waiting_messages{destination="far"}', lambda v: v == 0,
                            "all delivered")
        assert finished(found, "far")["delivered"] == count
        assert found['linkspan_destination_delivery_seconds_sum{destination="far"}'] > 0.2 * count, "age of what was read"
        assert request(admin, "/readyz?strict")[0] == 200
        assert bridge.stop() == 0


@tap.case("an overflow log and a pause by hand show, and their end")
def overflow():
    broker, admin = shared_mosquitto(), free_port()
    size = 'linkspan_destination_overflow_bytes{destination="far"}'
    paused = 'linkspan_destination_paused{destination="far"}'
    waiting = 'linkspan_destination_waiting_messages{destination="far"}'

    def queue(command):
        subprocess.run([program(), "queue", command, bridge.data_dir, "far"], check=True, capture_output=True)
    with Linkspan(configuration(admin, broker.port, broker.port, journal={"segment_size": "1MiB", "max_size": "3MiB"})) \
            as bridge:
        assert samples(admin)[paused] == samples(admin)[size] == 0
        queue("pause")
        wait_sample(admin, paused, lambda v: v == 1, "paused")
        flood(broker.port, "in/o", 1, 1000, 10000)
        found = wait_sample(admin, size, lambda v: v > 3e6, "most of it moved away")
        assert found["linkspan_journal_overflow_bytes_total"] >= found[size] * 0.9
        assert found["linkspan_journal_overflow_messages_total"] > 300
        wait_sample(admin, waiting, lambda v: v == 1000, "all wait")
        queue("resume")
        found = wait_sample(admin, waiting, lambda v: v == 0, "all delivered")
        assert found[paused] == 0
        wait_sample(admin, size, lambda v: v == 0, "the space back")
        assert bridge.stop() == 0


@tap.case("stopping: alive and not ready")
def stopping():
    broker, admin = shared_mosquitto(), free_port()
    with own_mosquitto() as far, Proxy(far.port) as link, \
            Linkspan(configuration(admin, broker.port, link.port, shutdown_timeout="60s")) as bridge:
        link.stall()
        flood(broker.port, "in/z", 1, 3)
        wait_sample(admin, 'linkspan_destination_in_flight_messages{destination="far"}', lambda v: v == 3, "on their way")
        bridge.signal(signal.SIGTERM)
        until(lambda: request(admin, "/readyz")[0] == 503, "not to be ready")
        assert request(admin, "/readyz")[2].startswith("not ready: stopping\n")
        assert request(admin, "/healthz")[::2] == (200, "ok\n")
        link.forward()
        assert bridge.wait() == 0


@tap.case("a full disk: alive and not ready, until there is room again")
def disk_full():
    broker, admin, disk = shared_mosquitto(), free_port(), temp_folder("disk")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "linkspan-test", disk], capture_output=True, text=True,
                          check=False)
    if made.returncode:
        raise tap.Skip(f"cannot mount a small file system: {made.stderr.strip()}")
    try:
        filler = os.path.join(disk, "filler")
        with open(filler, "wb") as file:
            file.write(bytes(8 << 20))
        with Linkspan(configuration(admin, broker.port, free_port(), journal={"segment_size": "1MiB", "min_free": 0}),
                      data_dir=os.path.join(disk, "data"), wait_up=["near"]) as bridge:
            assert request(admin, "/readyz")[0] == 200
            flood(broker.port, "in/full", 1, 1000, 12000)
            found = wait_sample(admin, "linkspan_journal_takes_messages", lambda v: v == 0, "no room")
            assert found["linkspan_ready"] == found["linkspan_journal_failed"] == 0
            assert found["linkspan_disk_written_bytes_total"] > 4e6
            assert found['linkspan_destination_waiting_messages{destination="far"}'] < 1000, "it fitted"
            wait_sample(admin, 'linkspan_source_paused{connection="near"}', lambda v: v == 1, "the source to pause")
            status, _, text = request(admin, "/readyz")
            assert status == 503 and text.startswith("not ready: the journal has no room"), (status, text)
            assert request(admin, "/healthz")[0] == 200
            os.unlink(filler)
            wait_sample(admin, "linkspan_journal_takes_messages", lambda v: v == 1, "room again")
            found = wait_sample(admin, 'linkspan_source_paused{connection="near"}', lambda v: v == 0, "it to go on")
            assert found['linkspan_source_pauses_total{connection="near"}'] >= 1
            assert bridge.stop() == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


@tap.case("methods, paths and content types")
def protocol():
    broker, admin = shared_mosquitto(), free_port()
    with Linkspan(configuration(admin, broker.port, broker.port)) as bridge:
        status, headers, _ = request(admin, "/metrics")
        assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers
        status, headers, text = request(admin, "/metrics", Accept=OPENMETRICS)
        assert status == 200 and text.endswith("\n# EOF\n"), text[-100:]
        assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8", headers
        status, headers, text = request(admin, "/metrics", "HEAD")
        assert status == 200 and text == "" and int(headers["Content-Length"]) > 1000, headers
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, headers, _ = request(admin, "/metrics", method, "x" * 100)
            assert (status, headers["Allow"]) == (405, "GET, HEAD"), (method, status, headers)
        for path in ("/", "/metrics/", "/metricsx", "/favicon.ico", "/" + "a" * 5000):
            assert request(admin, path)[0] == 404, path
        assert request(admin, "/healthz?x=" + "y" * 100000)[0] in (414, 431)
        assert request(admin, "/healthz")[0] == 200
        # A second one that is given the same port says so and does not run.
        with Linkspan(configuration(admin, broker.port, broker.port), wait_up=False) as second:
            assert second.wait() == 1
            assert "admin.listen" in second.events("admin_listen_failed")[0]["what"]
        assert bridge.stop() == 0


def _greedy(admin, path, connections, requests):
    """That many requests on so many connections, sent as fast as they are answered."""
    one = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    links = [socket.create_connection(("127.0.0.1", admin), timeout=60) for _ in range(connections)]
    batch = 100
    for _ in range(requests // connections // batch):
        for link in links:
            link.sendall(one * batch)
        for link in links:
            got, tail = 0, b""
            while got < batch:
                piece = link.recv(1 << 20)
                assert piece, "cut"
                joined = tail + piece
                got += joined.count(b"HTTP/1.1 200 OK\r\n")
                tail = joined[-16:]
    for link in links:
        link.close()


@tap.case("half requests, clients that do not read, and 100,000 requests do not hold up the loop")
def bad_clients():
    admin, count = free_port(), 3000
    with own_mosquitto(in_memory=True) as broker, Linkspan(configuration(admin, broker.port, broker.port)) as bridge, \
            Subscriber(broker.port, "out") as got:
        halves = [socket.create_connection(("127.0.0.1", admin), timeout=60) for _ in range(32)]
        for link in halves[:16]:
            link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for link in halves[16:]:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        flood(broker.port, "in/slow", 1, count)
        got.wait_count(count)
        # They have all the places (MAX_CONNECTIONS in src/admin/http.c) until their time is over.
        until(lambda: request(admin, "/healthz")[0] == 200, "an answer")
        for link in halves:
            link.close()
        flood(broker.port, "in/slow", 1, count)
        _greedy(admin, "/healthz", 8, 96000)
        _greedy(admin, "/metrics", 4, 4000)
        got.wait_count(2 * count)
        assert not bridge.held_up(), bridge.held_up()
        until(lambda: bridge.open_files() < 60, lambda: f"descriptors to be given back: {bridge.open_files()}")
        assert not bridge.events("link_down")
        assert bridge.stop() == 0


@tap.case("promtool accepts /metrics")
def promtool_metrics():
    need("promtool")
    broker, admin = shared_mosquitto(), free_port()
    with Linkspan(configuration(admin, broker.port, broker.port)) as bridge:
        text = request(admin, "/metrics")[2]
        ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert ran.returncode == 0 and not ran.stdout + ran.stderr, ran.stdout + ran.stderr
        assert bridge.stop() == 0


@tap.case("a Prometheus reads it as OpenMetrics, with the alert rules")
def prometheus():
    need("prometheus")
    broker, admin, port, folder = shared_mosquitto(), free_port(), free_port(), temp_folder("prometheus")
    with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as out:
        out.write(f"global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n"
                  f"rule_files: [{os.path.abspath(DOC)}/alerts.yml]\n"
                  f"scrape_configs: [{{job_name: l, static_configs: [{{targets: ['127.0.0.1:{admin}']}}]}}]\n")

    def ask(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except (OSError, ValueError):
            return None
    with Linkspan(configuration(admin, broker.port, broker.port)) as bridge:
        server = Process("prometheus", [
            "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], os.path.join(folder, "log"))
        tap.on_failure(server.log_tail)

        said = []

        def scraped():  # on a loaded machine some take longer than their time
            assert server.running(), "prometheus has ended"
            said[:] = (ask("targets") or {}).get("activeTargets", [])
            return said and said[0]["health"] == "up"
        until(scraped, lambda: f"a scrape: {said}")
        # Units are only in OpenMetrics: that is what was read.
        unit = until(lambda: ask("metadata?metric=linkspan_journal_fdatasync_seconds"), "its metadata")
        assert unit["linkspan_journal_fdatasync_seconds"][0] == {
            "type": "histogram", "unit": "seconds",
            "help": "Time that the disk took to make a group durable."}, unit
        n = until(lambda: (ask('query?query=count({__name__=~"linkspan_.%2B"})') or {}).get("result"), "samples")
        mine = [key for key in samples(admin) if key.startswith("linkspan_")]
        assert int(n[0]["value"][1]) == len(mine), (n, len(mine))
        rules = until(lambda: (ask("rules") or {}).get("groups"), "rules")[0]["rules"]
        assert len(rules) > 10

        def evaluated():
            groups = (ask("rules") or {}).get("groups")
            return groups and all(rule["health"] == "ok" for rule in groups[0]["rules"])
        until(evaluated, "all rules evaluated")
        server.stop()
        assert bridge.stop() == 0


@tap.case("the alert rules are right, and fire when they should")
def promtool_rules():
    need("promtool")
    for command in (["check", "rules", os.path.join(DOC, "alerts.yml")],
                    ["test", "rules", os.path.join(os.path.dirname(os.path.abspath(__file__)), "alerts.test.yml")]):
        ran = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


if __name__ == "__main__":
    tap.main()
