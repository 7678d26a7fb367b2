"""Ends every process of one run, however the run ended. Started beside each run by ``labkit.parallel``.

Each process of a run carries a mark in its environment, which what it starts inherits, whatever session or group it goes
to. The guard reads from its standard input the numbers of the run's processes, each the first of a session, until it is told
that the run is over, or the pipe closes because the notebook's kernel was restarted or killed. Then it ends whatever carries
the mark or belongs to one of the sessions. Only what gives up both, a daemon with an environment of its own, escapes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time

MARK = "LABKIT_RUN"  # the environment variable
END = "end"


def marked(mark: str, sessions: set[int]) -> list:
    """The living processes (psutil's) of the run, of those that this user may look at."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and (
                (hasattr(os, "getsid") and os.getsid(process.pid) in sessions) or process.environ().get(MARK) == mark
            ):
                found.append(process)
    return found


def end(mark: str, sessions: set[int], grace: float = 1.0) -> None:
    """Ask every process of the run to end, and kill those that have not after ``grace`` seconds."""
    import psutil

    asked = marked(mark, sessions)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    # Not psutil.wait_procs: where the parent has gone, or is busy, an ended process may stay a zombie for a while.
    limit = time.monotonic() + grace
    while asked and marked(mark, sessions) and time.monotonic() < limit:
        time.sleep(0.02)
    while survivors := marked(mark, sessions):
        for process in survivors:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.02)


if __name__ == "__main__":
    told: set[int] = set()
    for word in sys.stdin:
        if word.strip() == END:
            end(sys.argv[1], told)
            break
        told.add(int(word))
    else:
        end(sys.argv[1], told)
        shutil.rmtree(sys.argv[2], ignore_errors=True)  # nobody is left who would
