"""Many processes from a notebook, many devices on one processor, and the TPU compiler without a TPU.

``run`` calls a function in N fresh processes and brings back what they return; ``torchrun`` does it as on a cluster.
``simulate`` lets JAX see several devices; ``compile_for_tpu`` compiles for a pod that is not here. Whatever happens (an error, an interrupt, a killed kernel), no process is left
behind.
"""

from __future__ import annotations

from labkit._processes import RankError, Values, backend_for, free_port, here, run, simulate, torchrun
from labkit._tpu_compiler import TPU_CHIPS, Chip, DoesNotFit, TpuReport, compile_for_tpu

__all__ = [
    "TPU_CHIPS",
    "Chip",
    "DoesNotFit",
    "RankError",
    "TpuReport",
    "Values",
    "backend_for",
    "compile_for_tpu",
    "free_port",
    "here",
    "run",
    "simulate",
    "torchrun",
]
