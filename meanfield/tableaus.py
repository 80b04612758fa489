"""Runge–Kutta tableaus: coefficients, declared order, source.

``explicit`` tableaus hold stages ``k_i = f(u + h Σ_j a_ij k_j)`` and ``u' = u + h Σ_i b_i k_i``. The last entry of
``embedded`` weighs ``f(u')``, which is the next step's first stage: the error estimate costs no evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge–Kutta tableau.

    Parameters
    ----------
    name : str
    a : tuple of tuples — strictly lower triangle, row i holds ``a_i0 … a_i,i-1``
    b : tuple — weights
    order : int — declared order of ``b``
    embedded : tuple, one longer than ``b`` — weights of the method compared with: of order ``order − 1``, for Euler 2
    real_bound, imaginary_bound : float — stability interval ``[−real_bound, 0]`` and ``±i·imaginary_bound``
    source : str
    """

    name: str
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    order: int
    embedded: tuple[float, ...]
    real_bound: float
    imaginary_bound: float
    source: str

    @property
    def c(self) -> tuple[float, ...]:
        """Abscissae ``c_i = Σ_j a_ij``."""
        return tuple(float(sum(row)) for row in self.a)

    def __repr__(self) -> str:
        return f"Tableau({self.name}, order={self.order}, stages={len(self.b)})"


euler = Tableau(
    name="euler",
    a=((),),
    b=(1.0,),
    order=1,
    embedded=(1 / 2, 1 / 2),
    real_bound=2.0,
    imaginary_bound=0.0,
    source="Euler 1768; on a control or on particles this is gradient descent, the step being the learning rate",
)

heun = Tableau(
    name="heun",
    a=((), (1.0,)),
    b=(1 / 2, 1 / 2),
    order=2,
    embedded=(3 / 4, 0.0, 1 / 4),
    real_bound=2.0,
    imaginary_bound=0.0,
    source="Heun 1900; Hairer, Nørsett & Wanner, Solving ODEs I (1993), II.1",
)

rk4 = Tableau(
    name="rk4",
    a=((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
    order=4,
    # Any split of the last weight 1/6 between f(stage 4) and f(u') keeps order 3; all of it on f(u') here.
    embedded=(1 / 6, 1 / 3, 1 / 3, 0.0, 1 / 6),
    real_bound=2.785,
    imaginary_bound=2.828,
    source="Kutta 1901; Hairer, Nørsett & Wanner, Solving ODEs I (1993), II.1 table 1.2",
)

ssprk3 = Tableau(
    name="ssprk3",
    a=((), (1.0,), (1 / 4, 1 / 4)),
    b=(1 / 6, 1 / 6, 2 / 3),
    order=3,
    # Heun's second-order weights on the first two stages, half blended towards f(u') so that no weight is idle.
    embedded=(1 / 2, 1 / 4, 0.0, 1 / 4),
    real_bound=2.512,
    imaginary_bound=1.732,
    source="Shu & Osher 1988, eq. (2.18); Gottlieb, Shu & Tadmor 2001, prop. 3.1",
)
