"""Draws a confusion matrix for papers, as PDF and SVG: as `stages.evaluate.confusion` does for the screen.

That one is drawn after each evaluation, without matplotlib, whose import would take longer than the drawing.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from stages.report.curves import drawing, saved

_SHADES = LinearSegmentedColormap.from_list("shares", ["white", "#e75263", "#1d1147"])
_DARK = 0.5  # from this share on, white digits are easier to read than black ones


def matrix_drawing(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str, mark: str
) -> dict[str, bytes]:
    """The picture's files by their suffixes: counts, shaded by the share of the true class. `title` has two lines."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with drawing():
        figure = Figure(figsize=(6.0, 5.4))
        axes = figure.add_axes((0.14, 0.1, 0.84, 0.76))
        axes.pcolormesh(shares, cmap=_SHADES, vmin=0, vmax=1)
        axes.invert_yaxis()
        for (true, predicted), count in np.ndenumerate(counts):
            colour = "white" if shares[true, predicted] > _DARK else "black" if count else "0.7"
            axes.text(predicted + 0.5, true + 0.5, str(count), ha="center", va="center", color=colour, fontsize=7)
        places = np.arange(len(classes)) + 0.5
        axes.set_xticks(places, classes, fontsize=7)
        axes.set_yticks(places, classes, fontsize=7)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.set_title(title, y=1.0, linespacing=1.4)
        return saved(figure, mark, (".pdf", ".svg"))
