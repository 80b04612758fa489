"""The distance between two runs, whatever carries their states."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from .measures import LayeredMeasure, ParticleMeasure, TorusDensity
from .torus import Torus

if TYPE_CHECKING:
    import xarray as xr

SAME_TIME = 1e-9  # relative to the longer run: saves this close are one time
MASS_TOLERANCE = 1e-9  # relative, of two runs
FEWEST_ATOMS, MOST_COSTS = 2**11, 2**22  # that stand for a density in d > 1; of them with the other run's particles


def compare(run1: xr.Dataset, run2: xr.Dataset) -> xr.DataArray:
    """The distance of two runs at the times both have saved.

    W₂ for densities and particles in any pairing, the conditional distance for layered measures. In d ≥ 2 a density is
    quantised to some 2000 atoms or more, and the attribute ``error_bound`` says by how much that may change a distance.

    Parameters
    ----------
    run1, run2 : xarray.Dataset — runs, as ``solve`` returns them or ``xarray.open_dataset`` opens them

    Returns
    -------
    xarray.DataArray
        ``distance`` along ``time``; its attribute ``error_bound`` is 0 where the measures of the files are compared as
        they are.

    Raises
    ------
    ValueError, TypeError
        If the runs have no common time, their states have no common distance, or one holds no measure.

    Notes
    -----
    Exact for the measures the files hold: a density is one of cells, on a circle only, which is O(n^{−2}) from the
    density of a Fourier run. In d ≥ 2 a save costs a linear programme, started from that of the save before. The bound
    of quantised densities (see ``particles.quantise``) falls like ``N^{−1/d}`` for N atoms: 0.009 for 2025 in d = 2.
    Two densities nearer than it are better compared value by value.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> rho = mf.Torus(64).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    >>> flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    >>> fourier = mf.solve(flow, rho, t_end=0.01, save_at=3)
    >>> volumes = mf.solve(flow, rho, t_end=0.01, save_at=3, stepper=mf.steppers.FiniteVolume())
    >>> bool(mf.compare(fourier, volumes).max() < 1e-4)
    True
    """
    import xarray as xr

    times, first, second = _common_times(run1, run2)
    pairs = ((_state(run1, i), _state(run2, j)) for i, j in zip(first, second))
    values, bounds = zip(*_distances(pairs))
    attributes = {"long_name": "distance of the two runs", "units": "1", "error_bound": max(bounds)}
    return xr.DataArray(np.array(values), {"time": times}, ("time",), "distance", attributes)


def _common_times(run1: xr.Dataset, run2: xr.Dataset) -> tuple[np.ndarray, list[int], list[int]]:
    one, two = (_times(run) for run in (run1, run2))
    near = SAME_TIME * max(one[-1], two[-1])
    pairs = [(i, int(j)) for i, t in enumerate(one) if abs(two[j := np.abs(two - t).argmin()] - t) <= near]
    if not pairs:
        raise _check.fail(
            "runs must share a saved time", f"{one[0]:g} … {one[-1]:g} and {two[0]:g} … {two[-1]:g}", "pass save_at="
        )
    first, second = (list(part) for part in zip(*pairs))
    return one[first], first, second


def _times(run: Any) -> np.ndarray:
    """The saved times; a run still under way has none yet for the rest of its file."""
    if not hasattr(run, "data_vars") or "time" not in run.coords:
        raise TypeError(f"a run must be a Dataset with time (got {type(run).__name__}); pass what mf.solve returns")
    times = run.time.values
    times = times[np.isfinite(times)]
    if not times.size:
        raise _check.fail("a run must have a saved time", "none", "wait for its first save")
    return times


def _state(run: xr.Dataset, index: int) -> Any:
    """The measure of a save; of a neural ODE on densities, the density at s = 1."""
    if "positions" in run:
        positions, weights = run.positions[index].values, run.weights.values
        if positions.ndim == 3:
            return LayeredMeasure(positions, weights)
        torus = Torus(**json.loads(run.attrs["torus"])) if "torus" in run.attrs else None
        return ParticleMeasure(positions, weights, torus)
    if "density" not in run:
        names = ", ".join(sorted(map(str, run.data_vars)))
        raise _check.fail("a run must hold a measure, positions or density", names, "compare runs of measures")
    density = run.density[index]
    values = (density[-1] if "interface" in density.dims else density).values
    return TorusDensity(values, Torus(len(values), dim=values.ndim))


def _distances(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[float, float]]:
    """Distances, and bounds of what quantising has changed in them."""
    from .distances import conditional_plan, conditional_wasserstein, transport_plan, wasserstein

    plan = layers = None
    for a, b in pairs:
        layered = [isinstance(state, LayeredMeasure) for state in (a, b)]
        if any(layered) and not all(layered):
            raise TypeError(
                "a layered measure has a distance to layered ones only "
                f"(got {type(a).__name__} and {type(b).__name__}); compare runs of one kind"
            )
        if all(layered) and a.positions.shape[2] == 1:  # by sorting
            yield conditional_wasserstein(a, b), 0.0
            continue
        if all(layered):
            layers = conditional_plan(a, b, start=layers)
            yield layers.value, 0.0
            continue
        if _dim(a) == 1 or _dim(b) == 1:  # or spaces that differ, which is said there
            yield wasserstein(a, b), 0.0
            continue
        (mu, error_a, mass_a), (nu, error_b, mass_b) = _atoms(a, b), _atoms(b, a)
        if abs(mass_a - mass_b) > MASS_TOLERANCE * max(mass_a, mass_b):
            raise _check.fail("masses must be equal to 1e-9", f"{mass_a} and {mass_b}", "normalise the measures first")
        plan, root = transport_plan(mu, nu, start=plan), math.sqrt(mass_a)
        yield root * plan.value, root * (error_a + error_b)


def _dim(state: ParticleMeasure | TorusDensity) -> int:
    return state.torus.dim if isinstance(state, TorusDensity) else state.dim


def _atoms(
    state: ParticleMeasure | TorusDensity, other: ParticleMeasure | TorusDensity
) -> tuple[ParticleMeasure, float, float]:
    """The state as particles, of a number that suits the other's, the error of that, and its mass."""
    from .particles import quantise

    if isinstance(state, ParticleMeasure):
        return state, 0.0, 1.0
    others = other.number if isinstance(other, ParticleMeasure) else FEWEST_ATOMS
    atoms, error = quantise(
        TorusDensity(state.values, state.torus, normalise=True), max(FEWEST_ATOMS, MOST_COSTS // others)
    )
    return atoms, error, state.mass
