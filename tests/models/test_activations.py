"""Activations as objects: exact derivatives, homogeneity, new ones."""

import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf

BUILT_IN = [mf.relu, mf.tanh, mf.erf, mf.sigmoid, mf.softplus, mf.cos]
Z = np.array([-30.0, -4.0, -1.3, -0.2, 0.1, 0.7, 2.5, 9.0, 40.0])


@pytest.mark.parametrize("activation", BUILT_IN, ids=str)
def test_derivatives_against_central_differences(activation):
    h = 1e-5
    for function, derivative in (
        (activation.value, activation.derivative),
        (activation.derivative, activation.second_derivative),
    ):
        if derivative is None:
            assert activation is mf.relu
            continue
        difference = (function(Z + h) - function(Z - h)) / (2 * h)
        assert np.abs(derivative(Z) - difference).max() <= 1e-9


@pytest.mark.parametrize("activation", BUILT_IN, ids=str)
def test_far_arguments_overflow_nowhere(activation):
    z = np.array([-1e300, -1e4, 1e4, 1e300])
    for function in (activation, activation.derivative, activation.second_derivative or np.cos):
        assert np.isfinite(function(z)).all()


def test_homogeneity_and_smoothness_as_declared():
    for activation in BUILT_IN:
        assert activation.has_derivative
        assert activation.smooth == (activation is not mf.relu)
        degree = activation.homogeneity or 1.0
        scaled = np.allclose(activation(3.0 * Z), 3.0**degree * activation(Z), rtol=1e-12)
        assert scaled == (activation.homogeneity is not None)


def test_relu_at_its_kink():
    assert mf.relu.derivative(np.array([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.0, 1.0]


def test_a_new_activation_is_one_object():
    cubic = mf.Activation("cubic", lambda z: z**3, lambda z: 3 * z**2, homogeneity=3.0)
    mu = mf.ParticleMeasure([[2.0, 1.0], [-1.0, 3.0]])
    x = np.array([[1.0], [2.0]])
    network = mf.TwoLayer(dim=1, activation=cubic)
    assert network.predict(mu, x).tolist() == [(2 - 27) / 2, (16 - 216) / 2]
    assert network.gradient(mu, x, np.zeros(2)).shape == (2, 2)
    assert "cubic" in repr(network)


def test_functions_must_be_functions():
    for arguments in ((1.0,), (np.cos, 3)):
        with pytest.raises(TypeError, match=r"must be callable \(got \w+\); pass a function"):
            mf.Activation("wrong", *arguments)


def test_activations_need_no_compiler():
    code = "import sys, meanfield as mf; mf.tanh(0.0); print('numba' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


X, TARGETS = np.array([[0.3, -1.0], [2.0, 0.5], [-0.7, 0.1]]), np.array([1.0, -1.0, 0.5])
NEURONS = mf.ParticleMeasure(np.random.default_rng(0).standard_normal((4, 3)))
LAYERS = mf.LayeredMeasure(np.random.default_rng(1).standard_normal((2, 4, 5)))


@pytest.mark.parametrize(
    ("activation", "names"),
    [
        (mf.Activation("one row", lambda z: z[:1], np.ones_like), "one value an argument"),
        (mf.Activation("flat", lambda z: z, lambda z: np.ones(3)), "one value an argument"),
        (mf.Activation("in place", lambda z: np.tanh(z, out=z), np.cos), "read-only"),
    ],
    ids=lambda given: str(given),
)
def test_activations_that_do_not_return_an_array_of_their_own_are_refused(activation, names):
    for gradient in (
        lambda: mf.TwoLayer(2, activation).gradient(NEURONS, X, TARGETS),
        lambda: mf.ResNet(2, activation).gradient(LAYERS, X, X),
    ):
        with pytest.raises(ValueError, match=names) as caught:
            gradient()
        assert "\n" not in str(caught.value)


def test_a_constant_derivative_may_be_a_number():
    one, two = (mf.TwoLayer(2, mf.Activation("line", lambda z: z, slope)) for slope in (lambda z: 1.0, np.ones_like))
    np.testing.assert_array_equal(one.gradient(NEURONS, X, TARGETS), two.gradient(NEURONS, X, TARGETS))
