"""What is sent to a grader and what comes back: plain data, so that it can cross to another process or machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["student", "shared", "tests"]


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Times in seconds, sizes in bytes."""

    cell_seconds: float = 30.0
    total_seconds: float = 300.0
    memory: int = 4 << 30
    disk: int = 256 << 20
    processes: int = 64
    open_files: int = 256
    output: int = 200_000


@dataclass(frozen=True)
class Cell:
    """One code cell to run.

    ``student`` cells are the student's (answers, and whatever else is theirs); they run behind the wall. ``shared``
    cells are the instructor's read-only ones and run on both sides, so that tests and answers have the same imports.
    ``tests`` cells are the instructor's, run in the judge, and never reach the student's process. ``index`` is the
    cell's place in the notebook, ``points`` what a test cell is worth.
    """

    index: int
    kind: Kind
    source: str
    grade_id: str = ""
    points: float = 0.0


@dataclass(frozen=True)
class Job:
    """A submission, ready to be run.

    ``answers`` are the names that the instructor's own solution defines, with the index of the cell that does so last:
    these are what a student is asked for, so only these ever take the place of a name of the judge. ``trusted`` is code
    of the instructor's plain cells that only imports or defines, which the judge runs first. ``files`` and
    ``student_files`` are what lies beside the notebook, by relative path: the instructor's, and the student's own.
    ``imports`` are the modules to be warm. ``key`` names everything that the outcome depends on.
    """

    assignment: str
    student: str
    key: str
    cells: tuple[Cell, ...]
    answers: dict[str, int] = field(default_factory=dict)
    trusted: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    student_files: dict[str, bytes] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass
class CellOutcome:
    """What became of one cell: its outputs (nbformat, trimmed), time in seconds and memory at its peak in bytes.

    For test cells, ``score`` is the verdict, ``message`` why points were lost (empty where none were), and ``review``
    is True where a person should look, because the test itself gave no usable verdict.
    """

    index: int
    outputs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    score: float | None = None
    message: str = ""
    review: bool = False


@dataclass
class Outcome:
    """What became of a job. ``stopped`` says why the student's process did not live to the end, and is empty where it did.

    ``sealed`` is False where the student's code ran without a wall.
    """

    student: str
    key: str
    cells: list[CellOutcome]
    sealed: bool
    seconds: float = 0.0
    stopped: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        """The outcome that :meth:`to_dict` made this of."""
        return cls(**{**data, "cells": [CellOutcome(**cell) for cell in data["cells"]]})
