"""The student's side: a process that runs the student's cells and does with their objects what the judge asks.

It lives behind a wall (:mod:`labkit.grading.sealed.walls`) and the student's code can do to it what it likes: whatever
this module says to the judge is a claim, never a verdict. It knows no test, and learns of each only the values that
the test hands over.
"""

from __future__ import annotations

import builtins
import copy
import inspect
import io
import itertools
import operator
import resource
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labkit.grading.sealed.heap import Heap, set_random_state
from labkit.grading.sealed.wire import Lost, Wire

_SHOWN = ("text/plain", "image/png", "image/jpeg", "image/svg+xml", "text/latex", "text/markdown", "text/html")


class Recorder:
    """Collects what a cell shows, as nbformat outputs, up to ``most`` bytes in all."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.begin()

    def begin(self) -> None:
        """Start anew, for the next cell."""
        self.outputs: list[dict[str, Any]] = []
        self._left = self.most
        self._cut = False

    def write(self, name: str, text: str) -> None:
        """Add to what was printed on ``stdout`` or ``stderr``."""
        text = self._fit(text)
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        elif text:
            self.outputs.append({"output_type": "stream", "name": name, "text": text})

    def show(self, kind: str, data: dict[str, Any], **more: Any) -> None:
        """Add a picture or a value."""
        shown: dict[str, Any] = {}
        for mime, content in data.items():
            if mime in _SHOWN and isinstance(content, str) and len(content) <= self._left:
                self._left -= len(content)
                shown[mime] = content
        if shown:
            self.outputs.append({"output_type": kind, "data": shown, "metadata": {}, **more})

    def error(self, name: str, value: str, lines: list[str]) -> None:
        """Add an error; there is always room for one."""
        self.outputs.append({"output_type": "error", "ename": name, "evalue": value[:5000], "traceback": lines[-40:]})

    def _fit(self, text: str) -> str:
        if len(text) <= self._left:
            self._left -= len(text)
            return text
        text, self._left = text[: self._left], 0
        if not self._cut:
            self._cut = True
            text += "\n[What was printed after this was too long to be kept.]\n"
        return text


class Stream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of the student's cells."""

    encoding = "utf-8"

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._recorder.write(self._name, text)
        return len(text)

    def writable(self) -> bool:
        return True


@contextmanager
def printing(recorder: Recorder) -> Iterator[None]:
    """Send what is printed to a recorder for as long as the ``with`` lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream(recorder, "stdout"), Stream(recorder, "stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def make_shell() -> Any:
    """An IPython without a terminal or a kernel: magics and displays work as in a notebook. Made once, before the fork."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Hook(DisplayHook):
        recorder: Any = None

        def __call__(self, result: Any = None) -> None:
            self.check_for_underscore()
            if result is None or self.quiet():
                return
            data, _ = self.compute_format_data(result)
            self.update_user_ns(result)
            self.fill_exec_result(result)
            self.recorder.show("execute_result", data, execution_count=None)

    class Publisher(DisplayPublisher):
        recorder: Any = None

        def publish(self, data: Any, metadata: Any = None, **_: Any) -> None:  # type: ignore[override]
            self.recorder.show("display_data", data)

        def clear_output(self, wait: bool = False) -> None:
            self.recorder.begin()

    class Shell(InteractiveShell):
        displayhook_class = Hook
        display_pub_class = Publisher

        def ask_exit(self) -> None:
            raise SystemExit

        def enable_gui(self, gui: Any = None) -> None:
            pass

        def _showtraceback(self, *_: Any) -> None:
            """A notebook keeps an error as an output of its own, so nothing is printed."""

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Context"
    shell = Shell.instance(config=config)
    if shell.display_formatter is not None:
        shell.display_formatter.active_types = list(_SHOWN)
    return shell


class Student:
    """Serves one judge until it hangs up."""

    def __init__(self, wire: Wire, shell: Any, most_output: int) -> None:
        self.wire, self.shell = wire, shell
        self.recorder = Recorder(most_output)
        self.heap = Heap(first=1, opaque=self._describe)
        self.graphs: dict[int, list[Any]] = {}
        self.user: dict[str, Any] = shell.user_ns
        shell.displayhook.recorder = shell.display_pub.recorder = self.recorder

    def serve(self) -> None:
        """Answer until the judge hangs up."""
        answers: dict[str, Callable[[dict[str, Any], list[bytes]], tuple[dict[str, Any], list[bytes]]]] = {
            "cell": self._cell,
            "names": self._names,
            "do": self._do,
            "run": self._run,
            "backward": self._backward,
            "forget": self._forget,
            "files": self._files,
        }
        while True:
            try:
                message, blobs = self.wire.receive()
            except Lost:
                return
            except KeyboardInterrupt:  # it came too late, between two requests
                continue
            try:
                reply, data = answers[message["op"]](message, blobs)
            except KeyboardInterrupt:
                reply, data = {"error": {"name": "KeyboardInterrupt", "text": "", "lines": [], "bases": []}}, []
            except BaseException as error:  # the student's exit() among them
                reply, data = {"error": self._told(error)}, []
            self.wire.send(reply, data)

    # -- cells --------------------------------------------------------------------------------------------------

    def _cell(self, message: dict[str, Any], _: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        self.recorder.begin()
        start = time.perf_counter()
        with printing(self.recorder):
            result = self.shell.run_cell(message["source"], store_history=False, silent=False)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            told = self._told(error)
            self.recorder.error(told["name"], told["text"], told["lines"])
        reply = {
            "outputs": self.recorder.outputs,
            "seconds": time.perf_counter() - start,
            "memory": _peak_memory(),
            "error": None if error is None else self._told(error),
        }
        return {"cell": reply}, []

    # -- what the judge asks ------------------------------------------------------------------------------------

    def _names(self, message: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        self.heap.bridge = []
        found = {}
        for name in message["names"]:
            if name in self.user:
                found[name] = self.user[name]
        packed, data = self.heap.pack(found)
        return {"values": packed}, data

    def _do(self, message: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        arguments, options = self.heap.unpack(message["values"], blobs)
        around = self.heap.reached((arguments, options))
        return self._answer(message, lambda: _OPERATIONS[message["what"]](*arguments, **options), around)

    def _run(self, message: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """A part of a test that its author lets run on this side: names go in as data, and come out as data."""
        given, options = self.heap.unpack(message["values"], blobs)
        del options
        space = {**self.user, **given}
        before = dict(space)

        def run() -> dict[str, Any]:
            exec(compile(message["source"], "<student side>", "exec"), space)
            return {
                name: item
                for name, item in space.items()
                if name != "__builtins__" and (name not in before or before[name] is not item)
            }

        return self._answer(message, run, self.heap.reached(given))

    def _answer(
        self, message: dict[str, Any], what: Callable[[], Any], around: list[Any]
    ) -> tuple[dict[str, Any], list[bytes]]:
        torch = sys.modules.get("torch")
        self.recorder.begin()
        self.heap.bridge = []
        if message["random"] is not None:
            set_random_state(message["random"])
        if torch is not None:
            torch.set_grad_enabled(message["gradients"])
        error, result = None, None
        with printing(self.recorder):
            try:
                result = what()
            except BaseException as raised:
                error = raised
        reply: dict[str, Any] = {"printed": [one for one in self.recorder.outputs if one["output_type"] == "stream"]}
        reply["memory"] = _peak_memory()
        if torch is not None:
            reply["gradients"] = torch.is_grad_enabled()
        if error is not None:
            reply["error"] = self._told(error)
        packed, data = self.heap.pack(result, also=around)
        if self.heap.bridge:
            self.graphs[message["call"]] = self.heap.bridge
        reply["values"] = packed
        return reply, data

    def _backward(self, message: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """The gradients of some results of an earlier call with respect to some of its arguments."""
        import torch

        (gradients, inputs), _ = self.heap.unpack(message["values"], blobs)
        pairs = [
            (output, gradient)
            for output, gradient in zip(self.graphs[message["of"]], gradients, strict=True)
            if gradient is not None
        ]
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            inputs,
            [gradient for _, gradient in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        packed, data = self.heap.pack(list(found))
        return {"values": packed}, data

    def _forget(self, message: dict[str, Any], _: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        self.heap.forget(set(message["keep"]))
        self.graphs.clear()
        return {}, []

    def _files(self, message: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """Write what lies beside the notebook into the working folder."""
        for name, content in zip(message["names"], blobs, strict=True):
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return {}, []

    # -- what cannot be data ------------------------------------------------------------------------------------

    def _describe(self, thing: Any) -> dict[str, Any]:
        """What the judge is told of an object that stays here."""
        kind = type(thing)
        told: dict[str, Any] = {"name": str(getattr(thing, "__name__", kind.__name__))[:200], "class": kind.__name__}
        if isinstance(thing, type):
            told["what"] = "class"
            classes = thing.__mro__
            told["error"] = issubclass(thing, Exception)
        elif isinstance(thing, types.FunctionType | types.MethodType | types.BuiltinFunctionType):
            told["what"], classes = "function", ()
            told["signature"] = _signature(thing)
        elif isinstance(thing, types.ModuleType):
            told["what"], classes = "module", ()
        else:
            told["what"], classes = "object", kind.__mro__
            told["callable"] = callable(thing)
            told["iterates"] = hasattr(kind, "__next__")
        told["doc"] = str(thing.__doc__)[:2000] if isinstance(getattr(thing, "__doc__", None), str) else None
        told["bases"] = [[one.__module__, one.__qualname__] for one in classes if one.__module__ != "__main__"]
        told["classes"] = [
            self.heap.number(one) if self.heap.number(one) is not None else self.heap.add(one)
            for one in classes
            if one.__module__ == "__main__"
        ]
        return told

    def _told(self, error: BaseException) -> dict[str, Any]:
        """An error as data: its name, its text, the library classes it is a kind of, and where in the cells it arose."""
        lines = []
        for frame in traceback.extract_tb(error.__traceback__)[-20:]:
            if "ipykernel_" in frame.filename or frame.filename.startswith(("<ipython-input", "<student")):
                lines.append(f"in {frame.name}, line {frame.lineno}: {frame.line or ''}".rstrip(": "))
        arguments = getattr(error, "args", ())
        simple = isinstance(arguments, tuple) and len(arguments) == 1 and isinstance(arguments[0], str | int | float)
        try:
            text = str(error)[:5000]
        except Exception:
            text = ""
        if isinstance(error, SyntaxError):
            lines = [f"line {error.lineno}: {(error.text or '').strip()}"]
            text = error.msg or text
        return {
            "name": type(error).__name__[:200],
            "text": text,
            "args": list(arguments) if simple else None,
            "lines": lines,
            "bases": [[one.__module__, one.__qualname__] for one in type(error).__mro__],
            "classes": [number for one in type(error).__mro__ if (number := self.heap.number(one)) is not None],
        }


def _peak_memory() -> int:
    """The most memory that this process has used so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _signature(thing: Any) -> list[list[Any]] | None:
    """Name, kind and whether there is a default, for each parameter."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[one.name, int(one.kind), one.default is not one.empty] for one in parameters]


def _some(things: Any, most: int) -> list[Any]:
    """The next ``most`` items of an iterator."""
    return list(itertools.islice(things, most))


def _array(thing: Any) -> Any:
    import numpy as np

    array = np.asarray(thing)
    if array.dtype.hasobject:
        raise TypeError(f"a {type(thing).__name__} holds no numbers")
    return array


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda thing, *arguments, **options: thing(*arguments, **options),
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "len": len,
    "iter": iter,
    "some": _some,
    "enter": lambda thing: type(thing).__enter__(thing),
    "exit": lambda thing: type(thing).__exit__(thing, None, None, None),
    "repr": lambda thing: repr(thing)[:10_000],
    "str": lambda thing: str(thing)[:100_000],
    "float": float,
    "int": int,
    "index": operator.index,
    "bool": bool,
    "array": _array,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "operator": lambda name, *operands: getattr(operator, name)(*operands),
}


def no_input(*_: Any, **__: Any) -> str:
    """``input()`` while grading."""
    raise RuntimeError("input() waits for somebody to type, and nobody is there while this is graded")


def main(wire: Wire, shell: Any, most_output: int) -> None:
    """Run one student's cells until the judge hangs up."""
    builtins.input = no_input
    Student(wire, shell, most_output).serve()
