#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exactly once through faults, with Kafka: numbered messages go
#
#   out   from a QoS 2 publisher through mosquitto and linkspan (delivery: exactly-once) into a topic of a real Kafka, where
#         a read_committed consumer that is none of linkspan's takes them
#   in    from a topic of a real Kafka, between other transactions that are aborted, through linkspan (static assignment)
#         and mosquitto to a QoS 2 subscriber
#
# while linkspan is killed at random and at each named step of the path, stopped, frozen, and copied and run twice; Kafka is
# killed, restarted and frozen; its links are cut and stalled, also for longer than a transaction may last; the producer is
# fenced; and strangers leave transactions open on the partition of linkspan's cursor. In the end each number must be there,
# once, in order per key.
#
#   tests/crash/kafka.sh out|in [N] [SEED]          N faults (default 30): each kind at least once, the others by weight
#   tests/crash/kafka.sh out|in cluster [N] [SEED]  three brokers, min.insync.replicas 2, one of them away at a time
#   tests/crash/kafka.sh out|in [cluster] essential [N] [SEED]
#                                                   the most telling kinds alone, by default each once
#   tests/crash/kafka.sh control [N] [SEED]         with the cursor written outside of the transaction: `out` must find
#                                                   repetitions, within N faults
#
# A broker alone is of the newest Kafka that can be restarted alone (kafka_single of tests/lib/kafka/pom.xml says why), the three are
# of the newest; LINKSPAN_KAFKA_VERSION chooses another one (tests/lib/install.sh). SEED repeats the choices of an earlier run, as far as a
# machine does the same thing twice. mosquitto is not killed: what it then loses or repeats is its own (tests/crash/qos2.sh).
#
# Last line: `kafka: …`, exit status 0 if all is well, 1 if not, 77 if something that is needed is not here.
exec /usr/bin/python3 "$(dirname "$0")/kafka.py" "$@"
