#!/usr/bin/env bash
# Installs the Python package from these sources into target/python and runs its tests; 77 where pip cannot install what building and testing need.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/python
[ -x $folder/bin/python ] || python3 -m venv $folder || { echo "no Python with venv: the Python package is not tested"; exit 77; }
$folder/bin/pip install --quiet "maturin>=1.9,<2" numpy pytest nbformat nbclient ipykernel || { echo "pip cannot install maturin or the tests' needs: the Python package is not tested"; exit 77; }
# Without isolation the build is done by what was installed just now.
export PATH="$PWD/$folder/bin:$PATH"
# The same command as a user's, with what is compiled kept and the kernels alone optimised.
CARGO_TARGET_DIR="$PWD/target" MATURIN_PEP517_ARGS="--profile dev" $folder/bin/pip install --quiet --no-build-isolation --force-reinstall --no-deps ./bindings/python
$folder/bin/python -m pytest -q bindings/python
