"""Reference values for tests/challenge.rs from the peers' own calls, on the network of reference.json: Captum's infidelity, sensitivity_max and Occlusion,
Quantus's RelevanceMassAccuracy, PixelFlipping, MPRT (model parameter randomisation) and ROAD's imputation.

python peers.py > peers.json    (torch, captum, quantus, numpy; single precision where a peer casts to it)
"""

import json
import pathlib
import sys

import captum
import numpy as np
import quantus
import torch
from captum.attr import Occlusion
from captum.metrics import sensitivity_max

reference = json.loads((pathlib.Path(__file__).parent / "reference.json").read_text())


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(2, 3, 3, padding=1)
        self.fc = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean(2))


def loaded(dtype=torch.float32):
    net = Small().to(dtype).eval()
    for name, value in net.state_dict().items():
        value.copy_(torch.tensor(reference["parameters"][name], dtype=dtype).reshape(value.shape))
    return net


def product(model, inputs, targets=None, **_):
    """Input × gradient, as Quantus asks for it."""
    x = torch.as_tensor(np.asarray(inputs)).to(next(model.parameters()).dtype).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    return (x * gradient).detach().numpy()


x = np.array(reference["x"], dtype=np.float32).reshape(1, 2, 12)
y = np.zeros(1, dtype=int)
rng = np.random.default_rng(11)
value = rng.normal(size=(1, 2, 12)).astype(np.float32).round(2)

# Captum in double precision.
double = loaded(torch.float64)
xd = torch.tensor(x, dtype=torch.float64)
near = torch.tensor(reference["near"], dtype=torch.float64).reshape(5, 2, 12)


def gradient(inputs):
    (inputs,) = inputs if isinstance(inputs, tuple) else (inputs,)
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        return (torch.autograd.grad(double(inputs)[:, 0].sum(), inputs)[0],)


sensitivity = sensitivity_max(gradient, xd, perturb_func=lambda inputs, radius=None: xd + near, n_perturb_samples=5)
occlusion = {}
for name, baseline in [("zero", torch.zeros_like(xd)), ("mean", xd.mean(2, keepdim=True).expand_as(xd)), ("value", torch.tensor(value, dtype=torch.float64))]:
    occlusion[name] = Occlusion(double).attribute(xd, sliding_window_shapes=(1, 4), strides=(1, 2), baselines=baseline, target=0).flatten().tolist()

# Quantus.
net = loaded()
common = dict(disable_warnings=True, display_progressbar=False, abs=True, normalise=False)
maps = product(net, x)
inside = np.zeros((1, 2, 12))
inside[0, 1, 3:8] = 1
# Quantus takes masks of one channel only: the leads stand behind one another.
row = (1, 1, 24)
mass = quantus.RelevanceMassAccuracy(**common)(
    model=None, x_batch=x.reshape(row), y_batch=y, a_batch=maps.reshape(row), s_batch=inside.reshape(row), device="cpu"
)
flipping = {}
for name, donor in [("zero", np.zeros_like(x)), ("value", value)]:

    def put(arr, indices, indexed_axes=None, donor=donor, **_):
        out = np.array(arr)
        flat, from_ = out.reshape(-1), donor.reshape(-1)
        flat[np.asarray(indices).reshape(-1)] = from_[np.asarray(indices).reshape(-1)]
        return flat.reshape(arr.shape)

    curve = quantus.PixelFlipping(features_in_step=1, perturb_func=put, **common)
    flipping[name] = curve(model=net, x_batch=x, y_batch=y, a_batch=maps, softmax=False, device="cpu")

# MPRT: the layers as Quantus draws them anew, from the output on, and its rank correlation of the maps.
mprt = quantus.MPRT(
    layer_order="top_down", similarity_func=quantus.similarity_func.correlation_spearman, skip_layers=False, return_average_correlation=False,
    disable_warnings=True, display_progressbar=False, abs=False, normalise=False,
)
scores = mprt(model=loaded(), x_batch=x, y_batch=y, explain_func=product, device="cpu", softmax=False)
wrapped = quantus.helpers.utils.get_wrapped_model(model=loaded(), channel_first=True, softmax=False, device="cpu")
stages = []
for name, changed in wrapped.get_random_layer_generator(order="top_down", seed=mprt.seed):
    parameters = {key: v.flatten().tolist() for key, v in changed.state_dict().items()}
    stages.append({"layer": name, "parameters": parameters, "spearman": float(scores[name][0])})

# ROAD's imputation is made for images: a lead is an image of one row. Without noise.
signal, missing = np.array(reference["signal"]).reshape(1, 1, -1), np.array(reference["missing"])
imputed = quantus.perturb_func.noisy_linear_imputation(signal.copy(), missing, noise=0.0)

json.dump(
    {
        "versions": {"torch": torch.__version__, "captum": captum.__version__, "quantus": quantus.__version__, "numpy": np.__version__},
        "value": value.flatten().tolist(),
        "sensitivity_max": sensitivity.item(),
        "occlusion": occlusion,
        "product": maps.flatten().tolist(),
        "mass": {"lead": 1, "from": 3, "to": 8, "share": float(mass[0])},
        "flipping": {name: curve[0] for name, curve in flipping.items()},
        "prediction": net(torch.tensor(x)).item(),
        "mprt": stages,
        "imputed": imputed.flatten().tolist(),
    },
    sys.stdout,
    default=float,
)
