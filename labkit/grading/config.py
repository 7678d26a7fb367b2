"""nbgrader's configuration, made from the manifest. ``assignments/nbgrader_config.py`` is one call of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from labkit.course import load_course
from labkit.run import KERNEL_SETTINGS


def configure(config: Any, folder: Path) -> None:
    """Fill a traitlets ``Config`` for the nbgrader course in ``folder`` (the checkout's ``assignments/``).

    Raises LabkitError where the manifest beside it cannot be read.
    """
    from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
    from nbgrader.preprocessors import GetGrades

    from labkit.grading.hidden import HideHiddenTests
    from labkit.grading.late import LatePenalty

    course = load_course(folder.parent)
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.course_id = re.sub(r"[^a-z0-9]+", "-", course.title.lower()).strip("-")
    # nbgrader copies whatever else lies in source/PS into release/, autograded/ and feedback/. The sources hold the
    # solutions and the hidden tests, so they must never be among it.
    sources = sorted({assignment.source.name for assignment in course.assignments.values()})
    config.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "*.part", *sources]
    config.AssignLatePenalties.plugin_class = LatePenalty
    config.GenerateFeedback.preprocessors = [GetGrades, HideHiddenTests, CSSHTMLHeaderPreprocessor]
    config.KernelManager.update(KERNEL_SETTINGS)
    config.Execute.timeout = 60  # seconds for each cell
