"""What a lab says about a framework that is not here."""

from __future__ import annotations

import importlib.util
import os

import pytest

from labkit import session
from labkit._machine import may_have_tpu
from labkit.course import FRAMEWORKS


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without frameworks."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in FRAMEWORKS else real(name))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_missing_framework_is_named_with_what_is_skipped_and_how_to_add_it(framework: str, capsys) -> None:
    assert session.has(framework, "the comparison") is False
    said = capsys.readouterr().out
    assert "is not installed here, so this is skipped: the comparison." in said
    assert ("make lab WITH=tpu" if framework == "libtpu" else "make lab") in said and '%pip install "labkit[' in said


def test_a_framework_that_is_here_is_not_mentioned(capsys) -> None:
    assert session.has("torch", "nothing") is True
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("installed", "gpus", "tpu", "told"),
    [(True, (), False, True), (True, (), True, False), (True, ("NVIDIA T4",), False, False), (False, (), False, False)],
)
def test_jax_is_told_of_a_bare_processor_only_where_it_would_look_for_a_tpu(
    installed: bool, gpus: tuple[str, ...], tpu: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    found = {"libtpu": object() if installed else None}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found[name] if name in found else real(name))
    monkeypatch.setattr(session, "accelerators", lambda: gpus)
    monkeypatch.setattr(session, "may_have_tpu", lambda: tpu)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    session.begin("start-here")
    assert (os.environ.pop("JAX_PLATFORMS", None) == "cpu") is told


def test_what_a_library_says_at_its_import_is_held_back_unless_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with session.quietly():
        os.write(2, b"a greeting\n")
    os.write(2, b"after it\n")
    with pytest.raises(ImportError), session.quietly():
        os.write(2, b"what went wrong\n")
        raise ImportError
    assert capfd.readouterr().err == "after it\nwhat went wrong\n"


def test_a_tpu_may_be_there_though_no_bus_shows_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TPU_", "COLAB_TPU"))]:
        monkeypatch.delenv(name)
    assert not may_have_tpu(tmp_path)
    (tmp_path / "dev" / "vfio").mkdir(parents=True)
    (tmp_path / "dev" / "vfio" / "vfio").touch()  # the way to it is there on many machines, and no device
    assert not may_have_tpu(tmp_path)
    (tmp_path / "dev" / "vfio" / "0").touch()
    assert may_have_tpu(tmp_path)
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-1")
    assert may_have_tpu(tmp_path / "nowhere")
