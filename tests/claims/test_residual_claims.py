"""The claims on residual networks hold on small ladders, and fail where they should."""

import dataclasses

import numpy as np
import pytest

from meanfield.claims import Outcome, get, load_ladder, residual, residual_convergence, residual_sizes
from meanfield.distances import labelled_distance
from meanfield.measures import LayeredMeasure
from meanfield.theory import ResidualBounds

SPEED = "order of d(μ_t, μ_{t+h})/(h|G|) − 1 in h"


def small(name, *, quick=None, seeds=None, reference=None, **parameters):
    """A ladder with smaller levels and other parameters."""
    ladder = load_ladder(name).with_parameters(**parameters)
    changes = {"quick": quick, "levels": quick, "seeds": seeds, "reference": reference}
    return dataclasses.replace(ladder, **{key: value for key, value in changes.items() if value is not None})


def violated(claim, ladder):
    """The quantities violated, without their case."""
    rows = get(claim).check(quick=True, ladder=ladder).measurements
    return {name for name in ladder.expected for row in rows if row.quantity.startswith(name) and _bad(row)}


def _bad(row):
    return row.outcome is Outcome.VIOLATED


# ---- COT-2 ---------------------------------------------------------------------------------------------------------

FLOW = {"quick": {"steps": [16, 32, 64], "h": [1e-3, 4e-3, 1.6e-2]}, "layers": 3, "width": 20, "t_end": 2}


def test_dissipation_and_speed():
    assert not violated("COT-2", small("residual_dissipation", **FLOW))


def test_a_distance_off_by_a_factor_is_no_metric_of_the_flow(monkeypatch):
    exact = residual.conditional_wasserstein
    monkeypatch.setattr(residual, "conditional_wasserstein", lambda a, b: 1.01 * exact(a, b))
    assert SPEED in violated("COT-2", small("residual_dissipation", **FLOW))


def test_a_gradient_without_its_mean_field_factor_breaks_the_identity(monkeypatch):
    """1/m in place of the derivative divided by the weight: the risk falls m times slower than |G|² says."""
    network = residual.Training.of({"samples": 2, "dim": 2}, np.random.default_rng(0), 1.0).network
    evaluate = type(network).evaluate

    def scaled(self, mu, x, y, loss):
        value, gradient = evaluate(self, mu, x, y, loss)
        return value, gradient / mu.width

    monkeypatch.setattr(type(network), "evaluate", scaled)
    assert "order of Risk_0 − Risk_t − ∫|G|² in the steps" in violated("COT-2", small("residual_dissipation", **FLOW))


def test_weights_that_drift_are_seen(monkeypatch):
    solve = residual.solve

    def drifting(*args, **kwargs):
        ds = solve(*args, **kwargs)
        ds["weights"] = ds["weights"] * (1 + 1e-15)
        return ds

    monkeypatch.setattr(residual, "solve", drifting)
    assert violated("COT-2", small("residual_dissipation", **FLOW)) == {
        "largest change of a weight, mass of a layer or number of layers"
    }


# ---- COT-3 ---------------------------------------------------------------------------------------------------------


def test_the_first_slope():
    assert get("COT-3").check(quick=True).outcome is Outcome.CONFIRMED


def test_a_slope_off_by_1e_12_and_rates_of_other_features_are_found_out(monkeypatch):
    exact = residual.initial_dissipation
    monkeypatch.setattr(residual, "initial_dissipation", lambda *args: (1 + 1e-12) * exact(*args))
    rates = residual.initial_rates
    monkeypatch.setattr(residual, "initial_rates", lambda *args: rates(*args)[::-1])
    assert violated("COT-3", load_ladder("residual_features")) == set(load_ladder("residual_features").expected)


# ---- COT-4 ---------------------------------------------------------------------------------------------------------

LEVELS = {"depth": [8, 16, 32], "width": [32, 64, 128], "across": [32, 64, 128]}
SIZES = {
    "quick": LEVELS,
    "reference": {"depth": 512, "width": 4096},
    "seeds": 16,
    "seeds_in_depth": 3,
    "layers": 4,
    "seeds_of_depths": 32,
    "dt": 1,
}


def violated_sizes(part):
    """What one part of COT-4 finds wrong."""
    ladder = small("residual_sizes", **SIZES)
    rows = residual_sizes.of_finite_sizes(ladder, part(ladder, LEVELS, False))
    return {row.quantity for row in rows if _bad(row)}


@pytest.mark.parametrize("part", [residual_sizes.in_depth, residual_sizes.in_width, residual_sizes.in_distance])
def test_finite_sizes(part):
    assert not violated_sizes(part)


def test_layers_that_are_not_a_step_in_depth_are_found_out(monkeypatch):
    """The same outputs up to 1/√L: half the order."""
    exact = residual_sizes.errors_of
    monkeypatch.setattr(
        residual_sizes, "errors_of", lambda *args: {name: abs(e) ** 0.5 for name, e in exact(*args).items()}
    )
    assert violated_sizes(residual_sizes.in_depth) == {"output error in L", "risk error in L"}


def test_particles_that_are_copies_do_not_average(monkeypatch):
    """m particles of which 8 differ: the error in m stays, and d too."""
    neurons = residual_sizes.neurons

    def copies(p, rng, *, layers, width, u=0.0):
        few = neurons(p, rng, layers=layers, width=8, u=u)
        return LayeredMeasure(np.repeat(few.positions, int(width) // 8, axis=1))

    monkeypatch.setattr(residual_sizes, "neurons", copies)
    assert "output error in m" in violated_sizes(residual_sizes.in_width)
    assert "d in m, normal u, support of dimension 5, t = 0" in violated_sizes(residual_sizes.in_distance)


def test_labels_are_not_the_distance(monkeypatch):
    monkeypatch.setattr(residual_sizes, "conditional_wasserstein", labelled_distance)
    assert {
        "d in m, u = 0, support of dimension 3, t = 0",
        "d in m, u = 0, support of dimension 3, t = 10",
        "d in m, normal u, support of dimension 5, t = 0",
    } <= violated_sizes(residual_sizes.in_distance)


# ---- COT-5 ---------------------------------------------------------------------------------------------------------

CONVERGENCE = {"quick": {"displacement": [0.1]}}


def test_linear_convergence():
    assert not violated("COT-5", small("residual_convergence", **CONVERGENCE))


def test_narrow_features_converge_slowly():
    """(w, b) ~ N(0, I): λ_min is several times smaller."""
    ladder = small("residual_convergence", **CONVERGENCE, spread=1, seed_of_unstable=8, displacement_of_unstable=0.1)
    found = violated("COT-5", ladder)
    assert {"time to risk 1e-8, step 1", "risk where step 1 is refused", "largest certified δ"} <= found


def test_a_constant_that_is_too_large_is_refuted(monkeypatch):
    lower = ResidualBounds.lower
    monkeypatch.setattr(residual_convergence.ResidualBounds, "lower", lambda self, r: 10 * lower(self, r))
    assert "m(d) over m(t) on a certified run" in violated("COT-5", small("residual_convergence", **CONVERGENCE))


# ---- COT-6 ---------------------------------------------------------------------------------------------------------

STABILITY = {"seeds": 3, "layers": 3, "width": 40}


def test_stability():
    assert not violated("COT-6", small("residual_stability", **STABILITY))


def test_a_distance_with_a_floor_is_found_out(monkeypatch):
    exact = residual.conditional_wasserstein
    monkeypatch.setattr(residual, "conditional_wasserstein", lambda a, b: exact(a, b) + 1e-3)
    assert "order of d_t/d_0 minus its limit" in violated("COT-6", small("residual_stability", **STABILITY))


def test_large_perturbations_are_outside_the_claim():
    ladder = small("residual_stability", quick={"perturbation": [0.1, 0.3, 1.0]})
    assert get("COT-6").check(quick=True, ladder=ladder).outcome is Outcome.HYPOTHESES_NOT_MET


def test_the_section_holds_all_claims():
    assert [claim.id for claim in residual.CLAIMS] == [f"COT-{number}" for number in range(1, 7)]


@pytest.mark.parametrize("distance", [0.0, 0.3])
def test_moves_have_the_length_asked_for(distance):
    rng = np.random.default_rng(0)
    start = residual.neurons({"dim": 2, "spread": 1}, rng, layers=3, width=5)
    direction = rng.standard_normal(start.positions.shape)
    assert labelled_distance(start, residual.moved(start, direction, distance)) == pytest.approx(distance, rel=1e-13)
