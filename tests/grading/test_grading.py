"""One class, graded once by nbgrader itself, and everything that must hold of it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest

from labkit import build
from labkit.course import Course, load_course
from labkit.errors import LabkitError
from labkit.grading import Report, export_csv, feedback, grade, release, submissions, submit
from labkit.grading.batch import leaked_lines
from labkit.grading.late import late_penalty
from labkit.grading.mistakes import Mistake, answer_with, load_mistakes, maximum

PS = "ps2-lenet"
DUE = datetime(2026, 1, 12, 22, 0, tzinfo=UTC)
BROKEN = {
    "cut-off": "damaged notebook",
    "empty": "is empty",
    "picture": "not even text",
    "essay": "is not a notebook",
    "json": "though it is JSON",
    "alien": "none of its cells belongs to ps2-lenet",
    "misnamed": "It holds homework.ipynb instead",
    "nothing": "There is no notebook at all",
    "no-date": "timestamp.txt does not hold a date",
}


@dataclass
class Class:
    """A course folder in which a whole class was graded."""

    course: Course
    released: nbformat.NotebookNode
    solved: nbformat.NotebookNode
    packs: dict[str, list[Mistake]]
    report: Report
    pages: dict[str, Path]
    table: Path

    @property
    def folder(self) -> Path:
        return self.course.root / "assignments"

    def submitted(self, student: str) -> Path:
        return self.folder / "submitted" / student / PS / f"{PS}.ipynb"


def pack(mistakes: list[Mistake]) -> dict[str, list[Mistake]]:
    """Spread the mistakes over as few students as possible, each with at most one for an answer."""
    students: list[dict[str, Mistake]] = []
    for mistake in mistakes:
        free = next((answers for answers in students if mistake.answer not in answers), None)
        if free is None:
            students.append(free := {})
        free[mistake.answer] = mistake
    return {f"pack{number}": list(answers.values()) for number, answers in enumerate(students)}


def write(course: Course, student: str, notebook: nbformat.NotebookNode, tmp: Path, **options) -> Path:
    path = tmp / f"{student} (1).ipynb"
    path.write_text(build.to_text(notebook), encoding="utf-8")
    return submit(course, PS, student, path, **options)


@pytest.fixture(scope="session")
def graded(released_course, solved_notebook, tmp_path_factory) -> Class:
    course: Course = released_course()
    tmp = tmp_path_factory.mktemp("handed-in")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/usr/bin:/bin")  # an environment that was not activated: no alembic to be found
        released = nbformat.read(course.assignment(PS).release, as_version=4)
        solved = solved_notebook(released)
        packs = pack(load_mistakes(course, PS))
        early = DUE - timedelta(days=1)
        write(course, "perfect", solved, tmp, when=early)
        write(course, "blank", released, tmp, when=early)
        write(course, "late", solved, tmp, when=DUE + timedelta(days=1, seconds=1))
        for student, mistakes in packs.items():
            write(course, student, answer_with(solved, mistakes), tmp, when=early)

        killer = Mistake("killer", "", "conv-by-hand", "import os; os._exit(1)", {})
        write(course, "killer", answer_with(solved, [killer]), tmp, when=early)
        places = {student: write(course, student, solved, tmp, when=early) for student in BROKEN}
        text = places["json"].read_text(encoding="utf-8")
        places["cut-off"].write_text(text[: len(text) // 3], encoding="utf-8")
        places["empty"].write_bytes(b"")
        places["picture"].write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        places["essay"].write_text("Dear professor, the dog ate it.", encoding="utf-8")
        places["json"].write_text('{"answer": 42}', encoding="utf-8")
        alien = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
        places["alien"].write_text(build.to_text(alien), encoding="utf-8")
        places["misnamed"].rename(places["misnamed"].with_name("homework.ipynb"))
        places["nothing"].unlink()
        places["no-date"].with_name("timestamp.txt").write_text("last Tuesday", encoding="utf-8")

        report = grade(course, PS, progress=False)
        pages = {page.parents[1].name: page for page in feedback(course, PS, progress=False)}
        table = export_csv(course, PS, course.root / "grades" / "out.csv")
    return Class(course, released, solved, packs, report, pages, table)


def test_the_solution_gets_every_automatic_point_and_waits_for_the_hand_mark(graded: Class, solution):
    result, worth = graded.report.students["perfect"], maximum(solution)
    assert result.max_score == sum(worth.values())
    assert result.score == sum(worth.values()) - worth["double-softmax"]
    assert {name: cell.score for name, cell in result.cells.items()} == {**worth, "double-softmax": 0}
    assert result.needs_manual and result.error is None and result.late_penalty == 0
    assert not any(cell.message for cell in result.cells.values())


def test_the_blank_release_gets_nothing(graded: Class, solution):
    result = graded.report.students["blank"]
    assert result.score == 0 and result.max_score == sum(maximum(solution).values())
    assert {cell.score for cell in result.cells.values()} == {0}
    assert not result.needs_manual and result.error is None


def test_every_mistake_gets_exactly_what_it_deserves(graded: Class, solution):
    worth = maximum(solution)
    assert sum(map(len, graded.packs.values())) == len(load_mistakes(graded.course, PS)) >= 10
    for student, mistakes in graded.packs.items():
        expected = {**worth, "double-softmax": 0.0}
        for mistake in mistakes:
            expected |= mistake.points
        result = graded.report.students[student]
        assert {name: cell.score for name, cell in result.cells.items()} == expected, student
        assert result.score == sum(expected.values())
        for name, cell in result.cells.items():
            if name != "double-softmax" and cell.score < worth[name]:
                assert len(cell.message) > 25 and "\x1b" not in cell.message, (student, name, cell.message)


def test_the_message_names_the_mistake(graded: Class):
    said = {
        mistake.name: " ".join(graded.report.students[student].cells[test].message for test in mistake.points)
        for student, mistakes in graded.packs.items()
        for mistake in mistakes
    }
    for name, words in {
        "flipped-kernel": "turned by 180 degrees",
        "view-400": "25 images went in and 16 rows came out",
        "softmax-inside": "Leave the softmax out",
        "no-relu": "no ReLU between",
        "gradients-pile-up": "forget the gradients of the first",
        "step-forgotten": "backward() and step()",
        "mean-of-means": "mean of the batches' means",
        "eval-forgotten": "training mode",
        "rows-and-columns-swapped": "changed places",
        "right-answers-confused": "Leave the diagonal out",
        "matrix-overwritten": "changed the matrix",
        "stride-ignored": "Not yet: stride",
    }.items():
        assert words in said[name], (name, said[name])


def test_every_broken_submission_is_named_and_the_rest_was_graded(graded: Class):
    errors = graded.report.errors
    assert set(errors) == set(BROKEN)
    for student, words in BROKEN.items():
        assert words in errors[student], (student, errors[student])
        assert graded.report.students[student].score == 0
    assert set(graded.report.students) - set(errors) == {"perfect", "blank", "late", "killer", *graded.packs}
    summary = graded.report.summary()
    for student in graded.report.students:
        assert re.search(rf"^{student} ", summary, re.MULTILINE)
    assert summary.count("NOT GRADED") == len(errors)


def test_the_json_has_exactly_the_schema_of_the_design(graded: Class, solution):
    data = json.loads(graded.report.to_json())
    assert set(data) == {"assignment", "seconds", "students"}
    assert data["assignment"] == PS and data["seconds"] > 0
    for student in data["students"].values():
        assert set(student) == {"score", "max_score", "needs_manual", "repairs", "error", "cells"}
        assert set(student["cells"]) == set(maximum(solution))
        for cell in student["cells"].values():
            assert set(cell) == {"score", "max_score", "message"}


def test_late_costs_a_tenth_of_the_maximum_for_every_day_begun(graded: Class):
    perfect, late = graded.report.students["perfect"], graded.report.students["late"]
    assert late.late_penalty == pytest.approx(0.2 * late.max_score), "one day and a second: the second day has begun"
    assert late.score == pytest.approx(perfect.score - late.late_penalty)


@pytest.mark.parametrize(
    ("seconds", "points"),
    [(-5, 0), (0, 0), (1, 4), (86_400, 4), (86_401, 8), (5 * 86_400, 20), (6 * 86_400, 20), (365 * 86_400, 20)],
)
def test_late_penalty_of_40_points(seconds, points):
    assert late_penalty(40, seconds) == pytest.approx(points)


def test_the_csv_has_every_student_and_the_scores_of_the_report(graded: Class):
    with graded.table.open(encoding="utf-8", newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert {name: float(row["score"]) for name, row in rows.items()} == pytest.approx(
        {name: student.score for name, student in graded.report.students.items()}
    )
    assert float(rows["late"]["late_submission_penalty"]) == graded.report.students["late"].late_penalty


def test_nbgraders_own_command_line_reads_what_we_wrote(graded: Class, tmp_path):
    mine = tmp_path / "nbgrader.csv"
    command = [sys.executable, "-m", "nbgrader", "export", f"--to={mine}", f"--CsvExportPlugin.assignment={PS}"]
    done = subprocess.run(command, cwd=graded.folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert mine.read_text() == graded.table.read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["validate", f"autograded/perfect/{PS}/{PS}.ipynb"], "Success! Your notebook passes all the tests."),
        (["validate", f"autograded/blank/{PS}/{PS}.ipynb"], "VALIDATION FAILED ON 14 CELL(S)!"),
        (["generate_feedback", PS, "--student=blank", "--force"], f"feedback/blank/{PS}/{PS}.html"),
        (["autograde", PS, "--student=perfect", "--force"], "Autograding"),
    ],
    ids=["validate right", "validate blank", "generate_feedback", "autograde"],
)
def test_nbgraders_other_commands_work_on_it_too(graded: Class, command, words, tmp_path):
    folder = shutil.copytree(graded.course.root, tmp_path / "course") / "assignments"
    tool = [sys.executable, "-m", "nbgrader", *command]
    done = subprocess.run(tool, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout + done.stderr
    if command[0] == "autograde":  # the same path as `labkit grade`, so the same grades
        after = load_course(folder.parent)
        assert grade(after, PS, students=["perfect"], progress=False).students["perfect"] == replace(
            graded.report.students["perfect"],
            seconds=pytest.approx(0, abs=300),
        )


def test_feedback_names_the_mistake_and_hides_the_hidden_tests(graded: Class, solution):
    assert set(graded.pages) == set(graded.report.students) - set(graded.report.errors)
    secret = hidden_lines(solution)
    assert len(secret) > 50
    for student, page in graded.pages.items():
        shown = text_of(page)
        assert f"of 40 points for {student}" in shown
        assert "HIDDEN TESTS" not in shown
        for line in secret:
            assert squeeze(line) not in squeeze(shown), (student, line)
    wrong = next(name for name, mistakes in graded.packs.items() if any(m.name == "view-400" for m in mistakes))
    assert "25 images went in and 16 rows came out" in text_of(graded.pages[wrong])


def test_stock_feedback_would_have_shown_them(graded: Class, solution):
    """Why the page is ours: what nbgrader grades, and would show, holds the hidden tests."""
    autograded = (graded.folder / "autograded" / "perfect" / PS / f"{PS}.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(autograded, as_version=4)
    everything = squeeze("\n".join(cell.source for cell in notebook.cells))
    assert all(squeeze(line) in everything for line in hidden_lines(solution))


def test_sources_with_solutions_reach_no_student(graded: Class):
    for step in ("release", "autograded", "feedback"):
        files = [path.name for path in (graded.folder / step).rglob("*") if path.is_file()]
        assert files and not [name for name in files if name.endswith((".md", ".toml"))], (step, files)


def test_the_release_shows_no_solution_and_no_hidden_test(graded: Class, solution):
    shown = [squeeze(line) for cell in graded.released.cells for line in cell.source.splitlines()]
    public = squeeze("\n".join(visible_lines(solution)))
    secret = [line for line in secret_lines(solution) if squeeze(line) not in public]
    assert len(secret) > 100
    for line in secret:
        assert squeeze(line) not in shown
        assert len(squeeze(line)) < 12 or not any(squeeze(line) in other for other in shown), line
    text = "\n".join(shown)
    assert "BEGINSOLUTION" not in text and "HIDDENTESTS" not in text
    assert text.count("raiseNotImplementedError()") == sum(
        "### BEGIN SOLUTION" in cell.source for cell in solution.cells
    )


def test_a_leak_is_noticed(graded: Class, solution):
    assert leaked_lines(solution, graded.released) == []
    line = next(line for line in secret_lines(solution) if "padded = np.pad" in line)
    graded_copy = nbformat.from_dict(json.loads(json.dumps(graded.released)))
    graded_copy.cells[3].source += f"\n    {line}"
    assert leaked_lines(solution, graded_copy) == [line]


def test_nbgraders_release_is_the_one_the_builder_makes(graded: Class, solution):
    """So `labkit build --check` is content after `labkit release`, and what is committed is what is graded."""
    written = graded.course.assignment(PS).release.read_text(encoding="utf-8")
    assert written == build.to_text(build.release_notebook(solution))


def test_a_mark_given_by_hand_survives_grading_again(graded: Class, solution):
    from labkit.grading.nbgrader_course import NbgraderCourse

    with NbgraderCourse(graded.course).gradebook() as gradebook:
        mark = gradebook.find_grade("double-softmax", PS, PS, "late")
        mark.manual_score, mark.needs_manual_grade = 3.5, False
        gradebook.db.commit()
    before = graded.report.students["late"]
    again = grade(graded.course, PS, students=["late"], progress=False)
    assert set(again.students) == {"late"}
    after = again.students["late"]
    assert after.cells["double-softmax"].score == 3.5
    assert after.late_penalty == before.late_penalty
    assert after.score == pytest.approx(before.score + 3.5)


def test_a_notebook_that_ends_its_process_is_graded_up_to_there(graded: Class):
    result = graded.report.students["killer"]
    assert result.score == 0 and result.error is None, "its first answer left Python, so no test could ask anything"
    assert "exit status 1" in result.stopped


def test_nothing_of_nbgrader_stays_in_the_environment(graded: Class):
    """nbgrader sets NBGRADER_EXECUTION while it grades; a later notebook would believe it is graded."""
    assert "NBGRADER_EXECUTION" not in os.environ


def test_unknown_students_are_refused_with_a_suggestion(graded: Class):
    with pytest.raises(LabkitError, match="Did you mean perfect"):
        grade(graded.course, PS, students=["prefect"], progress=False)
    with pytest.raises(LabkitError, match="empty: no graded ps2-lenet"):
        feedback(graded.course, PS, students=["empty"], progress=False)


# The rest needs no kernel: an engine of our own takes the place of nbgrader's autograde.


def test_grading_before_release_or_submission_says_what_to_do(new_course, released_course, tmp_path):
    course = new_course()
    for step in (grade, feedback):
        with pytest.raises(LabkitError, match=r"has not been released here.*labkit release ps2-lenet"):
            step(course, PS)
    with pytest.raises(LabkitError, match="has not been released here"):
        export_csv(course, PS, tmp_path / "grades.csv")
    course = released_course()
    with pytest.raises(LabkitError, match=r"Nobody has handed in ps2-lenet.*labkit submit ps2-lenet"):
        grade(course, PS)
    with pytest.raises(LabkitError, match="Run `labkit grade ps2-lenet` first"):
        feedback(course, PS)
    for step in (grade, feedback, release, submissions):
        with pytest.raises(LabkitError, match="Did you mean ps2-lenet"):
            step(course, "ps2-lent")


def test_one_failing_submission_never_stops_the_next(released_course, solved_notebook, tmp_path):
    course = released_course()
    released = nbformat.read(course.assignment(PS).release, as_version=4)
    for student in ("a", "b", "c"):
        write(course, student, solved_notebook(released), tmp_path, when=DUE)
    seen = []

    def engine(submission):
        seen.append(submission.student)
        if submission.student == "b":
            raise RuntimeError("the roof came down")
        return "no luck" if submission.student == "c" else "tough"

    report = grade(course, PS, engine=engine, progress=False)
    assert seen == ["a", "b", "c"]
    assert report.errors == {"a": "tough", "b": "RuntimeError: the roof came down", "c": "no luck"}
    assert all(student.score == 0 and student.max_score == 40 for student in report.students.values())
    assert feedback(course, PS, progress=False) == [], "there is nothing to say, and that is no error"


def test_ctrl_c_stops_the_class_and_costs_nobody_a_mark(released_course, solved_notebook, tmp_path, monkeypatch):
    from nbgrader.converters import Autograde

    course = released_course()
    released = nbformat.read(course.assignment(PS).release, as_version=4)
    for student in ("a", "b"):
        write(course, student, solved_notebook(released), tmp_path, when=DUE)
    asked = []

    def interrupted(self, notebook):
        asked.append(notebook)
        raise KeyboardInterrupt

    monkeypatch.setattr(Autograde, "convert_single_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade(course, PS, progress=False)
    assert len(asked) == 1


def test_a_damaged_gradebook_is_one_clear_error(released_course):
    course = released_course()
    (course.root / "assignments" / "gradebook.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(LabkitError, match=r"gradebook\.db cannot be used"):
        grade(course, PS)


def test_importing_the_grader_loads_neither_nbgrader_nor_a_framework():
    code = "import sys, labkit.grading; print([m for m in ('nbgrader', 'torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_release_refuses_a_notebook_older_than_its_source(new_course):
    course = new_course()
    source = course.assignment(PS).source
    source.write_text(source.read_text(encoding="utf-8") + "\nOne more line.\n", encoding="utf-8")
    with pytest.raises(LabkitError, match=r"is stale.*labkit build"):
        release(course, PS)
    course.assignment(PS).notebook.unlink()
    with pytest.raises(LabkitError, match=r"is missing.*labkit build"):
        release(course, PS)
    assert not (course.root / "assignments" / "gradebook.db").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("photo.ipynb", b"\x89PNG\r\n\x1a\n\xff", "not even text"),
        ("empty.ipynb", b" \n", "is empty"),
        ("essay.txt", b"My answers are below.", "is not a notebook"),
        ("half.ipynb", b'{"cells": [{"cell_type": "code", "sou', "cut off"),
        ("list.ipynb", b"[1, 2]", "though it is JSON"),
        ("cells.ipynb", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "without cells"),
        ("deep.ipynb", b"[" * 100_000, "not a notebook"),
        ("odd.ipynb", b'{"nbformat": 4, "cells": [1, null, {"metadata": []}]}', "none of its cells belongs"),
    ],
)
def test_submit_refuses_politely_and_changes_nothing(name, content, words, released_course, solved_notebook, tmp_path):
    course = released_course()
    released = nbformat.read(course.assignment(PS).release, as_version=4)
    kept = write(course, "ada", solved_notebook(released), tmp_path, when=DUE)
    before = kept.read_bytes()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabkitError, match=f"was not handed in.*{words}"):
        submit(course, PS, "ada", tmp_path / name)
    assert kept.read_bytes() == before
    assert [path.name for path in (course.root / "assignments" / "submitted" / "ada").iterdir()] == [PS]


def test_submit_keeps_the_latest_and_writes_when_it_came(released_course, solved_notebook, tmp_path):
    course = released_course()
    released = nbformat.read(course.assignment(PS).release, as_version=4)
    write(course, "ada", released, tmp_path, when=DUE)
    place = write(course, "ada", solved_notebook(released), tmp_path, when=DUE + timedelta(hours=2))
    assert place == course.root / "assignments" / "submitted" / "ada" / PS / f"{PS}.ipynb"
    assert sorted(path.name for path in place.parent.iterdir()) == [f"{PS}.ipynb", "timestamp.txt"]
    assert "np.pad" in place.read_text(encoding="utf-8")
    assert (place.parent / "timestamp.txt").read_text() == "2026-01-13 00:00:00.000000 UTC"
    assert [(entry.student, entry.problem) for entry in submissions(course, PS)] == [("ada", "")]


@pytest.mark.parametrize("student", ["", "../ada", "a/b", ".hidden", "ada lovelace", "a*", "ada+1", "-rf"])
def test_submit_refuses_ids_that_are_no_folder(student, new_course, tmp_path):
    with pytest.raises(LabkitError, match="cannot be a student's id"):
        submit(new_course(), PS, student, tmp_path / "any.ipynb")


def test_missing_files_and_folders_are_named(new_course, tmp_path):
    course = new_course()
    with pytest.raises(LabkitError, match=r"gone\.ipynb cannot be read"):
        submit(course, PS, "ada", tmp_path / "gone.ipynb")
    with pytest.raises(LabkitError, match="is a folder"):
        submit(course, PS, "ada", tmp_path)


def secret_lines(solution: nbformat.NotebookNode) -> list[str]:
    """Every line of a solution, a hidden test or a model answer."""
    regions = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)### END", re.DOTALL)
    lines = []
    for cell in solution.cells:
        entry = cell.metadata.get("nbgrader", {})
        by_hand = entry.get("grade") and entry.get("solution")
        lines += (cell.source if by_hand else "".join(regions.findall(cell.source))).splitlines()
    return [line.strip() for line in lines if line.strip()]


def hidden_lines(solution: nbformat.NotebookNode) -> list[str]:
    """Every line of a hidden test that no visible cell and no answer has too."""
    hidden = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END", re.DOTALL)
    rest = squeeze("\n".join(hidden.sub("", cell.source) for cell in solution.cells))
    lines = [line for cell in solution.cells for line in "".join(hidden.findall(cell.source)).splitlines()]
    # messages of failed assertions are meant to be seen, so a line that is nothing but text does not count
    return [line for line in lines if len(squeeze(line)) > 8 and squeeze(line) not in rest and not is_text(line)]


def visible_lines(solution: nbformat.NotebookNode) -> list[str]:
    regions = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n.*?### END[^\n]*", re.DOTALL)
    cells = (cell for cell in solution.cells if cell.metadata.get("nbgrader", {}).get("grade_id") != "double-softmax")
    return [line for cell in cells for line in regions.sub("", cell.source).splitlines()]


def is_text(line: str) -> bool:
    return bool(re.fullmatch(r'\s*f?".*"\s*', line))


def squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


def text_of(page: Path) -> str:
    """What a page of HTML shows, without its tags and styles."""
    from html import unescape

    html = re.sub(r"<(style|script)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", html))
