"""Implicit Euler steps of one-dimensional finite volumes on periodic lines, compiled; NumPy twins below.

Energies are given by their pressure terms ``P(ρ) = Σ c ρ^m`` and a potential V on the line; the chemical potential is
``ξ = Σ c m/(m−1) ρ^{m−1} + V`` (``c log ρ`` for m = 1). ``k = dt/h²``. Each line is a row of a contiguous array.
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled

CONVERGED, STALLED = 0, 1
MOST_ITERATIONS = 60
MOST_FAILURES = 12  # of a continuation, before a line is given up
VACUUM = 1e-13  # share of the maximum below which ξ is continued linearly, where its slope is infinite at zero
TINY = 1e-300  # the least such level, so that its reciprocal is finite in lines that are (almost) empty


@compiled
def power_of(x, m):
    """``x^m`` for x ≥ 0, without the library power for the common exponents."""
    if m == 1.0:
        return x
    if m == 2.0:
        return x * x
    if m == 3.0:
        return x * x * x
    if m == 0.0:
        return 1.0
    if m == 0.5:
        return np.sqrt(x)
    if m == 1.5:
        return x * np.sqrt(x)
    return x**m


@compiled
def solve_cyclic(lower, diagonal, upper, right, solution, pivots, column):
    """Solve ``lower_i x_{i−1} + diagonal_i x_i + upper_i x_{i+1} = right_i``, indices modulo n, without pivoting.

    Meant for column diagonally dominant M-matrices, where elimination needs no pivots. ``pivots`` and ``column`` are
    scratch of length n ≥ 4.
    """
    n = diagonal.size
    pivots[0], column[0], solution[0] = diagonal[0], lower[0], right[0]
    row, last, value = upper[n - 1], diagonal[n - 1], right[n - 1]
    for i in range(1, n - 1):
        factor = lower[i] / pivots[i - 1]
        pivots[i] = diagonal[i] - factor * upper[i - 1]
        column[i] = -factor * column[i - 1]
        solution[i] = right[i] - factor * solution[i - 1]
        factor = row / pivots[i - 1]
        last -= factor * column[i - 1]
        value -= factor * solution[i - 1]
        row = -factor * upper[i - 1]
    column[n - 2] += upper[n - 2]
    row += lower[n - 1]
    factor = row / pivots[n - 2]
    last -= factor * column[n - 2]
    value -= factor * solution[n - 2]
    solution[n - 1] = value / last
    solution[n - 2] = (solution[n - 2] - column[n - 2] * solution[n - 1]) / pivots[n - 2]
    for i in range(n - 3, -1, -1):
        solution[i] = (solution[i] - upper[i] * solution[i + 1] - column[i] * solution[n - 1]) / pivots[i]


def solve_cyclic_numpy(lower, diagonal, upper, right, solution, pivots, column):
    """NumPy twin of :func:`solve_cyclic`."""
    n = diagonal.size
    matrix = np.diag(diagonal)
    matrix[np.arange(n), np.arange(n) - 1] += lower
    matrix[np.arange(n), (np.arange(n) + 1) % n] += upper
    solution[:] = np.linalg.solve(matrix, right)


@compiled
def chemical_potential(density, coefficients, exponents, vacuum, value, slope):
    """``ξ − V`` and its derivative in ρ on a line, continued linearly below ``vacuum`` (0: nothing is singular)."""
    value[:] = 0.0
    slope[:] = 0.0
    for j in range(exponents.size):
        m, c = exponents[j], coefficients[j]
        for i in range(density.size):
            x = max(density[i], vacuum)
            if m == 1.0:
                first, at = c / x, c * (np.log(x) + 1.0)
            else:
                first = c * m * power_of(x, m - 2.0) if (x > 0.0 or m >= 2.0) else 0.0
                at = c * m / (m - 1.0) * power_of(x, m - 1.0)
            value[i] += at + first * (density[i] - x)
            slope[i] += first


def chemical_potential_numpy(density, coefficients, exponents, vacuum, value, slope):
    """NumPy twin of :func:`chemical_potential`."""
    x = np.maximum(density, vacuum)
    value[:], slope[:] = 0.0, 0.0
    for c, m in zip(coefficients, exponents, strict=True):
        first = c * m * x ** (m - 2.0)
        value += (c * (np.log(x) + 1.0) if m == 1 else c * m / (m - 1.0) * x ** (m - 1.0)) + first * (density - x)
        slope += first


@compiled
def limit_line(before, flux, order, after):
    """Conservative update with outgoing fluxes limited to what a cell has: ``after ≥ 0`` exactly, mass kept.

    ``flux[i]`` leaves cell i towards i+1 (negative: comes from there). Cells are visited in ``order``, from the highest
    potential down, so that all that flows into a cell is final before what leaves it is limited.
    """
    n = before.size
    after[:] = before
    done = np.zeros(n, dtype=np.bool_)
    for p in range(n):
        i = order[p]
        left = i - 1 if i > 0 else n - 1
        out_right = max(flux[i], 0.0)
        out_left = max(-flux[left], 0.0)
        right = i + 1 if i < n - 1 else 0
        # What meets the rounding of the order: a flux towards a cell already visited is dropped.
        if done[right]:
            out_right = 0.0
        if done[left]:
            out_left = 0.0
        leaving = out_right + out_left
        have = after[i]
        if leaving > have:
            out_right = min(out_right * (have / leaving), have)  # the product may round above what there is
            out_left = have - out_right
            after[i] = 0.0
        else:
            after[i] = have - leaving
        after[right] += out_right
        after[left] += out_left
        done[i] = True


def limit_line_numpy(before, flux, order, after):
    """NumPy twin of :func:`limit_line`, cell by cell as well."""
    n = len(before)
    after[:] = before
    done = np.zeros(n, dtype=bool)
    for i in order:
        neighbours = {(i + 1) % n: max(flux[i], 0.0), (i - 1) % n: max(-flux[i - 1], 0.0)}
        leaving = {j: 0.0 if done[j] else out for j, out in neighbours.items()}
        total = sum(leaving.values())
        share = min(1.0, after[i] / total) if total > 0 else 1.0
        after[i] = 0.0 if share < 1 else after[i] - total
        for j, out in leaving.items():
            after[j] += share * out
        done[i] = True


@compiled
def conservative_update(before, flux, potential, after):
    """``after_i = before_i + flux_{i−1} − flux_i``; limited if that is negative anywhere."""
    n = before.size
    lowest = 0.0
    for i in range(n):
        left = i - 1 if i > 0 else n - 1
        after[i] = before[i] + (flux[left] - flux[i])
        lowest = min(lowest, after[i])
    if lowest < 0.0:
        limit_line(before, flux, np.argsort(-potential), after)


@compiled
def two_point_lines(before, k, coefficients, exponents, after):
    """One implicit Euler step ``ρ − k δ²P(ρ) = before`` on every row: Newton, then a conservative update.

    Returns the number of Newton iterations of the slowest row and ``CONVERGED`` or ``STALLED``. The Jacobian
    ``I − k δ² diag P'`` is an M-matrix with unit column sums; the residual stops falling at rounding.
    """
    rows, n = before.shape
    density, pressure, slope, residual = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    lower, diagonal, upper, correction = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    pivots, column = np.empty(n), np.empty(n)
    worst, status = 0, CONVERGED
    for row in range(rows):
        old = before[row]
        density[:] = old
        top = old.max()
        if top <= TINY:  # nothing that a float can move
            after[row] = old
            continue
        previous, iterations = np.inf, 0
        while True:
            stiffest = 0.0
            for i in range(n):
                pressure[i] = 0.0
                slope[i] = 0.0
                if density[i] > 0.0:
                    for j in range(exponents.size):
                        p = k * coefficients[j] * power_of(density[i], exponents[j])
                        pressure[i] += p
                        slope[i] += exponents[j] * p / density[i]
                stiffest = max(stiffest, slope[i])
            size = 0.0
            for i in range(n):
                left, right = (i - 1 if i > 0 else n - 1), (i + 1 if i < n - 1 else 0)
                residual[i] = old[i] - density[i] + ((pressure[left] - pressure[i]) - (pressure[i] - pressure[right]))
                size = max(size, abs(residual[i])) if abs(residual[i]) < np.inf else np.inf  # NaN does not pass
                lower[i], diagonal[i], upper[i] = -slope[left], 1.0 + 2.0 * slope[i], -slope[right]
            if size <= 4e-16 * top:
                break
            if iterations == MOST_ITERATIONS or not size < np.inf:
                status = STALLED
                break
            if size >= 0.5 * previous and size <= 1e-14 * top * (1.0 + stiffest):
                break  # at the floor of rounding
            solve_cyclic(lower, diagonal, upper, residual, correction, pivots, column)
            density += correction
            previous = size
            iterations += 1
        for i in range(n):
            right = i + 1 if i < n - 1 else 0
            residual[i] = pressure[i] - pressure[right]
        conservative_update(old, residual, pressure, after[row])
        worst = max(worst, iterations)
    return worst, status


@compiled
def upwind_flux(xi, slope, density, east, west, k, flux, by_left, by_right):
    """Fluxes to the right ``k(s⁺ east_i ρ_i + s⁻ west_j ρ_j)``, s = ξ_i − ξ_j, j = i+1, and derivatives in ρ_i, ρ_j."""
    n = density.size
    for i in range(n):
        j = i + 1 if i < n - 1 else 0
        s = xi[i] - xi[j]
        if s > 0.0:
            carried, flux[i] = k * east[i] * density[i], k * s * east[i] * density[i]
            by_left[i], by_right[i] = k * s * east[i] + carried * slope[i], -carried * slope[j]
        else:
            carried, flux[i] = k * west[j] * density[j], k * s * west[j] * density[j]
            by_left[i], by_right[i] = carried * slope[i], k * s * west[j] - carried * slope[j]


@compiled
def residual_norm(old, density, flux, residual):
    """``residual = old − ρ − (flux_i − flux_{i−1})`` and its ℓ¹ norm."""
    n, total = old.size, 0.0
    for i in range(n):
        left = i - 1 if i > 0 else n - 1
        residual[i] = old[i] - density[i] + (flux[left] - flux[i])
        total += abs(residual[i])
    return total


@compiled
def reconstruct_lines(density, east, west):
    """What a limited linear reconstruction puts at the ends of each cell, over the cell's mean: in [0, 2], 1 in vacuum.

    Generalised minmod slopes with parameter 2, so that both ends are non-negative.
    """
    rows, n = density.shape
    for row in range(rows):
        for i in range(n):
            here = density[row, i]
            back = here - density[row, i - 1 if i > 0 else n - 1]
            front = density[row, i + 1 if i < n - 1 else 0] - here
            tilt = 0.0
            if here > 0.0 and back * front > 0.0:
                tilt = min(abs(back), 0.25 * abs(back + front), abs(front)) / here
                tilt = min(1.0, tilt) if front > 0.0 else -min(1.0, tilt)
            east[row, i], west[row, i] = 1.0 + tilt, 1.0 - tilt


def reconstruct_lines_numpy(density, east, west):
    """NumPy twin of :func:`reconstruct_lines`."""
    back, front = density - np.roll(density, 1, 1), np.roll(density, -1, 1) - density
    size = np.minimum(np.minimum(np.abs(back), np.abs(front)), 0.25 * np.abs(back + front))
    tilt = np.where((density > 0) & (back * front > 0), np.sign(front) * size / np.where(density > 0, density, 1), 0)
    east[...], west[...] = 1 + np.clip(tilt, -1, 1), 1 - np.clip(tilt, -1, 1)


@compiled
def upwind_newton(old, fixed, east, west, k, coefficients, exponents, vacuum, tolerance, density, xi, flux, scratch):
    """Solve one upwind line by damped Newton from ``density``, which becomes the solution, with its ξ and fluxes.

    Until the ℓ¹ residual is below ``tolerance`` times the mass, or at rounding. The residual's ℓ¹ norm is the merit
    function: the scheme is accretive in ℓ¹ and the Newton step, by an M-matrix of unit column sums, is a descent
    direction for it, also where the upwind side switches. Returns iterations and ``CONVERGED`` or ``STALLED``.
    """
    n, mass, iterations = old.size, old.sum(), 0
    trial, slope, by_left, by_right, residual, correction = (
        scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5],
    )  # fmt: skip
    lower, diagonal, upper, pivots, column = scratch[6], scratch[7], scratch[8], scratch[9], scratch[10]
    chemical_potential(density, coefficients, exponents, vacuum, xi, slope)
    xi += fixed
    upwind_flux(xi, slope, density, east, west, k, flux, by_left, by_right)
    size, before = residual_norm(old, density, flux, residual), np.inf
    if mass <= TINY:  # nothing that a float can move
        flux[:] = 0.0
        return 0, CONVERGED
    while not size <= max(4e-16, tolerance) * mass:  # true for NaN as well
        rounding = mass
        for i in range(n):
            left, right = (i - 1 if i > 0 else n - 1), (i + 1 if i < n - 1 else 0)
            lower[i], diagonal[i], upper[i] = -by_left[left], 1.0 + by_left[i] - by_right[left], by_right[i]
            terms = abs(xi[i] - fixed[i]) + abs(fixed[i]) + slope[i] * density[i]  # ξ is known to eps times this
            rounding += k * terms * (density[left] + 2.0 * density[i] + density[right])
        if size >= 0.5 * before and size <= 4e-15 * rounding:
            return iterations, CONVERGED  # at the floor of rounding
        if iterations == MOST_ITERATIONS or not size < np.inf:
            return iterations, STALLED
        solve_cyclic(lower, diagonal, upper, residual, correction, pivots, column)
        damping, before = 1.0, size
        for _ in range(30):
            for i in range(n):
                trial[i] = max(density[i] + damping * correction[i], 0.0)  # mobilities keep their sign
            chemical_potential(trial, coefficients, exponents, vacuum, xi, slope)
            xi += fixed
            upwind_flux(xi, slope, trial, east, west, k, flux, by_left, by_right)
            size = residual_norm(old, trial, flux, residual)
            if size < before * (1.0 - 1e-4 * damping):
                break
            damping *= 0.5
        density[:] = trial
        iterations += 1
        if not size < before and before > 4e-15 * rounding:
            return iterations, STALLED  # no descent is left
    return iterations, CONVERGED


@compiled
def upwind_continuation(old, fixed, east, west, k, coefficients, exponents, vacuum, density, xi, flux, scratch):
    """A line on which Newton stalls, by continuation: solutions for growing k, each the start of the next."""
    reached, now, ratio, failures, total = 0.0, min(k, 1.0), 8.0, 0, 0
    good = old.copy()
    while failures <= MOST_FAILURES:
        density[:] = good
        tolerance = 0.0 if now == k else 1e-3
        iterations, status = upwind_newton(
            old, fixed, east, west, now, coefficients, exponents, vacuum, tolerance, density, xi, flux, scratch
        )
        total += iterations
        if status == CONVERGED:
            if now == k:
                return total, CONVERGED
            good[:] = density
            reached, now = now, min(k, now * ratio)
        else:
            failures += 1
            ratio = max(1.3, np.sqrt(ratio))
            now = min(k, reached * ratio) if reached > 0.0 else now / 8.0
    return total, STALLED


@compiled
def upwind_lines(before, k, coefficients, exponents, potential, east, west, singular, after):
    """One implicit Euler step of the upwind scheme on every row: Newton, then a conservative update.

    ``east``, ``west`` (rows, n) are what a reconstruction puts at a cell's ends, as multiples of its mean (1: first
    order). Returns the iterations of the slowest row and ``CONVERGED`` or ``STALLED``.
    """
    rows, n = before.shape
    density, xi, flux, scratch = np.empty(n), np.empty(n), np.empty(n), np.empty((11, n))
    worst, status = 0, CONVERGED
    for row in range(rows):
        old, fixed = before[row], potential[row]
        density[:] = old
        vacuum = max(VACUUM * old.max(), TINY) if singular else 0.0
        iterations, outcome = upwind_newton(
            old, fixed, east[row], west[row], k, coefficients, exponents, vacuum, 0.0, density, xi, flux, scratch
        )
        if outcome == STALLED:
            more, outcome = upwind_continuation(
                old, fixed, east[row], west[row], k, coefficients, exponents, vacuum, density, xi, flux, scratch
            )
            iterations += more
        status = max(status, outcome)
        conservative_update(old, flux, xi, after[row])
        worst = max(worst, iterations)
    return worst, status


def upwind_flux_numpy(xi, density, east, west, k):
    """NumPy twin of the fluxes of :func:`upwind_flux`."""
    drop = xi - np.roll(xi, -1)
    return k * (np.maximum(drop, 0) * east * density + np.minimum(drop, 0) * np.roll(west * density, -1))
