"""Where jobs are run: in processes of this machine, or on a Dask cluster. Either way one sealed worker is kept warm.

Jobs are plain data, taken one at a time as workers become free, so that a large class needs no more memory than a
small one. What comes back is an outcome, or a text that says why there is none.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from labkit.errors import LabkitError
from labkit.grading.jobs import Job, Outcome

FACTORY = "labkit.grading.sealed:Worker"
RETRIES = 2  # times that a job is given to another worker when one dies of it
_PATIENCE = 5.0  # seconds in which a worker may clean up before it is killed
_local = threading.local()
_open: list[Any] = []

Answer = tuple[str, "Outcome | str"]
"""A student, and the outcome or what went wrong."""
Answers = Generator[Answer, None, None]


def run_job(job: Job, factory: str = FACTORY, sealed: bool = True) -> Outcome:
    """Run a job here. The worker is kept for the next job of this thread, if that needs the same modules.

    ``factory`` names what makes a worker, as ``module:attribute``. Raises LabkitError where no wall can be had.
    """
    wanted = (factory, job.imports, sealed)
    if getattr(_local, "wanted", None) != wanted:
        close_worker()
        module, _, name = factory.partition(":")
        _local.worker = getattr(importlib.import_module(module), name)(job.imports, sealed=sealed)
        _local.wanted = wanted
        _open.append(_local.worker)
    try:
        return _local.worker.run(job)
    except BaseException:
        close_worker()  # whatever happened, the next job begins with a new one
        raise


def close_worker() -> None:
    """Close the worker that this thread keeps, if it keeps one."""
    if getattr(_local, "wanted", None):
        _local.wanted = None
        _open.remove(_local.worker)
        _local.worker.close()


@atexit.register
def _close_all() -> None:
    for worker in _open:  # those of threads that have no last moment of their own, as on a Dask worker
        worker.close()


def run_here(jobs: Iterable[Job], count: int, factory: str = FACTORY, sealed: bool = True) -> Answers:
    """Run jobs in ``count`` processes of this machine, and yield the answers as they come.

    A process that dies is replaced and its job given to another one, twice. Closing the iterator ends the processes.
    Raises LabkitError where no wall can be had.
    """
    source, again = iter(jobs), list[tuple[Job, int]]()
    idle: list[_Process] = []
    busy: dict[Connection, _Process] = {}
    try:
        while True:
            while len(busy) < count:
                job, tries = again.pop() if again else (next(source, None), 0)
                if job is None:
                    break
                process = idle.pop() if idle else _Process.start()
                busy[process.connection] = process
                process.give(job, tries, factory, sealed)
            if not busy:
                return
            for connection in wait(list(busy)):
                process = busy.pop(cast(Connection, connection))
                answer = process.answer()
                if process.alive:
                    idle.append(process)
                if "refused" in answer:
                    raise LabkitError(*answer["refused"])
                if "outcome" in answer:
                    yield process.job.student, Outcome.from_dict(answer["outcome"])
                elif process.tries < RETRIES:
                    again.append((process.job, process.tries + 1))
                else:
                    yield process.job.student, f"It could not be run, in {RETRIES + 1} attempts: {answer['failed']}"
    finally:
        _end([*idle, *busy.values()])


def run_on_dask(jobs: Iterable[Job], scheduler: str, factory: str = FACTORY, sealed: bool = True) -> Answers:
    """Run jobs on the Dask cluster at this address, such as ``tcp://10.0.0.5:8786``, and yield the answers.

    The machines of the cluster need the same labkit and the same packages. What a lost worker was doing is done by
    another. Raises LabkitError where Dask is not installed, the cluster does not answer, or no wall can be had there.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise LabkitError(
            "Grading on a cluster needs Dask, which is not installed here",
            str(error),
            'Run `pip install "labkit[dask]"`',
        ) from error
    try:
        client = Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise LabkitError(
            f"The Dask scheduler at {scheduler} does not answer",
            str(error),
            "Start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
        ) from error
    with client:
        running: dict[Any, str] = {}
        source, done = iter(jobs), as_completed(loop=client.loop)

        def send() -> None:
            job = next(source, None)
            if job is not None:
                # never taken from Dask's memory of earlier results: whether it is run is decided by its key, here
                future = client.submit(run_job, job, factory, sealed, pure=False, retries=RETRIES)
                running[future] = job.student
                done.add(future)

        for _ in range(2 * max(1, sum(client.nthreads().values()))):
            send()
        try:
            for future in done:
                student, failed = running.pop(future), future.exception()
                if isinstance(failed, LabkitError):
                    raise failed
                outcome = None if failed else future.result()
                future.release()
                send()
                yield student, outcome or f"It could not be run on the cluster: {type(failed).__name__}: {failed}"
        finally:
            client.cancel(list(running))


def serve(descriptor: int) -> None:
    """What a worker process does: run the jobs that arrive on its end of a socket, until the other end is closed."""
    os.set_inheritable(descriptor, False)
    connection, running = Connection(descriptor), threading.Event()

    def interrupted(*_: Any) -> None:
        if running.is_set():  # a worker that has nothing to do, or is closing already, notices by itself
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    threading.Thread(target=_stop_when_left_alone, args=[descriptor], daemon=True).start()
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            job, factory, sealed = connection.recv()
            running.set()
            answer = _answer(job, factory, sealed)
            running.clear()
            connection.send_bytes(json.dumps(answer).encode())
    close_worker()


def _answer(job: Job, factory: str, sealed: bool) -> dict[str, Any]:
    try:
        return {"outcome": run_job(job, factory, sealed).to_dict()}
    except LabkitError as error:
        return {"refused": [error.what, error.why, error.todo]}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


@dataclass
class _Process:
    """A worker process, the job that it has, and how often that job was tried before."""

    process: subprocess.Popen[bytes]
    connection: Connection
    job: Job
    tries: int = 0
    alive: bool = True

    @classmethod
    def start(cls) -> _Process:
        ours, theirs = Pipe()
        path = [entry for entry in sys.path if entry]
        code = f"import sys; sys.path[:] = {path!r}; from labkit.grading.workers import serve; serve({theirs.fileno()})"
        with theirs:
            # in a session of its own, so that Ctrl-C reaches the one who hands out the work, and nobody else
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return cls(process, ours, Job("", "", "", ()))

    def give(self, job: Job, tries: int, factory: str, sealed: bool) -> None:
        self.job, self.tries = job, tries
        with suppress(OSError):  # one that died just now: its answer will say so
            self.connection.send((job, factory, sealed))

    def answer(self) -> dict[str, Any]:
        """What came back. Where the process has died, that is what failed."""
        try:
            return json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.alive = False
            self.connection.close()
            return {"failed": f"the process that ran it ended with status {self.process.wait()}."}


def _end(processes: list[_Process]) -> None:
    for process in processes:
        process.connection.close()
    for process in processes:
        try:
            process.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.process.kill()
            process.process.wait()


def _stop_when_left_alone(descriptor: int) -> None:
    """Interrupt the main thread once nobody is at the other end any more, as when grading was killed."""
    poll = select.poll()
    poll.register(descriptor, 0)  # asks for nothing but the hang-up
    poll.poll()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
