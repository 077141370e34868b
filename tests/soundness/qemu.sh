#!/usr/bin/env bash
# The kernels' tests on aarch64 (NEON), by qemu's user-mode emulation: the instruction set that x86 machines cannot run; and the digests of
# tests/portable_bytes.rs, of ops, programs, heatmaps and a training, against the table that x86 gives too (tests/data/portable_bytes.txt).
# `qemu.sh digests` runs those alone.
# Debian: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; and the standard library for the target, by
# rustup target add aarch64-unknown-linux-gnu. Where one is missing it says which and ends with 77.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=aarch64-unknown-linux-gnu
missing=()
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || missing+=("the standard library of $target")
if [ ${#missing[@]} -gt 0 ]; then
    echo "qemu.sh: left out: missing $(printf '%s; ' "${missing[@]}" | sed 's/; $//')" >&2
    exit 77
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export DIGESTS_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$DIGESTS_RUNNER"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/qemu}" PROPTEST_CASES="${PROPTEST_CASES:-8}"
[ "${1:-}" = digests ] || cargo test --target "$target" -p cardiograd-kernels --lib --tests
cargo test --target "$target" --no-default-features --features std --test portable_bytes
