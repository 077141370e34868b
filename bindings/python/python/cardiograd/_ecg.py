"""Recordings, and what is measured on them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Iterable, Mapping, Sequence

import numpy as np

from . import _native
from ._arrays import LEADS, Progress, numbers
from ._explanation import Picture

_INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


class Measurements(dict):
    """Measurements of one ECG by name; an absent one is ``None``, never a guess.

    ``pr_ms``, ``qrs_ms``, ``qt_ms`` in ms and ``rate_bpm`` in beats per minute, to 0.1; ``r_v5_uv``, ``j_v5_uv``, ``t_v5_uv`` in µV, to 0.1; fiducials
    ``p_onset`` … ``t_offset`` in samples of the median beat (500 Hz; the R peak is at sample 240); ``rejected`` is ``None`` or why the ECG could not be
    measured; ``further`` holds standard errors, quality, axes and the rest of what a cart prints. ``median`` is the median beat, float32 (12, 600) in µV.
    """

    median: np.ndarray | None = None

    @property
    def ok(self) -> bool:
        """Whether the ECG could be measured."""
        return self.get("rejected") is None


@dataclass
class ECG:
    """A recording: ``samples`` (leads, T) in µV at ``rate`` Hz, the rows named by ``leads``."""

    samples: np.ndarray
    leads: tuple[str, ...] = LEADS
    rate: float = 500.0
    id: str = "ecg"
    labels: Measurements | None = None
    """Measurements that the file carries."""
    truth: Measurements | None = None
    """Exact values, of a simulated ECG."""
    beat: np.ndarray | None = None
    """The noise-free beat (12, 600) of a simulated ECG, or the median beat that the file carries, µV."""
    kind: str | None = None
    """The kind, of an ECG simulated by kind."""
    notes: list[str] = field(default_factory=list)

    def twelve(self) -> np.ndarray:
        """All twelve leads at 500 Hz, float32 (12, T) in µV: leads derived, resampled where the rate is another.

        Raises ValueError where leads are missing or contradict each other, or a sample is not finite.
        """
        found, notes = _native.twelve(self.id, numbers(self.samples, self.id), list(self.leads), float(self.rate), "uV")
        self.notes += [note for note in notes if note not in self.notes]
        return found

    def measure(self, thresholds: str = "12sl") -> Measurements:
        """What the command ``measure`` says of this recording. ``thresholds`` is ``12sl`` or ``expert``."""
        return measure(self, thresholds=thresholds)

    def median(self) -> np.ndarray:
        """The median beat, float32 (12, 600) in µV.

        Raises cardiograd.Error where the ECG could not be measured.
        """
        found = self.measure()
        if not found.ok or found.median is None:
            raise _native.Error(f"{self.id}: there is no median beat, for the ECG could not be measured: {found['rejected']}")
        return found.median

    def plot(self, *, layout: str = "paper", seconds: float = 10.0, title: str | None = None, palette: str = "rdbu", dark: bool = False) -> Picture:
        """The first ``seconds`` on ECG paper (25 mm/s, 10 mm/mV), or with ``layout="leads"`` lead below lead, as an SVG that notebooks show."""
        shown = self.twelve()[:, : max(2, int(round(seconds * 500)))]
        return Picture(_native.draw_ecg(shown, self.id if title is None else title, layout, palette, dark))

    def _repr_svg_(self) -> str | None:
        try:
            return self.plot().svg
        except (ValueError, _native.Error):
            return None


def _recording(found: Mapping[str, Any]) -> ECG:
    labels = None if found["labels"] is None else Measurements(json.loads(found["labels"]))
    return ECG(found["samples"], tuple(found["leads"]), found["rate"], found["id"], labels=labels, beat=found["median"], notes=list(found["notes"]))


def read_all(path: str | PathLike[str], *, unit: str | None = None, rate: float | None = None) -> list[ECG]:
    """Every recording of a file, a folder of files of one kind, or a dataset. ``unit`` and ``rate`` (Hz) are for files that do not say theirs."""
    return [_recording(one) for one in _native.read(path, unit, rate, None)]


def read(path: str | PathLike[str], *, row: int | None = None, unit: str | None = None, rate: float | None = None) -> ECG:
    """The recording of a file: any that the command line reads. ``row`` chooses among several.

    Raises ValueError if there are several and none was chosen; cardiograd.Error for a file that is not what it should be.
    """
    found = _native.read(path, unit, rate, row)
    if len(found) != 1:
        raise ValueError(f"{path}: it holds {len(found)} recordings: choose one with row=NUMBER, or take read_all")
    return _recording(found[0])


def measure(
    x: Any,
    rate: float = 500.0,
    unit: str = "uV",
    *,
    leads: Sequence[str] | None = None,
    thresholds: str = "12sl",
    progress: Progress | None = None,
) -> Any:
    """Measures ECGs as the command ``measure`` does, in whole µV.

    ``x`` is an :class:`ECG`, a list of them, or samples (8 or 12, T) or (N, 8 or 12, T) at ``rate`` Hz in ``unit``; other leads are named by ``leads``.
    Returns :class:`Measurements`, or a list of them for several.

    Raises ValueError for what cannot be an ECG: a NaN, leads that contradict each other, a duration below 5 s, voltages of another unit.
    """
    if isinstance(x, ECG):
        return _measured([x.id], [numbers(x.samples, x.id)], list(x.leads), float(x.rate), "uV", thresholds, progress)[0]
    if isinstance(x, (list, tuple)) and x and all(isinstance(one, ECG) for one in x):
        return [measure(one, thresholds=thresholds, progress=progress) for one in x]
    array = numbers(x, "the recording")
    if array.ndim not in (2, 3):
        raise ValueError(f"the recording: expected shape (8 or 12, T) or (N, 8 or 12, T), found {array.shape}")
    several = array.ndim == 3
    rows = list(array) if several else [array]
    names = [f"ECG {at}" for at in range(len(rows))]
    found = _measured(names, rows, None if leads is None else list(leads), float(rate), unit, thresholds, progress)
    return found if several else found[0]


def _measured(ids: list[str], rows: list[np.ndarray], leads: list[str] | None, rate: float, unit: str, thresholds: str, progress: Progress | None) -> list[Measurements]:
    all_of = []
    for text, median in _native.measure(ids, rows, leads, rate, unit, thresholds, progress):
        found = Measurements(json.loads(text))
        found.median = median
        all_of.append(found)
    return all_of


def simulate(
    n: int,
    seed: int = 0,
    *,
    first: int = 0,
    noise: float = 1.0,
    seconds: float = 10.0,
    kinds: Iterable[str] = (),
    progress: Progress | None = None,
) -> list[ECG]:
    """``n`` simulated ECGs of eight leads at 500 Hz whose every measurement is known exactly (``truth``), and their noise-free beats.

    ECG number i of a seed is the same whoever asks for it; numbers begin at ``first``. ``noise`` is a factor on all noise, 0 for none. ``kinds`` are hard
    kinds by name, in turn, instead of the usual population. Nothing about them is a patient.
    """
    if n < 0:
        raise ValueError(f"{n} ECGs: a number from 0 is expected")
    found = _native.simulate(first, n, seed, float(noise), float(seconds), list(kinds), progress)
    return [
        ECG(rhythm, _INDEPENDENT, 500.0, str(first + at), truth=Measurements(json.loads(truth)), beat=beat, kind=kind)
        for at, (rhythm, beat, truth, kind) in enumerate(found)
    ]
