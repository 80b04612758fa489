"""Training of networks as gradient flows of their risk: the energy, its steppers, stochastic descent."""

import dataclasses

import numpy as np
import pytest

import meanfield as mf
from meanfield.status import Status

RNG = np.random.default_rng(5)
X = RNG.standard_normal((12, 2))
Y = np.sin(X[:, 0]) + X[:, 1]
NETWORK = mf.TwoLayer(2, mf.tanh)
NEURONS = mf.ParticleMeasure(RNG.standard_normal((7, 3)), RNG.random(7), normalise=True)
RESIDUAL = mf.ResNet(2, mf.tanh)
LAYERS = mf.LayeredMeasure(RNG.standard_normal((3, 5, 5)), RNG.random((3, 5)), normalise=True)
TARGETS = X + 0.3 * RNG.standard_normal(X.shape)
CASES = [
    (lambda **options: mf.Risk(NETWORK, X, Y, **options), NEURONS, mf.Wasserstein()),
    (lambda **options: mf.Risk(RESIDUAL, X, TARGETS, **options), LAYERS, mf.ConditionalWasserstein()),
]
BOTH = pytest.mark.parametrize(("risk", "mu", "geometry"), CASES, ids=["two-layer", "residual"])


def moved(mu, displacement):
    return type(mu)(mu.positions + displacement, mu.weights)


@BOTH
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_differential_is_the_derivative_over_the_weights(risk, mu, geometry, penalty):
    energy, h = risk(penalty=penalty), 1e-5
    direction = RNG.standard_normal(mu.positions.shape)
    slope = (energy.value(moved(mu, h * direction)) - energy.value(moved(mu, -h * direction))) / (2 * h)
    weights = mu.weights[..., None] / (1 if mu.weights.ndim == 1 else mu.depth)
    assert np.sum(weights * energy.differential(mu) * direction) == pytest.approx(slope, rel=1e-8)


@BOTH
def test_the_penalty_is_the_mean_square_of_all_parameters(risk, mu, geometry):
    squares = np.sum(mu.positions**2, axis=-1)
    mean = np.mean(np.sum(mu.weights * squares, axis=-1))
    assert risk(penalty=0.7).value(mu) - risk().value(mu) == pytest.approx(0.35 * mean, rel=1e-12)


@BOTH
def test_velocity_does_not_depend_on_the_number_of_particles(risk, mu, geometry):
    doubled = type(mu)(np.concatenate([mu.positions] * 2, axis=-2), np.concatenate([mu.weights] * 2, axis=-1) / 2)
    once, twice = (geometry.velocity(state, risk().differential(state)) for state in (mu, doubled))
    np.testing.assert_allclose(twice, np.concatenate([once] * 2, axis=-2), rtol=0, atol=1e-15 * 16)


@BOTH
def test_the_mean_of_one_sample_differentials_is_the_differential(risk, mu, geometry):
    energy = 2.0 * (risk(penalty=0.1) + risk())
    single = [energy.differential_on(mu, np.array([i])) for i in range(energy.samples)]
    np.testing.assert_allclose(np.mean(single, axis=0), energy.differential(mu), rtol=0, atol=1e-13)


@BOTH
def test_adaptive_steps_keep_the_balance_and_the_energy_falls(risk, mu, geometry):
    ds = mf.solve(mf.GradientFlow(risk(penalty=0.01), geometry), mu, t_end=2.0, save_at=21, progress=False)
    assert ds.status == "finished"
    assert np.all(np.diff(ds.energy) < 0)
    drop = float(ds.energy[0] - ds.energy[-1])
    assert abs(float(ds.balance_defect_velocity[-1])) < 1e-4 * drop  # fourth order at tolerance 1e-4
    # the distances between 21 saves: first order in their spacing squared
    assert abs(float(ds.balance_defect[-1])) < 0.02 * drop
    assert float(ds.risk[-1]) == pytest.approx(risk().value(type(mu)(ds.positions.values[-1], mu.weights)), rel=1e-14)


@BOTH
def test_euler_is_gradient_descent(risk, mu, geometry):
    ds = mf.solve(mf.GradientFlow(risk(), geometry), mu, t_end=0.2, stepper=mf.steppers.Euler(dt=0.1), progress=False)
    by_hand = mu
    for _ in range(2):
        by_hand = moved(by_hand, -0.1 * risk().differential(by_hand))
    np.testing.assert_allclose(ds.positions.values[-1], by_hand.positions, rtol=0, atol=1e-15 * 16)


def test_another_penalty_is_another_energy_in_the_sum():
    ridge = mf.Potential(
        lambda *theta: 0.15 * sum(t**2 for t in theta), gradient=lambda *theta: [0.3 * t for t in theta]
    )
    one, two = mf.Risk(NETWORK, X, Y, penalty=0.3), mf.Risk(NETWORK, X, Y) + ridge
    assert one.value(NEURONS) == pytest.approx(two.value(NEURONS), rel=1e-14)
    np.testing.assert_allclose(one.differential(NEURONS), two.differential(NEURONS), rtol=0, atol=1e-14)


@BOTH
def test_a_multiple_of_a_risk_records_what_a_risk_does(risk, mu, geometry):
    once, twice = (
        mf.solve(mf.GradientFlow(energy, geometry), mu, t_end=0.1, progress=False) for energy in (risk(), 2.0 * risk())
    )
    assert once.positions.dims[-1] == "parameter"
    assert twice.positions.dims == once.positions.dims
    assert set(twice.data_vars) == set(once.data_vars)


@pytest.mark.parametrize("sampler", [mf.steppers.WithReplacement(), mf.steppers.Epochs(5)], ids=repr)
@BOTH
def test_descent_steps_along_the_batches_of_its_sampler(risk, mu, geometry, sampler):
    flow, rng = mf.GradientFlow(risk(), geometry), np.random.default_rng(3)
    steps = mf.iterate(flow, mu, mf.steppers.StochasticDescent(0.05, sampler), rng=rng)
    by_hand, same = mu, np.random.default_rng(3)
    number = 4 if isinstance(sampler, mf.steppers.Epochs) else 5  # two epochs of two batches of 5 of 12
    batches = np.concatenate([sampler.block(same, 12) for _ in range(2)])[:number]
    for batch, (t, state, _) in zip(batches, steps):
        by_hand = moved(by_hand, -0.05 * flow.energy.differential_on(by_hand, batch))
        np.testing.assert_allclose(state.positions, by_hand.positions, rtol=0, atol=1e-15 * 16)
    assert t == pytest.approx(0.05 * number)
    assert rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


def test_an_epoch_sees_every_sample_once():
    block = mf.steppers.Epochs(4).block(np.random.default_rng(0), 12)
    assert block.shape == (3, 4)
    assert sorted(block.reshape(-1)) == list(range(12))


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.SFC64, np.random.Philox])
@pytest.mark.parametrize("sampler", [mf.steppers.WithReplacement(2), mf.steppers.Epochs(5)], ids=repr)
def test_resumed_descent_has_the_same_bits(bits, sampler, tmp_path):
    flow = mf.GradientFlow(mf.Risk(NETWORK, X, Y), mf.Wasserstein())
    options = {"stepper": mf.steppers.StochasticDescent(0.01, sampler), "save_at": 9, "progress": False}

    def rng():
        return np.random.Generator(bits(8))

    whole = mf.solve(flow, NEURONS, t_end=0.4, rng=rng(), **options)
    path = tmp_path / "run.h5"
    with pytest.warns(RuntimeWarning, match="step limit"):
        mf.solve(flow, NEURONS, t_end=0.4, rng=rng(), out=path, max_steps=17, **options)
    resumed = mf.solve(flow, NEURONS, t_end=0.4, rng=rng(), out=path, resume=True, **options)
    np.testing.assert_array_equal(resumed.positions[-1], whole.positions[-1])
    resumed.close()


def test_descent_is_exempt_from_the_balance_and_takes_slopes_at_saves_only(monkeypatch):
    risk = mf.Risk(NETWORK, X, Y)
    flow, calls = mf.GradientFlow(risk, mf.Wasserstein()), []
    whole = type(risk.problem).value_and_differential
    monkeypatch.setattr(type(risk.problem), "value_and_differential", lambda *given: calls.append(1) or whole(*given))
    ds = mf.solve(
        flow, NEURONS, t_end=1.0, save_at=3, stepper=mf.steppers.StochasticDescent(0.01), progress=False,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert len(calls) < 40  # those of the step bound, and one a save; there are 100 steps
    assert np.isnan(ds.balance_defect_velocity).all()
    assert np.isnan(ds.path_length).all()
    assert np.isfinite(ds.dissipation).all()
    assert np.isfinite(ds.energy).all()


def test_small_steps_follow_the_flow():
    flow = mf.GradientFlow(mf.Risk(NETWORK, X, Y), mf.Wasserstein())
    limit = mf.solve(flow, NEURONS, t_end=1.0, progress=False).positions.values[-1]
    runs = {
        dt: mf.solve(
            flow, NEURONS, t_end=1.0, stepper=mf.steppers.StochasticDescent(dt), rng=np.random.default_rng(1),
            progress=False,
        ).positions.values[-1]
        for dt in (0.1, 0.001)
    }  # fmt: skip
    errors = {dt: np.sqrt(np.mean((end - limit) ** 2)) for dt, end in runs.items()}
    assert errors[0.001] < 0.3 * errors[0.1]  # dt^{1/2}: a tenth


@pytest.mark.parametrize("loss", [mf.SquareLoss(), mf.HingeLoss()], ids=repr)
def test_kinks_neither_end_a_descent_nor_shorten_its_steps(loss):
    x = np.random.default_rng(0).standard_normal((15, 2))
    labels = np.sign(x[:, 0] * x[:, 1])
    start = mf.ParticleMeasure(np.random.default_rng(1).standard_normal((40, 3)))
    flow = mf.GradientFlow(mf.Risk(mf.TwoLayer(2, mf.relu), x, labels, loss=loss, penalty=0.01), mf.Wasserstein())
    ds = mf.solve(flow, start, t_end=100.0, stepper=mf.steppers.Euler(dt=0.05), save_at=3, progress=False)
    assert ds.status == "finished"
    assert "2000 steps" in ds.status_message
    assert np.all(np.diff(ds.energy) < 0)


def test_divergence_of_a_descent_ends_with_a_status_and_no_nan(tmp_path):
    """One-sample steps well below the bound of the full risk, but above that of its worst sample."""
    x, y = np.array([[0.01]] * 30 + [[30.0]]), np.zeros(31)
    flow = mf.GradientFlow(mf.Risk(mf.TwoLayer(1, mf.tanh), x, y), mf.Wasserstein())
    start = mf.ParticleMeasure([[3.0, 1.0]])
    stepper = mf.steppers.StochasticDescent(3.0)
    with pytest.warns(RuntimeWarning, match=r"unstable: .*grown to .*take a smaller step than 3"):
        ds = mf.solve(
            flow, start, t_end=3000.0, stepper=stepper, rng=np.random.default_rng(0), out=tmp_path / "run.h5",
            progress=False,
        )  # fmt: skip
    assert ds.status == "unstable"
    assert np.isfinite(ds.positions).all()
    assert np.isfinite(ds.energy).all()
    ds.close()


EXPONENTIAL = mf.Activation("exp", np.exp, np.exp)


def test_a_descent_whose_energy_overflows_off_its_batches_ends_with_a_status(tmp_path):
    """Batches see the many samples at 1, and hardly ever the one at 1000, where the output leaves the numbers."""
    x, y = np.array([[1.0]] * 99 + [[1000.0]]), np.array([10.0] * 99 + [1.0])
    flow = mf.GradientFlow(mf.Risk(mf.TwoLayer(1, EXPONENTIAL), x, y), mf.Wasserstein())
    with pytest.warns(RuntimeWarning, match="not finite: .*energy inf at t = 0.5"):
        ds = mf.solve(
            flow, mf.ParticleMeasure([[1e-3, 0.0]]), t_end=1.0, stepper=mf.steppers.StochasticDescent(0.01),
            save_at=3, rng=np.random.default_rng(1), out=tmp_path / "run.h5", progress=False,
        )  # fmt: skip
    assert ds.status == "not finite"
    assert np.isfinite(ds.energy).all()
    assert ds.sizes["time"] == 1
    ds.close()


def test_a_potential_that_overflows_ends_a_descent_with_a_status():
    steep = mf.Potential(lambda a, w: 1e-300 * np.exp(w), gradient=lambda a, w: [0.0 * a, 1e-300 * np.exp(w)])
    x, y = np.ones((2, 1)), np.full(2, 100.0)
    flow = mf.GradientFlow(mf.Risk(mf.TwoLayer(1, EXPONENTIAL), x, y) + steep, mf.Wasserstein())
    stepper = mf.steppers.StochasticDescent(0.01)
    memory = stepper.init(flow, mf.ParticleMeasure([[0.1, 0.0]]), np.random.default_rng(0))
    state = memory.state
    far = mf.ParticleMeasure([[0.1, 2e3]])
    with np.errstate(over="ignore"):
        memory = dataclasses.replace(memory, rate=(far.positions - state.positions) / 0.01)
        after, _, info = stepper.step(flow, 0.0, state, memory)
    assert info.status.value == "not finite"
    assert after is state


@pytest.mark.parametrize(
    "stepper",
    [mf.steppers.Euler(dt=1e-3), mf.steppers.RK4(tolerance=1e-3), mf.steppers.StochasticDescent(1e-3)],
    ids=["Euler", "RK4", "descent"],
)
@pytest.mark.parametrize("size", [1e160, 1e300])
@BOTH
def test_a_start_that_overflows_is_refused_on_one_line(risk, mu, geometry, stepper, size):
    energy = risk()
    huge = mf.Risk(energy.model, X, size * energy.y)
    with pytest.raises(ValueError, match="must start where the energy and its derivatives are finite") as caught:
        mf.solve(
            mf.GradientFlow(huge, geometry), mu, t_end=1.0, stepper=stepper, rng=np.random.default_rng(0),
            progress=False,
        )  # fmt: skip
    assert "\n" not in str(caught.value)


def test_a_run_that_a_kink_has_ended_ends_there_again(tmp_path):
    """A refused step leaves the memory as it was: what is estimated for the message lets no resumed run go on."""
    rng, network = np.random.default_rng(28), mf.TwoLayer(3, mf.relu)
    x, start = rng.standard_cauchy((30, 3)), mf.initial.gaussian(network, 5, rng)
    flow = mf.GradientFlow(mf.Risk(network, x, np.sign(x[:, 0]), loss=mf.LogisticLoss()), mf.Wasserstein())
    options = {
        "t_end": 170.0, "stepper": mf.steppers.Euler(dt=1.7), "save_at": 11, "progress": False,
        "out": tmp_path / "run.h5",
    }  # fmt: skip
    ends = []
    for resume in (False, True):
        with pytest.warns(RuntimeWarning, match="unstable: .*rose"):
            ds = mf.solve(flow, start, resume=resume, **options)
        ends.append((ds.status_message, ds.positions.values))
        ds.close()
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


RELU = mf.GradientFlow(mf.Risk(mf.TwoLayer(2, mf.relu), X, Y), mf.Wasserstein())
FLOW = mf.GradientFlow(mf.Risk(NETWORK, X, Y), mf.Wasserstein())


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        (lambda: mf.Risk(NETWORK, X), ValueError, "needs labels"),
        (lambda: mf.Risk(NETWORK, X, loss=mf.SquareLoss()), ValueError, "needs labels"),
        (lambda: mf.Risk(NETWORK, X, Y[:3]), ValueError, r"labels must have shape \(12,\)"),
        (lambda: mf.Risk(RESIDUAL, X, Y), ValueError, r"labels must have shape \(12, 2\)"),
        (lambda: mf.Risk(NETWORK, X[:, :1], Y), ValueError, r"points must have shape \(k, 2\)"),
        (lambda: mf.Risk(NETWORK, X, Y, loss=mf.HingeLoss()), ValueError, "HingeLoss needs labels -1 and 1"),
        (lambda: mf.Risk(NETWORK, X * np.nan, Y), ValueError, "points must be finite"),
        (lambda: mf.Risk(NETWORK, X, Y, penalty=-1.0), ValueError, "penalty must not be negative"),
        (lambda: mf.Risk("network", X, Y), TypeError, "model must be a TwoLayer"),
        (lambda: FLOW.check(mf.ParticleMeasure(np.ones((4, 2)))), ValueError, r"packed \(a, w\)"),
        (lambda: FLOW.check(LAYERS), TypeError, "LayeredMeasure"),
        (
            lambda: mf.GradientFlow(
                mf.Risk(mf.TwoLayer(2, mf.Activation("step", np.sign)), X, Y), mf.Wasserstein()
            ).check(NEURONS),
            ValueError,
            "activation with a derivative",
        ),
        (lambda: mf.solve(FLOW, NEURONS, t_end=1.0, stepper=mf.steppers.Euler(dt=1e3)), ValueError, "stability bound"),
        (lambda: mf.solve(RELU, NEURONS, t_end=1.0, stepper=mf.steppers.Euler()), ValueError, "kinks"),
        (
            lambda: mf.solve(FLOW, NEURONS, t_end=1.0, stepper=mf.steppers.StochasticDescent(0.1)),
            TypeError,
            "needs a numpy Generator",
        ),
        (
            lambda: mf.steppers.StochasticDescent(1e3).init(FLOW, NEURONS, np.random.default_rng(0)),
            ValueError,
            "stability bound",
        ),
        (
            lambda: mf.steppers.StochasticDescent(0.1, mf.steppers.Epochs(13)).init(
                FLOW, NEURONS, np.random.default_rng(0)
            ),
            ValueError,
            "batch must not exceed the data",
        ),
        (
            lambda: mf.steppers.StochasticDescent(0.1).init(
                mf.GradientFlow(mf.Interaction(mf.GaussianKernel(0.5)), mf.Wasserstein()),
                NEURONS,
                np.random.default_rng(0),
            ),
            ValueError,
            "mean over data",
        ),
        (lambda: mf.steppers.StochasticDescent(0.0), ValueError, "dt"),
        (lambda: mf.steppers.StochasticDescent(0.1, 5), TypeError, "sampler must be a Sampler"),
        (lambda: mf.steppers.WithReplacement(0), ValueError, "batch"),
        (lambda: (mf.Risk(NETWORK, X, Y) + mf.Risk(NETWORK, X[:5], Y[:5])).samples, ValueError, "share their data"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_on_one_line(call, error, names):
    with pytest.raises(error, match=names) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_difference_across_a_kink_is_no_curvature():
    """Neurons 1e-9 from their kinks: over 1e-6 jumps of the slope would look like curvatures of 1e5 and more."""
    rng = np.random.default_rng(0)
    neurons = np.stack([rng.choice([-1.0, 1.0], 40), 1e-9 * rng.choice([-1.0, 1.0], 40)], axis=1)
    flow = mf.GradientFlow(mf.Risk(mf.TwoLayer(1, mf.relu), [[1.0]], [3.0]), mf.Wasserstein())
    memory = mf.steppers.RK4(tolerance=1e-4).init(flow, mf.ParticleMeasure(neurons))
    assert 1.0 < memory.curvature < 1e3


def test_a_rise_within_the_rounding_of_the_first_energy_is_none():
    """At an exact fit the energy is zero; a displacement of 1e-9 leaves some 1e-18 of it."""
    flow = mf.GradientFlow(mf.Risk(NETWORK, X, NETWORK.predict(NEURONS, X)), mf.Wasserstein())
    memory = mf.steppers.Euler(dt=0.01).init(flow, NEURONS)
    assert memory.energy == 0
    moved = NEURONS.positions + 1e-9
    for scale, status in ((1.0, Status.RUNNING), (0.0, Status.UNSTABLE)):
        assert dataclasses.replace(memory, scale=scale).complete(moved.copy())[1] is status
