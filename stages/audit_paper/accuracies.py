"""A figure's accuracy against the tables, and a report's against the log of the same training."""

from collections.abc import Iterator
from dataclasses import dataclass

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.matching import (
    TableAccuracy,
    assigned_row,
    images_of,
    report_accuracy,
    reports_with_logs,
    table_accuracies,
)
from stages.audit_paper.rounding import RoundingInterval, as_percent, decimals, percent
from stages.config.params import Params
from stages.paper.schema import Paper

FIGURE_AND_CELL = "figure-and-cell"
FIGURE_AND_TABLES = "figure-and-tables"
REPORT_AND_LOG = "report-and-log"
_DECIMALS = 2  # decimals of a percentage of 10000 images


@dataclass(frozen=True)
class _FigureAccuracy:
    """An accuracy that a figure prints: what it may have been (share), and how it reads."""

    figure: str
    dataset: str
    family: str
    interval: RoundingInterval
    text: str

    @property
    def place(self) -> str:
        return f"Fig. {self.figure}"


def _figure_accuracies(paper: Paper) -> list[_FigureAccuracy]:
    found = []
    for report in paper.reports:
        interval = report_accuracy(report)
        text = f"accuracy {report.accuracy.f1} (by its recalls {as_percent(interval, _DECIMALS)} %)"
        found.append(_FigureAccuracy(report.figure, report.dataset, report.family, interval, text))
    for log in paper.logs:
        text = f"test accuracy {log.test_accuracy} %"
        found.append(_FigureAccuracy(log.figure, log.dataset, log.family, percent(log.test_accuracy), text))
    return found


def figure_and_cell(paper: Paper, params: Params) -> Iterator[Finding]:
    """A report or log whose accuracy is not that of the row it stands for, but of another row of its tables."""
    rows = table_accuracies(paper, params)
    for shown in _figure_accuracies(paper):
        row = assigned_row(paper, params, shown.figure)
        others = [other for other in _of_kind(rows, shown) if other.interval.overlaps(shown.interval)]
        if row and others and not row.interval.overlaps(shown.interval):
            names = ", ".join(other.place for other in others)
            sentence = f"The figure is assigned to a row of another accuracy; {names} would fit."
            contradicts = f"{row.accuracy} % in {row.place}"
            places = (shown.place, row.place)
            yield Finding(FIGURE_AND_CELL, Confidence.LIKELY, places, shown.text, contradicts, sentence)


def figure_and_tables(paper: Paper, params: Params) -> Iterator[Finding]:
    """A report or log whose accuracy no row has, of all tables of its family and data set."""
    rows = table_accuracies(paper, params)
    for shown in _figure_accuracies(paper):
        kind = _of_kind(rows, shown)
        if not kind or any(row.interval.overlaps(shown.interval) for row in kind):
            continue
        tables = " and ".join(dict.fromkeys(f"Table {row.table}" for row in kind))
        nearest = min(kind, key=lambda row: abs(row.interval.middle - shown.interval.middle))
        contradicts = f"{tables}: nearest is {nearest.row} with {nearest.accuracy} %"
        sentence = f"No row of {tables} has the accuracy that this figure shows" + _elsewhere(rows, shown) + "."
        yield Finding(FIGURE_AND_TABLES, Confidence.CERTAIN, (shown.place, tables), shown.text, contradicts, sentence)


def _of_kind(rows: list[TableAccuracy], shown: _FigureAccuracy) -> list[TableAccuracy]:
    return [row for row in rows if (row.dataset, row.family) == (shown.dataset, shown.family)]


def _elsewhere(rows: list[TableAccuracy], shown: _FigureAccuracy) -> str:
    """Where else the accuracy is printed, to at least as many digits as tell it from its neighbours."""
    found = [row.place for row in rows if row.interval.overlaps(shown.interval) and decimals(row.accuracy) >= _DECIMALS]
    return f"; {' and '.join(found)} {'has' if len(found) == 1 else 'have'} it" if found else ""


def report_and_log(paper: Paper, params: Params) -> Iterator[Finding]:
    """A report and a log of one training that end in different accuracies."""
    for report, log in reports_with_logs(paper, params):
        found, logged = report_accuracy(report), percent(log.test_accuracy)
        if found.overlaps(logged):
            continue
        images = images_of(report)
        of_report, of_log = (_images(interval, images) for interval in (found, logged))
        yield Finding(
            REPORT_AND_LOG,
            Confidence.LIKELY,
            (report.place, log.place),
            f"accuracy {report.accuracy.f1}, by its recalls {of_report} of {images} images recognised",
            f"test accuracy {log.test_accuracy} %, {of_log} of {images} images",
            "The report and the log should be of one training and count different numbers of recognised images.",
        )


def _images(interval: RoundingInterval, images: int) -> str:
    counts = interval.scaled(images).integers()
    if not counts:
        return "no whole number"
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
