"""Checks for the lab lenet-keras."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "kernel-to-keras",
    hints=[
        "No number changes, only the order of the dimensions. Which of PyTorch's four comes first in Keras?",
        "Height is dimension 2 in PyTorch and dimension 0 in Keras. Note down the other three in the same way.",
        "np.transpose(kernel, (2, ...)) takes the old dimension for each new place. Three numbers are missing.",
    ],
)
def kernel_to_keras(answer: Any) -> None:
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    got = answer(kernel.copy())
    case = "2 kernels for 3 channels, 4 high and 5 wide"
    swapped = np.einsum("oihw->whio", kernel)
    want = np.einsum("oihw->hwio", kernel)
    if np.shape(got) == want.shape:
        expect(
            not np.array_equal(got, kernel.reshape(want.shape)),
            "The shape is right, but the numbers stand in their old order: reshape cuts the row elsewhere and moves nothing.",
        )
    expect(
        np.shape(got) != swapped.shape,
        f"For {case}, expected height before width, {want.shape}; {np.shape(got)} came.",
    )
    expect_near(got, want, case=case)
    square = np.arange(3 * 2 * 5 * 5, dtype=np.float32).reshape(3, 2, 5, 5)
    note = "Height and width are equal here, so a swap of the two has the right shape."
    expect_near(answer(square.copy()), np.einsum("oihw->hwio", square), case="square kernels", note=note)


@exercise(
    "dense-to-keras",
    hints=[
        "Each row of `weights` is one output. Its numbers stand channel by channel; cut the row back into maps first.",
        "weights.reshape(out, channels, size, size) looks like kernels of a convolution. Those you can turn already.",
        "Reshape to (out, channels, size, size), transpose to (size, size, channels, out), reshape to (-1, out).",
    ],
)
def dense_to_keras(answer: Any) -> None:
    weights = np.arange(3 * 2 * 4 * 4, dtype=np.float32).reshape(3, 32)
    got = answer(weights.copy(), 2, 4)
    want = np.einsum("ochw->hwco", weights.reshape(3, 2, 4, 4)).reshape(32, 3)
    case = "3 outputs behind 2 maps of 4 × 4"
    if np.shape(got) == want.shape:
        expect(
            not np.array_equal(got, weights.T),
            "This is the same as the transpose alone: the inputs still stand channel by channel.",
        )
        expect(
            not np.array_equal(got, np.einsum("ochw->whco", weights.reshape(3, 2, 4, 4)).reshape(32, 3)),
            "Rows and columns of the maps are swapped: Keras writes a map row by row, as PyTorch does.",
        )
    if np.shape(got) == (3, 32):
        expect(False, f"For {case}, expected shape (32, 3), inputs first; (3, 32) came.")
    expect_near(got, want, case=case)
    one = np.arange(2 * 9, dtype=np.float32).reshape(2, 9)
    note = "With one channel the two orders are the same, and only the transpose is left."
    expect_near(answer(one.copy(), 1, 3), one.T, case="one map of 3 × 3", note=note)


@exercise(
    "same-padding",
    hints=[
        "How many places are there? Where does the last window begin, and where does it end?",
        "It begins at (places − 1) · stride and is `kernel` long. What stands out beyond `size` are the zeros.",
        "zeros = max((places − 1) · stride + kernel − size, 0). Half of them, rounded down, are in front.",
    ],
)
def same_padding(answer: Any) -> None:
    got = answer(4, 3, 2)
    expect(np.shape(got) in ((2,), ()), f"Two numbers were expected, before and behind; shape {np.shape(got)} came.")
    if np.shape(got) == (2,):
        expect(
            tuple(got) != (1, 0),
            "For 4 pixels, a kernel of 3 and a stride of 2, the one zero should stand behind; yours stands in front.",
        )
    expect_near(got, (0, 1), case="4 pixels, a kernel of 3, stride 2", note="It is the row of the page.")
    expect_near(answer(28, 5, 1), (2, 2), case="28 pixels, a kernel of 5, stride 1", note="LeNet's first layer.")
    expect_near(
        answer(28, 5, 2), (1, 2), case="28 pixels, a kernel of 5, stride 2", note="14 places, so 26 + 5 pixels."
    )
    expect_near(answer(5, 3, 2), (1, 1), case="5 pixels, a kernel of 3, stride 2", note="Round up: 3 places.")
    expect_near(answer(6, 2, 1), (0, 1), case="6 pixels, a kernel of 2, stride 1", note="An even kernel, an odd zero.")
    expect_near(answer(6, 1, 2), (0, 0), case="6 pixels, a kernel of 1, stride 2", note="Never fewer than no zeros.")


@exercise(
    "steps-until-even",
    hints=[
        "After n steps A has taken first_a + (n − 1) · later_a. Write down the same for B and compare.",
        "A is behind by first_a − first_b after the first step, and catches up later_b − later_a in each of the others.",
        "Divide the two and round up: that many steps after the first. Think of A ahead at once, and of never.",
    ],
)
def steps_until_even(answer: Any) -> None:
    note = "The first step counts, too."
    got = answer(4.0, 1.0, 1.0, 2.0)
    expect(
        got != 3,
        "For first steps of 4 and 1 s and later ones of 1 and 2 s, A is 3 s behind after step 1 and even 3 steps later: "
        "expected 4; 3 came. The first step counts, too.",
    )
    expect_near(got, 4, case="first steps of 4 and 1 s, later ones of 1 and 2 s", note=note)
    expect_near(
        answer(4.5, 1.0, 1.0, 2.0),
        5,
        case="first steps of 4.5 and 1 s, later ones of 1 and 2 s",
        note="Steps are whole.",
    )
    expect_near(answer(1.0, 1.0, 2.0, 1.0), 1, case="an A that is ahead after the first step")
    never = answer(4.0, 2.0, 1.0, 2.0)
    expect(
        isinstance(never, (int, float)) and math.isinf(never) and never > 0,
        f"For an A that is slower at first and no faster later, expected np.inf; {never!r} came.",
    )
