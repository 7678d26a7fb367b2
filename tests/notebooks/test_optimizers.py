"""The rules that the lab optimizers builds, against torch.optim on gradients and settings the lab does not use."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")

LAB = lift(
    "optimizers",
    *("descent", "momentum_rule", "nesterov", "rmsprop", "adam", "adam_l2", "adamw"),
    *("walk", "walkers", "angles", "steps_needed", "momentum_settings", "rotation", "half_cosine", "stairs", "factors"),
)

PAIRS = {
    "descent": (LAB.descent, torch.optim.SGD, {}, {}),
    "momentum": (LAB.momentum_rule, torch.optim.SGD, {"momentum": 0.7}, {"momentum": 0.7}),
    "nesterov": (LAB.nesterov, torch.optim.SGD, {"momentum": 0.7}, {"momentum": 0.7, "nesterov": True}),
    "rmsprop": (LAB.rmsprop, torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3}, {"alpha": 0.9, "eps": 1e-3}),
    "adam": (
        LAB.adam,
        torch.optim.Adam,
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
        {"betas": (0.5, 0.9), "eps": 1e-3},
    ),
    "adam_l2": (LAB.adam_l2, torch.optim.Adam, {"decay": 0.3}, {"weight_decay": 0.3}),
    "adamw": (LAB.adamw, torch.optim.AdamW, {"decay": 0.3}, {"weight_decay": 0.3}),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_each_rule_is_torchs_on_any_gradients(name: str, scale: float) -> None:
    rule, library, ours, theirs = PAIRS[name]
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(5)
    parameter = torch.tensor(weights, requires_grad=True)
    optimizer = library([parameter], lr=0.05, **theirs)
    memory: dict[str, object] = {}
    for _ in range(100):
        gradient = scale * rng.standard_normal(5)
        weights = rule(weights, gradient, memory, learning_rate=0.05, **ours)
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(weights, parameter.detach().numpy(), rtol=1e-9, atol=1e-9)


def test_a_rule_leaves_weights_and_gradient_as_they_were() -> None:
    for rule, *_ in PAIRS.values():
        weights, gradient = np.ones(3), np.full(3, 2.0)
        rule(weights, gradient, {}, learning_rate=0.1)
        assert np.all(weights == 1.0) and np.all(gradient == 2.0)


def test_the_walkers_come_home_when_a_single_walk_says_so() -> None:
    hessian, start = np.diag([1.0, 30.0]), np.array([0.6, 0.8])
    path = LAB.walk(LAB.descent, lambda w: hessian @ w, start, 300, learning_rate=0.06)
    alone = int(np.argmax(np.hypot(*path.T) < 0.01))
    slow_and_fast = np.array([0.01, 0.06, 1.0])  # the last one diverges
    assert LAB.steps_needed(LAB.descent, hessian, start[:, None], slow_and_fast) == alone


def test_walkers_who_never_come_home_are_not_waited_for_beyond_the_limit() -> None:
    with np.errstate(all="ignore"):
        assert LAB.steps_needed(LAB.descent, np.eye(2), LAB.walkers, np.array([3.0]), limit=50) == np.inf


@pytest.mark.parametrize("kappa", [4.0, 100.0, 2500.0])
def test_polyaks_settings_are_the_best_of_their_neighbours(kappa: float) -> None:
    """The slowest mode of the iteration, from the roots of its quadratic, is at its least there."""

    def slowest(rate: float, beta: float) -> float:
        return max(np.abs(np.roots([1, -(1 + beta - rate * curvature), beta])).max() for curvature in (1.0, kappa))

    settings = LAB.momentum_settings(kappa)
    rate, beta = settings["rates"][0], settings["momentum"]
    best = slowest(rate, beta)
    assert best == pytest.approx(np.sqrt(beta), rel=1e-4)
    for nearby_rate in (0.9, 1.0, 1.1):
        for nearby_beta in (0.9, 1.0, 1.05):
            assert slowest(rate * nearby_rate, min(beta * nearby_beta, 1.0)) >= best - 1e-6


@pytest.mark.parametrize("degrees", [10, 45, 200])
def test_sums_of_gradients_turn_with_the_map(degrees: float) -> None:
    R, hessian = LAB.rotation(degrees), np.diag([1.0, 7.0])
    for rule in (LAB.descent, LAB.momentum_rule, LAB.nesterov):
        go = partial(LAB.walk, rule, steps=40, learning_rate=0.05)
        straight = go(lambda w: hessian @ w, weights=LAB.walkers)
        turned = go(lambda w: R @ hessian @ R.T @ w, weights=R @ LAB.walkers)
        np.testing.assert_allclose(R @ straight, turned, atol=1e-12)
