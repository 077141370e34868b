"""Makes the reference results in oracles/{residual,mixed,reused}: small networks with PyTorch, their maps with Captum, in float64.

    pip install torch==2.15.0 captum==0.9.0 safetensors==0.8.0 numpy==2.4.6
    python make_oracles.py

Each folder holds `program.json` (the network as cardiograd reads it), `model.safetensors` (its state dict) and `expected.safetensors`
(x, noise, coefficients in float32, every result in float64).

- residual: a narrow StevenNet (the study's network), kernels of 50 with 'same' padding.
- mixed: stride, dilation, asymmetric padding, leaky ReLU, tanh, sigmoid, max-pooling, concatenation, flatten.
- reused: one convolution read twice and ReLUs called as functions. Captum refuses a module that is used twice and passes by functional
  ReLUs, so it is asked about an unrolled copy with a module for every use; a second computation, by autograd functions written here,
  must agree.
"""

import json
import pathlib

import captum.attr as ca
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent / "oracles"
LEADS, LENGTH, ECGS = 12, 100, 2


def ecgs(rng):
    """Waves of a beat, in microvolts, with other heights in each lead."""
    t = np.arange(LENGTH)
    x = np.zeros((ECGS, LEADS, LENGTH))
    for centre, width, height in [(25, 6, 120), (45, 1.5, -90), (48, 2, 900), (52, 2, -250), (75, 8, 260)]:
        scale = rng.normal(1, 0.6, (ECGS, LEADS, 1))
        x += scale * height * np.exp(-0.5 * ((t - centre - rng.normal(0, 2, (ECGS, 1, 1))) / width) ** 2)
    return torch.from_numpy((x + rng.normal(0, 8, x.shape)).astype(np.float32))


def shake(model, seed):
    """Weights and batch-norm statistics that are not PyTorch's initial ones."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
    for bn in [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)][:1]:
        bn.running_var.mul_(1e4)  # the first one sees microvolts
    return model.float().eval()


class Writer:
    """program.json, node by node."""

    def __init__(self):
        self.nodes = [{"name": "x", "op": {"input": {"shape": [LEADS, LENGTH]}}}]

    def add(self, name, op, *inputs):
        self.nodes.append({"name": name, "op": op, "inputs": list(inputs)})
        return name

    def parameter(self, name, shape, trainable=True):
        if all(node["name"] != name for node in self.nodes):
            self.nodes.append({"name": name, "op": {"parameter": {"shape": list(shape), "trainable": trainable}}})
        return name

    def layer(self, name, module, x, node=None, pads=None):
        weights = [self.parameter(f"{name}.{part}", p.shape) for part, p in module.named_parameters()]
        if isinstance(module, nn.BatchNorm1d):
            weights += [self.parameter(f"{name}.{part}", p.shape, False) for part, p in module.named_buffers() if p.ndim]
            op = {"batch_norm": {"eps": module.eps, "momentum": module.momentum}}
        elif isinstance(module, nn.Linear):
            op = "linear"
        else:
            if pads is None:
                every = module.dilation[0] * (module.kernel_size[0] - 1)
                pads = [every // 2, every - every // 2] if module.padding == "same" else [module.padding[0]] * 2
            op = {"conv1d": {"stride": module.stride[0], "dilation": module.dilation[0], "padding": pads}}
        return self.add(node or name, op, x, *weights)

    def write(self, folder, output):
        (folder / "program.json").write_text(json.dumps({"nodes": self.nodes, "output": output}, indent=1) + "\n")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [("init_block", 12, 8, 6, 8, 3), ("block1", 6, 8, 6, 50, 50), ("block2", 6, 8, 6, 50, 50)]
        for name, a, b, c, k1, k2 in sizes:
            block = nn.Module()
            block.conv1, block.bn1, block.relu1 = nn.Conv1d(a, b, k1, padding="same"), nn.BatchNorm1d(b), nn.ReLU()
            block.conv2, block.bn2, block.relu2 = nn.Conv1d(b, c, k2, padding="same"), nn.BatchNorm1d(c), nn.ReLU()
            setattr(self, name, block)
        self.pool, self.fc1 = nn.AvgPool1d(2), nn.Linear(6, 1)

    @staticmethod
    def block(block, x):
        x = block.relu1(block.bn1(block.conv1(x)))
        return block.relu2(block.bn2(block.conv2(x)))

    def forward(self, x):
        x = self.pool(self.block(self.init_block, x))
        x = self.block(self.block1, x) + x
        x = self.block(self.block2, x) + x
        return self.fc1(x.mean(-1))

    def write(self, folder):
        w = Writer()
        x = "x"
        for name in ["init_block", "block1", "block2"]:
            entry, block = x, getattr(self, name)
            for half in "12":
                x = w.layer(f"{name}.conv{half}", getattr(block, f"conv{half}"), x)
                x = w.layer(f"{name}.bn{half}", getattr(block, f"bn{half}"), x)
                x = w.add(f"{name}.relu{half}", "relu", x)
            if name == "init_block":
                x = w.add("pool", {"avg_pool1d": {"window": 2, "stride": 2}}, x)
            else:
                x = w.add(f"{name}.add", "add", x, entry)
        x = w.add("global_pool", "global_avg_pool", x)
        w.write(folder, w.layer("fc1", self.fc1, x))

    gradcam = "block2.conv2"


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.bn = nn.Conv1d(12, 8, 7, stride=2, padding=3, bias=False), nn.BatchNorm1d(8)
        self.leaky = nn.LeakyReLU(0.1)
        self.wide = nn.Conv1d(8, 6, 4, dilation=3)
        self.pad = nn.ConstantPad1d((2, 7), 0.0)
        self.tanh = nn.Tanh()
        self.near, self.sigmoid = nn.Conv1d(8, 6, 3, padding=1), nn.Sigmoid()
        self.pool = nn.MaxPool1d(2)
        self.last, self.relu = nn.Conv1d(12, 5, 5, padding=2), nn.ReLU()
        self.fc = nn.Linear(5 * 25, 1)

    def forward(self, x):
        x = self.leaky(self.bn(self.stem(x)))
        x = torch.cat([self.tanh(self.wide(self.pad(x))), self.sigmoid(self.near(x))], 1)
        return self.fc(self.relu(self.last(self.pool(x))).flatten(1))

    def write(self, folder):
        w = Writer()
        x = w.layer("bn", self.bn, w.layer("stem", self.stem, "x"))
        x = w.add("leaky", {"leaky_relu": {"slope": 0.1}}, x)
        wide = w.add("tanh", "tanh", w.layer("wide", self.wide, x, pads=[2, 7]))
        near = w.add("sigmoid", "sigmoid", w.layer("near", self.near, x))
        x = w.add("pool", {"max_pool1d": {"window": 2, "stride": 2}}, w.add("concat", "concat", wide, near))
        x = w.add("flatten", "flatten", w.add("relu", "relu", w.layer("last", self.last, x)))
        w.write(folder, w.layer("fc", self.fc, x))

    gradcam = "last"


class Reused(nn.Module):
    """stem, then the same convolution twice with a skip around the second; every ReLU is a function."""

    def __init__(self):
        super().__init__()
        self.stem, self.bn = nn.Conv1d(12, 7, 9, padding="same"), nn.BatchNorm1d(7)
        self.again = nn.Conv1d(7, 7, 6, padding="same")
        self.fc = nn.Linear(7, 1)

    def through(self, x, relu):
        x = relu(self.bn(self.stem(x)), "relu0")
        x = relu(self.again(x), "relu1")
        x = x + relu(self.again(x), "relu2")
        return self.fc(x.mean(-1))

    def forward(self, x):
        return self.through(x, lambda x, _: F.relu(x))

    def write(self, folder):
        w = Writer()
        x = w.add("relu0", "relu", w.layer("bn", self.bn, w.layer("stem", self.stem, "x")))
        x = w.add("relu1", "relu", w.layer("again", self.again, x, node="again.first"))
        y = w.add("relu2", "relu", w.layer("again", self.again, x, node="again.second"))
        x = w.add("global_pool", "global_avg_pool", w.add("add", "add", x, y))
        w.write(folder, w.layer("fc", self.fc, x))

    gradcam = "again_second"


class Unrolled(nn.Module):
    """The same function with a module for every use, as Captum needs it."""

    def __init__(self, model):
        super().__init__()
        self.stem, self.bn, self.fc = model.stem, model.bn, model.fc
        self.again_first, self.again_second = nn.Conv1d(7, 7, 6, padding="same"), nn.Conv1d(7, 7, 6, padding="same")
        for copy in [self.again_first, self.again_second]:
            copy.load_state_dict(model.again.state_dict())
        self.relu0, self.relu1, self.relu2 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        x = self.relu1(self.again_first(self.relu0(self.bn(self.stem(x)))))
        x = x + self.relu2(self.again_second(x))
        return self.fc(x.mean(-1))


def by_hand(model, x, base, rule):
    """The gradient with another derivative at every ReLU: rule(grad, z, z0)."""

    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z, z0):
            ctx.save_for_backward(z, z0)
            return z.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return rule(g, *ctx.saved_tensors), None

    seen = {}
    with torch.no_grad():
        model.through(base, lambda z, name: F.relu(seen.setdefault(name, z)))
    x = x.clone().requires_grad_()
    model.through(x, lambda z, name: Relu.apply(z, seen[name].expand_as(z))).sum().backward()
    return x.grad


def gradient(model, x):
    x = x.detach().clone().requires_grad_()
    model(x).sum().backward()
    return x.grad


def results(model, layer, x, noise, coefficients):
    base = torch.zeros_like(x[:1])
    mean = x.mean(-1, keepdim=True).expand_as(x).contiguous()
    out = {
        "prediction": model(x).detach(),
        "saliency": ca.Saliency(model).attribute(x, abs=False),
        "inputxgradient": ca.InputXGradient(model).attribute(x),
        "deconvolution": ca.Deconvolution(model).attribute(x),
        "guided_backprop": ca.GuidedBackprop(model).attribute(x),
    }
    for suffix, multiply in [("_multipliers", False), ("", True)]:
        out[f"deeplift{suffix}"] = ca.DeepLift(model, multiply_by_inputs=multiply).attribute(x, base)
        out[f"integrated_gradients{suffix}"] = ca.IntegratedGradients(model, multiply_by_inputs=multiply).attribute(x, base, n_steps=50)
    out["deeplift_mean_baseline"] = ca.DeepLift(model, multiply_by_inputs=True).attribute(x, mean)
    cam = ca.LayerGradCam(model, layer).attribute(x, relu_attributions=True)
    out["gradcam"] = ca.LayerAttribution.interpolate(cam, LENGTH, "linear")
    out["guided_gradcam"] = out["gradcam"] * out["guided_backprop"]
    smooth = [gradient(model, x + e) for e in noise[:25]]
    out["smoothgrad"] = torch.stack([g.abs() for g in smooth]).mean(0)
    out["smoothgrad_signed"] = torch.stack(smooth).mean(0)
    shap = [(gradient(model, a * (x + e)), x + e) for e, a in zip(noise, coefficients)]
    out["gradient_shap_multipliers"] = torch.stack([g for g, _ in shap]).mean(0)
    out["gradient_shap"] = torch.stack([g * end for g, end in shap]).mean(0)
    return {f"f64.{name}": value.detach().contiguous() for name, value in out.items()}


def check_by_hand(model, x, found):
    base = torch.zeros_like(x[:1])
    mean = x.mean(-1, keepdim=True).expand_as(x)
    rescale = lambda g, z, z0: g * torch.where((z - z0).abs() < 1e-10, (z > 0).to(z), (F.relu(z) - F.relu(z0)) / (z - z0))
    rules = {
        "saliency": (base, lambda g, z, _: g * (z > 0)),
        "deconvolution": (base, lambda g, z, _: F.relu(g)),
        "guided_backprop": (base, lambda g, z, _: F.relu(g) * (z > 0)),
        "deeplift_multipliers": (base, rescale),
        "deeplift_mean_baseline": (mean, rescale),
    }
    for name, (reference, rule) in rules.items():
        expected = by_hand(model, x, reference, rule)
        if name == "deeplift_mean_baseline":
            expected = expected * (x - mean)
        error = (found[f"f64.{name}"] - expected).norm() / expected.norm()
        assert error < 1e-12, f"{name}: Captum on the unrolled copy and the hand computation differ by {error}"


def main():
    for seed, (name, kind) in enumerate([("residual", Residual), ("mixed", Mixed), ("reused", Reused)], 1):
        folder = HERE / name
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        model = shake(kind(), seed)
        model.write(folder)
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
        x = ecgs(rng)
        noise = torch.from_numpy((0.02 * float(x.max() - x.min()) * rng.normal(size=(50, LEADS, LENGTH))).astype(np.float32))
        coefficients = torch.from_numpy(rng.uniform(size=50).astype(np.float32))
        model = model.double()
        asked = Unrolled(model).double().eval() if name == "reused" else model
        found = results(asked, asked.get_submodule(kind.gradcam), x.double(), noise.double(), coefficients.double())
        assert torch.allclose(found["f64.prediction"], model(x.double()), rtol=1e-13)
        if name == "reused":
            check_by_hand(model, x.double(), found)
        save_file({"x": x, "noise": noise, "coefficients": coefficients, **found}, folder / "expected.safetensors")
        print(name, {k: float(v.abs().max()) for k, v in found.items()})


if __name__ == "__main__":
    main()
