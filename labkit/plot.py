"""One house style for every figure of the course.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with colour-blindness can tell apart;
every colour comes with its own line style and marker, so a black-and-white print reads as well. A figure is at most 7
inches wide with 12.5-point type: shown 400 pixels wide, its type is still 10 pixels high.

Functions return a finished `Figure` that pyplot has forgotten: end a cell with it and it is shown, once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.errors import LabkitError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
}
LINES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
WIDTH = 7.0  # inches


def use_style() -> None:
    """Make the house style the default of this session, for matplotlib's own functions too."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=list(COLOURS.values())) + cycler(linestyle=LINES),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.titlelocation": "left",
            "axes.titlesize": 13,
            "figure.dpi": 100,
            "figure.figsize": (WIDTH, 4.2),
            "figure.constrained_layout.use": True,
            "font.size": 12.5,
            "grid.alpha": 0.3,
            "image.cmap": "cividis",
            "legend.frameon": False,
            "legend.fontsize": 12,
            "legend.handlelength": 2.6,
            "lines.linewidth": 2.2,
            "lines.markersize": 7,
            "savefig.dpi": 100,
        }
    )
    _show_figures_as_png()


def figure(rows: int = 1, columns: int = 1, *, height: float | None = None, **subplots: Any) -> tuple[Figure, Any]:
    """Return `(figure, axes)` in the house style, like `plt.subplots`, to be shown by ending a cell with the figure.

    `height` is in inches. Pyplot does not keep the figure, so the notebook cannot show it a second time.
    """
    import matplotlib.pyplot as plt

    use_style()
    made, axes = plt.subplots(rows, columns, figsize=(WIDTH, height or (1.0 + 3.2 * rows)), **subplots)
    plt.close(made)
    _show_figures_as_png()  # once more: the inline backend wakes up with the first figure and sets its own way
    return made, axes


def images(X: Any, titles: Sequence[object] | None = None, *, columns: int = 8) -> Figure:
    """Show images X, shape (n, height, width) or (n, height, width, 3), in a grid with an optional title each.

    Brightness runs from the darkest to the lightest pixel of the whole grid, dark ink on white as on paper.
    """
    pictures = np.asarray(X)
    if pictures.ndim == 2:
        pictures = pictures[None]
    if pictures.ndim not in (3, 4) or len(pictures) == 0:
        raise LabkitError(
            f"plot.images cannot draw an array of shape {pictures.shape}",
            "it needs (n, height, width) or (n, height, width, 3)",
            "reshape first, for example X.reshape(-1, 28, 28)",
        )
    if pictures.ndim == 4 and pictures.shape[1] == 1:  # (n, 1, height, width), as PyTorch has it
        pictures = pictures[:, 0]
    if titles is not None and len(titles) != len(pictures):
        raise LabkitError(
            f"plot.images got {len(pictures)} images but {len(titles)} titles", todo="pass one title each"
        )
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    side = WIDTH / columns
    made, axes = figure(rows, columns, height=rows * (side + (0.32 if titles is not None else 0.0)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        ax.imshow(picture, cmap="gray_r", vmin=pictures.min(), vmax=pictures.max(), interpolation="nearest")
        if titles is not None:
            ax.set_title(str(titles[i]), loc="center", fontsize=12.5)
    return made


def history(
    *histories: Any, names: Sequence[str] | None = None, panels: Sequence[str] = ("loss", "accuracy")
) -> Figure:
    """Draw what training recorded: one panel a quantity, one colour a history, against the epoch (1, 2, ...).

    A history is a dataclass or a mapping of lists with a number an epoch. `panels` names the quantities wanted, such as
    "learning_rate" or "seconds"; those that no history has are left out.
    `validation_loss` (or `val_loss`) goes into the panel of `loss` as a dashed line with open markers.
    """
    if not histories:
        raise LabkitError("plot.history needs at least one history", todo="pass what fit(...) returned")
    names = list(names) if names is not None else [""] * len(histories)
    if len(names) != len(histories):
        raise LabkitError(f"plot.history got {len(histories)} histories but {len(names)} names")
    curves = [_curves(one) for one in histories]
    found = {_panel(field)[0] for one in curves for field in one}
    wanted = [panel for panel in panels if panel in found]
    if not wanted:
        what = " or ".join(panels)
        raise LabkitError(
            f"There is no {what} to draw", f"The history holds {', '.join(sorted(found)) or 'no epoch yet'}"
        )
    made, axes = figure(len(wanted), 1, height=0.5 + 2.7 * len(wanted), squeeze=False, sharex=True)
    for i, (one, name) in enumerate(zip(curves, names, strict=True)):
        colour = list(COLOURS.values())[i % len(COLOURS)]
        for field, values in one.items():
            panel, held_out = _panel(field)
            if panel not in wanted:
                continue
            axes[wanted.index(panel), 0].plot(
                range(1, len(values) + 1),
                values,
                color=colour,
                linestyle="--" if held_out else "-",
                marker=MARKERS[i % len(MARKERS)],
                markerfacecolor="white" if held_out else colour,
                label=" ".join(part for part in (name, "validation" if held_out else "training") if part),
            )
    for ax, panel in zip(axes[:, 0], wanted, strict=True):
        ax.set_title(panel.replace("_", " "))
        if len(ax.get_lines()) > 1:
            ax.legend()
    axes[-1, 0].set_xlabel("epoch")
    axes[-1, 0].xaxis.get_major_locator().set_params(integer=True)
    return made


def confusion(matrix: Any, labels: Sequence[object] | None = None) -> Figure:
    """Draw a confusion matrix, counts of shape (k, k): row = true class, column = predicted class.

    Shade is the share of the row, so a rare class is as visible as a frequent one; zeros are left blank.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise LabkitError(f"a confusion matrix is square, and this has shape {counts.shape}")
    k = len(counts)
    ticks = [str(label) for label in (labels if labels is not None else range(k))]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    made, ax = figure(height=WIDTH * 0.9)
    ax.imshow(np.sqrt(share), cmap="Blues", vmin=0.0, vmax=1.0)  # the square root lets a share of 1 % be seen
    for row, column in zip(*np.nonzero(counts), strict=True):
        ink = "white" if share[row, column] > 0.3 else "black"
        size = 12.5 if k <= 12 else 8
        ax.text(column, row, f"{counts[row, column]:g}", ha="center", va="center", color=ink, fontsize=size)
    ax.set_xticks(range(k), ticks)
    ax.set_yticks(range(k), ticks)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.grid(False)
    return made


def reliability(curves: Mapping[str, tuple[Any, Any]], *, bins: int = 10) -> Figure:
    """Draw how often an event came against how likely it was called, and below how often each probability was given.

    `curves` has a name -> (y, probabilities) each, both (n,), y 0 or 1. Probabilities are sorted into `bins` intervals of equal
    width; a point is one interval's mean probability and its share of events, with the 95 % interval of Wilson (1927). On the
    diagonal, 30 % means three in ten.
    """
    made, (ax, below) = figure(2, 1, height=6.2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=1.2, linestyle="-")
    edges = np.linspace(0, 1, bins + 1)
    for i, (name, (y, probabilities)) in enumerate(curves.items()):
        y, probabilities = np.asarray(y, float), np.asarray(probabilities, float)
        if y.shape != probabilities.shape or y.ndim != 1 or len(y) == 0:
            raise LabkitError(f"'{name}' has y of shape {y.shape} and probabilities of shape {probabilities.shape}")
        if not np.isin(y, (0, 1)).all() or not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise LabkitError(f"'{name}' needs y of 0 and 1 and probabilities from 0 to 1")
        place = np.clip(np.digitize(probabilities, edges) - 1, 0, bins - 1)
        count = np.bincount(place, minlength=bins)
        used = count > 0
        mean = np.bincount(place, probabilities, bins)[used] / count[used]
        share = np.bincount(place, y, bins)[used] / count[used]
        low, high = _wilson(share, count[used])
        colour, line = list(COLOURS.values())[i % len(COLOURS)], LINES[i % len(LINES)]
        errors = np.clip([share - low, high - share], 0, None)
        style: dict[str, Any] = {"color": colour, "linestyle": line, "label": name}
        ax.errorbar(mean, share, yerr=errors, marker=MARKERS[i % len(MARKERS)], elinewidth=1, **style)
        below.stairs(count, edges, **style)
    ax.set(ylabel="share of events", xlim=(0, 1), ylim=(0, 1))
    ax.legend()
    below.set(xlabel="probability that was given", ylabel="cases")
    return made


def _wilson(share: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The interval of Wilson (1927) for a share of `count` trials; it stays within 0 and 1."""
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


def to_png(made: Figure, dpi: int = 200) -> bytes:
    """Return a figure as the bytes of a PNG file, with `dpi` pixels an inch: at 200, sharp on any screen."""
    buffer = BytesIO()
    made.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _curves(one: Any) -> dict[str, list[float]]:
    """Return the per-epoch lists of a history by name."""
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        fields: Mapping[str, Any] = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    elif isinstance(one, Mapping):
        fields = one
    else:
        raise LabkitError(
            f"plot.history cannot draw a {type(one).__name__}", todo="pass what fit(...) returned, or a dict of lists"
        )
    return {
        name: [float("nan") if value is None else float(value) for value in values]
        for name, values in fields.items()
        if isinstance(values, list) and values and all(v is None or isinstance(v, int | float) for v in values)
    }


def _panel(field: str) -> tuple[str, bool]:
    """Return the panel a field belongs to and whether it was measured on held-out data."""
    for prefix in ("validation_", "val_"):
        if field.startswith(prefix):
            return field.removeprefix(prefix), True
    return field.removeprefix("train_"), False


def _show_figures_as_png() -> None:
    """Let a kernel show a returned figure, sharp on any screen and whatever its backend (agg alone would not)."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.core.pylabtools import retina_figure
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        from matplotlib.figure import Figure

        shell.display_formatter.formatters["image/png"].for_type(Figure, lambda made: retina_figure(made, base64=True))
