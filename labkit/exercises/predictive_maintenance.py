"""Checks for the lab predictive-maintenance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "censored-loss",
    hints=[
        "The logarithm of R(t) is −(t/λ)^k. Everybody contributes it, also those who failed.",
        "Those who failed contribute log(k/λ) + (k − 1) log(t/λ) as well. Multiply it by `failed`.",
        "np.mean((weeks / scale)**shape - failed * (np.log(shape / scale) + (shape - 1) * ...)). One logarithm is missing.",
    ],
)
def censored_loss(answer: Any) -> None:
    weeks, failed = np.array([6.0, 10, 12, 21, 27]), np.array([True, False, True, True, False])
    got = answer(1.0, 20.0, weeks, failed)
    case = "the five presses, k = 1 and λ = 20"
    want = (76 / 20 + 3 * math.log(20)) / 5
    if np.shape(got) == ():
        expect(
            not math.isclose(float(got), (76 / 20 + 5 * math.log(20)) / 5, rel_tol=1e-6),
            f"For {case}, expected {want:.4f}; {float(got):.4f} came. That is the loss if all five had failed: "
            "a press that still runs contributes R(t) only.",
        )
        expect(
            not math.isclose(float(got), (39 / 20 + 3 * math.log(20)) / 5, rel_tol=1e-6),
            f"For {case}, expected {want:.4f}; {float(got):.4f} came. The presses that still run were left out.",
        )
        expect(
            not math.isclose(float(got), 5 * want, rel_tol=1e-6),
            f"For {case}, expected the mean over the presses, {want:.4f}; their sum came.",
        )
        expect(
            not math.isclose(float(got), -want, rel_tol=1e-6),
            f"For {case}, the sign is turned: the loss is minus the log.",
        )
    expect_near(got, want, case=case, note="For k = 1 the hazard is 1/λ.")
    z = weeks / 25
    steeper = np.mean(z**3 - failed * (math.log(3 / 25) + 2 * np.log(z)))
    expect_near(answer(3.0, 25.0, weeks, failed), steeper, case="the five presses, k = 3 and λ = 25")
    alive = answer(3.0, 25.0, weeks, np.full(5, False))
    expect_near(alive, np.mean(z**3), case="five presses that all still run", note="Nobody failed, and all survived.")


@exercise(
    "repair-threshold",
    hints=[
        "What does waiting cost if the rod breaks, beyond the repair that is due today?",
        "That is failure − planned, with chance p. Waiting gains `weeks` of a life of `mean_life`: that share of a planned repair.",
        "p = weeks · planned / (mean_life · (…)). Then think of failure <= planned, and of values above 1.",
    ],
)
def repair_threshold(answer: Any) -> None:
    got = answer(90.0, 4.0, 1.0, 10.0)
    case = "a mean life of 90 weeks, a visit every 4, costs 1 and 10"
    expect(
        not (np.shape(got) == () and got is not None and math.isclose(float(got), 0.1)),
        f"For {case}, expected 0.0049; 0.1 came. The repair is not saved by waiting, only put off by four weeks.",
    )
    expect(
        not (np.shape(got) == () and got is not None and math.isclose(float(got), 4 / 900)),
        f"For {case}, expected 0.0049; 0.0044 came. If the rod breaks, the planned repair is not paid as well.",
    )
    expect_near(got, 4 / 810, case=case)
    expect_near(
        answer(90.0, 4.0, 2.0, 20.0), 4 / 810, case="costs of 2 and 20", note="Only the ratio of the costs counts."
    )
    expect_near(answer(90.0, 4.0, 1.0, 1.0), 1.0, case="a failure that costs no more than a repair")
    expect_near(answer(90.0, 4.0, 5.0, 1.0), 1.0, case="a failure that costs less than a repair")
    expect_near(answer(10.0, 20.0, 1.0, 2.0), 1.0, case="visits rarer than a life", note="No chance is above 1.")


@exercise(
    "concordance",
    hints=[
        "Go through all ordered pairs i, j with weeks[i] < weeks[j]. When does the pair say who lived longer?",
        "It does if failed[i]. Then it is right if forecast[i] < forecast[j], half right if both are equal.",
        "Count the right ones and the pairs, and divide. With no pair to divide by, return np.nan.",
    ],
)
def concordance(answer: Any) -> None:
    forecast, weeks = np.array([10.0, 30, 20, 40]), np.array([12, 18, 25, 50])
    everybody = np.full(4, True)
    got = answer(forecast, weeks, everybody)
    case = "the four presses of the page"
    if np.shape(got) == () and got is not None:
        expect(
            not math.isclose(float(got), 1 / 6, abs_tol=1e-9),
            f"For {case}, expected 0.8333; 0.1667 came. A longer forecast should go with a longer life.",
        )
    expect_near(got, 5 / 6, case=case)
    censored = np.array([True, False, True, True])
    note = "With press 2 censored, its pairs with presses 3 and 4 do not count: one cannot know who lived longer."
    expect_near(answer(forecast, weeks, censored), 1.0, case="the second of them censored", note=note)
    equal = answer(np.array([10.0, 30, 30, 40]), weeks, everybody)
    expect_near(equal, 5.5 / 6, case="two equal forecasts", note="An equal pair is half right.")
    tied = answer(forecast, np.array([12, 18, 18, 50]), everybody)
    expect_near(tied, 1.0, case="two presses that failed in the same week", note="That pair does not count.")
    none = answer(forecast, weeks, np.full(4, False))
    expect(
        none is not None and np.shape(none) == () and math.isnan(float(none)),
        f"With no failure at all no pair counts: expected np.nan; {none!r} came.",
    )
