"""The claim that two solutions of the porous-medium equation never separate (MATHEMATICS PME-5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.runs import accepted, porous_medium
from meanfield.claims.verdict import Measurement
from meanfield.distances import wasserstein
from meanfield.flow import GradientFlow
from meanfield.measures import TorusDensity
from meanfield.steppers import ETDRK4, FiniteVolume, Stepper
from meanfield.theory import barenblatt_cell_means, barenblatt_time
from meanfield.torus import Torus

SCHEMES: dict[str, Callable[[float], Stepper]] = {
    "Fourier": lambda dt: ETDRK4(dt=dt),
    "two-point": lambda dt: FiniteVolume(order=2, dt=dt),
    "upwind": lambda dt: FiniteVolume(order=1, dt=dt),
}


def positive_pair(torus: Torus) -> tuple[TorusDensity, TorusDensity]:
    """Two smooth positive densities of mass 1."""
    return (
        torus.density(lambda x: 1 + 0.6 * np.cos(2 * np.pi * x) + 0.2 * np.sin(6 * np.pi * x), normalise=True),
        torus.density(lambda x: 1.2 + np.sin(2 * np.pi * (x - 0.13)) - 0.1 * np.cos(4 * np.pi * x), normalise=True),
    )


def shifted_bumps(p: Any, torus: Torus, m: float) -> tuple[TorusDensity, TorusDensity, float]:
    """Two Barenblatt bumps apart, the same shifted by a fraction of a cell, and the time to their final radius."""
    profile = {"dim": 1, "exponent": m, "coefficient": p["coefficient"], "mass": 0.5}
    start, end = (barenblatt_time(p[key], **profile) for key in ("radius_start", "radius_end"))

    def bumps(shift: float) -> TorusDensity:
        cells = [barenblatt_cell_means(torus.n, start, center=at + shift / torus.n, **profile) for at in (0.25, 0.75)]
        return torus.density(cells[0] + cells[1])

    return bumps(0.0), bumps(p["shift_in_cells"]), end - start


def distances(
    flow: GradientFlow, pair: tuple[TorusDensity, TorusDensity], stepper: Stepper, t_end: float
) -> tuple[np.ndarray, np.ndarray]:
    """L¹ and W₂ distances of two solutions at every common step, the first included."""
    runs = [accepted(flow, datum, stepper, t_end) for datum in pair]
    pairs = [pair, *((a, b) for (_, a, _), (_, b, _) in zip(*runs, strict=True))]
    l1 = np.array([np.abs(a.values - b.values).mean() for a, b in pairs])
    return l1, np.array([wasserstein(a, b) for a, b in pairs])


def contraction(ladder: Ladder, levels: dict[str, list[float]]) -> Iterator[Measurement]:
    """PME-5: on positive data by every scheme, and on two shifted bumps by the structure-preserving ones."""
    p, expected = ladder.parameters, ladder.expected
    for n in levels["n"]:
        torus = Torus(int(n))
        for m in p["exponent"]:
            flow, positive = porous_medium(p, exponent=m), positive_pair(torus)
            *bumps, t_bumps = shifted_bumps(p, torus, m)
            for scheme, make in SCHEMES.items():
                name = "largest rise of W2, " + ("upwind" if scheme == "upwind" else "Fourier or two-point")
                case = f"{scheme}, m = {m:g}, n = {n:g}"
                l1, w2 = distances(flow, positive, make(p["t_end"] / p["steps"]), p["t_end"])
                yield expected["largest rise of the L1 distance"].measured(np.diff(l1).max(), case=case)
                yield expected[name].measured(np.diff(w2).max(), case=case)
                yield expected["final over initial L1 distance"].measured(l1[-1] / l1[0], case=case)
                if scheme == "Fourier":
                    continue
                case = f"bumps, {case}"
                l1, w2 = distances(flow, (bumps[0], bumps[1]), make(t_bumps / p["steps"]), t_bumps)
                yield expected["largest rise of the L1 distance"].measured(np.diff(l1).max(), case=case)
                yield expected[name].measured(np.diff(w2).max(), case=case)
                yield expected["final over initial W2 of two shifted bumps"].measured(w2[-1] / w2[0], case=case)


CLAIMS = (
    Claim(
        "PME-5",
        "two solutions never separate, in L¹ and in W₂ on the circle",
        "Bénilan 1972; Otto 2001; von Renesse & Sturm 2005",
        "porous_medium_contraction",
        contraction,
        (
            Hypothesis("m > 1 (W₂ asks for m ≥ 1 − 1/d)", lambda p: np.min(p["exponent"]) > 1),
            Hypothesis("bumps half a period apart never meet", lambda p: p["radius_end"] < 0.25),
        ),
    ),
)
