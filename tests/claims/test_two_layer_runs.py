"""Students, digits and limits by single functions: what their scripts put together."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.claims import load_ladder
from meanfield.claims.digit_runs import CLASSES, Split, accuracy, one_against_rest
from meanfield.claims.two_layer_runs import (
    plane_flow,
    plane_teacher,
    relative_imbalance,
    share_on_lines,
    steepest,
)

PLANE = dict(load_ladder("two_layer_wasserstein").parameters)
DIGITS = dict(load_ladder("two_layer_digits").parameters)


def test_the_teacher_is_the_sum_of_its_unit_neurons():
    x = np.random.default_rng(0).standard_normal((20, 2))
    angles = np.deg2rad(PLANE["angles"])
    ridges = np.maximum(x @ np.stack([np.cos(angles), np.sin(angles)]), 0)
    predicted = mf.TwoLayer(2, mf.relu).predict(plane_teacher(PLANE), x)
    np.testing.assert_allclose(predicted, ridges @ PLANE["signs"], rtol=0, atol=1e-14)


def test_charge_is_counted_by_lines_whatever_its_sign_and_side():
    angles = np.deg2rad([30, 214, 90])  # on the line, on its other side by 4°, off it
    mu = mf.ParticleMeasure(np.column_stack([[2, -2, 1], np.cos(angles), np.sin(angles)]))
    assert share_on_lines(mu, np.array([30.0])) == pytest.approx(4 / 5, rel=1e-14)
    assert share_on_lines(mu, np.array([-150.0, 270.0])) == pytest.approx(1, rel=1e-14)
    assert relative_imbalance(mu) == pytest.approx(3 / 4, rel=1e-14)


def test_the_steepest_direction_is_that_of_the_differential():
    """∂F'/∂a at (a, w) is E[(h − h*)σ(w·x)]: the largest over unit w, by probing with neurons that carry no output."""
    rng = np.random.default_rng(1)
    mu = mf.ParticleMeasure(rng.standard_normal((5, 3)))
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    silent = np.column_stack([np.zeros(720), np.cos(angles), np.sin(angles)])
    joined = mf.ParticleMeasure(np.concatenate([mu.positions, silent]), np.append(np.full(5, 0.2), np.zeros(720)))
    slopes = plane_flow(PLANE).energy.differential(joined)[5:, 0]
    assert steepest(PLANE, mu) == pytest.approx(np.abs(slopes).max(), rel=1e-4)
    assert steepest(PLANE, plane_teacher(PLANE)) <= 1e-14


def test_digits_are_split_centred_and_scaled():
    split = Split.draw(DIGITS, np.random.default_rng(0))
    assert split.x.shape == (1348, 64)
    assert split.x_test.shape == (449, 64)
    np.testing.assert_allclose(split.x.mean(axis=0), 0, rtol=0, atol=1e-14)
    assert np.mean(np.sum(split.x**2, axis=1)) == pytest.approx(DIGITS["size"] ** 2, rel=1e-12)
    again = Split.draw(DIGITS, np.random.default_rng(0))
    np.testing.assert_array_equal(again.labels_test, split.labels_test)
    _, labels = mf.data.digits()
    drawn = np.bincount(split.labels, minlength=CLASSES) + np.bincount(split.labels_test, minlength=CLASSES)
    np.testing.assert_array_equal(drawn, np.bincount(labels))  # every image once


def test_targets_and_answers():
    labels = np.array([3, 0, 9])
    targets = one_against_rest(labels)
    assert targets.shape == (3, CLASSES)
    np.testing.assert_array_equal(targets.sum(axis=1), 2 - CLASSES)
    assert accuracy(targets, labels) == 1
    assert accuracy(targets, np.array([3, 0, 1])) == pytest.approx(2 / 3)
