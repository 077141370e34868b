#!/usr/bin/env python3
"""How cardiograd's time and memory grow, beside PyTorch, ONNX Runtime and OpenVINO on the same cores: writes docs/PERFORMANCE.md and its plots.

    python3 -m venv .venv && .venv/bin/pip install torch captum numpy onnx onnxruntime openvino matplotlib
    .venv/bin/python benches/versus.py --quick            # some 8 minutes
    .venv/bin/python benches/versus.py                    # half an hour; up to 150 000 ECGs
    .venv/bin/python benches/versus.py --draw             # the page and the plots again, from the last run's numbers

Each program is a process of its own. All run the same networks (random weights, exported by PyTorch), whose answers are compared first. They take turns
of at least 0.15 s, each beginning with a call that does not count; a point is the median of its turns. There are as many rounds as the time allows, one at
least. Memory is the largest resident set of the process while it was at the point, its libraries included. Needs the `cargo` that built the project.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "target/versus"
PAGE, PLOTS = ROOT / "docs/PERFORMANCE.md", ROOT / "docs/performance"
OURS = "cardiograd"
NAMES = {OURS: "cardiograd", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
TURN = 0.15
ROUNDS = 5
# A call that takes this long needs no warming.
LONG = 1.0


@dataclass
class Point:
    """A network at work: `value` is its place on the axis."""

    value: int | str
    spec: str = "stevennet"
    batch: int = 8
    length: int = 600
    leads: int = 12
    threads: int | None = None


@dataclass
class Series:
    key: str
    title: str
    axis: str
    points: list[Point]
    note: str = ""
    found: list = field(default_factory=list)


def growth(quick):
    """What grows, smallest first: what a process once took from the system it seldom gives back."""
    pick = lambda few, many: few if quick else many
    cores = os.cpu_count() or 1
    threads = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= cores]
    stevennet = lambda **numbers: ",".join(["stevennet", *(f"{key}={value}" for key, value in numbers.items())])
    return [
        Series("batch", "Batch", "ECGs at a time", [Point(n, batch=n) for n in pick([1, 4, 16, 64, 256, 1000], [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 1000])]),
        Series("length", "Length", "samples, batch 4", [Point(n, batch=4, length=n) for n in pick([300, 600, 1200, 2500, 5000, 15000, 50000], [300, 600, 1000, 1500, 2500, 5000, 10000, 20000, 50000])]),
        Series("width", "Channels", "channels of a block, batch 8", [Point(n, stevennet(width=n)) for n in pick([8, 16, 32, 64, 128], [4, 8, 16, 24, 32, 48, 64, 96, 128])]),
        Series("leads", "Leads", "leads of the ECG, batch 8", [Point(n, stevennet(leads=n), leads=n) for n in pick([1, 12, 64], [1, 2, 3, 8, 12, 32, 64])]),
        Series(
            "kernel",
            "Kernel",
            "taps, two blocks on 2000 samples, batch 8",
            [Point(n, stevennet(kernel=n, blocks=2), length=2000) for n in pick([3, 5, 9, 17, 33, 65, 129, 257, 500], [3, 5, 7, 9, 13, 17, 25, 33, 50, 65, 100, 129, 200, 257, 350, 500])],
        ),
        Series("depth", "Depth", "blocks, batch 8", [Point(n, stevennet(blocks=n)) for n in pick([1, 4, 16, 32], [1, 2, 4, 8, 16, 32, 64])]),
        Series("threads", "Threads", "threads, batch 32", [Point(n, batch=32, threads=n) for n in threads]),
        Series(
            "zoo",
            "Other networks",
            "12 × 1000, batch 1 and 16",
            [Point(f"{name} [{batch}]", name, batch=batch, length=1000) for name in ("xresnet1d101", "inception1d") for batch in (1, 16)],
            note="From `tests/zoo/networks.py`, as ONNX and as program files (`cardiograd convert x.onnx x.json`).",
        ),
    ]


class Worker:
    """A program's process: a task a line in, a number out."""

    def __init__(self, name, threads):
        command = [binaries()[0], "--serve", "--threads", threads] if name == OURS else [sys.executable, HERE / "peers.py", name, threads]
        quiet = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
        self.name = name
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=quiet)

    def ask(self, task, repeats=1):
        self.process.stdin.write(f"{task} {repeats}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            sys.exit(f"versus.py: {NAMES[self.name]}: {task}: {answer or 'the process ended'}")
        return float(answer)

    def turns(self, task, once):
        """A function that takes a turn. A first call that took long is the first turn."""
        first = [once] if once > LONG else []

        def turn():
            if first:
                return first.pop()
            if once < LONG:
                self.ask(task)
            return self.ask(task, max(1, math.ceil(TURN / once)))

        return turn

    def forget_peak(self):
        try:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except OSError:
            pass

    def peak(self):
        """MB since the last `forget_peak`; None where the system does not say."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


BUILT = []


def binaries():
    """The benchmark's process and the program, built once."""
    if not BUILT:
        out = subprocess.run(["cargo", "bench", "--workspace", "--bench", "workloads", "--no-run", "--message-format=json", "--quiet"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        built = [json.loads(line) for line in out.splitlines()]
        bench = next(item["executable"] for item in built if item.get("target", {}).get("name") == "workloads" and item.get("executable"))
        subprocess.run(["cargo", "build", "--release", "--workspace", "--quiet"], cwd=ROOT, check=True)
        BUILT.extend([bench, str(ROOT / "target/release/cardiograd")])
    return BUILT


class Clock:
    """Shares what is left of the time among what is left to do."""

    def __init__(self, minutes):
        self.end, self.left = time.monotonic() + 60 * minutes, 0

    def deadline(self):
        now = time.monotonic()
        share = (self.end - now) / max(1, self.left)
        self.left -= 1
        return now + max(share, 0)


def rounds(runs, deadline):
    """The medians of alternated runs, as many as there is time for; `runs` are functions that give a number."""
    times = []
    while not times or (len(times) < ROUNDS and time.monotonic() < deadline):
        times.append([run() for run in runs])
    return [statistics.median(column) for column in zip(*times)]


def measure(point, workers, clock):
    """ms an ECG and MB of each program."""
    deadline = clock.deadline()
    onnx, inputs = WORK / "network.onnx", WORK / "inputs.npy"
    np.save(inputs, (np.random.default_rng(7).standard_normal((2, point.leads, point.length)) * 300).astype(np.float32))
    answers = {worker.name: worker.ask(f"network {point.spec + ' ' if worker.name == 'torch' else ''}{onnx} {inputs}") for worker in workers}
    expected = answers["torch"]
    for name, answer in answers.items():
        if not abs(answer - expected) <= 1e-3 * (1 + abs(expected)):
            sys.exit(f"versus.py: {point}: {NAMES[name]} gives {answer}, PyTorch {expected}")
    task, first, memory = f"forward {point.batch} {point.length} {point.leads}", {}, {}
    for worker in workers:
        worker.forget_peak()
        # The first call also makes what is made once.
        once = worker.ask(task)
        first[worker.name] = once if once > LONG else worker.ask(task)
        memory[worker.name] = worker.peak()
    medians = rounds([worker.turns(task, first[worker.name]) for worker in workers], deadline)
    return {worker.name: {"ms": 1000 * seconds / point.batch, "mb": memory[worker.name]} for worker, seconds in zip(workers, medians)}


def start(threads):
    # PyTorch first: it writes the files that the others read.
    return [Worker(name, threads) for name in ["torch", OURS, "onnxruntime", "openvino"]]


def run_series(series, threads, clock):
    workers, of = [], None
    for point in series.points:
        wanted = point.threads or threads
        if wanted != of:
            for worker in workers:
                worker.close()
            workers, of = start(wanted), wanted
        found = measure(point, workers, clock)
        series.found.append({"value": point.value, **found})
        print(f"  {series.key} {point.value}: " + ", ".join(f"{NAMES[name]} {one['ms']:.3f} ms" for name, one in found.items()), file=sys.stderr, flush=True)
    for worker in workers:
        worker.close()


def whole(command):
    """Wall seconds and largest resident set, MB, of a command."""
    code = "import resource,subprocess,sys,time;s=time.perf_counter();subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);print(time.perf_counter()-s,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"versus.py: {' '.join(map(str, command))}: {done.stderr.strip().splitlines()[-1]}")
    return [float(word) for word in done.stdout.split()]


def noise_file(count):
    """`count` ECGs of 12 × 600, noise of the size of µV."""
    from numpy.lib.format import open_memmap

    path = WORK / "ecgs.npy"
    some = (np.random.default_rng(5).standard_normal((1000, 12, 600), np.float32) * 300).astype(np.float32)
    out = open_memmap(path, "w+", np.float32, (count, 12, 600))
    for first in range(0, count, 1000):
        out[first : first + 1000] = some[: min(1000, count - first)]
    out.flush()
    return path


def study_network(threads):
    """The study's network in WORK, as .onnx and .pt."""
    worker = Worker("torch", threads)
    np.save(WORK / "inputs.npy", np.zeros((2, 12, 600), np.float32))
    worker.ask(f"network stevennet {WORK / 'network.onnx'} {WORK / 'inputs.npy'}")
    worker.close()
    return WORK / "network.onnx", WORK / "network.pt"


def many_ecgs(quick, threads, most, clock):
    """`predict` of files of more and more ECGs beside scripts that do the same; ours alone where the others would take minutes."""
    onnx, weights = study_network(threads)
    counts = [count for count in ([500, 2000, 20000] if quick else [500, 2000, 15000, 50000, 150000]) if count <= most]
    found = []
    for count in counts:
        deadline = clock.deadline()
        x, y = noise_file(count), WORK / "y.npy"
        commands = {OURS: [binaries()[1], "predict", weights, "--arch", "stevennet", "--input", x, "-o", y, "--quiet", "--threads", threads]}
        if count <= 2000:
            commands |= {name: [sys.executable, HERE / "peers.py", name, threads, onnx, x, y] for name in NAMES if name != OURS}
        memory = {}

        def once(name):
            seconds, memory[name] = whole(commands[name])
            return seconds

        medians = rounds([lambda name=name: once(name) for name in commands], deadline)
        one = {name: {"ms": 1000 * seconds / count, "mb": memory[name]} for name, seconds in zip(commands, medians)}
        found.append({"value": count, **one})
        print(f"  ecgs {count}: " + ", ".join(f"{NAMES[name]} {of['ms']:.3f} ms, {of['mb']:.0f} MB" for name, of in one.items()), file=sys.stderr, flush=True)
        x.unlink()
    return found


def commands_beside_kernels(quick, threads, clock):
    """Commands end to end beside the same work in one process that has its inputs in memory: ms an ECG."""
    _, weights = study_network(threads)
    program, count = binaries()[1], 2000
    # Its training part holds as many.
    x, measured = noise_file(count), count * 5 // 3 + 1
    data = WORK / f"dataset_{measured}"
    if not data.exists():
        whole([program, "generate", "--source", "simulator", "-n", measured, "--seed", 1, "-o", data, "--quiet"])
    options = ["--quiet", "--threads", threads]
    model = [weights, "--arch", "stevennet"]
    judged = 20 if quick else 200
    # (row, command, its ECGs, the task of workloads.rs, the task's ECGs)
    rows = [
        ("predict", ["predict", *model, "--input", x, "-o", WORK / "y.npy"], count, "forward 64 600", 64),
        ("explain -m saliency", ["explain", *model, "--input", x, "-m", "saliency", "-o", WORK / "maps.npz"], count, "method saliency 64", 64),
        ("explain -m deeplift", ["explain", *model, "--input", x, "-m", "deeplift", "-o", WORK / "maps.npz"], count, "method deeplift 64", 64),
        ("evaluate --split train", ["evaluate", *model, "--data", data, "--target", "pr", "--input", "median", "--split", "train"], None, "forward 64 600", 64),
        ("perturb", ["perturb", *model, "--data", data, "--target", "pr", "--input", "median", "-m", "saliency", "-n", judged, "-o", WORK / "curves"], judged, "perturbation 200", 1),
        ("measure", ["measure", data, "-o", WORK / "measured.csv"], measured, f"measure {data / 'rhythm.npy'} 1000", 1000),
    ]
    worker, found = Worker(OURS, threads), []
    for row, words, ecgs, task, of_task in rows:
        deadline = clock.deadline()
        if ecgs is None:
            told = subprocess.run([program, *map(str, words), "--json"], check=True, capture_output=True, text=True).stdout
            ecgs = json.loads(told)[0]["metrics"]["n"]
        turn, memory = worker.turns(task, min(worker.ask(task), worker.ask(task))), []

        def command():
            subprocess.run(["rm", "-rf", WORK / "curves", WORK / "maps.npz"], check=True)
            seconds, mb = whole([program, *words, *options])
            memory.append(mb)
            return seconds / ecgs

        inside, outside = rounds([lambda: turn() / of_task, command], deadline)
        found.append({"command": row, "ecgs": ecgs, "inside": 1000 * inside, "outside": 1000 * outside, "mb": max(memory)})
        print(f"  {row}: {1000 * outside:.3f} ms, in process {1000 * inside:.3f} ms", file=sys.stderr, flush=True)
    worker.close()
    x.unlink()
    return found


def machine(threads):
    cpu = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), cpu)
    flags = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""
    simd = next((name for flag, name in [("avx512f", "AVX-512"), ("avx2", "AVX2")] if flag in flags), "")
    from importlib.metadata import version

    packages = ", ".join(f"{NAMES[name]} {version(name)}" for name in ["torch", "onnxruntime", "openvino"])
    return {"cpu": cpu, "simd": simd, "cores": os.cpu_count(), "threads": threads, "packages": packages, "date": time.strftime("%Y-%m-%d")}


def run(options):
    WORK.mkdir(parents=True, exist_ok=True)
    binaries()
    all_series = [series for series in growth(options.quick) if not options.only or series.key in options.only]
    also = [key for key in ("ecgs", "commands") if not options.only or key in options.only]
    clock = Clock(options.minutes)
    clock.left = sum(len(series.points) for series in all_series) + 5 * ("ecgs" in also) + 6 * ("commands" in also)
    result = json.loads((WORK / "result.json").read_text()) if options.only and (WORK / "result.json").exists() else {"series": {}}
    result["machine"] = {**machine(options.threads), "quick": options.quick}
    for series in all_series:
        run_series(series, options.threads, clock)
        result["series"][series.key] = series.found
    if "commands" in also:
        result["commands"] = commands_beside_kernels(options.quick, options.threads, clock)
    if "ecgs" in also:
        result["ecgs"] = many_ecgs(options.quick, options.threads, options.most, clock)
    (WORK / "result.json").write_text(json.dumps(result, indent=1))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer points, some 8 minutes")
    parser.add_argument("--minutes", type=float, help="how long the rounds may take, about [default: 30; 7 with --quick]")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--most", type=int, default=150_000, help="the most ECGs of one file; 150 000 take 4.3 GB of disk")
    parser.add_argument("--only", type=lambda text: text.split(","), help="series (batch,length,width,leads,kernel,depth,threads,zoo,commands,ecgs), the others from the last run")
    parser.add_argument("--draw", action="store_true", help="from the last run's numbers")
    options = parser.parse_args()
    options.minutes = options.minutes or (7 if options.quick else 30)
    result = json.loads((WORK / "result.json").read_text()) if options.draw else run(options)
    import versus_page

    versus_page.write(result, {series.key: series for series in growth(False)}, PAGE, PLOTS, NAMES)
    print(f"{PAGE.relative_to(ROOT)} and {PLOTS.relative_to(ROOT)}/", file=sys.stderr)


if __name__ == "__main__":
    main()
