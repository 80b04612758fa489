"""Runs of the kernelised flow towards the uniform density: losses, rough data, windows, what theory says of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_decay, fit_rate
from meanfield.claims.runs import FEWEST_SAVES, OBSERVERS, chosen, cosine, grid
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.energies import Energy, KullbackLeibler, L2Distance, SobolevDistance
from meanfield.flow import GradientFlow
from meanfield.geometries import Kernelised
from meanfield.measures import TorusDensity
from meanfield.theory import FIRST_EIGENVALUE, algebraic_exponent, crossover_time, mode_rate
from meanfield.torus import Modes, SobolevKernel, Torus

if TYPE_CHECKING:
    import xarray as xr

WINDOW = 5, 1 / 20  # the algebraic law is fitted while the modes up to k_c are gone, k_c from 5/ε to k_max/20
FIRST_MODES = 0.01  # share of ‖ρ − ρ̄‖² that the first modes must have: they are fed by the products of others
DECADES = 1.5  # over which the contrast of a smooth datum falls where its rate is fitted


def loss_of(name: str, torus: Torus, loss_order: float) -> Energy:
    """The loss called ``name``, to the uniform density."""
    flat = torus.density(np.ones(torus.shape))
    makers: dict[str, Callable[[], Energy]] = {
        "L2": lambda: L2Distance(flat),
        "KL": lambda: KullbackLeibler(flat),
        "Sobolev": lambda: SobolevDistance(flat, order=loss_order),
    }
    return chosen("loss", name, makers)


def effective(name: str, loss_order: float) -> float:
    """q of a loss: that of the Sobolev distance, 0 for the others."""
    return loss_order if name == "Sobolev" else 0.0


def kernelised(name: str, torus: Torus, *, order: float, length: float, loss_order: float = 0.0) -> GradientFlow:
    """The flow of a loss to the uniform density in the geometry of the kernel of order s and length ε."""
    return GradientFlow(loss_of(name, torus, loss_order), Kernelised(SobolevKernel(order, length)))


def rough(n: float, regularity: float, greatest: float, seed: int, dim: float = 1) -> TorusDensity:
    """``1 + f``, ``|f̂_k| ~ |k|^{−r−d/2}`` on all modes ``|k_a| < n/3``, random phases, ``sup|f| = |greatest|``."""
    torus = grid(n, dim)
    modes = Modes(torus, 2)
    noise = np.random.default_rng(seed).standard_normal(
        torus.shape
    )  # real: its phases are symmetric where they must be
    phases = modes.forward(noise)
    phases /= np.abs(phases)
    squared = np.where(modes.squared_wavenumber == 0, np.inf, modes.squared_wavenumber)
    field = modes.inverse(phases * squared ** (-0.5 * regularity - 0.25 * torus.dim))
    return torus.density(1.0 + field * (greatest / np.abs(field).max()))


def window_of(n: float, *, order: float, length: float, loss_order: float = 0.0) -> tuple[float, float]:
    """First and last time of the window of the algebraic law, for data filled up to ``k_max = ⌈n/3⌉ − 1``."""
    first, last = WINDOW[0] / length, WINDOW[1] * (math.ceil(n / 3) - 1)
    law = {"order": order, "length": length, "loss_order": loss_order}
    return crossover_time(first, **law), crossover_time(last, **law)


# ---- one run, as the script makes it -----------------------------------------------------------------------------


def one_run(p: Mapping[str, Any], n: float) -> tuple[GradientFlow, TorusDensity, np.ndarray, dict[str, Callable]]:
    """Flow, datum, saved times (the last one is the end) and observers, by the names a command line gives them."""
    seed = _check.whole("seed", p["seed"], "pass 0, 1, 2 …", at_least=0)
    data = {
        "rough": lambda: rough(n, p["regularity"], p["amplitude"], seed, p["dim"]),
        "cosine": lambda: cosine(n, p["amplitude"], 1.0, p["dim"]),
    }
    datum: TorusDensity = chosen("data", p["data"], data)
    law = law_of(p)
    flow = kernelised(p["loss"], datum.torus, order=p["order"], length=p["length"], loss_order=p["loss_order"])
    saves = _check.whole("saves", p["saves"], "pass a number of saves", at_least=2 * FEWEST_SAVES)
    if p["data"] == "cosine":
        falls = max(math.log(p["amplitude"] / p["linear_below"]), 0.0) + math.log(10.0) * DECADES
        times = np.linspace(0.0, p["t_end"] or falls / mode_rate(1, **law), saves)
    else:
        start, end = window_of(n, **law)
        end = p["t_end"] or (end if end > start and p["order"] + law["loss_order"] > 1 else 10 / mode_rate(1, **law))
        inside = np.geomspace(start, end, saves // 2) if start < end else np.empty(0)
        times = np.union1d(np.geomspace(1e-5 * end, end, saves - len(inside)), inside)
    return flow, datum, times, OBSERVERS | _observers(flow)


def law_of(p: Mapping[str, Any]) -> dict[str, float]:
    """s, ε and q: what the laws of decay take."""
    return {"order": p["order"], "length": p["length"], "loss_order": effective(p["loss"], p["loss_order"])}


def _observers(flow: GradientFlow) -> dict[str, Callable]:
    """The interaction energy above its least value, and ``Σ_{|k|=1}|ρ̂_k|²``."""
    kernel = flow.geometry.kernel  # type: ignore[attr-defined]

    def interaction_energy(state: TorusDensity) -> float:
        gap = state.values - state.mass
        return 0.5 * state.torus.inner(gap, kernel.convolve(state.torus, gap))

    def first_modes(state: TorusDensity) -> float:
        torus = state.torus
        squares = torus.mode_weights * np.abs(torus.coefficients(state.values)) ** 2
        return float(squares[np.isclose(torus.squared_wavenumber, FIRST_EIGENVALUE)].sum())

    return {"interaction_energy": interaction_energy, "first_modes": first_modes}


def of_one_run(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of any run: mass, Lyapunov functionals, balance, law of decay."""
    p, expected, energy = ladder.parameters, ladder.expected, ds.energy.values
    yield expected["relative drift of the mass"].measured(float(np.abs(ds.mass / ds.mass[0] - 1).max()))
    yield expected["largest rise of the loss between saves, over its first value"].measured(_rise(ds.energy))
    if p["loss"] == "KL":
        rise = _rise(ds.interaction_energy)
        yield expected["largest rise of the interaction energy between saves, over its first value"].measured(rise)
    if (drop := energy[0] - energy[-1]) > 0:
        defect = float(np.abs(ds.balance_defect_velocity).max() / drop)
        yield expected["balance defect by velocity over the drop of the loss"].measured(defect)
    yield from (_law_of_modes if p["data"] == "cosine" else _algebraic_law)(ladder, ds)


def _rise(values: xr.DataArray) -> float:
    return float(np.diff(values).max() / values[0])


def _law_of_modes(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    p, law = ladder.parameters, law_of(ladder.parameters)
    alone = ds.first_modes > 2 * FIRST_MODES * ds.half_square
    tail = ds.first_modes.where((ds.contrast < p["linear_below"]) & alone, drop=True)
    if tail.size < FEWEST_SAVES:
        unmet = f"contrast below {p['linear_below']:g} with first modes in it, at {FEWEST_SAVES} saves (at {tail.size})"
        yield Verdict("KPM-2", "decay of the first modes", "linearisation", ladder.name, False, unmet=(unmet,))
    else:
        rate = fit_decay(tail, along="time", floor=0.0)
        yield ladder.expected["decay rate of the squares of the first modes"].measured(
            rate, theory=2 * mode_rate(1, **law)
        )


def _algebraic_law(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    p, law = ladder.parameters, law_of(ladder.parameters)
    start, end = window_of(ds.sizes["x"], **law)
    inside = ds.energy.where((ds.time >= 0.999 * start) & (ds.time <= 1.001 * end), drop=True)
    conditions = {
        "s + q > 1: below it the decay is exponential": p["order"] + law["loss_order"] > 1,
        "the window k_c = 5/ε … k_max/20 is not empty": start < end,
        f"{FEWEST_SAVES} saves in the window, t = {start:.3g} … {end:.3g}": inside.size >= FEWEST_SAVES,
    }
    unmet = tuple(name for name, holds in conditions.items() if not holds)
    if unmet:
        yield Verdict("KPM-3", "algebraic decay", "linearisation", ladder.name, False, unmet=unmet[:1])
    else:
        fit = fit_rate(inside, along="time", bend=math.inf, floor=0.0)
        theory = -algebraic_exponent(regularity=p["regularity"], order=law["order"], loss_order=law["loss_order"])
        case = f"t = {start:.3g} … {end:.3g}"
        yield ladder.expected["slope of log loss against log t"].measured(fit, theory=theory, case=case)
