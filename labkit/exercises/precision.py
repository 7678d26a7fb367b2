"""Checks for the lab precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "largest-finite",
    hints=[
        "Take both parts as large as they may be. Which stored exponent is the largest that does not mean infinity or nan?",
        "All ones is taken, so one less. With the bias 2^(exponent_bits − 1) − 1 subtracted, the power is the bias itself.",
        "The largest fraction is 1 − 2^(−fraction_bits), and the leading 1 comes on top of it.",
    ],
)
def largest_finite(answer: Any) -> None:
    came = answer(5, 10)
    if isinstance(came, (int, float)):
        for wrong, why in {
            131008: "The exponent of all ones is taken: it means infinity or nan.",
            65536: "That is where the next power of two begins. The fraction is a little less than 1.",
            32768: "That is the largest power of two. The fraction may be larger than 0.",
            32736: "Is the leading 1 there as well as the fraction?",
        }.items():
            expect(came != wrong, f"For float16, 5 and 10 bits, {wrong} came. {why}")
    expect_near(came, 65504, case="float16, 5 and 10 bits")
    expect_near(answer(4, 3), 240, case="a format with 4 and 3 bits", note="2^7 · (2 − 1/8).")
    expect_near(answer(5, 2), 57344, case="a format with 5 and 2 bits", note="2^15 · (2 − 1/4).")
    expect_near(answer(8, 7) / 2.0**120, 255, case="bfloat16, 8 and 7 bits, divided by 2^120", note="The bias is 127.")


@exercise(
    "lost-update",
    hints=[
        "Between two powers of two all neighbours are equally far apart. Which power of two is just below the weight's size?",
        "Between 2^p and 2^(p+1) there are 2^fraction_bits steps, so neighbours are 2^(p − fraction_bits) apart.",
        "math.frexp(0.05) gives (0.8, -4), and 0.8 · 2^-4 = 1.6 · 2^-5: p is one less than frexp's exponent. Then half of it.",
    ],
)
def lost_update(answer: Any) -> None:
    came = answer(1.0, 7)
    if isinstance(came, float):
        expect(
            came != 1 / 128, "For a weight of 1 in bfloat16, 1/128 came, the whole distance. Half of it is asked for."
        )
        expect(
            came != 1 / 512,
            "For a weight of 1 in bfloat16, 1/512 came. math.frexp(1) gives (0.5, 1), and 1 is 1 · 2^0.",
        )
    expect_near(came, 1 / 256, case="a weight of 1 in bfloat16, 7 bits of fraction", atol=1e-9)
    note = "2^-5 is the power of two below 0.05, and it is divided by 2 · 128."
    expect_near(answer(0.05, 7), 2.0**-13, case="a weight of 0.05 in bfloat16", atol=1e-9, note=note)
    expect_near(
        answer(-3.0, 10), 2.0**-10, case="a weight of −3 in float16", atol=1e-9, note="Its size counts, not its sign."
    )
    expect_near(answer(0.75, 23), 2.0**-25, case="a weight of 0.75 in float32", atol=1e-12)


@exercise(
    "micro-batch-shares",
    hints=[
        "The mean over all digits counts each digit once. How much of it should come from a micro-batch of 4 of 100?",
        "As much as it has of the digits. The shares add up to 1.",
        "Divide each size by the sum of all sizes.",
    ],
)
def micro_batch_shares(answer: Any) -> None:
    expect_near(answer([25, 25, 25, 25]), [0.25] * 4, case="four micro-batches of 25")
    came = np.asarray(answer([32, 32, 32, 4]), dtype=float)
    if came.shape == (4,) and np.allclose(came, 0.25):
        expect(
            False, "For 32, 32, 32 and 4 digits all shares are equal, so a digit of the last counts as eight others."
        )
    expect_near(came, [0.32, 0.32, 0.32, 0.04], case="micro-batches of 32, 32, 32 and 4")
    expect_near(answer([7]), [1.0], case="a single micro-batch", note="It is the whole batch.")
    expect_near(answer([1, 3]), [0.25, 0.75], case="micro-batches of 1 and 3")


@exercise(
    "best-segment",
    hints=[
        "The memory is layers / k + k. Try 12 layers on paper: k may be 1, 2, 3, 4, 6 or 12.",
        "List the divisors of layers, and compute layers / k + k for each.",
        "min(divisors, key=...) returns the divisor for which the key is least.",
    ],
)
def best_segment(answer: Any) -> None:
    for layers in (36, 64, 1, 30, 100, 7, 50):
        k = answer(layers)
        if k is None or k is ...:
            expect_near(k, 0, case="")  # not answered
        expect(
            isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k >= 1,
            f"For {layers} layers, a whole number from 1 up was expected; {k!r} came.",
        )
        expect(
            layers % int(k) == 0,
            f"For {layers} layers, segments of {k} do not divide evenly: the last one would be smaller.",
        )
        least = min(layers // d + d for d in range(1, layers + 1) if layers % d == 0)
        expect(
            layers // int(k) + int(k) == least,
            f"For {layers} layers, segments of {k} keep {layers // int(k)} + {k} outputs; {least} would do.",
        )
