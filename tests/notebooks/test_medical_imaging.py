"""What the lab medical-imaging builds: AUC and its interval against scikit-learn, the films it refuses, and its phantoms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

pytest.importorskip("tensorflow")
metrics = pytest.importorskip("sklearn.metrics")
PARTS = ("GRID", "shade", "chest", "x_ray", "archive", "admit", "roc", "auc", "places", "interval", "ppv")
LAB = lift("medical-imaging", *PARTS, "threshold_for", "rates", "lettered", "points_at")
FILMS = np.random.default_rng(0).integers(0, 256, (4, 28, 28)).astype(np.uint8)


def scored(seed: int, n: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes and scores with ties."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.r_[0, 1, 0, 1, rng.integers(0, 2, n)])
    return y, rng.integers(0, levels, n + 4).astype(float)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 60), levels=st.integers(1, 20))
def test_both_aucs_are_scikit_learns(seed: int, n: int, levels: int) -> None:
    y, scores = scored(seed, n, levels)
    wanted = metrics.roc_auc_score(y, scores)
    assert LAB.auc(y, scores) == pytest.approx(wanted)
    assert [one.mean() for one in LAB.places(y, scores)] == pytest.approx([wanted, wanted])
    wrong = try_answer("xray-auc-pairs", LAB.auc)
    assert wrong is None


def test_delongs_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    truth = 0.7602  # of two normal distributions of spread 1, one apart: Phi(1 / sqrt(2))
    held = 0
    for _ in range(300):
        found, half_width = LAB.interval(*LAB.places(y, rng.normal(size=120) + y))
        held += abs(found - truth) <= half_width
    assert 0.9 <= held / 300 <= 0.99


def test_delongs_intervals_are_as_wide_as_the_bootstraps_also_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    common = rng.normal(size=300)
    readers = [1.5 * y + common + rng.normal(size=300), y + common + rng.normal(size=300)]
    places = [LAB.places(y, one) for one in readers]
    wanted = [LAB.interval(*places[0]), LAB.interval(places[0][0] - places[1][0], places[0][1] - places[1][1])]
    drawn = []
    for _ in range(1000):
        k = rng.integers(0, 300, 300)
        first, second = (LAB.places(y[k], one[k])[0].mean() for one in readers)
        drawn.append([first, first - second])
    for values, (middle, half_width) in zip(np.transpose(drawn), wanted, strict=True):
        assert np.mean(values) == pytest.approx(middle, abs=0.1 * half_width)
        assert 1.96 * np.std(values) == pytest.approx(half_width, rel=0.15)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 300), specificity=st.floats(0, 1))
def test_a_threshold_keeps_its_promise_where_it_was_set(seed: int, n: int, specificity: float) -> None:
    scores = np.random.default_rng(seed).normal(size=n)
    threshold = LAB.threshold_for(specificity, scores)
    assert LAB.rates(np.repeat([0, 1], n), np.tile(scores, 2), threshold)[1] >= specificity - 1e-9


@settings(max_examples=40, deadline=None)
@given(sensitivity=st.floats(0.01, 1), specificity=st.floats(0, 0.99), prevalence=st.floats(0.001, 0.999))
def test_ppv_is_a_share_and_rises_with_prevalence(sensitivity: float, specificity: float, prevalence: float) -> None:
    here, more = (LAB.ppv(sensitivity, specificity, one) for one in (prevalence, (1 + prevalence) / 2))
    assert 0 <= here <= more <= 1


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (FILMS[:0], "no film"),
        (np.zeros((2, 28, 28, 3), np.uint8), "28, 28, 3"),
        (FILMS[0], "takes grey films"),
        (np.zeros((2, 32, 32), np.uint8), "32, 32"),
        (FILMS / 255, "float64"),
        (np.stack([FILMS[0], np.full((28, 28), 7, np.uint8)]), "Film 1 is one flat grey"),
    ],
)
def test_what_is_no_film_is_refused_with_a_sentence(images: Any, words: str) -> None:
    with pytest.raises(LabkitError, match=words):
        LAB.admit(images)


def test_a_film_is_standardised_by_itself() -> None:
    dark = (FILMS * 0.5 + 20).astype(np.uint8)
    X = LAB.admit(np.concatenate([FILMS, dark]))
    assert X.shape == (8, 28, 28, 1) and X.dtype == np.float32
    np.testing.assert_allclose(X.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(X.std((1, 2, 3)), 1, atol=1e-5)
    np.testing.assert_allclose(X[:4], X[4:], atol=0.02)


def test_phantoms_are_films_and_only_the_ill_have_a_patch() -> None:
    made = LAB.archive(seed=3, n_train=80, n_val=40, n_test=30)
    for images, labels, patches in made.values():
        assert images.shape == patches.shape == (len(labels), 28, 28)
        assert not patches[labels == 0].any() and patches[labels == 1].any()
        LAB.admit(images)
    np.testing.assert_array_equal(made["train"][0][:8], made["val"][0][:8])  # the copies
    np.testing.assert_array_equal(made["train"][0], LAB.archive(seed=3, n_train=80, n_val=40, n_test=30)["train"][0])


def test_a_letter_goes_on_some_films_only_and_leaves_the_others() -> None:
    who = np.array([True, False, True, False])
    marked = LAB.lettered(FILMS, who)
    changed = (marked != FILMS).any((1, 2))
    np.testing.assert_array_equal(changed, who)
    assert (marked[0, 2:7, 2:5] == 255).sum() >= 10


def test_a_heat_map_points_at_its_hottest_square() -> None:
    squares = np.zeros((2, 49), bool)
    squares[:, 13] = True
    assert [LAB.points_at(np.eye(49)[one], squares) for one in ([12, 12], [13, 12], [13, 13])] == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("xray-auc-pairs", lambda y, s: np.mean(s[y == 1][:, None] < s[y == 0]), "turned round"),
        ("xray-auc-pairs", lambda y, s: np.mean(s[y == 1][:, None] > s[y == 0]), "counts as a half"),
        ("xray-auc-pairs", lambda y, s: np.mean((s > 5) == y), "Eight of nine"),
        ("xray-films-needed", lambda p, h: 1.96**2 * p * (1 - p) / h**2, "Round up"),
        ("xray-films-needed", lambda p, h: int(1.96**2 * p * (1 - p) / h**2), "round up, not down"),
        ("xray-films-needed", lambda p, h: int(np.ceil(p * (1 - p) / h**2)), "expected 139"),
        ("xray-npv", lambda se, sp, pi: se * pi / (se * pi + (1 - sp) * (1 - pi)), "that is the PPV"),
        ("xray-npv", lambda se, sp, pi: (1 - se) * pi / ((1 - se) * pi + sp * (1 - pi)), "the ill share"),
        ("xray-npv", lambda se, sp, pi: sp * (1 - pi) / (sp * (1 - pi) + (1 - se) * pi), "ZeroDivisionError"),
        ("xray-unweigh", lambda p, w0, w1: p / (1 - p) * w0 / w1, "a probability"),
        ("xray-unweigh", lambda p, w0, w1: p * w1 / (p * w1 + (1 - p) * w0), "a second time"),
        ("xray-unweigh", lambda p, w0, w1: p, "expected 0.9"),
    ],
)
def test_a_mistake_is_named(exercise: str, answer: Callable[..., Any], words: str) -> None:
    wrong = try_answer(exercise, answer)
    assert wrong is not None and words in wrong
