#!/usr/bin/env bash
# cargo careful: the kernels' tests with a standard library built with its debug assertions (unaligned or overlapping copies, slices of wild pointers,
# unchecked arithmetic that wraps). Needs crates.io for cargo-careful, and a nightly toolchain with rust-src. Where that is missing it says so, runs the
# same tests with the debug assertions of the standard library's inlined parts alone (which a debug build has), and ends with 77.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/careful}"
source="$(rustc +nightly --print sysroot 2>/dev/null || true)/lib/rustlib/src/rust/library"
if [ -d "$source" ]; then
    command -v cargo-careful >/dev/null || cargo install cargo-careful --locked
    cargo +nightly careful test -p cardiograd-kernels
else
    echo "careful.sh: left out: no nightly toolchain with rust-src (rustup +nightly component add rust-src)" >&2
    RUSTFLAGS="-Cdebug-assertions=on -Coverflow-checks=on" cargo test -p cardiograd-kernels
    exit 77
fi
