#!/usr/bin/env bash
# `make containers`: builds the images of this working tree, runs compose.yaml and checks on the
# running containers what it promises (check.py). run.sh [--clean]
#
# With a container engine that answers, that engine and its images are used. Without one, as root on
# Debian, an engine is unpacked from packages, and without a registry the base images are made of
# Debian's packages under the names that Dockerfile and compose.yaml ask for. 5 to 10 minutes.
#
#   WORK         scratch: engine, base images, build cache, a copy of the tree; --clean removes it
#   ENGINE       docker: the one that answers; packages: unpack one; empty: whichever there is
#   BASES        registry: pull the base images; packages: make them; empty: pull, else make
#   TORCH_INDEX, TORCH_WHEELS   where torch comes from; a folder of wheels is served on loopback
#   CA_BUNDLE    certificates for images that are made here, if a proxy needs some of its own
#   DEBIAN_MIRROR, ENGINE_SUITE, BASE_SUITE     where packages come from
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
work=${WORK:-/var/tmp/sightline-containers-check}
began=$SECONDS
say() { printf '%4ss  %s\n' $((SECONDS - began)) "$*"; }
fail() { printf 'containers: %s\n' "$*" >&2; exit 1; }
# shellcheck source=tests/containers/engine.sh
. "$here/engine.sh"
# shellcheck source=tests/containers/bases.sh
. "$here/bases.sh"

if [ "${1:-}" = --clean ]; then
    rm -rf "$work"
    exit
fi
mkdir -p "$work"
chmod 755 "$work"

index_pid=
compose_down() { docker compose --profile '*' down --volumes --remove-orphans --timeout 20; }
tidy_up() {
    set +e
    say 'tidying up'
    [ -d "$work/tree" ] && (cd "$work/tree" && compose_down >/dev/null 2>&1)
    [ -n "$index_pid" ] && kill "$index_pid"
    stop_engine
}
trap tidy_up EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The tree as it is, with changes that are not committed, and with secrets of its own.
copy_tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree"
    git -C "$repo" ls-files -z --cached --others --exclude-standard |
        (cd "$repo" && tar --null -T - --ignore-failed-read -c 2>/dev/null) | tar -C "$work/tree" -x
    cd "$work/tree"
    python3 -m scripts.secrets
    echo 'http://receiver:8080/alert' >deploy/secrets/alert-webhook
    chmod 644 deploy/secrets/alert-webhook
}

# The same port each time, or the build would not find its cache.
serve_torch() {
    local wheels=${TORCH_WHEELS:-${PIP_FIND_LINKS:-}} port=${TORCH_PORT:-18399}
    compgen -G "$wheels/torch-*.whl" >/dev/null || return 0
    mkdir -p "$work/index/torch"
    ln -sf "$wheels"/torch-*.whl "$work/index/torch/"
    python3 -m http.server "$port" --bind 127.0.0.1 --directory "$work/index" >/dev/null 2>&1 &
    index_pid=$!
    export TORCH_INDEX=http://127.0.0.1:$port/
}

start_engine
[ "${BASES:-}" = packages ] || pull_bases || BASES=packages
[ "${BASES:-}" != packages ] || make_bases
say 'a copy of the tree'
copy_tree
serve_torch

export COMPOSE_PROJECT_NAME=sightline COMPOSE_PROGRESS=plain
export COMPOSE_FILE=compose.yaml:deploy/compose.local.yaml:tests/containers/compose.check.yaml
PORT=$(free_port) PROXY_PORT=$(free_port) FLOWER_PORT=$(free_port)
PROMETHEUS_PORT=$(free_port) ALERTMANAGER_PORT=$(free_port)
export PORT PROXY_PORT FLOWER_PORT PROMETHEUS_PORT ALERTMANAGER_PORT
export SIGHTLINE_ALLOW_NETS=172.16.0.0/12,192.168.0.0/16,10.0.0.0/8
say 'the images'
docker compose build >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }
say 'the checks'
python3 tests/containers/check.py
