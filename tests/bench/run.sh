#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures one thing: tests/bench/run.sh NAME. The last line is `bench NAME key=value …`.
#   journal        per_second, lone_append (times a bare fdatasync), bytes_written_per_message, bytes_with_linger
#   routing        us_10 us_1000 us_10000: microseconds a message with that many mappings
#   transform      us_passthrough us_template us_when us_object: microseconds a message; us_libjq and ratio: the object by bare libjq;
#                  ms_1000: processor time to compile a router with 1,000 jq mappings
#   startup        1,000 mappings with two jq programs each: seconds until the links are up; exchanged for 1,000 others:
#                  reload_seconds, and meanwhile longest_turn_ms of the loop, longest_wait_ms of a message, and before it
#   mqtt-qos1      per_second, ratio (to a subscriber that acknowledges at once and discards, same broker), cpu_us
#   mqtt-qos2      the same at QoS 2
#   mqtt-out       per_second, ratio (to Paho MQTT C publishing at QoS 1 to the same broker with the same window)
#   round-trip     MQTT to MQTT at 1,000/s: p50_ratio p99_ratio (in fdatasyncs of the same run) p50_us p99_us fdatasync_us
#   sessions       20 sessions with 10 mappings each: memory_mib, per_second, ratio (to one session with as many messages)
#   mqtt-to-kafka  as mqtt-qos1, as far as a real Kafka
#   kafka-out      out of a full journal into a real Kafka: ratio_idempotent ratio_exactly_once (to librdkafka alone), cpu_us …
#   kafka-in       out of a full topic into the journal: ratio (to librdkafka alone, which discards), cpu_us …
#   http-in        durable POST/s at 64 connections: per_second, ratio (to bare libmicrohttpd that keeps nothing) requests_per_fsync
#                  p99_ms p99_ms_alone (at half of that)
#   http-out       out of a full journal into a fast receiver: per_second, ratio (to a bare libcurl multi loop), p99_ms (by MQTT)
#                  p99_ms_broker (the same messages through the broker alone)
#   http-dead      nine webhooks beside a dead one and without it: ratio, and with its outbox full ratio_drop_oldest
#   coap-in        durable confirmable POST/s of 512 devices: per_second, ratio (to bare libcoap that keeps nothing)
#                  requests_per_fsync p99_ms (at half of that); 2,500 sensors with DTLS at 900/s: dtls_p50_ms dtls_p99_ms dtls_mib;
#                  10,000 observers of one value: notify_all_ms observers_mib
#   coap-out       out of a full journal to 64 devices: per_second, ratio (to bare libcoap), p99_ms (by MQTT, at p99_at), cpu_us …
#   footprint      idle_mib, waiting_mib: anonymous resident memory, idle and with 1,000,000 messages waiting
#   outage         one of five destinations away while GIB (2 if not given) pass: ratio_others ratio_drain waiting_mib …
#   recovery       seconds to open a journal with 1 GiB waiting
# BUILD=folder uses a build that is there; otherwise it makes one (-O2, no sanitizers) in a temporary folder. MESSAGES=n: how
# many the benchmarks with brokers send, 200000 if not given (mqtt-qos2: 50000; http-dead: 5000; kafka-out: 6000000 and kafka-in: 2000000,
# in ROUNDS rounds, 3 if not given).
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
name=${1:-}
case $name in
journal | routing | transform | startup | mqtt-qos1 | mqtt-qos2 | mqtt-out | round-trip | sessions | mqtt-to-kafka | kafka-out | kafka-in | http-in | http-out | http-dead | coap-in | coap-out | footprint | outage | recovery) ;;
*)
    sed -n '3,32s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/linkspan-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
build=${BUILD:-}
if [ -z "$build" ]; then
    build=$work/build
    mkdir -p "$build"
    [ -x configure ] || ./autogen.sh >"$work/autogen.log" 2>&1
    (cd "$build" && "$top/configure" -q CFLAGS="-O2 -g" >/dev/null)
fi

make_program() { make -s -C "$build" "$@" >&2; }

case $name in
journal | routing | transform | recovery)
    make_program "tests/bench/bench_$name"
    mkdir -p "$work/data"
    "$build/tests/bench/bench_$name" "$work/data"
    ;;
outage)
    make_program tests/bench/bench_outage
    mkdir -p "$work/data"
    "$build/tests/bench/bench_outage" "$work/data" "${GIB:-2}"
    ;;
kafka-out | kafka-in)
    make_program linkspan tests/bench/kafka_bare
    LINKSPAN=$build/linkspan KAFKA_BARE=$build/tests/bench/kafka_bare /usr/bin/python3 tests/bench/kafka.py "$name"
    ;;
http-in)
    make_program linkspan tests/bench/http_load tests/bench/http_in_bare
    LINKSPAN=$build/linkspan HTTP_LOAD=$build/tests/bench/http_load HTTP_IN_BARE=$build/tests/bench/http_in_bare \
        /usr/bin/python3 tests/bench/http_in.py
    ;;
http-out)
    make_program linkspan tests/bench/http_bare tests/bench/mqtt_load
    LINKSPAN=$build/linkspan HTTP_BARE=$build/tests/bench/http_bare MQTT_LOAD=$build/tests/bench/mqtt_load \
        /usr/bin/python3 tests/bench/http_out.py
    ;;
http-dead)
    make_program linkspan tests/bench/http_sinks
    LINKSPAN=$build/linkspan HTTP_SINKS=$build/tests/bench/http_sinks /usr/bin/python3 tests/bench/http_dead.py
    ;;
coap-in)
    make_program linkspan tests/bench/coap_load tests/bench/coap_in_bare tests/bench/coap_swarm tests/bench/coap_observers
    LINKSPAN=$build/linkspan COAP_LOAD=$build/tests/bench/coap_load COAP_IN_BARE=$build/tests/bench/coap_in_bare \
        COAP_SWARM=$build/tests/bench/coap_swarm COAP_OBSERVERS=$build/tests/bench/coap_observers \
        /usr/bin/python3 tests/bench/coap_in.py
    ;;
coap-out)
    make_program linkspan tests/bench/coap_sink tests/bench/coap_out_bare tests/bench/mqtt_load
    LINKSPAN=$build/linkspan COAP_SINK=$build/tests/bench/coap_sink COAP_OUT_BARE=$build/tests/bench/coap_out_bare \
        MQTT_LOAD=$build/tests/bench/mqtt_load /usr/bin/python3 tests/bench/coap_out.py
    ;;
startup)
    make_program linkspan
    LINKSPAN=$build/linkspan MQTT_LOAD='' /usr/bin/python3 tests/bench/startup.py
    ;;
mqtt-out | round-trip | sessions)
    make_program linkspan tests/bench/mqtt_load
    [ "$name" != mqtt-out ] || make_program tests/bench/paho_out
    LINKSPAN=$build/linkspan MQTT_LOAD=$build/tests/bench/mqtt_load PAHO_OUT=$build/tests/bench/paho_out \
        /usr/bin/python3 tests/bench/mqtt_more.py "$name"
    ;;
*)
    make_program linkspan tests/bench/mqtt_load
    LINKSPAN=$build/linkspan MQTT_LOAD=$build/tests/bench/mqtt_load /usr/bin/python3 tests/bench/end_to_end.py "$name"
    ;;
esac
