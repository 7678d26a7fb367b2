"""Checks for the lab linear-regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "best-line",
    hints=[
        "At the best line both slopes of the loss are zero. That gives two equations for two unknowns.",
        "The equations are  w·Σx² + b·Σx = Σxy  and  w·Σx + 3·b = Σy.  Work out the four sums first.",
        "The sums are Σx² = 5, Σx = 3, Σxy = 9 and Σy = 6. Subtract the second equation from the first.",
    ],
)
def best_line(answer: Any) -> None:
    expect(np.shape(answer) == (2,), f"Two numbers were expected, (weight, bias); {answer!r} came.")
    weight, bias = answer
    residuals = weight * np.array([0.0, 1.0, 2.0]) + bias - np.array([0.0, 3.0, 3.0])
    expect(
        abs(residuals.sum()) < 1e-6,
        f"The residuals of the best line add up to zero, and those of {answer!r} add up to {residuals.sum():.3g}.",
    )
    came = float(residuals @ np.array([0.0, 1.0, 2.0]))
    expect(
        abs(came) < 1e-6,
        f"Residual times x, summed over the points, should be zero for the best line; for {answer!r} it is {came:.3g}.",
    )


@exercise(
    "largest-learning-rate",
    hints=[
        "Each direction tolerates learning rates up to 2 divided by its curvature. Which direction complains first?",
        "Build the Hessian, 2/m times X transposed times X, and take its largest eigenvalue: np.linalg.eigvalsh helps.",
        "Return 2 divided by that eigenvalue. m is the number of rows, len(X).",
    ],
)
def largest_learning_rate(answer: Any) -> None:
    ones = np.ones(3)
    expect_near(
        answer(np.column_stack([[-1.0, 0.0, 1.0], ones])), 1.0, case="x = −1, 0, 1", note="By hand, H is 4/3 and 2."
    )
    X = np.column_stack([[1.0, 2.0, 3.0], ones])
    want = 2 / np.linalg.eigvalsh(2 / 3 * X.T @ X)[-1]
    expect_near(answer(X), want, case="x = 1, 2, 3", note="Did the largest eigenvalue decide, and not another?")
    expect_near(
        answer(np.tile(X, (5, 1))),
        want,
        case="each of the points five times",
        note="Is the average over all rows there?",
    )
    expect_near(
        answer(10 * X),
        want / 100,
        case="everything ten times as large",
        atol=1e-9,
        note="Curvature goes with the square of X.",
    )


@exercise(
    "standardise",
    hints=[
        "Work column by column: which axis of a (rows, columns) array has to be averaged away?",
        "mean(axis=0) and std(axis=0) give one number a column; NumPy then subtracts and divides row by row.",
        "Take mean and spread of features_train, and use those same two for both tables.",
    ],
)
def standardise(answer: Any) -> None:
    train = np.array([[40.0, -3.0], [60.0, -5.0], [50.0, -1.0]])
    test = np.array([[70.0, 1.0], [55.0, -3.0]])
    kept = train.copy(), test.copy()
    got = answer(train, test)
    if got is None or got is ...:
        got = (None, None)
    expect(isinstance(got, tuple) and len(got) == 2, f"A pair (train, test) was expected; a {type(got).__name__} came.")
    mean, spread = kept[0].mean(axis=0), kept[0].std(axis=0)
    expect_near(
        got[0], (kept[0] - mean) / spread, case="the training table", note="Is every column at mean 0, spread 1?"
    )
    expect_near(
        got[1],
        (kept[1] - mean) / spread,
        case="the test table",
        note="Whose mean and spread did it get? New patients come one at a time.",
    )
    unchanged = np.array_equal(train, kept[0]) and np.array_equal(test, kept[1])
    expect(unchanged, "The tables passed in should stay as they were; yours were changed in place.")


@exercise(
    "breakeven-steps",
    hints=[
        "Two costs are written out just above. How often does the small one fit into the large one?",
        "The closed form is m·n² + n³/3 multiply-adds in all, a step is 2·m·n.",
        "Divide the sum by 2·m·n, and mind the brackets.",
    ],
)
def breakeven_steps(answer: Any) -> None:
    expect_near(
        answer(100, 1), (100 + 1 / 3) / 200, case="m = 100, n = 1", note="The closed form takes 100 + 1/3, a step 200."
    )
    expect_near(
        answer(1000, 30), (1000 * 900 + 9000) / 60_000, case="m = 1000, n = 30", note="Forming and solving both count."
    )
