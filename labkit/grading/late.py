"""What handing in late costs: a tenth of the maximum for every day that has begun, and never more than half.

The maximum is that of the assignment, not what the student earned: the penalty is known before the work is marked, and
it stays the same when marks given by hand are added. nbgrader never lets a penalty exceed what was earned automatically
at the time, so grade again after marking by hand (marks given by hand are kept).
"""

from __future__ import annotations

import math

from nbgrader.plugins import BasePlugin
from traitlets import Float

DAY = 24 * 60 * 60


def late_penalty(max_score: float, seconds_late: float, per_day: float = 0.1, at_most: float = 0.5) -> float:
    """Points to take off. Both fractions are of ``max_score``; a day counts from its first second."""
    days = math.ceil(max(0.0, seconds_late) / DAY)
    return max_score * min(per_day * days, at_most)


class LatePenalty(BasePlugin):
    """nbgrader's plugin. Change the numbers with ``c.LatePenalty.per_day`` and ``c.LatePenalty.at_most``."""

    per_day = Float(0.1, min=0, max=1, help="fraction of the maximum for each day that has begun").tag(config=True)
    at_most = Float(0.5, min=0, max=1, help="the largest fraction of the maximum that is ever taken").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        """Called by nbgrader for a late submission; the gradebook it holds open knows the maximum."""
        caller = self.parent
        notebook = caller.gradebook.find_notebook(caller.notebook_id, caller.assignment_id)
        return late_penalty(notebook.max_score, total_seconds_late, self.per_day, self.at_most)
