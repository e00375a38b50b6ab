#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes one target with libFuzzer, ASan and UBSan:
#
#   tests/fuzz/run.sh TARGET SECONDS [libFuzzer option]...
#
# TARGET is a fuzz_TARGET.c of this folder. Builds with clang in build-fuzz/ (or $FUZZ_BUILD), begins with
# tests/fuzz/corpus/TARGET and what earlier runs found, and keeps what it finds in build-fuzz/found/TARGET. The last
# line is `fuzz TARGET executions=… per_second=… edges=… inputs=…`; exit status 0 when nothing was found. A finding is
# left in build-fuzz/findings/ and printed; put it into the corpus with the fix, so that `make check` keeps it found.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ $# -lt 2 ] || [ ! -f "$root/tests/fuzz/fuzz_$1.c" ]; then
    sed -n '3,6s/^# \{0,1\}//p' "$0"
    echo "targets: $(cd "$root/tests/fuzz" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//' | tr '\n' ' ')"
    exit 2
fi
target=$1 seconds=$2
shift 2
build=${FUZZ_BUILD:-$root/build-fuzz}
command -v clang >/dev/null || { echo "run.sh: clang is missing: apt-get install clang" && exit 2; }

instrument="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
[ -x "$root/configure" ] || (cd "$root" && ./autogen.sh)
mkdir -p "$build/found/$target" "$build/findings"
cd "$build"
[ -f Makefile ] || "$root/configure" CC=clang CFLAGS="-O1 -g $instrument" >configure.log
make -s -j"$(nproc)" FUZZ_LDFLAGS="-fsanitize=fuzzer,address,undefined" "tests/fuzz/fuzz_$target" >make.log 2>&1 ||
    { cat make.log && exit 2; }

# What is freed is looked at for a while only: with the default of 256 MiB most of the time goes into fresh pages.
ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=8}
export ASAN_OPTIONS
# Its inputs have thousands of features each, and weighing them would take more time than running them.
[ "$target" != mqtt_session ] || set -- -entropic=0 "$@"
status=0
"tests/fuzz/fuzz_$target" -max_total_time="$seconds" -print_final_stats=1 -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="$build/findings/$target-" "$@" "$build/found/$target" "$root/tests/fuzz/corpus/$target" \
    >"$build/$target.log" 2>&1 || status=$?
[ $status -eq 0 ] || grep -v -E '^(#[0-9]+|INFO:)' "$build/$target.log" | head -60

edges=$(sed -n 's/^#[0-9].* cov: \([0-9]*\) .*/\1/p' "$build/$target.log" | tail -1)
value() { sed -n "s/^stat::$1: *//p" "$build/$target.log"; }
echo "fuzz $target executions=$(value number_of_executed_units) per_second=$(value average_exec_per_sec)" \
    "edges=$edges inputs=$(find "$build/found/$target" -type f | wc -l)"
exit $status
