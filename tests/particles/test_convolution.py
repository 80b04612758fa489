"""Convolution of particles with kernels: the routes against one another and against sums written out (PART-1)."""

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import parallel, transforms
from meanfield.particles import Route, direct, fourier, from_modes, routes, to_modes

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
KERNELS = [mf.SobolevKernel(2, 0.1), mf.SobolevKernel(0.75), mf.GaussianKernel(0.12), mf.DiracKernel()]


def backends():
    try:
        return [transforms.choose("scipy"), transforms.choose("ducc0")]
    except ValueError:
        return [transforms.choose("scipy")]


def cloud(number, dim, components=2, seed=0):
    """Positions of any representative, strengths of both signs."""
    rng = np.random.default_rng(seed)
    return 4 * rng.random((number, dim)) - 2, rng.standard_normal((number, components))


def assert_close(found, expected, tolerance):
    """Value and gradient, each to the tolerance of its greatest entry."""
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


def written_out(kernel, torus, x, b):
    """The sums over particles and modes, one mode at a time."""
    top = (torus.n - 1) // 2
    value, gradient = np.zeros(b.shape), np.zeros((*b.shape, torus.dim))
    for k in np.ndindex(*(2 * top + 1,) * torus.dim):
        k = np.array(k) - top
        wave = np.exp(2j * np.pi * x @ k)
        term = kernel.spectrum(np.sum((2 * np.pi * k) ** 2)) * np.outer(wave, wave.conj() @ b)
        value += term.real
        gradient += (2j * np.pi * term[..., None] * k).real
    return value, gradient


# ---- the torus -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "n"), [(1, 16), (1, 17), (2, 8), (2, 9), (3, 5), (3, 6)])
@pytest.mark.parametrize("kernel", KERNELS[1:], ids=repr)
def test_sum_over_modes_is_the_sum_written_out(kernel, dim, n):
    torus, (x, b) = mf.Torus(n, dim=dim), cloud(20, dim)
    found = kernel.convolve_particles(torus, x, b, route=Route.MODES)
    assert_close(found, written_out(kernel, torus, x, b), 64 * EPS * n**dim)


@pytest.mark.parametrize(("dim", "n"), [(1, 64), (1, 513), (2, 33), (2, 34), (3, 11), (3, 12)])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_fourier_route_is_the_sum_over_modes_to_the_tolerance(kernel, dim, n):
    torus, (x, b) = mf.Torus(n, dim=dim), cloud(300, dim)
    expected = kernel.convolve_particles(torus, x, b, route=Route.MODES)
    for tolerance in (1e-4, 1e-9, 1e-11) if dim < 3 else (1e-4, 1e-9):
        assert_close(kernel.convolve_particles(torus, x, b, tolerance, Route.FOURIER), expected, tolerance)


@pytest.mark.parametrize(("dim", "n"), [(1, 129), (2, 65), (3, 17)])
def test_fourier_route_is_the_direct_sum_for_ten_thousand_particles(dim, n):
    torus, (x, b) = mf.Torus(n, dim=dim), cloud(10_000, dim, 1)
    kernel = mf.GaussianKernel(3.5 / n)
    direct_sum = kernel.convolve_particles(torus, x, b, route=Route.DIRECT)
    assert_close(kernel.convolve_particles(torus, x, b, route=Route.FOURIER), direct_sum, 1e-9)


@pytest.mark.parametrize("kind", ["clustered", "lattice", "one place", "equal weights"])
def test_tolerance_is_kept_for_positions_and_strengths_of_every_kind(kind):
    torus, kernel, (x, b) = mf.Torus(65, dim=2), mf.SobolevKernel(3, 0.1), cloud(400, 2, 1)
    if kind == "clustered":
        x = 0.01 * x + 0.3
    elif kind == "lattice":
        x = np.stack(np.meshgrid(*[np.arange(20) / 20] * 2), axis=-1).reshape(-1, 2)
    elif kind == "one place":
        x = np.broadcast_to(x[:1], x.shape)
    else:
        b = np.full_like(b, 1 / 400)
    found, expected = (kernel.convolve_particles(torus, x, b, 1e-9, r) for r in (Route.FOURIER, Route.MODES))
    assert np.abs(found[0] - expected[0]).max() <= 1e-9 * np.abs(expected[0]).max()
    # At one place the gradient vanishes: the scale is what a few particles exert on one another.
    steepest = np.abs(kernel.convolve_particles(torus, *cloud(2, 2, 1), route=Route.MODES)[1]).max()
    assert np.abs(found[1] - expected[1]).max() <= 1e-9 * max(np.abs(expected[1]).max(), steepest * np.abs(b).sum())


def test_nearly_constant_fields_have_exact_gradients():
    """A large mean must not leak into the gradient, where it has no part."""
    torus, kernel = mf.Torus(64), mf.SobolevKernel(2)
    x = (np.arange(1000)[:, None] + 0.5) / 1000
    x[3] += 1e-6
    b = np.full((1000, 1), 1.0)
    found, expected = (kernel.convolve_particles(torus, x, b, 1e-9, r)[1] for r in (Route.FOURIER, Route.MODES))
    assert np.abs(expected).max() < 1e-4
    assert np.abs(found - expected).max() <= 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("length", [0.03, 0.08, 0.2, 0.5])
def test_direct_route_sums_all_images(dim, length):
    n = {1: 256, 2: 200, 3: 100}[dim]
    torus, kernel, (x, b) = mf.Torus(n, dim=dim), mf.GaussianKernel(length), cloud(40, dim)
    offsets = (x[:, None] - x)[..., None] + np.arange(-9, 10)
    terms = np.exp(-0.5 * (offsets / length) ** 2) / (length * np.sqrt(2 * np.pi))
    factors, slopes = terms.sum(axis=-1), -np.sum(offsets * terms, axis=-1) / length**2
    gradient = np.stack(
        [
            (slopes[..., a] * np.prod(np.delete(factors, a, axis=-1), axis=-1)) @ b
            for a in range(dim)
        ],
        axis=-1,
    )  # fmt: skip
    for tolerance in (1e-3, 1e-12):
        found = kernel.convolve_particles(torus, x, b, tolerance, Route.DIRECT)
        assert_close(found, (np.prod(factors, axis=-1) @ b, gradient), tolerance)


def test_wide_gaussians_are_summed_as_far_as_their_images_do_not_cancel():
    torus, (x, b) = mf.Torus(33), cloud(40, 1)
    kernel = mf.GaussianKernel(0.75)
    found, expected = (kernel.convolve_particles(torus, x, b, 1e-9, r) for r in (Route.DIRECT, Route.MODES))
    assert_close(found, expected, 1e-9)
    with pytest.raises(ValueError, match="neither narrower nor wider"):
        kernel.convolve_particles(torus, x, b, 1e-12, Route.DIRECT)
    assert_close(kernel.convolve_particles(torus, x, b, 1e-12), expected, 1e-12)


def test_without_a_route_the_cheapest_is_taken(monkeypatch):
    torus, kernel = mf.Torus(129, dim=2), mf.GaussianKernel(0.05)
    taken = []
    for module, name in ((direct, "periodic"), (fourier, "values_and_slopes")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, f=original, n=name: (taken.append(n), f(*a))[1])
    for number in (50, 3000):
        kernel.convolve_particles(torus, *cloud(number, 2))
    mf.GaussianKernel(0.008).convolve_particles(torus, *cloud(50, 2))  # not resolved: the torus's modes are summed
    mf.SobolevKernel(2).convolve_particles(torus, *cloud(50, 2))
    assert taken == ["periodic", *["values_and_slopes"] * 3]
    choices = [routes.cheapest(torus, number, 1, 1) for number in (100, 300, 1000, 3000)]
    assert choices == sorted(choices, key=[Route.DIRECT, Route.FOURIER].index)


def test_cost_of_the_fourier_route_is_linear_in_the_number():
    """PART-1: four times the particles cost about four times, where a sum over pairs costs sixteen."""
    torus, kernel, times = mf.Torus(33, dim=2), mf.SobolevKernel(2), {}
    for number in (20_000, 80_000):
        x, b = cloud(number, 2, 1)
        times[number] = []
        for _ in range(5):
            start = time.process_time()
            kernel.convolve_particles(torus, x, b)
            times[number].append(time.process_time() - start)
    assert min(times[80_000]) < 8 * min(times[20_000])


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
@pytest.mark.parametrize(("dim", "n"), [(1, 32), (2, 17), (3, 8)])
def test_every_backend_of_transforms_gives_the_tolerance(backend, dim, n, monkeypatch):
    monkeypatch.setattr(fourier, "transforms", backend)
    torus, kernel, (x, b) = mf.Torus(n, dim=dim), mf.SobolevKernel(2, 0.1), cloud(200, dim)
    found = kernel.convolve_particles(torus, x, b, route=Route.FOURIER)
    assert_close(found, kernel.convolve_particles(torus, x, b, route=Route.MODES), 1e-9)


@pytest.mark.parametrize("route", list(Route))
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_same_bits_for_every_number_of_threads(route, dim):
    n, number = {1: (64, 200_000), 2: (24, 30_000), 3: (12, 5_000)}[dim]
    if route is not Route.FOURIER:
        number = 3000
    torus, kernel, (x, b) = mf.Torus(n, dim=dim), mf.GaussianKernel(0.2), cloud(number, dim)
    before, results = parallel.get_threads(), []
    try:
        for threads in (1, 2, 4):
            parallel.set_threads(threads)
            results.append(kernel.convolve_particles(torus, x, b, route=route))
    finally:
        parallel.set_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]), st.sampled_from([Route.FOURIER, Route.DIRECT]))
def test_equivariance(seed, dim, route):
    """Permuted and translated particles have permuted and equal sums, and other representatives the same ones."""
    rng = np.random.default_rng(seed)
    torus, kernel, (x, b) = mf.Torus(32, dim=dim), mf.GaussianKernel(0.15), cloud(30, dim, seed=seed)
    plain = kernel.convolve_particles(torus, x, b, route=route)
    order, shift, turns = rng.permutation(30), rng.random(dim), rng.integers(-3, 4, (30, dim))
    permuted = kernel.convolve_particles(torus, x[order], b[order], route=route)
    assert_close(permuted, [array[order] for array in plain], 1e-13)
    assert_close(kernel.convolve_particles(torus, x + shift, b, route=route), plain, 1e-9)
    assert_close(kernel.convolve_particles(torus, x + turns, b, route=route), plain, 1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kernel", KERNELS[:3], ids=repr)
def test_gradient_is_the_derivative_of_the_value_with_the_sources_fixed(kernel, dim):
    torus, (x, b), h = mf.Torus(16, dim=dim), cloud(20, dim), 1e-4
    modes = to_modes(torus, x, b, 1e-11) * kernel.multiplier(torus)
    gradient = kernel.convolve_particles(torus, x, b, 1e-11, Route.FOURIER)[1]
    for a in range(dim):
        step = h * np.eye(dim)[a]
        difference = from_modes(torus, modes, x + step, 1e-11)[0] - from_modes(torus, modes, x - step, 1e-11)[0]
        error = np.abs(difference / (2 * h) - gradient[..., a]).max()
        assert error <= (2 * np.pi * torus.n / 2 * h) ** 2 / 6 * np.abs(gradient).max() + 1e-6 * np.abs(gradient).max()


# ---- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
@pytest.mark.parametrize(("dim", "n"), [(1, 15), (1, 16), (2, 9), (2, 10), (3, 5), (3, 6)])
def test_modes_are_those_of_the_library_transforms(backend, dim, n):
    torus, (x, b), low = mf.Torus(n, dim=dim), cloud(30, dim), (n + 1) // 2
    found = to_modes(torus, x, b, 1e-11)
    k = np.r_[0:low, 1 - low : 0]
    for c in range(2):
        full = backend.plan(x % 1.0, (2 * low - 1,) * dim, 1e-12).adjoint(b[:, c])
        kept = full[..., :low]
        place = np.ix_(*[k % n] * (dim - 1), k[:low])
        assert np.abs(found[c][place] - kept).max() <= 1e-11 * np.abs(kept).max()
        rest = found[c].copy()
        rest[place] = 0
        assert not rest.any(), "a mode beyond (n−1)//2"


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
@pytest.mark.parametrize("shape", [(9,), (8,), (7, 6), (5, 4, 5)])
def test_library_transforms_of_type_one_are_the_direct_sum(backend, shape):
    rng = np.random.default_rng(7)
    x, b = 3 * rng.random((23, len(shape))) - 1, rng.standard_normal(23) + 1j * rng.standard_normal(23)
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in shape], indexing="ij"), axis=-1)
    expected = np.exp(-2j * np.pi * (k @ x.T)) @ b
    kept = b.copy()
    assert np.abs(backend.plan(x, shape, 1e-12).adjoint(b) - expected).max() <= 1e-11 * np.abs(b).sum()
    assert np.array_equal(b, kept)


@pytest.mark.parametrize(("dim", "n"), [(1, 31), (2, 15), (3, 7)])
def test_from_modes_is_interpolation_and_the_transpose_of_to_modes(dim, n):
    torus, (x, b) = mf.Torus(n, dim=dim), cloud(25, dim)
    f = np.random.default_rng(2).standard_normal((2, *torus.shape))
    modes = np.stack([torus.coefficients(one) for one in f])
    value, gradient = from_modes(torus, modes, x, 1e-11)
    assert np.abs(value.T - torus.interpolate(f, x)).max() <= 1e-11 * np.abs(modes).sum()
    slopes = np.stack([torus.interpolate(torus.gradient(one), x) for one in f])
    assert np.abs(gradient - slopes.transpose(2, 0, 1)).max() <= 1e-10 * np.abs(modes).sum() * np.pi * n
    transposed = np.sum(torus.mode_weights * (to_modes(torus, x, b, 1e-11) * modes.conj()).real)
    assert np.sum(value * b) == pytest.approx(transposed, abs=1e-10 * np.abs(modes).sum() * np.abs(b).sum())


def test_field_on_the_grid_and_back_is_the_convolution():
    torus, kernel, (x, b) = mf.Torus(33, dim=2), mf.SobolevKernel(3, 0.1), cloud(100, 2)
    modes = to_modes(torus, x, b) * kernel.multiplier(torus)
    field = np.stack([torus.values(one) for one in modes])
    back = from_modes(torus, np.stack([torus.coefficients(one) for one in field]), x)
    assert_close(back, kernel.convolve_particles(torus, x, b, route=Route.FOURIER), 1e-9)


# ---- R^d -------------------------------------------------------------------------------------------------------------

ON_SPACE = [mf.GaussianKernel(0.4), mf.LaplaceKernel(0.4), mf.MaternKernel(1.5, 0.4), mf.MaternKernel(3.5, 0.4)]


@pytest.mark.parametrize("kernel", ON_SPACE, ids=repr)
@pytest.mark.parametrize(("dim", "components", "number"), [(1, 1, 1), (2, 2, 33), (3, 1, 1100), (6, 2, 200)])
def test_direct_sums_on_space_are_the_sums_written_out(kernel, dim, components, number):
    x, b = cloud(number, dim, components)
    value, gradient = kernel.convolve_particles(None, x, b)
    matrix = kernel(x, x)
    assert np.abs(value - matrix @ b).max() <= 64 * EPS * np.abs(matrix @ np.abs(b)).max()
    assert gradient.shape == (number, components, dim)
    h, i = 1e-5, number // 2
    others = np.arange(number) != i  # the gradient of the self term is zero
    for a in range(dim):
        step = h * np.eye(dim)[a]
        difference = (kernel(x[[i]] + step, x[others]) - kernel(x[[i]] - step, x[others])) @ b[others] / (2 * h)
        # third derivatives up to a few ℓ^{−3}, but for Laplace, whose nearest neighbour may be close
        assert np.abs(difference[0] - gradient[i, :, a]).max() <= 1e-6 * (1 + np.abs(b).sum())


def test_positions_may_coincide():
    x, b = np.zeros((40, 2)), np.ones((40, 1))
    for kernel in ON_SPACE:
        value, gradient = kernel.convolve_particles(None, x, b)
        assert np.all(value == 40)
        assert np.all(gradient == 0)


def test_same_bits_on_space_for_every_number_of_threads():
    x, b = cloud(5000, 2)
    before, results = parallel.get_threads(), []
    try:
        for threads in (1, 2, 4):
            parallel.set_threads(threads)
            results.append(mf.GaussianKernel(0.3).convolve_particles(None, x, b))
    finally:
        parallel.set_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


# ---- the door --------------------------------------------------------------------------------------------------------

TORUS, X, B = mf.Torus(16, dim=2), np.zeros((3, 2)), np.ones((3, 1))
BAD = {
    "x of another dimension": (mf.SobolevKernel(2), TORUS, np.zeros((3, 1)), B, {}, "x must have shape"),
    "x flat": (mf.SobolevKernel(2), TORUS, np.zeros(3), B, {}, "x must have shape"),
    "no particles": (mf.SobolevKernel(2), TORUS, np.zeros((0, 2)), np.zeros((0, 1)), {}, "x must have shape"),
    "x not a number": (mf.SobolevKernel(2), TORUS, X * np.nan, B, {}, "x must be finite"),
    "b flat": (mf.SobolevKernel(2), TORUS, X, np.ones(3), {}, "b must have shape"),
    "b of another length": (mf.SobolevKernel(2), TORUS, X, np.ones((2, 1)), {}, "b must have shape"),
    "b without components": (mf.SobolevKernel(2), TORUS, X, np.ones((3, 0)), {}, "b must have shape"),
    "b infinite": (mf.SobolevKernel(2), TORUS, X, B * np.inf, {}, "b must be finite"),
    "tolerance zero": (mf.SobolevKernel(2), TORUS, X, B, {"tolerance": 0.0}, "tolerance must be positive"),
    "tolerance one": (mf.SobolevKernel(2), TORUS, X, B, {"tolerance": 1.0}, "tolerance must be at most"),
    "tolerance too small": (mf.SobolevKernel(2), TORUS, X, B, {"tolerance": 1e-16}, "tolerance must be at least"),
    "direct sum of a Sobolev kernel": (mf.SobolevKernel(2), TORUS, X, B, {"route": Route.DIRECT}, "for Gaussians"),
    "direct sum not resolved": (mf.GaussianKernel(0.01), TORUS, X, B, {"route": Route.DIRECT}, "narrower nor"),
    "Matern kernel on a torus": (mf.MaternKernel(1.5), TORUS, X, B, {}, "Fourier coefficients"),
    "Sobolev kernel on space": (mf.SobolevKernel(2), None, X, B, {}, "closed form"),
    "Fourier route on space": (mf.GaussianKernel(1), None, X, B, {"route": Route.FOURIER}, "sums are direct"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name):
    kernel, torus, x, b, options, message = BAD[name]
    with pytest.raises(ValueError, match=message) as info:
        kernel.convolve_particles(torus, x, b, **options)
    assert FORM.fullmatch(str(info.value))


def test_wrong_types_are_refused():
    kernel = mf.SobolevKernel(2)
    for options in ({"route": "direct"}, {"tolerance": "small"}):
        with pytest.raises(TypeError, match=r"\(got .+\); "):
            kernel.convolve_particles(TORUS, X, B, **options)
    for torus in (16, "T2"):
        with pytest.raises(TypeError, match="torus must be a Torus"):
            kernel.convolve_particles(torus, X, B)
        with pytest.raises(TypeError, match="torus must be a Torus"):
            to_modes(torus, X, B)
    with pytest.raises(TypeError, match="array of real numbers"):
        kernel.convolve_particles(TORUS, X + 1j, B)
    with pytest.raises(ValueError, match=r"modes must have shape \(q, 16, 9\)"):
        from_modes(TORUS, np.zeros((16, 9)), X)
    with pytest.raises(ValueError, match="modes must be finite"):
        from_modes(TORUS, np.full((1, 16, 9), np.nan), X)


def test_inputs_are_not_modified():
    x, b = cloud(50, 2)
    kept = x.copy(), b.copy()
    kernel = mf.GaussianKernel(0.2)
    for torus, route in ((TORUS, Route.FOURIER), (TORUS, Route.DIRECT), (TORUS, Route.MODES), (None, None)):
        kernel.convolve_particles(torus, x, b, 1e-3, route)
    modes = to_modes(TORUS, x, b)
    before = modes.copy()
    from_modes(TORUS, modes, x)
    assert np.array_equal(x, kept[0])
    assert np.array_equal(b, kept[1])
    assert np.array_equal(modes, before)


def test_points_far_away_are_not_seen():
    """The polynomial of a Matérn kernel may overflow where the exponential has vanished long before."""
    for kernel in (
        mf.GaussianKernel(0.3),
        mf.LaplaceKernel(0.3),
        mf.MaternKernel(2.5, 0.3),
        mf.MaternKernel(10.5, 0.3),
    ):
        for far in (1e10, 1e40, 1e200):
            value, gradient = kernel.convolve_particles(None, np.array([[0.0, 0.0], [far, 0.0]]), np.ones((2, 1)))
            np.testing.assert_allclose(value, 1.0, rtol=1e-14)
            assert np.abs(gradient).max() < 1e-80


def test_a_gaussian_far_below_the_grid_is_the_sum_of_the_modes():
    x, b = np.array([[0.1], [0.35]]), np.ones((2, 1))
    narrow, dirac = (k.convolve_particles(mf.Torus(9), x, b)[0] for k in (mf.GaussianKernel(1e-20), mf.DiracKernel()))
    np.testing.assert_allclose(narrow, dirac, rtol=1e-8)
