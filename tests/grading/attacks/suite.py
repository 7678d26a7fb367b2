"""The hostile class: everybody who ever tried to get marks, or to break things, by other means than a right answer.

Each is a student who hands in one notebook (:class:`~tests.grading.attacks.submission.Attack`). With them are honest
students, and those whose notebook came to harm on its way.
"""

from __future__ import annotations

from tests.grading.attacks.forging import FORGING, OBJECTS
from tests.grading.attacks.honest import BROKEN, HONEST, UNUSUAL
from tests.grading.attacks.overloading import STOPPING, USING
from tests.grading.attacks.reaching import NETWORK, READING, STAYING, WRITING
from tests.grading.attacks.submission import FULL, GROUPS, Attack

__all__ = ["ATTACKS", "FULL", "GROUPS", "Attack"]

ATTACKS = [*HONEST, *FORGING, *OBJECTS, *READING, *NETWORK, *WRITING, *STAYING, *STOPPING, *USING, *BROKEN, *UNUSUAL]
