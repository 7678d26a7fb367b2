"""Checks for the lab tracking."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "data-fingerprint",
    hints=[
        "Two arrays with the same bytes but another shape are other data. What besides the bytes belongs into the text?",
        "Make one hashlib.sha256(), and call its update(...) with the bytes of everything that matters, one after the other.",
        "array.tobytes() gives the numbers; f'{array.shape} {array.dtype}'.encode() the rest. Return hexdigest().",
    ],
)
def data_fingerprint(answer: Any) -> None:
    X, y = np.arange(12.0).reshape(3, 4), np.array([0, 1, 2])
    first = answer(X, y)
    if first is None:
        raise NotAnswered
    expect(isinstance(first, str), f"A text was expected, such as hexdigest() gives; a {type(first).__name__} came.")
    expect(answer(X.copy(), y.copy()) == first, "A copy of the same data should have the same fingerprint.")
    swapped = X[[1, 0, 2]]
    changes = {
        "one label is changed": (X, np.array([0, 1, 1])),
        "one number in X is changed a little": (X + np.eye(3, 4) * 1e-9, y),
        "two rows of X change places": (swapped, y),
        "X has another shape with the same numbers": (X.reshape(4, 3), y),
        "X is float32": (X.astype(np.float32), y),
        "X and y change places": (y, X),
    }
    for what, (X_new, y_new) in changes.items():
        expect(answer(X_new, y_new) != first, f"When {what}, the fingerprint should change, and it stayed.")
    expect(answer(swapped.T, y) != answer(X.T, y), "A transposed table should be read in its own order.")


@exercise(
    "differing-settings",
    hints=[
        "Which names have to be looked at? Those of the first record alone are not enough.",
        "Both: {**first, **second} has every name once. And first.get(name) is None where the name is missing.",
        "Keep those names for which the two values differ, with the pair (first.get(name), second.get(name)).",
    ],
)
def differing_settings(answer: Any) -> None:
    first = {"learning_rate": 0.1, "seed": 1, "epochs": 5}
    same = answer(dict(first), dict(first))
    if same is None:
        raise NotAnswered
    expect(isinstance(same, dict), f"A dictionary was expected; a {type(same).__name__} came.")
    expect(same == {}, f"Two equal records differ in nothing, so {{}} was expected; {same} came.")
    cases = {
        "a changed seed": ({**first, "seed": 2}, {"seed": (1, 2)}),
        "a setting that only the second record has": ({**first, "momentum": 0.9}, {"momentum": (None, 0.9)}),
        "a setting that only the first record has": ({"learning_rate": 0.1, "seed": 1}, {"epochs": (5, None)}),
        "a setting of 0": ({**first, "seed": 0}, {"seed": (1, 0)}),
    }
    for what, (second, want) in cases.items():
        got = answer(dict(first), second)
        shown = {name: tuple(pair) for name, pair in got.items()} if isinstance(got, dict) else got
        expect(shown == want, f"For {what}, expected {want}; {got} came.")


@exercise(
    "steps-lost",
    hints=[
        "Flush every 10 steps and die after step 27. Which step was the last one that was flushed?",
        "It was step 20, so 7 are lost. In general: how far is died_at from the last multiple of flush_every?",
        "That distance is a remainder: the operator %.",
    ],
)
def steps_lost(answer: Any) -> None:
    note = "Steps after the last flush are lost."
    expect_near(answer(10, 27), 7, case="a flush every 10 steps, dead after step 27", note=note)
    expect_near(answer(1, 13), 0, case="a flush after every step", note=note)
    expect_near(answer(10, 30), 0, case="dead right after a flush, at step 30 of 10, 20, 30", note=note)
    expect_near(answer(100, 50), 50, case="dead before the first flush", note=note)
