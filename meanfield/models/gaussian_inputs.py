"""Standard normal inputs: products of neurons under them in closed form, so that risks are those of the population."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import _check, parallel
from . import _doors, activations
from ._chunks import blocks
from .activations import Activation

# Unit vectors closer than this, squared, have their distance taken from their difference: 2 − 2 u·v would leave
# an angle θ an error of eps/θ.
_NEAR = 1e-5


@dataclass(frozen=True)
class GaussianInputs:
    r"""The law N(0, I_d) of the data of a two-layer network, to be passed in place of samples.

    .. math:: κ(w, v) = E[σ(w·x)\, σ(v·x)], \quad
              κ_{\mathrm{relu}} = \frac{|w||v|}{2π} (\sin θ + (π - θ)\cos θ), \quad
              κ_{\mathrm{erf}} = \frac2π \arcsin\frac{2 w·v}{\sqrt{(1 + 2|w|^2)(1 + 2|v|^2)}},

    θ the angle between w and v. ``Risk(network, GaussianInputs(d), teacher)`` is the risk of the whole population for
    the labels of a teacher, a measure of neurons of the same network.

    Parameters
    ----------
    dim : int — d

    Raises
    ------
    ValueError, TypeError
        For a dimension below 1; in the methods, for another activation than ``mf.relu`` and ``mf.erf`` and weights of
        another dimension.

    Notes
    -----
    Absolute accuracy about 1e-13 on the scale |w||v| (relu) or 1 (erf), at all angles, also of the derivatives. At
    w = 0 the derivative of relu is 0, as that of the activation. A bias has no such form: erf would need Owen's T.

    References
    ----------
    Cho and Saul (2009), NeurIPS, arc-cosine kernel of degree 1; Williams (1997), NeurIPS, Eq. (11).

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.GaussianInputs(2).kernel(mf.relu, [[2.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]])
    array([[1., 0.]])
    """

    dim: int

    def __post_init__(self) -> None:
        _check.integer("dim", self.dim, "pass the dimension of the data", at_least=1)

    def kernel(self, activation: Activation, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """``κ(w_i, v_j)``, weights (k, d) and (l, d) to (k, l)."""
        w, v = (_doors.rows("weights", rows, self.dim) for rows in (w, v))
        with parallel.one_thread_libraries():
            return _closed_form(activation)(w, v).value

    def check(self, activation: Activation, bias: bool) -> None:
        """Refuse neurons whose products have no closed form here."""
        _closed_form(activation)
        if bias:
            raise _check.fail("normal inputs need neurons without bias", "bias=True", "use samples, or bias=False")


class Products(NamedTuple):
    """κ(w_j, v_k) and its derivative in w_j, ``along_v v_k + along_w w_j``; each (m, n)."""

    value: np.ndarray
    along_v: np.ndarray
    along_w: np.ndarray


def arc_cosine(w: np.ndarray, v: np.ndarray) -> Products:
    r"""Products of relu, ``∂κ/∂w = ((π - θ) v + |v| \sin θ\, w/|w|) / 2π``; rows (m, d), (n, d)."""
    lengths, others, sign, gap = _lines(w, v)
    acute = 2.0 * np.arcsin(0.5 * np.sqrt(gap))  # the angle of the lines, in [0, π/2]: arcsin is tame there
    sine = np.sqrt(gap * (1.0 - 0.25 * gap))
    rest = np.where(sign > 0, math.pi - acute, acute)  # π − θ
    value = (sine + rest * sign * (1.0 - 0.5 * gap)) * (lengths * others / (2 * math.pi))
    alive = lengths > 0
    rest *= alive / (2 * math.pi)
    sine *= others
    sine /= np.where(alive, 2 * math.pi * lengths, np.inf)
    return Products(value, rest, sine)


def arcsine(w: np.ndarray, v: np.ndarray) -> Products:
    r"""Products of erf, ``∂κ/∂w = \frac{4}{π\sqrt{D}} (v - \frac{2 w·v}{1 + 2|w|^2} w)``; rows (m, d), (n, d).

    ``D = (1 + 2|w|²)(1 + 2|v|²) − 4(w·v)² = 1 + 2|w|² + 2|v|² + 4|w|²|v|² sin²θ``: the sum does not cancel.
    """
    lengths, others, _, gap = _lines(w, v)
    root = np.sqrt(1 + 2 * lengths**2 + 2 * others**2 + (2 * lengths * others) ** 2 * gap * (1.0 - 0.25 * gap))
    double = 2.0 * (w @ v.T)
    along_v = (4.0 / math.pi) / root
    return Products((2.0 / math.pi) * np.arctan2(double, root), along_v, -along_v * double / (1 + 2 * lengths**2))


_FORMS: dict[Callable, Callable[[np.ndarray, np.ndarray], Products]] = {
    activations.relu.value: arc_cosine,
    activations.erf.value: arcsine,
}


def _closed_form(activation: Activation) -> Callable[[np.ndarray, np.ndarray], Products]:
    form = _FORMS.get(activation.value) if isinstance(activation, Activation) else None
    if form is None:
        raise _check.fail("normal inputs need the activation mf.relu or mf.erf", repr(activation), "or use samples")
    return form


def charges_on(
    activation: Activation, w: np.ndarray, v: np.ndarray, charges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``Σ_k q_k κ(w_j, v_k)``, (m,), and its gradient in w_j, (m, d), for charges q (n,) at v.

    O(m n d) in products of matrices; rows in blocks of 256, over the threads. Memory 256 n doubles a thread, times six.
    """
    form = _closed_form(activation)
    potential, gradient, charged = np.empty(len(w)), np.empty(w.shape), charges[:, None] * v

    def work(rows: slice) -> None:
        products = form(w[rows], v)
        potential[rows] = products.value @ charges
        gradient[rows] = products.along_v @ charged + (products.along_w @ charges)[:, None] * w[rows]

    parallel.run(work, blocks(len(w)))
    return potential, gradient


def _lines(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lengths (m, 1) and (n,) of the rows, the sign s of their products and ``|u_j − s u_k|²`` of their unit vectors.

    The last lies in [0, 2] and is accurate where it is small, too. It is 2 for rows that are zero.
    """
    from .._kernels.line_gaps import line_gaps

    lengths, others = (np.sqrt(np.einsum("jd,jd->j", rows, rows))[:, None] for rows in (w, v))
    first, second = w / np.where(lengths > 0, lengths, 1.0), v / np.where(others > 0, others, 1.0)
    cosine = first @ second.T
    return lengths, others[:, 0], np.copysign(1.0, cosine), line_gaps(first, second, cosine, _NEAR)
