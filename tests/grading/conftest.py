"""Shared by the grading tests: the assignment, a harness without a kernel, and one class graded once."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import shutil
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from nbformat import NotebookNode

from labkit.build import assignment_notebook
from labkit.course import Course, load_course

PS = "ps2-lenet"


def graded(cell: NotebookNode, role: str) -> bool:
    """Whether a cell is an ``answer``, ``tests`` or ``manual`` cell."""
    entry = cell.metadata.get("nbgrader")
    flags = {"answer": (False, True), "tests": (True, False), "manual": (True, True)}
    return entry is not None and (entry.grade, entry.solution) == flags[role]


def _score(cell: NotebookNode, namespace: dict[str, Any]) -> tuple[float, str]:
    """What nbgrader would give a test cell in this namespace, and why: an error is 0, a number is the points.

    The namespace is copied, so nothing that a test cell does is seen by the next one.
    """
    tree = ast.parse(cell.source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    space, printed = dict(namespace), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            exec(compile(tree, cell.metadata.nbgrader.grade_id, "exec"), space)
            value = eval(compile(ast.Expression(last.value), "points", "eval"), space) if last else None
    except Exception as error:
        return 0.0, f"{type(error).__name__}: {error}"
    if warned:  # it would be on stderr, for which nbgrader gives 0
        return 0.0, f"{warned[0].category.__name__}: {warned[0].message}"
    # nbgrader reads the text of the output: only a plain number counts as partial credit
    return (float(cell.metadata.nbgrader.points) if value is None else float(repr(value))), printed.getvalue()


@pytest.fixture(scope="session")
def score() -> Callable[[NotebookNode, dict[str, Any]], tuple[float, str]]:
    """A grader without a kernel: ``score(cell, namespace)`` gives the points and the reason."""
    return _score


@pytest.fixture(scope="session")
def course() -> Course:
    return load_course()


@pytest.fixture(scope="session")
def ps(request: pytest.FixtureRequest) -> str:
    """The assignment in question: ps2-lenet, or another by ``parametrize("ps", ..., indirect=True)``."""
    name = getattr(request, "param", PS)
    missing = [one for one in load_course().assignment(name).frameworks if importlib.util.find_spec(one) is None]
    if missing:
        pytest.skip(f"{name} needs {' and '.join(missing)}")
    return name


@pytest.fixture(scope="session")
def solution(course: Course, ps: str) -> NotebookNode:
    """The instructor's notebook, with answers and hidden tests."""
    return assignment_notebook(course.assignment(ps), course)


@pytest.fixture(scope="session")
def solved(solution: NotebookNode) -> dict[str, Any]:
    """A namespace in which the imports and every right answer have been run."""
    namespace: dict[str, Any] = {}
    for cell in solution.cells:
        if graded(cell, "answer") or cell.metadata.get("nbgrader", {}).get("grade_id") == "imports":
            exec(cell.source, namespace)
    return namespace


@pytest.fixture(scope="session")
def tests_of(solution: NotebookNode) -> dict[str, NotebookNode]:
    """Every test cell, by its id."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in solution.cells if graded(cell, "tests")}


@pytest.fixture(scope="session")
def answers_of(solution: NotebookNode) -> dict[str, NotebookNode]:
    """Every answer cell, by its id."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in solution.cells if graded(cell, "answer")}


@pytest.fixture(scope="session")
def tested_name(answers_of: dict[str, NotebookNode], tests_of: dict[str, NotebookNode]) -> Callable[[str], str]:
    """The function or class that a test cell judges: the one name from an answer that its code mentions."""
    defined = {ast.parse(cell.source).body[0].name for cell in answers_of.values()}  # type: ignore[attr-defined]

    def find(test: str) -> str:
        names = {node.id for node in ast.walk(ast.parse(tests_of[test].source)) if isinstance(node, ast.Name)}
        (name,) = names & defined
        return name

    return find


@pytest.fixture(scope="session")
def new_course(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Course]:
    """Makes a new course folder, with the assignment built and nothing released."""
    from labkit.grading.demo import course_folder

    return lambda: course_folder(course, PS, tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="session")
def released_course(new_course: Callable[[], Course], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Course]:
    """Makes a new course folder in which the assignment was released; nbgrader does that once, the rest are copies."""
    from labkit.grading import release

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/usr/bin:/bin")  # an environment that was not activated: no alembic to be found
        original = new_course()
        release(original, PS, due=datetime(2026, 1, 12, 22, 0, tzinfo=UTC))

    def copy() -> Course:
        return load_course(shutil.copytree(original.root, tmp_path_factory.mktemp("released") / "course"))

    return copy


@pytest.fixture(scope="session")
def solved_notebook(solution: NotebookNode) -> Callable[[NotebookNode], NotebookNode]:
    """The released notebook with every answer right, as a student would hand it in."""
    from labkit.grading.demo import student_version

    return lambda released: student_version(solution, released)
