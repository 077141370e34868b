#!/usr/bin/env python3
"""cardiograd against PyTorch and Captum on the same cores, alternated in one run.

    python3 -m venv .venv && .venv/bin/pip install torch captum numpy
    .venv/bin/python benches/versus_pytorch.py [--rows forward,gradient] [--rounds 5] [--generator WHEEL] [--threads 2]

Each round times first one program, then the other, on the same task; the table shows the medians over the rounds and the ratio of the medians.
A turn begins with a call that does not count and lasts at least 0.3 s.
PyTorch runs as its users run it: `torch.no_grad` for predictions, evaluation mode, its default convolution (oneDNN), `set_num_threads`.
Captum is called once per ECG, as the study's scripts do. This script installs nothing and needs the `cargo` that built the project.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

try:
    import numpy as np
    import torch
    from torch import nn
    import torch.nn.functional as F
except ImportError as error:
    sys.exit(f"versus_pytorch.py: {error}; install with: pip install torch captum numpy")


class Block(nn.Module):
    def __init__(self, c_in, mid, c_out, k1, k2, residual):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(c_in, mid, k1, padding="same"), nn.BatchNorm1d(mid)
        self.conv2, self.bn2 = nn.Conv1d(mid, c_out, k2, padding="same"), nn.BatchNorm1d(c_out)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.residual = residual

    def forward(self, x):
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        return y + x if self.residual else y


class StevenNet(nn.Module):
    """The study's network as its description reads: 1 653 313 trainable parameters; others of its kind by other numbers."""

    def __init__(self, leads=12, width=32, kernel=50, blocks=8):
        super().__init__()
        self.init_block = Block(leads, 2 * width, width, 8, 3, False)
        self.pool = nn.AvgPool1d(2)
        self.blocks = blocks
        for n in range(1, blocks + 1):
            setattr(self, f"block{n}", Block(width, 2 * width, width, kernel, kernel, True))
        self.fc1 = nn.Linear(width, 1)

    def forward(self, x):
        x = self.pool(self.init_block(x))
        for n in range(1, self.blocks + 1):
            x = getattr(self, f"block{n}")(x)
        return self.fc1(x.mean(-1))


class Ours:
    """The project's benchmark process: one task a line in, seconds out."""

    def __init__(self, threads, generator):
        build = ["cargo", "bench", "--workspace", "--bench", "workloads", "--no-run", "--message-format=json", "--quiet"]
        out = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        built = [json.loads(line) for line in out.splitlines()]
        self.binary = next(item["executable"] for item in built if item.get("target", {}).get("name") == "workloads" and item.get("executable"))
        command = [self.binary, "--serve", "--threads", str(threads)]
        if generator:
            command += ["--generator", str(generator)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def time(self, task, repeats):
        self.process.stdin.write(f"{task} {repeats}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            sys.exit(f"versus_pytorch.py: workloads: {task}: {answer or 'the process ended'}")
        return float(answer)


def clock(work, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def inputs(batch, length=600):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 12, length, generator=generator) * 300


def forward_task(net, batch, length):
    x = inputs(batch, length)

    def work():
        with torch.no_grad():
            net(x)

    return work


def gradient_task(net, batch):
    x = inputs(batch).requires_grad_()
    return lambda: torch.autograd.grad(net(x).sum(), x)


def training_task(batch):
    net = StevenNet().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.008)
    x, y = inputs(batch), torch.randn(batch, 1)

    def work():
        optimiser.zero_grad()
        F.mse_loss(net(x), y).backward()
        optimiser.step()

    return work


def method_task(net, name, count):
    """Captum as the study's scripts call it: one ECG at a time."""
    from captum import attr

    x = inputs(count)

    def smoothgrad(one):
        sigma = 0.02 * float((one.max() - one.min()).detach())
        return attr.NoiseTunnel(attr.Saliency(net)).attribute(one, nt_type="smoothgrad", nt_samples=25, stdevs=sigma, abs=True)

    def gradient_shap(one):
        sigma = 0.02 * float((one.max() - one.min()).detach())
        return attr.GradientShap(net, multiply_by_inputs=False).attribute(one, baselines=torch.zeros_like(one), n_samples=50, stdevs=sigma)

    def guided_gradcam(one):
        method = attr.GuidedGradCam(net, net.block8.conv2)
        return method.attribute(one, interpolate_mode="linear")

    methods = {
        "saliency": lambda one: attr.Saliency(net).attribute(one, abs=False),
        "smoothgrad": smoothgrad,
        "inputxgradient": lambda one: attr.InputXGradient(net).attribute(one),
        "integrated_gradients": lambda one: attr.IntegratedGradients(net, multiply_by_inputs=False).attribute(one, n_steps=50),
        "deconvolution": lambda one: attr.Deconvolution(net).attribute(one),
        "guided_backprop": lambda one: attr.GuidedBackprop(net).attribute(one),
        "deeplift": lambda one: attr.DeepLift(net, multiply_by_inputs=False).attribute(one, baselines=torch.zeros_like(one)),
        "gradient_shap": gradient_shap,
        "guided_gradcam": guided_gradcam,
    }
    method = methods[name]

    def work():
        for n in range(count):
            method(x[n : n + 1].clone().requires_grad_())

    return work


def perturbation_points(x, steps):
    """Cumulative noise on one point after another, as the study's loop."""
    sigma = 0.2 * float(x.max() - x.min())
    order = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(2))[:steps]
    noise = torch.randn(steps, generator=torch.Generator().manual_seed(3)) * sigma
    current, points = x.clone(), [x.clone()]
    for at, value in zip(order, noise):
        current.view(-1)[at] += value
        points.append(current.clone())
    return points


def perturbation_task(net, batched):
    points = perturbation_points(inputs(1), 200)

    def work():
        with torch.no_grad():
            if batched:
                everything = torch.cat(points)
                for part in everything.split(50):
                    net(part)
            else:
                for point in points:
                    float(net(point))

    return work


def generation_task(wheel, count):
    """The published generator, its own code from its own wheel."""
    folder = tempfile.mkdtemp()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    sys.path.insert(0, folder)
    from deepfakeecg.models.pulse2pulse import Pulse2pulseGenerator

    net = Pulse2pulseGenerator()
    state = torch.load(os.path.join(folder, "deepfakeecg/checkpoints/g_stat.pt"), map_location="cpu", weights_only=False)
    net.load_state_dict(state["stat_dict"])
    net.eval()
    noise = torch.rand(count, 8, 5000) * 2 - 1

    def work():
        with torch.no_grad():
            (net(noise) * 6000).int()

    return work


METHODS = ["saliency", "smoothgrad", "inputxgradient", "integrated_gradients", "deconvolution", "guided_backprop", "deeplift", "gradient_shap", "guided_gradcam"]


def tasks(net, wheel):
    """(row, our task, examples per call, PyTorch's work)."""
    for batch in [1, 32, 200]:
        yield f"forward 12 × 600 [{batch}]", f"forward {batch} 600", batch, forward_task(net, batch, 600)
    for batch in [1, 8]:
        yield f"forward 12 × 5000 [{batch}]", f"forward {batch} 5000", batch, forward_task(net, batch, 5000)
    for batch in [1, 32]:
        yield f"input gradient [{batch}]", f"gradient {batch} 600", batch, gradient_task(net, batch)
    yield "training step [32]", "training 32", 32, training_task(32)
    for name in METHODS:
        yield f"method {name}, 32 ECGs", f"method {name} 32", 32, method_task(net, name, 32)
    yield "perturbation, study's loop", "perturbation 200", 1, perturbation_task(net, False)
    yield "perturbation, batched PyTorch", "perturbation 200", 1, perturbation_task(net, True)
    if wheel:
        yield "generation [8]", "generation 8", 8, generation_task(wheel, 8)


TURN = 0.3
"""Seconds that a turn lasts at least. Either program begins its turn with a call that does not count (if it takes no longer than a turn): the other one
has just filled the caches, and its idle threads may still hold a core for some milliseconds."""


def turn(run, once):
    """Seconds a call of `run(repeats)`, which takes about `once`."""
    if once < TURN:
        run(1)
    return run(max(1, math.ceil(TURN / once)))


def peak_and_start(command):
    """Peak resident memory in MB and wall seconds of a command."""
    code = "import resource,subprocess,sys,time;s=time.perf_counter();subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024,time.perf_counter()-s)"
    out = subprocess.run([sys.executable, "-c", code, *map(str, command)], check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]), float(out[1])


def whole_programs():
    """One ECG by all nine methods in fresh processes: peak memory; and the time to print the version / import torch."""
    subprocess.run(["cargo", "build", "--release", "--workspace", "--quiet"], cwd=ROOT, check=True)
    program = ROOT / "target/release/cardiograd"
    folder = Path(tempfile.mkdtemp())
    torch.save(StevenNet().state_dict(), folder / "model.pt")
    np.save(folder / "x.npy", inputs(1).numpy())
    explain = [program, "explain", folder / "model.pt", "--arch", "stevennet", "--input", folder / "x.npy", "--method", "all", "-o", folder / "out.npz", "--quiet"]
    captum = (
        f"import sys;sys.path.insert(0,{str(ROOT / 'benches')!r});sys.argv=['x'];import versus_pytorch as v\n"
        "import torch;net=v.StevenNet().eval()\n"
        "for name in v.METHODS: v.method_task(net,name,1)()"
    )
    ours, _ = peak_and_start(explain)
    theirs, _ = peak_and_start([sys.executable, "-c", captum])
    starts = [(peak_and_start([program, "--version"])[1], peak_and_start([sys.executable, "-c", "import torch"])[1]) for _ in range(3)]
    ours_start, theirs_start = (statistics.median(times) for times in zip(*starts))
    return [
        ("peak memory, one ECG, all methods", f"{theirs:.0f} MB", f"{ours:.0f} MB", theirs / ours),
        ("start-up", f"{1000 * theirs_start:.0f} ms", f"{1000 * ours_start:.0f} ms", theirs_start / ours_start),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="only rows that contain one of these, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--generator", help="deepfake_ecg-1.1.2-py3-none-any.whl, for the generation row")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    net = StevenNet().eval()
    ours = Ours(options.threads, options.generator)
    wanted = options.rows.split(",") if options.rows else None
    chosen = lambda row: wanted is None or any(word in row for word in wanted)

    lines = []
    for row, task, examples, work in tasks(net, options.generator):
        if not chosen(row):
            continue
        sides = [lambda repeats: clock(work, repeats), lambda repeats: ours.time(task, repeats)]
        # The first call also makes what is made once.
        once = [first if first > 10 * TURN else run(1) for run, first in [(run, run(1)) for run in sides]]
        times = [[turn(run, seconds) for run, seconds in zip(sides, once)] for _ in range(options.rounds)]
        theirs_s, ours_s = (statistics.median(column) for column in zip(*times))
        lines.append((row, f"{1000 * theirs_s / examples:.2f} ms", f"{1000 * ours_s / examples:.3f} ms", theirs_s / ours_s))
        print(f"  {row}: {lines[-1][1]} / {lines[-1][2]} = {lines[-1][3]:.1f}", file=sys.stderr, flush=True)
    if chosen("memory") or chosen("start-up"):
        lines += whole_programs()

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor()) if os.path.exists("/proc/cpuinfo") else platform.processor()
    print(f"\n{cpu}, {options.threads} threads, PyTorch {torch.__version__}, medians of {options.rounds} alternated rounds, times per ECG\n")
    print("| task [batch] | PyTorch / Captum | cardiograd | ratio |\n|---|---:|---:|---:|")
    for row, theirs, mine, ratio in lines:
        print(f"| {row} | {theirs} | {mine} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
