"""What is to be run for a submission: which cell on which side of the wall, and which names are the student's."""

from __future__ import annotations

import ast
import builtins
import functools
import hashlib
import json
import platform
import re
import symtable
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from nbformat import NotebookNode

from labkit import __version__
from labkit.errors import LabkitError
from labkit.grading.jobs import Cell, Job, Kind, Limits

_TIMING_MAGIC = re.compile(r"\A\s*%%(?:time|timeit|capture)\b[^\n]*\n")
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class UngradableError(LabkitError):
    """Why one submission cannot be graded. It says nothing about the others, as other errors do."""


def plan(
    notebook: NotebookNode,
    source: NotebookNode,
    *,
    assignment: str,
    student: str,
    files: dict[str, bytes],
    student_files: dict[str, bytes],
    key: str,
    limits: Limits,
) -> Job:
    """The job that a sanitised submission (locked cells as they were released) and the instructor's ``source`` make.

    A cell's kind is what ``source`` says of its grade id; a cell that ``source`` does not know is the student's.
    """
    roles = {grade_id: _role(cell) for cell in source.cells if (grade_id := _grade_id(cell))}
    cells = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        grade_id = _grade_id(cell)
        kind = _kind(roles.get(grade_id, "plain"))
        points = float(cell.metadata.nbgrader.points) if kind == "tests" else 0.0
        cells.append(Cell(index, kind, cell.source, grade_id, points))
    trusted, trusted_names = trusted_code(source)
    answers = {name: index for name, index in _answers(notebook, source).items() if name not in trusted_names}
    own = {Path(name).parts[0].removesuffix(".py") for name in (*files, *student_files)}
    return Job(
        assignment=assignment,
        student=student,
        key=key,
        cells=tuple(cells),
        answers=answers,
        trusted=trusted,
        files=files,
        student_files=student_files,
        imports=tuple(name for name in imported_modules(source) if name not in own),
        limits=limits,
    )


def trusted_code(source: NotebookNode) -> tuple[str, set[str]]:
    """What the judge may take from the instructor's plain cells, and the names that it defines (without imports).

    These are imports, and the functions and classes that no answer cell binds. A definition that needs more than
    imports and other such definitions at the moment it is made is left out: it would fail before the answers are there.
    The imports of locked cells come along where a definition may need them.
    """
    answered = frozenset().union(*(bound_names(cell.source) for cell in _code(source, "answer")))
    assigned = frozenset().union(*(_assigned_in_plain(cell.source) for cell in _code(source, "plain")))
    statements: list[str] = []
    known, defined = set(dir(builtins)), set()
    for cell in _code(source, "plain", "shared"):
        for statement in _body(cell.source):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                names = {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
                if not names & answered:
                    statements.append(ast.unparse(statement))
                    known |= names
            elif isinstance(statement, _Definition) and _role(cell) == "plain":
                needed = _needed_at_once(statement) - {statement.name}
                if statement.name not in answered | assigned and needed <= known:
                    statements.append(ast.unparse(statement))
                    known.add(statement.name)
                    defined.add(statement.name)
    return "\n".join(dict.fromkeys(statements)), defined


def imported_modules(source: NotebookNode) -> list[str]:
    """The packages that are imported anywhere in a notebook, by their first name, without Python's own."""
    found = frozenset().union(*(_imports(cell.source) for cell in source.cells if _is_code(cell)))
    return sorted(found - sys.stdlib_module_names)


@functools.lru_cache(maxsize=1024)
def bound_names(code: str, *, imports: bool = True) -> frozenset[str]:
    """The names that a cell binds where it is not inside a function or class; without its ``imports``, if you like.

    What is not Python binds nothing.
    """
    try:
        symbols = symtable.symtable(_python(code), "cell", "exec").get_symbols()
    except (SyntaxError, ValueError):
        return frozenset()
    return frozenset(name.get_name() for name in symbols if name.is_assigned() or (imports and name.is_imported()))


def grading_key(
    submission: bytes,
    student_files: dict[str, bytes],
    source: bytes,
    source_files: dict[str, bytes],
    limits: Limits,
    sealed: bool,
    imports: Iterable[str] = (),
    released: str = "",
) -> str:
    """A name for everything that the outcome of a submission depends on: the same key, the same verdicts.

    ``released`` is what the gradebook holds of the locked cells. The versions of Python, of the ``imports``, of labkit
    and the grader's own code are part of it.
    """
    digest = hashlib.sha256()
    for part in (submission, *_flat(student_files), source, *_flat(source_files)):
        digest.update(len(part).to_bytes(8, "big") + part)
    rest = [asdict(limits), sealed, released, __version__, platform.python_version(), _versions(tuple(imports))]
    digest.update(json.dumps([*rest, _own_code()], sort_keys=True).encode())
    return digest.hexdigest()


def _answers(notebook: NotebookNode, source: NotebookNode) -> dict[str, int]:
    """Each name that the source's answer and plain cells bind, and the index in ``notebook`` of the last that does."""
    place = {grade_id: index for index, cell in enumerate(notebook.cells) if (grade_id := _grade_id(cell))}
    answers: dict[str, int] = {}
    # from the end, so that the next cell with an id, before which a cell without one stands, is known
    end = len(notebook.cells)
    for cell in reversed(source.cells):
        index = place.get(_grade_id(cell), end - 1)
        role = _role(cell) if _is_code(cell) else ""
        if role in ("answer", "plain"):
            for name in bound_names(cell.source, imports=role == "answer"):
                answers.setdefault(name, index)
        end = index if _grade_id(cell) in place else end
    return answers


def _role(cell: NotebookNode) -> str:
    entry = cell.metadata.get("nbgrader") or {}
    if entry.get("solution"):
        return "answer"
    if entry.get("grade"):
        return "tests"
    return "shared" if entry.get("locked") else "plain"


def _kind(role: str) -> Kind:
    if role == "tests":
        return "tests"
    return "shared" if role == "shared" else "student"


def _grade_id(cell: NotebookNode) -> str:
    return (cell.metadata.get("nbgrader") or {}).get("grade_id") or ""


def _is_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code"


def _code(source: NotebookNode, *roles: str) -> Iterator[NotebookNode]:
    return (cell for cell in source.cells if _is_code(cell) and _role(cell) in roles)


@functools.lru_cache(maxsize=1024)
def _python(code: str) -> str:
    """A cell as Python sees it: magics are calls. What a timing magic measures is code of the cell like any other."""
    with suppress(SyntaxError, ValueError):
        ast.parse(code)
        return code  # there is no magic in it
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(_TIMING_MAGIC.sub("", code))


@functools.lru_cache(maxsize=1024)
def _body(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(_python(code)).body
    except (SyntaxError, ValueError):
        return []


@functools.lru_cache(maxsize=1024)
def _imports(code: str) -> frozenset[str]:
    found = set()
    for node in (node for statement in _body(code) for node in ast.walk(statement)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


@functools.lru_cache(maxsize=1024)
def _assigned_in_plain(code: str) -> frozenset[str]:
    """The names that a cell binds in any other way than by a definition of its own."""
    rest = [statement for statement in _body(code) if not isinstance(statement, _Definition)]
    return bound_names("\n".join(map(ast.unparse, rest)), imports=False)


def _needed_at_once(statement: _Definition) -> set[str]:
    """The names that are looked up when a definition is made, and not when what it defines is called."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            now: list[ast.AST] = [*node.decorator_list, node.args]
            now += [node.returns] if node.returns else []
        elif isinstance(node, ast.Lambda):
            now = [node.args]
        else:
            now = list(ast.iter_child_nodes(node))
        for child in now:
            visit(child)

    visit(statement)
    return found - bound_names("\n".join(map(ast.unparse, statement.body))) if _is_class(statement) else found


def _is_class(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ClassDef)


def _flat(files: dict[str, bytes]) -> Iterator[bytes]:
    yield len(files).to_bytes(8, "big")
    for name, content in sorted(files.items()):
        yield name.encode("utf-8", "surrogateescape")
        yield content


@functools.lru_cache(maxsize=8)
def _versions(modules: tuple[str, ...]) -> dict[str, str]:
    from importlib.metadata import packages_distributions, version

    packages = packages_distributions()
    return {name: version(name) for module in modules for name in packages.get(module, [])}


@functools.lru_cache(maxsize=1)
def _own_code() -> str:
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
