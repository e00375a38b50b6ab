# SPDX-License-Identifier: Apache-2.0
"""The real linkspan: its configuration, its log as events, its end."""
import os
import re
import shlex
import shutil
import signal
import subprocess
import textwrap

from . import tap
from .process import KEEP, Process, temp_folder
from .wait import DEADLINE_S, until

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def program():
    """$LINKSPAN, or the one that was built in this tree."""
    for path in (os.environ.get("LINKSPAN"), os.path.join(_ROOT, "linkspan"), os.path.join(_ROOT, "build", "linkspan"),
                 shutil.which("linkspan")):
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise RuntimeError("no linkspan: build it first, or say where it is in LINKSPAN=…")


def parse_event(line):
    """`… event=link_up connection=lake reason="no route"` as a dict; None for other lines."""
    if "event=" not in line:
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    return dict(word.split("=", 1) for word in words if re.match(r"[a-z_.]+=", word))


class Linkspan:
    """configuration: YAML without data_dir. start=False: only written, to be started later."""

    def __init__(self, configuration, start=True, env=None, data_dir=None, wait_up=True):
        self.folder = temp_folder("linkspan")
        self.data_dir = data_dir or os.path.join(self.folder, "data")
        self.path = os.path.join(self.folder, "linkspan.yaml")
        self._log = self.log_path = os.path.join(self.folder, "linkspan.log")
        self._process = None
        self._env = env or {}
        self._run_begins = 0  # offset in the log
        self.configure(configuration)
        tap.on_failure(self._last_words)
        tap.at_end(self._forget)
        if start:
            self.start(wait_up=wait_up)

    def _last_words(self):
        """For a failure: where everything stands, and the end of the log."""
        if self.running():
            self._process.signal(signal.SIGCONT)
            before = self.mark("status")
            self.status()
            try:
                until(lambda: self.mark("status") > before or not self.running(), "a status", timeout=2)
            except AssertionError:
                return ["it does not answer SIGUSR1", *self.log_lines()[-40:]]
        return [f"{self._log}:", *self.log_lines()[-40:]]

    def _forget(self):
        """A journal takes a quarter of a GiB, and a file of tests has dozens of them."""
        if not self.running() and not KEEP and self.data_dir.startswith(self.folder + os.sep):
            shutil.rmtree(self.data_dir, ignore_errors=True)

    @classmethod
    def from_file(cls, text, env):
        """A whole linkspan.yaml, which takes its data folder from the environment: LINKSPAN_DATA."""
        bridge = cls("", start=False)
        bridge.configure(text, whole=True)
        bridge._env = {**env, "LINKSPAN_DATA": bridge.data_dir}
        return bridge.start()

    def configure(self, configuration, whole=False):
        text = configuration if whole else f"data_dir: {self.data_dir}\n" + textwrap.dedent(configuration)
        with open(self.path, "w", encoding="utf-8") as out:
            out.write(text)
        self._connections = re.findall(r"^  (\w[\w-]*):\s*$", text.split("\nmappings:")[0], re.M)
        self._sources = set(re.findall(r'from: \{connection: "?([\w-]+)', text))

    def start(self, env=None, wait_up=True):
        """wait_up: True, until it has started and all connections are ready; False; or a list of those to wait for."""
        os.makedirs(os.path.dirname(self.data_dir), exist_ok=True)
        self._run_begins = os.path.getsize(self._log) if os.path.exists(self._log) else 0
        self._process = Process("linkspan", [program(), "run", self.path], self._log, {**self._env, **(env or {})})
        if wait_up:
            self.wait_event("started")
            for name in self._connections if wait_up is True else wait_up:
                self.wait_ready(name)
        return self

    def wait_ready(self, name):
        """Until a connection is up and, if linkspan reads from it, the broker has its subscriptions: what is published
        to a new session before that belongs to nobody."""
        self.wait_event("link_up", connection=name)
        connected = self.events("mqtt_connected", connection=name)
        if name in self._sources and connected and connected[-1]["session_present"] == "0":
            self.wait_event("mqtt_subscribed", connection=name)

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process is not None and self._process.running()

    def log_lines(self, whole=False):
        """Of this run, or of all runs; without a line that is still being written."""
        try:
            with open(self._log, "rb") as log:
                log.seek(0 if whole else self._run_begins)
                return log.read().decode(errors="replace").rpartition("\n")[0].splitlines()
        except OSError:
            return []

    def events(self, event=None, whole=False, **fields):
        found = [e for e in map(parse_event, self.log_lines(whole)) if e]
        return [e for e in found if (event is None or e.get("event") == event) and
                all(e.get(k) == v for k, v in fields.items())]

    def held_up(self):
        """In any run, the turns of the loop that computed for more than 50 ms, each as it stands in the log with what came
        before it. How long a turn takes by the wall clock says as much of the machine."""
        def is_slow(line):
            event = parse_event(line)
            return event and event.get("event") == "slow_turn" and int(event["cpu_ms"]) > 50
        lines = self.log_lines(whole=True)
        return ["\n".join(lines[max(0, n - 12):n + 1]) for n, line in enumerate(lines) if is_slow(line)]

    def mark(self, event, **fields):
        """How often it has happened: for wait_event(more_than=…)."""
        return len(self.events(event, **fields))

    def wait_event(self, event, timeout=None, more_than=0, **fields):
        def seen():
            found = self.events(event, **fields)
            if len(found) > more_than:
                return found[-1]
            if not self.running():
                raise AssertionError(f"linkspan ended with {self._process.status()} before event={event} {fields}")
            return None
        return until(seen, f"event={event} {fields}", timeout)

    def status(self, **who):
        """The newest event=status of a source or destination (source="plant"), asked for by SIGUSR1; {} at first."""
        self._process.signal(signal.SIGUSR1)
        found = self.events("status", **who)
        return found[-1] if found else {}

    def fresh(self, event="status", **who):
        """The next event=status (or totals) of a source or destination: what is so now, not what it said before."""
        before = self.mark(event, **who)
        self._process.signal(signal.SIGUSR1)
        return self.wait_event(event, more_than=before, **who)

    def wait_status(self, condition, what, timeout=None, **who):
        """Until condition(status). Numbers are given as int."""
        def holds():
            if not self.running():
                raise AssertionError(f"linkspan ended with {self._process.status()}")
            status.update({k: int(v) if v.isdigit() else v for k, v in self.status(**who).items()})
            return status if status and condition(status) else None
        status = {}
        return until(holds, lambda: f"{what}: {self.status(**who)}", timeout, poll_s=0.1,
                     progress=lambda: {k: v for k, v in status.items() if k not in ("time", "request")})

    def wait_waiting(self, destination, at_least, timeout=None):
        """Until that many messages wait in a destination's outbox."""
        return self.wait_status(lambda s: s["waiting"] >= at_least, f"{at_least} waiting for {destination}", timeout,
                                destination=destination)

    def signal(self, number):
        self._process.signal(number)

    def wait(self, timeout=None):
        return self._process.wait(timeout)

    def stop(self, timeout=None):
        """Cleanly; its exit status."""
        self._process.signal(signal.SIGCONT)
        return self._process.stop(timeout)

    def reload(self, *options, status=0):
        """`linkspan reload`: what it says. Once it has answered, the configuration holds."""
        done = subprocess.run([program(), "reload", *options, self.data_dir], capture_output=True, text=True, timeout=DEADLINE_S,
                              check=False)
        assert done.returncode == status, (done.returncode, done.stderr)
        return done.stderr

    def settled(self, reloading):
        """What reloading() does, and until all that leaves for it has left."""
        def count():  # without parsing: a campaign does this hundreds of times
            return sum(" event=reload_settled " in line for line in self.log_lines())
        before = count()
        said = reloading()
        until(lambda: count() > before or not self.running(), "what leaves to have left")
        return said

    def kill(self):
        return self._process.kill()

    def anonymous_kib(self):
        return self._process.anonymous_kib()

    def open_files(self):
        return self._process.open_files()

    def dump(self):
        """`linkspan journal dump`, of a stopped daemon's journal."""
        return subprocess.run([program(), "journal", "dump", self.data_dir], check=True, capture_output=True,
                              text=True).stdout

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not self.running():
            return
        if kind is None:
            self.stop()
        else:
            self._last_words()  # into the log, for the diagnostics
            self.kill()
