"""Pointwise passes of the torus solvers, compiled; the NumPy twin of each stands below it."""

from __future__ import annotations

import numpy as np

from ._compile import compiled


@compiled
def power(values, coefficient, whole, half, out):
    """``out = coefficient · values^(whole + ½ half)`` on flat arrays (which may be one); whole = 0 … 4."""
    for i in range(values.size):
        x = values[i]
        y = coefficient
        if half:
            y *= np.sqrt(x)
        if whole == 1:
            y *= x
        elif whole == 2:
            y *= x * x
        elif whole == 3:
            y *= x * x * x
        elif whole == 4:
            y *= (x * x) * (x * x)
        out[i] = y


def power_numpy(values, coefficient, whole, half, out):
    """NumPy twin of :func:`power`."""
    out[...] = coefficient * values ** (whole + 0.5 * half)


@compiled
def etd_first(half_decay, half_weight, splitting, squared, u, r, out):
    """``out = e^{z/2}u + w(r + aλu)``: the stage whose nonlinear part is ``r + aλu`` at u itself."""
    for i in range(u.size):
        out[i] = half_decay[i] * u[i] + half_weight[i] * (r[i] + splitting * squared[i] * u[i])


def etd_first_numpy(half_decay, half_weight, splitting, squared, u, r, out):
    """NumPy twin of :func:`etd_first`."""
    out[...] = half_decay * u + half_weight * (r + splitting * squared * u)


@compiled
def etd_second(half_decay, half_weight, splitting, squared, u, a, ra, out):
    """``out = e^{z/2}u + w N(a)``, ``N(a) = ra + sλa``; ``ra`` becomes N(a)."""
    for i in range(u.size):
        ra[i] += splitting * squared[i] * a[i]
        out[i] = half_decay[i] * u[i] + half_weight[i] * ra[i]


def etd_second_numpy(half_decay, half_weight, splitting, squared, u, a, ra, out):
    """NumPy twin of :func:`etd_second`."""
    ra += splitting * squared * a
    out[...] = half_decay * u + half_weight * ra


@compiled
def etd_third(half_decay, half_weight, splitting, squared, u, r, a, b, rb, out):
    """``out = e^{z/2}a + w(2N(b) − N(u))``, r the whole rate at u; ``rb`` becomes N(b)."""
    for i in range(u.size):
        rb[i] += splitting * squared[i] * b[i]
        nu = r[i] + splitting * squared[i] * u[i]
        out[i] = half_decay[i] * a[i] + half_weight[i] * (2.0 * rb[i] - nu)


def etd_third_numpy(half_decay, half_weight, splitting, squared, u, r, a, b, rb, out):
    """NumPy twin of :func:`etd_third`."""
    rb += splitting * squared * b
    out[...] = half_decay * a + half_weight * (2.0 * rb - (r + splitting * squared * u))


@compiled
def etd_last(decay, f1, f2, f3, splitting, squared, u, r, na, nb, c, rc, out):
    """``out = e^z u + f1 N(u) + f2(N(a) + N(b)) + f3 N(c)``; ``rc`` becomes N(c)."""
    for i in range(u.size):
        nu = r[i] + splitting * squared[i] * u[i]
        rc[i] += splitting * squared[i] * c[i]
        out[i] = decay[i] * u[i] + f1[i] * nu + f2[i] * (na[i] + nb[i]) + f3[i] * rc[i]


def etd_last_numpy(decay, f1, f2, f3, splitting, squared, u, r, na, nb, c, rc, out):
    """NumPy twin of :func:`etd_last`."""
    rc += splitting * squared * c
    out[...] = decay * u + f1 * (r + splitting * squared * u) + f2 * (na + nb) + f3 * rc


@compiled
def combine(u, h, weights, rates, out):
    """``out = u + h Σ_j weights[j] rates[j]``, rates (s, size)."""
    for i in range(u.size):
        total = 0.0 * u[i]
        for j in range(weights.size):
            total += weights[j] * rates[j, i]
        out[i] = u[i] + h * total


def combine_numpy(u, h, weights, rates, out):
    """NumPy twin of :func:`combine`."""
    out[...] = u + h * np.tensordot(weights, rates, 1)
