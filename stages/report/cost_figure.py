"""Draws accuracy against training time, a point for each row of a data set's tables."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from stages.report.curves import drawing, saved, wrapped

_MARKERS = "osD^v"
_COLOURS = ("#1845fb", "#ff5e02", "#00965f", "#a51ea8", "#7a7a7a", "#d6438f", "#8c564b", "#0b8ca3", "#000000")
_WIDTH = 46  # characters of a line of the legend
_ERRORS = (0.01, 0.1, 0.2, 0.5, 1, 2, 5, *range(10, 101, 10))  # percent of the images; labelled as accuracies
_NEAR = (12, 7)  # how near to each other points are, in points to the right and up, whose numbers would overlap
_APART = 0.14  # of the axis: the least distance of two labelled times
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_ROUND = [value * unit for unit in _UNITS.values() for value in (1, 2, 5, 10, 20, 30)]  # seconds


class Point(NamedTuple):
    """A row: its label, family and device, mean training time in seconds on it, and mean test accuracy in percent."""

    label: str
    family: str
    device: str
    seconds: float
    accuracy: float


def cost_drawing(points: Sequence[Point], title: str, mark: str) -> dict[str, bytes]:
    """The picture's files by their suffixes. Points are numbered by accuracy, the legend names them.

    Points that lie close together have their numbers in one place. The axis of accuracies is logarithmic in the error,
    which spreads those near 100 %. Colour is the family of networks, the marker the device: times of different devices
    do not compare.
    """
    ranked = sorted(points, key=lambda point: (-point.accuracy, point.label))
    families = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(_distinct(points, "family"))}
    devices = {name: _MARKERS[place % len(_MARKERS)] for place, name in enumerate(_distinct(points, "device"))}
    lines = [wrapped(f"{place}:  {point.label}", _WIDTH, indent=6) for place, point in enumerate(ranked, 1)]
    with drawing():
        height = max(3.6, 0.7 + 0.135 * (sum(line.count("\n") + 1 for line in lines) + len(families) + len(devices)))
        figure = Figure(figsize=(7.0, height))
        axes = figure.add_axes((0.085, 0.46 / height, 0.47, 1 - 0.9 / height))
        for point in ranked:
            colour = families[point.family]
            axes.plot(point.seconds, _error(point), devices[point.device], color=colour, markersize=4)
        axes.set_xscale("log")
        ticks = times_around([point.seconds for point in points])
        axes.set_xlim(ticks[0], ticks[-1])
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FixedFormatter(tick_labels(ticks)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yscale("log")
        errors = errors_around([_error(point) for point in ranked])
        axes.set_ylim(1.06 * errors[-1], errors[0] / 1.06)
        axes.yaxis.set_major_locator(FixedLocator(errors))
        axes.yaxis.set_major_formatter(FixedFormatter([f"{100 - one:g}" for one in errors]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("training time")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(title, y=1.0, linespacing=1.4)
        axes.grid(axis="both")
        for group in _close_together(axes, ranked):
            first, numbers = ranked[group[0]], ", ".join(str(place + 1) for place in group)
            axes.annotate(numbers, (first.seconds, _error(first)), (3, 3), textcoords="offset points", fontsize=6)
        top = 1 - 0.42 / height
        for text, colour in _legend(families, devices, lines):
            figure.text(0.6, top, text, fontsize=7, color=colour, va="top", linespacing=1.25)
            top -= 0.135 * (text.count("\n") + 1) / height
        return saved(figure, mark)


def times_around(seconds: Sequence[float]) -> list[float]:
    """Round times for an axis, from one below all of `seconds` to one above."""
    ticks = [*(_ROUND[0] / 10**power for power in (3, 2, 1)), *_ROUND, *(_ROUND[-1] * 10**power for power in (1, 2))]
    return _around(ticks, seconds)


def errors_around(errors: Sequence[float]) -> list[float]:
    """Round shares of the images for an axis, in percent, from one below all of `errors` to one above."""
    return _around(_ERRORS, errors)


def _around(ticks: Sequence[float], values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    start = max((place for place, tick in enumerate(ticks) if tick < low), default=0)
    end = next((place for place, tick in enumerate(ticks) if tick > high), len(ticks) - 1)
    return list(ticks[start : end + 1])


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The times as labels, empty where one would stand too close to the label before it."""
    span, labels, before = math.log(ticks[-1] / ticks[0]), [""] * len(ticks), 0.0
    for place, tick in enumerate(ticks):
        if not before or math.log(tick / before) >= _APART * span:
            labels[place], before = duration(tick), tick
    return labels


def duration(seconds: float) -> str:
    """A time on the axis: `30 s`, `5 min`, `2 h`."""
    name, unit = next(((name, unit) for name, unit in reversed(_UNITS.items()) if seconds >= unit), ("s", 1.0))
    return f"{seconds / unit:g} {name}"


def _error(point: Point) -> float:
    """Percent of the images; none at all stands on the axis' end."""
    return max(_ERRORS[0], 100 - point.accuracy)


def _close_together(axes: Axes, points: Sequence[Point]) -> list[list[int]]:
    """The places of the points in groups; a point joins the first group whose first point is near in the picture."""
    pixels = axes.transData.transform([(point.seconds, _error(point)) for point in points])
    near = np.array(_NEAR) * axes.figure.dpi / 72
    groups: list[list[int]] = []
    for place, at in enumerate(pixels):
        group = next((one for one in groups if (np.abs(pixels[one[0]] - at) < near).all()), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return groups


def _distinct(points: Sequence[Point], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(point, name) for point in points))


def _legend(families: dict[str, str], devices: dict[str, str], lines: Sequence[str]) -> list[tuple[str, str]]:
    signs = dict(zip(_MARKERS, ("circle", "square", "diamond", "triangle", "lower triangle"), strict=True))
    coloured = [(f"in this colour: {name}", colour) for name, colour in families.items()]
    marked = [(wrapped(f"{signs[marker]}: {name}", _WIDTH, indent=4), "black") for name, marker in devices.items()]
    return [*coloured, *marked, *((line, "black") for line in lines)]
