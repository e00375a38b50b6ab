# SPDX-License-Identifier: Apache-2.0
"""Import this first: it lets a test find the rig, wherever it is run from."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
