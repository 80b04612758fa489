"""Single trainings of a neural ODE on densities: data and steppers by name, what theory says of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import FEWEST_SAVES, chosen, grid
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.data import density_of_image, digits
from meanfield.energies import Energy, KullbackLeibler, L2Distance, Risk, SobolevDistance
from meanfield.flow import GradientFlow
from meanfield.geometries import Hilbert
from meanfield.measures import TorusDensity
from meanfield.models import DensityNODE
from meanfield.run import solve
from meanfield.steppers import RK4, Euler, Heun, Stepper
from meanfield.torus import SobolevKernel, Torus

if TYPE_CHECKING:
    import xarray as xr

Parameters = Mapping[str, Any]
START, ENDS = (0.45, 0.5, 0.5), ((0.3, 0.4, 0.5), (0.65, 0.6, 0.5))  # centres of the bumps of smooth data
SHARES = (0.4, 0.6)  # of the mass of the target in its two bumps
STEPPERS: dict[str, Callable[..., Stepper]] = {"euler": Euler, "heun": Heun, "rk4": RK4}
FIRST_SAVE = 1e-3  # of the final time: saves are spaced geometrically from there, as powers of time ask for
FALLEN = 10.0  # a law is fitted to the risk once it has fallen so many times


def training_run(p: Parameters, n: float, depth: float, **options: Any) -> xr.Dataset:
    """The training of a node from v = 0 that a ladder's numbers describe; ``options`` are those of `solve`."""
    rho0, target = training_pair(p, n)
    node = DensityNODE(rho0.torus, training_kernel(p), depth=_check.whole("depth", depth, "pass layers", at_least=1))
    flow = GradientFlow(Risk(node, rho0, _loss(p, target), penalty=p["penalty"]), Hilbert(node.kernel))
    steps = {"dt": p["learning_rate"] or None, "tolerance": p["tolerance"] or None}  # 0 stands for None in a ladder
    stepper = chosen("stepper", p["stepper"], {name: partial(make, **steps) for name, make in STEPPERS.items()})
    saves = _check.whole("saves", p["saves"], "pass a number of saves", at_least=3)
    save_at = p["t_end"] * np.geomspace(FIRST_SAVE, 1.0, saves - 1)
    return solve(flow, node.zero(), t_end=p["t_end"], stepper=stepper, save_at=save_at, **options)


def training_kernel(p: Parameters) -> SobolevKernel:
    """The kernel of the space the velocities live in."""
    return SobolevKernel(p["order"], p["length"])


def training_pair(p: Parameters, n: float) -> tuple[TorusDensity, TorusDensity]:
    """The density to start from and the target: two digits, or a bump and two bumps of width ``width``."""
    makers = {"digits": partial(_two_digits, p, n), "smooth": partial(_bumps, p, n)}
    return chosen("data", p["data"], makers)


def _two_digits(p: Parameters, n: float) -> tuple[TorusDensity, TorusDensity]:
    images, labels = digits()
    number = _check.whole("sample", p["sample"], "pass 0 for the first image of each digit", at_least=0)

    def density(digit: float) -> TorusDensity:
        found = np.flatnonzero(labels == digit)
        if not number < len(found):
            got = f"sample {number} of digit {digit:g}, which has {len(found)}"
            raise _check.fail("an image must exist", got, "pass digits 0 to 9, or a smaller sample")
        return density_of_image(grid(n, 2), images[found[number]], blur=p["blur"], background=p["background"])

    return density(p["from"]), density(p["to"])


def _bumps(p: Parameters, n: float) -> tuple[TorusDensity, TorusDensity]:
    torus, share = grid(n, p["dim"]), _check.real("background", p["background"], "pass a share, as 0.4")
    sharpness = (2 * math.pi * _check.positive("width", p["width"], "pass a width in periods, as 0.1")) ** -2

    def bump(centre: tuple[float, ...]) -> np.ndarray:
        waves = sum(np.cos(2 * np.pi * (x - a)) - 1 for x, a in zip(torus.points, centre))
        values = np.exp(sharpness * waves)
        return values / values.mean()

    def density(values: np.ndarray) -> TorusDensity:
        return torus.density(share + (1 - share) * values, normalise=True)

    return density(bump(START)), density(np.sum([a * bump(centre) for a, centre in zip(SHARES, ENDS)], axis=0))


def _loss(p: Parameters, target: TorusDensity) -> Energy:
    losses = {
        "l2": lambda: L2Distance(target),
        "kl": lambda: KullbackLeibler(target),
        "sobolev": lambda: SobolevDistance(target, order=p["loss_order"]),
    }
    return chosen("loss", p["loss"], losses)


def guaranteed_exponent(p: Parameters) -> float | None:
    """1/λ of ``𝓛 ≤ C(1 + t)^{−1/λ}`` while |v| stays bounded: λ = 1 + 2/(s − 2) for L², 1 + 1/(s − 1) for KL.

    None where none is known: a penalty, another loss, a space that is too large.
    """
    s = p["order"]
    powers = {"l2": 1 + 2 / (s - 2) if s > 2 else math.inf, "kl": 1 + 1 / (s - 1) if s > 1 else math.inf}
    power = powers.get(p["loss"], math.inf)
    return 1 / power if math.isfinite(power) and not p["penalty"] else None


def law_window(ds: xr.Dataset) -> xr.DataArray:
    """The risk at the saves a law is fitted to: those where it has fallen `FALLEN` times, and is positive."""
    low = (ds.risk <= ds.risk[0] / FALLEN) & (ds.risk > 0) & (ds.time > 0)
    return ds.risk.where(low, drop=True)


def stretched_exponent(t: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
    """θ of ``log values ≈ a − b (t^θ − 1)/θ`` by least squares, and the fitted values.

    θ = 0 is the power ``t^{−b}``, θ = 1 an exponential, ``exp(−C t^θ)`` lies in between.

    Parameters
    ----------
    t, values : (m,) float — positive, m ≥ 4

    Returns
    -------
    θ in [−1, 2], (m,) float
    """
    from scipy.optimize import minimize_scalar

    logs = np.log(values)

    def fitted(theta: float) -> np.ndarray:
        grown = np.expm1(theta * np.log(t)) / theta if abs(theta) > 1e-9 else np.log(t)
        return np.polyval(np.polyfit(grown, logs, 1), grown)

    best = minimize_scalar(lambda theta: np.sum((fitted(theta) - logs) ** 2), bounds=(-1, 2), method="bounded")
    return float(best.x), np.exp(fitted(best.x))


def of_training(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of a training: the law of the risk, the flow map, the density, mass, energy, balance."""
    p, expected = ladder.parameters, ladder.expected
    yield from _law(ladder, ds)
    torus = Torus(ds.sizes["x"], dim=ds.density.ndim - 2)
    least = math.exp(-training_kernel(p).divergence_bound(torus) * float(ds.control_norm.max()))
    lowest = float(ds.least_density.min() / ds.density[0, 0].min())
    yield expected["least det DΦ"].measured(float(ds.least_jacobian.min()), theory=least)
    yield expected["min ρ_1 over min ρ_0"].measured(lowest, theory=least)
    mass = ds.density.mean([axis for axis in ds.density.dims if axis not in ("time", "interface")])
    yield expected["relative drift of the mass"].measured(float(abs(mass / mass[0, 0] - 1).max()))
    yield expected["largest rise of the energy between saves"].measured(float(np.diff(ds.energy).max()))
    drop = float(ds.energy[0] - ds.energy[-1])
    if not p["tolerance"]:
        yield Verdict("FLOW-1", "balance", "steps", ladder.name, False, unmet=("steps are controlled: tolerance > 0",))
    elif drop > 0:
        for name, defect in {"distance": ds.balance_defect, "velocity": ds.balance_defect_velocity}.items():
            share = float(abs(defect).max()) / drop
            yield expected[f"balance defect by {name} over the energy drop"].measured(share)


def _law(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    p, expected, window = ladder.parameters, ladder.expected, law_window(ds)
    exponent, fall = guaranteed_exponent(p), float(ds.risk[0] / ds.risk[-1])

    def unmet(hypothesis: str) -> Verdict:
        return Verdict("TRAIN-7", "law of the risk", "Łojasiewicz", ladder.name, False, unmet=(hypothesis,))

    if fall < p["fall"]:
        yield unmet(f"the risk falls {p['fall']:g} times by t = {p['t_end']:g} ({fall:.3g} times)")
    else:
        yield expected["fall of the risk"].measured(fall, theory=p["fall"])
    if exponent is None:
        yield unmet("a law is known: loss l2 with order > 2, or kl; no penalty")
        return
    if window.size < FEWEST_SAVES:
        yield unmet(f"the risk has fallen {FALLEN:g} times at {FEWEST_SAVES} saves (at {window.size})")
        return
    fit = fit_rate(window, along="time", bend=math.inf, floor=0.0)
    case = f"t = {fit.window[0]:.2g} … {fit.window[1]:.2g}"
    yield expected["slope of log risk in log t"].measured(fit, theory=-exponent, case=case)
    theta, _ = stretched_exponent(window.time.values, window.values)
    yield expected["θ of risk ~ exp(−C t^θ)"].measured(theta, case=case)
