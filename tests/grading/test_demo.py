"""The invented class, and that it would notice a wrong grade."""

from __future__ import annotations

import copy

import pytest

from labkit.course import Course
from labkit.errors import LabkitError
from labkit.grading import demo, demo_class
from labkit.grading.mistakes import load_mistakes, maximum

PS = "ps2-lenet"


@pytest.fixture(scope="module")
def worth(solution):
    return maximum(solution)


def invent(course: Course, worth, count: int, seed: int = 0) -> list[demo.Invented]:
    return demo._invent(count, load_mistakes(course, PS), worth, worth["double-softmax"], seed)


def test_a_small_class_goes_the_whole_way_and_the_check_can_fail(course, worth, tmp_path, capsys):
    report = demo_class(PS, students=5, root=tmp_path / "demo", seed=3)
    printed = capsys.readouterr().out
    people = invent(course, worth, 5, seed=3)
    assert {person.kind for person in people} == {"perfect", "mistakes", "blank", "late", "cut off"}
    assert {name: student.score for name, student in report.students.items()} == pytest.approx(
        {person.name: person.score for person in people}
    )
    assert "checked   all 5 scores" in printed.splitlines()[-1]
    assert str(tmp_path / "demo") in printed
    folder = tmp_path / "demo" / "assignments"
    table, pages = folder / f"{PS}.csv", sorted(folder.glob("feedback/*/*/*.html"))
    assert demo._differences(people, report, pages, table) == []

    wrong = copy.deepcopy(report)
    wrong.students["ada"].score += 1
    wrong.students["bao"].error = "made up"
    tampered = demo._differences(people, wrong, pages[1:], table)
    assert len(tampered) == 3, tampered
    table.write_text(table.read_text().replace(",dora,", ",someone,"))
    assert any("dora: the CSV says nothing" in line for line in demo._differences(people, report, pages, table))

    with pytest.raises(LabkitError, match="is not an empty folder"):
        demo_class(PS, students=1, root=tmp_path / "demo")


def test_the_same_seed_invents_the_same_class(course, worth):
    assert invent(course, worth, 60) == invent(course, worth, 60)
    assert invent(course, worth, 60) != invent(course, worth, 60, seed=1)


def test_a_class_of_sixty_has_everyone_in_it(course, worth):
    people = invent(course, worth, 60)
    assert len({person.name for person in people}) == 60
    assert {person.kind for person in people} == {*demo.KINDS, *demo.KINDS_AFTER}
    assert all(0 <= person.score <= 36 for person in people)
    assert {mistake.answer for person in people for mistake in person.mistakes} == {
        mistake.answer for mistake in load_mistakes(course, PS)
    }
    for person in people:
        answers = [mistake.answer for mistake in person.mistakes]
        assert len(answers) == len(set(answers)), "at most one mistake an answer"


def test_an_unknown_assignment_and_an_empty_class_are_refused(tmp_path):
    with pytest.raises(LabkitError, match="Did you mean ps2-lenet"):
        demo_class("ps2-lent", root=tmp_path / "demo")
    with pytest.raises(LabkitError, match="class of 0"):
        demo_class(PS, students=0, root=tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
