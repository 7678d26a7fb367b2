"""Executes labs without a browser and gathers what they claim."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import data
from labkit.course import Lab
from labkit.errors import LabkitError

# Kernels talk over local ports that others on the machine can read; where the kernel can encrypt, it does.
KERNEL_SETTINGS = {"transport_encryption": "auto"}


@dataclass
class LabResult:
    """What one run of a lab gave. ``ok`` means: it ran to its end, and every promised claim was measured and held."""

    lab: str
    mode: str
    seconds: float
    claims: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error and not self.missing and all(item["ok"] for item in self.claims)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form of the design's section 6."""
        claims = [{key: item[key] for key in ("name", "value", "band", "ok")} for item in self.claims]
        found = {"ok": self.ok, "mode": self.mode, "seconds": round(self.seconds, 2), "claims": claims}
        return (
            found | ({"missing": self.missing} if self.missing else {}) | ({"error": self.error} if self.error else {})
        )


def run_lab(
    lab: Lab, mode: str = "quick", on_cell: Callable[[int, int], None] | None = None, save_to: Path | None = None
) -> LabResult:
    """Execute a lab's notebook in a fresh kernel, in the lab's own folder.

    ``on_cell(done, total)`` is told of each finished cell. ``save_to`` is a folder for the executed copy; the notebook
    itself is never changed. A lab that raises is a result with ``error``, not an exception.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from traitlets.config import Config

    if not lab.notebook.exists():
        raise LabkitError(
            f"{lab.notebook} does not exist", todo="Run labkit from a checkout; `labkit build` makes the notebooks"
        )
    notebook = nbformat.read(lab.notebook, as_version=4)
    total = len(notebook.cells)
    with tempfile.TemporaryDirectory(prefix="labkit-") as folder:
        record = Path(folder) / "claims.jsonl"
        environment = os.environ | {"LABKIT_MODE": mode, "LABKIT_CLAIMS": str(record), "LABKIT_STATIC": "1"}
        environment.pop("LABKIT_STRICT", None)  # every claim is to be measured, whether or not an earlier one held
        client = NotebookClient(
            notebook,
            config=Config({"KernelManager": KERNEL_SETTINGS}),
            kernel_name="python3",
            resources={"metadata": {"path": str(lab.folder)}},
            timeout=None,
        )
        if on_cell is not None:
            client.on_cell_complete = lambda cell, cell_index: on_cell(cell_index + 1, total)
        started, error = time.perf_counter(), ""
        try:
            client.execute(env=environment)
        except (CellExecutionError, DeadKernelError) as problem:
            error = _last_line(problem)
        except AssertionError:
            if client.km is not None:
                raise
            raise KeyboardInterrupt from None  # nbclient answers Ctrl-C by ending the kernel, and then asks after it
        result = LabResult(lab.id, mode, time.perf_counter() - started, _read(record), error=error)
    measured = {item["name"] for item in result.claims}
    result.missing = [] if error else [name for name in _due(lab) if name not in measured]
    if save_to is not None:
        save_to.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, save_to / lab.notebook.name)
    return result


def _due(lab: Lab) -> list[str]:
    """The claims that this run had to measure: those about real data only where some of it is on this machine (now)."""
    real = any(data.available(*name.split("/", 1)) for name in lab.stand_in_for)
    return [*lab.claims, *(lab.claims_on_real if real else ())]


def report(results: list[LabResult]) -> dict[str, Any]:
    """The JSON document of ``labkit run --json``."""
    return {"labs": {result.lab: result.to_dict() for result in results}}


def _read(record: Path) -> list[dict[str, Any]]:
    if not record.exists():
        return []
    latest = {item["name"]: item for item in map(json.loads, record.read_text(encoding="utf-8").splitlines())}
    return list(latest.values())


def _last_line(problem: Exception) -> str:
    name, value = getattr(problem, "ename", ""), getattr(problem, "evalue", "")
    return f"{name}: {value}" if name else str(problem).strip().splitlines()[-1]
