"""What lies around the hostile class: a course with secrets in it, a home, and somebody who listens.

A test or :mod:`stock` makes a :class:`World`, has a class graded in it, and asks :meth:`World.harm` what was read,
changed, sent or left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import sqlite3
import sysconfig
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from labkit import build
from labkit.course import Course, load_course
from labkit.grading import release
from labkit.grading.demo import student_version

PS = "psx"
NEIGHBOUR = "zoe"  # perfect, and graded after everyone else because of her name
CANARY = re.compile(r"canary-[a-z]+-[0-9a-f]{16}")
_MANIFEST = """\
[course]
title = "Attacks"
repository = "https://github.com/nobody/attacks"
branch = "main"

[[assignment]]
id = "psx"
title = "Four small functions"
minutes = 5
"""
_CONFIG = """\
from pathlib import Path

from labkit.grading.config import configure

configure(get_config(), Path(__file__).resolve().parent)
"""
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
# where programs may leave things for the next one; watched for names that begin with psx-left
_SHARED = [Path(place) for place in ("/tmp", "/var/tmp", "/dev/shm") if Path(place).is_dir()] + [SITE_PACKAGES]


class World:
    """A course folder with the assignment released in it, and everything around it that must stay as it is.

    Each secret is a text that nobody could know who had not read it: in the hidden ``tests``, the submission of a
    ``neighbour``, a file in the ``home`` folder, the gradebook's list of students (``gradebook``), and the
    environment variable PSX_TOKEN of the grader (``token``; whoever grades sets it).
    """

    def __init__(self, folder: Path, template: World | None = None) -> None:
        """Make a world in an empty folder: a new one, or a copy of ``template`` with its secrets."""
        self.folder = folder.resolve()
        names = ("tests", "neighbour", "home", "gradebook", "token")
        self.secrets = (
            template.secrets if template else {name: f"canary-{name}-{secrets.token_hex(8)}" for name in names}
        )
        self.root, self.home, self.loot = (self.folder / name for name in ("course", "home", "loot"))
        if template:
            shutil.copytree(template.root, self.root)
            self.course = load_course(self.root)
        else:
            self.course = self._new_course()
        self.home.mkdir()
        self.loot.mkdir()
        (self.home / ".netrc").write_text(f"password {self.secrets['home']}\n", encoding="utf-8")
        self.listener = Listener(self.folder / "ear")
        self._before: dict[str, str] = {}

    @property
    def assignments(self) -> Path:
        return self.root / "assignments"

    @property
    def gradebook(self) -> Path:
        return self.assignments / "gradebook.db"

    @property
    def solved(self) -> NotebookNode:
        """A fresh copy of what a student hands in who got everything right."""
        assignment = self.course.assignment(PS)
        notebook = student_version(
            build.assignment_notebook(assignment, self.course), nbformat.read(assignment.release, as_version=4)
        )
        return nbformat.from_dict(notebook)

    @property
    def blank(self) -> NotebookNode:
        """A fresh copy of what students are given."""
        return nbformat.read(self.course.assignment(PS).release, as_version=4)

    def fill(self, content: bytes, name: str) -> bytes:
        """Put this world's places and the attack's name where its code says ``@place@``."""
        places = {
            "assignments": self.assignments,
            "home": self.home,
            "loot": self.loot,
            "name": name,
            "pid": os.getpid(),
            "site": SITE_PACKAGES,
            "tcp": self.listener.tcp.getsockname()[1],
            "udp": self.listener.udp.getsockname()[1],
            "unix": self.listener.path,
            "abstract": self.listener.abstract,
        }
        for place, value in places.items():
            content = content.replace(f"@{place}@".encode(), str(value).encode())
        return content

    def hand_in(self, student: str, content: bytes, files: dict[str, bytes | str] | None = None) -> Path:
        """Put a notebook in ``submitted/``, as it is. In ``files``, text is the target of a symbolic link.

        An attack's own ``psx.ipynb`` in ``files`` takes the notebook's place.
        """
        folder = self.assignments / "submitted" / student / PS
        folder.mkdir(parents=True)
        for name, what in ({f"{PS}.ipynb": content} | (files or {})).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, bytes):
                path.write_bytes(self.fill(what, student))
            else:
                path.symlink_to(self.fill(what.encode(), student).decode())
        return folder / f"{PS}.ipynb"

    def hand_in_neighbour(self) -> None:
        """Hand in the neighbour's notebook, which is right and holds a secret."""
        notebook = self.solved
        notebook.cells[-1].source += f"\n\n{self.secrets['neighbour']}"
        self.hand_in(NEIGHBOUR, build.to_text(notebook).encode())

    def remember(self) -> None:
        """Take the state that grading has to leave as it is. Call it when everything is handed in."""
        self._before = self._protected()

    def harm(self, name: str, unlimited: str = "") -> list[str]:
        """What this attack did to the world outside its notebook, a phrase each; an empty list is as it should be.

        ``unlimited`` is what its code prints where nothing stopped it.
        """
        messages = [kind for kind, text in self.listener.heard if f"psx {name}".encode() in text]
        found = [f"read {where}" for where in self.taken([name])]
        found += [f"sent a message by {kind}" for kind in dict.fromkeys(messages)]
        if (self.loot / name).exists():
            found.append("wrote a file outside")
        left = [path for place in _SHARED for path in place.glob(f"psx-left-{name}*")]
        found += [f"left a file in {'site-packages' if p.parent == SITE_PACKAGES else p.parent}" for p in left]
        if any(f"psx-left-{name}".encode() in command for command in _commands()):
            found.append("left a process running")
        if unlimited and unlimited in self.printed(name):
            found.append("met no limit")
        return found

    def changed(self) -> list[str]:
        """What is not as it was when :meth:`remember` was called, and what the gradebook must not hold."""
        after = self._protected()
        differing = sorted(
            path for path in self._before.keys() | after.keys() if self._before.get(path) != after.get(path)
        )
        return [f"changed {path}" for path in differing] + self._gradebook_harm()

    def taken(self, students: Iterable[str]) -> list[str]:
        """Which secrets stand in what these students' code printed, wrote or sent; none, if all is well."""
        shown = set()
        for student in students:
            shown |= set(CANARY.findall(self.printed(student)))
            if (self.loot / student).exists():
                shown |= set(CANARY.findall((self.loot / student).read_text(encoding="utf-8", errors="replace")))
            for _, text in self.listener.heard:
                if f"psx {student}".encode() in text:
                    shown |= set(CANARY.findall(text.decode(errors="replace")))
        return [where for where, secret in self.secrets.items() if secret in shown]

    def printed(self, student: str) -> str:
        """Everything that a student's graded notebook shows as output, errors aside: those quote the tests."""
        path = self.assignments / "autograded" / student / PS / f"{PS}.ipynb"
        if not path.is_file() or path.is_symlink():
            return ""
        try:
            notebook = nbformat.read(path, as_version=4)
        except Exception:  # a notebook that an attack destroyed shows nothing
            return ""
        outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
        return "\n".join(str(output) for output in outputs if output.output_type != "error")

    def clean_up(self, students: Iterable[str]) -> None:
        """Remove what these students' attacks left outside the world's folder, and stop listening."""
        self.listener.close()
        for name in students:
            for place in _SHARED:
                for path in place.glob(f"psx-left-{name}*"):
                    path.unlink()

    def _new_course(self) -> Course:
        source = Path(__file__).with_name("psx.md").read_text(encoding="utf-8")
        texts = {
            "notebooks/course.toml": _MANIFEST,
            "assignments/nbgrader_config.py": _CONFIG,
            f"assignments/source/{PS}/{PS}.md": source.replace("@canary-tests@", self.secrets["tests"]),
        }
        for name, text in texts.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        course = load_course(self.root)
        assignment = course.assignment(PS)
        assignment.notebook.write_text(build.to_text(build.assignment_notebook(assignment, course)), encoding="utf-8")
        release(course, PS, due=datetime(2100, 1, 1, tzinfo=UTC))
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.gradebook}") as gradebook:
            gradebook.update_or_create_student(NEIGHBOUR, email=self.secrets["gradebook"])
        return course

    def _protected(self) -> dict[str, str]:
        """A fingerprint of every file that grading has no business to change."""
        places = [self.root / "notebooks", self.home, self.assignments / "nbgrader_config.py"]
        places += [self.assignments / step for step in ("source", "release", "submitted")]
        return {str(path.relative_to(self.folder)): _fingerprint(path) for place in places for path in _files(place)}

    def _gradebook_harm(self) -> list[str]:
        try:
            with sqlite3.connect(f"file:{self.gradebook}?mode=ro", uri=True, timeout=1) as database:
                triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
                marks = database.execute("SELECT COUNT(*) FROM grade WHERE manual_score IS NOT NULL").fetchone()[0]
        except sqlite3.Error as error:
            return [f"made the gradebook unusable ({error})"]
        planted = ["planted a trigger in the gradebook"] if triggers else []
        return planted + (["wrote marks into the gradebook"] if marks else [])


class Listener:
    """Somebody outside who waits for a message, by TCP, UDP, a Unix socket with a path and one without."""

    def __init__(self, path: Path) -> None:
        self.path = path if len(str(path)) < 100 else Path("/tmp") / f"psx-ear-{secrets.token_hex(4)}"
        self.abstract = f"psx-{secrets.token_hex(4)}"
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix, self.nameless = (socket.socket(socket.AF_UNIX) for _ in range(2))
        self.unix.bind(str(self.path))
        self.nameless.bind(f"\0{self.abstract}")
        for server in (self.unix, self.nameless):
            server.listen()
        self._heard: list[tuple[str, bytes]] = []

    @property
    def heard(self) -> list[tuple[str, bytes]]:
        """Every message so far: by which way, and what it said. The kernel keeps them until we ask."""
        for kind, server in (("TCP", self.tcp), ("a Unix socket", self.unix), ("an abstract socket", self.nameless)):
            server.setblocking(False)
            for connection in _accepted(server):
                with connection, contextlib.suppress(TimeoutError, ConnectionError):
                    connection.settimeout(1)
                    self._heard.append((kind, connection.recv(4096)))
        self.udp.setblocking(False)
        while True:
            try:
                self._heard.append(("UDP", self.udp.recv(4096)))
            except BlockingIOError:
                return self._heard

    def close(self) -> None:
        for server in (self.tcp, self.udp, self.unix, self.nameless):
            server.close()
        self.path.unlink(missing_ok=True)


def _accepted(server: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            yield server.accept()[0]
        except BlockingIOError:
            return


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place] if place.exists() else []
    return [
        path for path in place.rglob("*") if (path.is_file() or path.is_symlink()) and "__pycache__" not in path.parts
    ]


def _fingerprint(path: Path) -> str:
    """The content of a file, or where a link points to: never what lies there, which may change by rights."""
    content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _commands() -> Iterator[bytes]:
    """The command line of every process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
