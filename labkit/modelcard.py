"""The model card at the end of a case study: what a model is for, what it is not for, and what was measured of it.

After M. Mitchell and others, «Model Cards for Model Reporting», FAT* 2019, https://doi.org/10.1145/3287560.3287596. What a card
says of performance are claims of the same run, by name, so that no number can be written into it that was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from labkit import claims
from labkit.errors import LabkitError, unknown


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A card that a notebook shows as a table. Every part must say something.

    ``measured`` names claims of this session; they are shown with the values measured here. Raises LabkitError for an empty
    part, and for a claim that was not measured.
    """

    name: str
    purpose: str  # who may use it, and for what
    not_for: str
    data: str  # what it learned from, and what it was tested on
    measured: Sequence[str]
    limits: Sequence[str]
    cost: str  # of training, and of one answer

    def __post_init__(self) -> None:
        for part in ("name", "purpose", "not_for", "data", "measured", "limits", "cost"):
            value = getattr(self, part)
            if not value or (not isinstance(value, str) and not all(value)):
                raise LabkitError(f"The model card says nothing under '{part}'", todo="Say it, even if it is «unknown»")
        for part in ("measured", "limits"):
            if isinstance(getattr(self, part), str):
                raise LabkitError(f"'{part}' of a model card is a list", "A single text came")
        known = {one.name: one for one in claims.measured()}
        for name in self.measured:
            if name not in known:
                raise unknown("claim measured in this session", name, known)

    def __repr__(self) -> str:
        rows = [f"{title}: {'; '.join(lines)}" for title, lines in self._rows()]
        return "\n".join([f"Model card: {self.name}", *rows])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{escape(title)}</th>"
            f"<td style='text-align:left'>{'<br>'.join(map(escape, lines))}</td></tr>"
            for title, lines in self._rows()
        )
        return f"<table><tr><th colspan=2 style='text-align:left'>{escape(self.name)}</th></tr>{rows}</table>"

    def _rows(self) -> list[tuple[str, list[str]]]:
        known = {one.name: one for one in claims.measured()}
        figures = []
        for name in self.measured:
            one = known[name]
            told = "" if one.ok else ", which is outside the claimed band"
            figures.append(f"{name.partition('.')[2].replace('_', ' ')}: {claims.shown(one.value, one.unit)}{told}")
        return [
            ("for", [self.purpose]),
            ("not for", [self.not_for]),
            ("data", [self.data]),
            ("measured here", figures),
            ("limits", list(self.limits)),
            ("cost", [self.cost]),
        ]
