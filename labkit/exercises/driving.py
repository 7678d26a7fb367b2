"""Checks for the lab driving."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labkit.check import exercise, expect, expect_near


@exercise(
    "steady-gap",
    hints=[
        "Nobody accelerates, so the bracket is 0. Nobody comes nearer, so the gap wanted is s_0 + v T.",
        "Bring the term with the speeds to the other side: (s* / s)² = 1 − (v / v_0)⁴.",
        "Take the root and solve for s: the gap wanted, divided by that root.",
    ],
)
def steady_gap(answer: Any) -> None:
    for speed, wish, headway, least in ((20.0, 25.0, 1.5, 2.0), (0.0, 30.0, 1.5, 2.0), (10.0, 12.0, 1.0, 3.0)):
        wanted, free = least + speed * headway, 1 - (speed / wish) ** 4
        case = f"v = {speed:g}, v_0 = {wish:g} m/s, T = {headway:g} s, s_0 = {least:g} m"
        got = answer(speed, wish, headway, least)
        if speed:
            expect(not _same(got, wanted), f"For {case}, {wanted:g} m came: the gap wanted. The real one is larger.")
            expect(not _same(got, wanted / free), f"For {case}, {wanted / free:.6g} m came: a root is missing.")
            expect(
                not _same(got, wanted * math.sqrt(free)), f"For {case}, {float(got):.6g} m came: divide by the root."
            )
        expect_near(got, wanted / math.sqrt(free), case=case)


@exercise(
    "wrong-steps",
    hints=[
        "Step t is right only if none of the steps 1, ..., t was wrong.",
        "The probability of that is (1 − ε)^t. The step is wrong with the rest of 1.",
        "Add these probabilities up, for t from 1 to T with T counted in.",
    ],
)
def wrong_steps(answer: Any) -> None:
    for epsilon, T in ((0.5, 2), (0.01, 1), (0.02, 100), (1.0, 7), (0.0, 5)):
        want = sum(1 - (1 - epsilon) ** t for t in range(1, T + 1))
        case = f"ε = {epsilon:g} and T = {T}"
        got = answer(epsilon, T)
        if 0 < epsilon < 1 and T > 1:
            undone = "That is a driver who undoes every mistake in the next step. This one never finds back."
            expect(not _same(got, epsilon * T), f"For {case}, {epsilon * T:g} came. {undone}")
            near = epsilon * T * (T + 1) / 2
            expect(not _same(got, near), f"For {case}, {near:g} came: the approximation ε t of every step, added up.")
            early = sum(1 - (1 - epsilon) ** t for t in range(T))
            expect(
                not _same(got, early), f"For {case}, {early:.6g} came: the sum runs from 1 to T, not from 0 to T − 1."
            )
        expect_near(got, want, case=case)


@exercise(
    "dagger-aggregate",
    hints=[
        "The copy chose the way into these states. What it did there is what you want to get rid of.",
        "The actions of the new pairs are what the expert answers when it is asked about visited_states.",
        "np.concatenate puts the new rows behind the old ones, once for the states and once for the actions.",
    ],
)
def aggregate(answer: Any) -> None:
    rng = np.random.default_rng(0)
    X, y, states = rng.normal(size=(4, 15)), np.array([0, 1, 2, 3]), rng.normal(size=(3, 15))
    asked: list[np.ndarray] = []

    def expert(observation: np.ndarray) -> np.ndarray:
        asked.append(np.array(observation))
        return np.where(observation[:, 0] > 0, 4, 3)

    got = answer(X.copy(), y.copy(), states.copy(), expert)
    expect(got is not None, "Two arrays were expected; nothing came.")
    expect(isinstance(got, (tuple, list)) and len(got) == 2, "Return two arrays, the states and their actions.")
    expect(asked, "The expert was not asked. Without its answers nobody knows what is right in the new states.")
    expect(
        all(len(one) == 3 for one in asked),
        f"The expert was asked about {len(asked[0])} states. Ask it about the 3 new ones: its old answers are in y.",
    )
    expect_near(got[0], np.concatenate([X, states]), case="4 old states and 3 new ones", note="Old first, then new.")
    want = np.concatenate([y, np.where(states[:, 0] > 0, 4, 3)])
    expect_near(got[1], want, case="their actions", note="The new ones are the expert's.")


@exercise(
    "distance-needed",
    hints=[
        "Without any event in a distance d, a Poisson process has the probability exp(−rate · d).",
        "That must be what is left of 1 after the confidence: 0.05 for a confidence of 0.95.",
        "Take the logarithm and solve for d. The logarithm of a number below 1 is negative.",
    ],
)
def distance_needed(answer: Any) -> None:
    for rate, confidence in ((0.01, 0.95), (1.0, 0.5), (2e-4, 0.99)):
        want = -math.log(1 - confidence) / rate
        case = f"{rate:g} events a mile and a confidence of {confidence:g}"
        got = answer(rate, confidence)
        wrong = -math.log(confidence) / rate
        if confidence != 0.5:
            expect(not _same(got, wrong), f"For {case}, {wrong:.6g} came: what may happen by chance is 1 − confidence.")
        expect(not _same(got, -want), f"For {case}, a negative distance came. Mind the sign of the logarithm.")
        expect_near(np.asarray(got, dtype=float) / want, 1.0, case=case + " (as a share of the right distance)")


def _same(got: Any, value: float) -> bool:
    try:
        return abs(float(got) - value) <= 1e-9 * max(1.0, abs(value))
    except (TypeError, ValueError):
        return False
