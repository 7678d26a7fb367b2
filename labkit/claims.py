"""Claims: every number that a lab's prose states is measured when the lab runs, and has a band it must stay in.

``claim`` prints what was measured, records it, and in strict mode (``LABKIT_STRICT=1``, as in CI) raises when the value
left its band. ``LABKIT_CLAIMS`` may name a file; each claim is then appended to it as one line of JSON, which is how
``labkit run`` gathers them from the kernel.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError


class ClaimError(AssertionError):
    """A measured value left the band that the lab claims for it."""


@dataclass(frozen=True)
class Claim:
    """One claim as measured. ``band`` is text such as ``at least 0.975``."""

    name: str
    value: Any
    band: str
    ok: bool
    unit: str = ""

    def __str__(self) -> str:
        mark, said = ("✓", "claimed") if self.ok else ("✗", "outside the claimed band:")
        return f"{mark} {self.name} = {shown(self.value, self.unit)} ({said} {self.band})"


_measured: dict[str, Claim] = {}


def claim(
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    near: float | None = None,
    within: float | None = None,
    equals: Any = None,
    unit: str = "",
    predicted: str | None = None,
) -> None:
    """State what was measured.

    ``value`` is a number (or anything ``float`` takes, such as a 0-d tensor); with ``equals`` it may be any plain value.
    The band is ``at_least`` and/or ``at_most``, or ``near`` ± ``within``, or ``equals``. A claim with no band could not
    fail, so it raises LabkitError. NaN is outside every band. ``predicted`` names a :func:`labkit.predict` to compare with.

    >>> claim("softmax.largest_of_three", 0.66524, near=0.66524, within=1e-5)
    ✓ softmax.largest_of_three = 0.66524 (claimed 0.66524 ± 1e-05)
    """
    if hasattr(value, "detach"):  # a tensor that carries a gradient would warn when it becomes a number
        value = value.detach()
    band, ok = _judge(name, value, at_least, at_most, near, within, equals)
    record = Claim(name, _plain(value), band, ok, unit)
    _measured[name] = record
    _write(record)
    if not ok and os.environ.get("LABKIT_STRICT") == "1":
        raise ClaimError(str(record))
    print(record)
    if predicted is not None:
        from labkit.predictions import compare

        compare(predicted, float(value), unit)


def measured() -> list[Claim]:
    """The claims of this session, in the order in which they were first stated."""
    return list(_measured.values())


def table() -> ClaimTable:
    """Every claim of this session as a table, for a lab's last cell."""
    return ClaimTable(measured())


class ClaimTable(list[Claim]):
    """A list of claims that a notebook shows as a table."""

    def __repr__(self) -> str:
        return "\n".join(str(item) for item in self) or "no claims were measured yet"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'✓' if item.ok else '✗'}</td><td><code>{escape(item.name)}</code></td>"
            f"<td>{escape(shown(item.value, item.unit))}</td><td>{escape(item.band)}</td></tr>"
            for item in self
        )
        return f"<table><tr><th></th><th>claim</th><th>measured here</th><th>band</th></tr>{rows}</table>"


def shown(value: Any, unit: str = "") -> str:
    """A value as a reader wants it: five significant digits, thousands apart, the unit behind."""
    if isinstance(value, float):
        text = f"{value:,.5g}" if abs(value) < 1e6 else f"{value:.4g}"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = str(value)
    return f"{text} {unit}".rstrip()


def _judge(
    name: str,
    value: Any,
    at_least: float | None,
    at_most: float | None,
    near: float | None,
    within: float | None,
    equals: Any,
) -> tuple[str, bool]:
    kinds = (equals is not None, near is not None or within is not None, at_least is not None or at_most is not None)
    if sum(kinds) != 1 or (near is None) != (within is None):
        raise LabkitError(
            f"The claim '{name}' has no band, or more than one",
            "A claim that cannot fail says nothing",
            "Give at_least and/or at_most, or near and within, or equals",
        )
    if equals is not None:
        return f"exactly {shown(_plain(equals))}", bool(_plain(value) == _plain(equals))
    number = float(value)
    if near is not None and within is not None:
        return f"{shown(_plain(near))} ± {shown(_plain(within))}", bool(abs(number - near) <= within)
    low, high = at_least if at_least is not None else -math.inf, at_most if at_most is not None else math.inf
    words = [f"at least {shown(at_least)}"] * (at_least is not None) + [f"at most {shown(at_most)}"] * (
        at_most is not None
    )
    return ", ".join(words), bool(low <= number <= high)


def _plain(value: Any) -> Any:
    """A value as JSON can carry it: NumPy and torch scalars become Python numbers."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return float(value)


def _write(record: Claim) -> None:
    path = os.environ.get("LABKIT_CLAIMS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")
