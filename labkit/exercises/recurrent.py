"""Checks for the lab recurrent."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near
from labkit.gradients import numerical_gradient


def _last_state(w: Any, inputs: list[float]) -> float:
    hidden = 0.0
    for x in inputs:
        hidden = math.tanh(float(w) * hidden + x)
    return hidden


@exercise(
    "recurrent-bptt",
    hints=[
        "Keep the states [0, h_1, ..., h_T] while you walk forward. Then let t run from the last step down to the first.",
        "The blame starts at 1. In step t it first passes the tanh, so multiply it by 1 − h_t². That number times "
        "h_(t−1) is this step's share of the gradient.",
        "After adding the share, the blame goes on to step t − 1: multiply the number you have by w.",
    ],
)
def bptt(answer: Any) -> None:
    expect_near(answer(0.7, [0.3]), 0.0, case="one input", note="The weight meets h_0 = 0 only, so it changes nothing.")
    for case, w, inputs in (
        ("w = 0.5 and the inputs 0.4, 0.2", 0.5, [0.4, 0.2]),
        ("w = 0.5 and the inputs 1, 2, 3", 0.5, [1.0, 2.0, 3.0]),
        ("w = −1.3 and the inputs 0.1, −0.2, 0.3, 0.1", -1.3, [0.1, -0.2, 0.3, 0.1]),
    ):
        want = float(numerical_gradient(functools.partial(_last_state, inputs=inputs), w))
        got = answer(w, list(inputs))
        for other, note in _bptt_mistakes(w, inputs):
            if isinstance(got, (int, float)) and abs(got - other) < 1e-9 < abs(got - want):
                expect(False, f"For {case}, {got:.6g} came. {note}")
        expect_near(got, want, case=case, atol=1e-7, note="That is what nudging w by a little says.")


def _bptt_mistakes(w: float, inputs: list[float]) -> list[tuple[float, str]]:
    states = [0.0]
    for x in inputs:
        states.append(math.tanh(w * states[-1] + x))
    steps = range(len(inputs), 0, -1)
    linear, shifted, delta, squashed = 0.0, 0.0, 1.0, 1.0
    for t in steps:
        linear += delta * states[t - 1]
        delta *= w
        squashed *= 1 - states[t] ** 2
        shifted += squashed * states[t]
        squashed *= w
    last_only = (1 - states[-1] ** 2) * states[-2]
    return [
        (linear, "That is the gradient without the tanh: its slope, 1 − h_t², is missing."),
        (shifted, "In step t the weight multiplied the state before it, h_(t−1), and not h_t."),
        (last_only, "That is the share of the last step alone. The earlier uses of w count as well."),
    ]


@exercise(
    "recurrent-clip",
    hints=[
        "One norm for all arrays together: add up the squares of every number in every array, then take the root.",
        "If that norm is at most the limit, nothing changes. If it is larger, one factor makes it the limit.",
        "The factor is min(1, limit / norm). Multiply every array by it, and mind a norm of zero.",
    ],
)
def clip(answer: Any) -> None:
    gradients = [np.array([3.0, 0.0]), np.array([[0.0], [4.0]])]  # a common norm of 5
    copies = [gradient.copy() for gradient in gradients]
    got = answer(copies, 1.0)
    expect(
        isinstance(got, (list, tuple)) and len(got) == 2,
        f"A list of two arrays was expected, as given; a {type(got).__name__} came.",
    )
    first, second = (np.asarray(one, dtype=float) for one in got)
    case = "[3, 0] and [[0], [4]], limit 1: a common norm of 5"
    if first.shape == (2,) and second.shape == (2, 1):
        expect(
            not (np.isclose(first[0], 1.0) and np.isclose(second[1, 0], 1.0)),
            "Each array was brought to the limit by itself, so the direction changed. One factor for all keeps it.",
        )
        expect(
            not np.isclose(first[0], 3 / 7),
            "The norm is the root of the sum of squares; yours looks like the sum of absolute values, 7.",
        )
        expect(
            not np.isclose(first[0], 3 / 25), "The norm is the *root* of the sum of squares: 5 here, where you took 25."
        )
    expect_near(first, [0.6, 0.0], case=f"{case}, the first array")
    expect_near(second, [[0.0], [0.8]], case=f"{case}, the second array")
    small = answer([gradient.copy() for gradient in gradients], 10.0)
    expect_near(small[0], [3.0, 0.0], case="a limit of 10", note="A gradient that is short enough stays as it is.")
    with np.errstate(all="ignore"):
        nothing = answer([np.zeros(3)], 1.0)
    expect_near(nothing[0], np.zeros(3), case="a gradient of zeros", note="Is something divided by a norm of zero?")


@exercise(
    "forget-bias",
    hints=[
        "First ask what a single step must keep, so that T of them in a row keep one half. Call it p.",
        "p to the power of T is 1/2, so p = 0.5 ** (1 / T). And p is the sigmoid of the bias.",
        "Solve p = 1 / (1 + exp(−b)) for b: exp(b) is p divided by 1 − p.",
    ],
)
def forget_bias(answer: Any) -> None:
    expect_near(answer(1), 0.0, case="1 step", note="One step that keeps one half: the sigmoid of which number is 1/2?")
    for steps in (10, 59, 1000):
        kept = 0.5 ** (1 / steps)
        want = math.log(kept / (1 - kept))
        got = answer(steps)
        if isinstance(got, (int, float)):
            expect(abs(got + want) > 1e-6, f"For {steps} steps, {got:.4g} came: the right size with the wrong sign.")
            expect(
                abs(got - kept) > 1e-9,
                f"For {steps} steps, {got:.4g} came. That is what the gate has to keep; which bias makes it so?",
            )
            expect(
                abs(got - math.log(kept)) > 1e-9,
                f"For {steps} steps, {got:.4g} came, the logarithm of what a step keeps. The gate is a sigmoid.",
            )
        expect_near(
            got, want, case=f"{steps} steps", note=f"The sigmoid of it, to the power of {steps}, should be 1/2."
        )


@exercise(
    "recurrent-truncated",
    hints=[
        "Write the plain loop first: for each x of X.unbind(1), hidden = step(x, hidden, *weights).",
        "enumerate gives you the number t of the step. When is it 0, window, 2 · window, ...?",
        "Where t % window == 0, replace hidden by hidden.detach() before the step.",
    ],
)
def truncated(answer: Any) -> None:
    import torch

    torch.manual_seed(0)
    core = torch.nn.RNN(2, 3, batch_first=True).double()

    def step(x: Any, hidden: Any, weights_x: Any, weights_h: Any, bias_x: Any, bias_h: Any) -> Any:
        return torch.tanh(x @ weights_x.T + bias_x + hidden @ weights_h.T + bias_h)

    for length, window in ((6, 3), (7, 3), (4, 10)):
        X = torch.randn(5, length, 2, dtype=torch.float64, requires_grad=True)
        start = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)
        got = answer(step, X, start, list(core.parameters()), window)
        case = f"{length} steps and a window of {window}"
        expect(
            not isinstance(got, (list, tuple)),
            "The last hidden state alone was expected; a list of several things came.",
        )
        expect_near(got, core(X)[0][:, -1], case=case, note="Cutting changes no number, only what blame may pass.")
        expect(
            torch.is_tensor(got) and got.requires_grad,
            f"For {case}, no blame at all comes through: the cut stands after the last step, or everywhere.",
        )
        into_X, into_start = torch.autograd.grad(got.sum(), (X, start), allow_unused=True)
        expect(into_start is None, f"For {case}, blame reaches the state from before step 0. The first cut is there.")
        reached = (into_X.abs().sum((0, 2)) > 0).tolist()
        first = (length - 1) // window * window
        expect(
            reached == [t >= first for t in range(length)],
            f"For {case}, blame should reach the inputs {list(range(first, length))} (counted from 0); "
            f"it reached {[t for t in range(length) if reached[t]]}.",
        )
