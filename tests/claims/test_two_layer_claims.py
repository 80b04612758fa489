"""Claims on two-layer networks: small ladders hold, hypotheses are checked, and broken code is violated."""

import dataclasses

import numpy as np
import pytest

import meanfield as mf
from meanfield import claims
from meanfield.claims import Outcome, load_ladder, mean_field, two_layer


def small(name, levels, seeds=None, **changes):
    """A ladder that takes a moment."""
    ladder = load_ladder(name)
    levels = {axis: levels.get(axis, values) for axis, values in ladder.quick.items()}
    return dataclasses.replace(ladder, levels=levels, quick=levels, seeds=seeds).with_parameters(**changes)


def flow(**changes):
    return small("two_layer_flow", {"dt": [0.05, 0.1, 0.2], "saves": [10, 20, 40]}, t_end=2.0, **changes)


def width(**changes):
    small_sizes = {"dim": 10, "steps": 2000}
    return small("two_layer_width", {"width": [2, 6], "seed_of_run": [0]}, **{**small_sizes, **changes})


def limit(**changes):
    levels = {"width": [16, 64, 256], "step": [0.0125, 0.05, 0.2]}
    return small("two_layer_limit", levels, seeds=12, **{"t_end": 1.0, "width_of_steps": 400, **changes})


def concentration(**changes):
    return small("two_layer_concentration", {"draw": [0]}, **{"number": 60, "samples": 60, "t_end": 400.0, **changes})


def optimality(**changes):
    levels = {"draw": [1], "steps": [changes.pop("steps", 12000)]}
    return small("two_layer_optimality", levels, **{"number": 40, "samples": 10, "step": 0.1, **changes})


def violated(claim, ladder):
    verdict = claims.get(claim).check(ladder=ladder, progress=False)
    return {m.quantity.partition(",")[0] for m in verdict.measurements if m.outcome is Outcome.VIOLATED}


@pytest.mark.parametrize(
    ("claim", "ladder"),
    [("TWO-1", flow()), ("TWO-2", width()), ("TWO-3", optimality()), ("TWO-4", limit()), ("TWO-5", concentration())],
    ids=["TWO-1", "TWO-2", "TWO-3", "TWO-4", "TWO-5"],
)
def test_small_ladders_are_not_violated(claim, ladder):
    assert not violated(claim, ladder)


@pytest.mark.parametrize(
    ("claim", "ladder"),
    [("TWO-1", flow(penalty=1e-3)), ("TWO-2", width(teachers=2)), ("TWO-3", optimality(penalty=0.0)),
     ("TWO-3", optimality(number=20)), ("TWO-4", limit(samples=1)),
     ("TWO-5", concentration(penalty=0.0)), ("TWO-5", concentration(dim=2))],
)  # fmt: skip
def test_outside_its_hypotheses_a_claim_says_nothing(claim, ladder):
    assert claims.get(claim).check(ladder=ladder).outcome is Outcome.HYPOTHESES_NOT_MET


def test_a_gradient_off_by_a_percent_breaks_the_balance(monkeypatch):
    plain = mf.TwoLayer.evaluate

    def off(*given):
        value, gradient = plain(*given)
        return value, 1.01 * gradient

    monkeypatch.setattr(mf.TwoLayer, "evaluate", off)
    bad = violated("TWO-1", flow())
    assert {"order of the balance defect in the step", "relative gap between force and sum over pairs"} <= bad


def test_an_unequal_pace_of_the_layers_moves_the_invariant(monkeypatch):
    plain = mf.Wasserstein.velocity

    def off(self, state, differential):
        velocity = plain(self, state, differential)
        velocity[:, 0] *= 1.0 + 1e-3
        return velocity

    monkeypatch.setattr(mf.Wasserstein, "velocity", off)
    assert "drift of a² - |b|² by RK4" in violated("TWO-1", flow())


def test_a_student_without_the_signs_of_its_teacher_is_violated(monkeypatch):
    signs = mean_field.alternating
    monkeypatch.setattr(mean_field, "alternating", lambda number: signs(3) if number == 3 else np.ones(number))
    assert "greatest loss" in violated("TWO-2", width())


def test_a_run_that_stops_early_is_no_optimum():
    bad = violated("TWO-3", optimality(steps=500))
    assert {"least value of F'(μ) + V over λ", "bound of E(μ) − inf E over E(μ)"} <= bad


def test_correlated_samples_are_violated(monkeypatch):
    """TWO-4: descent that looks at one sample for ever has another limit."""
    monkeypatch.setattr(
        mf.steppers.WithReplacement, "block", lambda self, rng, samples: np.zeros((1024, self.batch), dtype=int)
    )
    bad = violated("TWO-4", limit())
    assert "deviation of the outputs in the step" in bad


def test_a_penalty_that_the_flow_forgets_does_not_concentrate(monkeypatch):
    monkeypatch.setattr(two_layer, "Risk", lambda network, x, y, penalty: mf.Risk(network, x, y))
    assert "least share with the penalty" in violated("TWO-5", concentration())


def test_the_share_is_of_products_of_norms():
    mu = mf.ParticleMeasure([[2.0, 3.0, 4.0, 0.0], [-1.0, 0.0, 0.0, 10.0]])
    assert two_layer.share(mu, 2) == pytest.approx(0.5)
