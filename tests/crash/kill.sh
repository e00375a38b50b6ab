#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kills linkspan while numbered QoS 1 messages flow from a real mosquitto into a real Kafka, into another MQTT topic, and
# into an archive that is away most of the time, so that its messages are spilled to an overflow log; starts it again, and in
# the end looks for every number in all three.
#
#   tests/crash/kill.sh [N]             N SIGKILLs at random moments (default 20)
#   tests/crash/kill.sh [N] failpoints  at each named step of the commit path instead: at its 1st, 2nd, 5th … N times
#                                       each (default 1)
#   SEED=… repeats the random moments of an earlier run, as far as a machine does the same thing twice.
#
# Last line: `kill: …`, exit status 0 if nothing was lost, 1 if anything was, 77 if a broker is not installed.
exec /usr/bin/python3 "$(dirname "$0")/kill.py" "$@"
