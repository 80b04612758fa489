"""Residual networks several claims share: data, starts, flows, and how far two states of a run are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.energies import Risk
from meanfield.flow import GradientFlow
from meanfield.geometries import ConditionalWasserstein
from meanfield.measures import LayeredMeasure
from meanfield.models import ResNet, tanh

Parameters = Mapping[str, Any]
GEOMETRY = ConditionalWasserstein()


@dataclass(frozen=True, eq=False)
class Training:
    """A tanh network and its data ``y = x + δ z``, x and z standard normal: training from u = 0 must move each x_i."""

    network: ResNet
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, p: Parameters, rng: np.random.Generator, displacement: float) -> Training:
        """``samples`` points in dimension ``dim``; one generator gives one x and z, whatever the displacement."""
        shape = int(p["samples"]), int(p["dim"])
        x, z = rng.standard_normal(shape), rng.standard_normal(shape)
        return cls(ResNet(shape[1], tanh), x, x + displacement * z)

    @property
    def flow(self) -> GradientFlow:
        """The gradient flow of the risk in the conditional geometry."""
        return GradientFlow(Risk(self.network, self.x, self.y), GEOMETRY)

    def predict(self, mu: LayeredMeasure) -> np.ndarray:
        """Outputs on the data."""
        return self.network.predict(mu, self.x)

    def risk(self, mu: LayeredMeasure) -> float:
        """The risk."""
        return self.network.risk(mu, self.x, self.y)

    def squared_slope(self, mu: LayeredMeasure) -> float:
        """``|G|²``."""
        return GEOMETRY.squared_norm(mu, self.network.gradient(mu, self.x, self.y))


def neurons(p: Parameters, rng: np.random.Generator, *, layers: float, width: float, u: float = 0.0) -> LayeredMeasure:
    """Independent particles: ``(w, b) ~ N(0, spread² I)``, ``u ~ N(0, u² I)``."""
    dim = int(p["dim"])
    positions = rng.standard_normal((int(layers), int(width), 2 * dim + 1))
    positions[..., :dim] *= u
    positions[..., dim:] *= p["spread"]
    return LayeredMeasure(positions)


def moved(mu: LayeredMeasure, direction: np.ndarray, distance: float) -> LayeredMeasure:
    """Every particle moved along ``direction``, by ``distance`` in the labelled L² distance."""
    length = math.sqrt(float(np.square(direction).sum(axis=2).mean()))
    return LayeredMeasure(mu.positions + distance / length * direction, mu.weights)
