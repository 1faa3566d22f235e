"""The interval of a table's number and the verdict on it, as the tables print them."""

from stages.config.params import Row, Table
from stages.report.conditions import conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import NOTHING, fixed
from stages.stats.intervals import Interval
from stages.stats.verdicts import Verdict, judge


def row_verdict(evidence: Evidence, number: Table, row: Row) -> Verdict | None:
    """The verdict on a row of a table; None for a row that the paper does not have."""
    paper = evidence.paper.accuracy(number, row.row)
    if paper is None:
        return None
    dataset, verdicts = evidence.params.tables[number].dataset, evidence.params.verdicts
    as_paper = conditions(evidence, dataset, evidence.table_cells(number)).as_paper
    mean = evidence.cell(dataset, row.cell).mean
    return judge(paper, mean, verdicts.close.of(dataset), verdicts.near.of(dataset), as_paper)


def row_interval(evidence: Evidence, cell: CellResults) -> Interval | None:
    """The interval of a cell's mean test accuracy in percent, at the confidence of params.yaml."""
    return cell.interval(evidence.params.verdicts.confidence)


def interval_text(interval: Interval | None, places: int) -> str:
    """Both ends, or a dash where there is no interval."""
    return NOTHING if interval is None else f"{fixed(interval.low, places)} to {fixed(interval.high, places)}"


def interval_title(evidence: Evidence) -> str:
    """What the column is called."""
    return f"{100 * evidence.params.verdicts.confidence:g} % interval"


def interval_sentence(evidence: Evidence) -> str:
    """Which interval stands in the table, for its caption."""
    seeds, title = len(evidence.params.seeds), interval_title(evidence)
    if seeds == 1:
        return f"{title}: Wilson's, for other test images; how far another seed would move it is unknown."
    if seeds == 2:
        return f"{title}: none, since two seeds do not tell how seeds spread."
    return f"{title}: Student's t over the seeds."


def verdict_sentence(evidence: Evidence, number: Table) -> str:
    """By which tolerances the table's verdicts are given, for its caption."""
    dataset, verdicts = evidence.params.tables[number].dataset, evidence.params.verdicts
    close, near = verdicts.close.of(dataset), verdicts.near.of(dataset)
    return f"Verdict: *close* within {close:g} points of what the paper prints, *near* within {near:g}, else *far*."
