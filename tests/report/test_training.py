"""The figure of a training: what is drawn, and that every run has one."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.report.plotting import plot_run
from meanfield.report.training import FINE, plot_training, refined

KERNEL = mf.SobolevKernel(order=3.5, length=0.1)
POINTS = {1: 32, 2: 16, 3: 8}


def make_node(dim):
    return mf.DensityNODE(mf.Torus(POINTS[dim], dim=dim), KERNEL, depth=4)


def make_run(dim=2, *, far=0.2, penalty=0.0, **options):
    node = make_node(dim)
    rho0, target = (
        node.torus.density(lambda x, *rest, a=a: 1 + 0.2 * np.cos(2 * np.pi * (x - a)) + sum(0 * y for y in rest))
        for a in (0, far)
    )
    flow = mf.GradientFlow(mf.Risk(node, rho0, mf.L2Distance(target), penalty=penalty), mf.Hilbert(KERNEL))
    options = {"t_end": 0.4, "save_at": 9, "stepper": mf.steppers.Heun(), "progress": False} | options
    return mf.solve(flow, node.zero(), **options)


@pytest.fixture(scope="module")
def flat():
    return make_run()


def law(values):
    """A run whose risk follows a law, at enough saves for a fit."""
    ds = make_run(1, save_at=31)
    return ds.assign({name: ds.risk.copy(data=values(ds.time.values)) for name in ("risk", "energy")})


def titled(figure, start):
    return next(axes for axes in figure.axes if axes.get_title().startswith(start))


def test_densities_are_drawn_along_s_and_along_t_in_one_scale(flat):
    figure = plot_training(flat)
    images = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.images}
    for layer in range(5):
        shown = images[f"$s = {layer / 4:.3g}$"]
        np.testing.assert_array_equal(shown.get_array(), refined(flat.density.values[-1, layer]).T)
    times = [title for title in images if title.startswith("$t")]
    assert (times[0], times[-1]) == ("$t = 0$", "$t = 0.4$")
    assert 3 <= len(times) <= 5
    np.testing.assert_array_equal(images["$t = 0.4$"].get_array(), images["$s = 1$"].get_array())
    scales = {image.get_clim() for title, image in images.items() if title[1:2] in "st"}
    assert len(scales) == 1
    assert all(image.origin == "lower" for image in images.values())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_refined_densities_go_through_the_points(dim):
    torus = mf.Torus(16, dim=dim)
    values = 1 + np.cos(2 * np.pi * (torus.points[0] - 0.1)) * np.sin(4 * np.pi * torus.points[-1])
    if dim == 3:  # 192³ points take a second
        values = values[:, :, 3]
    fine = refined(values)
    step = FINE // 16
    np.testing.assert_allclose(fine[(slice(None, None, step),) * values.ndim], values, rtol=0, atol=1e-14)


def test_the_grid_is_carried_by_the_last_control(flat):
    lines = titled(plot_training(flat), r"$\Phi$").collections[0].get_segments()
    along = np.linspace(-0.15, 1.15, 241)
    number = len(lines) // 2
    across = np.linspace(-0.15, 1.15, number)
    x = np.column_stack([along, np.full(241, across[3])])
    expected = make_node(2).flow_map(flat.control.values[-1], x)
    np.testing.assert_allclose(lines[3], expected, rtol=0, atol=1e-12)
    expected = make_node(2).flow_map(flat.control.values[-1], x[:, ::-1])
    np.testing.assert_allclose(lines[number + 3], expected, rtol=0, atol=1e-12)
    start = titled(plot_training(flat.isel(time=[0])), r"$\Phi$").collections[0].get_segments()
    np.testing.assert_array_equal(start[3], x)


def test_on_the_line_characteristics_are_drawn_over_the_density():
    ds = make_run(1)
    axes = next(axes for axes in plot_training(ds).axes if axes.get_xlabel() == "depth $s$")
    starts = np.array([line.get_ydata()[0] for line in axes.lines])
    ends = np.array([line.get_ydata()[-1] for line in axes.lines])
    expected = make_node(1).flow_map(ds.control.values[-1], starts[:, None])[:, 0]
    np.testing.assert_allclose(ends, expected, rtol=0, atol=1e-12)
    assert starts.min() < -0.2
    assert np.all(np.diff(ends) > 0)


def test_risk_is_drawn_with_its_law_and_the_slope_promised():
    ds = law(lambda t: np.exp(-6 * t**0.5))
    panel = titled(plot_training(ds, guarantee=1 / 3), "risk, down 44 times")  # e^{6√0.4} = 44.5
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    risk, fitted, promised = panel.lines
    np.testing.assert_array_equal(risk.get_ydata(), ds.risk[1:])
    assert [text.get_text() for text in panel.get_legend().get_texts()] == [
        "risk", r"$e^{-C t^\theta}$, $\theta = 0.50$", "guaranteed: $t^{-1/3}$",
    ]  # fmt: skip
    low = ds.risk.values <= 0.1 * float(ds.risk[0])
    np.testing.assert_allclose(fitted.get_ydata(), ds.risk.values[low], rtol=1e-4)
    slope = np.diff(np.log(promised.get_ydata())) / np.diff(np.log(promised.get_xdata()))
    np.testing.assert_allclose(slope, -1 / 3, rtol=1e-10)
    assert np.all(promised.get_ydata() > fitted.get_ydata())


def test_penalised_runs_show_the_energy_too(flat):
    assert len(titled(plot_training(flat), "risk").lines) == 1
    ds = make_run(penalty=0.5)
    risk, energy = titled(plot_training(ds), "risk").lines
    np.testing.assert_array_equal(energy.get_ydata(), ds.energy[1:])
    assert np.all(energy.get_ydata() > risk.get_ydata())


def test_range_of_the_jacobian(flat):
    low, high = titled(plot_training(flat), "range of").lines
    np.testing.assert_array_equal(low.get_ydata(), flat.least_jacobian[1:])
    np.testing.assert_array_equal(high.get_ydata(), flat.greatest_jacobian[1:])


RUNS = {
    "a cube": lambda flat: make_run(3, save_at=3),
    "one save": lambda flat: flat.isel(time=[0]),
    "two saves": lambda flat: flat.isel(time=[0, -1]),
    "nothing to learn": lambda flat: make_run(1, far=0),
    "not resolved": lambda flat: flat.assign(least_jacobian=flat.least_jacobian * 0 - np.inf),
}


@pytest.mark.parametrize("name", RUNS)
def test_every_run_has_a_figure(flat, name):
    """Warnings are errors."""
    plot_training(RUNS[name](flat)).draw_without_rendering()


def test_the_figure_of_a_control_run_is_this_one(flat):
    assert titled(plot_run(flat), r"$\Phi$ of a square grid")
    heading = plot_run(flat).get_suptitle().splitlines()
    assert heading == [
        "gradient flow of Risk(DensityNODE, L2Distance)",
        r"$\partial_t v_s = -K \ast \delta E/\delta v_s$",
    ]
