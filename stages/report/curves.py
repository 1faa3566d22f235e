"""Draws the validation curves of a table's rows as PNG, PDF and SVG, with the same bytes on every run.

Through matplotlib's Figure alone, without pyplot and its global state. A user's matplotlibrc is left out.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import nan
from textwrap import fill
from typing import Any, NamedTuple
from zlib import Z_RLE

import matplotlib as mpl
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType

_STYLE = {
    "font.size": 8,
    "text.parse_math": False,
    "text.hinting": "none",  # a fifth of the drawing's time, and hardly to be seen at this resolution
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
    "svg.hashsalt": "very-deep",  # of the names inside the file; by default they are random
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
}
_DPI = 150
KINDS = (".png", ".pdf", ".svg")
_MARK_COLOUR = "#b3001b"
# How figures are saved, by suffix. Run lengths pack a PNG's flat areas well, in half the time.
OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png", "dpi": _DPI, "metadata": {"Software": None}, "pil_kwargs": {"compress_type": Z_RLE}},
    ".pdf": {"format": "pdf", "metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    ".svg": {"format": "svg", "metadata": {"Date": None, "Creator": None}},
}
_LEGEND_WIDTH = 36  # characters that fit beside the curves
_TITLE_WIDTH = 62  # characters of a title's first line that fit beside a mark
_TITLE_LINE = 0.18  # inches
_MARKERS = "osD^vPX*"
_COLOURS = mpl.color_sequences["petroff8"]  # told apart by colour-blind readers too


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


def saved(figure: Figure, mark: str, kinds: Collection[str] = KINDS) -> dict[str, bytes]:
    """A figure's files by their suffixes, with `mark` in a frame in the upper right corner, if there is one.

    No date and no version of matplotlib is in them.
    """
    if mark:
        frame = {"boxstyle": "square,pad=0.3", "facecolor": "white", "edgecolor": _MARK_COLOUR, "linewidth": 0.8}
        place = 1 - 0.06 / figure.get_figheight()
        figure.text(0.985, place, mark, color=_MARK_COLOUR, ha="right", va="top", fontsize=7.5, bbox=frame)
    return {kind: _saved(figure, **options) for kind, options in OPTIONS.items() if kind in kinds}


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()


def curves_drawing(curves: Sequence[Curve], title: str, mark: str = "") -> dict[str, bytes]:
    """Validation accuracy after each epoch, a line for each row; the legend lists them as they end, best first."""
    with drawing():
        first, *rest = title.splitlines()
        title = "\n".join([fill(first, _TITLE_WIDTH), *rest])
        more = _TITLE_LINE * max(title.count("\n") - 1, 0)  # than the two lines that a title has
        height = _curves_height(curves) + more
        figure = Figure(figsize=(7.0, height))
        axes = figure.add_axes((0.075, 0.44 / height, 0.52, 1 - (0.84 + more) / height))
        for place, curve in enumerate(curves):
            _draw(axes, curve, place)
        axes.set_title(title, y=1.0, linespacing=1.4)  # a given height spares the search for one that is free
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        _legend(figure, axes, curves)
        return saved(figure, mark)


def _curves_height(curves: Sequence[Curve]) -> float:
    """Inches that the legend needs, and at least those that the curves look well in."""
    lines = sum(wrapped(curve.label).count("\n") + 1 for curve in curves)
    return max(3.4, 0.5 + 0.14 * lines + 0.1 * len(curves))


def wrapped(label: str, width: int = _LEGEND_WIDTH, indent: int = 9) -> str:
    """A label in as many lines as it takes, all but the first indented; one long word is broken."""
    return fill(label, width, subsequent_indent=" " * indent)


def _draw(axes: Axes, curve: Curve, place: int) -> None:
    colour = _COLOURS[place % len(_COLOURS)]
    dash = ("-", "--", ":", "-.")[place // len(_COLOURS) % 4]
    marker = _MARKERS[place % len(_MARKERS)]
    draw_curve(axes, curve.mean, curve.seeds, colour, linestyle=dash, marker=marker, markersize=4, label=curve.label)


def draw_curve(
    axes: Axes, mean: Sequence[float], seeds: Sequence[Sequence[float]], color: ColorType, **line: Any
) -> None:
    """The mean after each epoch, with matplotlib's properties of a line; where there are several seeds, each thinly."""
    if len(seeds) > 1:
        points = [(epoch, value) for seed in seeds for epoch, value in enumerate([*seed, nan], 1)]
        axes.plot(*zip(*points, strict=True), color=color, linewidth=0.5, alpha=0.4)  # one line, broken at each nan
    axes.plot(range(1, len(mean) + 1), mean, color=color, linewidth=1.3, **line)


def _legend(figure: Figure, axes: Axes, curves: Sequence[Curve]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    last = {curve.label: curve.mean[-1] if curve.mean else -1.0 for curve in curves}
    best_first = sorted(zip(handles, labels, strict=True), key=lambda pair: -last[pair[1]])
    figure.legend(
        [handle for handle, _ in best_first],
        [f"{last[label]:.1f}  " + wrapped(label) for _, label in best_first],
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
