"""Draws confusion matrices (the paper's Figs. 18-23) and validation curves, with the same bytes on every run.

Through matplotlib's Figure alone, without pyplot and its global state. A user's matplotlibrc is left out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.core.records import write_bytes

_STYLE = {
    "font.size": 8,
    "text.parse_math": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
}
_DPI = 150
_LEGEND_WIDTH = 36  # characters that fit beside the curves
_MARKERS = "osD^vPX*"
_COLOURS = mpl.color_sequences["petroff8"]  # told apart by colour-blind readers too
# magma, whose lightness falls evenly, without its black end; the first steps fade in from white, so that zero is white
_MAGMA = mpl.colormaps["magma_r"](np.linspace(0.0, 0.85, 256))
_SHADES = ListedColormap(1 - (1 - _MAGMA) * np.minimum(np.arange(256)[:, None] / 12, 1))
_DARK = 0.45  # from this share on, white digits are easier to read than black ones


class Curve(NamedTuple):
    """A row of a table: the mean over the seeds after each epoch, and each seed's own curve, in percent."""

    label: str
    mean: list[float]
    seeds: list[list[float]]


@contextmanager
def drawing() -> Iterator[None]:
    """What is drawn inside looks the same whatever the user's settings are."""
    with style.context(["default", _STYLE]):
        yield


def png(figure: Figure) -> bytes:
    """A figure as PNG, without the version of matplotlib in it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def confusion_png(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> bytes:
    """A confusion matrix: counts, shaded by the share of the true class, so that rows compare."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with drawing():
        figure = Figure(figsize=(5.6, 5.0))
        margin = 0.17 if _long(classes) else 0.09
        axes = figure.add_axes((margin, margin, 0.85 - margin, 0.9 - margin))
        image = axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1, aspect="auto")
        _name_classes(axes, classes)
        _annotate(axes, counts, shares)
        axes.set_title(title, linespacing=1.4)
        bar = figure.colorbar(image, cax=figure.add_axes((0.875, margin, 0.022, 0.9 - margin)))
        bar.set_label("share of the true class")
        bar.outline.set_linewidth(0.6)
        return png(figure)


def _long(classes: Sequence[str]) -> bool:
    return max(map(len, classes)) > 2


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    places = range(len(classes))
    turned = _long(classes)
    axes.set_xticks(places, classes, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(places, classes)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.spines[:].set_visible(False)


def _annotate(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    size = 8 if counts.max(initial=0) < 1000 else 7
    for (true, predicted), count in np.ndenumerate(counts):
        share = shares[true, predicted]
        colour = "white" if share > _DARK else "black" if count else "0.7"
        axes.text(predicted, true, str(count), ha="center", va="center", fontsize=size, color=colour)


def save_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str, path: Path) -> None:
    """Draw a confusion matrix into a file, whole or not at all."""
    write_bytes(path, confusion_png(confusion, classes, title))


def curves_png(curves: Sequence[Curve], title: str) -> bytes:
    """Validation accuracy after each epoch, a line for each row; the legend lists them as they end, best first."""
    with drawing():
        height = _curves_height(curves)
        figure = Figure(figsize=(7.0, height))
        axes = figure.add_axes((0.075, 0.44 / height, 0.52, 1 - 0.84 / height))
        for place, curve in enumerate(curves):
            _draw(axes, curve, place)
        axes.set_title(title, linespacing=1.4)
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        _legend(figure, axes, curves)
        return png(figure)


def _curves_height(curves: Sequence[Curve]) -> float:
    """Inches that the legend needs, and at least those that the curves look well in."""
    lines = sum(_wrapped(curve.label).count("\n") + 1 for curve in curves)
    return max(3.4, 0.5 + 0.14 * lines + 0.1 * len(curves))


def _wrapped(label: str) -> str:
    """A label in as many lines as it takes beside its number; one long word is broken."""
    return fill(label, _LEGEND_WIDTH, subsequent_indent=" " * 9)


def _draw(axes: Axes, curve: Curve, place: int) -> None:
    colour = _COLOURS[place % len(_COLOURS)]
    dash = ("-", "--", ":", "-.")[place // len(_COLOURS) % 4]
    if len(curve.seeds) > 1:
        for seed in curve.seeds:
            axes.plot(range(1, len(seed) + 1), seed, color=colour, linewidth=0.5, alpha=0.4)
    axes.plot(
        range(1, len(curve.mean) + 1),
        curve.mean,
        color=colour,
        linestyle=dash,
        linewidth=1.3,
        marker=_MARKERS[place % len(_MARKERS)],
        markersize=4,
        label=curve.label,
    )


def _legend(figure: Figure, axes: Axes, curves: Sequence[Curve]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    last = {curve.label: curve.mean[-1] if curve.mean else -1.0 for curve in curves}
    best_first = sorted(zip(handles, labels, strict=True), key=lambda pair: -last[pair[1]])
    figure.legend(
        [handle for handle, _ in best_first],
        [f"{last[label]:.1f}  " + _wrapped(label) for _, label in best_first],
        loc="center left",
        bbox_to_anchor=(0.605, 0.505),
        frameon=False,
        title="% after the last epoch",
        title_fontsize=7.5,
        alignment="left",
        fontsize=7.5,
        handlelength=2.2,
        labelspacing=0.7,
    )
