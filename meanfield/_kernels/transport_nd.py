"""Transport in d ≥ 2: the matrix of costs, and the potentials by which a plan, whoever found it, is proved optimal."""

from __future__ import annotations

import numpy as np

from ._compile import compiled


@compiled
def squared_distances(x, y, wrap):
    """Matrix (n, m) of |x_i − y_j|² for points as rows (n, d) and (d, m); with ``wrap``, of their nearest images."""
    dim, number = y.shape
    cost = np.zeros((len(x), number))
    for i in range(len(x)):
        row = cost[i]
        for a in range(dim):
            place, others = x[i, a], y[a]
            if wrap:
                for j in range(number):
                    gap = place - others[j]
                    gap -= np.floor(gap + 0.5)
                    row[j] += gap * gap
            else:
                for j in range(number):
                    gap = place - others[j]
                    row[j] += gap * gap
    return cost


def squared_distances_numpy(x, y, wrap):
    """The same by broadcasting."""
    gap = x[:, :, None] - y[None]
    if wrap:
        gap -= np.floor(gap + 0.5)
    return np.square(gap).sum(axis=1)


@compiled
def potentials(cost, first, columns, guess, tolerance):
    """Potentials u (n,) and v (m,) with ``cost − u − v ≥ 0`` everywhere and ``≤ tolerance`` on the pairs of a plan.

    Row i carries mass to ``columns[first[i]:first[i + 1]]``. Rows are visited in turn (Bellman and Ford's shortest
    paths, from ``guess`` (m,)): u_i is raised to fit the row's pairs, then v lowered to fit u_i. It ends after n rounds
    at most if the plan is optimal up to the tolerance, and only then; O(m) a visit that changes something.

    Returns
    -------
    u, v : (n,) and (m,)
    proved : bool
    """
    u, v, proved = np.full(len(cost), -np.inf), guess.copy(), False
    for _ in range(len(cost) + 1):
        proved = True
        for i in range(u.size):
            price = -np.inf
            for k in range(first[i], first[i + 1]):
                price = max(price, cost[i, columns[k]] - v[columns[k]])
            if price > u[i] + tolerance:
                u[i], proved, row = price, False, cost[i]
                for j in range(v.size):
                    value = row[j] - price
                    v[j] = value if value < v[j] else v[j]
        if proved:
            break
    for i in range(u.size):
        if first[i] == first[i + 1]:  # no mass: whatever fits v
            u[i] = (cost[i] - v).min()
    return u, v, proved


def potentials_numpy(cost, first, columns, guess, tolerance):
    """The same, row by row."""
    u, v, proved = np.full(len(cost), -np.inf), guess.copy(), False
    for _ in range(len(cost) + 1):
        proved = True
        for i, row in enumerate(cost):
            used = columns[first[i] : first[i + 1]]
            price = np.max(row[used] - v[used], initial=-np.inf)
            if price > u[i] + tolerance:
                u[i], proved = price, False
                np.minimum(v, row - price, out=v)
        if proved:
            break
    empty = np.diff(first) == 0
    u[empty] = (cost[empty] - v).min(axis=1)
    return u, v, proved
