"""The lab tpu: its kept reports are those it asks for, and the compiler's own; products and tiles; checks that explain."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import _tpu_compiler as tpu
from labkit import parallel
from labkit.check import NotAnswered, try_answer
from labkit.course import load_course
from tests.notebooks.lifting import lift

pytest.importorskip("jax")
lab = lift("tpu", "in_tiles", "gigabytes", "product")


class Asked:
    """What the lab asks the TPU compiler, gathered from its cells without running the rest of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import cloudpickle

        self.calls: dict[str, tuple[Any, str, list[Any]]] = {}
        path = folder / "asked_by_the_lab.py"
        path.write_text(_without_the_rest(), encoding="utf-8")
        monkeypatch.setattr(parallel, "compile_for_tpu", self._note, raising=False)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        cloudpickle.register_pickle_by_value(module)

    def _note(self, build: Any, topology: str, arguments: list[Any], *, name: str = "", fresh: bool = False) -> Any:
        if name:
            self.calls[name] = (build, topology, arguments)
        return tpu.kept_report(name or "stack-v5e-8")


def _without_the_rest() -> str:
    """Imports, functions, plain values, and the statements that ask for a report by its name."""
    cells = nbformat.read(load_course().lab("tpu").notebook, as_version=4).cells
    parts = []
    for cell in cells:
        if cell.cell_type != "code" or "labkit" in cell.metadata:
            continue
        for node in ast.parse(cell.source).body:
            text = ast.get_source_segment(cell.source, node) or ""
            asks = "compile_for_tpu" in text and "name=" in text
            if isinstance(node, (ast.Import, ast.ImportFrom)) or asks or _is_definition(node):
                parts.append(text)
    return "\n\n\n".join(parts) + "\n"


def _is_definition(node: ast.stmt) -> bool:
    """A function, or a value made of nothing but literals and a few names; exercises are stubs and do no harm."""
    if isinstance(node, ast.FunctionDef):
        return True
    inner = list(ast.walk(node))
    names = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    computed = any(isinstance(part, (ast.Call, ast.Subscript)) for part in inner)
    return isinstance(node, ast.Assign) and (
        names == {"pick"} or (not computed and names <= {"rows", "columns", "whole"})
    )


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, str, list[Any]]]:
    return Asked(tmp_path, monkeypatch).calls


def test_the_kept_reports_are_those_that_the_lab_asks_for(asked: dict[str, Any]) -> None:
    assert len(asked) == 13
    assert {path.stem for path in tpu.REPORTS.glob("*")} == set(asked), "none is missing, none is left over"
    stale = [
        name
        for name, call in asked.items()
        if (report := tpu.kept_report(name)) is None or (report.key, report.name) != (tpu.key_of(*call), name)
    ]
    assert stale == [], "compile anew: LABKIT_KEEP_REPORTS=1 labkit run tpu --mode full"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
@pytest.mark.parametrize("name", sorted(path.stem for path in tpu.REPORTS.glob("*.json")))
def test_the_compiler_says_what_was_kept(name: str, asked: dict[str, Any]) -> None:
    build, topology, arguments = asked[name]
    kept, now = tpu.kept_report(name), tpu.compile_for_tpu(build, topology, arguments, must_fit=False)
    assert kept is not None
    assert now.differs(kept) == {}, (
        "libtpu or jax changed? Keep it anew: LABKIT_KEEP_REPORTS=1 labkit run tpu --mode full"
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), max_size=2), st.integers(1, 40), st.integers(1, 300), st.sampled_from([1, 8, 16]))
def test_tiles_are_those_of_padding(before: list[int], height: int, width: int, tile: int) -> None:
    filled = np.pad(
        np.zeros((*before, height, width), "float32"), [*[(0, 0)] * len(before), (0, -height % tile), (0, -width % 128)]
    )
    assert lab.in_tiles((*before, height, width), (tile, 128)) == filled.nbytes


def test_memory_by_hand() -> None:
    whole, split = lab.gigabytes(1e9, 10, 1000, 1), lab.gigabytes(1e9, 10, 1000, 4)
    assert whole[:2] == pytest.approx([12, 4])
    assert split[:2] == pytest.approx([3, 1])
    assert whole[2:] == pytest.approx(split[2:])
    assert lab.gigabytes(1e9, 10, 1000, 4, rows=2048)[2] == pytest.approx(2 * split[2])


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("collective-for", lambda a, b, c: "broadcast", "one of none, all-reduce"),
        ("collective-for", lambda a, b, c: 3, "one of none, all-reduce"),
        ("collective-for", lambda a, b, c: "all-gather", "which is all that its row of C needs"),
        ("collective-for", lambda a, b, c: "all-reduce" if a == "columns" else "none", "only its rows"),
        ("bytes-per-chip", lambda shape, splits, size: int(np.prod(shape)) * size, "all bytes came"),
        ("bytes-per-chip", lambda shape, splits, size: int(np.prod(shape)) * size // max(splits), "4 · 2 = 8 parts"),
        ("bytes-per-chip", lambda shape, splits, size: int(np.prod(shape)) * size // int(np.prod(splits)), "None was expected"),
        ("fewest-chips", lambda billions, other, chip: 70 if billions == 70 else 1, "a power of two"),
        ("fewest-chips", lambda billions, other, chip: next(2**k for k in range(20) if 16 * billions / 2**k <= chip), "not beside the other"),
        ("fewest-chips", lambda billions, other, chip: 1 / 0, "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


@pytest.mark.parametrize("name", ["collective-for", "bytes-per-chip", "fewest-chips"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
