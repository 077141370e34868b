#!/usr/bin/env bash
# How large what is built for small devices (`--profile small`) is, what memory nine methods on one median beat take by the command, and that the small
# command gives the whole one's bytes. `sizes.sh` builds and prints, a quarter of an hour of one core; with `--hold` what is above its limit is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
hold="${1:-}"
target="${CARGO_TARGET_DIR:-$PWD/target}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
above=0

# line WHAT BYTES LIMIT
line() {
    printf '%-58s %6.2f MB, limit %5.2f MB' "$1" "$(bc <<< "scale=4; $2 / 1000000")" "$(bc <<< "scale=4; $3 / 1000000")"
    if [ "$2" -gt "$3" ]; then
        echo "  above"
        above=1
    else
        echo
    fi
}

stripped() {
    cp "$1" "$work/file" && strip "$work/file" && stat -c %s "$work/file"
}

cargo build --quiet --profile small --target-dir "$target"
cp "$target/small/cardiograd" "$work/cardiograd"
line "the command, stripped" "$(stripped "$work/cardiograd")" 8000000
cargo build --quiet --profile small --no-default-features --features cli-core --bin cardiograd --target-dir "$target"
cp "$target/small/cardiograd" "$work/small"
# The place belongs to the whole command.
rm "$target/small/cardiograd" && cp "$work/cardiograd" "$target/small/cardiograd"
line "the command of explain, predict, verify, inspect, stripped" "$(stripped "$work/small")" 3000000
cargo build --quiet --profile small --manifest-path bindings/Cargo.toml -p cardiograd-c --target-dir "$target"
line "the shared library for C, stripped" "$(stripped "$target/small/libcardiograd_c.so")" 1500000

program="$work/cardiograd"
"$program" generate --source simulator -n 30 --seed 1 -o "$work/data" --quiet
"$program" train "$work/data" --target qrs --input median --preset quick --epochs 1 -o "$work/m.cgm" --quiet
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 12, 600), }" > "$work/x.npy"
head -c $((128 + 28800)) "$work/data/median.npy" | tail -c 28800 >> "$work/x.npy"
/usr/bin/time -f %M -o "$work/peak" "$program" explain "$work/m.cgm" --input "$work/x.npy" --method all -o "$work/maps.npz" --quiet
line "memory of nine methods on one median beat (StevenNet)" "$(($(tail -1 "$work/peak") * 1024))" 60000000
mv "$work/cardiograd" "$work/whole"
for which in whole small; do
    "$work/$which" explain "$work/m.cgm" --input "$work/x.npy" --method all -o "$work/maps_$which.npz" --quiet
    "$work/$which" predict "$work/m.cgm" --input "$work/x.npy" -o "$work/predictions_$which.npy" --quiet
done
cmp "$work/maps_whole.npz" "$work/maps_small.npz"
cmp "$work/predictions_whole.npy" "$work/predictions_small.npy"
"$work/small" verify "$work/maps.npz" --quiet
"$work/small" inspect "$work/m.cgm" --quiet
if "$work/small" explain "$work/m.cgm" --input "$work/x.npy" --method all -o "$work/page.html" 2> "$work/refusal"; then
    echo "the small command made a page"
    exit 1
fi
grep -q "without pages and pictures" "$work/refusal"
[ "$hold" != --hold ] || exit $above
