"""The lab precision: rounding by hand against PyTorch's, a scaler, saved bytes and segments, checks that explain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
lab = lift("precision", "decode", "round_to", "differing", "LossScaler", "Kept", "SavedBytes", "Segment", "Layer")
FORMATS = [(torch.float16, 5, 10), (torch.bfloat16, 8, 7)]
if hasattr(torch, "float8_e5m2"):  # the one 8-bit format that follows the same rules
    FORMATS.append((torch.float8_e5m2, 5, 2))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=20), st.sampled_from(FORMATS))
def test_rounding_is_pytorchs(numbers: list[float], kind: tuple[Any, int, int]) -> None:
    dtype, exponent_bits, fraction_bits = kind
    x = np.array(numbers, dtype=np.float32)
    theirs = torch.from_numpy(x).to(dtype).double().numpy()
    assert lab.differing(lab.round_to(x, exponent_bits, fraction_bits), theirs) == 0


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False), st.integers(2, 8), st.integers(1, 12))
def test_rounding_reaches_a_nearest_pattern(x: float, exponent_bits: int, fraction_bits: int) -> None:
    """Against the definition, for formats that no library has: no pattern is nearer, and rounding again changes nothing."""
    rounded = float(lab.round_to(x, exponent_bits, fraction_bits))
    assert lab.differing(np.array(rounded), lab.round_to(rounded, exponent_bits, fraction_bits)) == 0
    positive = [lab.decode(p, exponent_bits, fraction_bits) for p in range(2 ** min(exponent_bits + fraction_bits, 12))]
    finite = [number for number in positive if math.isfinite(number)]
    if math.isfinite(rounded) and exponent_bits + fraction_bits <= 12:
        assert abs(rounded) in finite
        assert abs(abs(x) - abs(rounded)) == min(abs(abs(x) - number) for number in finite)


def test_rounding_keeps_signs_shapes_and_specials() -> None:
    came = lab.round_to([[0.0, -0.0], [-1e-30, math.nan]], 5, 10)
    assert came.shape == (2, 2)
    assert np.signbit(came[0]).tolist() == [False, True]
    assert came[1, 0] == 0 and np.signbit(came[1, 0]) and np.isnan(came[1, 1])
    assert lab.round_to([65519.99, 65520, -math.inf], 5, 10).tolist() == [65504, math.inf, -math.inf]


def test_the_scaler_skips_halves_and_doubles() -> None:
    weights = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weights], lr=1.0)
    scaler = lab.LossScaler(8.0, growth_interval=2)
    factors = []
    for gradient in (1.0, math.inf, 1.0, 1.0, math.nan, 1.0):
        weights.grad = torch.tensor([gradient * scaler.get_scale()])
        scaler.step(optimizer)
        scaler.update()
        factors.append(scaler.get_scale())
    assert factors == [8, 4, 4, 8, 4, 4]
    assert weights.item() == -4, "four good steps of 1, two skipped"


def test_saved_bytes_counts_shared_memory_once_and_forgets() -> None:
    layer = torch.nn.Linear(4, 4, bias=False)
    x = torch.rand(8, 4)
    saved = lab.SavedBytes(layer)
    with saved:
        total = (layer(x) + layer(x)).sum()  # both products keep x, and the weights are left out
        assert saved.now == 4 * x.numel()
        total.backward()
    assert (saved.now, saved.peak) == (0, 4 * x.numel())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 1000))
def test_segments_change_no_gradient(segments: int, k: int, seed: int) -> None:
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(*[lab.Layer(6, 6) for _ in range(segments * k)])
    inputs = torch.randn(3, 6, requires_grad=True)
    gradients = []
    for keep in (True, False):
        layers.zero_grad()
        inputs.grad, x, lab.Layer.evaluations = None, inputs, 0
        for start in range(0, segments * k, k):
            part = layers[start : start + k]
            x = part(x) if keep else lab.Segment.apply(part, x)
        x.square().sum().backward()
        assert lab.Layer.evaluations == segments * k * (1 if keep else 2)
        gradients.append([inputs.grad.clone(), *(weights.grad.clone() for weights in layers.parameters())])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("largest-finite", lambda e, f: 2.0 ** (2 ** (e - 1)) * (2 - 2.0**-f), "all ones"),
        ("largest-finite", lambda e, f: 2.0 ** (2 ** (e - 1)), "next power of two"),
        ("largest-finite", lambda e, f: 2.0 ** (2 ** (e - 1) - 1), "may be larger than 0"),
        ("largest-finite", lambda e, f: 65504, "240"),
        ("largest-finite", lambda e, f: "large", "numbers were expected"),
        ("lost-update", lambda w, f: 2.0 ** (math.frexp(abs(w))[1] - 1 - f), "the whole distance"),
        ("lost-update", lambda w, f: 2.0 ** (math.frexp(abs(w))[1] - 2 - f - 1), "frexp(1)"),
        ("lost-update", lambda w, f: abs(w) * 2.0 ** (-f - 1), "power of two below"),
        ("lost-update", lambda w, f: 2.0 ** (math.floor(math.log2(w)) - f - 1), "ValueError"),
        ("micro-batch-shares", lambda sizes: [1 / len(sizes)] * len(sizes), "eight others"),
        ("micro-batch-shares", lambda sizes: sizes, "expected"),
        ("micro-batch-shares", lambda sizes: sum(sizes), "shape"),
        ("best-segment", lambda layers: round(layers**0.5), "divide evenly"),
        ("best-segment", lambda layers: 1, "would do"),
        ("best-segment", lambda layers: layers**0.5, "whole number"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


@pytest.mark.parametrize("layers", [12, 30])
def test_either_of_two_best_segments_is_right(layers: int) -> None:
    def largest(layers: int) -> int:
        divisors = [k for k in range(1, layers + 1) if layers % k == 0]
        return min(reversed(divisors), key=lambda k: layers // k + k)

    assert largest(layers) ** 2 >= layers
    assert try_answer("best-segment", largest) is None


@pytest.mark.parametrize("name", ["largest-finite", "lost-update", "micro-batch-shares", "best-segment"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
