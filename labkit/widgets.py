"""Explorers: a picture with sliders in a notebook, the same picture standing still everywhere else."""

from __future__ import annotations

import html
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

from labkit.errors import LabkitError
from labkit.plot import WIDTH, to_png

SLOW = 0.25  # seconds; a picture slower than this is redrawn when the slider is let go, not while it moves


def explore(draw: Callable[..., Any], **controls: Any) -> Any:
    """Show `draw(**values)`, a function that returns a Figure, with one control a value.

    A control is `(minimum, maximum, step, start)` for a slider, a list of choices (the first one is the start), or
    `True`/`False` for a tick box. Returns a widget, or the Figure at the starting values where nobody could move a
    slider: no ipywidgets, no kernel, or LABKIT_STATIC=1. Make it the last line of its cell.
    """
    start = {name: _start(name, control) for name, control in controls.items()}
    if is_static():
        return draw(**start)
    return _widget(draw, controls, start)


def is_static() -> bool:
    """Say whether explorers show a still figure here: LABKIT_STATIC=1, no ipywidgets, or no notebook kernel."""
    if os.environ.get("LABKIT_STATIC", "0") not in ("", "0"):
        return True
    if importlib.util.find_spec("ipywidgets") is None:
        return True
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is None


def _start(name: str, control: Any) -> Any:
    """Return the starting value of a control, or explain what a control looks like."""
    if isinstance(control, bool):
        return control
    if isinstance(control, list) and control:
        return control[0]
    if isinstance(control, tuple) and len(control) == 4:
        low, high, step, start = control
        if low < high and step > 0 and low <= start <= high:
            return start
    raise LabkitError(
        f"the control {name}={control!r} cannot be shown",
        "a slider is (minimum, maximum, step, start) with the start between the two, a choice is a list",
    )


def _widget(draw: Callable[..., Any], controls: dict[str, Any], start: dict[str, Any]) -> Any:
    import ipywidgets

    first, seconds = _timed(draw, start)
    if seconds > SLOW:  # the first figure of a session also pays for fonts and the like
        first, seconds = _timed(draw, start)
    picture = ipywidgets.Image(value=first, format="png", layout={"width": f"{WIDTH * 100:.0f}px", "max_width": "100%"})
    trouble = ipywidgets.HTML()
    knobs = {name: _knob(ipywidgets, name, control, seconds <= SLOW) for name, control in controls.items()}

    def redraw(_change: Any) -> None:
        try:
            picture.value = to_png(draw(**{name: knob.value for name, knob in knobs.items()}))
            trouble.value = ""
        except Exception as error:  # an error in a callback would vanish in the log of the page
            trouble.value = f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"

    for knob in knobs.values():
        knob.observe(redraw, names="value")

    class Explorer(ipywidgets.VBox):
        """Sliders over a picture; a page that cannot run widgets shows the picture it began with."""

        def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
            return {**super()._repr_mimebundle_(**options), "image/png": first}

    return Explorer([*knobs.values(), picture, trouble])


def _timed(draw: Callable[..., Any], values: dict[str, Any]) -> tuple[bytes, float]:
    """Return the picture and the seconds it took."""
    begin = time.perf_counter()
    picture = to_png(draw(**values))
    return picture, time.perf_counter() - begin


def _knob(ipywidgets: Any, name: str, control: Any, follow: bool) -> Any:
    """Return the ipywidgets control for one value."""
    common = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(control, bool):
        return ipywidgets.Checkbox(value=control, **common)
    if isinstance(control, list):
        return ipywidgets.Dropdown(options=control, value=control[0], **common)
    low, high, step, start = control
    whole = all(isinstance(number, int) for number in control)
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    extra = {} if whole else {"readout_format": f".{_digits(step)}f"}
    wide = {"width": "min(100%, 480px)"}
    return slider(value=start, min=low, max=high, step=step, continuous_update=follow, layout=wide, **common, **extra)


def _digits(step: float) -> int:
    """Return how many digits after the point a slider of this step needs (0.05 needs 2)."""
    text = f"{step:.6f}".rstrip("0")
    return len(text.partition(".")[2])
