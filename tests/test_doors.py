"""What a user may get wrong at the public doors: one line, rule, value, remedy, before any work."""

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.steppers import ETDRK4, RK4

TORUS = mf.Torus(32)
RHO = TORUS.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x))
FLOW = mf.GradientFlow(mf.InternalEnergy(3, 1 / 3), mf.Wasserstein())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mf.solve(FLOW, RHO, t_end=0.1, stepper=ETDRK4), "class ETDRK4"),
        (lambda: mf.solve(FLOW, RHO, t_end=0.1, stepper=range(3)), "got range"),
        (lambda: mf.iterate(FLOW, RHO, RK4), "stepper must be a Stepper"),
        (lambda: mf.iterate(mf.InternalEnergy(2), RHO, ETDRK4()), "flow must be a GradientFlow"),
        (lambda: mf.iterate(FLOW, RHO, ETDRK4(), until="a"), "until must be a real number"),
        (lambda: mf.solve(FLOW, RHO, t_end=0.1, observe=[len]), "observe must map names"),
        (lambda: mf.solve(FLOW, RHO, t_end=0.1, observe={1: len}), "observe must map names"),
        (lambda: mf.solve(FLOW, RHO, t_end=0.1, out=3), "out must be a path"),
        (lambda: TORUS.density(lambda x, y: x), "function of 1 coordinate"),
        (lambda: TORUS.gradient(RHO), "must be an array of real numbers"),
        (lambda: TORUS.gradient(1j * RHO.values), "must be an array of real numbers"),
        (lambda: TORUS.coefficients(np.ones(5)), "must have shape"),
        (lambda: TORUS.values(np.ones(5)), "must have shape"),
        (lambda: TORUS.sobolev_norm(RHO.values, math.nan), "order must be finite"),
        (lambda: TORUS.radius(math.nan), "center must be finite"),
        (lambda: TORUS.density(np.full(32, 1e308)), "finite mass"),
    ],
)
def test_a_refusal_is_one_line(call, words):
    with pytest.raises((ValueError, TypeError), match=words) as info:
        call()
    assert "\n" not in str(info.value)


def test_data_beyond_the_kept_modes_are_not_dropped_in_silence():
    rho = TORUS.density(lambda x: 1 + 0.3 * np.cos(20 * np.pi * x))  # mode 10; m = 3 keeps |k| < 8
    with pytest.warns(RuntimeWarning, match=r"kept modes \|k\| < 8 of n = 32 \(got 0.21 of its L2 norm"):
        ETDRK4(dt=1e-7).init(FLOW, rho)
    ETDRK4(dt=1e-7).init(FLOW, RHO)  # resolved: no warning, which would be an error here


def test_a_pure_drift_holds_etdrk4_to_the_explicit_bound():
    flow = mf.GradientFlow(mf.Potential(lambda x: np.cos(2 * np.pi * x)), mf.Wasserstein())
    with pytest.raises(ValueError, match="stability bound"):
        mf.solve(flow, RHO, t_end=2.0, stepper=ETDRK4(dt=1.0))


def test_an_error_in_the_users_code_leaves_a_file_that_says_so(tmp_path):
    def fail_later(t, state):
        return 1.0 if t == 0 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        mf.solve(FLOW, RHO, t_end=0.01, save_at=5, out=tmp_path / "a.h5", observe={"q": fail_later})
    ds = mf.output.read(tmp_path / "a.h5")
    assert (ds.status, ds.sizes["time"]) == ("failed", 1)
    assert "an error ended the run" in ds.status_message


def test_a_resumed_run_counts_all_its_steps(tmp_path):
    options = {"t_end": 0.02, "save_at": 5, "stepper": ETDRK4(dt=1e-3), "out": tmp_path / "a.h5"}
    with pytest.warns(RuntimeWarning, match="step limit"):
        mf.solve(FLOW, RHO, max_steps=7, **options)
    assert mf.solve(FLOW, RHO, resume=True, **options).status_message.endswith("; 20 steps")


def test_a_resumed_run_keeps_its_error_budget(tmp_path):
    rho = mf.Torus(128).density(lambda x: np.exp(np.log(40) / 2 * np.cos(2 * np.pi * x)))
    options = {"t_end": 2e-3, "save_at": 11, "stepper": ETDRK4(dt=2e-5), "out": tmp_path / "a.h5"}
    with pytest.warns(RuntimeWarning, match="inaccurate"):
        first = mf.solve(FLOW, rho, **options)
    with pytest.warns(RuntimeWarning, match="inaccurate"):
        again = mf.solve(FLOW, rho, resume=True, **options)
    assert first.status_message == again.status_message


def test_resuming_under_other_versions_warns(tmp_path, monkeypatch):
    options = {"t_end": 0.01, "save_at": 5, "stepper": ETDRK4(dt=1e-3), "out": tmp_path / "a.h5"}
    with pytest.warns(RuntimeWarning, match="step limit"):
        mf.solve(FLOW, RHO, max_steps=5, **options)
    elsewhere = mf.output.collect() | {"versions": "python 4.0, numpy 9.0"}
    monkeypatch.setattr("meanfield.output.collect", lambda: elsewhere)
    with pytest.warns(RuntimeWarning, match="keeps its bits with the same versions only"):
        assert mf.solve(FLOW, RHO, resume=True, **options).status == "finished"
    mf.solve(FLOW, RHO, resume=True, **options)  # finished: nothing is computed, nothing to warn of
