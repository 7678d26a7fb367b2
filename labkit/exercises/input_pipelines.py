"""Checks for the lab input-pipelines."""

from __future__ import annotations

from typing import Any

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "pipeline-waiting-share",
    hints=[
        "The run with the repeated batch does all the network's work and never waits. What of the real run is left over?",
        "seconds_real − seconds_repeated is the waiting. As a share of the real run, it is divided by seconds_real.",
        "1 − seconds_repeated / seconds_real, and max with 0 for the case that noise made the repeated run slower.",
    ],
)
def waiting_share(answer: Any) -> None:
    note = "One of 4 seconds is work, so 3 of 4 are waiting."
    came = answer(4.0, 1.0)
    if isinstance(came, float):
        expect(came != 0.25, "0.25 is the share of time in which the network works. Asked is the rest.")
        expect(came != 3.0, "3 is the waiting over the work. Asked is its share of the whole run, between 0 and 1.")
    expect_near(came, 0.75, case="4 seconds for real, 1 with the batch repeated", note=note)
    expect_near(answer(2.0, 2.0), 0.0, case="both take 2 seconds", note="Such a network never waits.")
    note = "Noise made the repeated run slower. A share cannot be negative."
    expect_near(answer(1.0, 1.1), 0.0, case="1 second for real, 1.1 with the batch repeated", note=note)


@exercise(
    "pipeline-workers-needed",
    hints=[
        "One worker delivers a batch every load_ms. So w workers deliver one every load_ms / w. How long may that be?",
        "At most compute_ms: w ≥ load_ms / compute_ms. A part of a worker cannot be had, so round up.",
        "Rounding up whole numbers without fractions: -(-load_ms // compute_ms), or math.ceil of the quotient.",
    ],
)
def workers_needed(answer: Any) -> None:
    came = answer(80, 30)
    if isinstance(came, (int, float)):
        expect(came != 2, "Two workers deliver a batch every 40 ms, and the network wants one every 30. Round up.")
        expect(
            came == round(came),
            f"A whole number of workers was expected for 80 ms and 30 ms; {came:.4g} came. Round up.",
        )
    expect_near(came, 3, case="80 ms to load, 30 ms to train on")
    note = "Four workers deliver a batch every 20 ms, which is just enough."
    expect_near(answer(80, 20), 4, case="80 ms to load, 20 ms to train on", note=note)
    note = "One worker loads while the network works, and is faster."
    expect_near(answer(5, 40), 1, case="5 ms to load, 40 ms to train on", note=note)


@exercise(
    "pipeline-cache-place",
    hints=[
        "What comes before the cache is done once, what comes after it in every epoch. Which stages must be done anew?",
        "The random ones. The cache belongs after everything costly that is not random, and before the first random stage.",
        "Find the first place of 'shuffle' or 'augment', and put 'cache' there; without either, at the end.",
    ],
)
def with_cache(answer: Any) -> None:
    cases = [
        ["read", "decode", "shuffle", "augment", "batch"],
        ["read", "decode", "resize", "augment", "batch"],
        ["shuffle", "read", "decode", "batch"],
        ["read", "decode", "batch"],
    ]
    for stages in cases:
        given, case = list(stages), " → ".join(stages)
        came = answer(given)
        if came is None or came is ...:
            raise NotAnswered
        expect(isinstance(came, list), f"A list was expected for {case}; a {type(came).__name__} came.")
        expect(given == stages, f"The list {case} itself was changed. Return a new one.")
        expect(
            [stage for stage in came if stage != "cache"] == stages and len(came) == len(stages) + 1,
            f"For {case}, the same stages and one 'cache' were expected; {' → '.join(map(str, came))} came.",
        )
        before, after = came[: came.index("cache")], came[came.index("cache") + 1 :]
        frozen = [stage for stage in before if stage in ("shuffle", "augment")]
        expect(
            not frozen, f"In {' → '.join(came)} the cache keeps what {' and '.join(frozen)} made, the same each epoch."
        )
        again = list(after)
        while again and again[0] not in ("shuffle", "augment"):
            expect(False, f"In {' → '.join(came)} the stage {again[0]} is done anew each epoch, and need not be.")
