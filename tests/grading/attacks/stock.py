"""The same class, graded by stock nbgrader: each attacker with one neighbour, in a course folder of their own.

DANGER: this runs every attack with your rights, as stock nbgrader does. They are tame (bounded in processes, memory and
disk; what would end the machine is left out), and what they leave behind is removed. Run it on a machine that holds
nothing else all the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.grading.attacks.suite import FULL, Attack
from tests.grading.attacks.world import NEIGHBOUR, PS, World

CELL_SECONDS = 5
HARD_LIMIT = 30  # seconds for two notebooks, of which an honest one takes one
_CONFIG = f"""\
c = get_config()
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "{PS}.md"]
c.Execute.timeout = {CELL_SECONDS}
"""


@dataclass
class Result:
    """What became of an attack. ``points`` by test cell; None where the notebook was not graded.

    ``neighbour`` is whether the class's other students got what they deserve, ``ended`` whether the grader came to an
    end by itself.
    """

    points: dict[str, float] | None
    neighbour: bool
    harm: list[str] = field(default_factory=list)
    ended: bool = True
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready data."""
        return asdict(self)


def grade_with_stock(attack: Attack, template: World) -> Result:
    """Grade one attacker and one neighbour with ``nbgrader autograde``, in a copy of ``template``'s course."""
    with tempfile.TemporaryDirectory(prefix="labkit-stock-", ignore_cleanup_errors=True) as folder:
        world = World(Path(folder), template)
        try:
            (world.assignments / "nbgrader_config.py").write_text(_CONFIG, encoding="utf-8")
            if attack.name != NEIGHBOUR:
                world.hand_in(attack.name, attack.damage(world.solved), attack.files)
            world.hand_in_neighbour()
            world.remember()
            return _grade(attack, world)
        finally:
            world.clean_up([attack.name])


def _grade(attack: Attack, world: World) -> Result:
    run = f"psx-run-{os.getpid()}-{time.monotonic_ns()}"
    environment = {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), "/usr/bin", "/bin"]),
        "HOME": str(world.home),
        "LABKIT_COURSE": str(world.root),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PSX_TOKEN": world.secrets["token"],
        "PSX_RUN": run,
        "JUPYTER_RUNTIME_DIR": str(world.folder / "runtime"),
        "IPYTHONDIR": str(world.folder / "ipython"),
        "MPLCONFIGDIR": str(world.folder / "matplotlib"),
    }
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "nbgrader", "autograde", PS],
        cwd=world.assignments,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(HARD_LIMIT)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
    seconds = time.perf_counter() - start
    left = _left(run) if ended else []
    try:
        harm = world.harm(attack.name, attack.not_printed)
    finally:
        _kill(run)
        process.wait()
    if len(left) > 1 or (left and not harm):
        harm = [
            *(phrase for phrase in harm if phrase != "left a process running"),
            f"left {_processes(len(left))} running",
        ]
    if process.returncode == -signal.SIGKILL and ended:
        harm.append("killed the grader")
    points, neighbour = _points(world, attack.name), _points(world, NEIGHBOUR)
    return Result(points, neighbour == FULL, harm + world.changed(), ended, round(seconds, 1))


def _points(world: World, student: str) -> dict[str, float] | None:
    """What stands in the gradebook; None for somebody who was not graded."""
    from nbgrader.api import Gradebook, MissingEntry
    from sqlalchemy.exc import SQLAlchemyError

    if not (world.assignments / "autograded" / student / PS / f"{PS}.ipynb").exists():
        return None
    try:
        with Gradebook(f"sqlite:///{world.gradebook}") as gradebook:
            grades = gradebook.find_submission_notebook(PS, PS, student).grades
            scores = {grade.name: grade.auto_score for grade in grades if grade.name in FULL}
    except (MissingEntry, SQLAlchemyError):
        return None
    return {name: float(scores[name]) for name in FULL} if None not in scores.values() else None


def _left(run: str) -> list[int]:
    """The processes of a run that are still there when it has ended; those that are just ending get a moment."""
    for _ in range(20):
        left = list(_processes_of(run))
        if not left:
            break
        time.sleep(0.1)
    return left


def _kill(run: str) -> None:
    """End every process of a run, however often they fork meanwhile."""
    while running := list(_processes_of(run)):
        for pid in running:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _processes_of(run: str) -> Iterator[int]:
    """Every living process that has the run's mark in its environment."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if run.encode() in path.read_bytes():
                yield int(path.parent.name)
        except OSError:
            continue


def _processes(count: int) -> str:
    return "a process" if count == 1 else f"{count} processes"
