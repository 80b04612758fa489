"""The figure and the animation of particles that flow to a target density by a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.kernel_runs import KernelRun
from meanfield.measures import ParticleMeasure
from meanfield.particles import mollify
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREEN, GREY, LABEL, ORANGE, TICK, TITLE
from meanfield.report.animation import Animation, animate_saves
from meanfield.torus import GaussianKernel, Torus

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PATHS = 60  # trajectories drawn
PIXELS = 200  # of the target, an axis
POINTS = 512  # of a curve in d = 1, of the grid a cloud is mollified on
SPACINGS = 2.0  # of the particles of a uniform cloud, the width of that mollifier


def plot_kernel_particles(ds: xr.Dataset, run: KernelRun) -> Figure:
    """The cloud over the target at several times, its trajectories, and along time what tends to zero.

    Parameters
    ----------
    ds : Dataset — a run with the observers of ``run``
    run : KernelRun — what it is a run of

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(9.6, 6.6)
    if run.dim == 1:
        cells = figure.add_gridspec(2, 2)
        first, second, *below = (figure.add_subplot(cells[i, j]) for i in (0, 1) for j in (0, 1))
        _paths_along_time(first, ds)
        _profiles(second, ds, run)
    else:
        cells = figure.add_gridspec(2, 3, height_ratios=(1.05, 1))
        panels = [figure.add_subplot(cells[0, i]) for i in range(3)]
        for panel, index in zip(panels, (0, _midway(ds), ds.sizes["time"] - 1)):
            _cloud(panel, ds, run, index, beside=panel is not panels[0])
        paths, *below = (figure.add_subplot(cells[1, i]) for i in range(3))
        _paths_in_space(paths, ds, run)
    _distances(below[0], ds, run)
    _slope(below[1], ds, run)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def animate_kernel_particles(ds: xr.Dataset, run: KernelRun) -> Animation:
    """The particles over the target, save by save; in d = 1 their mollified density."""
    figure = _panels.new_figure(6.4, 4.2 if run.dim == 1 else 5.6)
    redraw = (_moving_profile if run.dim == 1 else _moving_cloud)(figure.add_subplot(), ds, run)
    return animate_saves(figure, ds.time.values, redraw)


# ---- d = 1 -------------------------------------------------------------------------------------------------------


def _paths_along_time(axes: Axes, ds: xr.Dataset) -> None:
    every = max(1, round(ds.sizes["particle"] / PATHS))
    axes.plot(ds.time[1:], ds.positions.values[1:, ::every, 0], color=BLUE, linewidth=0.9, alpha=0.8)
    _along_time(axes, ds)
    _panels.finish_axes(axes, ylabel="positions $x_i(t)$")


def _profiles(axes: Axes, ds: xr.Dataset, run: KernelRun) -> None:
    from matplotlib import colormaps

    shown = [0, _midway(ds), ds.sizes["time"] - 1]
    for colour, index in zip(colormaps[COLOURS](np.linspace(0.0, 0.8, len(shown))), shown):
        label = f"$t = {ds.time.values[index]:.3g}$"
        axes.plot(*_mollified(ds, run, index), color=colour, linewidth=1.8, label=label)
    axes.plot(*_target(run), "--", color=ORANGE, linewidth=1.8, label=r"target $\rho^\ast$")
    axes.set_xlim(0, 1)
    axes.set_xlabel("position $x$", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel="density, particles mollified")


def _moving_profile(axes: Axes, ds: xr.Dataset, run: KernelRun) -> Callable[[int], None]:
    axes.plot(*_target(run), "--", color=ORANGE, linewidth=1.8, label=r"target $\rho^\ast$")
    (line,) = axes.plot(*_mollified(ds, run, 0), color=BLUE, linewidth=1.8, label="particles, mollified")
    axes.set_xlim(0, 1)
    axes.set_xlabel("position $x$", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="upper right")
    _panels.finish_axes(axes, ylabel="density")

    def redraw(index: int) -> None:
        line.set_data(*_mollified(ds, run, index))

    return redraw


def _mollified(ds: xr.Dataset, run: KernelRun, index: int) -> tuple[np.ndarray, np.ndarray]:
    torus = Torus(POINTS)
    mu = ParticleMeasure(ds.positions.values[index], ds.weights.values, torus)
    width = max(SPACINGS / run.start.number, 4.0 / POINTS)
    values = mollify(mu, torus, GaussianKernel(width), tolerance=1e-6).values
    return np.append(torus.points[0], 1.0), np.append(values, values[0])


def _target(run: KernelRun) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0.0, 1.0, POINTS + 1)
    return x, run.target.torus.interpolate(run.target.values, x[:, None])


# ---- d = 2, and the first two axes of d = 3 ------------------------------------------------------------------------


def _ground(axes: Axes, run: KernelRun) -> None:
    """The target in colours, in d = 3 its marginal of the first two axes."""
    values = run.target.values if run.dim == 2 else run.target.values.mean(axis=2)
    fine = (np.arange(PIXELS) + 0.5) / PIXELS
    points = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
    shades = Torus(len(values), dim=2).interpolate(values, points).reshape(PIXELS, PIXELS)
    axes.imshow(shades.T, origin="lower", extent=(0, 1, 0, 1), cmap=COLOURS, vmin=0.0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([0, 0.5, 1], labels=["0", "½", "1"])
    axes.set_yticks([0, 0.5, 1], labels=["0", "½", "1"])
    axes.tick_params(labelsize=TICK)
    axes.set_xlabel("$x$", fontsize=LABEL)


def _cloud(axes: Axes, ds: xr.Dataset, run: KernelRun, index: int, *, beside: bool) -> None:
    _ground(axes, run)
    axes.scatter(*_wrapped(ds, index), **_dots(ds.sizes["particle"]))
    axes.set_title(f"$t = {ds.time.values[index]:.3g}$", fontsize=LABEL)
    if beside:
        axes.set_yticklabels([])
    else:
        axes.set_ylabel("$y$", fontsize=LABEL)


def _moving_cloud(axes: Axes, ds: xr.Dataset, run: KernelRun) -> Callable[[int], None]:
    _ground(axes, run)
    dots = axes.scatter(*_wrapped(ds, 0), **_dots(ds.sizes["particle"]))

    def redraw(index: int) -> None:
        dots.set_offsets(np.stack(_wrapped(ds, index), axis=1))

    return redraw


def _paths_in_space(axes: Axes, ds: xr.Dataset, run: KernelRun) -> None:
    """Trajectories unwrapped, from their starts (hollow) to their ends (full)."""
    x = ds.positions.values[:, :: max(1, round(ds.sizes["particle"] / PATHS)), :2]
    axes.plot(x[..., 0], x[..., 1], color=GREY, linewidth=0.8, alpha=0.8)
    axes.plot(*x[0].T, "o", color=BLUE, markersize=3, fillstyle="none", label="start")
    axes.plot(*x[-1].T, "o", color=ORANGE, markersize=3, label="end")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("$x$, unwrapped", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.1)
    _panels.finish_axes(axes, ylabel="$y$, unwrapped")


def _wrapped(ds: xr.Dataset, index: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.mod(ds.positions.values[index, :, :2], 1.0).T
    return x, y


def _dots(number: int) -> dict[str, Any]:
    return {"s": min(14.0, 2500 / number), "c": "white", "edgecolors": "black", "linewidths": 0.4}


# ---- along time ----------------------------------------------------------------------------------------------------


def _distances(axes: Axes, ds: xr.Dataset, run: KernelRun) -> None:
    """MMD and W₂ to the target, each over what N points have anyway: independent draws, a lattice of the target."""
    t = ds.time.values[1:]
    axes.plot(t, np.sqrt(ds.relative_mmd[1:]), color=BLUE, linewidth=1.8, label="MMD, draws = 1")
    if "gap" in ds:
        axes.plot(t, ds.gap[1:] / run.least_gap(), "--", color=GREEN, linewidth=1.8, label="$W_2$, lattice = 1")
    axes.axhline(1.0, color=GREY, linewidth=1.0)
    axes.set_yscale("log")
    _along_time(axes, ds)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel="distance to target, relative")


def _slope(axes: Axes, ds: xr.Dataset, run: KernelRun) -> None:
    t = ds.time.values[1:]
    axes.plot(t, np.sqrt(ds.dissipation[1:]), color=ORANGE, linewidth=1.8, label=r"slope $|\partial E|$")
    if run.finite:
        axes.plot(t, ds.energy[1:], color=BLUE, linewidth=1.8, label="energy $E$")
        defect = np.abs(ds.balance_defect_velocity.values[1:])
        axes.plot(t, np.where(defect > 0, defect, np.nan), ":", color=GREY, linewidth=1.8, label="|balance defect|")
    axes.set_yscale("log")
    _along_time(axes, ds)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel="slope, energy, defect" if run.finite else "slope: Stein discrepancy")


def _along_time(axes: Axes, ds: xr.Dataset) -> None:
    axes.set_xscale("log")
    axes.set_xlim(ds.time.values[1], ds.time.values[-1])
    axes.set_xlabel("time $t$", fontsize=LABEL)


def _midway(ds: xr.Dataset) -> int:
    """The save at which half of the path has been gone."""
    return int(np.abs(ds.path_length.values - 0.5 * float(ds.path_length[-1])).argmin())
