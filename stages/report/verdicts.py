"""The interval of a table's number and the verdict on it, as the tables print them."""

from collections.abc import Sequence

from stages.config.schema import Row, Table
from stages.report.conditions import conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import NOTHING, fixed
from stages.stats.intervals import FEWEST_SEEDS, Interval
from stages.stats.verdicts import Verdict, judge

_SEEDS = {1: "one seed", 2: "two seeds", FEWEST_SEEDS: "more seeds"}
_INTERVALS = {
    1: "Wilson's, for other test images; how far another seed would move it is unknown",
    2: "none, since two seeds do not tell how seeds spread",
    FEWEST_SEEDS: "Student's t over the seeds",
}


def row_verdict(evidence: Evidence, number: Table, row: Row, cell: CellResults | None = None) -> Verdict | None:
    """The verdict on a row's cell, or on another `cell` held against the same printed number.

    None for a row that the paper does not have, and for a cell without results.
    """
    dataset, verdicts = evidence.params.tables[number].dataset, evidence.params.verdicts
    cell = cell or evidence.cell(dataset, row.cell)
    paper, mean = evidence.paper.accuracy(number, row.row), cell.mean
    if paper is None or mean is None:
        return None
    cells = evidence.table_cells(number) if cell.key.name == row.cell else [cell.key.name]
    as_paper = conditions(evidence, dataset, cells).as_paper
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


def interval_sentence(evidence: Evidence, cells: Sequence[CellResults]) -> str:
    """Which intervals stand beside the numbers of these cells, by how many seeds they have; empty for no number."""
    kinds = {min(len(cell.results), FEWEST_SEEDS) for cell in cells if cell.has_run}
    if not kinds:
        return ""
    said = [(f"with {_SEEDS[kind]}, " if len(kinds) > 1 else "") + _INTERVALS[kind] for kind in sorted(kinds)]
    return f"{interval_title(evidence)}: {'; '.join(said)}."


def verdict_sentence(evidence: Evidence, number: Table) -> str:
    """By which tolerances the table's verdicts are given, for its caption."""
    dataset, verdicts = evidence.params.tables[number].dataset, evidence.params.verdicts
    close, near = verdicts.close.of(dataset), verdicts.near.of(dataset)
    return f"Verdict: *close* within {close:g} points of what the paper prints, *near* within {near:g}, else *far*."
