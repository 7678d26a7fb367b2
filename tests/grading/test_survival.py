"""The grader is killed twenty times while somebody looks at the grades, and nobody can tell afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkit import build
from labkit.course import Course, load_course
from labkit.grading import grade
from labkit.grading.nbgrader_course import NbgraderCourse
from tests.grading.attacks.world import PS, World

STUDENTS = ("ada", "bao", "chidi", "dora", "emeka", "farah")
KILLS = 20


def hand_in(world: World, student: str, version: int) -> None:
    """One of two versions of a student's work: right, or with one answer missing."""
    notebook = world.solved
    answers = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    code = [cell for cell in answers if cell.cell_type == "code"]
    if (STUDENTS.index(student) + version) % 2:
        code[version % len(code)].source = "raise NotImplementedError"
    answers[-1].source = f"What {student} thinks, version {version}."
    shutil.rmtree(world.assignments / "submitted" / student, ignore_errors=True)
    world.hand_in(student, build.to_text(notebook).encode())


def gradebook(course: Course) -> dict[str, Any]:
    """Everything in the gradebook that a grade depends on, by student."""
    nbgrader = NbgraderCourse(course)
    with nbgrader.gradebook() as book:
        return {
            submission.student.id: {
                grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            for submission in book.assignment_submissions(PS)
        }


def marks_by_hand(course: Course) -> dict[str, float | None]:
    return {
        student: next(m for _, m, _ in grades.values() if m is not None)
        for student, grades in gradebook(course).items()
    }


def mark_by_hand(course: Course) -> None:
    """Give everybody another mark for the question that is read by a person."""
    with NbgraderCourse(course).gradebook() as book:
        for submission in book.assignment_submissions(PS):
            by_hand = [one for notebook in submission.notebooks for one in notebook.grades if one.auto_score is None]
            by_hand[0].manual_score = by_hand[0].max_score * STUDENTS.index(submission.student.id) / len(STUDENTS)
        book.db.commit()


class Reader(threading.Thread):
    """Does what formgrader's pages do, again and again: lists the submissions and opens the graded notebooks."""

    def __init__(self, course: Course) -> None:
        super().__init__(daemon=True)
        self.course, self.errors, self.rounds, self.stopping = course, [], 0, threading.Event()

    def run(self) -> None:
        try:
            nbgrader = NbgraderCourse(self.course)
            while not self.stopping.is_set():
                listed = nbgrader.api.get_submissions(PS)
                assert {one["student"] for one in listed} == set(STUDENTS)
                for student in STUDENTS:
                    nbgrader.api.get_student_submissions(student)
                    (nbgrader.folder / "autograded" / student / PS / f"{PS}.ipynb").read_bytes()
                self.rounds += 1
        except BaseException as error:
            self.errors.append(error)


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


@pytest.mark.slow
def test_killed_twenty_times_the_grades_are_those_of_an_undisturbed_run(tmp_path: Path):
    world = World(tmp_path)
    for student in STUDENTS:
        hand_in(world, student, 0)
    grade(world.course, PS, workers=2, progress=False)
    mark_by_hand(world.course)
    marks = marks_by_hand(world.course)
    assert len(set(marks.values())) == len(STUDENTS)

    undisturbed = World(tmp_path / "undisturbed", world)
    for student in STUDENTS:
        hand_in(undisturbed, student, KILLS)
    grade(undisturbed.course, PS, workers=2, progress=False)
    want = gradebook(undisturbed.course)

    chance = random.Random(7)
    reader = Reader(load_course(world.root))
    reader.start()
    environment = {**os.environ, "LABKIT_COURSE": str(world.root)}
    interrupted = 0
    for kill in range(1, KILLS + 1):
        for student in STUDENTS:
            hand_in(world, student, kill)
        grader = subprocess.Popen(
            [sys.executable, "-m", "labkit.cli", "grade", PS, "--workers", "2"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            grader.wait(chance.uniform(0.5, 6.0))
        except subprocess.TimeoutExpired:
            interrupted += 1
        family = descendants(grader.pid)
        grader.send_signal(signal.SIGKILL)
        grader.wait()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, f"{alive} outlived the grader"
        with sqlite3.connect(f"file:{world.gradebook}?mode=ro", uri=True) as book:
            assert book.execute("pragma integrity_check").fetchone() == ("ok",)
        assert marks_by_hand(world.course) == marks
    assert interrupted >= KILLS // 2, "most of the runs must have been cut off for this to show anything"

    report = grade(world.course, PS, workers=2, progress=False)
    reader.stopping.set()
    reader.join(30)
    assert not report.errors and not reader.errors and reader.rounds > 3
    assert gradebook(world.course) == want
    assert not list((world.assignments / ".labkit").rglob("*.json")), "the spool is empty when all is entered"
