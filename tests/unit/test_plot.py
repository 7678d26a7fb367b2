"""Figures: what they show, that they can be read, and that a notebook shows each of them once."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from labkit import plot
from labkit.errors import LabkitError
from labkit.train import History


@pytest.fixture(autouse=True)
def _default_style():
    with mpl.rc_context():
        yield
    plt.close("all")


def lightness(colour: str) -> float:
    """CIE L* of a colour, 0 to 100: what is left of it in a black-and-white print."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_no_two_lines_look_alike_without_colour():
    plot.use_style()
    _, ax = plot.figure()
    lines = [ax.plot([0, 1], [0, i])[0] for i in range(len(plot.COLOURS))]
    # matplotlib keeps a line's dashes in a private field; two lines with the same ones look alike in grey
    dashes = [str(line._unscaled_dash_pattern) for line in lines]
    assert len(set(dashes)) == len(lines)
    assert len({str(line.get_color()) for line in lines}) == len(lines)
    assert len(plot.MARKERS) == len(set(plot.MARKERS)) == len(plot.COLOURS)


def test_every_colour_can_be_seen_on_white():
    assert max(lightness(colour) for colour in plot.COLOURS.values()) < 75


def test_type_is_readable_when_a_figure_is_shown_400_pixels_wide():
    made = plot.history({"loss": [3.0, 2.0], "validation_loss": [3.0, 2.5]})
    made.canvas.draw()
    shrink = 400 / (made.get_figwidth() * made.dpi)
    texts = [
        text for ax in made.axes for text in (*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.title)
    ]
    heights = [text.get_fontsize() * made.dpi / 72 * shrink for text in texts if text.get_text()]
    assert len(heights) > 5
    assert min(heights) >= 9.5


def test_pyplot_forgets_every_figure():
    plot.figure(2, 2)
    plot.images(np.zeros((3, 4, 4)))
    plot.confusion(np.eye(3))
    plot.history({"loss": [1.0]})
    assert plt.get_fignums() == []


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 1, 4, 6), (5, 4, 6, 3), (4, 6)])
def test_images_shows_each_image_once(shape):
    X = np.random.default_rng(0).random(shape)
    made = plot.images(X, columns=3)
    shown = [ax.get_images()[0].get_array().shape[:2] for ax in made.axes if ax.get_images()]
    assert shown == [(4, 6)] * (1 if len(shape) == 2 else 5)


def test_images_keep_their_own_brightness_on_one_scale():
    X = np.stack([np.full((2, 2), 10), np.full((2, 2), 200)])
    limits = {ax.get_images()[0].get_clim() for ax in plot.images(X).axes}
    assert limits == {(10, 200)}


def test_images_puts_titles_in_order():
    made = plot.images(np.zeros((3, 2, 2)), titles=[7, 2, "nine"])
    assert [ax.get_title() for ax in made.axes] == ["7", "2", "nine"]


@pytest.mark.parametrize(
    ("X", "titles", "said"),
    [
        (np.zeros(9), None, r"shape \(9,\)"),
        (np.zeros((0, 2, 2)), None, "shape"),
        (np.zeros((2, 2, 2)), ["one"], "2 images but 1 titles"),
    ],
)
def test_images_explains_what_it_cannot_draw(X, titles, said):
    with pytest.raises(LabkitError, match=said):
        plot.images(X, titles)


def test_history_draws_the_numbers_it_was_given():
    made = plot.history(History([3.0, 2.0, 1.5], [3.1, None, 2.0], [0.5, 0.6, 0.7], seconds=[9.0, 9.0, 9.0]))
    assert [ax.get_title(loc="left") for ax in made.axes] == ["loss", "accuracy"]
    training, validation = made.axes[0].get_lines()
    np.testing.assert_array_equal(training.get_xydata(), [[1, 3.0], [2, 2.0], [3, 1.5]])
    np.testing.assert_array_equal(validation.get_ydata(), [3.1, np.nan, 2.0])
    assert training.get_linestyle() != validation.get_linestyle()
    assert [text.get_text() for text in made.axes[0].get_legend().get_texts()] == ["training", "validation"]


def test_history_draws_the_panels_asked_for():
    made = plot.history(History(loss=[3.0, 2.0], learning_rate=[0.1, 0.2]), panels=["learning_rate"])
    (ax,) = made.axes
    assert ax.get_title(loc="left") == "learning rate"
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), [0.1, 0.2])


def test_history_tells_two_runs_apart():
    made = plot.history({"loss": [1.0, 0.5]}, {"loss": [1.0, 0.8]}, names=["fast", "slow"])
    first, second = made.axes[0].get_lines()
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    assert [text.get_text() for text in made.axes[0].get_legend().get_texts()] == ["fast training", "slow training"]


@pytest.mark.parametrize("arguments", [(), (History(),), ([1.0, 2.0],)])
def test_history_explains_what_it_cannot_draw(arguments):
    with pytest.raises(LabkitError):
        plot.history(*arguments)


def test_confusion_has_true_classes_as_rows():
    made = plot.confusion([[8, 2, 0], [0, 5, 0], [1, 0, 90]], labels=["cat", "dog", "owl"])
    (ax,) = made.axes
    written = {text.get_position(): text.get_text() for text in ax.texts}  # (column, row) -> count
    assert written == {(0, 0): "8", (1, 0): "2", (1, 1): "5", (0, 2): "1", (2, 2): "90"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "owl"]
    shade = ax.get_images()[0].get_array()
    assert shade[1, 1] == shade.max()  # 5 of 5, although 90 is the larger count
    assert shade[0, 1] == pytest.approx(np.sqrt(0.2))


def test_confusion_survives_a_class_that_never_occurs():
    shade = plot.confusion([[0, 0], [1, 3]]).axes[0].get_images()[0].get_array()
    assert np.isfinite(shade).all()


def test_reliability_puts_a_calibrated_forecast_on_the_diagonal():
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(size=20_000)
    y = rng.uniform(size=20_000) < probabilities
    made = plot.reliability({"right": (y, probabilities), "too sure": (y, np.round(probabilities))})
    right, sure = [bars.lines[0].get_xydata() for bars in made.axes[0].containers]
    assert len(right) == 10 and abs(right[:, 0] - right[:, 1]).max() < 0.04
    np.testing.assert_allclose(sure, [[0, 0.25], [1, 0.75]], atol=0.02)
    assert made.axes[1].patches[0].get_data().values.sum() == 20_000


def test_reliability_shows_how_little_a_few_cases_say():
    made = plot.reliability({"two cases": ([0, 0], [0.1, 0.1])}, bins=5)
    (segment,) = made.axes[0].containers[0].lines[2][0].get_segments()
    assert segment[0][1] == pytest.approx(0, abs=1e-9) and segment[1][1] > 0.6


@pytest.mark.parametrize("y, probabilities", [([0, 2], [0.1, 0.2]), ([0, 1], [0.1, 1.2]), ([0, 1], [0.1]), ([], [])])
def test_reliability_refuses_what_are_no_probabilities(y, probabilities):
    with pytest.raises(LabkitError, match="'odd'"):
        plot.reliability({"odd": (y, probabilities)})


def test_confusion_must_be_square():
    with pytest.raises(LabkitError, match=r"\(2, 3\)"):
        plot.confusion(np.zeros((2, 3)))


def test_to_png_is_a_png():
    made, _ = plot.figure()
    assert plot.to_png(made).startswith(b"\x89PNG\r\n\x1a\n")


def test_import_loads_no_matplotlib():
    code = "import sys, labkit.plot, labkit.widgets; print('matplotlib' in sys.modules, 'ipywidgets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("backend", ["agg", "module://matplotlib_inline.backend_inline"])
def test_a_notebook_shows_a_figure_once(backend):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    v4 = nbformat.v4
    cells = [
        "from labkit import plot\nmade, ax = plot.figure()\nax.plot([1, 2])\nmade",
        "plot.confusion([[1, 0], [0, 1]])",
        "plot.reliability({'model': ([0, 1], [0.2, 0.9])})",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute(env={**os.environ, "MPLBACKEND": backend})
    for cell in notebook.cells:
        (shown,) = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        pixels = int.from_bytes(base64.b64decode(shown.data["image/png"])[16:20])  # the width, in a PNG's header
        assert shown.metadata["image/png"]["width"] <= 720
        assert pixels >= 2 * shown.metadata["image/png"]["width"] - 1  # two pixels a point: sharp on any screen
