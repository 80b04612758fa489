"""Stochastic gradient descent on particles: explicit Euler along the gradient of a batch of the data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import _check
from ..status import Refusal, Status
from ..tableaus import euler
from . import _euclidean, _fourier
from .base import StepInfo, even_step
from .samplers import Sampler, WithReplacement

GROWN = 1e6  # times the largest parameter of the start (or 1): a descent that got so far has diverged


@dataclass(frozen=True)
class SampledMemory:
    """The velocity that the current batch gives, and where in the stream of batches the descent is.

    Parameters
    ----------
    state : the state the velocity belongs to
    rate : array — its velocity on the batch ``block[position]``
    block : (k, batch) int — batches drawn at once
    position : int — the current one
    drawn_from, continues_at : mapping — states of the generator before and after the block was drawn
    limit : float — greatest parameter not yet called a divergence
    system : System — the vector field; holds no history
    """

    state: Any
    rate: np.ndarray
    block: np.ndarray
    position: int
    drawn_from: Mapping[str, Any]
    continues_at: Mapping[str, Any]
    limit: float
    system: Any


@dataclass(frozen=True)
class StochasticDescent:
    r"""Stochastic gradient descent: in every step the mean over the data is replaced by that over a batch B_k.

    .. math:: θ_j^{k+1} = θ_j^k - η ∇\frac{δE_{B_k}}{δμ}(μ_k)(θ_j^k), \qquad t = ηk.

    In expectation a step of explicit Euler; over a fixed time the deviation from the flow is of order ``η^{1/2}``. The
    time of a run is ``η`` times the number of steps. Give the generator to ``solve(…, rng=…)`` or ``iterate``.

    Parameters
    ----------
    dt : float — η, the learning rate in mean-field scaling (of the order of 1, whatever the width)
    sampler : Sampler — ``WithReplacement(batch)`` or ``Epochs(batch)``

    Raises
    ------
    ValueError, TypeError
        From ``init``: without a generator, for an energy that is no mean over data, a batch larger than the data, or a
        step above ``2/Λ``, Λ the estimated greatest curvature of the full energy.

    Notes
    -----
    Cost: one gradient of a batch a step; none is taken of the full energy but at saves. Exempt from the energy
    balance: its defects are recorded as NaN. A descent ends with a status where parameters grow ``1e6``-fold or a
    batch's gradient is not finite. The restart record holds the generator's state: resumed runs have the same bits.

    References
    ----------
    Mei, Montanari & Nguyen 2018, PNAS 115, eq. (4): one-sample descent and its mean-field limit.
    """

    dt: float
    sampler: Sampler = field(default=WithReplacement())

    stochastic = True  # not a field: what tells this stepper from those that need no generator

    def __post_init__(self) -> None:
        _check.positive("dt", self.dt, "pass the learning rate, as 0.1")
        if not callable(getattr(self.sampler, "block", None)):
            raise TypeError(
                f"sampler must be a Sampler (got {type(self.sampler).__name__}); pass mf.steppers.Epochs(batch)"
            )

    @property
    def order(self) -> int:
        """Order in expectation."""
        return 1

    def init(self, flow: Any, state: Any, rng: np.random.Generator | None = None) -> SampledMemory:
        """Memory at a fresh state; the generator given is not advanced."""
        if not isinstance(rng, np.random.Generator):
            got = "none" if rng is None else type(rng).__name__
            raise TypeError(
                f"stochastic descent needs a numpy Generator (got {got}); pass rng=np.random.default_rng(seed)"
            )
        if flow.energy.samples == 0:
            raise _check.fail(
                "stochastic descent needs an energy that is a mean over data",
                str(flow.energy),
                "pass mf.Risk(model, x, y)",
            )
        start = _euclidean.begin(flow, state)
        _fourier.require_below(start.bound(euler), self.dt, "stochastic descent")
        limit = GROWN * max(1.0, float(np.abs(start.vector).max()))
        return self._draw(flow, state, rng.bit_generator.state, limit, start.system)

    def step(
        self, flow: Any, t: float, state: Any, memory: SampledMemory, until: float = math.inf
    ) -> tuple[Any, SampledMemory, StepInfo]:
        """One step, never past ``until``."""
        if memory.state is not state:
            memory = self._at(flow, state, memory, memory.position)
        h, last = even_step(t, until, self.dt)
        with np.errstate(over="ignore"):
            vector = memory.system.vector(state) + h * memory.rate
        largest = float(np.abs(vector).max())
        if not largest <= memory.limit:
            detail = f"a parameter has grown to {largest:.3g}; take a smaller step than {self.dt:g}"
            return state, memory, StepInfo(t, 0.0, status=Status.UNSTABLE, detail=detail)
        try:
            after = self._at(flow, memory.system.state(vector), memory, memory.position + 1)
        except Refusal as refusal:
            return state, memory, StepInfo(t, 0.0, status=refusal.status, detail=str(refusal))
        return after.state, after, StepInfo(until if last else t + h, h)

    def pack(self, memory: SampledMemory) -> dict[str, np.ndarray]:
        """The generator's state before the block, the place in it, and the limit."""
        text = json.dumps(memory.drawn_from, default=lambda array: array.tolist())
        return {
            "generator": np.frombuffer(text.encode(), dtype=np.uint8),
            "scalars": np.array([float(memory.position), memory.limit]),
        }

    def unpack(self, flow: Any, state: Any, packed: dict[str, np.ndarray]) -> SampledMemory:
        """The memory a record was packed from; ``state`` is the saved state."""
        drawn_from = json.loads(bytes(packed["generator"]).decode())
        position, limit = packed["scalars"]
        return self._draw(flow, state, drawn_from, float(limit), flow.rate(state), int(position))

    def _draw(
        self, flow: Any, state: Any, drawn_from: Mapping[str, Any], limit: float, system: Any, position: int = 0
    ) -> SampledMemory:
        """Memory at a state with a new block of batches."""
        rng = _generator(drawn_from)
        block = self.sampler.block(rng, flow.energy.samples)
        rate = _velocity(flow, state, block[position])
        return SampledMemory(state, rate, block, position, drawn_from, rng.bit_generator.state, limit, system)

    def _at(self, flow: Any, state: Any, memory: SampledMemory, position: int) -> SampledMemory:
        """Memory at another state, with the batch at a position that may lie in the next block."""
        if position == len(memory.block):
            return self._draw(flow, state, memory.continues_at, memory.limit, memory.system)
        return replace(memory, state=state, rate=_velocity(flow, state, memory.block[position]), position=position)


def _velocity(flow: Any, state: Any, batch: np.ndarray) -> np.ndarray:
    """The velocity that a batch gives."""
    with np.errstate(over="ignore", invalid="ignore"):
        velocity = flow.geometry.velocity(state, flow.energy.differential_on(state, batch))
    if not np.isfinite(velocity).all():
        raise Refusal(Status.NOT_FINITE, "the gradient of a batch is not finite")
    return velocity


def _generator(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator in the state that ``rng.bit_generator.state`` described."""
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)
