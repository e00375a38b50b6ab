#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every policy of a full outbox at its limit, counted: numbered QoS 2 messages go from a publisher through a real
# mosquitto and linkspan to six destinations that are mostly away, one for each policy, while linkspan is killed and now
# and then stopped. The journal is small, so that what waits is spilled and segments are recycled all the time. In the
# end, for each destination
#
#   offered = delivered + expired + dropped_oldest + dropped_newest + dead_lettered, and nothing waits or is lost,
#
# where offered is what was published and delivered what its subscriber got, each once, in order per key; what it did
# not get is a dead letter or was counted as dropped or expired, and nothing is both. All that linkspan says of it in
# between, running, stopped and killed, adds up.
#
#   tests/crash/outbox.sh [N]             N SIGKILLs at random moments (default 20)
#   tests/crash/outbox.sh [N] failpoints  at each named step of spilling, recycling, groups and dead letters instead:
#                                         at its 1st … Nth time (default 2)
#   SEED=… repeats the choices of an earlier run, as far as a machine does the same thing twice.
#
# A letter is durable before its message has ended: after a kill in between the message may be delivered though there is
# a letter, or the letter be there twice. Such letters are shown, not counted.
#
# Last line: `outbox: …`, exit status 0 if all is well, 1 if not, 77 if mosquitto is not installed.
exec /usr/bin/python3 "$(dirname "$0")/outbox.py" "$@"
