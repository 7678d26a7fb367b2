"""Seconds, joules and money for a run, from a price card with dates and sources.

``machines`` reads the card, ``estimate`` says what a number of operations will take on one of them, and ``of_run`` what
a run that took so many seconds has cost. Both multiply: no network, no state. Joules are watts times seconds, so they are
an estimate wherever they come from the card; ``measured_joules`` asks the processor's own meter, where it has one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit._toml import TomlFile
from labkit.errors import LabkitError, unknown

PRICES = Path(__file__).with_name("prices.toml")
TYPES = ("float32", "tensorfloat32", "float16", "bfloat16")


@dataclass(frozen=True)
class Machine:
    """One line of the price card: an accelerator with its share of the computer around it, or a computer without one."""

    name: str
    about: str
    usd_per_hour: float  # on demand
    usd_per_hour_spot: float | None  # may be taken away at any moment; None where it is not offered
    watts: float  # of the chip at most, without the computer around it and without cooling
    watts_are: str  # "published" by the maker, or "guessed"
    memory_bytes: float
    bytes_per_second: float  # between that memory and the chip
    peak: dict[str, float]  # operations a second by number type, a multiply-add counted as two
    source: str
    looked_up: str  # the day of the prices, as 2026-11-25
    remembered: tuple[str, ...]  # figures that were not looked up on that day

    @property
    def fastest_type(self) -> str:
        """The number type with the highest peak; of equals, the one with more bits in its fraction."""
        return max(self.peak, key=lambda dtype: (self.peak[dtype], -TYPES.index(dtype)))


@dataclass(frozen=True)
class Estimate:
    """What a run takes on ``count`` machines."""

    seconds: float  # of the clock
    joules: float  # watts times seconds, of the chips alone: an estimate
    usd: float
    machine: str
    count: int
    spot: bool

    @property
    def kwh(self) -> float:
        return self.joules / 3.6e6

    def __str__(self) -> str:
        where = f"{self.count} x {self.machine}{' (spot)' if self.spot else ''}"
        return f"{self.seconds:,.4g} s, {self.joules:,.4g} J (estimated), {self.usd:,.4g} USD on {where}"


def machines(card: str | Path | None = None) -> dict[str, Machine]:
    """Every machine of the price card, by name. ``card`` names another TOML file of the same form."""
    return dict(_read(Path(card) if card is not None else PRICES))


def machine(name: str) -> Machine:
    """The machine called ``name``; a LabkitError with the nearest names where the card has none."""
    known = machines()
    if name not in known:
        raise unknown("machine on the price card", str(name), known)
    return known[name]


def estimate(
    flops: float,
    machine: str | Machine,
    fraction_of_peak: float,
    *,
    dtype: str | None = None,
    count: int = 1,
    spot: bool = False,
) -> Estimate:
    """What ``flops`` operations take on ``count`` machines that each reach ``fraction_of_peak`` of their peak.

    ``dtype`` is a number type of the card; by default the machine's fastest. ``spot`` takes the price of machines that may
    be taken away; the time that this loses is not in it.

    >>> estimate(1e15, "t4", 0.5, dtype="float16").seconds
    30.76923076923077
    """
    one = _machine(machine)
    dtype = one.fastest_type if dtype is None else dtype
    if dtype not in one.peak:
        raise LabkitError(
            f"The price card has no peak of {one.name} for the type '{dtype}'", todo=f"It has {', '.join(one.peak)}"
        )
    if not _is_number(fraction_of_peak) or not 0 < fraction_of_peak <= 1:
        raise LabkitError(
            f"A machine cannot reach the fraction {fraction_of_peak} of its peak",
            "It lies above 0 and at most at 1: 30 percent is 0.3",
        )
    _check("A number of operations", flops)
    _check_count(count)
    return of_run(flops / (one.peak[dtype] * fraction_of_peak * count), one, count=count, spot=spot)


def of_run(seconds: float, machine: str | Machine, *, count: int = 1, spot: bool = False) -> Estimate:
    """What a run cost that kept ``count`` machines for ``seconds`` of the clock."""
    one = _machine(machine)
    _check("A number of seconds", seconds)
    _check_count(count)
    price = one.usd_per_hour_spot if spot else one.usd_per_hour
    if price is None:
        raise LabkitError(f"The price card has no spot price of {one.name}", todo="Leave out spot=True")
    return Estimate(
        seconds=float(seconds),
        joules=one.watts * seconds * count,
        usd=price * seconds / 3600 * count,
        machine=one.name,
        count=count,
        spot=spot,
    )


def measured_joules(work: Callable[[], Any], folder: Path = Path("/sys/class/powercap")) -> float | None:
    """Call ``work()`` and return the joules that this machine's processors used meanwhile, whoever used them.

    They come from the meter that many Intel and AMD processors have (RAPL), which Linux shows in ``folder``. None where
    there is none or it may not be read, as in most containers and virtual machines; ``work`` runs all the same.
    """
    before = _meters(folder)
    work()
    after = _meters(folder)
    if not before or before.keys() != after.keys():
        return None
    used = 0.0
    for name, (start, wraps_at) in before.items():
        grown = after[name][0] - start
        used += grown if grown >= 0 else grown + wraps_at  # the meter starts again from 0 when it is full
    return used / 1e6


def _meters(folder: Path) -> dict[str, tuple[int, int]]:
    """Microjoules and the reading at which it starts again, for each processor package."""
    found = {}
    for zone in sorted(folder.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:  # parts of a package would be counted twice
            continue
        try:
            reading = int((zone / "energy_uj").read_text())
            found[zone.name] = (reading, int((zone / "max_energy_range_uj").read_text()))
        except (OSError, ValueError):
            return {}
    return found


def _machine(given: str | Machine) -> Machine:
    return given if isinstance(given, Machine) else machine(given)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check(what: str, value: Any) -> None:
    if not _is_number(value) or value < 0:
        raise LabkitError(f"{what} cannot be {value!r}", "It is a finite number, 0 or larger")


def _check_count(count: Any) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise LabkitError(f"{count!r} machines cannot be rented", todo="Give a whole number from 1 up")


@functools.lru_cache(maxsize=8)
def _read(path: Path) -> tuple[tuple[str, Machine], ...]:
    """The card as pairs of name and machine; a LabkitError that names file and line where it is wrong."""
    file = TomlFile(path)
    file.only((), {"prices_looked_up", "machine"})
    looked_up = file.get((), "prices_looked_up", str)
    found: dict[str, Machine] = {}
    for number in range(len(file.tables("machine"))):
        table = ("machine", number)
        file.only(table, set(Machine.__dataclass_fields__) - {"looked_up"})
        name = file.get(table, "name", str)
        if name in found:
            raise file.error(table, "name", "a name of its own for each machine", f"'{name}' stands here twice")
        watts_are = file.get(table, "watts_are", str)
        if watts_are not in ("published", "guessed"):
            raise file.error(table, "watts_are", "'watts_are' to be published or guessed", f"It is {watts_are!r}")
        has_spot = "usd_per_hour_spot" in file.tables("machine")[number]
        peak = file.get(table, "peak", dict)
        for dtype, value in peak.items():
            if dtype not in TYPES or not _is_number(value) or value <= 0:
                raise file.error(
                    table,
                    "name",
                    f"the peak of '{name}' to be positive numbers for types among {', '.join(TYPES)}",
                    f"It has {dtype} = {value!r}",
                )
        if not peak:
            raise file.error(table, "name", f"at least one type in the peak of '{name}'")
        found[name] = Machine(
            name=name,
            about=file.get(table, "about", str),
            usd_per_hour=_positive(file, table, "usd_per_hour"),
            usd_per_hour_spot=_positive(file, table, "usd_per_hour_spot") if has_spot else None,
            watts=_positive(file, table, "watts"),
            watts_are=watts_are,
            memory_bytes=_positive(file, table, "memory_bytes"),
            bytes_per_second=_positive(file, table, "bytes_per_second"),
            peak={dtype: float(value) for dtype, value in peak.items()},
            source=file.get(table, "source", str),
            looked_up=looked_up,
            remembered=file.texts(table, "remembered", ()),
        )
    if not found:
        raise LabkitError(f"The price card {path} has no machine", todo="Add a table that begins with [[machine]]")
    return tuple(found.items())


def _positive(file: TomlFile, table: tuple[str | int, ...], key: str) -> float:
    value = file.get(table, key, object)
    if not _is_number(value) or value <= 0:
        raise file.error(table, key, f"'{key}' to be a number above 0", f"It is {value!r}")
    return float(value)
