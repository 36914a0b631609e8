# Sourced by run.sh: finds a container engine, or unpacks one and runs it under $work.
# shellcheck shell=bash disable=SC2154  # work, say and fail are run.sh's

engine_pid=
suite=${ENGINE_SUITE:-trixie}

start_engine() {
    if [ "${ENGINE:-}" != packages ] && docker version >/dev/null 2>&1; then
        say "the engine that is there, $(docker version --format '{{.Server.Version}}')"
        docker compose version >/dev/null || fail 'docker compose is missing'
        return
    fi
    [ "${ENGINE:-}" != docker ] || fail 'docker does not answer'
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail 'no container engine answers; without one this needs Debian and root'
    unpack_engine
    run_engine
}

debian_mirror() {
    [ -n "${DEBIAN_MIRROR:-}" ] && { echo "$DEBIAN_MIRROR"; return; }
    cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
        awk '/^URIs:/ {print $2; exit} /^deb / {print $2; exit}'
}

install_helpers() {
    local missing=()
    for program in containerd runc iptables mmdebstrap; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    command -v tini-static >/dev/null || missing+=(tini)
    [ ${#missing[@]} = 0 ] && return
    say "apt-get install ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# From a newer Debian than this may be: Debian 12 has no compose of today. Nothing is installed.
unpack_engine() {
    install_helpers
    [ -x "$work/engine/usr/sbin/dockerd" ] && return
    say "an engine from Debian $suite"
    fetch_packages "$suite" "$work/engine.debs" docker.io docker-cli docker-compose docker-buildx
    mkdir -p "$work/engine"
    for package in "$work"/engine.debs/*.deb; do dpkg -x "$package" "$work/engine"; done
    cp "$(command -v tini-static)" "$work/engine/usr/bin/"
}

fetch_packages() {
    local suite=$1 folder=$2 apt=$work/apt.$1
    shift 2
    mkdir -p "$apt"/{lists,cache/archives}/partial "$folder"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $suite main" >"$apt/sources.list"
    printf '%s\n' "Dir::State::lists \"$apt/lists\";" "Dir::Cache \"$apt/cache\";" \
        "Dir::Etc::sourcelist \"$apt/sources.list\";" 'Dir::Etc::sourceparts "/dev/null";' >"$apt/apt.conf"
    APT_CONFIG=$apt/apt.conf apt-get update -qq
    (cd "$folder" && APT_CONFIG=$apt/apt.conf apt-get download -qq "$@" 2>/dev/null)
}

run_engine() {
    export PATH=$work/engine/usr/bin:$work/engine/usr/sbin:$PATH
    export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/client
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    ln -sf "$work"/engine/usr/libexec/docker/cli-plugins/* "$DOCKER_CONFIG/cli-plugins/"
    for table in iptables ip6tables; do "$table-save" >"$work/$table.before"; done
    cat /proc/sys/net/ipv4/ip_forward >"$work/forward.before"
    local device mtu
    device=$(ip route show default | awk '{print $5; exit}')
    mtu=$(cat "/sys/class/net/${device:-lo}/mtu")
    cat >"$work/daemon.json" <<E
{"data-root": "$work/data", "exec-root": "$work/exec", "pidfile": "$work/docker.pid", "mtu": $mtu,
 "hosts": ["unix://$work/docker.sock"], "log-level": "warn",
 "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "$mtu"}}}
E
    setsid dockerd --config-file "$work/daemon.json" >"$work/dockerd.log" 2>&1 </dev/null &
    engine_pid=$!
    for _ in $(seq 120); do
        docker version >/dev/null 2>&1 && break
        kill -0 "$engine_pid" 2>/dev/null || fail "the engine ended: $(tail -n 3 "$work/dockerd.log")"
        sleep 0.5
    done
    say "an engine of our own, $(docker version --format '{{.Server.Version}}')"
}

# Leaves the machine's network as it was: an engine does not take its rules away.
stop_engine() {
    [ -n "$engine_pid" ] || return 0
    kill "$engine_pid"
    wait "$engine_pid" 2>/dev/null
    umount "$work"/exec/netns/* 2>/dev/null
    local table
    for table in iptables ip6tables; do
        for chain in filter nat raw mangle; do "$table" -t "$chain" -F; "$table" -t "$chain" -X; done
        "$table" -P FORWARD ACCEPT
        "$table-restore" <"$work/$table.before"
    done 2>/dev/null
    ip link delete docker0 2>/dev/null
    cat "$work/forward.before" >/proc/sys/net/ipv4/ip_forward
}
