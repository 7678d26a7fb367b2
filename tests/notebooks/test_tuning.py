"""What the lab tuning builds, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notebooks.lifting import lift

LAB = lift("tuning", "density", "tpe", "halving", "looks", "shifted", "interval", "of_the_best_so_far", "place")


@given(st.lists(st.floats(-3, -1), min_size=1, max_size=30))
def test_a_density_has_area_one(places: list[float]) -> None:
    x = np.linspace(-6, 2, 4001)
    bumps = LAB.density(x, np.array(places)) - 1 / 4 / (len(places) + 1)  # without the flat one
    assert bumps.sum() * (x[1] - x[0]) == pytest.approx(len(places) / (len(places) + 1), abs=1e-3)


@pytest.mark.parametrize("peak", [-3.5, -2.0, -0.2])
def test_tpe_finds_a_peak_and_stays_in_the_range(peak: float) -> None:
    x, y = LAB.tpe(np.random.default_rng(0), lambda x: -abs(x - peak), 60)
    assert x.shape == y.shape == (60,)
    assert x.min() >= -4
    assert x.max() <= 0
    assert np.median(np.abs(x[30:] - peak)) < 0.5
    assert np.abs(x - peak).min() < 0.1


@given(st.integers(0, 10_000))
def test_halving_keeps_the_better_half_of_each_look(seed: int) -> None:
    networks = np.random.default_rng(seed).random((16, len(LAB.looks), 7)) < 0.5
    alive = list(range(16))
    for look in range(len(LAB.looks)):
        alive.sort(key=lambda i: -networks[i, look].mean())
        if look < len(LAB.looks) - 1:
            alive = alive[: len(alive) // 2]
    assert LAB.halving(networks, list(range(7))) == (alive[0], 16 + 8 + 4 * 2 + 2 * 4 + 1 * 8)


def test_a_network_that_is_always_best_wins() -> None:
    networks = np.zeros((64, len(LAB.looks), 10), dtype=bool)
    networks[37] = True
    assert LAB.halving(networks, [0, 3])[0] == 37


@given(st.integers(1, 20), st.integers(0, 10_000))
def test_a_shifted_grid_has_one_value_in_each_cell(values: int, seed: int) -> None:
    points = LAB.shifted(np.random.default_rng(seed), values)
    assert list(np.floor(points * values + 1e-9)) == list(range(values))


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 3 <= high for low, high in (LAB.interval(rng.normal(3, 2, 100)) for _ in range(1000))]
    assert 0.92 < np.mean(covered) < 0.97


def test_the_best_so_far_is_chosen_by_validation_alone() -> None:
    rows = np.array([[0.5, 0.9], [0.7, 0.1], [0.6, 1.0]])
    assert LAB.of_the_best_so_far(rows).tolist() == [[0.5, 0.9], [0.7, 0.1], [0.7, 0.1]]


def test_the_nearest_value_is_nearest_on_a_logarithmic_scale() -> None:
    assert LAB.place(np.array([1.0, 100.0]), 11.0) == 1
    assert LAB.place(np.array([1.0, 100.0]), 9.0) == 0
