"""Models, and methods of one's own."""

from __future__ import annotations

import inspect
import json
from os import PathLike, fspath
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from . import _native, _torch
from ._arrays import Progress, in_microvolts, numbers
from ._ecg import ECG
from ._explanation import Completeness, Explanation, Picture

METHODS: dict[str, str] = dict(_native.methods())
"""The built-in methods: name → title. ``all`` is the study's nine and ``random``."""

_ALL = list(METHODS)[:10]
_ARRAYS = ("baseline", "occlusion_value", "draws", "coefficients")


class Trace:
    """The account of one heatmap: every node with its formula, the rule that acted on it, what relevance went in and out, and where it was lost."""

    def __init__(self, text: str, map: np.ndarray, graph: str) -> None:
        found = json.loads(text)
        self.method: str = found["method"]
        self.prediction: float = found["prediction"]
        self.at_baseline: float = found["at_baseline"]
        self.reduction: str = found["reduction"]
        self.walks: list[dict[str, Any]] = found["walks"]
        """One account of a walk back, two for a product of methods, none for methods without one; ``entries`` are its nodes."""
        self.map = map
        """The map, float64 (C, L)."""
        self.graph = Picture(graph)
        """The program as a graph."""

    def _repr_svg_(self) -> str:
        return self.graph.svg


class Model:
    """A network that reads ECGs, and what is known of it."""

    def __init__(self, native: _native.Model) -> None:
        self._native = native

    @classmethod
    def load(cls, source: str | PathLike[str] | bytes, arch: str | None = None) -> Model:
        """The model of a file (the project's own ``.cgm``, ``.onnx``, or a PyTorch state dict with ``arch``), or of the bytes of a ``.cgm``.

        ``arch`` is ``stevennet``, ``standardconv`` or the path of a program file (``.json``).
        Raises cardiograd.Error for a file that is damaged, of another version, or no model.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls(_native.Model.from_bytes("model", bytes(source)))
        return cls(_native.Model.load(fspath(source), arch))

    @classmethod
    def from_onnx(cls, source: str | PathLike[str] | bytes) -> Model:
        """The network of an ONNX file, or of the bytes of one that holds its tensors itself.

        Raises cardiograd.Error naming every node that cannot be taken.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls(_native.Model.from_bytes("onnx", bytes(source)))
        return cls(_native.Model.load(fspath(source), None))

    @classmethod
    def from_state_dict(cls, source: Mapping[str, Any] | str | PathLike[str], arch: str) -> Model:
        """The network ``arch`` with the weights of a state dict: a file (``.pt``, ``.safetensors``), or a mapping from names to arrays or tensors."""
        if isinstance(source, Mapping):
            return cls(_native.Model.from_bytes("state_dict", _torch.safetensors(source), arch))
        return cls(_native.Model.load(fspath(source), arch))

    @classmethod
    def from_torch(cls, module: Any, example: Any) -> Model:
        """The network of a PyTorch module, exported through ONNX in memory. ``example`` is an input (N, C, L): its shape counts, not its values.

        The module's own state (training or not) is left as it is; what is taken is its evaluation. Nodes are called
        after its layers (``/conv2/Conv_output_0``): see ``nodes``.
        """
        return cls(_native.Model.from_bytes("onnx", _torch.exported(module, example)))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the project's own model file, whole or not at all."""
        self._native.save(fspath(path))

    def to_bytes(self) -> bytes:
        """The bytes of that file. The same model gives the same bytes."""
        return self._native.to_bytes()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Model.load, (self.to_bytes(),))

    @property
    def target(self) -> str | None:
        """What it predicts, where that is known: ``pr``, ``qrs``, ``qt``, ``r_v5``, ``j_v5``, ``t_v5`` or ``rate``."""
        return self._native.target

    @property
    def unit(self) -> str:
        """The unit of its predictions, empty where that is not known."""
        return self._native.unit

    @property
    def input(self) -> str | None:
        """What it looks at, where that is known: ``median`` (12, 600) or ``rhythm`` (12, 5000)."""
        return self._native.input

    @property
    def provenance(self) -> dict[str, Any] | None:
        """How it was trained: settings, dataset, epochs, errors by part."""
        text = self._native.provenance
        return None if text is None else json.loads(text)

    @property
    def nodes(self) -> list[tuple[str, str]]:
        """(name, op) of every node, from input to output: what ``layer`` and rules name."""
        return self._native.nodes

    def __repr__(self) -> str:
        what = f"{self.target} in {self.unit} from {self.input}, " if self.target else ""
        return f"<Model: {what}{len(self.nodes)} nodes, {self._native.parameters} parameters>"

    def _ecgs(self, x: Any, unit: str) -> np.ndarray:
        if isinstance(x, ECG):
            x = x.median() if self.input == "median" else x.twelve()
            return numbers(x, "the ECG")
        return in_microvolts(numbers(x, "the ECGs"), unit)

    def predict(
        self,
        x: Any,
        *,
        column: int | str | None = None,
        unit: str = "uV",
        any_length: bool = False,
        any_amplitude: bool = False,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """What the network predicts for ECGs ``x``, (N, C, L) or (C, L) of any real type in ``unit``, or an :class:`ECG`.

        Returns float32 (N), in the model's unit; with ``column="all"`` (N, K). A network of several outputs is asked for one by ``column``.
        A model that says what it looks at takes ECGs of that length and in µV only, unless ``any_length`` and ``any_amplitude`` insist.

        Raises ValueError for a shape that does not fit, no ECG, or a sample that is not finite.
        """
        return self._native.predict(self._ecgs(x, unit), column, any_length, any_amplitude, progress)

    def explain(
        self,
        x: Any,
        methods: str | Sequence[str] = "all",
        *,
        precision: str = "f32",
        column: int | str | None = None,
        ids: Sequence[int] | None = None,
        unit: str = "uV",
        any_length: bool = False,
        any_amplitude: bool = False,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Explanation:
        """Heatmaps of the predictions for ECGs ``x`` (as for :meth:`predict`) by methods: names, or a text of them parted by commas, or ``all``.

        ``ids`` are the ECGs' numbers, which address random draws (0, 1, … unless said). Settings, with the study's defaults:

        - ``seed`` (0) of all draws;
        - ``baseline`` of DeepLIFT, integrated gradients, Gradient SHAP and occlusion: ``"zero"``, ``"mean"`` (each lead's own), an array (C, L), or several
          (N, C, L), over which maps are averaged;
        - ``multiply_by_inputs`` (False), ``absolute`` (SmoothGrad yes, others no);
        - ``samples`` of SmoothGrad, VarGrad and Gradient SHAP (25, 25, 50), ``noise`` as a share of the ECG's range (0.02), ``draws`` (n, C, L) of noise
          already scaled, ``coefficients`` (n) for Gradient SHAP;
        - ``steps`` of integrated gradients (50), ``quadrature`` ``"exact"`` or ``"captum"``;
        - ``layer`` of Grad-CAM (the last convolution) and ``interpolation`` ``"linear"`` or ``"nearest"``;
        - ``max_pool`` of DeepLIFT, ``"captum"`` or ``"exact"``;
        - ``lrp_epsilon`` (1e-6), ``lrp_gamma`` (0.25), ``occlusion_window`` (20) and ``occlusion_stride`` (10) in samples, ``occlusion_value``;
        - ``memory`` in MB for runs in work (512); results do not depend on it.

        Raises ValueError for bad input and cardiograd.Error where a method asked for by name cannot act on this network.
        """
        array = self._ecgs(x, unit)
        named = methods != "all"
        names = _ALL if not named else methods.split(",") if isinstance(methods, str) else list(methods)
        names = [name.strip() for name in names]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None or not names:
            raise ValueError(f"method {twice!r} is listed twice" if names else "no method is asked for")
        given = _settings(settings)
        about = {"x": array if array.ndim == 3 else array[None], "unit": self.unit}
        about |= {"multiplied": bool(given.get("multiply_by_inputs") or False), "absolute": given.get("absolute")}
        numbered = None if ids is None else [int(one) for one in ids]
        found = self._native.explain(array, names, named, precision, column, numbered, any_length, any_amplitude, progress, given)
        completeness = {name: Completeness(*values) for name, values in found["completeness"].items()}
        return Explanation(found["maps"], found["prediction"], completeness, found["left_out"], about)

    def trace(
        self,
        x: Any,
        method: str,
        *,
        id: int = 0,
        precision: str = "f64",
        column: int | None = None,
        unit: str = "uV",
        any_length: bool = False,
        any_amplitude: bool = False,
        **settings: Any,
    ) -> Trace:
        """The account of the heatmap of one ECG, (C, L), by a method; settings as for :meth:`explain`."""
        return Trace(*self._native.trace(self._ecgs(x, unit), method, id, precision, column, any_length, any_amplitude, _settings(settings)))

    def perturb(
        self,
        x: Any,
        maps: Mapping[str, Any] | Any,
        *,
        iterations: int = 200,
        strength: float = 0.2,
        seed: int = 0,
        repeat: int = 0,
        ids: Sequence[int] | None = None,
        unit: str = "uV",
        any_length: bool = False,
        any_amplitude: bool = False,
        progress: Progress | None = None,
    ) -> Any:
        """Predictions while noise is added to the points of ECGs (N, C, L) that maps highlight, strongest first: float32 (N, iterations + 1).

        ``maps`` is an array of the ECGs' shape, or a mapping of such (an :class:`Explanation`), which gives a dictionary of curves. Column 0 is the ECG
        itself. The noise has a standard deviation of ``strength`` · (max − min) of the ECG, and is the same for all maps.
        """
        by_name = isinstance(maps, Mapping)
        arrays = [numbers(map, "a heatmap") for map in (maps.values() if by_name else [maps])]
        numbered = None if ids is None else [int(one) for one in ids]
        found = self._native.perturb(self._ecgs(x, unit), arrays, numbered, iterations, float(strength), seed, repeat, any_length, any_amplitude, progress)
        return dict(zip(maps, found)) if by_name else found[0]


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with their arrays as the native half takes them."""
    return {name: numbers(value, name) if name in _ARRAYS and value is not None and not isinstance(value, str) else value for name, value in settings.items()}


Rule = Callable[..., Any]


def register(
    name: str,
    rules: Mapping[str, Rule],
    *,
    sampler: str = "once",
    reduction: str = "mean",
    reference: bool = False,
    title: str | None = None,
    family: str = "pseudo_gradient",
    unit: str = "arbitrary",
    sum: str = "free",
) -> str:
    """Adds a method of one's own, which can then be asked for by its name wherever a method can, for as long as Python runs.

    ``rules`` says what ops do on the way back: from a kind of op (``"relu"``), a class of ops (``"class:convolution"``) or a node (``"node:fc1"``) to a
    function ``(grad_out, inputs, output, reference) → grads``. ``grad_out`` is what arrives at the op's output, of its shape; ``inputs`` is a list of the
    op's input values, ``output`` its value; ``reference`` is ``(inputs, output)`` of the run on the baseline where ``reference=True`` was asked for, else
    ``None``. It gives an array of the shape of ``inputs[0]``, or a list with one gradient (or None) for each input. A function with an argument named
    ``plain`` is also given what would flow without it. Ops that no rule names use their own derivative; a rule that acts nowhere is an error.

    ``sampler`` says at which inputs gradients are taken: ``once``, ``noise``, ``path`` (from the baseline), ``random_path``. ``reduction`` says what is done
    with them: ``mean``, ``mean_absolute``, ``variance``, ``times_input``, ``times_difference``. ``family`` and ``unit`` say what values mean, for pictures;
    ``sum="difference"`` has every map checked for completeness.
    """
    listed = []
    for on, function in rules.items():
        if not callable(function):
            raise ValueError(f"the rule for {on!r} is no function")
        listed.append((on, function, "plain" in inspect.signature(function).parameters))
    _native.register(name, title or name, listed, sampler, reduction, reference, family, unit, sum)
    return name
