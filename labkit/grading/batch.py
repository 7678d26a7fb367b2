"""Grading a class: what is done for each submission, in which order, and what happens when one of them is broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import nbformat
from tqdm import tqdm

from labkit import build
from labkit.course import Assignment, Course
from labkit.errors import LabkitError
from labkit.grading.nbgrader_course import NbgraderCourse
from labkit.grading.report import Report
from labkit.grading.submissions import Submission, submission_of, submissions

Engine = Callable[[Submission], str]
"""Grades one submission into nbgrader's gradebook and ``autograded/``. Returns what went wrong, or an empty text."""


def release(course: Course, assignment_id: str, *, due: datetime | None = None) -> Path:
    """Make the students' version with ``nbgrader generate_assignment``, and return its path.

    ``due`` (UTC where it names no time zone) is entered in the gradebook; without it, an earlier date stays. The
    gradebook is created where there is none. What comes out is checked before it is called released: no line of a
    solution or of a hidden test may be in it.

    Raises LabkitError for a notebook that is not up to date with its source, or that nbgrader refuses.
    """
    assignment = course.assignment(assignment_id)
    source = build.assignment_notebook(assignment, course)
    target = build.Target(assignment.notebook, assignment.source, build.to_text(source))
    if target.state != "fresh":
        raise LabkitError(
            f"{assignment.notebook} is {target.state}",
            f"It should be what {assignment.source.name} says",
            "Run `labkit build`",
        )
    NbgraderCourse(course).release(assignment, due)
    released = nbformat.read(assignment.release, as_version=4)
    leaked = leaked_lines(source, released)
    if leaked:
        assignment.release.unlink()
        raise LabkitError(f"{assignment.id} was not released", f"The students' version would show {leaked[0]!r}")
    # nbgrader's file differs in its layout alone; in ours `labkit build --check` recognises its own
    released.metadata["labkit"] = {"id": assignment.id, "digest": build.digest(released)}
    assignment.release.write_text(build.to_text(released), encoding="utf-8")
    return assignment.release


def leaked_lines(source: nbformat.NotebookNode, released: nbformat.NotebookNode) -> list[str]:
    """Lines of solutions, hidden tests and model answers of ``source`` which ``released`` shows."""
    secret: list[str] = []
    public: set[str] = set()
    for cell in source.cells:
        entry = cell.metadata.get("nbgrader")
        by_hand = entry is not None and entry.grade and entry.solution
        inside = False
        for line in map(str.strip, cell.source.splitlines()):
            if line.startswith(("### BEGIN", "### END")):
                inside = line.startswith("### BEGIN")
            elif inside or by_hand:
                secret.append(line)
            else:
                public.add(line)
    shown = {line.strip() for cell in released.cells for line in cell.source.splitlines()}
    markers = [line for line in shown if line.startswith(("### BEGIN", "### END"))]
    return markers + [line for line in secret if line and line not in public and line in shown]


def grade(
    course: Course,
    assignment_id: str,
    *,
    students: Iterable[str] | None = None,
    progress: bool = True,
    engine: Engine | None = None,
) -> Report:
    """Grade everything handed in for an assignment (or only what these ``students`` handed in), one after another.

    DANGER: with the engine used so far, nbgrader's own, **each student's code runs with your rights**. It can read and
    write your files, this course's hidden tests, the gradebook and the work of the other students, and it can use the
    network. Grade only classes you trust, or on a machine (a container, a virtual machine) that holds nothing else.

    A submission that cannot be graded never stops the others: it is in the report with an ``error``, and has no
    automatic points. Marks given by hand are kept, and marked to be looked at again, as nbgrader does.

    ``engine`` grades one submission; by default it is ``nbgrader autograde``.

    Raises LabkitError where the assignment was never released, nobody handed in, or a student is unknown.
    """
    assignment = course.assignment(assignment_id)
    nbgrader = _open_released(course, assignment)
    if students is None:
        chosen = submissions(course, assignment.id)
    else:
        chosen = [submission_of(course, assignment.id, student) for student in dict.fromkeys(students)]

    def autograde(submission: Submission) -> str:
        return nbgrader.autograde(assignment, submission)

    start = time.perf_counter()
    errors: dict[str, str] = {}
    with tqdm(chosen, desc=f"grading {assignment.id}", unit="student", disable=not progress) as bar:
        for submission in bar:
            bar.set_postfix_str(submission.student)
            error = submission.problem or _run(engine or autograde, submission)
            if error:
                nbgrader.mark_ungradable(assignment, submission)
                errors[submission.student] = error
    results = {submission.student: nbgrader.result(assignment, submission.student) for submission in chosen}
    for student, error in errors.items():
        results[student].error = error
    return Report(assignment.id, time.perf_counter() - start, results)


def feedback(
    course: Course, assignment_id: str, *, students: Iterable[str] | None = None, progress: bool = True
) -> list[Path]:
    """Write a page of feedback for everyone who was graded, and return the pages. Hidden tests are not shown.

    Raises LabkitError where grading never ran, or one of the ``students`` could not be graded.
    """
    assignment = course.assignment(assignment_id)
    nbgrader = _open_released(course, assignment)
    graded = nbgrader.graded_students(assignment)
    chosen = graded if students is None else list(dict.fromkeys(students))
    missing = sorted(set(chosen) - set(graded))
    if missing or not (graded or nbgrader.has_submissions(assignment)):
        who = ", ".join(missing) if missing else "Nobody"
        raise LabkitError(
            f"{who}: no graded {assignment.id} to give feedback on", todo=f"Run `labkit grade {assignment.id}` first"
        )
    return [
        nbgrader.feedback(assignment, student)
        for student in tqdm(chosen, desc="feedback", unit="page", disable=not progress)
    ]


def export_csv(course: Course, assignment_id: str, path: Path) -> Path:
    """Write nbgrader's CSV of the grades, a row for every student in the gradebook, and return its path.

    Raises LabkitError where the assignment was never released or the file cannot be written.
    """
    assignment, path = course.assignment(assignment_id), Path(path).absolute()
    nbgrader = _open_released(course, assignment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        nbgrader.export_csv(assignment, path)
    except OSError as error:
        raise LabkitError(f"The grades could not be written to {path}", error.strerror or str(error)) from error
    return path


def _open_released(course: Course, assignment: Assignment) -> NbgraderCourse:
    nbgrader = NbgraderCourse(course)
    if not nbgrader.has_been_released(assignment):
        raise LabkitError(
            f"{assignment.id} has not been released here",
            f"{nbgrader.folder / 'gradebook.db'} does not know it",
            f"Run `labkit release {assignment.id}` first",
        )
    return nbgrader


def _run(engine: Engine, submission: Submission) -> str:
    try:
        return engine(submission)
    except Exception as error:  # whatever one submission does, the next one gets its turn
        return f"{type(error).__name__}: {error}"
