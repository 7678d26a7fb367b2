"""Running students' code behind a wall, and judging it from outside.

:class:`Worker` is all that the rest of the grader uses. Beneath it: :mod:`~labkit.grading.sealed.walls` builds the wall,
:mod:`~labkit.grading.sealed.nursery` keeps warm processes, :mod:`~labkit.grading.sealed.student` runs a notebook,
:mod:`~labkit.grading.sealed.judge` runs its tests, and :mod:`~labkit.grading.sealed.heap` carries objects between them.
"""

from labkit.grading.sealed.worker import Worker

__all__ = ["Worker"]
