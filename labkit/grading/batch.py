"""Grading a class: what is done for each submission, in which order, and what happens when one of them is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import filelock
import nbformat
from tqdm import tqdm

from labkit import build
from labkit.course import Assignment, Course
from labkit.errors import LabkitError
from labkit.grading.exports import export_canvas, export_moodle
from labkit.grading.jobs import Job, Limits
from labkit.grading.nbgrader_course import NbgraderCourse
from labkit.grading.plan import UngradableError
from labkit.grading.report import Report
from labkit.grading.similarity import similarity, write_similarity_html
from labkit.grading.spool import Spool
from labkit.grading.submissions import Submission, submission_of, submissions
from labkit.grading.workers import FACTORY, run_here, run_on_dask

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
    workers: int | None = None,
    scheduler: str | None = None,
    sealed: bool = True,
    progress: bool = True,
    limits: Limits | None = None,
    engine: Engine | None = None,
    factory: str = FACTORY,
) -> Report:
    """Grade everything handed in for an assignment, or only what these ``students`` handed in.

    Submissions are run behind a wall by as many ``workers`` at once as there are cores, or by the Dask cluster whose
    ``scheduler`` has this address. What is graded already is not run again, unless the submission, the assignment, the
    environment or the grader has changed; so after Ctrl-C or worse, call this again, and it goes on where it was.

    A submission that cannot be graded never stops the others: it is in the report with an ``error``, and has no
    automatic points. Marks given by hand are kept, and marked to be looked at again, as nbgrader does.

    DANGER: with ``sealed=False`` **each student's code runs with your rights**. It can read and write your files, the
    hidden tests, the gradebook and the work of others, and use the network. Such grades are marked as unsealed.

    ``limits`` is what each submission may use. ``factory`` (``module:attribute``) makes a worker; ``engine`` takes the
    place of all that, and grades one submission after another.

    Raises LabkitError where the assignment was never released, nobody handed in, a student is unknown, somebody else
    is grading now, no wall can be had, the folder cannot be written or the disk is full.
    """
    assignment = course.assignment(assignment_id)
    nbgrader = NbgraderCourse(course, sealed=sealed, limits=limits, factory=factory)
    _require_release(nbgrader, assignment)
    if students is None:
        chosen = submissions(course, assignment.id)
    else:
        chosen = [submission_of(course, assignment.id, student) for student in dict.fromkeys(students)]
    if workers is not None and workers < 1:
        raise LabkitError(f"{workers} workers cannot grade anything", todo="Ask for one or more")

    start = time.perf_counter()
    with _alone(nbgrader), tqdm(total=len(chosen), desc=assignment.id, unit="student", disable=not progress) as bar:
        run = _Run(nbgrader, assignment, Spool(nbgrader.folder, assignment.id), bar)
        if engine is not None:
            for submission in chosen:
                run.finish(submission, submission.problem or _run(engine, submission))
        else:
            of = {submission.student: submission for submission in chosen}
            jobs = run.jobs(chosen)
            answers = (
                run_on_dask(jobs, scheduler, factory, sealed)
                if scheduler
                else run_here(jobs, workers or _cores(), factory, sealed)
            )
            with closing(answers):  # whatever ends this, no worker is left behind
                for student, outcome in answers:
                    if isinstance(outcome, str):
                        run.finish(of[student], outcome)
                    else:
                        run.spool.put(outcome)
                        run.enter(of[student])
        results = {submission.student: nbgrader.result(assignment, submission.student) for submission in chosen}
    for student, error in run.errors.items():
        results[student].error = error
    return Report(assignment.id, time.perf_counter() - start, results, run.unchanged)


class _Run:
    """One run of :func:`grade`: the only one that writes to the gradebook, and what it has found so far."""

    def __init__(self, nbgrader: NbgraderCourse, assignment: Assignment, spool: Spool, bar: tqdm) -> None:
        self.nbgrader, self.assignment, self.spool, self.bar = nbgrader, assignment, spool, bar
        self.errors: dict[str, str] = {}
        self.unchanged = 0

    def jobs(self, chosen: Iterable[Submission]) -> Iterator[Job]:
        """What has to be run, made one at a time. Submissions for which nothing has to be run are finished here."""
        for submission in chosen:
            problem, job = self._plan(submission)
            if job is not None:
                yield job
            elif problem:
                self.finish(submission, problem)

    def _plan(self, submission: Submission) -> tuple[str, Job | None]:
        """Why a submission cannot be graded, or what has to be run for it; neither, where it is done already."""
        if submission.problem:
            return submission.problem, None
        try:
            key = self.nbgrader.key(self.assignment, submission)
            if self.nbgrader.is_graded(self.assignment, submission.student, key):
                self.nbgrader.enter_lateness(self.assignment, submission)
                self.unchanged += 1
                self.finish(submission)
                return "", None
            job = self.nbgrader.job(self.assignment, submission)
        except UngradableError as error:
            return str(error), None
        except LabkitError:
            raise  # of the course, and not of this submission
        except Exception as error:  # whatever one submission does, the next one gets its turn
            return f"{type(error).__name__}: {error}", None
        if self.spool.get(submission.student, job.key):
            self.enter(submission)
            return "", None
        return "", job

    def enter(self, submission: Submission) -> None:
        """Enter the outcome that lies in the spool."""
        error = self.nbgrader.enter(self.assignment, submission)
        self.spool.drop(submission.student)
        self.finish(submission, error)

    def finish(self, submission: Submission, error: str = "") -> None:
        """Note that a submission is done with; where there was an ``error``, without automatic points."""
        if error:
            self.nbgrader.mark_ungradable(self.assignment, submission)
            self.errors[submission.student] = error
        self.bar.set_postfix_str(submission.student, refresh=False)
        self.bar.update()


@contextmanager
def _alone(nbgrader: NbgraderCourse) -> Iterator[None]:
    """Hold the course's lock, and turn what the file system refuses into one sentence."""
    folder = nbgrader.folder / ".labkit"
    try:
        folder.mkdir(exist_ok=True)
        # the system lets go of it when its owner dies, so that no lock is ever stale
        with filelock.FileLock(folder / "grading.lock", timeout=0), nbgrader.many():
            nbgrader.clear_staging()
            yield
    except filelock.Timeout as error:
        raise LabkitError(
            "Somebody is grading this course already", f"{folder / 'grading.lock'} is held", "Wait until it is done"
        ) from error
    except OSError as error:
        raise LabkitError(
            f"{nbgrader.folder} cannot be written",
            f"{error.filename or folder}: {error.strerror or error}",
            "Put that right and run `labkit grade` again; what was graded is kept",
        ) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def export_results(course: Course, assignment_id: str, report: Report) -> list[Path]:
    """Write what an instructor does next with a whole class's report, and return the files, all in ``assignments/``.

    ``PS.csv`` is nbgrader's own table, ``PS-canvas.csv`` and ``PS-moodle.csv`` are ready for those platforms, and
    ``PS-similarity.html`` shows which answers are alike. Students whose submission could not be graded are in the first
    only. Raises LabkitError where a file cannot be written.
    """
    assignment = course.assignment(assignment_id)
    nbgrader = _open_released(course, assignment)
    place = nbgrader.folder / assignment.id
    people, told = nbgrader.people(), report.to_dict()
    files = [
        export_csv(course, assignment.id, place.with_name(f"{assignment.id}.csv")),
        export_canvas(told, place.with_name(f"{assignment.id}-canvas.csv"), assignment.title, people).path,
        export_moodle(told, place.with_name(f"{assignment.id}-moodle.csv"), assignment.title, people).path,
    ]
    found = {name: nbgrader.graded_notebook(assignment, name) for name in report.students if name not in report.errors}
    notebooks = {name: notebook for name, notebook in found.items() if notebook is not None}
    if len(notebooks) > 1:
        template = nbformat.read(assignment.release, as_version=4)
        pairs = similarity(notebooks, template)
        page = place.with_name(f"{assignment.id}-similarity.html")
        files.append(write_similarity_html(pairs, page, notebooks, template, title=assignment.title))
    return files


def _open_released(course: Course, assignment: Assignment) -> NbgraderCourse:
    nbgrader = NbgraderCourse(course)
    _require_release(nbgrader, assignment)
    return nbgrader


def _require_release(nbgrader: NbgraderCourse, assignment: Assignment) -> None:
    if not nbgrader.has_been_released(assignment):
        raise LabkitError(
            f"{assignment.id} has not been released here",
            f"{nbgrader.folder / 'gradebook.db'} does not know it",
            f"Run `labkit release {assignment.id}` first",
        )


def _run(engine: Engine, submission: Submission) -> str:
    try:
        return engine(submission)
    except Exception as error:  # whatever one submission does, the next one gets its turn
        return f"{type(error).__name__}: {error}"
