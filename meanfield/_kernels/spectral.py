"""Pointwise passes of the torus solvers, compiled; the NumPy twin of each stands below it."""

from __future__ import annotations

import numpy as np

from ._compile import compiled

PIECE = (
    1024  # numbers a pass takes at once where several loops run over them: a few such pieces fit a first-level cache
)


@compiled
def power(values, coefficient, whole, half):
    """``coefficient · values^(whole + ½ half)`` in place on a flat array, whole = 0 … 4.

    In place, because two arrays that may overlap keep a loop from vectorising; one loop a case, for the same reason.
    """
    if half:
        for i in range(values.size):
            values[i] = values[i] ** whole * np.sqrt(values[i]) * coefficient
    elif whole == 1:
        for i in range(values.size):
            values[i] *= coefficient
    elif whole == 2:
        for i in range(values.size):
            values[i] = coefficient * values[i] * values[i]
    elif whole == 3:
        for i in range(values.size):
            values[i] = coefficient * values[i] * values[i] * values[i]
    else:
        for i in range(values.size):
            values[i] = coefficient * (values[i] * values[i]) * (values[i] * values[i])


def power_numpy(values, coefficient, whole, half):
    """NumPy twin of :func:`power`."""
    values[...] = coefficient * values ** (whole + 0.5 * half)


@compiled
def gather(work, multiplier, out):
    """Kept modes of a half spectrum (a, b, n//2+1), times a real multiplier, into a compact array (three axes each).

    Rows 0 … K−1 and the last K−1 of each leading axis are kept; a leading axis of length 1 is one that is not there.
    """
    na, nb = work.shape[0], work.shape[1]
    for i in range(out.shape[0]):
        p = i if 2 * i < out.shape[0] else na - out.shape[0] + i
        for j in range(out.shape[1]):
            q = j if 2 * j < out.shape[1] else nb - out.shape[1] + j
            for k in range(out.shape[2]):
                value, factor = work[p, q, k], multiplier[i, j, k]
                out[i, j, k] = complex(factor * value.real, factor * value.imag)


def gather_numpy(work, multiplier, out):
    """NumPy twin of :func:`gather`."""
    rows, columns = (kept_rows(length, size) for length, size in zip(work.shape[:2], out.shape[:2], strict=True))
    out[...] = work[np.ix_(rows, columns, range(out.shape[2]))] * multiplier


@compiled
def scatter(compact, work):
    """The half spectrum of a compact array, zero elsewhere: the inverse of :func:`gather` up to the multiplier."""
    ca, cb, kept = compact.shape
    na, nb = work.shape[0], work.shape[1]
    for p in range(na):
        i = p if 2 * p < ca else (p - na + ca if 2 * (na - p) < ca else -1)
        for q in range(nb):
            j = q if 2 * q < cb else (q - nb + cb if 2 * (nb - q) < cb else -1)
            if i < 0 or j < 0:
                work[p, q, :] = 0.0
            else:
                work[p, q, :kept] = compact[i, j]
                work[p, q, kept:] = 0.0


def scatter_numpy(compact, work):
    """NumPy twin of :func:`scatter`."""
    rows, columns = (kept_rows(length, size) for length, size in zip(work.shape[:2], compact.shape[:2], strict=True))
    work[...] = 0.0
    work[np.ix_(rows, columns, range(compact.shape[2]))] = compact


@compiled
def scatter_slope(compact, first, second, third, work):
    """As :func:`scatter`, of ``i (first + second + third)`` times the coefficients, the vectors along the axes."""
    ca, cb, kept = compact.shape
    na, nb = work.shape[0], work.shape[1]
    for p in range(na):
        i = p if 2 * p < ca else (p - na + ca if 2 * (na - p) < ca else -1)
        for q in range(nb):
            j = q if 2 * q < cb else (q - nb + cb if 2 * (nb - q) < cb else -1)
            if i < 0 or j < 0:
                work[p, q, :] = 0.0
            else:
                row = first[i] + second[j]
                for k in range(kept):
                    slope = row + third[k]
                    value = compact[i, j, k]
                    work[p, q, k] = complex(-slope * value.imag, slope * value.real)
                work[p, q, kept:] = 0.0


def scatter_slope_numpy(compact, first, second, third, work):
    """NumPy twin of :func:`scatter_slope`."""
    scatter_numpy(1j * (first[:, None, None] + second[:, None] + third) * compact, work)


@compiled
def gather_divergence(work, first, second, third, factor, out):
    """``out = factor · i Σ_a k_a`` times the kept modes of component a, ``k_a = first_a + second_a + third_a``.

    work (d, a, b, n//2+1), the vectors (d, ·) along the three axes; see :func:`gather`.
    """
    na, nb = work.shape[1], work.shape[2]
    for i in range(out.shape[0]):
        p = i if 2 * i < out.shape[0] else na - out.shape[0] + i
        for j in range(out.shape[1]):
            q = j if 2 * j < out.shape[1] else nb - out.shape[1] + j
            out[i, j, :] = 0.0
            for a in range(work.shape[0]):
                row = first[a, i] + second[a, j]
                for k in range(out.shape[2]):
                    slope = factor * (row + third[a, k])
                    value = work[a, p, q, k]
                    out[i, j, k] += complex(-slope * value.imag, slope * value.real)


def gather_divergence_numpy(work, first, second, third, factor, out):
    """NumPy twin of :func:`gather_divergence`."""
    kept, out[...] = np.empty_like(out), 0.0
    for a in range(len(work)):
        gather_numpy(work[a], np.ones(out.shape), kept)
        out += factor * 1j * (first[a][:, None, None] + second[a][:, None] + third[a]) * kept


def kept_rows(length, kept):
    """Indices, along an axis of the given length, of the ``kept`` lowest wavenumbers in FFT order."""
    low = (kept + 1) // 2
    return [*range(low), *range(length - kept + low, length)]


@compiled
def squared_norm(coefficients):
    """``Σ|f̂|²`` of compact coefficients as (rows, K): the last axis is half a spectrum, column 0 its own mirror."""
    total = 0.0
    for i in range(coefficients.shape[0]):
        row = 0.0
        for k in range(1, coefficients.shape[1]):
            row += coefficients[i, k].real ** 2 + coefficients[i, k].imag ** 2
        total += 2.0 * row + coefficients[i, 0].real ** 2 + coefficients[i, 0].imag ** 2
    return total


def squared_norm_numpy(coefficients):
    """NumPy twin of :func:`squared_norm`."""
    squared = coefficients.real**2 + coefficients.imag**2
    return float(2.0 * squared[:, 1:].sum() + squared[:, 0].sum())


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
def etd_error(f3, splitting, squared, new, rate, nc, out):
    """``out = f3 (N(c) − N(u'))``, the difference to the embedded method of order 3; rate is the whole one at u'."""
    for i in range(new.size):
        out[i] = f3[i] * (nc[i] - rate[i] - splitting * squared[i] * new[i])


def etd_error_numpy(f3, splitting, squared, new, rate, nc, out):
    """NumPy twin of :func:`etd_error`."""
    out[...] = f3 * (nc - rate - splitting * squared * new)


@compiled
def combine(u, h, weights, rates, out):
    """``out = u + h Σ_j weights[j] rates[j]``, rates (s, size); zero weights cost nothing, out may be u.

    In pieces that stay in the first-level cache, a term at a time: loops over few arrays vectorise.
    """
    for low in range(0, u.size, PIECE):
        start, total = u[low : low + PIECE], out[low : low + PIECE]
        for i in range(total.size):
            total[i] = start[i]
        for j in range(weights.size):
            weight = h * weights[j]
            if weight != 0.0:
                rate = rates[j, low : low + PIECE]
                for i in range(total.size):
                    total[i] += weight * rate[i]


def combine_numpy(u, h, weights, rates, out):
    """NumPy twin of :func:`combine`."""
    out[...] = u + np.tensordot(h * weights, rates, 1)


@compiled
def chebyshev_stage(weight_first, mu, nu, mu_rate, gamma, u, near, far, rate, first_rate, out):
    """``out = weight_first u + μ near + ν far + μ̃ rate + γ̃ first_rate``: a stage of a Chebyshev recursion."""
    for i in range(u.size):
        out[i] = weight_first * u[i] + mu * near[i] + nu * far[i] + mu_rate * rate[i] + gamma * first_rate[i]


def chebyshev_stage_numpy(weight_first, mu, nu, mu_rate, gamma, u, near, far, rate, first_rate, out):
    """NumPy twin of :func:`chebyshev_stage`."""
    out[...] = weight_first * u + mu * near + nu * far + mu_rate * rate + gamma * first_rate


@compiled
def multiply(a, b, out):
    """``out = a b`` on flat arrays."""
    for i in range(out.size):
        out[i] = a[i] * b[i]


def multiply_numpy(a, b, out):
    """NumPy twin of :func:`multiply`."""
    out[...] = a * b


@compiled
def multiply_add(a, b, c, d, out):
    """``out = a b + c d`` on flat arrays."""
    for i in range(out.size):
        out[i] = a[i] * b[i] + c[i] * d[i]


def multiply_add_numpy(a, b, c, d, out):
    """NumPy twin of :func:`multiply_add`."""
    out[...] = a * b + c * d


@compiled
def transport_stage(density, velocity, gradient, low, slopes):
    """``gradient_a += density · slopes_a``; ``slopes_0`` becomes ``Σ_a velocity_a slopes_a``.

    density (N,), velocity and gradient (d, N), slopes (d, m): those of the m points from ``low`` on. In pieces that
    stay in the first-level cache.
    """
    for start in range(0, slopes.shape[1], PIECE):
        stop = min(start + PIECE, slopes.shape[1])
        here = slice(low + start, low + stop)
        rho, total = density[here], slopes[0, start:stop]
        for a in range(slopes.shape[0]):
            slope, change = slopes[a, start:stop], gradient[a, here]
            for i in range(rho.size):
                change[i] += rho[i] * slope[i]
        for a in range(slopes.shape[0]):
            slope, speed = slopes[a, start:stop], velocity[a, here]
            if a == 0:
                for i in range(rho.size):
                    total[i] *= speed[i]
            else:
                for i in range(rho.size):
                    total[i] += speed[i] * slope[i]


def transport_stage_numpy(density, velocity, gradient, low, slopes):
    """NumPy twin of :func:`transport_stage`."""
    here = slice(low, low + slopes.shape[1])
    gradient[:, here] += density[here] * slopes
    slopes[0] = (velocity[:, here] * slopes).sum(axis=0)


@compiled
def greatest_sum(field):
    """``max_i Σ_a |field[a, i]|`` of a field (d, N) in one pass; NaN if any entry is not finite.

    A running maximum for each place within a piece: one number for all would keep the loop from vectorising.
    """
    highest, outside = np.zeros(PIECE), np.zeros(PIECE)
    for low in range(0, field.shape[1], PIECE):
        total = np.abs(field[0, low : low + PIECE])
        for a in range(1, field.shape[0]):
            part = field[a, low : low + PIECE]
            for i in range(total.size):
                total[i] += abs(part[i])
        for i in range(total.size):
            highest[i] = total[i] if total[i] > highest[i] else highest[i]
            outside[i] += 0.0 * total[i]
    return highest.max() + outside.sum()


def greatest_sum_numpy(field):
    """NumPy twin of :func:`greatest_sum`."""
    total = np.abs(field).sum(axis=0)
    return float(total.max()) if np.isfinite(total).all() else float("nan")
