"""Seconds, joules and money: the sums, the price card, and what is refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import cost
from labkit.errors import LabkitError

CARD = """\
prices_looked_up = "2026-11-25"

[[machine]]
name = "toy"
about = "a toy"
usd_per_hour = 2
watts = 100
watts_are = "published"
memory_bytes = 1e9
bytes_per_second = 1e9
source = "a shop window"

[machine.peak]
float32 = 1e12
"""


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., Path]:
    """A price card with one edit."""

    def write(old: str = "", new: str = "") -> Path:
        path = tmp_path / f"card{len(list(tmp_path.iterdir()))}.toml"
        assert old in CARD
        path.write_text(CARD.replace(old, new, 1) if old else CARD + new, encoding="utf-8")
        return path

    return write


def test_a_sum_that_a_pencil_can_do(card: Callable[..., Path]) -> None:
    toy = cost.machines(card())["toy"]
    taken = cost.estimate(1.8e15, toy, 0.5)  # 10^12 a second at half speed: 3600 s
    assert (taken.seconds, taken.joules, taken.usd) == pytest.approx((3600, 360_000, 2))
    assert taken.kwh == pytest.approx(0.1)
    assert str(taken) == "3,600 s, 3.6e+05 J (estimated), 2 USD on 1 x toy"


@given(st.floats(0, 1e24), st.sampled_from(sorted(cost.machines())), st.floats(0.01, 1), st.integers(1, 4096))
def test_more_machines_take_less_time_and_the_same_money(flops: float, name: str, fraction: float, count: int) -> None:
    one, many = cost.estimate(flops, name, fraction), cost.estimate(flops, name, fraction, count=count)
    assert many.seconds * count == pytest.approx(one.seconds)
    assert (many.joules, many.usd) == pytest.approx((one.joules, one.usd))
    assert cost.of_run(many.seconds, name, count=count).usd == pytest.approx(many.usd)


def test_the_number_type_decides_and_the_fastest_is_meant_when_none_is_named() -> None:
    half, single = (cost.estimate(1e15, "t4", 0.5, dtype=dtype) for dtype in ("float16", "float32"))
    assert half == cost.estimate(1e15, "t4", 0.5)
    assert single.seconds > 7 * half.seconds


def test_the_card_has_the_machines_of_the_course_with_dates_and_sources() -> None:
    known = cost.machines()
    assert set(known) == {"cpu", "t4", "a100", "h100", "v5e"}
    for one in known.values():
        assert datetime.date.fromisoformat(one.looked_up) >= datetime.date(2026, 11, 25)
        assert len(one.source) > 30
        assert one.usd_per_hour_spot is None or one.usd_per_hour_spot < one.usd_per_hour
        assert set(one.remembered) <= set(cost.Machine.__dataclass_fields__)
        assert one.watts_are == "published" or "watts" in one.remembered


def test_the_caller_cannot_change_the_card() -> None:
    cost.machines().clear()
    assert cost.machines()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cost.estimate(1e12, "a10", 0.5), "Did you mean a100"),
        (lambda: cost.estimate(1e12, "abacus", 0.5), "There is no machine on the price card called 'abacus'"),
        (lambda: cost.estimate(1e12, "v5e", 0.5, dtype="float32"), "It has bfloat16"),
        (lambda: cost.estimate(1e12, "t4", 0), "fraction 0 of its peak"),
        (lambda: cost.estimate(1e12, "t4", 30), "30 percent is 0.3"),
        (lambda: cost.estimate(1e12, "t4", float("nan")), "fraction nan"),
        (lambda: cost.estimate(-1.0, "t4", 0.5), "cannot be -1.0"),
        (lambda: cost.estimate(float("inf"), "t4", 0.5), "cannot be inf"),
        (lambda: cost.estimate(1e12, "t4", 0.5, count=0), "0 machines cannot be rented"),
        (lambda: cost.of_run(-3, "t4"), "seconds cannot be -3"),
        (lambda: cost.of_run("an hour", "t4"), "cannot be 'an hour'"),  # type: ignore[arg-type]
        (lambda: cost.of_run(3, "t4", count=1.5), "1.5 machines"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_right_is_refused_in_a_sentence(call: Callable[[], object], says: str) -> None:
    with pytest.raises(LabkitError) as error:
        call()
    assert says in str(error.value)


def test_a_machine_without_a_spot_price_says_so(card: Callable[..., Path]) -> None:
    with pytest.raises(LabkitError, match="no spot price of toy"):
        cost.of_run(1, cost.machines(card())["toy"], spot=True)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("usd_per_hour = 2", "usd_per_hour = -2", "line 6: expected 'usd_per_hour' to be a number above 0"),
        ("usd_per_hour = 2", "usd_per_hour = 'two'", "line 6"),
        ("usd_per_hour = 2", "usd_per_hours = 2", "'usd_per_hours' is not known here"),
        ("watts = 100\n", "", "called 'watts'"),
        ('watts_are = "published"', 'watts_are = "measured"', "published or guessed"),
        ("float32 = 1e12", "float33 = 1e12", "float33 = 1000000000000.0"),
        ("float32 = 1e12", "float32 = 0", "positive numbers"),
        ("float32 = 1e12", "", "at least one type in the peak of 'toy'"),
        ('prices_looked_up = "2026-11-25"', "", "called 'prices_looked_up'"),
        ("", CARD[CARD.index("[[") :], "'toy' stands here twice"),
        (CARD[CARD.index("[[") :], "", "has no machine"),
        ("[[machine]]", "[[machine]", "is not valid TOML"),
    ],
)
def test_a_mistake_in_a_card_is_named_with_its_place(card: Callable[..., Path], old: str, new: str, says: str) -> None:
    path = card(old, new)
    with pytest.raises(LabkitError) as error:
        cost.machines(path)
    assert says in str(error.value)
    assert path.name in str(error.value)


def test_a_card_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabkitError, match="cannot be read"):
        cost.machines(tmp_path / "none.toml")


def meter(folder: Path, name: str, reading: int) -> None:
    zone = folder / name
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(f"{reading}\n")
    (zone / "max_energy_range_uj").write_text("1000000000\n")


def test_the_meter_is_read_over_all_packages_and_across_its_end(tmp_path: Path) -> None:
    meter(tmp_path, "intel-rapl:0", 1_000_000)
    meter(tmp_path, "intel-rapl:1", 999_000_000)
    meter(tmp_path, "intel-rapl:0:0", 5)  # a part of the first: not counted again

    def work() -> None:
        meter(tmp_path, "intel-rapl:0", 3_000_000)
        meter(tmp_path, "intel-rapl:1", 500_000)
        meter(tmp_path, "intel-rapl:0:0", 900_000)

    assert cost.measured_joules(work, tmp_path) == pytest.approx(2 + 1.5)


def test_without_a_meter_the_work_is_done_and_nothing_is_claimed(tmp_path: Path) -> None:
    done: list[int] = []
    assert cost.measured_joules(lambda: done.append(1), tmp_path / "none") is None
    (tmp_path / "intel-rapl:0").mkdir()  # there, and empty
    assert cost.measured_joules(lambda: done.append(2), tmp_path) is None
    assert done == [1, 2]
