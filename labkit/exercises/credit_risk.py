"""Checks for the lab credit-risk."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "credit-interval",
    hints=[
        "Begin with the mean of the differences. The interval lies around it, equally far to both sides.",
        "The variance of the mean is (1 / J + n_test / n_train) times the variance of the differences, np.var(..., ddof=1).",
        "Half of the interval is stats.t.ppf(0.975, J - 1) times the root of that variance. Return mean − half, mean + half.",
    ],
)
def interval(answer: Any) -> None:
    for differences, n_train, n_test in (([1.0, 2.0, 3.0], 800, 200), ([0.01, -0.02, 0.04, 0.0], 90, 10)):
        d = np.array(differences)
        case = f"the differences {differences}, {n_train} rows to train and {n_test} to test"
        got = answer(d.copy(), n_train, n_test)
        if isinstance(got, (tuple, list)) and len(got) == 2 and np.isfinite(np.asarray(got, dtype=float)).all():
            width = float(got[1]) - float(got[0])
            for other, note in _interval_mistakes(d, n_train, n_test):
                expect(not _same(width, other), f"For {case}, the interval is {width:.4g} wide. {note}")
        expect_near(got, _interval(d, n_test / n_train), case=case)


@exercise(
    "credit-true-rate",
    hints=[
        "Turn p into odds, p / (1 − p), multiply, and turn the product back.",
        "The factor is true_rate / (1 − true_rate) over sample_rate / (1 − sample_rate): below 1 where bad is rarer in truth.",
        "Odds of o are a probability of o / (1 + o). Or scale p by true_rate / sample_rate, 1 − p by "
        "(1 − true_rate) / (1 − sample_rate), and divide the first by their sum: that holds for p = 1, too.",
    ],
)
def true_rate(answer: Any) -> None:
    got = answer(0.3, 0.3, 0.05)
    told = _number(got)
    expect(not _same(told, 0.3), "For p = 0.3 in a sample with 30 % bad, nothing changed where in truth 5 % are bad.")
    case = "p = 0.3, 30 % bad in the sample and 5 % in truth"
    expect_near(got, 0.05, case=case, note="Somebody who is as risky as the average must get the average.")
    for p, sample, true in ((0.5, 0.3, 0.05), (0.9, 0.5, 0.2), (0.2, 0.1, 0.4)):
        want = p * true / sample / (p * true / sample + (1 - p) * (1 - true) / (1 - sample))
        back = p * sample / true / (p * sample / true + (1 - p) * (1 - sample) / (1 - true))
        case = f"p = {p}, {sample:.0%} bad in the sample and {true:.0%} in truth"
        got = answer(p, sample, true)
        told = _number(got)
        expect(not _same(told, back), f"For {case}, {told:.4g} came: corrected in the wrong direction.")
        expect(
            not _same(told, p * true / sample),
            f"For {case}, {told:.4g} came. The good ones have to be scaled as well: correct the odds, not p.",
        )
        expect_near(got, want, case=case)
    expect_near(
        answer(np.array([0.0, 1.0]), 0.3, 0.05), [0.0, 1.0], case="p = 0 and p = 1", note="Certainty stays what it is."
    )


@exercise(
    "credit-forced-share",
    hints=[
        "Think of 100 applicants: 100 g are good, and h of those are granted. How many bad ones may be granted beside them?",
        "Of the granted, v pay back. So for each good one granted there are (1 − v) / v bad ones granted.",
        "Divide the bad ones granted by all bad ones, 1 − g.",
    ],
)
def forced_share(answer: Any) -> None:
    for g, v, h in ((0.6, 8 / 9, 0.5), (0.8, 8 / 9, 0.5), (0.7, 0.9, 0.9), (0.5, 1.0, 0.4)):
        want = g / (1 - g) * (1 - v) / v * h
        case = f"g = {g}, v = {v:.4g}, h = {h}"
        got = answer(g, v, h)
        told = _number(got)
        if not _same(want, 0):
            expect(
                not _same(told, g * h * (1 - v) / v),
                f"For {case}, {told:.4g} came: a share of all applicants. Take it of the bad ones, 1 − g.",
            )
            expect(
                not _same(told, (1 - g) / g * (1 - v) / v * h),
                f"For {case}, {told:.4g} came. Here g is the share of the good ones, not of the bad.",
            )
            upside_down = np.inf if v == 1 else g / (1 - g) * v / (1 - v) * h
            expect(
                not _same(told, upside_down), f"For {case}, {told:.4g} came. Turn v / (1 − v) over: count bad per good."
            )
        expect_near(got, want, case=case)


def _interval(differences: np.ndarray, overlap: float) -> list[float]:
    from scipy import stats

    J = len(differences)
    half = stats.t.ppf(0.975, J - 1) * np.sqrt((1 / J + overlap) * np.var(differences, ddof=1))
    return [float(np.mean(differences) - half), float(np.mean(differences) + half)]


def _interval_mistakes(differences: np.ndarray, n_train: int, n_test: int) -> list[tuple[float, str]]:
    from scipy import stats

    J, overlap = len(differences), n_test / n_train
    right = float(np.ptp(_interval(differences, overlap)))
    point = stats.t.ppf(0.975, J - 1)
    return [
        (
            float(np.ptp(_interval(differences, 0.0))),
            "That is the usual interval: the term for the overlap is missing.",
        ),
        (
            float(np.ptp(_interval(differences, n_train / n_test))),
            "The term is n_test / n_train, not the other way round.",
        ),
        (right * np.sqrt((J - 1) / J), "The variance of a sample divides by J − 1: np.var(..., ddof=1)."),
        (right / 2, "Half of that lies on each side of the mean."),
        (right / point * 1.96, "Take the point of Student's t, not 1.96: there are only a few differences."),
        (right / point * stats.t.ppf(0.95, J - 1), "At 95 % in the middle, 2.5 % lie on each side: the point 0.975."),
    ]


def _number(value: Any) -> float:
    """A number as one; anything else is nan, and expect_near will explain it. An untouched stub is not answered."""
    if value is None or value is ...:
        raise NotAnswered
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _same(one: float, other: float) -> bool:
    return bool(np.isfinite(one) and np.isfinite(other) and abs(one - other) < 1e-9)
