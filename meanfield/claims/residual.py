"""Claims on residual networks as conditional-OT gradient flows (section COT); those of the other modules join here."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from meanfield.claims import conditional, residual_convergence, residual_sizes
from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.residual_runs import Parameters, Training, moved, neurons
from meanfield.claims.runs import final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.distances import conditional_wasserstein
from meanfield.measures import LayeredMeasure
from meanfield.run import solve
from meanfield.steppers import RK4, Euler, Heun
from meanfield.theory import initial_dissipation, initial_rates

Levels = dict[str, list[float]]


# ---- COT-2 ---------------------------------------------------------------------------------------------------------


def dissipation_and_speed(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """COT-2: the identity at the order of the stepper, the metric speed at order 1 in h, the marginal of depth."""
    p, expected, t_end = ladder.parameters, ladder.expected, ladder.parameters["t_end"]
    rng = np.random.default_rng(p["seed"])
    training = Training.of(p, rng, p["displacement"])
    start = neurons(p, rng, layers=p["layers"], width=p["width"], u=p["u"])
    for make in (Heun, RK4):

        def defect(steps, make=make):
            ds = solve(training.flow, start, t_end=t_end, stepper=make(dt=t_end / steps), progress=False)
            return abs(ds.balance_defect_velocity[-1])

        errors = sweep(defect, {"steps": levels["steps"]}, seeds=None)["value"]
        fit = fit_rate(errors, along="steps", floor=1e-15)
        order = make(dt=1.0).order
        yield expected["order of Risk_0 − Risk_t − ∫|G|² in the steps"].measured(
            fit, theory=-order, case=f"order {order}"
        )
    state = final(training.flow, start, RK4(dt=t_end / p["steps_in_h"]), t_end)
    slope = math.sqrt(training.squared_slope(state))

    def speed_defect(h):
        after = final(training.flow, state, RK4(dt=h), h)
        return abs(conditional_wasserstein(state, after) / (h * slope) - 1)

    errors = sweep(speed_defect, {"h": levels["h"]}, seeds=None)["value"]
    yield expected["order of d(μ_t, μ_{t+h})/(h|G|) − 1 in h"].measured(fit_rate(errors, along="h"))
    least = levels["h"][0]
    yield expected["|d(μ_t, μ_{t+h})/(h|G|) − 1| at the least h"].measured(float(errors[0]), case=f"h = {least:g}")
    drift = marginal_drift(training, state, p)
    yield expected["largest change of a weight, mass of a layer or number of layers"].measured(drift)


def marginal_drift(training: Training, mu: LayeredMeasure, p: Parameters) -> float:
    """Of weights that are not equal, along a run: what the marginal on depth lost. 0: not even rounding."""
    weights = np.random.default_rng(p["seed"]).dirichlet(np.ones(mu.width), mu.depth)
    start = LayeredMeasure(mu.positions, weights)
    ds = solve(training.flow, start, t_end=p["t_end"], stepper=Heun(dt=p["t_end"] / 8), save_at=3, progress=False)
    change = float(np.abs(ds["weights"].values - np.asarray(start.weights)).max())
    return max(change, float(ds.sizes["layer"] - mu.depth))


# ---- COT-3 ---------------------------------------------------------------------------------------------------------


def features_at_rest(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """COT-3: at u = 0, the worst of several draws at every number of samples."""
    p, expected = ladder.parameters, ladder.expected
    for samples in levels["samples"]:
        gaps, rates = [], []
        for seed in range(p["draws"]):
            rng = np.random.default_rng([seed, int(samples)])
            training = Training.of({**p, "samples": samples}, rng, 1.0)
            network, x, y = training.network, training.x, training.y
            mu = neurons(p, rng, layers=p["layers"], width=p["width"])
            square = training.squared_slope(mu)
            gaps.append(abs(initial_dissipation(network, mu, x, y) / square - 1))
            rates.append(square / training.risk(mu) / np.array(initial_rates(network, mu, x)))
        case, (above, below) = f"N = {samples:g}", np.array(rates).T
        yield expected["relative gap of |G|² to N^−2 Σ K_ij⟨p_i, p_j⟩"].measured(max(gaps), case=case)
        yield expected["least |G|²/Risk over 2λ_min/N"].measured(float(above.min()), case=case)
        yield expected["largest |G|²/Risk over 2λ_max/N"].measured(float(below.max()), case=case)


# ---- COT-6 ---------------------------------------------------------------------------------------------------------


def stability(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """COT-6: two runs from starts ε apart, in random directions; C is the largest ``log(d_t/d_0)/t`` seen.

    It is at most the greatest curvature Λ of the risk along the way, by Grönwall's inequality for labelled particles;
    as the flow map is differentiable, ``d_t/d_0`` tends to a limit with ε, at first order.
    """
    p, expected = ladder.parameters, ladder.expected
    times = np.linspace(0.0, p["t_end"], int(p["times"]) + 1)[1:]
    curvatures, constants = [], []

    def last_ratio(perturbation: float, seed: int) -> float:
        ratios, curvature = separation(p, seed, perturbation, times)
        curvatures.append(curvature)
        constants.append(float((np.log(ratios) / times).max()))
        return ratios[-1]

    ds = sweep(last_ratio, {"perturbation": levels["perturbation"]}, seeds=ladder.seeds, progress=False)
    last = ds["value"].transpose("perturbation", "seed")
    yield expected["C, at most the curvature Λ"].measured(max(constants), theory=max(curvatures))
    spread = float((last.max("perturbation") / last.min("perturbation") - 1).max())
    yield expected["spread of d_t/d_0 over the perturbations"].measured(spread)
    assert ladder.seeds is not None
    limit = [last_ratio(ladder.reference["perturbation"], seed) for seed in range(ladder.seeds)]
    fit = fit_rate(last - np.array(limit), along="perturbation", bend=math.inf)
    yield expected["order of d_t/d_0 minus its limit"].measured(fit)


def separation(p: Parameters, seed: int, size: float, times: np.ndarray) -> tuple[list[float], float]:
    """``d(μ_t, μ'_t)/d(μ_0, μ'_0)`` at the times, and the greatest curvature met there."""
    rng = np.random.default_rng(seed)
    training = Training.of(p, rng, p["displacement"])
    start = neurons(p, rng, layers=p["layers"], width=p["width"])
    states = [start, moved(start, rng.standard_normal(start.positions.shape), size)]
    distance, flow, ratios, bounds = conditional_wasserstein(*states), training.flow, [], []
    for length in np.diff(times, prepend=0.0):
        states = [final(flow, state, Heun(dt=p["dt"]), float(length)) for state in states]
        ratios.append(conditional_wasserstein(*states) / distance)
        bounds.append(Euler().bound(Euler().init(flow, states[0])))
    return ratios, 2 / min(bounds)


_FLOWS = (
    Claim(
        "COT-2",
        "dRisk/dt = −∫∫|G|²dμ; d(μ_t, μ_{t+h})/h → |G| at order 1 in h; the marginal on depth never changes",
        "Barboni, Peyré & Vialard 2024; Ambrosio, Gigli & Savaré 2008, th. 8.3.1",
        "residual_dissipation",
        dissipation_and_speed,
        (Hypothesis("steps of one h are accurate: h ≤ 1", lambda p: max(p["h"]) <= 1),),
    ),
    Claim(
        "COT-3",
        "at u = 0, |G|² = N^−2 Σ K_ij⟨p_i, p_j⟩ and 2λ_min/N ≤ |G|²/Risk ≤ 2λ_max/N",
        "Barboni, Peyré & Vialard 2024",
        "residual_features",
        features_at_rest,
        (Hypothesis("as many features as data: m ≥ N", lambda p: p["width"] >= max(p["samples"])),),
    ),
    Claim(
        "COT-6",
        "d(μ_t, μ'_t) ≤ e^{Ct} d(μ_0, μ'_0), and for small perturbations the ratio does not depend on their size",
        "Barboni, Peyré & Vialard 2024: well-posedness of the flow",
        "residual_stability",
        stability,
        (Hypothesis("perturbations of at most 0.1", lambda p: max(p["perturbation"]) <= 0.1),),
    ),
)

CLAIMS = tuple(
    sorted(
        (*conditional.CLAIMS, *_FLOWS, *residual_sizes.CLAIMS, *residual_convergence.CLAIMS), key=lambda claim: claim.id
    )
)
