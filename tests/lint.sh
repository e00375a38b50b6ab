#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make lint`: format, the rules of the house, headers that stand alone, cppcheck, clang-tidy. Prints what is wrong and
# one line per part; exit status 1 if anything is. Looks only at files that git knows.
#
#   tests/lint.sh [PART]...      parts: format house headers scripts cppcheck tidy; default: all
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0
jobs=$(nproc 2>/dev/null || echo 2)
flags="-std=gnu11 -D_GNU_SOURCE -Isrc -I. -DLINKSPAN_VERSION=\"lint\" -DLINKSPAN_DATADIR=\"/lint\"
 $(pkg-config --cflags libuv yaml-0.1 openssl rdkafka libmicrohttpd gnutls libcurl)"

files() { git ls-files -- "$@" | while read -r file; do [ ! -e "$file" ] || printf '%s\n' "$file"; done; }

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 && continue
        echo "lint: $tool is missing: run tests/lib/install.sh lint"
        exit 1
    done
}

part() { # name command...
    name=$1
    shift
    began=$(date +%s)
    if "$@"; then
        echo "lint $name: ok ($(($(date +%s) - began)) s)"
    else
        echo "lint $name: FAILED"
        failed=1
    fi
}

lint_format() { files '*.c' '*.h' | xargs clang-format --dry-run -Werror; }

lint_house() { files '*.c' '*.h' '*.sh' '*.py' '*.mk' '*.am' '*.ac' .ci/run | xargs python3 tests/lib/lint_source.py; }

# Each header compiles on its own.
lint_headers() {
    # shellcheck disable=SC2086
    files '*.h' | xargs -P "$jobs" -I{} gcc $flags -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only -x c {}
}

lint_scripts() {
    files '*.sh' .ci/run | xargs -n 1 sh -n && files '*.py' | xargs python3 -c '
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)'
}

# Suppressed: what version 2.10 gets wrong with compound literals and what the sanitizers see better.
lint_cppcheck() {
    files '*.c' | xargs cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --language=c --inline-suppr \
        --enable=warning,performance,portability --library=posix --suppress=missingInclude --suppress=autoVariables --suppress=readdirCalled \
        --suppress=memleak --suppress=legacyUninitvar --suppress=invalidFunctionArg --suppress=invalidFunctionArgBool \
        --suppress=normalCheckLevelMaxBranches --suppress=unmatchedSuppression \
        --template='{file}:{line}: {severity}: {message} [{id}]' -Isrc -I. -D_GNU_SOURCE \
        -DLINKSPAN_VERSION='"lint"' -DLINKSPAN_DATADIR='"/lint"' -D__linux__ -D__x86_64__
}

# Its checks stand in .clang-tidy; the slow ones (the static analyser) are left to a person's own run.
lint_tidy() {
    # shellcheck disable=SC2086
    files 'src/*.c' 'connectors/*.c' | xargs -P "$jobs" -n 4 sh -c \
        'clang-tidy --quiet --warnings-as-errors="*" "$@" -- $0 2>&1 | grep -v -E "warnings? (generated|treated)|^Suppressed|^Use -(header|system)"
         clang_tidy_found=$?; [ $clang_tidy_found -ne 0 ]' "$flags"
}

need git clang-format clang-tidy cppcheck ctags gcc pkg-config python3
[ $# -gt 0 ] || set -- format house headers scripts cppcheck tidy
for one in "$@"; do
    part "$one" "lint_$one"
done
exit $failed
