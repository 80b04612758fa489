"""The claim that the conditional distance of layered measures is what it is said to be (COT-1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.verdict import Measurement
from meanfield.distances import conditional_plan, conditional_wasserstein, labelled_distance, wasserstein
from meanfield.measures import LayeredMeasure, ParticleMeasure

EXCHANGED = 20.0  # between the clouds of neighbouring layers, whose exchange costs 1/L in depth


def normal(rng: np.random.Generator, shape: tuple[int, int, int], *, weighted: bool = False) -> LayeredMeasure:
    """Standard normal particles (L, m, p), with equal or random weights."""
    positions = rng.normal(size=shape)
    return (
        LayeredMeasure(positions, rng.dirichlet(np.ones(shape[1]), shape[0])) if weighted else LayeredMeasure(positions)
    )


def joint(mu: LayeredMeasure) -> ParticleMeasure:
    """The measure on [0, 1] × R^p of atoms (s_l, w), s_l = l/L, with the cost |s − s'|² + |w − w'|²."""
    depth = np.broadcast_to(np.arange(mu.depth)[:, None, None] / mu.depth, (mu.depth, mu.width, 1))
    atoms = np.concatenate([depth, mu.positions], axis=2).reshape(mu.depth * mu.width, -1)
    return ParticleMeasure(atoms, np.asarray(mu.weights).ravel() / mu.depth)


def costs(mu: LayeredMeasure, nu: LayeredMeasure) -> np.ndarray:
    """Squared distances (L, m, m')."""
    return np.square(mu.positions[:, :, None] - nu.positions[:, None]).sum(axis=-1)


def gaps_to_other_routes(mu: LayeredMeasure, nu: LayeredMeasure) -> dict[str, float]:
    """Equal weights: largest relative gap of W₂² of a layer to the assignment, and to its potentials' value."""
    from scipy.optimize import linear_sum_assignment

    gaps = []
    for cost, plan in zip(costs(mu, nu), conditional_plan(mu, nu).plans):
        square, potentials = plan.value**2, sum(float(potential.mean()) for potential in plan.potentials)
        gaps.append([abs(cost[linear_sum_assignment(cost)].mean() / square - 1), abs(potentials / square - 1)])
    assignment, duality = np.max(gaps, axis=0)
    return {
        "layer: relative gap to the assignment": assignment,
        "layer: relative duality gap of its potentials": duality,
    }


def gap_to_programme(mu: LayeredMeasure, nu: LayeredMeasure) -> float:
    """Any weights: the largest gap of W₂ of a layer to a linear programme, over the programme's."""
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    rows, columns = eye_array(mu.width), eye_array(nu.width)
    sums = vstack([kron(rows, np.ones((1, nu.width))), kron(np.ones((1, mu.width)), columns)]).tocsr()
    gaps = []
    for layer, (cost, plan) in enumerate(zip(costs(mu, nu), conditional_plan(mu, nu).plans)):
        masses = np.concatenate([np.asarray(state.weights)[layer] for state in (mu, nu)])
        exact = np.sqrt(linprog(cost.ravel(), A_eq=sums[:-1], b_eq=masses[:-1]).fun)
        gaps.append(abs(plan.value / exact - 1))
    return max(gaps)


def moved(mu: LayeredMeasure, rng: np.random.Generator, share: float) -> LayeredMeasure:
    """Every particle moved by at most ``share`` of the least gap within a layer."""
    squares = costs(mu, mu)
    squares[:, np.arange(mu.width), np.arange(mu.width)] = np.inf
    moves = rng.normal(size=mu.positions.shape)
    moves *= share * np.sqrt(squares.min()) / np.linalg.norm(moves, axis=-1).max()
    return LayeredMeasure(mu.positions + moves, mu.weights)


def axioms(a: LayeredMeasure, b: LayeredMeasure, c: LayeredMeasure) -> dict[str, float]:
    """What a metric must give."""
    ab, bc, ca = (conditional_wasserstein(*pair) for pair in ((a, b), (b, c), (c, a)))
    excess = max(ab - bc - ca, bc - ca - ab, ca - ab - bc)
    shift = np.zeros_like(a.positions)
    shift[-1, 0, 0] = 0.01
    alone = conditional_wasserstein(a, LayeredMeasure(a.positions + shift, a.weights))
    mass = np.asarray(a.weights)[-1, 0] / a.depth
    return {
        "distance of a measure to itself": conditional_wasserstein(a, a),
        "relative asymmetry": abs(conditional_wasserstein(b, a) / ab - 1),
        "largest excess in the triangle inequality": excess,
        "relative error where one particle alone differs": abs(alone / (0.01 * np.sqrt(mass)) - 1),
    }


def bounds(a: LayeredMeasure, b: LayeredMeasure, rng: np.random.Generator, p: dict[str, Any]) -> dict[str, float]:
    """The joint distance below, the labelled one above, and where they are met; the speed of the geodesic."""
    towers = LayeredMeasure(a.positions + EXCHANGED * np.arange(a.depth)[:, None, None], a.weights)
    exchanged = LayeredMeasure(towers.positions[::-1], np.asarray(a.weights)[::-1])
    near, far = moved(a, rng, p["nearby"]), LayeredMeasure(a.positions + p["far"] * rng.normal(size=a.positions.shape))
    plan = conditional_plan(a, b)
    pairs = [(0.0, 0.25), (0.25, 0.75), (0.75, 1.0)]
    speeds = [conditional_wasserstein(*map(plan.geodesic, pair)) / (pair[1] - pair[0]) for pair in pairs]
    return {
        "joint W2 over conditional distance": wasserstein(joint(a), joint(b)) / plan.value,
        "joint W2 over conditional distance, layers exchanged": wasserstein(joint(towers), joint(exchanged))
        / conditional_wasserstein(towers, exchanged),
        "conditional over labelled distance": plan.value / labelled_distance(a, b),
        "relative gap to the labelled distance, nearby": abs(
            conditional_wasserstein(a, near) / labelled_distance(a, near) - 1
        ),
        "conditional over labelled distance, far apart": conditional_wasserstein(a, far) / labelled_distance(a, far),
        "relative error in the speed of the geodesic": max(abs(speed / plan.value - 1) for speed in speeds),
    }


def conditional_distance(ladder: Ladder, levels: dict[str, list[float]]) -> Iterator[Measurement]:
    """COT-1: the worst of several draws at every width."""
    p, expected = dict(ladder.parameters), ladder.expected
    for width in levels["width"]:
        shape, case = (p["layers"], int(width), p["dim"]), f"width {width:g}"
        draws = []
        for seed in range(p["seeds"]):
            rng = np.random.default_rng([seed, int(width)])
            a, b, c = normal(rng, shape), normal(rng, shape), normal(rng, shape, weighted=True)
            draws.append({**gaps_to_other_routes(a, b), **axioms(a, b, c), **bounds(a, b, rng, p)})
        for quantity in draws[0]:
            yield expected[quantity].measured(max(draw[quantity] for draw in draws), case=case)
    shape = p["layers"], p["width_of_programme"], p["dim"]
    rng = np.random.default_rng(0)
    wider = shape[0], shape[1] + 7, shape[2]
    gap = gap_to_programme(normal(rng, shape, weighted=True), normal(rng, wider, weighted=True))
    yield expected["layer: relative gap to a linear programme"].measured(gap)


CLAIMS = (
    Claim(
        "COT-1",
        "exact layer by layer; a metric; at least W₂ of the joint measures, at most the labelled L² distance",
        "Barboni, Peyré & Vialard 2024; Villani 2009, ch. 5",
        "conditional_transport",
        conditional_distance,
        (
            Hypothesis("nearby particles move less than half the least gap", lambda p: 0 < p["nearby"] < 0.5),
            Hypothesis("layers to exchange and particles to permute", lambda p: p["layers"] > 1 < min(p["width"])),
        ),
    ),
)
