"""The claim on convolution of particles with kernels of the torus (section PART)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import grid
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.particles import Route
from meanfield.particles.direct import summable
from meanfield.torus import GaussianKernel, Kernel, SobolevKernel, Torus

Levels = dict[str, list[float]]
AXES = {1: "line", 2: "square", 3: "cube"}  # the levels of n in each dimension


def convolution(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """PART-1: the fast route against plain sums, and the growth of its processor time with N and with n."""
    p, expected = ladder.parameters, ladder.expected
    for dim, n in enumerate(p["n"], start=1):
        torus = grid(n, dim)
        for kernel in (SobolevKernel(p["order"], p["length"]), GaussianKernel(p["length"])):
            worst = max(error_of(kernel, torus, int(number), p["tolerances"]) for number in levels["number"])
            quantity = expected["error of value and gradient over the tolerance, at most"]
            yield quantity.measured(worst, case=f"{type(kernel).__name__}, d = {dim}")

        def in_number(many: float, seed: int, torus: Torus = torus) -> float:
            return seconds(torus, int(many), p)

        spent = sweep(in_number, {"many": levels["many"]}, seeds=p["repetitions"])["value"]
        fit = fit_rate(spent, along="many", average=np.median, limit=math.inf, bend=math.inf, floor=0.0)
        yield expected["growth of processor time with N, at most"].measured(fit, case=f"d = {dim}, n = {n:g}")

        def in_n(n: float, seed: int, dim: int = dim) -> float:
            return seconds(grid(n, dim), p["few"], p)

        spent = sweep(in_n, {"n": levels[AXES[dim]]}, seeds=p["repetitions"])["value"]
        fit = fit_rate(spent, along="n", average=np.median, limit=math.inf, bend=math.inf, floor=0.0)
        yield expected["growth of processor time with n, at most"].measured(fit, theory=dim, case=f"d = {dim}")


def particles(torus: Torus, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of any representative and strengths that make up a probability, (N, d) and (N, 1)."""
    rng = np.random.default_rng([number, torus.n, torus.dim])
    return rng.uniform(-1, 2, (number, torus.dim)), rng.dirichlet(np.ones(number))[:, None]


def error_of(kernel: Kernel, torus: Torus, number: int, tolerances: Sequence[float]) -> float:
    """Largest error of value and gradient by the fast route, over the greatest of each and over the tolerance.

    The other route is the sum over pairs and periodic images, or for kernels without a closed form that over modes.
    """
    x, b = particles(torus, number)
    by_pairs = isinstance(kernel, GaussianKernel) and summable(kernel, torus, min(tolerances))
    exact = kernel.convolve_particles(torus, x, b, min(tolerances), Route.DIRECT if by_pairs else Route.MODES)
    errors = []
    for tolerance in tolerances:
        found = kernel.convolve_particles(torus, x, b, tolerance, Route.FOURIER)
        errors += [float(np.abs(f - e).max() / np.abs(e).max()) / tolerance for f, e in zip(found, exact)]
    return max(errors)


def seconds(torus: Torus, number: int, p: Mapping[str, Any]) -> float:
    """Processor time of one convolution, value and gradient, by the fast route: the least of some calls."""
    x, b = particles(torus, number)
    kernel = SobolevKernel(p["order"], p["length"])
    spent: list[float] = []
    while sum(spent) < p["least_seconds"]:
        start = time.process_time()
        kernel.convolve_particles(torus, x, b, p["tolerance_in_time"], Route.FOURIER)
        spent.append(time.process_time() - start)
    return min(spent)


CLAIMS = (
    Claim(
        "PART-1",
        "convolution at N particles equals direct summation to the tolerance and costs O(N + n^d log n)",
        "Dutt & Rokhlin 1993; Barnett, Magland & af Klinteberg 2019",
        "particle_convolution",
        convolution,
        (
            Hypothesis("tolerances from 1e-12 to 0.1",
                       lambda p: 1e-12 <= min(p["tolerances"]) <= max(p["tolerances"]) <= 0.1),
            Hypothesis("a size for d = 1, 2, 3", lambda p: len(p["n"]) == 3),
        ),
    ),
)  # fmt: skip
