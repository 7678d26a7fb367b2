"""Grading a class in one go: what is run, what is not run again, and what survives. Nothing here runs students' code:

a stand-in for the sealed worker gives full points to whoever answered, and writes down what it was asked.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest

from labkit import build, cli
from labkit.course import Course
from labkit.errors import LabkitError
from labkit.grading import Report, feedback, grade, submit
from labkit.grading.jobs import CellOutcome, Limits, Outcome
from labkit.grading.nbgrader_course import NbgraderCourse
from labkit.grading.spool import Spool
from labkit.grading.workers import close_worker, run_job

PS = "ps2-lenet"
DUE = datetime(2026, 1, 12, 22, 0, tzinfo=UTC)
FACTORY = "stand_in_worker:Worker"
STAND_IN = """
import os
from pathlib import Path
from labkit.errors import LabkitError
from labkit.grading.jobs import CellOutcome, Outcome

here = Path(__file__).parent

class Worker:
    def __init__(self, imports, sealed=True):
        if (here / "no wall").exists():
            raise LabkitError("No wall can be had", "this is a test", "Install one")
        self.sealed = sealed

    def run(self, job):
        with (here / "log").open("a") as log:
            log.write(f"{job.student} {os.getpid()}\\n")
        for trouble, do in {"dies": lambda: os._exit(7), "waits": self.wait, "breaks": lambda: 1 / 0}.items():
            file = here / f"{job.student} {trouble}"
            if file.exists():
                times = int(file.read_text())
                file.write_text(str(times - 1)) if times > 1 else file.unlink()
                do()
        answered = any("np.pad" in cell.source for cell in job.cells if cell.kind == "student")
        cells = [CellOutcome(cell.index, seconds=0.5, memory=1000) for cell in job.cells]
        for cell, found in zip(job.cells, cells):
            if cell.kind == "tests":
                found.score, found.message = (cell.points, "") if answered else (0.0, "Nothing was answered.")
        return Outcome(job.student, job.key, cells, self.sealed, seconds=1.5)

    def wait(self):
        (here / "started").write_text("")  # pipes: whoever opens one waits for the other end
        (here / "never").read_text()

    def close(self):
        pass
"""


@dataclass
class Class:
    """A course folder with submissions, and the folder of the stand-in."""

    course: Course
    stage: Path
    solved: nbformat.NotebookNode
    released: nbformat.NotebookNode

    @property
    def folder(self) -> Path:
        return self.course.root / "assignments"

    def hand_in(self, student: str, *, solved: bool = True, extra: str = "", when: datetime = DUE) -> Path:
        notebook = nbformat.from_dict(dict(self.solved if solved else self.released))
        if extra:
            notebook.cells = [*notebook.cells, nbformat.v4.new_code_cell(extra)]
        path = self.stage / "homework.ipynb"
        path.write_text(build.to_text(notebook), encoding="utf-8")
        return submit(self.course, PS, student, path, when=when)

    def grade(self, **options) -> Report:
        return grade(self.course, PS, **{"progress": False, "workers": 2, "factory": FACTORY, **options})

    def ran(self) -> list[str]:
        """The students whose notebooks were run since this was asked the last time."""
        log = self.stage / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(line.split()[0] for line in lines)

    def trouble(self, student: str, kind: str, times: int = 1) -> None:
        (self.stage / f"{student} {kind}").write_text(str(times))

    def graded(self, student: str) -> Path:
        return self.folder / "autograded" / student / PS / f"{PS}.ipynb"

    def gradebook(self) -> dict:
        """All that grading has entered, and what was marked by hand."""
        with NbgraderCourse(self.course).gradebook() as gradebook:
            return {
                entry.student_id: (
                    str(entry.timestamp),
                    entry.late_submission_penalty,
                    {g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in entry.notebooks[0].grades},
                    {c.name: c.auto_comment for c in entry.notebooks[0].comments},
                )
                for entry in gradebook.assignment_submissions(PS)
            }

    def mark(self, student: str, points: float) -> None:
        with NbgraderCourse(self.course).gradebook() as gradebook:
            grade = gradebook.find_grade("double-softmax", PS, PS, student)
            grade.manual_score, grade.needs_manual_grade = points, False
            gradebook.db.commit()


@pytest.fixture
def new_class(released_course, solved_notebook, tmp_path, monkeypatch) -> Callable[..., Class]:
    (tmp_path / "stand_in_worker.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)

    def make(*students: str) -> Class:
        course = released_course()
        released = nbformat.read(course.assignment(PS).release, as_version=4)
        made = Class(course, tmp_path, solved_notebook(released), released)
        for student in students:
            made.hand_in(student)
        return made

    yield make
    close_worker()
    sys.modules.pop("stand_in_worker", None)


def test_verdicts_reach_gradebook_notebook_and_report(new_class):
    made = new_class("ada")
    made.hand_in("bao", solved=False, when=DUE + timedelta(hours=1))
    report = made.grade()
    ada, bao = report.students["ada"], report.students["bao"]
    assert (ada.score, ada.needs_manual, ada.sealed, ada.seconds) == (36, True, True, 1.5)
    assert (bao.score, bao.needs_manual) == (0, False), "a written answer that was not touched is 0, as in nbgrader"
    assert bao.cells["conv-by-hand-tests"].message == "Nothing was answered."
    assert report.errors == {}

    notebook = nbformat.read(made.graded("bao"), as_version=4)
    told = notebook.metadata["labkit_grading"]
    assert set(told) == {"key", "sealed", "repairs", "stopped", "seconds"} and told["sealed"] is True
    cell = next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "conv-by-hand-tests")
    assert cell.metadata.labkit == {
        "seconds": 0.5,
        "memory": 1000,
        "score": 0.0,
        "message": "Nothing was answered.",
        "review": False,
    }
    (output,) = cell.outputs
    assert (output.output_type, output.ename, output.evalue) == ("error", "AssertionError", "Nothing was answered.")
    assert "BEGIN HIDDEN TESTS" in cell.source
    assert len(feedback(made.course, PS, progress=False)) == 2
    assert [path.name for path in (made.folder / ".labkit" / PS).iterdir()] == [], "the spool is empty again"


def test_what_a_student_writes_into_the_metadata_is_no_verdict(new_class):
    made = new_class()
    path = made.hand_in("eve", solved=False)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata["labkit"] = {"score": 99, "message": "", "review": False}
    notebook.metadata["labkit_grading"] = {"key": "mine", "repairs": ["nothing to see"], "sealed": True}
    path.write_text(build.to_text(notebook), encoding="utf-8")
    eve = made.grade().students["eve"]
    assert eve.score == 0 and "nothing to see" not in eve.repairs


def test_a_test_without_a_verdict_waits_for_a_person(new_class, monkeypatch):
    from stand_in_worker import Worker

    honest = Worker.run

    def run(self, job):
        outcome = honest(self, job)
        first, second = [cell for cell in outcome.cells if cell.score][:2]
        first.score, second.review = None, True
        return outcome

    made = new_class("ada")
    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr("labkit.grading.batch.run_here", run_in_this_process)
    made.grade()
    grades = made.gradebook()["ada"][2]
    assert grades["conv-by-hand-tests"] == (None, None, True)
    assert grades["conv-stride-tests"] == (3, None, True)
    assert grades["output-size-tests"] == (4, None, False)


def run_in_this_process(jobs, count, factory, sealed):
    for job in jobs:
        yield job.student, run_job(job, factory, sealed)


def test_what_has_not_changed_is_not_run_again(new_class):
    made = new_class("ada", "bao", "chidi")
    first = made.grade()
    assert made.ran() == ["ada", "bao", "chidi"] and first.unchanged == 0
    before = made.gradebook()

    again = made.grade()
    assert made.ran() == [] and again.unchanged == 3
    assert made.gradebook() == before
    assert again.students == first.students
    assert "3 of them had not changed since" in again.summary()

    made.hand_in("bao", extra="1 + 1")
    assert made.grade().unchanged == 2
    assert made.ran() == ["bao"]

    made.grade(students=["chidi"], limits=Limits(cell_seconds=5))
    assert made.ran() == ["chidi"], "other limits may give another outcome"


def test_what_lies_beside_the_notebook_and_in_the_gradebook_counts(new_class):
    made = new_class("ada", "bao")
    made.grade()
    made.ran()
    (made.folder / "submitted" / "ada" / PS / "helper.py").write_text("x = 1")
    made.grade()
    assert made.ran() == ["ada"]
    assert (made.graded("ada").parent / "helper.py").read_text() == "x = 1"
    with NbgraderCourse(made.course).gradebook() as gradebook:  # as when an older copy of it was put back
        gradebook.remove_submission(PS, "bao")
    made.grade()
    assert made.ran() == ["bao"]
    (made.folder / "source" / PS / "table.csv").write_text("1,2")
    made.grade()
    assert made.ran() == ["ada", "bao"], "the instructor's files are part of the assignment"


def test_lateness_is_looked_at_again_without_running_anything(new_class):
    made = new_class("ada")
    made.grade()
    made.hand_in("ada", when=DUE + timedelta(hours=30))
    made.ran()
    report = made.grade()
    assert made.ran() == [] and report.unchanged == 1
    assert report.students["ada"].late_penalty == pytest.approx(8)
    stamp = Path("submitted", "ada", PS, "timestamp.txt")
    graded = made.folder / "autograded" / "ada" / PS / "timestamp.txt"
    assert graded.read_text() == (made.folder / stamp).read_text()


def test_marks_given_by_hand_are_kept(new_class):
    made = new_class("ada", "bao")
    made.grade()
    made.mark("ada", 3.5)
    assert made.grade().students["ada"].score == 39.5
    assert not made.grade().students["ada"].needs_manual, "nothing has changed, so nothing has to be looked at again"
    made.hand_in("ada", extra="2 + 2")
    after = made.grade().students["ada"]
    assert after.score == 39.5 and after.needs_manual


def test_a_worker_that_dies_is_replaced_and_its_job_run_again(new_class):
    made = new_class("ada", "bao", "chidi")
    made.trouble("ada", "dies", 2)
    made.trouble("bao", "dies", 3)
    made.trouble("chidi", "breaks", 1)
    report = made.grade()
    assert made.ran() == ["ada"] * 3 + ["bao"] * 3 + ["chidi"] * 2
    assert set(report.errors) == {"bao"}
    assert "could not be run, in 3 attempts" in report.errors["bao"] and "status 7" in report.errors["bao"]
    assert [student.score for student in report.students.values()] == [36, 0, 36]


def test_where_no_wall_can_be_had_nobody_is_graded(new_class):
    made = new_class("ada", "bao")
    (made.stage / "no wall").touch()
    with pytest.raises(LabkitError, match=r"No wall can be had.*Install one"):
        made.grade()
    assert made.gradebook() == {} and not (made.folder / "autograded").exists()


def test_kill_9_loses_nothing(new_class):
    calm, made = new_class("ada", "bao", "chidi"), new_class("ada", "bao", "chidi")
    for one in (calm, made):
        one.grade(students=["bao"])
        one.mark("bao", 2.5)
        one.hand_in("bao", extra="3 + 3")
    calm.grade()
    calm.ran()

    for pipe in ("started", "never"):
        os.mkfifo(made.stage / pipe)
    made.trouble("bao", "waits")
    grader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(made.stage)!r})\n"
            "from labkit.course import load_course\nfrom labkit.grading import grade\nfrom pathlib import Path\n"
            f"grade(load_course(Path({str(made.course.root)!r})), {PS!r}, workers=1, factory={FACTORY!r})",
        ],
        stderr=subprocess.DEVNULL,
    )
    (made.stage / "started").read_text()  # bao's notebook is running, and ada's was run before
    worker = int((made.stage / "log").read_text().split()[-1])
    grader.send_signal(signal.SIGKILL)
    grader.wait()
    wait_for_the_end_of(worker)
    assert made.ran() == ["ada", "bao"]

    made.grade()
    assert made.ran() == ["bao", "chidi"], "ada was graded before the kill"
    assert made.gradebook() == calm.gradebook()
    assert made.gradebook()["bao"][2]["double-softmax"][1] == 2.5


def wait_for_the_end_of(process: int) -> None:
    """Wait until a process that is not our child has gone: it notices by itself that the grader was killed."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    import select

    ready, _, _ = select.select([descriptor], [], [], 30)
    os.close(descriptor)
    assert ready, "the worker outlived the grader"


def test_an_outcome_that_was_not_entered_yet_is_not_run_again(new_class, monkeypatch):
    made = new_class("ada", "bao")
    with monkeypatch.context() as patch:

        def killed(self, assignment, submission):
            raise SystemExit

        patch.setattr(NbgraderCourse, "enter", killed)
        with pytest.raises(SystemExit):
            made.grade(workers=1)
    assert made.ran() == ["ada"] and (made.folder / ".labkit" / PS / "ada.json").is_file()
    assert made.grade().students["ada"].score == 36
    assert made.ran() == ["bao"]


def test_only_one_grades_at_a_time_and_a_left_over_lock_is_no_lock(new_class):
    import filelock

    made = new_class("ada")
    (made.folder / ".labkit").mkdir()
    lock = made.folder / ".labkit" / "grading.lock"
    lock.touch()  # left behind by one that was killed
    with filelock.FileLock(lock), pytest.raises(LabkitError, match="Somebody is grading this course already"):
        made.grade()
    assert made.ran() == []
    assert made.grade().errors == {}


def test_a_reader_of_autograded_always_finds_the_notebook(new_class):
    made = new_class("ada")
    made.grade()
    stop, missed, seen = threading.Event(), [], set()

    def read() -> None:
        while not stop.is_set():
            try:
                notebook = json.loads(made.graded("ada").read_text(encoding="utf-8"))
                seen.add(notebook["metadata"]["labkit_grading"]["key"])
            except (OSError, ValueError) as error:
                missed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(3):
            made.hand_in("ada", extra=f"{number} + 1")
            made.grade(workers=1)
    finally:
        stop.set()
        reader.join()
    assert missed == [] and len(seen) >= 3


def test_files_of_an_earlier_submission_do_not_stay(new_class):
    made = new_class("ada")
    beside = made.folder / "submitted" / "ada" / PS
    (beside / "data").mkdir()
    (beside / "data" / "old.csv").write_text("1")
    (beside / "other").write_text("a file")
    made.grade()
    place = made.graded("ada").parent
    assert (place / "data" / "old.csv").is_file()
    made.hand_in("ada")
    (beside / "data").write_text("a file now")
    (beside / "other").mkdir()
    (beside / "other" / "new.csv").write_text("2")
    assert made.grade().errors == {}
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert found == {f"{PS}.ipynb", "timestamp.txt", "data", "other/new.csv"}


def test_links_in_a_submission_lead_nowhere(new_class):
    made = new_class("ada", "bao")
    beside = made.folder / "submitted" / "ada" / PS
    (beside / "notes.txt").symlink_to(made.folder / "gradebook.db")
    made.graded("bao")
    (made.folder / "submitted" / "bao" / PS / f"{PS}.ipynb").unlink()
    (made.folder / "submitted" / "bao" / PS / f"{PS}.ipynb").symlink_to(beside / f"{PS}.ipynb")
    report = made.grade()
    assert report.students["ada"].score == 36 and not (made.graded("ada").parent / "notes.txt").exists()
    assert "is a link" in report.errors["bao"]


def test_a_full_disk_is_one_sentence_and_costs_nothing(new_class, monkeypatch):
    made = new_class("ada")
    made.grade()
    before = made.graded("ada").read_bytes()
    made.hand_in("ada", extra="4 + 4")
    made.ran()
    with monkeypatch.context() as patch:

        def full(source, target):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))

        patch.setattr(os, "replace", full)
        with pytest.raises(LabkitError, match=r"cannot be written.*No space left.*what was graded is kept"):
            made.grade()
    assert made.graded("ada").read_bytes() == before
    assert made.grade().students["ada"].score == 36
    assert made.graded("ada").read_bytes() != before


def test_a_course_folder_that_cannot_be_written_is_one_sentence(new_class):
    made = new_class("ada")
    (made.folder / ".labkit").write_text("a file where a folder has to be")
    with pytest.raises(LabkitError, match=r"cannot be written.*\.labkit"):
        made.grade()
    assert made.ran() == []


def test_a_gradebook_of_a_newer_schema_is_left_alone(new_class):
    made = new_class("ada")
    path = made.folder / "gradebook.db"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = 'f00d'")
    before = path.read_bytes()
    with pytest.raises(LabkitError, match=r"another nbgrader.*f00d.*Nothing was changed"):
        made.grade()
    assert path.read_bytes() == before


def test_a_gradebook_that_somebody_else_holds_stops_the_run_and_loses_nothing(new_class, monkeypatch):
    made = new_class("ada")
    monkeypatch.setattr(
        NbgraderCourse,
        "_call",
        staticmethod(lambda *_, **__: {"success": False, "log": "OperationalError: database is locked"}),
    )
    with pytest.raises(LabkitError, match=r"ada could not be written.*database is locked"):
        made.grade()
    monkeypatch.undo()
    sys.path.insert(0, str(made.stage))
    made.ran()
    assert made.grade().students["ada"].score == 36
    assert made.ran() == [], "its outcome was waiting"


def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(new_class):
    made = new_class("ada", "bao")
    for pipe in ("started", "never"):
        os.mkfifo(made.stage / pipe)
    made.trouble("bao", "waits")

    def press() -> None:
        (made.stage / "started").read_text()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        made.grade(workers=1)
    wait_for_the_end_of(int((made.stage / "log").read_text().split()[-1]))
    made.ran()
    assert made.grade().students["bao"].score == 36
    assert made.ran() == ["bao"]


def test_unsealed_grades_are_marked(new_class, capsys):
    made = new_class("ada")
    report = made.grade(sealed=False)
    assert json.loads(report.to_json())["students"]["ada"]["sealed"] is False
    assert "UNSEALED: the code of 1 of them" in report.summary()
    assert nbformat.read(made.graded("ada"), as_version=4).metadata["labkit_grading"]["sealed"] is False
    made.ran()
    again = made.grade()
    assert made.ran() == ["ada"] and "UNSEALED" not in again.summary()


def test_the_command_line_hands_everything_on(new_class, monkeypatch, capsys, tmp_path):
    made = new_class("ada", "bao")
    monkeypatch.setattr("labkit.course.load_course", lambda: made.course)
    monkeypatch.setattr("labkit.grading.batch.FACTORY", FACTORY)
    asked = {}

    def graded(course, assignment, **options):
        asked.update(options)
        return grade(course, assignment, **options, factory=FACTORY, progress=False)

    monkeypatch.setattr("labkit.grading.grade", graded)
    arguments = ["grade", PS, "--workers", "1", "--unsealed", "--students", "ada", "--json", str(tmp_path / "out.json")]
    assert cli.main(arguments) == 0
    told = capsys.readouterr()
    assert asked == {"students": ["ada"], "workers": 1, "scheduler": None, "sealed": False}
    assert "with YOUR rights" in told.err and "feedback: 1 page" in told.out
    assert set(json.loads((tmp_path / "out.json").read_text())["students"]) == {"ada"}
    assert cli.main(["grade", PS, "--workers", "0"]) == 1


def test_formgraders_button_takes_the_same_way(new_class, monkeypatch):
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    made = new_class("ada")
    config = PyFileConfigLoader("nbgrader_config.py", path=str(made.folder)).load_config()
    config.SealedExecute.factory = FACTORY
    path = made.folder / "submitted" / "ada" / PS / f"{PS}.ipynb"
    damaged = nbformat.read(path, as_version=4)
    del damaged.cells[9]  # the tests of stride and padding: they come back
    path.write_text(build.to_text(damaged), encoding="utf-8")
    done = NbGraderAPI(config=config).autograde(PS, "ada")
    assert done["success"], done
    assert made.ran() == ["ada"]
    assert made.gradebook()["ada"][2]["conv-stride-tests"] == (3, None, False)
    report = made.grade()
    assert made.ran() == [] and report.unchanged == 1, "the batch knows what the button has done"
    assert len(report.students["ada"].repairs) == 1

    path.write_bytes(b"\x89PNG")
    done = NbGraderAPI(config=config).autograde(PS, "ada")
    assert not done["success"] and "not even text" in done["log"]


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_grades_though_a_worker_is_lost(new_class):
    distributed = pytest.importorskip("distributed")
    students = ["ada", "bao", "chidi", "dora"]
    made, alone = new_class(*students), new_class(*students)
    alone.grade()
    alone.ran()
    made.trouble("chidi", "dies")
    options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        report = made.grade(scheduler=cluster.scheduler_address)
    assert report.errors == {} and made.ran() == ["ada", "bao", "chidi", "chidi", "dora"]
    assert made.gradebook() == alone.gradebook()


def test_a_scheduler_that_is_not_there_is_one_sentence(new_class, monkeypatch):
    made = new_class("ada")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LabkitError, match=r"needs Dask.*labkit\[dask\]"):
        made.grade(scheduler="tcp://127.0.0.1:1")
    monkeypatch.undo()
    pytest.importorskip("distributed")
    with pytest.raises(LabkitError, match=r"The Dask scheduler at nowhere.* does not answer"):
        grade(made.course, PS, scheduler="nowhere://x", progress=False)


@pytest.fixture
def spool(tmp_path) -> Iterator[Spool]:
    yield Spool(tmp_path, PS)


def test_the_spool_gives_back_what_it_got_and_nothing_else(spool, monkeypatch):
    outcome = Outcome("ada", "k1", [CellOutcome(3, [{"output_type": "stream"}], 0.1, 9, 2.0, "so", True)], True, 0.2)
    assert spool.get("ada", "k1") is None
    spool.put(outcome)
    assert spool.get("ada", "k1") == outcome and spool.get("ada", "k2") is None
    with monkeypatch.context() as patch:

        def fails(source, target):
            raise OSError(errno.ENOSPC, "full")

        patch.setattr(os, "replace", fails)
        with pytest.raises(OSError, match="full"):
            spool.put(Outcome("ada", "k2", [], True))
    assert spool.get("ada", "k1") == outcome
    assert [path.name for path in spool.folder.iterdir()] == ["ada.json"]
    (spool.folder / "ada.json").write_text('{"student": "ada"')
    assert spool.get("ada", "k1") is None
    spool.drop("ada")
    spool.drop("ada")
    assert list(spool.folder.iterdir()) == []


def test_a_page_of_feedback_is_written_again_only_where_it_would_say_something_else(new_class):
    made = new_class("ada", "bao")
    made.grade()
    pages = {page.parents[1].name: page for page in feedback(made.course, PS, progress=False)}
    before = {student: page.stat().st_mtime_ns for student, page in pages.items()}
    with NbgraderCourse(made.course).gradebook() as gradebook:
        gradebook.find_grade("double-softmax", PS, PS, "ada").manual_score = 3
        gradebook.db.commit()
    feedback(made.course, PS, progress=False)
    after = {student: page.stat().st_mtime_ns for student, page in pages.items()}
    assert after["ada"] > before["ada"] and after["bao"] == before["bao"]
    assert "<b>39</b> of 40 points" in pages["ada"].read_text(encoding="utf-8")


def test_formgrader_shows_an_instructor_no_script_of_a_student(new_class):
    from nbconvert.exporters import HTMLExporter

    made = new_class("ada")
    notebook = nbformat.read(made.course.assignment(PS).release, as_version=4)
    evil = "<script>steal()</script><img src=x onerror=steal()>"
    notebook.cells.append(nbformat.v4.new_markdown_cell(f"Hello **there** {evil}"))
    shown = nbformat.v4.new_output(
        "display_data", {"text/html": f"<b>bold</b>{evil}", "image/svg+xml": f"<svg>{evil}</svg>"}
    )
    notebook.cells.append(nbformat.v4.new_code_cell("1", outputs=[shown]))
    # as formgrader's server extension makes its exporter
    exporter = HTMLExporter(config=NbgraderCourse(made.course).api.config)
    page, _ = exporter.from_notebook_node(notebook)
    assert (
        "steal()" in page
        and "<script>steal" not in page
        and "onerror=steal" not in page.replace("&lt;img src=x onerror", "")
    )
    assert "<strong>there</strong>" in page and "<b>bold</b>" in page
