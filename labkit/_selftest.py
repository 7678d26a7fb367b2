"""What CI adds to every ``check``: the untouched stub must not pass, and the lab's own folded solution must.

The solutions stand in the lab's source, each in a fold titled ``One solution: EXERCISE``. They are tried in a copy of the
notebook's namespace, at the moment the learner's check runs, so one execution of the lab tests both.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from labkit.check import NotAnswered, exercises, try_answer
from labkit.course import load_course
from labkit.errors import LabkitError

_FOLD = re.compile(
    r"<summary>One solution: (?P<name>[\w-]+)</summary>\s*```python\n(?P<code>.*?)```\s*</details>", re.DOTALL
)


def solutions(source: Path) -> dict[str, str]:
    """The folded solutions of a lab's source: exercise -> Python code."""
    return {fold["name"]: fold["code"] for fold in _FOLD.finditer(source.read_text(encoding="utf-8"))}


def prove_check(name: str, answer: Any) -> None:
    """Raise AssertionError unless the stub fails the check of exercise ``name`` and its folded solution passes."""
    known = exercises()
    course = load_course()
    if name not in known or not course.is_checkout:
        return  # the check itself reports an unknown name; without a checkout there is no source to prove
    code = solutions(course.lab(known[name].lab).source).get(name)
    if code is None:
        raise LabkitError(f"{known[name].lab}: no fold 'One solution: {name}' for the exercise of that name")
    namespace = _notebook_namespace()
    target = next((key for key in _bound_names(code) if namespace.get(key) is answer), None)
    if target is None:
        raise AssertionError(f"{name}: the folded solution defines nothing of the name that check(...) was given")
    try:
        passed = try_answer(name, answer) is None
    except NotAnswered:
        passed = False
    if passed:
        raise AssertionError(f"{name}: the untouched stub passes its check")
    trial = dict(namespace)
    exec(compile(code, f"<solution of {name}>", "exec"), trial)
    wrong = try_answer(name, trial[target])
    if wrong is not None:
        raise AssertionError(f"{name}: the lab's own solution fails its check. {wrong}")


def _bound_names(code: str) -> list[str]:
    """The names that a piece of code defines or assigns at its top level, the last one first."""
    names: list[str] = []
    for node in ast.parse(code).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [item.id for target in node.targets for item in ast.walk(target) if isinstance(item, ast.Name)]
    return names[::-1]


def _notebook_namespace() -> dict[str, Any]:
    from IPython import get_ipython

    shell = get_ipython()
    return dict(shell.user_ns) if shell is not None else {}
