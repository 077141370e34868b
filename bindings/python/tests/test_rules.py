"""Methods of one's own, of rules in Python."""

import numpy as np
import pytest

import cardiograd


def guided(grad_out, inputs, output, reference):
    return np.where((inputs[0] > 0) & (grad_out > 0), grad_out, 0).astype(grad_out.dtype)


def rescale(grad_out, inputs, output, reference, plain):
    (before,), at_base = reference[0], reference[1]
    change = inputs[0] - before
    return np.where(np.abs(change) < 1e-10, plain[0], grad_out * (output - at_base) / np.where(change == 0, 1, change)).astype(grad_out.dtype)


def test_rules_give_the_built_in_maps_under_every_sampler_and_reduction(model, x):
    cardiograd.register("t_guided", {"relu": guided})
    cardiograd.register("t_rescale", {"relu": rescale}, reference=True, sum="difference", family="slope", unit="per_microvolt")
    cardiograd.register("t_path", {"relu": lambda g, i, o, r, plain: plain}, sampler="path", reduction="times_difference")
    cardiograd.register("t_noise", {"class:activation": lambda g, i, o, r, plain: plain[0]}, sampler="noise", reduction="mean_absolute")
    own = model.explain(x, "t_guided,t_rescale,t_path,t_noise", samples=3, steps=4)
    theirs = model.explain(x, "guided_backprop,deeplift,smoothgrad", samples=3, steps=4)
    path = model.explain(x, "integrated_gradients", steps=4, multiply_by_inputs=True)
    for mine, built_in in (("t_guided", theirs["guided_backprop"]), ("t_noise", theirs["smoothgrad"]), ("t_path", path["integrated_gradients"])):
        np.testing.assert_allclose(own[mine], built_in, rtol=1e-4, atol=1e-6 * np.abs(built_in).max())
    np.testing.assert_allclose(own["t_rescale"], theirs["deeplift"], rtol=1e-2, atol=1e-3 * np.abs(theirs["deeplift"]).max())
    assert (own.completeness["t_rescale"].relative_error < 0.05).all()
    assert model.explain(x, "t_guided", precision="f64")["t_guided"].dtype == np.float64
    assert model.trace(x[0], "t_guided").walks[0]["entries"] and own.plot("t_guided").svg.startswith("<")
    assert model.perturb(x, {"t_guided": own["t_guided"]}, iterations=2)["t_guided"].shape == (2, 3)


def test_rules_that_fail_or_do_not_fit_say_so(model, x):
    def broken(grad_out, inputs, output, reference):
        return {}["absent"]

    for name, rule, says in (
        ("t_broken", broken, "KeyError"),
        ("t_shape", lambda g, i, o, r: g[:, :1], "shape"),
        ("t_type", lambda g, i, o, r: "text", "float32 or float64"),
        ("t_none", lambda g, i, o, r: [None], "needs a gradient"),
        ("t_many", lambda g, i, o, r: [g, g], "2 gradients"),
        ("t_nan", lambda g, i, o, r: g * np.float32("nan"), "not finite"),
    ):
        cardiograd.register(name, {"relu": rule})
        with pytest.raises((cardiograd.Error, ValueError)) as refused:
            model.explain(x, name)
        assert says in str(refused.value) and "\n" not in str(refused.value)
    cardiograd.register("t_idle", {"node:absent": guided})
    with pytest.raises(cardiograd.Error, match="acts nowhere"):
        model.explain(x, "t_idle")
    for bad in (dict(rules={"nothing": guided}), dict(rules={"class:nothing": guided}), dict(rules={"relu": 3}), dict(rules={"relu": guided}, sampler="s"),
                dict(rules={"relu": guided}, reduction="s"), dict(rules={"relu": guided}, family="s")):
        with pytest.raises(ValueError):
            cardiograd.register("t_bad", **bad)
    with pytest.raises(ValueError, match="already"):
        cardiograd.register("saliency", {"relu": guided})
