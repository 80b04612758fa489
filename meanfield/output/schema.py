"""Names, descriptions and shapes of everything a run's file holds; one `Layout` describes one file."""

from __future__ import annotations

import dataclasses
import json
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from meanfield import _check

SCHEMA_VERSION = "1.0"
READABLE_VERSIONS = (SCHEMA_VERSION,)

# Dimensions
TIME, X, Y, Z = "time", "x", "y", "z"
LAYER, INTERFACE, PARTICLE, PARAMETER = "layer", "interface", "particle", "parameter"
COMPONENT, FEATURE, SAMPLE, SEED = "component", "feature", "sample", "seed"

# Variables along time for every run
ENERGY, DISSIPATION, SQUARED_SPEED = "energy", "dissipation", "squared_speed"
BALANCE_DEFECT, BALANCE_DEFECT_VELOCITY = "balance_defect", "balance_defect_velocity"
PATH_LENGTH, STEP_SIZE, WALL_TIME = "path_length", "step_size", "wall_time"
MASS = "mass"  # only where the state has one

# State variables
DENSITY, POSITIONS, WEIGHTS, CONTROL = "density", "positions", "weights", "control"

# What the training of a neural ODE on densities records
RISK, LOJASIEWICZ_SLOPE = "risk", "lojasiewicz_slope"
CONTROL_NORM, CONTROL_SPEED = "control_norm", "control_speed"
LEAST_DENSITY, GREATEST_DENSITY = "least_density", "greatest_density"
LEAST_JACOBIAN, GREATEST_JACOBIAN = "least_jacobian", "greatest_jacobian"

DESCRIPTIONS: dict[str, dict[str, Any]] = {
    TIME: {"long_name": "time t of the gradient flow", "units": "1"},
    X: {"long_name": "first coordinate on the unit torus", "units": "1"},
    Y: {"long_name": "second coordinate on the unit torus", "units": "1"},
    Z: {"long_name": "third coordinate on the unit torus", "units": "1"},
    LAYER: {"long_name": "layer of the depth discretisation", "units": "1"},
    INTERFACE: {"long_name": "interface between layers, both ends included", "units": "1"},
    PARTICLE: {"long_name": "index of the particle", "units": "1"},
    PARAMETER: {"long_name": "index inside a particle's packed parameters", "units": "1"},
    COMPONENT: {"long_name": "component of a vector", "units": "1"},
    FEATURE: {"long_name": "index of the feature or centre", "units": "1"},
    SAMPLE: {"long_name": "index of the data sample", "units": "1"},
    SEED: {"long_name": "seed of the random generator", "units": "1"},
    ENERGY: {"long_name": "energy E(mu_t)", "units": "1"},
    DISSIPATION: {"long_name": "squared metric slope |dE|^2 at mu_t", "units": "1"},
    SQUARED_SPEED: {"long_name": "squared metric speed |mu'_t|^2", "units": "1"},
    BALANCE_DEFECT: {
        "long_name": "energy balance E(mu_0) - E(mu_t) - 1/2 int |mu'|^2 - 1/2 int |dE|^2, speed by a distance",
        "units": "1",
    },
    BALANCE_DEFECT_VELOCITY: {"long_name": "the same balance, speed by the norm of the velocity", "units": "1"},
    PATH_LENGTH: {"long_name": "length of the path, int |mu'| dt", "units": "1"},
    STEP_SIZE: {"long_name": "last time step before the save", "units": "1"},
    WALL_TIME: {"long_name": "wall-clock time since the start of the run", "units": "s", "volatile": 1},
    MASS: {"long_name": "total mass", "units": "1"},
    DENSITY: {"long_name": "density rho_t with respect to Lebesgue measure", "units": "1"},
    POSITIONS: {"long_name": "positions of the particles", "units": "1"},
    WEIGHTS: {"long_name": "weights of the particles", "units": "1"},
    CONTROL: {"long_name": "control v(s, .) on the layers", "units": "1"},
    RISK: {"long_name": "risk, without the penalty", "units": "1"},
    CONTROL_NORM: {"long_name": "norm of the control in L2([0, 1], V)", "units": "1"},
    CONTROL_SPEED: {"long_name": "norm of the control in V on each layer", "units": "1"},
    LEAST_DENSITY: {"long_name": "least value of the density at s = 1", "units": "1"},
    GREATEST_DENSITY: {"long_name": "greatest value of the density at s = 1", "units": "1"},
    LEAST_JACOBIAN: {"long_name": "least det DPhi of the flow map", "units": "1"},
    GREATEST_JACOBIAN: {"long_name": "greatest det DPhi of the flow map", "units": "1"},
    LOJASIEWICZ_SLOPE: {"long_name": "d log |dE|^2 / d log E since the last save", "units": "1"},
}

ATTRIBUTES = (
    "schema_version", "title", "equation", "parameters", "ladder", "seed", "versions", "transforms", "machine",
    "status", "status_message", "references",
)  # fmt: skip
RUNNING = "running"  # the status between the first save and the end of the run
FINISHED = "finished"  # the status of a run that reached its end: it needs no restart record any more

_RESERVED = (TIME, "restart")


@dataclass(frozen=True)
class Variable:
    """One array of the file: name, named dimensions (time first, if at all), type and attributes.

    Parameters
    ----------
    name : str — a Python identifier
    dims : tuple of str — names of the dimensions, in order
    dtype : float64 or complex128
    attrs : mapping — `long_name`, `units` and, for what a repetition of the run does not reproduce, `volatile` = 1
    """

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float64))
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dims", tuple(self.dims))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        object.__setattr__(self, "attrs", dict(self.attrs))
        if not self.name.isidentifier() or self.name in _RESERVED:
            raise _check.fail(f"variable name must be an identifier outside {_RESERVED}", repr(self.name), "rename it")
        if len(set(self.dims)) < len(self.dims) or TIME in self.dims[1:]:
            raise _check.fail(
                f"dimensions of {self.name} must be distinct, time first", repr(self.dims), "rename or reorder them"
            )
        if self.dtype not in (np.dtype(np.float64), np.dtype(np.complex128)):
            raise _check.fail(f"dtype of {self.name} must be float64 or complex128", str(self.dtype), "convert it")

    @property
    def along_time(self) -> bool:
        """Whether the variable has one entry a save (otherwise it is constant)."""
        return self.dims[:1] == (TIME,)


def variable(name: str, *dims: str, dtype: Any = np.float64) -> Variable:
    """The variable of a known name along time and `dims`, with its `long_name` and `units`.

    Examples
    --------
    >>> variable(DENSITY, X, Y).dims
    ('time', 'x', 'y')
    """
    if name not in DESCRIPTIONS:
        raise _check.fail("variable must be described in the schema", repr(name), "use Layout.with_observer")
    return Variable(name, (TIME, *dims), np.dtype(dtype), DESCRIPTIONS[name])


def constant(name: str, *dims: str) -> Variable:
    """The variable of a known name that is saved once, with its `long_name` and `units`."""
    return dataclasses.replace(variable(name, *dims), dims=dims)


RUN_VARIABLES = tuple(
    variable(name)
    for name in (
        ENERGY, DISSIPATION, SQUARED_SPEED, BALANCE_DEFECT, BALANCE_DEFECT_VELOCITY, PATH_LENGTH, STEP_SIZE, WALL_TIME,
    )
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Layout:
    """The shape of one run's output, in memory or in a file.

    Parameters
    ----------
    variables : tuple of Variable — each dimension but `time` needs a coordinate
    coordinates : mapping — dimension to its points, (n,) real, or to its length n, for the points 0, ..., n - 1
    attributes : mapping — values are str, int, float, or a mapping or list, stored as JSON; those of `ATTRIBUTES`
        that are missing are empty, and `status` is "running" until the recorder's `finish`
    n_times : int — number of saves planned; a recorder cuts what is left when a run stops early
    constants : mapping — name to array, for the variables without `time`
    restart_capacity : int — bytes set apart for each of the two restart records, 0 for none; see
        `restart_capacity`. A record that outgrows it costs one rewrite of the file.

    Raises
    ------
    ValueError, TypeError — for a name used twice, an unknown dimension, a shape that does not fit, an attribute
    that HDF5 does not hold.

    Examples
    --------
    >>> layout = Layout((*RUN_VARIABLES, variable(DENSITY, X)), {X: np.arange(4) / 4}, {"title": "heat"}, 3)
    >>> layout.shape(layout.variables[-1])
    (3, 4)
    >>> layout.with_observer("front", (2,)).variables[-1].dims
    ('time', 'front_axis0')
    """

    variables: tuple[Variable, ...]
    coordinates: Mapping[str, Any]
    attributes: Mapping[str, Any]
    n_times: int
    constants: Mapping[str, Any] = field(default_factory=dict)
    restart_capacity: int = 0

    def __post_init__(self) -> None:
        n_times = _check.integer("n_times", self.n_times, "pass the number of saves", at_least=0)
        capacity = _check.integer("restart_capacity", self.restart_capacity, "pass a number of bytes", at_least=0)
        base: dict[str, Any] = dict.fromkeys(ATTRIBUTES, "") | {"status": RUNNING}
        given = {name: _attribute(name, value) for name, value in self.attributes.items()}
        object.__setattr__(self, "variables", tuple(self.variables))
        object.__setattr__(self, "coordinates", {k: _coordinate(k, v) for k, v in self.coordinates.items()})
        object.__setattr__(self, "attributes", base | given | {"schema_version": SCHEMA_VERSION})
        object.__setattr__(self, "n_times", n_times)
        object.__setattr__(self, "restart_capacity", capacity)
        names = [TIME, *self.coordinates, *(v.name for v in self.variables)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise _check.fail("names of variables and coordinates must be distinct", ", ".join(twice), "rename them")
        for item in self.variables:
            unknown = [dim for dim in item.dims if dim not in self.sizes]
            if unknown:
                raise _check.fail(
                    f"each dimension of {item.name} must have a coordinate",
                    ", ".join(unknown),
                    "add its points or length",
                )
        object.__setattr__(self, "constants", self._checked_constants())

    def __repr__(self) -> str:
        names = ", ".join(item.name for item in self.variables)
        return f"Layout(variables=({names}), sizes={self.sizes}, restart_capacity={self.restart_capacity})"

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each dimension."""
        return {TIME: self.n_times} | {name: len(points) for name, points in self.coordinates.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays and of the restart records, metadata apart."""
        arrays = sum(int(np.prod(self.shape(item))) * item.dtype.itemsize for item in self.variables)
        return arrays + 8 * sum(self.sizes.values()) + 2 * self.restart_capacity

    def shape(self, item: Variable) -> tuple[int, ...]:
        """Shape of a variable, `time` included."""
        return tuple(self.sizes[dim] for dim in item.dims)

    def with_observer(self, name: str, shape: tuple[int, ...] = (), *, dtype: Any = np.float64) -> Layout:
        """The layout with one more variable along time, of the given shape at each save."""
        dims = tuple(f"{name}_axis{axis}" for axis in range(len(shape)))
        added = Variable(name, (TIME, *dims), np.dtype(dtype), {"long_name": f"observer {name}", "units": "1"})
        coordinates = dict(self.coordinates) | dict(zip(dims, shape))
        return dataclasses.replace(self, variables=(*self.variables, added), coordinates=coordinates)

    def _checked_constants(self) -> dict[str, np.ndarray]:
        expected = {item.name: item for item in self.variables if not item.along_time}
        if set(expected) != set(self.constants):
            raise _check.fail(
                f"constants must hold the variables without time, {sorted(expected)}",
                str(sorted(self.constants)),
                "add or remove them",
            )
        result = {}
        for name, item in expected.items():
            values = np.array(self.constants[name], dtype=item.dtype, order="C")
            if values.shape != self.shape(item):
                raise _check.fail(f"{name} must have shape {self.shape(item)}", f"shape {values.shape}", "reshape it")
            values.setflags(write=False)
            result[name] = values
        return result


def coordinate_attributes(dim: str) -> dict[str, Any]:
    """Attributes of the coordinate along a dimension, observers' dimensions included."""
    return dict(DESCRIPTIONS.get(dim, {"long_name": f"index along {dim}", "units": "1"}))


def _coordinate(name: str, value: Any) -> np.ndarray:
    """Points of a coordinate as a read-only float64 or int64 vector; a length n stands for 0, ..., n - 1."""
    points = np.arange(int(value)) if isinstance(value, numbers.Integral) else np.array(value, order="C")
    if points.ndim != 1 or points.dtype.kind not in "iuf":
        got = f"shape {points.shape}, dtype {points.dtype}"
        raise _check.fail(
            f"coordinate {name} must be a real vector or a length", got, "pass its points or their number"
        )
    points = points.astype(np.float64 if points.dtype.kind == "f" else np.int64)
    points.setflags(write=False)
    return points


def _attribute(name: str, value: Any) -> str | int | float:
    """An attribute as HDF5 holds it: text, int or float; mappings and lists become JSON with sorted keys."""
    if isinstance(value, Mapping | list | tuple):
        try:
            value = json.dumps(value, sort_keys=True)
        except TypeError as error:
            raise TypeError(f"attribute {name} must be JSON (got {error}); convert its values") from error
    if isinstance(value, str) and "\0" not in value:
        return str.__str__(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"attribute {name} must be text or a number (got {type(value).__name__} {value!r}); convert it")
