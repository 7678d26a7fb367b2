"""What the lab credit-risk computes by hand holds for any table, its dictionary is the code book, and bad input is refused."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.pipeline import make_pipeline

from labkit import data
from labkit.check import NotAnswered, try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

FUNCTIONS = ["slipped", "average_cost", "prepare", "times_odds", "interval", "brier", "forced"]
FUNCTIONS += ["contributions", "checked", "longest_granted"]


def lift_without_keras() -> Any:
    """None of these functions needs Keras, and its import takes seconds."""
    real = sys.modules.get("keras")
    sys.modules["keras"] = ModuleType("keras")
    try:
        return lift("credit-risk", *FUNCTIONS, "things", "owned", "paid", "CODE_BOOK")
    finally:
        if real is None:
            del sys.modules["keras"]
        else:
            sys.modules["keras"] = real


LAB = lift_without_keras()

# U. Groemping's code table, in the order of the codes (Report 4/2019); purpose has a code 7, education, which no loan has.
CODE_TABLE = {
    "checking_account": "none|below 0|0 to 200|200 or more",
    "savings": "unknown or none|below 100|100 to 500|500 to 1000|1000 or more",
    "housing": "for free|rent|own",
    "property": "unknown or none|car or other|savings or life insurance|real estate",
    "credit_history": "delays in the past|critical or credits elsewhere|no credits or all paid back|"
    "existing paid back till now|all at this bank paid back",
    "purpose": "other|new car|used car|furniture|radio or television|appliances|repairs|education|vacation|retraining|business",
}


def columns_of_uci() -> dict[str, dict[str, str] | None]:
    """How the bundled file was made: from UCI's codes to UCI's words."""
    path = Path(__file__).resolve().parents[2] / "datasets" / "make" / "german_credit.py"
    spec = importlib.util.spec_from_file_location("make_german_credit", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.COLUMNS


@pytest.mark.parametrize("column", sorted(CODE_TABLE))
def test_the_dictionary_is_the_code_book(column: str) -> None:
    uci, position = columns_of_uci(), list(columns_of_uci()).index(column) + 1
    codes = uci[column]
    assert codes and set(LAB.CODE_BOOK[column]) == set(codes.values())
    first = 0 if column in ("purpose", "credit_history") else 1  # codes that begin with 0, as A40 does
    for code, told in codes.items():
        number = int(code.removeprefix(f"A{position}"))
        assert LAB.CODE_BOOK[column][told] == CODE_TABLE[column].split("|")[number - first]


def loans() -> pd.DataFrame:
    table = data.table("german-credit", "all")
    table = table.assign(**{column: table[column].map(words) for column, words in LAB.CODE_BOOK.items()})
    return table.drop(columns=["risk", "status_and_sex", "foreign_worker"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.1, 9)), min_size=1, max_size=30))
def test_average_cost_counts_both_mistakes(rows: list[tuple[bool, bool, float]]) -> None:
    y, refused, weights = (np.array(column) for column in zip(*rows, strict=True))
    each = [5.0 * (bad and not no) + 1.0 * (no and not bad) for bad, no in zip(y, refused, strict=True)]
    assert LAB.average_cost(y.astype(int), refused) == pytest.approx(np.mean(each))
    assert LAB.average_cost(y.astype(int), refused, weights) == pytest.approx(np.dot(each, weights) / weights.sum())


def test_nothing_to_judge_is_said() -> None:
    with pytest.raises(LabkitError, match="no loan to judge"):
        LAB.average_cost(np.zeros(0, dtype=int), np.zeros(0, dtype=bool))


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_factor_of_the_odds_is_bayes_rule(p: float, sample: float, true: float) -> None:
    corrected = LAB.times_odds(p, (true / (1 - true)) / (sample / (1 - sample)))
    bad, good = p * true / sample, (1 - p) * (1 - true) / (1 - sample)
    assert corrected == pytest.approx(bad / (bad + good))
    assert LAB.times_odds(corrected, (sample / (1 - sample)) / (true / (1 - true))) == pytest.approx(p)


def test_without_overlap_the_interval_is_students() -> None:
    differences = np.random.default_rng(0).normal(size=9)
    low, mean, high = LAB.interval(differences, overlap=0)
    usual = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (low, high) == (pytest.approx(usual.low), pytest.approx(usual.high))
    assert mean == pytest.approx(differences.mean())
    assert np.ptp(LAB.interval(differences)) == pytest.approx(np.sqrt(1 + 9 / 4) * (high - low))


def test_the_corrected_interval_holds_what_it_promises() -> None:
    """Differences that share a disturbance, as overlapping training sets do: the usual interval misses the truth too often."""
    rng, missed = np.random.default_rng(1), {0.0: 0, 0.25: 0}
    for _ in range(400):
        differences = rng.normal(0, np.sqrt(0.2)) + rng.normal(0, np.sqrt(0.8), 25)  # correlation n_test / n: 1/5
        for overlap in missed:
            low, _, high = LAB.interval(differences, overlap=overlap)
            missed[overlap] += not low <= 0 <= high
    assert missed[0.25] <= 40 and missed[0.0] >= 120


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=4, max_size=4))
def test_the_forced_share_is_forced(counts: list[int]) -> None:
    good_granted, good_refused, bad_granted, bad_refused = counts
    good, bad = good_granted + good_refused, bad_granted + bad_refused
    paid_back = good_granted / (good_granted + bad_granted)
    assert LAB.forced(good / (good + bad), paid_back, good_granted / good) == pytest.approx(bad_granted / bad)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=2, max_size=20))
def test_our_brier_score_is_scikit_learns(rows: list[tuple[int, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    assert LAB.brier(y, p) == pytest.approx(brier_score_loss(y, p, pos_label=1))


def fitted() -> tuple[Any, pd.DataFrame]:
    X = loans().iloc[:300]
    y = (data.table("german-credit", "all").risk == "bad").to_numpy()[:300]
    return make_pipeline(LAB.prepare(X), LogisticRegression(max_iter=1000)).fit(X, y), X


def test_shares_add_up_to_the_logit_and_are_named_by_column() -> None:
    model, X = fitted()
    parts = LAB.contributions(model, X[:40], X[:7])
    wanted = model.decision_function(X[:40]) - model.decision_function(X[:7]).mean()
    np.testing.assert_allclose(parts.sum(axis=1), wanted, atol=1e-9)
    assert set(parts.columns) == set(X.columns) and list(parts.index) == list(X.index[:40])
    other = X[:40].assign(age=20, savings="below 100")  # only the shares of what changed may change
    moved = (LAB.contributions(model, other, X[:7]) - parts).abs().max() > 1e-12
    assert set(moved.index[moved]) == {"age", "savings"}


def test_the_longest_loan_is_the_longest() -> None:
    model, X = fitted()
    p = model.predict_proba(X)[:, 1]
    granted, hopeless = X[p <= 1 / 6].iloc[[0]], X[p > 0.8].iloc[[0]].assign(amount=90_000)
    assert LAB.longest_granted(model, granted) == granted.months.item()
    assert LAB.longest_granted(model, hopeless) is None
    for row in X[(p > 1 / 6) & (p < 0.3)].index[:8]:
        months = LAB.longest_granted(model, X.loc[[row]])
        if months is not None:
            tried = [model.predict_proba(X.loc[[row]].assign(months=m))[0, 1] for m in (months, months + 1)]
            assert tried[0] <= 1 / 6 < tried[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.assign(purpose="education"), "purpose is 'education'. No loan"),
        (lambda one: one.assign(savings=None), "savings is"),
        (lambda one: one.assign(amount=-500), "amount is '-500'. It has to be a number above 0"),
        (lambda one: one.assign(months=0), "months is '0'"),
        (lambda one: one.assign(age=float("nan")), "age is 'nan'"),
        (lambda one: one.assign(amount="a lot"), "amount is 'a lot'"),
        (lambda one: one.drop(columns="savings"), "column 'savings' is missing"),
        (lambda one: one[:0], "no application"),
    ],
)
def test_an_application_that_does_not_fit_is_refused(change: Callable[[pd.DataFrame], pd.DataFrame], said: str) -> None:
    X = loans()
    with pytest.raises(LabkitError, match=re.escape(said)) as caught:
        LAB.checked(change(X[5:6]), X)
    assert "\n" not in str(caught.value)


def test_an_application_that_fits_passes_in_the_order_of_the_model() -> None:
    X = loans()
    given_table = X[5:8][X.columns[::-1]].assign(note="extra columns are not the model's business")
    pd.testing.assert_frame_equal(LAB.checked(given_table, X), X[5:8])


def usual_interval(differences: Any, n_train: int, n_test: int) -> Any:
    half = stats.t.ppf(0.975, len(differences) - 1) * np.std(differences, ddof=1) / np.sqrt(len(differences))
    return differences.mean() - half, differences.mean() + half


def normal_interval(differences: Any, n_train: int, n_test: int) -> Any:
    half = 1.96 * np.sqrt((1 / len(differences) + n_test / n_train) * np.var(differences, ddof=1))
    return differences.mean() - half, differences.mean() + half


def biased_interval(differences: Any, n_train: int, n_test: int) -> Any:
    half = stats.t.ppf(0.975, len(differences) - 1) * np.sqrt(
        (1 / len(differences) + n_test / n_train) * np.var(differences)
    )
    return differences.mean() - half, differences.mean() + half


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("credit-interval", usual_interval, "overlap is missing"),
        ("credit-interval", lambda d, n_train, n_test: usual_interval(d, n_train, n_test)[1], "shape"),
        ("credit-interval", normal_interval, "Student"),
        ("credit-interval", biased_interval, "ddof=1"),
        ("credit-interval", lambda d, n_train, n_test: (np.nan, np.nan), "not a number"),
        ("credit-interval", lambda d, n_train, n_test: "wide", "numbers were expected"),
        ("credit-true-rate", lambda p, sample, true: p, "nothing changed"),
        ("credit-true-rate", lambda p, sample, true: p * true / sample, "good ones have to be scaled"),
        ("credit-true-rate", lambda p, sample, true: p * sample / true, "expected"),
        ("credit-true-rate", lambda p, sample, true: [p], "shape"),
        ("credit-forced-share", lambda g, v, h: g * h * (1 - v) / v, "share of all applicants"),
        ("credit-forced-share", lambda g, v, h: (1 - g) / g * (1 - v) / v * h, "share of the good"),
        ("credit-forced-share", lambda g, v, h: g / (1 - g) * v / (1 - v) * h, "bad per good"),
        ("credit-forced-share", lambda g, v, h: {}["f"], "raised KeyError"),
    ],
)
def test_a_mistake_is_named(exercise: str, answer: Callable[..., Any], words: str) -> None:
    wrong = try_answer(exercise, answer)
    assert wrong is not None and words in wrong


@pytest.mark.parametrize("exercise", ["credit-interval", "credit-true-rate", "credit-forced-share"])
def test_an_untouched_stub_is_not_answered(exercise: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(exercise, lambda *anything: None)
