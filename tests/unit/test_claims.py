"""Claims: bands that can fail, strict mode, and the record that ``labkit run`` reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import claim, claims
from labkit.claims import ClaimError
from labkit.errors import LabkitError


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_STRICT", "1")


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (0.98, {"at_least": 0.975}),
        (0.975, {"at_least": 0.975}),
        (3, {"at_most": 3}),
        (2, {"at_least": 1, "at_most": 3}),
        (1.0001, {"near": 1.0, "within": 0.001}),
        (61706, {"equals": 61706}),
        (np.int64(61706), {"equals": 61706}),
        ([1, 2], {"equals": (1, 2)}),
        ("relu", {"equals": "relu"}),
    ],
)
def test_a_value_inside_its_band_passes(strict: None, value: Any, band: dict[str, Any]) -> None:
    claim("test.value", value, **band)


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (0.9749, {"at_least": 0.975}),
        (3.01, {"at_most": 3}),
        (0, {"at_least": 1, "at_most": 3}),
        (1.01, {"near": 1.0, "within": 0.001}),
        (61707, {"equals": 61706}),
        (math.nan, {"at_least": 0}),
        (math.nan, {"at_most": 0}),
        (math.nan, {"near": 0, "within": 1e9}),
        (math.inf, {"at_most": 1e300}),
    ],
)
def test_a_value_outside_its_band_raises_in_strict_mode_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: Any, band: dict[str, Any]
) -> None:
    claim("test.value", value, **band)
    assert capsys.readouterr().out.startswith("✗ test.value")
    monkeypatch.setenv("LABKIT_STRICT", "1")
    with pytest.raises(ClaimError, match=r"test\.value"):
        claim("test.value", value, **band)


@pytest.mark.parametrize("band", [{}, {"near": 1.0}, {"within": 1.0}, {"equals": 1, "at_least": 0}])
def test_a_claim_that_cannot_fail_is_refused(band: dict[str, Any]) -> None:
    with pytest.raises(LabkitError, match="no band"):
        claim("test.value", 1.0, **band)


def test_claims_are_recorded_as_json_also_when_they_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "claims.jsonl"
    monkeypatch.setenv("LABKIT_CLAIMS", str(record))
    claim("test.good", np.float32(0.5), at_least=0.25)
    claim("test.bad", 0.125, at_least=0.25)
    claim("test.root", np.float64(1.5), near=np.sqrt(2.25), within=np.float64(1e-9))
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(line["name"], line["value"], line["band"], line["ok"]) for line in lines] == [
        ("test.good", 0.5, "at least 0.25", True),
        ("test.bad", 0.125, "at least 0.25", False),
        ("test.root", 1.5, "1.5 ± 1e-09", True),
    ]


@pytest.mark.filterwarnings("error")
def test_a_tensor_that_carries_a_gradient_is_a_number_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    claim("test.tensor", torch.tensor(0.5, requires_grad=True) * 2, near=1.0, within=1e-6)
    assert capsys.readouterr().out.startswith("✓ test.tensor = 1 ")


def test_the_table_shows_each_claim_once_as_last_measured() -> None:
    claim("test.table", 1, equals=2)
    claim("test.table", 2, equals=2)
    found = [item for item in claims.table() if item.name == "test.table"]
    assert [item.ok for item in found] == [True]
    assert "test.table" in claims.table()._repr_html_()


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_at_least_and_at_most_agree_with_arithmetic(value: float, bound: float) -> None:
    assert claims._judge("c", value, bound, None, None, None, None)[1] == (value >= bound)
    assert claims._judge("c", value, None, bound, None, None, None)[1] == (value <= bound)
