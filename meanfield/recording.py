"""What a run records: balance, observers and state at a save, the restart record, and the layout of the output."""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np

from . import output
from .balance import Balance
from .energies import Risk
from .flow import GradientFlow, is_stochastic
from .measures import Control, LayeredMeasure, ParticleMeasure, TorusDensity
from .output import Layout
from .steppers import Stepper
from .transforms import transforms

AXES = ("x", "y", "z")


class Record:
    """What a save holds: balance, observers and state, and the restart record that continues from it."""

    def __init__(self, flow: GradientFlow, stepper: Stepper, observers: dict[str, Callable], state: Any) -> None:
        self.flow, self.stepper, self.observers = flow, stepper, observers
        self.balance = Balance(flow, slope_of(flow, stepper), 0.0, state, exempt=is_stochastic(stepper))
        self.saved_at, self.steps = 0.0, 0
        self._elapsed, self._start = 0.0, clock.perf_counter()

    def step(self, t: float, state: Any) -> None:
        """Account for a step."""
        self.steps += 1
        self.balance.step(t, state)

    def values(self, t: float, state: Any, dt: float) -> dict[str, Any]:
        """All variables along time at a save."""
        self.saved_at = t
        observed = {name: np.asarray(f(t, state)) for name, f in self.observers.items()}
        wall = self._elapsed + clock.perf_counter() - self._start
        with np.errstate(over="ignore", invalid="ignore"):  # stochastic descent looks at all data here only
            balance = self.balance.save(t, state)
            recorded = {name: value for name, (_, value) in recorded_of(self.flow, state).items()}
        if not is_training(self.flow):
            del balance["lojasiewicz_slope"]
        return {**balance, **observed, **recorded, "step_size": dt, "wall_time": wall}

    def pack(self, memory: Any) -> dict[str, np.ndarray]:
        """The restart record at the last save."""
        parts = {"stepper": self.stepper.pack(memory), "balance": self.balance.pack()}
        wall = self._elapsed + clock.perf_counter() - self._start
        flat = {f"{part}.{key}": value for part, packed in parts.items() for key, value in packed.items()}
        return flat | {"wall": np.array(wall), "steps": np.array(self.steps)}

    def unpack(self, t: float, state: TorusDensity, packed: dict[str, np.ndarray]) -> Any:
        """Take up a restart record at its save; the stepper's memory."""
        parts: dict[str, dict[str, np.ndarray]] = {"stepper": {}, "balance": {}}
        for key, value in packed.items():
            part, _, name = key.partition(".")
            if name:
                parts[part][name] = value
        self._elapsed, self.saved_at, self.steps = float(packed["wall"]), t, int(packed["steps"])
        self.balance.unpack(t, state, parts["balance"])
        return self.stepper.unpack(self.flow, state, parts["stepper"])


def slope_of(flow: GradientFlow, stepper: Stepper) -> Callable[[Any], float]:
    """``|∂E|²`` in the stepper's own discretisation where it has one, else the flow's."""
    own = getattr(stepper, "dissipation", None)
    return flow.dissipation if own is None else lambda state: own(flow, state)


def recorded_of(flow: GradientFlow, state: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
    """What a save holds of the state itself: name -> (dimensions, value)."""
    own: dict[str, tuple[tuple[str, ...], Any]]
    if isinstance(state, TorusDensity):
        own = {"mass": ((), state.mass), "density": (AXES[: state.torus.dim], state.values)}
    elif isinstance(state, LayeredMeasure):
        own = {"positions": (("layer", "particle", "parameter"), state.positions)}
    elif isinstance(state, ParticleMeasure):
        own = {"positions": (("particle", _index(flow)), state.positions)}
    elif state.torus is not None:
        own = {"control": (("layer", "component", *AXES[: state.torus.dim]), state.values)}
    else:
        own = {"control": (("layer", "feature", "component"), state.values)}
    return own | flow.energy.observables(state)


def _index(flow: GradientFlow) -> str:
    """What the coordinates of a particle are: components of a point, or parameters of a model."""
    return "parameter" if is_training(flow) else "component"


def constants_of(state: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
    """What is saved once: the weights of particles."""
    if isinstance(state, LayeredMeasure):
        return {"weights": (("layer", "particle"), state.weights)}
    return {"weights": (("particle",), state.weights)} if isinstance(state, ParticleMeasure) else {}


def is_training(flow: GradientFlow) -> bool:
    """Whether a risk is part of the energy: such runs record how slope and energy scale."""
    return any(isinstance(atom, Risk) for atom in flow.energy.atoms())


def state_like(state: Any, values: dict[str, np.ndarray]) -> Any:
    """The state that a save holds, of the kind of another one."""
    if isinstance(state, TorusDensity):
        return TorusDensity(values["density"], state.torus)
    if isinstance(state, LayeredMeasure):
        return LayeredMeasure(values["positions"], state.weights)
    if isinstance(state, ParticleMeasure):
        return ParticleMeasure(values["positions"], state.weights, state.torus)
    return Control(values["control"], state.torus)


def array_of(state: Any) -> np.ndarray:
    """The array a state is made of."""
    return state.positions if isinstance(state, ParticleMeasure | LayeredMeasure) else state.values


def coordinates_of(flow: GradientFlow, state: Any) -> dict[str, Any]:
    """Coordinates of the dimensions of a state."""
    if isinstance(state, ParticleMeasure):
        return {"particle": state.number, _index(flow): state.dim}
    depth = {} if isinstance(state, TorusDensity) else {"layer": (np.arange(state.depth) + 0.5) / state.depth}
    if isinstance(state, LayeredMeasure):
        return depth | {"particle": state.width, "parameter": state.positions.shape[2]}
    torus = state.torus
    space = {} if torus is None else dict.fromkeys(AXES[: torus.dim], np.arange(torus.n) / torus.n)
    if isinstance(state, TorusDensity):
        return space
    inner = {"component": state.values.shape[1 if torus is not None else 2]}
    if torus is None:
        inner["feature"] = state.values.shape[1]
    return depth | {"interface": np.arange(state.depth + 1) / state.depth} | inner | space


def layout_of(flow, state, stepper, times, first, observers, attributes) -> Layout:
    """The output layout of a run."""
    digest = hashlib.sha256()
    for array in flow.energy.data(state):  # targets, samples and potentials of one name differ here
        digest.update(np.ascontiguousarray(array).tobytes())
    parameters = {
        "flow": repr(flow), "stepper": repr(stepper), "state": repr(state), "t_end": float(times[-1]),
        "save_at": [float(t) for t in times], "observe": sorted(observers),
        "initial_state_sha256": hashlib.sha256(array_of(state).tobytes()).hexdigest(),
        "data_sha256": digest.hexdigest(),
    }  # fmt: skip
    given = {"title": f"gradient flow of {flow.energy}", "equation": flow.equation, "parameters": parameters,
             "transforms": transforms.description, **output.collect(), **attributes}  # fmt: skip
    torus = getattr(state, "torus", None)
    if torus is not None:  # particles do not tell it by their coordinates
        given["torus"] = {"n": torus.n, "dim": torus.dim}
    slope = (output.variable("lojasiewicz_slope"),) if is_training(flow) else ()
    recorded = [output.variable(name, *dims) for name, (dims, _) in recorded_of(flow, state).items()]
    once = {name: (output.constant(name, *dims), value) for name, (dims, value) in constants_of(state).items()}
    variables = (*output.RUN_VARIABLES, *slope, *recorded, *(item for item, _ in once.values()))
    constants = {name: value for name, (_, value) in once.items()}
    layout = Layout(variables, coordinates_of(flow, state), given, len(times), constants)
    for name in observers:
        value = np.asarray(first[name])
        if value.dtype.kind not in "biufc":
            raise TypeError(f"observer {name} must return numbers (got {value.dtype}); convert its result")
        dtype = np.complex128 if value.dtype.kind == "c" else np.float64
        layout = layout.with_observer(name, value.shape, dtype=dtype)
    return layout
