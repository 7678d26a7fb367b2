"""Predict, then measure: a learner commits to a number before the machine speaks."""

from __future__ import annotations

import math
import re

from labkit.claims import shown

_committed: dict[str, float] = {}


def predict(name: str, question: str, unit: str = "", value: float | None = None) -> None:
    """Ask for a number and keep it under ``name``, for :func:`compare` and ``claim(..., predicted=name)``.

    Shows a box to type in. ``value`` commits a number without a box, which also works where there is no front end.
    Leaving the box empty is allowed: nothing waits for it.
    """
    if value is not None:
        _committed[name] = float(value)
        print(f"{question}: you say {shown(float(value), unit)}")
        return
    from labkit.widgets import is_static

    if is_static():
        print(f"{question}: decide on a number before you read on")
        return
    import ipywidgets
    from IPython.display import display

    # A text box rather than a number box: it may stay empty, and it takes 1e9 as well as 1 000 000 000.
    box = ipywidgets.Text(placeholder="your guess, then Enter", continuous_update=False, layout={"width": "14em"})
    answer = ipywidgets.HTML()

    def commit(_: object) -> None:
        number = _number(box.value, unit)
        if number is None:
            answer.value = "a number, please: 42, 0.5, 1e9 and 30 % all work" if box.value.strip() else ""
        else:
            _committed[name] = number
            answer.value = f"noted: {shown(number, unit)}"

    box.observe(commit, names="value")
    label = ipywidgets.HTML(f"<b>{question}</b>{f' ({unit})' if unit else ''}")
    display(ipywidgets.VBox([label, ipywidgets.HBox([box, answer])]))


def committed(name: str) -> float | None:
    """The number committed under ``name``, or None."""
    return _committed.get(name)


def compare(name: str, value: float, unit: str = "") -> None:
    """Say how far the committed number was from ``value``. Silent where nothing was committed."""
    guess = committed(name)
    if guess is None:
        return
    line = f"  you predicted {shown(guess, unit)}"
    if guess > 0 and value > 0 and math.isfinite(value):
        ratio = max(guess / value, value / guess)
        line += (
            ": on the mark"
            if ratio < 1.05
            else f": {shown(float(f'{ratio:.2g}'))} times too {'high' if guess > value else 'low'}"
        )
    elif math.isfinite(value):
        line += f": off by {shown(guess - value, unit)}"
    print(line)


def _number(text: str, unit: str = "") -> float | None:
    """What a person means by a number: ``1,000`` and ``1 000`` are a thousand, ``0,5`` is a half.

    ``30 %`` is 0.3, and 30 where the question itself asks for percent.
    """
    text = text.strip().replace(" ", "")
    percent = text.endswith("%")
    text = text.rstrip("%")
    text = text.replace(",", "") if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", text) else text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return number / 100 if percent and unit != "%" else number
