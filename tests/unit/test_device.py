"""What labkit.device says of this machine, and of machines made up for the purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from labkit import _machine, _peak, device
from labkit.errors import LabkitError

PEAK = device.Peak(
    gflops=100.0,
    bandwidth_gb_s=20.0,
    threads=2,
    dtype="float32",
    size=1024,
    library="NumPy 9",
    bandwidth_kernel="copy, 8 bytes an element",
    bandwidth_threads=1,
    array_mib=64,
    busy_percent=0.0,
    cpu=_machine.cpu_name(),
    measured="2030-01-02 03:04",
)


@pytest.fixture(autouse=True)
def on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LABKIT_DATA", raising=False)


# ---------------------------------------------------------------- looking


def test_describe() -> None:
    import psutil

    machine = device.describe()
    assert machine.os and machine.cpu
    assert 1 <= machine.physical_cores <= machine.logical_cores == os.cpu_count()
    assert 1 <= machine.usable_cores <= machine.logical_cores
    assert 0 < machine.memory_gib <= psutil.virtual_memory().total / 2**30
    assert machine.versions.keys() <= set(_machine.FRAMEWORKS)
    assert machine.python.split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def test_looking_imports_no_framework() -> None:
    code = (
        "import sys; from labkit import device; device.describe(); device.doctor_report();"
        "print([name for name in ('torch', 'tensorflow', 'keras', 'jax', 'matplotlib') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_versions_are_those_of_the_installed_packages() -> None:
    torch = pytest.importorskip("torch")
    assert device.describe().versions["torch"] == torch.__version__


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_limits_the_cores() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from labkit import device;"
    code += "print(device.usable_cores(), device.describe().usable_cores)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["1", "1"]


def put(folder: Path, path: str, text: str) -> None:
    target = folder / "cgroup" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n")


def places(folder: Path, membership: str) -> dict[str, Path]:
    (folder / "own").write_text(membership + "\n")
    return {"root": folder / "cgroup", "own": folder / "own"}


def test_container_limit_version_2(tmp_path: Path) -> None:
    put(tmp_path, "class/student/cpu.max", "max 100000")
    put(tmp_path, "class/cpu.max", "150000 100000")
    put(tmp_path, "class/student/memory.max", "max")
    put(tmp_path, "class/memory.max", "2147483648")
    where = places(tmp_path, "0::/class/student")
    assert _machine.cgroup_cpus(**where) == 1.5, "the limit of the group around counts too"
    assert _machine.cgroup_memory(**where) == 2**31
    put(tmp_path, "class/student/cpu.max", "50000 100000")
    assert _machine.cgroup_cpus(**where) == 0.5


def test_container_limit_version_1(tmp_path: Path) -> None:
    put(tmp_path, "cpu/docker/cpu.cfs_quota_us", "300000")
    put(tmp_path, "cpu/cpu.cfs_quota_us", "-1")
    put(tmp_path, "memory/docker/memory.limit_in_bytes", "1073741824")
    where = places(tmp_path, "4:memory:/docker\n1:cpu,cpuacct:/docker\n0::/")
    assert _machine.cgroup_cpus(**where) == 3
    assert _machine.cgroup_memory(**where) == 2**30


def test_no_container(tmp_path: Path) -> None:
    where = places(tmp_path, "0::/")
    assert _machine.cgroup_cpus(**where) == _machine.cgroup_memory(**where) == float("inf")
    where["own"] = tmp_path / "absent"
    assert _machine.cgroup_cpus(**where) == float("inf")


def test_part_of_a_core_is_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_machine, "cgroup_cpus", lambda: 0.2)
    assert device.usable_cores() == 1


def test_tpus_are_told_from_network_cards(tmp_path: Path) -> None:
    cards = {"00": ("0x1ae0", "0x0042"), "01": ("0x1ae0", "0x0063"), "02": ("0x10de", "0x0063")}
    for slot, (vendor, kind) in cards.items():
        (tmp_path / slot).mkdir()
        (tmp_path / slot / "vendor").write_text(vendor + "\n")
        (tmp_path / slot / "device").write_text(kind + "\n")
    assert _machine.tpus(tmp_path) == ["TPU v5e"]


def fake_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tool = folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(_machine, "tpus", lambda: [])


@pytest.mark.skipif(sys.platform != "linux", reason="writes a shell script that stands in for nvidia-smi")
def test_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, "echo 'Tesla T4, 15360'; echo 'Tesla T4, 15360'; echo 'NVIDIA A100, 40960'")
    assert device.describe().accelerators == ("2 x Tesla T4, 15 GiB", "NVIDIA A100, 40 GiB")


@pytest.mark.skipif(sys.platform != "linux", reason="writes a shell script that stands in for nvidia-smi")
def test_broken_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, "echo 'NVIDIA-SMI has failed because it could not reach the driver'; exit 9")
    assert device.describe().accelerators == ()


# ---------------------------------------------------------------- choosing


def test_pick_device_gives_one_that_works() -> None:
    chosen = device.pick_device()
    assert chosen in device.DEVICES
    assert device.pick_device("cpu") == "cpu"
    if chosen != "cpu":
        assert device.pick_device(chosen) == chosen


def test_pick_device_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "version", lambda name: "")
    assert device.pick_device() == "cpu"
    with pytest.raises(LabkitError, match=r"'cuda' cannot be used here. PyTorch is not installed"):
        device.pick_device("cuda")


def test_unknown_device() -> None:
    with pytest.raises(LabkitError, match=r"no device 'gpu'.*cpu, cuda, mps, xla"):
        device.pick_device("gpu")


@pytest.mark.skipif(sys.platform != "linux", reason="writes a shell script that stands in for nvidia-smi")
def test_gpu_that_pytorch_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual trap: the machine has a GPU, and the installed PyTorch was built without CUDA."""
    torch = pytest.importorskip("torch")
    fake_smi(tmp_path, monkeypatch, "echo 'Tesla T4, 15360'")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LabkitError, match=r"PyTorch .* cannot use Tesla T4"):
        device.pick_device("cuda")
    assert device.pick_device() != "cuda"


def test_device_that_is_there_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch says there is CUDA, and the first sum on it fails: then it is not chosen."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("here it works")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(LabkitError, match=r"Adding four numbers on it failed"):
        device.pick_device("cuda")
    assert device.pick_device() != "cuda"


def test_set_threads() -> None:
    """In a process of its own, because the number stays set."""
    code = """
import os, sys
from labkit import device
from threadpoolctl import threadpool_info
import numpy
print(device.set_threads(1), os.environ["OMP_NUM_THREADS"], {pool["num_threads"] for pool in threadpool_info()})
print("torch" in sys.modules)
if "torch" in device.describe().versions:
    import torch
    print(torch.get_num_threads(), device.set_threads(2), torch.get_num_threads())
print(device.set_threads() == device.usable_cores())
"""
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    lines = out.splitlines()
    assert lines[0] == "1 1 {1}"
    assert lines[1] == "False"
    assert lines[-1] == "True"
    if "torch" in device.describe().versions:
        assert lines[2] == "1 2 2"


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_set_threads_to_nonsense(n: int) -> None:
    with pytest.raises(LabkitError, match="no number of threads"):
        device.set_threads(n)


# ---------------------------------------------------------------- measuring


def test_measured_peak_agrees_with_a_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same product, timed here and on one thread, reaches a good part of the peak and hardly more.

    Five tries, because other programs may take the core away from one of the two; a wrong count is wrong five times.
    """
    from threadpoolctl import threadpool_limits

    monkeypatch.setattr(_peak, "version", lambda name: "")  # both with NumPy
    a = np.ones((512, 512), np.float32)
    fractions = []
    for _ in range(5):
        peak = device.measure_peak(seconds=0.2, threads=1)
        with threadpool_limits(1):
            best = _peak._best_time(lambda: a @ a, 0.2, 3)
        fractions.append(device.fraction_of_peak(2 * 512**3, best, peak))
        if 0.6 < fractions[-1] < 1.4:
            break
    else:
        pytest.fail(f"fractions of the peak: {fractions}")


def test_what_is_measured_is_said() -> None:
    peak = device.measure_peak(seconds=0.05, threads=1)
    assert peak.threads == 1 and peak.dtype == "float32" and peak.bandwidth_gb_s > 0
    assert 0 <= peak.busy_percent <= 100
    for part in (f"{peak.gflops:,.0f} GFLOP/s", f"{peak.size} x {peak.size}", "1 thread,", peak.library, "float32"):
        assert part in str(peak)


def test_measuring_counts_the_work_that_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of our own: 2 n^3 operations a product, and one array written and two read in a triad."""
    now = [0.0]
    monkeypatch.setattr(_peak.time, "perf_counter", lambda: now[0])

    def product(n: int):  # type: ignore[no-untyped-def]
        def run() -> None:
            now[0] += 2 * n**3 / (50e9 if n == 512 else 20e9)  # 50 GFLOP/s with matrices of 512, else 20

        return run

    assert _peak._best_product(product, 1.0) == (512, pytest.approx(50))

    def stream(size: int):  # type: ignore[no-untyped-def]
        def run() -> None:
            now[0] += 3 * size / 20e9  # 20 GB/s

        return run, 3

    mib, bandwidth = _peak._best_stream(stream, 1.0)
    assert bandwidth == pytest.approx(20)
    assert mib >= 16


def test_arrays_are_larger_than_the_cache_and_smaller_than_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stream(size: int):  # type: ignore[no-untyped-def]
        asked.append(size // 2**20)
        return lambda: None, 3

    monkeypatch.setattr(_peak, "cgroup_memory", lambda: float("inf"))
    monkeypatch.setattr(_peak, "_last_cache_mib", lambda: 32.0)
    _peak._best_stream(stream, 0.001)
    monkeypatch.setattr(_peak, "cgroup_memory", lambda: 512 * 2**20)
    _peak._best_stream(stream, 0.001)
    assert asked[0] == 128, "four times the cache"
    assert 3 * asked[1] <= 512 / 4, "a quarter of a small container"


def test_last_cache(tmp_path: Path) -> None:
    for number, size in enumerate(["32K", "1024K", "32M"]):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(size + "\n")
    assert _peak._last_cache_mib(tmp_path) == 32.0
    (tmp_path / "index2" / "size").write_text("65536K\n")
    assert _peak._last_cache_mib(tmp_path) == 64.0
    assert _peak._last_cache_mib(tmp_path / "absent") == 32.0


def test_measuring_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peak, "version", lambda name: "")
    peak = device.measure_peak(seconds=0.05, threads=1)
    assert peak.library == f"NumPy {np.__version__}"
    assert peak.bandwidth_kernel.startswith("copy") and peak.bandwidth_threads == 1
    with pytest.raises(LabkitError, match=r"'bfloat16'.*float32, float64"):
        device.measure_peak(dtype="bfloat16")


def test_measuring_leaves_pytorch_as_it_was() -> None:
    torch = pytest.importorskip("torch")
    torch.set_float32_matmul_precision("medium")
    before = torch.get_num_threads()
    try:
        device.measure_peak(seconds=0.02, threads=before + 1)
        assert torch.get_num_threads() == before
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_nonsense_to_measure() -> None:
    for wrong in ({"threads": 0}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(LabkitError, match="Both must be above 0"):
            device.measure_peak(**wrong)  # type: ignore[arg-type]
    with pytest.raises(LabkitError, match=r"'int8'.*float32"):
        device.measure_peak(dtype="int8")


def test_fraction_of_peak() -> None:
    # 10^11 operations in 4 s are 25 GFLOP/s: a quarter of 100.
    assert device.fraction_of_peak(1e11, 4.0, PEAK) == pytest.approx(0.25)
    assert device.fraction_of_peak(1e11, 4.0, 50.0) == pytest.approx(0.5)
    assert device.fraction_of_peak(1e12, 4.0, PEAK) == pytest.approx(2.5), "not hidden: the peak was measured too low"
    for flops, seconds, peak in ((1.0, 0.0, PEAK), (-1.0, 1.0, PEAK), (1.0, 1.0, 0.0), (1.0, float("nan"), PEAK)):
        with pytest.raises(LabkitError, match="No fraction"):
            device.fraction_of_peak(flops, seconds, peak)


# ---------------------------------------------------------------- measuring an accelerator


class FakeGpu:
    """Stands in for a GPU: the CPU does its work, which counts as done only when somebody waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str = "Fake GPU", free: float = 2**30) -> None:
        self.waited = 0
        self.there = _peak._Accelerator("cpu", name, self.wait, free, cache_mib=1.0)
        monkeypatch.setattr(_peak, "_accelerator", lambda device: self.there)

    def wait(self) -> None:
        self.waited += 1


def test_an_accelerator_is_measured_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    FakeGpu(monkeypatch, free=64 * 2**20)  # room for matrices of 1024 only
    asked: list[int] = []
    product = _peak._best_product

    def watched(*given: object) -> tuple[int, float]:
        asked.extend(given[2])  # type: ignore[call-overload]
        return product(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(_peak, "_best_product", watched)
    peak = device.measure_peak(seconds=0.02, threads=1, device="cuda")
    assert (peak.device, peak.accelerator, peak.dtype) == ("cuda", "Fake GPU", "float32")
    assert asked == [1024], "what does not fit is not tried"
    assert peak.array_mib == 16, "not more than a quarter of its own memory, but 16 MiB"
    assert "Fake GPU" in str(peak) and "thread" not in str(peak)


def test_a_full_accelerator_is_said_to_be_full(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    FakeGpu(monkeypatch, free=5 * 2**20)
    with pytest.raises(LabkitError, match=r"Only 5 MiB of memory are free on the Fake GPU"):
        device.measure_peak(seconds=0.02, device="cuda")


def test_the_clock_waits_for_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of our own: handing work over takes no time, waiting for its end does."""
    torch = pytest.importorskip("torch")
    now, queued = [0.0], [0.0]

    def wait() -> None:
        now[0] += queued[0]
        queued[0] = 0.0

    def mm(a, b, out):  # type: ignore[no-untyped-def]
        queued[0] += 2 * len(a) ** 3 / 50e12  # 50 TFLOP/s

    def add(b, c, alpha, out):  # type: ignore[no-untyped-def]
        queued[0] += 12 * len(b) / 2e12  # 2 TB/s

    monkeypatch.setattr(_peak, "_accelerator", lambda device: _peak._Accelerator("cpu", "Fake", wait, 2**29, 1.0))
    monkeypatch.setattr(_peak.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch, "mm", mm)
    monkeypatch.setattr(torch, "add", add)
    peak = device.measure_peak(seconds=1e-3, threads=1, device="cuda")
    assert peak.gflops == pytest.approx(50e3) and peak.bandwidth_gb_s == pytest.approx(2e3)


def test_measuring_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "mps"):
        with pytest.raises(LabkitError, match=f"'{name}' cannot be used here"):
            device.measure_peak(device=name)
        assert device.load_peak(name) is None
    with pytest.raises(LabkitError, match="TPU is not measured"):
        device.measure_peak(device="xla")
    with pytest.raises(LabkitError, match="no device 'gpu'"):
        device.measure_peak(device="gpu")
    with pytest.raises(LabkitError, match=r"'float64'.*float32, bfloat16, float16"):
        device.measure_peak(device="cuda", dtype="float64")


def test_a_real_gpu() -> None:
    """Runs only where there is one."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this machine shows no NVIDIA GPU")
    single, half = (device.measure_peak(seconds=0.3, device="cuda", dtype=dtype) for dtype in ("float32", "float16"))
    assert single.accelerator == torch.cuda.get_device_name()
    assert half.gflops > single.gflops > 500 and single.bandwidth_gb_s > 50


def test_peaks_of_two_devices_are_kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FakeGpu(monkeypatch)
    on_gpu = replace(PEAK, gflops=5e4, device="cuda", accelerator="Fake GPU")
    device.save_peak(PEAK)
    device.save_peak(on_gpu)
    assert device.load_peak() == PEAK and device.load_peak("cuda") == on_gpu
    assert device.load_peak("mps") is None
    FakeGpu(monkeypatch, name="Another GPU")
    assert device.load_peak("cuda") is None, "the measurement is of a card that is not here"
    (tmp_path / "cache" / "peak.json").write_bytes((tmp_path / "cache" / "peak-cuda.json").read_bytes())
    assert device.load_peak() is None, "a GPU's numbers are never taken for the CPU's"


def test_a_peak_kept_before_there_were_devices_is_the_cpus(tmp_path: Path) -> None:
    old = asdict(PEAK)
    del old["device"], old["accelerator"]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "peak.json").write_text(json.dumps(old), encoding="utf-8")
    assert device.load_peak() == PEAK


def test_fractions_are_of_the_device_the_run_was_on() -> None:
    on_gpu = replace(PEAK, device="cuda", accelerator="Fake GPU")
    assert device.fraction_of_peak(1e11, 4.0, on_gpu, device="cuda") == pytest.approx(0.25)
    with pytest.raises(LabkitError, match=r"run on 'cpu'.*peak of 'cuda'"):
        device.fraction_of_peak(1e11, 4.0, on_gpu, device="cpu")


# ---------------------------------------------------------------- remembering


def test_peak_is_remembered(tmp_path: Path) -> None:
    assert device.load_peak() is None
    device.save_peak(PEAK)
    assert device.load_peak() == PEAK
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["peak.json"]


def test_peak_of_another_machine_is_not_taken() -> None:
    device.save_peak(replace(PEAK, cpu="another processor"))
    assert device.load_peak() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"gflops": 3}', "\ufffd"])
def test_damaged_memory_of_the_peak(tmp_path: Path, text: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "peak.json").write_text(text, encoding="utf-8")
    assert device.load_peak() is None


def test_peak_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(LabkitError, match=r"cannot be kept in .*cache.*LABKIT_CACHE"):
        device.save_peak(PEAK)


# ---------------------------------------------------------------- the doctor


def fits(report: str) -> bool:
    lines = report.splitlines()
    return len(lines) <= 24 and max(map(len, lines)) <= 80


def test_doctor_on_this_machine() -> None:
    report = device.doctor_report()
    machine = device.describe()
    assert fits(report)
    unwrapped = " ".join(report.split())
    for word in (machine.python, f"{machine.memory_gib:.1f} GiB", "mnist (train, held-out)", "digits", "GB free"):
        assert word in unwrapped
    assert "labkit doctor --measure" in report


def test_doctor_shows_the_measurement() -> None:
    device.save_peak(PEAK)
    report = device.doctor_report()
    assert fits(report)
    assert "100 GFLOP/s (float32, 2 threads, NumPy 9)" in report and "20.0 GB/s" in report and PEAK.measured in report
    assert "--measure" not in report and "other programs" not in report
    device.save_peak(replace(PEAK, busy_percent=80.0))
    assert "other programs used 80 %" in device.doctor_report()


def test_doctor_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "measure_peak", lambda: PEAK)
    assert "100 GFLOP/s" in device.doctor_report(measure=True)
    assert device.load_peak() == PEAK


def test_doctor_on_a_bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing installed, names as long as they come, and LABKIT_DATA pointing nowhere: still one screen."""
    bare = device.Machine(
        os="An operating system whose makers could not agree on a short name, release 1.2.3",
        cpu="Some(R) Very(TM) Long(R) Processor(TM) Name With Everything @ 3.14159265 GHz (Model 42, Stepping 7)",
        physical_cores=64,
        logical_cores=128,
        usable_cores=2,
        memory_gib=1.0,
        accelerators=("8 x NVIDIA H100 80GB HBM3, 80 GiB", "4 x TPU v5e"),
        versions={},
        python="3.11.0",
    )
    monkeypatch.setattr(device, "describe", lambda: bare)
    monkeypatch.setattr(device, "version", lambda name: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "nowhere"))
    report = device.doctor_report()
    assert fits(report)
    assert "https://download.pytorch.org/whl/cpu" in report, "a command to copy must be whole"
    assert "pip install jax" in report and "2 usable" in report and "8 x NVIDIA H100" in report
    assert "LABKIT_DATA is" in report
    assert "C++ compiler  none" in report
