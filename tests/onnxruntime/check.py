"""See run.sh. Prints one line a network and method: the largest relative L2 error of ten ECGs (two in f64); fails above 1e-5 (1e-9 in f64)."""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

PROGRAM = os.environ["CARDIOGRAD"]
DATA = pathlib.Path(__file__).parent.parent / "data" / "onnx"
BOUND = {"f32": 1e-5, "f64": 1e-9}
# Two engines add in another order. In f32 a maximum that flips at one of many points moves a sum over points, and LRP-epsilon divides by values near zero:
# their bound is that of f64, and this is what is left in f32.
WIDER = {"integrated_gradients": 5e-4, "lrp_epsilon": 1e-3}
ECGS = 10
# In f64, which an engine for f32 takes minutes for: fewer ECGs, and points of integrated gradients.
FEW, POINTS = 2, 10
METHODS = [
    ["saliency"],
    ["inputxgradient"],
    ["deeplift"],
    ["deeplift", "--multiply-by-inputs", "yes", "--max-pool", "exact"],
    ["integrated_gradients"],
    ["integrated_gradients", "--multiply-by-inputs", "yes", "--steps", "20"],
    ["guided_backprop"],
    ["deconvolution"],
    ["gradcam"],
    ["guided_gradcam"],
    ["lrp_epsilon"],
    ["lrp_gamma"],
    ["lrp_zplus"],
    ["lrp_composite"],
]


def run(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def networks(folder):
    """Four networks with ten ECGs each: the study's two, trained for an epoch, one of ONNX with a join, a gate and upsampling, and one with numbers beside the ECG."""
    run("generate", "--ecgs", 60, "--seed", 1, "-o", folder / "data", "--quiet")
    ecgs = np.load(folder / "data" / "median.npy", mmap_mode="r")
    beats = np.ascontiguousarray(ecgs[:ECGS], dtype=np.float32)
    if beats.shape[1] == 8:
        i, ii = beats[:, 0], beats[:, 1]
        limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
        beats = np.concatenate([np.stack(limb, 1), beats[:, 2:]], 1)
    np.save(folder / "beats.npy", beats)
    for arch in ["stevennet", "standardconv"]:
        run("train", folder / "data", "--target", "t_v5", "--input", "median", "--arch", arch, "--epochs", 1, "-o", folder / f"{arch}.cgm", "--quiet")
        yield arch, folder / f"{arch}.cgm", folder / "beats.npy", {}, [], []
    np.save(folder / "noise.npy", np.random.default_rng(1).normal(size=(ECGS, 3, 40)).astype(np.float32))
    yield "branches", DATA / "branches_18_dynamo.onnx", folder / "noise.npy", {}, ["--length", 40], []
    numbers = np.random.default_rng(2).normal(size=(ECGS, 2)).astype(np.float32)
    np.save(folder / "numbers.npy", numbers)
    yield "two inputs", DATA / "joined_17.onnx", folder / "noise.npy", {"numbers": folder / "numbers.npy"}, ["--length", 40], ["--column", 1]


def some(path, which):
    """Some ECGs of a file, as a file."""
    part = path.with_name(f"some_{path.name}")
    np.save(part, np.load(path)[which])
    return part


def compare(folder, name, model, ecgs, beside, length, column, method, precision, which=range(FEW)):
    """Maps of what stands beside the ECG included. A maximum that two engines' rounding decides otherwise changes all behind it: in f32 one ECG may be off by that,
    if in f64, where nothing is so near, it is not."""
    all_ecgs, all_beside, asked = ecgs, beside, method
    if precision == "f64":
        method = method[:-1] + [POINTS] if "--steps" in method else method + ["--steps", POINTS] if method[0] == "integrated_gradients" else method
        ecgs, beside = some(ecgs, which), {input_: some(path, which) for input_, path in beside.items()}
    graph, maps = folder / "map.onnx", folder / "maps.npz"
    for old in [graph, maps, pathlib.Path(f"{maps}.provenance.json")]:
        old.unlink(missing_ok=True)
    try:
        run("export", model, "-m", *method, *length, *column, "--precision", precision, "-o", graph)
    except RuntimeError as error:
        print(f"{name:<13} {' '.join(map(str, method)):<60} refused: {error}")
        return "refused" in str(error) or "acts nowhere" in str(error)
    given = [part for input_, path in beside.items() for part in ("--beside", f"{input_}={path}")]
    run("explain", model, "-i", ecgs, *given, "-m", *method, *column, "--any-amplitude", "--any-length", "--precision", precision, "-o", maps)
    ours, run_ = np.load(maps), session(graph)
    kind = np.float32 if precision == "f32" else np.float64
    feeds = {input_: np.load(path).astype(kind) for input_, path in {"ecg": ecgs, **beside}.items()}
    inputs = {**feeds, **{one.name: np.zeros_like(feeds[one.name.partition(".")[2] or "ecg"][:1]) for one in run_.get_inputs() if one.name.startswith("baseline")}}
    outputs = [one.name for one in run_.get_outputs()]
    # ECG by ECG: in f64 all points of all ECGs in one batch take gigabytes.
    parts = [run_.run(outputs, {**inputs, **{input_: values[n : n + 1] for input_, values in feeds.items()}}) for n in range(len(feeds["ecg"]))]
    found = {output: np.concatenate(part) for output, part in zip(outputs, zip(*parts))}
    relative = lambda a, b: np.linalg.norm(a - b) / np.linalg.norm(b)
    mapped = [(values, ours[output.replace("map", method[0], 1)]) for output, values in found.items() if output != "prediction"]
    errors = np.array([max(relative(a[n], b[n]) for a, b in mapped) for n in range(len(feeds["ecg"]))])
    apart = np.abs(found["prediction"].ravel() - ours["prediction"].ravel()).max() / np.abs(found["prediction"]).max()
    # Deconvolution looks at no forward value: without maxima its map is the same for every ECG.
    differ = method[0] == "deconvolution" or not np.array_equal(found["map"][0], found["map"][1])
    two = run_.run(["map"], {**inputs, **{input_: values[:2] for input_, values in feeds.items()}})[0]
    alone = relative(two, found["map"][:2])
    bound = BOUND[precision]
    most = WIDER.get(method[0], bound) if precision == "f32" else bound
    off = np.flatnonzero(errors > most)
    # Every map that there is: of a method that says nothing of what stands beside the ECG, the ECG's alone.
    whole = len(outputs) - 1 == sum(array == method[0] or array.startswith(method[0] + ".") for array in ours.files)
    flips = precision == "f32" and len(off) == 1
    good = (flips or len(off) == 0) and apart <= bound and differ and alone <= bound and whole
    said = f", ECG {off[0]} {errors[off[0]]:.1e}: again in f64" if flips else ""
    print(f"{name:<13} {precision} {' '.join(map(str, method)):<60} map {np.delete(errors, off if flips else []).max():.1e}  prediction {apart:.1e}  alone {alone:.1e}{said}{'' if good else '  FAILED'}")
    if good and flips:
        return compare(folder, name, model, all_ecgs, all_beside, length, column, asked, "f64", [off[0], (off[0] + 1) % ECGS])
    return good


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        good = [
            compare(folder, name, model, ecgs, beside, length, column, method, precision)
            for name, model, ecgs, beside, length, column in networks(folder)
            for precision in BOUND
            for method in METHODS
        ]
    print(f"{sum(good)} of {len(good)} as explained, in ONNX Runtime {onnxruntime.__version__}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
