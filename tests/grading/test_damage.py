"""Thirty random mixtures of damage to a right submission, each graded for real: every score stays what it was."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from labkit import build
from labkit.grading import grade
from tests.grading import test_repair as damage
from tests.grading.attacks.world import PS, World

STEPS = [
    damage.delete,
    damage.duplicate,
    damage.shuffle,
    damage.retype,
    damage.strip,
    damage.garble,
    damage.rename,
    damage.renumber,
    damage.list_sources,
    damage.add,
    damage.outputs,
]


@pytest.mark.slow
def test_damage_that_leaves_the_answers_leaves_the_score(tmp_path: Path):
    world = World(tmp_path)
    right = build.to_text(world.solved)
    world.hand_in("undamaged", right.encode())
    for seed in range(30):
        notebook, chance = json.loads(right), random.Random(seed)
        answers = {
            "".join(cell["source"])
            for cell in notebook["cells"]
            if cell["metadata"].get("nbgrader", {}).get("solution") and cell["cell_type"] == "code"
        }
        for step in chance.choices(STEPS, k=chance.randint(1, 8)):
            step(notebook["cells"], chance, answers)
        world.hand_in(f"student{seed}", damage.to_bytes(notebook))
    report = grade(world.course, PS, progress=False)
    assert not report.errors
    automatic = {
        name: cell.score for name, cell in report.students["undamaged"].cells.items() if cell.score == cell.max_score
    }
    assert sum(automatic.values()) > 0
    for student, result in report.students.items():
        got = {name: result.cells[name].score for name in automatic}
        assert got == automatic, (student, [cell.message for cell in result.cells.values()], result.repairs)
    assert sum(bool(result.repairs) for result in report.students.values()) > 20
