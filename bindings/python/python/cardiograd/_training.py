"""Datasets and training."""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Iterable

import numpy as np

from . import _native
from ._arrays import Progress
from ._ecg import ECG, Measurements
from ._model import Model


class Dataset:
    """A dataset folder, as ``cardiograd generate`` and ``cardiograd import`` make it. Its arrays are read-only memory maps, never read whole."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Opens a folder and checks its table.

        Raises cardiograd.Error if it is no dataset, one of another version, or its files were changed.
        """
        self.path = Path(path)
        manifest, rows = _native.check_dataset(fspath(path))
        self.manifest: dict[str, Any] = json.loads(manifest)
        """What ``dataset.json`` says: source, seed, versions, digests."""
        self.measurements: list[Measurements] = [Measurements(json.loads(row)) for row in rows]
        """The measurements of each ECG, with all digits, and its ``id``."""

    @classmethod
    def simulate(
        cls,
        path: str | PathLike[str],
        n: int,
        seed: int = 0,
        *,
        kinds: Iterable[str] = (),
        thresholds: str = "12sl",
        progress: Progress | None = None,
    ) -> Dataset:
        """Simulates and measures ``n`` ECGs into a new dataset folder: what ``cardiograd generate --source simulator`` writes."""
        _native.simulate_dataset(fspath(path), n, seed, list(kinds), thresholds, progress)
        return cls(path)

    def _map(self, name: str) -> np.ndarray:
        return np.load(self.path / name, mmap_mode="r")

    @property
    def rhythm(self) -> np.ndarray:
        """The recordings, int16 (N, 8, 5000) in µV at 500 Hz, leads I, II, V1 … V6."""
        return self._map("rhythm.npy")

    @property
    def median(self) -> np.ndarray:
        """The median beats, float32 (N, 12, 600) in µV; zeros for an ECG that could not be measured."""
        return self._map("median.npy")

    @property
    def ids(self) -> list[str]:
        """The ECGs' ids."""
        return [row["id"] for row in self.measurements]

    def values(self, name: str) -> np.ndarray:
        """One measurement of all ECGs (``qrs_ms`` …), float64 (N), NaN where it is missing."""
        if self.measurements and name not in self.measurements[0]:
            raise ValueError(f"there is no measurement {name!r}: the measurements are {', '.join(self.measurements[0])}")
        return np.array([np.nan if row[name] is None else row[name] for row in self.measurements], dtype=np.float64)

    def __len__(self) -> int:
        return len(self.measurements)

    def __getitem__(self, at: int) -> ECG:
        """ECG number ``at`` as a recording."""
        if not -len(self) <= at < len(self):
            raise IndexError(f"ECG {at}: the dataset holds {len(self)}")
        at %= len(self)
        found = _native.read(fspath(self.path), None, None, at)[0]
        return ECG(found["samples"], tuple(found["leads"]), found["rate"], found["id"], labels=self.measurements[at], beat=np.array(self.median[at]))

    def __repr__(self) -> str:
        return f"<Dataset: {len(self)} ECGs in {self.path}>"


def train(
    data: Dataset | str | PathLike[str],
    target: str,
    input: str = "median",
    *,
    preset: str = "quick",
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    schedule: str | None = None,
    standardise: bool | None = None,
    calibrate: bool = False,
    seed: int = 0,
    arch: str = "stevennet",
    progress: Progress | None = None,
) -> Model:
    """Trains a network on one target of a dataset and gives the model of the epoch with the lowest validation error.

    ``target`` is ``pr``, ``qrs``, ``qt``, ``r_v5``, ``j_v5``, ``t_v5`` or ``rate``, ``input`` ``median`` or ``rhythm``. ``preset`` ``quick`` is standardised,
    few epochs, one cycle of the learning rate; ``paper`` has the study's settings, ``full`` its raw values in 10 epochs of one cycle. ``schedule`` is
    ``constant``, ``plateau`` or ``one_cycle``; ``calibrate`` takes the mean error over the training part out of the last layer's bias afterwards. The
    model's bytes are those that ``cardiograd train`` writes.
    """
    path = data.path if isinstance(data, Dataset) else data
    return Model(_native.train(fspath(path), target, input, preset, epochs, batch, lr, schedule, standardise, calibrate, seed, arch, progress))
