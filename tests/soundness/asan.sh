#!/usr/bin/env bash
# AddressSanitizer over the tests, on the instruction sets of this machine, which Miri cannot run: reads and writes beyond an allocation, after its end.
#   asan.sh            the kernels' tests, then those of the whole program (an hour on two cores)
#   asan.sh kernels    the kernels' tests alone
# The standard library is not instrumented (that needs its source, rust-src): accesses inside it are seen where they leave through an allocation of ours.
# Leaks are not looked for: thread pools live to the end.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS=detect_leaks=0 CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/asan}"
# Proc macros and build scripts are built without, for --target tells them apart. Doc tests are left out: rustdoc does not link the sanitizer.
cargo test --target "$target" -p cardiograd-kernels --lib --tests
if [ "${1:-}" != kernels ]; then
    cargo test --target "$target" -p cardiograd --lib --bins --tests
fi
