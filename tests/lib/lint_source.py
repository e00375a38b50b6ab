#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that no ready-made tool knows; part of `make lint`. Prints `file:line: what is wrong`.

  licence    every source begins with its SPDX line
  size       a function has at most 80 lines, a file 900
  banned     calls that are unsafe or ask a shell, in what we ship; sleeps, everywhere
  arrows     who may include whom: src/ knows no transport library and no connector, connectors know their own folder,
             connectors/common, the contract and small helpers of src/, and no connector knows another; each transport
             library has its folders
  leftovers  no notes to oneself
  field bugs the table in CONTRIBUTING.md and the tests that name one agree
"""
import json
import re
import subprocess
import sys

MOST_FUNCTION_LINES = 80
MOST_FILE_LINES = 900
MOST_FIELD_BUGS = 15

BANNED = {
    "strcpy": "use memcpy with a known length", "strcat": "use a bounded buffer",
    "sprintf": "use snprintf", "vsprintf": "use vsnprintf", "gets": "use fgets or getline",
    "strtok": "it keeps hidden state: use strcspn", "atoi": "it cannot report an error: use strtol",
    "atol": "it cannot report an error: use strtol", "atof": "it cannot report an error: use strtod",
    "alloca": "a peer may size it: use malloc", "system": "no shell", "popen": "no shell",
}
# The loop must never wait, and a test waits for events.
BANNED_SLEEPS = {name: "wait for an event, never for a time" for name in ("sleep", "usleep", "nanosleep")}

VENDORS = re.compile(r"<(librdkafka/|curl/|coap|MQTTAsync|MQTTClient|MQTTProperties|microhttpd)")
# The listener of src/admin is no connector, and shares its place in the loop with one.
VENDORS_ALLOWED = {"src/admin/http.c": "<microhttpd.h>", "src/runtime/mhd_loop.h": "<microhttpd.h>"}
# Which folder of connectors/ may include a transport library.
VENDOR_FOLDERS = {"librdkafka/": ["kafka"], "curl/": ["common", "http"], "microhttpd": ["http"], "coap": ["coap"], "MQTT": ["mqtt"]}
# What a connector may not know of the core.
CORE_ONLY = re.compile(r'"(journal/|delivery/|cli/|routing/router\.h|runtime/bridge|config/config\.h)')
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"][^>"]+[>"])', re.M)
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")  # lint: names the words
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

problems = 0


def complain(path, line, what):
    global problems
    problems += 1
    print(f"{path}:{line}: {what}")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def bare_code(text):
    """Comments and strings blanked, line numbers kept."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_licence(path, text):
    if "SPDX-License-Identifier: Apache-2.0" not in "".join(text.splitlines(True)[:3]):
        complain(path, 1, "no SPDX line: begin with `SPDX-License-Identifier: Apache-2.0` in a comment")


def check_text(path, text):
    lines = text.splitlines()
    if len(lines) > MOST_FILE_LINES:
        complain(path, len(lines), f"{len(lines)} lines, at most {MOST_FILE_LINES}: it is two things")
    for number, line in enumerate(lines, 1):
        if LEFTOVER.search(line) and "lint: names the words" not in line:
            complain(path, number, "a note to oneself: do it, or write it where plans are")
        if line != line.rstrip():
            complain(path, number, "blanks at the end of the line")
    if text and not text.endswith("\n"):
        complain(path, len(lines), "no newline at the end of the file")


def check_calls(path, text):
    code = bare_code(text)
    shipped = path.startswith(("src/", "connectors/"))
    for name, instead in {**(BANNED if shipped else {}), **BANNED_SLEEPS}.items():
        for call in re.finditer(rf"(?<![\w.>]){name}\s*\(", code):
            complain(path, line_of(code, call.start()), f"{name}() is banned: {instead}")


def check_arrows(path, text):
    """For files below src/ and connectors/."""
    folders = path.split("/")
    own = folders[1] if folders[0] == "connectors" and len(folders) > 2 else None
    for include in INCLUDE.finditer(text):
        header, line = include.group(1), line_of(text, include.start(1))
        if folders[0] == "src":
            if VENDORS.match(header) and VENDORS_ALLOWED.get(path) != header:
                complain(path, line, f"src/ knows no transport library: {header} belongs to a connector")
            if header.startswith('"connectors/') and header != '"connectors/connector.h"':
                complain(path, line, f"src/ knows connectors only by connectors/connector.h, not by {header}")
        elif own:
            if CORE_ONLY.match(header):
                complain(path, line, f"a connector does not know the core's {header}")
            other = re.match(r'"connectors/([^/"]+)/', header)
            if other and other.group(1) not in (own, "common"):
                complain(path, line, f"a connector does not know another one: {header}")
            for vendor, where in VENDOR_FOLDERS.items():
                if header.startswith("<" + vendor) and own not in where:
                    complain(path, line, f"{header} belongs to connectors/{' or connectors/'.join(where)}")
        if ".." in header:
            complain(path, line, f"include by the path from the root, not by {header}")


def check_functions(paths):
    tags = subprocess.run(["ctags", "--languages=C", "--c-kinds=f", "--fields=+ne", "--output-format=json", "-f", "-",
                           *paths], check=True, capture_output=True, text=True).stdout
    for tag in map(json.loads, tags.splitlines()):
        lines = tag.get("end", tag["line"]) - tag["line"] + 1
        if lines > MOST_FUNCTION_LINES:
            complain(tag["path"], tag["line"], f"{tag['name']} has {lines} lines, at most {MOST_FUNCTION_LINES}")


def check_field_bugs():
    """Each row of the table has its tests, and each test that names a bug its place there."""
    with open("CONTRIBUTING.md", encoding="utf-8") as file:
        lines = file.read().splitlines()
    table = {}
    for number, line in enumerate(lines, 1):
        if row := re.match(r"\| (\d+) \|.*\|([^|]*)\|$", line):
            table[int(row[1])] = number, set(re.findall(r"`([^`]+)`", row[2]))
    named = {}
    listed = subprocess.run(["git", "grep", "-noE", "field bug [0-9]+", "--", "tests"], check=False,
                            capture_output=True, text=True).stdout
    for path, line, text in (found.split(":") for found in listed.splitlines()):
        named.setdefault(int(text.split()[-1]), {}).setdefault(path, int(line))
    for bug in sorted({*range(1, MOST_FIELD_BUGS + 1), *table, *named}):
        line, tests = table.get(bug, (1, set()))
        if not tests:
            complain("CONTRIBUTING.md", line, f"field bug {bug} has no tests in the table")
        for path in tests - set(named.get(bug, {})):
            complain("CONTRIBUTING.md", line, f"{path} does not say `field bug {bug}`")
        for path in set(named.get(bug, {})) - tests:
            complain(path, named[bug][path], f"CONTRIBUTING.md does not name this test for field bug {bug}")


def main(paths):
    sources = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if re.search(r"(\.(c|h|sh|py|mk|am|ac)|\.ci/run)$", path):
            check_licence(path, text)
            check_text(path, text)
        if re.search(r"\.[ch]$", path):
            sources.append(path)
            check_calls(path, text)
            if path.startswith(("src/", "connectors/")):
                check_arrows(path, text)
    check_functions(sources)
    check_field_bugs()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
