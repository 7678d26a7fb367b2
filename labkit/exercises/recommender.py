"""Checks for the lab recommender."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "shrunken-bias",
    hints=[
        "You need two things for each film: how many ratings it has, and the sum of what is left of them.",
        "np.bincount(film, minlength=films) counts. With a second argument it adds that up instead of counting.",
        "Divide the sums by count + penalty, and see to it that 0 / 0 becomes 0.",
    ],
)
def shrunken_bias(answer: Any) -> None:
    film, left = np.array([0, 1, 0, 2, 1]), np.array([1.0, -1.0, 2.0, 0.0, -2.0])
    case = "the films of the page with a penalty of 1"
    got = answer(film.copy(), left.copy(), 3, 1)
    expect(
        np.shape(got) != (3,) or not np.allclose(got, [1.5, -1.5, 0]),
        f"For {case}, expected [1, -1, 0]; [1.5, -1.5, 0] came, which are plain averages. The penalty adds to the count.",
    )
    expect_near(got, [1, -1, 0], case=case)
    expect_near(
        answer(np.array([3, 3]), np.array([1.0, 2.0]), 5, 2),
        [0, 0, 0, 0.75, 0],
        case="five films of which only the fourth was rated",
        note="A film without a rating has a place in the answer too, with 0.",
    )
    expect_near(
        answer(np.array([1, 1]), np.array([1.0, 2.0]), 2, 0),
        [0, 1.5],
        case="a penalty of 0 and a film without ratings",
        note="0 / 0 is to be 0.",
    )


@exercise(
    "later-part",
    hints=[
        "Find the moment at which the last part begins: sort the times and look at one place.",
        "Of n times, the last part of a share s begins at place n · (1 − s) of the sorted ones.",
        "Compare every time with that moment. Those of the very moment belong to the test: >=.",
    ],
)
def later_part(answer: Any) -> None:
    when = np.array([5, 1, 4, 2, 3, 9, 8, 7, 6, 10])
    expect_near(answer(when.copy(), 0.2), when >= 9, case="ten moments in disorder and a share of 0.2")
    expect_near(answer(when.copy(), 0.1), when >= 10, case="ten moments in disorder and a share of 0.1")
    tied = np.array([1, 2, 3, 3, 3, 4])
    got = np.asarray(answer(tied.copy(), 1 / 3), dtype=float)
    expect(
        got.shape != (6,) or not np.array_equal(got, [0, 0, 0, 0, 1, 1]),
        "For the times 1 2 3 3 3 4 and a share of a third, your cut falls between two ratings of second 3.",
    )
    expect(
        got.shape != (6,) or not np.array_equal(got, [0, 0, 0, 0, 0, 1]),
        "For the times 1 2 3 3 3 4 and a share of a third, the last part begins at 3, and only 4 is in your test.",
    )
    expect_near(got, [0, 0, 1, 1, 1, 1], case="the times 1 2 3 3 3 4 and a share of a third")


@exercise(
    "fold-in",
    hints=[
        "What is left to explain of each rating, once the mean and the bias of its film (column 0) are taken off?",
        "The inputs are a 1 and the film's factors, films[:, 1:]. Column 0 is the film's own bias and no input.",
        "Solve (XᵀX + penalty · I) w = Xᵀ left, where X are the inputs. I has 1 + k rows.",
    ],
)
def fold_in(answer: Any) -> None:
    one_film = np.array([[0.5]])
    expect_near(
        answer(np.array([5.0]), one_film, 3.5, 1.0),
        [0.5],
        case="one film without factors, bias 0.5, five stars, a mean of 3.5 and a penalty of 1",
        note="1 is left, and 1 / (1 + 1) is the person's bias.",
    )
    rng = np.random.default_rng(4)
    films, stars = rng.normal(size=(6, 4)), rng.integers(1, 6, 6).astype(float)
    inputs = np.c_[np.ones(6), films[:, 1:]]
    gram = inputs.T @ inputs + 2.0 * np.eye(4)
    got = answer(stars.copy(), films.copy(), 3.4, 2.0)
    if np.shape(got) == (4,):
        forgot = np.linalg.solve(gram, inputs.T @ (stars - 3.4))
        expect(not np.allclose(got, forgot), "This forgets the bias of the films: take it off before you solve.")
        raw = np.linalg.solve(films.T @ films + 2.0 * np.eye(4), films.T @ (stars - 3.4 - films[:, 0]))
        expect(
            not np.allclose(got, raw), "The film's bias stands among your inputs; the person's bias wants a 1 there."
        )
    want = np.linalg.solve(gram, inputs.T @ (stars - 3.4 - films[:, 0]))
    expect_near(got, want, case="six ratings and three factors")
    expect_near(
        answer(stars[:1].copy(), films[:1].copy(), 3.4, 2.0),
        np.linalg.solve(inputs[:1].T @ inputs[:1] + 2.0 * np.eye(4), inputs[:1].T @ (stars[:1] - 3.4 - films[:1, 0])),
        case="a single rating and three factors",
        note="With a penalty there is an answer even then.",
    )
