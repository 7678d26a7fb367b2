"""The one kind of error a user of the course meets: what happened, why, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LabkitError(Exception):
    """Something a user can put right.

    ``str()`` of it is one short paragraph. The command line prints that paragraph without a traceback.
    """

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        self.what, self.why, self.todo = what, why, todo
        super().__init__(" ".join(_sentence(part) for part in (what, why, todo) if part))


def unknown(kind: str, name: str, known: Iterable[str]) -> LabkitError:
    """The error for an id nobody has heard of. It suggests the nearest ones, or lists all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    todo = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
    return LabkitError(f"There is no {kind} called '{name}'", todo=todo)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!", ":")) or "\n" in text else text + "."
