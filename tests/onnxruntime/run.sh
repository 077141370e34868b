#!/usr/bin/env bash
# Heatmaps that `cardiograd export` writes as graphs, run by ONNX Runtime, against `cardiograd explain`: four networks, ten ECGs, both precisions, every method that has a
# graph. Needs onnxruntime and numpy; where they are not installed it says so and ends with 77:
#   python3 -m venv target/onnxruntime && target/onnxruntime/bin/pip install onnxruntime numpy
# PYTHON names another interpreter, CARDIOGRAD a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=target/onnxruntime/bin/python
python=${PYTHON:-$([ -x $venv ] && echo $venv || echo python3)}
if ! "$python" -c 'import numpy, onnxruntime' 2>/dev/null; then
    echo "onnxruntime/run.sh: left out: $python has no onnxruntime or numpy (pip install onnxruntime numpy)" >&2
    exit 77
fi
if [ -z "${CARDIOGRAD:-}" ]; then
    cargo build --workspace --quiet
    CARDIOGRAD=target/debug/cardiograd
fi
CARDIOGRAD=$(realpath "$CARDIOGRAD") exec "$python" tests/onnxruntime/check.py
