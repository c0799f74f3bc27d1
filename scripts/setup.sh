#!/usr/bin/env bash
# Brings a bare machine to where the tests and the demo run: says what it installs and why, and does nothing twice.
#
#   scripts/setup.sh [python] [redis] [postgres] [rabbitmq] [kafka] [promtool] [go] [cluster]     # default: all of these
#   scripts/setup.sh chromium
#
# python   interpreter with venv, uv, and the locked dependencies in .venv
# redis    redis-server, the broker of most component tests
# postgres PostgreSQL's server, for those that are about it
# rabbitmq rabbitmq-server, for those that are about it
# kafka    Java, and Kafka's server from Maven Central (44 MB, kept in the cache), for those that are about it
# promtool of Debian's package prometheus; the alerts are tested by it. With it an Alertmanager, to be silenced
# chromium for the page's tests in a browser (make e2e-ui)
# go       only checked: the API server of the component tests is built from Go modules
# cluster  only checked: Go, unless E2E_KUBECONFIG names a cluster that is there already. What the nodes need beyond
#          that, `python -m e2e.cluster up` installs and builds by itself.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly GO_MINIMUM=1.26

say() { echo "setup: $*"; }

fail() {
    echo "setup: $*" >&2
    exit 1
}

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

# packages WHY NAME...: installs what is missing of these Debian packages.
packages() {
    local why=$1 missing=()
    shift
    command -v dpkg-query >/dev/null || fail "this is not Debian; install the equivalents of: $* ($why)"
    for name in "$@"; do
        installed "$name" || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        fail "missing Debian packages, and not root to install them ($why). Run: sudo apt-get install ${missing[*]}"
    fi
    say "apt-get install ${missing[*]} ($why)"
    apt update
    apt install --yes --no-install-recommends "${missing[@]}"
}

# apt ARGUMENT...: apt-get, waiting for another's, heard only if it fails. Its own option for that waits for one of its
# two locks only.
apt() {
    local said until=$((SECONDS + 300))
    until said=$(DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get --quiet=2 "$@" 2>&1 </dev/null); do
        [[ $said == *"Could not get lock"* ]] && ((SECONDS < until)) || fail "apt-get $1 failed:"$'\n'"$said"
        sleep 2
    done
}

setup_python() {
    if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        packages "Python, to install uv and to run everything" python3 python3-venv ca-certificates
    fi
    scripts/uv sync --locked --all-packages --quiet --inexact
}

setup_redis() {
    command -v redis-server >/dev/null || packages "the broker that the tests run against" redis-server
}

setup_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return
    packages "PostgreSQL, a broker that the tests run against" postgresql
    # The package brings a server that runs; the tests start their own.
    if [[ -d /run/systemd/system ]]; then systemctl disable --quiet --now postgresql; fi
}

setup_rabbitmq() {
    [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] && return
    packages "RabbitMQ, a broker that the tests run against" rabbitmq-server
    # The package brings a server that runs; the tests start their own.
    if [[ -d /run/systemd/system ]]; then systemctl disable --quiet --now rabbitmq-server; fi
}

setup_kafka() {
    command -v java >/dev/null || packages "Java, in which Kafka runs, a broker that the tests run against" openjdk-17-jre-headless
    scripts/uv run --locked --no-sync python -m e2e.support.kafka_jars
}

setup_promtool() {
    command -v promtool >/dev/null && command -v prometheus-alertmanager >/dev/null && return
    packages "promtool, which tests the alerts, and Alertmanager" prometheus prometheus-alertmanager
    # The packages bring servers that run; nothing here needs them.
    if [[ -d /run/systemd/system ]]; then systemctl disable --quiet --now prometheus prometheus-alertmanager; fi
}

setup_chromium() {
    command -v chromium >/dev/null || packages "the browser that the page is tested in" chromium
}

setup_go() {
    [[ -x /usr/local/go/bin/go ]] && PATH=$PATH:/usr/local/go/bin # where Go's own installer puts it
    command -v go >/dev/null ||
        fail "Go is missing. Kubernetes itself is built from Go modules here: install Go >= $GO_MINIMUM (https://go.dev/dl)"
    local version
    version=$(GOTOOLCHAIN=local go env GOVERSION)
    version=${version#go}
    if [[ $(printf '%s\n' "$GO_MINIMUM" "$version" | sort -V | head -n 1) != "$GO_MINIMUM" ]]; then
        fail "Go $version is too old: install Go >= $GO_MINIMUM (https://go.dev/dl)"
    fi
}

setup_cluster() { [[ -n ${E2E_KUBECONFIG:-} ]] || setup_go; }

(($#)) || set -- python redis postgres rabbitmq kafka promtool go cluster
for what in "$@"; do
    case $what in
        python | redis | postgres | rabbitmq | kafka | promtool | chromium | go | cluster) "setup_$what" ;;
        *) fail "unknown part '$what': python, redis, postgres, rabbitmq, kafka, promtool, chromium, go or cluster" ;;
    esac
done
