"""The figure of the training of a neural ODE on densities."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.runs import FEWEST_SAVES
from meanfield.claims.training import law_window, stretched_exponent
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREEN, GREY, LABEL, ORANGE, TICK, TITLE
from meanfield.tableaus import rk4
from meanfield.torus import Torus, flow_map

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FRAMES = 5  # densities in a row
LINES, ALONG = 28, 241  # lines of the deformed grid on each axis, points on each of them
PATHS = 33  # characteristics shown for d = 1
ABOVE = 3.0  # a slope is drawn so many times above the risk it speaks of
FINE = 192  # points per axis of the images and curves drawn, by Fourier interpolation


def plot_training(ds: xr.Dataset, *, guarantee: float | None = None) -> Figure:
    """Densities along s and along t, the flow map of the last control, the risk beside its law, the range of det DΦ.

    Parameters
    ----------
    ds : Dataset — a run of a ``Control`` of a ``DensityNODE``, from `meanfield.solve` or `meanfield.output.read`
    guarantee : float — the power ``t^{−p}`` below which theory promises the risk to fall, drawn dotted; None draws none

    Returns
    -------
    matplotlib.figure.Figure

    Notes
    -----
    d = 2: the flow map is shown by the images of straight lines; d = 3: on the plane z through the maximum of the first
    density; d = 1: by characteristics over the density. The law is a fit of ``exp(−C t^θ)`` to the saves at which the
    risk has fallen tenfold.
    """
    if ds.density.ndim == 3:
        figure = _panels.new_figure(9.6, 6.6)
        above, below = _panels.halves(figure, 1.0)
        _along_s_and_t_on_the_line(above, ds)
        flow, risk, jacobian = below.subplots(1, 3, width_ratios=(1.3, 1, 0.8))
        _characteristics(flow, ds)
    else:
        figure = _panels.new_figure(9.6, 7.9)
        above, below = _panels.halves(figure, 1.35)
        _along_s_and_t_in_space(above, ds)
        flow, risk, jacobian = below.subplots(1, 3, width_ratios=(1.05, 1, 0.8))
        _deformed_grid(flow, ds)
    _risk(risk, ds, guarantee)
    _jacobian(jacobian, ds)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


# ---- densities ---------------------------------------------------------------------------------------------------


def _along_s_and_t_on_the_line(figure: SubFigure, ds: xr.Dataset) -> None:
    along_s = ds.density.isel(time=-1, drop=True).rename(interface="time").to_dataset(name="density")
    along_t = ds[["density", "path_length"]].isel(interface=-1)
    shown = (
        (along_s, "depth $s$", r"density $\mu_s(x)$, trained"),
        (along_t, "training time $t$", r"density $\mu_1(x)$"),
    )
    for axes, (frames, along, ylabel) in zip(figure.subplots(1, 2), shown):
        _panels.profiles(figure, axes, _refined_line(frames), along=along, ylabel=ylabel)


def _refined_line(frames: xr.Dataset) -> xr.Dataset:
    """The densities on more points, for curves without corners."""
    values = np.stack([refined(frame) for frame in frames.density.values])
    fine = frames.drop_vars(["density", "x"])
    return fine.assign(density=(("time", "x"), values)).assign_coords(x=np.arange(values.shape[1]) / values.shape[1])


def _along_s_and_t_in_space(figure: SubFigure, ds: xr.Dataset) -> None:
    plane, where = _plane(ds)
    density, s = ds.density.isel(plane), ds.interface.values
    layers = np.unique(np.linspace(0, len(s) - 1, FRAMES).round().astype(int))
    times = _panels.shown_times(ds, FRAMES)
    along_s = [(density.values[-1, layer], f"$s = {s[layer]:.3g}$") for layer in layers]
    along_t = [(density.values[time, -1], f"$t = {ds.time.values[time]:.2g}$") for time in times]
    low = min(frame.min() for frame, _ in along_s + along_t)
    high = max(frame.max() for frame, _ in along_s + along_t)
    rows = figure.subplots(2, FRAMES)
    for row, frames, ylabel in zip(
        rows, (along_s, along_t), (r"trained $\mu_s$" + where, r"training: $\mu_1$" + where)
    ):
        for axes, (frame, title) in zip(row, frames):
            options: dict[str, Any] = {"origin": "lower", "extent": (0, 1, 0, 1), "vmin": low, "vmax": high}
            image = axes.imshow(refined(frame).T, cmap=COLOURS, interpolation="bilinear", **options)
            axes.set_title(title, fontsize=LABEL)
        for axes in row:
            axes.set(xticks=[], yticks=[])
            axes.set_visible(axes in row[: len(frames)].tolist())
        row[0].set_ylabel(ylabel, fontsize=LABEL)
    bar = figure.colorbar(image, ax=list(rows.flat), pad=0.015, shrink=0.9, aspect=30)
    bar.set_label("density", fontsize=LABEL)
    bar.ax.tick_params(labelsize=TICK)


def _plane(ds: xr.Dataset) -> tuple[dict[str, int], str]:
    """What selects the plane that is drawn in d = 3, and how it is called."""
    if "z" not in ds.density.dims:
        return {}, ""
    first = ds.density.values[0, 0]
    height = int(np.unravel_index(first.argmax(), first.shape)[2])
    return {"z": height}, f", $z = {float(ds.z[height]):.3g}$"


def refined(values: np.ndarray) -> np.ndarray:
    """A periodic grid function on `FINE` points per axis (or more), by its Fourier series."""
    n = values.shape[0]
    m = max(FINE, n)
    for axis in range(values.ndim):
        values = np.fft.irfft(np.fft.rfft(values, axis=axis), m, axis=axis) * (m / n)
    return values


# ---- the flow map ------------------------------------------------------------------------------------------------


def _images(ds: xr.Dataset, points: np.ndarray) -> list[np.ndarray]:
    """Where the last control carries points (N, d): at every interface, (N, d) each."""
    control = ds.control.values[-1]
    torus, step = Torus(control.shape[-1], dim=control.shape[1]), 1.0 / len(control)
    images = [points]
    for layer in control:
        images.append(flow_map.advect(torus, [layer], images[-1], tableau=rk4, substeps=1, step=step))
    return images


def _deformed_grid(axes: Axes, ds: xr.Dataset) -> None:
    from matplotlib.collections import LineCollection

    plane, where = _plane(ds)
    across, along = np.linspace(-0.15, 1.15, round(1.3 * LINES)), np.linspace(-0.15, 1.15, ALONG)
    straight = np.stack(np.broadcast_arrays(along, across[:, None]), axis=-1)  # (lines, points, 2)
    lines = np.concatenate([straight, straight[..., ::-1]])
    points = lines.reshape(-1, 2)
    if plane:
        points = np.column_stack([points, np.full(len(points), float(ds.z[plane["z"]]))])
    moved = _images(ds, points)[-1][:, :2].reshape(lines.shape)
    end = refined(ds.density.isel(plane).values[-1, -1])
    axes.imshow(
        end.T, cmap="Greys", origin="lower", extent=(0, 1, 0, 1), vmax=2.5 * end.max(), interpolation="bilinear"
    )
    axes.add_collection(LineCollection(list(moved), colors=BLUE, linewidths=0.8))
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[], yticks=[])
    axes.set_title(r"$\Phi$ of a square grid" + where, fontsize=LABEL)


def _characteristics(axes: Axes, ds: xr.Dataset) -> None:
    s, density = ds.interface.values, np.stack([refined(frame) for frame in ds.density.values[-1]])
    closed = np.concatenate([density, density[:, :1]], axis=1)
    x = np.linspace(0, 1, closed.shape[1])
    axes.pcolormesh(s, x, closed.T, cmap=COLOURS, shading="gouraud", rasterized=True)
    starts = np.arange(-PATHS // 2, 3 * PATHS // 2) / PATHS
    paths = np.stack(_images(ds, starts[:, None]))[..., 0]
    axes.plot(s, paths, color="white", linewidth=0.7, alpha=0.85)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xlabel("depth $s$", fontsize=LABEL)
    axes.set_ylabel(r"$\Phi_s(x)$, over $\mu_s$", fontsize=LABEL)
    axes.tick_params(labelsize=TICK)


# ---- curves along training time ----------------------------------------------------------------------------------


def _risk(axes: Axes, ds: xr.Dataset, guarantee: float | None) -> None:
    curves = [(ds.risk.values, BLUE, 2.2, "risk")]
    if not np.array_equal(ds.energy, ds.risk):
        curves.append((ds.energy.values, GREEN, 1.4, "with penalty"))
    if any((values[1:] > 0).any() for values, *_ in curves):
        axes.set_yscale("log")
    for values, colour, width, label in curves:
        _curve(axes, ds, np.where(values > 0, values, np.nan), label=label, color=colour, linewidth=width)
    window = law_window(ds)
    if window.size >= FEWEST_SAVES:
        t, risk = window.time.values, window.values
        theta, fitted = stretched_exponent(t, risk)
        label = rf"$e^{{-C t^\theta}}$, $\theta = {theta:.2f}$"
        axes.plot(t, fitted, "--", color=ORANGE, linewidth=1.6, label=label)
        if guarantee is not None:
            label = f"guaranteed: $t^{{-{Fraction(guarantee).limit_denominator(30)}}}$"
            promised = ABOVE * risk[0] * (t / t[0]) ** -guarantee
            axes.plot(t, promised, ":", color=GREY, linewidth=1.8, label=label)
    axes.legend(fontsize=TICK, frameon=False, loc="lower left")
    _finish(axes, ds, _fallen(float(ds.risk[0]), float(ds.risk[-1])))


def _fallen(before: float, after: float) -> str:
    """The heading of the risk: how far it has come down, in two digits."""
    if not 0 < after < before:
        return r"risk $\ell(\mu_1)$"
    times = float(f"{before / after:.2g}")
    return f"risk, down {times:,.0f} times" if times >= 10 else f"risk, down {times:g} times"


def _jacobian(axes: Axes, ds: xr.Dataset) -> None:
    low, high = (np.where(np.isfinite(f), f, np.nan) for f in (ds.least_jacobian.values, ds.greatest_jacobian.values))
    axes.fill_between(ds.time.values[1:], low[1:], high[1:], color=GREEN, alpha=0.2, linewidth=0)
    for values in (low, high):
        _curve(axes, ds, values, color=GREEN, linewidth=1.8)
    axes.set_ylim(bottom=0)
    _finish(axes, ds, r"range of $\det D\Phi$")


def _curve(axes: Axes, ds: xr.Dataset, values: np.ndarray, **style: Any) -> None:
    """Values at the saves but the first, which a logarithmic axis cannot show."""
    axes.plot(ds.time.values[1:], values[1:], marker="o" if len(values) <= 3 else None, markersize=4, **style)


def _finish(axes: Axes, ds: xr.Dataset, title: str) -> None:
    t = ds.time.values[1:]
    if len(t):
        axes.set_xscale("log")
    if len(t) > 1:
        axes.set_xlim(t[0], t[-1])
    axes.set_xlabel("training time $t$", fontsize=LABEL)
    axes.set_title(title, fontsize=LABEL)
    _panels.finish_axes(axes, ylabel="")
