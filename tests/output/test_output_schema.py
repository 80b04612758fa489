"""Layouts: names, shapes, attributes, refusals."""

import json

import numpy as np
import pytest

from meanfield.output import Layout, Variable, schema, variable


def test_every_described_name_has_a_long_name_and_units():
    names = [value for key, value in vars(schema).items() if key.isupper() and isinstance(value, str)]
    names = set(names) - {schema.SCHEMA_VERSION, schema.RUNNING, schema.FINISHED}
    assert names == set(schema.DESCRIPTIONS)
    assert all({"long_name", "units"} <= set(attrs) for attrs in schema.DESCRIPTIONS.values())
    assert [name for name, attrs in schema.DESCRIPTIONS.items() if attrs.get("volatile")] == ["wall_time"]
    # xarray turns "seconds" into a time span, some versions with a warning; "s" stays a number
    assert schema.DESCRIPTIONS["wall_time"]["units"] == "s"


def test_run_variables_are_those_of_every_run():
    assert [item.name for item in schema.RUN_VARIABLES] == [
        "energy", "dissipation", "squared_speed", "balance_defect", "balance_defect_velocity", "path_length",
        "step_size", "wall_time",
    ]  # fmt: skip
    assert all(item.dims == ("time",) for item in schema.RUN_VARIABLES)


def test_shapes_sizes_and_bytes(run):
    layout = run.layout(n_times=3)
    shapes = {item.name: layout.shape(item) for item in layout.variables}
    assert shapes["density"] == (3, 64)
    assert shapes["weights"] == (5,)
    assert shapes["front"] == (3, 2)
    assert layout.sizes == {"time": 3, "x": 64, "particle": 5, "front_axis0": 2}
    floats = 9 * 3 + 3 * 64 + 5 + 3 * 2 + 2 * 3 + (3 + 64 + 5 + 2)
    assert layout.nbytes == 8 * floats + 2 * 8192


def test_attributes_are_complete_and_plain(run):
    attributes = run.layout().attributes
    assert set(schema.ATTRIBUTES) == set(attributes)
    assert json.loads(attributes["parameters"]) == {"m": 3, "grid": {"n": 64}}
    assert (attributes["seed"], attributes["status"], attributes["ladder"]) == (7, "running", "")
    assert attributes["schema_version"] == schema.SCHEMA_VERSION


def test_arrays_are_copied_and_read_only():
    x, weights = np.arange(3) / 3, np.ones(3)
    layout = Layout((Variable("weights", ("x",)),), {"x": x}, {}, 1, {"weights": weights})
    x[0] = weights[0] = 9
    assert layout.coordinates["x"][0] == 0
    assert layout.constants["weights"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        layout.coordinates["x"][0] = 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda run: Variable("two words", ("time",)), ValueError, "identifier"),
        (lambda run: Variable("restart", ("time",)), ValueError, "identifier"),
        (lambda run: Variable("a", ("x", "time")), ValueError, "time first"),
        (lambda run: Variable("a", ("time", "x", "x")), ValueError, "distinct"),
        (lambda run: Variable("a", ("time",), np.float32), ValueError, "float32"),
        (lambda run: variable("energie"), ValueError, "'energie'"),
        (lambda run: run.layout(n_times=-1), ValueError, "n_times"),
        (lambda run: run.layout(restart_capacity=0.5), TypeError, "restart_capacity"),
        (lambda run: run.layout(coordinates={"x": 64}), ValueError, "particle"),
        (lambda run: run.layout(coordinates={"x": 64, "particle": "five"}), ValueError, "particle"),
        (lambda run: run.layout(constants={}), ValueError, "weights"),
        (lambda run: run.layout(constants={"weights": np.ones(4)}), ValueError, r"\(5,\)"),
        (lambda run: run.layout(attributes={"seed": None}), TypeError, "seed"),
        (lambda run: run.layout(attributes={"title": "a\0b"}), TypeError, "title"),
        (lambda run: run.layout(attributes={"parameters": {"f": print}}), TypeError, "parameters"),
        (lambda run: run.layout().with_observer("energy"), ValueError, "energy"),
    ],
)
def test_refusals(run, message, make, error, words):
    with pytest.raises(error, match=words) as info:
        make(run)
    message(info)
