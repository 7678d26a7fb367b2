"""What ``make`` does before anything is installed: look at the machine, say what is wrong, do nothing twice."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from labkit import _setup

SCRIPT = Path(_setup.__file__)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Installing is recorded instead of done, and leaves an environment that works."""
    done: list[str] = []
    monkeypatch.setattr(_setup, "works", lambda python: bool(done))

    def install(venv: str, python: str, wanted: str) -> None:
        Path(venv).mkdir(exist_ok=True)
        done.append(wanted)

    monkeypatch.setattr(_setup, "install", install)
    return done


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["_setup.py", *arguments])
    _setup.main()


def test_the_script_can_be_read_by_old_pythons() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


def test_an_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    code = (
        "import platform, runpy, sys; sys.version_info = (3, 9, 2); platform.python_version = lambda: '3.9.2'; "
        f"sys.argv = ['_setup.py', '--venv', {str(tmp_path / 'venv')!r}]; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "this is Python 3.9.2, and the course needs 3.11 or newer" in done.stderr
    assert "make lab PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(("wanted", "hint"), [("all", "WITH=core"), ("core", "free some space")])
def test_a_full_disk_is_said_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    installs: list[str],
    tmp_path: Path,
    wanted: str,
    hint: str,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100e9, 99e9, 1e9))
    with pytest.raises(SystemExit):
        run(monkeypatch, "--venv", str(tmp_path / "venv"), "--with", wanted)
    said = capsys.readouterr().err
    assert "1.0 GB are free here" in said
    assert hint in said
    assert installs == []


def test_a_missing_compiler_is_a_note_and_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], installs: list[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100e9, 0, 100e9))
    run(monkeypatch, "--venv", str(tmp_path / "venv"))
    assert "no C++ compiler found" in capsys.readouterr().out
    assert installs == ["all"]


def test_a_second_run_installs_nothing_and_a_change_does(
    monkeypatch: pytest.MonkeyPatch, installs: list[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100e9, 0, 100e9))
    root = tmp_path / "root"
    root.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(SCRIPT.parents[1] / name, root)
    monkeypatch.setattr(_setup, "ROOT", str(root))
    venv = ("--venv", str(root / "venv"))
    run(monkeypatch, *venv)
    run(monkeypatch, *venv)
    assert installs == ["all"]
    run(monkeypatch, *venv, "--with", "core")
    assert installs == ["all"], "an environment with everything is enough for core"
    (root / "constraints.txt").write_text("numpy==2.0.0\n")
    run(monkeypatch, *venv, "--with", "core")
    run(monkeypatch, *venv, "--with", "all")
    assert installs == ["all", "core", "all"], "core is not enough for all"
    run(monkeypatch, *venv, "--with", "tpu")
    for less in ("all", "core"):
        run(monkeypatch, *venv, "--with", less)
    assert installs == ["all", "core", "all", "tpu"], "an environment with the TPU compiler is enough for both"


def test_two_makes_at_once_install_once(tmp_path: Path) -> None:
    """Both are real processes; the one that comes second waits for the lock and then finds everything done."""
    code = """
import pathlib, sys
from labkit import _setup
venv, name = pathlib.Path(sys.argv[1]), sys.argv[2]
_setup.check_machine = lambda venv, wanted: None
_setup.works = lambda python: (venv / "done").exists()

def install(where, python, wanted):
    venv.mkdir()
    (venv.parent / f"installed-{name}").touch()
    print("installing", flush=True)
    sys.stdin.readline()  # until the test has seen the other one wait
    (venv / "done").touch()

_setup.install = install
sys.argv = ["_setup.py", "--venv", str(venv)]
_setup.main()
"""
    start = [sys.executable, "-c", code, str(tmp_path / "venv")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": SCRIPT.parents[1]}
    first = subprocess.Popen([*start, "first"], **pipes)  # type: ignore[call-overload]
    assert first.stdout.readline() == "installing\n"
    second = subprocess.Popen([*start, "second"], **pipes)  # type: ignore[call-overload]
    assert "another set-up is running" in second.stdout.readline()
    first.communicate("go\n")
    second.communicate("")
    assert (first.returncode, second.returncode) == (0, 0)
    assert sorted(path.name for path in tmp_path.glob("installed-*")) == ["installed-first"]


def test_a_failed_installation_leaves_no_stamp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100e9, 0, 100e9))

    def fail(venv: str, python: str, wanted: str) -> None:
        Path(venv).mkdir()
        _setup.stop("pip could not install the course", "try again")

    monkeypatch.setattr(_setup, "install", fail)
    with pytest.raises(SystemExit):
        run(monkeypatch, "--venv", str(tmp_path / "venv"))
    assert list((tmp_path / "venv").iterdir()) == []


def test_in_an_environment_that_make_made_the_script_returns_at_once() -> None:
    stamp = SCRIPT.parents[1] / ".venv" / "labkit-setup.txt"
    if not stamp.exists() or stamp.read_text() not in [_setup.fingerprint(wanted) for wanted in _setup.EXTRAS]:
        pytest.skip("this environment was not made by make, or not for this state of the files")
    done = subprocess.run([sys.executable, str(SCRIPT), "--with", "core"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
