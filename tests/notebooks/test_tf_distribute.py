"""The lab tf-distribute: how a batch is cut and what a mean of means is worth, and checks that explain."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

with pytest.MonkeyPatch.context() as patch:
    for name in ("tensorflow", "keras"):  # seconds of import, and nothing here needs them
        patch.setitem(sys.modules, name, ModuleType(name))
    lab = lift("tf-distribute", "landing_by_hand", "cut")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 40), st.integers(1, 9))
def test_a_cut_batch_is_whole_and_the_last_parts_are_the_smallest(n: int, devices: int) -> None:
    parts = lab.cut(np.arange(n), devices)
    sizes = [len(part) for part in parts]
    assert len(parts) == devices
    assert np.concatenate(parts).tolist() == list(range(n))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == -(-n // devices)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 1000))
def test_a_sample_counts_as_the_page_says(sizes: list[int], seed: int) -> None:
    """n / (R m) times as much as it should, on a device with m of n samples, of R devices."""
    n, devices = sum(sizes), len(sizes)
    targets = np.random.default_rng(seed).normal(size=n)
    factors = np.repeat([n / (devices * size) for size in sizes], sizes)
    landed = lab.landing_by_hand(np.split(targets, np.cumsum(sizes)[:-1]))
    assert np.isclose(landed, np.mean(factors * targets))
    if len(set(sizes)) == 1:
        assert np.isclose(landed, targets.mean())


def every_other_sample(n: int, batch_size: int, worker: int, workers: int) -> list[int]:
    return list(range(worker, n, workers))


def half_of_the_data(n: int, batch_size: int, worker: int, workers: int) -> list[int]:
    return lab.cut(list(range(n)), workers)[worker]


def short_batch_rounded_down(n: int, batch_size: int, worker: int, workers: int) -> list[int]:
    size, mine = batch_size // workers, []
    for start in range(0, n - n % batch_size, batch_size):
        mine += list(range(start + worker * size, start + (worker + 1) * size))
    return mine


@pytest.mark.parametrize(
    ("exercise", "answer", "says"),
    [
        ("ragged-mean", lambda means, counts: np.mean(means), "the mean of the means"),
        ("ragged-mean", lambda means, counts: sum(means * counts) / len(means), "expected"),
        ("ragged-mean", lambda means, counts: np.dot(means, counts) / np.sum(counts), "nan times 0"),
        ("ragged-mean", lambda means, counts: "three", "numbers were expected"),
        ("replica-loss", lambda losses, penalty, n, devices: np.mean(losses) + penalty, "add up to 6"),
        ("replica-loss", lambda losses, penalty, n, devices: np.sum(losses) / n + penalty, "arrives as 20"),
        ("replica-loss", lambda losses, penalty, n, devices: (np.mean(losses) + penalty) / devices, "whatever this part"),
        ("replica-loss", lambda losses, penalty, n, devices: np.sum(losses) / n, "penalty of 10"),
        ("replica-loss", lambda losses, penalty, n, devices: losses / n, "shape"),
        ("worker-samples", half_of_the_data, "DATA cuts each batch"),
        ("worker-samples", every_other_sample, "neighbours"),
        ("worker-samples", short_batch_rounded_down, "Mind the last batch"),
        ("worker-samples", lambda n, batch_size, worker, workers: 3, "int came"),
        ("layout-matches", lambda pattern, paths: [p for p in paths if re.search(pattern, p)], "whole path"),
        ("layout-matches", lambda pattern, paths: [p for p in paths if re.match(pattern, p)], "goes on behind it"),
        ("layout-matches", lambda pattern, paths: [p for p in paths if pattern == p], ".*dense.*kernel"),
        ("layout-matches", lambda pattern, paths: 2, "int came"),
    ],
)  # fmt: skip
def test_checks_name_typical_mistakes(exercise: str, answer: Any, says: str) -> None:
    assert says in (try_answer(exercise, answer) or "passed")


@pytest.mark.parametrize("exercise", ["ragged-mean", "replica-loss", "worker-samples", "layout-matches"])
def test_no_answer_is_no_mistake(exercise: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(exercise, lambda *given: [None][0])
