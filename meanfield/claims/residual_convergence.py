"""The claim on linear convergence of residual networks, beside what is certified of it (COT-5)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_decay
from meanfield.claims.residual_runs import Parameters, Training, neurons
from meanfield.claims.verdict import Measurement
from meanfield.distances import conditional_wasserstein
from meanfield.flow import iterate
from meanfield.measures import LayeredMeasure
from meanfield.steppers import RK4, Euler, Stepper
from meanfield.theory import ResidualBounds, certify_ball, certify_path, certify_residual, feature_gram
from meanfield.theory.residual_network import RADII

Levels = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Descent:
    """A run: times, risks, ``m(t) = |G|²/(2 Risk)`` after every step, the last state, why it ended early if it did."""

    time: np.ndarray
    risk: np.ndarray
    ratio: np.ndarray
    state: LayeredMeasure
    detail: str

    def reaches(self, risk: float) -> float:
        """The first time with a risk below; infinity if there is none."""
        below = np.flatnonzero(self.risk < risk)
        return float(self.time[below[0]]) if below.size else math.inf


def setting(p: Parameters, seed: float, displacement: float) -> tuple[Training, LayeredMeasure]:
    """Data and start of a seed; the displacement scales the labels alone."""
    rng = np.random.default_rng(int(seed))
    training = Training.of(p, rng, displacement)
    return training, neurons(p, rng, layers=p["layers"], width=p["width"])


def descend(
    p: Parameters, training: Training, start: LayeredMeasure, stepper: Stepper, until: float, most: int | None = None
) -> Descent:
    """Train until the risk is below ``risk_end``, a step is refused, the time or ``most`` steps are reached."""
    flow, rows, state, detail = training.flow, [], start, ""
    for t, after, info in islice(iterate(flow, start, stepper, until=until), most):
        if info.detail:
            detail = info.detail
            break
        state, risk = after, flow.energy.value(after)
        rows.append((t, risk, flow.dissipation(state) / (2 * risk)))
        if risk < p["risk_end"]:
            break
    time, risks, ratios = np.array(rows).T
    return Descent(time, risks, ratios, state, detail)


def linear_convergence(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """COT-5: runs by a fixed step at every displacement; one that needs an adaptive step; what is certified."""
    import xarray as xr

    p, expected = ladder.parameters, ladder.expected
    for displacement in levels["displacement"]:
        training, start = setting(p, p["seed"], displacement)
        least = float(np.linalg.eigvalsh(feature_gram(training.network, start, training.x).mean(axis=0))[0])
        found, case = descend(p, training, start, Euler(dt=p["dt"]), p["t_end"]), f"δ = {displacement:g}"
        late = found.risk < p["late"]
        ratios = found.ratio[late] * len(training.x) / least
        decay = fit_decay(xr.DataArray(found.risk[late], coords={"time": found.time[late]}), bend=math.inf, floor=0.0)
        yield expected["time to risk 1e-8, step 1"].measured(found.reaches(1e-8), case=case)
        yield expected["rate of the risk over 2m"].measured(decay.rate / (2 * found.ratio[late].mean()), case=case)
        yield expected["least m(t) N/λ_min, late"].measured(float(ratios.min()), case=case)
        yield expected["largest m(t) N/λ_min, late"].measured(float(ratios.max()), case=case)
    yield from adaptive(ladder)
    yield from certified(ladder)


def adaptive(ladder: Ladder) -> Iterator[Measurement]:
    """The case in which the fixed step is refused: adaptive steps reach the same risk."""
    p, expected = ladder.parameters, ladder.expected
    training, start = setting(p, p["seed_of_unstable"], p["displacement_of_unstable"])
    fixed, controlled = (
        descend(p, training, start, stepper, p["t_end"])
        for stepper in (Euler(dt=p["dt"]), RK4(tolerance=p["tolerance"]))
    )
    yield expected["risk where step 1 is refused"].measured(float(fixed.risk[-1]) if fixed.detail else 0.0)
    yield expected["time to risk 1e-8 there, adaptive steps"].measured(controlled.reaches(1e-8))


def certified(ladder: Ladder) -> Iterator[Measurement]:
    """The largest displacement the a-priori bound certifies, and a certified run beside the bound."""
    p, expected = ladder.parameters, ladder.expected
    training, start = setting(p, p["seed"], p["displacement_certified"])
    bounds = ResidualBounds(training.network, start, training.x)
    certificate = certify_residual(training.network, start, training.x, training.y)
    largest, closed = (p["displacement_certified"] * times for times in certified_multiples(bounds, certificate.gap))
    yield expected["largest certified δ"].measured(largest)
    yield expected["largest certified δ over that of the closed form"].measured(largest / closed)
    rows, state, t = [], start, 0.0
    for until in p["t_end"] * np.geomspace(1e-3, 1.0, int(p["saves"])):
        found = descend(p, training, state, Euler(dt=p["dt"]), until - t)
        state, t = found.state, until
        distance = conditional_wasserstein(start, state)
        rows.append((bounds.lower(distance) / found.ratio[-1], distance / certificate.radius))
        if found.risk[-1] < p["risk_end"]:
            break
    ratios, radii = np.array(rows).T
    yield expected["m(d) over m(t) on a certified run"].measured(float(ratios.max()))
    yield expected["m(d) over m(t) there, m ten times too large"].measured(float(10 * ratios.max()))
    yield expected["distance over the certified radius"].measured(float(radii.max()))


def certified_multiples(bounds: ResidualBounds, gap: float) -> tuple[float, float]:
    """How many times larger a displacement may be, by m(R) along the path, and by the closed form in one ball.

    ``gap`` is the risk at the start, which is quadratic in the displacement; both are 0 where m(0) = 0.
    """
    reach = bounds.reach()
    if reach == 0:
        return 0.0, 0.0
    radii = np.linspace(0.0, reach, RADII + 1)[1:]
    along, closed = certify_path(bounds.lower, gap, radii=radii), certify_ball(bounds.coarse, gap, radii=radii)
    return math.sqrt(along.largest_gap / gap), math.sqrt(closed.largest_gap / gap)


CLAIMS = (
    Claim(
        "COT-5",
        "small displacements, enough features: the risk falls to 1e-8 at the rate 2m(t); what is certified of it holds",
        "Barboni, Peyré & Vialard 2024; constants: docs/design.md",
        "residual_convergence",
        linear_convergence,
        (
            Hypothesis("as many features as data: m ≥ N", lambda p: p["width"] >= p["samples"]),
            Hypothesis("the risk falls below 1e-8", lambda p: p["risk_end"] < 1e-8 < p["late"]),
        ),
    ),
)
