# SPDX-License-Identifier: Apache-2.0
"""A child process that writes to a log file and never outlives its parent; temporary folders that go at exit."""
import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

from .wait import until

_folders = []
_processes = []
_keeping = False  # set by keep()
KEEP = bool(os.environ.get("LINKSPAN_TEST_KEEP"))
# Whoever may want to leave everything running says so before it starts anything.
MAY_KEEP = bool(os.environ.get("LINKSPAN_RIG_MAY_KEEP"))


def temp_folder(name, in_memory=False):
    """Removed at exit, unless LINKSPAN_TEST_KEEP is set. in_memory: where writing costs no disk, if there is such a place;
    what a killed process has written outlives it there too."""
    place = "/dev/shm" if in_memory and os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix=f"linkspan-{name}-", dir=place)
    _folders.append(folder)
    return folder


class Process:
    """argv runs with stdout and stderr in `log`. The kernel kills it when this process dies, however that happens."""

    def __init__(self, name, argv, log, env=None):
        self.name = name
        self.log = log
        with open(log, "ab") as out:
            self._child = subprocess.Popen(
                argv if MAY_KEEP else ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                env={**os.environ, **(env or {})})
        _processes.append(self)

    @property
    def pid(self):
        return self._child.pid

    def status(self):
        """None while it runs, else its exit status (negative: the signal that ended it)."""
        return self._child.poll()

    def running(self):
        return self.status() is None

    def signal(self, number):
        if self.running():
            self._child.send_signal(number)

    def wait(self, timeout=None):
        return_code = until(lambda: (self.status() is not None) and (self.status(),),
                            f"{self.name} (process {self.pid}) to end", timeout)[0]
        if self in _processes:
            _processes.remove(self)
        return return_code

    def stop(self, timeout=None):
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def log_tail(self, lines=15):
        try:
            with open(self.log, "rb") as log:
                return [line.decode(errors="replace") for line in log.read().splitlines()[-lines:]]
        except OSError:
            return []

    def anonymous_kib(self):
        """Anonymous resident memory: what it needs for itself, without file pages."""
        return self._smaps("Anonymous:")

    def _smaps(self, key):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as smaps:
            for line in smaps:
                if line.startswith(key):
                    return int(line.split()[1])
        raise RuntimeError(f"no {key} in smaps_rollup")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def keep():
    """Leaves everything behind, running; the processes' numbers."""
    global _keeping
    if not MAY_KEEP:
        raise RuntimeError("set LINKSPAN_RIG_MAY_KEEP first")
    _keeping = True
    return [process.pid for process in _processes]


@atexit.register
def _clean_up():
    if _keeping:
        return
    for process in list(_processes):
        process.signal(signal.SIGCONT)
        process.kill()
    for folder in _folders:
        if KEEP:
            print(f"# kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _leave(number, frame):
    """Whoever ends a test that stands still wants to know where it stands."""
    traceback.print_stack(frame)
    sys.exit(128 + number)


# Ends through atexit, so that nothing stays behind.
for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, _leave)
