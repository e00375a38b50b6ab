# SPDX-License-Identifier: Apache-2.0
# Shared by the shell scripts of tests/ and examples/; source it. $here is the folder tests/lib.
# shellcheck shell=sh

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# jars_version NAME: of the pom in tests/lib/NAME, unless told otherwise by LINKSPAN_NAME_VERSION.
jars_version() {
    told=$(printenv "LINKSPAN_$(printf %s "$1" | tr '[:lower:]' '[:upper:]')_VERSION") || told=
    [ -n "$told" ] || told=$(sed -n "s:.*<$1.version>\(.*\)</$1.version>.*:\1:p" "$here/$1/pom.xml")
    printf '%s\n' "$told"
}

# cached NAME-VERSION: the folder in the user's cache; it is good when it has a file `complete`.
cached() { printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/linkspan/$1"; }

kafka_version() { jars_version kafka; }

# kafka_version_of kafka_older|kafka_single: LINKSPAN_KAFKA_VERSION=$(…) COMMAND runs anything with that one.
kafka_version_of() { sed -n "s:.*<$1.version>\(.*\)</$1.version>.*:\1:p" "$here/kafka/pom.xml"; }

# Where the jars are, or would be.
kafka_jars() { cached "kafka-$(kafka_version)"; }

# copy_sources ROOT FOLDER: what git knows of a tree, with what is changed of it, and a configure script; so that a
# build of somebody's own inside the tree neither matters nor suffers. A tree without git is copied as it is.
copy_sources() {
    mkdir -p "$2"
    if (cd "$1" && git ls-files) >"$2.files" 2>/dev/null && [ -s "$2.files" ]; then
        (cd "$1" && while read -r file; do [ ! -e "$file" ] || printf '%s\n' "$file"; done) <"$2.files" |
            tar -C "$1" -c -T - | tar -x -C "$2"
    else
        tar -C "$1" -c --exclude=./.git --exclude='./build*' --exclude='*.o' --exclude=./config.status . |
            tar -x -C "$2"
    fi && (cd "$2" && ./autogen.sh) >"$2.log" 2>&1
}
