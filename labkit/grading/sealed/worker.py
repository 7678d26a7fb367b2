"""One seat at which submissions are graded, one after another: a judge's nursery and a student's."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError
from labkit.grading.jobs import CellOutcome, Job, Limits, Outcome
from labkit.grading.sealed import walls
from labkit.grading.sealed.wire import Late, Lost, Wire

START = 120.0  # seconds for a nursery to import everything, on a slow machine
GRACE = 15.0  # seconds a judge may take beyond a submission's own time


class Worker:
    """Grades jobs one at a time. Its two warm processes start when they are first needed.

    ``imports`` are the modules to have ready. With ``sealed=False`` the student's code runs with your rights; see
    :mod:`labkit.grading.sealed.walls`. Use it as a context manager, or :meth:`close` it.
    """

    def __init__(self, imports: tuple[str, ...] = (), *, sealed: bool = True, disk: int = Limits.disk) -> None:
        if sys.platform != "linux":
            raise LabkitError(
                "Grading needs Linux",
                f"This is {sys.platform}",
                "Use WSL, a virtual machine, or a Linux machine by Dask",
            )
        if sealed:
            walls.check()
        self.sealed = sealed
        self.imports = [*imports, *(["labkit.data"] if "labkit" in imports else [])]
        self.disk = disk
        self._students: _Nursery | None = None
        self._judges: _Nursery | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End both processes and everything in them."""
        for nursery in (self._students, self._judges):
            if nursery is not None:
                nursery.close()
        self._students = self._judges = None

    def run(self, job: Job) -> Outcome:
        """Grade one job. Whatever its code does, there is an outcome, and the next job starts afresh."""
        with self._turn, tempfile.TemporaryDirectory(prefix="labkit-judge-") as room:
            self._start()
            return self._run(job, room)

    def _start(self) -> None:
        """Start what is not running; the two warm up side by side."""
        if self._students is None:
            self._students = _Nursery("students", self.imports, self.sealed, self.disk)
        if self._judges is None:
            self._judges = _Nursery("judges", self.imports, False, 0)
        self._students.wait()
        self._judges.wait()

    def _run(self, job: Job, room: str) -> Outcome:
        assert self._students is not None and self._judges is not None
        start = time.monotonic()
        theirs, judges_end = socket.socketpair()
        events_end, for_judge = socket.socketpair()
        stopped = ""
        with theirs, judges_end, events_end, for_judge:
            sandbox = str(Path(room) / "student")
            self._students.send({"do": "spawn", "limits": asdict(job.limits), "room": sandbox}, [theirs.fileno()])
            self._judges.send({"do": "judge"}, [judges_end.fileno(), for_judge.fileno()])
            theirs.close()
            judges_end.close()
            for_judge.close()
            events = Wire(events_end)
            events.send(_head(job, room), [*job.files.values(), *job.student_files.values()])
            outcome, stopped = self._wait(job, events, start + job.limits.total_seconds + GRACE)
        stopped = self._tidy() or stopped
        if outcome is None:
            stopped = stopped or "Grading took longer than it may."
            cells = [_unjudged(cell, stopped) for cell in job.cells]
            outcome = Outcome(job.student, job.key, cells, self.sealed, stopped=stopped)
        elif outcome.stopped:
            outcome.stopped = f"{outcome.stopped} {stopped}".strip()
        outcome.sealed = self.sealed
        outcome.seconds = round(time.monotonic() - start, 3)
        return outcome

    def _wait(self, job: Job, events: Wire, deadline: float) -> tuple[Outcome | None, str]:
        """The judge's outcome, and why the student's process ended if it did. Passes on what the judge asks for."""
        assert self._judges is not None
        stopped = ""
        while True:
            waiting = [events.connection, *([self._students.control] if self._students is not None else [])]
            ready, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self._judges.close()
                self._judges = None
                return None, stopped
            if self._students is not None and self._students.control in ready:
                stopped = self._students.receive().get("ended", "")
                if not stopped:  # the nursery itself is gone: start another for the next student
                    self._students.close()
                    self._students = None
                    return None, "Its process could not be kept alive."
            if events.connection in ready:
                try:
                    message, _ = events.receive(GRACE)
                except (Lost, Late):
                    return None, stopped
                if "outcome" in message:
                    return Outcome.from_dict(message["outcome"]), stopped
                if "failed" in message:
                    return None, f"The judge failed: {message['failed']}"
                if message.get("event") == "kill":
                    stopped = self._tidy() or stopped
                elif self._students is not None:
                    self._students.send({"do": "interrupt"})

    def _tidy(self) -> str:
        """End what the student has left running; a nursery that does not come out clean is replaced.

        Returns why the student's process had ended already, where that was not yet known.
        """
        ended = ""
        if self._students is None:
            return ended
        self._students.send({"do": "end"})
        while reply := self._students.receive(GRACE):
            ended = ended or reply.get("ended", "")
            if "clean" in reply:
                break
        if not reply.get("clean"):
            self._students.close()
            self._students = None
        return ended


class _Nursery:
    """One warm process, and the connection to it."""

    def __init__(self, role: str, imports: list[str], sealed: bool, disk: int) -> None:
        self.role = role
        self.control, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        source = str(Path(__file__).resolve().parents[3])
        # -I: neither the environment nor the folder it is started in has a say in what is imported
        start = f"import sys; sys.path.append({source!r}); from labkit.grading.sealed.nursery import main; "
        start += f"main({role!r}, {end.fileno()}, {imports!r})"
        inner = [sys.executable, "-I", "-c", start]
        settings = walls.environment() if role == "students" else {**os.environ, **_same_arithmetic()}
        self._folder = tempfile.TemporaryDirectory(prefix="labkit-nursery-")
        settings["IPYTHONDIR"] = self._folder.name  # not the instructor's own (behind a wall, HOME is another anyway)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process; a pipe would fill up)
        try:
            self.process = subprocess.Popen(
                walls.command(inner, disk) if sealed else inner,
                pass_fds=[end.fileno()],
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )
        finally:
            end.close()
        self._ready = False

    def wait(self) -> None:
        """Return when it is warm."""
        if self._ready:
            return
        if not self.receive(START).get("ready"):
            self._said.seek(0)
            said = self._said.read().decode("utf-8", "replace").strip().splitlines()
            self.close()
            raise LabkitError("A grading process did not start", said[-1] if said else "It gave no reason")
        self._ready = True

    def send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Send a message, with open files where there are some."""
        with contextlib.suppress(OSError):  # a nursery that is gone is noticed when it does not answer
            socket.send_fds(self.control, [json.dumps(message).encode()], descriptors or [])

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        """The next message; an empty one where there is none in time, or ever."""
        self.control.settimeout(seconds)
        try:
            data = self.control.recv(1 << 16)
            return json.loads(data) if data else {}
        except (OSError, ValueError):
            return {}

    def close(self) -> None:
        """End the process and all its children."""
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)
        self.process.kill()
        self.process.wait()
        self._said.close()
        self._folder.cleanup()


def _same_arithmetic() -> dict[str, str]:
    """What judges share with students: one thread, and the processor."""
    shared = ("GOMP_SPINCOUNT", "JAX_PLATFORMS")
    return {name: value for name, value in walls.environment().items() if "THREADS" in name or name in shared}


def _head(job: Job, room: str) -> dict[str, Any]:
    return {
        "assignment": job.assignment,
        "student": job.student,
        "key": job.key,
        "cells": [asdict(cell) for cell in job.cells],
        "answers": job.answers,
        "trusted": job.trusted,
        "files": list(job.files),
        "student_files": list(job.student_files),
        "limits": asdict(job.limits),
        "room": room,
    }


def _unjudged(cell: Any, why: str) -> CellOutcome:
    outcome = CellOutcome(cell.index)
    if cell.kind == "tests":
        outcome.score, outcome.message = 0.0, why
    return outcome
