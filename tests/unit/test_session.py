"""What a lab says about a framework that is not here."""

from __future__ import annotations

import importlib.util

import pytest

from labkit import session
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
