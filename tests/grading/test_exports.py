"""The files for Canvas and Moodle, read back as their importers would read them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from labkit.errors import LabkitError
from labkit.grading.exports import Exported, Person, export_canvas, export_moodle, write_whole
from labkit.grading.report import CellResult, Report, StudentResult


def student(score: float, message: str = "", **more) -> StudentResult:
    return StudentResult(score, 10.0, cells={"sum-tests": CellResult(score, 10.0, message)}, **more)


@pytest.fixture
def report() -> dict:
    students = {
        "zoe": student(10.0),
        "ada": student(7.25, "You have <class 'int'> & a comma, here."),
        "bao": student(0.0, "=HYPERLINK(1)", needs_manual=True, repairs=["A cell was put back."]),
        "cut": student(0.0, error="It is a damaged notebook."),
    }
    return Report("ps2", 1.0, students).to_dict()


PEOPLE = {
    "zoe": Person("Zoë", "Ångström", "zoe@example.org", "4711"),
    "ada": Person("Ada", "Lovelace", "ada@example.org", "sis-0815"),
    "bao": Person("Bao", "=cmd|' /C calc'!A0", "bao@example.org", "7"),
}


def rows(path: Path) -> list[list[str]]:
    assert not path.read_bytes().startswith(b"\xef\xbb\xbf"), "Canvas would not remove a byte order mark"
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert len({len(row) for row in table}) == 1
    return table


def test_canvas(report, tmp_path):
    done = export_canvas(report, tmp_path / "canvas.csv", "LeNet", PEOPLE)
    assert done == Exported(tmp_path / "canvas.csv", ("ada", "bao", "zoe"), left_out=("cut",), unfinished=("bao",))
    assert rows(done.path) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "LeNet"],
        ["    Points Possible", "", "", "", "", "10"],
        ["Lovelace, Ada", "", "sis-0815", "ada", "", "7.25"],
        ["'=cmd|' /C calc'!A0, Bao", "7", "", "bao", "", "0"],
        ["Ångström, Zoë", "4711", "", "zoe", "", "10"],
    ]


def test_moodle(report, tmp_path):
    done = export_moodle(report, tmp_path / "moodle.csv", "LeNet", PEOPLE)
    assert (done.students, done.left_out, done.unfinished) == (("ada", "bao", "zoe"), ("cut",), ("bao",))
    header, ada, bao, zoe = rows(done.path)
    assert header == [
        "First name", "Last name", "Username", "Email address", "ID number", "LeNet", "Feedback comments",
    ]  # fmt: skip
    assert ada[:6] == ["Ada", "Lovelace", "ada", "ada@example.org", "sis-0815", "7.25"]
    assert ada[6] == "sum-tests: 7.25 of 10. You have &lt;class 'int'&gt; &amp; a comma, here."
    assert bao[5:] == ["0", "sum-tests: 0 of 10. =HYPERLINK(1)\nRepaired: A cell was put back."]
    assert zoe[5:] == ["10", ""]


def test_nobody_is_known_by_name(report, tmp_path):
    table = rows(export_canvas(report, tmp_path / "canvas.csv", "LeNet").path)
    assert [row[:4] for row in table[2:]] == [[name, "", "", name] for name in ("ada", "bao", "zoe")]
    assert rows(export_moodle(report, tmp_path / "moodle.csv", "LeNet").path)[0] == [
        "First name", "Last name", "Username", "LeNet", "Feedback comments",
    ]  # fmt: skip


def test_moodle_never_gets_a_blank_identifier(report, tmp_path):
    """Moodle gives the grade of a row with a blank identifier to the student of the row before."""
    people = {**PEOPLE, "bao": Person("Bao", "B", "  ", "7")}
    header = rows(export_moodle(report, tmp_path / "moodle.csv", "LeNet", people).path)[0]
    assert "Email address" not in header and "ID number" in header and "Username" in header


def test_a_submission_that_could_not_be_graded_is_no_zero(report, tmp_path):
    for export in (export_canvas, export_moodle):
        path = export(report, tmp_path / "out.csv", "LeNet", PEOPLE).path
        assert "cut" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("sign", ["=1+1", "+x", "-x", "@SUM(A1)", "\tx", "\rx", " =1+1", "\n=1", "＝1+1", "-1+cmd"])
def test_no_cell_is_a_formula(sign, tmp_path):
    data = Report("ps", 0.0, {"ada": student(1.0)}).to_dict()
    person = Person(first_name=sign, last_name=sign)
    moodle = rows(export_moodle(data, tmp_path / "moodle.csv", f"{sign} a", {"ada": person}).path)
    assert moodle[1][:2] == ["'" + sign] * 2
    canvas = rows(export_canvas(data, tmp_path / "canvas.csv", f"{sign} a", {"ada": person}).path)
    assert canvas[2][0] == f"'{sign}, {sign}"
    for cell in (cell for row in moodle + canvas for cell in row):
        assert not cell.strip().startswith(tuple("=+-@＝"))


def test_numbers_stay_numbers(tmp_path):
    students = {"a": student(-2.5), "b": student(1 / 3), "c": student(12345.678), "d": student(1e-7)}
    data = Report("ps", 0.0, students).to_dict()
    cells = [row[-1] for row in rows(export_canvas(data, tmp_path / "out.csv", "LeNet").path)[2:]]
    assert cells == ["-2.5", "0.3333", "12345.678", "0"]
    assert [float(cell) for cell in cells] == pytest.approx([-2.5, 0.3333, 12345.678, 0])


@pytest.mark.parametrize("title", ["", " \n", "section", "ID"])
def test_titles_that_are_none_are_refused(title, report, tmp_path):
    with pytest.raises(LabkitError, match="cannot be the title"):
        export_canvas(report, tmp_path / "out.csv", title)


def test_titles_that_a_platform_would_misread_are_refused(report, tmp_path):
    with pytest.raises(LabkitError, match="takes it for one of its totals"):
        export_canvas(report, tmp_path / "out.csv", "Midterm: Final Score")
    with pytest.raises(LabkitError, match="cannot be the title"):
        export_moodle(report, tmp_path / "out.csv", "username")
    assert not list(tmp_path.iterdir())


def test_an_empty_class_gives_a_header(tmp_path):
    data = Report("ps", 0.0, {}).to_dict()
    assert len(rows(export_canvas(data, tmp_path / "canvas.csv", "LeNet").path)) == 2
    assert len(rows(export_moodle(data, tmp_path / "moodle.csv", "LeNet").path)) == 1


def test_what_cannot_be_written_is_one_sentence_and_nothing_changes(report, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for path in (tmp_path / "folder", tmp_path / "file" / "grades.csv", tmp_path / ("x" * 300)):
        with pytest.raises(LabkitError, match="could not be written"):
            export_canvas(report, path, "LeNet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"


def test_a_write_that_fails_halfway_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "grades.csv"
    write_whole(path, "old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LabkitError, match="No space left on device"):
        write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old" and [p.name for p in tmp_path.iterdir()] == ["grades.csv"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_grades_are_for_their_owner_alone(report, tmp_path):
    assert export_canvas(report, tmp_path / "new" / "out.csv", "LeNet").path.stat().st_mode & 0o777 == 0o600
