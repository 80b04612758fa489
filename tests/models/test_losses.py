"""Losses: values, derivatives, labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meanfield as mf

LOSSES = [mf.SquareLoss(), mf.LogisticLoss(), mf.HingeLoss(), mf.HuberLoss(), mf.HuberLoss(delta=0.3)]
H = np.array([-50.0, -2.2, -0.4, 0.15, 0.6, 3.0, 70.0])


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_derivative_against_central_differences(loss, label):
    y, step = np.full(H.shape, label), 1e-6
    difference = (loss.value(H + step, y) - loss.value(H - step, y)) / (2 * step)
    rounding = 4 * np.finfo(float).eps * (1 + H**2) / step
    assert np.all(np.abs(loss.derivative(H, y) - difference) <= rounding + step**2)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.sampled_from([-1.0, 1.0]))
def test_convex_and_above_its_tangents(loss, a, b, label):
    a, b, y = np.array([a]), np.array([b]), np.array([label])
    tangent = loss.value(a, y) + loss.derivative(a, y) * (b - a)
    assert loss.value(b, y) >= tangent - 1e-9 * (1 + abs(tangent))
    assert loss.value(a, y) >= 0


def test_values_by_hand():
    assert mf.SquareLoss().value(np.array([3.0]), np.array([1.0])) == 2.0
    assert mf.LogisticLoss().value(np.array([0.0]), np.array([1.0])) == np.log(2.0)
    assert mf.LogisticLoss().value(np.array([-1e4]), np.array([1.0])) == 1e4
    assert mf.HingeLoss().value(np.array([-1.0]), np.array([1.0])) == 2.0
    assert mf.HingeLoss().derivative(np.array([1.0]), np.array([1.0])) == 0.0
    assert mf.HuberLoss(delta=2.0).value(np.array([5.0]), np.array([0.0])) == 8.0


@pytest.mark.parametrize("loss", [mf.LogisticLoss(), mf.HingeLoss()], ids=str)
def test_labels_must_be_signs(loss):
    loss.check_labels(np.array([-1.0, 1.0]))
    with pytest.raises(ValueError, match=r"needs labels -1 and 1 \(got 0\); pass"):
        loss.check_labels(np.array([1.0, 0.0]))


def test_huber_needs_a_positive_delta():
    with pytest.raises(ValueError, match="delta must be positive"):
        mf.HuberLoss(delta=0.0)
