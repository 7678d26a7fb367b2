"""Checks for the lab start-here."""

from __future__ import annotations

from typing import Any

from labkit.check import exercise, expect_near


@exercise(
    "operations",
    hints=[
        "How many numbers does the result have? Each of them is one row against one column.",
        "The result has rows × columns numbers, and each takes as many multiply-adds as a row is long: inner.",
        "A multiply-add counts as two operations, so there is a factor 2 in front of the three.",
    ],
)
def operations(answer: Any) -> None:
    expect_near(
        answer(2, 2, 2), 16, case="two tables of 2 × 2", note="Count them by hand: 8 multiplications, 8 additions."
    )
    expect_near(answer(200, 200, 200), 16_000_000, case="two tables of 200 × 200")
    expect_near(answer(3, 5, 7), 210, case="3 × 5 times 5 × 7", note="All three sizes matter.")
    expect_near(
        answer(1, 400, 120), 96_000, case="1 × 400 times 400 × 120", note="One digit in the first dense layer of LeNet."
    )


@exercise(
    "seconds-at-least",
    hints=[
        "How many operations is the work, and how many does the machine do in one second at best?",
        "The operations are those of the exercise before. A GFLOP/s is a billion of them in a second.",
        "Divide 2 · rows · inner · columns by peak_gflops · 1e9.",
    ],
)
def seconds_at_least(answer: Any) -> None:
    expect_near(
        answer(1000, 1000, 1000, 2.0), 1.0, case="1000 × 1000 by 1000 × 1000 at 2 GFLOP/s", note="By hand: 2e9 / 2e9."
    )
    expect_near(answer(1000, 500, 1000, 100.0), 0.01, case="half the inner size, at 100 GFLOP/s", atol=1e-9)


@exercise(
    "roof",
    hints=[
        "Two limits hold at once. Which of the two numbers decides, the larger or the smaller?",
        "Memory allows bandwidth times operations per byte. Arithmetic allows the peak, whatever the bytes.",
        "Return the smaller of peak_gflops and bandwidth_gb_s · per_byte.",
    ],
)
def roof(answer: Any) -> None:
    expect_near(
        answer(1 / 12, 100.0, 24.0),
        2.0,
        case="the addition, 1/12 operation a byte, on a machine of 100 GFLOP/s and 24 GB/s",
    )
    expect_near(
        answer(100.0, 100.0, 24.0),
        100.0,
        case="100 operations a byte on the same machine",
        note="Nothing beats the peak.",
    )
    expect_near(answer(0.5, 10.0, 24.0), 10.0, case="half an operation a byte on a machine of 10 GFLOP/s and 24 GB/s")
