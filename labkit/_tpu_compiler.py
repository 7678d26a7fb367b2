"""Google's TPU compiler, asked from a machine without a TPU: will a step fit, what does it compute, what travels?

``compile_for_tpu`` compiles a jitted function for a *topology*, such as v5e:16x16, which is 256 chips of the kind v5e wired
in a square. It takes seconds to a minute, and libtpu, Google's package with the compiler. So reports of a lab are kept as
small files in ``labkit/tpu_reports``, each with a key made from what was compiled; one whose key still fits is read instead.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import hashlib
import importlib.util
import inspect
import io
import json
import math
import os
import re
import textwrap
import tokenize
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from labkit._processes import run
from labkit.errors import LabkitError, unknown

REPORTS = Path(__file__).with_name("tpu_reports")
FORMAT = 1  # raise it when a report is made or read in another way, and make all kept ones anew
# JAX must find these when it is imported. Without the first four it asks Google's network what machine this is, and waits;
# without the last, two processes of one machine cannot use the compiler at the same time.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """What is known of one kind of TPU chip."""

    name: str
    memory_bytes: float  # high-bandwidth memory (HBM) as documented, rounded there; GB read as 2**30 bytes
    usable_bytes: float  # of these, what the compiler leaves to a program, as its own messages say
    flops_per_second: float  # bfloat16, at most; a multiply-add counts as two
    memory_bytes_per_second: float
    link_bytes_per_second: float  # out of one chip to its neighbours, all links together, one direction
    matrix_unit: int  # the side of the square of multiply-adders
    dimensions: int  # chips are wired in a square (2) or a cube (3)
    most_chips: int  # in one slice
    source: str
    looked_up: str


_SOURCE = "docs.cloud.google.com/tpu/docs/"
TPU_CHIPS = {
    "v5e": Chip("v5e", 16 * _GIB, 15.75 * _GIB, 197e12, 819e9, 200e9, 128, 2, 256, f"{_SOURCE}v5e", "2026-11-25"),
    "v6e": Chip("v6e", 32 * _GIB, 31.25 * _GIB, 918e12, 1600e9, 400e9, 256, 2, 256, f"{_SOURCE}v6e", "2026-11-25"),
    "v5p": Chip("v5p", 95 * _GIB, 95.74 * _GIB, 459e12, 2765e9, 600e9, 128, 3, 6144, f"{_SOURCE}v5p", "2026-11-25"),
}


@dataclass(frozen=True)
class TpuReport:
    """What the compiler says of one step on one topology. Bytes and operations are those of one chip.

    Of the memory fields, ``argument_bytes``, ``output_bytes`` and ``alias_bytes`` (outputs that take the place of arguments)
    can be checked by hand: they are the shapes, each padded to whole tiles. ``peak_bytes`` is the most that the program
    holds at one time, arguments and outputs included, and is what must be below ``usable_bytes``. ``temporary_bytes`` is
    given as the compiler gives it: it is 0 for small programs, so do not add it to the others.

    ``flops`` counts what stands in a loop once, however often the loop turns; so do the collectives.
    """

    name: str
    key: str
    topology: str
    chips: int
    chip: str
    usable_bytes: int
    fits: bool
    needed_bytes: int  # peak_bytes, or for what does not fit, what the compiler said it needs for temporaries alone
    argument_bytes: int
    output_bytes: int
    alias_bytes: int
    temporary_bytes: int
    peak_bytes: int
    code_bytes: int
    flops: float
    collectives: dict[
        str, dict[str, Any]
    ]  # by kind: count, how many of them in_loops, bytes of all results, one example
    fusions: int
    loops: int
    layouts: str  # the entry's arguments and results, with their tiles, as the compiler writes them
    seconds: float
    date: str
    jax: str
    libtpu: str
    kept: bool = False  # read from a kept report, and not compiled now

    @property
    def facts(self) -> Chip:
        """What is known of the chip."""
        return TPU_CHIPS[self.chip]

    def count(self, kind: str) -> int:
        """How many collectives of this kind stand in the compiled program."""
        return int(self.collectives.get(kind, {}).get("count", 0))

    def differs(self, other: TpuReport) -> dict[str, tuple[Any, Any]]:
        """The fields in which two reports differ, less those that only say when, where and with what."""
        own = {"name", "seconds", "date", "kept", "jax", "libtpu"}
        names = [one.name for one in fields(self) if one.name not in own]
        return {
            name: (getattr(self, name), getattr(other, name))
            for name in names
            if getattr(self, name) != getattr(other, name)
        }

    def __str__(self) -> str:
        how = (
            "read from the kept report, which was compiled on"
            if self.kept
            else f"compiled here in {self.seconds:.0f} s,"
        )
        return f"{self.topology}: {how} {self.date} with jax {self.jax}, libtpu {self.libtpu}"


class DoesNotFit(LabkitError):
    """The step needs more memory than a chip has. ``report`` says how much."""

    def __init__(self, report: TpuReport) -> None:
        self.report = report
        super().__init__(
            f"This does not fit: on each of the {report.chips} chips of {report.topology} the program needs "
            f"{report.needed_bytes / 1e9:,.1f} GB for what it works with, and a chip has {report.usable_bytes / 1e9:.1f} GB to give",
            todo="Split the weights over more chips, give each chip fewer rows, recompute instead of keeping, or use a chip "
            "with more memory",
        )


def compile_for_tpu(
    build: Callable[..., Any],
    topology: str,
    arguments: Sequence[Any] = (),
    *,
    name: str | None = None,
    fresh: bool = False,
    must_fit: bool = True,
    timeout: float = 600.0,
) -> TpuReport:
    """Compile a step for TPU chips that need not be here, and report what the compiler makes of it.

    ``build(devices, *arguments)`` returns what is to be compiled, ``jax.jit(...).lower(...)``: it makes a mesh of the
    topology's ``devices`` and gives shapes (``jax.ShapeDtypeStruct``) in place of arrays. It is called in a process of its
    own, because JAX must be told about this before it is imported. ``arguments`` are plain values: numbers, text, lists, dicts.

    ``name`` looks for a kept report first. It is used when its key fits; the key is made from the source of ``build``, of the
    functions it calls, ``arguments`` and ``topology``. ``fresh`` compiles all the same, where libtpu is here. Without libtpu
    and without such a report it raises LabkitError. In a checkout with LABKIT_KEEP_REPORTS=1 a new report is kept.

    Raises DoesNotFit for what needs more memory than a chip has, unless ``must_fit`` is False; LabkitError for an unknown
    topology, or a mesh that does not divide an array.
    """
    chip, shape = read_topology(topology)
    key = key_of(build, topology, arguments)
    kept = kept_report(name) if name else None
    here = importlib.util.find_spec("libtpu") is not None
    if kept is not None and kept.key == key and not (fresh and here):
        report = kept
    elif here:
        report = _compile_now(build, topology, arguments, name or "", key, chip, math.prod(shape), timeout)
        if name and os.environ.get("LABKIT_KEEP_REPORTS") == "1":
            keep(report)
    else:
        why = "It was kept for another step: the function, what it calls, or its arguments have changed" if kept else ""
        raise LabkitError(
            f"There is no report for {topology} here, and libtpu, Google's TPU compiler, is not installed",
            why,
            "Install it: `make lab WITH=tpu` in a checkout, `%pip install libtpu` elsewhere",
        )
    if must_fit and not report.fits:
        raise DoesNotFit(report)
    return report


def read_topology(topology: str) -> tuple[Chip, tuple[int, ...]]:
    """The chip and the shape that a name such as 'v5e:16x16' stands for; a LabkitError that says what would do."""
    match = re.fullmatch(r"([a-z0-9]+):(\d+(?:x\d+)*)", topology if isinstance(topology, str) else "")
    if not match:
        raise LabkitError(
            f"{topology!r} is no topology", todo="Write the kind of chip and the sides, such as v5e:2x4 or v5p:8x8x8"
        )
    if match[1] not in TPU_CHIPS:
        raise unknown("kind of TPU chip", match[1], TPU_CHIPS)
    chip, shape = TPU_CHIPS[match[1]], tuple(int(side) for side in match[2].split("x"))
    if len(shape) != chip.dimensions:
        example = "v5p:8x8x8" if chip.dimensions == 3 else f"{chip.name}:2x4"
        raise LabkitError(
            f"'{topology}' has {len(shape)} side{'s' * (len(shape) != 1)}, and chips of the kind {chip.name} are wired in {chip.dimensions} dimensions",
            todo=f"Give {chip.dimensions} sides, such as {example}",
        )
    if any(side < 2 or side % 2 for side in shape[:2]) or 0 in shape:
        raise LabkitError(
            f"'{topology}' is no topology that the compiler knows",
            "It makes them of groups of two by two chips, so the first two sides are even",
            f"Try {chip.name}:{'x'.join(str(side + side % 2) if at < 2 else str(max(side, 1)) for at, side in enumerate(shape)) or '2x4'}",
        )
    if math.prod(shape) > chip.most_chips:
        raise LabkitError(
            f"'{topology}' would have {math.prod(shape):,} chips, and a slice of {chip.name} has at most {chip.most_chips:,}"
        )
    return chip, shape


def kept_report(name: str, folder: Path | None = None) -> TpuReport | None:
    """The report kept under ``name``, or None; one of an older format counts as none."""
    path = (folder or REPORTS) / f"{name}.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    wanted = {one.name for one in fields(TpuReport)} - {"kept"}
    return TpuReport(**record, kept=True) if set(record) == wanted else None


def keep(report: TpuReport, folder: Path | None = None) -> Path:
    """Write a report where ``kept_report`` finds it; raises LabkitError outside a checkout."""
    if folder is None and not (REPORTS.parent.parent / "pyproject.toml").exists():
        raise LabkitError("Reports are kept in a checkout of the course only", todo="Clone the repository first")
    record = asdict(report)
    del record["kept"]
    path = (folder or REPORTS) / f"{report.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def key_of(build: Callable[..., Any], topology: str, arguments: Sequence[Any] = ()) -> str:
    """What a report depends on, as 16 letters: the same for every version of Python, JAX and libtpu.

    It covers the source of ``build`` and of all functions and plain values of its own notebook or module that it refers to.
    """
    try:
        given = json.dumps(list(arguments), sort_keys=True)
    except TypeError as error:
        raise LabkitError(
            "The arguments of a step to compile must be plain values",
            str(error),
            "Give numbers, text, lists and dicts; make shapes inside the function",
        ) from error
    parts = [f"format {FORMAT}", topology, given, *_sources(build)]
    return hashlib.sha256("\n\n".join(parts).encode()).hexdigest()[:16]


def _sources(build: Callable[..., Any]) -> list[str]:
    """The text of a function and of what it refers to, in order of first mention."""
    found: dict[str, str] = {}
    waiting: list[types.FunctionType] = [_plain_function(build)]
    while waiting:
        function = waiting.pop(0)
        source = textwrap.dedent(inspect.getsource(function))
        found[function.__name__] = _without_comments(source)
        for name in _names(source):
            if name in found or name not in function.__globals__ or hasattr(builtins, name):
                continue
            value = function.__globals__[name]
            if isinstance(value, types.FunctionType) and value.__module__ == build.__module__:
                found[name] = ""
                waiting.append(_plain_function(value))
            elif isinstance(value, (int, float, str, bool, type(None), tuple, list, dict)):
                found[name] = f"{name} = {value!r}"
    return [found[name] for name in found]


def _plain_function(function: Any) -> types.FunctionType:
    if not isinstance(function, types.FunctionType) or function.__closure__:
        raise LabkitError(
            f"{getattr(function, '__name__', function)!r} cannot be recognised again",
            "What is compiled for a TPU must be a function that stands alone, so that its source says everything",
            "Define it at the top level of a cell, with `def`, and pass what it needs as arguments",
        )
    return function


def _names(source: str) -> list[str]:
    """The names that a function reads and does not set itself, in order."""
    tree = ast.parse(source)
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    read: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                read[node.id] = None
            else:
                own.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            own.add(node.name)
    return [name for name in read if name not in own]


def _without_comments(source: str) -> str:
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _compile_now(
    build: Callable[..., Any],
    topology: str,
    arguments: Sequence[Any],
    name: str,
    key: str,
    chip: Chip,
    chips: int,
    timeout: float,
) -> TpuReport:
    given = (build, topology, tuple(arguments))
    (found,) = run(_in_child, 1, arguments=given, env=ENVIRONMENT, timeout=timeout, show=False)
    if "problem" in found:
        raise _explained(topology, found["problem"])
    common: dict[str, Any] = {"name": name, "key": key, "topology": topology, "chips": chips, "chip": chip.name}
    usable = found.pop("usable_bytes", None) or int(chip.usable_bytes)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return TpuReport(**common, usable_bytes=usable, date=date, **found)


def _explained(topology: str, problem: str) -> LabkitError:
    """The error for what the compiler, or JAX before it, would not take."""
    uneven = re.search(r"axis (\d+) is partitioned (\d+) times, but the dimension size is (\d+)", problem)
    if uneven:
        axis, parts, size = (int(number) for number in uneven.groups())
        return LabkitError(
            f"An array with {size:,} along its axis {axis} cannot be split evenly over {parts} chips",
            "Every chip gets a part of the same size",
            f"Take a multiple of {parts}, such as {size // parts * parts or parts:,} or {(size // parts + 1) * parts:,}, or a mesh of another shape",
        )
    return LabkitError(f"The TPU compiler does not take this for {topology}: {problem}")


def _in_child(build: Callable[..., Any], topology: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Compile in this process, and return what is found as plain values."""
    import importlib.metadata
    import time

    import jax
    from jax.experimental import topologies

    versions = {"jax": jax.__version__, "libtpu": importlib.metadata.version("libtpu")}
    start = time.perf_counter()
    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
        lowered = build(devices, *arguments)
        compiled = lowered.compile()
    except Exception as error:
        text = str(error)
        short = _shortage(text)
        if short is not None:
            needed, usable = short
            seconds = time.perf_counter() - start
            empty = dict.fromkeys(
                ("argument_bytes", "output_bytes", "alias_bytes", "temporary_bytes", "peak_bytes", "code_bytes"), 0
            )
            counted = {"flops": 0.0, "collectives": {}, "fusions": 0, "loops": 0, "layouts": ""}
            state = {"fits": False, "needed_bytes": needed, "usable_bytes": usable, "seconds": round(seconds, 1)}
            return {**empty, **counted, **state, **versions}
        if "INVALID_ARGUMENT" in text or "should evenly divide" in text:
            return {"problem": text.splitlines()[0]}
        raise
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    text = compiled.as_text()
    return {
        "fits": True,
        "needed_bytes": memory.peak_memory_in_bytes,
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "alias_bytes": memory.alias_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "peak_bytes": memory.peak_memory_in_bytes,
        "code_bytes": memory.generated_code_size_in_bytes,
        "flops": float(compiled.cost_analysis()["flops"]),
        "collectives": collectives_in(text),
        "fusions": len(re.findall(r" fusion\(", text)),
        "loops": len(re.findall(r" while\(", text)),
        "layouts": _layouts(text),
        "seconds": round(seconds, 1),
        **versions,
    }


def _shortage(message: str) -> tuple[int, int] | None:
    """From the compiler's message: bytes that are needed, bytes that are there."""
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    found = re.search(r"\((\d+(?:\.\d+)?)([KMGT]?)\) exceeds available HBM \((\d+(?:\.\d+)?)([KMGT]?)\)", message)
    found = found or re.search(r"Used (\d+(?:\.\d+)?)([KMGT]?) of (\d+(?:\.\d+)?)([KMGT]?) hbm", message)
    if found is None:
        return None
    return int(float(found[1]) * units[found[2]]), int(float(found[3]) * units[found[4]])


def _layouts(text: str) -> str:
    found = re.search(r"entry_computation_layout=\{(.*?)\}, [a-z_]+=", text)
    return re.sub(r"/\*index=\d+\*/", "", found[1]) if found else ""


_BITS = {"pred": 8, "s8": 8, "u8": 8, "bf16": 16, "f16": 16, "s16": 16, "u16": 16, "f32": 32, "s32": 32, "u32": 32}


def collectives_in(text: str) -> dict[str, dict[str, Any]]:
    """The collectives of a compiled program's text: by kind, how many, in loops, how many bytes, and one line to look at.

    Each has a channel, and what the compiler wrote several times for one channel, to hide its time behind arithmetic, counts
    once. On a TPU a reduce-scatter is written as a computation called all-reduce-scatter, with an all-reduce in it.
    """
    bodies = _computations(text)
    in_loops = _reached(bodies, re.findall(r" while\(.*?body=(%?[\w.-]+)", text))
    seen: dict[tuple[str, str], tuple[int, bool, str]] = {}
    pattern = re.compile(rf"= (.*?) ({'|'.join(COLLECTIVES)})(-start)?\(")
    for body, lines in bodies.items():
        for line in lines:
            match = pattern.search(line)
            if not match:
                continue
            kind = "reduce-scatter" if "all-reduce-scatter" in body else match[2]
            channel = re.search(r"channel_id=(\d+)", line)
            name = (kind, channel[1] if channel else line)
            sizes = [_bytes(*one) for one in re.findall(r"(\w+)\[([\d,]*)\]", match[1])]
            size = max(sizes) if match[3] else sum(sizes)
            if name not in seen:
                where = f"{body}: " if kind == "reduce-scatter" else ""
                seen[name] = (size, body in in_loops, where + _short(line))
    found: dict[str, dict[str, Any]] = {}
    for kind in COLLECTIVES:
        mine = [entry for (one, _), entry in seen.items() if one == kind]
        if mine:
            size, _, example = max(mine)
            found[kind] = {
                "count": len(mine),
                "in_loops": sum(looped for _, looped, _ in mine),
                "bytes": sum(size for size, _, _ in mine),
                "example": example,
            }
    return found


def _computations(text: str) -> dict[str, list[str]]:
    """The program's computations by name, each with its lines."""
    bodies: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        head = re.match(r"(?:ENTRY )?(%?[\w.-]+) \(.*\{$", line)
        if head:
            name = head[1]
            bodies[name] = []
        elif name:
            bodies[name].append(line)
    return bodies


def _reached(bodies: dict[str, list[str]], starts: list[str]) -> set[str]:
    """These computations, and all that they call."""
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name in reached or name not in bodies:
            continue
        reached.add(name)
        for line in bodies[name]:
            waiting += re.findall(r"(?:calls|to_apply|body|condition|called_computations)=\{?(%?[\w.-]+)", line)
    return reached


def _bytes(kind: str, sides: str) -> int:
    return math.prod(int(side) for side in sides.split(",") if side) * _BITS.get(kind, 0) // 8


def _short(line: str) -> str:
    """A line of the compiled text, less what only the compiler needs."""
    line = re.sub(r", (use_global_device_ids|metadata|backend_config|frontend_attributes)=.*", "", line.strip())
    line = re.sub(r"replica_groups=\{\{.{60,}?\}\}", "replica_groups={{...}}", line)
    return line if len(line) <= 300 else f"{line[:297]}..."
