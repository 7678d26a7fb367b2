"""How fast a class is graded: stock ``nbgrader autograde`` and ``labkit grade`` on the same submissions, in one run.

    python -m tests.grading.benchmark --students 40            # the table, with one and with two workers
    python -m tests.grading.benchmark --students 300 --no-stock  # a large class, and whether memory stays flat

Seconds mean little on a machine that others use too; the ratios within one run are what counts. Every score of every
cell is compared, and a difference ends the run with an error. Both graders use one thread for each process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

from labkit import build
from labkit.course import Course, load_course
from labkit.grading import grade, release
from labkit.grading.demo import DUE, Invented, _by_hand, _hand_in, _invent, course_folder
from labkit.grading.mistakes import load_mistakes, maximum

HONEST = ("perfect", "mistakes", "late", "blank")


@dataclass
class Measured:
    """One way of grading the class: seconds, and every cell's score by student."""

    name: str
    seconds: float
    scores: dict[str, dict[str, float]]
    memory: int = 0  # bytes at the peak, of the grader and all its processes
    slope: float = 0.0  # bytes by which the grader's own process grew in the second half


def main() -> int:
    """Print the table. Exit status 1 where the scores differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assignment", default="ps2-lenet", metavar="PS")
    parser.add_argument("--students", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--no-stock", action="store_true", help="leave stock nbgrader out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="labkit-benchmark-") as folder:
        original, people = invent(Path(folder) / "class", options.assignment, options.students)
        runs = [] if options.no_stock else [stock(copy_of(original, Path(folder) / "stock"), options.assignment)]
        for workers in options.workers:
            runs.append(ours(copy_of(original, Path(folder) / f"ours{workers}"), options.assignment, workers))
    print(table(runs, options.assignment, len(people)))
    return 0 if all(run.scores == runs[0].scores for run in runs) else 1


def invent(root: Path, ps: str, count: int) -> tuple[Course, list[Invented]]:
    """A course folder with a class of honest students, some right, some wrong, some late, some blank."""
    original = load_course()
    course = course_folder(original, ps, root)
    solution = build.assignment_notebook(course.assignment(ps), course)
    everybody = _invent(3 * count, load_mistakes(course, ps), maximum(solution), _by_hand(solution), seed=1)
    people = [person for person in everybody if person.kind in HONEST][:count]
    blank = nbformat.read(release(course, ps, due=DUE), as_version=4)
    for person in people:
        _hand_in(course, ps, person, solution, blank)
    return course, people


def copy_of(course: Course, root: Path) -> Course:
    """The same class, not yet graded."""
    import shutil

    return load_course(shutil.copytree(course.root, root))


def stock(course: Course, ps: str) -> Measured:
    """``nbgrader autograde`` with nbgrader's own configuration."""
    folder = course.root / "assignments"
    config = f"c = get_config()\nc.CourseDirectory.ignore = ['.ipynb_checkpoints', '__pycache__', '{ps}.md']\n"
    (folder / "nbgrader_config.py").write_text(config + "c.Execute.timeout = 120\n", encoding="utf-8")
    scripts = sysconfig.get_path("scripts")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    start = time.perf_counter()
    done = subprocess.run(
        [f"{scripts}/nbgrader", "autograde", ps], cwd=folder, env=environment, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"stock nbgrader failed:\n{done.stderr[-2000:]}")
    return Measured("nbgrader autograde", seconds, scores(folder, ps))


def ours(course: Course, ps: str, workers: int) -> Measured:
    """``labkit grade``, its processes' start among the seconds."""
    watch = _Watch()
    start = time.perf_counter()
    with watch:
        report = grade(course, ps, workers=workers, progress=sys.stderr.isatty())
    seconds = time.perf_counter() - start
    if report.errors:
        sys.exit(f"labkit could not grade {report.errors}")
    return Measured(
        f"labkit grade --workers {workers}", seconds, scores(course.root / "assignments", ps), watch.peak, watch.slope()
    )


def scores(folder: Path, ps: str) -> dict[str, dict[str, float]]:
    """Every automatic score in a gradebook, by student and cell, as nbgrader itself reads it."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        return {
            submission.student.id: {
                one.name: one.auto_score for notebook in submission.notebooks for one in notebook.grades
            }
            for submission in gradebook.assignment_submissions(ps)
        }


class _Watch(threading.Thread):
    """Looks at the memory of this process and its children while grading goes on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.own, self._stop_it = 0, [], threading.Event()

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_it.set()
        self.join()

    def run(self) -> None:
        me = psutil.Process()
        while not self._stop_it.wait(0.5):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    memory = process.memory_info()
                except psutil.Error:
                    continue
                total += memory.rss - getattr(memory, "shared", 0)
            self.own.append(me.memory_info().rss)
            self.peak = max(self.peak, total)

    def slope(self) -> float:
        """By how much this process was larger at the end than halfway."""
        return float(self.own[-1] - self.own[len(self.own) // 2]) if self.own else 0.0


def table(runs: list[Measured], ps: str, students: int) -> str:
    """The runs side by side, with the ratio to the first."""
    lines = [f"{students} honest submissions of {ps}, {os.cpu_count()} cores", ""]
    lines.append(f"{'':<26} {'seconds':>8} {'each':>6} {'faster':>7} {'peak':>8} {'growth':>8}  scores")
    for run in runs:
        same = "identical" if run.scores == runs[0].scores else "DIFFERENT"
        memory = f"{run.memory / 1e6:5.0f} MB {run.slope / 1e6:5.1f} MB" if run.memory else f"{'':>17}"
        lines.append(
            f"{run.name:<26} {run.seconds:>8.1f} {run.seconds / students:>6.2f} "
            f"{runs[0].seconds / run.seconds:>6.1f}x {memory}  {same}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
