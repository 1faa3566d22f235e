"""The rows of the tables: each number of a budget beside the paper's. They are made here and rendered elsewhere.

A row's cell follows the paper's text. Where the printed logs or numbers suggest another setting (`as_logged`), that is
a row of its own, held against the same printed number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from stages.config.cells import CellKey
from stages.config.params import Params
from stages.config.schema import PAPER_TABLES, Assumption, Row, Table, is_table
from stages.paper.schema import Paper
from stages.report.conditions import conditions
from stages.report.cost import Cost, cost
from stages.report.differences import differences_text
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import NOTHING, decimals, exact, fixed, signed
from stages.report.outcomes import absent, outcome
from stages.stats.intervals import Interval
from stages.stats.verdicts import Verdict, judge


@dataclass(frozen=True, eq=False)
class TableRow:
    """A number over all its seeds, and what it is held against; accuracies in percent, differences in points.

    `base` is the cell that its settings are compared with: the first row's of its table, the base of its study, or that
    of the row which it is the as-logged one of; in a table that the paper does not have, its own. `printed` is the
    label of the paper's row that it is held against, and `paper` the number there; None where the paper has none.
    """

    table: str  # a table's number, or the study's name
    row: str  # the row's label, or the alternative's name
    printed: str
    results: CellResults
    base: CellKey
    paper: str | None
    test_images: int
    confidence: float
    verdict: Verdict | None  # None without the paper's number, and without results
    differs: str = ""  # what an as-logged row sets differently from its base, as markdown
    as_logged: "TableRow | None" = None  # where its setting is not the text's; planned or not

    @property
    def key(self) -> CellKey:
        """Its cell."""
        return self.results.key

    @property
    def is_as_logged(self) -> bool:
        """Whether it has the setting that the logs of another row suggest."""
        return self.printed != self.row

    @property
    def is_alternative(self) -> bool:
        """Whether it is no table's own cell: an as-logged row, or a study's."""
        return self.key.section == "alternatives" and not self.is_beyond_paper

    @property
    def is_beyond_paper(self) -> bool:
        """Whether it stands in a table that the paper does not have."""
        return is_table(self.table) and self.table not in PAPER_TABLES

    @property
    def has_run(self) -> bool:
        """Whether it has any result."""
        return self.results.has_run

    @property
    def mean(self) -> float | None:
        """Mean test accuracy; None without a result."""
        return self.results.mean

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds; None for fewer than two."""
        return self.results.std

    @property
    def n(self) -> int:
        """How many seeds have a result."""
        return len(self.results.results)

    @property
    def difference(self) -> float | None:
        """Ours less the paper's."""
        return None if self.paper is None or self.mean is None else self.mean - float(self.paper)

    @cached_property
    def interval(self) -> Interval | None:
        """The interval of the mean; see `accuracy_interval` for which one."""
        return self.results.interval(self.confidence)

    @cached_property
    def cost(self) -> Cost | None:
        """Size of the network and time of the training; None without a result."""
        return cost(self.results)

    @property
    def outcome(self) -> str:
        """How its trainings ended: `finished`, `at chance`, `not run`, `not planned`, or how many of several."""
        return outcome(self.results)

    @property
    def decimals(self) -> int:
        """Decimals of an accuracy: as many as the test images support."""
        return decimals(self.test_images)

    @property
    def mean_text(self) -> str:
        """The mean as it is printed, or `not run`, or `not planned`."""
        return fixed(self.mean, self.decimals) if self.has_run else absent(self.results)

    @property
    def std_text(self) -> str:
        """The deviation as it is printed, or a dash."""
        return fixed(self.std, self.decimals)

    @property
    def difference_text(self) -> str:
        """The difference as it is printed, with its sign, or a dash."""
        return signed(self.difference, self.decimals)

    @property
    def interval_text(self) -> str:
        """Both ends, or a dash."""
        if self.interval is None:
            return NOTHING
        return " to ".join(fixed(end, self.decimals) for end in self.interval)

    def statistics(self) -> dict[str, Any]:
        """What files have of the number."""
        return {
            "mean": exact(self.mean),
            "std": exact(self.std),
            "n": self.n,
            "difference": exact(self.difference),
            "outcome": self.outcome,
        }


_BUILT: WeakKeyDictionary[Evidence, dict[Table, list[TableRow]]] = WeakKeyDictionary()  # as long as their evidence


def table_rows(evidence: Evidence, number: Table) -> list[TableRow]:
    """The rows of a table, each with its as-logged row in it; built once for each evidence."""
    built = _BUILT.setdefault(evidence, {})
    if number not in built:
        built[number] = _table_rows(evidence, number)
    return list(built[number])


def _table_rows(evidence: Evidence, number: Table) -> list[TableRow]:
    table = evidence.params.tables[number]
    if number not in PAPER_TABLES:
        own = [(row.row, evidence.cell(table.dataset, row.cell)) for row in table.rows]
        return [_row(evidence, number, label, label, cell, cell.key, [cell.key.name]) for label, cell in own]
    first, cells = table.rows[0].cell, [row.cell for row in table.rows]
    return [_of_table(evidence, number, row, CellKey("cells", table.dataset, first), cells) for row in table.rows]


def lines(rows: Iterable[TableRow]) -> list[TableRow]:
    """Every row, and behind it its as-logged one."""
    return [line for row in rows for line in (row, row.as_logged) if line]


def all_rows(evidence: Evidence) -> list[TableRow]:
    """All planned numbers: the tables', each as-logged one behind its row, then the studies' alternatives.

    An alternative of two studies stands in both; a table's cell that is a study's alternative, in its table alone; a
    cell of a table that the paper does not have, there too.
    """
    planned = set(evidence.params.cell_keys())
    tables = [line for number in evidence.params.shown_tables for line in lines(table_rows(evidence, number))]
    return [row for row in (*tables, *_of_studies(evidence)) if row.key in planned]


def first_rows(rows: Iterable[TableRow]) -> dict[CellKey, TableRow]:
    """The row of each cell where it stands first."""
    found: dict[CellKey, TableRow] = {}
    for row in rows:
        found.setdefault(row.key, row)
    return found


def assumptions_of(evidence: Evidence, row: TableRow) -> list[Assumption]:
    """The assumptions that a row rests on; an alternative's are those of the cell it is compared with.

    They are about what the paper leaves out, so a row of a table that it does not have rests on none.
    """
    if row.is_beyond_paper:
        return []
    key = row.base if row.is_alternative else row.key
    _, label = evidence.place(key.dataset, key.name)
    settings = evidence.params.find(str(key))[1]
    return [one for one in evidence.params.assumptions if one.applies.to(key.dataset, settings, label)]


def planned_rows(params: Params) -> list[TableRow]:
    """`all_rows` without results and without the paper's numbers: where each number stands."""
    return all_rows(Evidence(params, params.budget, {}, Paper((), (), (), (), ())))


def _of_table(evidence: Evidence, number: Table, row: Row, base: CellKey, cells: list[str]) -> TableRow:
    dataset, own = base.dataset, evidence.cell(base.dataset, row.cell)
    logged = None
    if row.as_logged:
        differs = differences_text(evidence.params, evidence.budget_name, dataset, row.cell, row.as_logged)
        other, label = evidence.cell(dataset, row.as_logged), f"{row.row}, as logged"
        logged = _row(evidence, number, label, row.row, other, own.key, [row.as_logged], differs=differs)
    return _row(evidence, number, row.row, row.row, own, base, cells, as_logged=logged)


def _of_studies(evidence: Evidence) -> list[TableRow]:
    """The alternatives that are no table's cell."""
    found = []
    for name, study in evidence.params.studies.items():
        base = CellKey("cells", study.dataset, study.base)
        cells = [evidence.cell(study.dataset, cell) for cell in study.alternatives]
        of_study = [cell for cell in cells if cell.key.section == "alternatives"]
        found += [_row(evidence, name, cell.key.name, cell.key.name, cell, base, [cell.key.name]) for cell in of_study]
    return found


def _row(
    evidence: Evidence,
    table: str,
    label: str,
    printed: str,
    results: CellResults,
    base: CellKey,
    cells: list[str],
    differs: str = "",
    as_logged: TableRow | None = None,
) -> TableRow:
    """A row; `cells` are those whose conditions decide whether it can be judged."""
    dataset, mean, verdicts = results.key.dataset, results.mean, evidence.params.verdicts
    paper = evidence.paper.accuracy(table, printed)
    verdict = None
    if paper is not None and mean is not None:
        as_paper = conditions(evidence, dataset, cells).as_paper
        verdict = judge(paper, mean, verdicts.close.of(dataset), verdicts.near.of(dataset), as_paper)
    return TableRow(
        table=table,
        row=label,
        printed=printed,
        results=results,
        base=base,
        paper=paper,
        test_images=evidence.test_images(dataset),
        confidence=verdicts.confidence,
        verdict=verdict,
        differs=differs,
        as_logged=as_logged,
    )
