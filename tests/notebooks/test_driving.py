"""The road, the drivers and the guard of the lab driving."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

pytest.importorskip("torch")
CONSTANTS = ("ROAD", "LANES", "CAR", "STEP", "TOP", "ACTIONS", "PEDAL", "WHEEL", "SIGHT", "PRICE")
ROADS = ("idm", "new_roads", "move_others", "touching", "step", "observe", "answer", "drive")
LAB = lift("driving", *CONSTANTS, *ROADS, "keep", "follow", "nearness", "search", "planner", "inputs", "visited")


@settings(max_examples=60, deadline=None)
@given(speed=st.floats(0, 24), wish=st.floats(25, 40))
def test_nobody_accelerates_at_the_steady_gap(speed: float, wish: float) -> None:
    gap = (2 + 1.5 * speed) / np.sqrt(1 - (speed / wish) ** 4)
    assert abs(LAB.idm(speed, gap, 0.0, wish)) < 1e-9
    assert LAB.idm(speed, gap * 0.9, 0.0, wish) < 0 < LAB.idm(speed, gap * 1.1, 0.0, wish)


@pytest.mark.parametrize("cars", [1, 2, 6, 14])
def test_others_never_touch_and_never_drive_backwards(cars: int) -> None:
    roads = LAB.new_roads(30, seed=cars, cars=cars)
    roads.place -= 9
    for _ in range(240):
        LAB.move_others(roads)
        ahead = np.sort(roads.x, axis=2)
        spacing = np.diff(np.concatenate([ahead, ahead[..., :1] + LAB.ROAD], axis=2), axis=2)
        assert spacing.min() > LAB.CAR
        assert roads.v.min() >= 0


def test_the_same_seed_gives_the_same_drives() -> None:
    one, two = (LAB.drive(LAB.follow, LAB.new_roads(5, seed=3), seconds=10) for _ in range(2))
    np.testing.assert_array_equal(one.states, two.states)
    assert (one.crashes, one.speeds.tolist()) == (two.crashes, two.speeds.tolist())


def test_a_lane_change_takes_two_seconds_and_ends_at_the_wall() -> None:
    road = LAB.new_roads(1, seed=0, cars=0)
    places = []
    for number in range(12):
        LAB.step(road, np.array([1 if number == 0 else 0]))  # left, once
        places.append(road.place[0])
    assert np.isclose(places[:8], 1 - np.arange(1, 9) / 8).all() and places[-1] == 0
    LAB.step(road, np.array([1]))
    assert road.target[0] == 0


def test_braking_takes_the_metres_that_the_energy_asks_for() -> None:
    road = LAB.new_roads(1, seed=0, cars=0)
    for _ in range(20):
        LAB.step(road, np.array([4]))
    assert road.metres[0] == pytest.approx(20**2 / (2 * 4)) and road.speed[0] == 0


def test_a_crash_stops_the_car_for_good() -> None:
    road = LAB.new_roads(1, seed=0, cars=1)
    road.x, road.v = np.full((1, 3, 1), 12.0), np.zeros((1, 3, 1))
    road.wish = np.full((1, 3, 1), 1e-3)
    done = LAB.drive(LAB.keep, road, seconds=5)
    assert done.crashes == 1 and road.speed[0] == 0
    assert 0 < road.metres[0] < 12
    alive = done.alive[:, 0]
    assert alive[0] and not alive[-1] and (np.diff(alive.astype(int)) <= 0).all()
    states, actions = LAB.visited(done)
    assert len(states) == len(actions) == alive[:-1].sum()


def test_an_observation_says_what_is_where() -> None:
    road = LAB.new_roads(1, seed=0, cars=1)
    road.x, road.v = np.array([[[40.0], [590.0], [300.0]]]), np.array([[[22.0], [15.0], [18.0]]])
    seen = LAB.observe(road)[0]
    assert seen[:3].tolist() == [20, 1, 1]
    ahead, faster, behind, closing = seen[3:].reshape(4, 3)
    assert ahead.tolist() == [35, 100, 100] and faster.tolist() == [2, 0, 0]
    assert behind.tolist() == [100, 5, 100] and closing.tolist() == [0, -5, 0]


def test_an_empty_road_is_seen_as_empty_and_driven_on() -> None:
    done = LAB.drive(LAB.planner(2), LAB.new_roads(3, seed=0, cars=0), seconds=20)
    assert (done.states[0, :, 3:6] == LAB.SIGHT).all() and done.crashes == 0


def test_the_search_prices_every_sequence_as_a_plain_loop_does() -> None:
    observation = LAB.observe(LAB.new_roads(4, seed=5))
    found = LAB.search(observation.astype(np.float32), 2)
    for row, state in enumerate(observation):
        for k, actions in enumerate(itertools.product(range(5), repeat=2)):
            assert found[row, k] == pytest.approx(price(state, actions), abs=0.01)


def price(state: np.ndarray, actions: tuple[int, ...]) -> float:
    """One future, step by step."""
    speed, place, target = state[:3]
    ahead, faster, behind, closing = state[3:].reshape(4, 3)
    total, moved, time = 0.0, 0.0, 0.0
    for action in actions:
        wanted = target + LAB.WHEEL[action]
        target = min(max(wanted, 0), 2)
        total += LAB.PRICE["pedal"] * (action in (3, 4)) + LAB.PRICE["wheel"] * (action in (1, 2))
        total += LAB.PRICE["wall"] * (wanted != target)
        for _ in range(2):
            time += 0.5
            before, speed = speed, min(max(speed + LAB.PEDAL[action] / 2, 0), LAB.TOP)
            moved += (before + speed) / 4
            place += min(max(target - place, -0.25), 0.25)
            for lane in range(3):
                if abs(place - lane) < 0.8:
                    gaps = [gap if gap < LAB.SIGHT else 1e6 for gap in (ahead[lane], behind[lane])]
                    in_front, at_back = faster[lane] + state[0], closing[lane] + state[0]
                    rooms = gaps[0] + in_front * time - moved, gaps[1] + moved - at_back * time
                    total += float(LAB.nearness(*map(np.asarray, (*rooms, speed, in_front, at_back))))
            total -= speed / 2
    return total


def returning(value: Any) -> Any:
    return lambda observation: value


@pytest.mark.parametrize(
    ("driver", "observation", "said"),
    [
        (LAB.keep, np.where(np.eye(3, 15) == 1, np.nan, 0)[[2, 1, 0]], "A sensor of road 0 gives no number"),
        (LAB.keep, np.where(np.arange(30).reshape(2, 15) == 20, np.inf, 0), "A sensor of road 1 gives no number"),
        (returning(np.array([0, 5])), np.zeros((2, 15)), "There is no such action"),
        (returning(np.array([0])), np.zeros((2, 15)), "There is no such action"),
        (returning(np.array([0.5, 1.0])), np.zeros((2, 15)), "There is no such action"),
    ],
)
def test_the_guard_refuses_what_nobody_should_drive_on(driver: Any, observation: np.ndarray, said: str) -> None:
    with pytest.raises(LabkitError, match=said):
        LAB.answer(driver, observation)


def test_no_roads_are_refused() -> None:
    with pytest.raises(LabkitError, match="0 roads were asked for"):
        LAB.new_roads(0, seed=1)


def test_the_network_sees_its_own_lane_in_the_middle_and_walls_beside_the_road() -> None:
    road = LAB.new_roads(1, seed=0, cars=1)
    road.target, road.place = np.array([0.0]), np.array([0.0])
    around = LAB.inputs(LAB.observe(road))[0, 3:].reshape(4, 3)
    wall = (np.array([-1.0, -20, -1, 0]) - [45, 0, 45, 0]) / [30, 10, 30, 10]
    np.testing.assert_allclose(around[:, 0], wall, rtol=1e-6)
    own = LAB.observe(road)[0, 3:].reshape(4, 3)[:, 0]
    np.testing.assert_allclose(around[:, 1], (own - [45, 0, 45, 0]) / [30, 10, 30, 10], rtol=1e-5)
