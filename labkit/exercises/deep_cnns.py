"""Checks for the lab deep-cnns."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "convolution-parameters",
    hints=[
        "Think of one output channel. How large is its window, and over how many input channels does it reach?",
        "It reaches over channels_in // groups channels, kernel² places in each, and has one bias of its own.",
        "There are channels_out of those: multiply what one output channel owns, its bias included, by that.",
    ],
)
def convolution_parameters(answer: Any) -> None:
    expect_near(answer(1, 1, 1, 1), 2, case="one channel to one, a kernel of 1", note="One weight and one bias.")
    note = "One bias for each output channel, not for each weight and not for each group."
    expect_near(answer(3, 96, 11, 1), 34_944, case="AlexNet's first convolution", note=note)
    note = "Each of the 256 output channels sees 96 / 2 = 48 input channels, and there are still 256 of them."
    expect_near(answer(96, 256, 5, 2), 307_456, case="AlexNet's second convolution, in two groups", note=note)
    expect_near(answer(12, 8, 3, 4), 8 * (3 * 9 + 1), case="12 channels to 8 in four groups, a kernel of 3")


@exercise(
    "running-variance",
    hints=[
        "Two parts: how much of the old value stays, and how much of the batch's variance comes in. They add up to 1.",
        "momentum is the share of the new value. The batch's variance here divides the squares by n − 1.",
        "np.var divides by n unless told otherwise: look at its argument ddof.",
    ],
)
def running_variance(answer: Any) -> None:
    came = answer(1.0, np.array([1.0, 2.0, 3.0]), 0.1)
    if isinstance(came, float):
        expect(
            round(came, 6) != round(0.9 + 0.1 * 2 / 3, 6),
            "Your variance divides the squares by n = 3. The running one divides by n − 1 = 2.",
        )
    expect_near(came, 1.0, case="1, 2, 3 with running variance 1 and momentum 0.1")
    came = answer(2.0, np.array([0.0, 4.0]), 0.25)
    if isinstance(came, float):
        expect(
            round(came, 6) != 0.25 * 2 + 0.75 * 8,
            "The shares are the other way round: momentum is the share of the new value, here 0.25.",
        )
    note = "The batch's variance is 8, so 0.75 · 2 + 0.25 · 8."
    expect_near(came, 3.5, case="0, 4 with running variance 2 and momentum 0.25", note=note)
    expect_near(
        answer(5.0, np.array([7.0, 7.0, 7.0, 7.0]), 0.1), 4.5, case="four equal numbers", note="Their variance is 0."
    )


@exercise(
    "identity-kernel",
    hints=[
        "With one channel and size 3 only one of nine numbers is not zero. Which place looks at the pixel itself?",
        "Output channel k should take input channel k alone: place [k, k]. The middle of size is size // 2.",
        "Start from np.zeros((channels, channels, size, size)) and set [k, k, middle, middle] to 1 for every k.",
    ],
)
def identity_kernel(answer: Any) -> None:
    import torch
    from torch.nn import functional as F

    expect_near(
        answer(1, 3), [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]], case="one channel, size 3", note="A 1 in the middle."
    )
    for channels, size in ((3, 3), (2, 5)):
        kernel = answer(channels, size)
        case = f"{channels} channels, size {size}"
        if np.shape(kernel) == (channels, channels, size, size) and np.all(
            np.asarray(kernel)[:, :, size // 2, size // 2]
        ):
            expect(False, f"For {case}, every output channel adds up all input channels. It should take only its own.")
        expect(
            np.shape(kernel) == (channels, channels, size, size),
            f"For {case}, expected shape {(channels, channels, size, size)}; shape {np.shape(kernel)} came.",
        )
        x = torch.arange(channels * 36.0).view(1, channels, 6, 6)
        passed = F.conv2d(x, torch.as_tensor(np.asarray(kernel, dtype=np.float32)), padding=size // 2)
        note = "The image should come out as it went in; is the 1 in the middle, and of channel k to channel k?"
        expect_near(passed, x, case=f"an image through your kernel of {case}", note=note)


@exercise(
    "residual",
    hints=[
        "Two things are added before the ReLU. One is what the branch makes of x. What is the other?",
        "x itself. The sum goes through the ReLU, not the branch alone: the branch must be able to take away.",
        "F.relu of a sum of two terms; call branch once, on x.",
    ],
)
def residual(answer: Any) -> None:
    import torch

    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    came = answer(x.clone(), torch.zeros_like)
    note = "A branch that gives zeros must leave x as it is. Is x added?"
    expect_near(came, x, case="a branch of zeros, x = 1 2 3 4", note=note)
    came = answer(x.clone(), lambda x: -0.5 * x)
    note = "A branch may be negative: x + branch(x), and the ReLU after the sum."
    expect_near(came, 0.5 * x, case="a branch that takes half away", note=note)
    came = answer(x.clone(), lambda x: 1 - 2 * x)
    note = "The sums are 0, −1, −2 and −3. The ReLU comes last."
    expect_near(came, torch.zeros(2, 2), case="a branch that takes away more than there is", note=note)
    expect_near(answer(x.clone(), lambda x: x**2), x + x**2, case="a branch that squares")
