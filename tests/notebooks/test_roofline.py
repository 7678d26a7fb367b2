"""The lab roofline: what its meter counts, and checks that explain."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
lab = lift("roofline", "counted_product", "wait", "place", "Meter", "calls_of", "clocked", "operations_of")


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_the_meter_counts_a_product_as_the_loops_do(n: int, m: int, p: int) -> None:
    A, B = torch.randn(n, m), torch.randn(m, p)
    product, operations, carried = lab.counted_product(A, B)
    assert torch.allclose(product, A @ B, atol=1e-5)
    ((name, by_meter, carried_by_meter, seconds),) = lab.calls_of(lambda: A @ B)
    assert (name, by_meter, carried_by_meter) == ("mm", operations, carried)
    assert operations == 2 * n * m * p and carried == 4 * (n * m + m * p + n * p) and seconds > 0


def test_the_meter_counts_a_training_step_as_pytorch_does() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from labkit import models

    model, X = models.lenet(), torch.randn(3, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        model(X).sum().backward()
    calls = lab.calls_of(lambda: model(X).sum().backward())
    assert lab.operations_of(calls) == counter.get_total_flops()
    assert {"convolution", "convolution_backward", "addmm", "relu"} <= {name for name, *_ in calls}


def test_a_view_carries_nothing_and_a_copy_does() -> None:
    X = torch.randn(4, 6)
    assert lab.calls_of(lambda: X.view(6, 4).T[1:]) == []
    ((name, operations, carried, _),) = lab.calls_of(lambda: X + X)
    assert (name, operations, carried) == ("add", 24, 3 * 4 * 24)


def test_what_is_counted_on_the_meta_device_is_what_runs() -> None:
    def counted(where: str) -> list[tuple[Any, ...]]:
        layer, X = torch.nn.Conv2d(4, 8, 3, device=where), torch.randn(2, 4, 9, 9, device=where)
        with torch.no_grad():
            return [call[:3] for call in lab.calls_of(lambda: layer(X))]

    assert counted("meta") == counted("cpu") == [("convolution", 2 * 4 * 9 * 8 * 2 * 49, 4 * (648 + 288 + 8 + 784))]


def test_short_work_is_timed_by_the_call() -> None:
    count = []
    seconds = lab.clocked(lambda: count.append(1), repeats=3)
    assert 0 < seconds < 1e-4 and len(count) > 100


def _ridge(width: int, bytes_each: int, ridge: float) -> int | None:
    for batch_size in range(1, 2000):
        if 2 * batch_size * width**2 >= ridge * bytes_each * (width**2 + 2 * batch_size * width):
            return batch_size
    return None


def test_the_formula_of_the_ridge_is_a_search() -> None:
    assert try_answer("ridge-batch", _ridge) is None


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("dense-intensity", lambda b, i, o, e: b * i * o / (e * (b * i + i * o + b * o)), "multiply-add"),
        ("dense-intensity", lambda b, i, o, e: 2 * b * i * o / (b * i + i * o + b * o), "bytes_each"),
        ("dense-intensity", lambda b, i, o, e: 2 * b * i * o / (e * i * o), "For the product you counted by hand"),
        ("dense-intensity", lambda b, i, o, e: "low", "numbers were expected"),
        ("layer-seconds", lambda w, q, p, b, f: w / p + q / b + f, "added up"),
        ("layer-seconds", lambda w, q, p, b, f: max(w / p, q / b), "its floor"),
        ("layer-seconds", lambda w, q, p, b, f: w / p, "6"),
        ("layer-seconds", lambda w, q, p, b, f: min(w / p, q / b, f), "takes longest"),
        ("layer-seconds", lambda w, q, p, b, f: float("nan"), "nan"),
        ("better-change", lambda w, q, p, b: "bytes", "4 s"),
        ("better-change", lambda w, q, p, b: "operations" if w > q else "bytes", "100 times more"),
        ("better-change", lambda w, q, p, b: w / p > q / b, 'Answer "operations" or "bytes"'),
        ("better-change", lambda w, q, p, b: "operations" if w / p < q / b else "bytes", "the bytes 4 s"),
        ("ridge-batch", lambda w, e, r: max(1, math.ceil(e * r / 2)), "own rows"),
        ("ridge-batch", lambda w, e, r: int(e * r * w / (2 * (w - e * r))), "just too few"),
        ("ridge-batch", lambda w, e, r: max(1, math.ceil(e * r * w / (2 * (w - e * r)))), "None was expected"),
        ("ridge-batch", lambda w, e, r: e * r * w / (2 * (w - e * r)), "21"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


@pytest.mark.parametrize("name", ["dense-intensity", "layer-seconds", "better-change", "ridge-batch"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
