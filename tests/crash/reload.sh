#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reloads under load: numbered QoS 2 messages go from a publisher through two real mosquittos and linkspan, which is given another
# valid configuration each time by `linkspan reload` or SIGHUP. Changed at random are: which of two connections a key goes by, jq
# programs, names and the order of mappings, topic filters of the source, settings of the source and of both destinations, further
# destinations that come and go with what waits for them (--drain), the paths of a listener for webhooks; a tenth of the files has a
# mistake and must be refused. In the end
#
#   - every message has arrived once (those of a key whose way did not change, in order)
#   - a pair of connections that never changes has been connected once, and its messages arrived once and in order
#   - a connection whose settings stayed has not been connected again
#   - after the first fifth of the reloads memory and descriptors did not grow, and no turn of the loop took 50 ms
#
#   tests/crash/reload.sh [N]   N reloads (default 60). SEED=… repeats the choices of an earlier run.
#
# Last line: `reload: …`, exit status 0 if all is well, 1 if not, 77 if mosquitto is not installed.
exec /usr/bin/python3 "$(dirname "$0")/reload_campaign.py" "$@"
