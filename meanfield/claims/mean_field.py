"""Claims on widths and steps of two-layer networks: the teacher's width, and the way to the mean-field limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.fits import RateFit
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.energies import Risk
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.measures import ParticleMeasure
from meanfield.models import GaussianInputs, TwoLayer, relu, tanh
from meanfield.steppers import RK4, Euler, StochasticDescent

if TYPE_CHECKING:
    import xarray as xr

Levels = dict[str, list[float]]
Parameters = Mapping[str, Any]
OBSERVED = ("outputs", "risk")


# ---- TWO-2 ---------------------------------------------------------------------------------------------------------


def unit_neurons(rng: np.random.Generator, signs: np.ndarray, dim: int, scale: float = 1.0) -> ParticleMeasure:
    """Neurons with outer weights ± scale and inner weights uniform on the unit sphere."""
    inner = rng.standard_normal((len(signs), dim))
    inner /= np.linalg.norm(inner, axis=1, keepdims=True)
    return ParticleMeasure(np.concatenate([scale * signs[:, None], inner], axis=1))


def alternating(number: int) -> np.ndarray:
    """Signs +, −, +, …: the flow keeps the sign of an outer weight, so a student needs those of its teacher."""
    return np.where(np.arange(number) % 2, -1.0, 1.0)


def student_flow(p: Parameters, rng: np.random.Generator) -> GradientFlow:
    """Learning the sum of ``teachers`` unit neurons on normal inputs: the population's risk."""
    teacher = unit_neurons(rng, alternating(p["teachers"]), p["dim"], scale=p["teachers"])
    return GradientFlow(Risk(TwoLayer(p["dim"], relu), GaussianInputs(p["dim"]), teacher), Wasserstein())


def population_loss(p: Parameters, width: float, seed: float) -> float:
    """What gradient descent of ``steps`` steps leaves of it."""
    flow = student_flow(p, np.random.default_rng([int(seed), 0]))
    start = unit_neurons(np.random.default_rng([int(seed), 1, int(width)]), alternating(int(width)), p["dim"])
    return flow.energy.value(final(flow, start, Euler(dt=p["step"]), p["step"] * p["steps"]))


def loss_against_width(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """TWO-2: plateaus below the teacher's width, zero beyond."""
    p, expected = ladder.parameters, ladder.expected

    def run(width: float, seed_of_run: float) -> float:
        return population_loss(p, width, seed_of_run)

    losses = sweep(run, levels, seeds=None, progress=progress)["value"]
    narrow, wide = (losses.where(keep, drop=True) for keep in
                    (losses.width < p["teachers"], losses.width > p["teachers"]))  # fmt: skip
    for width in narrow.width.values:
        plateau = float(narrow.sel(width=width).min())
        yield expected["least loss, narrower than the teacher"].measured(plateau, case=f"m = {width:g}")
    yield expected["greatest loss, wider than the teacher"].measured(float(wide.max()))
    yield expected["greatest wide loss over least narrow loss"].measured(float(wide.max() / narrow.min()))


# ---- TWO-4 ---------------------------------------------------------------------------------------------------------


class Limit:
    """A network on a few samples, and what is observed of it at time ``t_end``: outputs at fixed points, and the risk.

    Parameters
    ----------
    p : mapping — the ladder's parameters
    """

    def __init__(self, p: Parameters) -> None:
        rng = np.random.default_rng(0)
        x, self.probe = rng.standard_normal((p["samples"], p["dim"])), rng.standard_normal((p["probes"], p["dim"]))
        labels = np.sin(2 * x[:, 0]) + 0.5 * x[:, 1]
        self.p, self.network = p, TwoLayer(p["dim"], tanh)
        self.flow = GradientFlow(Risk(self.network, x, labels), Wasserstein())

    def start(self, number: float, rng: np.random.Generator) -> ParticleMeasure:
        """Independent normal neurons."""
        return ParticleMeasure(rng.standard_normal((int(number), self.network.parameters)))

    def flown(self, start: ParticleMeasure) -> np.ndarray:
        """What is observed after the gradient flow."""
        return self.observed(final(self.flow, start, RK4(tolerance=self.p["tolerance"]), self.p["t_end"]))

    def descended(self, start: ParticleMeasure, step: float, rng: np.random.Generator) -> np.ndarray:
        """What is observed after one-sample descent."""
        return self.observed(final(self.flow, start, StochasticDescent(step), self.p["t_end"], rng))

    def observed(self, state: ParticleMeasure) -> np.ndarray:
        """Outputs at the probes, and the risk last."""
        return np.append(self.network.predict(state, self.probe), self.flow.energy.value(state))


def errors(gap: np.ndarray) -> dict[str, float]:
    """Root mean square over the probes, and the risk's."""
    return {"outputs": math.sqrt(float(np.mean(gap[:-1] ** 2))), "risk": float(gap[-1])}


def deviations(ladder: Ladder, levels: Levels, *, seeds: int | None = None, progress: bool | None = None) -> xr.Dataset:
    """Apart, deviations along the width (full gradient) and along the step (same particles, one sample a step).

    Returns
    -------
    Dataset — ``outputs_width``, ``risk_width`` (width, seed), ``outputs_step``, ``risk_step`` (step, seed); ``seeds``
    are by default the ladder's
    """
    import xarray as xr

    limit, p = Limit(ladder.parameters), ladder.parameters
    reference = limit.flown(limit.start(ladder.reference["width"], np.random.default_rng(p["seed_of_reference"])))

    def narrow(width: float, rng: np.random.Generator) -> dict[str, float]:
        return errors(limit.flown(limit.start(width, rng)) - reference)

    def stepped(step: float, rng: np.random.Generator) -> dict[str, float]:
        start = limit.start(p["width_of_steps"], rng)
        return errors(limit.descended(start, step, rng) - limit.flown(start))

    found = {
        axis: sweep(run, {axis: levels[axis]}, seeds=seeds or ladder.seeds, progress=progress)
        for axis, run in (("width", narrow), ("step", stepped))
    }
    return xr.merge([one.rename({name: f"{name}_{axis}" for name in OBSERVED}) for axis, one in found.items()])


def fitted(ds: xr.Dataset, name: str, axis: str) -> RateFit:
    """The rate of one of `OBSERVED` along an axis; no level is left out."""
    return fit_rate(ds[f"{name}_{axis}"], along=axis, bend=math.inf)


def of_deviations(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement]:
    """The rates of `deviations` beside theory's."""
    for axis in ("width", "step"):
        for name in OBSERVED:
            yield ladder.expected[f"deviation of the {name} in the {axis}"].measured(fitted(ds, name, axis))


def deviation_from_limit(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """TWO-4: the rates in the width and in the step."""
    yield from of_deviations(ladder, deviations(ladder, levels, progress=progress))


CLAIMS = (
    Claim(
        "TWO-2",
        "population loss of gradient descent: plateaus below the teacher's width, zero beyond",
        "Chizat & Bach 2018, fig. 3",
        "two_layer_width",
        loss_against_width,
        (
            Hypothesis("widths on both sides of the teacher's",
                       lambda p: min(p["width"]) < p["teachers"] < max(p["width"])),
            Hypothesis("a wide student has the signs of its teacher", lambda p: p["teachers"] == 3),
        ),
    ),
    Claim(
        "TWO-4",
        "one-sample descent deviates from its mean-field limit by max(η, 1/m)^½ at a fixed time",
        "Mei, Montanari & Nguyen 2018, theorem 3",
        "two_layer_limit",
        deviation_from_limit,
        (Hypothesis("more than one sample: else descent draws nothing", lambda p: p["samples"] > 1),),
    ),
)  # fmt: skip
