#!/usr/bin/env bash
# Installs what the tests need beside Python, as far as it can be had: node packages, a browser.
# What is missing afterwards makes its tests skip, or fail where CI is set.
set -uo pipefail
cd "$(dirname "$0")/.."

say() { printf 'install: %s\n' "$*" >&2; }
can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    can_apt || { say "not installed: $*; as root: apt-get install $*"; return 1; }
    say "apt-get install $*"
    apt-get update -qq >/dev/null 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

has_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

has_packages() {
    [ tests/node/node_modules/.package-lock.json -nt tests/node/package-lock.json ]
}

has_browser || apt_install chromium
command -v npm >/dev/null || apt_install nodejs npm
if command -v npm >/dev/null && ! has_packages; then
    say "the node packages of tests/node"
    npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi
exit 0
