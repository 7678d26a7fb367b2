"""What this machine can do: its best matrix-multiply rate and memory bandwidth, measured and remembered."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labkit._machine import cgroup_memory, cpu_name, usable_cores, version
from labkit.errors import LabkitError


def say_threads(n: int) -> str:
    """'1 thread', '2 threads'."""
    return f"{n} thread" if n == 1 else f"{n} threads"


@dataclass(frozen=True)
class Peak:
    """What ``measure_peak`` measured, and exactly how."""

    gflops: float  # 10^9 floating-point operations a second, an n x n by n x n product counted as 2 n^3
    bandwidth_gb_s: float  # 10^9 bytes a second
    threads: int
    dtype: str
    size: int  # n of the matrices
    library: str
    bandwidth_kernel: str  # what was timed, and how many bytes an element it counts
    bandwidth_threads: int
    array_mib: int  # of one of its arrays
    busy_percent: float  # how much of the processor other programs used just before; far above 0, measure again
    cpu: str
    measured: str  # local date and time

    def __str__(self) -> str:
        how = f"{self.dtype}, {self.size} x {self.size} matrices, {say_threads(self.threads)}, {self.library}"
        stream = f"{self.bandwidth_kernel}, {say_threads(self.bandwidth_threads)}, arrays of {self.array_mib} MiB"
        return f"{self.gflops:,.0f} GFLOP/s ({how}), {self.bandwidth_gb_s:,.1f} GB/s ({stream})"


def measure_peak(seconds: float = 1.0, threads: int | None = None, dtype: str = "float32") -> Peak:
    """The best matrix-multiply rate and memory bandwidth of this machine's CPU, seen within about ``seconds`` each.

    Products of several sizes are repeated, and the best one counts, because whatever else the machine does can only make
    one slower. Each product is of one library: PyTorch's if it is installed, else
    NumPy's. Bandwidth is STREAM's triad ``a = b + s * c`` with arrays far larger
    than the caches, 3 values moved an element. Without PyTorch it is NumPy's copy, 2 values an element, which runs on
    one thread. See https://www.cs.virginia.edu/stream/ for what STREAM counts.
    """
    threads = usable_cores() if threads is None else threads
    if threads < 1 or not seconds > 0:
        raise LabkitError(f"Cannot measure {seconds} seconds on {threads} threads", todo="Both must be above 0")
    has_torch = bool(version("torch"))
    allowed = ("float32", "float64", "bfloat16") if has_torch else ("float32", "float64")
    if dtype not in allowed:
        raise LabkitError(f"Cannot measure the type '{dtype}'", todo=f"Ask for one of {', '.join(allowed)}")
    import psutil

    busy = psutil.cpu_percent(interval=0.2)
    bench = _torch_bench if has_torch else _numpy_bench
    with bench(threads, dtype) as (library, product, stream, kernel, stream_threads):
        size, gflops = _best_product(product, seconds)
        array_mib, bandwidth = _best_stream(stream, seconds)
    return Peak(
        gflops=gflops,
        bandwidth_gb_s=bandwidth,
        threads=threads,
        dtype=dtype,
        size=size,
        library=library,
        bandwidth_kernel=kernel,
        bandwidth_threads=stream_threads,
        array_mib=array_mib,
        busy_percent=busy,
        cpu=cpu_name(),
        measured=time.strftime("%Y-%m-%d %H:%M"),
    )


# product(n): a function that multiplies two n x n matrices; stream(bytes): one that moves arrays of so many bytes, and
# how many of them it moves
_Product = Callable[[int], Callable[[], object]]
_Stream = Callable[[int], tuple[Callable[[], object], int]]
_Bench = tuple[str, _Product, _Stream, str, int]


@contextlib.contextmanager
def _torch_bench(threads: int, dtype: str) -> Iterator[_Bench]:
    import torch

    kind = getattr(torch, dtype)

    def product(n: int) -> Callable[[], object]:
        a, b, out = (torch.ones(n, n, dtype=kind) for _ in range(3))
        return lambda: torch.mm(a, b, out=out)

    def stream(size: int) -> tuple[Callable[[], object], int]:
        a, b, c = (torch.ones(size // 4, dtype=torch.float32) for _ in range(3))
        return lambda: torch.add(b, c, alpha=3.0, out=a), 3

    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")  # or float32 might be measured in something smaller
    try:
        with torch.inference_mode():
            yield f"PyTorch {torch.__version__}", product, stream, "triad, 12 bytes an element", threads
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)


@contextlib.contextmanager
def _numpy_bench(threads: int, dtype: str) -> Iterator[_Bench]:
    from threadpoolctl import threadpool_limits

    def product(n: int) -> Callable[[], object]:
        a, b, out = (np.ones((n, n), dtype) for _ in range(3))
        return lambda: np.matmul(a, b, out=out)

    def stream(size: int) -> tuple[Callable[[], object], int]:
        a, b = np.ones(size // 4, np.float32), np.ones(size // 4, np.float32)
        return lambda: np.copyto(a, b), 2

    with threadpool_limits(threads):
        yield f"NumPy {np.__version__}", product, stream, "copy, 8 bytes an element", 1


def _best_product(product: _Product, seconds: float) -> tuple[int, float]:
    """(n, GFLOP/s) of the best product of several sizes, tried in two rounds within about ``seconds``.

    Large ones waste the least on starting; small ones have the best chance to run through before another program
    gets its turn on the core. Which matters more depends on the machine and the moment, and the moment passes: hence
    two rounds. Sizes above 1024 are left out where three of them would not fit.
    """
    best = (0, 0.0)
    for n in 2 * (256, 512, 1024, 2048, 4096):
        flops = 2 * n**3
        if n > 1024 and 3 * flops > best[1] * 1e9 * seconds / 10:
            continue
        run = product(n)
        run()  # the first one wakes threads and allocates
        once = _best_time(run, seconds / 10, least=3)
        best = max(best, (n, flops / once / 1e9), key=lambda found: found[1])
    return best


def _best_stream(stream: _Stream, seconds: float) -> tuple[int, float]:
    """(MiB of one array, GB/s)."""
    import psutil

    # STREAM asks for arrays of four times the last cache at least. Together they stay below a quarter of what is free.
    free = min(psutil.virtual_memory().available, cgroup_memory())
    mib = int(max(16, min(max(64, 4 * _last_cache_mib()), 512, free / 12 / 2**20)))
    run, arrays = stream(mib * 2**20)
    run()
    best = _best_time(run, seconds, least=3)
    return mib, arrays * mib * 2**20 / best / 1e9


def _best_time(run: Callable[[], object], seconds: float, least: int) -> float:
    """The shortest of at least ``least`` runs, repeated for ``seconds``."""
    best, count, end = math.inf, 0, time.perf_counter() + seconds
    while count < least or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
        count += 1
    return best


def _last_cache_mib(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> float:
    """The size of the largest cache the system tells of; 32 MiB where it tells of none."""
    sizes = []
    for file in folder.glob("index*/size"):
        with contextlib.suppress(OSError, ValueError):
            text = file.read_text().strip()
            sizes.append(int(text.rstrip("KM")) / (1 if text.endswith("M") else 1024))
    return max(sizes, default=32.0)


def fraction_of_peak(flops: float, seconds: float, peak: Peak | float) -> float:
    """The part of the machine's measured peak that a run reached: 0.25 is a quarter of it.

    ``flops`` is the number of floating-point operations done in ``seconds``; ``peak`` a Peak, or GFLOP/s.
    A value above 1 is returned as it is: it says that the peak was measured too low, or the operations counted wrong.
    """
    gflops = peak.gflops if isinstance(peak, Peak) else peak
    if not (flops >= 0 and seconds > 0 and gflops > 0):
        raise LabkitError(f"No fraction of {gflops} GFLOP/s can be told from {flops} operations in {seconds} seconds")
    return flops / seconds / (gflops * 1e9)


def _peak_file() -> Path:
    from labkit.data import cache_folder

    return cache_folder() / "peak.json"


def save_peak(peak: Peak) -> None:
    """Keep a measurement in the user's cache, so that later labs can compare with it."""
    file = _peak_file()
    part = file.with_name(f".peak.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(json.dumps(asdict(peak), indent=1), encoding="utf-8")
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise LabkitError(
            f"The measurement cannot be kept in {file.parent}",
            error.strerror or str(error),
            "Set LABKIT_CACHE to a folder that you may write to",
        ) from error


def load_peak() -> Peak | None:
    """The last measurement kept; None if there is none, or if it is of another machine that shares this home folder."""
    try:
        peak = Peak(**json.loads(_peak_file().read_text(encoding="utf-8")))
        return peak if peak.cpu == cpu_name() and peak.gflops > 0 and peak.bandwidth_gb_s > 0 else None
    except (OSError, ValueError, TypeError):
        return None
