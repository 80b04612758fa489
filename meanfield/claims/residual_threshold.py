"""From how far a residual network still learns its data, as observed, beside how far it is proved to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.residual_convergence import certified_multiples, descend
from meanfield.claims.residual_runs import Parameters, Training, neurons
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.measures import LayeredMeasure
from meanfield.steppers import RK4
from meanfield.theory import ResidualBounds, certify_path
from meanfield.theory.residual_network import RADII

if TYPE_CHECKING:
    import xarray as xr


def threshold_study(
    p: Parameters, levels: Mapping[str, Sequence[float]], seeds: int, *, progress: bool | None = None
) -> xr.Dataset:
    """Flows and certificates of every displacement, width and seed: the data are the same, the neurons are drawn anew.

    Returns
    -------
    Dataset — along (displacement, width, seed): ``left``, the share of the risk at the end of the run; ``arrival``, the
    time by which the share ``fall`` was reached, infinite where it was not; ``certified_rate`` 2m(R), 0 where nothing
    is proved. Along (width, seed): ``certified`` and ``certified_closed``, the largest displacements with a proof, by
    m(R) along the path and by the closed form in one ball
    """
    most = _check.whole("steps", p["steps"], "pass a number of steps", at_least=1)
    stepper = RK4(tolerance=p["tolerance"])

    starts = {(width, seed): _Start.of(p, width, seed) for width in levels["width"] for seed in range(seeds)}

    def run(displacement: float, width: float, seed: int) -> dict[str, float]:
        training, start = data(p, displacement), starts[width, seed]
        first = training.risk(start.neurons)
        goal = {**p, "risk_end": p["fall"] * first}
        found = descend(goal, training, start.neurons, stepper, p["t_end"], most)
        return {
            "left": float(found.risk[-1] / first),
            "arrival": found.reaches(goal["risk_end"]),
            "certified_rate": start.rate(first),
            "certified": start.certified,
            "certified_closed": start.certified_closed,
        }

    ds = sweep(run, {name: levels[name] for name in ("displacement", "width")}, seeds=seeds, progress=progress)
    return ds.assign({name: ds[name].isel(displacement=0, drop=True) for name in ("certified", "certified_closed")})


def data(p: Parameters, displacement: float) -> Training:
    """``y = x + δ z``: one x and one z for the whole study."""
    return Training.of(p, np.random.default_rng(p["seed"]), displacement)


@dataclass(frozen=True, eq=False)
class _Start:
    """Neurons, the radii of their certificates and m there, and the largest displacements that are certified."""

    neurons: LayeredMeasure
    radii: np.ndarray
    lower: dict[float, float]
    certified: float
    certified_closed: float

    @classmethod
    def of(cls, p: Parameters, width: float, seed: int) -> _Start:
        number = _check.whole("width", width, "pass a number of neurons", at_least=1)
        mu = neurons(p, np.random.default_rng([int(p["seed"]), seed, number]), layers=p["layers"], width=number)
        training = data(p, 1.0)
        bounds = ResidualBounds(training.network, mu, training.x)
        reach = bounds.reach()
        radii = np.linspace(0.0, reach if reach > 0 else 1.0, RADII + 1)[1:]
        lower = {float(radius): bounds.lower(radius) for radius in radii}
        return cls(mu, radii, lower, *certified_multiples(bounds, training.risk(mu)))

    def rate(self, risk: float) -> float:
        """2m(R) of the ball in which a flow that starts with this risk is proved to stay; 0 without a proof."""
        certificate = certify_path(lambda radius: self.lower[float(radius)], risk, radii=self.radii)
        return certificate.rate if certificate.largest_gap >= risk > 0 else 0.0


def of_threshold(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What is certified must be seen, and at least so fast; what is seen may go further."""
    expected, reached = ladder.expected, np.isfinite(ds.arrival)
    proved = ds.certified_rate > 0
    if not bool(proved.any()):
        unmet = ("a displacement is certified: take smaller ones, or more neurons",)
        yield Verdict(
            "COT-5", "certified and observed", "Barboni, Peyré & Vialard 2024", ladder.name, False, unmet=unmet
        )
        return
    case = f"{int(proved.sum())} runs"
    yield expected["certified runs that do not converge"].measured(int((proved & ~reached).sum()), case=case)
    bound = math.log(1 / ladder.parameters["fall"]) / ds.certified_rate.where(proved)
    yield expected["time of convergence over its certified bound, the largest"].measured(
        float((ds.arrival / bound).max())
    )
    widest = ds.isel(width=-1)
    path, closed = (float(widest[name].median()) for name in ("certified", "certified_closed"))
    case = f"m = {float(widest.width):g}"
    yield expected["largest δ certified along the path over that of the closed form"].measured(path / closed, case=case)
    seen = observed_threshold(ds).values[-1]
    yield expected["largest δ from which all seeds converge over the largest certified δ"].measured(
        seen / path, case=case
    )
    yield expected["largest δ from which all seeds converge"].measured(float(seen), case=case)


def observed_threshold(ds: xr.Dataset) -> xr.DataArray:
    """Of every width, the last displacement up to which all seeds converge from all displacements; 0 if from none."""
    good = np.isfinite(ds.arrival).all("seed").cumprod("displacement").astype(bool)
    return (ds.displacement * good).max("displacement")
