"""The command line: exit statuses mean what they say, and every error is one sentence without a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import build
from labkit.cli import main
from labkit.course import Course


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["run", "lennet"], "no lab called 'lennet'. Did you mean lenet"),
        (["grade", "ps2-lnet"], "no assignment called 'ps2-lnet'. Did you mean ps2-lenet"),
        (["submit", "ps2"], "no assignment called 'ps2'. Did you mean ps2-lenet"),
        (["release", "lenet"], "no assignment called 'lenet'. Did you mean ps2-lenet"),
        (["demo-class", "ps2-lenett"], "Did you mean ps2-lenet"),
        (["demo-class", "ps2-lenet", "--students", "0"], "A class of 0 cannot be graded"),
        (["data", "fetch", "mnits"], "no data set called 'mnits'. Did you mean mnist"),
        (["build", "--pull", "lennet"], "no assignment called 'lennet'"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence_and_exit_1(
    capsys: pytest.CaptureFixture[str], command: list[str], said: str
) -> None:
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("labkit: ")
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", [[], ["fly"], ["run"], ["run", "lenet", "--mode", "slow"], ["data"]])
def test_a_command_that_is_none_exits_2(command: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2


def test_build_check_fails_on_drift_and_build_mends_it(
    make_course: Callable[..., Course], capsys: pytest.CaptureFixture[str]
) -> None:
    make_course()
    assert main(["build", "--check"]) == 1
    assert "was never built" in capsys.readouterr().out
    assert main(["build"]) == 0
    assert main(["build", "--check"]) == 0
    assert "every notebook is what its source says" in capsys.readouterr().out


def test_building_one_item_leaves_the_others_alone_and_claims_nothing_about_them(
    make_course: Callable[..., Course], capsys: pytest.CaptureFixture[str]
) -> None:
    course = make_course()
    assert main(["build", "adding"]) == 0
    assert course.lab("adding").notebook.is_file()
    assert not course.assignment("ps0-adding").notebook.exists()
    capsys.readouterr()
    assert main(["build", "--check", "adding"]) == 0
    assert capsys.readouterr().out == "every notebook of adding is what its source says\n"
    assert main(["build", "--check"]) == 1
    assert main(["build", "ading"]) == 1
    assert "'ading'" in capsys.readouterr().err


def test_building_needs_a_checkout(make_course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch) -> None:
    course = make_course()
    build.build(course)
    monkeypatch.setattr("labkit.course.PACKAGE", course.root.parent / "elsewhere")
    monkeypatch.setattr("labkit.course.Course.is_checkout", False)
    assert main(["build"]) == 1


def test_data_list_and_verify_work_without_a_network(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    assert main(["data", "list"]) == 0
    assert main(["data", "verify", "mnist"]) == 0
    said = capsys.readouterr().out
    assert "mnist-10k.npz" in said
    assert "CC BY-SA 3.0" in said


def test_output_may_be_cut_off_by_a_pipe() -> None:
    command = f"{sys.executable} -m labkit.cli data list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""


def test_the_doctor_fits_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Python") for line in lines)


def test_a_broken_manifest_is_a_sentence_for_every_verb(
    make_course: Callable[..., Course], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    course = make_course()
    (course.root / "notebooks" / "course.toml").write_text("[course\n")
    for command in (["run", "adding"], ["build", "--check"], ["grade", "ps0-adding"]):
        assert main(command) == 1
        assert "course.toml is not valid TOML" in capsys.readouterr().err
