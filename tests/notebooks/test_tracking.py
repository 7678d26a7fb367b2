"""The lab on tracking: its readers of other tools' files, and that it needs no network at all."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.lifting import lift

record_of = pytest.importorskip("wandb.proto.wandb_internal_pb2").Record


def frames(messages: list[bytes]) -> bytes:
    """A log as LevelDB's description has it, written apart from the reader under test; check sums are left at zero."""
    content = b":W&B\xe1\xbe\x00"[:7]
    for message in messages:
        first = True
        while message or first:
            left = 32768 - len(content) % 32768
            if left < 7:
                content += bytes(left)
                continue
            part, message = message[: left - 7], message[left - 7 :]
            kind = (1 if first else 4) if not message else (2 if first else 3)
            content += struct.pack("<IHB", 0, len(part), kind) + part
            first = False
    return content


def test_records_are_read_across_the_borders_of_blocks(tmp_path: Path) -> None:
    read_wandb = lift("tracking", "read_wandb").read_wandb
    messages, want = [], []
    for step in range(40):
        record = record_of()
        item = record.history.item.add()
        item.key, item.value_json = "loss", json.dumps(1 / (step + 1))
        filler = record.history.item.add()
        filler.key, filler.value_json = "text", json.dumps("x" * (step * 257 % 5000 + 32768 * (step % 7 == 0)))
        messages.append(record.SerializeToString())
        want.append(1 / (step + 1))
    path = tmp_path / "run.wandb"
    path.write_bytes(frames(messages))
    assert read_wandb(path)["loss"] == want


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux network namespaces")
def test_the_lab_runs_where_there_is_no_network(tmp_path: Path) -> None:
    """In a network namespace that holds nothing but loopback, every claim holds."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no network namespaces")
    script = 'ip link set lo up && exec "$@"'
    labkit = [sys.executable, "-m", "labkit.cli", "run", "tracking", "--json", str(tmp_path / "result.json")]
    command = ["unshare", "-rn", "sh", "-c", script, "sh", *labkit]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LABKIT_STRICT": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["labs"]["tracking"]
    assert result["ok"] and len(result["claims"]) >= 10
