"""Compile every kernel by the shortest runs that use them; the cache then serves the tests. Run by ``make warm``."""

import time

import numpy as np

import meanfield as mf


def main() -> None:
    """Runs in d = 1, 2, 3 with every stepper, half-integer and other exponents, and one distance."""
    for dim in (1, 2, 3):
        torus = mf.Torus(16, dim=dim)
        rho = torus.density(lambda x, *rest: 1 + 0.1 * np.cos(2 * np.pi * x) + sum(rest) * 0)
        for stepper in (mf.steppers.ETDRK4(), mf.steppers.RK4(), mf.steppers.SSPRK3()):
            for exponent in (3, 2.5, 2.2):
                flow = mf.GradientFlow(mf.InternalEnergy(exponent), mf.Wasserstein())
                mf.solve(flow, rho, t_end=1e-4, stepper=stepper, progress=False)


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"kernels compiled or found in {time.perf_counter() - start:.1f} s")
