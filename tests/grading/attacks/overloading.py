"""Those who stop the grader, or use up the machine it runs on."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import nbformat

from tests.grading.attacks.submission import (
    WRONG_MEAN,
    WRONG_REPORT,
    Attack,
    all_of,
    edit,
    find,
    from_on,
    put_before,
    replace,
)

# Stopping and using up come last in the notebook, so that the answers before them keep their points.
_ENDING = "What was judged before stands; this answer is wrong, if there is still anybody to give it."


def stopping(name: str, group: str, story: str, code: str, **more: Any) -> Attack:
    """Somebody whose last answer is not one: it stops the grader, or uses up the machine."""
    return Attack(name, group, story, replace("report", dedent(code) + WRONG_REPORT), _ENDING, all_of("report"), **more)


STOPPING = [
    stopping(
        "kills-parent",
        "stopping",
        "Kills the process that started it.",
        "import os, signal\n\nos.kill(os.getppid(), signal.SIGKILL)\n",
    ),
    stopping(
        "freezes-parent",
        "stopping",
        "Freezes the process that started it, with SIGSTOP.",
        "import os, signal\n\nos.kill(os.getppid(), signal.SIGSTOP)\n",
    ),
    stopping(
        "kills-everybody",
        "stopping",
        "Kills every process that it may.",
        # should the wall have a hole, this must not bring down the machine that runs the tests: it says so and stops
        """
        import os, signal

        try:
            os.kill(@pid@, 0)
        except OSError:
            os.kill(-1, signal.SIGKILL)
        else:
            print("REACHED the grader")
        """,
        not_printed="REACHED",
        unsafe="it would end every process on the machine",
    ),
    stopping(
        "segfault",
        "stopping",
        "Crashes the interpreter by reading address 0.",
        "import ctypes\n\nctypes.string_at(0)\n",
    ),
    Attack(
        "endless-loop",
        "stopping",
        "Loops for ever in the cell of an answer.",
        replace("mean", "while True:\n    pass\n" + WRONG_MEAN),
        "There is no mean. The cell is interrupted when its time is up, and the rest is right.",
        all_of("mean"),
    ),
    Attack(
        "endless-in-function",
        "stopping",
        "Loops for ever when it is tested.",
        replace("report", "def report(values):\n    while True:\n        pass"),
        "There is no report.",
        all_of("report"),
    ),
    Attack(
        "endless-ignoring-sigint",
        "stopping",
        "Loops for ever and ignores SIGINT.",
        replace("mean", "import signal\n\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"),
        "What was judged before stands. Somebody who cannot be interrupted has to be stopped altogether.",
        from_on("mean"),
    ),
    Attack(
        "endless-catching-all",
        "stopping",
        "Loops for ever and catches every exception, KeyboardInterrupt among them.",
        replace(
            "mean",
            """
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    pass
            """,
        ),
        "What was judged before stands. Somebody who cannot be interrupted has to be stopped altogether.",
        from_on("mean"),
    ),
    Attack(
        "endless-in-c",
        "stopping",
        "Computes for a very long time inside one operation that no signal interrupts.",
        replace("report", "sum(range(10**13))\n" + WRONG_REPORT),
        "There is no report.",
        all_of("report"),
    ),
    Attack(
        "waits-for-input",
        "stopping",
        "Asks for input, in a cell of its own and in a function that is tested.",
        edit(
            lambda notebook: (
                notebook.cells.insert(3, nbformat.v4.new_code_cell("name = input('Who are you? ')")),
                find(notebook, "mean").update(source="def mean(values):\n    return float(input('mean? '))"),
            )
        ),
        "Nobody answers. The mean is missing, the rest is right.",
        all_of("mean"),
    ),
]

USING = [
    stopping(
        "fork-bomb",
        "using",
        "Forks a thousand processes that stay.",
        """
        import os, time

        born = 0
        try:
            for _ in range(1000):
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                born += 1
        except OSError as error:
            print(error)
        print("BORN all of them" if born == 1000 else born)
        """,
        not_printed="BORN all",
    ),
    stopping(
        "thread-bomb",
        "using",
        "Starts two thousand threads.",
        """
        import threading

        stop, born = threading.Event(), 0
        try:
            for _ in range(2000):
                threading.Thread(target=stop.wait, args=(60,), daemon=True).start()
                born += 1
        except RuntimeError as error:
            print(error)
        print("BORN all of them" if born == 2000 else born)
        """,
        not_printed="BORN all",
    ),
    stopping(
        "memory-100-gb",
        "using",
        "Asks for 100 GB at once, and writes to it.",
        "big = np.ones(100 << 27)\nprint('GOT', big.nbytes)\n",
        not_printed="GOT",
    ),
    stopping(
        "memory-slice-by-slice",
        "using",
        "Takes memory in slices of 128 MB, up to 6 GB.",
        """
        slices = []
        try:
            while len(slices) < 48:
                slices.append(b"x" * (128 << 20))
        except MemoryError:
            pass
        print("GOT all of it" if len(slices) == 48 else len(slices))
        slices.clear()
        """,
        not_printed="GOT all",
    ),
    stopping(
        "disk-fill",
        "using",
        "Fills the disk with files of 50 MB, up to 600 MB.",
        """
        written = 0
        try:
            for number in range(12):
                with open(f"filler-{number}", "wb") as file:
                    written += file.write(bytes(50 << 20))
        except OSError as error:
            print(error)
        print("WROTE all of it" if written == 600 << 20 else written)
        """,
        not_printed="WROTE all",
    ),
    stopping(
        "open-files",
        "using",
        "Opens five thousand files and keeps them.",
        """
        import os

        kept = []
        try:
            for _ in range(5000):
                kept.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            print(error)
        print("OPENED all of them" if len(kept) == 5000 else len(kept))
        for number in kept:
            os.close(number)
        """,
        not_printed="OPENED all",
    ),
    Attack(
        "output-60-mb",
        "using",
        "Prints 60 MB before a right answer.",
        put_before("report", "for _ in range(600):\n    print('x' * 100_000)"),
        "To talk too much is no mistake. The output is cut, the answer is right.",
    ),
    Attack(
        "output-in-test",
        "using",
        "Prints 60 MB while it is tested, and answers rightly.",
        replace("add", "def add(a, b):\n    for _ in range(150):\n        print('x' * 100_000)\n    return a + b"),
        "To talk too much is no mistake. The output is cut, the answer is right.",
    ),
]
