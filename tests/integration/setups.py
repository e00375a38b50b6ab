#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What users of other bridges ask for, as configurations: each says its question at its head, has nothing that check warns of,
and proves by its own tests that it does what it says."""
import glob
import os
import re
import subprocess

import _path  # noqa: F401  pylint: disable=unused-import
from rig import tap
from rig.daemon import program

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_FOLDER = os.path.join(_ROOT, "tests", "unit", "config", "real", "good")


def _files():
    files = sorted(glob.glob(os.path.join(_FOLDER, "*.yaml")))
    assert len(files) >= 25, files
    return files


def _say(*arguments):
    said = subprocess.run([program(), *arguments], capture_output=True, text=True, timeout=60, check=False)
    return said.returncode, said.stdout + said.stderr


@tap.case("each has its question at the head, and check --strict has nothing to say")
def checked():
    wrong = []
    for file in _files():
        with open(file, encoding="utf-8") as text:
            if not re.match(r"# \S.{30}", text.read()):
                wrong.append(f"{file}: no question at its head")
        status, said = _say("check", "--strict", file)
        if status != 0:
            wrong.append(said)
    assert not wrong, "\n".join(wrong)


@tap.case("each proves it: linkspan test")
def tested():
    wrong = []
    for file in _files():
        status, said = _say("test", file)
        if status != 0 or not re.search(r"^[1-9]\d* tests?, 0 failed", said, re.MULTILINE):
            wrong.append(f"{file} ({status}): {said}")
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    tap.main()
