#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exactly once through faults: numbered QoS 2 messages go from a publisher through mosquitto A, linkspan and mosquitto B
# to a QoS 2 subscriber, in MQTT 5 and in 3.1.1 at the same time, while linkspan is killed, its links are cut with and
# without a word, and both brokers are restarted. In the end each number must be there, once, in order per key.
#
#   tests/crash/qos2.sh [N]              N faults at random (default 50)
#   tests/crash/qos2.sh [N] replay       with drain: live_first, priorities, max_rate, and most of what waits on disk only
#   tests/crash/qos2.sh [N] bare         without linkspan, one broker: shows that the two clients themselves are exact
#   tests/crash/qos2.sh [N] broker-kill  N SIGKILLs of mosquitto, which then loses and repeats messages itself
#   SEED=… repeats the choices of an earlier run, as far as a machine does the same thing twice.
#
# The brokers save everything at every change (in memory, for speed: no machine dies here) and have no limit by which they
# would drop a message. So but for broker-kill, what is lost or repeated is linkspan's fault.
#
# broker-kill: beside linkspan, the same two clients run through A alone and through B alone, at the same rate with the
# same windows, and so suffer from the same kills. linkspan's path has both hops. Let d be, per kill, linkspan's lost and
# repeated less those of both bare paths. If linkspan adds nothing, d is as likely positive as negative, and then
# P(sum d > t·sqrt(sum d²)) ≤ exp(-t²/2), whatever else is its distribution (Hoeffding). The run fails beyond t = 4, by
# chance in one of 3,000 runs. With 16 kills or fewer that cannot be seen, and 50 is the default.
#
# Last line: `qos2: …`, exit status 0 if all is well, 1 if not, 77 if mosquitto is not installed.
exec /usr/bin/python3 "$(dirname "$0")/qos2.py" "$@"
