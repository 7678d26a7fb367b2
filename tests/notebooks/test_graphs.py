"""The lab graphs: what the small compiler leaves computes the same, nothing that is left is spare, checks explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

pytest.importorskip("torch")
lab = lift(
    "graphs",
    *("Step", "OPERATIONS", "Tracer", "as_tracer", "trace", "run", "operations", "fold", "share", "drop_dead"),
    *("chain", "in_pieces", "Compiled", "example_with", "in_hlo", "kernels", "padded"),
)
lab_line = st.tuples(st.sampled_from("+-×"), st.integers(0, 99), st.integers(0, 99))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.5]), max_size=4),
    st.lists(lab_line, max_size=12),
)
def test_passes_keep_the_value_and_leave_nothing_spare(inputs: int, constants: list[float], lines: list[Any]) -> None:
    steps = [lab.Step("input")] * inputs + [lab.Step("constant", value=value) for value in constants]
    for op, a, b in lines:
        steps.append(lab.Step(op, (a % len(steps), b % len(steps))))
    steps.append(lab.Step("output", (len(steps) - 1,)))
    left = lab.drop_dead(lab.share(lab.fold(steps)))

    x = np.random.default_rng(0).standard_normal(inputs)
    before, after = lab.run(steps, *x), lab.run(left, *x)
    assert before == after and np.signbit(before) == np.signbit(after)

    assert sum(step.op == "input" for step in left) == inputs
    used = {i for step in left for i in step.inputs}
    assert all(step.op in ("input", "output") or number in used for number, step in enumerate(left)), "dead code"
    made = [(step.op, step.inputs, repr(step.value)) for step in left if step.op != "input"]
    assert len(made) == len(set(made)), "a common subexpression"
    constant = [step.op == "constant" for step in left]
    assert not any(step.op in lab.OPERATIONS and all(constant[i] for i in step.inputs) for step in left), "not folded"


def test_a_function_without_operations_can_be_recorded() -> None:
    assert lab.run(lab.trace(lambda x: x, 1), 3.0) == 3.0
    assert lab.run(lab.trace(lambda x: 7.0, 1), 3.0) == 7.0
    assert lab.run(lab.drop_dead(lab.share(lab.fold(lab.trace(lambda x, y: y - 2.0, 2)))), 3.0, 4.0) == 2.0


@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
def test_pieces_of_any_size_give_the_whole(piece: int) -> None:
    x = np.random.default_rng(1).random(300, dtype=np.float32)
    assert np.array_equal(lab.in_pieces(lab.chain(5), x, piece), lab.chain(5)(x))


def test_one_recording_for_each_combination_of_shapes() -> None:
    compiled = lab.Compiled(lambda x, y: x + y)
    for shapes in ([(2,), (2,)], [(2,), ()], [(2,), (2,)], [(3,), (3,)]):
        x, y = (np.ones(shape) for shape in shapes)
        assert np.array_equal(compiled(x, y), x + y)
    assert len(compiled.recordings) == 3


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 31, 32, 33])
def test_padding_reaches_the_next_power_of_two(length: int) -> None:
    filled = lab.padded(np.ones(length))
    assert filled.sum() == length and len(filled) >= length and len(filled) < 2 * length
    assert len(filled) & (len(filled) - 1) == 0


HLO = """
%fused (p.1: f32[8]) -> f32[8] {
  %p.1 = f32[8]{0} parameter(0)
  ROOT %m = f32[8]{0} multiply(%p.1, %p.1), metadata={op_name="jit(f)/add(x)" stack_frame_id=2}
}

ENTRY %main (x.1: f32[8]) -> (f32[8], f32[8]) {
  %x.1 = f32[8]{0} parameter(0), metadata={op_name="x"}
  %one = f32[8]{0} fusion(%x.1), kind=kLoop, calls=%fused
  ROOT %both = (f32[8]{0}, f32[8]{0}) custom-call(%one, %x.1)
}
"""


def test_operations_are_found_in_hlo() -> None:
    assert lab.in_hlo(HLO) == ["parameter", "multiply", "parameter", "fusion", "custom-call"]
    assert lab.kernels(HLO) == 2


def _one_level(uses: Any) -> set[int]:
    return {len(uses) - 1, *uses[-1]}


def _used_by_anybody(uses: Any) -> set[int]:
    return {i for step in uses for i in step} | {len(uses) - 1}


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("graph-needed", _one_level, "through others"),
        ("graph-needed", _used_by_anybody, "dead too"),
        ("graph-needed", lambda uses: set(range(len(uses))), "Nobody uses"),
        ("graph-needed", lambda uses: {0}, "always needed"),
        ("graph-needed", lambda uses: 3, "a set of numbers"),
        ("graph-same-key", lambda op, inputs: (op, inputs), "are the same"),
        ("graph-same-key", lambda op, inputs: (op, tuple(sorted(inputs))), "4 - 1 and 1 - 4 differ"),
        ("graph-same-key", lambda op, inputs: (op, frozenset(inputs)), "4 - 1 and 1 - 4 differ"),
        ("graph-same-key", lambda op, inputs: [op, inputs], "make it a tuple"),
        ("graph-same-key", lambda op, inputs: tuple(sorted(inputs)), "4 - 1 and 1 - 4 differ"),
        ("graph-same-key", lambda op, inputs: (op, *(map(str, inputs))), "are the same"),
        ("graph-bytes", lambda length, n, size: (2 * length * n * size, 2 * length * n * size), "registers"),
        ("graph-bytes", lambda length, n, size: (length * n * size, n * size), "reads an array and writes one"),
        ("graph-bytes", lambda length, n, size: 2 * length * n * size, "shape"),
        ("graph-branch", lambda x: x * -1.0, "x = 5"),
        ("graph-branch", abs, "no more than"),
        ("graph-branch", lambda x: np.where(x < 0, -x, x), "Choose by multiplying|no more than"),
        ("graph-branch", lambda x: x if np.ndim(x) else (-x if x < 0 else x), "−1, 2 and −4"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    came = try_answer(name, answer) or "passed"
    assert any(one in came for one in says.split("|")), came


@pytest.mark.parametrize("name", ["graph-needed", "graph-same-key", "graph-bytes", "graph-branch"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
