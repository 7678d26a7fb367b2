"""What the lab recommender builds, refuses and ranks, for tables and lists of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

from labkit.check import NotAnswered, try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

pytest.importorskip("tensorflow")  # the lab imports it
LAB = lift(
    "recommender",
    *("simulate", "as_table", "ridge_rows", "factorise", "rmse", "everything", "expected"),
    *("rows_of", "ranking", "ease"),
)


def random_table(seed: int, people: int = 12, films: int = 9, known: float = 0.6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 6, (people, films)).astype(np.float32)
    stars[rng.random(stars.shape) > known] = np.nan
    stars[0, 0] = 3
    return stars


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factors=st.integers(0, 4), penalty=st.floats(0.5, 20))
def test_people_are_ridges_on_the_films(seed: int, factors: int, penalty: float) -> None:
    """The last half sweep moved the people, so each row must be scikit-learn's ridge with the films held still."""
    table = random_table(seed)
    model = LAB.factorise(table, factors=factors, penalty=penalty, sweeps=2, seed=seed)
    inputs = np.c_[np.ones(len(model.films)), model.films[:, 1:]]
    for row, stars in zip(model.people, table, strict=True):
        known = ~np.isnan(stars)
        if not known.any():
            assert np.abs(row).max() == 0  # nothing known, nothing changed
            continue
        left = (stars - model.mean - model.films[:, 0])[known]
        ridge = Ridge(alpha=penalty, fit_intercept=False).fit(inputs[known], left)
        np.testing.assert_allclose(row, ridge.coef_, atol=2e-3)


def test_a_penalty_per_rating_is_paid_by_those_who_rate_much() -> None:
    table = np.full((2, 30), np.nan, dtype=np.float32)
    table[0], table[1, :3] = 5, 1
    once, often = (LAB.factorise(table, factors=0, penalty=1.0, sweeps=1, per_rating=flag) for flag in (False, True))
    assert abs(often.people[0, 0]) < abs(once.people[0, 0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), people=st.integers(1, 8), films=st.integers(3, 15), k=st.integers(1, 12))
def test_ndcg_is_scikit_learns(seed: int, people: int, films: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(films, dtype=float), (people, 1)), axis=1)
    wanted = rng.random((people, films)) < 0.4
    wanted[0, 0] = True
    k = min(k, films)
    recall, ndcg = LAB.ranking(scores, np.zeros_like(wanted), wanted, k=k)
    asked = wanted.any(1)
    assert ndcg.mean() == pytest.approx(ndcg_score(wanted[asked], scores[asked], k=k))
    assert recall.shape == (asked.sum(),) and recall.min() >= 0 and recall.max() <= 1


def test_what_was_seen_is_not_shown_again() -> None:
    wanted = np.array([[False, True, False]])
    recall, ndcg = LAB.ranking(np.array([[3.0, 2.0, 1.0]]), np.array([[True, False, False]]), wanted, k=1)
    assert recall == ndcg == 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), penalty=st.floats(0.5, 50))
def test_ease_is_a_ridge_for_each_film(seed: int, penalty: float) -> None:
    watched = np.random.default_rng(seed).integers(0, 2, (20, 5)).astype(float)
    weights = LAB.ease(watched, penalty=penalty)
    for film in range(5):
        others = np.arange(5) != film
        ridge = Ridge(alpha=penalty, fit_intercept=False).fit(watched[:, others], watched[:, film])
        np.testing.assert_allclose(weights[others, film], ridge.coef_, atol=1e-8)
        assert weights[film, film] == 0


def test_strangers_get_the_mean_and_what_is_known() -> None:
    model = LAB.factorise(random_table(1), factors=2, penalty=2.0)
    person = LAB.rows_of(np.array([7, 8, 1, 99]), np.array([3, 7, 9]))
    assert person.tolist() == [1, -1, -1, -1]
    stars = LAB.expected(model, np.array([-1, -1, 0]), np.array([4, -1, 4]))
    want = [model.mean + model.films[4, 0], model.mean, LAB.everything(model)[0, 4]]
    np.testing.assert_allclose(stars, want, rtol=1e-5)


def test_a_film_rated_twice_is_refused() -> None:
    person, film, stars = np.array([0, 1, 0]), np.array([2, 2, 2]), np.array([3, 4, 5])
    with pytest.raises(LabkitError, match="Row 2 rates a film which the same person has rated before"):
        LAB.as_table(person, film, stars, (2, 3))


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(LabkitError, match="test set is empty"):
        LAB.rmse(np.array([]), np.array([]))


def test_answers_are_judged_within_the_stars() -> None:
    assert LAB.rmse(np.array([9.0, -3.0]), np.array([5, 1])) == 0


def test_simulated_ratings_are_whole_and_none_comes_twice() -> None:
    table, expected, taste = LAB.simulate(people=60, films=80, per_person=40, seed=3)
    assert expected.shape == (60, 80) and taste.shape == (60, 3)
    assert set(table.rating) <= {1, 2, 3, 4, 5}
    assert not table.duplicated(["user", "item"]).any()
    assert table.groupby("user").size().min() >= 20 and table.item.between(1, 80).all()


def cut_by_count(when: Any, share: float) -> Any:
    test = np.zeros(len(when), dtype=bool)
    test[np.argsort(when, kind="stable")[len(when) - round(len(when) * share) :]] = True
    return test


def strictly_later(when: Any, share: float) -> Any:
    return when > np.sort(when)[len(when) - round(len(when) * share)]


def plain_average(film: Any, left: Any, films: int, penalty: float) -> Any:
    return np.bincount(film, left, minlength=films) / np.maximum(np.bincount(film, minlength=films), 1)


def too_short(film: Any, left: Any, films: int, penalty: float) -> Any:
    return np.bincount(film, left) / (np.bincount(film) + penalty)


def film_bias_forgotten(stars: Any, films: Any, mean: float, penalty: float) -> Any:
    inputs = np.c_[np.ones(len(films)), films[:, 1:]]
    left = stars - mean if films.shape[1] > 1 else stars - mean - films[:, 0]
    return np.linalg.solve(inputs.T @ inputs + penalty * np.eye(inputs.shape[1]), inputs.T @ left)


def film_bias_as_input(stars: Any, films: Any, mean: float, penalty: float) -> Any:
    inputs = films if films.shape[1] > 1 else np.ones((len(films), 1))
    gram = inputs.T @ inputs + penalty * np.eye(inputs.shape[1])
    return np.linalg.solve(gram, inputs.T @ (stars - mean - films[:, 0]))


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("shrunken-bias", plain_average, "plain averages"),
        ("shrunken-bias", too_short, "shape"),
        ("later-part", cut_by_count, "between two ratings of second 3"),
        ("later-part", strictly_later, "expected"),
        ("fold-in", film_bias_forgotten, "forgets the bias"),
        ("fold-in", film_bias_as_input, "among your inputs"),
    ],
)
def test_a_mistake_is_named(exercise: str, answer: Callable[..., Any], words: str) -> None:
    wrong = try_answer(exercise, answer)
    assert wrong is not None and words in wrong


def test_a_stub_is_not_judged() -> None:
    with pytest.raises(NotAnswered):
        try_answer("fold-in", lambda stars, films, mean, penalty: None)
