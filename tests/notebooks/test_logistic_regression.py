"""What the lab logistic-regression builds, against SciPy and scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from labkit.check import NotAnswered, try_answer
from labkit.gradients import numerical_gradient
from tests.notebooks.lifting import lift

lab = lift(
    "logistic-regression", "sigmoid", "naive_losses", "loss", "gradient", "hessian", "squared_loss", "squared_gradient",
    "squared_hessian", "newton", "fit_line",
)  # fmt: skip


def patients(seed: int, m: int = 60, n: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=(m, n)), np.ones(m)])
    y = (rng.random(m) < expit(X @ rng.normal(size=n + 1))).astype(float)
    return X, y, rng.normal(size=n + 1)


@given(arrays(float, 5, elements=st.floats(-1e6, 1e6)))
def test_sigmoid_is_scipys_and_never_overflows(scores: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.allclose(lab.sigmoid(scores), expit(scores), atol=1e-15)


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0]))
def test_the_loss_is_finite_never_negative_and_naive_where_that_works(score: float, label: float) -> None:
    came = lab.loss(np.array([score]), np.ones((1, 1)), label)
    assert np.isfinite(came)
    assert came >= 0
    if abs(score) < 20:
        assert came == pytest.approx(lab.naive_losses(score, label), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_derivatives_agree_with_nudging(seed: int) -> None:
    X, y, weights = patients(seed)
    for loss, slope, curvature in (
        (lambda w: lab.loss(w, X, y), lambda w: lab.gradient(w, X, y), lab.hessian(weights, X)),
        (
            lambda w: lab.squared_loss(w, X, y),
            lambda w: lab.squared_gradient(w, X, y),
            lab.squared_hessian(weights, X, y),
        ),
    ):
        assert np.allclose(slope(weights), numerical_gradient(loss, weights), atol=1e-8)
        by_nudging = [numerical_gradient(lambda w, k=k, slope=slope: slope(w)[k], weights) for k in range(4)]
        assert np.allclose(curvature, by_nudging, atol=1e-8)


@pytest.mark.parametrize("penalty", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_newton_ends_where_scikit_learn_does(seed: int, penalty: float) -> None:
    X, y, _ = patients(seed)
    ours = lab.newton(X, y, steps=20, penalty=penalty)[-1]
    strength = 1 / (len(y) * penalty) if penalty else np.inf
    theirs = LogisticRegression(C=strength, tol=1e-12, max_iter=10_000).fit(X[:, :-1], y)
    assert np.allclose(ours, np.append(theirs.coef_[0], theirs.intercept_), atol=1e-4)


WRONG = [
    ("logistic-on-paper", (-0.693, 2.303), "wrong order"),
    ("logistic-on-paper", (1.0, -0.30103), "base 10"),
    ("logistic-on-paper", (np.log(5), -np.log(2)), "weight plus bias"),
    ("logistic-on-paper", (np.log(10), 0.0), "two of six"),
    ("logistic-on-paper", 2.3, "Two numbers"),
    ("logistic-on-paper", (np.nan, np.nan), "finite numbers"),
    ("logistic-stable-loss", lambda z, y: np.log(1 + np.exp(z)) - y * z, "large positive number"),
    ("logistic-stable-loss", lambda z, y: y * z - np.logaddexp(0, z), "sign is turned"),
    ("logistic-stable-loss", lambda z, y: np.logaddexp(0, z), "label plays no part"),
    ("logistic-stable-loss", lambda z, y: np.mean(np.logaddexp(0, z) - y * z), "mean is taken later"),
    ("logistic-stable-loss", lambda z, y: "log", "a str came"),
    ("logistic-newton-step", lambda w, X, y: w + np.linalg.solve(lab.hessian(w, X), lab.gradient(w, X, y)), "sign turned"),
    ("logistic-newton-step", lambda w, X, y: w - lab.gradient(w, X, y), "step of descent"),
    ("logistic-newton-step", lambda w, X, y: w - np.linalg.solve(X.T @ X, X.T @ (expit(X @ w) - y)), "without its p"),
    ("logistic-newton-step", lambda w, X, y: lab.newton(X, y, 1)[-1], "weights that came in"),
    ("logistic-newton-step", lambda w, X, y: np.linalg.inv("x"), "raised"),
    ("logistic-threshold", lambda miss, alarm: miss / (miss + alarm), "other way round"),
    ("logistic-threshold", lambda miss, alarm: alarm / miss, "1/10 is near"),
    ("logistic-threshold", lambda miss, alarm: 0.5, "expected 0.0909"),
]  # fmt: skip


@pytest.mark.parametrize(("exercise", "answer", "said"), WRONG)
def test_a_wrong_answer_is_told_why(exercise: str, answer: object, said: str) -> None:
    came = try_answer(exercise, answer)
    assert came is not None
    assert said in came


def test_an_answer_that_returns_nothing_counts_as_none() -> None:
    for name in ("logistic-stable-loss", "logistic-newton-step", "logistic-threshold"):
        with pytest.raises(NotAnswered):
            try_answer(name, lambda *given: print(end=""))
