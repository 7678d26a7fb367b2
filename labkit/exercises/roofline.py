"""Checks for the lab roofline."""

from __future__ import annotations

from typing import Any

from labkit.check import exercise, expect, expect_near


@exercise(
    "dense-intensity",
    hints=[
        "Two counts, then a quotient. Operations as for any product of two tables: (batch_size, inputs) times (inputs, outputs).",
        "Three tables are carried: the rows that come in, the weights, and the rows that go out. Each number has bytes_each bytes.",
        "2 · batch_size · inputs · outputs over bytes_each times the sum of three sizes: batch_size · inputs, inputs · outputs, batch_size · outputs.",
    ],
)
def dense_intensity(answer: Any) -> None:
    came = answer(2, 3, 2, 4)
    if isinstance(came, (int, float)):
        expect(not abs(came - 0.1875) < 1e-9, "A multiply-add is two operations. You counted one.")
        expect(not abs(came - 1.5) < 1e-9, "That is operations for each number carried. A number has bytes_each bytes.")
    expect_near(came, 0.375, case="the product you counted by hand, 2 × 3 times 3 × 2 with 4 bytes")
    note = "Are all three tables carried: rows in, weights, rows out?"
    expect_near(answer(1, 4096, 4096, 4), 2 / 4 * 4096 / 4098, case="one row, 4,096 to 4,096, 4 bytes", note=note)
    expect_near(
        answer(64, 100, 10, 2), 128_000 / 2 / (6400 + 1000 + 640), case="64 rows, 100 to 10, 2 bytes", note=note
    )


@exercise(
    "layer-seconds",
    hints=[
        "Each limit alone gives a time. Operations divided by operations a second are seconds; so are bytes by bytes a second.",
        "Three times: for arithmetic, for bytes, and the floor. They happen at once, so they do not add up.",
        "The longest of the three counts: max of floor, operations / peak and bytes_carried / bandwidth.",
    ],
)
def layer_seconds(answer: Any) -> None:
    case = "8 · 10⁹ operations and 10⁹ bytes at 10⁹ of either a second, floor 1 s"
    came = answer(8e9, 1e9, 1e9, 1e9, 1.0)
    if isinstance(came, (int, float)):
        expect(came not in (9.0, 10.0), f"For {case}, you added up what happens at once.")
    expect_near(came, 8.0, case=case, note="Arithmetic takes longest.")
    expect_near(answer(1e9, 6e9, 2e9, 1e9, 0.0), 6.0, case="10⁹ operations at 2 · 10⁹ a second, 6 · 10⁹ bytes at 10⁹")
    note = "A call costs its floor even if it has nothing to do."
    expect_near(
        answer(1.0, 8.0, 1e9, 1e9, 1e-6) * 1e6, 1.0, case="one operation and a floor of a microsecond", note=note
    )


@exercise(
    "better-change",
    hints=[
        "First find out which limit holds the call back: how many seconds does its arithmetic take, and how many its bytes?",
        "Halving the shorter of the two does nothing at all. Halving the longer one does something.",
        "Compare operations / peak with bytes_carried / bandwidth, and name the longer.",
    ],
)
def better_change(answer: Any) -> None:
    def asked(want: str, case: str, note: str, *given: float) -> None:
        came = answer(*given)
        expect_near(
            float(came in ("operations", "bytes")) if came is not None else None,
            1.0,
            case=case,
            note='Answer "operations" or "bytes".',
        )
        expect(came == want, f"For {case}, you would halve the {came}. {note}")

    note = "They take 1 s at this peak, and the bytes 4 s."
    asked("bytes", "10⁹ operations at 10⁹ a second, 4 · 10⁹ bytes at 10⁹", note, 1e9, 4e9, 1e9, 1e9)
    note = "The bytes take half a second, the operations 4 s."
    asked("operations", "4 · 10¹¹ operations at 10¹¹ a second, 10⁹ bytes at 2 · 10⁹", note, 4e11, 1e9, 1e11, 2e9)
    note = "There are more operations than bytes, but 100 times more can be done in a second."
    asked("bytes", "8 operations for each byte, peak 100 times the bandwidth", note, 8e9, 1e9, 1e12, 1e10)


@exercise(
    "ridge-batch",
    hints=[
        "Write down the intensity of the layer for a batch of b: 2 b w² operations for bytes_each · (w² + 2 b w) bytes.",
        "It has to reach ridge. Divide both sides by w and bring everything with b to one side.",
        "2 b · (w − bytes_each · ridge) ≥ bytes_each · ridge · w. No b does it if the bracket is not positive; else round up.",
    ],
)
def ridge_batch(answer: Any) -> None:
    note = "The batch's own rows are carried too, in and out."
    case = "4,096 × 4,096 weights of 4 bytes and a ridge of 10"
    came = answer(4096, 4, 10)
    if isinstance(came, (int, float)):
        expect(came != 20, f"For {case}, 20 rows are just too few. {note}")
    expect_near(came, 21, case=case)
    expect_near(answer(1000, 4, 25), 56, case="1,000 × 1,000 weights of 4 bytes and a ridge of 25", note=note)
    expect_near(answer(8192, 2, 295), 318, case="8,192 × 8,192 weights of 2 bytes and a ridge of 295", note=note)
    expect_near(answer(4096, 4, 0.1), 1, case="a ridge of 0.1", note="One row is already enough.")
    narrow = "For 64 × 64 weights of 4 bytes and a ridge of 20, no batch is large enough: None was expected."
    expect(answer(64, 4, 20) is None, narrow)
