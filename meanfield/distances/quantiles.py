"""Quantile functions of measures on the line: piecewise linear, with jumps over vacuum and plateaus at atoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _check


@dataclass(frozen=True, eq=False)
class Quantile:
    r"""A measure on the line given by its quantile function.

    .. math:: F^{-1}(u) = l_i + (u - U_{i-1})\,(r_i - l_i)/m_i, \quad U_{i-1} \le u < U_i, \quad U_i = m_1 + … + m_i.

    Piece i spreads the mass m_i evenly over [l_i, r_i]; l_i = r_i is an atom, r_i < l_{i+1} a vacuum. Densities
    constant on cells and weighted points are both of this form, and either may be compared with the other.

    Parameters
    ----------
    masses : (p,) float
        Masses m_i ≥ 0; pieces without mass are dropped.
    left, right : (p,) float
        Ends l_i ≤ r_i ≤ l_{i+1}.

    Raises
    ------
    ValueError
        If a mass is negative, all masses vanish, or the pieces are not in order.

    Notes
    -----
    The total mass is whatever the masses sum to. For the circle, positions are any lift within one period.

    Examples
    --------
    >>> Quantile.from_points([0.5, 0.0], weights=[0.25, 0.75])([0.1, 0.9])
    array([0. , 0.5])
    """

    masses: np.ndarray
    left: np.ndarray
    right: np.ndarray
    total: float = field(init=False)

    def __post_init__(self) -> None:
        masses = _check.array("masses", self.masses, "give one finite mass for each piece")
        if masses.ndim != 1:
            raise _check.fail("masses must be one-dimensional", f"shape {masses.shape}", "give one mass for each piece")
        left = _check.array("left", self.left, "give one left end for each piece", shape=masses.shape)
        right = left
        if self.right is not self.left:  # atoms share one array
            right = _check.array("right", self.right, "give one right end for each piece", shape=masses.shape)
        _check_masses(masses)
        kept = masses > 0
        if not kept.all():
            masses, left, right = masses[kept], left[kept], right[kept]
        if np.any(left > right) or np.any(right[:-1] > left[1:]):
            raise _check.fail("pieces must be in increasing order", "an overlap or a reversed piece", "sort them first")
        _fill(self, masses, left, right)

    @classmethod
    def from_cells(cls, values: Any) -> Quantile:
        """The density on the unit circle with means ``values`` (n,) on the cells [(i−½)/n, (i+½)/n).

        Examples
        --------
        >>> Quantile.from_cells([2.0, 0.0])
        Quantile(pieces=1, total=1.0, support=[-0.25, 0.25])
        """
        values = _check.array("cell means", values, "give the density on a grid of the circle")
        if values.ndim != 1:
            raise _check.fail(
                "cell means must be one-dimensional", f"shape {values.shape}", "W₂ here is for the circle, d = 1"
            )
        edges = (np.arange(values.size + 1) - 0.5) / max(values.size, 1)
        return cls(values / max(values.size, 1), edges[:-1], edges[1:])

    @classmethod
    def from_histogram(cls, edges: Any, masses: Any) -> Quantile:
        """The density on an interval with ``masses`` (n,) on the cells between increasing ``edges`` (n + 1,).

        Examples
        --------
        >>> Quantile.from_histogram([0.0, 1.0, 3.0], [0.5, 0.5])([0.25, 0.75])
        array([0.5, 2. ])
        """
        masses = _check.array("masses", masses, "give one finite mass for each cell")
        edges = _check.array("edges", edges, "give one edge more than there are masses", shape=(masses.size + 1,))
        if np.any(np.diff(edges) <= 0):
            raise _check.fail("edges must increase strictly", f"least step {np.diff(edges).min()}", "sort them")
        return cls(masses, edges[:-1], edges[1:])

    @classmethod
    def from_points(cls, positions: Any, *, weights: Any = None) -> Quantile:
        """The atoms at ``positions`` (N,) with ``weights`` (N,), by default 1/N each. On the circle pass positions % 1.

        Examples
        --------
        >>> Quantile.from_points([0.5, 0.0, 0.25])
        Quantile(pieces=3, total=1.0, support=[0.0, 0.5])
        """
        positions = _check.array("positions", positions, "give points on the line")
        if positions.ndim != 1 or positions.size == 0:
            raise _check.fail(
                "positions must be a list of points on the line", f"shape {positions.shape}", "give an array (N,)"
            )
        if weights is None:
            positions.sort()
            weights = np.full(positions.size, 1.0 / positions.size)
        else:
            weights = _check.array("weights", weights, "give one weight for each point", shape=positions.shape)
            _check_masses(weights)
            order = np.argsort(positions)
            positions, weights = positions[order], weights[order]
            kept = weights > 0
            if not kept.all():
                positions, weights = positions[kept], weights[kept]
        measure = object.__new__(cls)
        _fill(measure, weights, positions, positions)
        return measure

    def __call__(self, u: Any) -> np.ndarray:
        """F^{-1}(u) for 0 ≤ u ≤ M, the limit from the right at a jump; extended by F^{-1}(u + M) = F^{-1}(u) + 1."""
        u = np.asarray(u, dtype=np.float64)
        periods = np.where(u == self.total, 0.0, np.floor(u / self.total))
        rest = u - periods * self.total
        ends = np.cumsum(self.masses)
        piece = np.minimum(np.searchsorted(ends, rest, side="right"), ends.size - 1)
        share = np.clip((rest - ends[piece]) / self.masses[piece] + 1.0, 0.0, 1.0)
        return self.left[piece] + share * (self.right[piece] - self.left[piece]) + periods

    def __repr__(self) -> str:
        support = f"[{float(self.left[0])!r}, {float(self.right[-1])!r}]"
        return f"Quantile(pieces={self.masses.size}, total={self.total!r}, support={support})"


def _fill(measure: Quantile, masses: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Set the fields to arrays that have been checked and are nobody else's."""
    for name, values in (("masses", masses), ("left", left), ("right", right)):
        values.setflags(write=False)
        object.__setattr__(measure, name, values)
    # in extended precision, so that the same masses in another order have the same total
    object.__setattr__(measure, "total", float(masses.sum(dtype=np.longdouble)))


def _check_masses(masses: np.ndarray) -> None:
    """Non-negative and not all zero, or a ``ValueError`` naming the worst entry."""
    if masses.size and masses.min() < 0:
        index = int(masses.argmin())
        raise _check.fail(
            "a measure must be non-negative", f"{masses[index]} at index {index}", "W₂ is defined for measures only"
        )
    if not masses.sum() > 0:
        raise _check.fail("a measure must have positive mass", f"{masses.sum()}", "give it some mass")
