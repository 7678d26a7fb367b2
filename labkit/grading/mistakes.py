"""Believable wrong answers to an assignment: ``assignments/mistakes/PS.toml``, and how to put one into a notebook.

They hold the grader to account (each must get exactly the points it deserves) and people the class of
:func:`labkit.grading.demo_class`.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from labkit.course import Course
from labkit.errors import LabkitError


@dataclass(frozen=True)
class Mistake:
    """One wrong answer: the code that takes the place of the answer cell, and the points its test cells then give."""

    name: str
    story: str
    answer: str
    code: str
    points: dict[str, float]


def mistakes_file(course: Course, assignment_id: str) -> Path:
    """Where the known mistakes of an assignment are listed."""
    return course.root / "assignments" / "mistakes" / f"{assignment_id}.toml"


def load_mistakes(course: Course, assignment_id: str) -> list[Mistake]:
    """The known mistakes of an assignment; an empty list where nobody has written any down.

    Raises LabkitError naming the file and what is wrong with it.
    """
    path = mistakes_file(course, course.assignment(assignment_id).id)
    if not path.is_file():
        return []
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("mistake", [])
        mistakes = [Mistake(**entry) for entry in entries]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        todo = "A [[mistake]] has name, story, answer, code and points"
        raise LabkitError(f"{path} cannot be read as a list of mistakes", str(error), todo) from error
    if len({mistake.name for mistake in mistakes}) < len(mistakes):
        raise LabkitError(f"{path}: two mistakes have the same name")
    return mistakes


def answer_with(notebook: NotebookNode, mistakes: Iterable[Mistake]) -> NotebookNode:
    """A copy of the notebook in which the answers are these mistakes. At most one mistake an answer makes sense."""
    changed = copy.deepcopy(notebook)
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in changed.cells if "nbgrader" in cell.metadata}
    for mistake in mistakes:
        if mistake.answer not in cells:
            raise LabkitError(f"The mistake '{mistake.name}' answers '{mistake.answer}', and no cell has that id")
        cells[mistake.answer].source = mistake.code.strip("\n")
    return changed


def maximum(notebook: NotebookNode) -> dict[str, float]:
    """What each cell that is marked is worth, by grade id."""
    marked = (cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata)
    return {entry.grade_id: float(entry.points) for entry in marked if entry.grade or entry.get("task")}
