"""Runs a script for ``labkit.parallel.torchrun``, with every printed line written whole: ranks share one pipe.

Run as ``python -m labkit._script PATH ARGUMENT...``.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

from labkit._rank import leave

if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True, write_through=False)  # torchrun's `python -u` writes every word
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except Exception as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename in (
            __file__,
            runpy.run_path.__code__.co_filename,
        ):
            frames = frames.tb_next  # the script's own frames are what its author wants to see
        traceback.print_exception(type(error), error, frames)
        leave(1)
    leave(0)
