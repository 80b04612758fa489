"""What a run records: balance, observers and state at a save, the restart record, and the layout of the output."""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np

from . import output
from .balance import Balance
from .flow import GradientFlow
from .measures import TorusDensity
from .output import Layout
from .steppers import Stepper
from .transforms import transforms

AXES = ("x", "y", "z")


class Record:
    """What a save holds: balance, observers and state, and the restart record that continues from it."""

    def __init__(self, flow: GradientFlow, stepper: Stepper, observers: dict[str, Callable], state: Any) -> None:
        self.flow, self.stepper, self.observers = flow, stepper, observers
        self.balance = Balance(flow, slope_of(flow, stepper), 0.0, state)
        self.saved_at, self.steps = 0.0, 0
        self._elapsed, self._start = 0.0, clock.perf_counter()

    def step(self, t: float, state: TorusDensity) -> None:
        """Account for a step."""
        self.steps += 1
        self.balance.step(t, state)

    def values(self, t: float, state: TorusDensity, dt: float) -> dict[str, Any]:
        """All variables along time at a save."""
        self.saved_at = t
        observed = {name: np.asarray(f(t, state)) for name, f in self.observers.items()}
        wall = self._elapsed + clock.perf_counter() - self._start
        return {
            **self.balance.save(t, state), **observed,
            "step_size": dt, "wall_time": wall, "mass": state.mass, "density": state.values,
        }  # fmt: skip

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


def density_layout(flow, state, stepper, times, first, observers, attributes) -> Layout:
    """The output layout of a density's run."""
    axes = AXES[: state.torus.dim]
    points = np.arange(state.torus.n) / state.torus.n
    field = flow.energy.potential(state.torus)  # targets and potentials of one name differ here
    parameters = {
        "flow": repr(flow), "stepper": repr(stepper), "torus": repr(state.torus), "t_end": float(times[-1]),
        "save_at": [float(t) for t in times], "observe": sorted(observers),
        "initial_density_sha256": hashlib.sha256(state.values.tobytes()).hexdigest(),
        "potential_sha256": "" if field is None else hashlib.sha256(field.tobytes()).hexdigest(),
    }  # fmt: skip
    given = {"title": f"gradient flow of {flow.energy}", "equation": flow.equation, "parameters": parameters,
             "transforms": transforms.description, **output.collect(), **attributes}  # fmt: skip
    variables = (*output.RUN_VARIABLES, output.variable("mass"), output.variable("density", *axes))
    layout = Layout(variables, dict.fromkeys(axes, points), given, len(times))
    for name in observers:
        value = np.asarray(first[name])
        if value.dtype.kind not in "biufc":
            raise TypeError(f"observer {name} must return numbers (got {value.dtype}); convert its result")
        dtype = np.complex128 if value.dtype.kind == "c" else np.float64
        layout = layout.with_observer(name, value.shape, dtype=dtype)
    return layout
