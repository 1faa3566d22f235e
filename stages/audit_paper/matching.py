"""Which numbers belong together: tables with their data set, figures with the cell that params.yaml gives them."""

from dataclasses import dataclass
from fractions import Fraction

from stages.audit_paper.rounding import RoundingInterval, percent, share
from stages.config.params import Params
from stages.paper.schema import Paper, PrintedLog, PrintedReport


@dataclass(frozen=True)
class TableAccuracy:
    """An accuracy of a table that params.yaml describes: as printed (percent), and what it may have been (share)."""

    table: str
    row: str
    dataset: str
    family: str
    accuracy: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"Table {self.table}: {self.row}"

    @property
    def interval(self) -> RoundingInterval:
        """What it may have been before it was rounded."""
        return percent(self.accuracy)


def table_accuracies(paper: Paper, params: Params) -> list[TableAccuracy]:
    """The paper's accuracies in the tables that params.yaml has; without one, nobody knows a table's data set."""
    tables = {str(number): settings for number, settings in params.paper_tables.items()}
    return [
        TableAccuracy(row.table, row.row, tables[row.table].dataset, tables[row.table].family, row.accuracy)
        for row in paper.rows
        if row.table in tables
    ]


def assigned_row(paper: Paper, params: Params, figure: str) -> TableAccuracy | None:
    """The row whose training a report or log shows, as params.yaml's `figures` says; None where none is printed."""
    for entry in params.figures:
        if figure in (entry.report, entry.log):
            cells = {
                (str(number), row.row): row.cell
                for number, table in params.paper_tables.items()
                if table.dataset == entry.dataset
                for row in table.rows
            }
            found = [row for row in table_accuracies(paper, params) if cells.get((row.table, row.row)) == entry.cell]
            return found[0] if found else None
    return None


def reports_with_logs(paper: Paper, params: Params) -> list[tuple[PrintedReport, PrintedLog]]:
    """The reports and logs that are of one training, as params.yaml's `figures` says."""
    reports = {report.figure: report for report in paper.reports}
    logs = {log.figure: log for log in paper.logs}
    return [
        (reports[entry.report], logs[entry.log])
        for entry in params.figures
        if entry.report in reports and entry.log in logs
    ]


def images_of(report: PrintedReport) -> int:
    """How many images a report is of: the sum of its classes' supports."""
    return sum(line.support for line in report.classes)


def report_accuracy(report: PrintedReport) -> RoundingInterval:
    """What a report's accuracy may have been: as printed, and as the number of recognised images allows.

    Recall times support is the number of recognised images, a whole one (as in the GRIM test of Brown and Heathers
    2017), so three digits of recall often give it exactly. Where a class or the sum contradicts that, what is printed
    for the accuracy alone counts: the rules for reports report the contradiction.
    """
    printed = share(report.accuracy.f1)
    counts = [share(line.recall).scaled(line.support).integers() for line in report.classes]
    if not report.classes or not all(counts) or not images_of(report):
        return printed
    ends = (sum(each[0] for each in counts), sum(each[-1] for each in counts))
    recognised = RoundingInterval(*(Fraction(end, images_of(report)) for end in ends))
    return printed.intersection(recognised) if printed.overlaps(recognised) else printed
