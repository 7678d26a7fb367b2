"""nbgrader, opened on the course: releasing, grading one submission, reading the gradebook, feedback and CSV.

This is the only module that talks to nbgrader. :mod:`labkit.grading.batch` decides what is to be done, and calls it.
"""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from labkit.course import Assignment, Course
from labkit.errors import LabkitError
from labkit.grading.report import CellResult, StudentResult
from labkit.grading.submissions import Submission, require_checkout


class NbgraderCourse:
    """nbgrader on the folder ``assignments/`` of a course, configured by the ``nbgrader_config.py`` in it."""

    def __init__(self, course: Course) -> None:
        require_checkout(course)
        self.folder = course.root / "assignments"
        _put_tools_on_path()
        try:
            from nbgrader.apps.api import NbGraderAPI
            from traitlets.config.loader import PyFileConfigLoader
        except ImportError as error:
            raise LabkitError(
                "Grading needs nbgrader, which is not installed here", str(error), 'Run `pip install "labkit[grading]"`'
            ) from error
        config_file = self.folder / "nbgrader_config.py"
        if not config_file.is_file():
            raise LabkitError(f"{config_file} is missing", todo="Restore it from the repository")
        config = PyFileConfigLoader(config_file.name, path=str(self.folder)).load_config()
        self.api: Any = NbGraderAPI(config=config)

    def has_been_released(self, assignment: Assignment) -> bool:
        """Whether the gradebook knows the assignment and its cells."""
        from nbgrader.api import MissingEntry

        if not (self.folder / "gradebook.db").exists():
            return False
        with self.gradebook() as gradebook:
            try:
                return bool(gradebook.find_notebook(assignment.id, assignment.id).grade_cells)
            except MissingEntry:
                return False

    def release(self, assignment: Assignment, due: datetime | None) -> None:
        """``nbgrader generate_assignment``, and the due date."""
        done = self._call(self.api.generate_assignment, assignment.id)
        if not done["success"]:
            why = _reason(done)
            if "submissions associated with it" in why:
                raise LabkitError(
                    f"{assignment.id} cannot be released again",
                    "Cells that are marked were added or removed, and there are submissions already",
                    "Put the cells back, or start a new gradebook (keep a copy of gradebook.db)",
                )
            raise LabkitError(f"nbgrader could not release {assignment.id}", why)
        if due is not None:
            due = due.astimezone(UTC).replace(tzinfo=None) if due.tzinfo else due
            with self.gradebook() as gradebook:
                gradebook.update_or_create_assignment(assignment.id, duedate=due)

    def autograde(self, assignment: Assignment, submission: Submission) -> str:
        """``nbgrader autograde`` for one student. Returns what went wrong, or nothing."""
        done = self._call(self.api.autograde, assignment.id, submission.student, force=True)
        return "" if done["success"] else _reason(done)

    def mark_ungradable(self, assignment: Assignment, submission: Submission) -> None:
        """Enter a submission that cannot be graded: it gets no automatic points, and keeps marks given by hand.

        This is what nbgrader does when a notebook is missing. Results of an earlier submission are removed.
        """
        for step in ("autograded", "feedback"):
            shutil.rmtree(self.folder / step / submission.student / assignment.id, ignore_errors=True)
        with self.gradebook() as gradebook:
            gradebook.update_or_create_student(submission.student)
            entry = gradebook.update_or_create_submission(assignment.id, submission.student)
            for notebook in entry.notebooks:
                notebook.late_submission_penalty = None
                for grade in notebook.grades:
                    grade.auto_score = 0
                    grade.needs_manual_grade = False
            gradebook.db.commit()

    def result(self, assignment: Assignment, student: str) -> StudentResult:
        """What the gradebook says of one student, and what the failed tests of the graded notebook said."""
        messages = self._messages(assignment, student)
        with self.gradebook() as gradebook:
            entry = gradebook.find_submission(assignment.id, student)
            penalty = entry.late_submission_penalty or 0.0
            cells = {}
            for notebook in entry.notebooks:
                order = {cell.name: number for number, cell in enumerate(notebook.notebook.source_cells)}
                for grade in sorted(notebook.grades, key=lambda grade: order.get(grade.name, 0)):
                    lost = grade.score < grade.max_score
                    message = messages.get(grade.name, "") if lost else ""
                    cells[grade.name] = CellResult(grade.score, grade.max_score, message)
            return StudentResult(
                score=max(0.0, entry.score - penalty),
                max_score=entry.max_score,
                needs_manual=bool(entry.needs_manual_grade),
                cells=cells,
                late_penalty=penalty,
            )

    def feedback(self, assignment: Assignment, student: str) -> Path:
        """``nbgrader generate_feedback`` for one student, and the page it wrote."""
        done = self._call(self.api.generate_feedback, assignment.id, student, force=True)
        page = self.folder / "feedback" / student / assignment.id / f"{assignment.id}.html"
        if not done["success"] or not page.is_file():
            raise LabkitError(f"nbgrader could not write feedback for {student}", _reason(done))
        return page

    def has_submissions(self, assignment: Assignment) -> bool:
        """Whether any submission, graded or not, was entered in the gradebook."""
        with self.gradebook() as gradebook:
            return bool(gradebook.assignment_submissions(assignment.id))

    def graded_students(self, assignment: Assignment) -> list[str]:
        """The students whose notebooks lie graded in ``autograded/``."""
        notebooks = self.folder.glob(f"autograded/*/{assignment.id}/{assignment.id}.ipynb")
        return sorted(notebook.parents[1].name for notebook in notebooks)

    def export_csv(self, assignment: Assignment, path: Path) -> None:
        """nbgrader's own CSV of this assignment: a row for every student in the gradebook."""
        from nbgrader.plugins import CsvExportPlugin

        plugin = CsvExportPlugin(parent=self.api, to=str(path), assignment=[assignment.id])
        with self.gradebook() as gradebook:
            plugin.export(gradebook)

    @contextmanager
    def gradebook(self) -> Iterator[Any]:
        """nbgrader's gradebook, open for as long as the ``with`` lasts."""
        from sqlalchemy.exc import SQLAlchemyError

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy comments on how nbgrader uses it
            try:
                with self.api.gradebook as gradebook:
                    yield gradebook
            except SQLAlchemyError as error:
                raise LabkitError(
                    f"{self.folder / 'gradebook.db'} cannot be used",
                    str(getattr(error, "orig", None) or error),
                    "Close what else has it open; if it is of an older nbgrader, copy it and run `nbgrader db upgrade`",
                ) from error

    def _messages(self, assignment: Assignment, student: str) -> dict[str, str]:
        path = self.folder / "autograded" / student / assignment.id / f"{assignment.id}.ipynb"
        if not path.is_file():
            return {}
        notebook = nbformat.read(path, as_version=4)
        cells = (cell for cell in notebook.cells if cell.cell_type == "code" and "nbgrader" in cell.metadata)
        return {cell.metadata.nbgrader.get("grade_id", ""): _message(cell) for cell in cells}

    @staticmethod
    def _call(function: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        with _grading_environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbgrader's own deprecations are not the instructor's business
            done = function(*arguments, **options)
        if re.search(r"^KeyboardInterrupt\b", done.get("error", ""), re.MULTILINE):
            raise KeyboardInterrupt  # nbgrader reports Ctrl-C as if the notebook had failed, and would go on
        return done


def _put_tools_on_path() -> None:
    """nbgrader starts `alembic` by name, so it must be found even where the environment is not activated."""
    scripts, path = sysconfig.get_path("scripts"), os.environ.get("PATH", "")
    if scripts not in path.split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + path


@contextmanager
def _grading_environment() -> Iterator[None]:
    """One thread for each kernel, and whatever nbgrader leaves behind is taken away.

    Tests work on small arrays: on a busy machine of two cores, two threads that wait for each other took four times as
    long as one. nbgrader leaves NBGRADER_EXECUTION behind when a notebook fails.
    """
    before = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _message(cell: nbformat.NotebookNode) -> str:
    """What a test cell had to say: the failed assertion, another error, a warning, or what it printed."""
    printed = []
    for output in cell.outputs:
        if output.output_type == "error":
            bare = output.ename == "AssertionError" and output.evalue
            return output.evalue if bare else f"{output.ename}: {output.evalue}".rstrip(": ")
        if output.output_type == "stream" and output.name == "stderr":
            return "It printed a warning, for which nbgrader gives no points: " + output.text.strip().splitlines()[0]
        if output.output_type == "stream":
            printed.append(output.text.strip())
    return "\n".join(printed)


def _reason(done: dict[str, Any]) -> str:
    """The line of nbgrader's log that says what happened: the last error that is not nbgrader's own summary."""
    lines = [line.strip() for line in f"{done.get('error', '')}\n{done.get('log', '')}".splitlines()]
    errors = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Entry|Timeout|Interrupt)\b", line)]
    told = [line for line in errors if "NbGraderException" not in line] or errors
    return told[-1] if told else "nbgrader gave no reason."
