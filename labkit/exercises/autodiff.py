"""Checks for the lab autodiff."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


def _pair(answer: Any, what: str) -> tuple[float, float]:
    try:
        first, second = answer
        pair = float(first), float(second)
    except (TypeError, ValueError):
        expect(False, f"Two numbers were expected, {what}; {answer!r} came.")
    expect(np.all(np.isfinite(pair)), f"Two finite numbers were expected, {what}; {answer!r} came.")
    return pair


@exercise(
    "two-uses",
    hints=[
        "Work out c, d and L first. Then go back: L gives c the slope d, and gives d the slope c.",
        "c = 5 and d = 4, so c gets 4 and d gets 5. Both pass on what they got with slope 1. To whom?",
        "a is used in c alone. b is used in c and in d, so it gets a gradient from each, and they add up.",
    ],
)
def two_uses(answer: Any) -> None:
    by_a, by_b = _pair(answer, "the slope by a and the slope by b")
    expect((by_a, by_b) != (9, 4), "These are the right numbers in the wrong order: the slope by a comes first.")
    expect(by_a == 4, f"Move a from 2 to 3: c moves by 1, and L = c · 4 by 4. The slope by a came as {by_a:g}.")
    once = " One of the two uses of b is missing: it stands in c and in d." if by_b in (4, 5) else ""
    once = " The gradients of the two uses are added, not multiplied." if by_b == 20 else once
    expect(by_b == 9, f"The slope by b came as {by_b:g}, which is not it.{once}")


@exercise(
    "undo-broadcast",
    hints=[
        "Where NumPy used a number several times, several gradients came back for it. What happens to them?",
        "First add up the dimensions in front until there are as many as in `shape`. gradient.sum(axis=0) removes one.",
        "Then, where `shape` has a 1, add up that dimension and keep it: gradient.sum(axis=axis, keepdims=True).",
    ],
)
def undo_broadcast(answer: Any) -> None:
    table = np.arange(15.0).reshape(5, 3)
    came = answer(table.copy(), (3,))
    if np.shape(came) == (3,):
        expect(
            not np.allclose(came, table[0]), "Only the first row came back. Every row is a use, and all of them add up."
        )
        expect(not np.allclose(came, table.mean(0)), "The mean of the rows came. Gradients of several uses are added.")
    elif came is not None:
        hint = " That is the sum over the other dimension." if np.shape(came) == (5,) else ""
        expect(False, f"A gradient (5, 3) for a bias (3,): expected shape (3,); {np.shape(came)} came.{hint}")
    expect_near(came, table.sum(0), case="a gradient (5, 3) for a bias (3,)")
    note = "A dimension of size 1 was stretched: add it up, and keep it as a 1."
    expect_near(
        answer(table.copy(), (5, 1)), table.sum(1, keepdims=True), case="a gradient (5, 3) for a (5, 1)", note=note
    )
    expect_near(
        answer(table.copy(), (1, 3)), table.sum(0, keepdims=True), case="a gradient (5, 3) for a (1, 3)", note=note
    )
    expect_near(answer(table.copy(), ()), table.sum(), case="a gradient (5, 3) for a single number")
    expect_near(answer(table.copy(), (5, 3)), table, case="nothing was broadcast", note="Then nothing is added up.")
    cube = np.arange(24.0).reshape(2, 3, 4)
    want = cube.sum(axis=(0, 1)).reshape(1, 4)
    expect_near(answer(cube.copy(), (1, 4)), want, case="a gradient (2, 3, 4) for a (1, 4)", note="Both kinds at once.")


@exercise(
    "sigmoid-node",
    hints=[
        "Look at tanh in the third cell of the machine. Only the value and the slope differ.",
        "First y = 1 / (1 + np.exp(-x.value)), a NumPy array. Then return Tensor(y, links), with one link.",
        "A link is the pair (x, pull). The pull takes g, the gradient of y, and multiplies it by y · (1 − y).",
    ],
)
def sigmoid_node(answer: Any) -> None:
    tensor: Any = getattr(answer, "__globals__", {}).get("Tensor")
    expect(tensor is not None, "The answer should be a function defined in this notebook, which has the class Tensor.")
    values = np.array([[-2.0, 0.0, 3.0]])
    y = 1 / (1 + np.exp(-values))
    x = tensor(values)
    result = answer(x)
    if result is None:
        expect_near(result, y, case="the values")
    expect(
        isinstance(result, tensor),
        f"A Tensor was expected, so that backward() can go on; a {type(result).__name__} came.",
    )
    expect_near(result.value, y, case="the values at −2, 0 and 3")
    expect(result.links, "The values are right, but the result has no link to x, so no gradient can come back.")
    expect(
        result.links[0][0] is x,
        "The values are right, but the first link does not lead to x. Make it one node, one pull.",
    )
    (result * np.array([[1.0, 10.0, 100.0]])).sum().backward()
    came = np.asarray(x.gradient)
    slope = y * (1 - y)
    expect(
        came.shape != values.shape or not np.allclose(came, slope), "The slope is right, but it is not multiplied by g."
    )
    note = "The pull is g times y · (1 − y), with the y of the values, not with x."
    expect_near(came, slope * [[1, 10, 100]], case="the gradient, where 1, 10 and 100 arrive", note=note)


@exercise(
    "dual-product",
    hints=[
        "The value of a product is the product of the values. The slope follows the product rule.",
        "If x grows by s and y by t, the product grows by s · y + x · t.",
        "x[0] is the value of x and x[1] its slope. Return a pair: the value, then the slope.",
    ],
)
def dual_product(answer: Any) -> None:
    came = answer((2.0, 1.0), (3.0, 0.0))
    if came is None:
        expect_near(came, (6, 3), case="nothing")
    value, slope = _pair(came, "the value and the slope of the product")
    expect(value == 6, f"2 · 3 is 6, whatever the slopes are; the value came as {value:g}.")
    expect(slope != 0, "The slopes were multiplied. A product moves as soon as one of its factors does.")
    expect_near(slope, 3, case="2 with slope 1 times the constant 3, the slope", note="A constant has slope 0.")
    expect_near(answer((2.0, 1.0), (2.0, 1.0)), (4, 4), case="x · x at x = 2", note="The slope of x² is 2x.")
    expect_near(answer((2.0, 5.0), (3.0, 7.0)), (6, 29), case="(2, 5) times (3, 7)", note="5 · 3 + 2 · 7 is 29.")
