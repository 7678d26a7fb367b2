"""What every lab has in common, read from the sources: nothing is run here."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import nbformat
import pytest

from labkit._selftest import solutions
from labkit.check import exercises
from labkit.course import load_course

COURSE = load_course()
LABS = sorted(COURSE.labs)
# Start here is a tour of how labs work, and shorter than one.
FULL_LABS = [lab for lab in LABS if lab != "start-here"]
# the modules of labkit that exist for labs, where what only one lab uses would belong into that lab
FOR_LABS = ("gradients", "models", "plot", "timing", "widgets")


def code_of(lab_id: str) -> list[str]:
    """The code cells of a lab, set-up cell and IPython's own lines left out."""
    cells = nbformat.read(COURSE.lab(lab_id).notebook, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code" and "labkit" not in cell.metadata]
    return ["\n".join(line for line in source.splitlines() if not line.startswith(("%", "!"))) for source in sources]


def calls(lab_id: str) -> list[ast.Call]:
    return [node for source in code_of(lab_id) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def first_text(call: ast.Call) -> str:
    return call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else ""


def called(lab_id: str, name: str) -> list[ast.Call]:
    return [call for call in calls(lab_id) if ast.unparse(call.func) == name]


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_claims_what_the_manifest_promises(lab: str) -> None:
    claimed = {first_text(call) for call in called(lab, "claim")}
    assert claimed == set(COURSE.lab(lab).claims) | set(COURSE.lab(lab).claims_on_real)


@pytest.mark.parametrize("lab", LABS)
def test_the_manifest_names_the_real_data_that_a_lab_has_a_stand_in_for(lab: str) -> None:
    asked = {f"{first_text(call)}/{call.args[1].value}" for call in called(lab, "data.has")}  # type: ignore[attr-defined]
    assert asked == set(COURSE.lab(lab).stand_in_for)


@pytest.mark.parametrize("lab", [lab for lab in LABS if COURSE.lab(lab).part == "cases"])
def test_a_case_study_ends_with_a_model_card(lab: str) -> None:
    source = COURSE.lab(lab).source.read_text(encoding="utf-8")
    assert len(called(lab, "ModelCard")) == 1
    order = [source.index(f"\n## {title}") for title in ("Model card", "What to keep", "Read on")]
    assert order == sorted(order)


@pytest.mark.parametrize("lab", LABS)
def test_the_manifest_names_what_a_lab_can_do_without(lab: str) -> None:
    """The doctor tells learners from it which labs run in part."""
    assert {first_text(call) for call in called(lab, "session.has")} == set(COURSE.lab(lab).also)


@pytest.mark.parametrize("lab", FULL_LABS)
def test_a_lab_has_its_parts(lab: str) -> None:
    source = COURSE.lab(lab).source.read_text(encoding="utf-8")
    mine = {name: one for name, one in exercises().items() if one.lab == lab}
    asked = {first_text(call) for call in called(lab, "check")}
    assert len(COURSE.lab(lab).claims) >= 5
    assert len(mine) >= 3
    assert asked == set(mine) == set(solutions(COURSE.lab(lab).source))
    assert all(len(one.hints) == 3 for one in mine.values())
    drawn = [call for call in calls(lab) if ast.unparse(call.func).startswith(("plot.", "widgets.explore"))]
    assert len(drawn) >= 2, "two figures at least"
    assert called(lab, "predict"), "a question before the machine speaks"
    assert "## What to keep" in source and "## Read on" in source
    assert "claims.table()" in source
    assert COURSE.lab(lab).full_mode, "says what full mode does and how long it takes"


@pytest.mark.parametrize("lab", LABS)
def test_a_figure_ends_its_cell(lab: str) -> None:
    """A figure that is neither shown nor returned was drawn for nobody."""
    for source in code_of(lab):
        tree = ast.parse(source)
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("plot.figure("):
                last = tree.body[-1]
                assert isinstance(last, ast.Expr), f"{lab}: a figure is drawn and not shown in\n{source}"


def test_no_helper_stands_in_two_labs() -> None:
    homes = defaultdict(set)
    for lab in LABS:
        for source in code_of(lab):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and len(ast.unparse(node).splitlines()) > 2:
                    body = ast.unparse(ast.Module([child for child in node.body if not _is_docstring(child)], []))
                    homes[re.sub(r"\s+", " ", body)].add(f"{lab}: {node.name}")
    pasted = [sorted(places) for places in homes.values() if len({place.split(":")[0] for place in places}) > 1]
    assert pasted == []


@pytest.mark.parametrize("module", FOR_LABS)
def test_nothing_in_labkit_is_used_by_one_lab_only(module: str) -> None:
    path = COURSE.root / "labkit" / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    internal = {"is_static", "to_png", "use_style"}  # what labkit's own modules call
    users = {
        name: {lab for lab in LABS if called(lab, f"{module}.{name}") or called(lab, name)}
        for name in public - internal
    }
    assert {name: labs for name, labs in users.items() if len(labs) < 2} == {}


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
