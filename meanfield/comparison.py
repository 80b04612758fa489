"""The distance between two runs, whatever carries their states."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from .measures import LayeredMeasure, ParticleMeasure, TorusDensity
from .torus import Torus

if TYPE_CHECKING:
    import xarray as xr

SAME_TIME = 1e-9  # relative to the longer run: saves this close are one time


def compare(run1: xr.Dataset, run2: xr.Dataset) -> xr.DataArray:
    """The distance of two runs at the times both have saved.

    W₂ for densities and particles in any pairing, the conditional distance for layered measures.

    Parameters
    ----------
    run1, run2 : xarray.Dataset — runs, as ``solve`` returns them or ``xarray.open_dataset`` opens them

    Returns
    -------
    xarray.DataArray
        ``distance`` along ``time``.

    Raises
    ------
    ValueError, TypeError
        If the runs have no common time, their states have no common distance, or one holds no measure.

    Notes
    -----
    Exact for the measures the files hold: a density is one of cells, on a circle only, which is O(n^{−2}) from the
    density of a Fourier run. Particles in d > 1 cost a linear programme a save, started from that of the save before.

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
    values = list(_distances(pairs))
    attributes = {"long_name": "distance of the two runs", "units": "1"}
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


def _distances(pairs: Iterable[tuple[Any, Any]]) -> Iterator[float]:
    from .distances import conditional_wasserstein, transport_plan, wasserstein

    plan = None
    for a, b in pairs:
        layered = [isinstance(state, LayeredMeasure) for state in (a, b)]
        if any(layered) and not all(layered):
            raise TypeError(
                "a layered measure has a distance to layered ones only "
                f"(got {type(a).__name__} and {type(b).__name__}); compare runs of one kind"
            )
        if all(layered):
            yield conditional_wasserstein(a, b)
        elif isinstance(a, ParticleMeasure) and isinstance(b, ParticleMeasure) and a.dim > 1:
            plan = transport_plan(a, b, start=plan)
            yield plan.value
        else:
            yield wasserstein(a, b)
