# SPDX-License-Identifier: Apache-2.0
"""What the campaigns with a protocol of their own share: a deck of faults that leaves none out, and deaths at named steps."""
import signal
import subprocess

from rig.daemon import program
from rig.wait import until

NTH = (1, 1, 2, 3, 5, 8)


def fail_point_names():
    listed = subprocess.run([program(), "run", "--list-failpoints"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


class Points:
    """For a qos2.Campaign with one path. OWN: what the names of the fail points on that path begin with; AT_START: those that
    are only passed at a start, so their first pass is the only one that is sure to come."""
    OWN, AT_START = "", ()

    def __init__(self):
        self.points = {}  # fail point → [tried, reached]

    def choose(self, n, faults):
        """Each kind at least once, if there are so many, the others by weight; in any order."""
        deck = [name for name, _, _ in faults]
        self.dice.shuffle(deck)
        deck = deck[:n]
        deck += self.dice.choices([f[0] for f in faults], [f[1] for f in faults], k=n - len(deck))
        self.dice.shuffle(deck)
        return deck

    def arrived(self):
        return self.paths[0].tally.arrived

    def fail_point(self, name, enough=3000):
        """Killed at that step, under load or at the latest in a clean stop."""
        nth = 1 if name in self.AT_START else self.dice.choice(NTH)
        self.bridge.kill()
        self.bridge.start(env={"LINKSPAN_FAILPOINT": f"{name}:{nth}"}, wait_up=False)
        before = self.arrived()
        until(lambda: not self.bridge.running() or self.arrived() > before + enough, f"{name}:{nth} or messages")
        status = self.bridge.stop() if self.bridge.running() else self.bridge.wait()
        if status not in (0, -signal.SIGKILL):
            raise AssertionError(f"linkspan ended with {status} on the way to {name}:{nth}")
        tried = self.points.setdefault(name, [0, 0])
        tried[0] += 1
        tried[1] += status != 0
        self.bridge.start(wait_up=False)

    def other_fail_point(self):
        """Of the journal and all else, most of which are rare: those are not waited for."""
        names = [name for name in fail_point_names() if not name.startswith(self.OWN)]
        self.bridge.kill()
        self.bridge.start(env={"LINKSPAN_FAILPOINT": f"{self.dice.choice(names)}:{self.dice.choice(NTH)}"}, wait_up=False)
        before = self.arrived()
        until(lambda: not self.bridge.running() or self.arrived() > before + 500, "a fail point or messages")
        self.kill_linkspan()

    def print_points(self):
        if self.points:
            print("# reached: " + " ".join(f"{name}={reached}/{tried}" for name, (tried, reached) in self.points.items()))

    def never_reached(self):
        return [f"{name} was never reached" for name, (_, n) in self.points.items() if not n]
