"""Ends every process of one run, however the run ended. Started beside each run by ``labkit.parallel``.

Each process of a run carries a mark in its environment, which what it starts inherits, whatever session or group it goes
to. The guard waits for its standard input to close, which happens when the run is over, and also when the notebook's kernel
is interrupted, restarted or killed. Then it ends whatever still carries the mark.
"""

from __future__ import annotations

import contextlib
import sys
import time

MARK = "LABKIT_RUN"  # the environment variable


def marked(mark: str) -> list:
    """The living processes (psutil's) that carry ``mark``, of those that this user may look at."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(mark: str, grace: float = 1.0) -> None:
    """Ask every process that carries ``mark`` to end, and kill those that have not after ``grace`` seconds."""
    import psutil

    asked = marked(mark)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    # Not psutil.wait_procs: where the parent has gone, or is busy, an ended process may stay a zombie for a while.
    limit = time.monotonic() + grace
    while asked and marked(mark) and time.monotonic() < limit:
        time.sleep(0.02)
    while survivors := marked(mark):
        for process in survivors:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.02)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
