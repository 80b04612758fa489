"""The runs that are killed: every stepper, with and without a potential, in one and two dimensions.

Each takes half a second to one second and saves 61 times, off the steps' own rhythm in half of the cases.
"""

from itertools import product

import numpy as np

import meanfield as mf
from meanfield.steppers import ETDRK4, RK4, RKC2, SSPRK3, FiniteVolume

N_SAVES = 61


def _waves(*x):
    """``Σ_a cos(2πx_a)/(a + 1)``: no symmetry between the axes, which a stepper that splits them could hide behind."""
    return sum(np.cos(2 * np.pi * component) / (a + 1) for a, component in enumerate(x))


def _positive(n, dim):
    return mf.Torus(n, dim=dim).density(lambda *x: 1 + 0.6 / dim * _waves(*x))


def _touching(n, dim):
    return mf.Torus(n, dim=dim).density(lambda *x: np.maximum(0, _waves(*x)))


# stepper, datum, points per axis and final time in d = 1 and d = 2
STEPPERS = {
    "ETDRK4 fixed": (ETDRK4(dt=4e-6), _positive, {1: (256, 0.015), 2: (32, 0.012)}),
    "ETDRK4 adaptive": (ETDRK4(tolerance=1e-12), _positive, {1: (256, 0.06), 2: (32, 0.06)}),
    "RK4": (RK4(), _positive, {1: (128, 0.15), 2: (32, 1.8)}),
    "SSPRK3": (SSPRK3(tolerance=1e-9), _positive, {1: (128, 0.12), 2: (32, 0.15)}),
    "RKC2": (RKC2(tolerance=1e-9), _positive, {1: (128, 0.12), 2: (32, 0.12)}),
    "FiniteVolume order 1": (FiniteVolume(order=1, tolerance=5e-4), _touching, {1: (64, 0.02), 2: (24, 0.01)}),
    "FiniteVolume order 2": (FiniteVolume(order=2, tolerance=5e-4), _touching, {1: (64, 0.02), 2: (24, 0.01)}),
}
NAMES = [f"{s}, {v}, d = {d}" for s, v, d in product(STEPPERS, ("free", "in a well"), (1, 2))]


def make_case(name):
    """The arguments of `solve` for a case: flow, state and options."""
    stepper, potential, dim = name.split(", ")
    dim = int(dim[-1])
    scheme, datum, sizes = STEPPERS[stepper]
    n, t_end = sizes[dim]
    energy = mf.InternalEnergy(3, 1 / 3)
    if potential == "in a well":
        energy = energy + mf.Potential(lambda *x: 0.1 * _waves(*x))
    times = np.linspace(0, t_end, N_SAVES)
    times[1:-1] += 0.2 * t_end / N_SAVES * np.sin(np.arange(1, N_SAVES - 1)) * (dim == 1)
    flow = mf.GradientFlow(energy, mf.Wasserstein())
    observe = {"height": lambda rho: rho.values.max(), "moments": lambda rho: np.fft.rfftn(rho.values).reshape(-1)[:3]}
    return flow, datum(n, dim), {"t_end": t_end, "stepper": scheme, "save_at": times, "observe": observe}
