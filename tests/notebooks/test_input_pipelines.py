"""The lab input-pipelines: the simulation against the formula, queues that keep order, loaders that leave nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
lab = lift("input-pipelines", "order_of", "background", "simulate", "Carried", "Loader", "buffer_shuffle")
times = st.lists(st.floats(0.1, 10), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.floats(0.1, 10), st.floats(0.1, 10), st.integers(1, 5))
def test_one_worker_and_even_times_are_the_formula(n: int, a: float, b: float, prefetch: int) -> None:
    _, steps = lab.simulate([a] * n, [b] * n, 1, prefetch)
    assert steps[-1, 1] == pytest.approx(n * max(a, b) + min(a, b))


@settings(max_examples=40, deadline=None)
@given(times, times, st.integers(1, 4), st.integers(1, 4))
def test_the_simulation_breaks_no_law(load: list[float], compute: list[float], workers: int, prefetch: int) -> None:
    load, compute = load[: len(compute)], compute[: len(load)]
    loads, steps = lab.simulate(load, compute, workers, prefetch)
    total = steps[-1, 1]
    assert total >= sum(compute) + load[0] - 1e-9
    assert total >= sum(load) / workers - 1e-9, "no more can be loaded at a time than there are workers"
    assert total <= sum(load) + sum(compute) + 1e-9
    assert (steps[:, 0] >= loads[:, 1]).all() and (steps[1:, 0] >= steps[:-1, 1]).all()
    for k in range(len(load)):  # batches on the way when batch k begins to load, itself included
        assert (steps[:k, 0] > loads[k, 0] + 1e-12).sum() + 1 <= workers * prefetch
    assert lab.simulate(load, compute, workers, prefetch + 1)[1][-1, 1] <= total + 1e-9


def test_each_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    first, again, second = lab.order_of(0, 50), lab.order_of(0, 50), lab.order_of(1, 50)
    assert first == again
    assert sorted(first) == [(0, i) for i in range(50)] and sorted(second) == [(1, i) for i in range(50)]
    assert [i for _, i in first] != [i for _, i in second]


@pytest.mark.parametrize("prefetch", [1, 3])
def test_the_background_keeps_order_and_never_runs_ahead(prefetch: int) -> None:
    started: list[int] = []

    def load(i: int) -> int:
        started.append(i)
        return 10 * i

    for taken, batch in enumerate(lab.background(load, range(20), prefetch), start=1):
        assert batch == 10 * (taken - 1)
        assert len(started) <= taken + prefetch
    assert started == list(range(20))


def wait_until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_the_background_passes_errors_on_and_ends_with_its_loop() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(lab.background(lambda i: 1 / (i - 2), range(5)))
    for _ in lab.background(lambda i: i, range(1000)):
        break
    assert wait_until(lambda: threading.active_count() == before)


class Slow:
    def __len__(self) -> int:
        return 400

    def __getitem__(self, i: int) -> int:
        time.sleep(0.02)
        return i


def slow_loader(persistent: bool = False) -> Any:
    return lab.Loader(
        lab.Carried(Slow()), 4, num_workers=2, multiprocessing_context="fork", persistent_workers=persistent
    )


needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")


@needs_fork
@pytest.mark.parametrize("persistent", [False, True])
def test_an_interrupted_loader_leaves_no_process(persistent: bool) -> None:
    loader = slow_loader(persistent)
    stop = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    stop.start()
    with pytest.raises(KeyboardInterrupt) as held:  # keeps the traceback, as a notebook does
        for _ in loader:
            pass
    assert held.value is not None
    assert wait_until(lambda: not multiprocessing.active_children())


@needs_fork
def test_a_loader_that_was_left_early_can_be_used_again() -> None:
    loader = slow_loader(persistent=True)
    for _ in range(2):
        assert next(iter(loader)).tolist() == [0, 1, 2, 3]
    assert wait_until(lambda: not multiprocessing.active_children())


@needs_fork
def test_an_error_in_a_worker_arrives_and_its_loader_ends() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loader = lab.Loader(lab.Carried({0: 1}), 1, sampler=[0, 1], num_workers=1, multiprocessing_context="fork")
        with pytest.raises(KeyError):
            list(loader)
    assert wait_until(lambda: not multiprocessing.active_children())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 100))
def test_a_buffer_loses_nothing_and_reaches_no_further_than_its_size(n: int, size: int, seed: int) -> None:
    came = list(lab.buffer_shuffle(range(n), size, np.random.default_rng(seed)))
    assert sorted(came) == list(range(n))
    assert all(item <= place + size - 1 for place, item in enumerate(came))
    if size == 1:
        assert came == list(range(n))


def _forgetful(stages: list[str]) -> Iterator[str]:
    stages.append("cache")
    return stages  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("pipeline-waiting-share", lambda real, repeated: repeated / real, "Asked is the rest"),
        ("pipeline-waiting-share", lambda real, repeated: real / repeated - 1, "share of the whole run"),
        ("pipeline-waiting-share", lambda real, repeated: 1 - repeated / real, "cannot be negative"),
        ("pipeline-waiting-share", lambda real, repeated: "much", "numbers were expected"),
        ("pipeline-workers-needed", lambda load, compute: load // compute, "Round up"),
        ("pipeline-workers-needed", lambda load, compute: load / compute, "Round up"),
        ("pipeline-workers-needed", lambda load, compute: load // compute + 1, "just enough"),
        ("pipeline-workers-needed", lambda load, compute: 3 if load == 80 and compute == 30 else 9, "just enough"),
        ("pipeline-cache-place", lambda stages: [*stages, "cache"], "the same each epoch"),
        ("pipeline-cache-place", lambda stages: ["cache", *stages], "is done anew each epoch"),
        ("pipeline-cache-place", lambda stages: [*stages[:2], "cache", *stages[2:]], "is done anew each epoch"),
        ("pipeline-cache-place", lambda stages: stages, "one 'cache' were expected"),
        ("pipeline-cache-place", lambda stages: "cache", "A list was expected"),
        ("pipeline-cache-place", _forgetful, "Return a new one"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


@pytest.mark.parametrize("name", ["pipeline-waiting-share", "pipeline-workers-needed", "pipeline-cache-place"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
