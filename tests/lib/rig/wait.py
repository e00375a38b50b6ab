# SPDX-License-Identifier: Apache-2.0
"""Waiting for something that can be observed, and free ports."""
import os
import random
import socket
import time

# Generous, because it only bounds how long a failure takes: a loaded machine must not fail a test.
DEADLINE_S = float(os.environ.get("LINKSPAN_TEST_DEADLINE", "120"))


class TimedOut(AssertionError):
    """The awaited event did not come."""


def until(condition, what, timeout=None, poll_s=0.02, progress=None):
    """Returns the first true value of condition(). what: text or a function that says where things stand. progress: a
    function; while what it returns changes, things are slow and not stuck, and the time begins anew."""
    deadline = time.monotonic() + (timeout or DEADLINE_S)
    stood = progress() if progress else None
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        took = time.monotonic() - began
        stands = progress() if progress else None
        if stands != stood:
            stood = stands
            deadline = time.monotonic() + (timeout or DEADLINE_S)
        if time.monotonic() > deadline:
            raise TimedOut(f"timed out waiting for {what() if callable(what) else what}")
        time.sleep(max(poll_s, min(4 * took, 2)))  # a dear question must not starve what it waits for


_claims = []  # sockets, open for the life of this process


def _claim(port):
    """Other test programs run beside this one, and a broker or proxy that is down does not hold its port: so a name in
    the abstract namespace does, until this process ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0linkspan-test-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _nobody_listens(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_port(and_next=False):
    """A port that nobody listens on and no other test will use, below the range of outgoing connections: a client that
    tries again and again to reach a stopped broker could otherwise be given the broker's own port and connect to
    itself. and_next: so is the one behind it, which servers of CoAP take for what is secure."""
    for _ in range(1000):
        port = random.randint(12000, 31998)
        wanted = (port, port + 1) if and_next else (port,)
        if all(_nobody_listens(one) and _claim(one) for one in wanted):
            return port
    raise RuntimeError("no free port")


def listening(port):
    """Does somebody accept connections there?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
