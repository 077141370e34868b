#!/usr/bin/env bash
# Miri over the scalar path: every read and write of the kernels' unsafe code, under both borrow models, and every safe function with hostile sizes.
#   miri.sh          tree borrows, then stacked borrows: kernels/tests/scalar.rs, kernels/tests/contracts.rs, unit tests (some ten minutes)
#   miri.sh contracts|scalar|units    one of those parts, under both models: for machines on which the whole takes too long
#   miri.sh short    tree borrows over one test of kernels/tests/contracts.rs: what .ci/run does (seconds, once its standard library is built)
# Needs a nightly toolchain with the components miri and rust-src. Where they are missing it says so and ends with 77.
# Rayon is beyond Miri: under it the kernels run their tasks in turn (kernels/src/parallel.rs), hence one thread and permissive provenance.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! cargo +nightly miri --version >/dev/null 2>&1 || ! [ -d "$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library" ]; then
    echo "miri.sh: left out: no nightly toolchain with Miri (rustup +nightly component add miri rust-src)" >&2
    exit 77
fi
# A backtrace of each expected panic would take seconds.
export RUST_BACKTRACE=0 RAYON_NUM_THREADS=1 CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/miri}" PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
common="-Zmiri-permissive-provenance -Zmiri-ignore-leaks -Zmiri-disable-isolation"
if [ "${1:-}" = short ]; then
    MIRIFLAGS="-Zmiri-tree-borrows $common" cargo +nightly miri test -p cardiograd-kernels --test contracts a_wide_dilation
    exit
fi
part=${1:-whole}
case $part in whole | contracts | scalar | units) ;; *) echo "miri.sh: '$part' is no part: contracts, scalar, units, short" >&2; exit 2 ;; esac
wanted() { [ "$part" = whole ] || [ "$part" = "$1" ]; }
for model in "-Zmiri-tree-borrows" ""; do
    echo "miri.sh: ${model:-stacked borrows}"
    export MIRIFLAGS="$model $common"
    ! wanted contracts || cargo +nightly miri test -p cardiograd-kernels --test contracts
    ! wanted scalar || cargo +nightly miri test -p cardiograd-kernels --test scalar
    ! wanted units || cargo +nightly miri test -p cardiograd-kernels --lib -- sizes every_task_of_every_region pool batch_norm
done
