"""Which labs will run on this machine: in full, in part, simulated, or not at all. Nothing is imported to find out."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from labkit import data
from labkit._machine import Machine, describe
from labkit.course import Lab, load_course
from labkit.errors import LabkitError
from labkit.session import NAMES, remedy

How = Literal["in full", "in part", "simulated", "not at all"]


@dataclass(frozen=True)
class Readiness:
    """How a lab will run here, why not better, and what would change that."""

    lab: str
    how: How
    why: str = ""
    todo: str = ""


def readiness(lab: Lab, machine: Machine) -> Readiness:
    """How ``lab`` will run on ``machine``.

    ``in part``: the lab says what it skips, for want of a framework it can do without. ``simulated``: something that the
    machine has not (several accelerators, a TPU) is played by what it has, with the same results and other times; or real data
    that may not be bundled is not here, and the lab simulates its like if it cannot fetch it.
    """
    missing = _missing(lab.frameworks)
    if missing:
        return Readiness(lab.id, "not at all", f"no {_listed(missing)} here", remedy(missing))
    lacks = _lacks(lab.simulates_without, machine) or _lacks_data(lab.stand_in_for)
    skipped = _missing(lab.also)
    if lacks:
        without = f"; and no {_listed(skipped)}, so a part is skipped" if skipped else ""
        todo = [remedy(skipped)] if skipped else []
        if not _lacks(lab.simulates_without, machine):
            todo.append(f"Run: labkit data fetch {lab.stand_in_for[0].partition('/')[0]}")
        return Readiness(lab.id, "simulated", lacks + without, ". ".join(todo))
    if skipped:
        return Readiness(lab.id, "in part", f"no {_listed(skipped)} here", remedy(skipped))
    return Readiness(lab.id, "in full")


def summary(machine: Machine) -> str:
    """One line for the doctor: how many labs run in full on ``machine``, and which do not."""
    found = _all(machine)
    parts = [f"{sum(one.how == 'in full' for one in found)} of {len(found)} run in full"]
    for how in ("in part", "simulated", "not at all"):
        names = [one.lab for one in found if one.how == how]
        if names:
            parts.append(f"{how}: {', '.join(names)}")
    return "; ".join(parts) + (" (why: labkit doctor --labs)" if len(parts) > 1 else "")


def report() -> str:
    """Every lab with how it will run here and why, in at most 80 columns."""
    lines = []
    for one in _all(describe()):
        lines.append(f"{one.lab:<24} {one.how}")
        for text in (one.why, one.todo):
            lines += textwrap.wrap(
                text, 80, initial_indent=" " * 25, subsequent_indent=" " * 25, break_on_hyphens=False
            )
    return "\n".join(lines)


def _all(machine: Machine) -> list[Readiness]:
    return [readiness(lab, machine) for lab in load_course().labs.values()]


def _missing(frameworks: Iterable[str]) -> list[str]:
    return [name for name in frameworks if importlib.util.find_spec(name) is None]


def _listed(frameworks: Iterable[str]) -> str:
    return " and no ".join(NAMES[name] for name in frameworks)


def _lacks_data(stand_in_for: Iterable[str]) -> str:
    """What a lab's ``stand_in_for`` says is not here; '' if some of it is."""
    try:
        places = {name: data.where(*name.split("/", 1)) for name in stand_in_for}
    except LabkitError as error:
        return error.what  # LABKIT_DATA names no folder
    if not places or any(not place.startswith(("network", "not here")) for place in places.values()):
        return ""
    name, place = next(iter(places.items()))
    return f"{name.partition('/')[0]} is not here ({place}), so its like is simulated where it cannot be fetched"


def _lacks(need: str, machine: Machine) -> str:
    """What the machine lacks of a lab's ``simulates_without``; '' if nothing."""
    accelerators = sum(int(found[1]) if (found := re.match(r"(\d+) x ", name)) else 1 for name in machine.accelerators)
    if need == "two cores" and machine.usable_cores < 2:
        return "one core here, so its processes take turns"
    if need == "two accelerators" and accelerators < 2:
        return f"{accelerators or 'no'} accelerator here, and it is about several"
    if need == "a TPU" and not any("TPU" in name for name in machine.accelerators):
        return "no TPU here; it is compiled for one instead, or a kept report is read"
    return ""
