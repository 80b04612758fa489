"""Maps of the plane that a residual network learns: data by name, one training, and what theory says of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_decay
from meanfield.claims.residual_runs import Parameters, Training
from meanfield.claims.runs import FEWEST_SAVES, chosen, fine_at_first
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.initial import zero_output
from meanfield.measures import LayeredMeasure
from meanfield.models import ResNet, tanh
from meanfield.run import solve
from meanfield.steppers import RK4
from meanfield.theory import initial_dissipation

if TYPE_CHECKING:
    import xarray as xr

RESOLVED = 0.1  # of the drop of the risk: the most between two saves for a balance by distance to be judged


def map_of(p: Parameters) -> Training:
    """The points of the plane, where they are asked to go, and the network that is to carry them there."""
    number = _check.whole("points", p["points"], "pass a number of points for each of the two sets", at_least=1)
    makers = {"moons": partial(_moons, number, p["gap"]), "rings": partial(_rings, number, p["angle"])}
    x, y = chosen("data", p["data"], makers)
    return Training(ResNet(2, tanh), x, y)


def _moons(number: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles that interlock, pulled apart: one up, one down by ``gap``."""
    angles = np.linspace(0, np.pi, number)
    upper = np.column_stack([np.cos(angles) - 0.5, np.sin(angles) - 0.25])
    x = np.concatenate([upper, -upper])
    return x, x + np.repeat([[0.0, gap], [0.0, -gap]], number, axis=0)


def _rings(number: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Circles of radius 1 and ½, both turned by ``angle`` degrees."""
    angles, turn = 2 * np.pi * np.arange(number) / number, np.deg2rad(angle)
    ring = np.exp(1j * angles)
    z = np.concatenate([ring, 0.5 * ring * np.exp(1j * np.pi / number)])
    x, y = (np.column_stack([one.real, one.imag]) for one in (z, z * np.exp(1j * turn)))
    return x, y


def map_run(p: Parameters, layers: float, width: float, **options: Any) -> xr.Dataset:
    """The conditional-OT flow of the risk from u = 0, until the risk has fallen; ``options`` are those of `solve`."""
    training, start = map_of(p), map_start(p, layers, width)
    lowest = _check.positive("fall", p["fall"], "pass a share of the first risk, as 1e-9") * training.risk(start)
    return solve(
        training.flow,
        start,
        t_end=p["t_end"],
        stepper=RK4(tolerance=p["tolerance"]),
        save_at=fine_at_first(p["t_end"], p["saves"]),
        stop=lambda mu: training.flow.energy.value(mu) < lowest,
        **options,
    )


def map_start(p: Parameters, layers: float, width: float) -> LayeredMeasure:
    """``u = 0``, ``(w, b) ~ N(0, spread² I)``, independent in every layer."""
    depth, number = (
        _check.whole(name, value, "pass 1, 2 …", at_least=1) for name, value in (("layers", layers), ("width", width))
    )
    return zero_output(ResNet(2, tanh), depth, number, np.random.default_rng(p["seed"]), scale=p["spread"])


def late_saves(ds: xr.Dataset) -> np.ndarray:
    """Which saves a linear rate is fitted to: those in the second half of the run."""
    return (ds.time >= 0.5 * ds.time[-1]).values


def of_map(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of a training: its first slope, its linear convergence, the energy, De Giorgi's balance."""
    p, expected = ladder.parameters, ladder.expected
    training, start = map_of(p), LayeredMeasure(ds.positions.values[0], ds.weights.values)
    gram = initial_dissipation(training.network, start, training.x, training.y)
    quantity = expected["relative gap of |G|² at the start to that of the Gram matrix"]
    yield quantity.measured(abs(float(ds.dissipation[0]) / gram - 1))
    yield expected["risk at the end over that at the start"].measured(float(ds.risk[-1] / ds.risk[0]))
    window = ds.isel(time=late_saves(ds))
    if window.sizes["time"] < FEWEST_SAVES:
        unmet = (f"{FEWEST_SAVES} saves in the second half of the run (there are {window.sizes['time']})",)
        yield Verdict("COT-5", "linear rate", "Barboni, Peyré & Vialard 2024", ladder.name, False, unmet=unmet)
    else:
        fit = fit_decay(window.risk, bend=math.inf, floor=0.0)
        rates = (window.dissipation / window.risk).values  # 2m(t)
        mean = float(np.trapezoid(rates, window.time.values) / np.ptp(window.time.values))
        case = f"t = {float(window.time[0]):.3g} … {float(window.time[-1]):.3g}"
        yield expected["fitted rate of the risk over the mean of 2m(t)"].measured(fit.rate / mean, case=case)
    drop = float(ds.energy[0] - ds.energy[-1])
    rise = float(np.diff(ds.energy).max() / ds.energy[0])
    yield expected["largest rise of the energy between saves, over its first value"].measured(rise)
    coarsest = float(-np.diff(ds.energy).min()) / drop
    for name, defect in {"velocity": ds.balance_defect_velocity, "distance": ds.balance_defect}.items():
        if name == "distance" and coarsest > RESOLVED:
            unmet = (f"saves resolve the energy (one interval has {coarsest:.2g} of its drop, {RESOLVED:g} wanted)",)
            yield Verdict("FLOW-1", "balance by distance", "De Giorgi", ladder.name, False, unmet=unmet)
        else:
            share = float(abs(defect).max()) / drop
            yield expected[f"balance defect by {name} over the energy drop"].measured(share)
