"""A figure's accuracy against the tables, and a report's against the log of the same training."""

from collections.abc import Iterator
from dataclasses import dataclass

from stages.config.params import Params
from stages.paper.schema import Paper
from stages.trial.finding import Finding, Sureness
from stages.trial.places import Printed, assigned_row, images_of, printed_rows, report_accuracy, reports_with_logs
from stages.trial.printed import Interval, as_percent, decimals, percent

FIGURE_AND_CELL = "figure-and-cell"
FIGURE_AND_TABLES = "figure-and-tables"
REPORT_AND_LOG = "report-and-log"
_PLACES = 2  # decimals of a percentage of 10000 images


@dataclass(frozen=True)
class _Shown:
    """An accuracy that a figure prints: what it may have been (share), and how it reads."""

    figure: str
    dataset: str
    family: str
    interval: Interval
    text: str

    @property
    def place(self) -> str:
        return f"Fig. {self.figure}"


def _shown(paper: Paper) -> list[_Shown]:
    found = []
    for report in paper.reports:
        interval = report_accuracy(report)
        text = f"accuracy {report.accuracy.f1} (by its recalls {as_percent(interval, _PLACES)} %)"
        found.append(_Shown(report.figure, report.dataset, report.family, interval, text))
    for log in paper.logs:
        text = f"test accuracy {log.test_accuracy} %"
        found.append(_Shown(log.figure, log.dataset, log.family, percent(log.test_accuracy), text))
    return found


def figure_and_cell(paper: Paper, params: Params) -> Iterator[Finding]:
    """A report or log whose accuracy is not that of the row it stands for, but of another row of its tables."""
    rows = printed_rows(paper, params)
    for shown in _shown(paper):
        row = assigned_row(paper, params, shown.figure)
        others = [other for other in _of_kind(rows, shown) if other.interval.meets(shown.interval)]
        if row and others and not row.interval.meets(shown.interval):
            names = ", ".join(other.place for other in others)
            sentence = f"The figure is assigned to a row of another accuracy; {names} would fit."
            contradicts = f"{row.accuracy} % in {row.place}"
            places = (shown.place, row.place)
            yield Finding(FIGURE_AND_CELL, Sureness.LIKELY, places, shown.text, contradicts, sentence)


def figure_and_tables(paper: Paper, params: Params) -> Iterator[Finding]:
    """A report or log whose accuracy no row has, of all tables of its family and data set."""
    rows = printed_rows(paper, params)
    for shown in _shown(paper):
        kind = _of_kind(rows, shown)
        if not kind or any(row.interval.meets(shown.interval) for row in kind):
            continue
        tables = " and ".join(dict.fromkeys(f"Table {row.table}" for row in kind))
        nearest = min(kind, key=lambda row: abs(row.interval.middle - shown.interval.middle))
        contradicts = f"{tables}: nearest is {nearest.row} with {nearest.accuracy} %"
        sentence = f"No row of {tables} has the accuracy that this figure shows" + _elsewhere(rows, shown) + "."
        yield Finding(FIGURE_AND_TABLES, Sureness.CERTAIN, (shown.place, tables), shown.text, contradicts, sentence)


def _of_kind(rows: list[Printed], shown: _Shown) -> list[Printed]:
    return [row for row in rows if (row.dataset, row.family) == (shown.dataset, shown.family)]


def _elsewhere(rows: list[Printed], shown: _Shown) -> str:
    """Where else the accuracy is printed, to at least as many digits as tell it from its neighbours."""
    found = [row.place for row in rows if row.interval.meets(shown.interval) and decimals(row.accuracy) >= _PLACES]
    return f"; {' and '.join(found)} {'has' if len(found) == 1 else 'have'} it" if found else ""


def report_and_log(paper: Paper, params: Params) -> Iterator[Finding]:
    """A report and a log of one training that end in different accuracies."""
    for report, log in reports_with_logs(paper, params):
        found, logged = report_accuracy(report), percent(log.test_accuracy)
        if found.meets(logged):
            continue
        images = images_of(report)
        of_report, of_log = (_images(interval, images) for interval in (found, logged))
        yield Finding(
            REPORT_AND_LOG,
            Sureness.LIKELY,
            (report.place, log.place),
            f"accuracy {report.accuracy.f1}, by its recalls {of_report} of {images} images recognised",
            f"test accuracy {log.test_accuracy} %, {of_log} of {images} images",
            "The report and the log should be of one training and count different numbers of recognised images.",
        )


def _images(interval: Interval, images: int) -> str:
    counts = interval.times(images).wholes()
    if not counts:
        return "no whole number"
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
