"""Labs about real data that may not be bundled: run on it where it is, and on what stands in for it where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest

from labkit.course import load_course
from labkit.run import run_lab

COURSE = load_course()
LABS = [lab.id for lab in COURSE.labs.values() if lab.stand_in_for]


def texts_and_figures(notebook: Path) -> tuple[str, int]:
    """All that a run printed or showed as a table, and how many figures it drew."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    data = [output.get("data", {}) for output in outputs]
    text = [output.get("text", "") for output in outputs] + [one.get("text/html", "") for one in data]
    return "\n".join(text), sum("image/png" in one for one in data)


@pytest.mark.slow
@pytest.mark.parametrize("lab", LABS)
def test_without_the_real_data_nothing_is_claimed_of_it(
    lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABKIT_DATA", raising=False)
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "empty"))
    result = run_lab(COURSE.lab(lab), save_to=tmp_path)
    assert result.ok, (result.error, result.missing, [one for one in result.claims if not one["ok"]])
    assert {one["name"] for one in result.claims} == set(COURSE.lab(lab).claims)
    text, figures = texts_and_figures(tmp_path / f"{lab}.ipynb")
    assert "In its place: " in text and "simulated" in text.lower()
    assert figures >= 2


@pytest.mark.slow
@pytest.mark.skipif("LABKIT_DATA" not in os.environ, reason="LABKIT_DATA names no folder of real data")
@pytest.mark.parametrize("lab", LABS)
def test_with_the_real_data_every_claim_on_it_is_measured_and_holds(
    lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    result = run_lab(COURSE.lab(lab), save_to=tmp_path)
    assert result.ok, (result.error, result.missing, [one for one in result.claims if not one["ok"]])
    assert set(COURSE.lab(lab).claims_on_real) <= {one["name"] for one in result.claims}
