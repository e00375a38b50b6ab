#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All tests, from a fresh clone on a fresh Debian 12 machine: installs what is missing, builds in a temporary folder,
# and runs
#
#   check        unit tests, conformance suites, simulated power loss            (make check)
#   integration  linkspan between a real mosquitto and a real Kafka, and with other MQTT brokers (tests/integration)
#   crash        20 SIGKILLs, and each fail point once                          (tests/crash/kill.sh)
#                50 faults between two brokers, QoS 2                           (tests/crash/qos2.sh)
#                20 SIGKILLs while every outbox is full, counted                (tests/crash/outbox.sh)
#                30 reloads under load                                          (tests/crash/reload.sh)
#                30 faults each way around Kafka, exactly once; few with the line before and with three brokers; a
#                control that must find repetitions                             (tests/crash/kafka.sh)
#                20 faults around webhooks that go out, alone and in batches, and that come in; a control
#                                                                               (tests/crash/http.sh)
#                20 faults around CoAP each way, over a link that loses, repeats and overtakes; a control
#                                                                               (tests/crash/coap.sh)
#   asan         the unit tests again, built by clang with ASan and UBSan
#   fuzz         each fuzz target for ten seconds, MQTT's codec and session machine, the CoAP listener
#                and the CoAP client for a minute
#   lint         format, rules of the house, cppcheck, clang-tidy               (make lint)
#
#   tests/run.sh [--strict] [--no-install] [--keep] [PART]...      default: check integration crash
#
# What waits runs beside what computes, so that two cores are always busy, and brokers never starve:
#
#   1. the build of check, integration and crash
#   2. check, then integration; beside them at low priority what only computes: simulated power loss, lint, other builds
#   3. crash; beside it the unit tests of asan, then fuzz
#
# So the time that is printed for a part is not what it would take alone.
#
# --strict: what must be there and is not (a real broker) is a failure, not a skip; compiler warnings are errors.
# --keep: leaves the temporary folder with the build and all logs.
# The last line is `N passed, N failed, N skipped`; exit status 0 only without failures.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/tests/lib
. "$here/shell.sh"

strict=
install=yes
keep=
parts=
for argument in "$@"; do
    case $argument in
    --strict) strict=yes ;;
    --no-install) install= ;;
    --keep) keep=yes ;;
    check | integration | crash | asan | fuzz | lint) parts="$parts $argument" ;;
    *) sed -n '3,33s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
done
[ -n "$parts" ] || parts="check integration crash"
exec </dev/null

work=$(mktemp -d "${TMPDIR:-/tmp}/linkspan-run-XXXXXX")
results=$work/results # lines: PASS|FAIL|SKIP part: name
: >"$results"
[ -z "$strict" ] || export LINKSPAN_TEST_STRICT=1

# end_with_children JOB: of this shell.
end_with_children() {
    # shellcheck disable=SC2046
    set -- "$1" $(ps -o pid= --ppid "$1")
    kill "$1" 2>/dev/null
    shift
    for child; do end_with_children "$child"; done
}

leave() {
    status=$?
    trap - EXIT INT TERM HUP
    # What still runs was started below, by this shell.
    for job in ${running:-} $(cat "$work"/*.pid 2>/dev/null); do end_with_children "$job"; done
    if [ -n "$keep" ]; then say "kept $work"; else rm -rf "$work"; fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

result() { printf '%s %s\n' "$1" "$2" >>"$results"; }

began=$(date +%s)
took() { echo "$(($(date +%s) - $1)) s"; }

# begin_beside NAME COMMAND...: in the background, with results and a voice of its own, which end_beside NAME brings in.
begin_beside() {
    beside=$1
    shift
    (
        results=$work/$beside.results
        : >"$results"
        running=
        "$@"
        : >"$work/$beside.complete"
    ) >"$work/$beside.out" &
    echo $! >"$work/$beside.pid"
}

end_beside() {
    wait "$(cat "$work/$1.pid")"
    [ -e "$work/$1.complete" ] || result FAIL "$1: ended too early"
    rm "$work/$1.pid"
    cat "$work/$1.out"
    cat "$work/$1.results" >>"$results"
}

# --- parts ------------------------------------------------------------------------------------------------------------

# Before a command that only computes, to give way to what has a clock.
gently=

# build NAME CC OPTION...
build() {
    name=$1 compiler=$2
    shift 2
    at=$(date +%s)
    mkdir "$work/$name"
    if (cd "$work/$name" && "$work/src/configure" CC="$compiler" "$@" && $gently make -j"$(nproc)" all) >"$work/$name.log" 2>&1; then
        result PASS "build: $name"
        say "built $name with $compiler ($(took "$at"))"
    else
        result FAIL "build: $name with $compiler"
        grep -E 'error|warning|Error' "$work/$name.log" | head -n 40
        return 1
    fi
}

# What does not compile is told of by make_check.
build_tests() { # BUILD
    at=$(date +%s)
    $gently make -C "$work/$1" -k -j"$(nproc)" check TESTS= >"$work/$1.tests.log" 2>&1
    say "built the tests of $1 ($(took "$at"))"
}

# Results of `make check` stand in .trs files; a program that crashed shows as ERROR there.
trs_results() { # part folder
    find "$2/tests" -name '*.trs' | while read -r trs; do
        program=$(basename "$trs" .trs)
        grep -q '^:test-result:' "$trs" || result FAIL "$1: $program: no result"
        sed -n "s|^:test-result: *||p" "$trs" | while read -r word rest; do
            case $word in
            PASS | XFAIL) result PASS "$1: $program: $rest" ;;
            SKIP)
                reason=${rest:-$(sed -n 's/^1\.\.0 # SKIP //p' "${trs%.trs}.log")}
                case $strict$reason in
                yes*"not installed"* | yes*"LINKSPAN_TEST_KAFKA is not set"*) result FAIL "$1: $program: must not be skipped: $reason" ;;
                *) result SKIP "$1: $program: $reason" ;;
                esac
                ;;
            *) result FAIL "$1: $program: $word $rest" ;;
            esac
        done
    done
}

# make_check PART BUILD: with the brokers that conformance suites look for, if they can be had. The long ones wait, and stand
# first in TESTS; so that they end with the others, more run side by side than there are cores.
make_check() {
    at=$(date +%s)
    set -- "$1" "$2" make -C "$work/$2" -k -j"$(($(nproc) * 3))" check
    part=$1 folder=$work/$2
    shift 2
    if [ -n "$kafka_there" ]; then
        set -- /usr/bin/python3 "$here/with-brokers.py" --kafka "$@"
    fi
    timeout 900 "$@" >"$work/$part.log" 2>&1 || failed_check=yes
    trs_results "$part" "$folder"
    # Not even compiled?
    if [ -n "${failed_check:-}" ] && ! grep -q "^FAIL $part:" "$results"; then
        result FAIL "$part: make check failed"
        tail -n 30 "$work/$part.log"
    fi
    failed_check=
    find "$folder/tests" -name '*.log' -exec grep -l -E '^not ok|Sanitizer|^Bail out' {} + | while read -r log; do
        echo "--- $log"
        grep -v '^ok ' "$log" | head -n 60
    done
    say "$part done ($(took "$at"))"
}

# tap_results PART FILE STATUS
tap_results() {
    awk -v part="$1" -v status="$3" '
        /^1\.\.[0-9]+/ { planned = substr($1, 4); if (!planned) print "SKIP " part ": " $0 }
        /^ok / || /^not ok / {
            seen++
            word = $1 == "ok" ? "PASS" : "FAIL"
            if (toupper($0) ~ /# SKIP/) word = "SKIP"
            sub(/^(not )?ok [0-9]+ - /, "")
            if (word != "PASS") bad += word == "FAIL"
            print word " " part ": " $0
        }
        END {
            if (planned == "" || seen < planned) print "FAIL " part ": " seen + 0 " of " planned + 0 " cases ran"
            else if (status && !bad) print "FAIL " part ": ended with " status
        }' "$2" >>"$results"
}

start_integration() { # NAME COMMAND...: in the background, once there is a place
    name=$1
    shift
    read -r _ <&9
    (
        at=$(date +%s)
        timeout -k 20 1200 "$@" >"$work/$name.tap" 2>"$work/$name.err"
        echo $? >"$work/$name.status"
        say "$name done ($(took "$at"))"
        echo >&9
    ) &
    running="${running:-} $!"
}

finish_integration() { # NAME
    status=$(cat "$work/$1.status" 2>/dev/null || echo 1)
    tap_results "$1" "$work/$1.tap" "$status"
    if [ "$status" != 0 ]; then
        echo "--- $1"
        grep -v '^ok ' "$work/$1.tap" | head -n 150
        tail -n 20 "$work/$1.err"
    fi
}

# Each file has brokers of its own and mostly waits, so several run side by side, those first that take long; more at a time
# and brokers starve. Descriptor 9 is a pipe that holds a line for each place.
run_integration() {
    names=
    running=
    mkfifo "$work/places"
    exec 9<>"$work/places"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do echo >&9; done
    long="interop kafka_groups kafka_security exactly_once kafka_source pressure queues life outages flow field_bugs coap_abuse coap_field coap_out coap_plugtest"
    for name in $long; do start_integration "$name" "$root/tests/integration/$name.py"; done
    for test in "$here"/test_rig.py "$root"/tests/integration/[a-z]*.py; do
        name=$(basename "$test" .py)
        names="$names $name"
        case " $long " in *" $name "*) ;; *) start_integration "$name" "$test" ;; esac
    done
    # shellcheck disable=SC2086
    wait $running
    exec 9>&-
    running=
    for name in $names; do finish_integration "$name"; done
}

run_crash() { # NAME PROGRAM ARGUMENT...: of tests/crash
    name=$1 program=$2
    shift 2
    at=$(date +%s)
    timeout -k 20 1200 "$root/tests/crash/$program" "$@" >"$work/$name.log" 2>&1
    status=$?
    line=$(tail -n 1 "$work/$name.log")
    case $status in
    0) result PASS "$name: $line" ;;
    77)
        case $strict$line in
        yes*"of memory"*) result SKIP "$name: $line" ;;
        yes*) result FAIL "$name: $line" ;;
        *) result SKIP "$name: $line" ;;
        esac
        ;;
    *)
        result FAIL "$name: $line"
        echo "--- $name"
        tail -n 60 "$work/$name.log"
        ;;
    esac
    say "$name: $line ($(took "$at"))"
}

# They mostly wait, so two run side by side.
run_kafka_crash() {
    run_crash crash-kafka-out kafka.sh out 30 &
    running=$!
    run_crash crash-kafka-in kafka.sh in 30 &
    running="$running $!"
    # shellcheck disable=SC2086
    wait $running
    {
        run_crash crash-kafka-control kafka.sh control 30
        run_crash crash-kafka-cluster kafka.sh out cluster essential
    } &
    running=$!
    (
        LINKSPAN_KAFKA_VERSION=$(kafka_version_of kafka_older)
        export LINKSPAN_KAFKA_VERSION
        run_crash crash-kafka-out-older kafka.sh out essential
        run_crash crash-kafka-in-older kafka.sh in essential
    ) &
    running="$running $!"
    # shellcheck disable=SC2086
    wait $running
    running=
}

# The same.
run_http_crash() {
    {
        run_crash crash-http-out http.sh out 20
        run_crash crash-http-control http.sh control 20
    } &
    running=$!
    {
        run_crash crash-http-batches http.sh batches 20
        run_crash crash-http-in http.sh in 20
    } &
    running="$running $!"
    # shellcheck disable=SC2086
    wait $running
    running=
}

# The same.
run_coap_crash() {
    {
        run_crash crash-coap-in coap.sh in 20
        run_crash crash-coap-control coap.sh control 20
    } &
    running=$!
    run_crash crash-coap-out coap.sh out 20 &
    running="$running $!"
    # shellcheck disable=SC2086
    wait $running
    running=
}

run_simulated() { # PROGRAM ARGUMENT...: of tests
    name=$(basename "$1")
    at=$(date +%s)
    timeout 1500 $gently "$work/gcc/tests/$@" >"$work/$name.tap" 2>&1
    tap_results crash "$work/$name.tap" $?
    say "$name: $(grep -E '^(not )?ok' "$work/$name.tap" | tail -n 1) ($(took "$at"))"
}

FUZZ_BUILD=$work/fuzz/build
export FUZZ_BUILD

# One build, before the targets share it.
build_fuzz() {
    at=$(date +%s)
    mkdir "$work/fuzz"
    for target in "$work"/src/tests/fuzz/fuzz_*.c; do
        target=$(basename "$target" .c)
        target=${target#fuzz_}
        case $target in
        mqtt_codec | mqtt_session | coap | coap_client) echo "$target 60" ;;
        *) echo "$target 10" ;;
        esac
    done >"$work/fuzz/targets"
    first=$(sed -n '1s/ .*//p' "$work/fuzz/targets")
    $gently "$work/src/tests/fuzz/run.sh" "$first" 1 >"$work/fuzz/build.log" 2>&1
    # shellcheck disable=SC2046
    $gently make -C "$FUZZ_BUILD" -j"$(nproc)" FUZZ_LDFLAGS="-fsanitize=fuzzer,address,undefined" \
        $(sed 's|^\([^ ]*\) .*|tests/fuzz/fuzz_\1|' "$work/fuzz/targets") >>"$work/fuzz/build.log" 2>&1
    say "built fuzz targets ($(took "$at"))"
}

# Two side by side: each takes one core. Always the same inputs, so that a change is judged by what it changes; new ones are
# what tests/fuzz/run.sh is for.
run_fuzz() {
    at=$(date +%s)
    sort -k 2 -n -r "$work/fuzz/targets" | xargs -P 2 -L 1 sh -c '
        timeout -k 5 $(($3 + 60)) "$1/tests/fuzz/run.sh" "$2" "$3" -seed=1 >"$0/$2.log" 2>&1
        echo $? >"$0/$2.status"' "$work/fuzz" "$work/src"
    while read -r target seconds; do
        line=$(tail -n 1 "$work/fuzz/$target.log")
        if [ "$(cat "$work/fuzz/$target.status")" = 0 ]; then
            result PASS "fuzz: $line"
            say "$line"
        else
            result FAIL "fuzz: $target"
            echo "--- fuzz $target: $seconds s"
            tail -n 60 "$work/fuzz/$target.log"
        fi
    done <"$work/fuzz/targets"
    say "fuzz done ($(took "$at"))"
}

run_lint() {
    at=$(date +%s)
    $gently "$root/tests/lint.sh" >"$work/lint.log" 2>&1
    status=$?
    sed -n 's/^lint \([a-z]*\): ok.*/PASS lint: \1/p; s/^lint \([a-z]*\): FAILED.*/FAIL lint: \1/p' "$work/lint.log" >>"$results"
    [ $status = 0 ] || { grep -q '^FAIL lint' "$results" || result FAIL "lint: ended with $status"; tail -n 80 "$work/lint.log"; }
    say "lint done ($(took "$at"))"
}

has_part() { case " $parts " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# What has no clock, with low priority; at the end what uses all cores when nothing is beside it any more.
compute() {
    gently="nice -n 10"
    if has_part crash && [ -n "$has_gcc" ]; then
        run_simulated crash/powerloss 20000
        run_simulated crash/damage 61
        run_simulated model/qos2 full
    fi
    ! has_part lint || run_lint
    # A report names lines; more optimization and more of debugging takes a third more time, and finds no more.
    if has_part asan && build clang-asan clang --enable-werror --enable-asan CFLAGS="-O1 -gline-tables-only"; then
        build_tests clang-asan
    fi
    ! has_part fuzz || build_fuzz
}

run_campaigns() {
    run_crash crash-random kill.sh 20
    run_crash crash-failpoints kill.sh 1 failpoints
    run_crash crash-qos2 qos2.sh 50
    run_crash crash-outbox outbox.sh 20
    run_crash crash-reload reload.sh 30
    run_http_crash
    run_coap_crash
    run_kafka_crash
}

# --- the run ----------------------------------------------------------------------------------------------------------

# All parts together have up to six GiB on disk at one time.
room_gib=$(df -Pk "$work" | awk 'NR == 2 { print int($4 / 1048576) }')
scarce=
[ "$room_gib" -ge 8 ] || scarce="only $room_gib GiB are free where $work is: tests may find the disk full; make room, or set TMPDIR"
[ -z "$scarce" ] || say "$scarce"

kafka_there=
if [ -n "$install" ]; then
    wanted="build test kafka"
    ! has_part lint || wanted="$wanted lint"
    # shellcheck disable=SC2086
    "$here/install.sh" $wanted
    case $? in
    0) ;;
    3) if [ -n "$strict" ]; then result FAIL "install: Apache Kafka"; fi ;;
    *)
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
        ;;
    esac
    if has_part crash && ! "$here/install.sh" kafka_older && [ -n "$strict" ]; then result FAIL "install: Apache Kafka, older"; fi
    if { has_part crash || has_part integration; } && ! "$here/install.sh" kafka_single && [ -n "$strict" ]; then
        result FAIL "install: Apache Kafka, for a broker alone"
    fi
    if has_part integration && ! "$here/install.sh" brokers && [ -n "$strict" ]; then result FAIL "install: MQTT brokers"; fi
    if has_part integration && ! "$here/install.sh" webhooks && [ -n "$strict" ]; then result FAIL "install: libraries of webhooks"; fi
    if has_part integration && ! "$here/install.sh" editor && [ -n "$strict" ]; then result FAIL "install: yaml-language-server"; fi
    if has_part integration && ! "$here/install.sh" coap && [ -n "$strict" ]; then result FAIL "install: CoAP stacks"; fi
fi
[ ! -e "$(kafka_jars)/complete" ] || kafka_there=yes

if ! copy_sources "$root" "$work/src"; then
    tail -n 20 "$work/src.log"
    result FAIL "build: autogen.sh"
else
    has_gcc=
    if has_part check || has_part integration || has_part crash; then
        LINKSPAN=$work/gcc/linkspan
        export LINKSPAN
        if build gcc gcc ${strict:+--enable-werror}; then
            has_gcc=yes
            ! has_part check || build_tests gcc
            ! has_part crash || make -C "$work/gcc" tests/crash/powerloss tests/crash/damage tests/model/qos2 >>"$work/gcc.log" 2>&1
        fi
    fi
    begin_beside compute compute
    if [ -n "$has_gcc" ]; then
        ! has_part check || make_check check gcc
        ! has_part integration || run_integration
        ! has_part crash || begin_beside campaigns run_campaigns
    fi
    end_beside compute
    [ ! -x "$work/clang-asan/linkspan" ] || make_check asan clang-asan
    [ ! -d "$work/fuzz" ] || run_fuzz
    [ ! -e "$work/campaigns.pid" ] || end_beside campaigns
fi

# --- the sum ----------------------------------------------------------------------------------------------------------

sed -n 's/^SKIP /skipped: /p' "$results"
sed -n 's/^FAIL /FAILED: /p' "$results"
[ -z "$scarce" ] || ! grep -q '^FAIL ' "$results" || say "$scarce"
say "all done in $(took "$began")"
passed=$(grep -c '^PASS ' "$results")
failed=$(grep -c '^FAIL ' "$results")
skipped=$(grep -c '^SKIP ' "$results")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
