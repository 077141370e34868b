"""What explaining gives: maps by method, with what they explain."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

import numpy as np

from . import _native


class Picture:
    """An SVG picture, which notebooks show."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the picture as an .svg file."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def __repr__(self) -> str:
        return f"<Picture: {len(self.svg)} bytes of SVG>"


class Completeness(NamedTuple):
    """How far a method's maps are from adding up, by ECG, float64 (N) or (N, K): Σ multiplier · (x − baseline) should be f(x) − f(baseline)."""

    sum: np.ndarray
    difference: np.ndarray
    relative_error: np.ndarray
    """|sum − difference| / |difference|; the absolute error where the difference is 0."""


class Explanation(Mapping[str, np.ndarray]):
    """Maps by method: float32 (float64 with ``precision="f64"``) arrays (N, C, L), with ``column="all"`` (N, K, C, L), in the order asked for.

    ``prediction`` (N) or (N, K) is what they explain; ``completeness`` says of the methods that promise it how far they are from adding up; ``left_out``
    names the methods of ``all`` that cannot act on this network, and why.
    """

    def __init__(self, maps: dict[str, np.ndarray], prediction: np.ndarray, completeness: dict[str, Completeness], left_out: dict[str, str], about: dict[str, Any]) -> None:
        self._maps = maps
        self.prediction = prediction
        self.completeness = completeness
        self.left_out = left_out
        self._about = about

    def __getitem__(self, method: str) -> np.ndarray:
        return self._maps[method]

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    def __repr__(self) -> str:
        shape = next((map.shape for map in self._maps.values()), ())
        return f"<Explanation: {', '.join(self._maps)}; maps of shape {shape}>"

    def plot(
        self,
        method: str | Sequence[str] | None = None,
        *,
        ecg: int = 0,
        column: int = 0,
        layout: str = "leads",
        title: str | None = None,
        palette: str = "rdbu",
        dark: bool = False,
    ) -> Picture:
        """Heatmaps of one ECG as an SVG that notebooks show: one over its leads, two side by side, more (all unless said) as a grid behind V5.

        ``layout`` is ``leads``, ``averaged`` (over the leads, behind V5) or ``paper``; ``palette`` ``rdbu`` or ``safe``.
        Raises ValueError for ECGs that have not the twelve leads.
        """
        names = list(self._maps) if method is None else method.split(",") if isinstance(method, str) else list(method)
        unknown = [name for name in names if name not in self._maps]
        if unknown:
            raise ValueError(f"there is no map of {unknown[0]!r}: the maps are {', '.join(self._maps)}")
        x = self._about["x"]
        if not 0 <= ecg < len(x):
            raise ValueError(f"ecg={ecg}: there are {len(x)}, numbered from 0")
        several = self.prediction.ndim == 2

        def of(name: str) -> np.ndarray:
            map = self._maps[name][ecg]
            return np.ascontiguousarray(map[column] if several else map)

        heading = f"ECG {ecg}" if title is None else title
        drawn = [(name, of(name)) for name in names]
        about = self._about
        return Picture(_native.draw_maps(np.ascontiguousarray(x[ecg]), drawn, heading, about["unit"], about["multiplied"], about["absolute"], layout, palette, dark))

    def _repr_svg_(self) -> str | None:
        try:
            return self.plot().svg
        except (ValueError, _native.Error):
            return None
