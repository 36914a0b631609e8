#!/usr/bin/env bash
# Installs what the tests need beside Python, as far as it can be had: node packages, a browser,
# promtool.
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

# out of Debian's package of Prometheus, whose server nobody wants started here
fetch_promtool() {
    local folder
    folder=$(mktemp -d)
    (
        cd "$folder" || exit
        say "promtool"
        [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1
        apt-get download -qq prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb .
    )
    install "$folder/usr/bin/promtool" "${VENV:-.venv}/bin/" 2>/dev/null ||
        say "not installed: promtool; apt-get download prometheus has it on Debian"
    rm -rf "$folder"
}

has_browser || apt_install chromium
command -v promtool >/dev/null || [ -x "${VENV:-.venv}/bin/promtool" ] || fetch_promtool
command -v npm >/dev/null || apt_install nodejs npm
if command -v npm >/dev/null && ! has_packages; then
    say "the node packages of tests/node"
    npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi
exit 0
