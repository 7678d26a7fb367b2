"""Exercise checks: the verdict, the ladder of hints, and the proof CI asks of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import labkit
from labkit import check as check_module
from labkit.check import NotAnswered, exercise, exercises, expect, expect_near, try_answer
from labkit.errors import LabkitError


@pytest.fixture
def double() -> Iterator[None]:
    @exercise("test-double", hints=["think of two", "think of twice", "multiply by two"])
    def test(answer):  # type: ignore[no-untyped-def]
        expect_near(answer(3), 6, case="the number 3", note="is it twice as much?")
        expect(answer(0) == 0, f"expected 0 for 0, and {answer(0)} came")

    yield
    check_module._exercises.pop("test-double")
    check_module._failures.pop("test-double", None)


def test_module_and_function_of_one_name_both_work() -> None:
    assert callable(labkit.check)
    assert labkit.check is check_module
    assert check_module.check is not check_module


def test_a_right_answer_passes(double: None, capsys: pytest.CaptureFixture[str]) -> None:
    labkit.check("test-double", lambda x: 2 * x)
    assert "correct" in capsys.readouterr().out


def test_hints_come_one_at_a_time_and_the_answer_never(double: None, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(4):
        labkit.check("test-double", lambda x: x + 1)
        outputs.append(capsys.readouterr().out)
    assert [output.count("Hint") for output in outputs] == [1, 2, 3, 3]
    assert all("expected 6" in output and "4 came" in output for output in outputs)
    assert "last hint" not in outputs[1]
    assert "last hint" in outputs[2]


def test_a_pass_starts_the_ladder_again(double: None, capsys: pytest.CaptureFixture[str]) -> None:
    labkit.check("test-double", lambda x: x)
    labkit.check("test-double", lambda x: 2 * x)
    capsys.readouterr()
    labkit.check("test-double", lambda x: x)
    assert capsys.readouterr().out.count("Hint") == 1


def _stub(x: int) -> None: ...


@pytest.mark.parametrize("answer", [..., None, _stub, lambda x: ..., lambda x: None])
def test_a_stub_is_not_answered_rather_than_wrong(
    double: None, answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    labkit.check("test-double", answer)
    assert "not answered yet" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [lambda x: 1.0, lambda x: 0, lambda x: x])
def test_a_short_answer_is_wrong_rather_than_a_stub(double: None, answer: object) -> None:
    assert "expected 6" in (try_answer("test-double", answer) or "")


def test_an_answer_that_raises_is_reported(double: None) -> None:
    assert try_answer("test-double", lambda x: x / 0) == "Your answer raised ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (np.zeros((2, 2)), r"expected shape \(3,\); shape \(2, 2\) came"),
        ("text", "numbers were expected; a str came"),
        ([1, 2, np.nan], r"expected \[1., 2., 3.\]; nan \(not a number, as from 0 / 0\) came"),
        ([1, 2, np.inf], "an infinite number came"),
        ([1, 2, 4], r"expected \[1., 2., 3.\]; \[1., 2., 4.\] came"),
    ],
)
def test_what_came_is_said(got: object, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        expect_near(got, [1, 2, 3], case="a case")


def test_an_unknown_exercise_gets_the_nearest_names(double: None) -> None:
    with pytest.raises(LabkitError, match="Did you mean test-double"):
        labkit.check("test-duble", 1)


def test_every_exercise_has_three_hints_and_refuses_nothing_at_all() -> None:
    for name, item in exercises().items():
        assert len(item.hints) >= 3, name
        for empty in (..., None, _stub):
            with pytest.raises(NotAnswered):
                try_answer(name, empty)
