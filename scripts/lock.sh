#!/usr/bin/env bash
# `make lock`: writes the newest versions of all packages that fit pyproject.toml, for every Python
# and system, into deploy/constraints.txt. The images and `make up` install these versions.
set -euo pipefail
cd "$(dirname "$0")/.."
file=deploy/constraints.txt
uv=${VENV:-.venv}/bin/uv
draft=$(mktemp)
trap 'rm -f "$draft"' EXIT

extras=()
for extra in model reader examples heic otel blobs redis dev; do extras+=(--extra "$extra"); done
"$uv" pip compile pyproject.toml "${extras[@]}" --universal --python-version 3.11 --quiet \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file "$draft"
{
    echo '# Made by `make lock`, do not edit: the versions that images and `make up` install.'
    # torch is a CPU build: what its CUDA builds need is left out
    grep -Ev '^(nvidia-|cuda-|triton==)' "$draft"
} >"$file"
echo "$file: $(grep -c == "$file") packages"
