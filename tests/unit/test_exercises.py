"""Every exercise of every lab, given what beginners hand in: nothing passes by accident, and each is told why."""

from __future__ import annotations

import ast
import types
import warnings
from typing import Any

import numpy as np
import pytest

from labkit._selftest import solutions
from labkit.check import NotAnswered, exercises, try_answer
from labkit.course import load_course
from tests.notebooks.lifting import lift

pytest.importorskip("torch")
EXERCISES = exercises()
ENGINE = ("unbroadcast", "plain", "Node", "Arithmetic", "matrix_product", "Tensor")


def raises(*arguments: Any, **options: Any) -> Any:
    raise ValueError("the cat sat on the keyboard")


def returning(value: Any) -> Any:
    return lambda *arguments, **options: value


BAD = {
    "nan": float("nan"),
    "an array of nan": np.full((3, 2), np.nan),
    "text": "forty-two",
    "a number": 41.75,
    "the wrong shape": np.ones((2, 3, 4, 5)),
    "an empty list": [],
    "a dictionary": {"answer": 1},
    "an object": object(),
}


def wants_function(name: str) -> bool:
    """Whether the lab's own solution is a function (and not a value)."""
    code = solutions(load_course().lab(EXERCISES[name].lab).source)[name]
    return any(isinstance(node, ast.FunctionDef) for node in ast.parse(code).body)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_wrong_answer_is_told_why(name: str) -> None:
    function = wants_function(name)
    for kind, value in BAD.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = try_answer(name, returning(value) if function else value)
        assert said, f"{kind} passes"
        assert len(said) > 25 and said[-1] not in ",:", f"{kind}: {said}"
        assert "object has no attribute" not in said, f"{kind}: a beginner cannot read '{said}'"


@pytest.mark.parametrize("name", [name for name in EXERCISES if wants_function(name)])
def test_an_answer_that_raises_is_quoted(name: str) -> None:
    if name == "sigmoid-node":  # it looks for the lab's class Tensor beside the function, which is not here
        raises_here = types.FunctionType(raises.__code__, {**globals(), "Tensor": lift("autodiff", *ENGINE).Tensor})
    else:
        raises_here = raises
    said = try_answer(name, raises_here)
    assert said is not None and "ValueError" in said and "the cat sat on the keyboard" in said


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_answer_is_no_wrong_answer(name: str) -> None:
    def stub(*arguments: Any) -> Any: ...

    for blank in (None, ..., stub) if wants_function(name) else (None, ...):
        with pytest.raises(NotAnswered):
            try_answer(name, blank)


@pytest.mark.parametrize("name", [name for name in EXERCISES if wants_function(name)])
def test_an_answer_that_forgot_to_return_does_not_pass(name: str) -> None:
    try:
        said = try_answer(name, returning(None))
    except NotAnswered:
        return
    assert said is not None and len(said) > 25
