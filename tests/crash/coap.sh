#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# CoAP through faults, over a link that loses, repeats and overtakes a fifth of all datagrams each way: numbered messages go
#
#   in       from devices with a CoAP of the tests' own (confirmable, repeated as RFC 7252 says with shorter times; some in blocks,
#            some after a reboot with message ids that they used before, some that a network repeats long after their answer, some
#            by NON) into linkspan and through mosquitto to a QoS 2 subscriber: each that was answered 2.xx is there once, of no
#            number there are two, in order per key
#   out      from a publisher through mosquitto (QoS 2) and linkspan to a device that answers at once, in a separate response, with
#            5.00, 5.03, 4.29, RST or not at all, and that reboots; in one datagram and in blocks. Each gets there, the first copies
#            in order per key
#
# while linkspan is killed at random and at each named step of the path, and stopped; the link is silent for a while; the link to the
# broker is cut, and the broker restarted.
#
#   tests/crash/coap.sh in|out [N] [SEED]            N faults (default 30): each kind at least once, the others by weight
#   tests/crash/coap.sh in|out essential [N] [SEED]  the most telling kinds alone, by default each once
#   tests/crash/coap.sh control [N] [SEED]           `in` with a listener that knows message ids in memory alone: must find
#                                                    repetitions, within N faults
# SEED repeats the choices of an earlier run, as far as a machine does the same thing twice.
#
# Last line: `coap: …`, exit status 0 if all is well, 1 if not, 77 if mosquitto is not installed.
exec /usr/bin/python3 "$(dirname "$0")/coap_campaign.py" "$@"
