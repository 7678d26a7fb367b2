"""The builder: one source, one notebook, and nothing of anybody's lost."""

from __future__ import annotations

import json
from collections.abc import Callable

import nbformat
import pytest

from labkit import build
from labkit.course import Course, load_course
from labkit.errors import LabkitError
from tests.conftest import ASSIGNMENT, LAB, MANIFEST

MakeCourse = Callable[..., Course]


def test_the_repository_is_built() -> None:
    assert build.check(load_course()) == []


def test_building_twice_writes_once(make_course: MakeCourse) -> None:
    course = make_course()
    assert [path.name for path in build.build(course)] == ["adding.ipynb", "ps0-adding.ipynb", "ps0-adding.ipynb"]
    assert build.build(course) == []
    assert build.check(course) == []


def test_a_lab_gets_header_badges_and_setup(make_course: MakeCourse) -> None:
    course = make_course()
    header, setup, *rest = build.lab_notebook(course, course.lab("adding")).cells
    assert header.source.startswith("# Adding\n")
    assert "about 5 minutes" in header.source
    assert "colab.research.google.com/github/owner/name/blob/main/notebooks/first/adding.ipynb" in header.source
    assert "mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/notebooks/first/adding.ipynb" in header.source
    assert "git+https://github.com/owner/name@main" in setup.source
    assert [cell.cell_type for cell in rest] == ["markdown", "code"]


def test_a_header_names_hardware_and_full_mode_in_words(make_course: MakeCourse) -> None:
    both = MANIFEST.replace('hardware = ["cpu"]', 'hardware = ["cpu", "gpu"]\nfull_mode = "Full mode takes an hour."')
    course = make_course(both)
    header = build.lab_notebook(course, course.lab("adding")).cells[0].source
    assert "runs on CPU and GPU" in header
    assert header.endswith("Full mode takes an hour.")


def test_ids_follow_content_not_position(make_course: MakeCourse) -> None:
    course = make_course()
    before = {cell.source: cell.id for cell in build.lab_notebook(course, course.lab("adding")).cells}
    course = make_course(lab=LAB.replace("What do two", "A new paragraph.\n\n+++\n\nWhat do two"))
    after = {cell.source: cell.id for cell in build.lab_notebook(course, course.lab("adding")).cells}
    assert len(after) == len(before) + 1
    assert all(after[source] == before[source] for source in before)


def test_equal_cells_get_different_ids(make_course: MakeCourse) -> None:
    course = make_course(lab=LAB + LAB.split("---\n")[2])
    ids = [cell.id for cell in build.lab_notebook(course, course.lab("adding")).cells]
    assert len(ids) == len(set(ids)) == 6


def test_a_changed_source_is_noticed_and_rebuilt(make_course: MakeCourse) -> None:
    build.build(make_course())
    course = make_course(lab=LAB.replace("two and two", "three and one"))
    assert build.check(course) == ["notebooks/first/adding.ipynb is older than its source: notebooks/first/adding.md"]
    assert build.build(course) == [course.lab("adding").notebook]


def test_a_source_nobody_lists_is_noticed(make_course: MakeCourse) -> None:
    course = make_course()
    build.build(course)
    (course.root / "notebooks/first/stray.md").write_text("A stray.")
    assert build.check(course) == ["notebooks/first/stray.md is not in the manifest"]


def test_a_listed_source_that_is_missing_is_named(make_course: MakeCourse) -> None:
    course = make_course()
    course.lab("adding").source.unlink()
    with pytest.raises(
        LabkitError, match=r"'adding' is in the manifest, but notebooks/first/adding\.md cannot be read"
    ):
        build.check(course)


def test_hand_edits_are_never_overwritten_unasked(make_course: MakeCourse) -> None:
    course = make_course()
    build.build(course)
    path = course.lab("adding").notebook
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].source = "An edit made in JupyterLab."
    nbformat.write(notebook, path)
    course = make_course(lab=LAB.replace("two and two", "three and one"))
    with pytest.raises(LabkitError, match=r"Edited by hand.*adding\.ipynb.*--pull"):
        build.build(course)
    assert "An edit made in JupyterLab." in path.read_text()


def test_whatever_is_no_notebook_is_never_overwritten_unasked(make_course: MakeCourse) -> None:
    course = make_course()
    build.build(course)
    course.lab("adding").notebook.write_text("half a noteb")
    with pytest.raises(LabkitError, match="Edited by hand"):
        build.build(course)
    build.build(course, force=True)
    assert build.check(course) == []


def test_edits_made_in_jupyterlab_can_be_pulled_into_the_source(make_course: MakeCourse) -> None:
    course = make_course()
    build.build(course)
    path = course.assignment("ps0-adding").notebook
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].source = "Add two numbers, please."
    nbformat.write(notebook, path)
    build.pull(course, course.assignment("ps0-adding"))
    assert (
        course.assignment("ps0-adding").source.read_text().split()
        == ASSIGNMENT.replace("numbers.", "numbers, please.").split()
    )
    build.build(course, force=True)
    assert build.check(course) == []


def test_the_short_notation_becomes_valid_nbgrader_metadata(make_course: MakeCourse) -> None:
    from nbgrader.nbgraderformat import MetadataValidator

    notebook = build.assignment_notebook(make_course().assignment("ps0-adding"), make_course())
    MetadataValidator().validate_nb(notebook)
    cells = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    }
    assert set(cells) == {"setup", "add", "add-small", "why"}
    assert (cells["add-small"].points, cells["why"].points) == (2, 3)
    assert "points" not in cells["add"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("answer add", "anwser add", "expected one of answer, tests"),
        ("tests add-small 2", "tests add-small", "and points if it is graded"),
        ("tests add-small 2", "tests add-small 0", "whole number above 0"),
        ("tests add-small 2", "tests Add_Small 2", "small letters"),
        ("tests add-small 2", "tests add 2", "two cells are called add"),
        ("    ### END SOLUTION\n", "", "### BEGIN SOLUTION needs its ### END SOLUTION"),
        ("### END HIDDEN TESTS\n", "", "### BEGIN HIDDEN TESTS needs its"),
        ("    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION", "    return a + b", "students get it whole"),
        ("manual why 3", "answer why", "a markdown cell cannot be that"),
    ],
)  # fmt: skip
def test_a_wrong_notation_is_refused(make_course: MakeCourse, old: str, new: str, said: str) -> None:
    assert old in ASSIGNMENT
    course = make_course(assignment=ASSIGNMENT.replace(old, new))
    with pytest.raises(LabkitError, match=said):
        build.assignment_notebook(course.assignment("ps0-adding"), course)


def test_a_release_holds_neither_solution_nor_hidden_tests(make_course: MakeCourse) -> None:
    course = make_course()
    build.build(course)
    text = course.assignment("ps0-adding").release.read_text()
    assert "return a + b" not in text
    assert "-4" not in text
    assert "add(1, 2) == 3" in text


def test_notebooks_are_written_without_outputs_and_in_a_stable_order(make_course: MakeCourse) -> None:
    course = make_course()
    build.build(course)
    text = course.lab("adding").notebook.read_text()
    assert all(not cell["outputs"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    assert text == build.to_text(nbformat.reads(text, as_version=4))


def test_formatting_touches_code_and_nothing_else(make_course: MakeCourse) -> None:
    untidy = LAB.replace("total = 2 + 2", "total=2+2").replace("make?", "make?   In  prose, spaces stay.")
    folded = (
        "\n<details><summary>One solution: add</summary>\n\n```python\nx=1\n```\n\n</details>\n\n```\ny=1 stays\n```\n"
    )
    course = make_course(lab=untidy + folded)
    assert build.format_sources(course) == [course.lab("adding").source]
    tidy = untidy.replace("total=2+2", "total = 2 + 2") + folded.replace("x=1", "x = 1")
    assert course.lab("adding").source.read_text() == tidy
    assert build.format_sources(course) == []
