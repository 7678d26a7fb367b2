"""Handing in, and what has been handed in: the folder ``assignments/submitted/STUDENT/PS``."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from labkit.course import Assignment, Course
from labkit.errors import LabkitError, unknown

_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_TIMESTAMP = "%Y-%m-%d %H:%M:%S.%f UTC"  # as nbgrader's exchange writes it


@dataclass(frozen=True)
class Submission:
    """What one student has handed in. ``problem`` says why it cannot be graded, and is empty where it can."""

    student: str
    folder: Path
    notebook: Path
    problem: str = ""


def submit(course: Course, assignment_id: str, student: str, notebook: Path, *, when: datetime | None = None) -> Path:
    """Hand in a notebook for a student, and return where it lies.

    As when nbgrader collects: the latest submission is the one that counts, and takes the place of an earlier one. The
    file may have any name; it is kept under the one that grading expects. ``when`` is the time of handing in (now).

    Raises LabkitError, and changes nothing, where the student's id cannot be a folder's name or where the file is not a
    notebook of this assignment.
    """
    assignment, notebook = course.assignment(assignment_id), Path(notebook)
    require_checkout(course)
    if not _STUDENT.fullmatch(student):
        raise LabkitError(
            f"'{student}' cannot be a student's id",
            todo="Use letters, digits and . _ @ - and begin with one of the first two",
        )
    problem = problem_with(notebook, assignment)
    if problem:
        raise LabkitError(
            f"{notebook} was not handed in", problem, f"Hand in your version of {assignment.release.name}"
        )
    when = datetime.now(UTC) if when is None else when
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)

    place = submitted_folder(course) / student / assignment.id
    place.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".handing-in-", dir=place.parent))
    try:
        shutil.copyfile(notebook, new / assignment.notebook.name)
        (new / "timestamp.txt").write_text(when.strftime(_TIMESTAMP), encoding="utf-8")
        new.chmod(0o755)
        if place.exists():
            old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=place.parent))
            place.replace(old / assignment.id)
            new.replace(place)
            shutil.rmtree(old)
        else:
            new.replace(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return place / assignment.notebook.name


def submissions(course: Course, assignment_id: str) -> list[Submission]:
    """Everything handed in for an assignment, by student, with what is wrong with it if it cannot be graded.

    Raises LabkitError where nothing was handed in.
    """
    assignment = course.assignment(assignment_id)
    require_checkout(course)
    folders = sorted(submitted_folder(course).glob(f"*/{assignment.id}"))
    found = [_inspect(folder, assignment) for folder in folders if not folder.parent.name.startswith(".")]
    if not found:
        raise LabkitError(
            f"Nobody has handed in {assignment.id}",
            f"There is no {submitted_folder(course)}/STUDENT/{assignment.id}",
            f"Hand in with `labkit submit {assignment.id} --student ID --notebook FILE`, or collect with nbgrader",
        )
    return found


def submission_of(course: Course, assignment_id: str, student: str) -> Submission:
    """What one student handed in; a LabkitError with the nearest ids where there is nothing."""
    found = {submission.student: submission for submission in submissions(course, assignment_id)}
    if student not in found:
        raise unknown(f"submission of {assignment_id} by a student", student, found)
    return found[student]


def submitted_folder(course: Course) -> Path:
    """Where nbgrader keeps what was handed in."""
    return course.root / "assignments" / "submitted"


def require_checkout(course: Course) -> None:
    """Raise LabkitError where labkit was installed without the course's folders, as on Colab."""
    if not course.is_checkout:
        raise LabkitError(
            "There is no course folder here",
            "labkit was installed without the repository",
            "Clone it, and run this in there",
        )


def problem_with(notebook: Path, assignment: Assignment) -> str:
    """Why a file cannot be graded as this assignment, as a sentence for its author; empty where it can."""
    try:
        content = notebook.read_bytes()
    except IsADirectoryError:
        return f"{notebook.name} is a folder."
    except OSError as error:
        return f"{notebook.name} cannot be read: {error.strerror or error}."
    from labkit.grading.repair import problem_with_content

    known = assignment.release if assignment.release.is_file() else assignment.notebook
    try:
        ours = nbformat.read(known, as_version=4)
    except (OSError, ValueError) as error:
        raise LabkitError(f"{known} cannot be read", str(error), "Run `labkit build`, then `labkit release`") from error
    return problem_with_content(content, ours, notebook.name)


def _inspect(folder: Path, assignment: Assignment) -> Submission:
    student, notebook = folder.parent.name, folder / assignment.notebook.name
    problem = ""
    if not _STUDENT.fullmatch(student):
        problem = f"'{student}' cannot be a student's id."
    elif not folder.is_dir():
        problem = f"{folder.name} is a file where a folder was expected."
    elif not notebook.exists():
        others = sorted(path.name for path in folder.glob("*.ipynb"))
        what = f"It holds {', '.join(others)} instead: rename it." if others else "There is no notebook at all."
        problem = f"{notebook.name} is missing. {what}"
    else:
        problem = problem_with(notebook, assignment) or _problem_with_timestamp(folder / "timestamp.txt")
    return Submission(student, folder, notebook, problem)


def _problem_with_timestamp(path: Path) -> str:
    from nbgrader.utils import parse_utc

    try:
        text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        if text:
            parse_utc(text)
    except (ValueError, OverflowError, OSError):
        return "timestamp.txt does not hold a date."
    return ""
