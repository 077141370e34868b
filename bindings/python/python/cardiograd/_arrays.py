"""What users bring as arrays, made into what the native half takes: float32 or float64, contiguous."""

from __future__ import annotations

from typing import Any, Callable, TypeAlias

import numpy as np

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The twelve leads, in the order in which arrays hold them."""

Progress: TypeAlias = Callable[[str, int, int, str], object]
"""A function that is told of progress: ``(label, done, total, unit)``, some times a second, on the thread that asked for the work."""

_MICROVOLTS = {"uv": 1.0, "µv": 1.0, "\u03bcv": 1.0, "mv": 1e3, "v": 1e6}


def numbers(x: Any, what: str) -> np.ndarray:
    """Any array of real numbers (NumPy, PyTorch, a list) as float32 or float64 in C order, without a copy where it is that already.

    Raises ValueError for what holds no numbers: text, objects, truths, complex numbers, rows of different lengths.
    """
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what}: real numbers are expected, its type is {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 or array.dtype.kind in "iu" and array.dtype.itemsize > 2:
        return np.ascontiguousarray(array, dtype=np.float64)
    return np.ascontiguousarray(array, dtype=np.float32)


def in_microvolts(x: np.ndarray, unit: str) -> np.ndarray:
    """Samples in µV, scaled in float64 as the command line scales them."""
    try:
        factor = _MICROVOLTS[unit.strip().lower()]
    except (KeyError, AttributeError):
        raise ValueError(f"unit is {unit!r}: the units are uV, mV and V") from None
    return x if factor == 1.0 else np.multiply(x, factor, dtype=np.float64)
