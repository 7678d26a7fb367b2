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
    from nbconvert.preprocessors import ClearMetadataPreprocessor
    from nbconvert.preprocessors.sanitize import SanitizeHTML
    from nbgrader.preprocessors import AssignLatePenalties, GetGrades, IgnorePattern, LimitOutput

    from labkit.grading.feedback_page import ExplainGrades, FeedbackExporter
    from labkit.grading.late import LatePenalty
    from labkit.grading.preprocessors import RepairingExporter, SaveJudgedGrades, SealedExecute

    course = load_course(folder.parent)
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.course_id = re.sub(r"[^a-z0-9]+", "-", course.title.lower()).strip("-")
    # nbgrader copies whatever else lies in source/PS into release/, autograded/ and feedback/. The sources hold the
    # solutions and the hidden tests, so they must never be among it.
    sources = sorted({assignment.source.name for assignment in course.assignments.values()})
    config.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "*.part", *sources]
    config.AssignLatePenalties.plugin_class = LatePenalty
    config.GenerateFeedback.exporter_class = FeedbackExporter
    config.GenerateFeedback.preprocessors = [GetGrades, ExplainGrades]
    # Formgrader shows a student's text and outputs to the instructor, with the instructor's rights: no scripts in them
    config.HTMLExporter.preprocessors = [SanitizeHTML]
    config.HTMLExporter.sanitize_html = True
    config.FeedbackExporter.preprocessors = []  # this page takes care of it by itself
    config.FeedbackExporter.sanitize_html = False
    # nbgrader's own steps, in its order, but for how a file is read, run and judged
    config.Autograde.exporter_class = RepairingExporter
    config.Autograde.autograde_preprocessors = [
        SealedExecute,
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveJudgedGrades,
        AssignLatePenalties,
    ]  # that the cells' metadata is in order was checked when it was read, and nothing has changed it
    config.ClearMetadataPreprocessor.preserve_cell_metadata_mask = {"nbgrader", "labkit"}
    config.ClearMetadataPreprocessor.preserve_nb_metadata_mask = {("language_info", "name"), "labkit_grading"}
    # seconds for each cell: honest training in a lab fits, and an endless loop does not hold up the class for long
    config.SealedExecute.limits = {"cell_seconds": 60.0}
    config.KernelManager.update(KERNEL_SETTINGS)
    config.Execute.timeout = 60  # `nbgrader validate` runs notebooks in a kernel, as their authors do
