"""Gradients by nudging: the referee for every gradient that is derived by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def numerical_gradient(function: Callable[[Any], Any], x: Any, h: float = 1e-5) -> np.ndarray:
    """Central differences: nudge each number of ``x`` by ``h`` to both sides and see what ``function(x)`` does.

    ``function`` takes an array shaped like ``x``, in float64, and returns one number. The result has the shape of ``x``.
    Its error shrinks with h² until rounding, about 1e-16 / h times the value, takes over.
    """
    point = np.array(x, dtype=float)  # a copy: the caller's array stays as it is
    slopes = np.zeros_like(point)
    for place in np.ndindex(point.shape):
        kept = point[place]
        point[place] = kept + h
        above = float(function(point))
        point[place] = kept - h
        below = float(function(point))
        point[place] = kept
        slopes[place] = (above - below) / (2 * h)
    return slopes
