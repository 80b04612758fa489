"""Claims on what a neural ODE of densities computes (section TRAIN): exact gradients, order in depth, accuracy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from meanfield.claims.claim import Claim
from meanfield.claims.density_problems import (
    POSITIVE,
    Levels,
    Parameters,
    Problem,
    gains_of_order,
    relative,
    smooth_problem,
)
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import relative_l2
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.energies import Energy
from meanfield.status import Refusal
from meanfield.tableaus import rk4, ssprk3

ACCURATE = 1e-11  # errors of a spectrally accurate solution: below it the order in n may stop growing
TABLEAUS = rk4, ssprk3  # Euler and Heun have no point of the imaginary axis in their stability region: refused


def problems(p: Parameters, levels: Levels) -> Iterator[tuple[str, Problem]]:
    """The problem of every dimension, with ``d = …`` as its case."""
    for dim in levels["dim"]:
        n = p["points"][int(dim) - 1]
        yield f"d = {dim:g}", smooth_problem(p, dim, n, depth=p["depth"], substeps=p["substeps"])


def exact_gradient(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-1: Taylor remainders, and central differences extrapolated to step 0."""
    p, expected = ladder.parameters, ladder.expected
    for where, problem in problems(p, levels):
        node, rho0, v, dv = problem.node, problem.rho0, problem.control, problem.direction
        for name, loss in problem.losses.items():
            case = f"{name}, {where}"
            risk, differential = node.risk_and_differential(v, rho0, loss)
            slope = float(np.sum(differential * dv)) / (node.depth * node.torus.size)

            def remainder(h, node=node, loss=loss, v=v, dv=dv, rho0=rho0, risk=risk, slope=slope):
                return abs(node.risk(v + h * dv, rho0, loss) - risk - h * slope)

            remainders = sweep(remainder, {"h": levels["h"]}, seeds=None)["value"]
            fit = fit_rate(remainders, along="h", scale=risk)
            yield expected["order of the Taylor remainder"].measured(fit, case=case)
            gap = abs(extrapolated_difference(problem, loss, p["difference"]) / slope - 1)
            yield expected["relative gap to the extrapolated central difference"].measured(gap, case=case)


def extrapolated_difference(problem: Problem, loss: Energy, h: float) -> float:
    """Derivative of the risk along ``direction`` from central differences of steps h, h/2, h/4, exact up to h⁶."""

    def central(step: float) -> float:
        ahead, behind = (problem.control + sign * step * problem.direction for sign in (1, -1))
        gain = problem.node.risk(ahead, problem.rho0, loss) - problem.node.risk(behind, problem.rho0, loss)
        return gain / (2 * step)

    table = [central(h), central(h / 2), central(h / 4)]
    for factor in (4, 16):
        table = [(factor * fine - coarse) / (factor - 1) for coarse, fine in itertools.pairwise(table)]
    return table[0]


def duality(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-2: the tangent against the gradient."""
    for where, problem in problems(ladder.parameters, levels):
        node, rho0, v, dv = problem.node, problem.rho0, problem.control, problem.direction
        end, change = node.forward(v, rho0), node.tangent(v, dv, rho0)
        for name, loss in problem.losses.items():
            at_the_end = node.torus.inner(loss.differential(end), change)
            pairs = zip(node.gradient(v, rho0, loss), dv)
            in_depth = float(np.mean([node.kernel.inner(node.torus, g, u) for g, u in pairs]))
            yield ladder.expected["relative gap of ⟨δℓ, δμ_1⟩ and ∫⟨∇𝓛, δv⟩_V ds"].measured(
                abs(in_depth / at_the_end - 1), case=f"{name}, {where}"
            )


def accuracy_in_space(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-3: mass and positivity on every interface, and errors in n against a resolved solution."""
    p, expected = ladder.parameters, ladder.expected
    for dim, axis in enumerate(("n_line", "n_square", "n_cube"), start=1):
        case = f"d = {dim}"
        layers = {"depth": p["depth"], "substeps": p["substeps"][dim - 1]}
        finest = smooth_problem(p, dim, p["resolved"][dim - 1], **layers)
        resolved = finest.node.forward(finest.control, finest.rho0)
        drifts: list[float] = []
        lows: list[float] = []

        def error(n, dim=dim, layers=layers, resolved=resolved, drifts=drifts, lows=lows):
            problem = smooth_problem(p, dim, n, **layers)
            states = problem.node.states(problem.control, problem.rho0)
            flat = states.reshape(len(states), -1)
            drifts.append(float(np.abs(flat.mean(axis=1) / problem.rho0.mass - 1).max()))
            lows.append(float((flat.min(axis=1) / least_densities(problem))[1:].min()))
            return relative_l2(problem.node.torus.density(states[-1]), resolved)

        errors = sweep(error, {"n": levels[axis]}, seeds=None)["value"]
        gains = gains_of_order(errors.values, errors.n.values, ACCURATE)
        yield expected["least gain of order in n"].measured(float(gains.min()), case=case)
        yield expected["relative error at the largest n"].measured(float(errors[-1]), case=case)
        yield expected["largest relative drift of the mass"].measured(max(drifts), case=case)
        low = "least ρ_s over min ρ_0 exp(−∫sup|div v|) at the largest n"
        yield expected[low].measured(lows[-1], case=case)


def least_densities(problem: Problem) -> np.ndarray:
    """``min ρ_0 exp(−∫_0^s sup|div v|)``, below which no density falls, at the interfaces (L+1,)."""
    torus, v = problem.node.torus, problem.control
    rates = [np.abs(torus.divergence(layer)).max() / len(v) for layer in v]
    return problem.rho0.values.min() * np.exp(-np.concatenate([[0.0], np.cumsum(rates)]))


def order_in_depth(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-4: sub-steps at fixed layers, layers of a smooth control, and the step that is refused."""
    p, expected = ladder.parameters, ladder.expected
    for dim, n in enumerate(p["points"], start=1):
        for tableau in TABLEAUS:

            def end(depth, substeps, dim=dim, n=n, tableau=tableau):
                problem = smooth_problem(p, dim, n, depth=depth, substeps=substeps, tableau=tableau)
                return problem.node.forward(problem.control, problem.rho0).values

            fine = end(p["depth"], ladder.reference["substeps"])
            errors = sweep(
                lambda substeps, end=end, fine=fine: relative(end(p["depth"], substeps), fine),
                {"substeps": levels["substeps"]},
                seeds=None,
            )["value"]
            fit = fit_rate(errors, along="substeps")
            yield expected[f"order of {tableau.name} in the sub-steps"].measured(fit, case=f"d = {dim}")

            deep = end(ladder.reference["layers"], p["substeps_of_a_layer"])
            errors = sweep(
                lambda layers, end=end, deep=deep: relative(end(layers, p["substeps_of_a_layer"]), deep),
                {"layers": levels["layers"]},
                seeds=None,
            )["value"]
            fit = fit_rate(errors, along="layers")
            yield expected["order in the number of layers"].measured(fit, case=f"{tableau.name}, d = {dim}")
            bound = greatest_step(smooth_problem(p, dim, n, depth=p["depth"], tableau=tableau))
            yield expected[f"greatest step of {tableau.name}, h max Σ|v_a| 2πk_max"].measured(bound, case=f"d = {dim}")


def greatest_step(problem: Problem) -> float:
    """The largest ``h·max_x Σ_a|v_a|·2πk_max`` that the node takes, by bisection on the size of the control."""
    node, n = problem.node, problem.node.torus.n
    unit = np.abs(problem.control).sum(axis=1).max() * 2 * np.pi * (math.ceil(n / 3) - 1) / node.depth
    taken, refused = 0.0, 10.0
    while refused - taken > 1e-4:
        middle = 0.5 * (taken + refused)
        try:
            node.states(problem.control * (middle / unit), problem.rho0)
            taken = middle
        except Refusal:
            refused = middle
    return taken


CLAIMS = (
    Claim(
        "TRAIN-1",
        "the gradient is the exact derivative of the discrete risk",
        "Hager 2000 (transposed Runge–Kutta methods); Taylor's theorem",
        "density_gradient",
        exact_gradient,
        (POSITIVE,),
    ),
    Claim(
        "TRAIN-2",
        "⟨δℓ(μ_1), δμ_1⟩ = ∫⟨∇𝓛, δv⟩_V ds for every loss",
        "Younes 2010, Shapes and Diffeomorphisms, ch. 10–11",
        "density_duality",
        duality,
        (POSITIVE,),
    ),
    Claim(
        "TRAIN-3",
        "the mass stays, densities stay positive, and the error falls faster than any power of n",
        "telescoping spectral fluxes; characteristics; Trefethen 2000, ch. 4",
        "density_accuracy",
        accuracy_in_space,
        (POSITIVE,),
    ),
    Claim(
        "TRAIN-4",
        "order of the method in the sub-steps of fixed layers; order 2 in 1/L for a control sampled at mid-points",
        "Kutta 1901; Shu & Osher 1988; the mid-point rule",
        "density_layers",
        order_in_depth,
        (POSITIVE,),
    ),
)
