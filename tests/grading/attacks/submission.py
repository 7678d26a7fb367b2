"""What a submission of the hostile class is, and the tools to make one.

Most begin as a notebook in which everything is right, with one answer replaced. What somebody deserves follows from
that: nothing where the answer is wrong, and full points elsewhere.

Code of an attack may say ``@place@``; see :meth:`tests.grading.attacks.world.World.fill`. It is given every path and
port, so that none is safe merely because it was not found.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

import nbformat
from nbformat import NotebookNode

FULL = {
    "add-tests": 3.0,
    "mean-tests": 3.0,
    "mean-quality": 2.0,
    "share-tests": 2.0,
    "report-tests": 3.0,
    "speed-tests": 2.0,
}
TESTS_OF = {
    "add": ("add-tests",),
    "mean": ("mean-tests", "mean-quality"),
    "share": ("share-tests",),
    "report": ("report-tests", "speed-tests"),
}
GROUPS = {
    "honest": "Honest students",
    "forging": "Forged results",
    "object": "Odd results",
    "reading": "Reading what is secret",
    "network": "Talking to the outside",
    "writing": "Writing where it does harm",
    "staying": "Outliving the grading",
    "stopping": "Stopping the grader",
    "using": "Using up the machine",
    "broken": "Broken notebooks",
    "unusual": "Right answers, unusual notebooks",
}
Damage = Callable[[NotebookNode], bytes]


@dataclass(frozen=True)
class Attack:
    """A student of the hostile class.

    ``damage`` makes what is handed in from a notebook in which everything is right. ``lost`` are the points they must
    not have, by test cell, and ``why`` says why that is right. ``error`` is True where there is nothing to grade, so
    that the report has to say so. ``files`` are handed in beside the notebook; text there is the target of a symbolic
    link. ``not_printed`` must not stand in what their code printed: proof that a limit held. ``unsafe`` says why the
    stock grader is not to be given this one. ``repaired`` is True where the report has to name a repair.
    """

    name: str
    group: str
    story: str
    damage: Damage
    why: str
    lost: dict[str, float] = field(default_factory=dict)
    error: bool = False
    files: dict[str, bytes | str] = field(default_factory=dict)
    not_printed: str = ""
    unsafe: str = ""
    repaired: bool = False

    @property
    def expected(self) -> dict[str, float]:
        """The points of each test cell."""
        return {test: points - self.lost.get(test, 0.0) for test, points in FULL.items()}


def text_of(notebook: NotebookNode) -> bytes:
    """A notebook as it is handed in; unlike :func:`labkit.build.to_text`, nobody checks it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


def find(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    """The cell of this id."""
    return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def replace(answer: str, code: str) -> Damage:
    """Hand in this code as an answer."""

    def damage(notebook: NotebookNode) -> bytes:
        find(notebook, answer).source = dedent(code).strip()
        return text_of(notebook)

    return damage


def put_before(answer: str, code: str) -> Damage:
    """Run this code first in the cell of an answer that is right."""

    def damage(notebook: NotebookNode) -> bytes:
        cell = find(notebook, answer)
        cell.source = f"{dedent(code).strip()}\n\n\n{cell.source}"
        return text_of(notebook)

    return damage


def add_cell(code: str, *, before: str = "add") -> Damage:
    """Run this code in a cell of one's own, before the cell of this id."""

    def damage(notebook: NotebookNode) -> bytes:
        place = notebook.cells.index(find(notebook, before))
        notebook.cells.insert(place, nbformat.v4.new_code_cell(dedent(code).strip()))
        return text_of(notebook)

    return damage


def edit(change: Callable[[NotebookNode], Any]) -> Damage:
    """Change the notebook itself."""

    def damage(notebook: NotebookNode) -> bytes:
        change(notebook)
        return text_of(notebook)

    return damage


def all_of(*answers: str) -> dict[str, float]:
    """All points of these answers, to be lost."""
    return {test: FULL[test] for answer in answers for test in TESTS_OF[answer]}


def from_on(answer: str) -> dict[str, float]:
    """All points from this answer to the end of the notebook, to be lost."""
    names = list(TESTS_OF)
    return all_of(*names[names.index(answer) :])


# Wrong answers, for those who want marks for them.
WRONG_MEAN = """
def mean(values):
    return -12345.0
"""
WRONG_REPORT = """
def report(values):
    return {"count": -1, "text": "wrong", "more": None}
"""
