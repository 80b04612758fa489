r"""A residual network at u = 0, where its states rest: the Gram matrix of the features gives the first slope.

At ``u = 0`` every state stays at its datum and every covector at ``p_i = ∂_hℓ`` (times Bᵀ where there is a readout B):
the gradient is ``G = N^{−1} Σ_i σ(w·x_i + b) p_i`` in u, and zero in (w, b).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _check
from ..measures import LayeredMeasure

if TYPE_CHECKING:
    from ..models import ResNet


def feature_gram(network: ResNet, mu: LayeredMeasure, x: np.ndarray) -> np.ndarray:
    r"""Gram matrices of the features of the data, one a layer.

    .. math:: K_{l,ij} = \int σ(w·x_i + b) σ(w·x_j + b) \, dμ(u, w, b | s_l).

    Parameters
    ----------
    network : ResNet
    mu : LayeredMeasure — (u, w, b), L layers
    x : (N, d_in) float — data; lifted where the network lifts

    Returns
    -------
    (L, N, N) float

    Raises
    ------
    ValueError, TypeError
        From the network, for a measure or data that do not fit.

    Examples
    --------
    >>> import meanfield as mf
    >>> mu = mf.LayeredMeasure([[[0.0, 1.0, 0.0], [0.0, 1.0, -1.0]]])
    >>> feature_gram(mf.ResNet(1, mf.relu), mu, [[1.0], [2.0]])
    array([[[0.5, 1. ],
            [1. , 2.5]]])
    """
    features = network.activation(preactivations(network, mu, x))
    return np.einsum("lm,lmi,lmj->lij", mu.weights, features, features)


def initial_dissipation(network: ResNet, mu: LayeredMeasure, x: np.ndarray, y: np.ndarray) -> float:
    r"""``|G|²`` of the square loss at u = 0, from the Gram matrix alone.

    .. math:: \int_0^1 \int |G|^2 \, dμ \, ds = \frac{1}{N^2} \sum_{ij} \bar K_{ij} ⟨p_i, p_j⟩, \qquad
              \bar K = \frac1L \sum_l K_l, \quad p_i = B^T (B x_i - y_i).

    Parameters
    ----------
    network, mu, x — as `feature_gram`; u = 0 in mu
    y : (N, d_out) float — labels

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If u is not 0, or from the network.

    Notes
    -----
    Equal to ``ConditionalWasserstein().squared_norm(mu, network.gradient(mu, x, y))`` to rounding (claim COT-3).

    Examples
    --------
    >>> import meanfield as mf
    >>> mu = mf.LayeredMeasure([[[0.0, 1.0, 0.0], [0.0, 1.0, -1.0]]])
    >>> initial_dissipation(mf.ResNet(1, mf.relu), mu, [[1.0], [2.0]], [[0.0], [0.0]])
    3.625
    """
    require_rest(network, mu)
    x, y = network.data(x, y)
    covector = network.predict(mu, x) - y
    if network.readout is not None:
        covector = covector @ network.readout
    gram = feature_gram(network, mu, x).mean(axis=0)
    return float(np.sum(gram * (covector @ covector.T))) / len(x) ** 2


def initial_rates(network: ResNet, mu: LayeredMeasure, x: np.ndarray) -> tuple[float, float]:
    r"""Bounds of ``−d(log Risk)/dt`` at u = 0, whatever the labels: ``2λ_min/N`` and ``2λ_max/N``.

    .. math:: \frac{2}{N} λ_{\min}(\bar K) s_{\min}(B^T)^2 ≤ \frac{|G|^2}{\mathrm{Risk}}
              ≤ \frac{2}{N} λ_{\max}(\bar K) s_{\max}(B^T)^2,

    λ the eigenvalues of the Gram matrix averaged over depth, s the singular values of the readout (1 without one).

    Parameters
    ----------
    network, mu, x — as `initial_dissipation`

    Returns
    -------
    least, largest : float

    Raises
    ------
    ValueError, TypeError
        If u is not 0, or from the network.

    Notes
    -----
    Both are attained: by labels whose residuals are eigenvectors. Square loss, mean over the data.

    Examples
    --------
    >>> import meanfield as mf
    >>> mu = mf.LayeredMeasure([[[0.0, 1.0, 0.0], [0.0, 1.0, -1.0]]])
    >>> [round(rate, 6) for rate in initial_rates(mf.ResNet(1, mf.relu), mu, [[1.0], [2.0]])]
    [0.085786, 2.914214]
    """
    require_rest(network, mu)
    gram = feature_gram(network, mu, x).mean(axis=0)
    eigenvalues, (least, largest) = np.linalg.eigvalsh(gram), readout_range(network)
    return (
        2 * max(float(eigenvalues[0]), 0.0) * least**2 / len(gram),
        2 * float(eigenvalues[-1]) * largest**2 / len(gram),
    )


def readout_range(network: ResNet) -> tuple[float, float]:
    """Least and largest stretch of a covector by Bᵀ: 1 and 1 without a readout; the least is 0 if B is not onto."""
    if network.readout is None:
        return 1.0, 1.0
    singular = np.linalg.svd(network.readout, compute_uv=False)
    onto = network.readout.shape[0] <= network.readout.shape[1]
    return (float(singular[-1]) if onto else 0.0), float(singular[0])


def require_rest(network: ResNet, mu: LayeredMeasure) -> None:
    """Refuse a measure of other neurons, or with u ≠ 0."""
    network.check(mu)
    largest = float(np.abs(mu.positions[..., : network.dim]).max())
    if largest > 0:
        raise _check.fail("u must be 0 in every particle", f"|u| up to {largest:.3g}", "set positions[..., :dim] to 0")


def preactivations(network: ResNet, mu: LayeredMeasure, x: np.ndarray) -> np.ndarray:
    """``w·x_i + b`` at the (lifted) data, (L, m, N)."""
    d, start = network.dim, network.states(mu, x)[0]
    return mu.positions[..., d : 2 * d] @ start.T + mu.positions[..., 2 * d :]
