"""Claims on the porous-medium equation (section PME): on positive data; the others join at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims import contraction, free_boundary
from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_decay, fit_rate
from meanfield.claims.runs import (
    FEWEST_SAVES,
    OBSERVERS,
    barenblatt_datum,
    cell_means,
    chosen,
    cosine,
    final,
    fine_at_first,
    half_square,
    late,
    porous_medium,
    relative_l2,
)
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.flow import iterate
from meanfield.measures import TorusDensity
from meanfield.run import solve
from meanfield.steppers import ETDRK4, RK4, RKC2, SSPRK3, FiniteVolume, Stepper
from meanfield.theory import FIRST_EIGENVALUE, dissipation_bound, relaxation_rate, two_point_eigenvalue

if TYPE_CHECKING:
    import xarray as xr

Levels = dict[str, list[float]]
STEPPERS: dict[str, Callable[..., Stepper]] = {
    "ETDRK4": ETDRK4,
    "RK4": RK4,
    "SSPRK3": SSPRK3,
    "RKC2, 8 stages": lambda dt: RKC2(dt=dt, stages=8),  # with the stages that dt needs, the constant would jump
}
FEWEST_CELLS = 8  # in the radius of a compact datum, before W2 of cell means measures its motion
MOST_IN_ONE_SAVE = 0.1  # share s of the energy drop between two saves: W2²/2Δt may miss up to s/2 of the drop there


def fourier_accuracy(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """PME-1: accuracy in n and in the step, and two energies that never rise."""
    p, expected, t_end = ladder.parameters, ladder.expected, ladder.parameters["t_end"]
    flow, reference = porous_medium(p), ladder.reference
    for axis, values in levels.items():
        if len(values) < 3:
            raise _check.fail(f"{axis} needs three levels for a rate", str(values), "add levels")

    errors = time_errors(ladder, levels, progress)
    for name in STEPPERS:
        yield expected[f"order of {name}"].measured(fit_rate(errors[name], along="steps", floor=1e-15))
    yield expected["finest relative time error of ETDRK4"].measured(float(errors["ETDRK4"][-1]))

    dt, amplitude = t_end / p["steps_in_space"], p["amplitude_space"]
    resolved = final(flow, cosine(reference["n"], amplitude), ETDRK4(dt=dt), t_end)

    def space_error(n: int) -> float:
        return relative_l2(final(flow, cosine(n, amplitude), ETDRK4(dt=dt), t_end), resolved)

    in_space = sweep(space_error, {"n": levels["n"]}, seeds=None)["value"]
    local = np.diff(np.log(in_space.values)) / np.diff(np.log(in_space.n.values))
    above_floor = in_space.values[1:] > 1e-13
    yield expected["smallest gain of order in n"].measured(float(-np.diff(local[above_floor]).max()))
    yield expected["relative error at the largest n"].measured(float(in_space[-1]))

    for name, order in {"two-point": 2, "upwind": 1}.items():

        def gap(n: int, order=order) -> float:
            means = cosine(n, amplitude * np.sinc(1 / n))  # cell means of the datum
            found = final(flow, means, FiniteVolume(order=order), t_end)
            return relative_l2(found, cell_means(resolved, n))

        fit = fit_rate(sweep(gap, {"n": levels["n"]}, seeds=None)["value"], along="n", bend=0.15)
        yield expected[f"order in n of {name} finite volumes against Fourier"].measured(fit)
    stabilised = final(flow, cosine(levels["n"][-1], amplitude), RKC2(tolerance=1e-8), t_end)
    yield expected["relative gap of RKC2 to Fourier ETDRK4"].measured(relative_l2(stabilised, resolved))

    states = [(s.mass, flow.energy.value(s), float(np.mean(s.values**2))) for s in _path(flow, p)]
    _, energy, squares = np.array(states).T
    yield expected["largest rise of the energy in a step"].measured(float(np.diff(energy).max()))
    yield expected["largest rise of the L2 energy in a step"].measured(float(np.diff(squares).max()))


def time_errors(ladder: Ladder, levels: Levels, progress: bool | None = None) -> xr.Dataset:
    """Relative L² error of each stepper against the number of steps, one variable a stepper."""
    p = ladder.parameters
    flow, datum, t_end = porous_medium(p), cosine(p["n_in_time"], p["amplitude_time"]), p["t_end"]
    resolved = final(flow, datum, ETDRK4(dt=t_end / ladder.reference["steps"]), t_end)

    def errors(steps: int) -> dict[str, float]:
        runs = {name: final(flow, datum, make(dt=t_end / steps), t_end) for name, make in STEPPERS.items()}
        return {name: relative_l2(found, resolved) for name, found in runs.items()}

    return sweep(errors, {"steps": levels["steps"]}, seeds=None, progress=progress)


def _path(flow, p):
    datum = cosine(p["n_in_time"], p["amplitude_space"])
    yield datum
    yield from (state for _, state, _ in iterate(flow, datum, ETDRK4(dt=p["t_end"] / 200), until=p["t_end"]))


def return_to_the_mean(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """PME-4: the rate of ½‖ρ−ρ̄‖² once the first mode is small, and the dissipation inequality at every step."""
    p = ladder.parameters
    c, mean = p["coefficient"], p["mean"]
    for m in levels["exponent"]:
        flow, rate = porous_medium(p, exponent=m), relaxation_rate(mean, exponent=m, coefficient=c)
        # The contrast falls like e^{−rate t/2}: to where the fit starts, and over the decades it is fitted on.
        t_end = 2 / rate * (np.log(p["amplitude"] / p["linear_below"]) + np.log(10.0) * p["decades"])
        margins: list[float] = []

        def note_margin(state, flow=flow, m=m, margins=margins) -> None:
            system, gap = flow.rate(state), state.values - mean
            decay = -state.torus.inner(gap, system.modes.inverse(system.at(state.values)))
            low = float(state.values.min())
            margins.append(decay / dissipation_bound(2 * half_square(state), low, exponent=m, coefficient=c) - 1)

        ds = solve(
            flow, cosine(p["n"], p["amplitude"], mean), t_end=t_end, stepper=ETDRK4(tolerance=1e-9), save_at=241,
            observe=OBSERVERS, stop=note_margin, progress=False,
        )  # fmt: skip
        expected, case = ladder.expected, f"m = {m:g}"
        fit = fit_decay(late(ds, p["linear_below"]), along="time")
        yield expected["decay rate over 2·4π² c m ρ̄^(m−1)"].measured(fit.rate / rate, case=case)
        yield expected["least margin of the dissipation inequality"].measured(min(margins), case=case)


def one_run(p: Mapping[str, Any], n: float) -> tuple[TorusDensity, Stepper, int | np.ndarray]:
    """Datum, stepper and saves of a single run, by the names a command line gives them."""
    tolerance = p["tolerance"]
    data = {
        "cosine": lambda: cosine(n, p["amplitude"], p["mean"], p["dim"]),
        "barenblatt": lambda: barenblatt_datum(p, n, m=p["exponent"], dim=int(p["dim"]))[1],
    }
    steppers: dict[str, Callable[[], Stepper]] = {
        "fourier": lambda: ETDRK4(tolerance=tolerance),
        "stabilised": lambda: RKC2(tolerance=tolerance),
        "finite-volume": lambda: FiniteVolume(order=2),
        "upwind": lambda: FiniteVolume(order=1),
    }
    datum, stepper = chosen("data", p["data"], data), chosen("scheme", p["scheme"], steppers)
    return datum, stepper, fine_at_first(p["t_end"], p["saves"]) if p["data"] == "barenblatt" else p["saves"]


def of_one_run(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of any run: mass, energy, minimum, decay rate, balance."""
    p, expected = ladder.parameters, ladder.expected
    mass, energy, low = ds.mass.values, ds.energy.values, ds.least.values
    finite_volumes = p["scheme"] in ("finite-volume", "upwind")
    yield expected["relative drift of the mass"].measured(float(np.abs(mass / mass[0] - 1).max()))
    yield expected["largest rise of the energy between saves"].measured(float(np.diff(energy).max()))
    yield expected["least rise of the minimum over the mean"].measured(float((low.min() - low[0]) / mass[0]))
    eigenvalue = two_point_eigenvalue(ds.sizes["x"]) if finite_volumes else FIRST_EIGENVALUE
    theory = relaxation_rate(mass[0], exponent=p["exponent"], coefficient=p["coefficient"], eigenvalue=eigenvalue)
    tail = late(ds, p["linear_below"])
    if finite_volumes and tail.size:  # a mode of rate λ is divided by 1 + λ dt in a step of implicit Euler
        dt = float(np.median(ds.step_size.sel(time=tail.time)))
        theory = 2 * np.log1p(0.5 * theory * dt) / dt
    if tail.size < FEWEST_SAVES or not tail.values.min() > 0:
        unmet = f"the contrast is positive and below {p['linear_below']:g} at {FEWEST_SAVES} saves (at {tail.size})"
        yield Verdict("PME-4", "exponential decay", "linearisation", ladder.name, False, unmet=(unmet,))
    else:
        yield expected["decay rate of ½‖ρ−ρ̄‖²"].measured(fit_decay(tail, along="time"), theory=theory)
    yield from _balance_rows(ladder, ds)


def _balance_rows(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """Both balance defects over the energy drop, where there is a drop, a distance, and saves that resolve it."""
    p, energy = ladder.parameters, ds.energy.values
    drop = energy[0] - energy[-1]
    for name, defect in {"W2": ds.balance_defect, "velocity": ds.balance_defect_velocity}.items():
        if not drop > 0 or np.isnan(defect).any():
            continue
        share = float(-np.diff(energy).min() / drop)
        cells = p["radius_start"] * ds.sizes["x"] if p["data"] == "barenblatt" else np.inf
        if name == "W2" and (share > MOST_IN_ONE_SAVE or cells < FEWEST_CELLS):
            unmet = f"saves resolve the energy (one interval has {100 * share:.0f} % of its drop)"
            if cells < FEWEST_CELLS:
                unmet = f"the grid resolves the datum (radius of {cells:.1f} cells, {FEWEST_CELLS} wanted)"
            yield Verdict("FLOW-1", "balance by W2", "saves refined", ladder.name, False, unmet=(unmet,))
            continue
        kind = {"finite-volume": "finite volumes", "upwind": "upwind"}.get(p["scheme"])
        key = (
            f"balance defects over the energy drop, {kind}"
            if kind
            else f"balance defect by {name} over the energy drop"
        )
        yield ladder.expected[key].measured(float(np.abs(defect).max() / drop), case=f"by {name}" if kind else "")


def _positive(name: str) -> Hypothesis:
    return Hypothesis(f"the datum is positive: 0 < {name} < 1", lambda p: 0 < p[name] < 1)


_FOURIER_CLAIMS = (
    Claim(
        "PME-1",
        "on positive smooth data the Fourier solver is spectrally accurate, of its order in time, and E, ‖ρ‖² decrease",
        "Cox & Matthews 2002; Otto 2001",
        "porous_medium_fourier",
        fourier_accuracy,
        (_positive("amplitude_space"), _positive("amplitude_time"), Hypothesis("m > 1", lambda p: p["exponent"] > 1)),
    ),
    Claim(
        "PME-4",
        "½‖ρ−ρ̄‖² decays like e^{−2·4π² c m ρ̄^{m−1} t}, and at least as its least diffusivity says at every step",
        "Alikakos & Rostamian 1981; Poincaré inequality",
        "porous_medium_decay",
        return_to_the_mean,
        (_positive("amplitude"), Hypothesis("m ≥ 1", lambda p: min(p["exponent"]) >= 1)),
    ),
)
CLAIMS = tuple(sorted((*_FOURIER_CLAIMS, *free_boundary.CLAIMS, *contraction.CLAIMS), key=lambda claim: claim.id))
