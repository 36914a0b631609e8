#!/usr/bin/env bash
# Makes or completes the Python environment: install.sh VENV EXTRAS
# (EXTRAS as in pyproject.toml, for example "model" or "model,dev"). The versions are those of
# deploy/constraints.txt; CONSTRAINTS= takes the newest ones that fit.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
extras=$2
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
torch_version=${TORCH_VERSION:-2.13.0}
constraints=${CONSTRAINTS-deploy/constraints.txt}
export PIP_DISABLE_PIP_VERSION_CHECK=1
# In a bundle for a machine without network everything lies in this folder, and no server is asked.
offline=$PWD/offline
if [ -d "$offline/wheels" ]; then
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=$offline/wheels PIP_CONFIG_FILE=/dev/null
    export UV_NO_INDEX=1 UV_OFFLINE=1 UV_FIND_LINKS=$offline/wheels UV_NO_CONFIG=1
    unset PIP_INDEX_URL PIP_EXTRA_INDEX_URL UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL
else
    offline=
fi

doing=
say() { doing=$*; printf 'install: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
can_apt() { [ -z "$offline" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Says every few seconds that a command still runs, and how much is installed by then: on a terminal
# one line that is written anew.
watch_installation() {
    local began=$SECONDS packages size
    while sleep 3 >/dev/null 2>&1; do
        packages=$(find "$venv"/lib/python*/site-packages -maxdepth 1 -name '*.dist-info' 2>/dev/null | wc -l)
        size=$(du -sm "$venv" 2>/dev/null | cut -f1)
        set -- "install: $doing: $((SECONDS - began)) s, $packages packages, ${size:-0} MB so far"
        if [ -t 2 ]; then printf '\r\033[K%s' "$1" >&2; else printf '%s\n' "$1" >&2; fi
    done
}

# Runs a command, saying meanwhile how far it is; shows what it said only when it fails.
quietly() {
    local log rc=0 watch
    log=$(mktemp)
    watch_installation 9>&- &
    watch=$!
    "$@" >"$log" 2>&1 || rc=$?
    kill "$watch" 2>/dev/null; wait "$watch" 2>/dev/null || true
    if [ -t 2 ]; then printf '\r\033[K' >&2; fi
    [ "$rc" = 0 ] || tail -n 20 "$log" >&2
    rm -f "$log"
    return "$rc"
}

apt_install() {
    say "apt-get install $*"
    quietly apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive quietly \
        apt-get install -y -qq --no-install-recommends "$@"
}

new_enough() {
    command -v "$1" >/dev/null || return
    if [ -n "$offline" ]; then
        # wheels are for one version
        "$1" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' \
            "$(cat "$offline/python")" 2>/dev/null
    else
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
    fi
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

check_bundle() {
    [ "$(uname -m)" = "$(cat "$offline/machine")" ] ||
        fail "this bundle is for $(cat "$offline/machine"), and this machine is $(uname -m)"
    find_python >/dev/null ||
        fail "this bundle needs Python $(cat "$offline/python"); name it: make up PYTHON=/path/to/python$(cat "$offline/python")"
}

# Debian's python3 has no ensurepip without another package; the bundle has pip.
make_offline_venv() {
    local python pip
    check_bundle
    python=$(find_python)
    pip=$(echo "$offline"/wheels/pip-*.whl)
    say "Python environment in $venv ($("$python" --version)), from $offline"
    "$python" -m venv --without-pip "$venv" || fail "$python -m venv failed"
    quietly "$venv/bin/python" "$pip/pip" install -q pip || fail "pip cannot be installed from $pip"
}

make_venv() {
    local python
    if ! find_python >/dev/null && [ -z "${PYTHON:-}" ] && can_apt; then
        apt_install python3 python3-venv || true
    fi
    python=$(find_python) ||
        fail "${PYTHON:-python3} is not Python 3.11 or newer; install one, or name it: make up PYTHON=/path/to/python3"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        can_apt && apt_install python3-venv ||
            fail "$python cannot make virtual environments; run: sudo apt-get install python3-venv"
    fi
    say "Python environment in $venv ($("$python" --version))"
    "$python" -m venv "$venv" || fail "$python -m venv failed"
}

has_torch() {
    "$venv/bin/python" - "$torch_version" <<'EOF' 2>/dev/null
import importlib.metadata, sys
sys.exit(importlib.metadata.version("torch").split("+")[0] != sys.argv[1])
EOF
}

# Without its dependencies, or pip asks this index, which has few of them, for each one.
install_torch() {
    say "torch $torch_version for CPU (about 200 MB)"
    quietly "$venv/bin/python" -m pip install --no-deps --retries 1 \
        --index-url "$torch_index" "torch==$torch_version" ||
        fail "torch $torch_version cannot be had from $torch_index; set TORCH_INDEX to a reachable index of CPU builds"
}

install_rest() {
    # the client's folder on the path, which type checkers see and a folder of its name does not hide
    local uv="$venv/bin/uv" locked=() plain=editable_mode=compat
    [ -z "$constraints" ] || locked=(--constraint "$constraints")
    say "the other packages [$extras]"
    [ -x "$uv" ] || quietly "$venv/bin/python" -m pip install -q uv || say "uv cannot be had, pip takes longer"
    if [ -x "$uv" ] && quietly "$uv" pip install -q --compile-bytecode --no-sources-package torch \
        ${locked[@]+"${locked[@]}"} --python "$venv/bin/python" -e ".[$extras]" -e ./client \
        --config-settings-package "sightline:$plain"; then
        return
    fi
    quietly "$venv/bin/python" -m pip install -q ${locked[@]+"${locked[@]}"} -e ".[$extras]" &&
        quietly "$venv/bin/python" -m pip install -q -e ./client --config-settings "$plain" ||
        fail "the packages could not be installed; without the locked versions: make install CONSTRAINTS="
}

# At the installation, so that no worker's first start waits for the compiler.
compile_kernels() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/sightline
    if [ -n "$offline" ]; then
        # the machine may have no compiler
        mkdir -p "$cache" && cp -n "$offline"/kernels/*.so "$cache/"
    fi
    say "the kernels for this CPU (about ten seconds the first time)"
    quietly "$venv/bin/python" -m worker.engine.kernels ||
        say "no kernels for this CPU: torch computes the model, which takes longer (make config-check says what does)"
}

# One installation at a time, where the system has a lock for it.
mkdir -p .run
if command -v flock >/dev/null; then
    exec 9>.run/install.lock
    flock 9
fi
if [ -n "$(scripts/moved.sh "$venv")" ]; then
    say "this folder was moved or copied: its Python environment is made again"
    rm -rf "$venv"
fi
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "make${offline:+_offline}_venv"
case ",$extras," in *,model,*) has_torch || install_torch ;; esac
install_rest
case ",$extras," in *,model,*) compile_kernels ;; esac
