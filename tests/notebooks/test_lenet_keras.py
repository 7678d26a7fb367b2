"""The checks of the lab lenet-keras name the mistakes people make there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from labkit.check import try_answer


def dense_transposed_only(weights: Any, channels: int, size: int) -> Any:
    return weights.T


def dense_cut_wrongly(weights: Any, channels: int, size: int) -> Any:
    return weights.reshape(-1, size, size, channels).transpose(1, 2, 3, 0).reshape(-1, len(weights))


def dense_columns_first(weights: Any, channels: int, size: int) -> Any:
    return weights.reshape(-1, channels, size, size).transpose(3, 2, 1, 0).reshape(-1, len(weights))


def dense_not_transposed(weights: Any, channels: int, size: int) -> Any:
    return weights.reshape(-1, channels, size, size).transpose(0, 2, 3, 1).reshape(len(weights), -1)


def zero_in_front(size: int, kernel: int, stride: int) -> tuple[int, int]:
    zeros = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return zeros - zeros // 2, zeros // 2


def places_rounded_down(size: int, kernel: int, stride: int) -> tuple[int, int]:
    zeros = max((size // stride - 1) * stride + kernel - size, 0)
    return zeros // 2, zeros - zeros // 2


def negative_zeros(size: int, kernel: int, stride: int) -> tuple[int, int]:
    zeros = (-(-size // stride) - 1) * stride + kernel - size
    return zeros // 2, zeros - zeros // 2


def first_step_forgotten(first_a: float, later_a: float, first_b: float, later_b: float) -> float:
    return int(np.ceil((first_a - first_b) / (later_b - later_a)))


def never_is_an_error(first_a: float, later_a: float, first_b: float, later_b: float) -> float:
    if first_a <= first_b:
        return 1
    return 1 + int(np.ceil((first_a - first_b) / (later_b - later_a)))


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("kernel-to-keras", lambda k: k.reshape(k.shape[2], k.shape[3], k.shape[1], k.shape[0]), "reshape"),
        ("kernel-to-keras", lambda k: k.T, "height before width"),
        ("kernel-to-keras", lambda k: k.transpose(2, 3, 0, 1), "shape"),
        ("kernel-to-keras", lambda k: k.transpose(2, 3, 1, 0) * np.nan, "expected"),
        ("dense-to-keras", dense_transposed_only, "transpose alone"),
        ("dense-to-keras", dense_cut_wrongly, "transpose alone"),
        ("dense-to-keras", dense_columns_first, "Rows and columns"),
        ("dense-to-keras", dense_not_transposed, "inputs first"),
        ("same-padding", zero_in_front, "stand behind"),
        ("same-padding", places_rounded_down, "Round up"),
        ("same-padding", negative_zeros, "Never fewer"),
        ("same-padding", lambda size, kernel, stride: (1, 1, 1), "Two numbers"),
        ("steps-until-even", first_step_forgotten, "first step counts"),
        ("steps-until-even", never_is_an_error, "ZeroDivisionError"),
        ("steps-until-even", lambda *seconds: "never", "numbers were expected"),
    ],
)
def test_a_mistake_is_named(exercise: str, answer: Callable[..., Any], words: str) -> None:
    wrong = try_answer(exercise, answer)
    assert wrong is not None and words in wrong
