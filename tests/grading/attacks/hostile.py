"""The whole hostile class, graded once by this course's own grader."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from labkit.grading import Report, grade
from labkit.grading.jobs import Limits
from tests.grading.attacks.stock import Result
from tests.grading.attacks.suite import FULL, Attack
from tests.grading.attacks.world import NEIGHBOUR, PS, World

LIMITS = Limits(cell_seconds=5, total_seconds=60)
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Hostile:
    """The hostile class after it was graded. ``left`` are the command lines of processes that grading left behind."""

    world: World
    report: Report
    changed: list[str]
    left: list[str]

    def result(self, attack: Attack) -> Result:
        """What became of one attack, as :mod:`tests.grading.attacks.stock` tells it."""
        student = self.report.students[attack.name]
        points = {name: student.cells[name].score for name in FULL}
        neighbour = {name: self.report.students[NEIGHBOUR].cells[name].score for name in FULL}
        return Result(points, neighbour == FULL, self.world.harm(attack.name, attack.not_printed))


def grade_hostile(attacks: Iterable[Attack], folder: Path, workers: int = 2) -> Hostile:
    """Hand in every attack in a new course in an empty folder, and grade them as one class.

    Close it with ``world.clean_up(...)`` when everything was looked at.
    """
    world, attacks = World(folder), list(attacks)
    for attack in attacks:
        if attack.name != NEIGHBOUR:
            world.hand_in(attack.name, attack.damage(world.solved), attack.files)
    world.hand_in_neighbour()
    world.remember()
    surroundings = {
        "HOME": str(world.home),
        "IPYTHONDIR": str(world.folder / "ipython"),
        "MPLCONFIGDIR": str(world.folder / "matplotlib"),
        "LABKIT_COURSE": str(world.root),
        "PSX_TOKEN": world.secrets["token"],
    }
    with _environment(surroundings), _adopting():
        report = grade(world.course, PS, workers=workers, limits=LIMITS, progress=False)
        left = _left()
    return Hostile(world, report, world.changed(), left)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _adopting() -> Iterator[None]:
    """Have processes whose parents end become our children, so that none can slip out of sight."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _left() -> list[str]:
    """The command lines of our descendants; those that are just ending get a moment."""
    _, alive = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=3)
    found = []
    for process in alive:
        try:
            found.append(f"{process.pid} ({process.status()}): {' '.join(process.cmdline()) or process.name()}")
        except psutil.NoSuchProcess:
            continue
    return found
