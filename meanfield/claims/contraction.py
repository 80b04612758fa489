"""The claim that two solutions of the porous-medium equation never separate (PME-5)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.runs import accepted, grid, porous_medium
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


def bumps(p: Any, torus: Torus, m: float, shift: float) -> tuple[TorusDensity, float]:
    """Two Barenblatt bumps apart, shifted by a fraction of a cell, and the time to their final radius."""
    profile = {"dim": 1, "exponent": m, "coefficient": p["coefficient"], "mass": 0.5}
    start, end = (barenblatt_time(p[key], **profile) for key in ("radius_start", "radius_end"))
    cells = [barenblatt_cell_means(torus.n, start, center=at + shift / torus.n, **profile) for at in (0.25, 0.75)]
    return torus.density(cells[0] + cells[1]), end - start


def path(flow: GradientFlow, datum: TorusDensity, stepper: Stepper, t_end: float) -> list[TorusDensity]:
    """The datum and the state after every step."""
    return [datum, *(state for _, state, _ in accepted(flow, datum, stepper, t_end))]


def distances(one: list[TorusDensity], other: list[TorusDensity]) -> tuple[np.ndarray, np.ndarray]:
    """L¹ and W₂ distances of two solutions at their common steps."""
    pairs = list(zip(one, other, strict=True))
    return np.array([np.abs(a.values - b.values).mean() for a, b in pairs]), np.array(
        [wasserstein(*ab) for ab in pairs]
    )


def contraction(ladder: Ladder, levels: dict[str, list[float]]) -> Iterator[Measurement]:
    """PME-5: on positive data by every scheme, and on two shifted bumps by the structure-preserving ones."""
    p, expected = ladder.parameters, ladder.expected
    for n in levels["n"]:
        torus = grid(n)
        for m, (scheme, make) in itertools.product(p["exponent"], SCHEMES.items()):
            flow, case = porous_medium(p, exponent=m), f"{scheme}, m = {m:g}, n = {n:g}"
            name = "largest rise of W2, " + ("upwind" if scheme == "upwind" else "Fourier or two-point")
            stepper = make(p["t_end"] / p["steps"])
            l1, w2 = distances(*(path(flow, datum, stepper, p["t_end"]) for datum in positive_pair(torus)))
            yield expected["largest rise of the L1 distance"].measured(np.diff(l1).max(), case=case)
            yield expected[name].measured(np.diff(w2).max(), case=case)
            yield expected["final over initial L1 distance"].measured(l1[-1] / l1[0], case=case)
            if scheme == "Fourier":
                continue
            datum, t_end = bumps(p, torus, m, 0.0)
            stepper = make(t_end / p["steps_of_bumps"])
            still = path(flow, datum, stepper, t_end)
            for shift in p["shift_in_cells"]:
                l1, w2 = distances(still, path(flow, bumps(p, torus, m, shift)[0], stepper, t_end))
                case = f"bumps shifted by {shift:g} cells, {scheme}, m = {m:g}, n = {n:g}"
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
