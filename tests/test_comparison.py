"""The distance of two runs: every pairing of states, common times, files, refusals."""

import math

import numpy as np
import pytest

import meanfield as mf

TORUS, KERNEL = mf.Torus(64), mf.SobolevKernel(3, 0.2)
SPREAD = mf.GradientFlow(mf.Interaction(KERNEL), mf.Wasserstein())


def particles(dim=1, number=30, shift=0.0, torus=TORUS):
    points = 0.5 + 0.2 * np.random.default_rng(number).normal(size=(number, dim)) + shift
    return mf.ParticleMeasure(points, torus=torus)


def run(state, saves=4, flow=SPREAD, t_end=0.02, **options):
    return mf.solve(flow, state, t_end=t_end, save_at=saves, progress=False, **options)


def measures(ds, torus=TORUS):
    return [mf.ParticleMeasure(x, ds.weights.values, torus) for x in ds.positions.values]


def test_particles_and_densities_in_any_pairing_and_either_order():
    """The values are those of the distance called by hand."""
    cloud, other = run(particles()), run(particles(number=17))
    density = run(TORUS.density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x)))
    coarse = run(mf.Torus(16).density(lambda x: 1 + 0.3 * np.sin(2 * np.pi * x)))
    by_hand = [mf.wasserstein(a, b) for a, b in zip(measures(cloud), measures(other))]
    np.testing.assert_array_equal(mf.compare(cloud, other), by_hand)
    by_hand = [mf.wasserstein(TORUS.density(rho), mu) for rho, mu in zip(density.density.values, measures(cloud))]
    np.testing.assert_allclose(mf.compare(density, cloud), by_hand, rtol=1e-13)
    np.testing.assert_allclose(mf.compare(cloud, density), by_hand, rtol=1e-12)
    pairs = zip(density.density.values, coarse.density.values)
    by_hand = [mf.wasserstein(TORUS.density(a), mf.Torus(16).density(b)) for a, b in pairs]
    np.testing.assert_allclose(mf.compare(density, coarse), by_hand, rtol=1e-12)


def test_densities_in_the_plane_are_quantised_and_the_bound_of_that_is_said():
    """A density moved by a shift s is at the distance |s|, which the atoms give within the bound."""
    torus, shift = mf.Torus(24, 2), np.array([0.25, 0.125])

    def bump(x, y, centre=(0.4, 0.4)):
        return 2 * np.exp(-6 * (np.sin(np.pi * (x - centre[0])) ** 2 + np.sin(np.pi * (y - centre[1])) ** 2))

    one, two = (torus.density(lambda x, y, c=c: bump(x, y, c)) for c in (np.full(2, 0.4), 0.4 + shift))
    runs = [run(state, saves=2, t_end=1e-6) for state in (one, two)]
    found = mf.compare(*runs)
    assert 0 < found.error_bound < 0.05
    np.testing.assert_allclose(found, np.linalg.norm(shift) * math.sqrt(one.mass), atol=found.error_bound)
    normal = torus.density(one.values, normalise=True)
    number = 300
    cloud = run(mf.ParticleMeasure(mf.particles.sample(normal, number).positions, torus=torus), saves=2, t_end=1e-6)
    to_cloud = mf.compare(run(normal, saves=2, t_end=1e-6), cloud)
    atoms, error = mf.particles.quantise(normal, 2**22 // number)
    assert to_cloud.error_bound == pytest.approx(error, rel=1e-3)
    assert float(to_cloud[0]) == pytest.approx(mf.wasserstein(atoms, mf.particles.sample(normal, number)), rel=1e-6)
    assert float(to_cloud[0]) < 0.05
    with pytest.raises(ValueError, match="masses must be equal"):
        mf.compare(runs[0], cloud)
    assert mf.compare(cloud, cloud).error_bound == 0


def test_a_run_is_at_distance_zero_from_itself():
    ds = run(particles(2, torus=mf.Torus(32, 2)))
    found = mf.compare(ds, ds)
    np.testing.assert_array_equal(found, np.zeros(4))
    np.testing.assert_array_equal(found.time, ds.time)
    assert (found.name, found.attrs["units"]) == ("distance", "1")


def test_particles_in_the_plane_start_each_plan_from_the_one_before(monkeypatch):
    import meanfield.distances as distances

    starts, plain = [], distances.transport_plan
    monkeypatch.setattr(
        distances, "transport_plan", lambda a, b, *, start: starts.append(start) or plain(a, b, start=start)
    )
    flow = mf.GradientFlow(mf.BlobEnergy(mollifier=mf.GaussianKernel(0.2)), mf.Wasserstein())
    one, two = (run(particles(2, number, torus=None), flow=flow) for number in (20, 35))
    by_hand = [mf.wasserstein(a, b) for a, b in zip(measures(one, None), measures(two, None))]
    np.testing.assert_allclose(mf.compare(one, two), by_hand, rtol=1e-12)
    assert [start is None for start in starts] == [True, False, False, False]


def test_layers_are_compared_by_the_conditional_distance():
    """Runs of layered measures come from training residual networks; their saves alone matter here."""
    import xarray as xr

    rng = np.random.default_rng(0)
    weights = np.full((3, 5), 0.2)
    runs = [
        xr.Dataset(
            {
                "positions": (("time", "layer", "particle", "parameter"), rng.normal(size=(2, 3, 5, 2))),
                "weights": (("layer", "particle"), weights),
            },
            coords={"time": [0.0, 1.0]},
        )
        for _ in range(2)
    ]
    by_hand = [
        mf.conditional_wasserstein(*(mf.LayeredMeasure(ds.positions.values[i], weights) for ds in runs))
        for i in range(2)
    ]
    np.testing.assert_allclose(mf.compare(*runs), by_hand, rtol=1e-14)
    lines = [ds.isel(parameter=[0]) for ds in runs]
    first = [mf.LayeredMeasure(ds.positions.values[0], weights) for ds in lines]
    assert float(mf.compare(*lines)[0]) == mf.conditional_wasserstein(*first)
    with pytest.raises(TypeError, match="to layered ones only"):
        mf.compare(runs[0], run(particles(), t_end=1.0))


def test_a_neural_ode_is_compared_by_what_it_makes_of_its_density():
    import xarray as xr

    values = 1 + 0.5 * np.random.default_rng(0).uniform(-1, 1, (2, 3, 16))
    values /= values.mean(axis=-1, keepdims=True)
    node = xr.Dataset({"density": (("time", "interface", "x"), values)}, coords={"time": [0.0, 1.0]})
    plain = xr.Dataset({"density": (("time", "x"), values[:, -1])}, coords={"time": [0.0, 1.0]})
    np.testing.assert_array_equal(mf.compare(node, plain), [0.0, 0.0])


def test_times_that_both_have_saved():
    """Times a rounding error apart are one; others are left out; unsaved ones of a run under way do not count."""
    one, two = run(particles(), saves=5), run(particles(), saves=[0.0, 0.005, 0.011, 0.012, 0.015 * (1 + 1e-12), 0.02])
    found = mf.compare(one, two)
    np.testing.assert_allclose(found.time, [0, 0.005, 0.015, 0.02], rtol=1e-11)
    assert float(found.max()) < 1e-6
    under_way = two.assign_coords(time=[0.0, 0.005, 0.011] + [math.nan] * 3)
    np.testing.assert_array_equal(mf.compare(one, under_way).time, [0, 0.005])
    np.testing.assert_array_equal(mf.compare(under_way, one).time, [0, 0.005])


def test_files_are_runs_too(tmp_path):
    import xarray as xr

    for name, state in {
        "cloud": particles(),
        "density": TORUS.density(lambda x: 1 + 0.5 * np.cos(x * 2 * np.pi)),
    }.items():
        run(state, out=tmp_path / f"{name}.h5")
    with xr.open_dataset(tmp_path / "cloud.h5") as cloud, mf.output.read(tmp_path / "density.h5") as density:
        found = mf.compare(cloud, density)
    by_hand = mf.compare(run(particles()), run(TORUS.density(lambda x: 1 + 0.5 * np.cos(x * 2 * np.pi))))
    np.testing.assert_array_equal(found, by_hand)


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (lambda ds: ds.isel(time=slice(1, None)).assign_coords(time=[1.0, 2.0, 3.0]), ValueError,
         "runs must share a saved time (got 0 … 0.02 and 1 … 3); pass save_at="),
        (lambda ds: ds.assign_coords(time=[math.nan] * 4), ValueError, "a run must have a saved time (got none)"),
        (lambda ds: ds[["energy"]], ValueError, "must hold a measure, positions or density (got energy)"),
        (lambda ds: ds.positions, TypeError, "must be a Dataset with time (got DataArray)"),
        (lambda ds: "run.h5", TypeError, "must be a Dataset with time (got str); pass what mf.solve returns"),
        (lambda ds: run(particles(torus=None), flow=BLOB), ValueError, "one space"),
        (lambda ds: run(mf.Torus(8, 2).density(lambda x, y: 1 + 0 * x)), TypeError, "quantise a density in d > 1"),
    ],
)  # fmt: skip
def test_runs_without_a_distance(other, error, message):
    ds = run(particles())
    with pytest.raises(error) as info:
        mf.compare(ds, other(ds))
    assert message in str(info.value)
    assert "\n" not in str(info.value)


BLOB = mf.GradientFlow(mf.BlobEnergy(mollifier=mf.GaussianKernel(0.2)), mf.Wasserstein())
