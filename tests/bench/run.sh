#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures one thing: tests/bench/run.sh NAME. The last line is `bench NAME key=value …`.
#   journal        per_second, lone_append (times a bare fdatasync), bytes_written_per_message, bytes_with_linger
#   routing        us_10 us_1000 us_10000: microseconds a message with that many mappings
#   mqtt-qos1      per_second, ratio (to a subscriber that acknowledges at once and discards, same broker), cpu_us
#   mqtt-to-kafka  the same, as far as a real Kafka
#   footprint      idle_mib, waiting_mib: anonymous resident memory, idle and with 1,000,000 messages waiting
#   recovery       seconds to open a journal with 1 GiB waiting
# BUILD=folder uses a build that is there; otherwise it makes one (-O2, no sanitizers) in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
name=${1:-}
case $name in
journal | routing | mqtt-qos1 | mqtt-to-kafka | footprint | recovery) ;;
*)
    sed -n '3,11s/^# \{0,1\}//p' "$0"
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
journal | routing | recovery)
    make_program "tests/bench/bench_$name"
    mkdir -p "$work/data"
    "$build/tests/bench/bench_$name" "$work/data"
    ;;
*)
    make_program linkspan tests/bench/mqtt_load
    LINKSPAN=$build/linkspan MQTT_LOAD=$build/tests/bench/mqtt_load /usr/bin/python3 tests/bench/end_to_end.py "$name"
    ;;
esac
