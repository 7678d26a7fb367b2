"""What this machine can do: its best matrix-multiply rate and memory bandwidth, measured and remembered."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
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
    device: str = "cpu"  # or "cuda", "mps"; what was measured before there was a choice was a CPU
    accelerator: str = ""  # its name, where device is not the CPU

    def __str__(self) -> str:
        on = [self.accelerator or say_threads(threads) for threads in (self.threads, self.bandwidth_threads)]
        how = f"{self.dtype}, {self.size} x {self.size} matrices, {on[0]}, {self.library}"
        stream = f"{self.bandwidth_kernel}, {on[1]}, arrays of {self.array_mib} MiB"
        return f"{self.gflops:,.0f} GFLOP/s ({how}), {self.bandwidth_gb_s:,.1f} GB/s ({stream})"


def measure_peak(seconds: float = 1.0, threads: int | None = None, dtype: str = "float32", device: str = "cpu") -> Peak:
    """The best matrix-multiply rate and memory bandwidth of this machine's CPU, seen within about ``seconds`` each.

    ``device="cuda"`` or ``"mps"`` measures the accelerator instead, in float32, bfloat16 or float16, and waits for the
    end of each piece of work before it reads the clock. A LabkitError says why where there is none.

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
    if device != "cpu":
        allowed = ("float32", "bfloat16", "float16")
    if dtype not in allowed:
        raise LabkitError(f"Cannot measure the type '{dtype}'", todo=f"Ask for one of {', '.join(allowed)}")
    import psutil

    there = None if device == "cpu" else _accelerator(device)
    busy = psutil.cpu_percent(interval=0.2)
    with contextlib.ExitStack() as stack:
        if there is None:
            bench = _torch_bench if has_torch else _numpy_bench
            library, product, stream, kernel, stream_threads = stack.enter_context(bench(threads, dtype))
            size, gflops = _best_product(product, seconds)
            array_mib, bandwidth = _best_stream(stream, seconds)
        else:
            library, product, stream, kernel, stream_threads = stack.enter_context(
                _torch_bench(threads, dtype, there.place, there.wait)
            )
            width = 4 if dtype == "float32" else 2
            sizes = [n for n in (1024, 2048, 4096, 8192, 16384) if 3 * width * n**2 < there.free / 2]
            if not sizes:
                raise LabkitError(
                    f"Only {there.free / 2**20:,.0f} MiB of memory are free on the {there.name}",
                    todo="End the other programs that use it, or restart their kernels",
                )
            size, gflops = _best_product(product, seconds, sizes)
            array_mib, bandwidth = _best_stream(stream, seconds, there.free, there.cache_mib)
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
        device=device,
        accelerator=there.name if there else "",
    )


@dataclass(frozen=True)
class _Accelerator:
    """What measuring has to know of a GPU."""

    place: str  # PyTorch's name for it
    name: str
    wait: Callable[[], None]  # returns when the work handed to it so far is done
    free: float  # bytes of its memory
    cache_mib: float  # its last cache


def _accelerator(device: str) -> _Accelerator:
    """The accelerator ``device``; LabkitError where this machine cannot give it, or where it cannot be measured."""
    if device == "xla":
        raise LabkitError(
            "A TPU is not measured through PyTorch here",
            "torch_xla compiles work instead of running it, and a clock around one call would not see it",
            "Its maker publishes its peak: labkit.cost has it",
        )
    from labkit.device import pick_device

    pick_device(device)
    import torch

    if device == "cuda":
        properties = torch.cuda.get_device_properties("cuda")
        cache = getattr(properties, "L2_cache_size", 64 * 2**20) / 2**20
        return _Accelerator("cuda", properties.name, torch.cuda.synchronize, torch.cuda.mem_get_info()[0], cache)
    free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _Accelerator("mps", f"GPU of {cpu_name()}", torch.mps.synchronize, free, _last_cache_mib())


# product(n): a function that multiplies two n x n matrices; stream(bytes): one that moves arrays of so many bytes, and
# how many of them it moves
_Product = Callable[[int], Callable[[], object]]
_Stream = Callable[[int], tuple[Callable[[], object], int]]
_Bench = tuple[str, _Product, _Stream, str, int]


@contextlib.contextmanager
def _torch_bench(
    threads: int, dtype: str, place: str = "cpu", wait: Callable[[], object] = lambda: None
) -> Iterator[_Bench]:
    import torch

    kind = getattr(torch, dtype)

    def product(n: int) -> Callable[[], object]:
        a, b, out = (torch.ones(n, n, dtype=kind, device=place) for _ in range(3))
        return lambda: (torch.mm(a, b, out=out), wait())

    def stream(size: int) -> tuple[Callable[[], object], int]:
        a, b, c = (torch.ones(size // 4, dtype=torch.float32, device=place) for _ in range(3))
        return lambda: (torch.add(b, c, alpha=3.0, out=a), wait()), 3

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


def _best_product(
    product: _Product, seconds: float, sizes: Sequence[int] = (256, 512, 1024, 2048, 4096)
) -> tuple[int, float]:
    """(n, GFLOP/s) of the best product of several sizes, tried in two rounds within about ``seconds``.

    Large ones waste the least on starting; small ones have the best chance to run through before another program
    gets its turn on the core. Which matters more depends on the machine and the moment, and the moment passes: hence
    two rounds. Sizes above 1024 are left out where three of them would not fit.
    """
    best = (0, 0.0)
    for n in 2 * tuple(sizes):
        flops = 2 * n**3
        if n > 1024 and 3 * flops > best[1] * 1e9 * seconds / 10:
            continue
        run = product(n)
        run()  # the first one wakes threads and allocates
        once = _best_time(run, seconds / 10, least=3)
        best = max(best, (n, flops / once / 1e9), key=lambda found: found[1])
    return best


def _best_stream(
    stream: _Stream, seconds: float, free: float | None = None, cache_mib: float | None = None
) -> tuple[int, float]:
    """(MiB of one array, GB/s). ``free`` bytes and the last cache are those of this machine unless given."""
    import psutil

    # STREAM asks for arrays of four times the last cache at least. Together they stay below a quarter of what is free.
    free = min(psutil.virtual_memory().available, cgroup_memory()) if free is None else free
    cache_mib = _last_cache_mib() if cache_mib is None else cache_mib
    mib = int(max(16, min(max(64, 4 * cache_mib), 512, free / 12 / 2**20)))
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


def fraction_of_peak(flops: float, seconds: float, peak: Peak | float, device: str | None = None) -> float:
    """The part of the machine's measured peak that a run reached: 0.25 is a quarter of it.

    ``flops`` is the number of floating-point operations done in ``seconds``; ``peak`` a Peak, or GFLOP/s. Say on which
    ``device`` the run was, and a Peak of another one is refused.
    A value above 1 is returned as it is: it says that the peak was measured too low, or the operations counted wrong.
    """
    if device is not None and isinstance(peak, Peak) and peak.device != device:
        raise LabkitError(
            f"A run on '{device}' cannot be compared with a peak of '{peak.device}'",
            todo=f"Measure that one: measure_peak(device='{device}')",
        )
    gflops = peak.gflops if isinstance(peak, Peak) else peak
    if not (flops >= 0 and seconds > 0 and gflops > 0):
        raise LabkitError(f"No fraction of {gflops} GFLOP/s can be told from {flops} operations in {seconds} seconds")
    return flops / seconds / (gflops * 1e9)


def _peak_file(device: str) -> Path:
    from labkit.data import cache_folder

    return cache_folder() / ("peak.json" if device == "cpu" else f"peak-{device}.json")


def save_peak(peak: Peak) -> None:
    """Keep a measurement in the user's cache, so that later labs can compare with it."""
    file = _peak_file(peak.device)
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


def load_peak(device: str = "cpu") -> Peak | None:
    """The last measurement of ``device`` kept; None if there is none, or if it is of another machine or accelerator.

    Machines that share a home folder share the file. An accelerator's own name is asked of PyTorch.
    """
    try:
        peak = Peak(**json.loads(_peak_file(device).read_text(encoding="utf-8")))
        right = peak.cpu == cpu_name() and peak.device == device and peak.gflops > 0 and peak.bandwidth_gb_s > 0
        if right and device != "cpu":
            right = peak.accelerator == _accelerator(device).name
        return peak if right else None
    except (OSError, ValueError, TypeError, LabkitError):
        return None
