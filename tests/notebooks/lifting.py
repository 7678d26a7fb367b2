"""Definitions lifted out of a lab, so that tests can call what a learner builds there."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import nbformat

from labkit.course import load_course


def lift(lab_id: str, *names: str) -> SimpleNamespace:
    """The functions, classes and constants called ``names``, as the lab's cells define them (the last definition counts).

    The lab's imports come with them, and nothing else is run, so what is lifted must stand on those and on each other.
    """
    cells = nbformat.read(load_course().lab(lab_id).notebook, as_version=4).cells
    namespace: dict[str, Any] = {"__name__": f"lifted_from_{lab_id}"}
    for cell in cells:
        if cell.cell_type != "code" or "labkit" in cell.metadata:
            continue
        tree = ast.parse("".join(line for line in cell.source.splitlines(True) if not line.startswith(("%", "!"))))
        wanted = [node for node in tree.body if _is_import(node) or _defined(node) & set(names)]
        exec(compile(ast.Module(wanted, []), lab_id, "exec", dont_inherit=True), namespace)
    missing = [name for name in names if name not in namespace]
    assert not missing, f"{lab_id} defines no {', '.join(missing)}"
    return SimpleNamespace(**{name: namespace[name] for name in names})


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [one for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        return {one.id for one in names if isinstance(one.ctx, ast.Store)}
    return set()
