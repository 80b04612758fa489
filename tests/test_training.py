"""Training as a gradient flow of controls: steppers, step bounds, balance, statuses, the Hilbert geometry."""

import json
from functools import cache

import numpy as np
import pytest

import meanfield as mf
from meanfield.status import Status
from meanfield.steppers._euclidean import greatest_curvature

KERNEL = mf.SobolevKernel(order=2.5, length=0.1)
TORUS = mf.Torus(32)
RHO0 = TORUS.density(lambda x: 1 + 0.2 * np.cos(2 * np.pi * x))
TARGET = TORUS.density(lambda x: 1 + 0.2 * np.sin(2 * np.pi * x))
NODE = mf.DensityNODE(TORUS, KERNEL, depth=8)


def training(loss=None, penalty=0.0):
    risk = mf.Risk(NODE, RHO0, mf.L2Distance(TARGET) if loss is None else loss, penalty=penalty)
    return mf.GradientFlow(risk, mf.Hilbert(KERNEL))


def rough(seed, size=0.05):
    values = KERNEL.convolve(TORUS, np.random.default_rng(seed).standard_normal(NODE.control_shape))
    return mf.Control(size * values / np.abs(values).max(), TORUS)


def march(stepper, t_end=0.2, flow=None, state=None):
    for t, state, info in mf.iterate(flow or training(), state or NODE.zero(), stepper, until=t_end):
        assert info.status is Status.RUNNING, info
    return state.values


# ---- the geometry -----------------------------------------------------------------------------------------------


def test_velocity_is_minus_the_gradient_and_its_norm_the_slope():
    flow, v = training(), rough(0)
    differential = flow.energy.differential(v)
    velocity = flow.geometry.velocity(v, differential)
    np.testing.assert_allclose(velocity, -NODE.gradient(v, RHO0, mf.L2Distance(TARGET)), rtol=0, atol=1e-15)
    squared = np.mean([KERNEL.inner(TORUS, layer, layer) for layer in velocity])
    assert flow.geometry.squared_norm(v, differential) == pytest.approx(squared, rel=1e-12)


def test_distance_is_the_norm_of_the_difference():
    a, b = rough(0), rough(1)
    geometry = mf.Hilbert(KERNEL)
    assert geometry.measures(a)
    expected = NODE.norm(a.values - b.values)
    assert geometry.distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert geometry.distance(a, b) == geometry.distance(b, a)
    assert geometry.distance(a, a) == 0


# ---- the energy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize(
    "loss", [mf.L2Distance(TARGET), mf.KullbackLeibler(TARGET), mf.SobolevDistance(TARGET, order=1)]
)
def test_differential_of_the_risk_is_its_derivative(loss, penalty):
    risk, v, dv, h = mf.Risk(NODE, RHO0, loss, penalty=penalty), rough(0), rough(1).values, 1e-3
    values = [risk.value(mf.Control(v.values + s * h * dv, TORUS)) for s in (-2, -1, 1, 2)]
    slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    found = float(np.sum(risk.differential(v) * dv) / (NODE.depth * TORUS.size))
    assert found == pytest.approx(slope, rel=1e-8)
    assert risk.value(v) == pytest.approx(NODE.risk(v, RHO0, loss) + 0.5 * penalty * NODE.norm(v) ** 2, rel=1e-14)


def test_the_risk_remembers_the_last_state_only(monkeypatch):
    calls = []
    problem = type(training().energy.problem)
    original = problem.value_and_differential
    monkeypatch.setattr(problem, "value_and_differential", lambda self, v: calls.append(v) or original(self, v))
    risk, a, b = training().energy, rough(0), rough(1)
    first = risk.differential(a)
    assert risk.differential(a) is first
    risk.value(a)
    assert len(calls) == 1
    risk.differential(b)
    np.testing.assert_array_equal(risk.differential(a), first)
    assert len(calls) == 3
    with pytest.raises(ValueError, match="read-only"):
        first[...] = 0


# ---- steppers ---------------------------------------------------------------------------------------------------


def test_euler_is_gradient_descent():
    dt, v = 0.01, np.zeros(NODE.control_shape)
    for _ in range(3):
        v = v - dt * NODE.gradient(v, RHO0, mf.L2Distance(TARGET))
    np.testing.assert_allclose(march(mf.steppers.Euler(dt=dt), 3 * dt), v, rtol=0, atol=1e-15)


@cache
def fine():
    return march(mf.steppers.RK4(dt=0.02 / 48), 0.02)


@pytest.mark.parametrize(
    ("make", "order", "finest"),
    [
        (mf.steppers.Euler, 1, 2e-2),
        (mf.steppers.Heun, 2, 3e-4),
        (mf.steppers.SSPRK3, 3, 3e-6),
        (mf.steppers.RK4, 4, 1e-7),
    ],
)
def test_orders(make, order, finest):
    t_end, reference = 0.02, fine()
    steps = [4, 6, 8, 12]
    errors = [np.abs(march(make(dt=t_end / n), t_end) - reference).max() / np.abs(reference).max() for n in steps]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(-order, abs=0.1), errors
    assert errors[-1] < finest, errors


def test_stable_step_is_the_reciprocal_of_the_greatest_curvature():
    """At v = 0 mode k of ρ_1 near ρ = 1 moves at the rate |2πk|² K̂(k) of the kernelised flow; K averages over depth."""
    flat = TORUS.density(lambda x: 1 + 0 * x)
    target = TORUS.density(lambda x: 1 + 1e-3 * np.cos(2 * np.pi * x))
    flow = mf.GradientFlow(mf.Risk(NODE, flat, mf.L2Distance(target)), mf.Hilbert(KERNEL))
    squared = (2 * np.pi * np.arange(1, 17)) ** 2
    rates = squared * KERNEL.spectrum(squared)
    memory = mf.steppers.Euler().init(flow, NODE.zero())
    assert memory.curvature == pytest.approx(rates.max(), rel=0.05)
    system = flow.rate(NODE.zero())
    assert greatest_curvature(system, NODE.zero(), 80) == pytest.approx(rates.max(), rel=2e-3)


@pytest.mark.parametrize(
    "kernel", [mf.SobolevKernel(4, 1.0), mf.SobolevKernel(3, 0.1), mf.GaussianKernel(0.2)], ids=repr
)
def test_curvature_is_found_from_below_whatever_the_kernel(kernel):
    """Against the Hessian at v = 0 on the modes |k| ≤ 6 of a single layer, column by column by central differences."""
    node, x = mf.DensityNODE(TORUS, kernel, depth=1, substeps=8), 2 * np.pi * TORUS.points[0]
    loss, h = mf.L2Distance(TARGET), 1e-5
    waves = [1 + 0 * x, *(np.sqrt(2) * f(k * x) for k in range(1, 7) for f in (np.cos, np.sin))]
    columns = [
        (node.differential(h * w[None, None], RHO0, loss) - node.differential(-h * w[None, None], RHO0, loss)) / (2 * h)
        for w in waves
    ]
    hessian = np.array([[np.mean(c * w) for c in columns] for w in waves])
    size = np.sqrt(kernel.spectrum((2 * np.pi * np.array([0, *np.repeat(range(1, 7), 2)])) ** 2))
    exact = np.abs(np.linalg.eigvalsh(0.5 * (hessian + hessian.T) * np.outer(size, size))).max()
    system = mf.GradientFlow(mf.Risk(node, RHO0, loss), mf.Hilbert(kernel)).rate(node.zero())
    found = [greatest_curvature(system, node.zero(), number) for number in (3, 12, 48)]
    assert found == sorted(found)
    assert found[-1] <= exact * (1 + 1e-5)
    assert found[-1] >= 0.99 * exact


@pytest.mark.parametrize("penalty", [0.0, 0.01])
@pytest.mark.parametrize("kernel", [mf.GaussianKernel(0.2), mf.SobolevKernel(12, 0.3)], ids=repr)
def test_very_smooth_kernels_train_and_their_norms_stay_sound(kernel, penalty):
    """``K̂^{−1}`` reaches 1e40 and more on this grid: rounding of grid values must not enter the norm of V."""
    node = mf.DensityNODE(TORUS, kernel, depth=2, substeps=2)
    flow = mf.GradientFlow(mf.Risk(node, RHO0, mf.L2Distance(TARGET), penalty=penalty), mf.Hilbert(kernel))
    ds = mf.solve(flow, node.zero(), t_end=1.5, stepper=mf.steppers.Euler(dt=2e-3), progress=False)
    assert ds.status == "finished"
    assert ds.energy[-1] < 0.6 * ds.energy[0]
    # |v(t)| ≤ ∫|v'|, with equality where the path is straight; Euler's polygon is longer by its order
    assert 0.5 * ds.path_length[-1] < ds.control_norm[-1] <= ds.path_length[-1] * (1 + 1e-3)


def test_a_step_above_the_bound_is_refused_before_any_work():
    with pytest.raises(ValueError, match=r"dt must not exceed the stability bound 0\.\d+ of euler here \(got 5\)"):
        mf.solve(training(), NODE.zero(), t_end=10, stepper=mf.steppers.Euler(dt=5))


def test_divergence_ends_with_a_status_that_names_the_bound():
    """The target is higher than the datum, so the curvature grows on the way: the step was below the bound at first."""
    far, start = TORUS.density(lambda x: 1 + 0.9 * np.cos(2 * np.pi * x)), NODE.zero()
    flow = mf.GradientFlow(mf.Risk(NODE, RHO0, mf.L2Distance(far)), mf.Hilbert(KERNEL))
    stepper = mf.steppers.Euler(dt=1.9 / mf.steppers.Euler().init(flow, start).curvature)
    *_, (_, state, info) = mf.iterate(flow, start, stepper, until=10)
    assert info.status is Status.UNSTABLE
    assert "the energy rose from" in info.detail
    assert "the step bound of euler is about" in info.detail
    assert np.isfinite(state.values).all()


def test_a_control_that_outgrows_the_depth_ends_with_the_depth_that_would_do():
    shallow = mf.DensityNODE(TORUS, KERNEL, depth=1)
    far = TORUS.density(lambda x: 1 + 0.9 * np.cos(2 * np.pi * (x - 0.5)))
    near = TORUS.density(lambda x: 1 + 0.9 * np.cos(2 * np.pi * x))
    flow = mf.GradientFlow(mf.Risk(shallow, near, mf.L2Distance(far)), mf.Hilbert(KERNEL))
    with pytest.warns(RuntimeWarning, match="use depth="):
        ds = mf.solve(flow, mf.Control(0.01 * np.sin(2 * np.pi * TORUS.points)[None], TORUS), t_end=50.0,
                      stepper=mf.steppers.Euler(), progress=False)  # fmt: skip
    assert ds.status == "unstable"
    assert np.isfinite(ds.control).all()


def test_adaptive_steps_up_to_the_edge_of_the_depth_end_with_a_status():
    """Halved steps lead so close to the bound that every displacement which grows the control is refused."""
    shallow = mf.DensityNODE(TORUS, KERNEL, depth=2)
    near, far = (TORUS.density(lambda x, s=s: 1 + 0.9 * np.cos(2 * np.pi * (x - s))) for s in (0.0, 0.4))
    flow = mf.GradientFlow(mf.Risk(shallow, near, mf.L2Distance(far)), mf.Hilbert(KERNEL))
    with pytest.warns(RuntimeWarning, match="use depth="):
        ds = mf.solve(flow, shallow.zero(), t_end=5.0, stepper=mf.steppers.RK4(tolerance=1e-3), progress=False)
    assert ds.status == "unstable"
    assert 0 < ds.time[-1] < 5


def test_adaptive_steps_keep_the_balance():
    ds = mf.solve(
        training(), NODE.zero(), t_end=1.0, save_at=61, stepper=mf.steppers.RK4(tolerance=1e-4), progress=False
    )
    drop = float(ds.energy[0] - ds.energy[-1])
    assert ds.status == "finished"
    assert np.diff(ds.energy).max() <= 0
    assert abs(ds.balance_defect_velocity[-1]) < 1e-3 * drop
    assert abs(ds.balance_defect[-1]) < 0.1 * drop  # first order in the spacing of saves
    np.testing.assert_allclose(ds.path_length[-1], NODE.norm(ds.control[-1].values), rtol=0.2)
    assert ds.control_norm[-1] <= ds.path_length[-1] * (1 + 1e-9)
    slope = np.diff(np.log(ds.dissipation[-2:])) / np.diff(np.log(ds.energy[-2:]))
    assert ds.lojasiewicz_slope[-1] == pytest.approx(float(slope[0]), rel=1e-12)


@pytest.mark.parametrize("stepper", [mf.steppers.Euler(), mf.steppers.RK4(tolerance=1e-3), mf.steppers.Heun(dt=0.02)])
def test_a_resumed_training_has_the_same_bits(stepper, tmp_path):
    class CutOff(Exception):
        pass

    def watch(t, state):
        if t > 0.5 and cut:
            raise CutOff
        return t

    def run(**options):
        return mf.solve(training(), NODE.zero(), t_end=0.8, save_at=5, stepper=stepper, observe={"t": watch},
                        progress=False, **options)  # fmt: skip

    cut = False
    whole = run()
    cut = True
    with pytest.raises(CutOff):
        run(out=tmp_path / "run.h5")
    cut = False
    again = run(out=tmp_path / "run.h5", resume=True)
    assert again.status == "finished"
    for name in set(whole.data_vars) - {"wall_time"}:
        np.testing.assert_array_equal(again[name], whole[name], err_msg=name)


def test_a_stopped_training_goes_on_in_the_same_bits(tmp_path):
    """In d = 2 with a penalty; stopped by a rule, resumed without it."""
    torus = mf.Torus(16, dim=2)
    node = mf.DensityNODE(torus, KERNEL, depth=4)
    rho0, target = (torus.density(lambda x, y, a=a: 1 + a * np.cos(2 * np.pi * (x + y))) for a in (0.1, -0.1))
    flow = mf.GradientFlow(mf.Risk(node, rho0, mf.KullbackLeibler(target), penalty=1e-3), mf.Hilbert(KERNEL))

    def run(**options):
        observe = {"top": lambda t, v: [t, np.abs(v.values).max()]}
        return mf.solve(flow, node.zero(), t_end=0.4, save_at=5, stepper=mf.steppers.Heun(tolerance=1e-2),
                        observe=observe, progress=False, **options)  # fmt: skip

    whole, out = run(), tmp_path / "run.h5"
    assert run(out=out, stop=lambda t, v: t > 0.25).status == "stopped"
    again = run(out=out, resume=True)
    assert (again.status, again.sizes["time"]) == ("finished", 6)  # the save of the stop is kept
    for name in set(whole.data_vars) - {"wall_time", "step_size", "balance_defect", "lojasiewicz_slope"}:
        np.testing.assert_array_equal(again[name][[0, 1, 2, 4, 5]], whole[name], err_msg=name)


def test_a_run_of_training_is_told_in_few_words_and_resumed_by_itself_only(tmp_path):
    def run(flow=None, **options):
        return mf.solve(flow or training(), NODE.zero(), t_end=0.1, stepper=mf.steppers.Euler(dt=0.05), progress=False,
                        out=tmp_path / "run.h5", **options)  # fmt: skip

    ds = run(max_steps=2)
    assert ds.title == "gradient flow of Risk(DensityNODE, L2Distance)"
    told = json.loads(ds.parameters)["flow"]
    assert "SobolevKernel(order=2.5, length=0.1), depth=8" in told
    assert "L2Distance(), penalty=0)" in told
    assert len(told) < 320
    others = {
        "penalty=0.1": training(penalty=0.1),
        "KullbackLeibler()": training(mf.KullbackLeibler(TARGET)),
        "SobolevDistance(order=2)": training(mf.SobolevDistance(TARGET, order=2)),
        "data_sha256": training(mf.L2Distance(RHO0)),
    }
    for words, other in others.items():
        with pytest.raises(ValueError, match="a resumed run must be the run of run") as info:
            run(other, resume=True)
        assert words in str(info.value)


def test_targets_of_sums_and_multiples_are_seen(tmp_path):
    heavy, moved = (TORUS.density(lambda x, m=m: m + 0.2 * np.cos(2 * np.pi * x + np.pi)) for m in (2, 1))
    for loss in (lambda y: 2 * mf.L2Distance(y), lambda y: 0.5 * (mf.L2Distance(y) + mf.SobolevDistance(y, order=1))):
        with pytest.raises(ValueError, match="must have one mass"):
            training(loss(heavy))
        options = {"t_end": 0.02, "stepper": mf.steppers.Euler(dt=0.01), "out": tmp_path / "run.h5"}
        mf.solve(training(loss(TARGET)), NODE.zero(), overwrite=True, **options)
        with pytest.raises(ValueError, match="data_sha256"):  # the targets print alike
            mf.solve(training(loss(moved)), NODE.zero(), resume=True, **options)


def test_a_step_to_a_density_below_zero_ends_the_run_with_a_status():
    torus = mf.Torus(32)
    rho0 = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x))
    target = torus.density(lambda x: 1 + (1 - 1e-12) * np.cos(2 * np.pi * x))
    kernel = mf.SobolevKernel(order=3, length=0.1)
    risk = mf.Risk(mf.DensityNODE(torus, kernel, depth=4), rho0, mf.KullbackLeibler(target))
    flow = mf.GradientFlow(risk, mf.Hilbert(kernel))
    with pytest.warns(RuntimeWarning, match="not positive"):
        run = mf.solve(flow, risk.model.zero(), t_end=1, stepper=mf.steppers.Euler())
    assert run.status == Status.NOT_POSITIVE.value
    assert "positive density" in run.status_message
    assert run.least_density[-1] > 0


def test_memory_is_a_value_that_packs():
    flow, stepper = training(), mf.steppers.RK4(tolerance=1e-4)
    state, memory = NODE.zero(), stepper.init(flow, NODE.zero())
    for _ in range(3):
        state, memory, _ = stepper.step(flow, 0.0, state, memory)
    packed = {name: np.array(value) for name, value in stepper.pack(memory).items()}
    again = stepper.unpack(flow, state, packed)
    one, _, first = stepper.step(flow, 0.0, state, memory)
    two, _, second = stepper.step(flow, 0.0, state, again)
    np.testing.assert_array_equal(one.values, two.values)
    assert first == second


def test_pairs_and_states_are_refused_by_name():
    with pytest.raises(TypeError, match=r"Hilbert must be one of Control .*got TorusDensity"):
        training().check(RHO0)
    with pytest.raises(TypeError, match=r"Kernelised supports the energies .*got Risk"):
        mf.GradientFlow(training().energy, mf.Kernelised(KERNEL))
    with pytest.raises(TypeError, match=r"Wasserstein must be one of ParticleMeasure, .*got Control"):
        mf.GradientFlow(training().energy, mf.Wasserstein()).check(NODE.zero())
    with pytest.raises(TypeError, match=r"Risk in Wasserstein moves ParticleMeasure \(got TorusDensity\)"):
        mf.GradientFlow(training().energy, mf.Wasserstein()).check(RHO0)
    with pytest.raises(TypeError, match=r"moves a TorusDensity \(got Control\)"):
        mf.solve(training(), NODE.zero(), t_end=1, stepper=mf.steppers.ETDRK4())
    with pytest.raises(ValueError, match="penalty must not be negative"):
        mf.Risk(NODE, RHO0, mf.L2Distance(TARGET), penalty=-1)
    with pytest.raises(TypeError, match="loss must be a distance energy"):
        mf.Risk(NODE, RHO0, mf.L2Distance)
    with pytest.raises(TypeError, match="model must be a TwoLayer, ResNet or DensityNODE"):
        mf.Risk(RHO0, RHO0)
    with pytest.raises(ValueError, match="must have one mass"):
        mf.Risk(NODE, RHO0, mf.L2Distance(TORUS.density(lambda x: 2 + 0 * x)))
