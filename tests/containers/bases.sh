# Sourced by run.sh: the images that ours stand on, pulled, or made of Debian's packages.
# shellcheck shell=bash disable=SC2154  # work, repo, say and debian_mirror are run.sh's and engine.sh's

base_suite=${BASE_SUITE:-bookworm}

# Names of images as Dockerfile and compose.yaml have them.
python_base() { sed -n 's/^ARG PYTHON_IMAGE=//p' "$repo/deploy/Dockerfile"; }
compose_base() { sed -n "s|^ *image: \($1:.*\)|\1|p" "$repo/compose.yaml"; }

base_names() {
    python_base
    for name in redis haproxy prom/prometheus prom/alertmanager; do compose_base "$name"; done
}

pull_bases() {
    local name
    for name in $(base_names); do
        docker image inspect "$name" >/dev/null 2>&1 && continue
        say "pulling $name"
        timeout 300 docker pull -q "$name" >/dev/null 2>&1 || { say 'no registry can be reached'; return 1; }
    done
}

make_bases() {
    local names
    read -ra names <<<"$(base_names | tr '\n' ' ')"
    docker image inspect "${names[@]}" >/dev/null 2>&1 && return
    say "base images of Debian $base_suite's packages"
    fetch_packages "$suite" "$work/tools.debs" prometheus prometheus-alertmanager
    local root=$work/base
    rm -rf "$root"
    TMPDIR=$work mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io \
        --include=ca-certificates,python3,python3-pip,python3-dev,redis-server,haproxy \
        "$base_suite" "$root" "$(debian_mirror)" 2>"$work/mmdebstrap.log" || { tail "$work/mmdebstrap.log"; exit 1; }
    for package in "$work"/tools.debs/*.deb; do dpkg -x "$package" "$work/tools"; done
    cp "$work"/tools/usr/bin/{prometheus,prometheus-alertmanager} "$root/usr/local/bin/"
    cp -a "$work"/tools/usr/share/prometheus "$root/usr/share/"
    like_official_images "$root"
    tar -C "$root" -c . | docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$(python_base)" >/dev/null
    rm -rf "$root"
    tag_base redis 'WORKDIR /data' 'VOLUME /data' 'USER redis' 'CMD ["redis-server"]'
    tag_base haproxy 'CMD ["haproxy"]'
    tag_base prom/prometheus 'USER 65534' 'WORKDIR /prometheus' 'VOLUME /prometheus' 'ENTRYPOINT ["/usr/local/bin/prometheus"]'
    tag_base prom/alertmanager 'USER 65534' 'WORKDIR /alertmanager' 'VOLUME /alertmanager' \
        'ENTRYPOINT ["/usr/local/bin/prometheus-alertmanager"]'
}

# Redis is 999:1000 and owns /data, pip installs into the system, `python` is a program.
like_official_images() {
    local root=$1
    chroot "$root" sh -ec 'groupmod -g 1000 redis; usermod -u 999 redis; mkdir -p /data /prometheus /alertmanager
        chown redis:redis /data; chown 65534:65534 /prometheus /alertmanager
        ln -s python3 /usr/bin/python; rm -f /usr/lib/python3*/EXTERNALLY-MANAGED'
    cp "${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
    # a mirror may be a snapshot, whose lists are old
    printf 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n' >"$root/etc/apt/apt.conf.d/99containers"
}

tag_base() {
    local name
    name=$(compose_base "$1")
    shift
    { echo "FROM $(python_base)"; printf '%s\n' "$@"; } | docker build -q -t "$name" - >/dev/null
}
