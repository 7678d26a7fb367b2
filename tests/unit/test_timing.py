"""The stopwatch: the least of several, and turns."""

from __future__ import annotations

import pytest

from labkit.errors import LabkitError
from labkit.timing import race, seconds_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr("labkit.timing.time.perf_counter", lambda: now[0])
    return now


def test_seconds_are_the_least_of_all_repeats(clock: list[float]) -> None:
    delays = iter([3.0, 1.0, 2.0])

    def work() -> None:
        clock[0] += next(delays)

    assert seconds_of(work, repeats=3) == 1.0


def test_a_race_runs_in_turns_after_one_warm_up_each(clock: list[float]) -> None:
    order: list[str] = []
    slow_start = {"a": [50.0, 2.0, 5.0], "b": [60.0, 4.0, 1.0]}

    def work(name: str) -> None:
        clock[0] += slow_start[name][order.count(name)]
        order.append(name)

    assert race({"a": lambda: work("a"), "b": lambda: work("b")}, rounds=2) == {"a": 2.0, "b": 1.0}
    assert order == ["a", "b", "a", "b", "a", "b"]


def test_no_repeats_and_no_rounds_are_refused() -> None:
    with pytest.raises(LabkitError, match="at least 1"):
        seconds_of(lambda: None, repeats=0)
    ran: list[str] = []
    with pytest.raises(LabkitError, match="at least 1"):
        race({"a": lambda: ran.append("a")}, rounds=0)
    assert ran == [], "nothing is run before the refusal"


def test_an_error_in_the_work_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        race({"a": lambda: 1 / 0})
