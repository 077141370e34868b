"""cardiograd: explain networks that read 12-lead ECGs.

ECGs are arrays of channels and time, ``(N, C, L)`` or, for one, ``(C, L)``, in µV at 500 Hz; the twelve leads stand in the order of ``LEADS``. What is
computed is what the command ``cardiograd`` computes, byte for byte, with any number of threads and whatever else is in the batch.

Errors are of two kinds: ``ValueError`` for what was asked wrongly (a shape, a NaN, an unknown name) and ``cardiograd.Error`` for what failed (a damaged
file, a method that cannot act on a network). Ctrl-C stops long work. ``progress`` takes a function of ``(label, done, total, unit)``.

>>> import cardiograd
>>> data = cardiograd.Dataset.simulate("ecgs", 400, seed=1)           # doctest: +SKIP
>>> model = cardiograd.train(data, target="qrs", input="median")      # doctest: +SKIP
>>> model.explain(data.median[:2], "deeplift").plot()                 # doctest: +SKIP
"""

from ._arrays import LEADS, Progress
from ._ecg import ECG, Measurements, measure, read, read_all, simulate
from ._explanation import Completeness, Explanation, Picture
from ._model import METHODS, Model, Trace, register
from ._native import Error, set_threads
from ._native import version as _version
from ._training import Dataset, train

__version__ = _version()

__all__ = [
    "ECG",
    "METHODS",
    "LEADS",
    "Completeness",
    "Dataset",
    "Error",
    "Explanation",
    "Measurements",
    "Model",
    "Picture",
    "Progress",
    "Trace",
    "measure",
    "read",
    "read_all",
    "register",
    "set_threads",
    "simulate",
    "train",
]
