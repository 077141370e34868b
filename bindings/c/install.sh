#!/usr/bin/env bash
# install.sh PREFIX [BUILT]: puts header, libraries and pkg-config file below PREFIX. BUILT is the folder of the libraries (bindings/target/release, after
# `cargo build --release --manifest-path bindings/Cargo.toml -p cardiograd-c`).
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
prefix="$(mkdir -p "$1" && cd "$1" && pwd)"
built="${2:-$here/../target/release}"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml" | head -1)"
mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
cp "$here/include/cardiograd.h" "$prefix/include/"
cp "$built/libcardiograd_c.so" "$built/libcardiograd_c.a" "$prefix/lib/"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" "$here/cardiograd.pc.in" > "$prefix/lib/pkgconfig/cardiograd.pc"
