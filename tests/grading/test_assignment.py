"""The assignments themselves, judged cell by cell without a kernel: fast, and it says which cell is at fault."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labkit.course import Course, load_course
from labkit.grading.mistakes import Mistake, load_mistakes, maximum

ALL = list(load_course().assignments)
MISTAKES = [(ps, mistake) for ps in ALL for mistake in load_mistakes(load_course(), ps)]
each = pytest.mark.parametrize("ps", ALL, indirect=True)

CONSTANTS: dict[str, Any] = {
    "None": None,
    "0": 0,
    "1": 1,
    "1.0": 1.0,
    "True": True,
    "False": False,
    "empty list": [],
    "empty tuple": (),
    "pair of zeros": (0, 0),
    "pair of ones": (1.0, 1.0),
    "pair of zero arrays": (np.zeros(3), np.zeros(3)),
    "array of zeros": np.zeros((2, 2)),
    "array of ones": np.ones((2, 2)),
    "tensor of zeros": torch.zeros(25, 256),
    "logits of zeros": torch.zeros(8, 10),
    "nan": float("nan"),
    "text": "",
}


# what a class cannot be made, hashed or printed without
NEEDED = {"__init__", "__new__", "__hash__", "__repr__", "__str__"}


def not_implemented(*arguments: Any, **options: Any) -> Any:
    raise NotImplementedError


def silent_class(right: type, constant: Any) -> type:
    """The right class, but whatever it is asked, it always answers the same."""
    methods = {name for name, item in vars(right).items() if callable(item) and name not in NEEDED}
    return type(right.__name__, (right,), dict.fromkeys(methods, lambda *arguments, **options: constant))


@each
def test_points_and_size_of_the_assignment(solution, tests_of):
    worth = maximum(solution)
    assert len(tests_of) >= 8
    assert 20 <= sum(worth.values()) <= 40
    assert len(set(worth) - set(tests_of)) == 1, "one question is marked by hand"


@each
def test_every_test_cell_has_visible_and_hidden_tests(tests_of):
    for name, cell in tests_of.items():
        hidden = "\n".join(re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", cell.source, re.DOTALL))
        visible = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL)
        assert hidden.strip(), f"{name} has no hidden test"
        assert "assert " in visible or "right" in visible or "points" in visible, f"{name} has no visible test"


@each
def test_the_solution_gets_every_point_and_no_cell_is_slow(solved, tests_of, score):
    for name, cell in tests_of.items():
        start = time.process_time()  # of this process alone: others may keep the machine busy
        assert score(cell, solved) == (cell.metadata.nbgrader.points, ""), name
        assert time.process_time() - start < 3, f"{name} should take well under a second of one core"


@each
def test_the_visible_tests_alone_pass_with_the_solution(solved, tests_of, score):
    for name, cell in tests_of.items():
        visible = cell.copy()
        visible.source = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL)
        assert score(visible, solved)[0] == cell.metadata.nbgrader.points, name


@each
@pytest.mark.parametrize("constant", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_a_constant_scores_nothing_anywhere(constant, solved, tests_of, tested_name, score):
    for test, cell in tests_of.items():
        name = tested_name(test)
        replacements = [lambda *arguments, **options: constant]
        if isinstance(solved[name], type):
            replacements += [silent_class(solved[name], constant)]
        for replacement in replacements:
            points, why = score(cell, {**solved, name: replacement})
            assert points == 0, f"{test} gives {points} points to a {name} that always returns {constant!r}"
            assert why, f"{test} does not say why"


@each
def test_the_stub_scores_nothing_anywhere(solved, tests_of, tested_name, score):
    for test, cell in tests_of.items():
        points, why = score(cell, {**solved, tested_name(test): not_implemented})
        assert (points, why) == (0, "NotImplementedError: "), test


@each
def test_there_are_enough_mistakes_and_every_answer_has_one(course, ps, answers_of):
    mistakes = load_mistakes(course, ps)
    assert len(mistakes) >= 8
    assert {mistake.answer for mistake in mistakes} == set(answers_of)


@pytest.mark.parametrize(
    ("ps", "mistake"), MISTAKES, indirect=["ps"], ids=[f"{ps}-{mistake.name}" for ps, mistake in MISTAKES]
)
def test_a_mistake_gets_what_it_deserves_and_is_told_why(mistake: Mistake, solved, tests_of, score):
    namespace = dict(solved)
    exec(mistake.code, namespace)
    for test, cell in tests_of.items():
        points, why = score(cell, namespace)
        full = cell.metadata.nbgrader.points
        assert points == mistake.points.get(test, full), (test, why)
        if points < full:
            assert len(why) > 25, f"{test} takes points from {mistake.name} without a sentence"
    torch.set_grad_enabled(True)


@each
def test_a_mistake_costs_something_and_names_real_cells(course, ps, tests_of):
    for mistake in load_mistakes(course, ps):
        assert mistake.points and set(mistake.points) <= set(tests_of), mistake.name
        worth = sum(tests_of[test].metadata.nbgrader.points for test in mistake.points)
        assert sum(mistake.points.values()) < worth, mistake.name


@each
def test_another_way_to_be_right_is_right_too(ps, solved, tests_of, score):
    """The tests judge what the text asks for, and not how our solution happens to do it."""
    namespace = dict(solved)
    path = Path(__file__).parent / "alternatives" / f"{ps}.py"
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)
    for name, cell in tests_of.items():
        assert score(cell, namespace) == (cell.metadata.nbgrader.points, ""), name


@each
def test_the_cells_of_the_assignment_fit_on_a_screen(course: Course, ps):
    source = course.assignment(ps).source.read_text(encoding="utf-8")
    assert max(map(len, source.splitlines())) <= 120
