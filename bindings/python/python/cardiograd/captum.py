"""The faces of Captum's classes over cardiograd: a notebook changes one import.

``from cardiograd.captum import DeepLift`` instead of ``from captum.attr import DeepLift``: then ``DeepLift(model).attribute(inputs, baselines=…, target=…)``
takes a PyTorch module (or a :class:`cardiograd.Model`) and tensors (or arrays) and gives tensors (or arrays). Maps agree with Captum's, and where Captum
refuses (layers used twice) or is silently wrong (functional ReLUs) they are right. Inputs are of channels and time, (N, C, L). Methods that draw
(:class:`NoiseTunnel`, :class:`GradientShap`) draw from ``seed``, not from PyTorch's generator.

Modules are exported once, at the first call; what is trained afterwards is not seen: make a new object then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import numbers
from ._model import Model

__all__ = [
    "DeepLift",
    "Deconvolution",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCam",
    "InputXGradient",
    "IntegratedGradients",
    "NoiseTunnel",
    "Saliency",
]


class _Attribution:
    _method = ""

    def __init__(self, model: Any) -> None:
        self.forward_func = model
        self._model = model if isinstance(model, Model) else None

    def _ready(self, inputs: Any) -> Model:
        if self._model is None:
            self._model = Model.from_torch(self.forward_func, inputs)
        return self._model

    def _maps(self, inputs: Any, target: Any, method: str | None = None, baselines: Any = None, **settings: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Maps (N, C, L) of an array of ECGs, and Σ map − (f(x) − f(baseline)) by ECG where the method promises 0."""
        model, method = self._ready(inputs), method or self._method
        x = numbers(inputs, "inputs")
        x = x[None] if x.ndim == 2 else x
        double = x.dtype == np.float64
        asked = {"precision": "f64" if double else "f32", "any_length": True, "any_amplitude": True, **settings}
        parts = []
        for ecgs, column, baseline in _alike(x, target, baselines):
            compared = {} if baseline is None else {"baseline": baseline}
            found = model.explain(x[ecgs], method, column=column, ids=ecgs, **compared, **asked)
            complete = found.completeness.get(method)
            parts.append((ecgs, found[method], None if complete is None else complete.sum - complete.difference))
        order = np.argsort(np.concatenate([ecgs for ecgs, _, _ in parts]))
        maps = np.concatenate([maps for _, maps, _ in parts])[order]
        deltas = None if parts[0][2] is None else np.concatenate([delta for _, _, delta in parts])[order]
        return maps, deltas

    def _given(self, inputs: Any, value: np.ndarray) -> Any:
        """An array as what the inputs were."""
        if hasattr(inputs, "detach"):
            import torch

            return torch.from_numpy(np.ascontiguousarray(value)).to(device=inputs.device, dtype=inputs.dtype if inputs.is_floating_point() else None)
        return value


def _only(inputs: Any) -> tuple[Any, bool]:
    if isinstance(inputs, tuple):
        if len(inputs) != 1:
            raise ValueError(f"{len(inputs)} inputs: networks of one input are explained")
        return inputs[0], True
    return inputs, False


def _alike(x: np.ndarray, target: Any, baselines: Any) -> list[tuple[list[int], int | None, np.ndarray | None]]:
    """ECGs that are explained together: of one output and one baseline."""
    if hasattr(target, "detach"):
        target = target.detach().cpu().numpy()
    if isinstance(target, tuple):
        if len(target) != 1:
            raise ValueError("target: outputs of one axis are explained, a number is expected")
        target = target[0]
    targets = [None if target is None else int(target)] * len(x) if np.ndim(target) == 0 else [int(one) for one in np.ravel(target)]
    if len(targets) == 1:
        targets *= len(x)
    if len(targets) != len(x):
        raise ValueError(f"{len(targets)} targets are given for {len(x)} ECGs")
    baselines = baselines[0] if isinstance(baselines, tuple) else baselines
    base: np.ndarray | None = None
    if baselines is not None and not (np.isscalar(baselines) and baselines == 0):
        base = numbers(baselines, "baselines")
        base = np.broadcast_to(base, x.shape) if base.ndim < 3 or len(base) == 1 else base
        if base.shape != x.shape:
            raise ValueError(f"baselines: shape {x.shape}, or of one ECG, is expected, found {base.shape}")
    groups: dict[tuple[int | None, bytes], list[int]] = {}
    for at, column in enumerate(targets):
        groups.setdefault((column, b"" if base is None else base[at].tobytes()), []).append(at)
    return [(ecgs, column, None if base is None else np.ascontiguousarray(base[ecgs[0]])) for (column, _), ecgs in groups.items()]


class _Plain(_Attribution):
    def attribute(self, inputs: Any, target: Any = None, additional_forward_args: None = None) -> Any:
        """Maps of the shape of ``inputs``, (N, C, L), for output ``target`` (a number, one an ECG, or None for a network of one)."""
        _no_more(additional_forward_args)
        x, in_tuple = _only(inputs)
        found = self._given(x, self._shaped(x, self._maps(x, target)[0]))
        return (found,) if in_tuple else found

    @staticmethod
    def _shaped(inputs: Any, maps: np.ndarray) -> np.ndarray:
        return maps.reshape(np.shape(inputs))


def _no_more(arguments: Any) -> None:
    if arguments is not None:
        raise ValueError("additional_forward_args: networks of one input are explained")


class Saliency(_Plain):
    """The gradient, its absolute value unless ``abs=False`` (Simonyan et al. 2014)."""

    _method = "saliency"

    def attribute(self, inputs: Any, target: Any = None, abs: bool = True, additional_forward_args: None = None) -> Any:  # noqa: A002
        """Maps of the shape of ``inputs``, (N, C, L)."""
        _no_more(additional_forward_args)
        x, in_tuple = _only(inputs)
        found = self._given(x, self._shaped(x, self._maps(x, target, absolute=bool(abs))[0]))
        return (found,) if in_tuple else found


class InputXGradient(_Plain):
    """Gradient × input (Shrikumar et al. 2017)."""

    _method = "inputxgradient"


class Deconvolution(_Plain):
    """Positive gradients through every ReLU (Zeiler & Fergus 2014)."""

    _method = "deconvolution"


class GuidedBackprop(_Plain):
    """Positive gradients through ReLUs that were open (Springenberg et al. 2015)."""

    _method = "guided_backprop"


class _Compared(_Plain):
    def __init__(self, model: Any, multiply_by_inputs: bool = True, **_: Any) -> None:
        super().__init__(model)
        self.multiply_by_inputs = multiply_by_inputs

    def _against(self, inputs: Any, baselines: Any, target: Any, return_convergence_delta: bool, **settings: Any) -> Any:
        x, in_tuple = _only(inputs)
        maps, deltas = self._maps(x, target, None, baselines, multiply_by_inputs=self.multiply_by_inputs, **settings)
        found = self._given(x, self._shaped(x, maps))
        found = (found,) if in_tuple else found
        return (found, self._given(x, deltas)) if return_convergence_delta else found


class DeepLift(_Compared):
    """The rescale rule against a baseline (Shrikumar et al. 2017)."""

    _method = "deeplift"

    def attribute(
        self, inputs: Any, baselines: Any = None, target: Any = None, additional_forward_args: None = None, return_convergence_delta: bool = False
    ) -> Any:
        """Maps of the shape of ``inputs``, (N, C, L), against ``baselines`` (None or 0 for zeros, one ECG, or one an ECG)."""
        _no_more(additional_forward_args)
        return self._against(inputs, baselines, target, return_convergence_delta)


class IntegratedGradients(_Compared):
    """The mean gradient on the way from a baseline (Sundararajan et al. 2017), at Gauss–Legendre points."""

    _method = "integrated_gradients"

    def attribute(
        self,
        inputs: Any,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: None = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        """Maps of the shape of ``inputs``, (N, C, L), against ``baselines``; ``internal_batch_size`` changes nothing."""
        _no_more(additional_forward_args)
        if method != "gausslegendre":
            raise ValueError(f"method is {method!r}: gausslegendre is what there is")
        return self._against(inputs, baselines, target, return_convergence_delta, steps=n_steps, quadrature="captum")


class GradientShap(_Compared):
    """Expected gradients on random paths from random baselines to the ECG with noise (Lundberg & Lee 2017)."""

    _method = "gradient_shap"

    def attribute(
        self,
        inputs: Any,
        baselines: Any,
        n_samples: int = 5,
        stdevs: float = 0.0,
        target: Any = None,
        additional_forward_args: None = None,
        return_convergence_delta: bool = False,
        seed: int = 0,
    ) -> Any:
        """Maps of the shape of ``inputs``, (N, C, L): the mean over ``n_samples`` draws of a baseline out of ``baselines`` (M, C, L), a place on the path and
        noise of standard deviation ``stdevs``."""
        _no_more(additional_forward_args)
        if return_convergence_delta:
            raise ValueError("return_convergence_delta: the sum is f(x) − f(baseline) in expectation alone")
        x, in_tuple = _only(inputs)
        array = numbers(x, "inputs")
        array = array[None] if array.ndim == 2 else array
        pool = numbers(baselines[0] if isinstance(baselines, tuple) else baselines, "baselines")
        pool = np.broadcast_to(pool, (1, *array.shape[1:])) if pool.ndim < 3 else pool
        draw = np.random.default_rng(seed)
        self._ready(x)
        targets = [column for _, column in sorted((at, column) for ecgs, column, _ in _alike(array, target, None) for at in ecgs)]
        maps = np.zeros(array.shape, dtype=np.float64)
        for at, column in enumerate(targets):
            chosen = draw.integers(len(pool), size=n_samples)
            places = draw.uniform(size=n_samples)
            noise = draw.normal(size=(n_samples, *array.shape[1:])) * stdevs
            for base in np.unique(chosen):
                some = chosen == base
                settings = {"samples": int(some.sum()), "draws": noise[some], "coefficients": places[some], "multiply_by_inputs": self.multiply_by_inputs}
                found, _ = self._maps(array[at : at + 1], column, None, np.ascontiguousarray(pool[base]), **settings)
                maps[at] += found[0] * (some.sum() / n_samples)
        found = self._given(x, self._shaped(x, maps.astype(array.dtype)))
        return (found,) if in_tuple else found


def _module_of(node: str) -> str:
    """The module that a node was exported from: ``/block/block.0/conv/Conv_output_0`` is of ``block.0.conv``."""
    parts: list[str] = []
    before = ""
    for part in node.strip("/").split("/")[:-1]:
        parts.append(part.removeprefix(before + ".") if before else part)
        before = part
    return ".".join(parts)


class GuidedGradCam(_Plain):
    """Guided backprop × Grad-CAM at ``layer``, a module of the network or the name of a node (Selvaraju et al. 2017)."""

    _method = "guided_gradcam"

    def __init__(self, model: Any, layer: Any) -> None:
        super().__init__(model)
        self.layer = layer

    def _name(self, model: Model) -> str:
        if isinstance(self.layer, str):
            return self.layer
        names = [name for name, part in self.forward_func.named_modules() if part is self.layer]
        if not names:
            raise ValueError("layer: it is no part of the model")
        known = [node for node, _ in model.nodes]
        found = [node for node in known if _module_of(node) in names or node in names]
        if not found:
            raise ValueError(f"layer {names[0]!r}: the exported network has no node of it; the nodes are {', '.join(known)}")
        return found[-1]

    def attribute(self, inputs: Any, target: Any = None, additional_forward_args: None = None, interpolate_mode: str = "nearest") -> Any:
        """Maps of the shape of ``inputs``, (N, C, L); Grad-CAM's row is stretched ``nearest`` or ``linear``."""
        _no_more(additional_forward_args)
        x, in_tuple = _only(inputs)
        layer = self._name(self._ready(x))
        found = self._given(x, self._shaped(x, self._maps(x, target, layer=layer, interpolation=interpolate_mode)[0]))
        return (found,) if in_tuple else found


class NoiseTunnel:
    """SmoothGrad (Smilkov et al. 2017) and VarGrad (Adebayo et al. 2018): a method's maps under noise, averaged. The method is :class:`Saliency`."""

    def __init__(self, attribution_method: Saliency) -> None:
        if not isinstance(attribution_method, Saliency):
            raise ValueError("NoiseTunnel: the method under noise is Saliency")
        self.attribution_method = attribution_method

    def attribute(
        self, inputs: Any, nt_type: str = "smoothgrad", nt_samples: int = 5, stdevs: float = 1.0, target: Any = None, abs: bool = True, seed: int = 0  # noqa: A002
    ) -> Any:
        """Maps of the shape of ``inputs``, (N, C, L): the mean (``smoothgrad``) of |gradient|, or of the gradient with ``abs=False``, or its variance
        (``vargrad``, of the gradient), over ``nt_samples`` draws of noise of standard deviation ``stdevs``, the same for all ECGs."""
        if nt_type not in ("smoothgrad", "vargrad"):
            raise ValueError(f"nt_type is {nt_type!r}: smoothgrad or vargrad is expected")
        of = self.attribution_method
        x, in_tuple = _only(inputs)
        shape = np.shape(x)[-2:]
        draws = np.random.default_rng(seed).normal(size=(nt_samples, *shape)) * stdevs
        settings: dict[str, Any] = {"samples": nt_samples, "draws": draws} | ({"absolute": bool(abs)} if nt_type == "smoothgrad" else {})
        found = of._given(x, of._shaped(x, of._maps(x, target, nt_type, **settings)[0]))
        return (found,) if in_tuple else found
