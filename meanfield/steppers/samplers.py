"""Samplers: which data a step of stochastic descent looks at, drawn in blocks from an explicit generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .. import _check

BLOCK = 1024  # batches drawn at once: a generator is set up once for so many steps


class Sampler(Protocol):
    """A law of batches. The generator's state lies in the stepper's memory, and so in the restart record."""

    def block(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """The next batches of indices below ``samples``, (k, batch)."""


@dataclass(frozen=True)
class WithReplacement:
    """Every batch drawn uniformly from all data: unbiased, independent from step to step.

    Parameters
    ----------
    batch : int — samples a step; 1 is one-sample descent
    """

    batch: int = 1

    def __post_init__(self) -> None:
        _check.integer("batch", self.batch, "pass the number of samples a step", at_least=1)

    def block(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """``BLOCK`` batches."""
        return rng.integers(samples, size=(BLOCK, self.batch))


@dataclass(frozen=True)
class Epochs:
    """The data in a random order, cut into batches, again and again; what is left over at the end waits its turn.

    Parameters
    ----------
    batch : int — samples a step, at most the number of data
    """

    batch: int = 1

    def __post_init__(self) -> None:
        _check.integer("batch", self.batch, "pass the number of samples a step", at_least=1)

    def block(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """One epoch: ``⌊samples/batch⌋`` batches without a repetition."""
        if self.batch > samples:
            raise _check.fail("a batch must not exceed the data", f"{self.batch} of {samples}", "take a smaller batch")
        return rng.permutation(samples)[: samples - samples % self.batch].reshape(-1, self.batch)
