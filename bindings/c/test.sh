#!/usr/bin/env bash
# The border to C: the header is current; a C program, compiled with `cc`, gives the command line's bytes and is refused what it should be; the examples
# compile, with pkg-config where there is one; all of it under valgrind where there is one. `CARDIOGRAD` names the program to compare with.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
program="${CARDIOGRAD:-$target/debug/cardiograd}"
for tool in cc unzip; do command -v $tool > /dev/null || { echo "there is no $tool: the border to C is not tested"; exit 77; }; done
# Both members, so that the library is compiled once.
cargo test --quiet --manifest-path bindings/Cargo.toml --workspace --test header --target-dir "$target"
cargo build --quiet --manifest-path bindings/Cargo.toml --workspace --target-dir "$target"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
bash bindings/c/install.sh "$work/prefix" "$target/debug"

# A model, two ECGs as raw samples behind the header of an .npy file, and what the command says of them. One kernel for both: valgrind knows no AVX-512.
export CARDIOGRAD_KERNEL=portable
"$program" generate --source simulator -n 30 --seed 1 -o "$work/data" --quiet
"$program" train "$work/data" --target qrs --input median --preset quick --epochs 1 --arch standardconv -o "$work/m.cgm" --quiet
all="deconvolution,deeplift,gradient_shap,guided_backprop,guided_gradcam,inputxgradient,integrated_gradients,saliency,smoothgrad"
samples=$((2 * 12 * 600 * 4))
head -c $((128 + samples)) "$work/data/median.npy" | tail -c $samples > "$work/x.f32"
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 12, 600), }" > "$work/x.npy"
cat "$work/x.f32" >> "$work/x.npy"
"$program" explain "$work/m.cgm" --input "$work/x.npy" --method "$all" --samples 3 --steps 4 -o "$work/maps.npz" --quiet
"$program" predict "$work/m.cgm" --input "$work/x.npy" -o "$work/y.npy" --quiet

flags="-std=c11 -Wall -Wextra -Werror -I$work/prefix/include"
cc $flags -D_DEFAULT_SOURCE bindings/c/tests/border.c -L"$work/prefix/lib" -Wl,-rpath,"$work/prefix/lib" -lcardiograd_c -lpthread -o "$work/border"
"$work/border" "$work/m.cgm" "$work/x.f32" 2 "$all" "$work/maps.f32" "$work/y.f32"
# Arrays stand in an .npz as they are, each behind its header, in the order asked for.
at=0
for name in ${all//,/ }; do
    dd if="$work/maps.f32" of="$work/ours" bs=$samples skip=$at count=1 status=none
    unzip -p "$work/maps.npz" "$name.npy" | tail -c $samples | cmp - "$work/ours" || { echo "$name: C gives other bytes than the command"; exit 1; }
    at=$((at + 1))
done
tail -c 8 "$work/y.npy" | cmp - "$work/y.f32" || { echo "C predicts other bytes than the command"; exit 1; }

cc $flags -D_DEFAULT_SOURCE bindings/c/tests/border.c "$work/prefix/lib/libcardiograd_c.a" -lpthread -ldl -lm -o "$work/static"
head -c $((samples / 2)) "$work/x.f32" > "$work/one.f32"
if command -v pkg-config > /dev/null; then
    how="$(PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig" pkg-config --cflags --libs cardiograd)"
else
    how="-I$work/prefix/include -L$work/prefix/lib -lcardiograd_c"
fi
cc -std=c11 -Wall -Wextra -Werror bindings/c/examples/explain.c $how -Wl,-rpath,"$work/prefix/lib" -o "$work/explain"
dd if="$work/maps.f32" of="$work/ours" bs=$((samples / 2)) skip=14 count=1 status=none
"$work/explain" "$work/m.cgm" "$work/one.f32" saliency 2> /dev/null | cmp - "$work/ours"
if command -v c++ > /dev/null; then
    c++ -std=c++17 -Wall -Wextra -Werror bindings/c/examples/predict.cpp $how -Wl,-rpath,"$work/prefix/lib" -o "$work/predict"
    "$work/predict" "$work/m.cgm" "$work/one.f32" > /dev/null
fi

if command -v valgrind > /dev/null; then
    valgrind --quiet --suppressions=bindings/c/tests/valgrind.supp --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \
        "$work/static" "$work/m.cgm" "$work/x.f32" 2 saliency,deeplift,gradient_shap "$work/maps.v" "$work/y.v"
    cmp "$work/y.f32" "$work/y.v"
else
    echo "there is no valgrind: leaks are not looked for"
fi
echo "C: the command's bytes, its refusals, no leaks"
