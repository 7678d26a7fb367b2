"""Checks for the lab logistic-regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "logistic-on-paper",
    hints=[
        "At size 0 the score is the bias alone. Which score belongs to odds of two to four?",
        "The bias is the logarithm of the odds at size 0. The logarithm of the odds at size 1 is weight plus bias.",
        "The bias is log(2/4). The weight is log(5/1) less that bias, natural logarithms both.",
    ],
)
def on_paper(answer: Any) -> None:
    expect(np.shape(answer) == (2,), f"Two numbers were expected, (weight, bias); {answer!r} came.")
    weight, bias = (float(number) for number in answer)
    expect(np.isfinite([weight, bias]).all(), f"Two finite numbers were expected; {weight} and {bias} came.")
    want = np.log(10), -np.log(2)
    close = 0.006  # two digits after the point, from a pocket calculator, will do
    expect(
        max(abs(weight - want[1]), abs(bias - want[0])) > close,
        "These are the right two numbers in the wrong order: the weight comes first, then the bias.",
    )
    expect(
        max(abs(weight - np.log10(10)), abs(bias + np.log10(2))) > close,
        "These are logarithms to base 10. The sigmoid has e in it, so take natural ones, np.log.",
    )
    at_zero, at_one = (1 / (1 + np.exp(-score)) for score in (bias, weight + bias))
    expect(
        abs(bias - want[1]) < close,
        f"With bias {bias:.4g} a tumour of size 0 gets a chance of {at_zero:.4f}; two of six were malignant, 0.3333.",
    )
    expect(
        abs(weight - want[0]) < close,
        f"With these weights a tumour of size 1 gets a chance of {at_one:.4f}; five of six were malignant, 0.8333. "
        "Its score is weight plus bias.",
    )


@exercise(
    "logistic-stable-loss",
    hints=[
        "For a large score, log(1 + exp(z)) is almost z itself. Can you split off that z?",
        "For z > 0: log(1 + exp(z)) = z + log(1 + exp(−z)), and that exponential is small. For z < 0 the first form is safe.",
        "Both in one: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))). Then subtract y·z. Nothing is averaged.",
    ],
)
def stable_loss(answer: Any) -> None:
    scores, y = np.array([0.0, 1.5, -2.0, 0.3]), np.array([1.0, 0.0, 1.0, 1.0])
    want = np.logaddexp(0, scores) - y * scores
    got = _numbers(answer(scores, y))
    if got.shape == ():
        expect(False, "One loss a patient was expected, shape (4,); a single number came. The mean is taken later.")
    if got.shape == want.shape:
        expect(
            not np.allclose(got, -want), "The sign is turned: a loss is positive, and small when the model is right."
        )
        expect(not np.allclose(got, np.logaddexp(0, scores)), "The label plays no part yet: y·z has to be subtracted.")
    expect_near(got, want, case="scores 0, 1.5, −2, 0.3 with labels 1, 0, 1, 1", note="log(1 + exp(z)) − y·z.")
    with np.errstate(all="ignore"):
        far = _numbers(answer(np.array([1000.0, 1000.0, -1000.0, -1000.0]), np.array([0.0, 1.0, 0.0, 1.0])))
    note = "Does any exponential get a large positive number?"
    expect_near(far, [1000.0, 0.0, 0.0, 1000.0], case="scores ±1000 with labels 0, 1, 0, 1", note=note)


@exercise(
    "logistic-newton-step",
    hints=[
        "Four lines: the chances, the gradient, the Hessian, and the weights less what solve gives.",
        "The Hessian is the table, transposed, times each row's p·(1 − p), times the table, divided by the rows.",
        "X.T * (p * (1 - p)) @ X / len(y) is the Hessian. Return weights - np.linalg.solve(H, g).",
    ],
)
def newton_step(answer: Any) -> None:
    X, y = np.array([[0.0, 1.0]] * 4 + [[1.0, 1.0]] * 4), np.array([1.0, 0, 0, 0, 1, 1, 1, 0])
    start = np.zeros(2)
    got = _numbers(answer(start, X, y))
    expect(np.array_equal(start, np.zeros(2)), "The weights passed in should stay as they were; yours were changed.")
    if got.shape == (2,):
        expect(not np.allclose(got, [-2, 1]), "That is the step with its sign turned: subtract it from the weights.")
        expect(not np.allclose(got, [0.5, -0.25]), "That is the step for H without its p·(1 − p); here each is 1/4.")
        expect(
            not np.allclose(got, [16, -8]) and not np.allclose(got, [0.25, -0.125]),
            "Gradient and Hessian must both be means over the patients, or both sums. One of yours is divided by 8.",
        )
        expect(not np.allclose(got, [0.125, 0.0]), "That is a step of descent. Where does the Hessian come in?")
    expect_near(got, [2.0, -1.0], case="the eight patients, from weights 0", note="The page does this one by hand.")
    rng = np.random.default_rng(3)
    X, y = np.column_stack([rng.normal(size=(12, 2)), np.ones(12)]), (rng.random(12) < 0.5).astype(float)
    weights = np.array([0.4, -0.8, 0.2])
    p = 1 / (1 + np.exp(-X @ weights))
    want = weights - np.linalg.solve(X.T * (p * (1 - p)) @ X / 12, X.T @ (p - y) / 12)
    note = "Are the chances those of the weights that came in?"
    expect_near(answer(weights.copy(), X, y), want, case="12 random patients, from weights that are not 0", note=note)


@exercise(
    "logistic-threshold",
    hints=[
        "At the threshold both choices cost the same. Write that as an equation for p.",
        "(1 − p) · alarm = p · miss. Bring p to one side.",
        "alarm = p · (miss + alarm). One division is left.",
    ],
)
def threshold(answer: Any) -> None:
    got = _numbers(answer(10, 1))
    if got.shape == ():
        expect(
            abs(got - 10 / 11) > 1e-6,
            "That calls back only those with a chance of 10/11: the other way round. A dear miss asks for a low threshold.",
        )
        expect(abs(got - 0.1) > 1e-6, "1/10 is near. At p = 0.1, calling back costs 0.9 alarms, sending home 1.0.")
    expect_near(got, 1 / 11, case="a miss ten times as dear as an alarm", note="At the threshold both cost the same.")
    expect_near(answer(1, 1), 0.5, case="both mistakes equally dear", note="Then it is the more likely of the two.")
    expect_near(answer(2, 6), 0.75, case="a miss of 2, an alarm of 6", note="An alarm may be the dearer one.")


def _numbers(value: Any) -> np.ndarray:
    """What came, as numbers where it is some; ``expect_near`` complains about the rest."""
    if value is None or value is ...:
        raise NotImplementedError
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        expect(False, f"Numbers were expected; a {type(value).__name__} came.")
        raise
