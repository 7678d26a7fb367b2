"""The guides keep their word: every command of the instructor's guide is run, every message in it is provoked.

``docs/instructors.md`` is read as one session at a terminal. Servers are started where the guide starts them, asked
whether they serve, and stopped at the end.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import pytest

from labkit import cli
from labkit.course import Course
from labkit.grading.jobs import Cell, Job
from labkit.grading.sealed import Worker

PS = "ps2-lenet"
ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "instructors.md").read_text(encoding="utf-8")
HOW = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
PATIENCE = 300  # seconds for one command, or for a server to serve, on a machine that does much else


# -- reading a guide ----------------------------------------------------------------------------------------------


@dataclass
class Shown:
    """One command of a guide, and the lines of output that it shows. A block's first command starts in the top folder."""

    command: str
    first: bool
    lines: list[str] = field(default_factory=list)


def commands(text: str) -> list[Shown]:
    """Every command in the ``console`` blocks of a page, in their order."""
    found: list[Shown] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        assert lines[0].startswith("$ "), f"This block does not begin with a command: {lines[0]}"
        for number, line in enumerate(lines):
            if line.startswith("$ "):
                found.append(Shown(line[2:], first=number == 0))
            else:
                found[-1].lines.append(line)
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """A line of a guide, in which ``…`` stands for anything."""
    return re.compile(".*".join(map(re.escape, shown.split("…"))))


def missing(shown: list[str], printed: str) -> list[str]:
    """The lines that were not printed, in the order in which they are shown."""
    left = iter(re.split(r"[\r\n]+", printed))
    return [line for line in shown if not any(pattern(line).fullmatch(other.rstrip()) for other in left)]


def test_every_command_stands_in_a_block_that_is_run() -> None:
    assert [line for line in GUIDE.splitlines() if line.startswith("$ ")] == [
        f"$ {each.command}" for each in commands(GUIDE)
    ]
    assert re.findall(r"^```(?!console|toml|$)", GUIDE, re.MULTILINE) == []
    assert "$ " not in HOW


def test_shown_output_must_have_been_printed_in_this_order() -> None:
    assert missing(["a … c", "d"], "x\na b c\nd\n") == []
    assert missing(["a", "b"], "b\na\n") == ["b"]
    assert missing(["in … s."], "in 3 s") == ["in … s."]


# -- the guide as a session at a terminal -------------------------------------------------------------------------


class Terminal:
    """A shell in which each command finds the environment that the one before has left."""

    def __init__(self, top: Path, environment: dict[str, str]) -> None:
        self.top, self.cwd, self.environment = top, top, environment
        self.log = top.parent / "printed"
        self.servers: list[subprocess.Popen[bytes]] = []

    def run(self, shown: Shown) -> str:
        """Run a command to its end, and return what it printed."""
        state = self.top.parent / "state"
        script = f"{shown.command}\nstatus=$?\n{{ pwd; env -0; }} > {shlex.quote(str(state))}\nexit $status"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"$ {shown.command}\n{done.stdout}"
        where, _, variables = state.read_text().partition("\n")
        self.cwd = Path(where)
        self.environment = dict(pair.split("=", 1) for pair in variables.split("\0") if pair)
        return done.stdout

    def serve(self, shown: Shown, serves: Callable[[], bool]) -> None:
        """Start a command that stays, and wait until it serves."""
        with self.log.open("wb") as log:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {shown.command}"],
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.servers.append(server)
        end = time.monotonic() + PATIENCE
        while not serves():
            assert server.poll() is None and time.monotonic() < end, f"$ {shown.command}\n{self.log.read_text()}"
            time.sleep(0.2)  # between two questions to the server

    def close(self) -> None:
        """Stop every server, the last one first, with all its processes."""
        for server in reversed(self.servers):
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture
def ports() -> tuple[int, int]:
    """For the scheduler and for JupyterLab; the ones that the guide names may be taken."""
    scheduler, jupyter = free_ports(2)
    return scheduler, jupyter


@pytest.fixture
def terminal(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Terminal]:
    """A terminal in a fresh copy of the course, whose ``.venv`` is this environment."""
    course = tmp_path / "course"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, course / name)
    (course / ".venv").symlink_to(sys.prefix)
    settings = {"allow_root": True, "open_browser": False, "port": ports[1], "port_retries": 0, "ip": "127.0.0.1"}
    (tmp_path / "jupyter").mkdir()
    (tmp_path / "jupyter" / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": settings}))
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "LABKIT_COURSE": str(course),
        "LABKIT_CACHE": str(tmp_path / "cache"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter"),
        "JUPYTER_TOKEN": "guide",
        "OMP_NUM_THREADS": "1",
    }
    opened = Terminal(course, environment)
    yield opened
    opened.close()


def answer(address: str, change: dict | None = None) -> str | None:
    """What a page of formgrader holds, or says to a change; None where nobody answers yet."""
    method, data = ("GET", None) if change is None else ("PUT", json.dumps(change).encode())
    headers = {"Authorization": "token guide", "Content-Type": "application/json"}
    request = urllib.request.Request(address, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read().decode()
    except OSError:
        return None


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_of_the_instructors_guide_does_what_the_guide_shows(
    terminal: Terminal, ports: tuple[int, int]
) -> None:
    scheduler, jupyter = ports

    def formgrader_lists_the_class() -> bool:
        site = f"http://127.0.0.1:{jupyter}/formgrader"
        page = answer(f"{site}/manage_assignments")
        listed = answer(f"{site}/api/submissions/{PS}") if page and "ormgrader" in page else None
        return bool(listed) and {"ada", "bao", "chidi"} <= {one["student"] for one in json.loads(listed or "[]")}

    def give_ada_three_points() -> None:
        """As formgrader's page does when a person enters them."""
        site = f"http://127.0.0.1:{jupyter}/formgrader/api"
        notebooks = json.loads(answer(f"{site}/submitted_notebooks/{PS}/{PS}") or "")
        (ada,) = [notebook["id"] for notebook in notebooks if notebook["student"] == "ada"]
        grades = json.loads(answer(f"{site}/grades?submission_id={ada}") or "")
        (grade,) = [grade["id"] for grade in grades if grade["needs_manual_grade"]]
        assert answer(f"{site}/grade/{grade}", {"manual_score": 3, "extra_credit": None})

    def scheduler_listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", scheduler)) == 0

    def two_workers_are_there() -> bool:
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{scheduler}", set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"]) == 2

    # what stays in its terminal, and how to see that it serves
    servers = {
        "jupyter lab": formgrader_lists_the_class,
        "dask scheduler": scheduler_listens,
        "dask worker": two_workers_are_there,
    }
    started = []
    for shown in commands(GUIDE):
        shown.command = shown.command.replace("8786", str(scheduler))
        if shown.first:
            terminal.cwd = terminal.top
        server = next((name for name in servers if shown.command.startswith(name)), None)
        if server:
            terminal.serve(shown, servers[server])
            started.append(server)
            if server == "jupyter lab":
                give_ada_three_points()
        else:
            printed = terminal.run(shown)
            assert missing(shown.lines, printed) == [], f"$ {shown.command}\n{printed}"
    assert started == list(servers)
    assert (terminal.top / "assignments" / "gradebook.db").is_file()


# -- what it says when something goes wrong -----------------------------------------------------------------------


def messages() -> list[str]:
    """The first column of the guide's table of messages."""
    table = GUIDE.partition("| it says | do this |")[2]
    return re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)


def unreleased(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    (course.root / "assignments" / "gradebook.db").unlink()
    return ["grade", PS]


def edited(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    notebook = course.assignment(PS).notebook
    text = notebook.read_text(encoding="utf-8")
    assert "One window at a time" in text
    notebook.write_text(text.replace("One window at a time", "Many windows"), encoding="utf-8")
    return ["release", PS]


def nobody(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    return ["grade", PS]


def misspelt(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    hand_in(course)
    return ["grade", PS, "--students", "adda"]


def locked(course: Course, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    hand_in(course)
    (course.root / "assignments" / ".labkit").mkdir()
    lock = filelock.FileLock(course.root / "assignments" / ".labkit" / "grading.lock")
    lock.acquire()  # let go of when the test has ended and nobody holds the object
    monkeypatch.setattr(locked, "held", lock, raising=False)
    return ["grade", PS]


def wall_missing(course: Course, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from labkit.grading import batch
    from labkit.grading.sealed import walls

    hand_in(course)
    walls.check.cache_clear()
    monkeypatch.setattr(walls, "find_bubblewrap", lambda: None)
    # in this process, where bubblewrap is hidden, rather than in one of its own
    monkeypatch.setattr(batch, "run_here", lambda *_: iter([Worker()]))
    return ["grade", PS]


def no_scheduler(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    hand_in(course)
    return ["grade", PS, "--scheduler", "nowhere://10.0.0.5:8786"]


def not_writable(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    hand_in(course)
    (course.root / "assignments" / ".labkit").write_text("a file where a folder has to be")
    return ["grade", PS]


def newer_gradebook(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    with sqlite3.connect(course.root / "assignments" / "gradebook.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'from the future'")
    return ["grade", PS]


def misnamed(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    place = hand_in(course)
    place.rename(place.with_name("hw2.ipynb"))
    return ["grade", PS]


def empty(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    hand_in(course).write_bytes(b"")
    return ["grade", PS]


def no_date(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    (hand_in(course).parent / "timestamp.txt").write_text("last week")
    return ["grade", PS]


def refused(course: Course, _: pytest.MonkeyPatch) -> list[str]:
    wrong = course.root / "hw2.ipynb"
    wrong.write_text("my answers")
    return ["submit", PS, "--student", "ada", "--notebook", str(wrong)]


def hand_in(course: Course) -> Path:
    place = course.root / "assignments" / "submitted" / "ada" / PS / f"{PS}.ipynb"
    place.parent.mkdir(parents=True)
    shutil.copyfile(course.assignment(PS).release, place)
    return place


PROVOKED = {
    "has not been released": unreleased,
    "is edited": edited,
    "Nobody has handed in": nobody,
    "There is no submission": misspelt,
    "Somebody is grading": locked,
    "cannot be sealed": wall_missing,
    "The Dask scheduler": no_scheduler,
    "cannot be written": not_writable,
    "made by another nbgrader": newer_gradebook,
    "is missing": misnamed,
    "is empty": empty,
    "does not hold a date": no_date,
    "was not handed in": refused,
}


def test_each_message_of_the_guide_has_its_test() -> None:
    told = messages()
    assert len(told) == len(PROVOKED)
    assert all(any(part in message for message in told) for part in PROVOKED)


@pytest.mark.parametrize("part", PROVOKED)
def test_what_the_guide_says_it_says_is_what_it_says(
    part: str, released_course: Callable[[], Course], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (message,) = [message for message in messages() if part in message]
    course = released_course()
    monkeypatch.setenv("LABKIT_COURSE", str(course.root))
    status = cli.main(PROVOKED[part](course, monkeypatch))
    printed = " ".join("".join(capsys.readouterr()).split())
    assert status == 1
    assert pattern(f"…{message}…").fullmatch(printed), printed


def test_the_settings_of_the_guide_are_taken(released_course: Callable[[], Course]) -> None:
    from labkit.grading.nbgrader_course import NbgraderCourse

    lines = re.findall(r"`(get_config\(\)\.[^`]+)`", GUIDE)
    course = released_course()
    with (course.root / "assignments" / "nbgrader_config.py").open("a") as file:
        file.write("\n".join(["", *lines, ""]))
    config = NbgraderCourse(course).api.config
    assert config.LatePenalty.per_day == 0.05
    assert config.SealedExecute.limits == {"cell_seconds": 120, "total_seconds": 900}


def test_the_limits_are_those_that_the_guide_names(released_course: Callable[[], Course]) -> None:
    from labkit.grading.jobs import Limits
    from labkit.grading.nbgrader_course import NbgraderCourse

    limits = Limits(**NbgraderCourse(released_course()).api.config.SealedExecute.limits)
    shown = f"{limits.cell_seconds:g} s for each cell and {limits.total_seconds:g} s in all"
    assert shown in GUIDE and f"{limits.memory >> 30} GiB of memory and {limits.disk >> 20} MiB of disk" in GUIDE


# -- how grading works --------------------------------------------------------------------------------------------


def example(first_line: str) -> str:
    """The Python block of ``docs/grading.md`` that begins so."""
    (found,) = [
        block
        for block in re.findall(r"^```python\n(.*?)^```$", HOW, re.MULTILINE | re.DOTALL)
        if block.startswith(first_line)
    ]
    return found


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(("numpy", "matplotlib.pyplot")) as worker:
        yield worker


def judged(worker: Worker, answer: str, test: str, name: str) -> float | None:
    """The score, out of 2, that a test gives to an answer which defines ``name``."""
    cells = (Cell(0, "student", answer), Cell(1, "tests", test, "tests", 2.0))
    outcome = worker.run(Job("ps", "somebody", "key", cells, answers={name: 0}))
    return outcome.cells[1].score


@pytest.mark.parametrize("last_line", ["f() == 2", "f() == 3", "f() * 2", "-f()", "f() * float('nan')", "str(f())"])
def test_what_the_page_says_of_the_last_line_is_so(worker: Worker, last_line: str) -> None:
    assert judged(worker, "def f(): return 2", last_line, "f") == 0
    assert judged(worker, "def f(): return 2", "f() / 4", "f") == 0.5
    assert judged(worker, "def f(): return 2", "assert f() == 2", "f") == 2


@pytest.mark.parametrize(("title", "score"), [("Loss", 2), ("Accuracy", 0)])
def test_the_example_that_runs_on_the_students_side_works(worker: Worker, title: str, score: float) -> None:
    plot = f"""
import matplotlib.pyplot as plt
def plot_losses(losses):
    axes = plt.figure().gca()
    axes.plot(losses)
    axes.set_title({title!r})
    return axes
"""
    assert judged(worker, plot, example("### BEGIN STUDENT SIDE"), "plot_losses") == score


def test_jax_traces_an_answer_on_the_students_side_and_nowhere_else() -> None:
    pytest.importorskip("jax")
    answer = "def square(x): return (x**2).sum()"
    outside = "import jax\nslope = jax.grad(square)(jax.numpy.ones(2))"
    inside = f"### BEGIN STUDENT SIDE\n{outside}\n### END STUDENT SIDE"
    with Worker(("jax",)) as worker:
        assert judged(worker, answer, f"{inside}\nassert slope.tolist() == [2, 2]", "square") == 2
        assert judged(worker, answer, f"{outside}\nassert slope.tolist() == [2, 2]", "square") == 0


def test_what_the_page_says_of_an_equality_that_lies_is_so(worker: Worker) -> None:
    made, asks_the_student, asks_python = example("total = Vector").splitlines()
    liar = """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return Vector(0, 0)
    def __eq__(self, other): return True
"""
    assert judged(worker, liar, f"{made}\n{asks_the_student}", "Vector") == 2
    assert judged(worker, liar, f"{made}\n{asks_python}", "Vector") == 0
    honest = liar.replace("Vector(0, 0)", "Vector(self.x + other.x, self.y + other.y)")
    assert judged(worker, honest, f"{made}\n{asks_python}", "Vector") == 2


# -- both pages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["instructors.md", "grading.md"])
def test_commands_within_the_text_are_understood(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for command in re.findall(r"`labkit ([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        arguments = shlex.split(command)
        if len(arguments) > 1:
            cli._parser().parse_args(arguments)


@pytest.mark.parametrize("page", ["instructors.md", "grading.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / "docs" / page
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), link
        titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert not heading or heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
