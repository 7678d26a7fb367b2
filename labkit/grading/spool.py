"""Outcomes on their way to the gradebook: a file for each, there in full or not at all, whenever the power goes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from labkit.grading.jobs import Outcome


class Spool:
    """The outcomes of one assignment which have not been entered yet, in the folder ``assignments/.labkit/PS``."""

    def __init__(self, assignments: Path, assignment_id: str) -> None:
        self.folder = assignments / ".labkit" / assignment_id

    def put(self, outcome: Outcome) -> None:
        """Keep an outcome. Raises OSError where there is no room, and then an earlier one is still there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(outcome.student)
        new = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(outcome.to_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)  # noqa: PTH105  (one name for every replacement of the writer)
        finally:
            new.unlink(missing_ok=True)

    def get(self, student: str, key: str) -> Outcome | None:
        """The outcome of exactly this job; None where there is none, or one of another job."""
        try:
            outcome = Outcome.from_dict(json.loads(self._path(student).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return outcome if outcome.key == key else None

    def drop(self, student: str) -> None:
        """Forget the outcome of a student: it is in the gradebook."""
        self._path(student).unlink(missing_ok=True)

    def _path(self, student: str) -> Path:
        return self.folder / f"{student}.json"
