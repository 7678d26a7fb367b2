"""What this machine is, what it could do, and which of its devices to use.

``describe`` looks without importing a framework, so that ``labkit doctor`` answers at once. ``measure_peak`` measures
two ceilings that every training run lives under: how fast this machine multiplies matrices, and how fast it moves
memory. ``fraction_of_peak`` says how near to the first a run came.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import textwrap
from pathlib import Path

from labkit._machine import FRAMEWORKS, Machine, accelerators, describe, output, tpus, usable_cores, version
from labkit._peak import Peak, fraction_of_peak, load_peak, measure_peak, save_peak, say_threads
from labkit.errors import LabkitError

DEVICES = ("cpu", "cuda", "mps", "xla")
_HOW_TO_ADD = {
    "torch": "pip install torch --index-url https://download.pytorch.org/whl/cpu",
    "tensorflow": "pip install tensorflow",
    "keras": "pip install keras",
    "jax": "pip install jax",
}


def pick_device(prefer: str | None = None) -> str:
    """The PyTorch device to use, 'cpu', 'cuda', 'mps' or 'xla': the fastest on which a small sum came out right.

    ``prefer`` asks for one of them; a LabkitError says why where this machine cannot give it.
    """
    if prefer is not None and prefer not in DEVICES:
        raise LabkitError(f"There is no device '{prefer}'", todo=f"Ask for one of {', '.join(DEVICES)}")
    if prefer == "cpu":
        return "cpu"
    if prefer is not None:
        why_not = _why_not(prefer)
        if why_not:
            raise LabkitError(
                f"The device '{prefer}' cannot be used here", why_not, "Leave the choice to pick_device()"
            )
        return prefer
    return next((device for device in ("cuda", "xla", "mps") if not _why_not(device)), "cpu")


def _why_not(device: str) -> str:
    """Why PyTorch cannot use ``device`` here; '' if it can, which is tried."""
    installed = version("torch")
    if not installed:
        return "PyTorch is not installed"
    if device == "xla":
        if importlib.util.find_spec("torch_xla") is None:
            return "The package torch_xla is not installed"
        if not tpus():
            return "This machine shows no TPU"
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        gpus = [name for name in accelerators() if not name.startswith(("TPU", "Apple"))]
        return f"The installed PyTorch {installed} cannot use {gpus[0]}" if gpus else "This machine shows no NVIDIA GPU"
    if device == "mps" and not torch.backends.mps.is_available():
        return f"The installed PyTorch {installed} finds no Apple GPU"
    try:
        if device == "xla":
            importlib.import_module("torch_xla")
        total = float(torch.arange(1, 5, device=device, dtype=torch.float32).sum())
    except Exception as error:  # drivers fail in many ways, and each of them means: not this device
        return f"Adding four numbers on it failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return "" if total == 10.0 else f"It says that 1 + 2 + 3 + 4 is {total:g}"


def set_threads(n: int | None = None) -> int:
    """Use ``n`` threads (default: every usable core) in NumPy, in PyTorch, and in processes started later.

    A framework that is imported later reads the environment variables this sets. Returns ``n``.
    """
    n = usable_cores() if n is None else n
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise LabkitError(f"{n!r} is no number of threads", todo="Give a whole number from 1 up")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)
    from threadpoolctl import threadpool_limits

    threadpool_limits(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    return n


def doctor_report(measure: bool = False) -> str:
    """What this machine can run, on one screen: at most 24 lines of 80 columns. ``measure`` measures its peak first."""
    from labkit import readiness

    if measure:
        save_peak(measure_peak())
    machine, peak = describe(), load_peak()
    cores = f"{machine.physical_cores} physical, {machine.logical_cores} logical"
    if machine.usable_cores < machine.logical_cores:
        cores += f", {machine.usable_cores} usable: affinity or a container sets a limit"
    rows = [
        ("system", machine.os),
        ("processor", machine.cpu),
        ("cores", cores),
        ("memory", f"{machine.memory_gib:.1f} GiB"),
        ("disk", _disk()),
        ("accelerators", "; ".join(machine.accelerators) or "none"),
        ("Python", machine.python),
        *((name, machine.versions.get(name) or f"missing: {_HOW_TO_ADD[name]}") for name in FRAMEWORKS),
        ("nbgrader", version("nbgrader") or "missing, needed only to grade: pip install nbgrader"),
        ("C++ compiler", _compiler()),
        *_data_rows(),
        ("labs", readiness.summary(machine)),
    ]
    if peak is None:
        rows.append(("peak", "not measured yet: labkit doctor --measure"))
    else:
        rows.append(("peak", f"{peak.gflops:,.0f} GFLOP/s ({peak.dtype}, {say_threads(peak.threads)}, {peak.library})"))
        rows.append(("bandwidth", f"{peak.bandwidth_gb_s:,.1f} GB/s ({peak.bandwidth_kernel})"))
        busy = (
            "" if peak.busy_percent < 10 else f", while other programs used {peak.busy_percent:.0f} % of the processor"
        )
        rows.append(("measured", f"{peak.measured}{busy}"))
    lines = []
    for name, text in rows:
        indent = " " * 14
        lines += textwrap.wrap(
            f"{name:<13} {text}", 80, subsequent_indent=indent, max_lines=2, placeholder=" ...", break_on_hyphens=False
        )
    return "\n".join(lines)


def _disk() -> str:
    from labkit.data import cache_folder

    cache = cache_folder().absolute()
    there = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    here, kept = (shutil.disk_usage(folder).free / 1e9 for folder in (Path.cwd(), there))
    return f"{here:.0f} GB free here, {kept:.0f} GB where data is kept ({cache})"


def _compiler() -> str:
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return next(iter(output(name, "--version").splitlines()), name)
    return "cl" if shutil.which("cl") else "none"


def _data_rows() -> list[tuple[str, str]]:
    """Which data sets are here, seen and not verified."""
    from labkit import data

    here: list[str] = []
    absent: list[str] = []
    try:
        for name, card in data.cards().items():
            missing = [split for split in card.splits if data.where(name, split).startswith(("network", "not here"))]
            present = [split for split in card.splits if split not in missing]
            for splits, names in ((present, here), (missing, absent)):
                if splits:
                    names.append(name if len(splits) == len(card.splits) else f"{name} ({', '.join(splits)})")
    except LabkitError as error:
        return [("data", str(error))]
    return [("data here", ", ".join(here) or "none"), ("data to fetch", ", ".join(absent) or "none")]


__all__ = [
    "DEVICES",
    "Machine",
    "Peak",
    "describe",
    "doctor_report",
    "fraction_of_peak",
    "load_peak",
    "measure_peak",
    "pick_device",
    "save_peak",
    "set_threads",
    "usable_cores",
]
