#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""linkspan test: the tests of the examples, exit statuses, its three kinds of output, and that nothing outside is touched."""
import os
import re
import subprocess
import xml.etree.ElementTree

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap
from rig.daemon import program
from rig.process import temp_folder

_EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
_SECRET = "geheim-4711"

_HEAD = """data_dir: data
connections:
  plant: {type: mqtt, url: "mqtt://127.0.0.1:1", client_id: c}
  people: {type: http, url: "http://127.0.0.1:1/${env:TOKEN}"}
mappings:
  - name: alarms
    from: {connection: plant, topic: "alarm/{line}"}
    to: {connection: people, path: "/{line}", headers: {from: "${env:TOKEN}"}}
"""
_PASSES = """
  - name: an alarm arrives
    given: {topic: alarm/7, payload: '{"code": 1}'}
    expect: [{path: /7, payload: '{ "code" : 1 }'}]
"""
_FAILS = r"""
  - name: "wrong # <&\"' \e \uFFFE ä"
    mapping: alarms
    given: {topic: alarm/7, payload: "\x01<&]]>ä"}
    expect: [{path: /8, headers: {from: none}}]
"""


def _file(tests, head=_HEAD):
    folder = temp_folder("tests")
    path = os.path.join(folder, "linkspan.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(head + ("tests:" + tests if tests else ""))
    return path


def _test(*arguments, status=0, **env):
    said = subprocess.run([program(), "test", *arguments], capture_output=True, timeout=60, check=False,
                          env={**os.environ, "TOKEN": _SECRET, **env})
    assert said.returncode == status, said
    assert _SECRET.encode() not in said.stdout + said.stderr, said
    return said.stdout.decode(), said.stderr.decode()


@tap.case("the tests of the examples pass")
def examples():
    env = {"HALL_BROKER": "mqtt://127.0.0.1", "EDGE_BROKER": "mqtt://127.0.0.1", "CLOUD_BROKER": "mqtt://127.0.0.1",
           "PLANT_BROKER": "mqtt://127.0.0.1", "KAFKA_BROKERS": "127.0.0.1:9092", "LINKSPAN_DATA": "/nobody/writes/here"}
    for name in ("edge-to-cloud", "fewer-messages", "scada-to-kafka"):
        out, errors = _test(os.path.join(_EXAMPLES, name, "linkspan.yaml"), **env)
        assert re.search(r"^[2-9] tests, 0 failed$", out, re.M) and not errors, (name, out, errors)


@tap.case("what they say of a change for the worse: another qos, a rule left out")
def changed_example():
    path = os.path.join(_EXAMPLES, "fewer-messages", "linkspan.yaml")
    env = {"HALL_BROKER": "mqtt://127.0.0.1", "CLOUD_BROKER": "mqtt://127.0.0.1", "LINKSPAN_DATA": "/nobody/writes/here"}
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for old, new, failing in (("    sample: 10\n", "", "one spectrum in ten"), ("dead_band: 0.5", "dead_band: 0.2", "a wobble"),
                              ("window: 5s", "window: 4s", "five seconds"), ("retain: set", "retain: clear", "a door is told")):
        assert old in text
        out, _ = _test(_file("", head=text.replace(old, new)), status=1, **env)
        assert re.search(rf"^FAIL  {failing}", out, re.M) and "4 tests, 1 failed" in out, (old, out)


@tap.case("for a person: the place, what was wanted and what was got; exit status 1")
def person():
    path = _file(_PASSES + _FAILS)
    out, errors = _test(path, status=1)
    assert not errors and out.startswith("ok    an alarm arrives\nFAIL  wrong # <&\"' ? \ufffe ä\n"), out
    assert "linkspan.yaml:17: 'people', message 1 of 1 is another one:\n" in out, out
    assert "path: want /8\n" in out and "got /7\n" in out, out
    assert "headers.from: want none\n" in out and "got ***\n" in out, out
    assert out.endswith("2 tests, 1 failed\n"), out
    assert os.listdir(os.path.dirname(path)) == ["linkspan.yaml"]


@tap.case("--tap: a plan, a line for each test, and what went wrong in comments")
def tap_output():
    out, _ = _test("--tap", _file(_PASSES + _FAILS), status=1)
    lines = out.splitlines()
    assert lines[:2] == ["TAP version 13", "1..2"], out
    points = [line for line in lines if re.match(r"(not )?ok ", line)]
    assert points[0] == "ok 1 - an alarm arrives" and points[1].startswith("not ok 2 - wrong \\# <&"), points
    assert all(line.startswith("#") for line in lines[2:] if line not in points), out
    assert any("want /8" in line for line in lines), out


@tap.case("--junit: well-formed whatever names and payloads hold, counts, places; beside what is said to a person")
def junit():
    report = os.path.join(temp_folder("report"), "report.xml")
    path = _file(_PASSES + _FAILS)
    out, _ = _test("--junit", report, path, status=1)
    assert "2 tests, 1 failed" in out
    root = xml.etree.ElementTree.parse(report).getroot()
    assert root.tag == "testsuites" and root.get("tests") == "2" and root.get("failures") == "1"
    suite = root.find("testsuite")
    assert suite.get("name") == path and suite.get("tests") == "2" and suite.get("failures") == "1", suite.attrib
    good, bad = suite.findall("testcase")
    assert good.get("name") == "an alarm arrives" and good.get("line") == "10" and not list(good), good.attrib
    assert bad.get("name") == "wrong # <&\"' ? ? ä" and bad.get("classname") == "alarms", bad.attrib
    failure = bad.find("failure")
    assert failure.get("message").startswith("linkspan.yaml:17: 'people'") and "got /7" in failure.text, failure.text
    out, _ = _test("--junit", "-", path, status=1)
    assert xml.etree.ElementTree.fromstring(out).get("tests") == "2"
    with open(report, encoding="utf-8") as file:
        assert file.read() == out


@tap.case("--filter: only tests that have it in their name")
def filtered():
    out, _ = _test("--filter", "alarm", _file(_PASSES + _FAILS))
    assert out == "ok    an alarm arrives\n1 test, 0 failed\n", out
    _, errors = _test("--filter", "nobody", _file(_PASSES), status=2)
    assert "none of the 1 tests" in errors, errors


@tap.case("what cannot be run: no tests, mistakes, wrong usage; exit status 2")
def cannot():
    _, errors = _test(_file(""), status=2)
    assert "has no tests; write some below tests:" in errors, errors
    _, errors = _test(_file(_PASSES.replace("alarm/7", "alarm/+")), status=2)
    assert "linkspan.yaml:11:20: topic: " in errors and "1 mistake\n" in errors, errors
    _, errors = _test("/nobody/is/here.yaml", status=2)
    assert "cannot be read" in errors, errors
    for arguments in ((), ("a", "b"), ("--nothing", "a"), ("--tap", "--junit", "-", "a")):
        assert _test(*arguments, status=2)[1], arguments
    _, errors = _test("--junit", "/nobody/is/here.xml", _file(_PASSES), status=2)
    assert "/nobody/is/here.xml: No such file" in errors, errors
    assert "usage: linkspan test" in _test("--help")[0]


@tap.case("tests of included files are run, and say their own place")
def included():
    path = _file(_PASSES)
    with open(os.path.join(os.path.dirname(path), "more.yaml"), "w", encoding="utf-8") as out:
        out.write("tests:\n  - name: another\n    given: {topic: alarm/1}\n    expect: []\n")
    with open(path, "a", encoding="utf-8") as out:
        out.write("include: [./more.yaml]\n")
    out, _ = _test(path, status=1)
    assert "more.yaml:4: 'people': message that is not expected:" in out and "2 tests, 1 failed" in out, out


@tap.case("the same again and again, to the byte")
def repeatable():
    path = _file("""
  - name: pauses of random length
    answer: {people: [retry, retry, delivered, retry, retry]}
    given: [{topic: alarm/1}, {topic: alarm/2}, {topic: alarm/3}, {topic: alarm/4}]
    expect: []
""")
    assert len({_test(path, status=1)[0] for _ in range(5)}) == 1


@tap.case("no system call of the network, and no file is written")
def nothing_touched():
    path = _file(_PASSES + _FAILS)
    done = subprocess.run(["strace", "-f", "-e", "trace=network,openat,creat,mkdir,rename,unlink", program(), "test", path],
                          capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "TOKEN": _SECRET})
    if "ptrace" in done.stderr and "Operation not permitted" in done.stderr:
        raise tap.Skip("strace may not trace here")
    calls = [line for line in done.stderr.splitlines() if re.search(r"socket|connect|bind|O_WRONLY|O_RDWR|O_CREAT|mkdir|unlink", line)]
    assert not calls, calls


if __name__ == "__main__":
    tap.main()
