"""The benchmark itself, on a class of three: stock nbgrader and ours must agree on every cell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from labkit.course import load_course


@pytest.mark.slow
@pytest.mark.parametrize("ps", list(load_course().assignments))
def test_a_small_class_gets_the_same_scores_from_both_graders(ps: str):
    command = [sys.executable, "-m", "tests.grading.benchmark", "--assignment", ps, "--students", "3", "--workers", "2"]
    done = subprocess.run(command, cwd=load_course().root, capture_output=True, text=True, timeout=500)
    print(done.stdout)  # shown by pytest -s; seconds are not asserted, because other work shares these cores
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("identical") == 2 and "DIFFERENT" not in done.stdout
