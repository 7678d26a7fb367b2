"""Which cell runs where, whose a name is, and when a grade still holds."""

from __future__ import annotations

import builtins

import nbformat
import pytest
from nbformat import NotebookNode

from labkit.grading import plan as planning
from labkit.grading.jobs import Job, Limits
from labkit.grading.plan import bound_names, grading_key, imported_modules, plan, trusted_code

FLAGS = {
    "answer": {"grade": False, "solution": True, "locked": False},
    "by hand": {"grade": True, "solution": True, "locked": False, "points": 2},
    "tests": {"grade": True, "solution": False, "locked": True, "points": 3},
    "shared": {"grade": False, "solution": False, "locked": True},
}


def cell(source: str, role: str = "plain", grade_id: str = "") -> NotebookNode:
    made = nbformat.v4.new_code_cell(source)
    if role != "plain":
        made.metadata["nbgrader"] = nbformat.from_dict({**FLAGS[role], "grade_id": grade_id or role})
    return made


def notebook(*cells: NotebookNode) -> NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.from_dict(dict(c)) for c in cells])


def job(submitted: NotebookNode, source: NotebookNode, **files) -> Job:
    empty = {"files": {}, "student_files": {}}
    options = {"assignment": "ps", "student": "ada", "key": "k", "limits": Limits()}
    return plan(submitted, source, **{**empty, **files}, **options)


def test_kinds_are_what_the_source_says_of_the_id():
    source = notebook(
        cell("import numpy as np", "shared"),
        cell("def f(): return 1", "answer"),
        cell("assert f() == 1", "tests"),
        cell("why = 'because'", "by hand"),
        cell("f()"),
        cell(" \n"),
        nbformat.v4.new_markdown_cell("text"),
    )
    planned = job(source, source)
    assert [(c.index, c.kind, c.grade_id, c.points) for c in planned.cells] == [
        (0, "shared", "shared", 0),
        (1, "student", "answer", 0),
        (2, "tests", "tests", 3),
        (3, "student", "by hand", 0),
        (4, "student", "", 0),
    ]
    forged = notebook(*source.cells, cell("f = Always()", "tests", "mine"), cell("x = 1", "shared", "theirs"))
    forged.cells[1].metadata.nbgrader.update(FLAGS["shared"])
    assert [c.kind for c in job(forged, source).cells] == ["shared", "student", "tests", *["student"] * 4]


def test_answers_are_found_where_they_stand_in_the_submission():
    source = notebook(
        cell("import numpy as np", "shared"),
        cell("def f(): ...\nhelper = 1", "answer", "a"),
        cell("got = f()", "tests", "t"),
        cell("model = f()\nhelper = 2\nimport os"),
        cell("class G: pass", "answer", "b"),
        cell("data = 3"),
    )
    own = cell("mine = 0")
    submitted = notebook(own, *source.cells[:3], own, source.cells[3], own, *source.cells[4:], own)
    # a plain cell may be anywhere between its neighbours that have an id, or at the end
    assert job(submitted, source).answers == {"f": 2, "helper": 6, "model": 6, "G": 7, "data": 9}
    without = notebook(*source.cells[:3], source.cells[4])
    assert job(without, source).answers == {"f": 1, "helper": 2, "model": 2, "G": 3, "data": 3}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("a, (b, *c) = 1, (2, 3)\nd += 1\ne: int = 4", "a b c d e"),
        ("for i, j in x:\n    k = 1\nwith open('f') as g: pass", "i j k g"),
        ("import numpy as np, os.path\nfrom x import y as z", "np os z"),
        ("if (n := 3):\n    def f(): inside = 1\nclass C:\n    inside = 2", "n f C"),
        ("%matplotlib inline\n!ls\nx = 1", "x"),
        ("%%time\nx = 1", "x"),
        ("%%bash\nx=1", ""),
        ("def broken(:", ""),
        ("", ""),
    ],
)
def test_names_that_a_cell_binds(code, names):
    assert bound_names(code) == set(names.split())


def test_imports_of_a_cell_can_be_left_out():
    assert bound_names("import os\nfrom x import y\nz = 1", imports=False) == {"z"}


def test_the_judge_takes_over_what_imports_or_defines():
    source = notebook(
        cell("from torch import nn\nSIZE = 3", "shared"),
        cell("import math\nseed = 1\nprint(seed)"),
        cell(
            "class Plain(nn.Module):\n    width = math.pi\n    half = width / 2\n    def __init__(self): self.x = later"
        ),
        cell("def close(a, b=math.pi): return answer(a) == b"),
        cell("def answer(x): ...", "answer"),
        cell("def needs_answer(x=answer(1)): ...\ndef needs_size(x=SIZE): ...\nclass Child(answer): ..."),
        cell("def answer(x): return 'an older one'"),
        cell("@later\ndef decorated(): ..."),
        cell("def twice(): ...\ntwice = twice()"),
    )
    code, names = trusted_code(source)
    assert names == {"Plain", "close"}
    space: dict = {}
    if pytest.importorskip("torch"):
        exec(code, space)
    assert space.keys() - {"__builtins__"} == {"nn", "math", "Plain", "close"}
    answers = job(source, source).answers
    assert not answers.keys() & {"Plain", "close", "math", "nn"}, "what the judge has, no student is asked for"
    assert answers.keys() == {
        "answer",
        "seed",
        "needs_answer",
        "needs_size",
        "Child",
        "decorated",
        "twice",
    }


def test_a_name_that_an_answer_binds_is_never_trusted():
    source = notebook(cell("import json\ndef f(): ..."), cell("import fast as json\nf = 3", "answer"))
    assert trusted_code(source) == ("", set())
    assert job(source, source).answers == {"json": 1, "f": 1}


def test_modules_to_warm_up():
    source = notebook(
        cell("import os, torch.nn as nn, helper", "shared"),
        cell("def f():\n    from numpy.linalg import norm\n    from . import sibling", "answer"),
        cell("%pip install x\nimport zlib, package"),
    )
    assert imported_modules(source) == ["helper", "numpy", "package", "torch"]
    beside = {"files": {"helper.py": b""}, "student_files": {"package/__init__.py": b""}}
    assert job(source, source, **beside).imports == ("numpy", "torch"), "what lies beside the notebook is not warm"


def test_the_assignment_is_planned_as_it_was_written(solution):
    planned = job(solution, solution)
    tests = [c for c in planned.cells if c.kind == "tests"]
    assert len(tests) == 13 and sum(c.points for c in tests) == 36
    assert [c.grade_id for c in planned.cells if c.kind == "shared"] == ["setup", "imports"]
    asked = {"cross_correlate", "output_size", "silent_batch_sizes", "flatten", "LeNet", "train_step", "evaluate"}
    assert asked | {"recall_precision", "most_confused"} <= planned.answers.keys()
    assert not planned.answers.keys() & {"np", "torch", "F", "nn", "data", *dir(builtins)}
    assert {"numpy", "torch", "labkit"} == set(planned.imports)


def test_the_key_changes_with_everything_that_counts(monkeypatch):
    same = {
        "submission": b"nb",
        "student_files": {"a": b"1"},
        "source": b"source",
        "source_files": {"b": b"2"},
        "limits": Limits(),
        "sealed": True,
        "imports": ["numpy"],
        "released": "cells",
    }
    keys = [grading_key(**same)]
    assert grading_key(**same) == keys[0] and len(keys[0]) == 64
    for change in (
        {"submission": b"nb "},
        {"student_files": {"a": b"2"}},
        {"student_files": {"a1": b""}},
        {"student_files": {}, "source_files": {"a": b"1", "b": b"2"}},
        {"submission": b"nbs", "source": b"ource"},
        {"limits": Limits(memory=1)},
        {"sealed": False},
        {"imports": ["numpy", "pytest"]},
        {"released": "others"},
    ):
        keys.append(grading_key(**{**same, **change}))
    with monkeypatch.context() as patch:
        patch.setattr(planning, "_own_code", lambda: "another grader")
        keys.append(grading_key(**same))
    with monkeypatch.context() as patch:
        patch.setattr(planning.platform, "python_version", lambda: "3.99")
        keys.append(grading_key(**same))
    assert len(set(keys)) == len(keys)
