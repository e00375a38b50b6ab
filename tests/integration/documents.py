#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents show: check takes each configuration in them, a fragment once it is made whole, and each command line
names commands, options and files that there are."""
import glob
import os
import re
import shlex
import subprocess
import textwrap

import _path  # noqa: F401  pylint: disable=unused-import
from rig import certificates, tap
from rig.daemon import program
from rig.process import temp_folder

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECTIONS = ("data_dir", "journal", "log", "admin", "shutdown_timeout", "include", "needs", "connections", "mappings", "tests")
TESTS = r"^ *(- )?(given|steps|expect):"
CONNECTIONS = {name: f'{{type: mqtt, url: "mqtt://127.0.0.1", client_id: {name}}}'
               for name in ("plant", "cloud", "home", "near", "far", "radio")}
CONNECTIONS["lake"] = '{type: kafka, brokers: ["127.0.0.1:9092"]}'
CONNECTIONS.update({name: f'{{type: http, url: "https://{name}.example"}}' for name in ("hook", "hooks", "phone")})
SOURCES = {"lake": "plant/+/+/alarm", "hooks": "alarm/+"}
TARGETS = {"lake": "topic: scada.up", "hooks": 'path: "/{topic[1]}"'}


def documents():
    found = [path for pattern in ("*.md", "doc/*.md", "connectors/*/README.md", "mappings/*.md", "examples/*/README.md")
             for path in glob.glob(os.path.join(ROOT, pattern))]
    return {os.path.relpath(path, ROOT): path for path in sorted(found) if not path.endswith("CHANGELOG.md")}


def blocks(path, language):
    """(line, text) of each fenced block of that language, without what indents all of it."""
    with open(path, encoding="utf-8") as document:
        text = document.read()
    for found in re.finditer(rf"^( *)```{language}\n(.*?)^\1```$", text, re.M | re.S):
        yield text.count("\n", 0, found.start()) + 2, textwrap.dedent(found.group(2))


def keys_of(text):
    return re.findall(r"^([a-z_]+):", text, re.M)


def pieces(text):
    """The configurations that a block shows: one, or one for each key where alternatives stand below each other."""
    if re.match(r"- name:", text):
        yield ("tests:\n" if re.search(TESTS, text, re.M) else "mappings:\n") + textwrap.indent(text, "  ")
    elif set(keys_of(text)) <= set(SECTIONS):
        yield text
    else:
        for part in re.findall(r"^[a-z_]+:.*\n(?:[ #].*\n|\n)*", text, re.M):
            if part.startswith(("sasl:", "outbox:")):
                yield "connections:\n  lake:\n    # …\n" + textwrap.indent(part, "    ")
            else:
                yield "mappings:\n  - name: a\n" + ("" if part.startswith("from:") else "    # …\n") + \
                    textwrap.indent(part, "    ")


def target(name):
    return f"to: {{connection: {name}, {TARGETS[name]}}}"


def with_section(text, section, lines):
    """The text with these lines in that section, which may be new."""
    if f"\n{section}:\n" in "\n" + text:
        return re.sub(rf"^{section}:\n", lambda found: found.group() + lines, text, count=1, flags=re.M)
    return text + f"{section}:\n{lines}"


def whole(text, base):
    """A configuration of a fragment: what is left out (# …, connections, a mapping, data_dir) is put in; tests alone are
    those of the base."""
    if set(keys_of(text)) == {"tests"}:
        text = base[:base.index("\nmappings:")] + "\n" + text + base[base.index("\nmappings:"):]
        for name in TARGETS if "alarm" in text else ():
            text += f'  - name: to-{name}\n    from: {{connection: plant, topic: "{SOURCES[name]}"}}\n    {target(name)}\n'
    body, section = [], None
    for line in text.splitlines():
        section = (re.match(r"[a-z_]+", line) or [section])[0]
        if line.strip() == "# …":
            line = "    type: kafka\n    brokers: [k1:9092]" if section == "connections" else \
                '    from: {connection: plant, topic: "a/{line}/{door}"}\n    ' + target("lake")
        body.append(line)
    text = "\n".join(body) + "\n"
    if re.search(r"^mappings:\n  - name: a\n    from:", text, re.M) and "to:" not in text:
        text += "    " + target("lake") + "\n"
    if "mappings" not in keys_of(text) and "include" not in keys_of(text):
        own = re.search(r"^  ([a-z]+):", text[text.find("\nconnections:") + 1:], re.M) if "connections" in keys_of(text) else None
        own = own.group(1) if own else "lake"
        text = with_section(text, "mappings", f'  - name: a\n    from: {{connection: near, topic: "a/#"}}\n'
                                              f"    to: {{connection: {own}, topic: up}}\n")
    defined = re.findall(r"^  ([a-z]+):|[{,] ?([a-z]+): \{type:", text, re.M)
    defined = {first or second for first, second in defined}
    for name in sorted(set(re.findall(r"connection: ([a-z]+)", text)) - defined):
        text = with_section(text, "connections", f"  {name}: {CONNECTIONS[name]}\n")
    return text if "data_dir" in keys_of(text) else "data_dir: data\n" + text


class Folder:
    """Where the files lie that documents name: certificates, keys, secrets."""

    def __init__(self):
        self.path = temp_folder("documents")
        made = certificates.make(self.path)
        certificates.issue(self.path, "edge", made.ca, made.ca_key, "/CN=edge-7", "DNS:edge-7")
        self.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        self.write("devices", 'sensor-17: "e"\n')

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def check(self, text):
        """What check says of it, or test where it has tests."""
        text = re.sub(r"/run/secrets/[a-z]+", os.path.join(self.path, "secret"), text)
        path = self.write("linkspan.yaml", text.replace("/etc/linkspan/devices", os.path.join(self.path, "devices")))
        what = ["test"] if "tests" in keys_of(text) else ["check", "--quiet"]
        return subprocess.run([program(), *what, path], capture_output=True, text=True, check=False,
                              env={**os.environ, "INSTANCE": "a", "LINKSPAN_MAPPINGS": os.path.join(ROOT, "mappings")})


@tap.case("check takes every configuration that a document shows, and the tests in them pass")
def configurations():
    folder, wrong, checked = Folder(), [], 0
    base = next(text for _, text in blocks(os.path.join(ROOT, "README.md"), "yaml") if text.startswith("data_dir"))
    for name, path in documents().items():
        for line, block in blocks(path, "yaml"):
            if block.startswith(("# prometheus.yml", "# yaml-language-server")):
                continue
            for text in pieces(block):
                made = whole(text, base)
                said = folder.check(made)
                checked += 1
                if said.returncode != 0:
                    wrong.append(f"{name}:{line}:\n{said.stderr}{said.stdout}\n{made}")
    tap.note(f"{checked} configurations")
    assert checked >= 30, checked
    assert not wrong, "\n".join(wrong)


def command_lines(path):
    """(line, words) of each linkspan that a document has somebody run, in a block or between back quotes."""
    for line, text in blocks(path, "sh"):
        for n, row in enumerate(text.splitlines()):
            for part in re.split(r"&&|\|\||;", row):
                if re.match(r"\s*([A-Z_]+=\S+ )*linkspan ", part):
                    yield line + n, re.sub(r"^.*?linkspan ", "", part)
    with open(path, encoding="utf-8") as document:
        for n, row in enumerate(document):
            for found in re.findall(r"`linkspan ([a-z][^`]*)`", row):
                yield n + 1, found


def words_of(text):
    lexer = shlex.shlex(text, posix=True, punctuation_chars="<>|")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = list(lexer)
    return words[:next((i for i, word in enumerate(words) if word in ("<", ">", "|")), len(words))]


def help_of(*words):
    said = subprocess.run([program(), *words, "--help"], capture_output=True, text=True, check=False)
    return said.stdout if said.returncode == 0 else None


@tap.case("every command and option of linkspan that a document names exists")
def commands():
    wrong, helps = [], {}
    for name, path in documents().items():
        for line, text in command_lines(path):
            words = words_of(text)
            command = words[0]
            said = helps.setdefault(command, help_of(command))
            if said is None:
                wrong.append(f"{name}:{line}: no command {command}")
                continue
            if command in ("queue", "journal") and len(words) > 1 and not re.search(rf"\b{words[1]}\b", said):
                wrong.append(f"{name}:{line}: no command {command} {words[1]}")
            for word in words[1:]:
                option = word.split("=")[0]
                if option.startswith("--") and not re.search(rf"{option}\b", said):
                    wrong.append(f"{name}:{line}: {command} has no option {option}")
    assert len(helps) >= 9, helps.keys()
    assert not wrong, "\n".join(wrong)


@tap.case("every file of the tree that a document has somebody run, or leads to, exists")
def files():
    wrong = []
    for name, path in documents().items():
        with open(path, encoding="utf-8") as document:
            text = document.read()
        named = [os.path.join(ROOT, word) for word in re.findall(r"(?<![\w/.-])(?:tests|examples)/[\w./-]+\.(?:py|sh)\b", text)]
        named += [os.path.join(os.path.dirname(path), target) for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
        wrong += [f"{name}: {file}" for file in named if not os.path.exists(file)]
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    tap.main()
