"""How a cell's trainings ended: a divergence and a number at chance are results, shown with a mark.

One outcome a training: `diverged` goes before `at chance`, which a diverged network mostly is too. A cell without any
result is `not run`, or `not planned` where params.yaml plans no seed of it.
"""

from collections import Counter
from collections.abc import Sequence

from stages.evaluate.chance import LEVEL
from stages.records.evaluation import AT_CHANCE
from stages.records.planned import NOT_PLANNED, NOT_RUN
from stages.records.run import DIVERGED, FINISHED
from stages.report.evidence import CellResults

_MARKS = {DIVERGED: "\N{DAGGER}", AT_CHANCE: "\N{DOUBLE DAGGER}"}
_MEANING = {
    DIVERGED: "Diverged: the training loss was no longer finite, and the training ended there.",
    AT_CHANCE: "At chance: no evidence of more than naming the most frequent class of the tested images every time "
    f"(exact one-sided binomial test, p > {LEVEL}).",
}


def outcome(cell: CellResults) -> str:
    """`finished`, `at chance`, `not run`, `not planned`, or how many of several: `1 of 3 diverged;2 of 3 at chance`."""
    return ";".join(_outcomes(cell)) or FINISHED


def absent(cell: CellResults) -> str:
    """What stands in place of the number of a cell without a result."""
    return NOT_RUN if cell.planned else NOT_PLANNED


def remark(cell: CellResults) -> str:
    """The outcome in brackets, to stand behind a name or a number; empty for `finished`."""
    return f" ({', '.join(_outcomes(cell))})" if _outcomes(cell) else ""


def mark(cell: CellResults) -> str:
    """The outcome as it stands behind a table's number: ` ‡`, or ` † 1 of 3`; empty for `finished`."""
    marks = [f"{_MARKS[kind]} {share}".rstrip() for kind, share in _shares(cell).items()]
    return f" {', '.join(marks)}" if marks else ""


def legend(cells: Sequence[CellResults]) -> list[str]:
    """What the marks of these cells mean: a line for each mark that is used."""
    marked = [cell for cell in cells if _shares(cell)]
    used = {kind for cell in marked for kind in _shares(cell)}
    seeds = {len(cell.results) for cell in marked}
    several = f"the {max(seeds)} seeds" if len(seeds) == 1 else "its seeds" if seeds else ""
    counted = f" Beside it, with how many of {several}." if max(seeds, default=0) > 1 else ""
    return [f"{_MARKS[kind]} {_MEANING[kind]} The mean counts it in.{counted}" for kind in _MARKS if kind in used]


def _outcomes(cell: CellResults) -> list[str]:
    if not cell.has_run:
        return [absent(cell)]
    return [f"{share} {kind}".lstrip() for kind, share in _shares(cell).items()]


def _shares(cell: CellResults) -> dict[str, str]:
    """The outcomes that have a mark, and how many of the seeds had them: `1 of 3`, or nothing where there is one."""
    counts = Counter(result.outcome for result in cell.results)
    seeds = len(cell.results)
    return {kind: f"{counts[kind]} of {seeds}" if seeds > 1 else "" for kind in _MARKS if counts[kind]}
