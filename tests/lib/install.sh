#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed to build linkspan and to test it on Debian 12: the packages (as root or with sudo) and the
# jars of a real Apache Kafka (by Maven, into the user's cache, once). Quick and offline when all is there already.
#
#   tests/lib/install.sh [build] [test] [kafka] [lint]      default: all four
#
# Exit status: 0 all there, 1 a package is missing, 3 only Kafka could not be had (its jars need a network once).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/shell.sh"

packages_build="build-essential autoconf automake pkg-config libuv1-dev librdkafka-dev libyaml-dev libjq-dev libssl-dev libpaho-mqtt-dev"
packages_test="libcunit1-dev clang libclang-rt-14-dev mosquitto mosquitto-clients python3 python3-paho-mqtt python3-confluent-kafka openssl procps util-linux"
packages_kafka="maven openjdk-17-jre-headless"
packages_lint="clang-format clang-tidy cppcheck universal-ctags git"

missing_packages() {
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
        *" installed") ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "must run as root (there is no sudo): $*"
        return 1
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" </dev/null
}

install_packages() {
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    say "installing $wanted"
    log=$(mktemp)
    # The package lists of a fresh machine are empty or old: fetch them when the first attempt fails.
    # shellcheck disable=SC2086
    if apt_install $wanted >"$log" 2>&1 ||
        { as_root apt-get -q update </dev/null >>"$log" 2>&1 && apt_install $wanted >>"$log" 2>&1; }; then
        rm -f "$log"
    else
        tail -n 20 "$log" >&2
        rm -f "$log"
        say "could not install $wanted"
        return 1
    fi
}

install_kafka() {
    jars=$(kafka_jars)
    [ -e "$jars/complete" ] && return 0
    say "fetching Apache Kafka $(kafka_version) with Maven (once)"
    mkdir -p "$(dirname "$jars")"
    fresh=$(mktemp -d "$jars.XXXXXX")
    log="$fresh.log"
    if mvn -q -B -f "$here/kafka/pom.xml" -Dkafka.version="$(kafka_version)" dependency:copy-dependencies \
        -DoutputDirectory="$fresh" </dev/null >"$log" 2>&1 && ls "$fresh"/kafka_2.13-*.jar >/dev/null 2>&1; then
        touch "$fresh/complete"
        chmod 755 "$fresh"
        # Two installs at once: the first one wins, the other one's copy goes.
        mv -T "$fresh" "$jars" 2>/dev/null || rm -rf "$fresh"
        rm -f "$log"
    else
        tail -n 20 "$log" >&2
        rm -rf "$fresh" "$log"
        say "could not fetch Apache Kafka"
        return 3
    fi
}

[ $# -gt 0 ] || set -- build test kafka lint
wanted_kafka=no
list=
for part in "$@"; do
    case $part in
    build) list="$list $packages_build" ;;
    test) list="$list $packages_test" ;;
    kafka) wanted_kafka=yes ;;
    lint) list="$list $packages_lint" ;;
    *) say "unknown part $part: build, test, kafka, lint" && exit 2 ;;
    esac
done
# shellcheck disable=SC2086
install_packages $list || exit 1
if [ $wanted_kafka = yes ]; then
    # shellcheck disable=SC2086
    install_packages $packages_kafka || exit 3
    install_kafka || exit 3
fi
