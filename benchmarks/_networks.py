"""What the benchmarks of networks share: rows in turns, and peak memory of each contender in a process of its own."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before any of them is loaded
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import resource
import subprocess
import sys
from collections.abc import Callable
from importlib import util

import numpy as np
from _measure import interleaved, machine, report

Step = Callable[[], tuple[float, np.ndarray]]  # risk and mean-field gradient of the whole batch


def contenders(makers: dict[str, tuple[str, Callable[..., Step]]]) -> dict[str, Callable[..., Step]]:
    """Those whose package is installed; the others are named."""
    for name, (package, _) in makers.items():
        if util.find_spec(package) is None:
            print(f"{name} is not installed: left out")
    return {name: make for name, (package, make) in makers.items() if util.find_spec(package) is not None}


def compare(title: str, makers: dict[str, Callable[..., Step]], row: tuple, repeats: int) -> None:
    """Check that all give one risk and gradient, then time them in turns; ratios to the first."""
    jobs = {name: make(*row) for name, make in makers.items()}
    risk, gradient = (np.copy(value) for value in next(iter(jobs.values()))())
    for name, job in jobs.items():
        other, field = job()
        error = np.abs(np.asarray(field).reshape(gradient.shape) - gradient).max() / np.abs(gradient).max()
        if not (abs(other - risk) <= 1e-10 * abs(risk) and error <= 1e-10):
            raise RuntimeError(f"{name} solves another problem: risk {other} for {risk}, gradient off by {error:.1e}")
    report(title, interleaved(jobs, repeats), next(iter(jobs)))


def resident() -> float:
    """MiB in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def print_peak(make: Callable[..., Step], small: tuple, row: tuple) -> None:
    """MiB a step needs above its imports, kernels and data: the child's side of :func:`peak`."""
    make(*small)()
    job, before = make(*row), resident()
    job()
    job()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before)


def peak(script: str, name: str, row: tuple) -> float:
    """MiB of peak memory of one contender's step, measured in a new process of ``script``."""
    command = [sys.executable, script, "--peak", name, ",".join(map(str, row))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def start() -> None:
    """One thread for everybody, and the kind of machine."""
    import meanfield as mf

    mf.parallel.set_threads(1)
    print(machine())
