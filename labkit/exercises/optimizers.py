"""Checks for the lab optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


def _is_number(got: Any) -> bool:
    return isinstance(got, (int, float, np.number)) and not isinstance(got, bool)


@exercise(
    "best-momentum",
    hints=[
        "Two ends of a band have to meet two curvatures. Which curvature belongs to (1 − √β)², and which to (1 + √β)²?",
        "Divide one equation by the other and take the root: √κ = (1 + √β) / (1 − √β). Solve that for √β.",
        "√β = (√κ − 1) / (√κ + 1). Then η = (1 + √β)² / largest. Return η and β, which is √β squared.",
    ],
)
def best_momentum(answer: Any) -> None:
    def ask(smallest: float, largest: float) -> tuple[Any, Any]:
        got = answer(smallest, largest)
        if got is None or got is ...:
            raise NotAnswered
        expect(
            isinstance(got, (tuple, list, np.ndarray)) and len(got) == 2,
            f"Two numbers were expected, (learning_rate, momentum); {got!r} came.",
        )
        return got[0], got[1]

    case = "curvatures 1 and 25"
    rate, momentum = ask(1.0, 25.0)
    if _is_number(rate) and _is_number(momentum):
        expect(
            not (np.isclose(rate, 4 / 9) and np.isclose(momentum, 1 / 9)),
            "The learning rate comes first and the momentum second; yours are the other way round.",
        )
        expect(not np.isclose(momentum, 2 / 3), "That is √β for curvatures 1 and 25. The momentum is β itself.")
    expect_near(momentum, 4 / 9, case=f"the momentum at {case}", note="By hand, √β is 2/3.")
    expect_near(rate, 1 / 9, case=f"the learning rate at {case}", note="By hand, η is (1 − 2/3)².")
    rate, momentum = ask(4.0, 100.0)
    expect_near(momentum, 4 / 9, case="the momentum at curvatures 4 and 100", note="Only their ratio matters to β.")
    expect_near(
        rate,
        1 / 36,
        case="the learning rate at curvatures 4 and 100",
        note="Everything is four times as steep as with 1 and 25.",
    )
    rate, momentum = ask(3.0, 3.0)
    expect_near((rate, momentum), (1 / 3, 0.0), case="a round bowl", note="One step of plain descent is enough there.")


@exercise(
    "uncorrected-length",
    hints=[
        "Set the gradient to 1. What is the running mean after t steps, and what the running mean of squares?",
        "The mean stands at 1 − beta1^t and the mean of squares at 1 − beta2^t. Adam divides one by the root of the other.",
        "The numerator is 1 − beta1**step. The denominator is np.sqrt of the same expression with beta2.",
    ],
)
def uncorrected_length(answer: Any) -> None:
    first = answer(1)
    if _is_number(first):
        expect(
            not np.isclose(first, 100.0),
            "For step 1, 100 came: the mean of squares needs its root before you divide by it.",
        )
        expect(
            not np.isclose(first, np.sqrt(0.001) / 0.1),
            "For step 1, the inverse came. The mean is the numerator, the root of the squares the denominator.",
        )
        expect(
            not np.isclose(first, 0.19 / np.sqrt(1 - 0.999**2)),
            "For step 1, the length of step 2 came. Steps count from 1, so the exponent is the step itself.",
        )
        expect(not np.isclose(first, 1.0), "For step 1, 1 came: that is the length with the correction.")
    expect_near(first, 0.1 / np.sqrt(0.001), case="step 1", note="By hand: 0.1 / √0.001. Steps count from 1.")
    expect_near(answer(2), 0.19 / np.sqrt(1 - 0.999**2), case="step 2", note="The mean is then 0.1 + 0.9 · 0.1.")
    expect_near(answer(1, 0.5, 0.75), 1.0, case="step 1, beta1 0.5, beta2 0.75", note="By hand: 0.5 / √0.25.")
    expect_near(answer(100_000), 1.0, case="step 100,000", note="In the long run nothing needs correcting.")


@exercise(
    "turned-ravine",
    hints=[
        "Build three matrices: the rotation R, the ravine along the axes, and the transpose of R.",
        "np.diag([smallest, largest]) is the ravine, R.T the transpose, @ multiplies matrices. NumPy's cos takes radians.",
        "R has the rows (cos, −sin) and (sin, cos) of np.radians(degrees). Return the three multiplied in order.",
    ],
)
def turned_ravine(answer: Any) -> None:
    case = "curvatures 1 and 25, turned by 45 degrees"
    flat = answer(1.0, 25.0, 0)
    expect_near(flat, [[1.0, 0.0], [0.0, 25.0]], case="no turn at all", note="The flat direction is x, the first one.")
    quarter = answer(1.0, 25.0, 90)
    if np.shape(quarter) == (2, 2):
        expect(
            np.allclose(quarter, np.transpose(quarter)),
            "A Hessian equals its own transpose, and yours does not after a quarter turn. It takes R on the left and the "
            "transpose of R on the right.",
        )
        expect(
            not np.allclose(quarter, 0.0),
            "After a quarter turn only zeros came: * multiplies entry by entry. Matrices are multiplied by @.",
        )
    expect_near(quarter, [[25.0, 0.0], [0.0, 1.0]], case="a quarter turn", note="Are the degrees made into radians?")
    got = answer(1.0, 25.0, 45)
    if np.shape(got) == (2, 2):
        expect(
            not np.allclose(got, [[13.0, 12.0], [12.0, 13.0]]),
            f"For {case}, the map was turned clockwise: the transpose of R came first, or −sin stands in the second row.",
        )
    expect_near(got, [[13.0, -12.0], [-12.0, 13.0]], case=case, note="It is the matrix worked out above.")
    expect_near(
        answer(2.0, 2.0, 33), [[2.0, 0.0], [0.0, 2.0]], case="a round bowl", note="However you turn it, it is round."
    )


@exercise(
    "warmup-cosine",
    hints=[
        "There are three stretches: before warmup, between warmup and total_steps, and after. Treat them in turn.",
        "Before: step / warmup. Between: the half cosine, where its step 0 is our warmup, and it has less time left.",
        "progress = (step − warmup) / (total_steps − warmup), at most 1; then 0.5 · (1 + cos(π · progress)).",
    ],
)
def warmup_cosine(answer: Any) -> None:
    expect_near(answer(0, 110, 10), 0.0, case="step 0 of 110, warm-up 10", note="The warm-up starts at 0.")
    expect_near(answer(5, 110, 10), 0.5, case="step 5 of 110, warm-up 10", note="Half of the warm-up is done.")
    expect_near(answer(10, 110, 10), 1.0, case="step 10 of 110, warm-up 10", note="The top is reached here.")
    middle = answer(60, 110, 10)
    if _is_number(middle):
        late = 0.5 * (1 + np.cos(np.pi * 60 / 110)), 0.5 * (1 + np.cos(np.pi * 50 / 110))
        expect(
            not any(np.isclose(middle, wrong) for wrong in late),
            f"For step 60 of 110, warm-up 10, {float(middle):.4g} came. The cosine starts at the end of the warm-up, and "
            "has total_steps − warmup steps to fall.",
        )
    expect_near(middle, 0.5, case="step 60 of 110, warm-up 10", note="50 of the 100 steps of the cosine are done.")
    expect_near(answer(110, 110, 10), 0.0, case="the last step", note="The cosine ends at 0.")
    expect_near(
        answer(150, 110, 10),
        0.0,
        case="a step after the end",
        note="A cosine left alone rises again: hold progress at 1 at most.",
    )
    expect_near(
        answer(0, 100, 0),
        1.0,
        case="no warm-up at all",
        note="Then the cosine starts at once, and there is no warm-up to divide by.",
    )
