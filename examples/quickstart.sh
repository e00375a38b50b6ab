#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# See linkspan work, on a Debian 12 machine, in one command: installs what is needed, builds, starts a mosquitto and an
# Apache Kafka of its own, runs examples/scada-to-kafka, stops Kafka in the middle, and counts what arrived.
#
#   examples/quickstart.sh [--keep] [--count READINGS] [--outage SECONDS]
#
# Without --keep nothing stays but the Debian packages and Kafka's jars in the user's cache. LINKSPAN=PROGRAM skips the
# build. Needs root or sudo only if packages are missing. When Maven or Kafka cannot be had it takes librdkafka's mock
# cluster instead, and says so.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/tests/lib
. "$here/shell.sh"

case " $* " in *" --help "* | *" -h "*) sed -n '3,11s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
keep=
case " $* " in *" --keep "*) keep=yes ;; esac

work=$(mktemp -d "${TMPDIR:-/tmp}/linkspan-quickstart-XXXXXX")
child=
kept=

leave() {
    status=$?
    trap '' INT TERM HUP
    trap - EXIT
    if [ -n "$child" ] && kill "$child" 2>/dev/null; then wait "$child"; fi
    [ -n "$kept" ] || rm -rf "$work"
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background, so that a signal to this shell is heeded at once and passed on.
run() {
    "$@" </dev/null &
    child=$!
    wait "$child"
    status=$?
    child=
    return $status
}

build() {
    mkdir "$work/build" && copy_sources "$root" "$work/src" && cd "$work/build" && "$work/src/configure" &&
        setpriv --pdeathsig TERM -- make -j"$(nproc)" linkspan tests/lib/mock_kafka
}

run "$here/install.sh" build test kafka_single
case $? in
0 | 3) ;; # 3: no Kafka; the show says so
*) exit 1 ;;
esac
if [ -z "${LINKSPAN:-}" ]; then
    say "building"
    if ! run build >"$work/build.log" 2>&1; then
        cat "$work/src.log" "$work/build.log" | tail -n 30
        say "the build failed"
        exit 1
    fi
    LINKSPAN=$work/build/linkspan
fi
export LINKSPAN
[ -z "$keep" ] || export LINKSPAN_RIG_MAY_KEEP=1
# The folders of everything that it starts go with $work, whatever happens.
TMPDIR=$work run setpriv --pdeathsig TERM -- /usr/bin/python3 "$root/examples/scada-to-kafka/show.py" \
    --folder "$work" --mock "$work/build/tests/lib/mock_kafka" "$@"
status=$?
if [ -n "$keep" ] && [ $status = 0 ]; then kept=yes; fi
exit $status
