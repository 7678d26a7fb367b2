"""Checks for the lab tpu."""

from __future__ import annotations

from typing import Any

from labkit.check import NotAnswered, exercise, expect, expect_near

_COLLECTIVES = ("none", "all-reduce", "reduce-scatter", "all-gather")


@exercise(
    "collective-for",
    hints=[
        "Ask of one chip: from what it holds, can it work out the part of C that it should end with?",
        "With A by columns and B by rows, each chip has a term of a sum as large as C. Does every chip want all of the sum, or its rows?",
        "Columns and rows: all-reduce for a whole C, reduce-scatter for rows. Rows, whole, rows: none. What is left is gathered.",
    ],
)
def collective_for(answer: Any) -> None:
    cases = [
        (
            ("rows", "whole", "rows"),
            "none",
            "a chip has its row of A and all of B, which is all that its row of C needs",
        ),
        (
            ("columns", "rows", "whole"),
            "all-reduce",
            "the terms of a sum must be added, and every chip wants all of it",
        ),
        (
            ("columns", "rows", "rows"),
            "reduce-scatter",
            "the terms of a sum must be added, and a chip wants only its rows",
        ),
        (("rows", "rows", "rows"), "all-gather", "a row of C needs all of B, and a chip has only some rows of it"),
        (("rows", "whole", "whole"), "all-gather", "each chip works out some rows of C, and all are to have all"),
    ]
    for splits, wanted, why in cases:
        came = answer(*splits)
        if came is None or came is ...:
            raise NotAnswered
        case = f"A by {splits[0]}, B by {splits[1]}, C by {splits[2]}".replace("by whole", "whole")
        known = isinstance(came, str) and came in _COLLECTIVES
        expect(known, f"For {case}, one of {', '.join(_COLLECTIVES)} was expected; {came!r} came.")
        expect(came == wanted, f"For {case}, {came!r} came. Think again: {why}.")


@exercise(
    "bytes-per-chip",
    hints=[
        "Divide each side by the number of parts it is cut into. The product of what is left, times the bytes of a number.",
        "A side that its number of parts does not divide leaves a remainder: size % parts is not 0.",
        "First look whether any remainder is not 0 and return None; then multiply size // parts over the dimensions.",
    ],
)
def bytes_per_chip(answer: Any) -> None:
    expect_near(answer((8, 8), (1, 1), 4), 256, case="8 × 8 float32, whole", note="Every chip has all of it.")
    came = answer((8, 64, 256), (1, 8, 1), 4)
    if came == 8 * 64 * 256 * 4:
        expect(False, "For 8 × 64 × 256 over 8 chips, all bytes came. A chip holds only its part of the second side.")
    expect_near(came, 65536, case="8 × 64 × 256 float32, its second side over 8 chips")
    note = "Both sides are cut: 4 · 2 = 8 parts."
    expect_near(answer((16, 6), (4, 2), 2), 24, case="16 × 6 bfloat16 over a mesh of 4 × 2", note=note)
    uneven = answer((100, 4), (8, 1), 4)
    expect(uneven is None, f"100 rows cannot be cut into 8 equal parts, so None was expected; {uneven!r} came.")


@exercise(
    "fewest-chips",
    hints=[
        "For one number of chips: what does each hold? A share of 16 bytes a weight, and the rest that is not shared.",
        "A billion weights of 16 bytes are 16 GB. So 16 · billions / chips + other_gb must be at most chip_gb.",
        "Try 1, 2, 4, … 512 in order, return the first that fits, and None after the last.",
    ],
)
def fewest_chips(answer: Any) -> None:
    came = answer(0.0001, 0.1, 16)
    expect_near(came, 1, case="a tenth of a million weights on chips of 16 GB", note="One chip is enough.")
    came = answer(1, 0, 16)
    expect_near(came, 1, case="1 billion and nothing else on chips of 16 GB", note="16 GB fit exactly.")
    came = answer(70, 8, 16)
    if came == 128:
        expect(False, "For 70 billion and 8 GB more, 128 came: 1120 / 128 = 8.75 fits, but not beside the other 8 GB.")
    note = "1120 / 128 + 8 is too much, 1120 / 256 + 8 is not, and the number is a power of two."
    expect_near(came, 256, case="70 billion, 8 GB more, on chips of 16 GB", note=note)
    expect_near(answer(70, 4.4, 100), 16, case="70 billion, 4.4 GB more, on chips of 100 GB")
    for billions, other, why in (
        (1000, 4, "even 512 chips are too few"),
        (1, 17, "the other 17 GB alone are too much"),
    ):
        came = answer(billions, other, 16)
        expect(came is None, f"For {billions} billion on chips of 16 GB, {why}, so None was expected; {came!r} came.")
