"""The lab deep-cnns: batch normalisation by hand against PyTorch's, blocks that do nothing, checks that explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
lab = lift("deep-cnns", "BatchNorm", "width", "convolution", "PlainBlock", "ResidualBlock", "do_nothing", "network")


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(1, 4), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_batch_norm_is_pytorchs(n: int, channels: int, side: int, momentum: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = lab.BatchNorm(channels, momentum), torch.nn.BatchNorm2d(channels, momentum=momentum)
    with torch.no_grad():
        theirs.weight.copy_(torch.randn(channels, generator=generator))
        theirs.bias.copy_(torch.randn(channels, generator=generator))
    ours.scale, ours.shift = theirs.weight, theirs.bias
    for training in (True, True, False):
        theirs.train(training)
        x = 2 + 3 * torch.randn(n, channels, side, side, generator=generator)
        assert torch.allclose(ours(x, training), theirs(x), atol=1e-3)
        assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-4)
        assert torch.allclose(ours.running_variance, theirs.running_var, rtol=1e-4, atol=1e-4)


def test_blocks_that_do_nothing_need_what_the_page_says() -> None:
    x = torch.relu(torch.randn(4, lab.width, 7, 7))
    assert torch.allclose(lab.do_nothing().eval()(x), x, atol=1e-5)
    assert not torch.allclose(lab.do_nothing().train()(x), x, atol=0.1), "only in evaluation mode"
    assert not torch.allclose(lab.do_nothing().eval()(-x), -x, atol=0.1), "only what is positive"
    block = lab.ResidualBlock()
    torch.nn.init.zeros_(block.norm2.weight)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("depth", [8, 32, 56])
def test_depth_counts_layers_with_weights(depth: int) -> None:
    plain, residual = (lab.network(depth, block, seed=3) for block in (lab.PlainBlock, lab.ResidualBlock))
    layers = [layer for layer in plain.modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == depth
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), residual.parameters(), strict=True))


def _summing_kernel(channels: int, size: int) -> np.ndarray:
    kernel = np.zeros((channels, channels, size, size))
    kernel[:, :, size // 2, size // 2] = 1
    return kernel


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("convolution-parameters", lambda i, o, k, g: o * i // g * k**2, "bias"),
        ("convolution-parameters", lambda i, o, k, g: o * (i * k**2 + 1), "48 input channels"),
        ("convolution-parameters", lambda i, o, k, g: "many", "numbers were expected"),
        ("running-variance", lambda r, x, m: (1 - m) * r + m * np.var(x), "n − 1"),
        ("running-variance", lambda r, x, m: m * r + (1 - m) * np.var(x, ddof=1), "other way round"),
        ("running-variance", lambda r, x, m: (1 - m) * r + m * (x - x.mean()) ** 2, "shape"),
        ("running-variance", lambda r, x, m: float("nan"), "nan"),
        ("running-variance", lambda r, x, m: "small", "numbers were expected"),
        ("identity-kernel", lambda c, s: np.eye(c * s), "shape"),
        ("identity-kernel", _summing_kernel, "adds up all input channels"),
        (
            "identity-kernel",
            lambda c, s: np.pad(np.ones((c, c, 1, 1)), [(0, 0), (0, 0), (0, s - 1), (0, s - 1)]),
            "middle",
        ),
        ("identity-kernel", lambda c, s: 1 / 0, "ZeroDivisionError"),
        ("residual", lambda x, branch: branch(x), "Is x added"),
        ("residual", lambda x, branch: x + torch.relu(branch(x)), "ReLU after the sum"),
        ("residual", lambda x, branch: x + branch(x), "The ReLU comes last"),
        ("residual", lambda x, branch: torch.relu(x + branch(x)).sum(), "shape"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


@pytest.mark.parametrize("name", ["convolution-parameters", "running-variance", "identity-kernel", "residual"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
