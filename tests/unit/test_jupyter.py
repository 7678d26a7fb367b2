"""Opening JupyterLab: ports, and a server that does not come up. The whole way is in tests/browser."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from labkit.errors import LabkitError
from labkit.jupyter import free_port, open_lab, wait_until_it_answers


def test_a_free_port_is_taken_as_asked() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert free_port(port) == port


def test_a_taken_port_gives_a_later_one() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert port < free_port(port) < port + 100


@pytest.mark.parametrize("port", [65536, 70000, -5])
def test_a_port_that_does_not_exist_is_said(port: int) -> None:
    with pytest.raises(LabkitError, match="PORT=9000"):
        free_port(port)


def test_a_server_that_ends_is_not_called_open() -> None:
    server = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    server.wait()
    with pytest.raises(LabkitError, match="ended before it answered"):
        wait_until_it_answers(server, "http://127.0.0.1:9/")


def test_without_jupyterlab_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.jupyter.find_spec", lambda name: None)
    with pytest.raises(LabkitError, match="make lab"):
        open_lab()
