"""Checks for the lab tuning."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


def _expect_number(got: Any, case: str, note: str = "") -> None:
    """Say in words what is no number, and what a NaN is; a comparison would only show it."""
    if got is None or got is ...:
        raise NotAnswered
    expect(
        isinstance(got, (int, float, np.number)) and not isinstance(got, bool),
        f"For {case}, one number was expected; a {type(got).__name__} came.",
    )
    expect(not np.isnan(got), f"For {case}, a number was expected; nan came. {note}".rstrip())


@exercise(
    "trials-needed",
    hints=[
        "After n trials the search has failed if each of them missed. What is the probability of that?",
        "It is (1 − share)ⁿ. You want the smallest n for which 1 minus that is at least the certainty.",
        "Count up in a while loop, or take math.log(1 - certainty) / math.log(1 - share) and round it up.",
    ],
)
def trials_needed(answer: Any) -> None:
    case = "the best 5 % with certainty 0.95"
    got = answer(0.05, 0.95)
    _expect_number(got, case)
    expect(
        got != 58, "58 came: that is rounded down, and 58 trials fall just short. The smallest number that is enough."
    )
    expect(
        not np.isclose(got, np.log(0.05) / np.log(0.95)),
        "Trials are counted in whole numbers. The formula's number must be rounded up.",
    )
    expect(got != 1, "1 came. For n trials the misses multiply: (1 − share) to the power n.")
    expect(got not in (19, 20), "Misses do not add up, they multiply: two trials miss with 0.95 · 0.95.")
    expect_near(got, 59, case=case, note="By hand, log 0.05 / log 0.95 is 58.4.")
    expect_near(answer(0.5, 0.75), 2, case="the best half with certainty 0.75", note="Two trials reach exactly 0.75.")
    expect_near(answer(0.5, 0.8), 3, case="the best half with certainty 0.8", note="2 trials give 0.75, 3 give 0.875.")
    expect_near(answer(0.2, 0.1), 1, case="the best fifth with certainty 0.1", note="One trial gives 0.2 already.")


@exercise(
    "log-uniform",
    hints=[
        "What would be uniform is not the number itself but its logarithm.",
        "Draw n numbers with rng.uniform between the logarithms of both ends. Then undo the logarithm.",
        "np.exp undoes np.log, and 10 ** undoes np.log10. Do not mix the two.",
    ],
)
def log_uniform(answer: Any) -> None:
    draws = answer(np.random.default_rng(0), 1e-4, 1.0, 4000)
    if draws is None or draws is ...:
        raise NotAnswered
    expect(np.shape(draws) == (4000,), f"4,000 numbers were expected, shape (4000,); shape {np.shape(draws)} came.")
    x = np.asarray(draws, dtype=float)
    expect(np.isfinite(x).all(), "NaN or infinity came. Is the logarithm taken of both ends, and of nothing else?")
    expect(
        (x > 0).all(),
        "All numbers should lie between low and high, and some are below 0. Was the logarithm undone at the end?",
    )
    expect(
        x.min() >= 0.99e-4 and x.max() <= 1.01,
        f"All numbers should lie between 0.0001 and 1; yours run from {x.min():.3g} to {x.max():.3g}. "
        "np.exp undoes np.log, and 10 ** undoes np.log10.",
    )
    expect(
        x.min() < 0.01,
        f"The smallest of 4,000 draws is {x.min():.3g}, far above 0.0001. np.exp undoes np.log, and 10 ** undoes np.log10.",
    )
    share = float(np.mean(x < 0.01))
    expect(share > 0.1, f"Half of the draws should be below 0.01; only {share:.1%} of yours are. Yours are uniform.")
    expect(
        abs(share - 0.5) < 0.05, f"Half of the draws should be below 0.01, the middle of the scale; {share:.1%} are."
    )
    expect(len(np.unique(x)) > 3900, "The draws should differ from one another; many of yours are the same.")
    again = np.asarray(answer(np.random.default_rng(0), 1e-4, 1.0, 4000))
    expect(np.array_equal(x, again), "The same rng should give the same draws. Draw from the rng that you were given.")
    expect(
        not np.array_equal(x, np.asarray(answer(np.random.default_rng(1), 1e-4, 1.0, 4000))),
        "Another rng gave the same numbers. They should be drawn at random, from the rng that you were given.",
    )
    other = np.asarray(answer(np.random.default_rng(1), 2.0, 32.0, 4000))
    expect(
        other.min() >= 1.99 and other.max() <= 32.1 and abs(np.mean(other < 8) - 0.5) < 0.05,
        "Between 2 and 32, half of the draws should be below 8: 2 · 4 = 8, and 8 · 4 = 32. "
        f"Yours run from {other.min():.3g} to {other.max():.3g}.",
    )


@exercise(
    "honest-score",
    hints=[
        "Two steps. The validation digits choose, and the fresh digits judge. Neither does both.",
        "right[:, validation].mean(axis=1) has one score for each network. Which network has the highest?",
        "winner = that.argmax(). Then take the row of the winner, its fresh digits only, and their mean.",
    ],
)
def honest_score(answer: Any) -> None:
    right = np.array([[1, 1, 1, 0, 0, 0, 1], [1, 1, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]], dtype=bool)
    case = "three networks, digits 0 to 2 to choose by, digits 3 to 6 fresh"
    validation, fresh = [0, 1, 2], [3, 4, 5, 6]
    got = answer(right.copy(), validation, fresh)
    _expect_number(got, case)
    expect(
        not np.isclose(got, 1.0),
        "1 came. That is the winner's score on the digits it was chosen by, or the best fresh score of any network. "
        "Choose by validation, judge by fresh.",
    )
    expect(not np.isclose(got, 4 / 7), "4/7 came: that is the winner's score on all digits. Only the fresh ones count.")
    expect(not np.isclose(got, 0.75), "0.75 came: that network was chosen by all digits. Choose by validation alone.")
    expect(not np.isclose(got, 0), "0 came. Is the winner the one with the most right validation digits?")
    expect_near(got, 0.25, case=case, note="The first network wins with 3 of 3, and has 1 of 4 fresh digits right.")
    expect_near(
        answer(right.copy(), [6, 4], [0, 1]),
        0.0,
        case="digits 4 and 6 to choose by, 0 and 1 fresh",
        note="The third network wins there, and has neither 0 nor 1 right.",
    )


@exercise(
    "halving-epochs",
    hints=[
        "Fill the table for 8 settings and 3 rounds with a pencil: how many networks are in each round, trained up to where?",
        "In round r, counted from 0, there are trials // 2**r networks, and they train up to epoch 2**r.",
        "They come with the epochs of the round before: 0 in the first, 2**(r − 1) later. Only the difference is paid for.",
    ],
)
def halving_epochs(answer: Any) -> None:
    case = "64 settings and 5 rounds"
    got = answer(64, 5)
    _expect_number(got, case)
    expect(
        got != 320,
        "320 came: every round was trained from the start. A network that is kept has its earlier epochs already.",
    )
    expect(got != 1024, "1,024 came: all 64 in full. After each round only half of them go on.")
    expect(got != 124, "124 came: that counts networks. Later rounds add more than one epoch to each.")
    expect(got != 224, "224 came: one round too many. The first round counts as one of the five.")
    expect(got != 160, "160 came: one round too few. Five rounds end with 4 networks at epoch 16.")
    expect_near(got, 192, case=case, note="The table on the page adds up to it.")
    expect_near(answer(8, 1), 8, case="8 settings and 1 round", note="One epoch each, and that is all.")
    expect_near(answer(8, 3), 16, case="8 settings and 3 rounds", note="8 · 1 + 4 · 1 + 2 · 2.")
