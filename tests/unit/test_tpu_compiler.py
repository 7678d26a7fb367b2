"""The TPU compiler from a machine without a TPU: keys, kept reports, what the compiled text says, errors that say what to do."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from labkit import _tpu_compiler as tpu
from labkit.errors import LabkitError

needs_compiler = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax", "libtpu")), reason="libtpu is not installed"
)

STEP = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    FACTOR = 2

    def inner(x):
        return FACTOR * x

    def build(devices, size):
        mesh = Mesh(np.array(devices), ("chips",))
        x = jax.ShapeDtypeStruct((size, 256), jnp.float32, sharding=NamedSharding(mesh, P("chips")))
        return jax.jit(lambda x: inner(x).sum()).lower(x)
"""


def module_of(source: str, folder: Path, name: str = "a_notebook") -> ModuleType:
    """A module that stands for a notebook: its functions have sources, and travel by value."""
    import cloudpickle

    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


@pytest.fixture
def no_jax() -> None:
    """A stand-in, so that keys can be tested where JAX is not installed."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("the step of these tests needs JAX")


def key(source: str, folder: Path, name: str, topology: str = "v5e:2x4", arguments: Any = (1024,)) -> str:
    folder = folder / name
    folder.mkdir()
    return tpu.key_of(module_of(source, folder, name).build, topology, arguments)


def test_a_key_covers_what_is_compiled(no_jax: None, tmp_path: Path) -> None:
    first = key(STEP, tmp_path, "first")
    assert key(STEP, tmp_path, "same") == first
    assert key(STEP.replace("def inner(x):", "def inner(x):  # doubles\n"), tmp_path, "comment") == first
    changed = {
        "inner": key(STEP.replace("FACTOR * x", "FACTOR + x"), tmp_path, "inner"),
        "value": key(STEP.replace("FACTOR = 2", "FACTOR = 3"), tmp_path, "value"),
        "build": key(STEP.replace("float32", "bfloat16"), tmp_path, "build"),
        "arguments": key(STEP, tmp_path, "arguments", arguments=(2048,)),
        "topology": key(STEP, tmp_path, "topology", topology="v5e:4x4"),
    }
    assert first not in changed.values()
    assert len(set(changed.values())) == len(changed)


def test_a_key_needs_a_function_that_stands_alone() -> None:
    def maker(size: int) -> Any:
        return lambda devices: size

    with pytest.raises(LabkitError, match="top level of a cell"):
        tpu.key_of(maker(3), "v5e:2x4")
    with pytest.raises(LabkitError, match="plain values"):
        tpu.key_of(test_a_key_needs_a_function_that_stands_alone, "v5e:2x4", [object()])


@pytest.mark.parametrize(
    ("topology", "says"),
    [
        ("v5e", "such as v5e:2x4"),
        ("", "such as v5e:2x4"),
        (8, "such as v5e:2x4"),
        ("v9:2x2", "Known: v5e, v5p, v6e"),
        ("v5:2x4", "Did you mean v5"),
        ("v5e:3x5", "Try v5e:4x6"),
        ("v5e:1x1", "Try v5e:2x2"),
        ("v5e:0x2", "sides are even"),
        ("v5p:2x2x0", "Try v5p:2x2x1"),
        ("v5e:2x4x2", "2 dimensions"),
        ("v5p:4x4", "such as v5p:8x8x8"),
        ("v5e:32x32", "at most 256"),
    ],
)
def test_a_topology_that_cannot_be_says_what_can(topology: Any, says: str) -> None:
    with pytest.raises(LabkitError, match=says):
        tpu.read_topology(topology)


def test_topologies_that_can_be() -> None:
    for topology, chips in (
        ("v5e:2x4", 8),
        ("v5e:16x16", 256),
        ("v6e:16x16", 256),
        ("v5p:8x8x8", 512),
        ("v5p:2x2x1", 4),
    ):
        _, shape = tpu.read_topology(topology)
        assert math.prod(shape) == chips


COMPILED = """\
HloModule jit_step, entry_computation_layout={(f32[10,84]{1,0:T(8,128)}, /*index=1*/bf16[4]{0:T(128)})->f32[]{:T(128)}}, num_partitions=8

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}

%all-reduce-scatter.1 (input: bf16[64,128]) -> bf16[8,128] {
  %all-reduce.5 = bf16[64,128]{1,0:T(8,128)(2,1)} all-reduce(%input), channel_id=9, replica_groups={{0,1,2,3,4,5,6,7}}, to_apply=%add
}

%fused (p: bf16[8,128]) -> bf16[64,128] {
  %all-gather.1 = bf16[64,128]{1,0:T(8,128)(2,1)} all-gather(%p), channel_id=4, dimensions={0}, use_global_device_ids=true
}

%body (state: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %fusion.1 = bf16[64,128]{1,0} fusion(%x), kind=kOutput, calls=%fused
  %all-gather.2 = bf16[64,128]{1,0:T(8,128)(2,1)} all-gather(%p), channel_id=4, dimensions={0}
  %scattered = bf16[8,128]{1,0} fusion(%y), kind=kCustom, calls=%all-reduce-scatter.1
  %permuted = (f32[2,8]{1,0}, f32[2,8]{1,0}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%z), channel_id=4
}

ENTRY %main (weights: f32[10,84]) -> f32[] {
  %turns = (s32[], bf16[8,128]) while(%start), condition=%until, body=%body
  %all-reduce.2 = (f32[10,84]{1,0:T(8,128)}, /*index=1*/f32[]{:T(128)}) all-reduce(%g, %loss), channel_id=7, to_apply=%add
  %after = (f32[10]{0}) all-gather-done(%handle)
}
"""


def test_collectives_are_counted_by_channel_and_kind() -> None:
    found = tpu.collectives_in(COMPILED)
    counted = {kind: (entry["count"], entry["in_loops"], entry["bytes"]) for kind, entry in found.items()}
    assert counted == {
        "all-reduce": (1, 0, 4 * 840 + 4),
        "all-gather": (1, 1, 2 * 64 * 128),
        "reduce-scatter": (1, 1, 2 * 64 * 128),
        "collective-permute": (1, 1, 4 * 16),
    }
    assert "all-reduce-scatter" in found["reduce-scatter"]["example"]
    assert "use_global_device_ids" not in found["all-gather"]["example"]


def test_layouts_are_the_entrys() -> None:
    assert tpu._layouts(COMPILED) == "(f32[10,84]{1,0:T(8,128)}, bf16[4]{0:T(128)})->f32[]{:T(128)}"


@pytest.mark.parametrize(
    ("message", "bytes_"),
    [
        ("RESOURCE_EXHAUSTED: the total memory required for HLO temporaries (308.50G) exceeds available HBM (15.75G).", (308.5, 15.75)),
        ("RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Used 20.00G of 15.75G hbm. Exceeded by 4G", (20.0, 15.75)),
        ("RESOURCE_EXHAUSTED: something else", None),
        ("INVALID_ARGUMENT: (2.00G) exceeds available HBM (1.00G)", None),
    ],
)  # fmt: skip
def test_a_shortage_is_read_from_the_compilers_words(message: str, bytes_: Any) -> None:
    wanted = None if bytes_ is None else tuple(int(one * 2**30) for one in bytes_)
    assert tpu._shortage(message) == wanted


def made_up_report(**changes: Any) -> tpu.TpuReport:
    given: dict[str, Any] = {one.name: 1 for one in dataclasses.fields(tpu.TpuReport)}
    given |= {
        "name": "made-up",
        "key": "0123",
        "topology": "v5e:2x4",
        "chips": 8,
        "chip": "v5e",
        "fits": True,
        "kept": False,
    }
    given |= {"usable_bytes": 16 * 10**9, "flops": 5.0, "collectives": {"all-reduce": {"count": 2}}, "layouts": ""}
    given |= {"seconds": 1.0, "date": "2026-11-25", "jax": "0.10.2", "libtpu": "0.0.42.1"}
    return tpu.TpuReport(**given | changes)


def test_a_kept_report_comes_back(tmp_path: Path) -> None:
    report = made_up_report()
    tpu.keep(report, tmp_path)
    again = tpu.kept_report("made-up", tmp_path)
    assert again is not None and again.kept and again.differs(report) == {}
    assert again.differs(made_up_report(flops=6.0, date="2027-01-01")) == {"flops": (5.0, 6.0)}
    assert "kept report" in str(again) and "2026-11-25" in str(again) and "libtpu 0.0.42.1" in str(again)
    assert (again.count("all-reduce"), again.count("all-gather")) == (2, 0)
    assert tpu.kept_report("another", tmp_path) is None
    path = tmp_path / "made-up.json"
    older = json.loads(path.read_text())
    del older["loops"]
    path.write_text(json.dumps(older))
    assert tpu.kept_report("made-up", tmp_path) is None, "of an older format"


@pytest.fixture
def without_libtpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        tpu.importlib.util, "find_spec", lambda name, *more: None if name == "libtpu" else real(name, *more)
    )
    monkeypatch.setattr(tpu, "REPORTS", tmp_path)
    return tmp_path


def plain(devices: Any) -> None:
    raise AssertionError("is not called when a report is read")


def test_without_libtpu_a_report_is_read_or_the_way_to_it_told(without_libtpu: Path) -> None:
    with pytest.raises(LabkitError, match="libtpu") as told:
        tpu.compile_for_tpu(plain, "v5e:2x4", name="plain")
    assert "WITH=tpu" in str(told.value)
    tpu.keep(made_up_report(name="plain", key=tpu.key_of(plain, "v5e:2x4")), without_libtpu)
    assert tpu.compile_for_tpu(plain, "v5e:2x4", name="plain", fresh=True).kept
    with pytest.raises(LabkitError, match="kept for another step"):
        tpu.compile_for_tpu(plain, "v5e:4x4", name="plain")


def test_what_does_not_fit_says_how_much_is_missing(without_libtpu: Path) -> None:
    report = made_up_report(name="large", key=tpu.key_of(plain, "v5e:2x4"), fits=False, needed_bytes=160_400_000_000)
    tpu.keep(report, without_libtpu)
    with pytest.raises(tpu.DoesNotFit, match=r"needs 160\.4 GB .* has 16\.0 GB to give\. Split the weights") as told:
        tpu.compile_for_tpu(plain, "v5e:2x4", name="large")
    assert told.value.report.needed_bytes == 160_400_000_000
    assert not tpu.compile_for_tpu(plain, "v5e:2x4", name="large", must_fit=False).fits


@needs_compiler
def test_the_compiler_answers_and_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpu, "REPORTS", tmp_path)
    notebook = module_of(STEP, tmp_path, "compiled_notebook")
    report = tpu.compile_for_tpu(notebook.build, "v5e:2x4", [1024], name="small")
    assert (report.chips, report.fits, report.kept) == (8, True, False)
    assert report.argument_bytes == 1024 // 8 * 256 * 4
    assert report.count("all-reduce") == 1
    assert report.peak_bytes >= report.argument_bytes + report.output_bytes
    assert not list(tmp_path.glob("*.json")), "kept only where LABKIT_KEEP_REPORTS=1 asks for it"
    with pytest.raises(LabkitError, match=r"1,001 along its axis 0 .* over 8 chips.* such as 1,000 or 1,008"):
        tpu.compile_for_tpu(notebook.build, "v5e:2x4", [1001])
    with pytest.raises(tpu.DoesNotFit, match=r"a chip has 16\.9 GB to give"):
        tpu.compile_for_tpu(notebook.build, "v5e:2x4", [8 * 2**26])


PRODUCT = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    def build(devices, rows):
        whole = NamedSharding(Mesh(np.array(devices), ("chips",)), P())
        A = jax.ShapeDtypeStruct((rows, 8192), jnp.bfloat16, sharding=whole)
        B = jax.ShapeDtypeStruct((8192, 8192), jnp.bfloat16, sharding=whole)
        return jax.jit(jnp.matmul).lower(A, B)
"""


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(("chip", "topology"), [("v5e", "v5e:2x4"), ("v6e", "v6e:2x4"), ("v5p", "v5p:2x2x2")])
def test_a_chip_has_the_memory_that_we_say_and_the_peak_decides(chip: str, topology: str, tmp_path: Path) -> None:
    """A product just below the limit compiles, with the peak that its shapes say; one just above it is refused."""
    notebook = module_of(PRODUCT, tmp_path, f"notebook_{chip}")
    usable = tpu.TPU_CHIPS[chip].usable_bytes
    below, above = (
        tpu.compile_for_tpu(
            notebook.build, topology, [int((share * usable - 2 * 8192**2) / (4 * 8192)) // 16 * 16], must_fit=False
        )
        for share in (0.98, 1.02)
    )
    assert below.fits and below.peak_bytes == pytest.approx(0.98 * usable, rel=1e-3)
    assert not above.fits and above.needed_bytes == pytest.approx(1.02 * usable, rel=1e-3)
    assert above.usable_bytes == pytest.approx(usable, rel=1e-3)
