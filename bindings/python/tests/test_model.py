"""Models: the command's bytes, whatever the threads; what cannot be taken is refused."""

import gc
import os
import pickle
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import NINE

import cardiograd

SMALL = dict(samples=3, steps=4)


def test_the_nine_methods_give_the_command_s_bytes(model, x, tmp_path):
    model.save(tmp_path / "m.cgm")
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-m", "cardiograd._command"]
    options = ["--input", str(tmp_path / "x.npy"), "--quiet"]
    explain = ["explain", str(tmp_path / "m.cgm"), "--method", "all", "--samples", "3", "--steps", "4", "-o", str(tmp_path / "maps.npz")]
    subprocess.run([*command, *explain, *options], check=True)
    subprocess.run([*command, "predict", str(tmp_path / "m.cgm"), "-o", str(tmp_path / "y.npy"), *options], check=True)
    found = model.explain(x, "all", **SMALL)
    theirs = np.load(tmp_path / "maps.npz")
    assert set(NINE) < set(found)
    for name, map in found.items():
        assert map.dtype == np.float32 and map.shape == x.shape
        assert map.tobytes() == theirs[name].tobytes(), name
    assert found.prediction.tobytes() == theirs["prediction"].tobytes()
    assert model.predict(x).tobytes() == np.load(tmp_path / "y.npy").tobytes()
    assert np.all(found.completeness["deeplift"].relative_error < 0.1) and set(found.completeness) == {"deeplift", "integrated_gradients"}
    assert subprocess.run([*command, "predict", "absent.cgm", *options], capture_output=True).returncode == 1
    assert subprocess.run([*command, "nonsense"], capture_output=True).returncode == 2


def test_training_gives_the_command_s_bytes(model, data, tmp_path):
    options = ["--target", "qrs", "--input", "median", "--preset", "quick", "--epochs", "1", "--arch", "standardconv", "--quiet"]
    subprocess.run([sys.executable, "-m", "cardiograd._command", "train", str(data.path), "-o", str(tmp_path / "m.cgm"), *options], check=True)
    assert model.to_bytes() == (tmp_path / "m.cgm").read_bytes()


def test_a_thousand_calls_of_four_threads_are_one_call_and_keep_nothing(model, x):
    one = np.array(x[:1])
    expected = {name: map.tobytes() for name, map in model.explain(one, "saliency,deeplift").items()}
    wrong = []

    def work(times):
        for _ in range(times):
            found = model.explain(one, "saliency,deeplift")
            if {name: map.tobytes() for name, map in found.items()} != expected:
                wrong.append(1)

    def all_of(times):
        threads = [threading.Thread(target=work, args=(times,)) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        gc.collect()
        return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() if os.path.exists("/proc/self/statm") else 0

    warm = all_of(50)
    assert all_of(250) - warm < 20 << 20
    assert not wrong


def test_results_depend_on_neither_threads_nor_batch_nor_layout(model, x):
    found = model.explain(x, "smoothgrad,integrated_gradients", **SMALL)
    try:
        cardiograd.set_threads(1)
        again = model.explain(x, ["smoothgrad", "integrated_gradients"], **SMALL)
    finally:
        cardiograd.set_threads(os.cpu_count() or 1)
    alone = model.explain(x[1], "smoothgrad,integrated_gradients", ids=[1], **SMALL)
    turned = np.asfortranarray(x)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]
    backward = x[:, :, ::-1].copy()[:, :, ::-1]
    for name, map in found.items():
        assert map.tobytes() == again[name].tobytes() and map[1].tobytes() == alone[name][0].tobytes()
        for other in (turned, strided, backward, x.astype(np.float64), x.tolist()):
            assert model.explain(other, name, **SMALL)[name].tobytes() == map.tobytes()


def test_a_model_comes_back_from_bytes_files_and_pickles(model, x, tmp_path):
    model.save(tmp_path / "m.cgm")
    for other in (cardiograd.Model.load(tmp_path / "m.cgm"), cardiograd.Model.load(model.to_bytes()), pickle.loads(pickle.dumps(model))):
        assert (other.target, other.unit, other.input) == ("qrs", "ms", "median")
        assert other.predict(x).tobytes() == model.predict(x).tobytes()
    assert model.provenance["settings"]["epochs"] == 1 and ("model.0", "conv1d") in model.nodes and "StandardConv" not in repr(model)


def test_settings_reach_the_methods(model, x):
    plain = model.explain(x, "deeplift,saliency")
    mean = x.mean(axis=0)
    times = model.explain(x, "deeplift", multiply_by_inputs=True, baseline=mean)
    against = model.explain(x, "deeplift", baseline=mean)
    np.testing.assert_allclose(times["deeplift"], against["deeplift"] * (x - mean), rtol=1e-5, atol=1e-7)
    assert np.array_equal(model.explain(x, "saliency", absolute=True)["saliency"], np.abs(plain["saliency"]))
    each = model.explain(x, "deeplift", baseline=np.stack([np.zeros_like(mean), mean]))["deeplift"]
    np.testing.assert_allclose(each, (plain["deeplift"] + against["deeplift"]) / 2, rtol=1e-4, atol=1e-7)
    double = model.explain(x, "saliency", precision="f64")["saliency"]
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, plain["saliency"], rtol=1e-3, atol=1e-5)
    everything = model.explain(x, "saliency", column="all")
    assert everything["saliency"].shape == (2, 1, 12, 600) and everything.prediction.shape == (2, 1)


def test_curves_and_accounts(model, x):
    found = model.explain(x, "saliency,random")
    curves = model.perturb(x, found, iterations=4)
    assert list(curves) == ["saliency", "random"] and curves["random"].shape == (2, 5)
    np.testing.assert_allclose(curves["saliency"][:, 0], model.predict(x), rtol=1e-6)
    trace = model.trace(x[0], "deeplift")
    assert trace.map.shape == (12, 600) and abs(trace.prediction - model.predict(x)[0]) < 1e-2
    assert [entry["name"] for entry in trace.walks[0]["entries"]] and trace._repr_svg_().startswith("<")


def test_ctrl_c_stops_long_work(model, data):
    x = np.concatenate([np.array(data.median)] * 20)
    told = []

    def stop(*step):
        told.append(step)
        if len(told) > 1:
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.explain(x, "integrated_gradients,smoothgrad", progress=stop)
    assert told[0][0] == "explaining" and told[0][2] == len(x) and time.monotonic() - begun < 20
    code = "import sys, os, signal, threading, numpy as np, cardiograd\n" \
        "m = cardiograd.Model.load(sys.stdin.buffer.read())\n" \
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n" \
        "try: m.explain(np.random.default_rng(0).normal(0, 300, (3000, 12, 600)), 'integrated_gradients')\n" \
        "except KeyboardInterrupt: print('stopped')\n"
    done = subprocess.run([sys.executable, "-c", code], input=model.to_bytes(), capture_output=True, timeout=60)
    assert done.stdout == b"stopped\n", done.stderr


def test_a_forked_process_computes_too(model, x):
    expected = model.predict(x).tobytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if model.predict(x).tobytes() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def of(x, at, value):
    changed = x.copy()
    changed[at] = value
    return changed


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda x: of(x, (1, 3, 7), np.nan), "ECG 1, channel 3, sample 7"),
        (lambda x: of(x, (0, 0, 0), np.inf), "not a voltage"),
        (lambda x: x[:0], "no sample"),
        (lambda x: x[:, :, :0], "no sample"),
        (lambda x: x[:, :8], "expected shape"),
        (lambda x: x[:, :, :599], "any_length"),
        (lambda x: x[0, 0], "expected shape"),
        (lambda x: x[None], "expected shape"),
        (lambda x: x * 1e-3, 'unit="mV"'),
        (lambda x: x.astype(complex), "real numbers"),
        (lambda x: x.astype(bool), "real numbers"),
        (lambda x: x.astype(object), "real numbers"),
        (lambda x: x.astype("S8"), "real numbers"),
        (lambda x: [[1.0], [1.0, 2.0]], "inhomogeneous"),
        (lambda x: "ecg.npy", "real numbers"),
        (lambda x: None, "real numbers"),
        (lambda x: 3.0, "expected shape"),
    ],
)
def test_ecgs_that_cannot_be_are_refused(model, x, bad, says):
    for ask in (model.predict, model.explain, lambda x: model.perturb(x, x)):
        with pytest.raises(ValueError) as refused:
            ask(bad(x))
        assert says in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "kind", "says"),
    [
        (dict(methods="nothing"), ValueError, "unknown method"),
        (dict(methods="saliency,saliency"), ValueError, "twice"),
        (dict(methods=[]), ValueError, "no method"),
        (dict(methods="saliency", steps=0), ValueError, "start at 1"),
        (dict(methods="saliency", steps="many"), ValueError, "steps"),
        (dict(methods="saliency", samples=-1), ValueError, "samples"),
        (dict(methods="saliency", nonsense=1), ValueError, "no setting 'nonsense'"),
        (dict(methods="saliency", precision="f16"), ValueError, "f32 or f64"),
        (dict(methods="saliency", column=1), ValueError, "1 output (0)"),
        (dict(methods="saliency", ids=[1]), cardiograd.Error, "1 ids"),
        (dict(methods="deeplift", baseline="some"), ValueError, "zero, mean"),
        (dict(methods="deeplift", baseline=np.zeros((12, 5))), ValueError, "baseline"),
        (dict(methods="deeplift", baseline=np.full((12, 600), np.nan)), ValueError, "not finite"),
        (dict(methods="gradcam", layer="absent"), ValueError, "no layer"),
        (dict(methods="gradient_shap", coefficients=[2.0] * 50), ValueError, "not in [0, 1]"),
        (dict(methods="saliency", unit="kV"), ValueError, "uV, mV and V"),
    ],
)
def test_requests_that_cannot_be_are_refused(model, x, asked, kind, says):
    with pytest.raises(kind) as refused:
        model.explain(x, **asked)
    assert says in str(refused.value)


def test_files_that_are_no_models_are_refused(model, tmp_path):
    good = model.to_bytes()
    newer = bytearray(good)
    newer[8] = 9
    damaged = bytearray(good)
    damaged[-1] ^= 1
    for bytes, says in ((b"", "is not"), (b"garbage" * 99, "is not"), (newer, "newer program"), (damaged, "damaged"), (good[:-5], "cut off")):
        with pytest.raises(cardiograd.Error, match=says):
            cardiograd.Model.load(bytes)
        (tmp_path / "m.cgm").write_bytes(bytes)
        with pytest.raises((cardiograd.Error, ValueError)):
            cardiograd.Model.load(tmp_path / "m.cgm")
    with pytest.raises(cardiograd.Error):
        cardiograd.Model.load(tmp_path / "absent.cgm")
    with pytest.raises(cardiograd.Error, match="ONNX"):
        cardiograd.Model.from_onnx(b"\x08garbage")
    with pytest.raises(cardiograd.Error, match="missing"):
        cardiograd.Model.from_state_dict({"fc.weight": np.zeros((1, 2), np.float32)}, "standardconv")


def test_a_state_dict_in_memory_is_the_network(model, x):
    from numpy.random import default_rng

    draw = default_rng(0)
    shapes = {}
    for layer, (out, into) in zip((0, 1, 5, 6, 10, 11), ((32, 12), (32, 32), (32, 32), (32, 32), (32, 32), (32, 32))):
        shapes[f"model.{layer}.weight"] = (out, into, 8)
    with pytest.raises(cardiograd.Error) as refused:
        cardiograd.Model.from_state_dict({name: draw.normal(size=shape) for name, shape in shapes.items()}, "standardconv")
    assert "parameter" in str(refused.value)
    with pytest.raises(ValueError, match="unknown network"):
        cardiograd.Model.from_state_dict({}, "nothing")
