"""Checks for the lab graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "graph-needed",
    hints=[
        "The last step is needed. So is each step that a needed one uses. Where would you start?",
        "Go through the numbers backwards. When you reach a step, all of its users have had their turn.",
        "Start with the set of the last number; for each number in it, backwards, add all of uses[number].",
    ],
)
def needed(answer: Any) -> None:
    def steps(*uses: tuple[int, ...]) -> set[int]:
        came = answer(list(uses))
        if came is None or came is ...:
            raise NotAnswered
        expect(not isinstance(came, (str, int, float)), f"Expected a set of numbers; {came!r} came.")
        return {int(number) for number in came}

    came = steps((), (), (0, 1), (0,))
    expect(3 in came, f"The last step is the output, and always needed; {sorted(came)} came for (), (), (0, 1), (0,).")
    expect(2 not in came, f"Nobody uses step 2 of (), (), (0, 1), (0,), so it is dead; {sorted(came)} came.")
    expect(
        1 not in came,
        f"Step 1 of (), (), (0, 1), (0,) is used by step 2 alone, which is dead, so it is dead too; {sorted(came)} came.",
    )
    expect(came == {0, 3}, f"For (), (), (0, 1), (0,), expected [0, 3]; {sorted(came)} came.")
    came = steps((), (0,), (1,), (2,), (3,))
    expect(
        came == {0, 1, 2, 3, 4},
        f"A step can be needed through others: of a chain of five, all are; {sorted(came)} came.",
    )
    came = steps((), (), (0, 1), (0, 1), (2, 2), (3,), (4,))
    expect(came == {0, 1, 2, 4, 6}, f"For the last case, expected [0, 1, 2, 4, 6]; {sorted(came)} came.")


@exercise(
    "graph-same-key",
    hints=[
        "For which of the four operations may the two inputs change places?",
        "For + and × put the inputs into one fixed order, such as sorted. Leave those of - and < as they are.",
        "Return a tuple of op and a tuple of the inputs, sorted for two of the operations: a list is no key.",
    ],
)
def same_key(answer: Any) -> None:
    def key(op: str, *inputs: int) -> Any:
        made = answer(op, inputs)
        if made is None or made is ...:
            raise NotAnswered
        try:
            hash(made)
        except TypeError:
            expect(False, f"A dictionary cannot take a {type(made).__name__} as its key; make it a tuple.")
        return made

    expect(key("+", 1, 4) == key("+", 1, 4), "The same step must get the same key each time.")
    for op in ("+", "×"):
        expect(key(op, 4, 1) == key(op, 1, 4), f"4 {op} 1 and 1 {op} 4 are the same, and got different keys.")
        expect(key(op, 3, 3) != key(op, 1, 3), f"Steps 3 {op} 3 and 1 {op} 3 differ, and got the same key.")
        expect(key(op, 10, 9) == key(op, 9, 10), f"10 {op} 9 and 9 {op} 10 are the same, and got different keys.")
    for op in ("-", "<"):
        expect(key(op, 4, 1) != key(op, 1, 4), f"4 {op} 1 and 1 {op} 4 differ, and got the same key.")
    expect(key("+", 1, 4) != key("×", 1, 4), "A sum and a product of the same inputs got the same key.")
    expect(key("+", 1, 23) != key("+", 12, 3), "Steps 1 + 23 and 12 + 3 differ, and got the same key.")


@exercise(
    "graph-bytes",
    hints=[
        "How many bytes has one array? How many arrays does one operation read, and how many does it write?",
        "One by one, each operation reads one array and writes one: two arrays, for each operation of the chain.",
        "Fused, the chain is one kernel. It reads the first array and writes the last, however long the chain is.",
    ],
)
def bytes_carried(answer: Any) -> None:
    case = "one operation on 1,000 numbers of 4 bytes"
    note = "One operation reads an array and writes one, fused or not."
    expect_near(answer(1, 1000, 4), [8000, 8000], case=case, note=note)
    case = "16 operations on 1,000 numbers of 4 bytes"
    note = "One by one each operation reads and writes; fused, what is in between stays in the registers."
    expect_near(answer(16, 1000, 4), [128_000, 8000], case=case, note=note)
    expect_near(answer(3, 10, 8), [480, 160], case="3 operations on 10 numbers of 8 bytes")


@exercise(
    "graph-branch",
    hints=[
        "x < 0 is 1 for a negative x and 0 otherwise. What has to be added to a negative x to make it positive?",
        "To −3 add 6, which is −2 times x. To 5 add nothing. So add −2 times x, times the comparison.",
        "Subtract from x the product of x, the comparison and 2.0.",
    ],
)
def absolute_traced(answer: Any) -> None:
    for x, want in ((-3.0, 3.0), (5.0, 5.0), (0.0, 0.0)):
        expect_near(answer(np.float64(x)), want, case=f"x = {x:g}")
    expect_near(answer(np.array([-1.0, 2.0, -4.0])), [1.0, 2.0, 4.0], case="an array of −1, 2 and −4")
    refusing = _Refusing()
    try:
        answer(refusing)
    except _Asked:
        expect(False, "A tracer was asked whether it is true, as an `if`, `abs` or `max` does. Choose by multiplying.")
    except (TypeError, AttributeError) as error:
        expect(False, f"A tracer can do no more than + - * and <; yours asked for more: {error}.")


class _Asked(Exception):
    """Somebody wanted to know whether a tracer is true."""


class _Refusing:
    """Computes nothing, like the lab's tracer, and refuses to decide."""

    def _again(self, other: object = None) -> _Refusing:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __lt__ = __gt__ = _again
    __array_ufunc__ = None

    def __bool__(self) -> bool:
        raise _Asked
