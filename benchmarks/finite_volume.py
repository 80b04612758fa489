"""Finite volumes from Barenblatt data: time, Newton iterations and steps against n, with fitted exponents.

Run: ``python benchmarks/finite_volume.py [--whole]``. Whole runs of second order, radius 0.15 to 0.3, m = 2 and 3,
d = 1 and 2; fits how the time of a step, its iterations and the number of steps grow with n. ``--whole`` adds d = 2,
256²: minutes.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import xarray as xr
from _measure import machine

import meanfield as mf
from meanfield.claims.runs import accepted, barenblatt_datum
from meanfield.theory import barenblatt_cell_means, barenblatt_time

SETTINGS = {"coefficient": 1.0, "radius_start": 0.15, "centre_in_cells": 0.25}
SIZES = {1: [64, 128, 256, 512], 2: [32, 64, 128]}


def whole_run(dim: int, m: float, n: int) -> dict[str, float]:
    """CPU time and Newton iterations of a step, number of steps, and the L¹ error at the end."""
    flow, state, start = barenblatt_datum(SETTINGS, n, m=m, dim=dim)
    end = barenblatt_time(0.3, dim=dim, exponent=m)
    exact = barenblatt_cell_means(n, end, dim=dim, exponent=m, center=0.5 + 0.25 / n)
    clock, wall, iterations = time.process_time(), time.perf_counter(), []
    for _, state, info in accepted(flow, state, mf.steppers.FiniteVolume(), end - start):
        iterations.append(info.iterations)
    return {
        "milliseconds a step": 1e3 * (time.process_time() - clock) / len(iterations),
        "iterations a step": float(np.mean(iterations)),
        "steps": float(len(iterations)),
        "seconds": time.perf_counter() - wall,
        "L1 error": float(np.abs(state.values - exact).mean()),
    }


def main(argv: list[str]) -> None:
    """Measure and print."""
    print(machine(), f"{mf.parallel.get_threads()} threads", sep="; ")
    for dim, sizes in SIZES.items():
        whole_run(dim, 2.0, 16)  # compiles
        sizes = [*sizes, 256] if dim == 2 and "--whole" in argv else sizes
        for m in (2.0, 3.0):
            rows = [whole_run(dim, m, n) for n in sizes]
            print(f"d = {dim}, m = {m:g}")
            for n, row in zip(sizes, rows, strict=True):
                print(f"  n = {n:4d}  " + "  ".join(f"{key} {value:.4g}" for key, value in row.items()))
            for key in ("milliseconds a step", "iterations a step", "steps"):
                values = xr.DataArray([row[key] for row in rows], coords={"n": sizes}, dims="n")
                fit = mf.fit_rate(values, along="n", bend=np.inf, limit=np.inf, floor=0.0)
                print(f"  {key} ~ n^{fit.slope:.2f} [{fit.interval[0]:.2f}, {fit.interval[1]:.2f}]")


if __name__ == "__main__":
    main(sys.argv[1:])
