"""Samples cut into chunks that depend on the problem alone, and sums over them whose bits do not depend on threads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np

from .. import parallel

SAMPLES = 256  # the most a chunk holds; memory that grows with a chunk is bounded by it
NEURONS = 256  # neurons a block: 256 × 256 doubles take half of a second-level cache
_FEW = 192  # fewer samples than this stay together: kernels on short strips cost more than a second thread brings
_WORK = 2**20  # neurons × samples below which a second thread is not worth waking

Result = TypeVar("Result")


def sample_chunks(samples: int, neurons: int) -> list[slice]:
    """Slices of ``range(samples)`` of at most 256 and of nearly equal size."""
    number = -(-samples // SAMPLES)
    if number == 1 and samples >= _FEW and samples * neurons >= _WORK:
        number = 2
    edges = [samples * i // number for i in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def blocks(neurons: int) -> list[slice]:
    """``range(neurons)`` in blocks."""
    return [slice(start, min(start + NEURONS, neurons)) for start in range(0, neurons, NEURONS)]


def add_up(work: Callable[[slice, np.ndarray], Result], chunks: list[slice], total: np.ndarray) -> list[Result]:
    """Call ``work(chunk, part)`` for every chunk over the threads; its results in order, the parts added to ``total``.

    ``work`` adds to each entry of ``part`` at most once. The first chunk of a round adds to ``total`` itself, the
    others to arrays of their own, added in order afterwards: for any number of threads the same sums in the same order.
    Memory: one array like ``total`` for every thread but the first.
    """
    threads = parallel.get_threads()
    results: list[Result] = []
    parts = [np.zeros_like(total) for _ in range(min(threads, len(chunks)) - 1)]
    for start in range(0, len(chunks), threads):
        round_of = chunks[start : start + threads]
        jobs = list(zip(round_of, [total, *parts]))
        results += parallel.run(lambda job: work(*job), jobs)
        for part in parts[: len(round_of) - 1]:
            total += part
            part[...] = 0.0
    return results


def read_only(array: np.ndarray) -> np.ndarray:
    """A contiguous read-only view: kernels are compiled once, for such arrays."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
