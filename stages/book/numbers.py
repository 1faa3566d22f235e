"""The page of one number: what stands on it, taken from the evidence and ready to be set."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stages.book.origin import Origin, origin
from stages.config.schema import Assumption
from stages.core.files import flatten
from stages.records.attempts import Attempt
from stages.records.evaluation import Evaluation, Mistake
from stages.records.run import TrainingRun
from stages.report.conditions import conditions, own_epochs
from stages.report.evidence import Evidence
from stages.report.formats import NOTHING
from stages.report.rows import TableRow, all_rows, assumptions_of, first_rows, table_rows
from stages.report.started import started

_STRONG = 0.55  # share of a row's images from which on the number is set in the colour of the page


@dataclass(frozen=True)
class Scores:
    """One line of the classification report, in percent, beside the paper's printed line if it has one."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    printed: tuple[float, float, float] | None


@dataclass(frozen=True)
class HeatCell:
    """One field of the confusion matrix: images, and their share of the row's."""

    images: int
    share: float

    @property
    def strong(self) -> bool:
        """Whether its ground is dark."""
        return self.share > _STRONG


@dataclass(frozen=True)
class Setting:
    """One setting of a training; what the cell in params.yaml says, where the budget replaced it, and the base cell."""

    name: str
    value: str
    replaced: str | None
    base: str | None


@dataclass(frozen=True)
class Attempted:
    """A training of the number's cell that was started, and whether its result stands in the table."""

    seed: int
    started: str
    commit: str
    outcome: str
    stands: bool


@dataclass(frozen=True)
class Number:
    """Everything on a number's page. Accuracies are in percent.

    `logged_for` are table, address and label of the rows that it is the second number of; `own_epochs` are an
    alternative's, where they are fewer than its budget's.
    """

    row: TableRow
    caption: str
    parent: str
    first: Evaluation
    logged_for: list[tuple[str, str, str]]
    own_epochs: int | None
    as_paper: bool
    scores: list[Scores]
    matrix: list[tuple[str, list[HeatCell]]]
    mistakes: list[Mistake]
    settings: list[Setting]
    assumptions: list[Assumption]
    origins: list[Origin]
    attempts: list[Attempted]
    log: str | None
    report: str | None

    @property
    def id(self) -> str:
        """The page's address, behind `#/`."""
        return address(self.row)

    @property
    def label(self) -> str:
        """What it is called: by the row of a table, or by the cell of an alternative."""
        return self.row.key.name if self.row.is_alternative else self.row.row

    @property
    def paper(self) -> str | None:
        """The paper's number; None for an alternative, which its table or study holds against it."""
        return None if self.row.is_alternative else self.row.paper

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the matrix."""
        return self.first.classes


def address(row: TableRow) -> str:
    """Where a row's page is."""
    return str(row.key) if row.is_alternative else f"{row.table}/{row.key.name}"


def number_pages(evidence: Evidence) -> list[Number]:
    """The pages of all numbers that have a result: the tables' rows, the studies' alternatives, the as-logged rest.

    Last are the cells that stand in no table of the paper and in no study.
    """
    rows = sorted(all_rows(evidence), key=lambda row: (row.is_beyond_paper, row.is_alternative, row.is_as_logged))
    return [_page(evidence, row) for row in first_rows(rows).values() if row.has_run]


def _page(evidence: Evidence, row: TableRow) -> Number:
    dataset, cell = row.key.dataset, row.key.name
    first, tables = row.results.results[0], {str(number): table for number, table in evidence.params.tables.items()}
    figures = {(str(figure.dataset), figure.cell): figure for figure in evidence.params.figures}
    figure = figures.get((dataset, cell))
    report = figure.report if figure else None
    words = shlex.join([str(row.key)] if row.is_alternative else [row.table, row.row])
    origins = [origin(result, f"{words} --budget {result.budget}") for result in row.results.results]
    return Number(
        row=row,
        caption=f"Table {row.table}: {tables[row.table].caption}" if row.table in tables else f"Study {row.table}",
        parent=row.table if row.table in tables else f"study/{row.table}",
        first=first,
        logged_for=_logged_for(evidence, row),
        own_epochs=own_epochs(evidence, str(row.key)),
        as_paper=conditions(evidence, dataset, [cell]).as_paper,
        scores=_scores(first, evidence.paper.report(report).output_dict() if report else {}),
        matrix=_matrix(first),
        mistakes=first.most_confused,
        settings=_settings(evidence, row),
        assumptions=assumptions_of(evidence, row),
        origins=[one if one is origins[0] else one.beside(origins[0]) for one in origins],
        attempts=_attempts(evidence, row),
        log=figure.log if figure else None,
        report=report,
    )


def _attempts(evidence: Evidence, row: TableRow) -> list[Attempted]:
    """All trainings of a row's cell; none where attempts are not kept."""
    attempts = evidence.attempts
    if attempts is None or attempts.begin is None:
        return []
    cell_attempts = started(attempts, row.results.results, str(row.key))
    unrecorded = (
        ("before attempts were kept", cell_attempts.older),
        ("nowhere written down as started", cell_attempts.unknown),
    )
    found = [_attempted(one, stands=True) for one in cell_attempts.standing]
    found += [_attempted(one, stands=False) for one in cell_attempts.others]
    found += [_without_attempt(result.run, why) for why, results in unrecorded for result in results]
    return sorted(found, key=lambda one: one.started)


def _attempted(attempt: Attempt, stands: bool) -> Attempted:
    """A training that was written down as it started; the last start is the one that its record tells of."""
    last = attempt.starts[-1]
    return Attempted(attempt.start.seed or 0, last.time, last.commit, attempt.outcome_and_starts, stands)


def _without_attempt(run: TrainingRun, why: str) -> Attempted:
    """A training that has a result and no attempt, and why."""
    commit = run.provenance.git.commit
    return Attempted(run.seed, run.times.started, commit, f"{run.outcome} ({why})", stands=True)


def _logged_for(evidence: Evidence, row: TableRow) -> list[tuple[str, str, str]]:
    """Table, address and label of the rows whose printed logs suggest this cell."""
    tables = [one for number in evidence.params.paper_tables for one in table_rows(evidence, number)]
    return [
        (one.table, address(one) if one.has_run else one.table, one.row)
        for one in tables
        if one.as_logged and one.as_logged.key == row.key
    ]


def _scores(first: Evaluation, printed: dict[str, Any]) -> list[Scores]:
    """The report's lines; the paper's reports name the classes by their digits."""
    report, classes = first.report, first.classes
    digits = {name: str(place) for place, name in enumerate(classes)}
    lines = []
    for name in (*classes, "macro avg", "weighted avg"):
        found = report[name]
        if isinstance(found, dict):  # "accuracy" alone is a number
            line = printed.get(digits.get(name, name))
            precision, recall, f1 = _percent(found)
            support = int(found["support"])
            lines.append(Scores(name, precision, recall, f1, support, _percent(line) if line else None))
    return lines


def _percent(line: dict[str, float]) -> tuple[float, float, float]:
    """Precision, recall and F1 of a report's line."""
    return 100 * line["precision"], 100 * line["recall"], 100 * line["f1-score"]


def _matrix(first: Evaluation) -> list[tuple[str, list[HeatCell]]]:
    return [
        (name, [HeatCell(images, images / sum(row) if sum(row) else 0.0) for images in row])
        for name, row in zip(first.classes, first.confusion, strict=True)
    ]


def _settings(evidence: Evidence, row: TableRow) -> list[Setting]:
    """Every setting of the training; a cell's own stand first, beside what the base cell says where that differs."""
    asked, base = (flatten(evidence.params.find(str(key))[1].model_dump()) for key in (row.key, row.base))
    return list(_lines(flatten(row.results.results[0].run.config.model_dump()), asked, base))


def _lines(found: dict[str, Any], asked: dict[str, Any], base: dict[str, Any]) -> Iterator[Setting]:
    cell = {name.removeprefix("cell."): value for name, value in found.items() if name.startswith("cell.")}
    for name, value in cell.items():
        replaced = _text(asked[name]) if name in asked and asked[name] != value else None
        differs = name not in base or base[name] != asked.get(name)
        yield Setting(name, _text(value), replaced, _text(base.get(name)) if differs else None)
    for name, value in found.items():
        if not name.startswith("cell."):
            yield Setting(name, _text(value), None, None)


def _text(value: Any) -> str:
    """A setting as params.yaml has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return NOTHING if value is None else str(value)
