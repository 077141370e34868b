"""See run.sh. Prints one line a network and method: the relative L2 error over all ECGs; fails above 1e-5 (or the wider bound below)."""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

PROGRAM = os.environ["CARDIOGRAD"]
DATA = pathlib.Path(__file__).parent.parent / "data" / "onnx"
BOUND = 1e-5
# Two engines round differently: a maximum that flips at one of many points moves a sum over points, and LRP-epsilon divides by values near zero.
WIDER = {"integrated_gradients": 5e-4, "lrp_epsilon": 1e-3}
ECGS = 10
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
    """Three networks with ten ECGs each: the study's two, trained for an epoch, and one of ONNX with a join, a gate and upsampling."""
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
        yield arch, folder / f"{arch}.cgm", folder / "beats.npy", []
    np.save(folder / "noise.npy", np.random.default_rng(1).normal(size=(ECGS, 3, 40)).astype(np.float32))
    yield "branches", DATA / "branches_18_dynamo.onnx", folder / "noise.npy", ["--length", 40]


def compare(folder, name, model, ecgs, length, method):
    graph, maps = folder / "map.onnx", folder / "maps.npz"
    for old in [graph, maps, pathlib.Path(f"{maps}.provenance.json")]:
        old.unlink(missing_ok=True)
    try:
        run("export", model, "-m", *method, *length, "-o", graph)
    except RuntimeError as error:
        print(f"{name:<13} {' '.join(method):<60} refused: {error}")
        return "refused" in str(error) or "acts nowhere" in str(error)
    run("explain", model, "-i", ecgs, "-m", *method, "--any-amplitude", "--any-length", "-o", maps)
    ours, x = np.load(maps), np.load(ecgs)
    run_ = session(graph)
    feeds = {"ecg": x}
    if len(run_.get_inputs()) == 2:
        feeds["baseline"] = np.zeros_like(x[:1])
    prediction, found = run_.run(["prediction", "map"], feeds)
    wanted = ours[method[0]]
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    apart = np.abs(prediction.ravel() - ours["prediction"].ravel()).max() / np.abs(prediction).max()
    # Deconvolution looks at no forward value: without maxima its map is the same for every ECG.
    differ = method[0] == "deconvolution" or not np.array_equal(found[0], found[1])
    one = run_.run(["map"], {**feeds, "ecg": x[1:2]})[0]
    alone = np.linalg.norm(one[0] - found[1]) / np.linalg.norm(found[1])
    good = error <= WIDER.get(method[0], BOUND) and apart <= BOUND and differ and alone <= BOUND
    print(f"{name:<13} {' '.join(method):<60} map {error:.1e}  prediction {apart:.1e}  alone {alone:.1e}{'' if good else '  FAILED'}")
    return good


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        good = [
            compare(folder, name, model, ecgs, length, method)
            for name, model, ecgs, length in networks(folder)
            for method in METHODS
        ]
    print(f"{sum(good)} of {len(good)} as explained, in ONNX Runtime {onnxruntime.__version__}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
