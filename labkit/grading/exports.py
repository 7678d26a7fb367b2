"""Grades as CSV for two learning platforms: Canvas' gradebook import and Moodle's grade import.

What these files hold follows from how the two importers read them (`lib/gradebook_importer.rb` of Canvas,
`grade/import/csv/classes/load_data.php` of Moodle):

- A submission that could not be graded has **no row**. Its score would have to be empty, and neither importer takes
  "empty" for "leave it alone": Canvas offers to clear a grade that is there already, and Moodle writes a 0 into a new
  column. A student without a row stays as they are. They are named in what is returned.
- Moodle looks for the student in one column, and where that cell is blank it goes on with the student of the row
  before. So the columns that may serve for this are written only when all students have a value in them.
- Files are UTF-8 **without a byte order mark**. Moodle would remove one, Canvas would not. They are made to be uploaded;
  in a spreadsheet program choose "import", with UTF-8.
- A cell that a spreadsheet program would run as a formula gets an apostrophe in front. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError

# Canvas takes a column with one of these in its name for a total of its own, and never imports it
_CANVAS_TOTALS = re.compile(
    r"Current (Score|Points|Grade)|Final (Score|Points|Grade)|Override (Score|Grade|Status)", re.IGNORECASE
)
_CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
# what identifies a student, or holds something else, in a Moodle file
_MOODLE_COLUMNS = ("First name", "Last name", "Username", "Email address", "ID number", "Feedback comments")


@dataclass(frozen=True)
class Person:
    """What nbgrader's gradebook knows of a student beside the id. ``lms_user_id`` is the id on the platform."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""


@dataclass(frozen=True)
class Exported:
    """A file that was written: who is in it, who is not (their submission could not be graded), and whose score will
    still change, because something waits to be marked by hand."""

    path: Path
    students: tuple[str, ...]
    left_out: tuple[str, ...]
    unfinished: tuple[str, ...]


def export_canvas(
    report: Mapping[str, Any], path: Path, assignment_title: str, people: Mapping[str, Person] | None = None
) -> Exported:
    """Write the CSV that Canvas' gradebook imports, and say who is in it. ``report`` is :meth:`Report.to_dict`.

    Canvas finds a student by ``ID``, its own number, which nbgrader's ``lms_user_id`` is where it is a number; else by
    ``SIS User ID`` (an ``lms_user_id`` that is none); else by ``SIS Login ID``, which is the student's id in nbgrader. To
    fill a column that exists, give its name as ``assignment_title``; another name makes a new assignment.

    Raises LabkitError for a title that Canvas would not import, and where the file cannot be written.
    """
    title = _title(assignment_title, _CANVAS_COLUMNS)
    if _CANVAS_TOTALS.search(title):
        raise LabkitError(
            f"Canvas would skip a column called '{title}'", "It takes it for one of its totals", "Choose another title"
        )
    exported, graded = _sort_out(report, path)
    possible = max((student["max_score"] for student in graded.values()), default=0)
    rows: list[list[str]] = [[*_CANVAS_COLUMNS, title], ["    Points Possible", "", "", "", "", _number(possible)]]
    for name, student in graded.items():
        person = (people or {}).get(name, Person())
        canvas_id = person.lms_user_id.strip()
        own, sis = (canvas_id, "") if re.fullmatch("[0-9]+", canvas_id) else ("", canvas_id)
        shown = ", ".join(part for part in (person.last_name, person.first_name) if part) or name
        rows.append([shown, own, sis, name, "", _number(student["score"])])
    write_whole(exported.path, _csv(rows))
    return exported


def export_moodle(
    report: Mapping[str, Any], path: Path, assignment_title: str, people: Mapping[str, Person] | None = None
) -> Exported:
    """Write the CSV for Moodle's "Import: CSV file", and say who is in it. ``report`` is :meth:`Report.to_dict`.

    Tell Moodle to map from ``Username`` (the student's id in nbgrader), ``Email address`` or ``ID number`` (nbgrader's
    ``lms_user_id``); the last two are there when every student has one. One student whom Moodle does not know ends the
    whole import, and it says which. ``Feedback comments`` names the tests that were not passed, and what was repaired.

    Raises LabkitError for a title that is a column's name already, and where the file cannot be written.
    """
    title = _title(assignment_title, _MOODLE_COLUMNS)
    exported, graded = _sort_out(report, path)
    who = {name: (people or {}).get(name, Person()) for name in graded}
    columns: dict[str, list[str]] = {
        "First name": [person.first_name for person in who.values()],
        "Last name": [person.last_name for person in who.values()],
        "Username": list(who),
    }
    for column, values in {
        "Email address": [person.email.strip() for person in who.values()],
        "ID number": [person.lms_user_id.strip() for person in who.values()],
    }.items():
        if all(values):
            columns[column] = values
    columns[title] = [_number(student["score"]) for student in graded.values()]
    columns["Feedback comments"] = [_feedback(student) for student in graded.values()]
    write_whole(exported.path, _csv([list(columns), *map(list, zip(*columns.values(), strict=True))]))
    return exported


def write_whole(path: Path, text: str) -> None:
    """Write a file as UTF-8, whole or not at all, readable by you alone; a file that is there is replaced.

    Raises LabkitError where that is not possible.
    """
    part: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(part).replace(path)
    except OSError as error:
        if part:
            Path(part).unlink(missing_ok=True)
        raise LabkitError(f"{path} could not be written", error.strerror or str(error)) from error


def _sort_out(report: Mapping[str, Any], path: Path) -> tuple[Exported, dict[str, Any]]:
    students = dict(sorted(report["students"].items()))
    graded = {name: student for name, student in students.items() if not student["error"]}
    return Exported(
        path=Path(path).absolute(),
        students=tuple(graded),
        left_out=tuple(name for name in students if name not in graded),
        unfinished=tuple(name for name, student in graded.items() if student["needs_manual"]),
    ), graded


def _title(text: str, taken: Iterable[str]) -> str:
    title = " ".join(text.split())
    if not title or title.casefold() in {column.casefold() for column in taken}:
        raise LabkitError(f"'{text}' cannot be the title of a column of grades", todo="Choose another title")
    return title


def _feedback(student: Mapping[str, Any]) -> str:
    """What was lost and why, a line each. Moodle shows it as HTML, so what a student's code said is escaped."""
    lines = [
        f"{name}: {_number(cell['score'])} of {_number(cell['max_score'])}. {cell['message']}".rstrip()
        for name, cell in student["cells"].items()
        if cell["score"] < cell["max_score"] and (cell["message"] or not student["needs_manual"])
    ]
    lines += [f"Repaired: {repair}" for repair in student["repairs"]]
    return html.escape("\n".join(lines), quote=False)


def _number(value: float) -> str:
    return f"{round(float(value), 4):.10g}"


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: str) -> str:
    """The cell as text for spreadsheet programs too, which run what begins with one of these signs as a formula."""
    if not cell.lstrip(" \n").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")):
        return cell
    return cell if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", cell) else "'" + cell
