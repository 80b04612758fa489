"""Claims on density neural ODEs: hypotheses, that each can fail, and the constants and windows they rest on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import claims
from meanfield.claims import Outcome, density_adjoint, density_geometry, density_training, load_ladder
from meanfield.claims.density_problems import gains_of_order, random_wave, smooth_problem
from meanfield.claims.kernelised_runs import loss_of, rough
from meanfield.tableaus import rk4, ssprk3


def check(claim_id, *, levels=None, **changes):
    """The verdict on the quick levels, with other levels and parameters where given."""
    claim = claims.get(claim_id)
    ladder = load_ladder(claim.ladder).with_parameters(**changes)
    chosen = {**ladder.quick, **(levels or {})}
    return claim.check(ladder=replace(ladder, levels=chosen, quick=chosen), progress=False)


def violated(verdict):
    """The quantities violated, without their cases."""
    names = load_ladder(verdict.ladder).expected
    rows = [m.quantity for m in verdict.measurements if m.outcome is Outcome.VIOLATED]
    return {name for name in names for row in rows if row == name or row.startswith(f"{name}, ")}


# ---- hypotheses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "changes"),
    [*((f"TRAIN-{number}", {"contrast": 1.0}) for number in range(1, 10)),
     ("TRAIN-6", {"order": 2}), ("TRAIN-7", {"order": 2}), ("TRAIN-7", {"contrast": 0.3}), ("TRAIN-7", {"bend": 0.01}),
     ("TRAIN-8", {"offset": 1.0}), ("TRAIN-8", {"order": 1.5}), ("TRAIN-9", {"penalty": 0.0})],
)  # fmt: skip
def test_outside_its_hypotheses_a_claim_says_nothing(claim_id, changes):
    assert check(claim_id, **changes).outcome is Outcome.HYPOTHESES_NOT_MET


# ---- every claim can fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [1 + 3e-8, 1 - 3e-8])
def test_a_gradient_off_by_little_is_violated(monkeypatch, wrong):
    """TRAIN-1."""
    right = mf.DensityNODE.risk_and_differential
    monkeypatch.setattr(mf.DensityNODE, "risk_and_differential", lambda *a: (right(*a)[0], wrong * right(*a)[1]))
    verdict = check("TRAIN-1", levels={"dim": [1]})
    assert violated(verdict) == {"relative gap to the extrapolated central difference"}, str(verdict)


def test_the_gradient_of_another_risk_is_violated(monkeypatch):
    """TRAIN-1: that with other sub-steps, as "optimise, then discretise" might give, is near and not the derivative."""
    right = mf.DensityNODE.risk_and_differential

    def coarser(node, v, rho0, loss):
        return node.risk(v, rho0, loss), right(replace(node, substeps=3), v, rho0, loss)[1]

    monkeypatch.setattr(mf.DensityNODE, "risk_and_differential", coarser)
    verdict = check("TRAIN-1", levels={"dim": [1]}, substeps=4)
    assert violated(verdict) == {"relative gap to the extrapolated central difference"}, str(verdict)


def test_a_tangent_that_forgets_to_scale_is_violated(monkeypatch):
    """TRAIN-2."""
    right = mf.DensityNODE.tangent
    monkeypatch.setattr(mf.DensityNODE, "tangent", lambda *a: (1 + 1e-10) * right(*a))
    assert violated(check("TRAIN-2", levels={"dim": [1]}))


def test_a_drift_an_algebraic_error_and_a_density_too_low_are_violated(monkeypatch):
    """TRAIN-3, with an error of order 4 that also changes the mass, and a bound of the density that is too high."""
    states, bound = mf.DensityNODE.states, density_adjoint.least_densities

    def worse(node, v, rho0):
        values = states(node, v, rho0).copy()
        values[-1] += node.torus.n**-4.0
        return values

    monkeypatch.setattr(mf.DensityNODE, "states", worse)
    monkeypatch.setattr(density_adjoint, "least_densities", lambda problem: 1.2 * bound(problem))
    assert violated(check("TRAIN-3", resolved=[256, 96, 32])) == set(load_ladder("density_accuracy").expected)


def test_a_tableau_of_another_order_is_violated(monkeypatch):
    """TRAIN-4: weights off by a percent leave order one, or zero; the bound is the tableau's own."""
    off = replace(ssprk3, b=(0.16, 1 / 6, 2 / 3 + (1 / 6 - 0.16)), imaginary_bound=1.6)
    monkeypatch.setattr(density_adjoint, "TABLEAUS", (rk4, off))
    verdict = check("TRAIN-4", points=[48])
    assert violated(verdict) == {
        "order of ssprk3 in the sub-steps", "greatest step of ssprk3, h max Σ|v_a| 2πk_max",
    }, str(verdict)  # fmt: skip


def test_layers_sampled_at_their_ends_are_violated(monkeypatch):
    """TRAIN-4: order 1."""
    right = smooth_problem

    def at_the_ends(p, dim, n, *, depth, **options):
        twice = right(p, dim, n, depth=2 * int(depth), **options)
        here = right(p, dim, n, depth=depth, **options)
        return replace(here, control=twice.control[::2])

    monkeypatch.setattr(density_adjoint, "smooth_problem", at_the_ends)
    assert "order in the number of layers" in violated(check("TRAIN-4", points=[48]))


def test_another_kernel_in_the_density_flow_is_violated(monkeypatch):
    """TRAIN-5: then the rates differ, and the solvers separate at first order."""

    def longer(kernel):
        return mf.Kernelised(mf.SobolevKernel(kernel.order, 1.01 * kernel.length))

    monkeypatch.setattr(density_geometry, "Kernelised", longer)
    verdict = check("TRAIN-5", levels={"dim": [1]})
    assert violated(verdict) == set(load_ladder("density_kernelised").expected), str(verdict)


def test_a_flow_map_the_wrong_way_round_is_violated(monkeypatch):
    """TRAIN-6: the map in place of its inverse."""
    right = mf.DensityNODE.inverse_flow_map
    monkeypatch.setattr(mf.DensityNODE, "inverse_flow_map", lambda node, v, x=None: right(node, -v, x))
    bad = violated(
        check(
            "TRAIN-6", levels={"n_line": [16, 32, 64], "n_square": [8, 12, 16]}, points=[32, 16], substeps_in_n=[16, 8]
        )
    )
    assert bad >= {"relative gap at the largest n", "order in the step"}


def test_data_of_another_regularity_are_violated(monkeypatch):
    """TRAIN-7."""

    def smoother(n, regularity, greatest, seed):
        return rough(n, regularity + 0.5, greatest, seed)

    monkeypatch.setattr(density_training, "rough", smoother)
    verdict = check("TRAIN-7", losses=["L2"])
    assert violated(verdict) >= {"slope of log 𝓛 in log t"}, str(verdict)


def test_a_slope_of_another_size_breaks_the_inequalities():
    """TRAIN-7, at the beginning of a run: ``c𝓛^{1+λ} ≤ |∇𝓛|² ≤ C𝓛``, the law it implies, the local exponent."""
    ladder = load_ladder("density_decay")
    p, expected = ladder.parameters, ladder.expected
    rho0 = rough(96, p["regularity"], p["contrast"], 0)
    ds = density_training.training(p, rho0, loss_of("L2", rho0.torus, 0.0), np.geomspace(0.01, 1.0, 8))

    def broken(**changed):
        found = density_training.inequalities(p, "L2", rho0, ds.assign(changed))
        return {name for name in found if expected[name].measured(found[name]).outcome is Outcome.VIOLATED}

    lower, fall, upper, size, local = density_training.inequalities(p, "L2", rho0, ds)
    assert not broken()
    assert broken(dissipation=0.05 * ds.dissipation) == {lower}
    assert broken(dissipation=4.0 * ds.dissipation) == {upper}
    assert broken(energy=0 * ds.energy + float(ds.energy[0])) >= {fall}
    assert broken(control_norm=4.0 * ds.control_norm) == {size}
    assert broken(lojasiewicz_slope=0.98 + 0 * ds.lojasiewicz_slope) == {local}


def test_a_target_that_vanishes_nowhere_is_violated(monkeypatch):
    """TRAIN-8: |v| flattens and the risk falls faster; and the bound of the minimum needs all of κ."""

    train = density_training.training

    def lifted(p, rho0, loss, times):
        return train(p, rho0, mf.L2Distance(rho0.torus.density(0.5 + 0.5 * loss.target.values)), times)

    monkeypatch.setattr(density_training, "training", lifted)
    right = mf.SobolevKernel.divergence_bound
    monkeypatch.setattr(mf.SobolevKernel, "divergence_bound", lambda *a: 0.2 * right(*a))
    bad = violated(check("TRAIN-8", n=32))
    assert bad == {
        "least log(min ρ_1/min ρ_0) + κ|v|",
        "gain of |v| in a doubling of t over the gain before, vanishing target",
        "slope of log 𝓛 in log t, vanishing target",
    }


@pytest.mark.ladder
def test_towards_a_target_with_a_zero_at_a_point_the_norm_grows_faster_than_log_t():
    """TRAIN-8 claims log t for an interval only: 1 + cos, s = 4, has a power of t, 1/4 by the scaling of the claim."""
    p = {"order": 4, "length": 0.1, "depth": 4, "points_of_a_substep": 12}
    torus = mf.Torus(128)
    rho0, target = torus.density(np.ones(128)), torus.density(lambda x: 1 + np.cos(2 * np.pi * x))
    ds = density_training.training(p, rho0, mf.L2Distance(target), 2.0 ** np.arange(-6, 5))
    gains = np.diff(ds.control_norm.values)[-3:]
    assert (gains[1:] > 1.1 * gains[:-1]).all(), gains


def test_a_descent_that_stops_early_is_violated():
    """TRAIN-9: far from the minimiser the speed is not constant, and shooting leads elsewhere."""
    assert violated(check("TRAIN-9", tolerance=0.03)) == set(load_ladder("density_geodesic").expected)


# ---- what they rest on -------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_waves_are_bounded_by_one_without_mean(seed, dim, highest):
    torus = mf.Torus(2 * highest + 2, dim=dim)
    values = random_wave(np.random.default_rng(seed), dim, highest)(torus)
    assert 0.05 < np.abs(values).max() <= 1 + 1e-12
    assert abs(values.mean()) < 1e-14
    axis = np.arange(-highest, highest + 1)
    assert np.delete(torus.coefficients(values), axis[axis >= 0], axis=-1) == pytest.approx(0, abs=1e-15)


def test_grids_and_depths_see_the_same_problem():
    p = {"seed": 3, "contrast": 0.5, "speed": 0.2, "highest": 1, "order": 3, "length": 0.1}
    coarse, fine = (smooth_problem(p, 2, n, depth=3) for n in (12, 24))
    deeper = smooth_problem(p, 2, 12, depth=9)
    np.testing.assert_allclose(coarse.rho0.values, fine.rho0.values[::2, ::2], rtol=0, atol=1e-15)
    np.testing.assert_allclose(coarse.control, fine.control[..., ::2, ::2], rtol=0, atol=1e-15)
    np.testing.assert_allclose(coarse.control, deeper.control[1::3], rtol=0, atol=1e-15)
    assert not np.allclose(coarse.control, coarse.direction)


def test_gains_of_order_tell_powers_from_exponentials():
    n = np.array([8.0, 16, 32, 64])
    np.testing.assert_allclose(gains_of_order(n**-3, n, 0.0), 0, atol=1e-12)
    assert gains_of_order(np.exp(-n / 2), n, 0.0).min() > 5
    assert len(gains_of_order(np.array([1.0, 1e-3, 1e-12, 1e-15]), n, 1e-11)) == 1


@pytest.mark.parametrize("name", ["L2", "KL"])
@given(seed=st.integers(0, 10**6), contrast=st.floats(0.05, 0.9), power=st.sampled_from([1.0, 5 / 3, 5.0]))
@settings(max_examples=15, deadline=None)
def test_at_zero_control_the_constants_hold_for_any_density(name, seed, contrast, power):
    """``c𝓛^{1+λ} ≤ |∇𝓛|²``, with equality nowhere near: for one mode alone it is sharp up to 2(min ρ)^a."""
    torus, p = mf.Torus(64), {"order": 2.5, "length": 0.1}
    wave = random_wave(np.random.default_rng(seed), 1, 3)(torus)
    rho0, loss = torus.density(1 + contrast * wave), loss_of(name, torus, 0.0)
    node = mf.DensityNODE(torus, mf.SobolevKernel(**p), depth=2)
    slope = mf.Hilbert(node.kernel).squared_norm(node.zero(), node.differential(node.zero(), rho0, loss))
    value = loss.value(rho0)
    assert slope >= density_training.lower_constant(p, name, rho0, power) * value ** (1 + power) * (1 - 1e-9)


@pytest.mark.parametrize("name", ["L2", "KL"])
def test_the_lower_constant_is_sharp_for_a_small_mode(name):
    torus, p, kernel = mf.Torus(64), {"order": 2.5, "length": 0.1}, mf.SobolevKernel(2.5, 0.1)
    rho0 = torus.density(lambda x: 1 + 1e-4 * np.cos(6 * np.pi * x))
    node, loss = mf.DensityNODE(torus, kernel, depth=2), loss_of(name, torus, 0.0)
    slope = mf.Hilbert(kernel).squared_norm(node.zero(), node.differential(node.zero(), rho0, loss))
    bound = density_training.lower_constant(p, name, rho0, 2.0) * loss.value(rho0) ** 3
    assert slope == pytest.approx(bound, rel=2e-3)


@pytest.mark.parametrize("name", ["L2", "KL"])
def test_the_upper_factor_bounds_controls_of_any_size(name):
    p = {"order": 2.5, "length": 0.1}
    torus, kernel = mf.Torus(48), mf.SobolevKernel(**p)
    node = mf.DensityNODE(torus, kernel, depth=4, substeps=3)
    flow = mf.GradientFlow(mf.Risk(node, torus.density(lambda x: 1 + 0.6 * np.cos(2 * np.pi * x)),
                                   loss_of(name, torus, 0.0)), mf.Hilbert(kernel))  # fmt: skip
    for seed in range(5):
        wave = random_wave(np.random.default_rng(seed), 1, 2)(torus)
        v = mf.Control(np.full(node.control_shape, 0.1 * wave), torus)
        ds = mf.solve(flow, v, t_end=1e-4, progress=False)
        factor = density_training.upper_factor(p, name, ds)
        assert (ds.dissipation.values <= factor * ds.energy.values).all()
        assert (ds.dissipation.values >= 1e-4 * factor * ds.energy.values).all()


def test_the_window_keeps_the_modes_it_promises():
    p = load_ladder("density_decay").parameters
    start, end = density_training.window(p, 512)
    law = {"order": p["order"], "length": p["length"]}
    times = np.array([1 / mf.theory.mode_rate(k, **law) for k in range(1, 171)])
    first, last = np.searchsorted(times[9:], start) + 10, np.searchsorted(times[9:], end) + 10
    assert 9 <= first <= 10
    assert last == math.ceil(170 * 1e-3 ** (1 / (2 * p["regularity"])))
    x = (2 * math.pi * p["length"] * 9.05) ** 2
    assert 2 * p["order"] / (1 + x) == pytest.approx(0.05 * (2 * p["order"] - 2), rel=1e-3)


def test_a_training_that_does_not_arrive_is_an_error():
    p = {**load_ladder("density_vanishing").parameters, "points_of_a_substep": 64}
    torus = mf.Torus(64)
    rho0, target = torus.density(np.ones(64)), torus.density(lambda x: 1 + 0.8 * np.cos(2 * np.pi * x))
    with pytest.warns(RuntimeWarning, match="ended early"), pytest.raises(RuntimeError, match="ended early"):
        density_training.training(p, rho0, mf.L2Distance(target), [0.0, 2.0])
