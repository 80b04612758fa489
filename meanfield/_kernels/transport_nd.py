"""Shipping integer masses at least cost over a dense matrix of costs: successive shortest paths, and its certificate.

Rows offer ``supply`` units, columns ask for ``demand`` units, both whole numbers with one sum, so that masses are never
rounded. Prices u (rows) and v (columns) keep ``cost[i, j] − u[i] − v[j] ≥ 0``, with equality wherever something is
shipped: what is shipped is then shipped at least cost (linear programming duality).
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled

ROW, UNITS, NEXT = 0, 1, 2  # of an arc: where it comes from, what it carries, the next arc into the same column


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
def column_minima(cost, u):
    """min_i (cost[i, j] − u[i]), (m,): the largest prices of columns that go with prices of rows."""
    least = np.full(cost.shape[1], np.inf)
    for i in range(len(cost)):
        row, price = cost[i], u[i]
        for j in range(least.size):
            value = row[j] - price
            least[j] = value if value < least[j] else least[j]
    return least


def column_minima_numpy(cost, u):
    """The same."""
    return (cost - u[:, None]).min(axis=0)


@compiled
def smallest(values):
    """Index of the first smallest value; eight running minima, so that the loop vectorises."""
    a = b = c = d = e = f = g = h = np.inf
    whole = values.size // 8 * 8
    for j in range(0, whole, 8):
        a = values[j] if values[j] < a else a
        b = values[j + 1] if values[j + 1] < b else b
        c = values[j + 2] if values[j + 2] < c else c
        d = values[j + 3] if values[j + 3] < d else d
        e = values[j + 4] if values[j + 4] < e else e
        f = values[j + 5] if values[j + 5] < f else f
        g = values[j + 6] if values[j + 6] < g else g
        h = values[j + 7] if values[j + 7] < h else h
    least = min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))
    for j in range(whole, values.size):
        least = values[j] if values[j] < least else least
    for j in range(values.size):
        if values[j] == least:
            return j
    return 0


@compiled
def violation(cost, u, v, rows, columns):
    """How far prices and plan are from proving each other optimal: largest −slack anywhere, largest slack in use."""
    work = np.empty(v.size)
    below = above = 0.0
    for i in range(u.size):
        row, price = cost[i], u[i]
        for j in range(v.size):
            work[j] = row[j] - price - v[j]
        below = max(below, -work[smallest(work)])
    for k in range(rows.size):
        above = max(above, cost[rows[k], columns[k]] - u[rows[k]] - v[columns[k]])
    return below, above


def violation_numpy(cost, u, v, rows, columns):
    """The same."""
    slack = cost - u[:, None] - v
    return max(0.0, -slack.min()), max(0.0, slack[rows, columns].max())


@compiled
def _find(arcs, head, i, j):
    """The arc from row i to column j and the one before it in the column's list; −1 where there is none."""
    last, arc = -1, head[j]
    while arc >= 0 and arcs[ROW, arc] != i:
        last, arc = arc, arcs[NEXT, arc]
    return arc, last


@compiled
def _put(arcs, head, counts, i, j, units):
    """Ship more from row i to column j; ``counts`` holds the arcs in use and the first of the list of freed ones."""
    arc, _ = _find(arcs, head, i, j)
    if arc >= 0:
        arcs[UNITS, arc] += units
        return
    arc = counts[1]
    if arc >= 0:
        counts[1] = arcs[NEXT, arc]
    else:
        arc = counts[0]
        counts[0] += 1
    arcs[ROW, arc], arcs[UNITS, arc], arcs[NEXT, arc] = i, units, head[j]
    head[j] = arc


@compiled
def _take(arcs, head, counts, i, j, units):
    """Ship less from row i to column j; an arc left empty is freed."""
    arc, last = _find(arcs, head, i, j)
    arcs[UNITS, arc] -= units
    if arcs[UNITS, arc] == 0:
        if last < 0:
            head[j] = arcs[NEXT, arc]
        else:
            arcs[NEXT, last] = arcs[NEXT, arc]
        arcs[NEXT, arc] = counts[1]
        counts[1] = arc


@compiled
def _search(cost, u, v, need, arcs, head, start, run, row_of, settled, queue, column_of, seen):
    """Cheapest way from row ``start`` to a column in need (Dijkstra over slacks); then new prices along it.

    A row leads to every column at its slack, a column back to the rows that ship to it at none. ``row_of`` (of a
    column) and ``column_of`` (of a row) are the steps back. Returns the column found and the number of rows visited.
    """
    near, price, distance = np.full(v.size, np.inf), v.copy(), np.empty(v.size)
    since = np.empty(u.size)
    queue[0], column_of[start], since[start], seen[start] = start, -1, 0.0, run
    reached, visited, done, low = 1, 0, 0, 0.0
    while True:
        while visited < reached:
            i = queue[visited]
            visited += 1
            row, level = cost[i], u[i] - low
            for j in range(v.size):
                here = row[j] - price[j] - level
                better = here < near[j]
                near[j] = here if better else near[j]
                row_of[j] = i if better else row_of[j]
        j = smallest(near)
        low = near[j]
        if need[j] > 0:
            break
        settled[done], distance[j] = j, low
        done += 1
        near[j], price[j] = np.inf, -np.inf  # settled: neither found nor improved again
        arc = head[j]
        while arc >= 0:
            i = arcs[ROW, arc]
            if seen[i] != run:
                seen[i], queue[reached], column_of[i], since[i] = run, i, j, low
                reached += 1
            arc = arcs[NEXT, arc]
    for k in range(reached):
        u[queue[k]] += low - since[queue[k]]
    for k in range(done):
        v[settled[k]] -= low - distance[settled[k]]
    return j, visited


@compiled
def _push(arcs, head, counts, start, sink, most, row_of, column_of):
    """Ship up to ``most`` units from ``start`` to ``sink`` along the way found; returns how many."""
    units, j = most, sink
    while row_of[j] != start:
        i = row_of[j]
        j = column_of[i]
        units = min(units, arcs[UNITS, _find(arcs, head, i, j)[0]])
    j = sink
    while True:
        i = row_of[j]
        _put(arcs, head, counts, i, j, units)
        if i == start:
            return units
        j = column_of[i]
        _take(arcs, head, counts, i, j, units)


@compiled
def _begin(cost, u, v, left, need, arcs, head, counts, plan):
    """Prices of rows that fit v; then what of ``plan`` (rows, columns, units) has no slack, or whatever fits at once.

    Slack is rounding if it is below 8 eps times the numbers it is the difference of.
    """
    work = np.empty(v.size)
    for i in range(u.size):
        row = cost[i]
        for j in range(v.size):
            work[j] = row[j] - v[j]
        j = smallest(work)
        u[i] = work[j]
        units = min(left[i], need[j])
        if units > 0 and plan.shape[1] == 0:
            _put(arcs, head, counts, i, j, units)
            left[i] -= units
            need[j] -= units
    for k in range(plan.shape[1]):
        i, j, units = plan[:, k]
        if cost[i, j] - u[i] - v[j] <= 1.8e-15 * (cost[i, j] + abs(u[i]) + abs(v[j])):
            _put(arcs, head, counts, i, j, units)
            left[i] -= units
            need[j] -= units


@compiled
def ship(cost, supply, demand, prices, plan, limit):
    """Least-cost shipment, from prices of columns (m,) and a plan (3, k) to begin with (rows, columns, units; or none).

    Every unit goes the cheapest way that is left, re-routing what was shipped before; the search of ways stops after
    ``limit`` visits of rows. Each visit costs O(m).

    Returns
    -------
    plan : (3, k) int — rows, columns and units, in the order of columns
    u, v : (n,) and (m,) — prices
    left : int — units not shipped before the limit was met
    """
    n, m = cost.shape
    u, v, left, need = np.empty(n), prices.copy(), supply.copy(), demand.copy()
    arcs, head, counts = np.empty((3, n + m + plan.shape[1]), np.int64), np.full(m, -1), np.array([0, -1])
    _begin(cost, u, v, left, need, arcs, head, counts, plan)
    row_of, settled, column_of = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(n, np.int64)
    queue, seen = np.empty(n, np.int64), np.full(n, -1)
    visits = run = 0
    for start in range(n):
        while left[start] > 0 and visits < limit:
            sink, visited = _search(cost, u, v, need, arcs, head, start, run, row_of, settled, queue, column_of, seen)
            visits, run = visits + visited, run + 1
            if counts[0] + visited > arcs.shape[1]:  # ties can make the plan larger than a tree
                arcs = np.concatenate((arcs, np.empty_like(arcs)), axis=1)
            units = min(left[start], need[sink])
            units = _push(arcs, head, counts, start, sink, units, row_of, column_of)
            left[start] -= units
            need[sink] -= units
    result, size = np.empty((3, counts[0]), np.int64), 0
    for j in range(m):
        arc = head[j]
        while arc >= 0:
            result[0, size], result[1, size], result[2, size] = arcs[ROW, arc], j, arcs[UNITS, arc]
            arc, size = arcs[NEXT, arc], size + 1
    return result[:, :size].copy(), u, v, left.sum()


def ship_numpy(cost, supply, demand, prices):
    """The same least cost by the same method on a full matrix of units, begun with nothing and without a limit."""
    v, left, need, units = prices.copy(), supply.copy(), demand.copy(), np.zeros(cost.shape, np.int64)
    u = (cost - v).min(axis=1)
    while left.any():
        start = int(left.argmax())
        distance, row_of, done = np.full(v.size, np.inf), np.zeros(v.size, int), np.zeros(v.size, bool)
        since, queue, low = {start: 0.0}, [start], 0.0
        column_of: dict[int, int] = {}
        while True:
            for i in queue:
                here = np.where(done, np.inf, low + cost[i] - u[i] - v)
                row_of, distance = (
                    np.where(here < distance, i, row_of),
                    np.where(done, distance, np.minimum(here, distance)),
                )
            sink = int(np.where(done, np.inf, distance).argmin())
            low = distance[sink]
            if need[sink]:
                break
            done[sink] = True
            queue = [int(i) for i in np.flatnonzero(units[:, sink]) if i not in since]
            since |= dict.fromkeys(queue, low)
            column_of |= dict.fromkeys(queue, sink)
        for i, before in since.items():
            u[i] += low - before
        v[done] -= low - distance[done]
        way, amount, j = [], min(left[start], need[sink]), sink
        while row_of[j] != start:
            way.append((row_of[j], j, column_of[row_of[j]]))
            j = column_of[row_of[j]]
            amount = min(amount, units[way[-1][0], j])
        for i, ahead, back in way:
            units[i, ahead] += amount
            units[i, back] -= amount
        units[start, j] += amount
        left[start] -= amount
        need[sink] -= amount
    rows, columns = np.nonzero(units)
    return np.stack([rows, columns, units[rows, columns]]), u, v, 0
