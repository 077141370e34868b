"""Reference values for tests/challenge.rs: Captum's infidelity (and max-sensitivity by its definition) on a small convolutional network for regression,
scikit-image's structural similarity, SciPy's rank correlation, and ROAD's linear system solved by NumPy.

python reference.py > reference.json    (torch, captum, scikit-image, scipy, numpy)
"""

import json
import sys

import captum
import numpy as np
import scipy.stats
import skimage
import torch
from captum.attr import Saliency
from captum.metrics import infidelity
from skimage.metrics import structural_similarity

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(2, 3, 3, padding=1)
        self.fc = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean(2))


def exact(array):
    """Values that single precision holds exactly, so that both sides read the same numbers."""
    return torch.tensor(np.asarray(array, dtype=np.float32).astype(np.float64))


net = Small()
for parameter in net.parameters():
    parameter.data = exact(parameter.data.numpy() * 2)
x = exact(torch.randn(1, 2, 12).numpy() * 3)
noise = exact(torch.randn(6, 2, 12).numpy() * 0.5)
near = exact((torch.rand(5, 2, 12).numpy() * 2 - 1) * 0.7)


def saliency(inputs):
    if isinstance(inputs, tuple):
        (inputs,) = inputs
    return Saliency(net).attribute(inputs, target=0, abs=False)


def perturb(inputs, *_):
    return noise, inputs - noise


def one_value(inputs):
    return net(inputs)[:, 0]


gradient = saliency(x).detach()
other = exact(torch.randn(1, 2, 12).numpy())
common = dict(n_perturb_samples=6, max_examples_per_batch=None)
raw = {name: infidelity(one_value, perturb, x, map_, **common).item() for name, map_ in [("gradient", gradient), ("other", other)]}
scaled = {name: infidelity(one_value, perturb, x, map_, normalize=True, **common).item() for name, map_ in [("gradient", gradient), ("other", other)]}


# Captum's sensitivity_max by its definition: the largest relative Frobenius distance.
moved = saliency(x.repeat(5, 1, 1) + near).detach()
sensitivity = max((torch.norm(m - gradient[0]) / torch.norm(gradient)).item() for m in moved)

rng = np.random.default_rng(3)
series = [np.round(rng.normal(size=40), 3) for _ in range(2)]
series[1] = np.round(series[0] * 0.6 + 0.4 * series[1], 3)
similarity = structural_similarity(*series, win_size=11, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=2.0)
tied = [np.round(s, 0) for s in series]

signal = np.round(rng.normal(size=20), 3)
missing = [2, 3, 4, 9, 11, 12, 18, 19]
system, right = np.eye(20), signal.copy()
for t in missing:
    sides = [s for s in (t - 1, t + 1) if 0 <= s < 20]
    system[t, sides] = -1 / len(sides)
    right[t] = 0
imputed = np.linalg.solve(system, right)

json.dump(
    {
        "versions": {"torch": torch.__version__, "captum": captum.__version__, "skimage": skimage.__version__, "scipy": scipy.__version__},
        "parameters": {name: value.flatten().tolist() for name, value in net.state_dict().items()},
        "x": x.flatten().tolist(),
        "noise": noise.flatten(1).tolist(),
        "near": near.flatten(1).tolist(),
        "gradient": gradient.flatten().tolist(),
        "other": other.flatten().tolist(),
        "infidelity": raw,
        "infidelity_scaled": scaled,
        "sensitivity_max": sensitivity,
        "series": [s.tolist() for s in series],
        "ssim": similarity,
        "spearman": scipy.stats.spearmanr(*series).statistic,
        "spearman_tied": scipy.stats.spearmanr(*tied).statistic,
        "signal": signal.tolist(),
        "missing": missing,
        "imputed": imputed.tolist(),
    },
    sys.stdout,
)
