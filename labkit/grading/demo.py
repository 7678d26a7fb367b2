"""A class that does not exist, graded for real: to see the whole way from release to CSV, and to check the grader.

What each invented student deserves is known beforehand, from the mistakes they were given
(``assignments/mistakes/PS.toml``), and every score is compared with it.
"""

from __future__ import annotations

import csv
import itertools
import math
import random
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat

from labkit import build
from labkit.course import Course, load_course
from labkit.errors import LabkitError
from labkit.grading.batch import export_csv, feedback, grade, release
from labkit.grading.mistakes import Mistake, answer_with, load_mistakes, maximum, mistakes_file
from labkit.grading.report import Report
from labkit.grading.submissions import submit, submitted_folder

# fmt: off
NAMES = (
    "ada", "bao", "chidi", "dora", "emeka", "farah", "goro", "hana", "ines", "jamal", "kaya", "lena",
    "milo", "nadia", "oskar", "priya", "qadir", "rosa", "sami", "tala", "umar", "vera", "wanda",
    "xiu", "yaro", "zoe",
)
# fmt: on
# who comes next as the class grows; after the last, the tail repeats
KINDS = (
    "perfect",
    "mistakes",
    "blank",
    "late",
    "cut off",
    "mistakes",
    "late",
    "empty",
    "mistakes",
    "picture",
    "mistakes",
)
KINDS_AFTER = ("mistakes", "mistakes", "perfect", "late")
DUE = datetime(2026, 1, 12, 22, 0, tzinfo=UTC)


@dataclass
class Invented:
    """A student of the demonstration, and what they deserve."""

    name: str
    kind: str
    mistakes: list[Mistake] = field(default_factory=list)
    days_late: int = 0
    score: float = 0.0

    @property
    def broken(self) -> bool:
        return self.kind in ("cut off", "empty", "picture")

    @property
    def story(self) -> str:
        told = [mistake.name for mistake in self.mistakes] or [self.kind]
        return ", ".join(told + ([f"{self.days_late} day(s) late"] if self.days_late else []))


def demo_class(assignment_id: str, students: int = 12, root: Path | None = None, seed: int = 0) -> Report:
    """Invent a class, and take it through release, submit, grade, feedback and CSV. Returns the grades.

    A course folder is made at ``root`` (by default a new temporary one; it is kept, so that you can look around). Some
    students are perfect, some blank, some partly wrong, some late, and some hand in what is no notebook. The same seed
    invents the same class.

    Everything is compared with what was expected before success is printed: each score, each error, the late
    penalties, the pages of feedback and the rows of the CSV. Raises LabkitError naming what differs.
    """
    original = load_course()
    original.assignment(assignment_id)
    if students < 1:
        raise LabkitError(f"A class of {students} cannot be graded", todo="Ask for one student or more")
    course = course_folder(original, assignment_id, root)
    assignment = course.assignment(assignment_id)
    solution = build.assignment_notebook(assignment, course)
    people = _invent(students, load_mistakes(course, assignment_id), maximum(solution), _by_hand(solution), seed)

    print(f"course folder: {course.root / 'assignments'}")
    blank = nbformat.read(release(course, assignment_id, due=DUE), as_version=4)
    for person in people:
        _hand_in(course, assignment_id, person, solution, blank)
    report = grade(course, assignment_id)
    pages = feedback(course, assignment_id)
    table = export_csv(course, assignment_id, course.root / "assignments" / f"{assignment_id}.csv")

    print()
    print(_table(people, report))
    print()
    print(report.summary())
    print(f"\nfeedback  {len(pages)} page(s), such as {pages[0] if pages else 'none'}\ngrades    {table}")
    differences = _differences(people, report, pages, table)
    if differences:
        raise LabkitError(f"{len(differences)} thing(s) are not as they should be:\n" + "\n".join(differences))
    print(f"checked   all {len(people)} scores are what the invented students deserve")
    return report


def course_folder(original: Course, assignment_id: str, root: Path | None) -> Course:
    """A new course folder with the manifest, nbgrader's configuration and this one assignment."""
    root = Path(tempfile.mkdtemp(prefix="labkit-demo-class-")) if root is None else Path(root).absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LabkitError(f"{root} is not an empty folder", todo="Name a folder that is empty or does not exist yet")
    source = original.assignment(assignment_id).source
    needed = (
        original.root / "notebooks" / "course.toml",
        original.root / "assignments" / "nbgrader_config.py",
        mistakes_file(original, assignment_id),
        source,
    )
    for path in needed:
        if not path.is_file():
            raise LabkitError(
                f"{path} is missing", "The demonstration is made from it", "Run this in a checkout of the course"
            )
    hints = original.root / "assignments" / "hints" / f"{assignment_id}.toml"
    for path in (*needed, *([hints] if hints.is_file() else [])):
        place = root / path.relative_to(original.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    course = load_course(root)
    assignment = course.assignment(assignment_id)
    assignment.notebook.write_text(build.to_text(build.assignment_notebook(assignment, course)), encoding="utf-8")
    return course


def _by_hand(solution: nbformat.NotebookNode) -> float:
    """Points that only a person can give."""
    entries = [cell.metadata.nbgrader for cell in solution.cells if "nbgrader" in cell.metadata]
    return sum(float(entry.points) for entry in entries if entry.get("task") or (entry.grade and entry.solution))


def _invent(count: int, mistakes: list[Mistake], worth: dict[str, float], by_hand: float, seed: int) -> list[Invented]:
    chance = random.Random(seed)
    total = sum(worth.values())
    names = itertools.chain(NAMES, (f"{name}{number}" for number in itertools.count(2) for name in NAMES))
    kinds = itertools.chain(KINDS, itertools.cycle(KINDS_AFTER))
    answers = sorted({mistake.answer for mistake in mistakes})
    people = []
    for name, kind in zip(itertools.islice(names, count), kinds, strict=False):
        person = Invented(name, kind)
        if kind == "late":
            person.days_late = chance.randint(1, 7)
        if kind == "mistakes" or (kind == "late" and chance.random() < 0.5):
            for answer in chance.sample(answers, min(len(answers), chance.randint(1, 4))):
                person.mistakes.append(chance.choice([mistake for mistake in mistakes if mistake.answer == answer]))
        if kind in ("perfect", "mistakes", "late"):
            lost = sum(worth[test] - points for mistake in person.mistakes for test, points in mistake.points.items())
            earned = total - by_hand - lost
            person.score = max(0.0, earned - total * min(0.1 * person.days_late, 0.5))
        people.append(person)
    return people


def _hand_in(
    course: Course, assignment_id: str, person: Invented, solution: nbformat.NotebookNode, blank: nbformat.NotebookNode
) -> None:
    notebook = blank if person.kind == "blank" else answer_with(student_version(solution, blank), person.mistakes)
    text = build.to_text(notebook)
    # a day counts from its first second, so two days late is any time of the second day
    when = DUE + timedelta(hours=24 * person.days_late - 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{person.name}, final version (2).ipynb"
        path.write_text(text, encoding="utf-8")
        place = submit(course, assignment_id, person.name, path, when=when)
    if person.broken:  # submit() would have refused these, but files also arrive by other ways
        content = {
            "cut off": text[: len(text) // 2].encode(),
            "empty": b"",
            "picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
        }
        place.write_bytes(content[person.kind])
    assert place.is_relative_to(submitted_folder(course))


def student_version(solution: nbformat.NotebookNode, blank: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The released notebook with every answer filled in, as a student who got it all right would hand it in."""
    right = {cell.metadata.nbgrader.grade_id: cell.source for cell in solution.cells if "nbgrader" in cell.metadata}
    filled = nbformat.from_dict(dict(blank))
    filled.cells = [cell.copy() for cell in blank.cells]
    for cell in filled.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            lines = right[cell.metadata.nbgrader.grade_id].splitlines()
            cell.source = "\n".join(line for line in lines if "### BEGIN" not in line and "### END" not in line)
    return filled


def _table(people: list[Invented], report: Report) -> str:
    lines = [f"{'student':<10}  {'should be':>9}  {'graded':>6}  who"]
    for person in people:
        lines.append(f"{person.name:<10}  {person.score:>9g}  {report.students[person.name].score:>6g}  {person.story}")
    return "\n".join(lines)


def _differences(people: list[Invented], report: Report, pages: list[Path], table: Path) -> list[str]:
    """What is not as it should be, a line each."""
    wrong = []
    with table.open(encoding="utf-8", newline="") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    written = {page.parents[1].name for page in pages if page.is_file()}
    if report.students.keys() != {person.name for person in people}:
        wrong.append("The report does not hold exactly the students of the class.")
    for person in people:
        result = report.students[person.name]
        if not math.isclose(result.score, person.score, abs_tol=1e-9):
            wrong.append(
                f"{person.name} ({person.story}) should have {person.score:g} points and has {result.score:g}."
            )
        for test, points in ((test, points) for mistake in person.mistakes for test, points in mistake.points.items()):
            if result.cells[test].score != points:
                wrong.append(
                    f"{person.name}: {test} should give {points:g} points and gives {result.cells[test].score:g}."
                )
        if bool(result.error) != person.broken:
            wrong.append(f"{person.name} ({person.story}): the error in the report is {result.error!r}.")
        if not math.isclose(exported.get(person.name, -1), person.score, abs_tol=1e-9):
            wrong.append(f"{person.name}: the CSV says {exported.get(person.name, 'nothing')}.")
        if (person.name in written) == person.broken:
            wrong.append(f"{person.name}: there {'is' if person.broken else 'should be'} a page of feedback.")
    return wrong
