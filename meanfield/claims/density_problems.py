"""Smooth problems for claims on neural ODEs of densities: the same functions on every grid and any number of layers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.claims.claim import Hypothesis
from meanfield.claims.runs import grid
from meanfield.energies import Energy, KullbackLeibler, L2Distance, SobolevDistance
from meanfield.measures import TorusDensity
from meanfield.models import DensityNODE
from meanfield.tableaus import Tableau, rk4
from meanfield.torus import SobolevKernel, Torus

Parameters = Mapping[str, Any]
Levels = dict[str, list[float]]
Wave = Callable[[Torus], np.ndarray]
POSITIVE = Hypothesis("the densities are positive: 0 < contrast < 1", lambda p: 0 < p["contrast"] < 1)


@dataclass(frozen=True, eq=False)
class Problem:
    """A node with data that fit it.

    Parameters
    ----------
    node : DensityNODE
    rho0, target : TorusDensity
    control, direction : (L, d, n, …, n) float — a control v, and a change δv of it
    loss_order : float — r of the Sobolev distance
    """

    node: DensityNODE
    rho0: TorusDensity
    target: TorusDensity
    control: np.ndarray
    direction: np.ndarray
    loss_order: float

    @property
    def losses(self) -> dict[str, Energy]:
        """Every loss, to the target."""
        return {
            "L2": L2Distance(self.target),
            "Sobolev": SobolevDistance(self.target, order=self.loss_order),
            "KL": KullbackLeibler(self.target),
        }


def smooth_problem(
    p: Parameters, dim: float, n: float, *, depth: float, substeps: float = 1, tableau: Tableau = rk4
) -> Problem:
    """The problem that ``seed`` draws in dimension d: densities ``1 + contrast f``, controls ``speed u(s, x)``.

    f and the components of u(s, ·) are trigonometric polynomials with modes ``|k_a| ≤ highest`` and sup ≤ 1, u smooth
    in s and sampled at the middle of every layer: grids and depths see the same functions.
    """
    torus, depth = grid(n, dim), int(depth)
    rng = np.random.default_rng([int(p["seed"]), torus.dim])

    def draw() -> Wave:
        return random_wave(rng, torus.dim, int(p["highest"]))

    densities = [torus.density(1 + p["contrast"] * draw()(torus)) for _ in range(2)]
    middles = (np.arange(depth) + 0.5) / depth
    along = np.array([np.ones(depth), np.cos(2 * np.pi * middles), np.sin(3 * middles)]) / 3
    controls = []
    for _ in range(2):
        fields = np.array([[draw()(torus) for _ in range(torus.dim)] for _ in along])
        controls.append(p["speed"] * np.einsum("jl,ja...->la...", along, fields))
    kernel = SobolevKernel(p["order"], p["length"])
    node = DensityNODE(torus, kernel, depth=depth, substeps=int(substeps), tableau=tableau)
    rho0, target = densities
    control, direction = controls
    return Problem(node, rho0, target, control, direction, p.get("loss_order", 1.0))


def random_wave(rng: np.random.Generator, dim: int, highest: int) -> Wave:
    """``Σ_k a_k cos 2πk·x + b_k sin 2πk·x`` over ``|k_a| ≤ highest``, ``Σ|a_k| + |b_k| = 1``, on any torus."""
    signed = itertools.product(range(-highest, highest + 1), repeat=dim)
    modes = np.array([k for k in signed if k > (0,) * dim])  # one of each pair ±k
    amplitudes = rng.standard_normal((2, len(modes))) / (1 + np.sum(modes**2, axis=1)) ** 2
    a, b = amplitudes / np.abs(amplitudes).sum()

    def wave(torus: Torus) -> np.ndarray:
        spectrum = np.zeros((*torus.shape[:-1], torus.n // 2 + 1), dtype=complex)
        for sign in (1, -1):
            held = sign * modes[:, -1] >= 0  # the half spectrum
            spectrum[tuple(sign * modes[held].T)] = 0.5 * (a - sign * 1j * b)[held]
        return torus.values(spectrum)

    return wave


def relative(found: np.ndarray, reference: np.ndarray) -> float:
    """Relative L² distance of two arrays of grid values."""
    return float(np.linalg.norm(found - reference) / np.linalg.norm(reference))


def gains_of_order(errors: np.ndarray, levels: np.ndarray, floor: float) -> np.ndarray:
    """Differences of consecutive local orders, up to the first error below ``floor``: positive where the error falls
    faster than any power. Errors below eps count as eps."""
    errors = np.maximum(errors, np.finfo(float).eps)
    below = np.flatnonzero(errors < floor)
    last = int(below[0]) + 1 if below.size else len(errors)
    return np.diff(-np.diff(np.log(errors[:last])) / np.diff(np.log(levels[:last])))
