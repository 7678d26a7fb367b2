"""Opens the course in JupyterLab, and says so only once the server answers."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from importlib.util import find_spec

from labkit.course import PACKAGE, load_course
from labkit.errors import LabkitError
from labkit.run import KERNEL_SETTINGS

PATIENCE = 120  # seconds; a first start on a slow disk takes a while
START_PAGE = "start-here"
CONFIG = PACKAGE / "jupyter_config"


def open_lab(port: int = 8888, *, browser: bool = True) -> int:
    """Start JupyterLab on the start page, print its address once it answers, and stay until it ends.

    Returns the server's exit status. Where ``port`` is taken, the next free one is used, and said.
    """
    course = load_course()
    if not course.is_checkout or find_spec("jupyterlab") is None:
        raise LabkitError(
            "JupyterLab can be opened from a checkout with its environment",
            todo="Clone the repository and run `make lab`",
        )
    free = free_port(port)
    if free != port:
        print(f"port {port} is taken: using {free}")
    token = secrets.token_hex(16)
    page = f"/lab/tree/{course.relative(course.lab(START_PAGE).notebook)}"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.log_level=WARN"),
        *(f"--ServerApp.root_dir={course.root}", f"--ServerApp.default_url={page}"),
        *(f"--ServerApp.port={free}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"),
        *(f"--KernelManager.{name}={value}" for name, value in KERNEL_SETTINGS.items()),
        # no look-up of newer versions; CONFIG takes away the question about news as well
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    # The token travels in the environment: a command line can be read by everybody on the machine.
    configs = os.pathsep.join(filter(None, [str(CONFIG), os.environ.get("JUPYTER_CONFIG_PATH")]))
    server = subprocess.Popen(command, env=os.environ | {"JUPYTER_TOKEN": token, "JUPYTER_CONFIG_PATH": configs})
    address = f"http://127.0.0.1:{free}{page}?token={token}"
    try:
        print("JupyterLab is starting ...", flush=True)
        wait_until_it_answers(server, f"http://127.0.0.1:{free}/api/status?token={token}")
        print(f"\nThe course is open at\n\n    {address}\n\nCtrl-C here closes it.", flush=True)
        if browser:
            webbrowser.open(address)
        return server.wait()
    except KeyboardInterrupt:
        print("\nclosing JupyterLab; saved notebooks are kept")
        return 0
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def free_port(port: int) -> int:
    """``port`` if it is free on this machine, else the next one that is (0 asks for any)."""
    for candidate in [0] if port == 0 else range(port, min(port + 100, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
                return int(probe.getsockname()[1])
            except OverflowError:
                break
            except OSError:
                continue
    raise LabkitError(f"No free port from {port} on", todo="Name another: make lab PORT=9000")


def wait_until_it_answers(server: subprocess.Popen[bytes], address: str) -> None:
    """Return once ``address`` answers; a LabkitError if the server ends or stays silent."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise LabkitError("JupyterLab ended before it answered", "Its own words stand above", "Run `labkit doctor`")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise LabkitError(f"JupyterLab did not answer within {PATIENCE} s", todo="Look at its output above and try again")
