"""Single trainings: their data, the law of the risk and its window, and rows that can be violated."""

import numpy as np
import pytest
import xarray as xr

import meanfield as mf
from meanfield.claims import Measurement, Outcome, Verdict, load_ladder
from meanfield.claims.training import (
    guaranteed_exponent,
    law_window,
    of_training,
    stretched_exponent,
    training_pair,
    training_run,
)

LADDER = load_ladder("density_node").with_parameters(data="smooth")


@pytest.fixture(scope="module")
def ds():
    return training_run(LADDER.parameters, 32, 8, progress=False)


def rows(ds, ladder=LADDER):
    return {row.quantity.split(", t =")[0]: row for row in of_training(ladder, ds) if isinstance(row, Measurement)}


def unmet(ds, ladder=LADDER):
    return [row.unmet[0] for row in of_training(ladder, ds) if isinstance(row, Verdict)]


# ---- data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_smooth_pairs_have_mass_one_and_the_shares_asked_for(dim):
    p = {**LADDER.parameters, "dim": dim}
    start, target = training_pair(p, 24)
    x = start.torus.points[0]
    for rho in (start, target):
        assert rho.torus.dim == dim
        assert rho.mass == pytest.approx(1, rel=1e-14)
        assert rho.values.min() >= p["background"] * (1 - 1e-12)
    assert x[np.unravel_index(start.values.argmax(), start.values.shape)] == pytest.approx(0.45, abs=1 / 24)
    moment = np.exp(2j * np.pi * x)  # of a bump around a: a number times exp(2πia)
    ratio = np.mean(moment * (target.values - 1)) / np.mean(moment * (start.values - 1))
    expected = 0.4 * np.exp(2j * np.pi * (0.3 - 0.45)) + 0.6 * np.exp(2j * np.pi * (0.65 - 0.45))
    assert abs(ratio - expected) < 1e-5


def test_digits_are_the_ones_named():
    p = {**LADDER.parameters, "data": "digits", "from": 2, "to": 9, "sample": 4}
    images, labels = mf.data.digits()
    for digit, rho in zip((2, 9), training_pair(p, 48)):
        image = images[np.flatnonzero(labels == digit)[4]]
        expected = mf.data.density_of_image(rho.torus, image, blur=p["blur"], background=p["background"])
        np.testing.assert_array_equal(rho.values, expected.values)


# ---- the law -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [0.0, 0.15, 0.5, 1.0])
def test_stretched_exponent_is_found(theta):
    t = np.geomspace(0.02, 0.3, 12)
    values = 7 * (t**-2.5 if theta == 0 else np.exp(-9 * t**theta))
    found, fitted = stretched_exponent(t, values)
    assert found == pytest.approx(theta, abs=1e-4)
    np.testing.assert_allclose(fitted, values, rtol=1e-4)


def test_guaranteed_exponents():
    """1/λ of TRAIN-7, and None where it promises nothing."""
    p = {"loss": "l2", "order": 3, "penalty": 0.0}
    assert guaranteed_exponent(p) == pytest.approx(1 / 3)
    assert guaranteed_exponent(p | {"order": 4}) == pytest.approx(1 / 2)
    assert guaranteed_exponent(p | {"loss": "kl"}) == pytest.approx(2 / 3)
    for change in ({"order": 2}, {"loss": "sobolev"}, {"penalty": 0.1}):
        assert guaranteed_exponent(p | change) is None


def test_window_is_where_the_risk_has_fallen_tenfold():
    t = np.array([0, 1, 2, 3, 4, 5.0])
    ds = xr.Dataset({"risk": ("time", [5, 1, 0.5, 0.3, 0.6, 0.0])}, {"time": t})
    assert law_window(ds).time.values.tolist() == [2, 3]


# ---- rows --------------------------------------------------------------------------------------------------------


def test_a_training_confirms_all_rows(ds):
    found = rows(ds)
    assert set(found) == set(LADDER.expected)
    assert {row.outcome for row in found.values()} == {Outcome.CONFIRMED}
    kernel = mf.SobolevKernel(LADDER.parameters["order"], LADDER.parameters["length"])
    bound = np.exp(-kernel.divergence_bound(mf.Torus(32)) * float(ds.control_norm.max()))
    for name in ("least det DΦ", "min ρ_1 over min ρ_0"):
        assert found[name].theory == pytest.approx(bound, rel=1e-12)
        assert found[name].measured > bound > 0


@pytest.mark.parametrize(
    ("variable", "spoil", "quantity"),
    [
        ("least_jacobian", lambda values: -values, "least det DΦ"),
        ("least_density", lambda values: 0 * values, "min ρ_1 over min ρ_0"),
        ("density", lambda values: values + 1e-12 * values.time, "relative drift of the mass"),
        ("energy", lambda values: values + 2 * values.time, "largest rise of the energy between saves"),
        ("risk", lambda values: (1 + 1e9 * values.time) ** -0.25, "slope of log risk in log t"),
        ("risk", lambda values: np.exp(-2 * (300 * values.time) ** 1.5), "θ of risk ~ exp(−C t^θ)"),
        ("balance_defect", lambda values: values + 0.1, "balance defect by distance over the energy drop"),
        ("balance_defect_velocity", lambda values: values - 0.1, "balance defect by velocity over the energy drop"),
    ],
)
def test_every_row_can_be_violated(ds, variable, spoil, quantity):
    found = rows(ds.assign({variable: spoil(ds[variable])}))
    assert found[quantity].outcome is Outcome.VIOLATED


def test_what_a_run_cannot_show_is_said(ds):
    assert unmet(ds) == []
    early = unmet(ds.isel(time=slice(0, 4)))
    assert early[0].startswith("the risk falls 1000 times by t = 0.3 (1.")
    assert early[1] == "the risk has fallen 10 times at 10 saves (at 0)"
    assert unmet(ds, LADDER.with_parameters(tolerance=0.0)) == ["steps are controlled: tolerance > 0"]
    assert unmet(ds, LADDER.with_parameters(penalty=1.0)) == [
        "a law is known: loss l2 with order > 2, or kl; no penalty"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "letters"}, "data must be one of digits, smooth (got 'letters')"),
        ({"loss": "l1"}, "loss must be one of l2, kl, sobolev (got 'l1')"),
        ({"stepper": "adam"}, "stepper must be one of euler, heun, rk4 (got 'adam')"),
        ({"data": "digits", "from": 11}, "an image must exist (got sample 0 of digit 11, which has 0)"),
        ({"data": "digits", "sample": 178}, "an image must exist (got sample 178 of digit 8, which has 174)"),
        ({"data": "digits", "blur": 0.02}, "a blur must be resolved on the kept modes"),
        ({"saves": 2}, "saves must be at least 3 (got 2)"),
        ({"width": 0}, "width must be positive (got 0)"),
        ({"background": -1}, "a density must be non-negative"),
        ({"penalty": -1}, "penalty must not be negative (got -1)"),
        ({"learning_rate": 1.0}, "dt must not exceed the stability bound"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(change, message):
    with pytest.raises(ValueError) as info:
        training_run({**LADDER.parameters, **change}, 32 if change.get("data") != "digits" else 48, 4, progress=False)
    assert message in str(info.value)
    assert "\n" not in str(info.value)
