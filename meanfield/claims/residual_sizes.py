"""The claim on residual networks of finite depth and width against those of infinite ones (COT-4)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.residual_runs import Parameters, Training, neurons
from meanfield.claims.runs import final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.distances import conditional_wasserstein
from meanfield.measures import LayeredMeasure
from meanfield.steppers import Heun

Levels = dict[str, list[float]]
DATA = 1  # what the generator of the data begins with: one training for all sizes


def finite_sizes(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """COT-4: errors at a fixed t against a much larger network, and the distance of independent samples."""
    yield from in_depth(ladder, levels, progress)
    yield from in_width(ladder, levels, progress)
    yield from in_distance(ladder, levels, progress)


def in_depth(ladder: Ladder, levels: Levels, progress: bool | None) -> Iterator[Measurement]:
    """The same particles in every layer, at every depth."""
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
    for name in ("output", "risk"):
        yield ladder.expected[f"{name} error in L"].measured(fit_rate(ds[name], along="depth"))


def in_width(ladder: Ladder, levels: Levels, progress: bool | None) -> Iterator[Measurement]:
    """Independent particles at one depth, against one draw of many."""
    p = ladder.parameters
    training = Training.of(p, np.random.default_rng(DATA), p["displacement"])

    def trained(rng: np.random.Generator, width: float) -> LayeredMeasure:
        start = neurons(p, rng, layers=p["layers"], width=width)
        return final(training.flow, start, Heun(dt=p["dt"]), p["t_end"])

    reference = trained(np.random.default_rng([DATA, DATA]), ladder.reference["width"])

    def run(width, rng):
        return errors_of(training, trained(rng, width), reference)

    ds = sweep(run, {"width": levels["width"]}, seeds=ladder.seeds, progress=progress)
    for name in ("output", "risk"):
        fit = fit_rate(ds[name], along="width", bend=math.inf)
        yield ladder.expected[f"{name} error in m"].measured(fit)


def errors_of(training: Training, mu: LayeredMeasure, reference: LayeredMeasure) -> dict[str, float]:
    """Root mean square gap of the outputs on the data, and the gap of the risks."""
    gap = training.predict(mu) - training.predict(reference)
    return {
        "output": math.sqrt(float(np.square(gap).sum(axis=1).mean())),
        "risk": training.risk(mu) - training.risk(reference),
    }


def in_distance(ladder: Ladder, levels: Levels, progress: bool | None) -> Iterator[Measurement]:
    """d of two independent samples of m: of one order with d(μ^m, μ), as the triangle inequality and convexity say."""
    p, expected = ladder.parameters, ladder.expected
    training = Training.of(p, np.random.default_rng(DATA), p["displacement"])
    rest = f"d in m, u = 0, support of dimension {p['dim'] + 1}"
    spread = f"d in m, normal u, support of dimension {2 * p['dim'] + 1}"

    def run(across, rng):
        return gap_of_samples(p, rng, across, u=0.0, training=training) | gap_of_samples(p, rng, across, u=1.0)

    ds = sweep(run, {"across": levels["across"]}, seeds=int(p["seeds_of_distance"]), progress=progress)
    yield expected[rest].measured(fit_rate(ds["start"], along="across", bend=math.inf), case="t = 0")
    yield expected[rest].measured(fit_rate(ds["end"], along="across", bend=math.inf), case=f"t = {p['t_end']:g}")
    yield expected[spread].measured(fit_rate(ds["start with u"], along="across", bend=math.inf), case="t = 0")
    yield expected["d² with 4 × the layers over d²"].measured(over_depths(p, levels["across"][0]))


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
