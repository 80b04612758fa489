"""The claim on residual networks of finite depth and width against those of infinite ones (COT-4)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield import _check
from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.fits import RateFit
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.residual_runs import Parameters, Training, neurons
from meanfield.claims.runs import final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.distances import conditional_wasserstein
from meanfield.measures import LayeredMeasure
from meanfield.steppers import Heun

if TYPE_CHECKING:
    import xarray as xr

Levels = dict[str, list[float]]
BEND = 0.1  # of the slopes in depth, which are smooth; the others are noise, whose first levels are no worse
DATA = 1  # what the generator of the data begins with: one training for all sizes


@dataclass(frozen=True)
class Law:
    """A quantity of `finite_size_errors` and the axis it falls along; ``bend`` as in `fit_rate`."""

    expected: str
    along: str
    bend: float = math.inf
    case: str = ""


def laws(p: Parameters) -> dict[str, Law]:
    """Variable to law, in the order of the verdicts."""
    rest = f"d in m, u = 0, support of dimension {p['dim'] + 1}"
    spread = f"d in m, normal u, support of dimension {2 * p['dim'] + 1}"
    return {
        "output_depth": Law("output error in L", "depth", bend=BEND),
        "risk_depth": Law("risk error in L", "depth", bend=BEND),
        "output_width": Law("output error in m", "width"),
        "risk_width": Law("risk error in m", "width"),
        "start_across": Law(rest, "across", case="t = 0"),
        "end_across": Law(rest, "across", case=f"t = {p['t_end']:g}"),
        "spread_across": Law(spread, "across", case="t = 0"),
    }


def finite_size_errors(ladder: Ladder, levels: Levels, progress: bool | None = None) -> xr.Dataset:
    """All errors of COT-4: `in_depth`, `in_width` and `in_distance` side by side."""
    import xarray as xr

    missing = {law.expected for law in laws(ladder.parameters).values()} - set(ladder.expected)
    if missing:
        got = f"dim = {ladder.parameters['dim']:g}"
        raise _check.fail(
            f"{ladder.name}.toml states slopes of d for its own dimension only", got, "leave dim as it is"
        )
    return xr.merge([part(ladder, levels, progress) for part in (in_depth, in_width, in_distance)])


def fitted(ladder: Ladder, ds: xr.Dataset, name: str) -> RateFit:
    """The rate of one of the `laws`."""
    law = laws(ladder.parameters)[name]
    return fit_rate(ds[name], along=law.along, seed_dim=f"seed_{law.along}", bend=law.bend)


def of_finite_sizes(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement]:
    """What theory says of the errors that are there."""
    for name, law in laws(ladder.parameters).items():
        if name in ds:
            yield ladder.expected[law.expected].measured(fitted(ladder, ds, name), case=law.case)
    if "over_depths" in ds:
        yield ladder.expected["d² with 4 × the layers over d²"].measured(float(ds.over_depths))


def finite_sizes(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """COT-4: errors at a fixed t against a much larger network, and the distance of independent samples."""
    yield from of_finite_sizes(ladder, finite_size_errors(ladder, levels, progress))


def in_depth(ladder: Ladder, levels: Levels, progress: bool | None = None) -> xr.Dataset:
    """Errors of output and risk with the same particles in every layer, at every depth."""
    p, deepest = ladder.parameters, ladder.reference["depth"]

    def run(depth, seed):
        rng = np.random.default_rng(seed)
        training = Training.of(p, rng, p["displacement"])
        particles = neurons(p, rng, layers=1, width=p["width_in_depth"])

        def trained(layers: float) -> LayeredMeasure:
            alike = LayeredMeasure(np.repeat(particles.positions, int(layers), axis=0))
            return final(training.flow, alike, Heun(dt=p["dt"]), p["t_end"])

        if seed not in references:
            references[seed] = trained(deepest)
        return errors_of(training, trained(depth), references[seed])

    references: dict[int, LayeredMeasure] = {}
    ds = sweep(run, {"depth": levels["depth"]}, seeds=int(p["seeds_in_depth"]), progress=progress)
    return ds.rename(output="output_depth", risk="risk_depth", seed="seed_depth")


def in_width(ladder: Ladder, levels: Levels, progress: bool | None = None) -> xr.Dataset:
    """Errors of output and risk with independent particles at one depth, against one draw of many."""
    p = ladder.parameters
    training = Training.of(p, np.random.default_rng(DATA), p["displacement"])

    def trained(rng: np.random.Generator, width: float) -> LayeredMeasure:
        start = neurons(p, rng, layers=p["layers"], width=width)
        return final(training.flow, start, Heun(dt=p["dt"]), p["t_end"])

    reference = trained(np.random.default_rng([DATA, DATA]), ladder.reference["width"])

    def run(width, rng):
        return errors_of(training, trained(rng, width), reference)

    ds = sweep(run, {"width": levels["width"]}, seeds=ladder.seeds, progress=progress)
    return ds.rename(output="output_width", risk="risk_width", seed="seed_width")


def errors_of(training: Training, mu: LayeredMeasure, reference: LayeredMeasure) -> dict[str, float]:
    """Root mean square gap of the outputs on the data, and the gap of the risks."""
    gap = training.predict(mu) - training.predict(reference)
    return {
        "output": math.sqrt(float(np.square(gap).sum(axis=1).mean())),
        "risk": training.risk(mu) - training.risk(reference),
    }


def in_distance(ladder: Ladder, levels: Levels, progress: bool | None = None) -> xr.Dataset:
    """d of two independent samples of m: of one order with d(μ^m, μ), as the triangle inequality and convexity say."""
    p = ladder.parameters
    training = Training.of(p, np.random.default_rng(DATA), p["displacement"])

    def run(across, rng):
        return gap_of_samples(p, rng, across, u=0.0, training=training) | gap_of_samples(p, rng, across, u=1.0)

    ds = sweep(run, {"across": levels["across"]}, seeds=int(p["seeds_of_distance"]), progress=progress)
    names = {"start": "start_across", "end": "end_across", "start with u": "spread_across", "seed": "seed_across"}
    return ds.rename(names).assign(over_depths=over_depths(p, levels["across"][0]))


def over_depths(p: Parameters, width: float) -> float:
    """Mean of d² over draws, of four times the layers over that of the layers themselves."""

    def square(layers: float, seed: int) -> float:
        rng = np.random.default_rng([seed, int(layers)])
        return gap_of_samples({**p, "layers_of_distance": layers}, rng, width, u=0.0)["start"] ** 2

    few, many = (
        np.mean([square(layers, seed) for seed in range(int(p["seeds_of_depths"]))])
        for layers in (p["layers_of_distance"], 4 * p["layers_of_distance"])
    )
    return float(many / few)


def gap_of_samples(
    p: Parameters, rng: np.random.Generator, width: float, *, u: float, training: Training | None = None
) -> dict[str, float]:
    """d of two independent samples of one law, and of where training takes them."""
    pair = [neurons(p, rng, layers=p["layers_of_distance"], width=width, u=u) for _ in range(2)]
    gaps = {"start with u" if u else "start": conditional_wasserstein(*pair)}
    if training is not None:
        pair = [final(training.flow, state, Heun(dt=p["dt"]), p["t_end"]) for state in pair]
        gaps["end"] = conditional_wasserstein(*pair)
    return gaps


CLAIMS = (
    Claim(
        "COT-4",
        "at a fixed time, output and risk are 1/L + 1/√(Lm) off the limit; d(μ^m, μ) ~ m^{−1/p} whatever L",
        "Barboni, Peyré & Vialard 2024; Sznitman 1991; Ajtai, Komlós & Tusnády 1984; Ledoux 2019",
        "residual_sizes",
        finite_sizes,
        (
            Hypothesis("t > 0: at t = 0 all sizes agree", lambda p: p["t_end"] > 0),
            Hypothesis("whole steps", lambda p: abs(p["t_end"] / p["dt"] - round(p["t_end"] / p["dt"])) < 1e-9),
            Hypothesis("supports of dimension 3 and more", lambda p: p["dim"] >= 2),
        ),
    ),
)
