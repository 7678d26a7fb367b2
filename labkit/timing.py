"""How long work takes, measured so that a busy machine disturbs the answer as little as possible."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from labkit.errors import LabkitError


def seconds_of(work: Callable[[], Any], repeats: int = 1) -> float:
    """Call ``work()`` ``repeats`` times and return the least time, in seconds of the clock.

    The least, because whatever else the machine does can only add time. Work on a GPU must wait for its own end.
    """
    if repeats < 1:
        raise LabkitError(f"Work cannot be timed {repeats} times", todo="repeats must be at least 1")
    least = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    return least


def race(works: Mapping[str, Callable[[], Any]], rounds: int = 5) -> dict[str, float]:
    """Time several ways of doing something: the least seconds of each, by name.

    They run in turns, one after the other in each round, so that a busy minute of the machine hits all of them. Each runs
    once beforehand, untimed, so that nobody pays for what happens only the first time.
    """
    if rounds < 1:
        raise LabkitError(f"A race of {rounds} rounds has no winner", todo="rounds must be at least 1")
    for work in works.values():
        work()
    laps = [{name: seconds_of(work) for name, work in works.items()} for _ in range(rounds)]
    return {name: min(lap[name] for lap in laps) for name in works}
