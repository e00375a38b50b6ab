# SPDX-License-Identifier: Apache-2.0
"""Names that a program under test resolves, by a table of the test's own."""
import os
import shutil
import subprocess

from . import tap
from .process import temp_folder


class Names:
    """env: for the program. set() may be called while it runs."""

    def __init__(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            raise tap.Skip("no C compiler for the table of names", missing=True)
        folder = temp_folder("names")
        library, self._path = os.path.join(folder, "names.so"), os.path.join(folder, "names")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "names.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.set({})
        self.env = {"LD_PRELOAD": library, "TEST_NAMES": self._path,
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def set(self, table, order="fixed"):
        """From now on each name has those addresses, in that order, or (rotated) another one first each time."""
        with open(self._path + ".new", "w", encoding="ascii") as file:
            for name, addresses in table.items():
                file.write(f"{name} {order} {' '.join(addresses)}\n")
        os.rename(self._path + ".new", self._path)
