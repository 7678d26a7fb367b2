"""Checks for the lab smart-city."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "precision-in-service",
    hints=[
        "Bring both kinds of alarms to the same time, a year. How many true ones are there, and how many false ones?",
        "True alarms in a year: faults_a_year · recall. False alarms in a year: 12 · false_a_month.",
        "The share is true / (true + false). Where there is no alarm at all, answer 0.",
    ],
)
def precision_in_service(answer: Any) -> None:
    case = "12 faults a year, a recall of 0.5 and 2 false alarms a month"
    got = answer(12.0, 0.5, 2.0)
    if isinstance(got, (int, float)):
        expect(
            abs(got - 6 / 8) > 1e-9,
            f"For {case}, 0.75 came. Faults are counted by the year, false alarms by the month.",
        )
        expect(
            abs(got - 12 / 36) > 1e-9, f"For {case}, 0.333 came. Only a share `recall` of the faults raises an alarm."
        )
        expect(abs(got - 6 / 24) > 1e-9, f"For {case}, 0.25 came. Divide by all alarms, the true ones included.")
    expect_near(got, 0.2, case=case, note="6 true alarms a year and 24 false ones.")
    expect_near(answer(0.5, 0.6, 3.0), 0.3 / 36.3, case="a fault in two years, a recall of 0.6, 3 false alarms a month")
    expect_near(answer(2.0, 1.0, 0.0), 1.0, case="no false alarms", note="Then every alarm is true.")
    expect_near(answer(2.0, 0.0, 0.0), 0.0, case="no alarm at all", note="Mind the division by zero: answer 0.")


@exercise(
    "int8-grid",
    hints=[
        "First make sure that 0 lies in the range: low = min(low, 0) and high = max(high, 0).",
        "From −128 to 127 there are 255 steps, so the scale is (high − low) / 255.",
        "`low` should become −128: low / scale + zero = −128. Solve for zero and round it to a whole number.",
    ],
)
def int8_grid(answer: Any) -> None:
    got = answer(-1.0, 1.55)
    expect(
        isinstance(got, (tuple, list, np.ndarray)) and np.shape(got) == (2,),
        "Two numbers were expected, the scale and the zero point; something else came.",
    )
    for case, low, high in (
        ("values from −1 to 1.55", -1.0, 1.55),
        ("values from 0 to 5.1", 0.0, 5.1),
        ("values from 1 to 5.1, which must be stretched to 0", 1.0, 5.1),
        ("values from −2.55 to −1, which must be stretched to 0", -2.55, -1.0),
        ("values from −3.1 to 2", -3.1, 2.0),
    ):
        scale, zero = answer(low, high)
        low, high = min(low, 0.0), max(high, 0.0)
        if isinstance(scale, (int, float)):
            expect(
                abs(scale - (high - low) / 256) > 1e-9,
                f"For {case}, a scale of {scale:.5g} came. 256 numbers have 255 steps between them.",
            )
        expect_near(scale, (high - low) / 255, case=f"{case}, the scale", atol=1e-9)
        want = round(-128 - low * 255 / (high - low))
        if isinstance(zero, (int, float)):
            expect(
                zero == int(zero) if math.isfinite(zero) else True,
                f"For {case}, the zero point {zero:.5g} came. It is a whole number: round it.",
            )
            expect(
                zero != want + 128,
                f"For {case}, the zero point {zero:g} came, as for numbers from 0 to 255. Here the lowest is −128.",
            )
        expect_near(zero, want, case=f"{case}, the zero point", atol=0.01, note="The lowest value becomes −128.")


@exercise(
    "break-even-bits",
    hints=[
        "Count everything in operations. A reading costs its forecast, and a message with the chance that it is sent.",
        "Cost of A for one reading: operations_a + (1 − saved_a) · bits · bit_cost. The same for B. Set both equal.",
        "What is left is bits · bit_cost · (saved_b − saved_a) = operations_b − operations_a.",
    ],
)
def break_even_bits(answer: Any) -> None:
    case = "50 and 2,650 operations, 60 % and 62 % saved, 500 operations a bit"
    got = answer(50, 0.60, 2650, 0.62, 500)
    if isinstance(got, (int, float)) and math.isfinite(got):
        expect(
            abs(got - 2600 / 0.02) > 1e-3,
            f"For {case}, {got:,.6g} came. That is what a message must cost in operations; a bit costs 500 of them.",
        )
        expect(
            abs(got - 2650 / 10) > 1e-6,
            f"For {case}, {got:,.6g} came. Model A computes as well: only the difference counts.",
        )
    expect_near(got, 260.0, case=case, atol=1e-4, note="2,600 operations more must pay for 2 messages in 100 less.")
    expect_near(answer(0, 0.0, 100, 0.5, 10), 20.0, case="a model against none, which saves half the messages")
    for saved_b, what in ((0.6, "saves as much as A"), (0.5, "saves less than A")):
        never = answer(50, 0.6, 2650, saved_b, 500)
        expect(
            isinstance(never, (int, float)) and math.isinf(never) and never > 0,
            f"For a B that computes more and {what}, expected np.inf; {never!r} came.",
        )
