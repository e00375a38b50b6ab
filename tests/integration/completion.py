#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Completion of the command line: what linkspan offers, against its own --help, and what bash, zsh and fish make of it."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap
from rig.daemon import program
from rig.process import temp_folder

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_SCRIPTS = os.path.join(_ROOT, "completions")

PLANT = """data_dir: data
connections:
  plant: {type: mqtt, url: "mqtt://localhost", client_id: "${env:NOT_SET_ANYWHERE}"}
  lake: {type: kafka, frobnicate: 1}
mappings:
  - name: hourly
    from: {connection: plant, topic: a}
    aggregate: {window: 1h, as: mean}
    to: {connection: lake}
"""

# What a user has typed, the cursor behind it, and what he is offered.
LINES = {
    "linkspan re": {"reload"},
    "linkspan check ": {"plant.yaml", "other.yml", "folder"},
    "linkspan check o": {"other.yml"},
    "linkspan check plant.yaml --s": {"--strict"},
    "linkspan run --log-level ": {"error", "warn", "info", "debug"},
    "linkspan trace plant.yaml --from ": {"plant", "lake", "hourly"},
    "linkspan trace plant.yaml --re": {"--retain"},
    "linkspan journal ": {"dump"},
    "linkspan journal dump ": {"folder"},
    "linkspan queue p": {"peek", "purge", "pause"},
    "linkspan queue peek plant.yaml ": {"plant", "lake", "hourly"},
    "linkspan queue peek plant.yaml l": {"lake"},
    "linkspan queue import plant.yaml n": {"notes.txt"},
    "linkspan queue import plant.yaml --to h": {"hourly"},
    "linkspan queue ls plant.yaml lake --": {"--json", "--help"},
}


def _folder():
    folder = temp_folder("completion")
    os.makedirs(os.path.join(folder, "here", "folder"))
    os.makedirs(os.path.join(folder, "bin"))
    os.symlink(os.path.abspath(program()), os.path.join(folder, "bin", "linkspan"))
    for name, text in (("plant.yaml", PLANT), ("other.yml", ""), ("notes.txt", "")):
        with open(os.path.join(folder, "here", name), "w", encoding="utf-8") as out:
            out.write(text)
    return folder


def _environment(folder, **more):
    return {**os.environ, "PATH": os.path.join(folder, "bin") + ":" + os.environ["PATH"], "HOME": folder, "TERM": "dumb",
            "LC_ALL": "C.UTF-8", **more}


def _need(shell):
    if not shutil.which(shell):
        raise tap.Skip(f"there is no {shell} here (tests/lib/install.sh test)", missing=True)


def _complete(*words):
    said = subprocess.run([program(), "complete", "--", *words], capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t")[0] for line in said.stdout.splitlines()]


def _help(*words):
    return subprocess.run([program(), *words, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout


def _commands():
    return re.findall(r"^  ([a-z]+) ", _help(), re.MULTILINE)


@tap.case("every command of --help is offered, each with the options that its own --help and the manual page tell of")
def everything():
    with open(os.path.join(_ROOT, "doc", "linkspan.1"), encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    assert set(_complete("")) == {*_commands(), "help"}
    for command in _commands():
        if command == "version":
            continue
        told = set(re.findall(r"^  (?:-[a-z], )?(--[a-z-]+)", _help(command), re.MULTILINE)) | {"--help"}
        offered = set(_complete(command, "--"))
        if command == "queue":
            inner = re.findall(r"^  ([a-z]+) ", _help(command), re.MULTILINE)
            assert set(_complete(command, "")) == set(inner), inner
            offered = {option for one in inner for option in _complete(command, one, "--")}
        assert offered == told, (command, offered ^ told)
        assert command in manual, command
        missing = [option for option in told - {"--help"} if option not in manual]
        assert not missing, (command, missing)


@tap.case("values behind = are offered with what stands before it; an option that is given is not offered again")
def forms():
    assert _complete("trace", "--qos=") == ["--qos=0", "--qos=1", "--qos=2"]
    assert "--topic" not in _complete("trace", "--topic", "a", "--") and "--header" in _complete("trace", "--header", "a=b", "--")
    assert _complete("frobnicate", "") == [] and _complete("complete", "") == [] and _complete("queue", "frobnicate", "") == []
    # What is behind the last place: options.
    assert set(_complete("check", "a.yaml", "")) == {"--quiet", "--strict", "--help"}


def _compare(offer):
    wrong = {}
    for line, wanted in LINES.items():
        offered = {word.rstrip("/ ") for word in offer(line)}
        if offered != wanted:
            wrong[line] = offered
    assert not wrong, wrong


@tap.case("bash")
def bash():
    _need("bash")
    folder = _folder()
    script = r"""
        source "$1/linkspan.bash"
        complete -p linkspan >/dev/null || exit 1
        read -r -a COMP_WORDS <<<"$2"
        [[ $2 == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _linkspan
        printf '%s\n' "${COMPREPLY[@]}" """
    _compare(lambda line: subprocess.run(
        ["bash", "--norc", "-c", script, "bash", _SCRIPTS, line], cwd=os.path.join(folder, "here"), check=True, text=True,
        capture_output=True, timeout=60, env=_environment(folder)).stdout.split())


@tap.case("fish")
def fish():
    _need("fish")
    folder = _folder()
    _compare(lambda line: [word.split("\t")[0] for word in subprocess.run(
        ["fish", "-N", "-c", 'source "$argv[1]/linkspan.fish"; complete -C "$argv[2]"', _SCRIPTS, line], check=True, text=True,
        cwd=os.path.join(folder, "here"), capture_output=True, timeout=60, env=_environment(folder)).stdout.splitlines()])


class _Terminal:
    """A shell that thinks that somebody types."""

    def __init__(self, argv, folder, **more):
        child, self._fd = pty.fork()
        if child == 0:
            os.chdir(os.path.join(folder, "here"))
            os.execvpe(argv[0], argv, _environment(folder, **more))
        self._seen = ""

    def send(self, text):
        os.write(self._fd, text.encode())

    def wait(self, pattern):
        """What has come up to the pattern."""
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self._seen)):
            ready, _, _ = select.select([self._fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {pattern}: {self._seen!r}"
            self._seen += os.read(self._fd, 65536).decode(errors="replace")
        before, self._seen = self._seen[:found.start()], self._seen[found.end():]
        return before

    def close(self):
        os.close(self._fd)


@tap.case("bash and zsh, typed: the tabulator completes the word")
def typed():
    for shell in ("bash", "zsh"):
        _need(shell)
        folder = _folder()
        if shell == "bash":
            terminal = _Terminal(["bash", "--norc", "-i"], folder, PS1="$ ", INPUTRC="/dev/null")
            terminal.send(f"source {_SCRIPTS}/linkspan.bash; echo rea''dy\n")
        else:
            terminal = _Terminal(["zsh", "-f", "-i"], folder, PS1="$ ")
            terminal.send(f"fpath=({_SCRIPTS} $fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste; "
                          "echo rea''dy\n")
        terminal.wait("ready")
        terminal.send("linkspan exp\t")
        terminal.wait("explain ")
        terminal.send("pla\t")
        terminal.wait(r"plant\.yaml ")
        terminal.close()


@tap.case("zsh")
def zsh():
    _need("zsh")
    folder = _folder()
    offers = os.path.join(folder, "offers")
    terminal = _Terminal(["zsh", "-f", "-i"], folder, PS1="$ ")
    # Every word that is offered goes through compadd.
    terminal.send(f"""fpath=({_SCRIPTS} $fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste
compadd() {{
    local -a hits; local here=$*
    [[ $here == *-[OAD]\\ * ]] || {{ builtin compadd -A hits "$@"; print -rl -- $hits >>{offers}; }}
    builtin compadd "$@"
}}
done-with() {{ print -n "finished" >/dev/tty; zle kill-whole-line }}
zle -N done-with; bindkey '^X^X' done-with; setopt no_auto_menu no_list_beep; echo rea''dy
""")
    terminal.wait("ready")

    def offer(line):
        with open(offers, "w", encoding="utf-8"):
            pass
        terminal.send(line + "\t\x18\x18")
        terminal.wait("finished")
        with open(offers, encoding="utf-8") as file:
            return {word for word in file.read().split("\n") if word}

    _compare(offer)
    terminal.close()


@tap.case("make install puts the completions and the schema where they are looked for")
def installed():
    build = os.path.dirname(os.path.abspath(program()))
    if not os.path.exists(os.path.join(build, "Makefile")):
        raise tap.Skip("linkspan does not lie in its build folder")
    folder = temp_folder("install")
    subprocess.run(["make", "-C", build, "install-data", f"DESTDIR={folder}", "prefix=/usr", "datarootdir=/usr/share"],
                   check=True, capture_output=True, timeout=120)
    for name in ("bash-completion/completions/linkspan", "zsh/site-functions/_linkspan",
                 "fish/vendor_completions.d/linkspan.fish", "linkspan/doc/linkspan.schema.json",
                 "doc/linkspan/doc/linkspan.schema.json"):
        assert os.path.isfile(os.path.join(folder, "usr", "share", name)), name


if __name__ == "__main__":
    tap.main()
