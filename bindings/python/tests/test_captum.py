"""The cells of a Captum tutorial on 1-D data against Captum itself; without PyTorch and Captum, against the library's own maps."""

import numpy as np
import pytest

import cardiograd
from cardiograd import captum as ours


def test_faces_over_a_model_give_the_library_s_maps(model, x):
    for face, method, settings in (
        (ours.Deconvolution(model), "deconvolution", {}),
        (ours.GuidedBackprop(model), "guided_backprop", {}),
        (ours.InputXGradient(model), "inputxgradient", {}),
        (ours.Saliency(model), "saliency", {"absolute": True}),
        (ours.DeepLift(model), "deeplift", {"multiply_by_inputs": True}),
        (ours.IntegratedGradients(model), "integrated_gradients", {"multiply_by_inputs": True, "quadrature": "captum"}),
        (ours.GuidedGradCam(model, "model.11"), "guided_gradcam", {"layer": "model.11", "interpolation": "nearest"}),
    ):
        assert face.attribute(x).tobytes() == model.explain(x, method, **settings)[method].tobytes(), method
    maps, delta = ours.DeepLift(model).attribute((x,), baselines=x[::-1].copy(), target=0, return_convergence_delta=True)
    np.testing.assert_allclose(maps[0].sum(axis=(1, 2)), model.predict(x) - model.predict(x[::-1]), atol=0.1)
    assert delta.shape == (2,)
    noisy = ours.NoiseTunnel(ours.Saliency(model)).attribute(x, nt_samples=3, stdevs=20.0)
    assert noisy.shape == x.shape and (noisy >= 0).all()
    # Without noise, and from the ECG itself, there is nothing to attribute.
    assert not ours.GradientShap(model).attribute(x[:1], x[:1], n_samples=3).any()
    with pytest.raises(ValueError, match="2 inputs"):
        ours.Saliency(model).attribute((x, x))


def test_captum_s_cells():
    torch = pytest.importorskip("torch")
    attr = pytest.importorskip("captum.attr")
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv1d(12, 8, 9, padding=4)
            self.norm = torch.nn.BatchNorm1d(8)
            self.relu1 = torch.nn.ReLU()
            self.conv2 = torch.nn.Conv1d(8, 6, 5, stride=2)
            self.relu2 = torch.nn.ReLU()
            self.pool = torch.nn.AdaptiveAvgPool1d(1)
            self.fc = torch.nn.Linear(6, 3)

        def forward(self, x):
            x = self.relu1(self.norm(self.conv1(x)))
            return self.fc(self.pool(self.relu2(self.conv2(x))).flatten(1))

    net = Net().double().eval()
    x = torch.randn(3, 12, 80, dtype=torch.float64)
    base = torch.randn(3, 12, 80, dtype=torch.float64)
    target = torch.tensor([0, 2, 1])

    def same(name, *arguments, make=(), **settings):
        theirs = getattr(attr, name)(net, *make).attribute(x.clone().requires_grad_(), *arguments, **settings)
        found = getattr(ours, name)(net, *make).attribute(x, *arguments, **settings)
        assert isinstance(found, torch.Tensor) and found.dtype == x.dtype
        size = theirs.abs().max()
        # Weights are f32 in a model: the module's, exported, are rounded to it.
        assert (found - theirs.detach()).abs().max() < 2e-4 * size, name

    same("Saliency", target=target)
    same("InputXGradient", target=1)
    same("Deconvolution", target=target)
    same("GuidedBackprop", target=target)
    same("DeepLift", base, target=target)
    same("IntegratedGradients", base, target=2, n_steps=20)
    same("GuidedGradCam", make=(net.conv2,), target=1)
    model = cardiograd.Model.from_torch(net, x)
    np.testing.assert_allclose(model.predict(x, column="all"), net(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="3 outputs"):
        model.predict(x)
