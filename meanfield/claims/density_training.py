"""Claims on long trainings of neural ODEs of densities (section TRAIN); those of the other modules join at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from meanfield.claims import density_adjoint, density_geometry
from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.density_problems import POSITIVE, Levels, Parameters
from meanfield.claims.kernelised import geometric_mean
from meanfield.claims.kernelised_runs import loss_of, rough
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import grid
from meanfield.claims.verdict import Measurement, Relation
from meanfield.energies import Energy, L2Distance, Risk
from meanfield.flow import GradientFlow
from meanfield.geometries import Hilbert
from meanfield.measures import TorusDensity
from meanfield.models import DensityNODE
from meanfield.run import solve
from meanfield.steppers import Euler
from meanfield.theory import algebraic_exponent, mode_rate
from meanfield.torus import SobolevKernel

if TYPE_CHECKING:
    import xarray as xr

# λ of |∇𝓛|² ≥ c𝓛^{1+λ} while |v| stays bounded, for a kernel of order s
GUARANTEED = {"L2": lambda s: 1 + 2 / (s - 2), "KL": lambda s: 1 + 1 / (s - 1)}


def training(p: Parameters, rho0: TorusDensity, loss: Energy, times: Sequence[float] | np.ndarray) -> xr.Dataset:
    """Gradient descent from v = 0 to the last of the times, by 0.9 of the longest stable step; it must arrive."""
    substeps = math.ceil(rho0.torus.n / p["points_of_a_substep"])
    kernel = SobolevKernel(p["order"], p["length"])
    node = DensityNODE(rho0.torus, kernel, depth=p["depth"], substeps=substeps)
    flow = GradientFlow(Risk(node, rho0, loss), Hilbert(kernel))
    ds = solve(flow, node.zero(), t_end=times[-1], stepper=Euler(), save_at=times, progress=False)
    if ds.status != "finished":
        raise RuntimeError(f"the training ended early: {ds.status_message}")
    return ds


# ---- TRAIN-7 -----------------------------------------------------------------------------------------------------


def decay_of_the_risk(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-7: the guaranteed inequalities along whole runs, and the sharp law of rough data on its window.

    Data ``1 ± f``: in the geometric mean of both signs what is quadratic in f cancels at first order.
    """
    p = ladder.parameters
    for n in levels["n"]:
        start, end = window(p, n)
        inside = np.geomspace(start, end, p["saves"])
        times = np.union1d(np.geomspace(p["first_save"], start, p["saves"]), inside)
        data = [rough(n, p["regularity"], sign * p["contrast"], int(p["seed"])) for sign in (1, -1)]
        for name in p["losses"]:
            runs = [training(p, rho0, loss_of(name, rho0.torus, 0.0), times) for rho0 in data]
            case = f"{name}, n = {n:g}"
            found = [inequalities(p, name, rho0, ds) for rho0, ds in zip(data, runs)]
            for quantity in found[0]:
                expected, values = ladder.expected[quantity], [numbers[quantity] for numbers in found]
                worst = min(values) if expected.relation is Relation.AT_LEAST else max(values)
                yield expected.measured(worst, case=case)
            case += f", t = {start:.3g} … {end:.3g}"
            yield from _sharp_law(ladder, [ds.sel(time=inside, method="nearest") for ds in runs], case)


def inequalities(p: Parameters, name: str, rho0: TorusDensity, ds: xr.Dataset) -> dict[str, float]:
    """What must hold along the whole of a run, each quantity at its worst."""
    loss, slope = ds.energy.values, ds.dissipation.values
    power = GUARANTEED[name](p["order"])
    constant = lower_constant(p, name, rho0, power)
    fallen = loss[1:] * (loss[0] ** -power + power * constant * ds.time.values[1:]) ** (1 / power)
    kappa = SobolevKernel(p["order"], p["length"]).divergence_bound(rho0.torus)
    return {
        "least |∇𝓛|²/𝓛^(1+λ) over the constant c of the datum at v = 0": float(
            (slope / loss ** (1 + power)).min() / constant
        ),
        "largest 𝓛 over (𝓛_0^−λ + λct)^(−1/λ)": float(fallen.max()),
        "largest |∇𝓛|² over C𝓛": float((slope / (upper_factor(p, name, ds) * loss)).max()),
        "largest κ|v|": kappa * float(ds.control_norm.max()),
        "least local exponent d log|∇𝓛|²/d log 𝓛": float(np.nanmin(ds.lojasiewicz_slope)),
    }


def _sharp_law(ladder: Ladder, runs: Sequence[xr.Dataset], case: str) -> Iterator[Measurement]:
    import xarray as xr

    p, time = ladder.parameters, runs[0].time.values
    loss, squares = (geometric_mean(np.stack([ds[name] for ds in runs]), 0) for name in ("energy", "dissipation"))
    law = algebraic_exponent(regularity=p["regularity"], order=p["order"])
    fit = fit_rate(xr.DataArray(loss, coords={"time": time}), along="time", bend=math.inf, floor=0.0)
    yield ladder.expected["slope of log 𝓛 in log t"].measured(fit, theory=-law, case=case)
    fit = fit_rate(xr.DataArray(squares, coords={"loss": loss}), along="loss", bend=math.inf, floor=0.0)
    yield ladder.expected["exponent of |∇𝓛|² in 𝓛"].measured(fit, theory=1 + 1 / law, case=case)


def window(p: Parameters, n: float) -> tuple[float, float]:
    """First and last time of the window: there ``λ(k_c)t = 1``, the modes up to k_c are gone, and

    - the local exponent of λ(k) ~ k^{2−2s} at k_c is within the fraction ``bend`` of its limit,
      ``2s/(1 + (2πεk_c)²) ≤ bend (2s − 2)``;
    - the modes beyond ``k_max = ⌈n/3⌉ − 1``, which the data lack, would hold less than the share ``missing`` of the
      loss, ``(k_c/k_max)^{2r} ≤ missing``.
    """
    s, length = p["order"], p["length"]
    first = math.sqrt(s / (p["bend"] * (s - 1)) - 1) / (2 * math.pi * length)
    last = (math.ceil(n / 3) - 1) * p["missing"] ** (0.5 / p["regularity"])
    start, end = (1 / mode_rate(k, order=s, length=length) for k in (first, last))
    return start, end


def lower_constant(p: Parameters, name: str, rho0: TorusDensity, power: float) -> float:
    """c of ``|∇𝓛|² ≥ c𝓛^{1+λ}`` at v = 0 for the target 1, by Hölder's inequality.

    There ``ρ∇δℓ = ∇g``, g = ρ²/2 (L²) or ρ (KL), so ``|∇𝓛|² = Σ_k R_k|ĝ_k|²``, ``R = |2πk|²K̂``, and with
    ``B = Σ_{k≠0} R_k^{−1/λ}|ĝ_k|²`` it is at least ``‖g − ∫g‖^{2+2λ}/B^λ``, where ``‖g − ∫g‖² ≥ 2 (min ρ)^a 𝓛``, a = 2
    (L²) or 1 (KL).
    """
    torus, low = rho0.torus, float(rho0.values.min())
    g = 0.5 * rho0.values**2 if name == "L2" else rho0.values
    squares = (torus.mode_weights * np.abs(torus.coefficients(g)) ** 2)[1:]
    rates = (torus.squared_wavenumber * SobolevKernel(p["order"], p["length"]).multiplier(torus))[1:]
    weighted = float(np.sum(rates ** (-1 / power) * squares))
    return (2 * low ** (2 if name == "L2" else 1)) ** (1 + power) / weighted**power


def upper_factor(p: Parameters, name: str, ds: xr.Dataset) -> np.ndarray:
    """C of ``|∇𝓛|² ≤ C𝓛`` at every save, for the target 1.

    ``|∇𝓛| ≤ ‖δℓ − ∫δℓ‖ sup ‖δμ_1‖/|δv|`` and ``‖δμ_1‖ ≤ e^{κ|v|/2} max_s ‖div(μ_s δv_s)‖ ≤ e^{κ|v|/2} A|δv|`` with
    ``A = max_s (sup μ_s √(max_k |2πk|²K̂) + ‖∇μ_s‖ √(ΣK̂))``. For L² ``‖δℓ − ∫δℓ‖² ≤ 2𝓛``; for KL, as
    ``u log u − u + 1 ≥ (½ + ⅓ log u) log²u`` for −1 ≤ log u ≤ 0, and more for u ≥ 1, ``≤ 𝓛/(½ + ⅓ log min ρ_1)``.
    """
    torus, kernel = grid(ds.sizes["x"]), SobolevKernel(p["order"], p["length"])
    multiplier = kernel.multiplier(torus)
    speeds = math.sqrt(float((torus.squared_wavenumber * multiplier).max()))
    height = math.sqrt(float(np.sum(torus.mode_weights * multiplier)))
    slopes = [[math.sqrt(float(np.mean(torus.gradient(mu) ** 2))) for mu in path] for path in ds.density.values]
    operator = (ds.density.values.max(axis=2) * speeds + np.array(slopes) * height).max(axis=1)
    growth = np.exp(kernel.divergence_bound(torus) * ds.control_norm.values)
    least = np.log(np.minimum(ds.least_density.values, 1.0))
    return growth * operator**2 * (2.0 if name == "L2" else 1 / (0.5 + least / 3))


# ---- TRAIN-8 -----------------------------------------------------------------------------------------------------


def vanishing_target(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-8: the bound of the minimum, and |v| against log t for a target that vanishes and one that does not.

    Where the target vanishes on an interval, the flow spreads what is there by e^A: 𝓛 ~ e^{−2A}, |v| ~ A, hence
    A = ½ log t and 𝓛 ~ 1/t. At a zero of order p at a point this fails: a field that resolves it down to a length h
    costs ``|v| ~ h^{3/2−s}`` and leaves ``𝓛 ~ h^{2p+1}``, which makes |v| grow like a power of t, of exponent
    ``1/(2 + (2p + 1)/(s − 3/2))``. The ends of the interval are such zeros: a large p and s near 3/2 keep them small.
    """
    p, expected = ladder.parameters, ladder.expected
    torus = grid(p["n"])
    kernel = SobolevKernel(p["order"], p["length"])
    rho0, wave = torus.density(np.ones(torus.shape)), np.cos(2 * np.pi * torus.points[0])
    cap = np.maximum(0.0, wave + p["offset"]) ** p["zero"]
    targets = {
        "vanishing": torus.density(cap, normalise=True),
        "positive": torus.density(1 + p["contrast"] * wave),
    }
    if targets["vanishing"].values.min() > 0:
        raise RuntimeError("the target must vanish at points of the grid")
    times = np.unique(np.concatenate([t * 2.0 ** np.arange(-6.0, 1.0) for t in levels["t"]]))
    for name, target in targets.items():
        ds = training(p, rho0, L2Distance(target), times)
        margin = np.log(ds.least_density / ds.least_density[0]) + kernel.divergence_bound(torus) * ds.control_norm
        least = "least log(min ρ_1/min ρ_0) + κ|v|"
        yield expected[least].measured(float(margin[1:].min()), case=name)
        for t in levels["t"]:
            norms, losses = (
                series.sel(time=[t / 4, t / 2, t], method="nearest").values for series in (ds.control_norm, ds.energy)
            )
            before, last = np.diff(norms)
            gain = expected[f"gain of |v| in a doubling of t over the gain before, {name} target"]
            yield gain.measured(float(last / before), case=f"t = {t:g}")
            if name == "vanishing":
                slope = float(np.log2(losses[2] / losses[1]))
                yield expected["slope of log 𝓛 in log t, vanishing target"].measured(slope, case=f"t = {t:g}")


_LONG_TRAININGS = (
    Claim(
        "TRAIN-7",
        "c𝓛^{1+λ} ≤ |∇𝓛|² ≤ C𝓛 while |v| is bounded; data with |ρ̂_k| ~ k^{−r−1/2} near 1 give 𝓛 ~ t^{−r/(s−1)}",
        "Łojasiewicz inequality by interpolation; linearisation at ρ = 1: the modes up to k_c(t) are gone",
        "density_decay",
        decay_of_the_risk,
        (
            POSITIVE,
            Hypothesis("s > 2: λ = 1 + 2/(s − 2) is finite", lambda p: p["order"] > 2),
            Hypothesis("near ρ = 1: contrast ≤ 0.2", lambda p: p["contrast"] <= 0.2),
            Hypothesis("the window holds a factor 1.5 in k_c", lambda p: _width(p) >= 1.5 ** (2 * p["order"] - 2)),
        ),
    ),
    Claim(
        "TRAIN-8",
        "min ρ_1 ≥ min ρ_0 e^{−κ|v|}; |v| → ∞ like log t if the target vanishes on an interval, else it flattens",
        "characteristics; embedding of V in C¹",
        "density_vanishing",
        vanishing_target,
        (
            POSITIVE,
            Hypothesis("the target vanishes on an interval: −1 < offset < 1", lambda p: -1 < p["offset"] < 1),
            Hypothesis("velocities have flow maps: s > 3/2", lambda p: p["order"] > 1.5),
        ),
    ),
)


def _width(p: Parameters) -> float:
    start, end = window(p, min(p["n"]))
    return end / start


CLAIMS = tuple(
    sorted((*density_adjoint.CLAIMS, *density_geometry.CLAIMS, *_LONG_TRAININGS), key=lambda claim: claim.id)
)
