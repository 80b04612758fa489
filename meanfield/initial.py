"""Measures of neurons to start training from, drawn from a generator; all neurons have the same weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .measures import LayeredMeasure, ParticleMeasure
from .models import ResNet, TwoLayer


def gaussian(network: TwoLayer, number: int, rng: np.random.Generator, *, scale: float = 1.0) -> ParticleMeasure:
    """Independent neurons with ``a ~ N(0, 1)`` and ``w, b ~ N(0, scale²)`` entry by entry.

    Parameters
    ----------
    network : TwoLayer
    number : int — m
    rng : numpy.random.Generator
    scale : float — standard deviation of the inner weights and biases, > 0

    Returns
    -------
    ParticleMeasure — (m, p), packed (a, w[, b])

    Raises
    ------
    ValueError, TypeError
        For no neurons, another model, something else than a generator, a scale that is not positive.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.initial.gaussian(mf.TwoLayer(3, mf.tanh, bias=True), 100, np.random.default_rng(0))
    ParticleMeasure(number=100, dim=5)
    """
    neurons = _normal((_number(network, number), network.parameters), rng)
    neurons[:, 1:] *= _scale(scale)
    return ParticleMeasure(neurons)


def sphere(network: TwoLayer, number: int, rng: np.random.Generator) -> ParticleMeasure:
    """Independent neurons with a = ±1, each as likely, w uniform on the unit sphere of R^d, and b = 0 if there is one.

    ``|a| = |w|``: for relu the balance ``a² − |w|²`` is zero at the start, hence for ever, and no ``a`` changes sign.
    Parameters and errors are those of :func:`gaussian`.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mu = mf.initial.sphere(mf.TwoLayer(3, mf.relu), 100, np.random.default_rng(0))
    >>> np.allclose(np.linalg.norm(mu.positions[:, 1:], axis=1), 1, rtol=1e-15), np.unique(mu.positions[:, 0])
    (True, array([-1.,  1.]))
    """
    neurons = np.zeros((_number(network, number), network.parameters))
    directions = _normal((number, network.dim), rng)
    neurons[:, 1 : network.dim + 1] = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    neurons[:, 0] = rng.choice([-1.0, 1.0], number)
    return ParticleMeasure(neurons)


def antisymmetric(mu: ParticleMeasure) -> ParticleMeasure:
    """Every neuron (a, w[, b]) beside its mirror image (−a, w[, b]), with half its weight each: ``h ≡ 0``.

    Parameters
    ----------
    mu : ParticleMeasure — neurons of a two-layer network, (m, p)

    Returns
    -------
    ParticleMeasure — (2m, p), the images after the neurons

    Raises
    ------
    TypeError
        For something else than neurons in R^p.

    References
    ----------
    Chizat, Oyallon and Bach (2019), NeurIPS, Section 3.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.initial.antisymmetric(mf.ParticleMeasure([[1.0, 2.0], [3.0, 4.0]])).positions[:, 0]
    array([ 1.,  3., -1., -3.])
    """
    if not isinstance(mu, ParticleMeasure) or mu.torus is not None:
        kind = type(mu).__name__ + (" on a torus" if isinstance(mu, ParticleMeasure) else "")
        raise TypeError(f"mu must be a ParticleMeasure on R^p (got {kind}); pass neurons (a, w) as rows")
    images = mu.positions.copy()
    images[:, 0] *= -1.0
    return ParticleMeasure(np.concatenate([mu.positions, images]), np.tile(mu.weights, 2) / 2)


def gaussian_layers(
    network: ResNet, depth: int, width: int, rng: np.random.Generator, *, scale: float = 1.0, same_layers: bool = False
) -> LayeredMeasure:
    """Independent neurons with ``u ~ N(0, I)`` and ``(w, b) ~ N(0, scale² I)`` in every layer.

    Parameters
    ----------
    network : ResNet
    depth, width : int — L and m
    rng : numpy.random.Generator
    scale : float — standard deviation of the inner weights and biases, > 0
    same_layers : bool — draw m neurons once and put them in every layer: then runs of different L start from the same
        measure, and differ by their depth alone

    Returns
    -------
    LayeredMeasure — (L, m, p), packed (u, w, b)

    Raises
    ------
    ValueError, TypeError
        For no layers or no neurons, another model, something else than a generator, a scale that is not positive.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> network, rng = mf.ResNet(2, mf.tanh), np.random.default_rng(0)
    >>> mf.initial.gaussian_layers(network, 8, 64, rng, same_layers=True)
    LayeredMeasure(depth=8, width=64, parameters=5)
    """
    if not isinstance(network, ResNet):
        raise TypeError(f"network must be a ResNet (got {type(network).__name__}); for a TwoLayer use initial.gaussian")
    depth = _check.integer("depth", depth, "pass the number of layers", at_least=1)
    width = _check.integer("width", width, "pass the number of neurons a layer", at_least=1)
    if not isinstance(same_layers, bool):
        raise TypeError(f"same_layers must be True or False (got {same_layers!r}); pass same_layers=True")
    neurons = _normal((1 if same_layers else depth, width, network.parameters), rng)
    neurons[:, :, network.dim :] *= _scale(scale)
    return LayeredMeasure(np.broadcast_to(neurons, (depth, *neurons.shape[1:])))


def zero_output(
    network: ResNet, depth: int, width: int, rng: np.random.Generator, *, scale: float = 1.0, same_layers: bool = False
) -> LayeredMeasure:
    """Neurons with u = 0, hence the identity map, and ``(w, b) ~ N(0, scale² I)``, those of :func:`gaussian_layers`.

    Parameters and errors are those of :func:`gaussian_layers`.

    References
    ----------
    Barboni, Peyré and Vialard (2024), arXiv:2403.12887.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> network = mf.ResNet(2, mf.tanh)
    >>> network.predict(mf.initial.zero_output(network, 8, 64, np.random.default_rng(0)), [[3.0, 4.0]])
    array([[3., 4.]])
    """
    drawn = gaussian_layers(network, depth, width, rng, scale=scale, same_layers=same_layers)
    neurons = drawn.positions.copy()
    neurons[:, :, : network.dim] = 0.0
    return LayeredMeasure(neurons)


def _number(network: Any, number: Any) -> int:
    if not isinstance(network, TwoLayer):
        raise TypeError(
            f"network must be a TwoLayer (got {type(network).__name__}); for a ResNet use initial.gaussian_layers"
        )
    return _check.integer("number", number, "pass the number of neurons", at_least=1)


def _scale(scale: Any) -> float:
    return _check.positive("scale", scale, "pass the standard deviation of the inner weights")


def _normal(shape: tuple[int, ...], rng: Any) -> np.ndarray:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a Generator (got {type(rng).__name__}); pass numpy.random.default_rng(seed)")
    return rng.standard_normal(shape)
