"""The judge: runs the instructor's test cells, asks the student's process for values, and alone decides.

A test cell is ordinary Python with ordinary asserts. The names that an answer was to define are stand-ins
(:mod:`labkit.grading.sealed.stand_ins`); every other name is the judge's own, so no patch of numpy, of the asserts or of
a helper, made in the student's process, can be felt here.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import math
import re
import signal
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from labkit.grading.jobs import Cell, CellOutcome, Job, Outcome
from labkit.grading.sealed.heap import Heap, NotData, random_state
from labkit.grading.sealed.stand_ins import error_class, is_stand_in, make_stand_in
from labkit.grading.sealed.student import Recorder, Stream, printing
from labkit.grading.sealed.wire import Late, Lost, Wire

PATIENCE = 2.0  # seconds an interrupted student's process has to answer before it is ended
CHORE = 30.0  # seconds for what takes milliseconds, but for a machine that is very busy
_HIDDEN = re.compile(r"^[^\S\n]*###? ?BEGIN HIDDEN TESTS.*?END HIDDEN TESTS[^\n]*$", re.MULTILINE | re.DOTALL)
_THEIRS = re.compile(r"^### BEGIN STUDENT SIDE[^\n]*\n(.*?)^### END STUDENT SIDE[^\n]*$", re.MULTILINE | re.DOTALL)


class TimeUp(BaseException):
    """A cell has used its time. Not an Exception, so that no test can swallow it."""


class Ended(Exception):
    """The student's process is no more."""


class Session:
    """The judge's end of the conversation with one student's process."""

    def __init__(self, wire: Wire, events: Wire) -> None:
        self.wire, self.events = wire, events
        self.heap = Heap(first=0, stand_in=lambda number, told: make_stand_in(self, number, told), home="__main__")
        self.errors: dict[int, type[Exception]] = {}
        self.modules: list[Any] = []
        self.named: set[int] = set()  # classes that the test cell names, whose operators may answer
        self.stopped = ""
        self.memory = 0  # bytes that the student's process has used at its peak, as far as it has said
        self._calls = 0
        self._random: Any = None

    def request(
        self, message: dict[str, Any], blobs: list[bytes] | None = None, seconds: float | None = None
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Ask, and wait for the answer. :class:`Ended` where there is nobody, :class:`TimeUp` where it took too long."""
        if self.stopped:
            raise Ended(self.stopped)
        sent = False
        try:
            self.wire.send(message, blobs)
            sent = True
            return self.wire.receive(seconds)
        except Lost as error:
            self.stopped = "The student's program ended before the notebook did."
            raise Ended(self.stopped) from error
        except MemoryError as error:  # in the middle of a message, so nothing more can be understood
            self.stopped = "It sent more than the judge can hold."
            self.events.send({"event": "kill"})
            raise Ended(self.stopped) from error
        except (Late, TimeUp):
            self._interrupt(sent)
            raise TimeUp from None

    def _interrupt(self, sent: bool) -> None:
        """Stop what the student's process is at; end it where it does not stop, or does not even read a request."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            if not sent:
                raise Late
            self.events.send({"event": "interrupt"})
            self.wire.receive(PATIENCE)
        except (Late, Lost):
            self.stopped = "It ran longer than it may, and could not be interrupted."
            self.events.send({"event": "kill"})

    def do(self, what: str, *arguments: Any, **options: Any) -> Any:
        """Let the student's process do something with its own objects and ours, and return what comes of it."""
        message, blobs = self.heap.pack((arguments, options), also=self.modules)
        return self._answered({"op": "do", "what": what}, message, blobs, (arguments, options))

    def run(self, source: str, given: dict[str, Any]) -> dict[str, Any]:
        """Run a part of a test on the student's side, and return the names it has bound."""
        message, blobs = self.heap.pack((given, {}), also=self.modules)
        found = self._answered({"op": "run", "source": source}, message, blobs, given)
        if not isinstance(found, dict):
            raise RuntimeError("The student's side did not say what it has found.")
        return {str(name): value for name, value in found.items()}

    def _answered(self, head: dict[str, Any], values: dict[str, Any], blobs: list[bytes], around: Any) -> Any:
        torch = sys.modules.get("torch")
        self._calls += 1
        state = random_state()
        changed, self._random = (state if state != self._random else None), state
        gradients = torch.is_grad_enabled() if torch is not None else True
        message = {**head, "call": self._calls, "values": values, "random": changed, "gradients": gradients}
        reply, data = self.request(message, blobs)
        try:
            for one in reply.get("printed", ()):
                _replay(one)
            if torch is not None and "gradients" in reply:
                torch.set_grad_enabled(bool(reply["gradients"]))
            self.memory = max(self.memory, int(reply.get("memory", 0)))
            self.heap.bridged = []
            result = self.heap.unpack(reply["values"], data) if "values" in reply else None
            if self.heap.bridged and torch is not None:
                self._bridge(self._calls, around)
            error = self._error(reply["error"]) if "error" in reply else None
        except (NotData, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as fault:
            raise RuntimeError(f"What came back is no value that can be judged ({fault}).") from None
        if error is not None:
            raise error
        return result

    def names(self, names: set[str]) -> dict[str, Any]:
        """Those of the names that the student's notebook has bound, as values and stand-ins."""
        reply, data = self.request({"op": "names", "names": sorted(names)})
        if "error" in reply:
            raise self._error(reply["error"])
        self.heap.bridged = []
        try:
            found = self.heap.unpack(reply["values"], data)
        except (NotData, KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
            raise RuntimeError(f"The names of this notebook cannot be read ({fault}).") from None
        return {name: found[name] for name in names if name in found} if isinstance(found, dict) else {}

    def forget(self) -> None:
        """Let go of what one test cell has shared; models and handles stay what they are."""
        keep = {number for number, thing in self.heap.objects.items() if is_stand_in(thing) or isinstance(thing, type)}
        for module in self.modules:
            for thing in self.heap.reached(module):
                number = self.heap.number(thing)
                keep |= {number} if number is not None else set()
        self.heap.forget(keep)
        self.request({"op": "forget", "keep": sorted(keep)}, seconds=CHORE)

    def backward(self, call: int, gradients: list[Any], inputs: list[Any]) -> list[Any]:
        """Gradients of an earlier result with respect to ``inputs``, from the student's side."""
        message, blobs = self.heap.pack(((gradients, inputs), {}), also=self.modules)
        reply, data = self.request({"op": "backward", "of": call, "values": message}, blobs)
        if "error" in reply:
            raise self._error(reply["error"])
        found = self.heap.unpack(reply["values"], data)
        if not isinstance(found, list) or len(found) != len(inputs):
            raise RuntimeError("The gradients that came back do not fit.")
        return found

    def _bridge(self, call: int, around: Any) -> None:
        """Let gradients flow from results that have come over to the arguments that went there."""
        import torch

        reached = [*self.heap.reached(around), *[thing for one in self.modules for thing in one.parameters()]]
        inputs: list[Any] = []
        for thing in reached:
            differentiable = isinstance(thing, torch.Tensor) and thing.requires_grad
            if differentiable and not any(thing is other for other in inputs):
                inputs.append(thing)
        size = 1 + max(place for place, _ in self.heap.bridged)
        session = self

        class Bridge(torch.autograd.Function):
            @staticmethod
            def forward(context: Any, *_: Any) -> Any:
                return tuple(tensor.clone() for _, tensor in bridged)

            @staticmethod
            def backward(context: Any, *gradients: Any) -> Any:
                placed: list[Any] = [None] * size
                for (place, _), gradient in zip(bridged, gradients, strict=True):
                    placed[place] = gradient
                return tuple(session.backward(call, placed, inputs))

        bridged = list(self.heap.bridged)
        with torch.enable_grad():
            for (_, tensor), through in zip(bridged, Bridge.apply(*inputs), strict=True):
                tensor.copy_(through)  # in place: whatever holds the tensor sees it become part of the graph

    def _error(self, told: Any) -> Exception:
        """The student's error, as an exception of the judge's own."""
        name, text, lines = str(told["name"]), str(told["text"]), [str(line) for line in told["lines"]]
        known = [self.errors[number] for number in told.get("classes", ()) if number in self.errors]
        kind = known[0] if known else error_class(name, told["bases"])
        arguments = told.get("args")
        if name == "SystemExit":
            kind, arguments, text = RuntimeError, None, "The code asked Python to end, with exit() or the like."
        elif name == "KeyboardInterrupt":
            kind, arguments, text = RuntimeError, None, "It was interrupted."
        elif kind is RuntimeError and name != "RuntimeError":
            arguments, text = None, f"{name}: {text}".rstrip(": ")
        try:
            error = kind(*(arguments if isinstance(arguments, list) else [text] if text else []))
        except Exception:  # an exception that wants other arguments
            error = RuntimeError(f"{name}: {text}")
        error.__dict__["student_lines"] = lines
        return error


def _replay(printed: Any) -> None:
    """What the student's code has printed goes where a test wants it, if it listens; else it is not shown.

    A test that has redirected ``sys.stdout`` reads it. Otherwise it is dropped: it could show what the hidden tests ask.
    """
    stream = sys.stdout if printed["name"] == "stdout" else sys.stderr
    if not isinstance(stream, Stream):
        stream.write(str(printed["text"]))


class Judge:
    """One submission, judged from its first cell to its last."""

    def __init__(self, job: Job, session: Session, shell: Any) -> None:
        self.job, self.session, self.shell = job, session, shell
        self.recorder = Recorder(job.limits.output)
        self.module = types.ModuleType("__main__")
        self.space = self.module.__dict__
        self.space["get_ipython"] = lambda: shell
        session.heap.private = self.space
        self.mentioned: set[str] = set()
        self.bound: dict[str, int] = {}  # names that the instructor's cells have bound, and the cell that did so last
        self.literal = False  # whether the last expression that was run is a constant
        self.lent: set[str] = set()  # names whose value came from the student
        self.deadline = time.monotonic() + job.limits.total_seconds
        shell.displayhook.recorder = shell.display_pub.recorder = self.recorder
        sys.modules["__main__"] = self.module
        inspect.getsource = self._source_of  # type: ignore[assignment]

    def run(self) -> list[CellOutcome]:
        """Run every cell in order and return what became of each."""
        if self.job.trusted:
            self._quietly(self.job.trusted)
        if self.job.files or self.job.student_files:
            files = {**self.job.student_files, **self.job.files}
            self.session.request({"op": "files", "names": list(files)}, list(files.values()), seconds=CHORE)
        outcomes = []
        for cell in self.job.cells:
            start = time.perf_counter()
            outcome = CellOutcome(cell.index)
            try:
                {"student": self._student, "shared": self._shared, "tests": self._tests}[cell.kind](cell, outcome)
            except Ended:
                outcome.outputs = outcome.outputs or [_error_output("Stopped", self.session.stopped)]
                if cell.kind == "tests":
                    outcome.score, outcome.message = 0.0, self.session.stopped
            outcome.seconds = round(time.perf_counter() - start, 4)
            outcomes.append(outcome)
        return outcomes

    # -- the three kinds of cells -------------------------------------------------------------------------------

    def _student(self, cell: Cell, outcome: CellOutcome) -> None:
        try:
            reply, _ = self.session.request({"op": "cell", "source": cell.source}, seconds=self._seconds())
        except TimeUp:
            outcome.outputs = [_error_output("TimeoutError", self._too_long())]
            return
        try:
            told = reply["cell"]
            outcome.outputs = _sound(told["outputs"])
            outcome.memory = self.session.memory = max(self.session.memory, int(told["memory"]))
        except (KeyError, TypeError, ValueError):
            outcome.outputs = [_error_output("RuntimeError", "What this cell has shown cannot be read.")]

    def _shared(self, cell: Cell, outcome: CellOutcome) -> None:
        self._student(cell, CellOutcome(cell.index))
        self.recorder.begin()
        with self._limited():
            try:
                self._execute(cell)
            except TimeUp:
                self.recorder.error("TimeoutError", self._too_long(), [])
            except Exception as error:
                self.recorder.error(type(error).__name__, str(error), [])
        outcome.outputs = _sound(self.recorder.outputs)

    def _tests(self, cell: Cell, outcome: CellOutcome) -> None:
        self.recorder.begin()
        value: Any = None
        error: BaseException | None = None
        with self._limited():
            try:
                value = self._execute(cell)
            except TimeUp:
                error = TimeoutError(self._too_long())
            except Ended:
                error = RuntimeError(self.session.stopped)
            except Exception as raised:
                error = raised
            except BaseException as raised:  # a test that calls exit()
                error = RuntimeError(f"The test cell ended with {type(raised).__name__}.")
        if error is not None:
            name, text = type(error).__name__, _text(error)
            lines = error.__dict__.get("student_lines", [])
            outcome.score = 0.0
            outcome.message = text if name == "AssertionError" and text else f"{name}: {text}".rstrip(": ")
            if lines and name != "AssertionError":
                outcome.message += f" ({lines[-1]})"
            self.recorder.error(name, text, [outcome.message, *lines])
        else:
            self._verdict(cell, outcome, value)
        outcome.outputs, outcome.memory = _sound(self.recorder.outputs), self.session.memory
        if not self.session.stopped:
            with contextlib.suppress(TimeUp):  # then the process was ended, and every later test will say so
                self.session.forget()

    def _verdict(self, cell: Cell, outcome: CellOutcome, value: Any) -> None:
        """Points from the value of the last expression: none means all of them, a number that many.

        nbgrader gives all points for any other value. Here that holds for one that stands in the cell as it is, such as
        "passed"; another may be a student's doing, so it gives nothing until a person has looked.
        """
        points = _number(value)
        if value is None or (points is None and self.literal):
            outcome.score = cell.points
        elif points is None or not 0 <= points <= cell.points:  # NaN among them
            outcome.score, outcome.review = 0.0, True
            outcome.message = (
                f"The test ended with {_short(value)}, which is no number of points from 0 to {cell.points:g}."
            )
            self.recorder.error("ValueError", outcome.message, [outcome.message])
        else:
            outcome.score = points
        if outcome.score < cell.points and not outcome.message:
            printed = [one["text"] for one in self.recorder.outputs if one["output_type"] == "stream"]
            outcome.message = "".join(printed).strip()

    # -- running the instructor's code --------------------------------------------------------------------------

    def _execute(self, cell: Cell) -> Any:
        """Run a cell of the instructor's and return the value of its last expression."""
        value: Any = None
        hidden = _lines(_HIDDEN, cell.source)
        for theirs, source, first_line in _segments(cell.source):
            if theirs:
                tree = ast.parse(source)
                self._bind(cell)
                given = {name: self.space[name] for name in _loaded(tree) if name in self.space and name in self.bound}
                given = {name: item for name, item in given.items() if not callable(item) and not is_stand_in(item)}
                given = {name: item for name, item in given.items() if not isinstance(item, types.ModuleType)}
                self.space.update(self.session.run(source, given))
                continue
            tree = ast.parse(self.shell.transform_cell(source))
            self.mentioned |= _loaded(tree)
            self._bind(cell)
            value = self._exec(_explained(tree, source, {line - first_line for line in hidden}), cell.grade_id)
            for name in _stored(tree):
                self.bound[name] = cell.index
                self.lent.discard(name)
        return value

    def _exec(self, tree: ast.Module, name: str) -> Any:
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self.literal = isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)
        with printing(self.recorder):
            exec(compile(tree, f"<{name}>", "exec"), self.space)
            if not isinstance(last, ast.Expr):
                return None
            value = eval(compile(ast.Expression(last.value), f"<{name}>", "eval"), self.space)
            if value is not None and not is_stand_in(value):
                data, _ = self.shell.display_formatter.format(value)
                self.recorder.show("execute_result", data, execution_count=None)
            return value

    def _quietly(self, source: str) -> None:
        """Run the instructor's imports and definitions; one that does not run here is left to the cells."""
        for statement in ast.parse(self.shell.transform_cell(source)).body:
            tree = ast.Module([statement], [])
            try:
                self._exec(tree, "trusted")
            except Exception:
                continue
            for name in _stored(tree):
                self.bound[name] = -1

    def _bind(self, cell: Cell) -> None:
        """Bind the names that a cell wants and the student has: those an answer defines, and those nobody else has."""
        wanted = set()
        for name in self.mentioned:
            answered = self.job.answers.get(name)
            if answered is None:
                if name not in self.bound and not hasattr(builtins, name):
                    wanted.add(name)
            elif answered >= self.bound.get(name, -1):
                wanted.add(name)
        for name in self.lent & wanted:
            self.space.pop(name, None)
        found = self.session.names(wanted) if wanted and cell.kind == "tests" else {}
        self.space.update(found)
        self.lent |= set(found)
        self.session.named = {
            number
            for name, thing in found.items()
            if is_stand_in(thing) and (number := self.session.heap.number(thing))
        }

    @contextmanager
    def _limited(self) -> Iterator[None]:
        def up(*_: Any) -> None:
            raise TimeUp

        signal.signal(signal.SIGALRM, up)
        signal.setitimer(signal.ITIMER_REAL, self._seconds())
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _seconds(self) -> float:
        return max(0.05, min(self.job.limits.cell_seconds, self.deadline - time.monotonic()))

    def _too_long(self) -> str:
        return f"It took longer than {self.job.limits.cell_seconds:g} seconds, and was stopped."

    def _source_of(self, thing: Any) -> str:
        """``inspect.getsource`` for tests that read an answer: the text of its definition in the student's cells."""
        if not is_stand_in(thing):
            return "".join(inspect.getsourcelines(thing)[0])
        found = ""
        for cell in self.job.cells:
            if cell.kind == "student":
                try:
                    body = ast.parse(self.shell.transform_cell(cell.source)).body
                except SyntaxError:
                    continue
                for node in body:
                    if getattr(node, "name", None) == thing._told["name"]:
                        found = ast.get_source_segment(cell.source, node) or found
        if not found:
            raise OSError("source code not available")
        return found + "\n"


# -- reading a test cell ------------------------------------------------------------------------------------------


def _segments(source: str) -> Iterator[tuple[bool, str, int]]:
    """The parts of a cell: whether it is for the student's side, its text, and the number of lines before it."""
    place = 0
    for match in _THEIRS.finditer(source):
        yield False, source[place : match.start()], source.count("\n", 0, place)
        yield True, match[1], source.count("\n", 0, match.start(1))
        place = match.end()
    yield False, source[place:], source.count("\n", 0, place)


def _lines(pattern: re.Pattern[str], source: str) -> set[int]:
    """The numbers (from 1) of the lines that a pattern covers."""
    lines: set[int] = set()
    for match in pattern.finditer(source):
        first = source.count("\n", 0, match.start()) + 1
        lines |= set(range(first, first + match[0].count("\n") + 1))
    return lines


def _loaded(tree: ast.AST) -> set[str]:
    """Names a piece of code may look for: all that it mentions, and those it may ask for as text."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return names | {text for text in texts if text.isidentifier() and len(text) < 80}


def _stored(tree: ast.Module) -> set[str]:
    """Names that a piece of code binds at its top level."""
    found: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        todo.extend(ast.iter_child_nodes(node))
    return found


class _Explain(ast.NodeTransformer):
    """Give an assert without a message one: what was compared, and what came."""

    def __init__(self, source: str, hidden: set[int]) -> None:
        self.source, self.hidden, self.count = source, hidden, 0

    def visit_Assert(self, node: ast.Assert) -> Any:
        if node.msg is not None:
            return node
        shown = "" if node.lineno in self.hidden else (ast.get_source_segment(self.source, node.test) or "")
        test = node.test
        before: list[ast.stmt] = []
        parts: list[ast.expr] = []
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right = self._kept(test.left, before), self._kept(test.comparators[0], before)
            test = ast.Compare(left, test.ops, [right])
            parts = [left, right]
        message = ast.Call(
            ast.Name("__explain__", ast.Load()),
            [ast.Constant(shown), ast.Tuple(parts, ast.Load())],
            [],
        )
        return [*before, ast.Assert(test, message)]

    def _kept(self, value: ast.expr, before: list[ast.stmt]) -> ast.expr:
        self.count += 1
        name = f"__kept_{self.count}"
        before.append(ast.Assign([ast.Name(name, ast.Store())], value))
        return ast.Name(name, ast.Load())


def _explained(tree: ast.Module, source: str, hidden: set[int]) -> ast.Module:
    changed = _Explain(source, hidden).visit(tree)
    for node in ast.walk(changed):
        if isinstance(node, ast.Assert | ast.Assign) and not hasattr(node, "lineno"):
            node.lineno = node.col_offset = 0
    return ast.fix_missing_locations(changed)


def explain(shown: str, values: tuple[Any, ...]) -> str:
    """The message of a bare assert. A hidden one is told without its text or its numbers."""
    if not shown:
        return "A hidden test failed: on other values the result is not what it should be."
    if len(values) != 2:
        return f"This should hold, and does not: {shown}"
    return f"This should hold, and does not: {shown}. On the left stands {_short(values[0])}, on the right {_short(values[1])}."


builtins.__explain__ = explain  # type: ignore[attr-defined]


# -- small things -------------------------------------------------------------------------------------------------


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 200 else text[:200] + "…"


def _text(error: BaseException) -> str:
    try:
        return str(error)[:5000]
    except Exception:
        return ""


def _number(value: Any) -> float | None:
    """A real number as a float; None for anything else, truth values among it."""
    import numpy as np

    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return None
    try:
        return float(value)
    except (TypeError, OverflowError):
        return math.nan


def _error_output(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}


def _sound(outputs: Any) -> list[dict[str, Any]]:
    """Outputs as nbformat wants them, whatever the student's process calls its outputs."""
    sound: list[dict[str, Any]] = []
    for one in list(outputs)[:1000]:
        kind = one["output_type"]
        if kind == "stream" and one["name"] in ("stdout", "stderr"):
            sound.append({"output_type": kind, "name": one["name"], "text": _clean(one["text"])})
        elif kind in ("display_data", "execute_result"):
            data = {str(mime): _clean(text) for mime, text in one["data"].items()}
            more = {"execution_count": None} if kind == "execute_result" else {}
            sound.append({"output_type": kind, "data": data, "metadata": {}, **more})
        elif kind == "error":
            lines = [_clean(line) for line in one["traceback"]]
            sound.append({"output_type": kind, "ename": _clean(one["ename"]), "evalue": _clean(one["evalue"])})
            sound[-1]["traceback"] = lines or [f"{sound[-1]['ename']}: {sound[-1]['evalue']}"]
    return sound


def _clean(text: Any) -> str:
    """Text that can be written as UTF-8 and as JSON."""
    return str(text).encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def judge(job: Job, wire: Wire, events: Wire, shell: Any) -> Outcome:
    """Run one job against the student's process at the other end of ``wire``."""
    start = time.perf_counter()
    session = Session(wire, events)
    try:
        cells = Judge(job, session, shell).run()
    finally:
        wire.close()
    return Outcome(job.student, job.key, cells, True, round(time.perf_counter() - start, 3), session.stopped)
