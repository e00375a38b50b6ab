# SPDX-License-Identifier: Apache-2.0
# Shared by the shell scripts of tests/ and examples/; source it. $here is the folder tests/lib.
# shellcheck shell=sh

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Of the pom, unless told otherwise.
kafka_version() {
    if [ -n "${LINKSPAN_KAFKA_VERSION:-}" ]; then
        printf '%s\n' "$LINKSPAN_KAFKA_VERSION"
    else
        sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/kafka/pom.xml"
    fi
}

# Where the jars are, or would be.
kafka_jars() { printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/linkspan/kafka-$(kafka_version)"; }
