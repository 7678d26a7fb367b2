"""Checks for the lab convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "convolution-places",
    hints=[
        "Put a window of 3 on a row of 7 pixels and move it by 2. Where can its left edge stand?",
        "At 0, 2 and 4. The last corner is at size − kernel at most, once the padding has made the row longer.",
        "How many whole strides fit into size + 2·padding − kernel? And the first place takes no stride at all.",
    ],
)
def places(answer: Any) -> None:
    expect_near(answer(7, 3, 2, 0), 3, case="7 pixels, a kernel of 3, stride 2", note="The corners are 0, 2 and 4.")
    expect_near(answer(5, 3, 1, 0), 3, case="5 pixels, a kernel of 3, stride 1", note="The corners are 0, 1 and 2.")
    came = answer(28, 3, 2, 0)
    expect_near(came, 13, case="28 pixels, a kernel of 3, stride 2", note="A place that does not fit does not count.")
    expect(
        not isinstance(came, (float, np.floating)),
        f"Places are counted, so a whole number was expected; the float {came} came. Divide with //.",
    )
    expect_near(answer(28, 5, 1, 2), 28, case="28 pixels, a kernel of 5, padding 2", note="Padding goes on both sides.")
    expect_near(answer(4, 4, 3, 0), 1, case="a kernel as large as the image", note="It fits in one place.")
    expect_near(answer(10, 4, 3, 1), 3, case="10 pixels, a kernel of 4, stride 3, padding 1")


@exercise(
    "convolution-kernel-gradient",
    hints=[
        "Look at shapes first. From (a, places) and (b, places) you want (b, a): over what is there a sum?",
        "One weight of the kernel is used in every place, so its gradient adds up over the places: "
        "the output's gradient there, times the pixel it met there.",
        "A sum over the last axis of both is a matrix product in which one of the two is transposed.",
    ],
)
def kernel_gradient(answer: Any) -> None:
    table = np.random.default_rng(0).standard_normal((6, 5))
    cases = [
        ("one place, pixels 2 and 3, gradient 10", np.array([[2.0], [3.0]]), np.array([[10.0]])),
        ("4 weights, 5 places, 2 output channels", table[:4], table[4:]),
    ]
    for case, columns, gradient_out in cases:
        want = np.einsum("op,wp->ow", gradient_out, columns)
        came = answer(columns, gradient_out)
        expect(
            np.shape(came) != want.T.shape,
            f"Expected a row for each output channel, as in kernels: shape {want.shape}. Yours is transposed.",
        )
        if np.shape(came) == want.shape:
            expect(
                not np.allclose(came, -want), "The values are right and the sign is not: nothing is subtracted here."
            )
            expect(
                want.shape == (1, 2) or not np.allclose(came, want / 5),
                "Expected the sum over the places; yours is their mean. Each place adds its share to the loss.",
            )
        expect_near(came, want, case=case, note="A weight meets one pixel in each place; the places add up.")


@exercise(
    "convolution-receptive-field",
    hints=[
        "Start with a field of 1 pixel. A layer of 3 makes it 3. What does a second layer of 3 make of it?",
        "Each layer adds kernel − 1 steps. A step is one pixel on the image, and longer after a layer with a stride.",
        "Keep two numbers, field and step, both 1 at first. Lengthen the field, and only then the step.",
    ],
)
def receptive_field(answer: Any) -> None:
    expect_near(answer([]), 1, case="no layer at all", note="A pixel sees itself.")
    expect_near(answer([(5, 1)]), 5, case="one layer with a kernel of 5")
    came = answer([(3, 1), (3, 1)])
    expect_near(
        came, 5, case="two layers with kernels of 3", note="Three windows of 3, each one pixel further, cover 5."
    )
    note = "A layer's own stride lengthens the steps of the layers after it, and not its own."
    expect_near(answer([(3, 2)]), 3, case="one layer with a kernel of 3 and stride 2", note=note)
    expect_near(answer([(3, 2), (3, 1)]), 7, case="a kernel of 3 with stride 2, then a kernel of 3", note=note)
    note = "Strides multiply."
    expect_near(answer([(5, 1), (2, 2), (5, 1), (2, 2)]), 16, case="5, then 2 with stride 2, and both again", note=note)
    expect_near(answer([(3, 2), (3, 2), (3, 2)]), 15, case="three layers of 3 with stride 2", note=note)


@exercise(
    "convolution-depthwise",
    hints=[
        "Count the multiplications for one place. The places are the same everywhere and cancel.",
        "The full layer takes channels_out · channels_in · kernel². The depthwise one has no channels_out in it.",
        "Separated: channels_in · kernel² for the windows, and channels_in · channels_out for the 1 × 1. Add these two.",
    ],
)
def depthwise_saving(answer: Any) -> None:
    came = answer(16, 32, 3)
    if isinstance(came, int | float):
        expect(abs(float(came) * 4608 / 656 - 1) > 1e-6, "The ratio is upside down: full divided by separated.")
        expect(abs(float(came) - 32) > 1e-6, "The 1 × 1 convolution is missing: it takes channels_in · channels_out.")
    note = "For each place 4,608 against 16 · 9 + 16 · 32."
    expect_near(came, 4608 / 656, case="16 channels in, 32 out, kernel 3", note=note)
    note = "9 against 9 + 1: here separating costs more."
    expect_near(answer(1, 1, 3), 0.9, case="one channel in and out, kernel 3", note=note)
    expect_near(answer(8, 4, 5), 800 / 232, case="8 channels in, 4 out, kernel 5", note="Do in and out change places?")
