"""Explorers: sliders where somebody can move them, a still figure everywhere else."""

from __future__ import annotations

import os

import matplotlib as mpl
import pytest

mpl.use("agg")

from matplotlib.figure import Figure

from labkit import plot, widgets
from labkit.errors import LabkitError

calls: list[dict[str, object]] = []


def draw(**values: object) -> Figure:
    calls.append(values)
    if values.get("weight") == 2.0:
        raise ValueError("weight <2> is too much")
    made, ax = plot.figure()
    ax.set_title(str(values))
    return made


@pytest.fixture(autouse=True)
def _fresh_calls():
    calls.clear()


@pytest.fixture
def front_end(monkeypatch):
    """Pretend that somebody could move a slider."""
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(widgets, "is_static", lambda: False)


CONTROLS = {"weight": (-1.0, 2.0, 0.05, 0.5), "steps": (0, 100, 10, 20), "kind": ["raw", "scaled"], "grid": True}


def test_without_a_kernel_it_is_the_figure_at_the_start():
    made = widgets.explore(draw, **CONTROLS)
    assert isinstance(made, Figure)
    assert calls == [{"weight": 0.5, "steps": 20, "kind": "raw", "grid": True}]


@pytest.mark.parametrize(("value", "static"), [("1", True), ("0", False), ("", False)])
def test_labkit_static_decides_in_a_kernel(monkeypatch, value, static):
    pytest.importorskip("ipywidgets")
    monkeypatch.setenv("LABKIT_STATIC", value)
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    assert widgets.is_static() is static


def test_without_ipywidgets_it_is_static(monkeypatch):
    monkeypatch.delenv("LABKIT_STATIC", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert widgets.is_static()


@pytest.mark.parametrize(
    "control", [(0, 1), (1.0, 0.0, 0.1, 0.5), (0.0, 1.0, 0.0, 0.5), (0.0, 1.0, 0.1, 2.0), [], "raw", 3]
)
def test_a_control_that_cannot_be_shown_is_named(control):
    with pytest.raises(LabkitError, match="weight="):
        widgets.explore(draw, weight=control)
    assert calls == []


def test_sliders_start_where_they_should(front_end):
    weight, steps, kind, grid, *_ = widgets.explore(draw, **CONTROLS).children
    assert (weight.min, weight.max, weight.step, weight.value, weight.readout_format) == (-1.0, 2.0, 0.05, 0.5, ".2f")
    assert (steps.min, steps.max, steps.step, steps.value) == (0, 100, 10, 20)
    assert isinstance(steps.value, int)
    assert (kind.options, kind.value) == (("raw", "scaled"), "raw")
    assert grid.value is True


def test_moving_a_slider_draws_a_new_picture(front_end):
    weight, _, kind, _, picture, trouble = widgets.explore(draw, **CONTROLS).children
    before = bytes(picture.value)
    assert before.startswith(b"\x89PNG")
    weight.value = 1.25
    after_weight = bytes(picture.value)
    kind.value = "scaled"
    assert len({before, after_weight, bytes(picture.value)}) == 3
    assert calls[-1] == {"weight": 1.25, "steps": 20, "kind": "scaled", "grid": True}
    assert trouble.value == ""


def test_an_error_while_drawing_is_shown_and_goes_away(front_end):
    weight, *_, picture, trouble = widgets.explore(draw, **CONTROLS).children
    good = bytes(picture.value)
    weight.value = 2.0
    assert trouble.value == "<b>ValueError</b>: weight &lt;2&gt; is too much"
    assert bytes(picture.value) == good
    weight.value = 1.0
    assert trouble.value == ""


@pytest.mark.parametrize(
    ("ticks", "follows"),
    [([0.0, 0.1], True), ([0.0, 9.0, 9.0, 9.1], True), ([0.0, 9.0, 9.0, 18.0], False)],
    ids=["fast", "slow the first time, as fonts are", "slow"],
)
def test_a_slow_picture_waits_until_the_slider_is_let_go(front_end, monkeypatch, ticks, follows):
    clock = iter(ticks)
    monkeypatch.setattr(widgets.time, "perf_counter", lambda: next(clock))
    explorer = widgets.explore(lambda x: plot.figure()[0], x=(0, 5, 1, 0))
    assert explorer.children[0].continuous_update is follows


def test_a_page_without_widgets_gets_the_picture_too():
    """What nbviewer or GitHub show of a saved notebook: the first picture, beside the widget they cannot run."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipywidgets")
    code = (
        "from labkit import plot, widgets\n"
        "def draw(n):\n    made, ax = plot.figure()\n    ax.plot([0, n])\n    return made\n"
        "widgets.explore(draw, n=(1, 9, 1, 3))"
    )
    outputs = {}
    for static in ("0", "1"):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        nbclient.NotebookClient(notebook, kernel_name="python3").execute(env={**os.environ, "LABKIT_STATIC": static})
        (output,) = notebook.cells[0].outputs
        outputs[static] = set(output["data"])
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= outputs["0"]
    assert "image/png" in outputs["1"]
    assert "application/vnd.jupyter.widget-view+json" not in outputs["1"]
