"""Distribution function and quantile means of the Barenblatt solution: against quadrature and the library's W₂."""

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
from meanfield.distances.quantiles import Quantile
from meanfield.distances.wasserstein import wasserstein_line
from meanfield.theory import (
    barenblatt_distribution,
    barenblatt_quantile_means,
    barenblatt_radius,
    barenblatt_second_moment,
)

PROFILE = {"exponent": 3, "coefficient": 0.7}


@pytest.mark.parametrize("exponent", [1.5, 2, 3, 6])
def test_distribution_is_the_integral_of_the_profile(exponent):
    profile, t = {"exponent": exponent, "coefficient": 0.7}, 0.3
    radius = barenblatt_radius(t, dim=1, **profile)
    for x in (-0.9 * radius, 0.0, 0.5 * radius):
        integral = integrate.quad(lambda y: float(mf.barenblatt(y, t, dim=1, **profile)), -radius, x, epsabs=1e-12)[0]
        assert float(barenblatt_distribution(x, t, **profile)) == pytest.approx(integral, abs=1e-9)
    np.testing.assert_array_equal(barenblatt_distribution([-2 * radius, 2 * radius], t, **profile), [0.0, 1.0])


def test_means_of_portions_against_a_fine_histogram():
    """Their means are those of x over the portion, and W₂ of any cloud splits into them and what they leave."""
    t, rng = 0.3, np.random.default_rng(0)
    masses = rng.dirichlet(np.ones(9))
    means = barenblatt_quantile_means(masses, t, **PROFILE)
    radius = barenblatt_radius(t, dim=1, **PROFILE)
    edges = np.linspace(-radius, radius, 20_001)
    fine = Quantile.from_histogram(edges, np.diff(barenblatt_distribution(edges, t, **PROFILE)))
    u = (np.arange(200_000) + 0.5) / 200_000
    portion = np.minimum(np.searchsorted(np.cumsum(masses), u), 8)
    np.testing.assert_allclose(np.bincount(portion, fine(u)) / np.bincount(portion), means, atol=3e-5 * radius)
    left = barenblatt_second_moment(t, dim=1, **PROFILE) - masses @ means**2
    for x in (means, np.sort(rng.normal(size=9))):
        split = np.sqrt(masses @ (x - means) ** 2 + left)
        assert wasserstein_line(Quantile.from_points(x, weights=masses), fine) == pytest.approx(split, rel=1e-7)


@pytest.mark.parametrize(
    ("masses", "message"),
    [([0.5, 0.4], "sum to 1"), ([1.5, -0.5], "positive"), ([], "shape (0,)"), ([[1.0]], "(1, 1)")],
)
def test_bad_masses(masses, message):
    with pytest.raises(ValueError, match="masses must be positive and sum to 1") as info:
        barenblatt_quantile_means(masses, 1.0, exponent=2)
    assert message in str(info.value)
