"""Processes from a notebook: what they return, how they fail, and that none is ever left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from labkit import parallel
from labkit.errors import LabkitError

LONG = 600  # seconds; nothing waits that long, unless something that should have been stopped was not
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.fixture
def token() -> Iterator[str]:
    """A word in the environment of a run's processes, by which a test finds them; none may be left when it ends."""
    word = uuid.uuid4().hex
    yield word
    left = alive(word)
    for process in left:
        process.kill()
    assert not left, f"left behind: {left}"


def alive(word: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TOKEN") == word and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.02)


def rank() -> int:
    return int(os.environ["RANK"])


class Stdout:
    """Stands in for sys.stdout and calls ``what`` with every text that is printed."""

    def __init__(self, what: Callable[[str], Any]) -> None:
        self.write = what

    def flush(self) -> None:
        pass


class Unpacked:
    """Calls ``what`` in the process that unpacks it, and is what that returned."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what = what

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return self.what, ()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# --- what comes back ---------------------------------------------------------------------------------------------------


def test_each_rank_does_the_work_and_what_it_returns_comes_back_in_order(capsys) -> None:
    factor = 10  # travels with the function, as a notebook's names do

    def work(offset: int) -> tuple[int, int, str]:
        print(f"I am {rank()}")
        print("a warning", file=sys.stderr)
        return factor * rank() + offset, int(os.environ["WORLD_SIZE"]), os.environ["OMP_NUM_THREADS"]

    values = parallel.run(work, 3, arguments=(1,))
    assert values == [(1, 3, "1"), (11, 3, "1"), (21, 3, "1")]
    assert values.output == ["I am 0\n", "I am 1\n", "I am 2\n"]
    assert all("a warning" in errors for errors in values.errors)
    assert {"[0] I am 0", "[1] I am 1", "[2] I am 2"} <= set(capsys.readouterr().out.splitlines())


def test_a_quiet_run_prints_nothing_and_keeps_what_was_printed(capsys) -> None:
    values = parallel.run(lambda: print("x" * 1_000_000), 2, show=False)
    assert [len(output) for output in values.output] == [1_000_001, 1_000_001]
    assert capsys.readouterr().out == ""


def test_a_last_line_without_a_line_break_is_shown_on_a_line_of_its_own(capsys) -> None:
    values = parallel.run(lambda: print("half a line", end=""), 2)
    assert values.output == ["half a line"] * 2, "what is kept is what was printed"
    assert {"[0] half a line", "[1] half a line"} <= set(capsys.readouterr().out.splitlines())


def test_bytes_that_are_no_text_are_shown_as_well_as_can_be() -> None:
    values = parallel.run(lambda: os.write(1, b"caf\xe9\n"), 1)
    assert values.output == ["caf\N{REPLACEMENT CHARACTER}\n"]


def test_numpys_whole_numbers_will_do() -> None:
    assert parallel.run(rank, np.int64(2), threads=np.int64(1)) == [0, 1]


def test_a_module_is_found_where_this_process_found_it(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "beside_the_notebook.py").write_text("def work():\n    return 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    import beside_the_notebook

    assert parallel.run(beside_the_notebook.work, 1) == [7]


@needs_posix
def test_a_forked_copy_of_a_rank_is_no_rank() -> None:
    def work() -> str:
        child = os.fork()
        if child == 0:
            return "from the copy"
        os.waitpid(child, 0)
        return "from the rank"

    assert parallel.run(work, 1) == ["from the rank"]


def test_more_processes_than_cores_are_told_once(capsys, monkeypatch) -> None:
    monkeypatch.setattr("labkit._processes.usable_cores", lambda: 2)
    monkeypatch.setattr("labkit._processes._told", set())
    for _ in range(2):
        parallel.run(rank, 3)
    assert capsys.readouterr().out.count("3 processes share 2 cores") == 1


def test_the_ranks_can_talk_through_torch(token: str) -> None:
    pytest.importorskip("torch")

    def work() -> tuple[float, int]:
        import torch
        import torch.distributed as dist

        total = torch.tensor(float(dist.get_rank() + 1))
        dist.all_reduce(total)
        return total.item(), torch.get_num_threads()

    assert parallel.run(work, 2, backend="gloo", env={"TOKEN": token}) == [(3.0, 1), (3.0, 1)]


@pytest.mark.parametrize(("gpus", "backend"), [(0, "gloo"), (1, "gloo"), (2, "nccl"), (8, "nccl")])
def test_ranks_talk_through_nccl_where_each_has_a_gpu(gpus: int, backend: str, monkeypatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert parallel.backend_for(2) == backend
    assert parallel.here().type == "cpu", "outside of a group"


def test_torch_can_also_be_started_by_the_work_itself(token: str) -> None:
    pytest.importorskip("torch")

    def work() -> int:
        import torch.distributed as dist

        dist.init_process_group("gloo")  # finds everything in the environment
        dist.barrier()
        size = dist.get_world_size()
        dist.destroy_process_group()
        return size

    assert parallel.run(work, 2, env={"TOKEN": token}) == [2, 2]


def test_jax_sees_the_devices_that_were_asked_for(token: str) -> None:
    pytest.importorskip("jax")

    def work() -> int:
        import jax

        return len(jax.devices())

    assert parallel.run(work, 1, devices=8, env={"TOKEN": token}) == [8]


def test_tensorflow_is_told_of_its_workers() -> None:
    def work() -> dict[str, Any]:
        import json

        return json.loads(os.environ["TF_CONFIG"])

    first, second = parallel.run(work, 2, tensorflow_cluster=True)
    assert first["cluster"] == second["cluster"]
    assert len(set(first["cluster"]["worker"])) == 2
    assert [one["task"] for one in (first, second)] == [{"type": "worker", "index": 0}, {"type": "worker", "index": 1}]


def test_two_runs_at_once_do_not_meet() -> None:
    pytest.importorskip("torch")

    def work(value: float) -> float:
        import torch
        import torch.distributed as dist

        total = torch.tensor(value)
        dist.all_reduce(total)
        return total.item()

    found: dict[float, list[float]] = {}

    def start(value: float) -> None:
        found[value] = parallel.run(work, 2, arguments=(value,), backend="gloo", show=False)

    threads = [threading.Thread(target=start, args=(value,)) for value in (1.0, 5.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1.0: [2.0, 2.0], 5.0: [10.0, 10.0]}


# --- how it fails ------------------------------------------------------------------------------------------------------


def test_an_exception_in_one_rank_is_shown_with_its_traceback_and_ends_the_others(token: str) -> None:
    def work() -> None:
        if rank() == 1:
            raise ValueError("the cat sat on the keyboard")
        subprocess.run(["sleep", str(LONG)])

    start = time.monotonic()
    with pytest.raises(parallel.RankError) as caught:
        parallel.run(work, 3, env={"TOKEN": token}, timeout=LONG)
    assert time.monotonic() - start < 60, "the others were waited for"
    assert caught.value.rank == 1
    assert "Rank 1 of 3 raised an error, and the others were stopped" in str(caught.value)
    assert 'raise ValueError("the cat sat on the keyboard")' in caught.value.traceback
    assert "_rank.py" not in caught.value.traceback, "only the work's own frames"


PHASES = {
    "starting": (lambda: None, Unpacked(lambda: die() if rank() == 1 else None), None),
    "joining": (lambda: None, Unpacked(lambda: die_when_joining() if rank() == 1 else None), "gloo"),
    "working": (lambda _: die() if rank() == 1 else time.sleep(LONG), 0, None),
    "in a collective": (lambda _: die() if rank() == 1 else wait_for_all(), 0, "gloo"),
    "finishing": (lambda _: Unpicklable() if rank() == 1 else time.sleep(LONG), 0, None),
}


def die_when_joining() -> None:
    import torch.distributed

    torch.distributed.init_process_group = lambda *arguments, **options: die()


def wait_for_all() -> None:
    import torch.distributed

    torch.distributed.barrier()


class Unpicklable:
    def __reduce__(self) -> Any:
        die()


@needs_posix
@pytest.mark.parametrize("phase", PHASES)
def test_a_rank_that_is_killed_is_named_at_whatever_phase_it_was(phase: str, token: str) -> None:
    work, argument, backend = PHASES[phase]
    if backend:
        pytest.importorskip("torch")
    start = time.monotonic()
    with pytest.raises(parallel.RankError) as caught:
        parallel.run(work, 2, arguments=(argument,), backend=backend, env={"TOKEN": token}, timeout=LONG)
    assert time.monotonic() - start < 60, "the other was waited for"
    said = "working" if phase == "in a collective" else phase
    assert f"Rank 1 of 2 was killed by the signal SIGKILL while {said}" in str(caught.value)
    assert caught.value.rank == 1


def test_a_rank_that_leaves_by_itself_is_named() -> None:
    with pytest.raises(parallel.RankError, match="Rank 0 of 1 left with exit status 3 while working"):
        parallel.run(lambda: sys.exit(3), 1)


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        (lambda: os._exit(0), "Rank 1 of 2 left with exit status 0 while working, and returned no value"),
        (lambda: sys.exit(), "(?s)Rank 1 of 2 raised an error.*SystemExit"),
    ],
    ids=["os._exit", "sys.exit"],
)
def test_a_rank_that_leaves_as_if_all_were_well_but_without_a_value_is_named(leave: Any, said: str) -> None:
    with pytest.raises(parallel.RankError, match=said) as caught:
        parallel.run(lambda: leave() if rank() == 1 else None, 2)
    assert caught.value.rank == 1


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [Mute, KeyboardInterrupt], ids=lambda one: one.__name__)
def test_unusual_exceptions_are_shown_as_well(error: type[BaseException]) -> None:
    def work() -> None:
        raise error

    with pytest.raises(parallel.RankError, match=f"(?s)Rank 0 of 1 raised an error.*raise error.*{error.__name__}"):
        parallel.run(work, 1)


def test_a_rank_that_prints_without_end_is_stopped_in_time(token: str, monkeypatch) -> None:
    def work() -> None:
        while True:
            print("faster than it can be shown")
            time.sleep(0.005)

    monkeypatch.setattr(sys, "stdout", Stdout(lambda _: time.sleep(0.01)))
    with pytest.raises(parallel.RankError, match=r"After 1 s, 1 of 1 ranks had not finished"):
        parallel.run(work, 1, timeout=1, env={"TOKEN": token})


def test_a_value_that_cannot_be_unpacked_here_is_said() -> None:
    here = os.getpid()
    with pytest.raises(LabkitError, match="What rank 0 returned cannot be unpacked here: ZeroDivisionError"):
        parallel.run(lambda: Unpacked(lambda: 1 / (os.getpid() - here)), 1)


def test_a_full_folder_for_temporary_files_is_said(monkeypatch) -> None:
    def full(**options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(LabkitError, match=r"folder for temporary files is full.*Make room there"):
        parallel.run(rank, 1)


@needs_posix
def test_a_value_too_large_for_the_disk_is_said() -> None:
    def work() -> bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        return bytes(100_000)

    with pytest.raises(parallel.RankError, match=r"100,\d+ bytes do not fit into the folder for temporary files"):
        parallel.run(work, 1)


@needs_posix
def test_a_worker_that_never_joins_is_named(token: str) -> None:
    pytest.importorskip("torch")
    slow = Unpacked(lambda: time.sleep(LONG) if rank() == 1 else None)
    with pytest.raises(parallel.RankError) as caught:
        parallel.run(lambda _: None, 2, arguments=(slow,), backend="gloo", timeout=10, env={"TOKEN": token})
    assert "Rank 0 was waiting for the others to join. Rank 1 was still starting." in str(caught.value)


@needs_posix
def test_ranks_that_wait_for_ever_say_where(token: str) -> None:
    def work() -> None:
        if rank() == 1:
            return
        wait_here()

    def wait_here() -> None:
        time.sleep(LONG)

    with pytest.raises(parallel.RankError) as caught:
        parallel.run(work, 2, timeout=4, env={"TOKEN": token})
    assert "Rank 0 was working at line" in str(caught.value)
    assert "of wait_here()" in str(caught.value)
    assert "Finished had rank 1." in str(caught.value)


def test_a_rank_that_left_its_peers_in_the_lurch_is_mentioned(token: str) -> None:
    pytest.importorskip("torch")

    def work() -> None:
        if rank() == 0:
            wait_for_all()

    with pytest.raises(parallel.RankError) as caught:
        parallel.run(work, 2, backend="gloo", env={"TOKEN": token})
    assert caught.value.rank == 0
    assert "Rank 1 had finished already" in str(caught.value)


def test_what_cannot_be_sent_back_is_said() -> None:
    with pytest.raises(parallel.RankError, match="a lock, cannot be sent back"):
        parallel.run(threading.Lock, 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ranks": 0}, "0 is no number of processes"),
        ({"ranks": 2.5}, "2.5 is no number of processes"),
        ({"ranks": True}, "True is no number"),
        ({"ranks": 100_000}, "100000 processes are too many"),
        ({"backend": "carrier pigeon"}, "There is no backend 'carrier pigeon'. Use 'gloo'"),
        ({"devices": 0}, "0 is no number of devices"),
        ({"arguments": (threading.Lock(),)}, "cannot be sent to another process"),
        ({"arguments": ((one for one in "abc"),)}, "cannot be sent to another process"),
        ({"arguments": 5}, r"`arguments` is to hold .*arguments=\(5,\)"),
        ({"arguments": "abc"}, "`arguments` is to hold the arguments of the work, and it is 'abc'"),
        ({"work": None}, r"The work is to be a function, and it is None.*run\(train\), not run\(train\(\)\)"),
        ({"threads": 0}, "0 is no number of threads"),
        ({"timeout": 0}, "0 is no time to wait for processes. Give seconds: more than 0"),
        ({"timeout": -1}, "-1 is no time"),
        ({"timeout": float("nan")}, "nan is no time"),
        ({"timeout": float("inf")}, "inf is no time"),
        ({"timeout": "5"}, "'5' is no time"),
        ({"env": {"A": 1}}, "The environment variable A is to be 1. .*Write {'A': '1'}"),
        ({"port": -1}, "-1 is no port. Leave `port` out"),
        ({"port": "29500"}, "'29500' is no port"),
    ],
)
def test_what_cannot_be_started_is_refused_with_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(LabkitError, match=said):
        parallel.run(**({"work": rank} | options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ranks": 0}, "0 is no number of processes"),
        ({"nodes": 0}, "0 is no number of nodes"),
        ({"restarts": -1}, "-1 is no number of restarts. Give a whole number from 0 up"),
        ({"timeout": 0}, "0 is no time to wait"),
        ({"arguments": "--lr 3"}, r"Give \['--lr', '3'\]"),
        ({"env": {"A": 1}}, "The environment variable A is to be 1"),
    ],
)
def test_a_script_that_cannot_be_started_is_refused_with_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(LabkitError, match=said):
        parallel.torchrun("print()\n", **options)


def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LabkitError, match=r"Port \d+ is in use.*Leave `port` out"):
            parallel.run(rank, 2, port=taken.getsockname()[1])
    port = parallel.free_port()
    assert parallel.run(lambda: os.environ["MASTER_PORT"], 1, port=port) == [str(port)]


# --- nothing is left behind --------------------------------------------------------------------------------------------

# Each rank starts a process of its own in a session of its own, as DataLoader and torchrun do, then waits.
WAITING = f"""
def work():
    import os, subprocess, time
    subprocess.Popen(["sleep", "{LONG}"], start_new_session=True)
    print("ready", flush=True)
    time.sleep({LONG})

from labkit import parallel
parallel.run(work, 2, env={{"TOKEN": "TOKEN_OF_TEST"}}, timeout={LONG})
"""


@needs_posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_a_program_that_is_stopped_leaves_no_process_and_no_file(
    how: signal.Signals, token: str, tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", WAITING.replace("TOKEN_OF_TEST", token)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    assert sorted(program.stdout.readline() for _ in range(2)) == ["[0] ready\n", "[1] ready\n"]
    wait_until(lambda: len(alive(token)) == 4)
    program.send_signal(how)
    program.wait(timeout=60)
    wait_until(lambda: not alive(token))
    wait_until(lambda: not list(tmp_path.iterdir()))


@needs_posix
@pytest.mark.parametrize("how", ["interrupt", "restart"])
def test_a_cell_that_is_stopped_leaves_no_process(how: str, token: str) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute(WAITING.replace("TOKEN_OF_TEST", token))
        wait_until(lambda: len(alive(token)) == 4)
        if how == "interrupt":
            manager.interrupt_kernel()
            assert client.get_shell_msg(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
            assert not alive(token)
        else:
            manager.restart_kernel(now=True)
            wait_until(lambda: not alive(token))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@needs_posix
def test_what_a_rank_started_and_left_running_is_ended_with_the_run(token: str) -> None:
    def work() -> int:
        return subprocess.Popen(["sleep", str(LONG)], start_new_session=True).pid

    values = parallel.run(work, 2, env={"TOKEN": token})
    assert not [pid for pid in values if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


@needs_posix
def test_what_a_rank_started_with_an_environment_of_its_own_is_ended_with_the_run() -> None:
    (pid,) = parallel.run(lambda: subprocess.Popen(["sleep", str(LONG)], env={}).pid, 1)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


@needs_posix
def test_a_daemon_that_escapes_is_not_waited_for() -> None:
    start = time.monotonic()
    (pid,) = parallel.run(lambda: subprocess.Popen(["sleep", str(LONG)], env={}, start_new_session=True).pid, 1)
    os.kill(pid, signal.SIGKILL)
    assert time.monotonic() - start < 60


@needs_posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_meanwhile_does_not_keep_the_run_from_its_end(monkeypatch) -> None:
    children: list[int] = []
    start = time.monotonic()

    def fork(text: str) -> None:  # as another thread may, with multiprocessing
        if "now" in text:
            child = os.fork()
            if child == 0:
                time.sleep(LONG)
                os._exit(0)
            children.append(child)

    monkeypatch.setattr(sys, "stdout", Stdout(fork))
    parallel.run(lambda: print("now"), 1)
    assert time.monotonic() - start < 60
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert children


def test_many_runs_leave_nothing_in_this_process(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    me = psutil.Process()

    def count() -> tuple[int, int, int]:
        return len(me.open_files()), me.num_fds() if os.name == "posix" else 0, len(me.children())

    parallel.run(rank, 1)
    before = count()
    for _ in range(5):
        parallel.run(rank, 2, show=False)
    assert count() == before
    assert not list(tmp_path.iterdir())


def test_an_error_in_a_notebook_shows_the_line_of_the_cell() -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    cell = (
        "from labkit import parallel\n\n\ndef work():\n    return 1 / (1 - 1)  # this line\n\n\nparallel.run(work, 2)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    with pytest.raises(CellExecutionError) as caught:
        NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    assert "return 1 / (1 - 1)  # this line" in caught.value.evalue
    assert "ZeroDivisionError" in caught.value.evalue


# --- torchrun and simulated devices ------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
if sys.argv[1:] == ["once"] and attempt == 0 and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1:] == ["always"]:
    raise ValueError("the cat sat on the keyboard")
print("attempt", attempt, "rank", rank, "of", os.environ["WORLD_SIZE"])
"""


@needs_posix
def test_torchrun_starts_all_ranks_anew_after_one_was_killed(token: str) -> None:
    pytest.importorskip("torch")
    said = parallel.torchrun(SCRIPT, 2, restarts=1, arguments=["once"], env={"TOKEN": token}, show=False)
    assert {"attempt 1 rank 0 of 2", "attempt 1 rank 1 of 2"} <= set(said.splitlines())


def test_lines_of_a_scripts_ranks_do_not_mix() -> None:
    pytest.importorskip("torch")
    said = parallel.torchrun("for _ in range(2000):\n    print('a', 'b', 'c')\n", 2, show=False)
    assert said.splitlines() == ["a b c"] * 4000


def test_torchrun_on_two_nodes_makes_one_group(token: str) -> None:
    pytest.importorskip("torch")
    said = parallel.torchrun(SCRIPT, 1, nodes=2, env={"TOKEN": token}, show=False)
    assert set(said.splitlines()) == {"attempt 0 rank 0 of 2", "attempt 0 rank 1 of 2"}


def test_a_script_that_fails_shows_its_traceback_and_not_torchruns(token: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "train.py"
    path.write_text(textwrap.dedent(SCRIPT))
    with pytest.raises(parallel.RankError, match="the cat sat on the keyboard") as caught:
        parallel.torchrun(path, 2, arguments=["always"], env={"TOKEN": token}, show=False)
    assert "torch/distributed/run.py" not in str(caught.value)


def test_a_script_that_is_not_there_is_named() -> None:
    with pytest.raises(LabkitError, match=r"There is no script nowhere\.py"):
        parallel.torchrun("nowhere.py")


def test_simulated_devices_come_before_jax_has_started() -> None:
    pytest.importorskip("jax")
    early = parallel.run(lambda: len(parallel.simulate(8)), 1)
    assert early == [8]

    def late() -> str:
        import jax

        jax.devices()
        try:
            parallel.simulate(8)
        except LabkitError as error:
            return str(error)
        return "no error"

    (said,) = parallel.run(late, 1)
    assert "JAX has already started here, with 1 processor device" in said
    assert "Restart the kernel" in said


def test_an_error_of_a_rank_can_itself_be_sent_on() -> None:
    error = parallel.RankError("what", "why", rank=3, traceback="t")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, parallel.RankError)
