"""A small run with every kind of variable, and its values at a save."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from meanfield.output import RUN_VARIABLES, Layout, Variable, variable

N = 64


def make_layout(n_times=6, **changes):
    """A density on 64 points, a complex observer, a vector observer, constant weights."""
    options = {
        "variables": (*RUN_VARIABLES, variable("mass"), variable("density", "x"), Variable("weights", ("particle",))),
        "coordinates": {"x": np.arange(N) / N, "particle": 5},
        "attributes": {"title": "heat", "parameters": {"m": 3, "grid": {"n": N}}, "seed": 7},
        "n_times": n_times,
        "constants": {"weights": np.full(5, 0.2)},
        "restart_capacity": 8192,
    }
    layout = Layout(**(options | changes))
    return layout.with_observer("front", (2,)).with_observer("mode", (), dtype=np.complex128)


def make_values(index, layout=None):
    """Values that are all multiples of index + 1, so that rows of different saves cannot be mixed up unseen."""
    items = (layout or make_layout()).variables
    values = {item.name: float(index + 1) for item in items if item.along_time}
    values["density"] = (index + 1) * np.ones(N)
    return values | {"front": np.array([1.0, 2.0]) * (index + 1), "mode": (1 - 2j) * (index + 1)}


def make_restart(index):
    """A state, and a generator's state as text."""
    return {
        "state": (index + 1) * np.arange(40.0),
        "generator": np.array(f"generator {index}"),
        "step": np.int64(index),
    }


@pytest.fixture
def run():
    return SimpleNamespace(layout=make_layout, values=make_values, restart=make_restart, n=N)


@pytest.fixture
def record():
    """Save the first `count` times of a run, restart records included."""

    def record(recorder, count, start=0):
        for index in range(start, count):
            recorder.save(index, 0.1 * index, make_values(index), make_restart(index))
        return recorder

    return record


@pytest.fixture
def message():
    """The message of an error: one line with rule, value received and remedy."""

    def message(info):
        text = str(info.value)
        assert re.fullmatch(r"[^\n]+ \(got [^\n]+\); [^\n]+", text), text
        return text

    return message
