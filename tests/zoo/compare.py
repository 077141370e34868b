"""Ten public networks from ONNX through cardiograd, against PyTorch and Captum: writes docs/NETWORKS.md and the README's table. See README.md here.

    python tests/zoo/compare.py target/release/cardiograd [NETWORK ...]
    python tests/zoo/compare.py --write"""

import contextlib
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import captum
import captum.attr as ca
import numpy as np
import onnx
import torch
from torch import nn

import networks

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
ROOT = pathlib.Path(__file__).resolve().parents[2]
FOUND = ROOT / "target/zoo/found"
README = "| network | prediction, f32 | f64 | maps as Captum's | largest difference |"
ECGS, SAMPLES, STEPS = 2, 4, 8
SINGLE, DOUBLE, MAP = 1e-5, 1e-10, 1e-9
METHODS = ["saliency", "smoothgrad", "inputxgradient", "integrated_gradients", "deconvolution", "guided_backprop", "deeplift", "gradient_shap", "guided_gradcam"]
SHORT = dict(zip(METHODS, ["saliency", "SmoothGrad", "input × gradient", "integrated gradients", "deconvolution", "guided backprop", "DeepLIFT", "Gradient SHAP", "guided Grad-CAM"]))
# What Captum's DeepLIFT has hooks for; another bend is passed by its derivative.
HOOKED = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool1d, nn.Softmax)
BENDS = {"Relu", "Sigmoid", "Tanh", "Softplus", "Elu", "Softmax", "Erf", "Gelu", "MaxPool", "LSTM", "GRU", "LeakyRelu"}


class Fault(Exception):
    pass


def cardiograd(program, *arguments):
    run = subprocess.run([program, *map(str, arguments), "--quiet"], capture_output=True, text=True)
    if run.returncode:
        raise Fault(run.stderr.strip().removeprefix("cardiograd: "))
    return run.stderr


def example(shapes, dtype):
    """ECGs of a few waves and noise, in units of about 1; other inputs normal."""
    rng = np.random.default_rng(3)
    all_inputs = []
    for shape in shapes:
        x = rng.normal(size=(ECGS, *shape))
        if len(shape) == 2:
            t = np.arange(shape[1]) / shape[1]
            waves = [np.exp(-0.5 * ((t - rng.uniform(0.1, 0.9, (ECGS, shape[0], 1))) / w) ** 2) * rng.normal(size=(ECGS, shape[0], 1)) for w in (0.01, 0.03, 0.08)]
            x = 0.2 * x + 2 * sum(waves)
        all_inputs.append(torch.from_numpy(x).to(dtype))
    return all_inputs


def export(module, inputs, names, path):
    axes = {name: {0: "n"} for name in [*names, "y"]}
    with contextlib.redirect_stdout(sys.stderr):
        torch.onnx.export(module, tuple(inputs), str(path), opset_version=17, dynamo=False, input_names=names, output_names=["y"], dynamic_axes=axes)


def layers(module, inputs, path):
    """The ReLUs (or convolutions) whose values are signals, last first: as modules for Captum, and the names that ONNX has for them."""
    kind, op = (nn.ReLU, "Relu") if any(isinstance(m, nn.ReLU) for m in module.modules()) else (nn.Conv1d, "Conv")
    called = []
    hooks = [m.register_forward_hook(lambda m, _, y: called.append(m) if y.dim() == 3 else None) for m in module.modules() if isinstance(m, kind)]
    with torch.no_grad():
        module(*inputs)
    [hook.remove() for hook in hooks]
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    rank = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.value_info}
    nodes = [node.output[0] for node in graph.node if node.op_type == op and rank.get(node.output[0], 3) == 3]
    assert len(nodes) == len(called), f"{len(nodes)} nodes {op}, {len(called)} modules"
    return list(zip(called, nodes))[::-1]


def why_captum_is_off(module, path, inputs):
    """Why Captum's DeepLIFT is not complete on a network; empty where it is."""
    graph = onnx.load(path).graph
    bends = [node for node in graph.node if node.op_type in BENDS or node.op_type in {"GlobalMaxPool", "ReduceMax"}]
    hooked = sum(isinstance(m, HOOKED) for m in module.modules())
    why = []
    read = [name for node in graph.node for name in node.input]
    # A pool that is a function is exported as one too, behind those that are modules.
    pools = [node for node in bends if node.op_type == "MaxPool"][: sum(isinstance(m, nn.MaxPool1d) for m in module.modules())]
    shared = [node for node in pools + [node for node in bends if node.op_type == "Relu"] if read.count(node.input[0]) > 1]
    if shared:
        kinds = "max-pool" if all(node.op_type == "MaxPool" for node in shared) else "bend"
        many = f"{len(shared)} {kinds}s share their" if len(shared) > 1 else f"a {kinds} shares its"
        why.append(f"{many} input with other layers, whose gradient the hook on that tensor throws away")
    if any(node.op_type in {"LSTM", "GRU"} for node in bends):
        why.append("it passes recurrent layers by their derivative")
    if any(node.op_type in {"GlobalMaxPool", "ReduceMax"} for node in bends) or any(node.op_type == "MaxPool" and not any(isinstance(m, nn.MaxPool1d) for m in module.modules()) for node in bends):
        why.append("a functional maximum over time has no hook")
    # Two signals multiplied, or norms by a signal's own statistics.
    if any(node.op_type in {"LayerNormalization", "InstanceNormalization"} for node in graph.node):
        why.append("layer norm and attention products are passed by their derivative")
    plain = [n for n in bends if n.op_type not in {"LSTM", "GRU", "GlobalMaxPool", "ReduceMax"}]
    if len(plain) > hooked:
        why.append(f"{len(plain) - hooked} of {len(plain)} bends are functions, not modules")
    return "; ".join(why)


def difference(found, expected):
    """The largest difference as a share of the largest value."""
    scale = max(float(np.abs(expected).max()), np.finfo(float).tiny)
    return float(np.abs(found - expected).max()) / scale


def alive(module, inputs, path):
    """The last layer and the first output whose Grad-CAM is not 0 everywhere, which would agree with anything that is."""
    with torch.no_grad():
        outputs = module(*inputs).shape[1]
    for at, node in layers(module, inputs, path):
        for output in range(outputs):
            cam = ca.LayerGradCam(module, at).attribute(tuple(inputs), target=output, relu_attributions=True)
            if all(float(one.detach().max()) > 0 for one in cam):
                return at, node, output
    raise Fault("Grad-CAM is 0 everywhere")


def captums(module, at, inputs, noise, places, output):
    """The nine methods by Captum, for the ECG and what stands beside it."""
    inputs = tuple(inputs)
    zeros = tuple(torch.zeros_like(x[:1]) for x in inputs)
    base = tuple(torch.zeros_like(x) for x in inputs)
    tuples = lambda found: found if isinstance(found, tuple) else (found,)
    plain = lambda points, absolute=False: tuples(ca.Saliency(module).attribute(points, target=output, abs=absolute))
    mean = lambda parts: tuple(torch.stack(each).mean(0) for each in zip(*parts))
    out = {
        "saliency": plain(inputs),
        "inputxgradient": tuples(ca.InputXGradient(module).attribute(inputs, target=output)),
        "integrated_gradients": tuples(ca.IntegratedGradients(module, multiply_by_inputs=False).attribute(inputs, base, target=output, n_steps=STEPS)),
        "smoothgrad": mean([plain((inputs[0] + e, *inputs[1:]), True) for e in noise]),
        "gradient_shap": mean([plain(tuple(a * x for x in (inputs[0] + e, *inputs[1:]))) for e, a in zip(noise, places)]),
        "deeplift": tuples(ca.DeepLift(module, multiply_by_inputs=False).attribute(inputs, zeros, target=output)),
        "deconvolution": tuples(ca.Deconvolution(module).attribute(inputs, target=output)),
        "guided_backprop": tuples(ca.GuidedBackprop(module).attribute(inputs, target=output)),
    }
    cam = ca.LayerGradCam(module, at).attribute(inputs, target=output, relu_attributions=True)
    cam = ca.LayerAttribution.interpolate(cam, inputs[0].shape[-1], "linear")
    out["guided_gradcam"] = (cam * out["guided_backprop"][0],)
    return {method: [part.detach().numpy() for part in parts] for method, parts in out.items()}


def row(program, key, folder):
    """What was found of one network."""
    entry, found = networks.NETWORKS[key], {"key": key, "program": hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()}
    names, shapes = list(entry.inputs), list(entry.inputs.values())
    # What stands beside the ECG, and its name.
    beside = lambda tag: [part for name in names[1:] for part in ("--beside", f"{name}={folder / f'{name}_{tag}.npy'}")]
    for tag, dtype in [("f32", torch.float32), ("f64", torch.float64)]:
        module, inputs = networks.build(key, 0, dtype), example(shapes, dtype)
        path = folder / f"{key}_{tag}.onnx"
        export(module, inputs, names, path)
        for name, x in zip(names, inputs):
            np.save(folder / f"{name}_{tag}.npy", x.numpy())
        with torch.no_grad():
            y = module(*inputs).double().numpy()
        out = folder / f"{tag}.npz"
        cardiograd(program, "explain", path, "-i", folder / f"{names[0]}_{tag}.npy", *beside(tag), "-m", "saliency", "--column", "all", "--precision", tag, "-o", out)
        found[tag] = difference(np.load(out)["prediction"], y)
    found["parameters"] = sum(p.numel() for p in module.parameters())
    at, node, output = alive(module, inputs, path)
    rng = np.random.default_rng(4)
    noise, places = 0.1 * rng.normal(size=(SAMPLES, *shapes[0])), rng.uniform(size=SAMPLES)
    np.save(folder / "noise.npy", noise), np.save(folder / "places.npy", places)
    usual = ["-i", folder / f"{names[0]}_f64.npy", *beside("f64"), "--column", output, "--precision", "f64"]
    usual += ["--draws", folder / "noise.npy", "--coefficients", folder / "places.npy", "--samples", SAMPLES, "--steps", STEPS]
    usual += ["--quadrature", "captum", "--layer", node, "--interpolation", "linear"]
    expected = captums(module, at, inputs, torch.from_numpy(noise), places, output)
    found["captum"], found["off"] = {}, {}
    why = why_captum_is_off(module, path, inputs)
    for method in METHODS:
        out = folder / "maps.npz"
        try:
            cardiograd(program, "explain", path, *usual, "-m", method, "-o", out)
        except Fault as fault:
            if method in ("deconvolution", "guided_backprop", "guided_gradcam") and "acts nowhere" in str(fault):
                found["off"][method] = "no ReLU: refused by name"
                continue
            raise
        maps = np.load(out)
        ours = [maps[method]] + [maps[f"{method}.{name}"] for name in names[1:] if f"{method}.{name}" in maps]
        assert len(ours) == len(expected[method]), f"{method}: {len(ours)} maps"
        found["captum"][method] = max(difference(a, b) for a, b in zip(ours, expected[method]))
    # Where the two agree there is nothing to excuse.
    if why and found["captum"]["deeplift"] > MAP:
        found["off"]["deeplift"] = why
    cardiograd(program, "explain", path, *usual, "-m", "deeplift", "--max-pool", "exact", "-o", folder / "maps.npz")
    maps, zero = np.load(folder / "maps.npz"), [torch.zeros_like(x[:1]) for x in inputs]
    with torch.no_grad():
        change = (module(*inputs) - module(*zero))[:, output].numpy()
    parts = [maps["deeplift"]] + [maps[f"deeplift.{name}"] for name in names[1:]]
    sums = sum((part * x.numpy()).reshape(ECGS, -1).sum(1) for part, x in zip(parts, inputs))
    found["complete"] = float(np.abs((sums - change) / change).max())
    return found


def verdicts(found):
    """What misses its bar."""
    missed = [f"{tag} {found[tag]:.1e}" for tag, bar in (("f32", SINGLE), ("f64", DOUBLE)) if not found[tag] <= bar]
    missed += [f"{method} {error:.1e}" for method, error in found["captum"].items() if method not in found["off"] and not error <= MAP]
    return missed + ([f"completeness {found['complete']:.1e}"] if not found["complete"] <= MAP else [])


def number(value):
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def worst_of(found):
    """The maps that were compared, and the one that differs most."""
    compared = {method: error for method, error in found["captum"].items() if method not in found["off"]}
    return compared, max(compared, key=compared.get)


def with_table(readme, rows):
    """The README with its table of these rows."""
    head, rest = readme.split(README + "\n")
    tail = rest[rest.index("\n\n") :]
    lines = [README, "|---|---|---|---|---|"]
    for found in rows:
        compared, worst = worst_of(found)
        f32, f64, most = number(found["f32"]), number(found["f64"]), number(compared[worst])
        lines.append(f"| {networks.NETWORKS[found['key']].title} | {f32} | {f64} | {len(compared)} of 9 | {most} |")
    return head + "\n".join(lines) + tail


def document(rows):
    """docs/NETWORKS.md."""
    lines = [
        "# Ten public networks",
        "",
        "Written by `tests/zoo/compare.py` (`tests/zoo/README.md` says how). Each network was built in PyTorch from its public definition, with random weights, exported to",
        f"ONNX in both precisions, and given to `cardiograd explain`. PyTorch {torch.__version__.split('+')[0]}, Captum {captum.__version__}, {ECGS} ECGs, {SAMPLES} samples, {STEPS} steps. An error is",
        "the largest difference as a share of the largest value. Bars: predictions 1e-5 (f32) and 1e-10 (f64), maps and completeness 1e-9 (f64). Net1D, the CRNN and the ViT are",
        "narrower than published, and ECGs have 250 to 1024 samples, so that all ten take minutes; the layers are the published ones.",
        "",
        "| network | parameters | prediction f32 | prediction f64 | maps that Captum gives too | worst of them | DeepLIFT's Σ against f(x) − f(0) |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in rows:
        compared, worst = worst_of(found)
        lines.append(
            f"| {networks.NETWORKS[found['key']].title} | {found['parameters']:,} | {number(found['f32'])} | {number(found['f64'])} | {len(compared)} of 9 | "
            f"{number(compared[worst])} ({SHORT[worst]}) | {number(found['complete'])} |"
        )
    lines += ["", "## Where Captum cannot be compared with, and why", "", "| network | method | why | difference from Captum |", "|---|---|---|---|"]
    for found in rows:
        for method, why in found["off"].items():
            error = found["captum"].get(method)
            lines.append(f"| {networks.NETWORKS[found['key']].title} | {SHORT[method]} | {why} | {'none made' if error is None else number(error)} |")
    lines += [
        "",
        "DeepLIFT: Captum replaces the derivative by the rescale rule in hooks of modules. Bends that are called as functions, products of two signals, norms by a signal's own",
        "statistics and recurrent layers have no hook: it passes them by their derivative, and its maps do not add up. cardiograd acts on the graph; its sums are in the table above,",
        "with `--max-pool exact`. Where a max-pool directly follows a ReLU, `--max-pool captum` (the default) gives Captum's map, which is not complete there.",
        "",
    ]
    return "\n".join(lines)


def main():
    if sys.argv[1:] == ["--write"]:
        rows = [json.loads((FOUND / f"{key}.json").read_text()) for key in networks.NETWORKS]
        if len({found["program"] for found in rows}) > 1:
            sys.exit("the rows are of several builds: one sweep of all ten is wanted")
        (ROOT / "docs/NETWORKS.md").write_text(document(rows))
        readme = ROOT / "README.md"
        readme.write_text(with_table(readme.read_text(), rows))
        return int(any(verdicts(found) for found in rows))
    program, keys = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2:] or list(networks.NETWORKS)
    FOUND.mkdir(parents=True, exist_ok=True)
    missed = False
    for key in keys:
        began = time.time()
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = row(program, key, pathlib.Path(folder))
            except Fault as fault:
                print(f"{key}: {fault}", flush=True)
                missed = True
                continue
        misses = verdicts(found)
        missed |= bool(misses)
        (FOUND / f"{key}.json").write_text(json.dumps(found) + "\n")
        print(f"{key}: {'MISSED ' + ', '.join(misses) if misses else 'within every bar'}, {time.time() - began:.0f} s", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
