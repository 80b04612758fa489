"""One sweep of the monotone coupling of two measures on the circle: its cost and the slopes of the cost in the lag.

A measure is a list of pieces: piece i carries mass m_i > 0, spread evenly over [left_i, right_i] (an atom where the two
are equal). Pieces are sorted; A(u), 0 ≤ u < M, is the position below which mass u lies, and A(u + M) = A(u) + 1.
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled


@compiled
def sweep(mass_a, left_a, right_a, mass_b, left_b, right_b, start_a, start_b, turn, lag):
    """Cost C(lag) = ∫₀^M (A(u) − B(u − lag))² du and its one-sided derivatives, by one walk along both lists.

    u = 0 is the start of piece ``start_a`` of a and of piece ``start_b`` of b, the latter ``turn`` periods on. The
    derivative is 2∫(A − B) dB: rise of B times (difference before + difference after), summed over pieces and jumps;
    where both graphs jump at once, the order of the jumps gives the side. Masses are only subtracted within a piece,
    so rounding is relative to the pieces met, not to M: jumps that coincide exactly do so along the whole walk.

    Returns
    -------
    cost, slope_minus, slope_plus : float
    """
    i, k, count_a, count_b, shift = start_a, start_b, mass_a.size, mass_b.size, 0.0
    need = abs(lag)
    if lag > 0.0:  # b starts `lag` before its boundary
        k, turn = (k - 1, turn) if k > 0 else (mass_b.size - 1, turn - 1.0)
        while need > mass_b[k]:
            need -= mass_b[k]
            k, turn = (k - 1, turn) if k > 0 else (mass_b.size - 1, turn - 1.0)
        tail = mass_b[k] - need
    else:
        while need >= mass_b[k]:
            need -= mass_b[k]
            k, turn = (k + 1, turn) if k + 1 < mass_b.size else (0, turn + 1.0)
        tail = need
        need = mass_b[k] - tail
    rest_a, whole_a, from_a, to_a = mass_a[i], mass_a[i], left_a[i], right_a[i]
    rest_b, whole_b, from_b, to_b = need, mass_b[k], left_b[k] + turn, right_b[k] + turn
    xa = from_a
    xb = from_b + tail / whole_b * (to_b - from_b)
    end_b = xb + 1.0  # where b arrives after one period; before its jump there, if it has one, b is at `last_b`
    last_b = end_b
    if tail > 0.0:
        count_b += 1  # the split piece comes first and last
    else:
        last_b = right_b[k - 1] + (turn + 1.0 if k > 0 else turn)
    last_a = right_a[i - 1] + (1.0 if i > 0 else 0.0)
    end_a = from_a + 1.0

    cost = slope = kinks = 0.0
    while True:
        done_a, done_b = rest_a <= rest_b, rest_b <= rest_a
        step = rest_a if done_a else rest_b
        rest_a, rest_b = rest_a - step, rest_b - step
        next_a = to_a if done_a else to_a - rest_a / whole_a * (to_a - from_a)
        next_b = to_b if done_b else to_b - rest_b / whole_b * (to_b - from_b)
        before, after = xa - xb, next_a - next_b
        cost += step * (before * before + before * after + after * after)
        slope += (next_b - xb) * (before + after)
        xa, xb = next_a, next_b
        if done_a:
            count_a -= 1
        if done_b:
            count_b -= 1
        if count_a == 0 or count_b == 0:
            break
        if done_a:
            i, shift = (i + 1, shift) if i + 1 < mass_a.size else (0, shift + 1.0)
            rest_a, whole_a, from_a, to_a = mass_a[i], mass_a[i], left_a[i] + shift, right_a[i] + shift
        if done_b:
            k, turn = (k + 1, turn) if k + 1 < mass_b.size else (0, turn + 1.0)
            rest_b, whole_b, from_b, to_b = mass_b[k], mass_b[k], left_b[k] + turn, right_b[k] + turn
            if count_b == 1 and tail > 0.0:
                rest_b, whole_b, to_b = tail, tail, end_b
            slope += (from_b - xb) * (2.0 * xa - xb - from_b)
            if done_a:
                kinks += 2.0 * (from_a - xa) * (from_b - xb)
            xb = from_b
        if done_a:
            xa = from_a
    # Rounding may leave a speck of mass of b, whose graph still has to rise to the end; then come the jumps at u = M.
    slope += (last_b - xb) * (2.0 * xa - xb - last_b) + (end_b - last_b) * (2.0 * last_a - last_b - end_b)
    kinks += 2.0 * (end_a - last_a) * (end_b - last_b)
    return cost / 3.0, slope, slope + kinks


def sweep_numpy(mass_a, left_a, right_a, mass_b, left_b, right_b, start_a, start_b, turn, lag):
    """The same numbers from cumulated masses and a merged list of breakpoints (rounding relative to M)."""
    total = mass_a.sum()
    ends_a, ends_b = np.cumsum(np.roll(mass_a, -start_a)), np.cumsum(np.roll(mass_b, -start_b))
    starts_b = ends_b - np.roll(mass_b, -start_b)
    breaks = np.unique(np.concatenate([[0.0, total], ends_a[:-1], np.mod(starts_b + lag, total)]))
    middle = (breaks[1:] + breaks[:-1]) / 2

    def positions(mass, left, right, start, ends, u):
        """Positions at both ends of every segment, moved by ``u`` and read off the piece of its middle."""
        periods = np.floor((middle + u) / total)
        place = np.minimum(np.searchsorted(ends, middle + u - periods * total, side="right"), mass.size - 1)
        piece = (place + start) % mass.size
        shift = periods + (place + start) // mass.size
        speed = (right[piece] - left[piece]) / mass[piece]
        origin = left[piece] + shift + (u - periods * total - ends[place] + mass[piece]) * speed
        return origin + breaks[:-1] * speed, origin + breaks[1:] * speed

    from_a, to_a = positions(mass_a, left_a, right_a, start_a, ends_a, 0.0)
    from_b, to_b = positions(mass_b, left_b, right_b, start_b, ends_b, -lag)
    from_b, to_b = from_b + turn, to_b + turn
    before, after = from_a - from_b, to_a - to_b
    cost = np.sum(np.diff(breaks) * (before**2 + before * after + after**2)) / 3
    next_a, next_b = np.append(from_a[1:], from_a[0] + 1), np.append(from_b[1:], from_b[0] + 1)
    slope = np.sum((to_b - from_b) * (before + after)) + np.sum((next_b - to_b) * (2 * to_a - to_b - next_b))
    return cost, slope, slope + 2 * np.sum((next_a - to_a) * (next_b - to_b))
