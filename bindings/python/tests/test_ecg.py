"""Recordings, datasets, pictures: the numbers of the command line."""

import csv
import subprocess
import sys

import numpy as np
import pytest

import cardiograd


def test_measure_says_what_the_command_says(data, tmp_path):
    np.save(tmp_path / "x.npy", data.rhythm[:3])
    subprocess.run([sys.executable, "-m", "cardiograd._command", "measure", str(tmp_path / "x.npy"), "-o", str(tmp_path / "m.csv"), "-q"], check=True)
    rows = list(csv.DictReader(open(tmp_path / "m.csv")))
    for row, found, ecg in zip(rows, cardiograd.measure(data.rhythm[:3]), (data[0], data[1], data[2])):
        for name in ("pr_ms", "qrs_ms", "qt_ms", "rate_bpm", "r_v5_uv", "j_v5_uv", "t_v5_uv", "p_onset", "t_offset"):
            assert (float(row[name]) if row[name] else None) == found[name] == ecg.measure()[name], name
        assert found.ok and found.median.shape == (12, 600) and found["further"]["rhythm"] == row["rhythm"]
        assert ecg.median().tobytes() == found.median.tobytes()
    millivolts = cardiograd.measure(data.rhythm[0] / 1e3, unit="mV")
    assert abs(millivolts["r_v5_uv"] - cardiograd.measure(data.rhythm[0])["r_v5_uv"]) < 1


def test_recordings_are_read(data, tmp_path):
    np.save(tmp_path / "x.npy", data.rhythm[:2])
    both = cardiograd.read_all(tmp_path / "x.npy")
    assert [one.id for one in both] == ["x:0", "x:1"] and both[1].samples.shape == (8, 5000)
    one = cardiograd.read(tmp_path / "x.npy", row=1)
    assert np.array_equal(one.twelve()[[0, 1, 6, 7, 8, 9, 10, 11]], data.rhythm[1].astype(np.float32))
    with pytest.raises(ValueError, match="2 recordings"):
        cardiograd.read(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="row 7"):
        cardiograd.read(tmp_path / "x.npy", row=7)
    with pytest.raises(cardiograd.Error, match="absent"):
        cardiograd.read(tmp_path / "absent.hea")


def test_simulated_ecgs_know_their_truth():
    ecgs = cardiograd.simulate(2, seed=3)
    again = cardiograd.simulate(1, seed=3, first=1)[0]
    assert np.array_equal(ecgs[1].samples, again.samples) and ecgs[0].beat.shape == (12, 600)
    assert abs(ecgs[0].truth["qrs_ms"] - ecgs[0].measure()["qrs_ms"]) < 40
    assert cardiograd.simulate(0) == []
    with pytest.raises(ValueError):
        cardiograd.simulate(-1)
    with pytest.raises(ValueError, match="no kind"):
        cardiograd.simulate(1, kinds=["nothing"])


def test_a_dataset_is_memory_maps(data, tmp_path):
    assert isinstance(data.median, np.memmap) and data.rhythm.dtype == np.int16 and data.median.shape == (48, 12, 600)
    assert data.values("qrs_ms").shape == (48,) and data.ids[3] == "3" and len(data) == 48 and data.manifest["source"] == "simulator"
    with pytest.raises(ValueError):
        data.median[0, 0, 0] = 1
    with pytest.raises(ValueError, match="no measurement"):
        data.values("nothing")
    with pytest.raises(cardiograd.Error, match="dataset"):
        cardiograd.Dataset(tmp_path)
    with pytest.raises(ValueError, match="0 ECGs"):
        cardiograd.Dataset.simulate(tmp_path / "none", 0)
    with pytest.raises(ValueError, match="unknown target"):
        cardiograd.train(data, "nothing")


def test_a_training_is_told_its_course(data):
    course = dict(epochs=1, arch="standardconv", schedule="constant", standardise=False)
    with_and_without = [cardiograd.train(data, "qrs", **course, calibrate=calibrate).predict(data.median) for calibrate in (False, True)]
    added = with_and_without[1] - with_and_without[0]
    assert abs(added.mean()) > 1 and np.ptp(added) < 1e-3 * abs(added.mean())
    with pytest.raises(ValueError, match="unknown schedule 'steps'"):
        cardiograd.train(data, "qrs", schedule="steps")


def test_pictures_are_svg(data, model, x):
    for picture in (data[0].plot(), data[0].plot(layout="leads", dark=True), *(model.explain(x, "saliency,deeplift").plot(m) for m in ("saliency", None))):
        assert picture._repr_svg_().count("<svg") == 1 and picture.svg.rstrip().endswith("</svg>")
    assert model.explain(x, "saliency")._repr_svg_() and data[0]._repr_svg_()
    with pytest.raises(ValueError, match="no map"):
        model.explain(x, "saliency").plot("deeplift")
    with pytest.raises(ValueError, match="numbered from 0"):
        model.explain(x, "saliency").plot(ecg=2)


@pytest.mark.parametrize("bad", [np.zeros((8, 100)), np.zeros((7, 5000)), np.zeros((8, 5000)), np.full((8, 5000), np.nan), np.zeros(5000), "text", None])
def test_what_is_no_recording_is_refused(bad):
    try:
        found = cardiograd.measure(bad)
    except ValueError as refused:
        assert "\n" not in str(refused)
    else:
        # Flat leads are an ECG that cannot be measured, and it says why.
        assert not found.ok and "flat" in found["rejected"]


def test_the_notebook_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    from pathlib import Path

    notebook = nbformat.read(Path(__file__).parents[1] / "examples" / "explain.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "image/svg+xml" in output.get("data", {})]
    assert len(shown) >= 2
