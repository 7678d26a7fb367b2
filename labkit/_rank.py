"""What one rank of ``labkit.parallel.run`` does: unpack the work, join the others, do it, leave the result in a file.

Run as ``python -m labkit._rank FOLDER``. The parent reads from FOLDER what became of this rank: ``N.phase``, how far it came;
``N.value`` or ``N.error``; ``N.stack``, where it is, written when it gets the signal SIGUSR1.
"""

from __future__ import annotations

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


def main(folder: Path) -> int:
    """Do the job in ``folder`` as the rank that the environment says. Returns the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
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
            work, arguments = pickle.loads(job["call"])
        if job["backend"]:
            reached("joining")
            join(job["backend"], folder, rank, ranks, job["timeout"])
        reached("working")
        value = work(*arguments)
        reached("finishing")
        save(folder / f"{rank}.value", value)
        if job["backend"]:
            import torch.distributed

            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
        reached("finished")
    except Exception as error:
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        told = "".join(traceback.format_exception(type(error), error, frames))
        record = {"at": time.time(), "summary": f"{type(error).__name__}: {error}", "traceback": told}
        save(folder / f"{rank}.error", record)
        return 1
    return 0


def join(backend: str, folder: Path, rank: int, ranks: int, timeout: float) -> None:
    """Make torch's process group. The ranks meet in a file, so no port can be taken by somebody else."""
    import torch
    import torch.distributed

    if backend == "nccl":
        torch.cuda.set_device(rank % torch.cuda.device_count())
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
    part.write_bytes(data)
    part.replace(path)


def leave(status: int) -> None:
    """End this process at once: after its last line, a process that used gloo sometimes dies of gloo's own threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
