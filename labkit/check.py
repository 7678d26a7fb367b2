"""Checks for a lab's exercises, with a ladder of hints.

The checks of a lab live in ``labkit/exercises/LAB.py``, so that they are there after a bare ``pip install``. An author
writes::

    @exercise("log-softmax", hints=["a nudge", "something more concrete", "almost there"])
    def log_softmax(answer):
        expect_near(answer(np.zeros(2)), np.log([0.5, 0.5]), case="two equal scores")

and a learner calls ``check("log-softmax", log_softmax)``: a passed check says so, a failed one says what was expected,
what came, and one hint more than the last time. The answer itself is never printed.
"""

from __future__ import annotations

import dis
import importlib
import os
import pkgutil
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from labkit.errors import unknown


class NotAsExpected(AssertionError):
    """What an exercise expected and what came instead."""


class NotAnswered(Exception):
    """The stub was left as it was."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: its test and its ladder of hints. ``lab`` is the id of the lab it belongs to."""

    name: str
    lab: str
    hints: tuple[str, ...]
    test: Callable[[Any], None]


_exercises: dict[str, Exercise] = {}
_failures: dict[str, int] = {}


def exercise(name: str, *, hints: Sequence[str]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a test for the exercise ``name``. The lab is taken from the module's name."""

    def register(test: Callable[[Any], None]) -> Callable[[Any], None]:
        lab = test.__module__.rpartition(".")[2].replace("_", "-")
        _exercises[name] = Exercise(name, lab, tuple(hints), test)
        return test

    return register


def expect(condition: Any, message: str) -> None:
    """Fail with ``message``, one sentence that says what was expected and what came, unless ``condition`` holds."""
    if not bool(condition):
        raise NotAsExpected(message)


def expect_near(got: Any, want: Any, *, case: str, atol: float = 1e-6, note: str = "") -> None:
    """Fail unless ``got`` has the shape of ``want`` and equals it within ``atol`` (absolute). ``case`` names the input."""
    import numpy as np

    if got is None or got is ...:
        raise NotAnswered
    wanted = np.asarray(_array(want), dtype=float)
    try:
        came = np.asarray(_array(got), dtype=float)
    except (TypeError, ValueError):
        raise NotAsExpected(
            f"For {case}, numbers were expected; a {type(got).__name__} came. {note}".rstrip()
        ) from None
    if came.shape != wanted.shape:
        raise NotAsExpected(f"For {case}, expected shape {wanted.shape}; shape {came.shape} came. {note}".rstrip())
    if np.isfinite(wanted).all() and not np.isfinite(came).all():
        what = "nan (not a number, as from 0 / 0)" if np.isnan(came).any() else "an infinite number"
        raise NotAsExpected(f"For {case}, expected {_short(wanted)}; {what} came. {note}".rstrip())
    if not np.allclose(came, wanted, rtol=0, atol=atol):
        raise NotAsExpected(f"For {case}, expected {_short(wanted)}; {_short(came)} came. {note}".rstrip())


def exercises() -> dict[str, Exercise]:
    """Every exercise of every lab."""
    import labkit.exercises as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"labkit.exercises.{module.name}")
    return dict(_exercises)


def try_answer(name: str, answer: Any) -> str | None:
    """None where ``answer`` passes, else what is wrong with it.

    Raises NotAnswered for an untouched stub, LabkitError for an unknown exercise.
    """
    known = exercises()
    if name not in known:
        raise unknown("exercise", name, known)
    if answer is None or answer is ... or _is_stub(answer):
        raise NotAnswered
    try:
        known[name].test(answer)
    except NotAsExpected as error:
        return str(error)
    except (NotAnswered, NotImplementedError):
        raise NotAnswered from None
    except Exception as error:
        # A learner's function may raise anything; the check reports it as it reports a wrong value.
        return f"Your answer raised {type(error).__name__}: {error}"
    return None


def check(name: str, answer: Any) -> None:
    """Check an exercise and show the verdict. (:func:`try_answer` returns it instead.)

    In strict mode (CI) it also proves itself: the lab's own folded solution must pass here, in the learner's namespace.
    """
    if os.environ.get("LABKIT_STRICT") == "1":
        from labkit._selftest import prove_check

        prove_check(name, answer)
    try:
        wrong = try_answer(name, answer)
    except NotAnswered:
        _show(f"◦ {name}: not answered yet", "Fill in the cell above, run it, then run this one again.")
        return
    if wrong is None:
        _failures.pop(name, None)
        _show(f"✓ {name}: correct")
        return
    hints = _exercises[name].hints
    _failures[name] = _failures.get(name, 0) + 1
    told = min(_failures[name], len(hints))
    ladder = [f"Hint {number} of {len(hints)}: {hint}" for number, hint in enumerate(hints[:told], 1)]
    if told == len(hints):
        ladder.append("That was the last hint. A solution is folded away below.")
    _show(f"✗ {name}: not yet. {wrong}", *ladder)


def _is_stub(answer: Any) -> bool:
    """True where a function's body is only ``...``, ``pass`` or a docstring: it does nothing but return None."""
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    return steps in ([("LOAD_CONST", None), ("RETURN_VALUE", None)], [("RETURN_CONST", None)])


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _short(values: Any) -> str:
    import numpy as np

    if values.ndim == 0:
        return f"{float(values):.6g}"
    return np.array2string(values, precision=4, threshold=12, separator=", ")


@dataclass(frozen=True)
class _Message:
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n  ".join(self.lines)

    def _repr_html_(self) -> str:
        first, *rest = map(escape, self.lines)
        return f"<b>{first}</b>" + "".join(f"<br>&emsp;{line}" for line in rest)


def _show(*lines: str) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(_Message(lines))
        return
    if get_ipython() is None:
        print(_Message(lines))
    else:
        display(_Message(lines))


class _CallableModule(types.ModuleType):
    """``from labkit import check`` finds this module, because it has the same name as the function learners call.

    So the module can be called: whichever of the two a line of code means, it gets it.
    """

    def __call__(self, name: str, answer: Any) -> None:
        check(name, answer)


sys.modules[__name__].__class__ = _CallableModule
