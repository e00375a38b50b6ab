#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema as editors use it: ajv judges every file by it, and yaml-language-server is asked what it offers, explains
and underlines."""
import glob
import os
import re
import shutil
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap
from rig.daemon import program
from rig.language_server import LanguageServer, validate
from rig.process import temp_folder

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_CORPUS = os.path.join(_ROOT, "tests", "unit", "config")
_INCLUDED = "#/definitions/included"
_ACCEPTED = re.compile(r"^# the schema accepts this: \S.*$", re.MULTILINE)
_LINE = "# yaml-language-server: $schema=linkspan.schema.json\n"


def _said(*arguments):
    return subprocess.run(arguments, capture_output=True, check=True, text=True, timeout=60).stdout


def _schema(of_tests=False):
    """A file with the schema. of_tests: that of the connectors which the corpus is written for."""
    path = os.path.join(temp_folder("schema"), "linkspan.schema.json")
    printer = os.path.join(os.path.dirname(program()), "tests", "unit", "config", "print_schema")
    if of_tests and not os.path.exists(printer):
        raise tap.Skip(f"no {printer}, which make builds where CUnit is installed", missing=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(_said(printer) if of_tests else _said(program(), "schema"))
    return path


def _text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _files(*pattern):
    found = sorted(glob.glob(os.path.join(_ROOT, *pattern)))
    assert found, pattern
    return found


def _snippets():
    """Whole configurations that the documentation shows, as files."""
    folder, found = temp_folder("snippets"), []
    for page in [*_files("*.md"), *_files("*", "*.md"), *_files("*", "*", "*.md")]:
        for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", _text(page), re.MULTILINE | re.DOTALL)):
            if re.search(r"^data_dir:", block, re.MULTILINE) and "…" not in block:
                found.append(os.path.join(folder, os.path.relpath(page, _ROOT).replace("/", "-") + f"-{number}.yaml"))
                with open(found[-1], "w", encoding="utf-8") as out:
                    out.write(block)
    assert found
    return found


def _refused(results):
    return {os.path.basename(file): wrong for file, wrong in results.items() if wrong}


@tap.case("the schema takes every good configuration: the corpus, examples, ready-made mappings, the documentation")
def good():
    corpus, real = _schema(of_tests=True), _schema()
    refused = _refused(validate(corpus, [*_files(_CORPUS, "good", "*.yaml"), *_files(_CORPUS, "warned", "*.yaml")]))
    refused |= _refused(validate(corpus, [*_files(_CORPUS, "good", "shared", "*.yaml"), *_files(_CORPUS, "mappings", "*.yaml")],
                                 _INCLUDED))
    refused |= _refused(validate(real, [*_files(_CORPUS, "real", "good", "*.yaml"), *_files(_CORPUS, "real", "warned", "*.yaml"),
                                        *_files("examples", "*", "*.yaml"), *_snippets()]))
    ready = glob.glob(os.path.join(_ROOT, "mappings", "*.yaml"))
    if ready:
        refused |= _refused(validate(real, ready, _INCLUDED))
    assert not refused, refused


@tap.case("it refuses each broken one, but for those that say why only linkspan can know")
def broken():
    wrong = []
    judged = validate(_schema(of_tests=True), _files(_CORPUS, "broken", "*.yaml"))
    judged |= validate(_schema(), _files(_CORPUS, "real", "broken", "*.yaml"))
    for file, mistakes in judged.items():
        says = bool(_ACCEPTED.search(_text(file)))
        if not mistakes and not says:
            wrong.append(f"{file}: the schema accepts it. Make the schema stricter, or write at the end of the file why it "
                         "cannot be: # the schema accepts this: …")
        if mistakes and says:
            wrong.append(f"{file}: says that the schema accepts it, and it does not: {mistakes[0]}")
    assert not wrong, "\n".join(wrong)


@tap.case("examples and ready-made mappings name their schema, where it lies in the tree and where it is installed")
def lines():
    said = _said(program(), "schema")
    kept = _files("doc", "linkspan.schema.json")[0]
    assert _text(kept) == said, "doc/linkspan.schema.json is stale: run make update-reference"
    for file in [*_files("examples", "*", "*.yaml"), *glob.glob(os.path.join(_ROOT, "mappings", "*.yaml"))]:
        named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", _text(file), re.MULTILINE)
        assert named, f"{file} begins without a line `# yaml-language-server: $schema=…`"
        path, _, part = named[1].partition("#")
        assert os.path.realpath(os.path.join(os.path.dirname(file), path)) == os.path.realpath(kept), (file, path)
        assert part == (_INCLUDED[1:] if "/mappings/" in file else ""), (file, part)


# --- yaml-language-server ---------------------------------------------------------------------------------------------------

_servers = []


def _server():
    if not _servers:
        folder = temp_folder("editor")
        shutil.copy(_schema(), os.path.join(folder, "linkspan.schema.json"))
        _servers.append(LanguageServer(folder))
    return _servers[0]


def _offered(text, line=_LINE):
    return _server().completions(line + text)


def _keys(table):
    """Of a table of doc/reference.md, by its heading: only those of the first level."""
    page = _text(_files("doc", "reference.md")[0])
    part = page[page.index(f"\n## {table}\n"):]
    end = part.find("\n\nUnder ", 4)
    part = part[:min(p for p in (end, part.find("\n## ", 4), len(part)) if p > 0)]
    return set(re.findall(r"^\| `([a-z_]+)` \|", part, re.MULTILINE))


def _only_keys(offered):
    """Without the snippets, which bear the name of what they are."""
    return {label for label in offered if re.fullmatch(r"[a-z_]+", label)} - {"linkspan", "connection", "mapping", "from", "to"}


@tap.case("completion at the top: all sections, with what they are and their defaults")
def completion_at_the_top():
    offered, known = _offered("‸"), _keys("The file") - {"needs"}  # which is for included files
    assert _only_keys(offered) == known, offered.keys() ^ known
    assert offered["max_transform_bytes"]["insertText"] == "max_transform_bytes: ${1:1MiB}", offered["max_transform_bytes"]
    assert offered["data_dir"]["insertText"] == "data_dir: ${1:/var/lib/linkspan}", offered["data_dir"]
    assert "made when missing" in offered["data_dir"]["documentation"], offered["data_dir"]
    # A mapping begins with all that it must have.
    assert re.search(r"- name: .*\n *from:\n *connection: .*\n *topic: .*\n *to: ", offered["mappings"]["insertText"]), \
        offered["mappings"]


@tap.case("completion in an included file: only what belongs there")
def completion_in_an_included_file():
    offered = _only_keys(_offered("‸", _LINE.replace(".json", ".json" + _INCLUDED)))
    assert {"connections", "mappings", "tests", "include"} <= offered and not offered & {"data_dir", "journal"}, offered


@tap.case("completion in a connection: types, then the keys of that type and no others")
def completion_in_a_connection():
    start = "data_dir: d\nconnections:\n  plant:\n    type: "
    assert set(_offered(start + "‸")) == {"coap", "http", "kafka", "mqtt"}
    common = _keys("Connections") - {"type"}
    for kind in ("mqtt", "kafka", "http", "coap"):
        offered = _offered(f"{start}{kind}\n    ‸")
        wanted = _keys(f"Connection of type {kind}") | common
        assert _only_keys(offered) | {"from"} & set(offered) == wanted, (kind, _only_keys(offered) ^ wanted)
        assert all(offered[key].get("documentation") for key in wanted), kind
    assert _offered(start + "mqtt\n    ‸")["keep_alive"]["insertText"] == "keep_alive: ${1:30s}"


@tap.case("completion of values: choices, small numbers, true and false, examples")
def completion_of_values():
    outbox = "data_dir: d\nconnections:\n  lake:\n    type: kafka\n    outbox:\n      "
    assert set(_offered(outbox + "when_full: ‸")) == {"block", "drop_oldest", "drop_newest", "dead_letter"}
    assert set(_offered("data_dir: d\nconnections:\n  a:\n    type: mqtt\n    version: ‸")) == {"5", "3.1.1"}
    mapping = "data_dir: d\nmappings:\n  - name: m\n    "
    assert set(_offered(mapping + "from:\n      connection: a\n      qos: ‸")) == {"0", "1", "2"}
    assert set(_offered(mapping + "markers: ‸")) == {"true", "false"}
    assert set(_offered(mapping + "from:\n      topic: ‸")) == {"plant/{line}/#"}
    assert set(_offered(mapping + "aggregate:\n      as: ‸")) == {"last", "min", "max", "mean", "count", "list", "start", "end"}


@tap.case("completion under from and to: what some connector has, and once one is known by a key of its own only that one's")
def completion_of_legs():
    mapping = "data_dir: d\nmappings:\n  - name: m\n    "
    offered = _only_keys(_offered(mapping + "from:\n      connection: a\n      ‸"))
    assert {"topic", "qos", "format", "no_local", "group", "split", "mode"} <= offered, offered
    assert not offered & {"when_full", "partition", "path", "payload"}, offered
    offered = _only_keys(_offered(mapping + "from:\n      connection: a\n      group: g\n      ‸"))
    assert {"topic", "qos", "no_local"} <= offered and not offered & {"split", "mode", "success", "group"}, offered
    offered = _offered(mapping + "to:\n      connection: a\n      ‸")
    assert {"topic", "path", "partition", "key", "headers", "qos", "retain", "reply"} <= set(offered), offered.keys()
    assert offered["partition"]["documentation"].startswith("(kafka) "), offered["partition"]
    offered = _only_keys(_offered(mapping + "to:\n      - connection: a\n        partition: \"1\"\n        ‸"))
    assert {"topic", "timestamp", "key"} <= offered and not offered & {"path", "method", "url"}, offered


@tap.case("hovering over a key shows its help, its default and what it may be")
def hover():
    outbox = "data_dir: d\nconnections:\n  lake:\n    type: kafka\n    outbox:\n      "
    shown = _server().hover(_LINE + outbox + "when_‸full: block\n")
    assert "What becomes of a message that finds no room" in shown and "Default: block." in shown, shown
    assert "`drop_newest`" in shown, shown
    shown = _server().hover(_LINE + outbox + "back‸off_max: 1m\n")
    assert "Default: 60s. Allowed: 1ms to 1d." in shown, shown
    shown = _server().hover(_LINE + "data_dir: d\nconnections:\n  a:\n    type: mqtt\n    u‸rl: x\n")
    assert "mqtts://broker.example.org" in shown, shown


def _underlined(text):
    """{what is said: the line of it, counted in text}."""
    return {one["message"]: one["range"]["start"]["line"] - 1 for one in _server().diagnostics(_LINE + text)}


@tap.case("mistakes are underlined with words that help: unknown keys, choices, units, templates, what is missing")
def diagnostics():
    with open(os.path.join(_ROOT, "examples", "scada-to-kafka", "linkspan.yaml"), encoding="utf-8") as file:
        whole = re.sub(r"^# yaml-language-server.*\n", "", file.read(), flags=re.MULTILINE)
    assert not _underlined(whole), _underlined(whole)
    said = _underlined("""data_dir: d
frobnicate: 1
connections:
  plant:
    type: mqtt
    url: "tcp://plant"
    ulr: x
    keep_alive: 10
    password: ${PASSWORD}
    outbox: {when_full: blok, max_bytes: 10 MB}
  lake: {type: kafka}
  what: {type: mqqt}
mappings:
  - name: two words
    from: {connection: plant, topic: a/b#, qos: 3, group: g, split: none}
    to: {connection: lake, topic: "{a", tombstone: x}
""")
    wanted = {"Property frobnicate is not allowed.": 1, "Write it as in mqtts://broker.example.org.": 5,
              "Property ulr is not allowed.": 6,
              "Behind ${ stands env: or file:, as in ${env:NAME}; $${ stands for ${ itself.": 8,
              'Value is not accepted. Valid values: "block", "drop_oldest", "drop_newest", "dead_letter".': 9,
              "Write a number and its unit, such as 64MiB. Units: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB.": 9,
              'Missing property "brokers".': 10, 'Value is not accepted. Valid values: "coap", "http", "kafka", "mqtt".': 11,
              "Write it as in telemetry.": 13, "Write it as in plant/{line}/#.": 14,
              "Value is not accepted. Valid values: 0, 1, 2.": 14,
              "Braces come in pairs, with something between them; {{ and }} stand for braces.": 15,
              "Property tombstone is not allowed.": 15}
    assert all(said.get(words) == line for words, line in wanted.items()), \
        ({words: line for words, line in wanted.items() if said.get(words) != line}, said)
    assert 14 in (said.get("Property group is not allowed."), said.get("Property split is not allowed.")), said
    assert any(line == 7 for line in said.values()), said  # keep_alive without a unit
    assert _underlined("connections: {}\n")['Missing property "data_dir".'] == 0


if __name__ == "__main__":
    tap.main()
