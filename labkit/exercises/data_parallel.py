"""Checks for the lab data-parallel."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "combine-shards",
    hints=[
        "Each gradient is a mean over its shard. How many samples stand behind each of them?",
        "Multiply each gradient by the size of its shard: that is the sum over its samples. Then add up, and divide once.",
        "The divisor is the number of all samples. np.average takes an axis and weights.",
    ],
)
def combine_shards(answer: Any) -> None:
    came = answer(np.array([-2.0, -20.0]), np.array([1, 3]))
    if isinstance(came, float):
        expect(
            round(came, 6) != -11.0,
            "For shards of 1 and 3 points, −11 came: the plain mean. A shard of 3 should count three times.",
        )
    expect_near(came, -15.5, case="gradients −2 and −20 of shards of 1 and 3 points", note="The whole has −15.5.")
    expect_near(answer(np.array([-5.0, -26.0]), np.array([2, 2])), -15.5, case="two equal shards")
    gradients = np.array([[1.0, 0.0], [0.0, 3.0], [4.0, 6.0]])
    note = "There is one number for each weight: average over the workers, axis 0, and keep the rest."
    expect_near(
        answer(gradients, np.array([1, 2, 1])), [1.25, 3.0], case="three gradients of two weights each", note=note
    )


@exercise(
    "finished-chunk",
    hints=[
        "Move the slider to 3 and look for the dark cells: one in each row. What does each worker have?",
        "Worker A, number 0, has chunk 1. Worker B, number 1, has chunk 2. And the last worker?",
        "The last worker has chunk 0: count on by one, and begin again at n. The remainder, %, does that.",
    ],
)
def finished_chunk(answer: Any) -> None:
    note = "Look at the dark cells of the picture at step 3."
    expect_near(answer(0, 4), 1, case="worker 0 of four", note=note)
    expect_near(answer(3, 4), 0, case="worker 3 of four", note="The ring closes: after the last chunk comes chunk 0.")
    expect_near(answer(1, 3), 2, case="worker 1 of three")
    expect_near(answer(1, 2), 0, case="worker 1 of two")


@exercise(
    "ring-seconds",
    hints=[
        "How many steps does a ring of n workers make, both halves together?",
        "In each step every worker sends one message, all at the same time. How many bytes has it, with n chunks?",
        "A step takes alpha and the bytes of one chunk over beta. Multiply that by the number of steps.",
    ],
)
def ring_seconds(answer: Any) -> None:
    came = answer(0.0, 3, 1.0, 1.0)
    note = "Without a byte there are still 2 (n − 1) = 4 messages one after the other, and each pays the latency."
    expect_near(came, 4.0, case="0 bytes, 3 workers, a latency of 1 s", note=note)
    note = "Each message holds one chunk, a third of the vector: 4 messages of 2 bytes."
    expect_near(answer(6.0, 3, 0.0, 1.0), 8.0, case="6 bytes, 3 workers, no latency, 1 byte a second", note=note)
    expect_near(answer(100.0, 5, 0.5, 10.0), 8 * (0.5 + 2), case="100 bytes, 5 workers, 0.5 s, 10 bytes a second")
    expect_near(answer(100.0, 1, 0.5, 10.0), 0.0, case="one worker", note="Alone, nobody sends anything.")


@exercise(
    "each-once",
    hints=[
        "Put the ids of all ranks into one list. What must be true of it?",
        "It has each id from 0 to samples − 1, and none of them twice. A set alone forgets what came twice.",
        "Sort the list and compare it with list(range(samples)).",
    ],
)
def each_once(answer: Any) -> None:
    cases = [
        ([[2, 0], [1, 3]], 4, True, "two ranks that share 0 to 3", "Every id is read, and none twice."),
        ([[0, 1], [0, 1]], 2, False, "two ranks that both read 0 and 1", "Every id is read, but each of them twice."),
        ([[0, 1], [0, 1]], 4, False, "two ranks that both read 0 and 1 of four samples", "Nobody read 2 and 3."),
        ([[0, 1, 2], [3, 0, 1]], 4, False, "shards padded with 0 and 1", "A repeated id is a fault as well."),
        ([[0, 1], [2]], 3, True, "shards of unequal size", "Sizes may differ, as long as each id is read once."),
        ([[0, 1], [3]], 4, False, "shards that leave out id 2", "Nobody read 2."),
        ([[0], [5]], 2, False, "an id that there is not", "The ids run from 0 to samples − 1."),
    ]
    for shards, samples, right, case, note in cases:
        came = answer([list(shard) for shard in shards], samples)
        if came is None or came is ...:
            raise NotAnswered
        expect(
            isinstance(came, (bool, np.bool_)),
            f"For {case}, expected True or False; a {type(came).__name__} came.",
        )
        expect(bool(came) == right, f"For {case}, expected {right}; {bool(came)} came. {note}")
