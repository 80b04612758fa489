"""Timing of alternatives, interleaved so that a busy machine disturbs all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from meanfield import output
from meanfield.transforms import transforms


def problem_p(n: int):
    """Problem P: ∂_tρ = Δρ³/3 on T², its datum on n² points and its final time."""
    import meanfield as mf

    torus = mf.Torus(n, dim=2)
    wave = 2 * np.pi
    datum = torus.density(lambda x, y: 1 + 0.5 * np.cos(wave * x) * np.cos(wave * y) + 0.2 * np.sin(2 * wave * x))
    return mf.GradientFlow(mf.InternalEnergy(exponent=3, coefficient=1 / 3), mf.Wasserstein()), datum, 0.01


def interleaved(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """CPU seconds (process time) of each job, ``repeats`` rounds in turns; the first round is discarded."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats + 1):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            times[name].append(time.process_time() - start)
    return {name: np.array(values[1:]) for name, values in times.items()}


def report(title: str, times: dict[str, np.ndarray], base: str) -> None:
    """Print best and median milliseconds and the ratio to ``base``: of the bests, and the quartiles over rounds."""
    print(title)
    for name, values in times.items():
        low, middle, high = np.percentile(values / times[base], [25, 50, 75])
        print(
            f"  {name:34s} best {1e3 * values.min():9.3f} ms  median {1e3 * np.median(values):9.3f} ms  "
            f"ratio of bests {values.min() / times[base].min():6.3f}  "
            f"ratio by round {middle:6.3f} [{low:.3f}, {high:.3f}]"
        )


def machine() -> str:
    """Versions, transforms and kind of machine."""
    facts = output.collect()
    return f"{facts['versions']}; {transforms.description}; {facts['machine']}"
