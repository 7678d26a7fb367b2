"""Running labs without a browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from labkit import build
from labkit.cli import main
from labkit.course import Course
from labkit.run import report, run_lab
from tests.conftest import LAB, MANIFEST

MakeCourse = Callable[..., Course]


def test_claims_are_gathered_and_the_notebook_stays_as_it_was(make_course: MakeCourse, tmp_path: Path) -> None:
    course = make_course()
    build.build(course)
    before = course.lab("adding").notebook.read_bytes()
    seen: list[tuple[int, int]] = []
    result = run_lab(
        course.lab("adding"), on_cell=lambda done, total: seen.append((done, total)), save_to=tmp_path / "out"
    )
    assert result.ok, result.error
    assert seen[-1] == (4, 4)
    document = json.loads(json.dumps(report([result])))["labs"]["adding"]
    assert (document["ok"], document["mode"]) == (True, "quick")
    assert document["claims"] == [{"name": "adding.sum", "value": 4, "band": "exactly 4", "ok": True}]
    assert course.lab("adding").notebook.read_bytes() == before
    executed = nbformat.read(tmp_path / "out" / "adding.ipynb", as_version=4)
    assert "✓ adding.sum = 4" in executed.cells[3].outputs[0].text


REAL = """
datasets = ["ml-100k"]
stand_in_for = ["ml-100k/ratings"]

[lab.claims_on_real]
"adding.real" = "Real numbers add up, too"
"""


@pytest.mark.parametrize(("here", "missing"), [(True, ["adding.real"]), (False, [])])
def test_a_claim_on_real_data_is_due_where_that_data_is(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch, here: bool, missing: list[str]
) -> None:
    course = make_course(manifest=MANIFEST.replace('hardware = ["cpu"]\n', 'hardware = ["cpu"]' + REAL, 1))
    build.build(course)
    monkeypatch.setattr("labkit.data.available", lambda name, split: here and (name, split) == ("ml-100k", "ratings"))
    result = run_lab(course.lab("adding"))
    assert (result.ok, result.missing) == (not here, missing)


@pytest.mark.parametrize(
    ("old", "new", "missing", "error"),
    [
        ("2 + 2", "2 + 3", [], ""),
        ('claim("adding.sum", total, equals=4)', "total", ["adding.sum"], ""),
        ("2 + 2", "two + 2", [], "NameError: name 'two' is not defined"),
        ("2 + 2", "__import__('os')._exit(3)", [], "Kernel died"),
    ],
)
def test_a_lab_that_does_not_hold_is_not_ok(
    make_course: MakeCourse, old: str, new: str, missing: list[str], error: str
) -> None:
    course = make_course(lab=LAB.replace(old, new))
    build.build(course)
    result = run_lab(course.lab("adding"))
    assert not result.ok
    assert result.missing == missing
    assert error in result.error


def test_the_mode_may_come_from_the_environment(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course = make_course()
    build.build(course)
    monkeypatch.setenv("LABKIT_COURSE", str(course.root))
    for environment, option, said in [("full", [], "full"), ("", [], "quick"), ("full", ["--mode", "quick"], "quick")]:
        monkeypatch.setenv("LABKIT_MODE", environment)
        main(["run", "adding", *option])
        assert f"s in {said} mode" in capsys.readouterr().out


def test_full_mode_reaches_the_kernel(make_course: MakeCourse) -> None:
    course = make_course(
        lab=LAB.replace("import claim", "import claim, pick").replace("2 + 2", "pick(quick=4, full=5)")
    )
    build.build(course)
    assert run_lab(course.lab("adding"), mode="quick").ok
    assert run_lab(course.lab("adding"), mode="full").claims[0]["value"] == 5


@pytest.mark.parametrize(("lab", "status"), [(LAB, 0), (LAB.replace("2 + 2", "2 + 3"), 1)])
def test_the_command_exits_with_what_was_measured(
    make_course: MakeCourse,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    lab: str,
    status: int,
) -> None:
    course = make_course(lab=lab)
    build.build(course)
    monkeypatch.setattr("labkit.course.load_course", lambda: course)
    assert main(["run", "adding", "--json", str(tmp_path / "out.json")]) == status
    assert json.loads((tmp_path / "out.json").read_text())["labs"]["adding"]["ok"] is (status == 0)
    assert ("✓ adding" if status == 0 else "✗ adding") in capsys.readouterr().out


def test_an_unknown_lab_ends_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lennet"]) == 1
    assert capsys.readouterr().err.startswith("labkit: There is no lab called 'lennet'. Did you mean lenet")


def test_a_lab_needing_what_is_not_installed_says_how_to_add_it(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labkit import session
    from labkit.errors import LabkitError

    course = make_course(MANIFEST.replace('hardware = ["cpu"]', 'hardware = ["cpu"]\nframeworks = ["torch", "jax"]'))
    monkeypatch.setattr("labkit.session.load_course", lambda: course)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jax" else object())
    with pytest.raises(LabkitError, match=r"needs JAX.*make lab.*labkit\[jax\] @ git\+https://github.com/owner/name"):
        session.begin("adding")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_stops_a_run_with_one_line(make_course: MakeCourse, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    waiting = f"import pathlib, time; pathlib.Path({str(reached)!r}).touch(); time.sleep(600)"
    build.build(make_course(lab=LAB.replace("total = 2 + 2", f"{waiting}\ntotal = 2 + 2")))
    command = [sys.executable, "-m", "labkit.cli", "run", "adding"]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    limit = time.monotonic() + 120
    while not reached.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(program.pid, signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert said.splitlines()[-1] == "labkit: stopped"
    assert "AssertionError" not in said, "nbclient asks after the kernel that it has just ended"
