"""Draws accuracy against training time, a point for each row of a data set's tables."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from stages.report.curves import drawing, saved, wrapped

_MARKERS = "osD^v"
_COLOURS = ("#1845fb", "#ff5e02", "#00965f", "#a51ea8")
_WIDTH = 46  # characters of a line of the legend
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_ROUND = [value * unit for unit in _UNITS.values() for value in (1, 2, 5, 10, 20, 30)]  # seconds


class Point(NamedTuple):
    """A row: its label, family and device, mean training time in seconds, and mean test accuracy in percent."""

    label: str
    family: str
    device: str
    seconds: float
    accuracy: float


def cost_drawing(points: Sequence[Point], title: str, mark: str) -> dict[str, bytes]:
    """The picture's files by their suffixes. Points are numbered by accuracy, the legend names them.

    Colour is the family of networks, the marker the device: times of different devices do not compare.
    """
    ranked = sorted(points, key=lambda point: (-point.accuracy, point.label))
    families = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(_distinct(points, "family"))}
    devices = {name: _MARKERS[place % len(_MARKERS)] for place, name in enumerate(_distinct(points, "device"))}
    lines = [wrapped(f"{place}:  {point.label}", _WIDTH, indent=6) for place, point in enumerate(ranked, 1)]
    with drawing():
        height = max(3.6, 0.7 + 0.135 * (sum(line.count("\n") + 1 for line in lines) + len(families) + len(devices)))
        figure = Figure(figsize=(7.0, height))
        axes = figure.add_axes((0.075, 0.46 / height, 0.48, 1 - 0.9 / height))
        for place, point in enumerate(ranked, 1):
            colour = families[point.family]
            axes.plot(point.seconds, point.accuracy, devices[point.device], color=colour, markersize=4)
            axes.annotate(str(place), (point.seconds, point.accuracy), (3, 3), textcoords="offset points", fontsize=6)
        axes.set_xscale("log")
        ticks = times_around([point.seconds for point in points])
        axes.set_xlim(ticks[0], ticks[-1])
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FixedFormatter([duration(seconds) for seconds in ticks]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(y=0.08)
        axes.set_xlabel("training time")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(title, y=1.0, linespacing=1.4)
        axes.grid(axis="both")
        top = 1 - 0.42 / height
        for text, colour in _legend(families, devices, lines):
            figure.text(0.6, top, text, fontsize=7, color=colour, va="top", linespacing=1.25)
            top -= 0.135 * (text.count("\n") + 1) / height
        return saved(figure, mark)


def times_around(seconds: Sequence[float]) -> list[float]:
    """Round times for an axis, from one below all of `seconds` to one above."""
    low, high = min(seconds), max(seconds)
    ticks = [*(_ROUND[0] / 10**power for power in (3, 2, 1)), *_ROUND, *(_ROUND[-1] * 10**power for power in (1, 2))]
    start = max((place for place, tick in enumerate(ticks) if tick < low), default=0)
    end = next((place for place, tick in enumerate(ticks) if tick > high), len(ticks) - 1)
    return ticks[start : end + 1]


def duration(seconds: float) -> str:
    """A time on the axis: `30 s`, `5 min`, `2 h`."""
    name, unit = next(((name, unit) for name, unit in reversed(_UNITS.items()) if seconds >= unit), ("s", 1.0))
    return f"{seconds / unit:g} {name}"


def _distinct(points: Sequence[Point], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(point, name) for point in points))


def _legend(families: dict[str, str], devices: dict[str, str], lines: Sequence[str]) -> list[tuple[str, str]]:
    signs = dict(zip(_MARKERS, ("circle", "square", "diamond", "triangle", "lower triangle"), strict=True))
    coloured = [(f"in this colour: {name}", colour) for name, colour in families.items()]
    marked = [(wrapped(f"{signs[marker]}: {name}", _WIDTH, indent=4), "black") for name, marker in devices.items()]
    return [*coloured, *marked, *((line, "black") for line in lines)]
