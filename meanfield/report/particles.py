"""The figure and the animation of blob particles beside the density they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.particle_runs import FINER, BlobRun
from meanfield.measures import ParticleMeasure
from meanfield.particles import mollify
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREEN, GREY, LABEL, ORANGE, TICK, TITLE
from meanfield.report.animation import Animation, animate_saves
from meanfield.theory import barenblatt_radius

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PATHS = 50  # trajectories drawn
PROFILES = 5  # times shown in d = 1
MOST_DOTS = 120  # of a profile


def plot_blobs(ds: xr.Dataset, run: BlobRun) -> Figure:
    """Particles at several times on the density (d = 1: their paths as well), the gaps in W₂, and the energy.

    Parameters
    ----------
    ds : Dataset — the run of the particles, with the observers of ``run``
    run : BlobRun — what it is a run of, and the density run beside it

    Returns
    -------
    matplotlib.figure.Figure
    """
    if run.dim == 1:
        figure = _panels.new_figure(9.6, 6.4)
        cells = figure.add_gridspec(2, 2)
        _paths(figure.add_subplot(cells[0, 0]), ds, run)
        _profiles(figure.add_subplot(cells[0, 1]), ds, run)
    else:
        figure = _panels.new_figure(9.6, 6.6)
        cells = figure.add_gridspec(2, 6, height_ratios=(1.1, 1))
        panels = [figure.add_subplot(cells[0, 2 * i : 2 * i + 2]) for i in range(3)]
        _panels.snapshots(figure, panels, run.reference, 2)
        for panel, index in zip(panels, _panels.shown_times(run.reference, 3)):
            panel.scatter(*_wrapped(ds, index).T, **_dots(ds.sizes["particle"]))
            panel.set_xlim(*_window(run))
            panel.set_ylim(*_window(run))
    below = [figure.add_subplot(cells[1, i] if run.dim == 1 else cells[1, 3 * i : 3 * i + 3]) for i in range(2)]
    _gaps(below[0], ds, run)
    _energy(below[1], ds)
    for panel in below:
        _along_time(panel, ds)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def animate_blobs(ds: xr.Dataset, run: BlobRun) -> Animation:
    """The particles on the density, save by save: d = 1 at the height of ``ζ*μ``, d = 2 on its colours."""
    figure = _panels.new_figure(6.4, 4.2 if run.dim == 1 else 5.6)
    redraw = (_moving_profile if run.dim == 1 else _moving_cloud)(figure.add_subplot(), ds, run)
    return animate_saves(figure, ds.time.values, redraw)


def _moving_profile(axes: Axes, ds: xr.Dataset, run: BlobRun) -> Callable[[int], None]:
    densities, x = run.reference.density.values, np.append(run.reference.x.values, 1.0)
    (line,) = axes.plot(x, 0 * x, color=ORANGE, linewidth=1.8, label=_name(run))
    (dots,) = axes.plot([], [], ".", color=BLUE, markersize=5, label=r"particles, at $\zeta\ast\mu$")
    axes.set_ylim(-0.03 * densities.max(), 1.1 * densities.max())
    axes.set_xlim(*_window(run))
    axes.set_xlabel("position $x$", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="upper right")
    _panels.finish_axes(axes, ylabel=r"density $\rho_t(x)$")

    def redraw(index: int) -> None:
        line.set_ydata(np.append(densities[index], densities[index, 0]))
        dots.set_data(*_heights(ds, run, index))

    return redraw


def _moving_cloud(axes: Axes, ds: xr.Dataset, run: BlobRun) -> Callable[[int], None]:
    densities = run.reference.density.values
    extent = (-0.5 / densities.shape[1], 1 - 0.5 / densities.shape[1]) * 2
    options: dict[str, Any] = {"origin": "lower", "extent": extent, "cmap": COLOURS, "vmin": 0.0}
    image = axes.imshow(densities[0].T, vmax=densities.max(), **options)
    dots = axes.scatter(*_wrapped(ds, 0).T, **_dots(ds.sizes["particle"]))
    axes.set_xlim(*_window(run))
    axes.set_ylim(*_window(run))
    axes.tick_params(labelsize=TICK)

    def redraw(index: int) -> None:
        image.set_data(densities[index].T)
        dots.set_offsets(_wrapped(ds, index))

    return redraw


def _paths(axes: Axes, ds: xr.Dataset, run: BlobRun) -> None:
    """Positions along time, and the edge of the support they stay inside of."""
    every = max(1, round(ds.sizes["particle"] / PATHS))
    axes.plot(ds.time, ds.positions.values[:, ::every, 0], color=BLUE, linewidth=0.9, alpha=0.8)
    _along_time(axes, ds)
    if run.compact:
        law: dict[str, Any] = {"dim": 1, "exponent": run.m, "coefficient": run.p["coefficient"]}
        edge = np.array([barenblatt_radius(run.start + t, **law) for t in ds.time.values])
        for sign in (1, -1):
            label = "edge of Barenblatt's support" if sign == 1 else None
            axes.plot(ds.time, 0.5 + sign * edge, "--", color=ORANGE, linewidth=1.6, label=label)
        axes.set_ylim(0.5 - 1.25 * edge[-1], 0.5 + 1.45 * edge[-1])
        axes.legend(fontsize=TICK, frameon=False, loc="upper left")
    _panels.finish_axes(axes, ylabel="positions $x_i(t)$")


def _profiles(axes: Axes, ds: xr.Dataset, run: BlobRun) -> None:
    """Densities as lines, ``ζ*μ`` at the particles as dots."""
    from matplotlib import colormaps

    shown = _panels.shown_times(ds, PROFILES)
    x = np.append(run.reference.x.values, 1.0)
    for colour, index in zip(colormaps[COLOURS](np.linspace(0.0, 0.88, len(shown))), shown):
        values = run.reference.density.values[index]
        label = f"$t = {ds.time.values[index]:.3g}$"
        axes.plot(x, np.append(values, values[0]), color=colour, linewidth=1.4, label=label)
        points, heights = _heights(ds, run, index)
        every = max(1, round(len(points) / MOST_DOTS))
        axes.plot(points[::every], heights[::every], ".", color=colour, markersize=5)
    axes.set_xlim(*_window(run))
    axes.set_xlabel("position $x$", fontsize=LABEL)
    axes.set_title(rf"lines: {_name(run)}; dots: $\zeta\ast\mu$ at the particles", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel=r"density $\rho_t(x)$")


def _heights(ds: xr.Dataset, run: BlobRun, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Particles in [0, 1) and ``ζ*μ`` there."""
    torus = run.particles.torus
    assert torus is not None
    mu = ParticleMeasure(ds.positions.values[index], ds.weights.values, torus)
    smooth = mollify(mu, torus, run.flow.energy.mollifier, tolerance=1e-6)  # type: ignore[attr-defined]  # BlobEnergy
    return mu.wrapped[:, 0], torus.interpolate(smooth.values, mu.positions)


def _gaps(axes: Axes, ds: xr.Dataset, run: BlobRun) -> None:
    cloud = f", as {FINER} N points" if run.dim > 1 else ""
    axes.plot(ds.time, ds.gap_density, color=BLUE, linewidth=1.8, label=f"to {_name(run)}{cloud}")
    if run.compact:
        axes.plot(ds.time, ds.gap_barenblatt, "--", color=ORANGE, linewidth=1.8, label=f"to Barenblatt{cloud}")
    axes.set_ylim(bottom=0.0)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel=r"$W_2$ from the particles")


def _energy(axes: Axes, ds: xr.Dataset) -> None:
    axes.plot(ds.time, ds.energy, color=GREEN, linewidth=1.8, label=r"$E_\zeta(\mu_t)$")
    dissipated = float(ds.energy[0]) - ds.path_length.copy(data=_dissipated(ds))
    axes.plot(ds.time, dissipated, ":", color=GREY, linewidth=2.2, label=r"$E_\zeta(\mu_0) - \int_0^t|\partial E|^2$")
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel="energy")


def _dissipated(ds: xr.Dataset) -> np.ndarray:
    """``∫|∂E|²``, which the run has integrated over its steps: the drop of the energy less the defect."""
    return (ds.energy[0] - ds.energy - ds.balance_defect_velocity).values


def _along_time(axes: Axes, ds: xr.Dataset) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0.0, ds.time.values[-1])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("time $t$", fontsize=LABEL)


def _window(run: BlobRun) -> tuple[float, float]:
    """What of the period is shown: all of it, or a little more than the last support."""
    half = min(0.5, 1.12 * run.p["radius_end"]) if run.compact else 0.5
    return 0.5 - half, 0.5 + half


def _wrapped(ds: xr.Dataset, index: int) -> np.ndarray:
    return np.mod(ds.positions.values[index], 1.0)


def _dots(number: int) -> dict[str, Any]:
    return {"s": min(12.0, 1500 / number), "c": "white", "edgecolors": "black", "linewidths": 0.4}


def _name(run: BlobRun) -> str:
    return "finite volume" if run.compact else "Fourier"
