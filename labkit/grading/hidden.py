"""Feedback without the hidden tests.

nbgrader puts the hidden tests back before it grades, and its feedback then shows them to the student, in the cell and
again in the traceback. Next year's class would know them. Here the cell keeps its visible tests, and an error keeps
its message, which is what helps.
"""

from __future__ import annotations

import re
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

_HIDDEN = re.compile(r"^[^\n]*BEGIN HIDDEN TESTS.*?END HIDDEN TESTS[^\n]*", re.MULTILINE | re.DOTALL)


class HideHiddenTests(NbGraderPreprocessor):
    """Takes hidden tests out of what a student is shown after grading."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        if "nbgrader" not in cell.metadata or not _HIDDEN.search(cell.source):
            return cell, resources
        cell.source = _HIDDEN.sub("# more tests of this kind ran here, on other numbers", cell.source)
        for output in cell.get("outputs", []):
            if output.output_type == "error":  # the traceback quotes the lines around the one that failed
                output.traceback = [f"\x1b[0;31m{output.ename}\x1b[0m: {output.evalue}"]
        return cell, resources
