"""What the doctor says of each lab, on machines that lack one thing or another."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from labkit import readiness
from labkit._machine import describe
from labkit.cli import main
from labkit.course import FRAMEWORKS, load_course

COURSE = load_course()
LAB = replace(COURSE.lab("lenet"), frameworks=("torch",), also=(), simulates_without="")
MACHINE = replace(describe(), usable_cores=2, accelerators=())


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The frameworks that are installed: a set to take from."""
    names = set(FRAMEWORKS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in names else None)
    return names


def test_a_lab_with_all_it_needs_runs_in_full(here: set[str]) -> None:
    assert readiness.readiness(LAB, MACHINE) == readiness.Readiness("lenet", "in full")


def test_without_a_framework_it_needs_a_lab_does_not_run(here: set[str]) -> None:
    here -= {"torch", "keras"}
    found = readiness.readiness(replace(LAB, frameworks=("torch", "keras"), simulates_without="a TPU"), MACHINE)
    assert (found.how, found.why) == ("not at all", "no PyTorch and no Keras here")
    assert "make lab" in found.todo


def test_without_a_framework_it_can_do_without_a_lab_runs_in_part(here: set[str]) -> None:
    here -= {"jax"}
    found = readiness.readiness(replace(LAB, also=("tensorflow", "jax")), MACHINE)
    assert (found.how, found.why) == ("in part", "no JAX here")
    assert "jax" in found.todo


@pytest.mark.parametrize(
    ("need", "machine", "how"),
    [
        ("two cores", MACHINE, "in full"),
        ("two cores", replace(MACHINE, usable_cores=1), "simulated"),
        ("two accelerators", MACHINE, "simulated"),
        ("two accelerators", replace(MACHINE, accelerators=("NVIDIA T4, 15 GiB",)), "simulated"),
        ("two accelerators", replace(MACHINE, accelerators=("8 x NVIDIA H100 80GB HBM3, 80 GiB",)), "in full"),
        ("two accelerators", replace(MACHINE, accelerators=("NVIDIA T4, 15 GiB", "NVIDIA A100, 40 GiB")), "in full"),
        ("a TPU", replace(MACHINE, accelerators=("8 x NVIDIA H100 80GB HBM3, 80 GiB",)), "simulated"),
        ("a TPU", replace(MACHINE, accelerators=("TPU v5e",)), "in full"),
    ],
)
def test_a_lab_about_hardware_that_is_not_here_is_simulated(need: str, machine, how: str, here: set[str]) -> None:
    found = readiness.readiness(replace(LAB, simulates_without=need), machine)
    assert found.how == how
    assert (found.why == "") == (how == "in full")


def test_a_simulated_lab_also_says_what_it_skips(here: set[str]) -> None:
    here -= {"libtpu"}
    found = readiness.readiness(replace(LAB, also=("libtpu",), simulates_without="a TPU"), MACHINE)
    assert found.how == "simulated"
    assert "no TPU here" in found.why and "no libtpu" in found.why
    assert "make lab WITH=tpu" in found.todo


@pytest.mark.parametrize(
    ("places", "how", "words"),
    [
        ({"a/all": "LABKIT_DATA", "b/all": "not here"}, "in full", ""),
        ({"a/all": "network, 2.0 MB", "b/all": "cache"}, "in full", ""),
        ({"a/all": "network, 2.0 MB", "b/all": "not here"}, "simulated", "a is not here (network, 2.0 MB)"),
    ],
)
def test_real_data_that_is_not_here_is_simulated(
    places: dict[str, str], how: str, words: str, here: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.data.where", lambda name, split: places[f"{name}/{split}"])
    found = readiness.readiness(replace(LAB, stand_in_for=tuple(places)), MACHINE)
    assert found.how == how and words in found.why
    assert ("labkit data fetch a" in found.todo) == (how == "simulated")


def test_a_folder_of_data_that_is_not_there_is_told_and_does_not_stop_the_doctor(
    here: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "nowhere"))
    found = readiness.readiness(replace(LAB, stand_in_for=("ml-100k/ratings",)), MACHINE)
    assert found.how == "simulated" and "LABKIT_DATA is" in found.why


def test_the_doctor_tells_of_every_lab(here: set[str], monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(readiness, "describe", lambda: MACHINE)
    here -= {"tensorflow"}
    assert main(["doctor", "--labs"]) == 0
    report = readiness.report()
    said = capsys.readouterr().out
    assert said.endswith(f"\n{report}\n")
    assert max(map(len, report.splitlines())) <= 80
    told = [line.split()[0] for line in report.splitlines() if not line.startswith(" ")]
    assert told == list(COURSE.labs)
    assert f"of {len(COURSE.labs)} run in full" in readiness.summary(MACHINE)
    assert "in part: autodiff" in readiness.summary(MACHINE)
