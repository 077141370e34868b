#!/usr/bin/env bash
# Without the standard library: the static library is built for this machine, linked into a C program, and gives the bytes of the command's portable
# kernel, in no more memory than it said beforehand. `CARDIOGRAD` names the program to compare with. 77 where there is no C compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
program="${CARDIOGRAD:-$target/debug/cardiograd}"
for tool in cc unzip; do command -v $tool > /dev/null || { echo "there is no $tool: the library without std is not tested"; exit 77; }; done
cargo build --quiet --release --manifest-path bindings/small/Cargo.toml --target-dir "$target/small"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cc -std=c11 -Wall -Wextra -Werror bindings/small/tests/device.c "$target/small/release/libcardiograd_small.a" -lm -o "$work/device"

"$program" generate --source simulator -n 30 --seed 1 -o "$work/data" --quiet
bytes=$((12 * 600 * 4))
head -c $((128 + bytes)) "$work/data/median.npy" | tail -c $bytes > "$work/x.f32"
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 12, 600), }" > "$work/x.npy"
cat "$work/x.f32" >> "$work/x.npy"
all="deconvolution,deeplift,gradient_shap,guided_backprop,guided_gradcam,inputxgradient,integrated_gradients,saliency,smoothgrad"
# The network, the command's kernel (all give the same bytes), what examples that run together may take, and the most that is held to, bytes. Of the
# network with max-pools 1 MB is wanted: DeepLIFT keeps every value of two runs there.
for case in standardconv:portable:0:2500000 stevennet::6000000:16000000; do
    IFS=: read -r arch kernel together limit <<< "$case"
    export CARDIOGRAD_KERNEL=
    "$program" train "$work/data" --target qrs --input median --preset quick --epochs 1 --arch $arch -o "$work/$arch.cgm" --quiet
    # The device knows no target, whose number addresses draws of the random control alone.
    export CARDIOGRAD_KERNEL=$kernel
    "$program" explain "$work/$arch.cgm" --input "$work/x.npy" --method "$all" --samples 3 --steps 4 -o "$work/maps.npz" --quiet
    "$program" predict "$work/$arch.cgm" --input "$work/x.npy" -o "$work/y.npy" --quiet
    echo -n "$arch: "
    "$work/device" "$work/$arch.cgm" "$work/x.f32" 600 "$work/maps.f32" "$work/y.f32" $limit $together 3 4
    at=0
    for name in ${all//,/ }; do
        dd if="$work/maps.f32" of="$work/ours" bs=$bytes skip=$at count=1 status=none
        unzip -p "$work/maps.npz" "$name.npy" | tail -c $bytes | cmp - "$work/ours" || { echo "$name: other bytes than the command's"; exit 1; }
        at=$((at + 1))
    done
    tail -c 4 "$work/y.npy" | cmp - "$work/y.f32" || { echo "another prediction than the command's"; exit 1; }
done
echo "without the standard library: the command's bytes, in the memory that was said"
