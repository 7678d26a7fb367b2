"""nbgrader, opened on the course: releasing, grading one submission, reading the gradebook, feedback and CSV.

This is the only module that talks to nbgrader. :mod:`labkit.grading.batch` decides what is to be done, and calls it.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import re
import shutil
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from labkit.course import Assignment, Course
from labkit.errors import LabkitError
from labkit.grading.exports import Person
from labkit.grading.jobs import Job, Limits
from labkit.grading.report import CellResult, StudentResult
from labkit.grading.submissions import Submission, require_checkout

_STAGING = ".labkit/staging"  # where nbgrader writes what then takes its place in autograded/, file by file
_LOCKED_TRIES = 3  # each waits five seconds for the gradebook


class NbgraderCourse:
    """nbgrader on the folder ``assignments/`` of a course, configured by the ``nbgrader_config.py`` in it.

    ``sealed``, ``limits`` and ``factory`` (see :class:`labkit.grading.preprocessors.SealedExecute`) take the place of
    what the configuration says, where they are given.
    """

    def __init__(
        self,
        course: Course,
        *,
        sealed: bool | None = None,
        limits: Limits | None = None,
        factory: str | None = None,
    ) -> None:
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
        given = {"sealed": sealed, "limits": asdict(limits) if limits else None, "factory": factory}
        config.SealedExecute.update({name: value for name, value in given.items() if value is not None})
        self.api: Any = NbGraderAPI(config=config)
        staged = copy.deepcopy(config)
        staged.CourseDirectory.autograded_directory = _STAGING
        self._staged: Any = NbGraderAPI(config=staged)
        # notebooks between job() and enter(), by student, so that nbgrader need not sanitise them a second time
        self._staged.sanitised = {}
        self._check_schema()

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

    @contextmanager
    def many(self) -> Iterator[None]:
        """For as long as this lasts, nbgrader keeps one database engine, and with it the statements that it compiled.

        It makes a new one a dozen times for each student otherwise, which took two fifths of the writer's time.
        """
        from nbgrader import api

        before = api.create_engine
        api.create_engine = functools.lru_cache(before)
        try:
            yield
        finally:
            api.create_engine = before

    def clear_staging(self) -> None:
        """Remove what grading left half done when it was killed. Raises OSError where that is not allowed."""
        if (self.folder / _STAGING).exists():
            shutil.rmtree(self.folder / _STAGING)

    def key(self, assignment: Assignment, submission: Submission) -> str:
        """The name of everything that a submission's outcome depends on."""
        step, where = self._executing(assignment, submission)
        with self._database():
            return step.key(where)

    def job(self, assignment: Assignment, submission: Submission) -> Job:
        """What has to be run for a submission, after nbgrader has put the instructor's cells back.

        Raises LabkitError where there is nothing to run.
        """
        from nbgrader.converters import Autograde

        converter = Autograde(coursedir=self.api.coursedir, parent=self.api)
        converter.exporter = converter.exporter_class(parent=converter, config=converter.config)
        converter._init_preprocessors()
        path = str(submission.notebook)
        with self._database():
            text, _ = converter.exporter.from_filename(path, converter.init_single_notebook_resources(path))
        step, where = self._executing(assignment, submission)
        notebook = nbformat.reads(text, as_version=4)
        with self._database():
            job = step.job(notebook, where)
        self._staged.sanitised[submission.student] = notebook
        return job

    def enter(self, assignment: Assignment, submission: Submission) -> str:
        """``nbgrader autograde`` for one student, with the outcome that lies ready. Returns what went wrong, or nothing.

        The gradebook is written first, then the files in ``autograded/``, of which each is replaced at once. Raises
        LabkitError where the disk is full or the gradebook cannot be written, and OSError for the files.
        """
        for _ in range(_LOCKED_TRIES):
            done = self._call(self._staged.autograde, assignment.id, submission.student, force=True)
            told = f"{done.get('error', '')}\n{done.get('log', '')}"
            if done["success"] or "database is locked" not in told:
                break
        self._staged.sanitised.pop(submission.student, None)
        if not done["success"]:
            trouble = re.search(
                r"database is locked|database or disk is full|No space left on device|readonly database|Read-only file",
                told,
            )
            if trouble:
                raise LabkitError(
                    f"The grades of {submission.student} could not be written",
                    trouble.group(),
                    "Put that right and run `labkit grade` again; what was graded is kept",
                )
            return _reason(done)
        place = Path(submission.student, assignment.id)
        _publish(self.folder / _STAGING / place, self.folder / "autograded" / place)
        return ""

    def is_graded(self, assignment: Assignment, student: str, key: str) -> bool:
        """Whether ``autograded/`` and the gradebook both hold the verdicts of exactly this key."""
        from nbgrader.api import MissingEntry

        notebook = self.graded_notebook(assignment, student)
        if notebook is None or notebook.metadata.get("labkit_grading", {}).get("key") != key:
            return False
        verdicts = {
            cell.metadata.nbgrader.grade_id: cell.metadata.labkit.get("score")
            for cell in notebook.cells
            if "score" in cell.metadata.get("labkit", {})
        }
        with self.gradebook() as gradebook:
            try:
                entry = gradebook.find_submission_notebook(assignment.id, assignment.id, student)
            except MissingEntry:
                return False
            entered = {grade.name: grade.auto_score for grade in entry.grades}
        return verdicts.items() <= entered.items()

    def enter_lateness(self, assignment: Assignment, submission: Submission) -> None:
        """Enter when a submission that is graded already came, and what that costs: either may have changed since."""
        from nbgrader.preprocessors import AssignLatePenalties

        timestamp = self.api.coursedir.get_existing_timestamp(str(submission.folder))
        if timestamp:
            with self.gradebook() as gradebook:
                gradebook.update_or_create_submission(assignment.id, submission.student, timestamp=timestamp)
        told = {"assignment": assignment.id, "student": submission.student, "notebook": assignment.id}
        resources = {"nbgrader": {**told, "db_url": self.api.coursedir.db_url}}
        with self._database():
            AssignLatePenalties(parent=self.api).preprocess(nbformat.v4.new_notebook(), resources)
        new = submission.folder / "timestamp.txt"
        old = self.folder / "autograded" / submission.student / assignment.id / new.name
        if new.is_file() and (not old.is_file() or new.read_bytes() != old.read_bytes()):
            old.unlink(missing_ok=True)  # nbgrader's copies are read-only
            shutil.copyfile(new, old)

    def mark_ungradable(self, assignment: Assignment, submission: Submission) -> None:
        """Enter a submission that cannot be graded: it gets no automatic points, and keeps marks given by hand.

        This is what nbgrader does when a notebook is missing. Results of an earlier submission are removed.
        """
        self._staged.sanitised.pop(submission.student, None)
        with self.gradebook() as gradebook:
            gradebook.update_or_create_student(submission.student)
            entry = gradebook.update_or_create_submission(assignment.id, submission.student)
            for notebook in entry.notebooks:
                notebook.late_submission_penalty = None
                for grade in notebook.grades:
                    grade.auto_score = 0
                    grade.needs_manual_grade = False
            gradebook.db.commit()
        for step in ("autograded", "feedback"):
            shutil.rmtree(self.folder / step / submission.student / assignment.id, ignore_errors=True)

    def result(self, assignment: Assignment, student: str) -> StudentResult:
        """What the gradebook says of one student, and what the failed tests of the graded notebook said."""
        graded = self.graded_notebook(assignment, student)
        messages = _messages(graded)
        told = graded.metadata.get("labkit_grading", {}) if graded else {}
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
                repairs=list(told.get("repairs", [])),
                sealed=told.get("sealed", True),
                stopped=told.get("stopped", ""),
                seconds=told.get("seconds", 0.0),
            )

    def feedback(self, assignment: Assignment, student: str) -> Path:
        """``nbgrader generate_feedback`` for one student, and the page it wrote.

        A page that says what it would say again is left as it is.
        """
        page = self.folder / "feedback" / student / assignment.id / f"{assignment.id}.html"
        mark = self.folder / ".labkit" / "feedback" / assignment.id / f"{student}.txt"
        digest = self._said_in_feedback(assignment, student)
        if page.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == digest:
            return page
        done = self._call(self.api.generate_feedback, assignment.id, student, force=True)
        if not done["success"] or not page.is_file():
            raise LabkitError(f"nbgrader could not write feedback for {student}", _reason(done))
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(digest, encoding="utf-8")
        return page

    def _said_in_feedback(self, assignment: Assignment, student: str) -> str:
        """A digest of everything that a page of feedback is made of."""
        parts = [self._graded_path(assignment, student), self.folder / "hints" / f"{assignment.id}.toml"]
        parts += [Path(__file__).with_name("feedback_page.py"), Path(__file__).with_name("feedback_page.html.j2")]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part.read_bytes() if part.is_file() else b"-")
        with self.gradebook() as gradebook:
            entry = gradebook.find_submission(assignment.id, student)
            told = []
            for notebook in entry.notebooks:
                told.append(notebook.late_submission_penalty)
                told += sorted((one.name, one.score, one.needs_manual_grade) for one in notebook.grades)
                told += sorted((one.name, one.comment or "") for one in notebook.comments)
        digest.update(repr(told).encode())
        return digest.hexdigest()

    def people(self) -> dict[str, Person]:
        """What the gradebook knows of each student beside the id."""
        with self.gradebook() as gradebook:
            return {
                one.id: Person(one.first_name or "", one.last_name or "", one.email or "", one.lms_user_id or "")
                for one in gradebook.students
            }

    def graded_notebook(self, assignment: Assignment, student: str) -> nbformat.NotebookNode | None:
        """The notebook in ``autograded/``; None where there is none, or what lies there is none: it is graded anew."""
        try:
            return nbformat.read(self._graded_path(assignment, student), as_version=4)
        except (OSError, ValueError):
            return None

    def _graded_path(self, assignment: Assignment, student: str) -> Path:
        return self.folder / "autograded" / student / assignment.id / f"{assignment.id}.ipynb"

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
        with self._database(), self.api.gradebook as gradebook:
            yield gradebook

    @contextmanager
    def _database(self) -> Iterator[None]:
        """What the gradebook refuses becomes one sentence."""
        from sqlalchemy.exc import SQLAlchemyError

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy comments on how nbgrader uses it
            try:
                yield
            except SQLAlchemyError as error:
                raise LabkitError(
                    f"{self.folder / 'gradebook.db'} cannot be used",
                    str(getattr(error, "orig", None) or error),
                    "Close what else has it open; if it is of an older nbgrader, copy it and run `nbgrader db upgrade`",
                ) from error

    def _executing(self, assignment: Assignment, submission: Submission) -> tuple[Any, Any]:
        from labkit.grading.preprocessors import SealedExecute, Submitted

        where = Submitted(self.api.coursedir, assignment.id, submission.student, assignment.id)
        return SealedExecute(parent=self.api), where

    def _check_schema(self) -> None:
        """Raise LabkitError for a gradebook of an nbgrader that this one does not know."""
        import nbgrader
        from sqlalchemy import text

        if not (self.folder / "gradebook.db").exists():
            return
        scripts = Path(nbgrader.__file__).parent.glob("alembic/versions/*.py")
        known = {match for path in scripts for match in re.findall(r"^revision\s*=\s*'(\w+)'", path.read_text(), re.M)}
        with self.gradebook() as gradebook:
            revision = gradebook.db.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if revision not in known:
            raise LabkitError(
                f"{self.folder / 'gradebook.db'} was made by another nbgrader than {nbgrader.__version__}",
                f"This one does not know its schema, {revision}. Nothing was changed",
                "Install the newer nbgrader, or restore a copy of the gradebook",
            )

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


def _publish(new: Path, place: Path) -> None:
    """Put nbgrader's files where they belong; whoever reads there finds the old one or the new one of each."""
    names = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    place.mkdir(parents=True, exist_ok=True)
    for old in sorted(place.rglob("*"), reverse=True):  # what a folder holds comes before the folder
        name = old.relative_to(place)
        if old.is_dir() and not any(name in other.parents for other in names):
            shutil.rmtree(old)
        elif not old.is_dir() and name not in names:
            old.unlink()
    for name in sorted(names, key=lambda name: name.suffix == ".ipynb"):  # a notebook names the key, so it is the last
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(new / name, place / name)  # noqa: PTH105  (one name for every replacement of the writer)
    shutil.rmtree(new)


def _messages(notebook: nbformat.NotebookNode | None) -> dict[str, str]:
    """What the test cells of a graded notebook had to say, by grade id."""
    cells = (cell for cell in (notebook.cells if notebook else []) if cell.cell_type == "code")
    marked = [cell for cell in cells if "nbgrader" in cell.metadata]
    return {
        cell.metadata.nbgrader.get("grade_id", ""): cell.metadata.get("labkit", {}).get("message") or _message(cell)
        for cell in marked
    }


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
