"""Runs several claims share: data, flows, and solutions on a given grid with a given number of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from meanfield import _check
from meanfield.energies import InternalEnergy
from meanfield.flow import GradientFlow, iterate
from meanfield.geometries import Wasserstein
from meanfield.measures import LayeredMeasure, ParticleMeasure, TorusDensity
from meanfield.steppers import StepInfo, Stepper
from meanfield.theory import barenblatt_cell_means, barenblatt_time
from meanfield.torus import Torus

if TYPE_CHECKING:
    import xarray as xr

State = TypeVar("State", TorusDensity, ParticleMeasure, LayeredMeasure)


def porous_medium(parameters: Mapping[str, Any], exponent: float | None = None) -> GradientFlow:
    """The Wasserstein flow ``∂_tρ = cΔρ^m`` with the ladder's ``exponent`` (or another) and ``coefficient``."""
    exponent = parameters["exponent"] if exponent is None else exponent
    return GradientFlow(InternalEnergy(exponent, parameters["coefficient"]), Wasserstein())


def cosine(n: float, amplitude: float, mean: float = 1.0, dim: int = 1) -> TorusDensity:
    """``mean (1 + amplitude cos 2πx)`` on n points; in more dimensions the cosines of the axes share the amplitude."""

    def profile(*x: np.ndarray) -> np.ndarray:
        waves = np.sum([np.cos(2 * np.pi * xa) / (1 + a) for a, xa in enumerate(x)], axis=0)
        return mean * (1 + amplitude * waves / share)

    torus = grid(n, dim)
    share = sum(1 / (1 + a) for a in range(torus.dim))
    return torus.density(profile)


def grid(n: float, dim: float = 1) -> Torus:
    """The torus of a ladder's numbers, which must be whole."""
    points = _check.whole("n", n, "pass a number of points", at_least=4)
    return Torus(points, dim=_check.whole("dim", dim, "pass 1, 2 or 3", at_least=1))


def contrast(state: TorusDensity) -> float:
    """``sup|ρ − ρ̄|/ρ̄``."""
    return float(np.abs(state.values / state.mass - 1).max())


def half_square(state: TorusDensity) -> float:
    """``½‖ρ − ρ̄‖²``."""
    gap = state.values - state.mass
    return 0.5 * state.torus.inner(gap, gap)


def barenblatt_datum(
    parameters: Mapping[str, Any], n: float, *, m: float, dim: int = 1
) -> tuple[GradientFlow, TorusDensity, float]:
    """Flow, cell means of the Barenblatt profile of radius ``radius_start`` and mass ``mean`` (or 1), and its age.

    The centre lies ``centre_in_cells`` off a grid point on every axis: on a point the errors of single grids scatter.
    """
    profile: dict[str, Any] = {"dim": dim, "exponent": m, "coefficient": parameters["coefficient"]}
    profile["mass"] = parameters.get("mean", 1.0)
    age = barenblatt_time(parameters["radius_start"], **profile)
    centre = 0.5 + parameters.get("centre_in_cells", 0.25) / n
    means = barenblatt_cell_means(int(n), age, center=centre, **profile)
    return porous_medium(parameters, exponent=m), Torus(int(n), dim=dim).density(means), age


OBSERVERS = {"half_square": half_square, "contrast": contrast, "least": lambda state: state.values.min()}


FEWEST_SAVES = 10  # of the linear range, before a decay rate is fitted


def late(ds: xr.Dataset, below: float) -> xr.DataArray:
    """½‖ρ−ρ̄‖² of a run recorded with `OBSERVERS`, from where the contrast stays below a bound."""
    return ds.half_square.where(ds.contrast < below, drop=True)


def accepted(
    flow: GradientFlow, state: State, stepper: Stepper, t_end: float, rng: np.random.Generator | None = None
) -> Iterator[tuple[float, State, StepInfo]]:
    """The steps to ``t_end``: a run that stops short of it shows nothing, so a refused step is an error."""
    for t, after, info in iterate(flow, state, stepper, until=t_end, rng=rng):
        if info.detail:
            raise RuntimeError(f"a step was refused: {info.detail}")
        yield t, after, info


def fine_at_first(t_end: float, saves: float) -> np.ndarray:
    """Saved times half of which are spaced geometrically from ``1e-6 t_end``: compact data move fast at first."""
    half = _check.whole("saves", saves, "pass a number of saves", at_least=8) // 2
    return np.union1d(np.geomspace(1e-6 * t_end, t_end, half), np.linspace(0, t_end, half))


def final(
    flow: GradientFlow, state: State, stepper: Stepper, t_end: float, rng: np.random.Generator | None = None
) -> State:
    """The state at ``t_end``."""
    for _, state, _ in accepted(flow, state, stepper, t_end, rng):
        pass
    return state


def cell_means(state: TorusDensity, n: int) -> TorusDensity:
    """Means over n cells of a resolved density on the circle: its modes times ``sinc(k/n)``, at the coarser points."""
    torus = state.torus
    modes = torus.coefficients(state.values) * np.sinc(np.arange(torus.n // 2 + 1) / n)
    return Torus(int(n)).density(torus.values(modes)[:: torus.n // int(n)])


def relative_l2(found: TorusDensity, reference: TorusDensity) -> float:
    """Relative L² distance at the points the two grids share."""
    stride = reference.torus.n // found.torus.n
    values = reference.values[(slice(None, None, stride),) * reference.torus.dim]
    return float(np.sqrt(np.mean((found.values - values) ** 2) / np.mean(values**2)))


def chosen(name: str, value: str, makers: Mapping[str, Callable[[], Any]]) -> Any:
    """What the maker called ``value`` makes; a ``ValueError`` names the others."""
    if value not in makers:
        raise _check.fail(f"{name} must be one of {', '.join(makers)}", repr(value), "choose one of them")
    return makers[value]()
