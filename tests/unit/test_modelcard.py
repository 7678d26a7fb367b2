"""Model cards: no part may be empty, and no figure stands in one that was not measured."""

from __future__ import annotations

from typing import Any

import pytest

from labkit import claim
from labkit.errors import LabkitError
from labkit.modelcard import ModelCard


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.claims._measured", {})
    claim("toy.error_of_model", 0.25, at_most=0.5, unit="km")
    claim("toy.off", 7.0, at_most=1)


def parts(**changed: Any) -> dict[str, Any]:
    card = {
        "name": "A toy",
        "purpose": "to show <this>",
        "not_for": "roads",
        "data": "two rows",
        "measured": ["toy.error_of_model", "toy.off"],
        "limits": ["knows nothing", "forgets it"],
        "cost": "one multiplication",
    }
    return card | changed


def test_a_card_shows_what_this_run_measured() -> None:
    card = ModelCard(**parts())
    assert "measured here: error of model: 0.25 km; off: 7, which is outside the claimed band" in repr(card)
    html = card._repr_html_()
    assert "to show &lt;this&gt;" in html and "knows nothing<br>forgets it" in html
    assert html.count("<tr>") == 7


@pytest.mark.parametrize("part", list(parts()))
def test_no_part_may_be_empty(part: str) -> None:
    with pytest.raises(LabkitError, match=f"nothing under '{part}'"):
        ModelCard(**parts(**{part: "" if isinstance(parts()[part], str) else []}))


def test_a_list_is_not_one_text() -> None:
    with pytest.raises(LabkitError, match="'limits' of a model card is a list"):
        ModelCard(**parts(limits="all of them"))


def test_a_figure_that_was_not_measured_is_refused() -> None:
    with pytest.raises(LabkitError, match=r"'toy.error_of_modle'. Did you mean toy.error_of_model"):
        ModelCard(**parts(measured=["toy.error_of_modle"]))
