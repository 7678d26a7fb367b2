"""What the lab traffic repairs, refuses and counts, for tables and windows of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

pytest.importorskip("keras")  # the lab imports it; it is found here and not loaded
LAB = lift("traffic", "in_order", "clean", "scores", "conformal")
FIVE_WEEKS = 5 * 168


def hours(start: str = "2018-01-01", n: int = FIVE_WEEKS) -> pd.DataFrame:
    when = pd.date_range(start, periods=n, freq="h")
    volume = np.random.default_rng(0).integers(100, 7000, n).astype(float)
    return pd.DataFrame({"datetime": when, "temp": 280.0 + np.arange(n) % 24, "traffic_volume": volume})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), copies=st.integers(0, 30))
def test_order_and_copies_do_not_matter(seed: int, copies: int) -> None:
    table = hours()
    mixed = pd.concat([table, table.iloc[:copies]]).sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(LAB.clean(mixed), LAB.clean(table))


@settings(max_examples=40, deadline=None)
@given(first=st.integers(168, FIVE_WEEKS - 30), length=st.integers(1, 24), dropped=st.booleans())
def test_a_short_gap_gets_last_weeks_values_and_a_mark(first: int, length: int, dropped: bool) -> None:
    table, gap = hours(), slice(first, first + length)
    damaged = table.copy()
    if dropped:
        damaged = damaged.drop(index=range(first, first + length))
    else:
        damaged.loc[first : first + length - 1, ["traffic_volume", "temp"]] = np.nan
    repaired = LAB.clean(damaged)
    volume = table["traffic_volume"].to_numpy().copy()
    volume[gap] = volume[first - 168 : first - 168 + length]
    np.testing.assert_array_equal(repaired["traffic_volume"], volume)
    np.testing.assert_array_equal(np.flatnonzero(repaired["filled"]), np.arange(first, first + length))


def test_a_gap_two_weeks_in_a_row_gets_the_last_known_week() -> None:
    table = hours()
    table.loc[[300, 468], "traffic_volume"] = np.nan
    assert (LAB.clean(table)["traffic_volume"].iloc[[300, 468]] == table["traffic_volume"][132]).all()


def test_a_gap_in_the_first_week_stays_empty_and_marked() -> None:
    table = hours()
    table.loc[100, "traffic_volume"] = np.nan
    repaired = LAB.clean(table)
    assert np.isnan(repaired["traffic_volume"].iloc[100]) and repaired["filled"].iloc[100]


def with_value(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def damage(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({"datetime": object})
        table.loc[400, column] = value
        return table

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda table: table.drop(index=range(200, 225)), "25 hours are missing up to 2018-01-10 08:00:00"),
        (lambda table: table.assign(datetime=table["datetime"] + pd.Timedelta("30min")), "is not a full hour"),
        (lambda table: pd.concat([table, table.iloc[[5]].assign(traffic_volume=1)]), "two different rows"),
        (with_value("traffic_volume", -1.0), "below 0"),
        (with_value("datetime", "yesterday"), "no time that can be read"),
        (with_value("datetime", None), "no time that can be read"),
        (lambda table: table.iloc[:0], "there is no row"),
    ],
)
def test_what_cannot_be_repaired_is_refused(damage: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    with pytest.raises(LabkitError, match=words):
        LAB.clean(damage(hours()))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 40))
def test_scores_are_the_librarys(seed: int, n: int) -> None:
    y, forecast = np.random.default_rng(seed).normal(size=(2, n, 3))
    mae, rmse, r2 = LAB.scores(y, forecast)
    np.testing.assert_allclose(mae, sklearn.metrics.mean_absolute_error(y, forecast, multioutput="raw_values"))
    np.testing.assert_allclose(rmse, sklearn.metrics.root_mean_squared_error(y, forecast, multioutput="raw_values"))
    np.testing.assert_allclose(r2, sklearn.metrics.r2_score(y, forecast, multioutput="raw_values"))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(9, 80), unknown=st.integers(0, 20))
def test_an_interval_covers_its_share_of_the_errors_it_learned_from(seed: int, n: int, unknown: int) -> None:
    errors = np.random.default_rng(seed).normal(size=n)
    width = LAB.conformal(np.concatenate([errors, np.full(unknown, np.nan)]))
    assert np.sum(np.abs(errors) <= width) == int(np.ceil(round(0.9 * (n + 1), 9)))


def mase_of_y(y: Any, forecast: Any, history: Any, season: int) -> Any:
    return np.abs(y - forecast).mean() / np.abs(y[season:] - y[:-season]).mean()


def mase_of_neighbours(y: Any, forecast: Any, history: Any, season: int) -> Any:
    return np.abs(y - forecast).mean() / np.abs(np.diff(history)).mean()


def mase_signed(y: Any, forecast: Any, history: Any, season: int) -> Any:
    return (y - forecast).mean() / np.abs(history[season:] - history[:-season]).mean()


def not_themselves(rows_train: Any, rows_test: Any, length: int, ahead: int) -> Any:
    return np.setdiff1d(rows_train, rows_test)


def only_before(rows_train: Any, rows_test: Any, length: int, ahead: int) -> Any:
    gap = rows_test[None] - rows_train[:, None]
    return rows_train[((gap >= length + ahead) | (gap < 0)).all(1) & ~np.isin(rows_train, rows_test)]


def one_too_near(rows_train: Any, rows_test: Any, length: int, ahead: int) -> Any:
    return rows_train[(np.abs(rows_test[None] - rows_train[:, None]) >= length + ahead - 1).all(1)]


def without_the_new_hour(errors: Any, coverage: float) -> Any:
    return np.sort(np.abs(errors))[int(np.ceil(coverage * len(errors))) - 1]


def signed(errors: Any, coverage: float) -> Any:
    return np.sort(errors)[int(np.ceil(coverage * (len(errors) + 1))) - 1]


def never_infinite(errors: Any, coverage: float) -> Any:
    place = int(np.ceil(round(coverage * (len(errors) + 1), 9)))
    return np.sort(np.abs(errors))[min(place, len(errors)) - 1]


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("traffic-mase", mase_of_y, "belongs to the history"),
        ("traffic-mase", mase_of_neighbours, "compares neighbours"),
        ("traffic-mase", mase_signed, "cancel"),
        ("traffic-clean-windows", not_themselves, "reaches up to hour 56"),
        ("traffic-clean-windows", only_before, "windows after the test"),
        ("traffic-clean-windows", one_too_near, "reaches up to hour 56"),
        ("traffic-clean-windows", lambda train, test, length, ahead: train, "itself a test window"),
        ("traffic-half-width", without_the_new_hour, "one of 13"),
        ("traffic-half-width", signed, "sort sizes"),
        ("traffic-half-width", never_infinite, "cannot vouch"),
    ],
)
def test_a_mistake_is_named(exercise: str, answer: Callable[..., Any], words: str) -> None:
    wrong = try_answer(exercise, answer)
    assert wrong is not None and words in wrong


@pytest.mark.parametrize("exercise", ["traffic-mase", "traffic-clean-windows", "traffic-half-width"])
def test_an_untouched_stub_is_not_wrong(exercise: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(exercise, lambda *inputs: ...)
