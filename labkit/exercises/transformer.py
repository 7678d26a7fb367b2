"""Checks for the lab transformer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "attention-on-paper",
    hints=[
        "Three steps: the two products, divided by the square root of d; their softmax; the average of the values.",
        "d is 4, so the products 2 ln 3 and 0 are halved. What are the exponentials of ln 3 and of 0?",
        "The exponentials are 3 and 1, so the shares are 3 in 4 and 1 in 4. Average (8, 0) and (0, 4) with these.",
    ],
)
def attention_on_paper(answer: Any) -> None:
    expect(np.shape(answer) == (2,), f"Two numbers were expected, (first, second); {answer!r} came.")
    numbers = np.asarray(answer, dtype=float)
    expect(not np.isnan(numbers).any(), "A number was expected in both places; nan came.")
    expect(
        not np.allclose(numbers, [7.2, 0.4]),
        "Your shares are 9 in 10 and 1 in 10: was the division by the square root of d forgotten?",
    )
    expect(not np.allclose(numbers, [2, 3]), "Your shares are 1 in 4 and 3 in 4: which key has the larger product?")
    expect(
        not np.allclose(numbers, [4, 2]), "You averaged both values alike. The first key's product is larger than 0."
    )
    expect(not np.allclose(numbers, [24, 4]), "Are your shares 3 and 1? They must add up to 1.")
    expect_near(numbers, [6, 1], case="the query on the page", atol=1e-3)


@exercise(
    "window-mask",
    hints=[
        "Row i, column j: j must not lie after i, and i − j must be less than window.",
        "torch.arange(length)[:, None] − torch.arange(length) holds how far column j lies behind row i.",
        "Two comparisons of that matrix, joined with &: not below 0, and below window.",
    ],
)
def window_mask(answer: Any) -> None:
    import torch

    got = answer(5, 2)
    if got is None or got is ...:
        raise NotAnswered
    expect(isinstance(got, (torch.Tensor, np.ndarray)), f"A matrix of bool was expected; a {type(got).__name__} came.")
    expect(
        got.dtype in (torch.bool, np.dtype(bool)),
        f"True and False were expected; the matrix holds {got.dtype}. A comparison such as >= gives bool.",
    )
    mask = np.asarray(got)
    expect(mask.shape == (5, 5), f"For 5 positions, shape (5, 5) was expected; {mask.shape} came.")
    rows, columns = np.indices((5, 5))
    want = (columns <= rows) & (rows - columns < 2)
    expect(not np.array_equal(mask, ~want), "Yours is the opposite: True should mean that a position may look.")
    expect(
        not np.array_equal(mask, want.T),
        "Yours looks into the future: rows are those who look, columns what they look at.",
    )
    expect(not np.array_equal(mask, columns <= rows), "Yours sees all of the past; the window ends it.")
    expect(
        not np.array_equal(mask, (columns <= rows) & (rows - columns <= 2)),
        "Yours sees one position too many: window counts the position itself.",
    )
    expect(
        not np.array_equal(mask, abs(rows - columns) < 2), "Yours looks to both sides; nothing after itself is allowed."
    )
    expect_near(mask, want, case="5 positions and a window of 2")
    expect_near(np.asarray(answer(4, 1)), np.eye(4), case="a window of 1", note="Each sees itself alone.")
    expect_near(np.asarray(answer(3, 9)), np.tri(3), case="a window longer than the text", note="All of the past.")


@exercise(
    "block-parameters",
    hints=[
        "A dense layer from a to b numbers has a·b weights and b biases. Write down one line a layer.",
        "Mix: width² + width. The dense layers: width to 4·width, then 4·width to width. Each norm: 2·width.",
        "Add: 3w² + 3w, w² + w, 4w² + 4w, 4w² + w, and 4w for both norms.",
    ],
)
def block_parameters(answer: Any) -> None:
    got = answer(10)
    if got is None or got is ...:
        raise NotAnswered
    expect(isinstance(got, (int, float, np.integer)), f"A number was expected; a {type(got).__name__} came.")
    expect(not math.isnan(got), "A number was expected; nan came.")
    wrong = {
        1_200: "The biases and the layer norms are missing.",
        1_240: "The biases are missing.",
        1_280: "The biases of the two dense layers are missing.",
        1_290: "40 are missing: both layer norms, or the biases of the projection and the mix.",
        1_310: "There are two layer norms in a block; only one is counted.",
        480: "The two dense layers are missing.",
        440: "The two dense layers and the layer norms are missing.",
    }
    expect(int(got) not in wrong, f"For width 10, {int(got):,} came. {wrong.get(int(got), '')}")
    expect_near(got, 1_330, case="width 10")
    expect_near(answer(64), 49_984, case="width 64")
    expect_near(answer(1), 25, case="width 1")


@exercise(
    "reversal-key",
    hints=[
        "Try 6 digits. At position 6, where = stands, the last digit is needed. Where is it? And at position 7?",
        "One step to the right asks for one step to the left, so position + key stays the same.",
        "At = the sum is length + (length − 1). Take position away from that.",
    ],
)
def reversal_key(answer: Any) -> None:
    note = "At the sign = the last digit is needed, and it stands at length − 1."
    first = answer(6, 6)
    if first is None or first is ...:
        raise NotAnswered
    expect_near(first, 5, case="6 digits, standing at =", note=note)
    expect_near(answer(6, 7), 4, case="6 digits, one step after =", note="Then the one before it.")
    expect_near(answer(6, 11), 0, case="6 digits, where the last symbol of the answer is asked for")
    expect_near(answer(9, 12), 5, case="9 digits, three steps after =")


@exercise(
    "kv-cache-bytes",
    hints=[
        "Count the numbers first: what is kept for one symbol, in one layer, by one head?",
        "A key and a value of head_width numbers each. Then all heads, all layers, all symbols.",
        "2 times the product of all five arguments.",
    ],
)
def kv_cache_bytes(answer: Any) -> None:
    got = answer(1, 1, 1, 1, 1)
    if got is None or got is ...:
        raise NotAnswered
    expect_near(got, 2, case="one of everything", note="A key and a value are two.")
    tiny = answer(3, 2, 5, 7, 4)
    expect_near(tiny, 1_680, case="3 layers, 2 heads of 5 numbers, 7 symbols, 4 bytes", note="All five are factors.")
    expect_near(
        answer(80, 8, 128, 4096, 2),
        1_342_177_280,
        case="Llama 2 with 70 billion weights and 4,096 symbols",
        note="The answer is in bytes.",
    )
    expect_near(answer(80, 64, 128, 4096, 2), 10_737_418_240, case="the same with 64 heads of their own")
