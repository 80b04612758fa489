"""Animations: a figure redrawn frame by frame, written as a GIF."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.report._panels import TITLE
from meanfield.report.plotting import check_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 90  # an inch: a GIF has every pixel of every frame


@dataclass(frozen=True)
class Animation:
    """A figure and how to change it into frame i.

    Parameters
    ----------
    figure : Figure
    draw : callable(i) — changes the figure's artists in place
    frames : int — i = 0 … frames − 1
    per_second : int — frames a second
    """

    figure: Figure
    draw: Callable[[int], None]
    frames: int
    per_second: int = 8


def animate_saves(figure: Figure, times: Sequence[float], redraw: Callable[[int], None]) -> Animation:
    """The saves of a run, ``redraw(i)`` on the figure's only axes, with the time above them."""
    (axes,) = figure.axes

    def draw(index: int) -> None:
        redraw(index)
        axes.set_title(f"$t = {times[index]:.3g}$", fontsize=TITLE)

    return Animation(figure, draw, len(times))


def save_animation(animation: Animation, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write an animation as a GIF; the path written.

    Raises
    ------
    ValueError — another suffix, a folder that is missing or closed, or a file that is there without ``overwrite``
    """
    from matplotlib.animation import PillowWriter

    path = check_animation(path, overwrite=overwrite)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    writer = PillowWriter(fps=animation.per_second)
    try:
        with writer.saving(animation.figure, partial, DOTS):
            for index in range(animation.frames):
                animation.draw(index)
                writer.grab_frame()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def check_animation(path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """The resolved path of an animation to write, or a ``ValueError``, before any work is done."""
    return check_picture("an animation", path, (".gif",), overwrite=overwrite)
