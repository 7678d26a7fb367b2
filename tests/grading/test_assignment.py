"""The assignment itself, judged cell by cell without a kernel: fast, and it says which cell is at fault."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labkit.course import Course, load_course
from labkit.grading.mistakes import Mistake, load_mistakes, maximum

PS = "ps2-lenet"
MISTAKES = load_mistakes(load_course(), PS)

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


def not_implemented(*arguments: Any, **options: Any) -> Any:
    raise NotImplementedError


def silent_class(constant: Any) -> type[nn.Module]:
    """A model with LeNet's 61,706 parameters that looks at nothing and always answers the same."""

    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.ones(61_706))

        def forward(self, X: torch.Tensor) -> Any:
            return constant

    return Silent


def test_points_and_size_of_the_assignment(solution, tests_of):
    worth = maximum(solution)
    assert len(tests_of) >= 8
    assert 20 <= sum(worth.values()) <= 40
    assert set(worth) - set(tests_of) == {"double-softmax"}, "one question is marked by hand"


def test_every_test_cell_has_visible_and_hidden_tests(tests_of):
    for name, cell in tests_of.items():
        hidden = "\n".join(re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", cell.source, re.DOTALL))
        visible = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL)
        assert hidden.strip(), f"{name} has no hidden test"
        assert "assert " in visible or "right" in visible or "points" in visible, f"{name} has no visible test"


def test_the_solution_gets_every_point_and_no_cell_is_slow(solved, tests_of, score):
    for name, cell in tests_of.items():
        start = time.process_time()  # of this process alone: others may keep the machine busy
        assert score(cell, solved) == (cell.metadata.nbgrader.points, ""), name
        assert time.process_time() - start < 3, f"{name} should take well under a second of one core"


def test_the_visible_tests_alone_pass_with_the_solution(solved, tests_of, score):
    for name, cell in tests_of.items():
        visible = cell.copy()
        visible.source = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL)
        assert score(visible, solved)[0] == cell.metadata.nbgrader.points, name


@pytest.mark.parametrize("constant", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_a_constant_scores_nothing_anywhere(constant, solved, tests_of, tested_name, score):
    for test, cell in tests_of.items():
        name = tested_name(test)
        replacements = [lambda *arguments, **options: constant]
        if isinstance(solved[name], type):
            replacements += [silent_class(constant)]
        for replacement in replacements:
            points, why = score(cell, {**solved, name: replacement})
            assert points == 0, f"{test} gives {points} points to a {name} that always returns {constant!r}"
            assert why, f"{test} does not say why"


def test_the_stub_scores_nothing_anywhere(solved, tests_of, tested_name, score):
    for test, cell in tests_of.items():
        points, why = score(cell, {**solved, tested_name(test): not_implemented})
        assert (points, why) == (0, "NotImplementedError: "), test


def test_there_are_enough_mistakes_and_every_answer_has_one(answers_of):
    assert len(MISTAKES) >= 10
    assert {mistake.answer for mistake in MISTAKES} == set(answers_of)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
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


def test_a_mistake_costs_something_and_names_real_cells(tests_of):
    for mistake in MISTAKES:
        assert mistake.points and set(mistake.points) <= set(tests_of), mistake.name
        worth = sum(tests_of[test].metadata.nbgrader.points for test in mistake.points)
        assert sum(mistake.points.values()) < worth, mistake.name


def test_another_way_to_be_right_is_right_too(solved, tests_of, score):
    """The tests judge what the text asks for, and not how our solution happens to do it."""
    namespace = dict(solved)
    exec(
        """
from numpy.lib.stride_tricks import sliding_window_view

def cross_correlate(image, kernel, stride=1, padding=0):
    frame = np.zeros((image.shape[0] + 2 * padding, image.shape[1] + 2 * padding))
    frame[padding : padding + image.shape[0], padding : padding + image.shape[1]] = image
    return np.einsum("ijab,ab->ij", sliding_window_view(frame, kernel.shape)[::stride, ::stride], kernel)

def output_size(size, kernel, stride=1, padding=0):
    return np.int64(len(range(0, size + 2 * padding - kernel + 1, stride)))

def silent_batch_sizes(features_per_image, features_expected, largest):
    def works(batch):
        try:
            torch.zeros(batch, features_per_image).view(-1, features_expected)
        except RuntimeError:
            return False
        return True
    return list(filter(works, range(1, largest + 1)))

flatten = nn.Flatten()

class LeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.ZeroPad2d(2), nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(),
            nn.Linear(84, 10),
        )

def train_step(model, optimizer, X, y):
    loss = nn.CrossEntropyLoss()(model.train()(X), y)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())

@torch.inference_mode()
def evaluate(model, X, y, batch_size):
    before = model.training
    model.eval()
    logits = torch.cat([model(batch) for batch in X.split(batch_size)])
    model.train(before)
    return F.cross_entropy(logits, y), (logits.argmax(1) == y).float().mean()

def recall_precision(matrix):
    with np.errstate(all="ignore"):
        return [np.nan_to_num(np.diag(matrix) / matrix.sum(axis)) for axis in (1, 0)]

def most_confused(matrix):
    pairs = [(matrix[i, j], i, j) for i in range(len(matrix)) for j in range(len(matrix)) if i != j]
    return list(max(pairs)[1:])
""",
        namespace,
    )
    for name, cell in tests_of.items():
        assert score(cell, namespace) == (cell.metadata.nbgrader.points, ""), name


def test_the_cells_of_the_assignment_fit_on_a_screen(course: Course):
    source = course.assignment(PS).source.read_text(encoding="utf-8")
    assert max(map(len, source.splitlines())) <= 120
