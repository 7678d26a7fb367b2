"""Another way to be right, for every answer of ps1-foundations."""

import itertools

import numpy as np


def standardise(X_train, X_new):
    tables = [np.zeros_like(X_train), np.zeros_like(X_new)]
    for column in range(X_train.shape[1]):
        readings = X_train[:, column]
        if len(set(readings.tolist())) > 1:
            for old, new in zip((X_train, X_new), tables, strict=True):
                new[:, column] = (old[:, column] - np.mean(readings)) / np.std(readings)
    return tables


def ridge(weights, bias, X, y, penalty):
    with_ones = np.column_stack([X, np.ones(len(X))])
    everything = np.append(weights, bias)
    taxed = np.append(np.full(len(weights), penalty), 0.0)
    errors = with_ones @ everything - y
    gradient = 2 * (errors @ with_ones) / len(y) + 2 * taxed * everything
    return errors @ errors / len(y) + taxed @ everything**2, gradient[:-1], gradient[-1:]


def frost_loss(scores, y, cost):
    sign, price = np.where(y == 1, -1.0, 1.0), np.where(y == 1, float(cost), 1.0)
    wrong = sign * scores  # large where the model is sure and wrong
    losses = price * (np.maximum(wrong, 0) + np.log1p(np.exp(-np.abs(wrong))))
    return [losses.mean(), price * sign * (1 + np.tanh(wrong / 2)) / 2 / len(y)]


class Number:
    born = itertools.count()

    def __init__(self, value):
        self.value, self.parents, self.pull, self.age = float(value), (), None, next(Number.born)

    @classmethod
    def of(cls, value, parents, pull):
        made = cls(value)
        made.parents, made.pull = parents, pull
        return made

    def __add__(self, other):
        if not isinstance(other, Number):
            return Number.of(self.value + other, (self,), lambda g: (g,))
        return Number.of(self.value + other.value, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        if not isinstance(other, Number):
            return Number.of(self.value * other, (self,), lambda g: (g * other,))
        return Number.of(self.value * other.value, (self, other), lambda g: (g * other.value, g * self.value))

    def __neg__(self):
        return -1 * self

    def __sub__(self, other):
        return self + (-other)

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        return -self + other

    def exp(self):
        return Number.of(np.exp(self.value), (self,), lambda g: (g * np.exp(self.value),))

    def log(self):
        return Number.of(np.log(self.value), (self,), lambda g: (g / self.value,))

    def backward(self):
        waiting, found = [self], {}
        while waiting:
            number = waiting.pop()
            if number.age not in found:
                found[number.age] = number
                waiting.extend(number.parents)
        sums = dict.fromkeys(found, 0.0)
        sums[self.age] = 1.0
        for age in sorted(found, reverse=True):
            number = found[age]
            number.gradient = sums[age]
            for parent, share in zip(number.parents, number.pull(sums[age]) if number.pull else (), strict=True):
                sums[parent.age] += share


def adam_step(weights, gradients, state, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
    if not state:
        state.update(steps=[], mean={}, square={})
        for name, array in weights.items():
            state["mean"][name], state["square"][name] = np.zeros_like(array), np.zeros_like(array)
    state["steps"].append(learning_rate)
    t = len(state["steps"])
    for name in weights:
        mean, square, gradient = state["mean"][name], state["square"][name], gradients[name]
        mean += (1 - beta1) * (gradient - mean)
        square += (1 - beta2) * (gradient * gradient - square)
        root = np.sqrt(square) / np.sqrt(1 - beta2**t)
        weights[name][...] = weights[name] - learning_rate / (1 - beta1**t) * mean / (root + epsilon)


def stop_early(losses, patience):
    losses = np.nan_to_num(np.array(losses, dtype=float), nan=np.inf)
    for last in range(len(losses)):
        best = losses[: last + 1].argmin()
        if best + patience == last:
            return np.array([best, last])
    return np.array([best, last])


def skill(predictions, y):
    predictions = predictions.reshape(len(y))
    forecast = sum((p - low) ** 2 for p, low in zip(predictions[1:], y[1:], strict=True))
    return np.array([1 - forecast / sum((b - a) ** 2 for a, b in itertools.pairwise(y))])
