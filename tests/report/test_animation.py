"""Animations: every frame is drawn, nothing half-written is left, other names are refused."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from meanfield.report.animation import Animation, save_animation


def square(fails_at=None):
    """A square that moves to the right, seen in the frames' pixels."""
    figure = Figure(figsize=(1, 1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 4)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    (line,) = axes.plot([], [], "s", color="black", markersize=8)

    def draw(index):
        if index == fails_at:
            raise RuntimeError("no such frame")
        line.set_data([index + 0.5], [0.5])

    return Animation(figure, draw, 4, per_second=5)


def test_frames_are_drawn_in_their_order(tmp_path):
    path = save_animation(square(), tmp_path / "square.gif")
    columns = []
    with Image.open(path) as image:
        assert (image.n_frames, image.info["duration"]) == (4, 200)
        for index in range(4):
            image.seek(index)
            dark = np.asarray(image.convert("L"), dtype=float)[30:60] < 100
            columns.append(np.flatnonzero(dark.any(axis=0)).mean() / dark.shape[1])
    np.testing.assert_allclose(columns, [0.125, 0.375, 0.625, 0.875], atol=0.03)


def test_a_failed_animation_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="no such frame"):
        save_animation(square(fails_at=2), tmp_path / "square.gif")
    assert not list(tmp_path.iterdir())


def test_names_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"an animation's name must end in \.gif \(got square\.mp4\); rename it"):
        save_animation(square(), tmp_path / "square.mp4")
    with pytest.raises(ValueError, match="an animation's folder must exist"):
        save_animation(square(), tmp_path / "none" / "square.gif")
    (tmp_path / "square.gif").touch()
    with pytest.raises(ValueError, match="an animation must not exist yet"):
        save_animation(square(), tmp_path / "square.gif")
    save_animation(square(), tmp_path / "square.gif", overwrite=True)
