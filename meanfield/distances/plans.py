"""Optimal plans between clouds of points: sparse, proved optimal by their potentials, and reusable as a start."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import _check
from ..measures import LayeredMeasure, ParticleMeasure, TorusDensity
from ._least_cost import cheapest

_LARGEST = 2**28  # entries of a matrix of costs: 2 GiB
_FARTHEST = 1e150  # coordinate whose square is still finite


@dataclass(frozen=True, eq=False)
class TransportPlan:
    r"""An optimal plan between two clouds, with the potentials that prove it.

    .. math:: W_2^2 = \sum_k π_k |x_{s_k} - y_{t_k}|^2 = \sum_i a_i α_i + \sum_j b_j β_j, \ α_i + β_j ≤ |x_i - y_j|^2.

    Parameters
    ----------
    value : float — W₂
    sources, targets : (k,) int — the pairs (s_k, t_k) that carry mass, in the order of sources, then targets
    masses : (k,) float — π_k > 0
    potentials : pair of (n,) and (m,) float — α and β

    Notes
    -----
    Pass a plan as ``start`` to the next call along a flow: its potentials are a good guess there.
    """

    value: float
    sources: np.ndarray
    targets: np.ndarray
    masses: np.ndarray
    potentials: tuple[np.ndarray, np.ndarray]

    def __post_init__(self) -> None:
        for array in (self.sources, self.targets, self.masses, *self.potentials):
            array.flags.writeable = False

    @property
    def reverse(self) -> TransportPlan:
        """The same plan from ν to μ."""
        order = np.lexsort((self.sources, self.targets))
        sources, targets, masses = self.targets[order], self.sources[order], self.masses[order]
        return TransportPlan(self.value, sources, targets, masses, self.potentials[::-1])

    def __repr__(self) -> str:
        n, m = (len(potential) for potential in self.potentials)
        return f"TransportPlan(value={self.value:.6g}, points=({n}, {m}), pairs={len(self.masses)})"


def transport_plan(mu: ParticleMeasure, nu: ParticleMeasure, *, start: TransportPlan | None = None) -> TransportPlan:
    r"""An optimal plan for the squared distance, on a torus that of the nearest images.

    .. math:: W_2^2(μ, ν) = \min_π \sum_{ij} π_{ij} |x_i - y_j|^2, \quad \sum_j π_{ij} = a_i, \ \sum_i π_{ij} = b_j.

    Parameters
    ----------
    mu, nu : ParticleMeasure
        Clouds of n and m points, both in R^d or both on the torus T^d, any d.
    start : TransportPlan or None
        An earlier plan between clouds of n and m points, such as the last one along a flow. It changes the time taken,
        and the plan only where several are optimal.

    Returns
    -------
    TransportPlan

    Raises
    ------
    TypeError, ValueError
        For other states, different spaces, a start of other numbers, or more than 2^28 costs n m.
    ConvergenceError
        If the plan found could not be proved optimal.

    Notes
    -----
    Exact: by POT's network simplex, or from a start between equal weights and numbers by scipy's assignment, on costs
    less the start's potentials. Whoever found the plan, potentials are computed that prove W₂² to be within
    (64 + n + m) eps times the largest cost of its minimum, in practice within 2 eps; between equal weights and numbers
    a plan of the simplex that misses the latter is found again by the assignment. Weights are taken as whole multiples
    of 2^−52, equal ones as fractions, so that masses are not rounded while they are shipped. Memory about 50 n m bytes,
    most of them POT's.
    Measured beside POT: ``benchmarks/README.md``.

    References
    ----------
    Bonneel, van de Panne, Paris and Heidrich (2011), ACM Trans. Graphics 30; Crouse (2016), IEEE Trans. Aerospace and
    Electronic Systems 52; Flamary et al. (2021), J. Machine Learning Research 22.

    Examples
    --------
    >>> import meanfield as mf
    >>> mu = mf.ParticleMeasure([[0.0, 0.0], [1.0, 0.0]])
    >>> nu = mf.ParticleMeasure([[1.0, 3.0], [0.0, 3.0], [0.0, 3.0]], weights=[0.5, 0.25, 0.25])
    >>> plan = transport_plan(mu, nu)
    >>> plan.value, plan.targets, plan.masses
    (3.0, array([1, 2, 0]), array([0.25, 0.25, 0.5 ]))
    """
    check_clouds(mu, nu)
    return plan_between(*cloud(mu), *cloud(nu), wrap=mu.torus is not None, start=start)


def space(state: ParticleMeasure | TorusDensity) -> str:
    """R^d or T^d, as text."""
    if isinstance(state, TorusDensity):
        return f"T^{state.torus.dim}"
    return f"R^{state.dim}" if state.torus is None else f"T^{state.dim}"


def cloud(state: ParticleMeasure | LayeredMeasure) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights, which a measure fills in when it is made."""
    assert state.weights is not None
    return state.positions, state.weights


def check_clouds(mu: ParticleMeasure, nu: ParticleMeasure) -> None:
    """Two clouds in one space, or an error that says which they are."""
    for state in (mu, nu):
        if not isinstance(state, ParticleMeasure):
            raise TypeError(f"states must be ParticleMeasures (got {type(state).__name__}); sample densities first")
    if space(mu) != space(nu):
        rule = "clouds must be in one space, a torus or not"
        raise _check.fail(rule, f"{space(mu)} and {space(nu)}", "give both one torus, or neither")


def plan_between(
    x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray, *, wrap: bool, start: TransportPlan | None
) -> TransportPlan:
    """The plan between points ``x`` (n, d) of weights ``a`` (n,) and ``y`` (m, d), ``b`` (m,), none of them checked."""
    n, m = len(x), len(y)
    if n * m > _LARGEST:
        raise _check.fail(
            f"a plan of n and m points needs n m <= {_LARGEST}", f"{n} and {m}", "thin the clouds or slice the distance"
        )
    size = float(max(np.abs(x).max(), np.abs(y).max()))
    if size > _FARTHEST:
        raise _check.fail("squared distances must be finite", f"a coordinate of size {size:g}", "scale the points down")
    if not isinstance(start, TransportPlan | None):
        raise TypeError(
            f"start must be a TransportPlan (got {type(start).__name__}); pass what transport_plan returned"
        )
    if start is not None and tuple(map(len, start.potentials)) != (n, m):
        sizes = " and ".join(str(len(potential)) for potential in start.potentials)
        raise _check.fail(f"start must be a plan between {n} and {m} points", sizes, "pass start=None")
    centres = [np.zeros(x.shape[1]) if wrap else np.einsum("i,ia->a", w, z) / w.sum() for w, z in ((a, x), (b, y))]
    near, far, shift = x - centres[0], y - centres[1], centres[0] - centres[1]
    # |x − y|² = |near − far|² + 2 shift·(near − far) + |shift|²: potentials without the translation are better guesses
    along = [2 * np.einsum("ia,a->i", z, shift) for z in (near, far)]
    guess = None if start is None else start.potentials[1] + along[1]
    pairs, units, u, v = cheapest(near, a, far, b, wrap=wrap, guess=guess)
    gap = x[pairs[0]] - y[pairs[1]]
    if wrap:
        gap -= np.floor(gap + 0.5)
    masses = units / units.sum()
    value = math.sqrt(float((masses * np.square(gap).sum(axis=1)).sum()))
    potentials = u + along[0] + np.square(shift).sum(), v - along[1]
    return TransportPlan(value, pairs[0], pairs[1], masses, potentials)
