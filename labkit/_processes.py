"""Starts processes, passes on what they print, and sees to it that none outlives its run."""

from __future__ import annotations

import contextlib
import errno
import linecache
import numbers
import operator
import os
import pickle
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from labkit._guard import END, MARK
from labkit._machine import usable_cores
from labkit.errors import LabkitError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
_MOST_PER_CORE = 8
_LONGEST = 10_000_000  # seconds
_FULL = "The folder for temporary files is full, and what the processes are sent and return passes through it"
_ROOM = "Make room there, or restart the kernel with TMPDIR set to a folder that has some"
_told: set[int] = set()  # of how many ranks it was said already that they share the cores


class RankError(LabkitError):
    """A rank failed, died, or did not finish in time. ``rank`` is its number, ``traceback`` its own traceback or ''."""

    def __init__(
        self, what: str, why: str = "", todo: str = "", *, rank: int | None = None, traceback: str = ""
    ) -> None:
        self.rank, self.traceback = rank, traceback
        super().__init__(what, why, todo)


class Values(list[Any]):
    """What the ranks returned, by rank. ``output`` is what each printed, ``errors`` what each wrote to stderr."""

    output: list[str]
    errors: list[str]


@dataclass
class Outcome:
    """How the processes of one run ended; ``None`` for one that was still running."""

    codes: list[int | None]
    output: list[str]
    errors: list[str]
    late: bool


def run(
    work: Callable[..., T],
    ranks: int = 2,
    *,
    arguments: Sequence[Any] = (),
    backend: str | None = None,
    threads: int = 1,
    env: Mapping[str, str] | None = None,
    devices: int | None = None,
    tensorflow_cluster: bool = False,
    port: int | None = None,
    timeout: float = 120.0,
    show: bool = True,
) -> Values:
    """Call ``work(*arguments)`` in each of ``ranks`` fresh Python processes, and return what they returned, by rank.

    ``work`` may be defined in a notebook and use its names: functions and data travel with it by value, modules by name.
    Each rank finds ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT`` in its
    environment, as torchrun sets them.

    - ``backend``: "gloo" or "nccl" makes torch's process group before ``work`` is called.
    - ``threads``: for arithmetic, in each rank.
    - ``env``: more environment variables, such as ``{"KERAS_BACKEND": "jax"}``.
    - ``devices``: JAX in each rank sees so many simulated CPU devices.
    - ``tensorflow_cluster``: sets ``TF_CONFIG`` for ``MultiWorkerMirroredStrategy``.
    - ``port``: a fixed ``MASTER_PORT``; one that is free is chosen otherwise.
    - ``timeout``: seconds after which everything is stopped and each rank's place is told.
    - ``show``: pass on what the ranks print, each line with its rank before it.

    Raises RankError with the traceback of the rank that failed first, after stopping the others; LabkitError for what cannot
    be started. No process is left behind, also when the cell is interrupted or the kernel killed.
    """
    ranks, threads = _whole(ranks, "processes"), _whole(threads, "threads")
    _check_timeout(timeout)
    if not callable(work):
        raise LabkitError(
            f"The work is to be a function, and it is {work!r}",
            "Each process calls it for itself",
            "Give the function without calling it: run(train), not run(train())",
        )
    if not isinstance(arguments, Iterable) or isinstance(arguments, (str, bytes)):
        raise LabkitError(
            f"`arguments` is to hold the arguments of the work, and it is {arguments!r}",
            todo="Put even a single one into a tuple: arguments=(5,)",
        )
    if backend not in (None, "gloo", "nccl"):
        raise LabkitError(f"There is no backend '{backend}'", todo="Use 'gloo' for processors, 'nccl' for NVIDIA GPUs")
    _check_room(ranks, show)
    if port is not None:
        _check_port(port)
    more = _checked_env(env)
    call = _packed(work, tuple(arguments))
    with _workplace() as folder:
        job = {
            "call": call,
            "path": sys.path,
            "sources": _cell_sources(),
            "backend": backend,
            "timeout": timeout,
        }
        (folder / "job").write_bytes(pickle.dumps(job))
        shared = _threads(threads) | _devices(devices) | {"MASTER_PORT": str(port or free_port())}
        addresses = [f"127.0.0.1:{free}" for free in free_ports(ranks)] if tensorflow_cluster else []
        environments = [shared | _place(rank, ranks) | _tf_config(rank, addresses) | more for rank in range(ranks)]
        commands = [[sys.executable, "-m", "labkit._rank", str(folder)]] * ranks
        outcome = _supervise(commands, environments, folder, timeout, show)
        if outcome.late or any(outcome.codes) or _without_value(outcome, folder):
            raise _what_happened(outcome, folder, timeout)
        values = Values(_unpacked(rank, folder) for rank in range(ranks))
    values.output, values.errors = outcome.output, outcome.errors
    return values


def torchrun(
    script: str | Path,
    ranks: int = 2,
    *,
    nodes: int = 1,
    restarts: int = 0,
    arguments: Sequence[str] = (),
    threads: int = 1,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    show: bool = True,
) -> str:
    """Run a script by torchrun, as on a cluster, and return what its ``ranks`` processes a node printed.

    ``script`` is a path, or the text of a script (it has a line break then). ``restarts``: how often torchrun may start all
    ranks anew after one failed. With ``nodes`` above 1, so many torchruns on this machine play machines of a cluster.

    Raises RankError with the end of what was written to stderr.
    """
    ranks, nodes = _whole(ranks, "processes"), _whole(nodes, "nodes")
    threads, restarts = _whole(threads, "threads"), _whole(restarts, "restarts", least=0)
    _check_timeout(timeout)
    if isinstance(arguments, str):
        raise LabkitError(
            f"`arguments` is to be a list, and it is the text {arguments!r}", todo=f"Give {arguments.split()!r}"
        )
    more = _checked_env(env)
    _check_room(ranks * nodes, show)
    with _workplace() as folder:
        if "\n" in str(script):
            path = folder / "script.py"
            path.write_text(str(script), encoding="utf-8")
        else:
            path = Path(script)
            if not path.is_file():
                raise LabkitError(f"There is no script {path}", todo="Give a path, or the text of the script")
        meeting = (
            ["--standalone"] if nodes == 1 else ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}"]
        )
        command = [sys.executable, "-m", "torch.distributed.run", *meeting, f"--nnodes={nodes}"]
        command += [f"--nproc-per-node={ranks}", f"--max-restarts={restarts}", "--local-addr=127.0.0.1"]
        command += ["--module", "labkit._script", str(path), *map(str, arguments)]
        environment = _threads(threads) | _meeting_place() | more
        outcome = _supervise([command] * nodes, [environment] * nodes, folder, timeout, show)
    if outcome.late or any(outcome.codes):
        what = f"The script was not finished after {timeout:g} s" if outcome.late else "A rank of the script failed"
        told = "\n".join(_without_torchruns_own(errors) for errors in outcome.errors)
        raise RankError(f"{what}, and everything was stopped. The end of its stderr:\n\n{told}", traceback=told)
    return "".join(outcome.output)


def simulate(devices: int = 8) -> list[Any]:
    """The ``devices`` on which JAX is to run: real ones where there are so many, else simulated ones on the processor.

    Call it before JAX is first used in this process, because JAX counts its devices once. Raises LabkitError when it is too
    late.
    """
    os.environ.update(_devices(devices, choose_platform=False))
    import jax

    if len(jax.devices()) >= devices:
        return list(jax.devices()[:devices])
    simulated = jax.devices("cpu")
    if len(simulated) < devices:
        raise LabkitError(
            f"JAX has already started here, with {len(simulated)} processor device{'s' * (len(simulated) != 1)}",
            "It counts its devices once, when it is first used",
            f"Restart the kernel, and call parallel.simulate({devices}) before anything that uses JAX",
        )
    return list(simulated[:devices])


def backend_for(ranks: int) -> str:
    """What carries torch's messages here: "nccl" where PyTorch finds an NVIDIA GPU for each rank, else "gloo"."""
    import torch

    return "nccl" if torch.cuda.device_count() >= ranks else "gloo"


def here() -> torch.device:
    """The device of this rank: its GPU where the ranks talk through nccl, else the processor."""
    import torch
    import torch.distributed as dist

    if dist.is_initialized() and dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many different ones."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _check_port(port: int) -> None:
    if not isinstance(port, int) or not 0 < port < 2**16:
        raise LabkitError(f"{port!r} is no port", todo="Leave `port` out, and a free one is chosen")
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise LabkitError(
                f"Port {port} is in use on this machine" if taken else f"Port {port} cannot be used: {error}",
                "Another program, or an earlier run, listens there" if taken else "",
                "Leave `port` out, and a free one is chosen",
            ) from error


def _whole(number: Any, of: str, least: int = 1) -> int:
    """``number`` as an int, also one of NumPy's; an error if it is none, or less than ``least``."""
    try:
        whole = operator.index(number)
    except TypeError:
        whole = least - 1
    if whole < least or isinstance(number, bool):
        raise LabkitError(f"{number!r} is no number of {of}", todo=f"Give a whole number from {least} up")
    return whole


def _check_timeout(timeout: float) -> None:
    if not isinstance(timeout, numbers.Real) or not 0 < timeout <= _LONGEST:
        raise LabkitError(
            f"{timeout!r} is no time to wait for processes", todo=f"Give seconds: more than 0, at most {_LONGEST}"
        )


def _checked_env(env: Mapping[str, str] | None) -> dict[str, str]:
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise LabkitError(
                f"The environment variable {name} is to be {value!r}",
                "Environment variables are text",
                f"Write {{{str(name)!r}: {str(value)!r}}}",
            )
    return dict(env or {})


@contextlib.contextmanager
def _workplace() -> Iterator[Path]:
    """A folder for the files of one run. What the system refuses to a run becomes an error in plain words."""
    try:
        with tempfile.TemporaryDirectory(prefix="labkit-run-", ignore_cleanup_errors=True) as name:
            yield Path(name)
    except BrokenPipeError:  # nobody reads any longer what this program prints
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LabkitError(
            f"The system does not let the processes start: {error}",
            _FULL if full else "They need memory, open files, ports of 127.0.0.1 and a folder for temporary files",
            _ROOM if full else "",
        ) from error


def _check_room(processes: int, show: bool) -> None:
    cores = usable_cores()
    if processes > _MOST_PER_CORE * max(cores, 2):
        raise LabkitError(
            f"{processes} processes are too many for {cores} core{'s' * (cores != 1)}",
            "Each needs a few hundred megabytes and its turn on a core",
            f"Ask for at most {_MOST_PER_CORE * max(cores, 2)}",
        )
    if processes > cores and show and processes not in _told:
        _told.add(processes)
        print(
            f"{processes} processes share {cores} core{'s' * (cores != 1)} here: results are not changed by that, times are."
        )


def _packed(work: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps((work, arguments))
    except Exception as error:  # pickling runs code of whatever the work refers to
        raise LabkitError(
            f"The work cannot be sent to another process: {error}",
            "Everything it refers to travels with it, and something there cannot",
            "Make files, locks, generators and devices inside the function",
        ) from error


def _without_value(outcome: Outcome, folder: Path) -> list[int]:
    """The ranks that ended as if all were well, and have returned nothing, not even None."""
    return [rank for rank, code in enumerate(outcome.codes) if code == 0 and not (folder / f"{rank}.value").exists()]


def _unpacked(rank: int, folder: Path) -> Any:
    try:
        return pickle.loads((folder / f"{rank}.value").read_bytes())
    except Exception as error:  # unpickling runs code of whatever was returned
        raise LabkitError(
            f"What rank {rank} returned cannot be unpacked here: {type(error).__name__}: {error}",
            todo="Return arrays, tensors or numbers",
        ) from error


def _cell_sources() -> dict[str, Any]:
    """The text of a notebook's cells, where IPython keeps it for tracebacks."""
    with contextlib.suppress(ImportError):
        from IPython.core.getipython import get_ipython

        if get_ipython() is not None:
            # an entry without a time of change is one that IPython made
            return {
                name: entry for name, entry in list(linecache.cache.items()) if len(entry) == 4 and entry[1] is None
            }
    return {}


def _place(rank: int, ranks: int) -> dict[str, str]:
    place = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
    return {name: str(value) for name, value in place.items()} | _meeting_place()


def _meeting_place() -> dict[str, str]:
    """Ranks of one machine talk over its loopback, also where the machine's own name means nothing."""
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    return {"MASTER_ADDR": "127.0.0.1"} | ({"GLOO_SOCKET_IFNAME": loopback} if loopback else {})


def _threads(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict.fromkeys(names, str(threads)) | {"TF_NUM_INTEROP_THREADS": str(threads)}


def _devices(devices: int | None, *, choose_platform: bool = True) -> dict[str, str]:
    """What tells JAX to split the processor into several devices."""
    if devices is None:
        return {}
    devices = _whole(devices, "devices")
    name = "--xla_force_host_platform_device_count"
    others = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(f"{name}=")]
    # XLA waits for its simulated devices in threads of one pool, which is as large as there are cores. With fewer threads than
    # devices that wait, an all-reduce can stand still for ever (seen on two cores within 400 steps); this makes the pool larger.
    settings = {"XLA_FLAGS": " ".join([*others, f"{name}={devices}"]), "NPROC": str(4 * devices)}
    return settings | ({"JAX_PLATFORMS": "cpu"} if choose_platform else {})


def _tf_config(rank: int, addresses: list[str]) -> dict[str, str]:
    import json

    if not addresses:
        return {}
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}})}


@contextlib.contextmanager
def _guarded(mark: str, folder: Path) -> Iterator[Callable[[int], None]]:
    """However this block is left, and also if this process is killed in it, every process with ``mark`` is ended.

    So is what belongs to a session; the block is given a function to tell of one. If this process is killed, the folder goes too.
    """
    guard = subprocess.Popen(
        [sys.executable, "-m", "labkit._guard", mark, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != MARK},
    )
    assert guard.stdin is not None
    ear = guard.stdin

    def tell(word: object) -> None:
        os.write(ear.fileno(), f"{word}\n".encode())

    try:
        yield tell
    finally:
        with contextlib.suppress(OSError):
            tell(END)  # closing is not enough: a process that was forked from this one meanwhile may hold the pipe open
        ear.close()
        guard.wait()


def _supervise(
    commands: Sequence[Sequence[str]],
    environments: Sequence[Mapping[str, str]],
    folder: Path,
    timeout: float,
    show: bool,
) -> Outcome:
    """Start the commands and wait until all have ended well, one has not, or time is up; then end what is left."""
    mark = uuid.uuid4().hex
    common = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", MARK: mark}
    lines: queue.Queue[tuple[int, str]] = queue.Queue()
    output: list[list[str]] = [[] for _ in commands]
    processes: list[subprocess.Popen[str]] = []
    readers: list[threading.Thread] = []

    def show_lines(wait: float) -> None:
        limit = time.monotonic() + 0.5  # a rank that prints without end must not keep us from looking at the time
        with contextlib.suppress(queue.Empty):
            while time.monotonic() < limit:
                rank, line = lines.get(timeout=wait)
                output[rank].append(line)
                if show:
                    end = "" if line.endswith("\n") else "\n"
                    print(f"[{rank}] {line}" if len(commands) > 1 else line, end=end, flush=True)
                wait = 0

    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context((folder / f"{i}.stderr").open("w")) for i in range(len(commands))]
        with _guarded(mark, folder) as tell:
            for number, (command, environment) in enumerate(zip(commands, environments, strict=True)):
                process = subprocess.Popen(
                    list(command),
                    env=common | dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=logs[number],
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
                processes.append(process)
                tell(process.pid)
                assert process.stdout is not None
                readers.append(threading.Thread(target=_read, args=(number, process.stdout, lines), daemon=True))
                readers[-1].start()
            limit = time.monotonic() + timeout
            while None in (codes := [process.poll() for process in processes]) and not any(codes):
                show_lines(wait=0.02)
                if time.monotonic() > limit:
                    break
            if any(codes):
                _wait_a_moment(processes)  # one failure makes others fail: see which was first
            codes = [process.poll() for process in processes]
            if None in codes and not any(codes):
                _ask_where(processes, folder)
        for process in processes:
            process.kill()  # it has ended, unless somebody killed the guard
            process.wait()
        # A pipe has its end when all have left it; we do not wait for a daemon that escaped the guard and holds it.
        limit = time.monotonic() + 2
        while any(reader.is_alive() for reader in readers) and time.monotonic() < limit:
            show_lines(wait=0.02)
        while not lines.empty():
            show_lines(wait=0)
    errors = [(folder / f"{i}.stderr").read_text(errors="replace") for i in range(len(commands))]
    late = None in codes and not any(codes)
    return Outcome(codes, ["".join(one) for one in output], errors, late)


def _read(rank: int, pipe: IO[str], lines: queue.Queue[tuple[int, str]]) -> None:
    with contextlib.suppress(ValueError, OSError), pipe:
        for line in pipe:
            lines.put((rank, line))


def _wait_a_moment(processes: Sequence[subprocess.Popen[str]], seconds: float = 0.5) -> None:
    limit = time.monotonic() + seconds
    while any(process.poll() is None for process in processes) and time.monotonic() < limit:
        time.sleep(0.02)


def _ask_where(processes: Sequence[subprocess.Popen[str]], folder: Path) -> None:
    """Let each rank that still runs write down where it is."""
    if not hasattr(signal, "SIGUSR1"):
        return
    asked = []
    for rank, process in enumerate(processes):
        # A rank that has told no phase yet has not set up the answer, and the signal would end it.
        if process.poll() is None and (folder / f"{rank}.phase").exists():
            process.send_signal(signal.SIGUSR1)
            asked.append(folder / f"{rank}.stack")
    limit = time.monotonic() + 2
    while any(not path.stat().st_size for path in asked) and time.monotonic() < limit:
        time.sleep(0.02)


def _what_happened(outcome: Outcome, folder: Path, timeout: float) -> RankError:
    """The error for a run that went wrong: the first cause, not what followed from it."""
    ranks = len(outcome.codes)
    others = ", and the others were stopped" if ranks > 1 else ""
    for rank in _without_value(outcome, folder):
        if not any(outcome.codes):
            return RankError(
                f"Rank {rank} of {ranks} left with exit status 0 while {_phase(rank, folder)}, and returned no value",
                "Something in the work ended the process, as os._exit does",
                "Let the work return, if only None",
                rank=rank,
            )
    if outcome.late:
        places = [_where(rank, folder) for rank, code in enumerate(outcome.codes) if code is None]
        finished = [str(rank) for rank, code in enumerate(outcome.codes) if code == 0]
        already = f"Finished had rank {', '.join(finished)}. " if finished else ""
        return RankError(
            f"After {timeout:g} s, {len(places)} of {ranks} ranks had not finished, and all were stopped. {' '.join(places)}",
            f"{already}A rank waits for ever if another one does not make the same calls",
            "Let every rank make the same collective calls in the same order, or give a larger `timeout`",
            rank=outcome.codes.index(None),
        )
    records = {
        rank: pickle.loads(path.read_bytes()) for rank in range(ranks) if (path := folder / f"{rank}.error").exists()
    }
    # A rank that died without a word is the cause: those that raise because it has gone can still tell. So is one that left
    # by itself, as with sys.exit.
    silent = [rank for rank, code in enumerate(outcome.codes) if code and rank not in records]
    if silent:
        rank = silent[0]
        code = outcome.codes[rank] or 0
        how = f"was killed by the signal {_signal_name(-code)}" if code < 0 else f"left with exit status {code}"
        told = "\n".join(outcome.errors[rank].splitlines()[-20:])[-10_000:]
        stderr = f" The end of its stderr:\n\n{told}\n" if told else ""
        why = "The system does that to a process when memory runs out" if -code == getattr(signal, "SIGKILL", 9) else ""
        full = shutil.disk_usage(folder).free < 2**16
        return RankError(
            f"Rank {rank} of {ranks} {how} while {_phase(rank, folder)}{others}.{stderr}",
            _FULL if full else why,
            _ROOM if full else "",
            rank=rank,
        )
    rank = min(records, key=lambda one: records[one]["at"])
    told = records[rank]["traceback"]
    finished = [str(other) for other, code in enumerate(outcome.codes) if code == 0]
    many = len(finished) > 1
    todo = (
        f"Rank{'s' * many} {', '.join(finished)} had finished already: every rank must make the same collective calls"
        if finished
        else ""
    )
    return RankError(f"Rank {rank} of {ranks} raised an error{others}:\n\n{told}", todo=todo, rank=rank, traceback=told)


def _without_torchruns_own(errors: str) -> str:
    """The end of what was written to stderr, less the traceback of torchrun itself, which says nothing about the script."""
    mine = re.sub(
        r"Traceback \(most recent call last\):\n  File \"<frozen runpy>\".*?ChildFailedError: *\n",
        "",
        errors,
        flags=re.DOTALL,
    )
    return "\n".join(mine.splitlines()[-40:])[-20_000:]


def _phase(rank: int, folder: Path) -> str:
    path = folder / f"{rank}.phase"
    return (path.read_text() if path.exists() else "") or "starting"


def _where(rank: int, folder: Path) -> str:
    """One sentence: how far a rank came, and the line of the user's code where it is."""
    phase, path = _phase(rank, folder), folder / f"{rank}.stack"
    said = {"starting": "was still starting", "joining": "was waiting for the others to join"}.get(
        phase, f"was {phase}"
    )
    frames = re.findall(r'File "(.+)", line (\d+) in (\S+)', path.read_text() if path.exists() else "")
    mine = [
        (line, name) for file, line, name in frames if "site-packages" not in file and "labkit" not in Path(file).parts
    ]
    mine = [(line, name) for line, name in mine if not name.startswith("_run_")]  # of Python's own start
    if phase == "working" and mine:
        inner = f", in {frames[0][2]}()" if frames[0][2] != mine[0][1] else ""
        said += f" at line {mine[0][0]} of {mine[0][1]}(){inner}"
    return f"Rank {rank} {said}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
