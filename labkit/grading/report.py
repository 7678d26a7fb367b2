"""What came out of grading an assignment: for programs as JSON, for people as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class CellResult:
    """One marked cell. ``message`` says what was wrong, in the words of the test that failed."""

    score: float
    max_score: float
    message: str = ""


@dataclass
class StudentResult:
    """One student. ``score`` is what counts: the cells' points, marks given by hand among them, less ``late_penalty``.

    ``error`` says why a submission could not be graded, and is None where it could. ``needs_manual`` is True while
    something waits to be marked by hand. ``sealed`` is False where the student's code ran without a wall, ``stopped``
    says why it did not run to its end, and ``seconds`` is how long it ran.
    """

    score: float
    max_score: float
    needs_manual: bool = False
    repairs: list[str] = field(default_factory=list)
    error: str | None = None
    cells: dict[str, CellResult] = field(default_factory=dict)
    late_penalty: float = 0.0
    sealed: bool = True
    stopped: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """Every submission of one assignment, and how long grading took.

    ``unchanged`` is how many were not run again, as nothing that their grades depend on had changed.
    """

    assignment: str
    seconds: float
    students: dict[str, StudentResult]
    unchanged: int = 0

    @property
    def errors(self) -> dict[str, str]:
        """The submissions that could not be graded, and why."""
        return {name: student.error for name, student in self.students.items() if student.error}

    def to_dict(self) -> dict[str, Any]:
        """The report in the schema of ``labkit grade --json``. The late penalty is in ``score`` already.

        A student whose code ran without a wall has ``"sealed": false`` besides.
        """
        students = {name: asdict(student) for name, student in sorted(self.students.items())}
        for student in students.values():
            for name in ("late_penalty", "stopped", "seconds", *(["sealed"] if student["sealed"] else [])):
                del student[name]
        return {"assignment": self.assignment, "seconds": round(self.seconds, 3), "students": students}

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> str:
        """A line for each student, then what most of the class got wrong, then what is left to do."""
        width = max([7, *map(len, self.students)])
        lines = [f"{'student':<{width}}  {'score':>6}  {'of':>4}  notes"]
        for name, student in sorted(self.students.items()):
            line = f"{name:<{width}}  {student.score:>6g}  {student.max_score:>4g}  {_notes(student)}"
            lines.append(line.rstrip())
        lines += ["", *self._hardest()]
        graded = len(self.students) - len(self.errors)
        lines.append(
            f"{graded} of {len(self.students)} submission(s) of {self.assignment} graded in {self.seconds:.1f} s."
        )
        if self.unchanged:
            lines.append(f"{self.unchanged} of them had not changed since, and were not run again.")
        unsealed = sum(not student.sealed for student in self.students.values())
        if unsealed:
            lines.append(f"UNSEALED: the code of {unsealed} of them ran without a wall. Do not rely on their points.")
        by_hand = sum(student.needs_manual for student in self.students.values())
        if by_hand:
            lines.append(
                f"{by_hand} of them to be marked by hand: `jupyter lab` in assignments/, Nbgrader, Formgrader."
            )
        return "\n".join(lines)

    def _hardest(self) -> list[str]:
        lost: dict[str, int] = {}
        for student in self.students.values():
            if student.error is None:
                for name, cell in student.cells.items():
                    if cell.message:
                        lost[name] = lost.get(name, 0) + 1
        worst = sorted(lost.items(), key=lambda item: (-item[1], item[0]))[:3]
        return [f"Most often wrong: {', '.join(f'{name} ({count})' for name, count in worst)}."] if worst else []


def _notes(student: StudentResult) -> str:
    if student.error:
        return f"NOT GRADED: {student.error}"
    notes = [] if student.sealed else ["UNSEALED"]
    if student.stopped:
        notes.append(student.stopped.rstrip("."))
    if student.late_penalty:
        notes.append(f"late, -{student.late_penalty:g}")
    if student.needs_manual:
        notes.append("to be marked by hand")
    wrong = [name for name, cell in student.cells.items() if cell.message]
    if wrong:
        notes.append(f"points lost in {', '.join(wrong[:3])}{' ...' if len(wrong) > 3 else ''}")
    notes += student.repairs
    return "; ".join(notes)
