"""Problem P at 256², relative L² error ≤ 1e-6: a whole ``solve`` against exponax (JAX, CPU), both warm.

Run: ``python benchmarks/problem_p.py [n]``. exponax takes 25 ETDRK4 steps with the splitting 1.6 Δ, double precision,
under ``jax.jit``; the project takes 25 ETDRK4 steps with its own splitting inside ``solve``, energy balance and
dataset included, and beside it the bare steps. Errors are measured against 800 steps. CPU seconds of the process.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from _measure import interleaved, machine, problem_p, report

import meanfield as mf

STEPS = 25


def make_peer(n: int, t_end: float):
    """exponax's solution operator of problem P, compiled: array (n, n) -> array (n, n)."""
    import exponax
    import jax
    import jax.numpy as jnp
    from exponax.nonlin_fun import BaseNonlinearFun

    jax.config.update("jax_enable_x64", True)
    splitting = 1.6

    class Cubic(BaseNonlinearFun):
        laplacian: jax.Array

        def __init__(self, n: int, laplacian):
            super().__init__(2, n, dealiasing_fraction=1 / 2)
            self.laplacian = laplacian

        def __call__(self, u_hat):
            return self.laplacian * (self.fft(self.ifft(u_hat) ** 3) / 3 - splitting * u_hat)

    class PorousMedium(exponax.BaseStepper):
        def __init__(self, n: int, dt: float):
            super().__init__(2, 1.0, n, dt, num_channels=1, order=4)

        def _build_linear_operator(self, derivative):
            return splitting * jnp.sum(derivative**2, axis=0, keepdims=True)

        def _build_nonlinear_fun(self, derivative):
            return Cubic(self.num_points, jnp.sum(derivative**2, axis=0, keepdims=True))

    advance = jax.jit(exponax.repeat(PorousMedium(n, t_end / STEPS), STEPS))
    return lambda values: np.asarray(advance(jnp.asarray(values)[None]).block_until_ready()[0])


def main(n: int) -> None:
    """Measure and print."""
    mf.parallel.set_threads(1)
    flow, datum, t_end = problem_p(n)

    def steps(number: int) -> np.ndarray:
        for _, state, _ in mf.iterate(flow, datum, mf.steppers.ETDRK4(dt=t_end / number), until=t_end):
            pass
        return state.values

    def whole() -> np.ndarray:
        return mf.solve(flow, datum, t_end=t_end, stepper=mf.steppers.ETDRK4(dt=t_end / STEPS)).density.values[-1]

    reference = steps(800)
    jobs = {"meanfield, solve": whole, "meanfield, iterate": lambda: steps(STEPS)}
    try:
        peer = make_peer(n, t_end)
        jobs = {"exponax, warm": lambda: peer(datum.values), **jobs}
    except ImportError:
        print("exponax is not installed: pip install 'meanfield[bench]' to compare")
    print(machine())
    for name, job in jobs.items():
        error = np.linalg.norm(job() - reference) / np.linalg.norm(reference)
        print(f"  {name:34s} relative L² error {error:.2e} after {STEPS} steps")
    report(f"problem P, n = {n}², CPU time", interleaved(jobs, 30), next(iter(jobs)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
