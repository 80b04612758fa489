"""Runge-Kutta tableaus: order conditions up to the declared order and not beyond, stability intervals."""

import numpy as np
import pytest

from meanfield import tableaus

EPS = np.finfo(float).eps
TABLEAUS = [value for value in vars(tableaus).values() if isinstance(value, tableaus.Tableau)]


def conditions(a, b):
    """(order, defect) of every order condition up to order 5 that trees without side branches and bushes give.

    Hairer, Norsett & Wanner, Solving ODEs I, table II.2.2: all conditions of orders 1 to 4.
    """
    c = a.sum(axis=1)
    return [
        (1, b.sum() - 1),
        (2, b @ c - 1 / 2),
        (3, b @ c**2 - 1 / 3),
        (3, b @ a @ c - 1 / 6),
        (4, b @ c**3 - 1 / 4),
        (4, b @ (c * (a @ c)) - 1 / 8),
        (4, b @ a @ c**2 - 1 / 12),
        (4, b @ a @ a @ c - 1 / 24),
        (5, b @ c**4 - 1 / 5),
        (5, b @ a @ a @ a @ c - 1 / 120),
    ]


def order(a, b):
    broken = [order for order, defect in conditions(a, b) if abs(defect) > 16 * EPS]
    return min(broken) - 1


def matrix(tableau, *, embedded=False):
    stages = len(tableau.b) + embedded
    a = np.zeros((stages, stages))
    for i, row in enumerate(tableau.a):
        assert len(row) == i
        a[i, :i] = row
    if embedded:
        a[-1, :-1] = tableau.b  # the last stage is the first of the next step
    return a


@pytest.mark.parametrize("tableau", TABLEAUS, ids=repr)
def test_order_is_the_declared_one_exactly(tableau):
    assert order(matrix(tableau), np.array(tableau.b)) == tableau.order
    np.testing.assert_allclose(tableau.c, matrix(tableau).sum(axis=1), rtol=0, atol=2 * EPS)
    assert tableau.source


@pytest.mark.parametrize("tableau", TABLEAUS, ids=repr)
def test_embedded_order_is_one_away_exactly(tableau):
    assert len(tableau.embedded) == len(tableau.b) + 1
    assert order(matrix(tableau, embedded=True), np.array(tableau.embedded)) == max(
        tableau.order - 1, 2 if tableau.order == 1 else 0
    )


def growth(tableau, z):
    """R(z) = 1 + z b(1 - zA)^{-1} 1."""
    a, b = matrix(tableau), np.array(tableau.b)
    one = np.ones(len(b))
    return np.array([1 + w * (b @ np.linalg.solve(np.eye(len(b)) - w * a, one)) for w in np.atleast_1d(z)])


@pytest.mark.parametrize("tableau", TABLEAUS, ids=repr)
@pytest.mark.parametrize(("direction", "name"), [(-1.0, "real_bound"), (1j, "imaginary_bound")])
def test_stability_intervals_hold_and_are_sharp(tableau, direction, name):
    bound = getattr(tableau, name)
    inside = np.abs(growth(tableau, direction * bound * np.linspace(0, 1, 400)))
    assert inside.max() <= 1 + 16 * EPS
    beyond = 1.001 * bound if bound > 0 else 0.01  # Euler and Heun are unstable on the whole imaginary axis
    assert np.abs(growth(tableau, direction * beyond))[0] > 1


def test_the_steppers_tableaus_are_here():
    assert {tableau.name for tableau in TABLEAUS} == {"euler", "heun", "rk4", "ssprk3"}
    assert repr(tableaus.rk4) == "Tableau(rk4, order=4, stages=4)"
