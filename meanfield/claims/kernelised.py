"""Claims on the kernelised porous-medium flow ∂_tρ = div(ρ K*(ρ∇δℓ)) towards the uniform density (section KPM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.kernelised_runs import WINDOW, effective, kernelised, rough, window_of
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_decay, fit_rate
from meanfield.claims.runs import OBSERVERS, accepted, cosine, final, grid, late
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.distances import wasserstein
from meanfield.energies import InternalEnergy
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.measures import ParticleMeasure, TorusDensity
from meanfield.run import solve
from meanfield.steppers import ETDRK4, RK4, SSPRK3, Stepper
from meanfield.theory import algebraic_exponent, barenblatt_quantile_means, barenblatt_time, mode_rate

Levels = dict[str, list[float]]
STEPPERS: dict[str, Callable[..., Stepper]] = {"ETDRK4": ETDRK4, "RK4": RK4, "SSPRK3": SSPRK3}
# the Wasserstein flow that the flow of a loss tends to as the kernel's length goes to zero
LIMITS = {"L2": InternalEnergy(3, 1 / 3), "KL": InternalEnergy(2, 1 / 2)}


def dissipation(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """KPM-1: ``ℓ(0) − ℓ(t) = ∫∫ρ∇δℓ·K*(ρ∇δℓ)`` to the order of the stepper; mass; the identity of the rates."""
    p, expected = ladder.parameters, ladder.expected
    drifts = []
    for name in p["losses"]:
        q = effective(name, p["loss_order"])
        t_end = p["t_end"] * (1 + 4 * np.pi**2) ** q  # the first mode is slower by this factor
        datum = cosine(p["n_in_time"], p["amplitude"])
        flow = kernelised(name, datum.torus, order=p["order"], length=p["length"], loss_order=q)
        for stepper, make in STEPPERS.items():

            def defect(steps, make=make, flow=flow, datum=datum, t_end=t_end):
                ds = solve(flow, datum, t_end=t_end, stepper=make(dt=t_end / steps), progress=False)
                drifts.append(float(np.abs(ds.mass / ds.mass[0] - 1).max()))
                return abs(ds.balance_defect_velocity[-1])

            errors = sweep(defect, {"steps": levels["steps"]}, seeds=None)["value"]
            fit = fit_rate(errors, along="steps", floor=1e-17)
            yield expected[f"order of the dissipation defect, {stepper}"].measured(fit, case=name)
        for dim, n in enumerate(p["n_in_space"], start=1):
            datum = rough(n, 1.0, p["amplitude"], seed=dim, dim=dim)
            flow = kernelised(name, datum.torus, order=p["order"], length=p["length"], loss_order=q)
            yield expected["relative defect of ⟨δℓ, ∂_tρ⟩ = −∫ρ∇δℓ·K*(ρ∇δℓ)"].measured(
                identity_defect(flow, datum), case=f"{name}, d = {dim}"
            )
            masses = [state.mass for _, state, _ in accepted(flow, datum, ETDRK4(), t_end)]
            drifts.append(float(np.abs(np.array(masses) / datum.mass - 1).max()))
    yield expected["largest relative drift of the mass"].measured(max(drifts))


def identity_defect(flow: GradientFlow, state: TorusDensity) -> float:
    """Relative defect of ``⟨δℓ, ∂_tρ⟩ = −|∂ℓ|²`` at a density, whose modes beyond the kept ones are cut first."""
    system = flow.rate(state)
    values = system.modes.inverse(system.modes.forward(state.values))
    state = state.torus.density(values)
    power = state.torus.inner(flow.energy.differential(state), system.modes.inverse(system.at(values)))
    return abs(power / flow.dissipation(state) + 1)


def decay_of_modes(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """KPM-2: a small mode alone decays at ``|2πk|²K̂(k)``, times the multiplier of the loss's Hessian."""
    p, amplitude, torus = ladder.parameters, ladder.parameters["amplitude"], grid(ladder.parameters["n"])
    for name in p["losses"]:
        q = effective(name, p["loss_order"])

        def deviation(order, mode, name=name, q=q):
            worst, k = 0.0, int(mode)
            for length in p["lengths"]:
                rate = mode_rate(k, order=order, length=length, loss_order=q)
                datum = torus.density(1 + amplitude * np.cos(2 * np.pi * k * torus.points[0]))
                flow = kernelised(name, torus, order=order, length=length, loss_order=q)
                observe = {"modulus": lambda state: abs(torus.coefficients(state.values)[k])}
                stepper = ETDRK4(tolerance=p["tolerance"])
                ds = solve(flow, datum, t_end=1 / rate, stepper=stepper, save_at=11, observe=observe, progress=False)
                worst = max(worst, abs(fit_decay(ds.modulus, along="time").rate / rate - 1))
            return worst

        worst = sweep(deviation, {key: levels[key] for key in ("order", "mode")}, seeds=None)["value"].max("mode")
        for s in levels["order"]:
            quantity = ladder.expected["relative deviation of decay rates from |2πk|²K̂(k)"]
            yield quantity.measured(float(worst.sel(order=s)), case=f"{name}, s = {s:g}")


def algebraic_law(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """KPM-3: ℓ ~ t^{−r/(s−1)} on the window, for data with a spectrum like a power; exponential for s = 1."""
    import xarray as xr

    p, seeds = ladder.parameters, range(ladder.seeds or 1)
    for name in p["losses"]:
        for s in levels["order"]:
            for r in levels["regularity"]:
                case = f"{name}, s = {s:g}, r = {r:g}"
                if s == 1:
                    yield from _exponential_law(ladder, name, r, case)
                    continue
                start, end = window_of(p["n"], order=s, length=p["length"])
                times = np.geomspace(start, end, p["saves"])
                losses = np.stack([_mean_of_signs(p, name, s, r, times, seed) for seed in seeds], axis=1)
                data = xr.DataArray(losses, dims=("time", "seed"), coords={"time": times})
                fit = fit_rate(data, along="time", average=geometric_mean, bend=math.inf, floor=0.0)
                yield ladder.expected["slope of log ℓ against log t"].measured(
                    fit,
                    theory=-algebraic_exponent(regularity=r, order=s),
                    case=f"{case}, t = {start:.3g} … {end:.3g}",
                )


def _mean_of_signs(p: Mapping[str, Any], name: str, s: float, r: float, times: np.ndarray, seed: int) -> np.ndarray:
    """Geometric mean of the losses from ``1 ± f`` at the times: what is quadratic in f cancels at first order."""
    logs = []
    for sign in (1.0, -1.0):
        datum = rough(p["n"], r, sign * p["amplitude"], seed)
        flow = kernelised(name, datum.torus, order=s, length=p["length"])
        stepper = ETDRK4(tolerance=p["tolerance"])
        ds = solve(flow, datum, t_end=times[-1], stepper=stepper, save_at=times, progress=False)
        logs.append(np.log(ds.energy.values[1:]))
    return np.exp(np.mean(logs, axis=0))


def _exponential_law(ladder: Ladder, name: str, r: float, case: str) -> Iterator[Measurement]:
    p, first = ladder.parameters, mode_rate(1, order=1, length=ladder.parameters["length"])
    datum = rough(p["n"], r, p["amplitude"], seed=0)
    flow = kernelised(name, datum.torus, order=1, length=p["length"])
    stepper, t_end = ETDRK4(tolerance=p["tolerance"]), p["decay_times"] / first
    ds = solve(flow, datum, t_end=t_end, stepper=stepper, save_at=81, observe=OBSERVERS, progress=False)
    rate = fit_decay(ds.energy.sel(time=late(ds, p["linear_below"]).time), along="time").rate
    yield ladder.expected["decay rate for s = 1 over 2λ₁"].measured(rate / (2 * first), case=case)
    yield ladder.expected["decay rate for s = 1 over 2/ε²"].measured(rate * p["length"] ** 2 / 2, case=case)


def geometric_mean(data: np.ndarray, axis: int) -> np.ndarray:
    """``exp(mean of log data)`` along ``axis``."""
    return np.exp(np.mean(np.log(data), axis=axis))


def short_kernels(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """KPM-4: distance in L² to the porous-medium solution against the length of the kernel."""
    p = ladder.parameters
    datum, stepper, t_end = cosine(p["n"], p["amplitude"]), ETDRK4(tolerance=p["tolerance"]), p["t_end"]
    for name, limit in LIMITS.items():
        porous = final(GradientFlow(limit, Wasserstein()), datum, stepper, t_end).values
        for s in p["orders"]:

            def gap(length, name=name, s=s, porous=porous):
                flow = kernelised(name, datum.torus, order=s, length=length)
                return math.sqrt(np.mean((final(flow, datum, stepper, t_end).values - porous) ** 2))

            errors = sweep(gap, {"length": levels["length"]}, seeds=None)["value"]
            fit = fit_rate(errors, along="length", floor=p["tolerance"])
            yield ladder.expected["order of the L2 distance in ε"].measured(fit, case=f"{name}, s = {s:g}")
    yield from short_kernels_from_barenblatt(ladder, levels)


def short_kernels_from_barenblatt(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """KPM-4 in W₂: particles under KL from Barenblatt's profile against the solution of ``∂_tρ = ½Δρ²``.

    Particles start at the means of the quantile function over portions of equal mass, and are compared with those at
    the end: what is left is the kernel.
    """
    p, number = ladder.parameters, int(ladder.parameters["particles"])
    torus, weights, law = grid(p["n_of_particles"]), np.full(number, 1 / number), {"exponent": 2, "coefficient": 0.5}
    ages = [barenblatt_time(p[radius], dim=1, **law) for radius in ("radius_start", "radius_end")]
    start, exact = (
        ParticleMeasure(0.5 + barenblatt_quantile_means(weights, age, **law)[:, None], torus=torus) for age in ages
    )
    for s in p["orders_of_particles"]:

        def gap(length: float, s: float = s) -> float:
            flow = kernelised("KL", torus, order=s, length=length)
            return wasserstein(final(flow, start, RK4(tolerance=p["tolerance"]), ages[1] - ages[0]), exact)

        errors = sweep(gap, {"length": levels["length"]}, seeds=None)["value"]
        fit = fit_rate(errors, along="length")
        yield ladder.expected["order of W2 in ε, particles from Barenblatt data"].measured(fit, case=f"KL, s = {s:g}")


_SMALL = Hypothesis("the datum is positive: 0 < amplitude < 1", lambda p: 0 < p["amplitude"] < 1)
CLAIMS = (
    Claim(
        "KPM-1",
        "dℓ/dt = −∫ρ∇δℓ·K*(ρ∇δℓ) to the order of the stepper, and the mass is kept",
        "Liu & Wang 2016; Duncan, Nüsken & Szpruch 2019",
        "kernelised_dissipation",
        dissipation,
        (_SMALL,),
    ),
    Claim(
        "KPM-2",
        "near ρ = 1 mode k decays at |2πk|²K̂(k), times (1+|2πk|²)^{−q} for the distance of H^{−q}",
        "linearisation at the uniform density",
        "kernelised_modes",
        decay_of_modes,
        (Hypothesis("amplitude ≤ 1e-3", lambda p: 0 < p["amplitude"] <= 1e-3),),
    ),
    Claim(
        "KPM-3",
        "for s > 1 data with |ρ̂_k| ~ k^{−r−1/2} decay like t^{−r/(s−1)}; for s = 1 exponentially",
        "linearisation: the modes up to k_c ~ t^{1/(2s−2)} are gone",
        "kernelised_algebraic",
        algebraic_law,
        (
            _SMALL,
            Hypothesis("s ≥ 1", lambda p: min(p["order"]) >= 1),
            Hypothesis("the window is not empty: 5/ε < n/60", lambda p: WINDOW[0] / p["length"] < p["n"] / 60),
        ),
    ),
    Claim(
        "KPM-4",
        "as ε → 0 the flow tends to the porous-medium flow: at order 2 in L² from smooth positive data, ≥ 1 in W₂",
        "K̂ = 1 − sε²|2πk|² + …",
        "kernelised_limit",
        short_kernels,
        (
            _SMALL,
            Hypothesis("ε ≤ 0.02", lambda p: max(p["length"]) <= 0.02),
            Hypothesis("four particles to the shortest ε at least, the support inside the period",
                       lambda p: 8 * p["radius_end"] <= p["particles"] * min(p["length"]) and p["radius_end"] < 0.5),
            Hypothesis("particles under kernels of order 2 at least", lambda p: min(p["orders_of_particles"]) >= 2),
        ),
    ),
)  # fmt: skip
