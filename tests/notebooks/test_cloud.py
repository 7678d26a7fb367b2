"""The lab cloud: its simulation against Daly's sum, its checkpoints, its texts for clusters, checks that explain."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
lab = lift(
    "cloud",
    *("clock_times", "youngs", "dalys", "fresh", "everything", "restore", "save_in_place", "save_aside", "step_in"),
    *("kubernetes", "ray_train", "ray_imports", "imports", "main"),
)


@settings(max_examples=25, deadline=None)
@given(st.floats(5, 200), st.floats(0.1, 20), st.floats(0, 30), st.floats(50, 5000), st.integers(0, 1000))
def test_the_simulation_is_dalys_sum(interval: float, saving: float, restart: float, mean: float, seed: int) -> None:
    if interval + saving > 2 * mean:
        return  # hardly an interval would ever be finished
    times = lab.clock_times(99.5 * interval, interval, saving, restart, mean, 2000, seed)
    expected = 100 * interval * (1 + lab.dalys(interval, saving, restart, mean))
    assert times.min() >= 100 * (interval + saving) * (1 - 1e-9)
    assert abs(times.mean() - expected) < 6 * times.std() / math.sqrt(2000) + 1e-6 * expected


@pytest.mark.parametrize("interval", [0, -5.0, float("nan")])
def test_no_interval_is_refused_in_a_sentence(interval: float) -> None:
    with pytest.raises(LabkitError, match="No work fits between checkpoints"):
        lab.clock_times(100, interval, 1, 1, 1000, 5)


def test_without_failures_only_saving_costs() -> None:
    assert lab.clock_times(100, 10, 1, 5, 1e12, 3) == pytest.approx(110)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 5), st.floats(1000, 100_000))
def test_youngs_interval_is_near_the_least_of_dalys_sum(saving: float, mean: float) -> None:
    intervals = np.geomspace(saving / 10, 10 * mean, 4000)
    assert lab.dalys(lab.youngs(saving, mean), saving, 0, mean) <= 1.06 * lab.dalys(intervals, saving, 0, mean).min()


@pytest.mark.parametrize("at", [10, 1000, -1])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "checkpoint.pt"
    lab.save_aside({"step": 7} | lab.everything(*lab.fresh()), path)
    assert lab.step_in(path) == 7
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    path.write_bytes(path.read_bytes()[:at])
    assert lab.step_in(path) != 7


def test_restoring_brings_back_every_part() -> None:
    parts = lab.fresh()
    state = copy.deepcopy(lab.everything(*parts))
    first = torch.rand(3), torch.rand(3, generator=parts[2])
    with torch.no_grad():
        parts[0][1].weight.add_(1)
    lab.restore(state, *parts)
    assert torch.equal(parts[0][1].weight, state["model"]["1.weight"])
    assert torch.equal(first[0], torch.rand(3)) and torch.equal(first[1], torch.rand(3, generator=parts[2]))


def test_the_texts_for_clusters_are_what_they_say() -> None:
    for text in (lab.ray_imports + lab.ray_train, lab.imports + lab.main):
        compile(text, "text", "exec")
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all(lab.kubernetes)
    assert (service["kind"], service["apiVersion"], job["kind"], job["apiVersion"]) == (
        "Service",
        "v1",
        "Job",
        "batch/v1",
    )
    assert service["spec"]["clusterIP"] == "None", "the word, which means headless, and not nothing"
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "a podFailurePolicy asks for it"
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert all(isinstance(word, str) for word in pod["containers"][0]["command"])


def _shallow(model: Any, optimizer: Any, order: Any) -> dict[str, Any]:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return state | {"order": order.get_state(), "chance": torch.get_rng_state()}


def _half(model: Any, optimizer: Any, order: Any) -> dict[str, Any]:
    return _shallow(model, optimizer, order) | {"model": copy.deepcopy(model.state_dict())}


def _deep(model: Any, optimizer: Any, order: Any) -> dict[str, Any]:
    return copy.deepcopy(_shallow(model, optimizer, order))


def _other_chance(model: Any, optimizer: Any, order: Any) -> dict[str, Any]:
    return _deep(model, optimizer, order) | {"chance": order.get_state()}


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("quiet-run", lambda n, t, m: math.exp(-t / m), "mean time is 10 hours"),
        ("quiet-run", lambda n, t, m: 1 - math.exp(-t * n / m), "Nothing fails in no time"),
        ("quiet-run", lambda n, t, m: max(0.0, 1 - t * n / m), "1/e"),
        ("frozen-snapshot", _shallow, "the model's own tensors"),
        ("frozen-snapshot", _half, "what the optimiser remembers moved along"),
        ("frozen-snapshot", _other_chance, "states of chance"),
        ("frozen-snapshot", lambda m, o, g: {"model": copy.deepcopy(m.state_dict())}, "'optimizer' is missing"),
        ("frozen-snapshot", lambda m, o, g: [1], "a list came"),
        ("best-interval", lambda c, m, n: math.sqrt(2 * c * m), "time of one"),
        ("best-interval", lambda c, m, n: math.sqrt(2 * c * m) / n, "under the square root"),
        ("best-interval", lambda c, m, n: math.sqrt(c * m / n), "The example of the page"),
        ("usd-per-epoch", lambda f, p, share, usd, o: f / (p * share) * (1 + o) * usd, "3,600 seconds"),
        ("usd-per-epoch", lambda f, p, share, usd, o: f / p * share / 3600 * (1 + o) * usd, "twice as long"),
        ("usd-per-epoch", lambda f, p, share, usd, o: f / (p * share) / 3600 * usd, "a quarter more"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


def test_a_right_snapshot_passes_and_leaves_chance_alone() -> None:
    before = torch.get_rng_state()
    assert try_answer("frozen-snapshot", _deep) is None
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["quiet-run", "frozen-snapshot", "best-interval", "usd-per-epoch"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
