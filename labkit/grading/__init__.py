"""Grading with nbgrader: release, submit, grade, feedback, CSV, and a class invented to try it all on.

>>> course = load_course()
>>> release(course, "ps2-lenet")
>>> submit(course, "ps2-lenet", "ada", Path("ps2-lenet.ipynb"))
>>> print(grade(course, "ps2-lenet").summary())

nbgrader itself is loaded when one of these is called, and not before.
"""

from labkit.grading.batch import export_csv, export_results, feedback, grade, release
from labkit.grading.demo import demo_class
from labkit.grading.report import Report
from labkit.grading.submissions import submissions, submit

__all__ = [
    "Report",
    "demo_class",
    "export_csv",
    "export_results",
    "feedback",
    "grade",
    "release",
    "submissions",
    "submit",
]
