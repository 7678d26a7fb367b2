"""What one rank of ``labkit.parallel.run`` does: unpack the work, join the others, do it, leave the result in a file.

Run as ``python -m labkit._rank FOLDER``. The parent reads from FOLDER what became of this rank: ``N.phase``, how far it came;
``N.value`` or ``N.error``; ``N.stack``, where it is, written when it gets the signal SIGUSR1.
"""

from __future__ import annotations

import contextlib
import datetime
import faulthandler
import linecache
import os
import pickle
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError


def main(folder: Path) -> int:
    """Do the job in ``folder`` as the rank that the environment says. Returns the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    me = os.getpid()
    stack = (folder / f"{rank}.stack").open("w")
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, file=stack, all_threads=False)

    def reached(phase: str) -> None:
        (folder / f"{rank}.phase").write_text(phase)

    try:
        reached("starting")
        with (folder / "job").open("rb") as file:
            job = pickle.load(file)
            linecache.cache.update(job["sources"])  # a notebook's cells are no files: tracebacks want their text
            sys.path += [entry for entry in job["path"] if entry not in sys.path]  # as the notebook has extended it
            work, arguments = pickle.loads(job["call"])
        if job["backend"]:
            reached("joining")
            join(job["backend"], folder, rank, ranks, job["timeout"])
        reached("working")
        value = work(*arguments)
        if os.getpid() != me:
            return 0  # the work forked: its child has no rank
        reached("finishing")
        save(folder / f"{rank}.value", value)
        if job["backend"]:
            import torch.distributed

            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
        reached("finished")
    except BaseException as error:
        if os.getpid() != me or (isinstance(error, SystemExit) and error.code):
            raise
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        told = "".join(traceback.format_exception(type(error), error, frames))
        save(folder / f"{rank}.error", {"at": time.time(), "traceback": told})
        return 1
    return 0


def join(backend: str, folder: Path, rank: int, ranks: int, timeout: float) -> None:
    """Make torch's process group. The ranks meet in a file, so no port can be taken by somebody else."""
    import torch
    import torch.distributed

    if backend == "nccl":
        if torch.cuda.device_count() < ranks:
            raise LabkitError(
                f"{ranks} ranks over nccl need {ranks} NVIDIA GPUs, and torch finds {torch.cuda.device_count()} here",
                todo="Use backend='gloo'",
            )
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group(
        backend,
        init_method=f"file://{(folder / 'meeting').as_posix()}",
        rank=rank,
        world_size=ranks,
        timeout=datetime.timedelta(seconds=timeout),
    )


def save(path: Path, value: Any) -> None:
    """Write a value whole or not at all."""
    import cloudpickle

    part = path.with_name(f"{path.name}.part")
    try:
        data = cloudpickle.dumps(value)
    except Exception as error:  # pickling runs the value's own code
        raise TypeError(
            f"what the work returned, a {type(value).__name__}, cannot be sent back ({error}); return arrays, tensors or numbers"
        ) from error
    try:
        part.write_bytes(data)
    except OSError as error:
        part.unlink(missing_ok=True)  # there may still be room for the word that there is none
        raise OSError(f"{len(data):,} bytes do not fit into the folder for temporary files ({error})") from error
    part.replace(path)


def leave(status: int) -> None:
    """End this process at once: after its last line, a process that used gloo sometimes dies of gloo's own threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # the work may have closed it
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
