"""Figures: what is drawn, in which scale, and that nothing global is touched."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import meanfield as mf
from meanfield.report.plotting import plot_rate, plot_run, save_figure


def make_run(dim=1, **options):
    torus = mf.Torus({1: 32, 2: 16, 3: 8}[dim], dim=dim)
    rho = torus.density(
        lambda x, *rest: 1 + 0.5 * np.cos(2 * np.pi * x) + 0.2 * sum(np.sin(2 * np.pi * y) for y in rest)
    )
    flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    return mf.solve(flow, rho, **({"t_end": 0.05, "save_at": 11} | options))


def make_fit(values=(1.0, 3.2e-3, 2.1e-4, 1.3e-5, 1e-17)):
    """About order 4, its first level off the law and its last at the rounding floor."""
    levels = [10, 20, 40, 80, 160]
    return mf.fit_rate(xr.DataArray(np.array(values), coords={"steps": levels}), along="steps")


def test_profiles_are_the_saved_densities_closed_over_the_period():
    ds = make_run()
    axes = plot_run(ds).axes[0]
    first, last = axes.lines[0], axes.lines[-1]
    for line, index in ((first, 0), (last, -1)):
        np.testing.assert_array_equal(line.get_ydata(), np.append(ds.density[index], ds.density[index, 0]))
    assert 3 <= len(axes.lines) <= 7
    assert first.get_color() is not last.get_color()


def test_energy_and_defects_are_drawn_on_logarithmic_axes():
    ds = make_run()
    above, below = plot_run(ds).axes[2:4]  # after the profiles and their colour bar
    assert (above.get_yscale(), below.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(above.lines[0].get_ydata(), ds.dissipation)
    np.testing.assert_array_equal(above.lines[1].get_ydata()[:-1], (ds.energy - ds.energy[-1])[:-1])
    np.testing.assert_array_equal(below.lines[0].get_ydata()[1:], np.abs(ds.balance_defect[1:]))
    assert np.isnan(below.lines[0].get_ydata()[0])  # zero at the start: not on a logarithmic axis


@pytest.mark.parametrize("dim", [2, 3])
def test_snapshots_are_oriented_and_share_a_colour_scale(dim):
    ds = make_run(dim)
    panels = plot_run(ds).axes[:3]
    plane = ds.density if dim == 2 else ds.density.isel(z=int(np.argmax(ds.density.values[0].max(axis=(0, 1)))))
    images = [panel.images[0] for panel in panels]
    np.testing.assert_array_equal(images[0].get_array(), plane[0].values.T)  # x to the right, y upwards
    np.testing.assert_array_equal(images[2].get_array(), plane[-1].values.T)
    assert {image.get_clim() for image in images} == {images[0].get_clim()}
    assert images[0].origin == "lower"


def test_heading_carries_title_and_formula():
    ds = make_run(attributes={"title": "costs 5$ and x_1"})
    figure = plot_run(ds)
    assert figure.get_suptitle() == "costs 5\\$ and x_1\n$\\partial_t \\rho = \\Delta(\\rho^{2})$"
    ds.attrs["equation"] = "something else entirely"
    assert plot_run(ds).get_suptitle().endswith("\nsomething else entirely")


def test_a_run_at_equilibrium_has_a_figure(tmp_path):
    flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    ds = mf.solve(flow, mf.Torus(16).density(lambda x: 1 + 0 * x), t_end=0.1)
    save_figure(plot_run(ds), tmp_path / "flat.svg")
    assert "zero throughout" in [text.get_text() for axes in plot_run(ds).axes for text in axes.texts]


def test_what_is_no_density_is_refused():
    for ds in (xr.Dataset(), make_run().isel(time=slice(0, 0)), make_run().rename(x="particle")):
        with pytest.raises(
            ValueError, match=r"needs density along time and x, y, z \(got density .*\); pass the output"
        ):
            plot_run(ds)


def test_rate_shows_fitted_levels_filled_and_dropped_ones_hollow():
    fit = make_fit()
    assert [bool(reason) for reason in fit.record.reasons] == [True, False, False, False, True]
    filled, hollow, line, theory = plot_rate(fit, theory=-4).axes[0].lines
    np.testing.assert_array_equal(filled.get_xydata(), [(20, 3.2e-3), (40, 2.1e-4), (80, 1.3e-5)])
    np.testing.assert_array_equal(hollow.get_xdata(), [10, 160])
    assert hollow.get_markerfacecolor() == "white"
    for drawn, slope in ((line, fit.slope), (theory, -4)):
        (x0, x1), (y0, y1) = drawn.get_xdata(), drawn.get_ydata()
        assert abs(np.log(y1 / y0) / np.log(x1 / x0) - slope) < 1e-12


def test_rate_leaves_out_theory_and_errors_that_are_zero():
    axes = plot_rate(make_fit((1.0, 3.2e-3, 2.1e-4, 1.3e-5, 0.0)), quantity="L¹ error").axes[0]
    assert len(axes.lines) == 3
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), [10])
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("L¹ error", "steps")
    with pytest.raises(TypeError, match=r"fit must be a RateFit \(got float\)"):
        plot_rate(-4.0)


@pytest.mark.parametrize(("suffix", "head"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_figures_are_written_whole_in_the_format_of_their_name(tmp_path, suffix, head):
    path = save_figure(plot_rate(make_fit()), tmp_path / f"rate{suffix}")
    assert path.read_bytes().startswith(head)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_figures_replace_nothing_unasked_and_refuse_bad_paths(tmp_path):
    figure, path = plot_rate(make_fit()), tmp_path / "rate.png"
    save_figure(figure, path)
    with pytest.raises(ValueError, match=r"a figure must not exist yet \(got rate\.png\)"):
        save_figure(figure, path)
    save_figure(figure, path, overwrite=True)
    with pytest.raises(ValueError, match=r"must end in \.pdf, \.png, \.svg \(got rate\.gif\)"):
        save_figure(figure, tmp_path / "rate.gif")
    with pytest.raises(ValueError, match=r"folder must exist and be writable"):
        save_figure(figure, tmp_path / "nowhere" / "rate.png")


def test_plotting_needs_neither_pyplot_nor_a_display(tmp_path):
    code = (
        "import sys;"
        "from meanfield.report.plotting import plot_rate, save_figure; import numpy, xarray, meanfield as mf;"
        "data = xarray.DataArray([1.0, 0.25, 0.0625], coords={'n': [1, 2, 4]});"
        "save_figure(plot_rate(mf.fit_rate(data, along='n')), sys.argv[1]);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "rate.png")], check=True)


@pytest.mark.parametrize(("shape", "paths"), [((7, 1), 7), ((900, 3), 300), ((4, 5, 3), 20)], ids=str)
def test_particles_are_drawn_by_their_paths(shape, paths):
    """Of 900 every third; of layers all."""
    rng = np.random.default_rng(0)
    start = mf.ParticleMeasure(rng.random(shape)) if len(shape) == 2 else mf.LayeredMeasure(rng.random(shape))
    if len(shape) == 2:
        flow = mf.GradientFlow(mf.Interaction(mf.GaussianKernel(1.0)), mf.Wasserstein())
    else:
        flow = mf.GradientFlow(
            mf.Risk(mf.ResNet(1, mf.tanh), np.ones((2, 1)), np.zeros(2)), mf.ConditionalWasserstein()
        )
    ds = mf.solve(flow, start, t_end=0.1, save_at=4, stepper=mf.steppers.Euler(dt=0.05), progress=False)
    first = plot_run(ds).axes[0]
    assert len(first.lines) == paths
    assert all(len(line.get_xdata()) == 4 for line in first.lines)
