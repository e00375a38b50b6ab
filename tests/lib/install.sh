#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed to build linkspan and to test it on Debian 12: the packages (as root or with sudo), a real
# Apache Kafka, further MQTT brokers, CoAP stacks, Python libraries that read webhooks and what editors ask about YAML (by
# Maven, npm, pip and Go, into the user's cache, once). Quick and offline when all is there already.
#
#   tests/lib/install.sh [build] [test] [kafka] [kafka_older] [kafka_single] [lint] [brokers] [webhooks] [coap] [editor]
#                                                             default: build test kafka lint
#
# kafka: the version that LINKSPAN_KAFKA_VERSION or tests/lib/kafka/pom.xml names. kafka_older: that of the line before.
# kafka_single: the newest of which a broker alone can be restarted while there are transactions.
# brokers: what tests/integration/interop.py runs against, each by its own name too: hivemq artemis aedes.
# webhooks: what tests/integration/webhooks_field.py lets read what linkspan sends.
# coap: the peers of tests/integration/coap_field.py, each by its own name too: libcoap californium aiocoap go_coap.
# editor: yaml-language-server, and ajv, for tests/integration/editor.py.
# Exit status: 0 all there, 1 a package is missing, 3 only Kafka, one of those brokers, stacks or libraries could not be had
# (they need a network once).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/shell.sh"

packages_build="build-essential autoconf automake pkg-config libuv1-dev librdkafka-dev libmicrohttpd-dev libgnutls28-dev libyaml-dev libjq-dev libcbor-dev libssl-dev libcrypt-dev libcurl4-openssl-dev libcoap3-dev libpaho-mqtt-dev"
packages_test="libcunit1-dev clang libclang-rt-14-dev mosquitto mosquitto-clients prometheus python3 python3-paho-mqtt python3-confluent-kafka openssl procps util-linux graphviz bash zsh fish"
packages_kafka="maven openjdk-17-jre-headless"
packages_hivemq="maven openjdk-17-jdk-headless"
packages_artemis="maven openjdk-17-jre-headless"
packages_webhooks="python3-pip"
packages_libcoap="libcoap3-bin"
packages_californium="maven openjdk-17-jdk-headless"
packages_aiocoap="build-essential autoconf cython3 python3-dev python3-pip python3-setuptools python3-wheel"
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

# keep_fresh FRESH FOLDER: makes a filled folder the good one. Two installs at once: the first one wins, the other
# one's copy goes.
keep_fresh() {
    touch "$1/complete"
    chmod 755 "$1"
    mv -T "$1" "$2" 2>/dev/null || rm -rf "$1"
    rm -f "$1.log"
}

# install_cached FOLDER TITLE COMMAND...: COMMAND fills the folder that is its last argument.
install_cached() {
    folder=$1 title=$2
    shift 2
    [ ! -e "$folder/complete" ] || return 0
    say "fetching $title (once)"
    mkdir -p "$(dirname "$folder")"
    fresh=$(mktemp -d "$folder.XXXXXX")
    if "$@" "$fresh" </dev/null >"$fresh.log" 2>&1; then
        keep_fresh "$fresh" "$folder"
    else
        tail -n 20 "$fresh.log" >&2
        rm -rf "$fresh" "$fresh.log"
        say "could not fetch $title"
        return 3
    fi
}

fetch_jars() { # NAME MAIN_JAR FOLDER
    mvn -q -B -f "$here/$1/pom.xml" -D"$1.version=$(jars_version "$1")" dependency:copy-dependencies \
        -DoutputDirectory="$3" && ls "$3/$2"-*.jar >/dev/null
}

fetch_kafka() { fetch_jars kafka kafka_2.13 "$1"; }

fetch_artemis() { fetch_jars artemis artemis-mqtt-protocol "$1"; }

fetch_hivemq() {
    fetch_jars hivemq hivemq-community-edition-embedded "$1" &&
        javac -proc:none -cp "$1/*" -d "$1" "$here/hivemq/OpenHiveMQ.java"
}

fetch_npm() { # NAME FOLDER
    cp "$here/$1/package.json" "$here/$1/package-lock.json" "$2" &&
        (cd "$2" && npm ci --omit=dev --no-audit --no-fund --ignore-scripts)
}

fetch_aedes() { fetch_npm aedes "$1"; }

fetch_editor() { fetch_npm yaml-language-server "$1"; }

install_kafka() {
    install_cached "$(kafka_jars)" "Apache Kafka $(kafka_version) with Maven" fetch_kafka || return
    [ -e "$(kafka_jars)/classes.jsa" ] || (cd "$here" && /usr/bin/python3 -B -c \
        'from rig import kafka; kafka.archive_classes()') >&2 || say "Kafka will start slower than it could"
}

install_kafka_version() (
    LINKSPAN_KAFKA_VERSION=$(kafka_version_of "$1")
    export LINKSPAN_KAFKA_VERSION
    install_kafka
)
install_kafka_older() { install_kafka_version kafka_older; }
install_kafka_single() { install_kafka_version kafka_single; }

install_artemis() {
    install_cached "$(cached "artemis-$(jars_version artemis)")" "Apache ActiveMQ Artemis with Maven" fetch_artemis
}

install_hivemq() {
    install_cached "$(cached "hivemq-$(jars_version hivemq)")" "HiveMQ Community Edition with Maven" fetch_hivemq
}

install_aedes() {
    version=$(sed -n 's/.*"aedes": "\(.*\)".*/\1/p' "$here/aedes/package.json")
    install_cached "$(cached "aedes-$version")" "aedes with npm" fetch_aedes
}

install_editor() {
    install_cached "$(cached "yaml-language-server-$(digest yaml-language-server/package-lock.json)")" \
        "yaml-language-server with npm" fetch_editor
}

fetch_californium() {
    fetch_jars californium californium-core "$1" &&
        javac -proc:none -cp "$1/*" -d "$1" "$here/californium/CoapPeer.java"
}

install_californium() {
    install_cached "$(cached "californium-$(jars_version californium)-$(digest californium/CoapPeer.java)")" \
        "Eclipse Californium with Maven" fetch_californium
}

install_libcoap() { command -v coap-client-openssl >/dev/null 2>&1; }

digest() ( # of those files, one after the other
    cd "$here" && cat "$@" | sha256sum | cut -c1-12
)

fetch_python() { # NAME FOLDER [OPTION]
    /usr/bin/python3 -m pip install -q --no-deps --require-hashes --no-compile --disable-pip-version-check \
        --root-user-action=ignore ${3:-} --target "$2" -r "$here/$1/requirements.txt"
}

install_webhooks() {
    install_cached "$(cached "webhooks-$(digest webhooks/requirements.txt)")" "libraries of webhooks with pip" \
        fetch_python webhooks
}

# What has to be compiled is so with what is installed, and with nothing else.
fetch_aiocoap() { fetch_python aiocoap "$1" --no-build-isolation; }

install_aiocoap() {
    install_cached "$(cached "aiocoap-$(digest aiocoap/requirements.txt)")" "aiocoap with pip" fetch_aiocoap
}

# By the Go that is there, whatever go.mod's line says: that of Debian 12 will do. Nothing but the program is kept.
fetch_go_coap() (
    scratch=$(mktemp -d)
    trap 'chmod -R u+w "$scratch" && rm -rf "$scratch"' EXIT
    export GOTOOLCHAIN=local GOPATH="$scratch/path" GOCACHE="$scratch/cache" GOFLAGS=-mod=readonly CGO_ENABLED=0
    cd "$here/go-coap" && go build -trimpath -buildvcs=false -o "$1/coap_peer" .
)

install_go_coap() {
    install_cached "$(cached "go-coap-$(digest go-coap/coap_peer.go go-coap/go.mod go-coap/go.sum)")" \
        "go-coap with Go" fetch_go_coap
}

# Debian's packages are not wanted beside a Node.js, or Go, that brought its own.
packages_npm() { command -v npm >/dev/null 2>&1 || echo "nodejs npm"; }
packages_go() { command -v go >/dev/null 2>&1 || echo "golang-go"; }

[ $# -gt 0 ] || set -- build test kafka lint
real= # brokers that are no packages
list=
for part in "$@"; do
    case $part in
    build) list="$list $packages_build" ;;
    test) list="$list $packages_test" ;;
    kafka | kafka_older | kafka_single | hivemq | artemis | aedes | webhooks | editor | libcoap | californium | aiocoap | go_coap) real="$real $part" ;;
    brokers) real="$real artemis hivemq aedes" ;;
    coap) real="$real libcoap californium aiocoap go_coap" ;;
    lint) list="$list $packages_lint" ;;
    *) say "unknown part $part: build, test, kafka, kafka_older, kafka_single, lint, brokers, webhooks, coap, editor" && exit 2 ;;
    esac
done
# shellcheck disable=SC2086
install_packages $list || exit 1
status=0
for name in $real; do
    case $name in
    kafka | kafka_older | kafka_single) packages=$packages_kafka ;;
    hivemq) packages=$packages_hivemq ;;
    artemis) packages=$packages_artemis ;;
    aedes | editor) packages=$(packages_npm) ;;
    go_coap) packages=$(packages_go) ;;
    webhooks) packages=$packages_webhooks ;;
    libcoap) packages=$packages_libcoap ;;
    californium) packages=$packages_californium ;;
    aiocoap) packages=$packages_aiocoap ;;
    esac
    # shellcheck disable=SC2086
    { install_packages $packages && "install_$name"; } || status=3
done
exit $status
