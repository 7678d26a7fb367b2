"""What takes the place of nbgrader's own steps: reading a submission, running it, and entering the points.

nbgrader's configuration names these classes (:mod:`labkit.grading.config`), so ``nbgrader autograde``, formgrader's
button and ``labkit grade`` all go this way.
"""

from __future__ import annotations

import functools
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Dict, Unicode

from labkit.errors import LabkitError
from labkit.grading.jobs import CellOutcome, Job, Limits, Outcome
from labkit.grading.plan import UngradableError, grading_key, imported_modules, plan
from labkit.grading.repair import repair
from labkit.grading.spool import Spool
from labkit.grading.workers import FACTORY, run_job


class RepairingExporter(NotebookExporter):
    """Reads what a student handed in through :func:`labkit.grading.repair.repair`; the file itself stays as it is."""

    def from_file(self, file_stream: Any, resources: Any = None, **options: Any) -> tuple[Any, Any]:
        """Convert one notebook. Raises UngradableError where there is nothing in it that could be graded."""
        converter: Any = self.parent
        if not converter._sanitizing:  # the second time it is nbgrader's own file that is read
            return super().from_file(file_stream, resources, **options)
        where = Submitted.of(converter.coursedir, resources)
        where.take_links_away(Path(converter._format_dest(where.assignment, where.student)))
        ready = getattr(converter.parent, "sanitised", {}).get(where.student)
        if ready is not None:  # all this was done when it was planned what to run
            self._preprocessors = []
            return self.from_notebook_node(ready, resources, **options)
        if where.notebook.is_symlink():
            raise UngradableError(f"{where.notebook.name} is a link, not a file")
        content = file_stream.buffer.read() if isinstance(file_stream, io.TextIOWrapper) else file_stream.read()
        repaired = repair(content, where.source)
        if repaired.problem:
            raise UngradableError(repaired.problem)
        repaired.notebook.metadata["labkit_grading"] = {"repairs": repaired.repairs}
        return self.from_notebook_node(repaired.notebook, resources, **options)


class SealedExecute(NbGraderPreprocessor):
    """Runs a notebook behind a wall, and writes into each cell what came of it.

    ``cell.metadata.labkit`` holds ``seconds``, ``memory`` (bytes), ``score``, ``message`` and ``review``;
    ``metadata.labkit_grading`` of the notebook holds ``key``, ``sealed``, ``repairs`` and ``stopped``.
    """

    sealed = Bool(True, help="False runs students' code WITHOUT a wall, with your rights").tag(config=True)
    limits = Dict(help="what a submission may use: see labkit.grading.jobs.Limits").tag(config=True)
    factory = Unicode(FACTORY, help="module:attribute that makes what runs a submission").tag(config=True)

    def preprocess(self, notebook: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Run the notebook, or take what a worker has made of it already. Raises LabkitError where no wall can be had."""
        where = Submitted.of(CourseDirectory(parent=self), resources)
        kept = Spool(where.root, where.assignment).get(where.student, self.key(where))
        write_outcome(notebook, kept or run_job(self.job(notebook, where), self.factory, self.sealed))
        return notebook, resources

    def job(self, notebook: NotebookNode, where: Submitted) -> Job:
        """What has to be run for a sanitised notebook."""
        limits = Limits(**self.limits)
        return plan(
            notebook,
            where.source,
            assignment=where.assignment,
            student=where.student,
            files=where.source_files,
            student_files=where.student_files(limits.disk),
            key=self.key(where),
            limits=limits,
        )

    def key(self, where: Submitted) -> str:
        """The name of the outcome, as :func:`labkit.grading.plan.grading_key` makes it."""
        limits = Limits(**self.limits)
        return grading_key(
            where.notebook.read_bytes(),
            where.student_files(limits.disk),
            where.source_bytes,
            where.source_files,
            limits,
            self.sealed,
            imported_modules(where.source),
            where.released(),
        )


class SaveJudgedGrades(SaveAutoGrades):
    """Enters the verdicts. What a notebook shows has no say in it; marks given by hand stay, as nbgrader does it."""

    def preprocess(self, notebook: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Enter all points and comments of a notebook at once: either all of them are in the gradebook, or none."""
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            entry = gradebook.find_submission_notebook(where["notebook"], where["assignment"], where["student"])
            grades = {grade.name: grade for grade in entry.grades}
            comments = {comment.name: comment for comment in entry.comments}
            for cell in notebook.cells:
                if utils.is_grade(cell):
                    self._enter_grade(grades[cell.metadata.nbgrader.grade_id], cell)
                if utils.is_solution(cell) or utils.is_task(cell):
                    comments[cell.metadata.nbgrader.grade_id].auto_comment = _comment(cell)
            gradebook.db.commit()
        return notebook, resources

    def _enter_grade(self, grade: Any, cell: NotebookNode) -> None:
        verdict = cell.metadata.get("labkit", {})
        if cell.cell_type == "code" and not utils.is_solution(cell):
            grade.auto_score = verdict.get("score")
        else:  # an answer that a person marks
            grade.auto_score, _ = utils.determine_grade(cell, self.log)
        unsure = grade.auto_score is None or verdict.get("review", False)
        grade.needs_manual_grade = grade.manual_score is not None or unsure


@dataclass(frozen=True)
class Submitted:
    """One student's notebook in nbgrader's folders, and what the instructor has laid beside it."""

    coursedir: CourseDirectory
    assignment: str
    student: str
    name: str

    @classmethod
    def of(cls, coursedir: CourseDirectory, resources: Any) -> Submitted:
        """From what nbgrader tells its converters."""
        told = resources["nbgrader"]
        return cls(coursedir, told["assignment"], told["student"], told["notebook"])

    @property
    def root(self) -> Path:
        """The course's folder ``assignments/``."""
        return Path(self.coursedir.root)

    @property
    def folder(self) -> Path:
        """What was handed in."""
        return Path(self._path(self.coursedir.submitted_directory, self.student))

    @property
    def notebook(self) -> Path:
        """The file with the answers."""
        return self.folder / f"{self.name}.ipynb"

    @property
    def source_bytes(self) -> bytes:
        """The instructor's notebook, with solutions and hidden tests."""
        path = Path(self._path(self.coursedir.source_directory, "."), f"{self.name}.ipynb")
        try:
            return path.read_bytes()
        except OSError as error:
            raise LabkitError(
                f"{path} cannot be read", error.strerror or str(error), "Run `labkit build` first"
            ) from error

    @property
    def source(self) -> NotebookNode:
        """The same as a notebook. It is shared: do not change it."""
        return _parsed(self.source_bytes)

    @property
    def source_files(self) -> dict[str, bytes]:
        """The instructor's other files, by relative path."""
        folder = Path(self._path(self.coursedir.source_directory, "."))
        return {name: path.read_bytes() for name, path in self._others(folder).items()}

    def student_files(self, at_most: int) -> dict[str, bytes]:
        """The student's other files; links are none. Raises UngradableError where they hold more than ``at_most`` bytes."""
        found = self._others(self.folder)
        found.pop("timestamp.txt", None)
        size = sum(path.stat().st_size for path in found.values())
        if size > at_most:
            raise UngradableError(
                f"{size / 2**20:.0f} MiB of files lie beside the notebook", f"{at_most / 2**20:.0f} MiB are allowed"
            )
        return {name: path.read_bytes() for name, path in found.items()}

    def take_links_away(self, copied: Path) -> None:
        """Remove from nbgrader's copy of the submission what it found by following links: it is not the student's."""
        for path in self.folder.rglob("*"):
            if path.is_symlink():
                (copied / path.relative_to(self.folder)).unlink(missing_ok=True)

    def released(self) -> str:
        """What the gradebook holds of the cells, by which nbgrader restores them: source, points and role of each."""
        with Gradebook(self.coursedir.db_url) as gradebook:
            cells = gradebook.find_notebook(self.name, self.assignment).source_cells
            return repr(sorted((cell.name, cell.checksum) for cell in cells))

    def _path(self, step: str, student: str) -> str:
        return self.coursedir.format_path(step, student, self.assignment)

    def _others(self, folder: Path) -> dict[str, Path]:
        found = map(Path, utils.find_all_files(str(folder), [*self.coursedir.ignore, "*.ipynb"]))
        return {os.path.relpath(path, folder): path for path in found if path.is_file() and not path.is_symlink()}


def write_outcome(notebook: NotebookNode, outcome: Outcome) -> None:
    """Write into a notebook what came of it, and nothing that it said of itself before."""
    found = {cell.index: cell for cell in outcome.cells}
    for index, cell in enumerate(notebook.cells):
        cell.metadata.pop("labkit", None)
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if index in found:
            _write_cell(cell, found[index])
    told = notebook.metadata.get("labkit_grading", {})
    notebook.metadata["labkit_grading"] = {
        "key": outcome.key,
        "sealed": outcome.sealed,
        "repairs": told.get("repairs", []),
        "stopped": outcome.stopped,
        "seconds": round(outcome.seconds, 3),
    }


def _write_cell(cell: NotebookNode, result: CellOutcome) -> None:
    cell.outputs = [nbformat.from_dict(output) for output in _writable(result.outputs)]
    verdict: dict[str, Any] = {"seconds": round(result.seconds, 3), "memory": result.memory}
    if utils.is_grade(cell) and not utils.is_solution(cell):
        verdict |= {"score": result.score, "message": _writable(result.message), "review": result.review}
        shown = any(output.output_type == "error" for output in cell.outputs)
        if not result.score and result.message and not shown:
            # nbgrader's own commands look for an error where points were lost
            message = verdict["message"]
            error = {"ename": "AssertionError", "evalue": message, "traceback": [message]}
            cell.outputs.append(nbformat.v4.new_output("error", **error))
    cell.metadata["labkit"] = verdict


def _writable(data: Any) -> Any:
    """JSON data without halves of characters, which a student can print and no file can hold."""
    return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))


def _comment(cell: NotebookNode) -> str | None:
    untouched = cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
    return "No response." if untouched and not utils.is_task(cell) else None


@functools.lru_cache(maxsize=4)
def _parsed(content: bytes) -> NotebookNode:
    return nbformat.reads(content.decode("utf-8"), as_version=4)
