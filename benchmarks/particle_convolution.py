"""Kernel velocities of particles over the bare non-uniform transforms of the libraries, and direct sums, one thread.

Run: ``python benchmarks/particle_convolution.py [N …]`` (default 10000 100000 1000000). A bare pair is one transform of
type 1 and one of type 2 of complex strengths and modes at the same tolerance. A kernel velocity in d = 2 takes no more:
modes of the particles, times the kernel, and both components of the gradient packed into one complex transform; the
goal is ≤ 1.2 at N = 1e6, 129² modes, 1e-9. Direct sums: ≥ 6e8 pairs per CPU second.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
from _measure import interleaved, machine, report

import meanfield as mf
from meanfield.particles import Route, convolution, direct, routes

TOLERANCE = 1e-9


def make_bare_pairs(x: np.ndarray, n: int):
    """Jobs: type 1 and type 2 by each library that is installed, its input prepared beforehand."""
    import finufft

    rng, shape = np.random.default_rng(1), (n,) * x.shape[1]
    strengths, modes = rng.standard_normal(len(x)) + 0j, rng.standard_normal(shape) + 0j
    angles = [np.ascontiguousarray(2 * np.pi * axis) for axis in x.T]
    spread, gather = (getattr(finufft, f"nufft{x.shape[1]}d{kind}") for kind in (1, 2))
    options = {"eps": TOLERANCE, "modeord": 1, "nthreads": 1}

    def finufft_pair() -> None:
        spread(*angles, strengths, shape, isign=-1, **options)
        gather(*angles, modes, isign=1, **options)

    try:
        import ducc0
    except ImportError:
        return {"bare pair, FINUFFT": finufft_pair}
    same = {"coord": x, "epsilon": TOLERANCE, "nthreads": 1, "periodicity": 1.0, "fft_order": True}

    def ducc_pair() -> None:
        ducc0.nufft.nu2u(points=strengths, forward=True, out=np.empty(shape, dtype=complex), **same)
        ducc0.nufft.u2nu(grid=modes, forward=False, **same)

    return {"bare pair, ducc0": ducc_pair, "bare pair, FINUFFT": finufft_pair}


def velocities(numbers: list[int]) -> None:
    """A kernel velocity, and value and gradient of one and two components, over the bare pair; and their memory."""
    rng, kernel = np.random.default_rng(0), mf.SobolevKernel(order=3, length=0.1)
    for dim, n in ((2, 129), (1, 129), (3, 65)):
        torus = mf.Torus(n, dim=dim)
        for number in numbers if dim == 2 else numbers[-1:]:
            x, b = rng.random((number, dim)), rng.standard_normal((number, 2))
            mine = {"kernel velocity": partial(velocity, kernel, torus, x, b[:, 0].copy())}
            for components in (1, 2):
                job = partial(kernel.convolve_particles, torus, x, b[:, :components].copy(), TOLERANCE)
                mine[f"value and gradient, q = {components}"] = job
            jobs = make_bare_pairs(x, n) | mine
            times = interleaved(jobs, 10 if number >= 10**6 else 50)
            print("MiB beside x and b: " + ", ".join(f"{name} {peak(job):.0f}" for name, job in mine.items()))
            report(f"N = {number}, {n}^{dim} modes", times, next(iter(jobs)))


def velocity(kernel: mf.SobolevKernel, torus: mf.Torus, x: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``∇K * Σ_j b_j δ_{x_j}`` at the particles, (N, d)."""
    modes = convolution.modes_of(torus, x, b, TOLERANCE)
    return convolution.gradient_at(torus, modes * kernel.multiplier(torus), x, TOLERANCE)


def peak(job: Callable[[], object]) -> float:
    """MiB allocated by NumPy and Python at most at once; what a library takes for itself is not counted."""
    tracemalloc.start()
    job()
    found = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return found


def pairs() -> None:
    """Pairs per CPU second, value and gradient, of direct sums."""
    rng, number = np.random.default_rng(0), 4096
    kernels = (mf.GaussianKernel(0.3), mf.MaternKernel(2.5, 0.3), mf.LaplaceKernel(0.3))
    for dim, components in ((1, 1), (2, 1), (2, 2), (3, 1), (3, 3), (10, 10)):
        x, b = rng.random((number, dim)), rng.standard_normal((number, components))
        jobs = {repr(kernel): partial(kernel.convolve_particles, None, x, b) for kernel in kernels}
        times = interleaved(jobs, 10)
        rates = ", ".join(f"{name} {number**2 / values.min():.2g}" for name, values in times.items())
        print(f"pairs per CPU second, d = {dim}, q = {components}: {rates}")


def crossover() -> None:
    """Where the direct sum and the Fourier route of a Gaussian on the torus cost the same, and what is chosen."""
    rng = np.random.default_rng(0)
    for dim, n, length in ((1, 129, 0.05), (2, 129, 0.05), (2, 129, 0.1), (3, 33, 0.1)):
        torus, kernel = mf.Torus(n, dim=dim), mf.GaussianKernel(length)
        images = direct.images(kernel, TOLERANCE)
        found = []
        for number in (50, 100, 200, 400, 800, 1600, 3200):
            x, b = rng.random((number, dim)), rng.standard_normal((number, 1))
            jobs = {
                route.name: partial(kernel.convolve_particles, torus, x, b, TOLERANCE, route)
                for route in (Route.FOURIER, Route.DIRECT)
            }
            times = {name: values.min() for name, values in interleaved(jobs, 20).items()}
            chosen = routes.cheapest(torus, number, 1, images).name
            found.append(f"{number}: {times['DIRECT'] / times['FOURIER']:.2f} {chosen[0]}")
        print(f"direct over Fourier, {n}^{dim}, {images} images, and the choice:  " + "  ".join(found))


def main(numbers: list[int]) -> None:
    """Measure and print."""
    mf.parallel.set_threads(1)
    print(machine())
    velocities(numbers)
    pairs()
    crossover()


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
