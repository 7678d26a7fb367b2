"""Checks for the lab medical-imaging."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "xray-auc-pairs",
    hints=[
        "Split the scores by y. Each ill child meets each healthy one: how many pairs are there?",
        "scores[y == 1][:, None] - scores[y == 0] is a table of all pairs. What does its sign say, and what a zero?",
        "Mean over the table of: 1 where the difference is above 0, a half where it is 0, else 0.",
    ],
)
def auc_of_pairs(answer: Any) -> None:
    y, six = np.array([1, 1, 1, 0, 0, 0]), np.array([9.0, 7, 4, 6, 3, 1])
    got = answer(y, six)
    case = "the six scores of the page"
    expect(
        np.ndim(got) != 0 or got is None or not np.isclose(float(got), 1 / 9),
        "Your pairs are turned round: 1/9 came, which is the share in the wrong order. The ill one should score higher.",
    )
    expect_near(got, 8 / 9, case=case, note="Eight of nine pairs are in the right order.")
    expect_near(
        answer(y, np.full(6, 2.0)), 0.5, case="six equal scores", note="A pair of equal scores counts as a half."
    )
    expect_near(answer(np.array([0, 1, 0]), np.array([1.0, 1.0, 0.0])), 0.75, case="one tie and one right pair")
    expect_near(answer(np.array([0, 1]), np.array([1.0, 0.0])), 0.0, case="one pair in the wrong order")


@exercise(
    "xray-films-needed",
    hints=[
        "The half width is 1.96 · √(p (1 − p) / n). Set it equal to `half_width` and solve for n.",
        "Square both sides: half_width² = 1.96² · p (1 − p) / n.",
        "n = 1.96² · p (1 − p) / half_width², rounded up: films are whole.",
    ],
)
def films_needed(answer: Any) -> None:
    got = answer(0.9, 0.05)
    if np.ndim(got) == 0 and got is not None and got is not ...:
        expect(
            not np.isclose(float(got), 1.96**2 * 0.09 / 0.05**2),
            f"For p = 0.9 to within 0.05, a whole number of films was expected; {float(got):.3f} came. Round up.",
        )
        expect(float(got) != 138, "138 films are a little too few for p = 0.9 to within 0.05: round up, not down.")
    expect_near(got, 139, case="p = 0.9 to within 0.05")
    expect_near(answer(0.5, 0.1), 97, case="p = 0.5 to within 0.1")
    expect_near(
        answer(0.9, 0.01), 3458, case="p = 0.9 to within 0.01", note="A fifth of the width, 25 times the films."
    )


@exercise(
    "xray-npv",
    hints=[
        "Do it with 1,000 children first. Which of them have no alarm: how many healthy ones, how many ill ones?",
        "Healthy without an alarm: specificity · (1 − prevalence). Ill without one: (1 − sensitivity) · prevalence.",
        "The first divided by the sum of both, and np.nan where that sum is 0.",
    ],
)
def npv(answer: Any) -> None:
    got = answer(0.9, 0.8, 0.1)
    case = "sensitivity 0.9, specificity 0.8, prevalence 0.1"
    if np.ndim(got) == 0 and got is not None and got is not ...:
        expect(
            not np.isclose(float(got), 0.09 / 0.27),
            f"For {case}, that is the PPV: how many of the alarms are ill. Here the children have no alarm.",
        )
        expect(not np.isclose(float(got), 0.01 / 0.73), f"For {case}, the ill share came; the healthy one was asked.")
    expect_near(got, 0.72 / 0.73, case=case, note="Of 1,000, 720 healthy and 10 ill children have no alarm.")
    expect_near(answer(0.9, 0.9, 0.6), 0.36 / 0.42, case="sensitivity and specificity 0.9, prevalence 0.6")
    nobody = answer(1.0, 0.0, 0.3)
    expect(
        isinstance(nobody, (int, float)) and math.isnan(nobody),
        f"With sensitivity 1 and specificity 0 everybody has an alarm: np.nan was expected; {nobody!r} came.",
    )


@exercise(
    "xray-unweigh",
    hints=[
        "Weights multiply odds. What are the odds that belong to the probability?",
        "Training multiplied them by weight_ill / weight_healthy. Undo that.",
        "odds = p / (1 − p) · weight_healthy / weight_ill, and back: odds / (1 + odds).",
    ],
)
def unweigh(answer: Any) -> None:
    got = answer(0.5, 5.0, 5 / 9)
    if np.ndim(got) == 0 and got is not None and got is not ...:
        expect(
            not np.isclose(float(got), 0.1),
            "For 0.5 with the page's weights, 0.1 came: that weighs a second time. Divide where training multiplied.",
        )
        expect(
            not np.isclose(float(got), 9), "These are the odds, 9 to 1. The answer is a probability: odds / (1 + odds)."
        )
    expect_near(got, 0.9, case="0.5 with the page's weights, 5 and 5/9", note="Nine of the ten children are ill.")
    expect_near(answer(0.3, 1.0, 1.0), 0.3, case="0.3 with equal weights", note="Equal weights change nothing.")
    expect_near(answer(0.8, 1.0, 4.0), 0.5, case="0.8 with weights 1 and 4", note="Odds of 4 to 1, divided by 4.")
