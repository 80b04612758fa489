r"""Densities to particles, by quantiles, a lattice or random draws, and particles to densities, by a mollifier."""

from __future__ import annotations

import numpy as np

from .. import _check
from ..measures import ParticleMeasure, TorusDensity
from ..torus import GaussianKernel, Kernel, Torus
from .convolution import checked_tolerance, to_modes
from .direct import resolved

MASS_TOLERANCE = 1e-9  # of a density that is read as a probability measure
# Solution of x^{d+1} = x + 1, whose powers are the increments of the d-dimensional lattice sequence; d = 1, 2.
GENERATORS = (1.6180339887498949, 1.3247179572447461)
DRAW = "pass numpy.random.default_rng(seed) for random draws, or nothing for a lattice"


def sample(density: TorusDensity, number: int, *, rng: np.random.Generator | None = None) -> ParticleMeasure:
    r"""N particles of equal weight for a density, read as constant on the cells centred at the grid points.

    Points u of the unit cube are carried to ``x = T(u)`` by the inverse Rosenblatt transform, the quantile functions of
    the first coordinate, of the second given the first, of the third given both; ``T_# du = ρ``, exactly. Without a
    generator the points are

    .. math:: u_i = ((i + ½)/N, \{½ + iα_1\}, \{½ + iα_2\}), \quad i = 0 … N-1,

    the midpoint quantiles in d = 1, and lattices of low discrepancy with irrational steps in d = 2 (golden section) and
    d = 3 (powers of the plastic number). With a generator they are independent and uniform.

    Parameters
    ----------
    density : TorusDensity — of mass 1
    number : int — N
    rng : numpy.random.Generator or None

    Returns
    -------
    ParticleMeasure — on the density's torus, positions in [−½/n, 1 − ½/n), no particle where the density is zero

    Raises
    ------
    ValueError, TypeError
        For a density whose mass is not 1, no particles, or something else than a generator.

    Notes
    -----
    O(n^d + N d log n). The quantisation error in d = 1 is ``mf.wasserstein(density, particles)``: of quantiles 1/(N√12)
    for the uniform density and O(1/N) for any bounded one on its support, of random draws O(N^{−1/2}). In d = 2 and 3
    it is between ``mf.wasserstein(atoms, particles)`` less and plus the error of ``atoms, error = quantise(density)``.

    References
    ----------
    Rosenblatt (1952), Ann. Math. Stat. 23; Roberts (2018), The unreasonable effectiveness of quasirandom sequences.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.particles.sample(mf.Torus(4).density([0.0, 4.0, 0.0, 0.0]), 5).positions[:, 0]
    array([0.15, 0.2 , 0.25, 0.3 , 0.35])
    """
    require_probability(density, "draw from")
    number = _check.integer("number", number, "pass the number of particles", at_least=1)
    if rng is None:
        u = lattice(number, density.torus.dim)
    elif isinstance(rng, np.random.Generator):
        u = rng.random((number, density.torus.dim))
    else:
        raise TypeError(f"rng must be a Generator (got {type(rng).__name__}); {DRAW}")
    return ParticleMeasure(inverse_rosenblatt(density.values, u), torus=density.torus)


def require_probability(density: TorusDensity, purpose: str) -> None:
    """Refuse anything but a density of mass 1."""
    if not isinstance(density, TorusDensity):
        raise TypeError(f"density must be a TorusDensity (got {type(density).__name__}); use torus.density")
    if abs(density.mass - 1) > MASS_TOLERANCE:
        raise _check.fail(
            f"a density to {purpose} must have mass 1", f"{density.mass:.9g}", "pass normalise=True to it"
        )


def lattice(number: int, dim: int) -> np.ndarray:
    """Points (N, d) of the unit cube: midpoints on the first axis, multiples of irrational numbers on the others."""
    i = np.arange(number)
    points = np.empty((number, dim))
    points[:, 0] = (i + 0.5) / number
    for a in range(1, dim):
        points[:, a] = (0.5 + i * GENERATORS[dim - 2] ** -a) % 1.0
    return points


def inverse_rosenblatt(values: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The points (N, d) below which a density constant on cells has the shares u (N, d) of its mass, axis by axis."""
    n, x = len(values), np.empty(u.shape)
    row = np.zeros(len(u), dtype=np.int64)  # the cell reached so far, on the axes before
    for a in range(u.shape[1]):
        masses = values.reshape(n**a, n, -1).sum(axis=2)
        sums = np.cumsum(masses, axis=1)
        total = sums[row, -1]
        share = np.minimum(u[:, a] * total, np.nextafter(total, 0.0))
        low, high = np.zeros_like(row), np.full_like(row, n - 1)  # the first cell whose sum exceeds the share
        while np.any(low < high):
            middle = (low + high) // 2
            beyond = sums[row, middle] > share
            high, low = np.where(beyond, middle, high), np.where(beyond, low, middle + 1)
        before = np.where(low > 0, sums[row, low - 1], 0.0)
        x[:, a] = (low - 0.5 + np.clip((share - before) / masses[row, low], 0.0, 1.0)) / n
        row = row * n + low
    return x


def mollify(particles: ParticleMeasure, torus: Torus, kernel: Kernel, *, tolerance: float = 1e-9) -> TorusDensity:
    r"""The density ``K * Σ_j a_j δ_{x_j}`` on a grid.

    Parameters
    ----------
    particles : ParticleMeasure — on a torus
    torus : Torus — of the density, of the same dimension; its n may differ
    kernel : Kernel — K, of mass 1 and non-negative, as all kernels here but Dirac's are where the grid resolves them
    tolerance : float — of the values, relative to the greatest

    Returns
    -------
    TorusDensity — of mass 1

    Raises
    ------
    ValueError, TypeError
        For a Gaussian narrower than the grid resolves, a result that is negative beyond the tolerance, particles in
        R^d or of another dimension.

    Notes
    -----
    O(N + n^d log n). The mass is the sum of the weights. Far from all particles the values are
    below the tolerance and may come out negative: those are set to zero, and the mass they had is taken from the others
    in proportion, a change within the tolerance.

    Examples
    --------
    >>> import meanfield as mf
    >>> torus = mf.Torus(64)
    >>> cloud = mf.ParticleMeasure([[0.25], [1.5]], torus=torus)
    >>> density = mf.particles.mollify(cloud, torus, mf.GaussianKernel(length=0.05))
    >>> print(f"{density.mass:.6f} {density.values[16]:.6f} {0.5 / (0.05 * (2 * 3.141592653589793) ** 0.5):.6f}")
    1.000000 3.989438 3.989423
    """
    if not isinstance(particles, ParticleMeasure) or particles.torus is None:
        raise TypeError(f"particles must be a ParticleMeasure on a torus (got {particles!r}); pass torus= to it")
    if not isinstance(torus, Torus) or torus.dim != particles.dim:
        raise _check.fail(f"torus must be a Torus of dimension {particles.dim}", repr(torus), "use mf.Torus(n, dim=d)")
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a kernel on the torus (got {kernel!r}); use mf.GaussianKernel")
    tolerance = checked_tolerance(tolerance)
    if isinstance(kernel, GaussianKernel) and not resolved(kernel, torus, tolerance):
        least = np.sqrt(2 * np.log(100 / tolerance)) / np.pi
        raise _check.fail(
            "a mollifier must be resolved by the grid",
            f"length {kernel.length:g} = {kernel.length * torus.n:.3g} spacings",
            f"take a length of about {least:.2g} spacings or more, or a finer grid",
        )
    modes = to_modes(torus, particles.positions, np.asarray(particles.weights)[:, None], tolerance)[0]
    values = torus.values(modes * kernel.multiplier(torus))
    low, high = float(values.min()), float(values.max())
    if low < -tolerance * high:
        raise _check.fail(
            "a mollified density must be non-negative",
            f"{low:.3g} against a maximum of {high:.3g} with {kernel!r}",
            "take a smoother or wider kernel, or a finer grid",
        )
    np.maximum(values, 0.0, out=values)
    values *= float(modes.flat[0].real) / float(values.mean())
    return TorusDensity(values, torus)
