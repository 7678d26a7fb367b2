"""Which notebooks pytest runs: not those that need a framework which this environment was made without (WITH=core)."""

from __future__ import annotations

from labkit._machine import describe
from labkit.course import load_course
from labkit.readiness import readiness

MACHINE = describe()
LEFT_OUT = [lab for lab in load_course().labs.values() if readiness(lab, MACHINE).how == "not at all"]
collect_ignore = [f"{lab.part}/{lab.id}.ipynb" for lab in LEFT_OUT]


def pytest_report_header() -> str:
    names = ", ".join(lab.id for lab in LEFT_OUT)
    return f"left out, for want of a framework: {names}" if names else "every lab can run here"
