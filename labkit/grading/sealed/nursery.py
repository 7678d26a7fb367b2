"""Two warm processes that fork: one behind the wall for students, one outside it for judges.

Imports are paid for once. Each submission gets a fork, which is a fresh copy of the state after the imports, newly
seeded; nothing it does reaches the next. Neither process runs anything but imports before it forks, so there are no
threads to lose. The student's nursery never holds a test, a path of the course or a line of any student: what is not in
its memory cannot be read in its children's.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WATCH = 0.1  # seconds between two looks at what a student's processes use
_PR_SET_DUMPABLE, _PR_SET_PDEATHSIG = 4, 1


def warm_up(modules: list[str]) -> Any:
    """Import what the notebooks need, and make the shell that a fork will use."""
    from labkit.grading.sealed.student import make_shell

    for name in modules:
        with contextlib.suppress(Exception):  # a module that is not here will be missed where it is wanted
            importlib.import_module(name)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        # The first optimizer of a process imports torch's compiler, which takes longer than most submissions.
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    return make_shell()


def reseed(seed: int = 0) -> None:
    """The same start for everybody, so that grading again gives the same grade."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def students(control: socket.socket, modules: list[str]) -> None:
    """Serve ``spawn``, ``interrupt``, ``end`` from a :class:`labkit.grading.sealed.worker.Worker` until it hangs up."""
    from labkit.grading.sealed import student
    from labkit.grading.sealed.wire import Wire

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # no child may trace this process or write to its memory
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sealed = os.getpid() == 1
    places = [Path("/tmp"), Path("/dev/shm")] if sealed else []
    kept = {place: _entries(place) for place in places}
    shell = warm_up(modules)
    for place in places:
        _empty(place, kept[place])  # imports leave caches, in which a student could leave a note for the next
    child, limits = 0, {}
    control.send(b'{"ready": true}')
    while True:
        control.settimeout(WATCH if child else None)
        message: dict[str, Any] = {}
        descriptors: list[int] = []
        try:
            data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 1)
            if not data:
                return
            message = json.loads(data)
        except TimeoutError:
            pass
        except OSError:
            return
        if message.get("do") == "spawn":
            limits = message["limits"]
            child = os.fork()
            if child == 0:
                control.close()
                _become_student(limits, message["room"], sealed)
                student.main(Wire(socket.socket(fileno=descriptors[0])), shell, limits["output"])
                os._exit(0)
            os.close(descriptors[0])
        elif message.get("do") == "interrupt" and child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGINT)
        elif message.get("do") == "end":
            ended = _end_all(child, sealed)
            child = 0
            clean = all(_emptied(place, kept[place]) for place in places) and not _left_in_kernel()
            control.send(json.dumps({"clean": clean, "ended": ended}).encode())
        if child:
            reason = _reaped(child) or _too_much(child, limits, sealed)
            if reason:
                _end_all(child, sealed)
                child = 0
                control.send(json.dumps({"ended": reason}).encode())


def judges(control: socket.socket, modules: list[str]) -> None:
    """Fork a judge for each pair of connections (to a student, and to the worker) until the worker hangs up."""
    from labkit.grading.jobs import Cell, Job, Limits
    from labkit.grading.sealed.judge import judge
    from labkit.grading.sealed.wire import Wire

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    shell = warm_up(modules)
    control.send(b'{"ready": true}')
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 2)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            reseed()
            wire, events = (Wire(socket.socket(fileno=descriptor)) for descriptor in descriptors)
            told, blobs = events.receive()
            # What a student sends is kept for as long as a test may use it; it must not fill the machine
            most = _used_memory() + 2 * told["limits"]["memory"]
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            names, own = told["files"], told["student_files"]
            os.chdir(told["room"])
            for name, content in zip(names, blobs, strict=False):
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_bytes(content)
            job = Job(
                told["assignment"],
                told["student"],
                told["key"],
                tuple(Cell(**cell) for cell in told["cells"]),
                told["answers"],
                told["trusted"],
                dict(zip(names, blobs, strict=False)),
                dict(zip(own, blobs[len(names) :], strict=True)),
                limits=Limits(**told["limits"]),
            )
            try:
                events.send({"outcome": judge(job, wire, events, shell).to_dict()})
            except BaseException as error:
                events.send({"failed": f"{type(error).__name__}: {error}"})
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _become_student(limits: dict[str, Any], room: str, sealed: bool) -> None:
    """What a fork does before it runs anything of the student's."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    empty = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(empty, standard)
    home = Path("/tmp/home") if sealed else Path(room)
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(home)
    place = Path("/tmp/work") if sealed else Path(room)
    place.mkdir(parents=True, exist_ok=True)
    os.chdir(place)
    sys.path.insert(0, "")  # as in a notebook: what lies beside it can be imported
    with contextlib.suppress(OSError):
        os.nice(5)  # the judge and the watch come first
    if not sealed:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    bounds = {
        resource.RLIMIT_AS: _used_memory() + limits["memory"],
        resource.RLIMIT_FSIZE: limits["disk"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CPU: int(limits["total_seconds"]) + 5,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for what, most in bounds.items():
        most = min(most, hard) if (hard := resource.getrlimit(what)[1]) != resource.RLIM_INFINITY else most
        resource.setrlimit(what, (most, most))
    if sealed:  # without a wall it would count the instructor's own processes
        resource.setrlimit(resource.RLIMIT_NPROC, (limits["processes"] + 8,) * 2)
    reseed()


def _used_memory() -> int:
    """The size of this process's address space, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _reaped(child: int) -> str:
    """Why the student's process has ended, or an empty text. Orphans of theirs are reaped on the way."""
    reason = ""
    while True:
        try:
            found, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return reason or "It ended."
        if found == 0:
            return reason
        if found == child:
            reason = _told(status)


def _told(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return "It used more processor time than it may."
    if code < 0:
        return f"It was ended by signal {-code} ({signal.Signals(-code).name})."
    return f"It ended itself, with exit status {code}."


def _too_much(child: int, limits: dict[str, Any], sealed: bool) -> str:
    """Which bound the student's processes exceed together, or an empty text."""
    if not sealed:
        return ""
    processes = [name for name in (entry.name for entry in os.scandir("/proc")) if name.isdigit() and name != "1"]
    if len(processes) > limits["processes"]:
        return f"It started more than {limits['processes']} processes."
    # The quick sum counts memory that forks still share, so look closely before ending anybody
    most = limits["memory"]
    if sum(map(_memory, processes)) > most and sum(map(_memory_exactly, processes)) > most:
        return f"It used more than {most >> 20} MB of memory."
    return ""


def _memory(process: str) -> int:
    try:
        _, resident, shared, *_ = map(int, Path(f"/proc/{process}/statm").read_text().split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * resource.getpagesize()


def _memory_exactly(process: str) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _memory(process)
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _end_all(child: int, sealed: bool) -> str:
    """Kill everything the student has started, and wait until nothing of it is left.

    Returns how the student's own process had ended, if it was not by this.
    """
    ended = ""
    if sealed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # as process 1 of this namespace: everybody else in it, at once
    elif child:
        import psutil

        with contextlib.suppress(psutil.Error):
            for one in [*psutil.Process(child).children(recursive=True), psutil.Process(child)]:
                with contextlib.suppress(psutil.Error):
                    one.kill()
    while True:
        try:
            found, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return ended
        if found == child and os.waitstatus_to_exitcode(status) not in (-signal.SIGKILL, 0):
            ended = _told(status)


def _entries(folder: Path) -> dict[str, int]:
    """What the wall itself has put into a folder (mount points and the folders above them), with their modes."""
    device, found, todo = folder.stat().st_dev, {str(folder): folder.stat().st_mode}, [folder]
    while todo:
        for entry in os.scandir(todo.pop()):
            status = entry.stat(follow_symlinks=False)
            if status.st_dev == device and stat.S_ISDIR(status.st_mode):
                todo.append(Path(entry.path))
                found[entry.path] = status.st_mode
            else:
                found[entry.path] = 0  # mounted there, and read-only
    return found


def _empty(folder: Path, kept: dict[str, int]) -> bool:
    """Remove what a student has left in a folder; False where something resists or is missing."""
    todo = [folder]
    while todo:
        place = todo.pop()
        place.chmod(stat.S_IMODE(kept[str(place)]))
        for entry in list(os.scandir(place)):
            if entry.path in kept:
                if kept[entry.path]:
                    todo.append(Path(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, onerror=_make_removable)
                if Path(entry.path).exists():
                    return False
            else:
                Path(entry.path).unlink()
    return all(map(os.path.lexists, kept))


def _emptied(folder: Path, kept: dict[str, int]) -> bool:
    try:
        return _empty(folder, kept)
    except OSError:  # whatever a student has made of it, a new nursery does not have it
        return False


def _make_removable(function: Callable[..., Any], path: str, _: Any) -> None:
    with contextlib.suppress(OSError):
        for place in (Path(path).parent, Path(path)):
            place.chmod(stat.S_IRWXU)
        if Path(path).is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink()


def _left_in_kernel() -> bool:
    """Whether System V shared memory, semaphores or message queues were left behind; files are not all there is."""
    tables = (Path("/proc/sysvipc") / name for name in ("shm", "sem", "msg"))
    return any(len(table.read_text().splitlines()) > 1 for table in tables if table.exists())


def main(role: str, descriptor: int, modules: list[str]) -> None:
    """The program of both nurseries; ``descriptor`` is the connection to the worker."""
    control = socket.socket(fileno=descriptor)
    {"students": students, "judges": judges}[role](control, modules)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
