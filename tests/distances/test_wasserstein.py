"""W₂ in one dimension: closed forms, independent routes, the axioms of a distance, the digits of small distances."""

import importlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from meanfield._check import ConvergenceError
from meanfield._kernels.transport_1d import sweep, sweep_numpy
from meanfield.distances import Quantile, lag_search, wasserstein, wasserstein_circle, wasserstein_line
from meanfield.measures import TorusDensity
from meanfield.torus import Torus

module = importlib.import_module("meanfield.distances.wasserstein")
EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)


def bumps(n, places, radius=0.1):
    """A density of parabolic bumps with vacuum between them, mean 1."""
    x = np.arange(n)[:, None] / n - np.asarray(places)
    values = np.maximum(radius**2 - (x - np.round(x)) ** 2, 0.0).sum(axis=1)
    return values / values.mean()


def random_density(rng, vacuum=0.3):
    """A positive or partly vanishing random density of mean 1 on a grid of random size."""
    n = int(rng.integers(2, 20))
    values = rng.random(n) * (rng.random(n) > vacuum)
    values[rng.integers(n)] += 0.1
    return values / values.mean()


def shifted(measure, distance):
    return Quantile(measure.masses, measure.left + distance, measure.right + distance)


def recut(measure, pieces):
    """The same measure on the circle, its list of pieces begun elsewhere: the optimal lag is no round number."""

    def turned(ends):
        return np.concatenate([ends[pieces:], ends[:pieces] + 1])

    return Quantile(np.roll(measure.masses, -pieces), turned(measure.left), turned(measure.right))


def dyadic_measure(rng, pieces):
    """Masses and positions in powers of two, so that cumulated sums are exact; some pieces are atoms."""
    masses = rng.multinomial(2**10 - pieces, np.full(pieces, 1 / pieces)) + 1
    cuts = np.sort(rng.integers(0, 2**10, 2 * pieces)) / 2**10
    atoms = rng.random(pieces) < 0.3
    arrays = masses / 2**10, cuts[::2].copy(), np.where(atoms, cuts[::2], cuts[1::2])
    for array in arrays:
        array.setflags(write=False)  # as the library calls the kernel: one compilation serves both
    return arrays


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_kernel_agrees_with_its_numpy_twin(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, 2)
    lag = rng.integers(-(2**11), 2**11) / 2**10  # a multiple of the unit of mass: breakpoints coincide, jumps meet
    if rng.random() < 0.5:
        lag += 2.0**-12
    arguments = *dyadic_measure(rng, sizes[0]), *dyadic_measure(rng, sizes[1])
    anchor = int(rng.integers(sizes[0])), int(rng.integers(sizes[1])), float(rng.integers(-1, 2))
    np.testing.assert_allclose(
        sweep(*arguments, *anchor, lag), sweep_numpy(*arguments, *anchor, lag), rtol=0, atol=500 * EPS
    )


def test_slopes_are_the_derivative_of_the_cost_on_either_side():
    rng = np.random.default_rng(3)
    first, second = dyadic_measure(rng, 5), dyadic_measure(rng, 7)
    step = 2.0**-20
    sides = []
    for lag in np.arange(-1024, 1024) / 1024:
        cost, minus, plus = sweep(*first, *second, 0, 0, 0.0, lag)
        before, after = (sweep(*first, *second, 0, 0, 0.0, lag + h)[0] for h in (-step, step))
        assert abs((cost - before) / step - minus) < 2000 * step
        assert abs((after - cost) / step - plus) < 2000 * step
        sides.append(plus - minus)
    assert max(sides) > 1e-3  # some lags do have jumps that meet


@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_points_on_the_circle_agree_with_pot(weighted):
    import ot

    rng = np.random.default_rng(11)
    for _ in range(5):
        x, y = rng.random(30), rng.random(40) ** 2
        u, v = (rng.dirichlet(np.ones(size)) if weighted else None for size in (30, 40))
        ours = wasserstein_circle(Quantile.from_points(x, weights=u), Quantile.from_points(y, weights=v))
        gap = np.abs(x[:, None] - y)
        simplex = ot.emd2([] if u is None else u, [] if v is None else v, np.minimum(gap, 1 - gap) ** 2)
        assert abs(ours - math.sqrt(simplex)) < 1e-12
        assert abs(ours - math.sqrt(ot.wasserstein_circle(x, y, u_weights=u, v_weights=v, p=2)[0])) < 1e-9


def test_densities_agree_with_the_network_simplex_on_their_sub_cells():
    import ot

    rng = np.random.default_rng(5)
    first, second, parts = rng.random(8) * [1, 1, 0, 0, 1, 1, 0, 1], rng.random(6) + 0.1, 40
    first, second = first / first.mean(), second / second.mean()
    points = [((np.arange(n * parts) + 0.5) / parts - 0.5) / n for n in (8, 6)]
    weights = [np.repeat(v / v.size, parts) / parts for v in (first, second)]
    gap = np.abs(points[0][:, None] - points[1]) % 1
    simplex = math.sqrt(ot.emd2(*weights, np.minimum(gap, 1 - gap) ** 2))
    # a density is within width/sqrt(12) of the atoms at the centres of its sub-cells; the error is far smaller
    assert abs(wasserstein_circle(Quantile.from_cells(first), Quantile.from_cells(second)) - simplex) < 1e-4


def test_line_agrees_with_quadrature_over_quantiles():
    rng = np.random.default_rng(2)
    density = Quantile.from_histogram(np.sort(rng.normal(size=8)), rng.dirichlet(np.ones(7)))
    atoms = Quantile.from_points(rng.normal(size=5), weights=rng.dirichlet(np.ones(5)))
    breaks = np.unique(np.concatenate([[0.0], np.cumsum(density.masses)[:-1], np.cumsum(atoms.masses)[:-1], [1.0]]))
    square = sum(
        integrate.quad(lambda u: float(density(u) - atoms(u)) ** 2, a, b)[0] for a, b in itertools.pairwise(breaks)
    )
    assert wasserstein_line(density, atoms) == pytest.approx(math.sqrt(square), rel=1e-12)


def test_line_between_uniform_densities_is_exact():
    first = Quantile.from_histogram([-1.0, 0.0, 3.0], [0.25, 0.75])  # uniform on [-1, 3], in two cells
    second = Quantile.from_histogram([4.0, 5.0], [1.0])
    # W₂² = (difference of means)² + (difference of lengths)²/12
    assert wasserstein_line(first, second) == pytest.approx(math.sqrt(3.5**2 + 3**2 / 12), rel=4 * EPS)


def test_line_between_gaussians_at_second_order_in_the_cell():
    errors = []
    for n in (100, 200, 400, 800):
        edges = np.linspace(-12, 12, n + 1)
        cdf = np.array(
            [[math.erf((e - mean) / (width * math.sqrt(2))) for e in edges] for mean, width in ((0, 1), (1, 1.5))]
        )
        masses = np.diff(cdf / (cdf[:, -1:] - cdf[:, :1]), axis=1)
        value = wasserstein_line(Quantile.from_histogram(edges, masses[0]), Quantile.from_histogram(edges, masses[1]))
        errors.append(abs(value - math.hypot(1, 0.5)))
    slope = np.polyfit(np.log([100, 200, 400, 800]), np.log(errors), 1)[0]
    assert slope == pytest.approx(-2, abs=0.1), errors
    assert errors[-1] < 5e-5


@pytest.mark.parametrize("steps", [0, 1, 20, -20])
def test_translate_of_a_bump_is_at_the_distance_of_the_translation(steps):
    # optimal while the translation is at most half the square of the gap, here 0.8²/2; 20/64 is just below
    first = bumps(64, [0.3])
    value = wasserstein_circle(Quantile.from_cells(first), Quantile.from_cells(np.roll(first, steps)))
    assert value == pytest.approx(abs(steps) / 64, abs=8 * EPS)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 2.0**-30, 0.3 / 256])
@pytest.mark.parametrize("place", [0.02, 0.3])
def test_two_bumps_moved_together_keep_all_digits(distance, place):
    # The optimal lag is where the two vacua face each other: an error of 1e-16 in it costs up to 5e-8 at once.
    first = Quantile.from_cells(bumps(256, [place, place + 0.45]))
    for pieces in range(first.masses.size):
        value = wasserstein_circle(first, shifted(recut(first, pieces), distance))
        assert value == pytest.approx(distance, abs=4 * EPS)


def test_valleys_of_tiny_mass_are_resolved_like_vacuum():
    x = np.arange(256) / 256
    values = sum(np.exp(-(((x - a + 0.5) % 1 - 0.5) ** 2) / 0.04**2) for a in (0.0, 0.45)) + 1e-60
    first = Quantile.from_cells(values / values.mean())
    for pieces in range(0, 256, 15):
        value = wasserstein_circle(first, shifted(recut(first, pieces), 1e-8))
        assert value == pytest.approx(1e-8, abs=1e-14)


def test_small_distance_between_positive_densities_matches_its_linearisation():
    # To first order W₂(1 + εh, 1)² = ε²∫(H − mean H)², H' = h; h is constant on cells, H linear, Simpson exact.
    n, size = 512, 1e-8
    h = np.cos(2 * np.pi * np.arange(n) / n)
    primitive = np.concatenate([[0.0], np.cumsum(h) / n])
    middle = (primitive[1:] + primitive[:-1]) / 2

    def mean(left, centre, right):
        return np.mean(left + 4 * centre + right) / 6

    average = mean(primitive[:-1], middle, primitive[1:])
    square = mean((primitive[:-1] - average) ** 2, (middle - average) ** 2, (primitive[1:] - average) ** 2)
    for pieces in (0, 100, 411):
        value = wasserstein_circle(Quantile.from_cells(1 + size * h), recut(Quantile.from_cells(np.ones(n)), pieces))
        assert value == pytest.approx(size * math.sqrt(square), abs=1e-15)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_it_is_a_distance(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (Quantile.from_cells(random_density(rng)) for _ in range(3))
    ab = wasserstein_circle(a, b)
    assert wasserstein_circle(a, a) == 0.0
    assert ab == pytest.approx(wasserstein_circle(b, a), abs=1e-12)
    assert ab <= wasserstein_circle(a, c) + wasserstein_circle(c, b) + 1e-12
    assert ab <= 0.5  # the diameter of the circle
    assert ab <= wasserstein_line(a, b) + 1e-14  # the circle has more plans than any of its cuts


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(0, 50))
def test_rotations_reflections_and_scalings(seed, steps):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    values = [rng.random(n) * (rng.random(n) > 0.3) + 1e-3 for _ in range(2)]
    a, b = (v / v.mean() for v in values)

    def distance(first, second):
        return wasserstein_circle(Quantile.from_cells(first), Quantile.from_cells(second))

    value = distance(a, b)
    assert distance(np.roll(a, steps), np.roll(b, steps)) == pytest.approx(value, abs=1e-12)
    assert distance(a[::-1], b[::-1]) == pytest.approx(value, abs=1e-12)
    assert distance(4 * a, 4 * b) == pytest.approx(2 * value, abs=1e-12)  # mass 4: W₂² is multiplied by 4


def test_grids_of_different_size_describe_the_same_density():
    values = np.random.default_rng(8).random(10) + 0.1
    fine = np.roll(np.repeat(values, 3), -1)  # cells are centred at the grid points
    assert wasserstein_circle(Quantile.from_cells(values), Quantile.from_cells(fine)) < 1e-14


@pytest.mark.parametrize("periods", [-1000, -1, 3])
def test_any_lift_will_do(periods):
    first = Quantile.from_cells(bumps(256, [0.3, 0.75]))
    moved = shifted(recut(first, 40), periods + 2.0**-20)
    assert wasserstein_circle(first, moved) == pytest.approx(2.0**-20, abs=1e-12)


def test_states_on_the_circle():
    values = bumps(64, [0.2])
    first, second = TorusDensity(values, Torus(64)), TorusDensity(np.roll(values, 9), Torus(64))
    assert wasserstein(first, second) == pytest.approx(9 / 64, abs=8 * EPS)


def test_probes_are_few():
    probes = []

    def counting(*arguments, **options):
        probe = module_probe_maker(*arguments, **options)
        return lambda lag: probes.append(lag) or probe(lag)

    module_probe_maker = module._probe_maker
    x = np.arange(512) / 512
    first, second = 1 + 0.5 * np.cos(2 * np.pi * x), bumps(512, [0.2, 0.5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_probe_maker", counting)
        wasserstein_circle(Quantile.from_cells(first), Quantile.from_cells(second))
    assert 3 < len(probes) < 30  # bisection alone would take about 50


def test_a_search_that_does_not_end_says_so(monkeypatch):
    monkeypatch.setattr(lag_search, "_SEARCH_LIMIT", 2)
    rng = np.random.default_rng(0)
    first, second = (Quantile.from_cells(v / v.mean()) for v in (rng.random(50), rng.random(50)))
    with pytest.raises(ConvergenceError, match="lag"):
        wasserstein_circle(first, second)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Quantile.from_cells([1.0, -1e-9]), ValueError, "non-negative.*index 1"),
        (lambda: Quantile.from_cells(np.zeros(4)), ValueError, "positive mass"),
        (lambda: Quantile.from_cells(np.ones((4, 4))), ValueError, "one-dimensional"),
        (lambda: Quantile.from_cells([]), ValueError, "positive mass"),
        (lambda: Quantile.from_points([]), ValueError, "list of points"),
        (lambda: Quantile.from_points([0.1, 0.2], weights=[1.0]), ValueError, "weights must have shape"),
        (lambda: Quantile.from_histogram([0.0, 1.0, 1.0], [0.5, 0.5]), ValueError, "increase strictly"),
        (lambda: Quantile([0.5, 0.5], [0.0, 0.5], [0.6, 1.0]), ValueError, "increasing order"),
        (lambda: Quantile([0.5], [0.5], [0.4]), ValueError, "increasing order"),
        (
            lambda: wasserstein_circle(Quantile.from_points([0.0, 1.5]), Quantile.from_points([0.0])),
            ValueError,
            "mu must lie within one period.*1.5",
        ),
        (
            lambda: wasserstein_line(Quantile.from_cells([1.0]), Quantile.from_cells([1 + 1e-8])),
            ValueError,
            "masses must be equal",
        ),
        (lambda: wasserstein(*2 * [TorusDensity(np.ones((8, 8)), Torus(8, dim=2))]), TypeError, "dimension 2"),
        (lambda: wasserstein(np.ones(8), np.ones(8)), TypeError, "ndarray"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_masses_equal_up_to_rounding_are_accepted():
    first = bumps(32, [0.3])
    value = wasserstein_circle(Quantile.from_cells(first), Quantile.from_cells(np.roll(first, 5) * (1 + 5e-10)))
    assert value == pytest.approx(5 / 32, abs=1e-14)


def test_arguments_are_neither_changed_nor_shared():
    positions, weights = np.array([0.6, 0.2]), np.array([0.5, 0.5])
    measure = Quantile.from_points(positions, weights=weights)
    assert positions.tolist() == [0.6, 0.2]
    positions[:], weights[:] = 0.0, 0.0
    assert measure.left.tolist() == [0.2, 0.6]
    assert not measure.masses.flags.writeable


def test_importing_distances_is_cheap():
    code = "import sys, meanfield.distances; print(sorted({'numba', 'ot', 'matplotlib', 'xarray'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
