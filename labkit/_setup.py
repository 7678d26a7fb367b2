"""What ``make`` runs first: looks at the machine, then makes ``.venv`` with everything the course needs.

Run by whatever ``python3`` a machine has, before anything is installed, so it uses the standard library alone and syntax that
old Pythons can read. When nothing changed since the last time it returns within milliseconds and touches no network.
"""

from __future__ import print_function

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEEDS_PYTHON = (3, 11)
# What a finished environment takes, in GB, with room for pip to unpack (measured with `du -sh .venv`, then rounded up).
NEEDS_DISK = {"core": 3.0, "all": 6.0, "tpu": 7.0}
# Each kind holds everything that the kinds before it do.
EXTRAS = {"core": "dev,torch,experiments", "all": "all", "tpu": "all,tpu"}
STAMP = "labkit-setup.txt"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"


def stop(what, todo):
    print("\nset-up stopped: %s\n    what to do: %s\n" % (what, todo), file=sys.stderr)
    sys.exit(1)


def check_machine(venv, wanted):
    """Everything that would make the installation fail, found before it starts."""
    if sys.version_info < NEEDS_PYTHON:
        stop(
            "this is Python %s, and the course needs %d.%d or newer" % ((platform.python_version(),) + NEEDS_PYTHON),
            "install a newer Python and name it: make lab PYTHON=python3.12",
        )
    try:
        import ensurepip  # noqa: F401
        import venv as _venv  # noqa: F401
    except ImportError:
        stop("this Python cannot make virtual environments", "on Debian and Ubuntu: sudo apt install python3-venv")
    free = shutil.disk_usage(os.path.dirname(venv)).free / 1e9
    if free < NEEDS_DISK[wanted]:
        smaller = ", or leave out TensorFlow and JAX with WITH=core" if wanted != "core" else ""
        stop(
            "%.1f GB are free here, and the environment takes up to %.0f GB" % (free, NEEDS_DISK[wanted]),
            "free some space%s" % smaller,
        )
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        print("note: no C++ compiler found. Everything installs without one; torch.compile, in one lab, needs it.")
        print("      On Debian and Ubuntu: sudo apt install g++. On macOS: xcode-select --install")


def fingerprint(wanted):
    """Changes when the environment would have to."""
    digest = hashlib.sha256()
    for part in (ROOT, platform.python_version(), wanted):
        digest.update(part.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def works(python):
    try:
        return subprocess.call([python, "-c", "import labkit"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def torch_index():
    """On Linux without an NVIDIA card, PyTorch's own index of CPU builds, if it answers: it saves gigabytes of CUDA."""
    if "LABKIT_TORCH_INDEX" in os.environ:
        return os.environ["LABKIT_TORCH_INDEX"]
    if platform.system() != "Linux" or shutil.which("nvidia-smi"):
        return ""
    from urllib.request import urlopen

    try:
        urlopen(CPU_TORCH + "/torch/", timeout=5).close()
    except (OSError, ValueError):
        return ""
    return CPU_TORCH


def install(venv, python, wanted):
    if not works_at_all(python):
        print("making %s ..." % os.path.relpath(venv, ROOT), flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.check_call([sys.executable, "-m", "venv", venv])
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "-c", "constraints.txt"]
    index = torch_index()
    if index:
        print("no NVIDIA card found: taking PyTorch's CPU build")
        command += ["--extra-index-url", index]
    command += ["-e", ".[%s]" % EXTRAS[wanted]]
    print("installing the course (%s); the first time takes some minutes ..." % wanted, flush=True)
    if subprocess.call(command, cwd=ROOT):
        stop(
            "pip could not install the course; its last lines above say why",
            "without a network, try again with one; a version that no longer exists is a line to correct in constraints.txt."
            " What was downloaded is kept, so the next try is faster",
        )


def works_at_all(python):
    try:
        return subprocess.call([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0
    except OSError:
        return False


def wait_for_turn(venv):
    """Hold a lock until this process ends, so that two makes at once install once. Returns the open file that holds it."""
    try:
        import fcntl
    except ImportError:  # Windows, where make is not used
        return None
    lock = open(venv + ".lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("another set-up is running here; waiting for it ...", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def is_ready(venv, python, wanted):
    """True if the environment was made for this state of the files, with everything wanted or more, and works."""
    kinds = list(EXTRAS)
    enough = kinds[kinds.index(wanted) :]
    try:
        with open(os.path.join(venv, STAMP)) as file:
            made_for = file.read()
    except OSError:
        return False
    return made_for in [fingerprint(kind) for kind in enough] and works(python)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with", dest="wanted", choices=sorted(EXTRAS), default="all")
    parser.add_argument("--venv", default=os.path.join(ROOT, ".venv"))
    options = parser.parse_args()
    venv = os.path.abspath(options.venv)
    python = os.path.join(venv, "Scripts" if os.name == "nt" else "bin", "python")
    if is_ready(venv, python, options.wanted):
        return
    lock = wait_for_turn(venv)
    if is_ready(venv, python, options.wanted):  # another make did it while this one waited
        return
    check_machine(venv, options.wanted)
    install(venv, python, options.wanted)
    if not works(python):
        stop("labkit was installed but cannot be imported", "remove %s and run make again" % venv)
    with open(os.path.join(venv, STAMP), "w") as file:
        file.write(fingerprint(options.wanted))
    if lock:
        lock.close()
    print("the environment is ready: %s\n" % os.path.relpath(venv, ROOT))


if __name__ == "__main__":
    main()
