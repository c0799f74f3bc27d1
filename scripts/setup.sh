#!/usr/bin/env bash
# Brings a bare machine to where the tests and the demo run: says what it installs and why, and does nothing twice.
#
#   scripts/setup.sh [python] [redis] [node] [go]     # default: all
#
# python  interpreter with venv, uv, and the locked dependencies in .venv
# redis   redis-server, the broker of the component tests and of the demo's image
# node    what a Kubernetes node made of this machine needs; skipped where a Docker engine answers (kind is used then)
# go      only checked: Kubernetes, Helm and CoreDNS are built from Go modules by `python -m e2e.cluster`
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
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2 </dev/null
    apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" </dev/null
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

docker_answers() { command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; }

setup_node() {
    if docker_answers; then
        say "a Docker engine answers: the cluster will be kind, no Debian packages for nodes needed"
        return 0
    fi
    packages "container runtime and network of the local cluster's nodes" \
        containerd runc containernetworking-plugins iptables nftables conntrack iproute2 procps ca-certificates
    packages "building images without Docker" buildah debootstrap debian-archive-keyring
}

setup_go() {
    command -v go >/dev/null ||
        fail "Go is missing. Kubernetes itself is built from Go modules here: install Go >= $GO_MINIMUM (https://go.dev/dl)"
    local version
    version=$(GOTOOLCHAIN=local go env GOVERSION)
    version=${version#go}
    if [[ $(printf '%s\n' "$GO_MINIMUM" "$version" | sort -V | head -n 1) != "$GO_MINIMUM" ]]; then
        fail "Go $version is too old: install Go >= $GO_MINIMUM (https://go.dev/dl)"
    fi
}

(($#)) || set -- python redis go node
for what in "$@"; do
    case $what in
        python | redis | go | node) "setup_$what" ;;
        *) fail "unknown part '$what': python, redis, node or go" ;;
    esac
done
