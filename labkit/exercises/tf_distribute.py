"""Checks for the lab tf-distribute."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "ragged-mean",
    hints=[
        "A mean of means gives every device the same say. How much say should a device with m samples have?",
        "A mean times its count is a sum. The sums of all devices may be added.",
        "Add mean · count over the devices that have samples, and divide by the sum of the counts.",
    ],
)
def ragged_mean(answer: Any) -> None:
    came = answer(np.array([2.0, 6.0]), np.array([3, 1]))
    if isinstance(came, (float, int)):
        expect(
            abs(came - 4) > 1e-9,
            "For means 2 and 6 of 3 and 1 samples, 4 came: the mean of the means. The 6 is one sample of four.",
        )
    expect_near(came, 3.0, case="means 2 and 6 of 3 and 1 samples", note="The samples may have been 1, 2, 3 and 6.")
    expect_near(answer(np.array([1.5, 4.5]), np.array([2, 2])), 3.0, case="means 1.5 and 4.5 of two equal halves")
    empty = answer(np.array([4.0, 4.0, 4.0, 0.0]), np.array([2, 2, 1, 0]))
    note = "The last device had no samples, so it has no say."
    expect_near(empty, 4.0, case="five fours, cut into 2, 2, 1 and 0", note=note)
    note = "nan times 0 is nan: leave a device without samples out."
    expect_near(answer(np.array([5.0, np.nan]), np.array([3, 0])), 5.0, case="a mean of nan from no samples", note=note)


@exercise(
    "replica-loss",
    hints=[
        "Two numbers are added over all devices: your part of the mean loss, and your part of the penalty.",
        "The mean loss of the batch is the sum of all losses over batch_size. Which part of that sum is here?",
        "The sum of losses here over batch_size, plus the penalty over the number of devices.",
    ],
)
def replica_loss(answer: Any) -> None:
    def total(parts: list[list[float]], penalty: float) -> Any:
        shares = [answer(np.array(part), penalty, sum(map(len, parts)), len(parts)) for part in parts]
        if any(share is None or share is ... for share in shares):
            raise NotAnswered
        return sum(shares)

    came = total([[1.0, 2.0], [3.0, 6.0]], 0.0)
    if isinstance(came, (float, int)):
        expect(
            abs(came - 6) > 1e-9,
            "Losses 1, 2 on one device and 3, 6 on another add up to 6. Their mean is 3: a mean on each device is too much.",
        )
    expect_near(came, 3.0, case="losses 1, 2 and 3, 6 on two devices, no penalty, added over both")
    came = total([[1.0, 2.0], [3.0, 6.0]], 10.0)
    if isinstance(came, (float, int)):
        expect(
            abs(came - 23) > 1e-9,
            "A penalty of 10 arrives as 20: both devices computed the whole of it, and both count.",
        )
    expect_near(came, 13.0, case="the same with a penalty of 10")
    note = "Divide by batch_size, the samples on all devices, whatever this part has."
    expect_near(total([[1.0, 2.0, 3.0], [6.0]], 0.0), 3.0, case="losses 1, 2, 3 and 6, cut into 3 and 1", note=note)
    note = "A device without samples adds no loss, and still its part of the penalty."
    expect_near(total([[4.0, 4.0], [4.0, 4.0], [4.0], []], 8.0), 12.0, case="2, 2, 1 and 0 fours, penalty 8", note=note)


@exercise(
    "worker-samples",
    hints=[
        "First batches, then cuts: go through the batches in order, and take this worker's part of each.",
        "The last batch may be short. cut rounds the size of a part up, for every batch anew.",
        "For start in range(0, n, batch_size): batch = list(range(start, min(start + batch_size, n))), then cut it.",
    ],
)
def worker_samples(answer: Any) -> None:
    def wanted(n: int, batch_size: int, worker: int, workers: int) -> list[int]:
        batches = [range(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
        parts = [(batch, -(-len(batch) // workers)) for batch in batches]
        return [sample for batch, size in parts for sample in batch[worker * size : (worker + 1) * size]]

    def given(*case: int) -> list[int]:
        came = answer(*case)
        if came is None or came is ...:
            raise NotAnswered
        expect(
            isinstance(came, (list, tuple, np.ndarray, range)),
            f"Expected a list of sample numbers; {type(came).__name__} came.",
        )
        return np.asarray(came).tolist() if not isinstance(came, (list, tuple)) else list(came)

    came = given(12, 4, 0, 2)
    expect(
        came != list(range(6)),
        "For 12 samples in batches of 4 and 2 workers, worker 0 was given the first half of the data set. That is how files are "
        "dealt out. DATA cuts each batch.",
    )
    expect(
        came != list(range(0, 12, 2)),
        "Every second sample came. cut gives a worker neighbours: the first half of each batch.",
    )
    cases = [(12, 4, 0, 2), (12, 4, 1, 2), (13, 4, 0, 2), (13, 4, 1, 2), (21, 8, 2, 4), (7, 8, 3, 4), (6, 2, 0, 1)]
    for n, batch_size, worker, workers in cases:
        came, want = given(n, batch_size, worker, workers), wanted(n, batch_size, worker, workers)
        short = " Mind the last batch." if n % batch_size else ""
        expect(
            came == want,
            f"For {n} samples in batches of {batch_size}, worker {worker} of {workers} should see {want}; {came} came.{short}",
        )


@exercise(
    "layout-matches",
    hints=[
        "Python's module re has three ways to try a pattern: search, match and fullmatch. They differ in how much must fit.",
        "search fits anywhere, match from the start. LayoutMap wants the whole path, from the start to the end.",
        "Keep the paths for which re.fullmatch(pattern, path) is not None.",
    ],
)
def layout_matches(answer: Any) -> None:
    paths = ["digits/conv/kernel", "digits/dense/kernel", "digits/dense/bias", "digits/dense_1/kernel"]

    def given(pattern: str, some: list[str]) -> list[str]:
        came = answer(pattern, list(some))
        if came is None or came is ...:
            raise NotAnswered
        expect(isinstance(came, (list, tuple, set)), f"Expected a list of paths; {type(came).__name__} came.")
        return list(came)

    came = given("dense.*kernel", paths)
    expect(
        not came,
        f"For dense.*kernel, nothing should be cut, since every path begins with digits/. {came} came. Must the whole path fit?",
    )
    note = "Anything may stand before dense, after it and before kernel."
    want = ["digits/dense/kernel", "digits/dense_1/kernel"]
    came = given(".*dense.*kernel", paths)
    expect(came == want, f"For .*dense.*kernel, expected {want}; {came} came. {note}")
    came = given("digits/dense", paths)
    expect(not came, f"For digits/dense, nothing should be cut: each path goes on behind it. {came} came.")
    came = given("digits/conv/kernel", paths)
    expect(came == ["digits/conv/kernel"], f"For a path spelled out, expected that path; {came} came.")
    came = given(".*kernel", ["a/kernel", "a/kernel_scale", "b/kernel"])
    expect(came == ["a/kernel", "b/kernel"], f"For .*kernel, a/kernel_scale goes on behind kernel; {came} came.")
