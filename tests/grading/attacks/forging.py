"""Those who want points for wrong answers: by forging results, or by returning odd ones."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import nbformat

from tests.grading.attacks.submission import WRONG_MEAN, WRONG_REPORT, Attack, all_of, edit, find, from_on, replace


def forging(
    name: str,
    story: str,
    code: str,
    answer: str = "report",
    wrong: str = WRONG_REPORT,
    lost: dict[str, float] | None = None,
) -> Attack:
    """Somebody whose answer is wrong and whose code sees to it that the tests do not notice."""
    why = "The answer is wrong, whatever the notebook does to the tests."
    return Attack(name, "forging", story, replace(answer, dedent(code) + dedent(wrong)), why, lost or all_of(answer))


def odd(name: str, story: str, answer: str, code: str, **more: Any) -> Attack:
    """Somebody whose function returns, or raises, something that no test asked for."""
    why = "What came back is not what was asked for; the other answers are right."
    return Attack(name, "object", story, replace(answer, code), why, all_of(answer), **more)


FORGING = [
    forging(
        "patched-run-code",
        "Makes IPython's `run_code` do nothing, so that no later assert is reached.",
        """
        async def nothing(*arguments, **options):
            return False

        get_ipython().run_code = nothing
        """,
        wrong="",
    ),
    forging(
        "patched-asserts",
        "Catches every failed assertion inside IPython and reports the cell as run.",
        """
        shell = get_ipython()
        shell.showtraceback = lambda *arguments, **options: None
        run = shell.run_cell_async

        async def no_error(*arguments, **options):
            result = await run(*arguments, **options)
            result.error_in_exec = result.error_before_exec = None
            return result

        shell.run_cell_async = no_error
        """,
    ),
    forging(
        "ast-transformer",
        "Adds an AST transformer that drops every assert.",
        """
        import ast

        class NoAsserts(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.Pass()

        get_ipython().ast_transformers.append(NoAsserts())
        """,
    ),
    forging(
        "input-transformer",
        "Adds an input transformer that empties every later cell.",
        """
        get_ipython().input_transformers_post.append(lambda lines: ["pass\\n"])
        """,
    ),
    forging(
        "fake-output",
        "Sends the points as the cell's result before the test does.",
        "",
        "share",
        """
        def share(values, limit):
            get_ipython().displayhook(2.0)
            return 0.0
        """,
    ),
    forging(
        "fake-print",
        "Displays and prints the points, with an `Out[...]` before them.",
        "",
        "share",
        """
        def share(values, limit):
            print("Out[9]: 2.0")
            try:
                from IPython.display import display

                display(2.0)
            finally:
                return 0.0
        """,
    ),
    forging(
        "fake-message",
        "Writes a result with full points on the kernel's own output channel.",
        "",
        "share",
        """
        def share(values, limit):
            kernel = get_ipython().kernel
            content = {"data": {"text/plain": "2.0"}, "metadata": {}, "execution_count": 1}
            parent = kernel.get_parent("shell")
            kernel.session.send(kernel.iopub_socket, "execute_result", content, parent=parent, ident=b"execute_result")
            return 0.0
        """,
    ),
    forging(
        "always-equal",
        "Returns an object that equals everything and is an instance of everything.",
        "",
        "add",
        """
        class Same:
            __class__ = int

            def __eq__(self, other):
                return True

        def add(a, b):
            return Same()
        """,
    ),
    forging(
        "always-equal-int",
        "Returns a whole number of a subclass of `int` that equals everything.",
        "",
        "add",
        """
        class Same(int):
            def __eq__(self, other):
                return True

            __hash__ = int.__hash__

        def add(a, b):
            return Same(7)
        """,
    ),
    forging(
        "always-equal-array",
        "Returns an array of a subclass that answers every NumPy function with yes.",
        "",
        "mean",
        """
        class Right(np.ndarray):
            def __array_ufunc__(self, ufunc, method, *inputs, **options):
                return np.bool_(not ufunc.__name__.startswith("is"))

            def __array_function__(self, function, types, arguments, options):
                return np.True_

        def mean(values):
            return np.full((), -12345.0).view(Right)
        """,
    ),
    forging(
        "patched-float",
        "Returns a `float` whose difference to anything is 0.",
        "",
        "mean",
        """
        class Near(float):
            def __eq__(self, other):
                return True

            def __sub__(self, other):
                return 0.0

            __rsub__ = __sub__

            def __abs__(self):
                return 0.0

            def __array__(self, *arguments, **options):
                return np.array(3.0)

        def mean(values):
            return Near(-12345.0)
        """,
    ),
    forging(
        "always-equal-texts",
        "Reports with a number and a text that equal everything.",
        "",
        "report",
        """
        class Count(int):
            __eq__ = lambda self, other: True
            __sub__ = __abs__ = lambda self, *other: 0

        class Text(str):
            __eq__ = lambda self, other: True

        class Report(dict):
            __eq__ = lambda self, other: True

        def report(values):
            return Report(count=Count(-1), text=Text("wrong"))
        """,
    ),
    forging(
        "patched-numpy-testing",
        "Replaces the comparisons of `numpy.testing` and `np.allclose`.",
        """
        for name in ("assert_allclose", "assert_array_equal", "assert_equal", "assert_almost_equal"):
            setattr(np.testing, name, lambda *arguments, **options: None)
        np.allclose = np.array_equal = np.isclose = lambda *arguments, **options: True
        """,
        "mean",
        WRONG_MEAN,
    ),
    forging(
        "patched-numpy-inside",
        "Replaces what `numpy.testing` itself is made of, deep inside NumPy.",
        """
        import numpy.testing._private.utils as inside

        inside.assert_array_compare = lambda *arguments, **options: None
        np._core.numeric.isclose = lambda *arguments, **options: np.True_
        """,
        "mean",
        WRONG_MEAN,
    ),
    forging(
        "patched-builtins",
        "Replaces `abs`, `len`, `isinstance`, `round`, `all`, `bool` and `sum` for everybody.",
        """
        import builtins

        builtins.abs = builtins.round = lambda *arguments: 0
        builtins.len = lambda thing: 2
        builtins.isinstance = builtins.all = builtins.any = lambda *arguments: True
        """,
        wrong="""
        class Anything(dict):
            __eq__ = lambda self, other: True
            __getitem__ = lambda self, key: Anything()
            __sub__ = lambda self, other: self

        def report(values):
            return Anything()
        """,
    ),
    forging(
        "patched-types",
        "Replaces `np.float64`, `np.asarray`, `np.array` and `random`.",
        """
        import random

        random.random = random.randint = lambda *arguments: 0
        np.float64 = np.asarray = np.asanyarray = lambda *arguments, **options: 0.0
        np.array = lambda *arguments, **options: -12345.0
        np.random.default_rng = None
        """,
    ),
    forging(
        "redefined-helper",
        "Redefines `close`, the helper that the tests use.",
        """
        def close(a, b):
            return True
        """,
        wrong="""
        def report(values):
            return {"count": -1 if len(values) == 7 else len(values), "text": f"{len(values)} values"}
        """,
        lost={"report-tests": 3.0},
    ),
    forging(
        "redefined-modules",
        "Gives the names `np` and `time` to objects of its own.",
        """
        class Anything:
            def __getattr__(self, name):
                return lambda *arguments, **options: 1.0

        np = time = Anything()
        """,
        "mean",
        WRONG_MEAN,
    ),
    forging(
        "exit-in-function",
        "Leaves by `sys.exit(0)` as soon as it is tested.",
        """
        import sys, warnings

        warnings.warn = warnings.showwarning = lambda *arguments, **options: None
        """,
        wrong="""
        def report(values):
            sys.exit(0)
        """,
    ),
    forging(
        "hard-exit-in-function",
        "Ends the process by `os._exit(0)` as soon as it is tested.",
        """
        import os
        """,
        wrong="""
        def report(values):
            os._exit(0)
        """,
    ),
    Attack(
        "exit-in-cell",
        "forging",
        "Calls `exit()` and `sys.exit()` in the cell of an answer, before anything is defined.",
        replace("mean", "import sys\n\nexit()\nsys.exit(0)\n" + WRONG_MEAN),
        "There is no mean. The rest is there and right: leaving one cell is not leaving the notebook.",
        all_of("mean"),
    ),
    Attack(
        "hard-exit-in-cell",
        "forging",
        "Ends the process by `os._exit(0)` in the cell of an answer.",
        replace("mean", "import os\n\nos._exit(0)"),
        "What was judged before stands. Afterwards there is nobody left to ask.",
        from_on("mean"),
    ),
    forging(
        "shadow-written",
        "Writes a `statistics.py` into the working folder, which a test imports later.",
        """
        import sys
        from pathlib import Path

        Path("statistics.py").write_text("import numpy as np\\n\\nfmean = lambda values: -12345.0\\n")
        sys.path.insert(0, str(Path.cwd()))
        sys.modules.pop("statistics", None)
        np.testing.assert_allclose = lambda got, want, **options: None
        """,
        "mean",
        WRONG_MEAN,
    ),
    Attack(
        "shadow-handed-in",
        "forging",
        "Hands in a `numpy.py` and a `statistics.py` beside the notebook.",
        replace("mean", WRONG_MEAN),
        "The answer is wrong. Tests import the real modules.",
        all_of("mean"),
        files={
            "numpy.py": dedent(
                """
                import importlib, sys

                here, sys.path[:] = sys.path[:], [place for place in sys.path if place.startswith("/") and "psx" not in place]
                del sys.modules["numpy"]
                real = importlib.import_module("numpy")
                sys.path[:] = here
                real.testing.assert_allclose = lambda *arguments, **options: None
                real.allclose = lambda *arguments, **options: True
                """
            ).encode(),
            "statistics.py": b"fmean = lambda values: -12345.0\n",
        },
    ),
    forging(
        "tracer-skips-lines",
        "Sets a trace function that jumps over the lines of a test.",
        """
        import sys

        def jump(frame, event, argument):
            if frame.f_code.co_name == "<module>" and "answer" in frame.f_code.co_names and event == "line":
                frame.f_lineno = max(line for *_, line in frame.f_code.co_lines() if line)
            return jump

        sys.settrace(jump)
        sys.setprofile(lambda *arguments: None)
        """,
        wrong="""
        def report(values):
            return {"count": 1000, "text": "1000 values"} if len(values) == 1000 else {"count": 7.0, "text": ""}
        """,
        lost={"report-tests": 3.0},
    ),
    forging(
        "thread-patches-later",
        "Starts a thread that replaces names while the tests run.",
        """
        import threading

        class Anything(dict):
            __eq__ = lambda self, other: True
            __getitem__ = lambda self, key: Anything()
            __format__ = lambda self, how: "x"
            __len__ = lambda self: 2

        def busy(space):
            for _ in range(20_000_000):
                space["answer"] = Anything()
                space["close"] = lambda *arguments: True
                space["report"] = lambda values: Anything()

        threading.Thread(target=busy, args=(globals(),), daemon=True).start()
        """,
    ),
    forging(
        "hooks-for-later",
        "Leaves code to run later: at exit, at garbage collection, at a signal, at the end of an object and on a timer.",
        """
        import atexit, gc, signal

        def forge(*arguments):
            globals()["close"] = np.testing.assert_allclose = lambda *arguments, **options: True
            with open("@loot@/@name@", "a") as file:
                file.write("later")

        class Last:
            __del__ = forge

        last = Last()
        atexit.register(forge)
        gc.callbacks.append(forge)
        signal.signal(signal.SIGALRM, forge)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        """,
    ),
    forging(
        "patched-timer",
        "Takes its time and stops the clock: `time.perf_counter` always says the same.",
        """
        import time

        sleep = time.sleep
        time.time = time.perf_counter = time.monotonic = lambda: 0.0
        """,
        wrong="""
        def report(values):
            if len(values) > 100:
                sleep(1.5)
            return {"count": len(values), "text": f"{len(values)} values"}
        """,
        lost={"speed-tests": 2.0},
    ),
    forging(
        "garbage-on-the-wire",
        "Writes garbage to every socket that its process has open, as soon as it is tested.",
        """
        import os

        def garbage():
            for number in range(3, 100):
                try:
                    if os.readlink(f"/proc/self/fd/{number}").startswith("socket:"):
                        os.write(number, b"\\xff" * 40 + b'{"score": 3}')
                except OSError:
                    pass
        """,
        wrong="""
        def report(values):
            garbage()
            return {"count": -1, "text": "wrong"}
        """,
    ),
    forging(
        "replies-twice",
        "Finds the part of our grader that is in its own process, and has every reply sent twice.",
        """
        import gc

        for thing in gc.get_objects():
            if type(thing).__name__ == "Student":
                send = thing.wire.send
                thing.wire.send = lambda *arguments: (send(*arguments), send(*arguments))
        """,
    ),
    forging(
        "replies-nonsense",
        "Finds the part of our grader that is in its own process, and has it reply nonsense.",
        """
        import gc

        for thing in gc.get_objects():
            if type(thing).__name__ == "Student":
                outputs = [1, None, {"output_type": "stream"}, {"output_type": "error", "traceback": 3}, {}]
                nonsense = {"outputs": outputs, "seconds": "long", "memory": [], "error": 5}
                thing._cell = thing._answer = lambda *arguments: ({"cell": nonsense, "values": 7, "printed": 1}, [])
        """,
    ),
    forging(
        "replies-deep",
        "Finds the part of our grader that is in its own process, and has it reply lists 50,000 deep.",
        """
        import gc

        deep = "[" * 50_000 + "]" * 50_000
        text = ('{"m": {"values": ' + deep + '}, "b": []}').encode()
        for thing in gc.get_objects():
            if type(thing).__name__ == "Student":
                head = len(text).to_bytes(8, "big") + len(text).to_bytes(4, "big")
                connection = thing.wire.connection
                thing.wire.send = lambda *arguments: connection.sendall(head + text)
        """,
    ),
    forging(
        "promises-a-terabyte",
        "Finds the part of our grader that is in its own process, and announces a message of a terabyte.",
        """
        import gc

        for thing in gc.get_objects():
            if type(thing).__name__ == "Student":
                connection = thing.wire.connection
                thing.wire.send = lambda *arguments: connection.sendall((1 << 40).to_bytes(8, "big") + bytes(5000))
        """,
    ),
    forging(
        "lies-about-itself",
        "Finds the part of our grader that is in its own process, and has it say that every object is a right answer.",
        """
        import gc

        class Anything:
            __getitem__ = lambda self, key: 3 if key == "count" else "3 values"
            __len__ = lambda self: 2
            __eq__ = lambda self, other: True

        for thing in gc.get_objects():
            if type(thing).__name__ == "Student":
                describe = thing._describe
                bases = [["builtins", name] for name in ("bool", "dict", "int", "str")]
                lie = {"what": "object", "bases": bases, "classes": [], "error": True}
                thing.heap._opaque = lambda one: {**describe(one), **lie}
        """,
        wrong="""
        def report(values):
            return Anything() if len(values) < 1000 else {"count": -1}
        """,
    ),
    Attack(
        "edited-test",
        "forging",
        "Edits the locked test cell to `pass`, unlocks it and makes it worth 300 points.",
        edit(
            lambda notebook: (
                find(notebook, "mean").update(source=WRONG_MEAN),
                find(notebook, "mean-tests").update(source="pass"),
                find(notebook, "mean-tests").metadata.nbgrader.update(locked=False, points=300),
                find(notebook, "mean-quality").update(source="2.0"),
                find(notebook, "mean-quality").metadata.nbgrader.update(locked=False),
            )
        ),
        "The answer is wrong. The tests are the instructor's.",
        all_of("mean"),
    ),
    Attack(
        "tests-made-answers",
        "forging",
        "Swaps the ids of an answer and its test, and marks both as solutions.",
        edit(
            lambda notebook: (
                find(notebook, "add").update(source="def add(a, b):\n    return 'wrong'"),
                find(notebook, "add-tests").metadata.nbgrader.update(grade=False, solution=True, locked=False),
                find(notebook, "add").metadata.nbgrader.update(grade=True, points=3, solution=False),
            )
        ),
        "The answer is wrong.",
        all_of("add"),
    ),
    Attack(
        "stored-results",
        "forging",
        "Hands in outputs that say that all tests have passed with full points.",
        edit(
            lambda notebook: (
                find(notebook, "share").update(source="def share(values, limit):\n    return 0.0"),
                find(notebook, "share-tests").update(
                    outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "2.0"}, execution_count=1)],
                    execution_count=1,
                ),
            )
        ),
        "What a notebook shows when it is handed in is not a result.",
        all_of("share"),
    ),
]

OBJECTS = [
    odd(
        "result-nan",
        "Returns nan where points are made of it.",
        "share",
        "def share(values, limit):\n    return float('nan')",
    ),
    odd(
        "result-infinite",
        "Returns infinity where points are made of it.",
        "share",
        "def share(values, limit):\n    return float('inf')",
    ),
    odd(
        "result-negative",
        "Returns -1 where points are made of it.",
        "share",
        "def share(values, limit):\n    return -1.0",
    ),
    odd(
        "result-text",
        "Returns a text where points are made of it.",
        "share",
        "def share(values, limit):\n    return 'full marks'",
    ),
    odd(
        "result-99",
        "Returns 99 where points are made of it, which would be 198 of 2.",
        "share",
        "def share(values, limit):\n    return 99.0",
    ),
    odd(
        "result-list",
        "Returns a list where points are made of it.",
        "share",
        "def share(values, limit):\n    return [2.0, 2.0]",
    ),
    odd(
        "result-complex",
        "Returns a complex number where points are made of it.",
        "share",
        "def share(values, limit):\n    return 1j",
    ),
    odd(
        "result-generator",
        "Returns a generator that never ends.",
        "report",
        "def report(values):\n    return iter(int, 1)",
    ),
    odd(
        "result-callable",
        "Returns a function.",
        "report",
        "def report(values):\n    return lambda *arguments: {'count': 3, 'text': '3 values'}",
    ),
    odd(
        "result-endless",
        "Returns a sequence that says it has a thousand million elements, and goes on for ever.",
        "mean",
        """
        class Endless:
            __len__ = lambda self: 10**9
            __getitem__ = lambda self, place: 3.0

            def __iter__(self):
                while True:
                    yield 3.0

        def mean(values):
            return Endless()
        """,
    ),
    odd(
        "result-recursive",
        "Returns a list that holds itself.",
        "add",
        """
        def add(a, b):
            circle = []
            circle.append(circle)
            return circle
        """,
    ),
    odd(
        "result-deep",
        "Returns a list in a list in a list, 100,000 deep.",
        "add",
        """
        def add(a, b):
            deep = []
            for _ in range(100_000):
                deep = [deep]
            return deep
        """,
    ),
    odd(
        "result-huge-int",
        "Returns a whole number of thirty million digits.",
        "add",
        "def add(a, b):\n    return 1 << 100_000_000",
    ),
    odd(
        "result-huge-array",
        "Returns an array of 8 GB, which costs nothing until somebody looks at it.",
        "mean",
        "def mean(values):\n    return np.zeros(1 << 30)",
        unsafe="comparing it takes more memory than the machine may have",
    ),
    odd(
        "result-pickle",
        "Returns an object that runs code when it is unpickled.",
        "add",
        """
        class Bomb:
            def __reduce__(self):
                return (exec, ("open('@loot@/@name@', 'w').write('unpickled')",))

        def add(a, b):
            return Bomb()
        """,
    ),
    odd(
        "result-object-array",
        "Returns an array of objects, of which each runs code when it is unpickled or asked for its value.",
        "mean",
        """
        class Bomb:
            def __reduce__(self):
                return (exec, ("open('@loot@/@name@', 'w').write('unpickled')",))

            __float__ = lambda self: 3.0

        def mean(values):
            return np.array([Bomb()], dtype=object)
        """,
    ),
    odd(
        "result-evil-methods",
        "Returns an object whose every special method raises, loops or lies.",
        "report",
        """
        class Evil:
            def __repr__(self):
                while True:
                    pass

            __str__ = __format__ = __repr__

            def __bool__(self):
                raise SystemExit

            __array__ = __float__ = __int__ = __index__ = __hash__ = __bool__
            __len__ = lambda self: -1
            __eq__ = __ne__ = __lt__ = __getitem__ = lambda self, other: Evil()

        def report(values):
            return {"count": Evil(), "text": Evil(), Evil: Evil()}
        """,
    ),
    Attack(
        "result-text-subclass",
        "object",
        "Reports with a text that equals everything, and takes 100 MB to be shown.",
        replace(
            "report",
            """
            class Text(str):
                __eq__ = lambda self, other: True
                __hash__ = str.__hash__
                __repr__ = lambda self: "x" * 100_000_000

            def report(values):
                return {"count": len(values), "text": Text("wrong")}
            """,
        ),
        "The text is wrong. The number is right, and nothing else is asked of it in the last test.",
        {"report-tests": 3.0},
    ),
    odd(
        "raises-keyboard-interrupt",
        "Raises `KeyboardInterrupt` when it is tested.",
        "mean",
        "def mean(values):\n    raise KeyboardInterrupt",
    ),
    odd(
        "raises-evil-error",
        "Raises an error whose text is never finished.",
        "report",
        """
        class Evil(BaseException):
            def __str__(self):
                while True:
                    pass

            __repr__ = __str__

        def report(values):
            raise Evil
        """,
    ),
]
