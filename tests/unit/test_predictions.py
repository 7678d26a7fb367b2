"""Predictions: what people type, and how far off they were."""

from __future__ import annotations

import pytest

from labkit import claim, predict, predictions


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("42", 42),
        ("1,000", 1000),
        ("1 000", 1000),
        ("12,345,678.5", 12345678.5),
        ("0,5", 0.5),
        ("1e9", 1e9),
        ("30 %", 0.3),
        ("-2", -2),
        ("", None),
        ("many", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_numbers_as_people_write_them(typed: str, number: float | None) -> None:
    assert predictions._number(typed) == (None if number is None else pytest.approx(number))


def test_percent_stays_percent_where_percent_was_asked() -> None:
    assert predictions._number("30 %", "%") == 30
    assert predictions._number("30", "%") == 30


@pytest.mark.parametrize(
    ("guess", "value", "said"),
    [(10, 10.1, "on the mark"), (20, 10, "2 times too high"), (5, 50, "10 times too low"), (-1, 3, "off by -4")],
)
def test_a_claim_says_how_far_off_the_prediction_was(
    capsys: pytest.CaptureFixture[str], guess: float, value: float, said: str
) -> None:
    predict("test-guess", "How many", value=guess)
    claim("test.many", value, at_least=0, predicted="test-guess")
    assert said in capsys.readouterr().out


def test_nothing_committed_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    claim("test.many", 1, at_least=0, predicted="test-never-asked")
    assert "predicted" not in capsys.readouterr().out


def test_without_a_front_end_the_question_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    predict("test-headless", "How many steps?")
    assert "How many steps?" in capsys.readouterr().out
    assert predictions.committed("test-headless") is None
