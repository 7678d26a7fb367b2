"""Gradients by nudging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labkit.gradients import numerical_gradient


@given(arrays(float, st.sampled_from([(3,), (2, 2), (1, 3, 2), ()]), elements=st.floats(-3, 3)))
def test_it_finds_the_gradient_of_a_cubic_and_leaves_the_point_alone(x: np.ndarray) -> None:
    before = x.copy()
    slopes = numerical_gradient(lambda point: np.sum(point**3 - 2 * point), x)
    assert slopes.shape == x.shape
    assert np.array_equal(x, before)
    np.testing.assert_allclose(slopes, 3 * x**2 - 2, atol=1e-6)


def test_whole_numbers_are_nudged_as_floats() -> None:
    assert numerical_gradient(lambda point: point[0] * point[1], [2, 3]) == pytest.approx([3.0, 2.0])


def test_its_error_shrinks_with_the_square_of_the_nudge() -> None:
    errors = [abs(numerical_gradient(np.exp, 1.0, h=h) - np.e) for h in (1e-1, 1e-2)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)


def test_a_function_that_returns_no_number_is_an_error() -> None:
    with pytest.raises(TypeError):
        numerical_gradient(lambda point: point, np.ones(2))
