"""The validation curves that the paper prints in its logs, with ours over them: one picture, a panel for each log.

A log has a panel when a study is held against it and the study's base, the table's own cell, has a result.
Beside the base stands the alternative that comes closest: the least mean absolute difference in points over the epochs
that the log and every cell held against it have. One that differs from the base in its number format alone is left out,
since it is no other reading of the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil, floor

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.config.schema import Study
from stages.report.curves import draw_curve, drawing, saved, wrapped
from stages.report.differences import differences_text
from stages.report.evidence import CellResults, Evidence
from stages.report.markdown import plain
from stages.report.outcomes import remark
from stages.report.studies import distance

NAME = "printed_curves.png"
_COLUMNS, _LINE = 2, 2.65  # panels in a line; inches that a line is high
_LABEL_WIDTH = 36  # characters of a legend's line
_OURS = (("#1845fb", "o", "-"), ("#ff5e02", "s", "--"))  # the table's cell, the alternative; told apart by all eyes


@dataclass(frozen=True)
class Panel:
    """A printed log beside the cells that are held against it; `alternative` is None where none has a result."""

    log: str
    dataset: str
    table: str
    row: str
    printed: list[float]
    base: CellResults
    alternative: CellResults | None
    differs: str


def printed_panels(evidence: Evidence) -> list[Panel]:
    """The panels, in the order of the paper's figures."""
    found = [_panel(evidence, log, studies) for log, studies in _by_log(evidence).items()]
    return sorted((panel for panel in found if panel.base.has_run), key=lambda panel: int(panel.log))


def _by_log(evidence: Evidence) -> dict[str, list[Study]]:
    """The studies that are held against each printed log."""
    found: dict[str, list[Study]] = {}
    for study in evidence.params.studies.values():
        if study.printed.log:
            found.setdefault(study.printed.log, []).append(study)
    return found


def _panel(evidence: Evidence, log: str, studies: Sequence[Study]) -> Panel:
    first = studies[0]
    base = evidence.cell(first.dataset, first.base)
    names = dict.fromkeys(chain.from_iterable(study.alternatives for study in studies if study.base == first.base))
    others = [evidence.cell(first.dataset, name) for name in names]
    others = [cell for cell in others if cell.has_run and _other_setting(evidence, base, cell)]
    printed = [float(epoch.validation_accuracy) for epoch in evidence.paper.log(log).epochs]
    compared = min(len(curve) for curve in [printed, base.curve, *(cell.curve for cell in others)])
    closest = min(others, key=lambda cell: distance(cell.curve[:compared], printed)) if others and compared else None
    differs = _differs(evidence, first, closest) if closest else ""
    return Panel(log, first.dataset, first.printed.table, first.printed.row, printed, base, closest, differs)


def _other_setting(evidence: Evidence, base: CellResults, cell: CellResults) -> bool:
    budget = evidence.budget_name
    settings = [evidence.params.settings(str(one.key), budget).cell for one in (base, cell)]
    return settings[0] != settings[1]


def _differs(evidence: Evidence, study: Study, cell: CellResults) -> str:
    text = differences_text(evidence.params, evidence.budget_name, study.dataset, study.base, cell.key.name)
    return plain(text)


def printed_drawing(evidence: Evidence, panels: Sequence[Panel], title: str, mark: str) -> dict[str, bytes]:
    """The picture's files by their suffixes: the printed curves in black, ours in colour; the title has two lines."""
    limits = {panel.dataset: _limits(panels, panel.dataset) for panel in panels}
    lines = ceil(len(panels) / _COLUMNS)
    height = 0.45 + _LINE * lines
    with drawing():
        figure = Figure(figsize=(7.0, height))
        for place, panel in enumerate(panels):
            line, column = divmod(place, _COLUMNS)
            bottom = (0.44 + _LINE * (lines - 1 - line)) / height
            axes = figure.add_axes((0.08 + 0.5 * column, bottom, 0.405, (_LINE - 0.75) / height))
            _draw(axes, evidence, panel)
            axes.set_ylim(*limits[panel.dataset])
        figure.text(0.018, 1 - 0.07 / height, title, fontsize=9, verticalalignment="top", linespacing=1.4)
        return saved(figure, mark)


def _limits(panels: Sequence[Panel], dataset: str) -> tuple[float, float]:
    """One range for all panels of a data set: whole tens around all curves, or whole points where they lie close."""
    shown = [panel for panel in panels if panel.dataset == dataset]
    curves = [curve for panel in shown for curve in (panel.printed, *_curves(panel))]
    low, high = min(map(min, curves)), max(map(max, curves))
    step = 1 if high - low < 10 else 10
    return step * floor((low - step / 4) / step), min(100.0, step * ceil((high + step / 4) / step))


def _curves(panel: Panel) -> list[list[float]]:
    """Every curve of ours in a panel: that of each seed."""
    return [curve for cell in (panel.base, panel.alternative) if cell for curve in cell.curves if curve]


def _draw(axes: Axes, evidence: Evidence, panel: Panel) -> None:
    axes.plot(
        range(1, len(panel.printed) + 1),
        panel.printed,
        color="black",
        linewidth=1.6,
        marker="D",
        markersize=3.5,
        label=f"printed in Fig. {panel.log}",
    )
    _draw_ours(axes, panel.base, f"ours, as in Table {panel.table}", 0)
    if panel.alternative:
        epochs = len(panel.alternative.curve)
        shorter = f" ({epochs} epochs)" if epochs < len(panel.base.curve) else ""
        _draw_ours(axes, panel.alternative, f"ours, {panel.differs}{shorter}", 1)
    title = evidence.dataset(panel.dataset).title
    axes.set_title(f"Fig. {panel.log}: {panel.row}, {title}", y=1.0, pad=4)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy (%)")
    axes.set_xlim(0.6, max(map(len, (panel.printed, *_curves(panel)))) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))  # decimals have no room
    axes.grid(axis="y")
    axes.legend(
        loc="lower right",
        fontsize=7,
        handlelength=2.4,
        labelspacing=0.4,
        borderpad=0.1,
        framealpha=1.0,  # white, so that no line of the grid runs through the words
        facecolor="white",
        edgecolor="none",
    )


def _draw_ours(axes: Axes, cell: CellResults, label: str, place: int) -> None:
    colour, marker, dash = _OURS[place]
    label = wrapped(label + remark(cell), _LABEL_WIDTH, indent=2)
    draw_curve(axes, cell.curve, cell.curves, colour, linestyle=dash, marker=marker, markersize=3.5, label=label)
