"""Losses of an output h against a label y, entry by entry; models sum over components and average over samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .. import _check


class Loss(ABC):
    """A function ℓ(h, y), convex in h, and its derivative in h; ``smooth`` where that is continuous."""

    smooth = True

    @abstractmethod
    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """ℓ(h, y), entry by entry."""

    @abstractmethod
    def derivative(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        """∂ℓ/∂h, entry by entry."""

    def check_labels(self, y: np.ndarray) -> None:
        """Refuse labels this loss is not defined for (a ``ValueError``)."""
        return None


@dataclass(frozen=True)
class SquareLoss(Loss):
    """``½(h − y)²``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.SquareLoss().value(np.array([3.0]), np.array([1.0]))
    array([2.])
    """

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.5 * (h - y) ** 2

    def derivative(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        return h - y


SQUARE = SquareLoss()


@dataclass(frozen=True)
class HuberLoss(Loss):
    """``½r²`` for ``|r| ≤ δ``, else ``δ(|r| − ½δ)``, with r = h − y.

    Parameters
    ----------
    delta : float — δ > 0

    Raises
    ------
    ValueError, TypeError
        If ``delta`` is not positive.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.HuberLoss(delta=1.0).value(np.array([0.5, 3.0]), np.zeros(2))
    array([0.125, 2.5  ])
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        _check.positive("delta", self.delta, "pass where the loss turns linear")

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        inside = self.derivative(h, y)
        return inside * (h - y) - 0.5 * inside**2

    def derivative(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.clip(h - y, -self.delta, self.delta)


@dataclass(frozen=True)
class LogisticLoss(Loss):
    """``log(1 + e^{−hy})``, labels y = ±1.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.LogisticLoss().derivative(np.array([0.0]), np.array([1.0]))
    array([-0.5])
    """

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, -h * y)

    def derivative(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy import special

        return -y * special.expit(-h * y)

    def check_labels(self, y: np.ndarray) -> None:
        _require_signs(self, y)


@dataclass(frozen=True)
class HingeLoss(Loss):
    """``max(0, 1 − hy)``, labels y = ±1; the derivative at hy = 1 is 0.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.HingeLoss().value(np.array([0.5, 2.0]), np.ones(2))
    array([0.5, 0. ])
    """

    smooth = False

    def value(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.maximum(0.0, 1.0 - h * y)

    def derivative(self, h: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(h * y < 1.0, -y, 0.0)

    def check_labels(self, y: np.ndarray) -> None:
        _require_signs(self, y)


def _require_signs(loss: Loss, y: np.ndarray) -> None:
    """Refuse labels other than −1 and 1."""
    other = y[np.abs(y) != 1.0]
    if other.size:
        name = type(loss).__name__
        raise _check.fail(f"{name} needs labels -1 and 1", f"{other[0]:g}", "pass np.where(positive, 1.0, -1.0)")
