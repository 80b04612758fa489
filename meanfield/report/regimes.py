"""The figure of a porous-medium run through its three regimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.report import _panels
from meanfield.report._panels import BLUE, GREEN, GREY, LABEL, ORANGE, TICK, TITLE
from meanfield.theory import barenblatt_radius, barenblatt_time, relaxation_rate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_regimes(ds: xr.Dataset, *, exponent: float, coefficient: float, radius_start: float) -> Figure:
    """Profiles, and along the age of the source: front, least density, distance to the mean, each beside theory.

    Parameters
    ----------
    ds : Dataset — a run in d = 1 with the observers ``front``, ``least`` and ``half_square``
    exponent, coefficient : float — m and c
    radius_start : float — of the Barenblatt profile the run starts from, which fixes the age

    Returns
    -------
    matplotlib.figure.Figure
    """
    mass = float(ds.mass[0])
    profile: dict[str, Any] = {"dim": 1, "exponent": exponent, "coefficient": coefficient, "mass": mass}
    age = ds.time.values + barenblatt_time(radius_start, **profile)
    meeting = barenblatt_time(0.5, **profile)
    figure = _panels.new_figure(9.2, 6.4)
    cells = figure.add_gridspec(3, 2, width_ratios=(1.25, 1))
    _panels.profiles(figure, figure.add_subplot(cells[:, 0]), ds)
    front, least, distance = panels = [figure.add_subplot(cells[row, 1]) for row in range(3)]
    theory = np.array([min(0.5, barenblatt_radius(t, **profile)) for t in age])
    _curve(front, age, ds.front.values, theory, "front radius", r"Barenblatt, $t^\beta$")
    _curve(least, age, ds.least.values, None, r"$\min\rho$", "")
    late = ds.contrast.values < 0.01
    rate = relaxation_rate(mass, exponent=exponent, coefficient=coefficient)
    expected = ds.half_square.values[late][0] * np.exp(-rate * (age - age[late][0]))
    linear = r"$e^{-2\lambda_1 c m \bar\rho^{m-1} t}$"
    _curve(distance, age, ds.half_square.values, expected, r"$\frac{1}{2}\Vert\rho-\bar\rho\Vert^2$", linear)
    for panel in panels:
        panel.axvline(meeting, color=GREY, linewidth=1.0, linestyle=":")
    front.set_yscale("log")
    front.set_yticks([0.1, 0.2, 0.5], labels=["0.1", "0.2", "0.5"])
    front.minorticks_off()
    distance.set_yscale("log")
    distance.set_ylim(bottom=0.3 * ds.half_square.values[-1], top=3 * ds.half_square.values[0])
    for panel in (front, least):
        panel.set_xscale("log")
    front.tick_params(labelbottom=False)
    least.set_xlabel("age $t$; dotted: the fronts meet", fontsize=LABEL)
    distance.set_xlabel("age $t$, linear scale", fontsize=LABEL)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def _curve(
    axes: Axes, age: np.ndarray, measured: np.ndarray, theory: np.ndarray | None, ylabel: str, label: str
) -> None:
    axes.plot(age, measured, color=BLUE if theory is not None else GREEN, linewidth=1.8, label="measured")
    if theory is not None:
        axes.plot(age, theory, "--", color=ORANGE, linewidth=1.4, label=label)
        axes.legend(fontsize=TICK, frameon=False)
    axes.set_xlim(age[0], age[-1])
    _panels.finish_axes(axes, ylabel=ylabel)
