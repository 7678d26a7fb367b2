"""Another way to be right, for every answer of ps4-scaling."""

import numpy as np


def layer_seconds(n, rows, columns, peak, bandwidth, bytes_per_number=4):
    numbers = sum(a * b for a, b in ((n, rows), (rows, columns), (n, columns)))
    return np.maximum(2.0 * n * rows * columns / peak, numbers * bytes_per_number / bandwidth)


def smallest_batch(rows, columns, peak, bandwidth, bytes_per_number=4):
    def busy(n):
        moved = bytes_per_number * (n * rows + rows * columns + n * columns)
        return 2 * n * rows * columns / peak >= moved / bandwidth

    n = 1
    while not busy(n):
        n += 1
        if n > 5000:
            return None
    return np.int64(n)


def ring_all_reduce(vectors, send):
    workers, length = len(vectors), len(vectors[0])
    bounds = np.linspace(0, length, workers + 1).astype(int)
    state = np.array(vectors, dtype=np.float64)
    if max(np.diff(bounds)) > -(-length // workers):
        bounds = np.minimum(np.arange(workers + 1) * -(-length // workers), length)
    for adding in (True, False):
        for step in range(workers - 1):
            before = state.copy()
            for r in range(workers):
                k = (r - step + (0 if adding else 1)) % workers
                piece, receiver = slice(bounds[k], bounds[k + 1]), (r + 1) % workers
                arrived = send(r, receiver, before[r, piece])
                state[receiver, piece] = arrived + (before[receiver, piece] if adding else 0)
    return tuple(state)


def ring_seconds(size, workers, alpha, beta):
    return sum(alpha + size / (workers * beta) for _ in range(2 * workers - 2))


def best_workers(seconds, size, alpha, beta, most):
    n = np.arange(1, most + 1)
    return n[np.argmin(seconds / n + (2 * n - 2) * (alpha + size / (n * beta)))]


def what_travels(x, w, out):
    pieces = {"all-reduce": bool(x[1] and w[0]), "all-gather": (x[0], w[1]) != (out[0], out[1])}
    return next((name for name, happens in pieces.items() if happens), "nothing")


def shard_block():
    return {"out": ["data", None], "B": ["model", None], "A": [None, "model"], "x": ["data", None]}


def bill(operations, peak, fraction, dollars_per_hour, watts):
    seconds = operations / peak / fraction
    return [seconds / 3600, seconds * dollars_per_hour / 3600, seconds * watts / 3.6e6]


def cheapest(machines, operations, hours, most):
    def alone(name):
        return operations / machines[name][0] / machines[name][1] / 3600

    in_time = sorted((alone(name) * machines[name][2], name) for name in machines if alone(name) <= hours * most)
    return in_time[0][1] if in_time else None
