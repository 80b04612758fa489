"""Claims on the porous-medium equation up to the edge of the support (section PME)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_decay, fit_rate
from meanfield.claims.runs import FEWEST_SAVES, OBSERVERS, accepted, barenblatt_datum, fine_at_first, late
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.run import solve
from meanfield.steppers import FiniteVolume
from meanfield.theory import (
    barenblatt_cell_means,
    barenblatt_radius,
    barenblatt_time,
    relaxation_rate,
    second_moment_rate,
    self_similar_exponents,
    two_point_eigenvalue,
)

if TYPE_CHECKING:
    import xarray as xr

Levels = dict[str, list[float]]
SCHEMES = {"two-point": 2, "upwind": 1}


def barenblatt_run(p: dict[str, Any], n: float, *, m: float, dim: int, order: int) -> dict[str, float]:
    """One finite-volume run between two Barenblatt profiles: its L¹ error, sign, mass and energy."""
    flow, datum, start = barenblatt_datum(p, n, m=m, dim=dim)
    end = barenblatt_time(p["radius_end"], dim=dim, exponent=m, coefficient=p["coefficient"])
    exact = barenblatt_cell_means(int(n), end, dim=dim, exponent=m, coefficient=p["coefficient"], center=_centre(p, n))
    least, drift, rise, before = 0.0, 0.0, -math.inf, flow.energy.value(datum)
    scale = before
    for _, state, _ in accepted(flow, datum, FiniteVolume(order=order), end - start):
        energy = flow.energy.value(state)
        least, drift = min(least, state.values.min()), max(drift, abs(state.mass / datum.mass - 1))
        rise, before = max(rise, (energy - before) / scale), energy
    error = float(np.abs(state.values - exact).mean())
    return {"error": error, "least": float(least), "drift": drift, "rise": rise}


def barenblatt(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """PME-2: orders in L¹ for m = 2, 3 and d = 1, 2, and what every step keeps."""
    p, expected = dict(ladder.parameters), ladder.expected
    for dim, axis in ((1, "n_line"), (2, "n_square")):
        for m in p["exponent"]:
            for scheme, order in SCHEMES.items():
                over = levels["n_square_upwind" if (dim, order) == (2, 1) else axis]

                def run(n, m=m, dim=dim, order=order) -> dict[str, float]:
                    return barenblatt_run(p, n, m=m, dim=dim, order=order)

                ds = sweep(run, {"n": over}, seeds=None, progress=progress)
                fit, case = fit_rate(ds.error, along="n", bend=math.inf), f"{scheme}, d = {dim}, m = {m:g}"
                if order == 2:
                    yield expected[f"L1 order of the two-point flux, m = {m:g}"].measured(fit, case=f"d = {dim}")
                else:
                    yield expected["L1 order of upwind"].measured(fit, case=case)
                    gain = -np.diff(fit.local_slopes).max()
                    yield expected["least gain of upwind's local order"].measured(gain, case=case)
                yield expected["least density"].measured(float(ds.least.min()), case=case)
                yield expected["largest drift of the mass"].measured(float(ds.drift.max()), case=case)
                yield expected["largest rise of the energy in a step"].measured(float(ds.rise.max()), case=case)


def front_and_height(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """PME-3: exponents of the front and of the height, and the second-moment law at every step."""
    p, expected, c = dict(ladder.parameters), ladder.expected, ladder.parameters["coefficient"]
    for n in levels["n"]:
        for m in p["exponent"]:
            flow, datum, start = barenblatt_datum(p, n, m=m)
            square = (datum.torus.points[0] - _centre(p, n)) ** 2
            t_end = barenblatt_time(p["radius_end"], dim=1, exponent=m, coefficient=c) - start
            times, fronts, heights, worst, before, t_before = [], [], [], 0.0, datum, 0.0
            for t, state, _ in accepted(flow, datum, FiniteVolume(tolerance=p["tolerance"]), t_end):
                moment = datum.torus.integral(square * state.values)
                gained = moment - datum.torus.integral(square * before.values)
                law = (t - t_before) * second_moment_rate(float(np.mean(state.values**m)), dim=1, coefficient=c)
                worst, before, t_before = max(worst, abs(gained - law) / moment), state, t
                times.append(start + t)
                fronts.append(front_radius(state.values, p["front_level"]))
                heights.append(state.values.max())
            late_enough = np.array(times) > p["fit_after"] * start
            logs = [np.log(np.array(series)[late_enough]) for series in (times, fronts, heights)]
            alpha, beta = self_similar_exponents(1, m)
            case = f"m = {m:g}, n = {n:g}"
            front, height = (float(np.polyfit(logs[0], series, 1)[0]) for series in logs[1:])
            yield expected["exponent of the front minus β"].measured(front - beta, case=case)
            yield expected["exponent of the height minus −α"].measured(height + alpha, case=case)
            yield expected["largest defect of the second-moment law in a step"].measured(worst, case=case)


def front_radius(values: np.ndarray, level: float) -> float:
    """Half the length of ``{ρ > level · sup ρ}`` on the circle, its ends interpolated linearly between points."""
    above = values > level * values.max()
    if above.all():
        return 0.5
    inside = int(above.sum())
    ends = [np.flatnonzero(above & ~np.roll(above, shift))[0] for shift in (1, -1)]
    extra = 0.0
    for end, outwards in zip(ends, (-1, 1), strict=True):
        here, there = values[end], values[(end + outwards) % len(values)]
        extra += (here - level * values.max()) / (here - there)
    return (inside - 1 + extra) / (2 * len(values))


def regimes_run(p: dict[str, Any], n: float, **options: Any) -> xr.Dataset:
    """The run of PME-6: a Barenblatt profile on the circle until it has returned to its mean."""
    if not 0 < p["front_level"] < 1:
        raise _check.fail("front_level must lie in (0, 1)", repr(p["front_level"]), "pass a share of the maximum")
    flow, datum, _ = barenblatt_datum(p, n, m=p["exponent"])
    observe = {**OBSERVERS, "front": lambda state: front_radius(state.values, p["front_level"])}
    times = fine_at_first(p["t_end"], p["saves"])
    stepper = FiniteVolume(tolerance=p["tolerance"])
    return solve(flow, datum, t_end=p["t_end"], stepper=stepper, save_at=times, observe=observe, **options)


def of_regimes(ladder: Ladder, ds: xr.Dataset, case: str = "") -> Iterator[Measurement | Verdict]:
    """What PME-6 says of one run."""
    p, expected, n = ladder.parameters, ladder.expected, ds.sizes["x"]
    profile = {"dim": 1, "exponent": p["exponent"], "coefficient": p["coefficient"], "mass": float(ds.mass[0])}
    start, meeting = (barenblatt_time(radius, **profile) for radius in (p["radius_start"], 0.5))
    free = ds.time.values + start < 0.95 * meeting
    theory = np.array([barenblatt_radius(t, **profile) for t in ds.time.values[free] + start])
    off = float(n * np.abs(ds.front.values[free] - theory).max())
    yield expected["largest distance of the front to Barenblatt's, in cells"].measured(off, case=case)
    yield expected["least density"].measured(float(ds.density.min()), case=case)
    full, tail = ds.time.values[ds.least.values > p["front_level"]], late(ds, p["linear_below"])
    if not full.size or tail.size < FEWEST_SAVES:
        unmet = f"the run reaches its exponential regime (contrast {float(ds.contrast[-1]):.2g} at the end)"
        yield Verdict("PME-6", "fill-in and exponential return", "linearisation", ladder.name, False, unmet=(unmet,))
        return
    filled = float(full[0]) + start
    yield expected["time of fill-in over that of radius 1/2"].measured(filled / meeting, case=case)
    rate = relaxation_rate(
        profile["mass"], exponent=p["exponent"], coefficient=p["coefficient"], eigenvalue=two_point_eigenvalue(n)
    )
    fit = fit_decay(tail, along="time")
    yield expected["late decay rate over 2 λ₁ c m ρ̄^(m−1)"].measured(fit.rate / rate, case=case)


def regimes(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """PME-6 on every grid."""
    for n in levels["n"]:
        for made in of_regimes(ladder, regimes_run(dict(ladder.parameters), n, progress=False), f"n = {n:g}"):
            if isinstance(made, Verdict):
                raise _check.fail("the hypotheses of PME-6 must be met", made.unmet[0], "pass a later t_end")
            yield made


def _centre(p: dict[str, Any], n: float) -> float:
    return 0.5 + p["centre_in_cells"] / n


def _slow(p) -> bool:
    return np.min(p["exponent"]) > 1


_FITS = Hypothesis("the support stays inside the cell: radius < 1/2", lambda p: p["radius_end"] < 0.5)
_SLOW = Hypothesis("slow diffusion: m > 1", _slow)

CLAIMS = (
    Claim(
        "PME-2",
        "from Barenblatt data ρ ≥ 0 always, the mass stays, E never rises, and the L¹ error has its order",
        "Barenblatt 1952; Pattle 1959",
        "porous_medium_barenblatt",
        barenblatt,
        (_FITS, _SLOW),
    ),
    Claim(
        "PME-3",
        "the front moves like t^β, the height falls like t^{−α}, and the second moment grows by 2dc∫u^m",
        "Barenblatt 1952; Vázquez 2007, ch. 4",
        "porous_medium_front",
        front_and_height,
        (_FITS, _SLOW),
    ),
    Claim(
        "PME-6",
        "support of finite speed, then fill-in, then exponential return to the mean",
        "Vázquez 2007, ch. 4 and 20",
        "porous_medium_regimes",
        regimes,
        (_SLOW, Hypothesis("the support starts inside the cell", lambda p: p["radius_start"] < 0.5)),
    ),
)
