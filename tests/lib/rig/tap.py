# SPDX-License-Identifier: Apache-2.0
"""Test cases that print TAP. A file decorates its cases and ends with `tap.main()`; names (or parts of names) on the
command line choose among them."""
import os
import sys
import time
import traceback

STRICT = bool(os.environ.get("LINKSPAN_TEST_STRICT"))
_cases = []
_notes = []
_ends = []


class Skip(Exception):
    """The case cannot run here. With missing=True a strict run counts it as a failure: a tool that must be there is not."""

    def __init__(self, reason, missing=False):
        super().__init__(reason)
        self.missing = missing


def case(name):
    def add(function):
        _cases.append((name, function))
        return function
    return add


def note(text):
    """A diagnostic line, at once."""
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def on_failure(function):
    """function() gives lines that help to understand a failure; called once, only then."""
    _notes.append(function)


def at_end(function):
    """function() is called when the case that runs now has ended, whatever came of it."""
    _ends.append(function)


def _run(number, name, function):
    _notes.clear()
    _ends.clear()
    try:
        return _judged(number, name, function)
    finally:
        for function_of_end in _ends:
            function_of_end()


def _judged(number, name, function):
    started = time.monotonic()
    try:
        function()
    except Skip as skip:
        if skip.missing and STRICT:
            print(f"not ok {number} - {name}", flush=True)
            note(f"must not be skipped in a strict run: {skip}")
            return False
        print(f"ok {number} - {name} # SKIP {skip}", flush=True)
        return True
    except Exception:  # pylint: disable=broad-except
        print(f"not ok {number} - {name}", flush=True)
        note(traceback.format_exc())
        for function_of_note in _notes:
            try:
                note("\n".join(function_of_note()))
            except Exception as error:  # pylint: disable=broad-except
                note(f"(no diagnostics: {error})")
        return False
    print(f"ok {number} - {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def _chosen():
    return [c for c in _cases if len(sys.argv) < 2 or any(part in c[0] for part in sys.argv[1:])]


def chosen():
    """The names of the cases that main() will run."""
    return [c[0] for c in _chosen()]


def main():
    cases = _chosen()
    print(f"1..{len(cases)}", flush=True)
    results = [_run(number, *one) for number, one in enumerate(cases, 1)]
    sys.exit(0 if all(results) and results else 1)
