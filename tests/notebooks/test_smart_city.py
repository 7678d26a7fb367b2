"""What the lab builds, against libraries and on random input: scores, rules, whole numbers, and files that are wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from labkit.check import try_answer
from tests.notebooks.lifting import lift

LAB = lift(
    "smart-city",
    "hourly",
    "forward",
    "HOURS",
    "broken",
    "breaking",
    "LENGTH",
    "first_hours",
    "threshold_for",
    "adjusted",
    "too_long",
    "grid_of",
    "to_int8",
    "quantise",
    "forward_int8",
)
WEEK = pd.date_range("2018-07-01", periods=168, freq="h")
WARM = 20 + np.arange(168) / 24
bits = st.lists(st.booleans(), min_size=1, max_size=40).map(np.array)
floats = st.floats(-50, 50)


def test_a_good_file_stays_as_it_is() -> None:
    series = LAB.hourly(WEEK, WARM)
    assert series.index.equals(WEEK)
    np.testing.assert_allclose(series, WARM)


def test_what_can_be_repaired_is_repaired() -> None:
    series = LAB.hourly(WEEK[[3, 0, 1, 1]], [23, 20, -999, -999])  # disordered, one hour missing, one code twice
    np.testing.assert_array_equal(series, [20, np.nan, np.nan, 23])


@pytest.mark.parametrize(
    ("times", "readings", "said"),
    [
        ([], [], "no reading at all"),
        (WEEK, np.full(168, np.nan), "no reading at all"),
        (WEEK, np.full(168, -999), "no reading at all"),
        (WEEK, WARM * 1.8 + 22, "another unit"),  # a summer in Fahrenheit: 58 to 71
        (WEEK, WARM + 273.15, "another unit"),
        (WEEK, np.where(WARM > 26, -9999, WARM), "NaN"),
        (WEEK[[0, 0]], [20, 21], "2018-07-01 00:00"),
        (WEEK + pd.Timedelta(minutes=7), WARM, "full hour"),
        (WEEK[:2].union(WEEK[:2] + pd.Timedelta(days=60)), [20, 20, 20, 20], "59 days"),
    ],
)
def test_what_cannot_be_repaired_is_refused_with_a_sentence(times, readings, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        LAB.hourly(times, readings)
    assert str(refused.value).count(".") >= 2 or "?" in str(refused.value)  # what is wrong, and what to do


@settings(max_examples=50, deadline=None)
@given(alarms=bits, faulty=bits)
def test_adjusting_only_adds_alarms_within_faults(alarms: np.ndarray, faulty: np.ndarray) -> None:
    from sklearn.metrics import f1_score

    n = min(len(alarms), len(faulty))
    alarms, faulty = alarms[:n], faulty[:n]
    assume(alarms.any() or faulty.any())
    more = LAB.adjusted(alarms, faulty)
    assert (more >= alarms).all() and (more[~faulty] == alarms[~faulty]).all()
    assert f1_score(faulty, more) >= f1_score(faulty, alarms) - 1e-12


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.sampled_from([1.0, 2.0, np.nan]), min_size=1, max_size=40),
    equal=st.integers(2, 4),
    missing=st.integers(1, 4),
)
def test_a_rule_rings_where_so_many_equal_or_missing_readings_end(
    values: list[float], equal: int, missing: int
) -> None:
    expected = []
    for stop in range(1, len(values) + 1):
        same, gone = values[max(0, stop - equal) : stop], values[max(0, stop - missing) : stop]
        alike = len(same) == equal and all(one == same[0] for one in same)  # NaN equals nothing
        expected.append(alike or (len(gone) == missing and all(np.isnan(gone))))
    readings = pd.Series(values, WEEK[: len(values)])
    assert LAB.too_long(readings, equal, missing).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), budget=st.integers(1, 20))
def test_threshold_keeps_to_the_budget_and_the_next_lower_one_does_not(seed: int, budget: int) -> None:
    scores = np.random.default_rng(seed).normal(size=1460)
    level = LAB.threshold_for(scores, budget)
    assert len(LAB.first_hours(scores >= level)) <= 2 * budget
    lower = scores[scores < level].max()
    assert len(LAB.first_hours(scores >= lower)) > 2 * budget


def test_threshold_of_empty_months_is_refused() -> None:
    for scores in (np.array([]), np.full(100, np.nan)):
        with pytest.raises(ValueError, match="no score"):
            LAB.threshold_for(scores, 2)


def test_a_budget_below_one_alarm_is_refused() -> None:
    with pytest.raises(ValueError, match="no alarm at all"):
        LAB.threshold_for(np.arange(1460.0), 0.25)


@pytest.mark.parametrize("kind", ["spike", "offset", "noise", "stuck", "drift", "silent"])
def test_a_fault_changes_its_hours_and_no_others(kind: str) -> None:
    readings = pd.Series(np.random.default_rng(0).normal(size=400))
    faulty = LAB.broken(readings, kind, 50, np.random.default_rng(1))
    changed = np.flatnonzero(~(faulty == readings))
    assert changed.min() == 50 and changed.max() == 49 + LAB.HOURS[kind]


def test_faults_do_not_touch_each_other() -> None:
    _, faults = LAB.breaking(pd.Series(np.zeros(5160)), np.random.default_rng(0))
    assert len(faults) == 14 and {kind for kind, _, _ in faults} <= set(LAB.HOURS)
    ends = [0, *(stop for _, _, stop in faults)]
    assert all(start - end >= LAB.LENGTH - 4 for (_, start, _), end in zip(faults, ends, strict=False))


@settings(max_examples=50, deadline=None)
@given(values=arrays.arrays(float, st.integers(2, 30), elements=floats))
def test_a_grid_meets_zero_and_is_off_by_half_a_step(values: np.ndarray) -> None:
    assume(np.ptp(np.append(values, 0)) > 1e-3)
    scale, zero = LAB.grid_of(values)
    assert -128 <= zero <= 127 and LAB.to_int8(0.0, scale, zero) == zero
    back = scale * (LAB.to_int8(values, scale, zero).astype(float) - zero)
    assert np.abs(back - values).max() <= scale * 1.001


@settings(max_examples=15, deadline=None)
@given(widths=st.lists(st.integers(1, 20), min_size=1, max_size=3), seed=st.integers(0, 10_000))
def test_whole_numbers_follow_the_real_network(widths: list[int], seed: int) -> None:
    rng, sizes = np.random.default_rng(seed), [7, *widths, 1]
    weights: list[np.ndarray] = []
    for a, b in itertools.pairwise(sizes):
        weights += [rng.normal(size=(a, b)) / np.sqrt(a), rng.normal(size=b) / 4]
    X = rng.normal(size=(200, 7))
    grids, layers = LAB.quantise(weights, X)
    real = LAB.forward(weights, X)
    scale, zero = grids[-1]
    whole = scale * (LAB.forward_int8(layers, LAB.to_int8(X, *grids[0])).astype(float) - zero)
    assert np.abs(whole - real).mean() < 0.05 * np.ptp(np.append(real, 0))


def test_whole_numbers_stay_whole() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=(4, 1)), rng.normal(size=1)]
    grids, layers = LAB.quantise(weights, rng.normal(size=(50, 5)))
    assert all(np.asarray(one).dtype.kind == "i" for layer in layers for one in layer)
    q = LAB.to_int8(rng.normal(size=(3, 5)), *grids[0])
    assert LAB.forward_int8(layers, q).dtype == np.int8


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("precision-in-service", lambda faults, recall, false: faults * recall / (faults * recall + false), "month"),
        ("precision-in-service", lambda faults, recall, false: faults / (faults + 12 * false), "recall"),
        ("precision-in-service", lambda faults, recall, false: faults * recall / (12 * false), "true ones included"),
        ("int8-grid", lambda low, high: ((high - low) / 256, -28), "255 steps"),
        ("int8-grid", lambda low, high: ((high - low) / 255, 100), "lowest is −128"),
        ("int8-grid", lambda low, high: ((high - low) / 255, -128 - low * 255 / (high - low)), "stretched to 0"),
        ("int8-grid", lambda low, high: 0.01, "Two numbers"),
        ("break-even-bits", lambda a, sa, b, sb, bit: (b - a) / (sb - sa) if sb > sa else np.inf, "in operations"),
        ("break-even-bits", lambda a, sa, b, sb, bit: b / bit / (sb - sa) if sb > sa else np.inf, "difference"),
        ("break-even-bits", lambda a, sa, b, sb, bit: (b - a) / bit / (sb - sa) if sb != sa else np.inf, "np.inf"),
    ],
)
def test_wrong_answers_are_explained(name: str, answer: object, said: str) -> None:
    assert said in (try_answer(name, answer) or "")
