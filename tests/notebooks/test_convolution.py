"""The convolutions that learners build are PyTorch's, for any shape."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.notebooks.lifting import lift

LAB = lift("convolution", "pad", "windows", "im2col", "conv_loops", "conv_weights", "conv_matrix", "as_matrix")


def small(most: int, least: int = 1) -> st.SearchStrategy[int]:
    return st.integers(least, most)


@settings(max_examples=20, deadline=None)
@given(small(2), small(3), small(3), small(7), small(4), small(3), small(2, 0), small(10_000, 0))
def test_three_ways_agree_with_torch(
    n: int, channels_in: int, channels_out: int, size: int, k: int, stride: int, padding: int, seed: int
) -> None:
    assume(k <= size + 2 * padding)
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, channels_in, size, size), dtype=np.float32)
    kernel = rng.standard_normal((channels_out, channels_in, k, k), dtype=np.float32)
    want = torch.nn.functional.conv2d(torch.tensor(X), torch.tensor(kernel), stride=stride, padding=padding).numpy()
    kept = X.copy()
    for conv in (LAB.conv_loops, LAB.conv_weights, LAB.conv_matrix):
        got = conv(X, kernel, stride, padding)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(X, kept)


@settings(max_examples=15, deadline=None)
@given(small(7), small(4), small(2, 0), small(10_000, 0))
def test_the_large_matrix_and_its_transpose(size: int, k: int, padding: int, seed: int) -> None:
    assume(k <= size + 2 * padding)
    rng = np.random.default_rng(seed)
    kernel = rng.standard_normal((k, k), dtype=np.float32)
    X = torch.tensor(rng.standard_normal((1, 1, size, size), dtype=np.float32), requires_grad=True)
    output = torch.nn.functional.conv2d(X, torch.tensor(kernel)[None, None], padding=padding)
    gradient_out = torch.tensor(rng.standard_normal(tuple(output.shape), dtype=np.float32))
    output.backward(gradient_out)
    matrix = LAB.as_matrix(kernel, size, padding)
    assert matrix.shape == (output.numel(), size * size)
    np.testing.assert_allclose(matrix @ X.detach().numpy().ravel(), output.detach().numpy().ravel(), atol=1e-5)
    np.testing.assert_allclose(matrix.T @ gradient_out.numpy().ravel(), X.grad.numpy().ravel(), atol=1e-5)


def test_all_windows_are_a_view() -> None:
    X = np.arange(2 * 3 * 5 * 5, dtype=np.float32).reshape(2, 3, 5, 5)
    view = LAB.windows(X, 3, stride=2)
    assert view.shape == (2, 3, 3, 3, 2, 2)
    assert not view.flags.owndata
    np.testing.assert_array_equal(view[1, 2, :, :, 1, 0], X[1, 2, 2:5, 0:3])
    assert not np.shares_memory(LAB.im2col(X, 3, stride=2), X)
