"""Checks for the lab lenet."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "output-size",
    hints=[
        "Put a window of 3 on a row of 5 pixels. How many places can its left edge take?",
        "Without padding there are size − kernel + 1 places. Padding makes the row longer: on how many sides?",
        "The padded row is size + 2·padding long. Use that in place of size.",
    ],
)
def output_size(answer: Any) -> None:
    expect_near(answer(5, 3, 0), 3, case="5 pixels, a kernel of 3", note="Slide it by hand: places 0, 1 and 2.")
    expect_near(answer(7, 7, 0), 1, case="a kernel as large as the image", note="It fits in one place.")
    expect_near(answer(28, 5, 2), 28, case="28 pixels, a kernel of 5, padding 2", note="Padding goes on both sides.")
    expect_near(answer(10, 4, 1), 9, case="10 pixels, a kernel of 4, padding 1")


@exercise(
    "silent-batch",
    hints=[
        "The reshape is content when the numbers in the whole batch divide by `expected`. Nothing else is asked.",
        "So you want the smallest batch with batch · per_image % expected == 0. Trying 1, 2, 3, ... finds it.",
        "A while loop that counts up, or expected // math.gcd(per_image, expected).",
    ],
)
def silent_batch(answer: Any) -> None:
    note = "At that size the numbers of the whole batch must divide by the second argument."
    expect_near(answer(256, 400), 25, case="256 numbers an image where 400 are expected", note=note)
    expect_near(answer(6, 4), 2, case="6 where 4 are expected: 12 numbers make 3 rows", note=note)
    expect_near(
        answer(400, 400), 1, case="an image of the expected size", note="Nothing is wrong, so 1 already passes."
    )
    expect_near(answer(9, 7), 7, case="9 where 7 are expected", note=note)


@exercise(
    "training-step",
    hints=[
        "Five things in order: forget the old gradients, predict, measure the loss, find the gradients, take a step.",
        "optimizer.zero_grad(), logits = model(X_batch), loss = F.cross_entropy(logits, y_batch), then two more lines.",
        "The two are loss.backward() and optimizer.step(). Return loss.item().",
    ],
)
def training_step(answer: Any) -> None:
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    X, y = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    theirs = torch.nn.Linear(3, 2)
    ours = copy.deepcopy(theirs)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for number in ("first", "second"):
        loss = F.cross_entropy(ours(X), y)
        gradients = torch.autograd.grad(loss, list(ours.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(ours.parameters(), gradients, strict=True):
                parameter.sub_(0.1 * gradient)
        before = theirs.weight.detach().clone()
        came = answer(theirs, optimizer, X, y)
        expect(
            not torch.equal(theirs.weight, before), "The weights should change in a step, and they stayed as they were."
        )
        note = "Two steps in a row: are the gradients of the first one forgotten?" if number == "second" else ""
        expect_near(theirs.weight, ours.weight, case=f"the weights after the {number} step", atol=1e-5, note=note)
        expect_near(
            came, loss, case=f"the loss of the {number} step", atol=1e-5, note="It is the loss before the step."
        )
        expect(isinstance(came, float), f"A plain number was expected, loss.item(); a {type(came).__name__} came.")


@exercise(
    "confusion-matrix",
    hints=[
        "Start from a table of zeros, classes × classes. Each sample adds 1 to one place. Which row, which column?",
        "Row: the true class. Column: the predicted one. Loop over zip(y, predictions).",
        "Inside the loop: matrix[truth, guess] += 1. Return the matrix after the loop.",
    ],
)
def confusion_matrix(answer: Any) -> None:
    y, predictions = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 2, 1, 2, 2, 1])
    want = [[1, 0, 1], [0, 1, 0], [0, 1, 2]]
    got = answer(y, predictions, 3)
    if np.shape(got) == (3, 3):
        expect(
            not np.array_equal(got, np.transpose(want)),
            "Rows should be the true classes and columns the predicted ones; yours are the other way round.",
        )
    note = "A place hit twice counts twice; indexing with whole arrays, m[y, p] += 1, counts it once."
    expect_near(got, want, case="truths 0 0 1 2 2 2, predictions 0 2 1 2 2 1", note=note)
    expect_near(answer(np.array([1]), np.array([0]), 2), [[0, 0], [1, 0]], case="one 1 that was taken for a 0")


@exercise(
    "convolution-flops",
    hints=[
        "Work out one number of one output map first. How many products go into it?",
        "Each is a sum over all input channels and the kernel's area. There are size_out² numbers in each output channel.",
        "Multiply: size_out² · channels_out · channels_in · kernel². A product and its addition are two operations.",
    ],
)
def convolution_flops(answer: Any) -> None:
    expect_near(
        answer(1, 1, 1, 1), 2, case="one product", note="A multiply-add counts as two operations, bias left out."
    )
    expect_near(answer(1, 6, 5, 28), 235_200, case="LeNet's first convolution", note="28 · 28 · 6 · 25 · 2 by hand.")
    expect_near(answer(6, 16, 5, 10), 480_000, case="LeNet's second convolution", note="All input channels take part.")
