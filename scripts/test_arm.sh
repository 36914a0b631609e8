#!/usr/bin/env bash
# Cross-compiles the kernels for each ARM instruction set and checks them in an emulator:
# test_arm.sh [brief]
set -euo pipefail
cd "$(dirname "$0")/.."

for program in aarch64-linux-gnu-g++ qemu-aarch64; do
    command -v "$program" >/dev/null || {
        echo "test-arm: $program is missing; on Debian: apt-get install g++-aarch64-linux-gnu qemu-user" >&2
        exit 1
    }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# as in worker/engine/kernels/instructions.py
for flags in armv8.2-a+dotprod+bf16 armv8.2-a+dotprod; do
    aarch64-linux-gnu-g++ -O2 -static -std=c++17 -fopenmp -w "-march=$flags" \
        -Iworker/engine/kernels tests/native/check_kernels.cpp -o "$folder/check" 2>/dev/null
    echo "test-arm: $flags"
    OMP_WAIT_POLICY=passive qemu-aarch64 -cpu max "$folder/check" "$@"
done
