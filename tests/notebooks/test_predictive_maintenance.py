"""What the lab predictive-maintenance builds, against SciPy and against what can be counted; and what its checks say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from labkit.check import try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

CONSTANTS = ["WEEKS", "STROKES", "BROKEN", "WINDOW", "VISIT", "BLOCKS"]
SIMULATOR = ["crack_life", "cracks", "fleet", "record"]
TOOLS = [
    "kaplan_meier",
    "median_life",
    "cost_rate",
    "windows",
    "rmse",
    "naive",
    "policy",
    "block_answers",
    "mean_weeks",
]
LAB = lift("predictive-maintenance", *CONSTANTS, *SIMULATOR, *TOOLS)
RECORDS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.floats(2.1, 5), st.floats(0.5e-3, 2e-3), st.floats(40, 150))
def test_a_crack_lives_as_long_as_its_growth_adds_up_to(m: float, first: float, stress: float) -> None:
    added, _ = integrate.quad(lambda a: (stress * np.sqrt(np.pi * a)) ** -m, first, 0.025)
    assert LAB.crack_life(first, 0.025, 1e-11, m, stress) == pytest.approx(added / 1e-11, rel=1e-6)


def test_a_simulated_crack_grows_by_the_law_and_breaks_at_its_end() -> None:
    crack, _, life = LAB.cracks(200, seed=3)
    assert (np.diff(crack, axis=1) >= 0).all()
    last = crack[np.arange(200), life - 1]
    assert (last < 0.025).all() and np.allclose(crack[np.arange(200), life], 0.025)
    assert 70 < life.mean() < 110 and life.min() > LAB.WINDOW


def test_nothing_is_read_after_the_break() -> None:
    readings, life = LAB.fleet(30, seed=1)
    seen = np.isfinite(readings).all(2)
    assert (seen.sum(1) == life).all() and seen[:, 0].all()


@settings(max_examples=100, deadline=None)
@given(RECORDS)
def test_kaplan_meier_is_scipys(rows: list[tuple[int, bool]]) -> None:
    weeks, failed = (np.array(column) for column in zip(*rows, strict=True))
    times, survival = LAB.kaplan_meier(weeks, failed)
    assert times.tolist() == sorted(set(weeks[failed].tolist()))
    if failed.any():
        library = stats.ecdf(stats.CensoredData(uncensored=weeks[failed], right=weeks[~failed])).sf
        assert survival == pytest.approx(library.evaluate(times), abs=1e-12)


def test_a_record_without_a_failure_has_no_median() -> None:
    with pytest.raises(LabkitError, match=r"no median life\. 0 of 3 failed"):
        LAB.median_life(np.array([20, 30, 40]), np.full(3, False))
    assert LAB.median_life(np.array([20, 30, 40]), np.full(3, True)) == 30


def test_the_cheapest_age_of_even_lives_is_the_pencils() -> None:
    rates = LAB.cost_rate(1 - np.arange(101) / 100)
    assert 1 + np.argmin(rates) == 37
    assert rates[-1] == pytest.approx(52 * 10 / 50)
    assert np.argmin(LAB.cost_rate(1 - np.arange(101) / 100, failure=1)) == 99, "equal costs: never in advance"


def test_a_window_holds_the_weeks_before_a_visit_and_no_later_one() -> None:
    readings, life = LAB.fleet(5, seed=2)
    press, week, X = LAB.windows(readings, life, every=4)
    assert week.min() == LAB.WINDOW and (week <= life[press]).all() and set((week - LAB.WINDOW) % 4) == {0}
    later = readings.copy()
    later[0, 20:] *= 2
    changed = LAB.windows(later, life, every=4)[2]
    assert (changed[(press == 0) & (week <= 20)] == X[(press == 0) & (week <= 20)]).all()
    assert (changed[(press == 0) & (week > 20)] != X[(press == 0) & (week > 20)]).any(1).all()


def test_no_window_lies_over_a_gap() -> None:
    readings, life = LAB.fleet(2, seed=2)
    readings[0, 30] = np.nan
    press, week, X = LAB.windows(readings, life)
    assert np.isfinite(X).all()
    assert set(range(LAB.WINDOW, life[0] + 1)) - set(week[press == 0]) == set(range(31, 31 + LAB.WINDOW))


def test_a_press_that_was_not_read_when_it_was_new_gets_no_window() -> None:
    readings, life = LAB.fleet(2, seed=2)
    readings[1, 3] = np.nan
    assert set(LAB.windows(readings, life)[0]) == {0}


def test_presses_that_are_too_young_are_refused() -> None:
    readings, _ = LAB.fleet(2, seed=2)
    with pytest.raises(LabkitError, match="No press was read for 12 weeks"):
        LAB.windows(readings, np.array([5, 11]))


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(LabkitError, match="no press to test on"):
        LAB.rmse([], [])
    assert LAB.rmse([1.0, 3.0], np.array([2.0, 2.0])) == 1.0


def test_the_naive_forecast_is_the_mean_of_what_was_left() -> None:
    assert LAB.naive(np.array([10, 20, 60]), np.array([0, 15, 60, 61])).tolist() == [30, 25, 0, 0]


def test_a_policy_pays_for_the_first_repair_or_the_break() -> None:
    press, week, life = np.array([0, 0, 1]), np.array([12, 16, 12]), np.array([18, 14])
    paid, broke = LAB.policy(np.array([False, True, False]), press, week, life)
    assert paid == pytest.approx(52 * (1 + 10) / (16 + 14)) and broke == 0.5
    assert LAB.policy(np.full(3, True), press, week, life) == (pytest.approx(52 * 2 / 24), 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 140), st.booleans())
def test_a_press_answers_for_the_blocks_it_went_through(left: int, failed: bool) -> None:
    answers = LAB.block_answers(np.array([left]), np.array([failed]))[0]
    whole = min(left // 4, LAB.BLOCKS)
    assert (answers[:whole] == 0).all()
    rest = answers[whole:]
    assert not len(rest) or rest[0] == (1 if failed else -1)
    assert (rest[1:] == -1).all()


def test_mean_weeks_of_a_certain_life() -> None:
    certain = np.zeros((2, LAB.BLOCKS))
    certain[1] = 1
    assert LAB.mean_weeks(certain).tolist() == [2, 4 * LAB.BLOCKS]


def only_the_failed(shape: float, scale: float, weeks: Any, failed: Any) -> Any:
    t = weeks / scale
    return np.sum(failed * (t**shape - np.log(shape / scale) - (shape - 1) * np.log(t))) / len(weeks)


def all_failed(shape: float, scale: float, weeks: Any, failed: Any) -> Any:
    t = weeks / scale
    return np.mean(t**shape - np.log(shape / scale) - (shape - 1) * np.log(t))


def order(forecast: Any, weeks: Any, failed: Any, *, censoring: bool = True, turned: bool = False) -> Any:
    counts = (failed[:, None] | (not censoring)) & (weeks[:, None] < weeks)
    agree = (forecast[:, None] > forecast if turned else forecast[:, None] < forecast).astype(float)
    agree += (forecast[:, None] == forecast) / 2
    return agree[counts].mean()


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("censored-loss", all_failed, "if all five had failed"),
        ("censored-loss", only_the_failed, "left out"),
        ("censored-loss", lambda *args: 5 * (all_failed(*args) - 2 * np.log(20) / 5), "their sum came"),
        ("repair-threshold", lambda life, weeks, planned, failure: planned / failure, "only put off"),
        (
            "repair-threshold",
            lambda life, weeks, planned, failure: weeks * planned / life / failure,
            "not paid as well",
        ),
        (
            "repair-threshold",
            lambda life, weeks, planned, failure: weeks * planned / life / (failure - planned),
            "Zero",
        ),
        ("concordance", lambda *args: order(*args, turned=True), "longer forecast"),
        ("concordance", lambda *args: order(*args, censoring=False), "second of them censored"),
    ],
)
def test_a_mistake_is_named(exercise: str, answer: Callable[..., Any], words: str) -> None:
    wrong = try_answer(exercise, answer)
    assert wrong is not None and words in wrong
