"""Claims on the training of two-layer networks as Wasserstein gradient flows (section TWO)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from meanfield import initial
from meanfield.claims import mean_field
from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.energies import Risk
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.measures import ParticleMeasure
from meanfield.models import (
    Activation,
    GaussianInputs,
    TwoLayer,
    cos,
    erf,
    relu,
    sigmoid,
    softplus,
    tanh,
)
from meanfield.run import solve
from meanfield.steppers import RK4, Euler, ExplicitRungeKutta, Heun
from meanfield.theory import optimality_certificate

Levels = dict[str, list[float]]
Parameters = Mapping[str, Any]
STEPPERS = {"Euler": Euler, "Heun": Heun, "RK4": RK4}


# ---- TWO-1 ---------------------------------------------------------------------------------------------------------


def samples(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Normal points (N, d), labels (N,)."""
    x = np.random.default_rng(0).standard_normal((p["samples"], p["dim"]))
    return x, np.sin(2 * x[:, 0])


def neurons(p: Parameters, parameters: int) -> ParticleMeasure:
    """Normal neurons of random weights."""
    rng = np.random.default_rng(1)
    return ParticleMeasure(rng.standard_normal((p["number"], parameters)), rng.dirichlet(np.ones(p["number"])))


def training(p: Parameters, activation: Activation, *, bias: bool = False, penalty: float = 0.0) -> GradientFlow:
    """The flow of the risk on the samples."""
    network = TwoLayer(p["dim"], activation, bias=bias)
    return GradientFlow(Risk(network, *samples(p), penalty=penalty), Wasserstein())


def on_normal_inputs(p: Parameters, *, penalty: float = 0.0) -> GradientFlow:
    """The flow of a ReLU network's risk over the population, which is smooth away from zero weights."""
    teacher = np.random.default_rng(2).standard_normal((3, p["dim"] + 1))
    network, inputs = TwoLayer(p["dim"], relu), GaussianInputs(p["dim"])
    return GradientFlow(Risk(network, inputs, ParticleMeasure(teacher), penalty=penalty), Wasserstein())


def imbalance(state: ParticleMeasure) -> np.ndarray:
    """``a_j² − |b_j|²``."""
    return state.positions[:, 0] ** 2 - np.sum(state.positions[:, 1:] ** 2, axis=1)


def relative_defect(
    flow: GradientFlow, start: ParticleMeasure, stepper: ExplicitRungeKutta, t_end: float, saves: float, *, by: str
) -> float:
    """A balance defect at the end of a run over the drop of its energy."""
    ds = solve(flow, start, t_end=t_end, stepper=stepper, save_at=int(saves) + 1, progress=False)
    return abs(float(ds[by][-1]) / float(ds.energy[0] - ds.energy[-1]))


def dissipation_and_balance(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TWO-1: orders of the balance defects, the invariant of ReLU, its decay under a penalty, two forms of force."""
    p, expected = ladder.parameters, ladder.expected
    t_end, penalty = p["t_end"], p["penalty"]
    smooth, start = training(p, tanh), neurons(p, p["dim"] + 1)
    for name, make in STEPPERS.items():

        def defect(dt: float, make=make) -> float:
            return relative_defect(smooth, start, make(dt=dt), t_end, 1, by="balance_defect_velocity")

        fit = fit_rate(sweep(defect, {"dt": levels["dt"]}, seeds=None)["value"], along="dt")
        yield expected["order of the balance defect in the step"].measured(fit, theory=make().order, case=name)

    def by_distance(saves: float) -> float:
        return relative_defect(smooth, start, RK4(dt=min(levels["dt"])), t_end, saves, by="balance_defect")

    fit = fit_rate(sweep(by_distance, {"saves": levels["saves"]}, seeds=None)["value"], along="saves")
    yield expected["slope of the balance defect with W2 in the number of saves"].measured(fit)

    before = imbalance(start)
    cases = {
        "drift of a² - |b|² by gradient descent": (training(p, relu), Euler, before),
        "drift of a² - |b|² by RK4, normal inputs": (on_normal_inputs(p), RK4, before),
        "departure of a² - |b|² from its decay under a penalty": (
            on_normal_inputs(p, penalty=penalty), RK4, math.exp(-2 * penalty * t_end) * before,
        ),
    }  # fmt: skip
    for quantity, (flow, make, after) in cases.items():

        def gap(dt: float, flow=flow, make=make, after=after) -> float:
            return float(np.abs(imbalance(final(flow, start, make(dt=dt), t_end)) - after).max())

        yield expected[quantity].measured(fit_rate(sweep(gap, {"dt": levels["dt"]}, seeds=None)["value"], along="dt"))

    for activation in (relu, tanh, erf, sigmoid, softplus, cos):
        for bias in (False, True):
            network = TwoLayer(p["dim"], activation, bias=bias)
            state = neurons(p, network.parameters)
            force = network.gradient(state, *samples(p))
            worst = float(np.abs(network.gradient_pairwise(state, *samples(p)) - force).max() / np.abs(force).max())
            case = f"{activation}{' with bias' if bias else ''}"
            yield expected["relative gap between force and sum over pairs"].measured(worst, case=case)


# ---- TWO-3 ---------------------------------------------------------------------------------------------------------


def optimality(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TWO-3: the largest number of steps of a wide student ends at an optimum, descent of neurons of one sign not."""
    p, expected = ladder.parameters, ladder.expected
    network, penalty = TwoLayer(p["dim"], relu), p["penalty"]
    for draw in levels["draw"]:
        rng, case = np.random.default_rng([int(draw), 3]), f"draw {draw:g}"
        x = rng.standard_normal((p["samples"], p["dim"]))
        y = np.sin(2 * x[:, 0]) + 0.5 * x[:, 1]
        flow = GradientFlow(Risk(network, x, y, penalty=penalty), Wasserstein())
        free, stuck = initial.gaussian(network, p["number"], rng), initial.sphere(network, p["number"], rng)
        stuck = ParticleMeasure(np.concatenate([np.abs(stuck.positions[:, :1]), stuck.positions[:, 1:]], axis=1))
        lengths = max(levels["steps"]), p["steps_of_one_sign"]
        ends = [final(flow, start, Euler(dt=p["step"]), p["step"] * n) for start, n in zip((free, stuck), lengths)]
        found, refused = (optimality_certificate(network, end, x, y, penalty=penalty) for end in ends)
        yield expected["least value of F'(μ) + V over λ"].measured(found.least / penalty, case=case)
        yield expected["largest value on the support over λ"].measured(found.on_support / penalty, case=case)
        yield expected["bound of E(μ) − inf E over E(μ)"].measured(found.gap / flow.energy.value(ends[0]), case=case)
        yield expected["least value of F'(μ) + V over λ, neurons of one sign"].measured(
            refused.least / penalty, case=case
        )


# ---- TWO-5 ---------------------------------------------------------------------------------------------------------


def share(state: ParticleMeasure, relevant: int) -> float:
    """Of ``Σ|a_i||b_i|``, the part in the span of the first coordinates."""
    outer, inner = np.abs(state.positions[:, 0]), state.positions[:, 1:]
    norms = (np.linalg.norm(part, axis=1) for part in (inner[:, :relevant], inner))
    along, whole = (float(np.sum(outer * norm)) for norm in norms)
    return along / whole


def concentration(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TWO-5: what the penalty does to weights beside the subspace the labels depend on."""
    p, expected = ladder.parameters, ladder.expected
    network = TwoLayer(p["dim"], relu)

    def run(draw: float) -> dict[str, float]:
        rng = np.random.default_rng([int(draw), 5])
        x = rng.standard_normal((p["samples"], p["dim"]))
        labels = np.maximum(x[:, 0], 0) - np.maximum(-x[:, 1], 0)
        start = ParticleMeasure(rng.standard_normal((p["number"], network.parameters)))
        found = {"start": share(start, 2)}
        for name, penalty in (("without", 0.0), ("with", p["penalty"])):
            flow = GradientFlow(Risk(network, x, labels, penalty=penalty), Wasserstein())
            end = final(flow, start, Euler(dt=p["step"]), p["t_end"])
            found |= {name: share(end, 2), f"risk {name}": network.risk(end, x, labels)}
        return found

    ds = sweep(run, levels, seeds=None)
    yield expected["least share with the penalty"].measured(float(ds["with"].min()))
    yield expected["greatest share without"].measured(float(ds["without"].max()))
    yield expected["greatest risk with the penalty"].measured(float(ds["risk with"].max()))


CLAIMS = (
    Claim(
        "TWO-1",
        "the dissipation identity; a² − |b|² of ReLU neurons constant, with a penalty like e^(−2λt); two forces agree",
        "Chizat & Bach 2018; Rotskoff & Vanden-Eijnden 2018",
        "two_layer_flow",
        dissipation_and_balance,
        (Hypothesis("a penalty that decays visibly", lambda p: p["penalty"] * p["t_end"] > 0.1),),
    ),
    Claim(
        "TWO-3",
        "F'(μ) + V ≥ 0 everywhere, = 0 on the support: a wide student ends at an optimum, a stuck one is told from it",
        "Chizat & Bach 2018, proposition 3.1 and theorem 3.3",
        "two_layer_optimality",
        optimality,
        (
            Hypothesis("there is a penalty: at zero loss without one nothing is certified", lambda p: p["penalty"] > 0),
            Hypothesis("neurons in every direction", lambda p: p["number"] >= 4 * p["samples"]),
        ),
    ),
    Claim(
        "TWO-5",
        "an ℓ₁-type penalty concentrates the weights on the subspace that the labels depend on",
        "Bach 2017; Chizat & Bach 2020",
        "two_layer_concentration",
        concentration,
        (
            Hypothesis("labels depend on two of the coordinates", lambda p: p["dim"] > 2),
            Hypothesis("there is a penalty", lambda p: p["penalty"] > 0),
        ),
    ),
    *mean_field.CLAIMS,
)
