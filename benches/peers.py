#!/usr/bin/env python3
"""The peers of versus.py, a process each, as their users would run them.

    peers.py torch|onnxruntime|openvino THREADS                          tasks on standard input, answers on standard output, as workloads.rs has them
    peers.py torch|onnxruntime|openvino THREADS MODEL.onnx X.npy Y.npy   predictions of a file, 64 ECGs at a time
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

BATCH = 64


class Torch:
    """Builds the networks and exports them for the others. `torch.no_grad`, evaluation mode, its own threads."""

    def __init__(self, threads):
        import torch

        self.torch = torch
        torch.set_num_threads(threads)

    def build(self, spec):
        """`stevennet,KEY=NUMBER,…`, or one of tests/zoo."""
        import contextlib

        name, *numbers = spec.split(",")
        self.torch.manual_seed(0)
        if name == "stevennet":
            from versus_pytorch import StevenNet

            return StevenNet(**{key: int(value) for key, value in (number.split("=") for number in numbers)}).eval()
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/zoo"))
        import networks

        with contextlib.redirect_stdout(sys.stderr):
            return networks.build(name, dtype=self.torch.float32).eval()

    def network(self, spec, onnx, inputs):
        """The mean of what the network of `spec` says of the ECGs in `inputs`; as .onnx, and for StevenNet as .pt, it lies in files then."""
        self.net = self.build(spec)
        x = self.torch.from_numpy(np.load(inputs))
        self.torch.onnx.export(
            self.net, (x,), onnx, opset_version=17, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}
        )
        self.torch.save(self.net.state_dict(), Path(onnx).with_suffix(".pt"))
        return float(self.run(np.load(inputs)).mean())

    def open(self, onnx):
        """The network whose weights were saved beside the .onnx."""
        self.net = self.build("stevennet")
        self.net.load_state_dict(self.torch.load(Path(onnx).with_suffix(".pt")))

    def run(self, x):
        with self.torch.no_grad():
            return self.net(self.torch.from_numpy(x)).numpy()


class OnnxRuntime:
    def __init__(self, threads):
        import onnxruntime

        self.runtime, self.options = onnxruntime, onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads

    def network(self, onnx, inputs):
        self.open(onnx)
        return float(self.run(np.load(inputs)).mean())

    def open(self, onnx):
        self.session = self.runtime.InferenceSession(onnx, self.options, providers=["CPUExecutionProvider"])

    def run(self, x):
        return self.session.run(None, {"x": x})[0]


class OpenVino:
    """Compiled for each shape, in f32, for the time of one call."""

    def __init__(self, threads):
        import openvino

        self.core = openvino.Core()
        self.settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}

    def network(self, onnx, inputs):
        self.open(onnx)
        return float(self.run(np.load(inputs)).mean())

    def open(self, onnx):
        self.onnx, self.shape = onnx, None

    def run(self, x):
        if self.shape != x.shape:
            model = self.core.read_model(self.onnx)
            model.reshape(list(x.shape))
            self.compiled, self.shape = self.core.compile_model(model, "CPU", self.settings), x.shape
        return self.compiled(x)[0]


PEERS = {"torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVino}


def noise(shape, seed=1):
    """Noise of the size of an ECG, µV."""
    return (np.random.default_rng(seed).standard_normal(shape, np.float32) * 300).astype(np.float32)


def serve(peer):
    x = None
    for line in sys.stdin:
        task, *words = line.split()
        *words, repeats = words
        if task == "network":
            answer = peer.network(*words)
        elif task == "forward":
            batch, length, channels = map(int, words)
            if x is None or x.shape != (batch, channels, length):
                x = noise((batch, channels, length))
            start = time.perf_counter()
            for _ in range(int(repeats)):
                peer.run(x)
            answer = (time.perf_counter() - start) / int(repeats)
        else:
            sys.exit(f"peers.py: unknown task {task}")
        print(answer, flush=True)


def predict(peer, onnx, inputs, outputs):
    peer.open(onnx)
    x = np.load(inputs, mmap_mode="r")
    np.save(outputs, np.concatenate([peer.run(np.ascontiguousarray(x[first : first + BATCH])) for first in range(0, len(x), BATCH)]))


def main():
    name, threads, *files = sys.argv[1:]
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    peer = PEERS[name](int(threads))
    predict(peer, *files) if files else serve(peer)


if __name__ == "__main__":
    main()
