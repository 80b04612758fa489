"""Runs over the product of levels and seeds, each with its own reproducible generator."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import numbers
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield._check import fail, integer

if TYPE_CHECKING:
    import xarray as xr

SEED = "seed"
_RESERVED = (SEED, "rng")


def sweep(
    run: Callable[..., Any],
    over: Mapping[str, Sequence[Any]],
    *,
    seeds: int | Sequence[int] | None = 10,
    root_seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    """Call ``run`` on every combination of levels and seeds and collect its numbers.

    Parameters
    ----------
    run : callable — called as ``run(m=64, …)`` with one value an axis, and with ``rng=`` (a generator) or ``seed=``
        (an integer) if it has a parameter of that name. Returns a number, a dict of numbers or a Dataset of scalars
    over : mapping of axis to levels — distinct numbers or texts
    seeds : int, integers or None — 10 means 0, …, 9; None calls each level once, as seed 0, and adds no dimension
    root_seed : int — enters every generator
    progress : bool or None — a progress bar on standard error; None shows it on a terminal only

    Returns
    -------
    Dataset, dimensions: the axes in the order of ``over``, then ``seed`` — a plain number is called ``value``

    Raises
    ------
    ValueError, TypeError — before any run: no levels, a level twice, a ``run`` that cannot be called so, or that takes
        neither ``rng`` nor ``seed`` although there are seeds; afterwards: results that are no numbers or whose names
        change from level to level
    RuntimeError — a run failed; the message names its level

    Notes
    -----
    The generator of a run depends on its levels, its seed and ``root_seed`` alone: not on the order of levels, axes or
    seeds, nor on which others are swept. Generators at different levels are independent; a run that needs the same
    draws at every level makes its own from ``seed``.

    Examples
    --------
    >>> def run(m, rng):
    ...     return rng.normal(size=m).mean()
    >>> dict(sweep(run, over={"m": [10, 100]}, seeds=5).sizes)
    {'m': 2, 'seed': 5}
    """
    axes = {name: _levels(name, values) for name, values in over.items()}
    if not axes:
        raise fail("over must name at least one axis", repr(over), "pass for instance over={'m': [16, 32, 64]}")
    integer("root_seed", root_seed, "pass any integer from 0 on", at_least=0)
    repeats = _seeds(seeds)
    wanted = _accepted(run, axes, seeds)
    results: dict[str, list[Any]] = {}
    calls = list(itertools.product(*axes.values(), repeats))
    for *values, seed in with_progress(calls, progress):
        level = dict(zip(axes, values))
        given = {"rng": _generator(level, seed, root_seed), SEED: seed}
        where = ", ".join(f"{name} = {value}" for name, value in level.items())
        where += f", seed {seed}" if seeds is not None else ""
        try:
            outcome = run(**level, **{name: given[name] for name in wanted})
        except Exception as error:
            raise RuntimeError(f"run failed at {where}: {type(error).__name__}: {error}") from error
        found = _numbers(outcome, where)
        if results and results.keys() != found.keys():
            raise fail(f"runs must give the same names, at {where} as before", str(sorted(found)), str(sorted(results)))
        for name, value in found.items():
            results.setdefault(name, []).append(value)
    return _dataset(results, axes, repeats if seeds is not None else None, root_seed)


def _levels(name: str, values: Sequence[Any]) -> list[Any]:
    if name in _RESERVED:
        raise fail("an axis must not be called rng or seed", repr(name), "rename it, or pass seeds=")
    if isinstance(values, str) or not np.iterable(values):
        raise TypeError(f"levels of {name!r} must be a sequence (got {values!r}); pass a list")
    levels = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not levels or len(set(levels)) != len(levels):
        raise fail(f"levels of {name!r} must be distinct and at least one", str(levels), "correct the list")
    return levels


def _seeds(seeds: int | Sequence[int] | None) -> list[int]:
    if seeds is None:
        return [0]
    remedy = "pass a number of repetitions, or None for runs without chance"
    if not np.iterable(seeds):
        return list(range(integer("seeds", seeds, remedy, at_least=1)))
    chosen = [integer("a seed", seed, "pass integers from 0 on", at_least=0) for seed in seeds]
    if not chosen or len(set(chosen)) != len(chosen):
        raise fail("seeds must be distinct and at least one", str(chosen), remedy)
    return chosen


def _accepted(run: Callable[..., Any], axes: Mapping[str, Any], seeds: Any) -> list[str]:
    """Which of rng and seed ``run`` takes; refuses a ``run`` that cannot be called with the axes."""
    signature = inspect.signature(run)
    wanted = [name for name in _RESERVED if name in signature.parameters]
    try:
        signature.bind(**dict.fromkeys((*axes, *wanted)))
    except TypeError as error:
        rule = f"run must take the axes {list(axes)}, rng and seed, by name"
        raise TypeError(f"{rule} (got {signature}: {error}); bind other parameters first") from error
    if seeds is not None and not wanted:
        raise fail("run must take rng or seed when there are seeds", str(signature), "pass seeds=None")
    return wanted


def _generator(level: Mapping[str, Any], seed: int, root_seed: int) -> np.random.Generator:
    words = sorted(f"{name}={_canonical(value)}" for name, value in level.items())
    digest = hashlib.blake2b("\n".join(words).encode(), digest_size=16).digest()
    key = (*np.frombuffer(digest, dtype="<u4").tolist(), seed)
    return np.random.default_rng(np.random.SeedSequence(root_seed, spawn_key=key))


def _canonical(value: Any) -> str:
    """A text that is equal for equal numbers: 64 and 64.0 are one level."""
    return float(value).hex() if isinstance(value, numbers.Real) else repr(value)


def with_progress(calls: list[Any], progress: bool | None) -> Iterator[Any]:
    """The calls one by one under a progress bar; None shows it on a terminal only."""
    from tqdm import tqdm

    shown = sys.stderr.isatty() if progress is None else progress
    return iter(tqdm(calls, desc="sweep", unit="run", disable=not shown))


def _numbers(outcome: Any, where: str) -> dict[str, Any]:
    """The numbers of one run by name."""
    if hasattr(outcome, "data_vars"):
        outcome = {str(name): variable.values for name, variable in outcome.data_vars.items()}
    found = outcome if isinstance(outcome, Mapping) else {"value": outcome}
    for name, value in found.items():
        array = np.asarray(value)
        if array.ndim or array.dtype.kind not in "biufc":
            rule = f"a run must return numbers, {name!r} at {where} too"
            raise TypeError(f"{rule} (got {type(value).__name__} of shape {array.shape}); reduce it to numbers")
    if not found:
        raise fail(f"a run must return at least one number, at {where}", repr(outcome), "return a number or a dict")
    return {name: np.asarray(value)[()] for name, value in found.items()}


def _dataset(
    results: Mapping[str, list[Any]], axes: Mapping[str, list[Any]], seeds: list[int] | None, root_seed: int
) -> xr.Dataset:
    import xarray as xr

    coordinates = {**axes, SEED: seeds} if seeds is not None else dict(axes)
    shape = tuple(len(values) for values in coordinates.values())
    variables = {name: (tuple(coordinates), np.array(values).reshape(shape)) for name, values in results.items()}
    return xr.Dataset(variables, coords=coordinates, attrs={"root_seed": root_seed})
