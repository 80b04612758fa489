"""Finite volumes from Barenblatt data: time, Newton iterations and steps against n, with fitted exponents.

Run: ``python benchmarks/finite_volume.py [--whole]``. Measures 20 steps at each size after a start-up phase, second
order, m = 2 and 3, d = 1 and 2, and fits how time and iterations a step, and steps a run, grow with n (the scheme
promises n^d, n^0, n^2). ``--whole`` also runs d = 2, 256², m = 2 from radius 0.15 to 0.3: a minute.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import xarray as xr
from _measure import machine

import meanfield as mf
from meanfield.claims.runs import barenblatt_datum
from meanfield.theory import barenblatt_cell_means, barenblatt_time

SETTINGS = {"coefficient": 1.0, "radius_start": 0.15, "radius_end": 0.3, "centre_in_cells": 0.25}
SIZES = {1: [128, 256, 512, 1024], 2: [32, 64, 128, 256]}


def a_few_steps(dim: int, m: float, n: int, number: int = 20) -> dict[str, float]:
    """Seconds of CPU, Newton iterations and dt of a step, averaged after the step size has settled."""
    flow, state, _ = barenblatt_datum(SETTINGS, n, m=m, dim=dim)
    stepper = mf.steppers.FiniteVolume()
    memory, t, infos = stepper.init(flow, state), 0.0, []
    for _ in range(60):
        state, memory, info = stepper.step(flow, t, state, memory)
        t = info.time
    start = time.process_time()
    for _ in range(number):
        state, memory, info = stepper.step(flow, t, state, memory)
        t = info.time
        infos.append(info)
    seconds = (time.process_time() - start) / number
    return {
        "milliseconds": 1e3 * seconds,
        "iterations": float(np.mean([info.iterations for info in infos])),
        "age in steps": (t + barenblatt_time(0.15, dim=dim, exponent=m)) / float(np.mean([info.dt for info in infos])),
    }


def whole(n: int, m: float) -> None:
    """A whole run in d = 2."""
    flow, state, start = barenblatt_datum(SETTINGS, n, m=m, dim=2)
    end = barenblatt_time(0.3, dim=2, exponent=m)
    exact = barenblatt_cell_means(n, end, dim=2, exponent=m, center=0.5 + 0.25 / n)
    clock, steps, iterations = time.perf_counter(), 0, 0
    for _, state, info in mf.iterate(flow, state, mf.steppers.FiniteVolume(), until=end - start):
        steps, iterations = steps + 1, iterations + info.iterations
    seconds = time.perf_counter() - clock
    print(
        f"d = 2, {n}², m = {m:g}: {seconds:.0f} s on {mf.parallel.get_threads()} threads, {steps} steps, "
        f"{iterations / steps:.2f} iterations a step, L1 error {np.abs(state.values - exact).mean():.2e}, "
        f"min {state.values.min():g}, mass drift {abs(state.mass - 1):.1e}"
    )


def main(argv: list[str]) -> None:
    """Measure and print."""
    print(machine())
    for dim, sizes in SIZES.items():
        for m in (2.0, 3.0):
            rows = [a_few_steps(dim, m, n) for n in sizes]
            table = xr.Dataset({key: ("n", [row[key] for row in rows]) for key in rows[0]}, {"n": sizes})
            print(f"d = {dim}, m = {m:g}")
            for n, row in zip(sizes, rows, strict=True):
                print(f"  n = {n:5d}  " + "  ".join(f"{key} {value:9.3g}" for key, value in row.items()))
            for key, values in table.items():
                fit = mf.fit_rate(values, along="n", bend=np.inf, limit=np.inf, floor=0.0)
                print(f"  {key} ~ n^{fit.slope:.2f} [{fit.interval[0]:.2f}, {fit.interval[1]:.2f}]")
    if "--whole" in argv:
        whole(256, 2.0)


if __name__ == "__main__":
    main(sys.argv[1:])
