"""Checks of the lab Traffic, an hour ahead."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "traffic-mase",
    hints=[
        "Two mean absolute errors, one divided by the other. The second needs no forecast, only the history.",
        "history[season:] and history[:-season] are the same numbers, one season apart.",
        "The MAE of the forecast, divided by the mean of |history[season:] − history[:-season]|.",
    ],
)
def traffic_mase(answer: Any) -> None:
    y, forecast = np.array([2.0, 4, 6, 8, 10]), np.array([3.0, 4, 5, 9, 9])
    history = np.array([1.0, 5, 2, 8])
    case = "the five hours of the page and the history 1, 5, 2, 8 with a season of 2"
    got = answer(y.copy(), forecast.copy(), history.copy(), 2)
    if isinstance(got, (int, float, np.floating)):
        own = np.abs(y - forecast).mean() / np.abs(y[2:] - y[:-2]).mean()
        expect(not np.isclose(float(got), own), "The yardstick belongs to the history; yours was measured on y.")
        one = np.abs(y - forecast).mean() / np.abs(np.diff(history)).mean()
        expect(not np.isclose(float(got), one), f"For {case}, hours two apart are compared; yours compares neighbours.")
        expect(
            not np.isclose(float(got), np.mean((y - forecast) / 2.0)),
            f"For {case}, errors of both signs count in full; in yours they cancel.",
        )
    expect_near(got, 0.4, case=case, note="The history's copies miss by 1 and by 3, so by 2 on average.")
    expect_near(answer(y.copy(), y.copy(), history.copy(), 1), 0.0, case="a perfect forecast")
    note = "With a season of 1 the copy is the hour just past: 4, 3 and 6 cars off."
    expect_near(answer(y.copy(), y + 13 / 3, history.copy(), 1), 1.0, case="a season of 1", note=note)


@exercise(
    "traffic-clean-windows",
    hints=[
        "When do two windows share an hour? Draw two of them on one line of hours and move one away.",
        "The windows at t and s have length + ahead hours each. They are apart when |t − s| is at least that.",
        "Compute |t − s| for each pair, as rows_train[:, None] - rows_test, and keep the rows where all are large enough.",
    ],
)
def traffic_clean_windows(answer: Any) -> None:
    train, test = np.arange(100), np.arange(60, 80)
    got = answer(train.copy(), test.copy(), 5, 3)
    case = "training windows at 0 to 99, test windows at 60 to 79, 5 hours of past and 3 ahead"
    want = np.concatenate([np.arange(53), np.arange(87, 100)])
    if np.ndim(got) == 1 and got is not None:
        came = {int(row) for row in got}
        expect(
            not came & set(test.tolist()),
            f"For {case}, a window that is itself a test window was kept, for example {min(came & set(test.tolist()) or {0})}.",
        )
        expect(
            53 not in came,
            f"For {case}, the window at 53 reaches up to hour 56, where the test window at 60 begins: they share an hour.",
        )
        expect(86 not in came, f"For {case}, windows after the test can share hours too: 86 begins at hour 82.")
        expect({52, 87} <= came, f"For {case}, the windows at 52 and 87 touch no hour of the test and should be kept.")
    expect_near(got, want, case=case)
    scattered = np.array([10, 50])
    note = "Each test window has its own neighbourhood; what lies between may stay."
    want = np.array([t for t in range(60) if abs(t - 10) >= 6 and abs(t - 50) >= 6])
    expect_near(answer(np.arange(60), scattered, 4, 2), want, case="test windows at 10 and 50 only", note=note)
    expect_near(answer(np.arange(20), np.array([10]), 24, 12), np.zeros(0), case="a series that is too short for a gap")


@exercise(
    "traffic-half-width",
    hints=[
        "Only the size of an error counts. Sort the sizes; which place holds the one that is wanted?",
        "The place is coverage · (n + 1), rounded up. Places are counted from 1, and Python counts from 0.",
        "np.sort(np.abs(errors))[place − 1], and np.inf if place is larger than n.",
    ],
)
def traffic_half_width(answer: Any) -> None:
    errors = np.array([-5.0, 1, 2, -3, 4, 6, -7, 8, -19, 10, 11, -12])
    case = "twelve errors, 1 to 8, 10, 11, 12 and 19 in size, and a coverage of 0.9"
    got = answer(errors.copy(), 0.9)
    if isinstance(got, (int, float, np.floating)):
        expect(not np.isclose(float(got), 12.0), f"For {case}, the place is one of 13: the new hour counts too.")
        expect(not np.isclose(float(got), 11.0), f"For {case}, sort sizes and not signed errors.")
    expect_near(got, 19.0, case=case, note="0.9 · 13 is 11.7, so it is the twelfth by size.")
    expect_near(answer(np.arange(1.0, 20), 0.9), 18.0, case="the sizes 1 to 19", note="0.9 · 20 is 18, no rounding.")
    few = answer(np.array([1.0, 2, 3]), 0.9)
    expect(
        isinstance(few, (int, float, np.floating)) and np.isinf(few) and few > 0,
        f"Three errors cannot vouch for 90 percent: expected np.inf; {few!r} came.",
    )
    expect_near(answer(np.array([-1.0, 2, 3]), 0.5), 2.0, case="three errors and a coverage of one half")
