"""Kernels of the finite volumes against their NumPy twins, dense solves and an independent root finder."""

import numpy as np
import pytest
from scipy.optimize import root

from meanfield._kernels import finite_volume as kernels

EPS = np.finfo(float).eps
TINIEST = np.finfo(float).tiny
SIZES = [4, 5, 8, 33, 200]


def terms(*pairs):
    """Coefficients and exponents of a pressure."""
    return np.array([c for c, _ in pairs], dtype=float), np.array([m for _, m in pairs], dtype=float)


# ---- the cyclic tridiagonal solve --------------------------------------------------------------------------------


def cyclic(lower, diagonal, upper, right, solve=kernels.solve_cyclic):
    n = len(diagonal)
    solution = np.full(n, np.nan)
    given = [np.copy(a) for a in (lower, diagonal, upper, right)]
    solve(*given, solution, np.empty(n), np.empty(n))
    for now, then in zip(given, (lower, diagonal, upper, right), strict=True):
        assert np.array_equal(now, then), "an input was changed"
    return solution


def m_matrix(rng, n, size):
    """Bands of I plus a random graph Laplacian: off-diagonals at most 0, columns that sum to 1."""
    east, west = size * rng.random(n) ** 4, size * rng.random(n) ** 4  # outflow of a cell to the right and to the left
    return -np.roll(east, 1), 1 + east + west, -np.roll(west, -1)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4, 1e8])
def test_cyclic_solve_agrees_with_a_dense_one(n, size):
    rng = np.random.default_rng([n, int(size)])
    for _ in range(5):
        bands = m_matrix(rng, n, size)
        right = rng.standard_normal(n)
        found, exact = cyclic(*bands, right), cyclic(*bands, right, solve=kernels.solve_cyclic_numpy)
        # diagonally dominant by columns with unit excess: the inverse is at most 1 in the norm of sums
        assert np.abs(found - exact).sum() <= 64 * EPS * (1 + size) * np.abs(right).sum()


@pytest.mark.parametrize("size", [1.0, 1e4, 1e8, 1e12])
@pytest.mark.parametrize("n", SIZES)
def test_cyclic_solve_of_an_m_matrix_keeps_the_sign_and_the_sum(n, size):
    rng = np.random.default_rng(n)
    for _ in range(5):
        bands, right = m_matrix(rng, n, size), rng.random(n) * (rng.random(n) < 0.5)
        found = cyclic(*bands, right)
        assert np.all(found >= 0)  # no subtraction in the elimination of an M-matrix with a positive right-hand side
        assert abs(found.sum() - right.sum()) <= 16 * n * EPS * (1 + size) * right.sum()


def test_cyclic_solve_in_closed_form():
    """The heat step of a cosine: division by ``1 + 4k sin²(πj/n)``."""
    n, k = 4, 3.0
    for j in (0, 1, 2):
        wave = np.cos(2 * np.pi * j * np.arange(n) / n)
        found = cyclic(np.full(n, -k), np.full(n, 1 + 2 * k), np.full(n, -k), wave)
        assert np.abs(found - wave / (1 + 4 * k * np.sin(np.pi * j / n) ** 2)).max() <= 8 * EPS


# ---- powers, potentials, reconstruction --------------------------------------------------------------------------


@pytest.mark.parametrize("m", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 0.3])
def test_power(m):
    for x in (0.0, 1e-300, 1e-8, 0.7, 40.0):
        assert kernels.power_of(x, m) == pytest.approx(x**m, rel=8 * EPS, abs=TINIEST)


@pytest.mark.parametrize("m", [0.5, 1, 1.5, 2, 2.5, 3, 5])
def test_chemical_potential_agrees_with_its_twin_and_its_slope_with_differences(m):
    rng = np.random.default_rng(3)
    rho = np.concatenate([[0.0, 1e-14, 3e-13], 10.0 ** rng.uniform(-10, 2, 60)])
    c, exponents = terms((0.7, m), (0.2, 3))
    vacuum = kernels.VACUUM * rho.max() if m < 2 else 0.0
    found, plain = np.empty((2, rho.size)), np.empty((2, rho.size))
    kernels.chemical_potential(rho, c, exponents, vacuum, *found)
    kernels.chemical_potential_numpy(rho, c, exponents, vacuum, *plain)
    assert np.all(np.abs(found - plain) <= 64 * EPS * (1 + np.abs(plain)))
    assert np.all(found[1] >= 0)
    step = 1e-6 * rho[3:]
    ahead, behind, spare = np.empty((3, rho.size - 3))
    kernels.chemical_potential(rho[3:] + step, c, exponents, vacuum, ahead, spare)
    kernels.chemical_potential(rho[3:] - step, c, exponents, vacuum, behind, spare)
    # the difference of two potentials is known to eps |ξ|, its truncation is of order (1e-6)²
    bound = 1e-10 * found[1, 3:] + 4 * EPS * (np.abs(ahead) + np.abs(behind)) / step
    assert np.all(np.abs((ahead - behind) / (2 * step) - found[1, 3:]) <= bound)


@pytest.mark.parametrize("m", [1, 1.5])
def test_chemical_potential_is_linear_and_finite_below_the_vacuum(m):
    c, exponents = terms((1.0, m))
    rho = np.array([0.0, 0.25e-13, 0.5e-13, 1e-13, 1e-13 * (1 + 1e-3)])
    xi, slope = np.empty((2, 5))
    kernels.chemical_potential(rho, c, exponents, 1e-13, xi, slope)
    assert np.all(np.diff(xi) > 0)
    assert np.all(slope[:4] == slope[3])
    assert np.allclose(np.diff(xi[:4]), slope[3] * np.diff(rho[:4]), rtol=1e-8, atol=64 * EPS)


def test_reconstruction_agrees_with_its_twin_and_stays_within_0_and_2():
    rng = np.random.default_rng(4)
    lines = np.stack([
        rng.random(64), rng.random(64) * (rng.random(64) < 0.5), 10.0 ** rng.uniform(-12, 0, 64),
        np.arange(64) % 2, np.eye(64)[7], np.where(rng.random(64) < 0.5, 1e-300, 1.0),
    ]).astype(float)  # fmt: skip
    found, plain = np.empty((2, *lines.shape)), np.empty((2, *lines.shape))
    kernels.reconstruct_lines(lines, *found)
    kernels.reconstruct_lines_numpy(lines, *plain)
    assert np.abs(found - plain).max() <= 4 * EPS
    assert found.min() >= 0
    assert found.max() <= 2
    assert np.all(found.sum(axis=0) == pytest.approx(2, rel=2 * EPS))  # the mean of both ends is the cell's mean
    assert np.all(found[:, lines == 0] == 1)


def test_reconstruction_is_exact_on_linear_data_away_from_extrema():
    h, slope = 1 / 32, 3.0
    rho = 1 + slope * np.abs(np.arange(32) - 16) * h
    east, west = np.empty((2, 1, 32))
    kernels.reconstruct_lines(rho[None], east, west)
    sign = np.sign(np.arange(32) - 16)
    inside = np.r_[1:16, 17:32]  # not the two extrema
    assert np.abs(east[0] * rho - (rho + 0.5 * h * slope * sign))[inside].max() <= 4 * EPS * rho.max()
    assert np.abs(west[0] * rho - (rho - 0.5 * h * slope * sign))[inside].max() <= 4 * EPS * rho.max()
    assert east[0, 0] == west[0, 0] == east[0, 16] == west[0, 16] == 1


def test_reconstruction_limits_to_neighbouring_means():
    """Where one difference is small the ends stay between the neighbours: no new extremum at a face."""
    rng = np.random.default_rng(5)
    rho = np.cumsum(rng.random(200) ** 6 + 1e-3)[None]
    east, west = np.empty((2, 1, 200))
    kernels.reconstruct_lines(rho, east, west)
    inner = slice(1, -1)
    assert np.all((east * rho)[0, inner] <= rho[0, 2:] * (1 + 2 * EPS))
    assert np.all((west * rho)[0, inner] >= rho[0, :-2] * (1 - 2 * EPS))


# ---- the limiter -------------------------------------------------------------------------------------------------


def limited(limit, before, flux, order):
    after = np.full(len(before), np.nan)
    limit(before, flux, order, after)
    return after


def adversarial(rng, n):
    """A line with vacuum, and fluxes of all sizes that no scheme would produce."""
    before = rng.random(n) * (rng.random(n) < 0.6) * 10.0 ** rng.uniform(-12, 3, n)
    flux = rng.standard_normal(n) * 10.0 ** rng.uniform(-12, 6, n) * (rng.random(n) < 0.8)
    return before, flux


@pytest.mark.parametrize("n", [4, 7, 40])
def test_limiter_is_exactly_non_negative_and_keeps_the_mass(n):
    rng = np.random.default_rng(n)
    for _ in range(4000):
        before, flux = adversarial(rng, n) if rng.random() < 0.5 else (rng.random(n), 3 * rng.standard_normal(n))
        after = limited(kernels.limit_line, before, flux, rng.permutation(n))
        assert np.all(after >= 0)
        assert abs(after.sum() - before.sum()) <= 4 * n * EPS * before.sum()


@pytest.mark.parametrize("n", [4, 7, 40])
def test_limiter_agrees_with_its_twin(n):
    rng = np.random.default_rng(n)
    for _ in range(100):
        before, flux = adversarial(rng, n)
        order = rng.permutation(n)
        found, plain = limited(kernels.limit_line, before, flux, order), limited(
            kernels.limit_line_numpy, before, flux, order)  # fmt: skip
        assert np.abs(found - plain).max() <= 8 * n * EPS * before.sum()


def test_limiter_in_one_example():
    # cell 0 holds 1 and should give 3 to the right and 1 to the left: it gives 3/4 and 1/4; cell 1 passes on 1/2
    found = limited(kernels.limit_line, np.array([1.0, 0, 0, 0, 0]), np.array([3.0, 0.5, 0, 0, -1.0]), np.arange(5))
    assert found.tolist() == [0, 0.25, 0.5, 0, 0.25]
    # visited in the wrong order cell 1 has nothing to give yet, and keeps what arrives later
    found = limited(
        kernels.limit_line, np.array([1.0, 0, 0, 0, 0]), np.array([3.0, 0.5, 0, 0, -1.0]), np.array([1, 0, 2, 3, 4])
    )
    assert found[2] == 0
    assert found.sum() == pytest.approx(1, rel=2 * EPS)


def test_update_is_not_limited_where_nothing_is_negative():
    rng = np.random.default_rng(8)
    for _ in range(200):
        before = rng.random(12) + 0.5
        flux = 0.2 * rng.standard_normal(12)
        plain = before + (np.roll(flux, 1) - flux)
        after = np.empty(12)
        kernels.conservative_update(before, flux, rng.random(12), after)
        if plain.min() >= 0:
            assert np.array_equal(after, plain)
        else:
            assert after.min() >= 0


def test_update_is_limited_from_the_highest_potential_down():
    before, after = np.array([0.0, 1.0, 0.0, 0.0]), np.empty(4)
    flux = np.array([0.0, 2.0, 1.5, 0.0])  # 1 -> 2 -> 3, more than there is
    kernels.conservative_update(before, flux, np.array([0.0, 3.0, 2.0, 1.0]), after)
    assert after.tolist() == [0, 0, 0, 1]
    kernels.conservative_update(before, flux, np.array([0.0, 2.0, 3.0, 1.0]), after)
    assert after.tolist() == [0, 1, 0, 0]  # a flux uphill is dropped


# ---- implicit steps against an independent root finder -----------------------------------------------------------


def two_point(before, k, c, m):
    after = np.empty_like(before)
    iterations, status = kernels.two_point_lines(before, k, c, m, after)
    return after, iterations, status


def upwind(before, k, c, m, potential, east=None, west=None):
    after = np.empty_like(before)
    ones = np.ones_like(before)
    east, west = ones if east is None else east, ones if west is None else west
    iterations, status = kernels.upwind_lines(before, k, c, m, potential, east, west, bool((m < 2).any()), after)
    return after, iterations, status


def root_of(equations, start):
    found = root(equations, start, method="hybr", options={"xtol": 1e-13, "maxfev": 20000})
    assert np.abs(equations(found.x)).max() <= 1e-11, found.message
    return found.x


@pytest.mark.parametrize("m", [1, 1.5, 2, 3])
@pytest.mark.parametrize("k", [0.1, 1.0, 10.0])
def test_two_point_step_solves_its_equations(m, k):
    rng = np.random.default_rng(11)
    before = rng.random((3, 12)) + 0.2
    c, exponents = terms((0.6, m), (0.2, 2))
    after, iterations, status = two_point(before, k, c, exponents)
    assert status == kernels.CONVERGED
    assert 1 <= iterations <= 12

    for row in range(3):

        def equations(rho, row=row):
            p = 0.6 * rho**m + 0.2 * rho**2
            return rho - before[row] - k * (np.roll(p, 1) - 2 * p + np.roll(p, -1))

        # the residual is of rounding: eps times the largest term
        scale = (1 + 4 * k * (0.6 * m + 0.4)) * before.max() ** max(m, 2)
        assert np.abs(equations(after[row])).max() <= 64 * EPS * scale
        assert np.abs(after[row] - root_of(equations, np.full(12, before[row].mean()))).max() <= 1e-10


@pytest.mark.parametrize("m", [1, 1.5, 2, 3])
@pytest.mark.parametrize("k", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("second", [False, True])
def test_upwind_step_solves_its_equations(m, k, second):
    rng = np.random.default_rng(12)
    before, potential = rng.random((3, 12)) + 0.3, rng.random((3, 12))
    east, west = np.ones_like(before), np.ones_like(before)
    if second:
        kernels.reconstruct_lines(before, east, west)
    c, exponents = terms((0.6, m))
    after, _, status = upwind(before, k, c, exponents, potential, east, west)
    assert status == kernels.CONVERGED
    for row in range(3):

        def equations(rho, row=row):
            xi = (0.6 * (np.log(rho) + 1) if m == 1 else 0.6 * m / (m - 1) * rho ** (m - 1)) + potential[row]
            flux = kernels.upwind_flux_numpy(xi, rho, east[row], west[row], k)
            return rho - before[row] + flux - np.roll(flux, 1)

        assert np.abs(equations(after[row])).max() <= 64 * EPS * (1 + 8 * k)
        # a damped Newton step may find another solution only if there are two: there is one
        try_from = after[row] * (1 + 1e-3 * rng.standard_normal(12))
        assert np.abs(after[row] - root_of(equations, try_from)).max() <= 1e-10


def test_upwind_flux_agrees_with_its_twin_and_its_derivatives_with_differences():
    rng = np.random.default_rng(13)
    n, k = 30, 0.7
    rho, potential, east, west = rng.random(n) + 0.1, rng.random(n), 2 * rng.random(n), 2 * rng.random(n)
    c, exponents = terms((1.0, 2.0))

    def evaluate(density):
        xi, slope, flux, by_left, by_right = np.empty((5, n))
        kernels.chemical_potential(density, c, exponents, 0.0, xi, slope)
        xi += potential
        kernels.upwind_flux(xi, slope, density, east, west, k, flux, by_left, by_right)
        assert np.abs(flux - kernels.upwind_flux_numpy(xi, density, east, west, k)).max() <= 8 * EPS
        return flux, by_left, by_right

    _, by_left, by_right = evaluate(rho)
    for i in range(n):
        step = np.eye(n)[i] * 1e-6
        change = (evaluate(rho + step)[0] - evaluate(rho - step)[0]) / 2e-6
        assert change[i] == pytest.approx(by_left[i], abs=1e-8)  # the flux is quadratic: only rounding remains
        assert change[i - 1] == pytest.approx(by_right[i - 1], abs=1e-8)
    assert np.all(by_left >= 0)
    assert np.all(by_right <= 0)


@pytest.mark.parametrize("scheme", ["two-point", "upwind"])
@pytest.mark.parametrize("n", [4, 5])
def test_the_smallest_lines(scheme, n):
    before = np.zeros((1, n))
    before[0, 1] = 1.0
    c, m = terms((1.0, 2.0))
    after, _, status = two_point(before, 1.0, c, m) if scheme == "two-point" else upwind(before, 1.0, c, m, 0 * before)
    assert status == kernels.CONVERGED
    assert after.min() >= 0
    assert after[0, 0] == pytest.approx(after[0, 2], rel=16 * EPS)
    assert after.sum() == pytest.approx(1, rel=8 * EPS)


def test_the_two_point_heat_step_in_closed_form():
    n, k = 16, 2.5
    wave = np.cos(2 * np.pi * np.arange(n) / n)
    after, iterations, status = two_point(1 + 0.5 * wave[None], k, *terms((1.0, 1.0)))
    assert status == kernels.CONVERGED
    assert iterations <= 2  # linear: one Newton iteration, and one for its rounding
    exact = 1 + 0.5 * wave / (1 + 4 * k * np.sin(np.pi / n) ** 2)
    assert np.abs(after - exact).max() <= 16 * EPS * (1 + 4 * k)


@pytest.mark.parametrize("m", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("with_potential", [False, True])
def test_empty_and_almost_empty_lines(m, with_potential):
    """In d > 1 whole lines are empty: they stay so, without a division by the density."""
    before = np.stack([np.zeros(8), np.full(8, 1e-300), 1e-300 * np.eye(8)[2], np.eye(8)[3]])
    potential = np.sin(np.arange(32.0)).reshape(4, 8) * with_potential
    c, exponents = terms((1.0, m))
    after, _, status = upwind(before, 1.0, c, exponents, potential)
    assert status == kernels.CONVERGED
    assert np.all(after >= 0)
    assert np.all(after[0] == 0)
    assert np.allclose(after.sum(axis=1), before.sum(axis=1), rtol=16 * EPS, atol=0)
    if not with_potential:
        after, _, status = two_point(before, 1.0, c, exponents)
        assert status == kernels.CONVERGED
        assert np.all(after[0] == 0)
        assert np.allclose(after.sum(axis=1), before.sum(axis=1), rtol=16 * EPS, atol=0)


def test_a_potential_alone_drains_the_hill_upwind():
    """Without pressure the scheme is linear: one M-matrix solve."""
    n, k = 12, 5.0
    potential = np.cos(2 * np.pi * np.arange(n) / n)
    before = np.random.default_rng(1).random((1, n))
    after, iterations, status = upwind(before, k, *terms(), potential[None])
    assert (status, iterations) in {(kernels.CONVERGED, 1), (kernels.CONVERGED, 2)}
    drop = potential - np.roll(potential, -1)
    east, west = k * np.maximum(drop, 0), k * np.maximum(-np.roll(drop, 1), 0)
    matrix = np.diag(1 + east + west)
    matrix[np.arange(n), np.arange(n) - 1] -= np.roll(east, 1)
    matrix[np.arange(n), (np.arange(n) + 1) % n] -= np.roll(west, -1)
    assert np.abs(after[0] - np.linalg.solve(matrix, before[0])).max() <= 64 * EPS * k


@pytest.mark.parametrize("scheme", ["two-point", "upwind"])
def test_what_does_not_converge_says_so(scheme):
    """An overflowing power: the kernel reports a stall instead of a wrong step."""
    before = np.full((1, 8), 1e200)
    before[0, 0] = 2e200
    c, m = terms((1.0, 3.0))
    _, _, status = two_point(before, 1.0, c, m) if scheme == "two-point" else upwind(before, 1.0, c, m, 0 * before)
    assert status == kernels.STALLED
    before[0, 0] = np.nan
    _, _, status = two_point(before, 1.0, c, m) if scheme == "two-point" else upwind(before, 1.0, c, m, 0 * before)
    assert status == kernels.STALLED


@pytest.mark.parametrize("scheme", ["two-point", "upwind"])
def test_rows_do_not_see_each_other(scheme):
    rng = np.random.default_rng(21)
    before, potential = rng.random((6, 20)) * (rng.random((6, 20)) < 0.7), rng.random((6, 20))
    c, m = terms((1.0, 1.5))
    run = (lambda rows: two_point(before[rows], 3.0, c, m)) if scheme == "two-point" else (
        lambda rows: upwind(before[rows], 3.0, c, m, potential[rows]))  # fmt: skip
    whole, most, _ = run(slice(None))
    parts = [run(slice(i, i + 1)) for i in range(6)]
    assert np.array_equal(whole, np.concatenate([part[0] for part in parts]))
    assert most == max(part[1] for part in parts)
