"""The figure of a run of the kernelised porous-medium flow towards the uniform density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.claims.kernelised_runs import window_of
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREEN, GREY, LABEL, ORANGE, TICK, TITLE
from meanfield.theory import FIRST_EIGENVALUE, algebraic_exponent, mode_rate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOOR = 1e-17  # of spectra and losses: below is rounding


def plot_kernelised(
    ds: xr.Dataset, *, smooth: bool, regularity: float, order: float, length: float, loss_order: float
) -> Figure:
    """Densities and their spectra at several times; along time the loss beside its law, and what else falls.

    Parameters
    ----------
    ds : Dataset — a run with the observers ``interaction_energy`` and ``first_modes``
    smooth : bool — the law is that of the first modes, else that of a spectrum like ``|k|^{−r−d/2}``
    regularity : float — r
    order, length, loss_order : float — s and ε of the kernel, q of the loss

    Returns
    -------
    matplotlib.figure.Figure
    """
    dim = _panels.dimension(ds)
    law = {"order": order, "length": length, "loss_order": loss_order}
    figure = _panels.new_figure(9.2, 6.6)
    if dim == 1:
        cells = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
        spectra, loss, functionals = (figure.add_subplot(cells[i, j]) for i, j in ((1, 0), (0, 1), (1, 1)))
        _panels.profiles(figure, figure.add_subplot(cells[0, 0]), ds, beside=[spectra])
    else:
        cells = figure.add_gridspec(2, 3)
        _panels.snapshots(figure, [figure.add_subplot(cells[0, i]) for i in range(3)], ds, dim)
        spectra, loss, functionals = (figure.add_subplot(cells[1, i]) for i in range(3))
    _spectra(spectra, ds, dim, None if smooth else regularity)
    _loss(loss, ds, _law_of_modes(ds, law) if smooth else _algebraic_law(ds, regularity, law))
    _functionals(functionals, ds)
    for panel in (loss, functionals):
        panel.set_xscale("linear" if smooth else "log")
        panel.set_xlim(0.0 if smooth else ds.time.values[1], ds.time.values[-1])
        panel.set_xlabel("time $t$", fontsize=LABEL)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def shells(values: np.ndarray) -> np.ndarray:
    """Root mean square of ``|f̂_k|`` over the shells ``|k| ∈ [m − ½, m + ½)``, m = 1 … n/3."""
    n, dim = values.shape[0], values.ndim
    modes = np.abs(np.fft.fftn(values, norm="forward")) ** 2
    frequencies = np.meshgrid(*[np.fft.fftfreq(n, 1 / n)] * dim, indexing="ij")
    shell = np.rint(np.sqrt(sum(k**2 for k in frequencies))).astype(int).reshape(-1)
    number = np.maximum(np.bincount(shell), 1)
    return np.sqrt(np.bincount(shell, modes.reshape(-1)) / number)[1 : (n - 1) // 3 + 1]


def _spectra(axes: Axes, ds: xr.Dataset, dim: int, regularity: float | None) -> None:
    from matplotlib import colormaps

    shown = _panels.shown_times(ds, _panels.PROFILES if dim == 1 else 3)
    colours = colormaps[COLOURS](np.linspace(0.0, 0.93, len(shown)))
    for colour, index in zip(colours, shown):
        size = shells(ds.density.values[index])
        label = f"$t = {ds.time.values[index]:.3g}$" if dim > 1 else None
        axes.plot(np.arange(1, len(size) + 1), np.maximum(size, FLOOR), color=colour, linewidth=1.5, label=label)
    k = np.arange(1, len(size) + 1)
    if regularity is not None:
        first = shells(ds.density.values[0])
        power = -regularity - dim / 2
        guide = 3 * first[0] * k**power
        axes.plot(k, guide, "--", color=ORANGE, linewidth=1.4, label=f"$|k|^{{{power:g}}}$")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(FLOOR, 1e-3 * shells(ds.density.values[0])[-1]))
    axes.set_xlabel("wavenumber $|k|$", fontsize=LABEL)
    _panels.finish_axes(axes, ylabel=r"$|\hat\rho_k|$")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=TICK, frameon=False)


def _law_of_modes(ds: xr.Dataset, law: dict[str, float]) -> tuple[np.ndarray, np.ndarray, str]:
    """Times and values of ``e^{−2λ(1)t}`` through what the first modes have of the loss at the end."""
    t, share = ds.time.values, 0.5 * (1 + FIRST_EIGENVALUE) ** -law["loss_order"]
    values = share * float(ds.first_modes[-1]) * np.exp(-2 * mode_rate(1, **law) * (t - t[-1]))
    return t, values, r"$e^{-2\lambda(1)t}$, first modes"


def _algebraic_law(ds: xr.Dataset, r: float, law: dict[str, float]) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Times and values of the power of t over its window, or None where there is none."""
    start, end = window_of(ds.sizes["x"], **law)
    if not (law["order"] + law["loss_order"] > 1 and start < end and ds.time.values[-1] >= 0.999 * end):
        return None
    exponent, middle = (
        algebraic_exponent(regularity=r, order=law["order"], loss_order=law["loss_order"]),
        (start * end) ** 0.5,
    )
    through = float(np.exp(np.interp(np.log(middle), np.log(ds.time.values[1:]), np.log(ds.energy.values[1:]))))
    times = np.array([start, end])
    return times, 2 * through * (times / middle) ** -exponent, rf"$t^{{-{exponent:.3g}}}$, its window"


def _loss(axes: Axes, ds: xr.Dataset, theory: tuple[np.ndarray, np.ndarray, str] | None) -> None:
    axes.plot(ds.time, np.where(ds.energy > FLOOR, ds.energy, np.nan), color=BLUE, linewidth=1.8, label="loss")
    if theory is not None:
        times, values, label = theory
        axes.plot(times, values, "--", color=ORANGE, linewidth=1.6, label=label)
    axes.set_yscale("log")
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel=r"loss $\ell(\rho_t)$")


def _functionals(axes: Axes, ds: xr.Dataset) -> None:
    """For KL both functionals that fall; else the dissipation, and the defect of its integral."""
    if "KullbackLeibler" in str(ds.attrs.get("parameters", "")):
        curves = [
            (r"$\ell$", ds.energy, BLUE, "-"),
            (r"$\frac{1}{2}\iint K(\rho-1)(\rho-1)$", ds.interaction_energy, GREEN, "--"),
        ]
        ylabel = "two functionals that fall"
    else:
        curves = [
            (r"dissipation $|\partial\ell|^2$", ds.dissipation, GREEN, "-"),
            ("|balance defect|", np.abs(ds.balance_defect_velocity), GREY, "--"),
        ]
        ylabel = "dissipation, balance"
    for label, values, colour, style in curves:
        axes.plot(ds.time, np.where(values > FLOOR, values, np.nan), style, color=colour, linewidth=1.8, label=label)
    axes.set_yscale("log")
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel=ylabel)
