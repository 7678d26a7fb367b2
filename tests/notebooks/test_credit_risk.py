"""What the lab credit-risk computes by hand holds for any table, its dictionary is Groemping's, and bad input is refused."""

from __future__ import annotations

import importlib.util
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
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from labkit import data
from labkit.check import NotAnswered, try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

FUNCTIONS = ["slipped", "average_cost", "in_bank", "prepare", "interval", "contributions", "answer"]


def lift_without_keras() -> Any:
    """None of these functions needs Keras, and its import takes seconds."""
    real = sys.modules.get("keras")
    sys.modules["keras"] = ModuleType("keras")
    try:
        return lift("credit-risk", *FUNCTIONS, "things", "owned", "RIGHT_WORDS")
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
def test_the_dictionary_is_the_code_table(column: str) -> None:
    uci, position = columns_of_uci(), list(columns_of_uci()).index(column) + 1
    codes = uci[column]
    assert codes and set(LAB.RIGHT_WORDS[column]) == set(codes.values())
    first = 0 if column in ("purpose", "credit_history") else 1  # codes that begin with 0, as A40 does
    for code, told in codes.items():
        number = int(code.removeprefix(f"A{position}"))
        assert LAB.RIGHT_WORDS[column][told] == CODE_TABLE[column].split("|")[number - first]


def loans() -> pd.DataFrame:
    table = data.table("german-credit", "all")
    table = table.assign(**{column: table[column].map(words) for column, words in LAB.RIGHT_WORDS.items()})
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
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.lists(st.booleans(), min_size=1, max_size=30))
def test_in_the_bank_five_in_a_hundred_are_bad(of_bad: list[bool], of_good: list[bool]) -> None:
    """Where the sample has 30 % bad, refusing these of the bad and those of the good costs what it costs the bank."""
    bad, good = 3 * len(of_good), 7 * len(of_bad)  # how often each is repeated, to have 30 % bad
    y = np.repeat([1, 0], [bad * len(of_bad), good * len(of_good)])
    refused = np.concatenate([np.repeat(of_bad, bad), np.repeat(of_good, good)])
    assert LAB.in_bank(y, refused) == pytest.approx(0.05 * 5 * (1 - np.mean(of_bad)) + 0.95 * np.mean(of_good))


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


def fitted() -> tuple[Any, pd.DataFrame]:
    X = loans().iloc[:300]
    y = (data.table("german-credit", "all").risk == "bad").to_numpy()[:300]
    return make_pipeline(LAB.prepare(), LogisticRegression(max_iter=1000)).fit(X, y), X


def test_shares_add_up_to_the_logit_and_are_named_by_column() -> None:
    model, X = fitted()
    parts = LAB.contributions(model, X[:40], X[:7])
    wanted = model.decision_function(X[:40]) - model.decision_function(X[:7]).mean()
    np.testing.assert_allclose(parts.sum(axis=1), wanted, atol=1e-9)
    assert set(parts.columns) == set(X.columns) and list(parts.index) == list(X.index[:40])
    other = X[:40].assign(age=20, savings="below 100")  # only the shares of what changed may change
    moved = (LAB.contributions(model, other, X[:7]) - parts).abs().max() > 1e-12
    assert set(moved.index[moved]) == {"age", "savings"}


def test_an_application_that_does_not_fit_is_answered_or_refused_with_a_sentence() -> None:
    model, X = fitted()
    strict = clone(model).set_params(columntransformer__onehotencoder__handle_unknown="error")
    strict.fit(X, (data.table("german-credit", "all").risk == "bad").to_numpy()[:300])
    person = X[5:6]
    stranger = person.assign(purpose="education")
    assert LAB.answer(model, stranger) == f"{model.predict_proba(stranger)[0, 1]:.2f}"
    assert "refused. Found unknown categories ['education']" in LAB.answer(strict, stranger)
    for table in (person[:0], person.drop(columns="savings"), person.assign(age=float("nan"))):
        assert LAB.answer(model, table).startswith("refused. ") and LAB.answer(strict, table).startswith("refused. ")


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
