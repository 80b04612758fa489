"""A rate and an ETDRK4 step of the kernelised porous-medium flow (d = 2) over the bare full-size FFT pairs they hold.

Run: ``python benchmarks/kernelised_step.py [n …]`` (default 256 512). A rate holds ``1/2 + 2d`` pairs for quadratic
losses and ``1 + 2d`` for KL; a step 19 pairs, respectively 20½, with the new state and the bounds of its rate. The goal
is a ratio ≤ 1.5; as only kept columns are transformed, it can be below 1.
"""

from __future__ import annotations

import sys

import numpy as np
from _measure import interleaved, machine, report
from etdrk4_step import make_joint_pairs, make_pairs

import meanfield as mf
from meanfield.transforms import transforms


def main(sizes: list[int]) -> None:
    """Measure and print; everything is done twice, so that halves of pairs are whole."""
    mf.parallel.set_threads(1)
    print(machine())
    bare = make_joint_pairs if transforms.name == "ducc0" else make_pairs
    for n in sizes:
        torus = mf.Torus(n, dim=2)
        flat = torus.density(np.ones(torus.shape))
        rho = torus.density(lambda x, y: 1 + 0.3 * np.cos(2 * np.pi * x) + 0.2 * np.sin(2 * np.pi * y))
        for loss, in_rate, in_step in ((mf.L2Distance(flat), 4.5, 19), (mf.KullbackLeibler(flat), 5, 20.5)):
            flow = mf.GradientFlow(loss, mf.Kernelised(mf.SobolevKernel(order=2, length=0.1)))
            rate, stepper = flow.rate(rho), mf.steppers.ETDRK4(dt=1e-6)
            u, out = rate.modes.forward(rho.values), rate.modes.forward(rho.values)
            run = {"state": rho, "memory": stepper.init(flow, rho), "t": 0.0}

            def rates(rate=rate, u=u, out=out) -> None:
                for _ in range(2):
                    rate.of(u, out)

            def steps(stepper=stepper, flow=flow, run=run) -> None:
                for _ in range(2):
                    run["state"], run["memory"], info = stepper.step(flow, run["t"], run["state"], run["memory"])
                    run["t"] = info.time

            for name, job, pairs in (("rate", rates, in_rate), ("ETDRK4 step", steps, in_step)):
                base = f"{pairs:g} bare full-size FFT pairs"
                times = interleaved({base: bare(n, round(2 * pairs)), name: job}, 100 if n <= 256 else 30)
                report(f"n = {n}², {type(loss).__name__}, twice", times, base)


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [256, 512])
