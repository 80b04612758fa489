"""The one thread knob, and the only place where work is spread over threads.

Results must not depend on the number of threads, so: library calls (FFT, BLAS, LAPACK) run on one thread, and our
own parallelism is over chunks whose number depends on the problem only; partial results are combined in chunk order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from itertools import pairwise
from typing import Any

from . import _check

POINTS_PER_CHUNK = 2**16  # below two chunks' work, waking a thread costs more than it saves
MOST_CHUNKS = 16


def _default() -> int:
    text = os.environ.get("MEANFIELD_THREADS")
    if text is not None:
        if not text.isdigit() or int(text) < 1:
            raise _check.fail("MEANFIELD_THREADS must be a positive integer", repr(text), "unset it or set it to 1")
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads: int = _default()
_pool: ThreadPoolExecutor | None = None
_libraries: tuple[int, Any] | None = None  # the modules there were when they were listed, and the list


def set_threads(number: int) -> None:
    """Use ``number`` threads from now on (default: the cores this process may use, or ``$MEANFIELD_THREADS``).

    The number changes speed only, never a bit of a result.

    Raises
    ------
    ValueError, TypeError
        If ``number`` is not a positive integer.
    """
    global _threads, _pool
    _threads = _check.integer("number of threads", number, "pass 1 or more", at_least=1)
    if _pool is not None:
        _pool.shutdown()
        _pool = None


def get_threads() -> int:
    """The number of threads in use."""
    return _threads


def chunks(length: int, points: int) -> list[slice]:
    """``range(length)`` cut into slices of nearly equal size, their number fixed by the ``points`` of work alone."""
    number = max(1, min(MOST_CHUNKS, length, points // POINTS_PER_CHUNK))
    edges = [length * i // number for i in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def run(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """``[function(item) for item in items]`` over the threads, results in the order of ``items``.

    ``function`` must release the GIL to gain anything, write only to its own part, and not call :func:`run`.
    """
    global _pool
    if _threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    if _pool is None:
        _pool = ThreadPoolExecutor(_threads, thread_name_prefix="meanfield")
    contexts = [copy_context() for _ in items]  # NumPy's error state is the caller's there too
    return list(_pool.map(lambda context, item: context.run(function, item), contexts, items))


def one_thread_libraries() -> AbstractContextManager:
    """A scope in which BLAS, LAPACK and OpenMP libraries run on one thread each (their bits depend on it).

    To list the libraries takes half a millisecond, so it is done anew only when a module has been imported since.
    """
    global _libraries
    from threadpoolctl import ThreadpoolController

    if _libraries is None or _libraries[0] != len(sys.modules):
        _libraries = (len(sys.modules), ThreadpoolController())
    return _libraries[1].limit(limits=1)
