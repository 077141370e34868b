#!/usr/bin/env bash
# A model check of the crew that hands out a region's tasks by one atomic number (kernels/src/crew.rs): loom runs a leader and one or two helpers in every
# order that the memory model allows, with three preemptions at most. Asks that each task runs once, that the leader sees what tasks wrote, and that
# nobody reads a task that the leader has begun to replace. Needs crates.io for loom; two to three minutes of processor time.
set -euo pipefail
cd "$(dirname "$0")/loom"
RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-../../../target/loom}" cargo test --release "$@"
