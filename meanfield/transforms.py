"""Fourier transforms behind one small face: scipy.fft and FINUFFT, or ducc0 where the extra ``fast`` is installed.

The backend is chosen once, at import, by what is installed (``MEANFIELD_TRANSFORMS=scipy`` refuses ducc0), and its
name and version are recorded in every output file: bits are promised for one backend only. All calls run on one
thread; :mod:`meanfield.parallel` spreads independent lines over threads. No call normalises: the caller folds
``1/n^d`` into a pass it makes anyway. Forward sign ``e^{-2πi k·x}``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, util
from typing import Any

import numpy as np

from . import _check


class FinufftPlan:
    """FINUFFT's transforms between points (N, d) and modes in FFT order on every axis; a sort for either type."""

    def __init__(self, points: np.ndarray, shape: tuple[int, ...], tolerance: float) -> None:
        self._shape, self._tolerance = shape, tolerance
        self._angles = [np.ascontiguousarray(2 * np.pi * (axis % 1.0)) for axis in points.T]

    def adjoint(self, strengths: np.ndarray) -> np.ndarray:
        """``Σ_j strengths[j] e^{−2πi k·x_j}`` (type 1)."""
        return self._type_1.execute(np.ascontiguousarray(strengths, dtype=np.complex128))

    def evaluate(self, modes: np.ndarray) -> np.ndarray:
        """``Σ_k modes[k] e^{2πi k·x_j}`` (type 2)."""
        return self._type_2.execute(np.ascontiguousarray(modes, dtype=np.complex128))

    @cached_property
    def _type_1(self) -> Any:
        return self._sorted(1, -1)

    @cached_property
    def _type_2(self) -> Any:
        return self._sorted(2, 1)

    def _sorted(self, kind: int, sign: int) -> Any:
        import finufft

        plan = finufft.Plan(kind, self._shape, eps=self._tolerance, isign=sign, modeord=1, nthreads=1)
        plan.setpts(*self._angles)
        return plan


class DuccPlan:
    """ducc0's transforms between points (N, d) and modes in FFT order on every axis; one sort for both types."""

    def __init__(self, points: np.ndarray, shape: tuple[int, ...], tolerance: float) -> None:
        import ducc0

        self._shape = shape
        self._plan = ducc0.nufft.plan(
            nu2u=True,
            coord=np.ascontiguousarray(points),
            grid_shape=shape,
            epsilon=tolerance,
            nthreads=1,
            periodicity=1.0,
            fft_order=True,
        )

    def adjoint(self, strengths: np.ndarray) -> np.ndarray:
        """``Σ_j strengths[j] e^{−2πi k·x_j}`` (type 1)."""
        out = np.empty(self._shape, dtype=np.complex128)
        return self._plan.nu2u(forward=True, points=np.ascontiguousarray(strengths, dtype=np.complex128), out=out)

    def evaluate(self, modes: np.ndarray) -> np.ndarray:
        """``Σ_k modes[k] e^{2πi k·x_j}`` (type 2)."""
        return self._plan.u2nu(forward=False, grid=np.ascontiguousarray(modes, dtype=np.complex128))


@dataclass(frozen=True)
class ScipyTransforms:
    """scipy.fft (pocketfft) and FINUFFT."""

    name: str = "scipy"

    @property
    def description(self) -> str:
        """Names and versions, as recorded in output files."""
        return f"scipy.fft {metadata.version('scipy')}, finufft {metadata.version('finufft')}"

    def forward_real(self, values: np.ndarray, out: np.ndarray, axis: int = -1) -> None:
        """Real transform along one axis: n values to n//2+1 modes."""
        import scipy.fft

        out[...] = scipy.fft.rfft(values, axis=axis)

    def inverse_real(self, modes: np.ndarray, out: np.ndarray, axis: int = -1) -> None:
        """Inverse real transform along one axis, unnormalised: n//2+1 modes to n values."""
        import scipy.fft

        out[...] = scipy.fft.irfft(modes, n=out.shape[axis], axis=axis, norm="forward")

    def forward(self, array: np.ndarray, axis: int) -> None:
        """Complex transform along one axis, in place (views welcome)."""
        import scipy.fft

        array[...] = scipy.fft.fft(array, axis=axis)

    def inverse(self, array: np.ndarray, axis: int) -> None:
        """Inverse complex transform along one axis, in place, unnormalised."""
        import scipy.fft

        array[...] = scipy.fft.ifft(array, axis=axis, norm="forward")

    def plan(self, points: np.ndarray, shape: tuple[int, ...], tolerance: float) -> FinufftPlan:
        """Non-uniform FFTs between points (N, d) and modes of this shape, the points sorted once."""
        return FinufftPlan(points, shape, tolerance)


@dataclass(frozen=True)
class DuccTransforms:
    """ducc0's FFT and non-uniform FFT."""

    name: str = "ducc0"

    @property
    def description(self) -> str:
        """Name and version, as recorded in output files."""
        return f"ducc0 {metadata.version('ducc0')}"

    def forward_real(self, values: np.ndarray, out: np.ndarray, axis: int = -1) -> None:
        """Real transform along one axis: n values to n//2+1 modes."""
        import ducc0

        ducc0.fft.r2c(values, axes=(axis,), out=out, nthreads=1)

    def inverse_real(self, modes: np.ndarray, out: np.ndarray, axis: int = -1) -> None:
        """Inverse real transform along one axis, unnormalised: n//2+1 modes to n values."""
        import ducc0

        ducc0.fft.c2r(modes, axes=(axis,), lastsize=out.shape[axis], forward=False, out=out, nthreads=1)

    def forward(self, array: np.ndarray, axis: int) -> None:
        """Complex transform along one axis, in place (views welcome)."""
        import ducc0

        ducc0.fft.c2c(array, axes=(axis,), out=array, nthreads=1)

    def inverse(self, array: np.ndarray, axis: int) -> None:
        """Inverse complex transform along one axis, in place, unnormalised."""
        import ducc0

        ducc0.fft.c2c(array, axes=(axis,), forward=False, out=array, nthreads=1)

    def plan(self, points: np.ndarray, shape: tuple[int, ...], tolerance: float) -> DuccPlan:
        """Non-uniform FFTs between points (N, d) and modes of this shape, the points sorted once."""
        return DuccPlan(points, shape, tolerance)


Transforms = ScipyTransforms | DuccTransforms


def choose(name: str | None = None) -> Transforms:
    """The backend called ``name`` (``"scipy"``, ``"ducc0"``), or the fastest installed one for ``None``.

    Raises
    ------
    ValueError
        For an unknown name, or ``"ducc0"`` where it is not installed.
    """
    available = util.find_spec("ducc0") is not None
    if name not in (None, "scipy", "ducc0"):
        raise _check.fail("transforms must be 'scipy' or 'ducc0'", repr(name), "unset MEANFIELD_TRANSFORMS")
    if name == "ducc0" and not available:
        raise _check.fail("ducc0 must be installed", "no ducc0", "pip install 'meanfield[fast]' or choose scipy")
    return DuccTransforms() if available and name != "scipy" else ScipyTransforms()


transforms: Transforms = choose(os.environ.get("MEANFIELD_TRANSFORMS"))
