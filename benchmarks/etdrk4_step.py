"""An ETDRK4 step of the porous-medium equation (m = 3, d = 2) over its four bare full-size FFT pairs, one thread.

Run: ``python benchmarks/etdrk4_step.py [n …]`` (default 256 512). A ratio of 1 is what the transforms alone would cost
if nothing were pruned; the goal of the first stage is ≤ 1.3.
"""

from __future__ import annotations

import sys

import numpy as np
from _measure import interleaved, machine, problem_p, report

import meanfield as mf
from meanfield.transforms import transforms


def make_pairs(n: int, number: int):
    """A job: ``number`` full-size forward and inverse real transforms with the transforms in use."""
    values, spectrum = np.random.default_rng(0).random((n, n)), np.empty((n, n // 2 + 1), dtype=complex)

    def job() -> None:
        for _ in range(number):
            transforms.forward_real(values, spectrum)
            transforms.forward(spectrum, 0)
            transforms.inverse(spectrum, 0)
            transforms.inverse_real(spectrum, values)
            np.multiply(values, 1.0 / values.size, out=values)

    return job


def make_joint_pairs(n: int, number: int):
    """The same with ducc0's transforms over both axes at once, where it is installed: the fastest bare pair."""
    import ducc0

    values, spectrum = np.random.default_rng(0).random((n, n)), np.empty((n, n // 2 + 1), dtype=complex)

    def job() -> None:
        for _ in range(number):
            ducc0.fft.r2c(values, axes=(0, 1), out=spectrum, nthreads=1)
            ducc0.fft.c2r(spectrum, axes=(0, 1), lastsize=n, forward=False, inorm=2, out=values, nthreads=1)

    return job


def main(sizes: list[int]) -> None:
    """Measure and print."""
    mf.parallel.set_threads(1)
    print(machine())
    for n in sizes:
        flow, state, _ = problem_p(n)
        stepper = mf.steppers.ETDRK4(dt=1e-6)
        memory = stepper.init(flow, state)
        run = {"state": state, "memory": memory, "t": 0.0}

        def step(stepper=stepper, flow=flow, run=run) -> None:
            run["state"], run["memory"], info = stepper.step(flow, run["t"], run["state"], run["memory"])
            run["t"] = info.time

        bare = make_joint_pairs if transforms.name == "ducc0" else make_pairs
        jobs = {"four bare full-size FFT pairs": bare(n, 4), "ETDRK4 step": step}
        report(f"n = {n}²", interleaved(jobs, 300 if n <= 256 else 100), "four bare full-size FFT pairs")


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [256, 512])
