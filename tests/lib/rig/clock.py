# SPDX-License-Identifier: Apache-2.0
"""A wall clock of its own for a program under test; its other clocks go on as they do."""
import mmap
import os
import shutil
import struct
import subprocess
import time

from . import tap
from .process import temp_folder

YEAR_MS = 365 * 86400 * 1000


class Clock:
    """env: for the program. set() may be called while it runs."""

    def __init__(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            raise tap.Skip("no C compiler for the shifted clock", missing=True)
        folder = temp_folder("clock")
        library, path = os.path.join(folder, "shift_clock.so"), os.path.join(folder, "shift_ms")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shift_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        with open(path, "w+b") as file:
            file.write(bytes(8))
            file.flush()
            self._shift = mmap.mmap(file.fileno(), 8)
        self.env = {"LD_PRELOAD": library, "SHIFT_CLOCK": path,
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def set(self, shift_ms):
        """The wall clock is off by that much from now on."""
        self._shift[:8] = struct.pack("=q", shift_ms)

    def set_to_1970(self):
        self.set(-int(time.time() * 1000) + 60000)
