#!/usr/bin/env bash
# The library's public items, as cargo-public-api lists them, against docs/api.txt: what is added, changed or taken away shows in review, and what is
# taken away is a break that CHANGELOG.md must name. There is no published version yet to compare with, which is what cargo-semver-checks does.
# tests/api.sh --write makes the list anew. Where the tool or this toolchain's rustdoc cannot be had it says so and ends with 77.
set -euo pipefail
cd "$(dirname "$0")/.."
# Its rustdoc-types must be of the format that this toolchain's rustdoc writes.
VERSION=0.52.0
tool=target/public-api/bin/cargo-public-api
absent() {
    echo "api.sh: left out: $1" >&2
    exit 77
}
[ -x $tool ] || cargo install --quiet --locked cargo-public-api --version $VERSION --root target/public-api || absent "cargo-public-api $VERSION cannot be installed"
# In a folder of its own: what it sets to read unstable JSON makes cargo build all dependencies anew.
RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --lib --target-dir target/public-api/build -- -Z unstable-options --output-format json --cap-lints allow || absent "rustdoc writes no JSON"
found=target/public-api/found.txt
# Without what the compiler and macros add to every type.
$tool public-api --rustdoc-json target/public-api/build/doc/cardiograd.json -sss >$found || absent "cargo-public-api $VERSION does not read what $(rustdoc --version) writes"
if [ "${1:-}" = --write ]; then
    cp $found docs/api.txt
elif ! diff -u docs/api.txt $found; then
    echo "api.sh: the public items are not those of docs/api.txt; if that is meant: tests/api.sh --write, and a line in CHANGELOG.md" >&2
    exit 1
fi
