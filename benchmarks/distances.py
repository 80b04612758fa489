"""Exact Wasserstein distances against POT (and scipy): line, circle, one pair of clouds, 64 layers of 500 points.

Run: ``python benchmarks/distances.py [part …]`` with parts line, circle, pairs, layers (default all). CPU time of the
process, one thread; for the layers also wall time with all threads against serial POT. Goals of the first stage: line
and circle at n = 1e6 at most 1/10 of POT; layers at most 1.1 × serial POT / threads, a start at most 1/2.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
from _measure import interleaved, machine, report

import meanfield as mf
from meanfield.distances import transport_plan

MILLION = 10**6
LAYERS, WIDTH, DIM = 64, 500, 4
THREADS = mf.parallel.get_threads()
REPEATS = 4
MOVES = (0.01, 0.001)  # of particles, between two calls along a flow


def on_the_line() -> None:
    """Points with equal and with other weights; the floor is two sorts."""
    import ot

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=MILLION), rng.normal(size=MILLION)
    a, b = rng.random(MILLION), rng.random(MILLION)
    a, b = a / a.sum(), b / b.sum()
    equal = [mf.ParticleMeasure(z[:, None]) for z in (x, y)]
    weighted = [mf.ParticleMeasure(z[:, None], w) for z, w in ((x, a), (y, b))]
    jobs = {
        "POT emd2_1d": lambda: ot.emd2_1d(x, y),
        "POT wasserstein_1d": lambda: ot.wasserstein_1d(x, y, p=2),
        "meanfield": lambda: mf.wasserstein(*equal),
        "two sorts": lambda: (np.sort(x), np.sort(y)),
    }
    report("line, n = 1e6, equal weights", interleaved(jobs, 10), "POT emd2_1d")
    jobs = {
        "POT emd2_1d": lambda: ot.emd2_1d(x, y, a, b),
        "POT wasserstein_1d": lambda: ot.wasserstein_1d(x, y, a, b, p=2),
        "meanfield": lambda: mf.wasserstein(*weighted),
        "two sorts of an index": lambda: (np.argsort(x), np.argsort(y)),
    }
    report("line, n = 1e6, other weights", interleaved(jobs, 5), "POT emd2_1d")


def on_the_circle() -> None:
    """Points with equal weights."""
    import ot

    rng = np.random.default_rng(0)
    x, y = rng.random(MILLION), rng.random(MILLION) ** 2
    clouds = [mf.ParticleMeasure(z[:, None], torus=mf.Torus(64)) for z in (x, y)]
    jobs = {
        "POT wasserstein_circle": lambda: ot.wasserstein_circle(x, y, p=2),
        "meanfield": lambda: mf.wasserstein(*clouds),
    }
    report("circle, n = 1e6, equal weights", interleaved(jobs, 3), "POT wasserstein_circle")


def pairs() -> None:
    """Two clouds in the plane, costs included; a later pair begun from the plan of an earlier one."""
    import ot
    from scipy.optimize import linear_sum_assignment

    for n, weighted in ((500, False), (1000, False), (2000, False), (500, True), (1000, True)):
        rng = np.random.default_rng(n)
        weights = [rng.dirichlet(np.ones(n)) if weighted else None for _ in range(2)]
        mu, nu = (mf.ParticleMeasure(rng.normal(size=(n, 2)), w) for w in weights)
        moves = rng.normal(size=(n, 2))
        start = transport_plan(mu, nu)

        def pot(mu=mu, nu=nu):
            return ot.emd2(mu.weights, nu.weights, ot.dist(mu.positions, nu.positions), numItermax=10**8)

        def scipy(mu=mu, nu=nu):
            return linear_sum_assignment(ot.dist(mu.positions, nu.positions))

        jobs = {
            "POT emd2": pot,
            "meanfield": partial(mf.wasserstein, mu, nu),
        }
        for move in MOVES:
            later = mf.ParticleMeasure(nu.positions + move * moves, nu.weights)
            jobs[f"meanfield, started, moved by {move:g}"] = partial(mf.wasserstein, mu, later, start=start)
        jobs |= {} if weighted else {"scipy linear_sum_assignment": scipy}
        title = f"plane, n = {n}, {'other' if weighted else 'equal'} weights"
        report(title, interleaved(jobs, 10 if n < 2000 else 5), "POT emd2")


def layers() -> None:
    """The conditional distance, cold; of a moving measure to a fixed one; and of consecutive iterates."""
    import ot

    rng = np.random.default_rng(0)
    mu, nu = (mf.LayeredMeasure(rng.normal(size=(LAYERS, WIDTH, DIM))) for _ in range(2))
    weights = np.full(WIDTH, 1 / WIDTH)

    def pot(mu: mf.LayeredMeasure, nu: mf.LayeredMeasure) -> list[float]:
        return [ot.emd2(weights, weights, ot.dist(x, y)) for x, y in zip(mu.positions, nu.positions)]

    jobs = {"POT emd2, serial": partial(pot, mu, nu), "meanfield": partial(mf.conditional_wasserstein, mu, nu)}
    to_nu = mf.conditional_plan(mu, nu)
    for move in MOVES:
        first, second = (mf.LayeredMeasure(nu.positions + move * rng.normal(size=nu.positions.shape)) for _ in range(2))
        last = mf.conditional_plan(nu, first)
        jobs |= {
            f"POT, moved by {move:g}": partial(pot, mu, first),
            f"meanfield, moved by {move:g}, start": partial(mf.conditional_wasserstein, mu, first, start=to_nu),
            f"POT, iterates {move:g} apart": partial(pot, first, second),
            f"meanfield, iterates {move:g} apart": partial(mf.conditional_wasserstein, first, second),
            f"meanfield, iterates {move:g}, start": partial(mf.conditional_wasserstein, first, second, start=last),
        }
    title = f"{LAYERS} layers x {WIDTH} points, d = {DIM}"
    report(f"{title}, CPU time, one thread", interleaved(jobs, REPEATS), "POT emd2, serial")
    mf.parallel.set_threads(THREADS)
    walls = {name: [] for name in jobs}
    for _ in range(REPEATS + 1):
        for name, job in jobs.items():
            begin = time.perf_counter()
            job()
            walls[name].append(time.perf_counter() - begin)
    times = {name: np.array(values[1:]) for name, values in walls.items()}
    report(f"{title}, wall time, {THREADS} threads", times, "POT emd2, serial")
    mf.parallel.set_threads(1)


PARTS = {"line": on_the_line, "circle": on_the_circle, "pairs": pairs, "layers": layers}


def main(names: list[str]) -> None:
    """Measure and print."""
    print(machine(), f"{THREADS} threads", sep="; ")
    mf.parallel.set_threads(1)
    with mf.parallel.one_thread_libraries():  # POT's costs by BLAS on two threads count waiting as work
        for name in names or PARTS:
            PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
