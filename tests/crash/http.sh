#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Webhooks through faults: numbered messages go
#
#   out      from a publisher through mosquitto (QoS 1 and 2) and linkspan to an HTTP server that answers late, not at all, in
#            half, with 500, 503, 429 and Retry-After, breaks the connection in the middle, and is killed after the work is
#            done. Each must get there; each has one webhook-id over all attempts and the same bytes, and the next one of its
#            key does not come before the server has said 2xx to it. Every signature is verified.
#   batches  the same, several to a request: a batch's id always has the same members (json-array and ndjson, by the seed)
#   in       from senders that repeat with the same key, hang up before the answer or within the request, and send twice at
#            once, into linkspan and through mosquitto to a QoS 2 subscriber: each once, in order per key
#
# while linkspan is killed at random and at each named step of the path, and stopped; the server is killed and frozen; the links
# are cut and stalled, also for longer than linkspan waits.
#
#   tests/crash/http.sh out|batches|in [N] [SEED]            N faults (default 30): each kind at least once, the others by weight
#   tests/crash/http.sh out|batches|in essential [N] [SEED]  the most telling kinds alone, by default each once
#   tests/crash/http.sh control [N] [SEED]                   `in` with senders that name no key: must find repetitions, within N
#                                                            faults. That the checker of `out` finds what it looks for is tested
#                                                            by tests/lib/test_rig.py
# SEED repeats the choices of an earlier run, as far as a machine does the same thing twice.
#
# Last line: `http: …`, exit status 0 if all is well, 1 if not, 77 if mosquitto is not installed.
exec /usr/bin/python3 "$(dirname "$0")/http_campaign.py" "$@"
