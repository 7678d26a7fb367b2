"""Checks for the lab sharding."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "rows-of-a-rank",
    hints=[
        "How large is a block? Divide rows by ranks and round up, so that the blocks are enough for all rows.",
        "Rank r begins at r blocks and ends at r + 1 blocks. But no rank can hold rows that do not exist.",
        "-(-rows // ranks) rounds up. Limit both ends with min(..., rows).",
    ],
)
def rows_of_a_rank(answer: Any) -> None:
    note = "Blocks of 4 / 2 = 2 rows."
    expect_near(answer(0, 4, 2), [0, 2], case="rank 0 of 2, 4 rows", note=note)
    expect_near(answer(1, 4, 2), [2, 4], case="rank 1 of 2, 4 rows", note=note)
    note = "Blocks of 3 rows, since 10 / 4 is rounded up: 3, 3, 3 and 1."
    expect_near(answer(1, 10, 4), [3, 6], case="rank 1 of 4, 10 rows", note=note)
    expect_near(answer(3, 10, 4), [9, 10], case="rank 3 of 4, 10 rows", note=note)
    note = "Blocks of 2 rows: ranks 0, 1 and 2 hold all five, so rank 3 has none, and its first row is its end."
    expect_near(answer(3, 5, 4), [5, 5], case="rank 3 of 4, 5 rows", note=note)


@exercise(
    "row-parallel",
    hints=[
        "Each rank multiplies what it has: its part of the inputs with its rows of the weights.",
        "Those products have the shape of the result. Add them up over the ranks.",
        "zip(inputs, weights) gives the pairs; the bias is added to the sum, not to each product.",
    ],
)
def row_parallel(answer: Any) -> None:
    inputs, weights = [np.array([[3.0]]), np.array([[1.0]])], [np.array([[2.0]]), np.array([[3.0]])]
    expect_near(answer(inputs, weights, np.zeros(1)), [[9.0]], case="the page's 3 · 2 + 1 · 3, without a bias")
    came = answer(inputs, weights, np.array([10.0]))
    if isinstance(came, np.ndarray) and came.shape == (1, 1):
        expect(came[0, 0] != 29, "The bias of 10 was added by each of the two ranks. It belongs to the sum, once.")
    expect_near(came, [[19.0]], case="the same with a bias of 10")
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(5, 6)), rng.normal(size=(6, 4)), rng.normal(size=4)
    parts = np.split(x, [1, 3], axis=1), np.split(w, [1, 3], axis=0)
    expect_near(answer(*map(list, parts), b), x @ w + b, case="three ranks with 1, 2 and 3 of six inputs")


@exercise(
    "micro-batches",
    hints=[
        "Write the condition down: (p − 1) / (m + p − 1) ≤ idle. Which m is the smallest that meets it?",
        "Trying m = 1, 2, 3, … is good enough. Solving for m works too, and needs rounding up.",
        "A loop: while (stages - 1) / (m + stages - 1) > idle, add 1 to m. Start at 1.",
    ],
)
def micro_batches(answer: Any) -> None:
    expect_near(answer(4, 0.6), 2, case="4 stages, at most 3/5 idle", note="3 / (2 + 3) is exactly 3/5.")
    expect_near(answer(1, 0.0), 1, case="a single stage, which never waits", note="One micro-batch is the whole batch.")
    expect_near(answer(4, 0.1), 27, case="4 stages, at most a tenth idle", note="3 / (27 + 3) is a tenth.")
    expect_near(answer(8, 0.25), 21, case="8 stages, at most a quarter idle")
    expect_near(
        answer(3, 0.3), 5, case="3 stages, at most 0.3 idle", note="2 / (4 + 2) is too much, 2 / (5 + 2) is not."
    )


@exercise(
    "fewest-workers",
    hints=[
        "First take away what the gathered layer needs. What is left is for the worker's slice.",
        "All slices together hold 16 bytes a weight. How many times does what is left fit into that, rounded up?",
        "Left is memory − 4 · largest_layer. If it is 0 or less, no number of workers helps: return None.",
    ],
)
def fewest_workers(answer: Any) -> None:
    expect_near(answer(100, 0, 1600), 1, case="100 weights, 1,600 bytes, no layer to gather")
    expect_near(answer(100, 0, 1599), 2, case="100 weights, one byte less", note="Round up.")
    note = "The gathered layer takes 400 of the 1,000 bytes, so 600 are left for slices of 1,600 in all."
    expect_near(answer(100, 100, 1000), 3, case="100 weights in one layer, 1,000 bytes", note=note)
    expect_near(
        answer(70_000_000_000, 1_000_000_000, 80_000_000_000),
        15,
        case="70 billion weights, a layer of a billion, 80 GB",
    )
    expect(
        answer(100, 100, 400) is None,
        "Where the gathered layer alone fills the memory, no number of workers is enough: None was expected.",
    )
