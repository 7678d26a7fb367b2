"""Quick or full: every lab runs in both modes from one source."""

from __future__ import annotations

import os
from typing import Literal, TypeVar

from labkit.errors import LabkitError

T = TypeVar("T")


def mode() -> Literal["quick", "full"]:
    """The mode asked for by ``LABKIT_MODE``; ``quick`` where nothing was asked."""
    wanted = os.environ.get("LABKIT_MODE") or "quick"
    if wanted not in ("quick", "full"):
        raise LabkitError(
            f"LABKIT_MODE is '{wanted}'", "A lab runs in quick or in full mode", "Set it to quick or full"
        )
    return "full" if wanted == "full" else "quick"


def pick(*, quick: T, full: T) -> T:
    """The value for the current mode.

    >>> epochs = pick(quick=6, full=60)
    """
    return full if mode() == "full" else quick
