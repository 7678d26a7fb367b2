"""What this machine is: found by looking, without importing a framework."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax")
# PCI ids of Google's TPUs, as JAX's hardware_utils.py lists them.
_GOOGLE = "0x1ae0"
_TPUS = {
    "0x0027": "TPU v2 or v3",
    "0x005e": "TPU v4",
    "0x0062": "TPU v5p",
    "0x0063": "TPU v5e",
    "0x006f": "TPU v6e",
    "0x0076": "TPU7x",
}


@dataclass(frozen=True)
class Machine:
    """What ``describe`` saw. ``usable_cores`` respects this process's affinity and its container's limit."""

    os: str
    cpu: str
    physical_cores: int
    logical_cores: int
    usable_cores: int
    memory_gib: float
    accelerators: tuple[str, ...]
    versions: dict[str, str]  # framework -> version, of those that are installed
    python: str


def describe() -> Machine:
    """Look at this machine. Imports no framework and takes a fraction of a second."""
    import psutil

    logical = os.cpu_count() or 1
    memory = min(psutil.virtual_memory().total, cgroup_memory())
    return Machine(
        os=_os_name(),
        cpu=cpu_name(),
        physical_cores=psutil.cpu_count(logical=False) or logical,
        logical_cores=logical,
        usable_cores=usable_cores(),
        memory_gib=memory / 2**30,
        accelerators=accelerators(),
        versions={name: found for name in FRAMEWORKS if (found := version(name))},
        python=platform.python_version(),
    )


def usable_cores() -> int:
    """How many cores this process may use: not more than its affinity and its container allow, and at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cgroup_cpus())))


def _cgroup_files(
    name_v2: str, name_v1: str, kind: str, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[str]:
    """What the limit file of this process's control group says, and those of all groups around it. Linux only."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, kinds, group = line.split(":", 2)
        if number == "0":
            top, name = root, name_v2
        elif kind in kinds.split(","):
            top, name = root / kind, name_v1
        else:
            continue
        folder = top / group.strip("/")
        while True:
            with contextlib.suppress(OSError):
                yield (folder / name).read_text().strip()
            if folder == top:
                break
            folder = folder.parent


def cgroup_cpus(**where: Path) -> float:
    """The cores a container may use, such as 1.5; infinite without a limit."""
    least = math.inf
    for text in _cgroup_files("cpu.max", "cpu.cfs_quota_us", "cpu", **where):
        quota, _, period = text.partition(" ")  # version 1 keeps the period elsewhere; it is 100000 but for experts
        if quota.isdigit() and int(quota) > 0:
            least = min(least, int(quota) / int(period or 100_000))
    return least


def cgroup_memory(**where: Path) -> float:
    """The bytes of memory a container may use; infinite without a limit."""
    limits = _cgroup_files("memory.max", "memory.limit_in_bytes", "memory", **where)
    return min((int(text) for text in limits if text.isdigit()), default=math.inf)


def _os_name() -> str:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"


def cpu_name() -> str:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
            if found:
                return " ".join(found[1].split())
    if sys.platform == "darwin":
        name = output("sysctl", "-n", "machdep.cpu.brand_string")
        if name:
            return name
    return platform.processor() or platform.machine() or "unknown"


def accelerators() -> tuple[str, ...]:
    """Accelerators the system shows. That a framework can use one is another question: see ``pick_device``."""
    found = []
    if shutil.which("nvidia-smi"):
        rows = output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits").splitlines()
        for row in rows:
            name, _, mib = row.rpartition(",")
            if name and mib.strip().isdigit():
                found.append(f"{name.strip()}, {int(mib) / 1024:.0f} GiB")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append("Apple GPU (Metal)")
    counts = Counter([*found, *tpus()])
    return tuple(name if count == 1 else f"{count} x {name}" for name, count in counts.items())


def tpus(devices: Path = Path("/sys/bus/pci/devices")) -> list[str]:
    found = []
    for folder in sorted(devices.glob("*")):
        with contextlib.suppress(OSError):
            if (folder / "vendor").read_text().strip() == _GOOGLE:
                name = _TPUS.get((folder / "device").read_text().strip())
                found += [name] if name else []  # Google's network cards have the same vendor
    return found


def may_have_tpu(root: Path = Path("/")) -> bool:
    """Whether a TPU may be here, also inside a container that shows no PCI devices: a device file or a setting tells."""
    files = [*root.glob("dev/accel*"), *root.glob("dev/vfio/[0-9]*")]
    settings = [name for name in os.environ if name.startswith(("TPU_", "COLAB_TPU"))]
    return bool(files or settings or tpus(root / "sys/bus/pci/devices"))


def output(*command: str) -> str:
    """What a command prints; nothing if it fails or takes long."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        return done.stdout.strip()
    return ""


def version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
