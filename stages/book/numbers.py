"""The page of one number: what stands on it, taken from the evidence and ready to be set."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stages.book.origin import Origin, origin
from stages.book.places import Place
from stages.config.schema import Assumption, Row, Table
from stages.core.files import flatten
from stages.records.evaluation import Evaluation, Mistake
from stages.report.conditions import conditions, own_epochs
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import NOTHING, decimals, fixed, signed
from stages.report.outcomes import NOT_RUN, remark
from stages.report.tables import as_logged_differs
from stages.report.verdicts import interval_text, row_interval, row_verdict
from stages.stats.intervals import Interval
from stages.stats.verdicts import Verdict

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
class Logged:
    """The second number of a row: the setting that the printed logs suggest, beside the text's.

    `id` is the address of its page; None where it has not run, and `ours` is then `not run`.
    """

    name: str
    differs: str
    id: str | None
    planned: bool
    cell: CellResults
    ours: str
    remark: str
    difference: str
    verdict: Verdict | None
    interval: Interval | None


@dataclass(frozen=True)
class Number:
    """Everything on a number's page. Accuracies are in percent.

    `logged` is the second number of its row; `logged_for` are table, address and label of the rows that it is the
    second number of; `own_epochs` are an alternative's, where they are fewer than its budget's.
    """

    place: Place
    cell: CellResults
    first: Evaluation
    logged: Logged | None
    logged_for: list[tuple[Table, str, str]]
    own_epochs: int | None
    places: int
    paper: str | None
    verdict: Verdict | None
    interval: Interval | None
    as_paper: bool
    scores: list[Scores]
    matrix: list[tuple[str, list[HeatCell]]]
    mistakes: list[Mistake]
    settings: list[Setting]
    assumptions: list[Assumption]
    origins: list[Origin]
    log: str | None
    report: str | None

    @property
    def ours(self) -> str:
        """Our mean test accuracy, with as many decimals as the test images support."""
        return fixed(self.cell.mean, self.places)

    @property
    def std(self) -> str | None:
        """The standard deviation over the seeds; None for one."""
        return None if self.cell.std is None else fixed(self.cell.std, self.places)

    @property
    def difference(self) -> str:
        """Ours less the paper's in points, with its sign."""
        return signed(self.verdict.difference, self.places) if self.verdict else NOTHING

    @property
    def interval_text(self) -> str:
        """Both ends of the interval."""
        return interval_text(self.interval, self.places)

    @property
    def remark(self) -> str:
        """How the trainings ended, unless all of them finished above chance."""
        return remark(self.cell).strip(" ()")

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the matrix."""
        return self.first.classes


def number_page(evidence: Evidence, place: Place, row: Row | None) -> Number:
    """The page of a cell with results; `row` is its row in the table that `place` names, None for an alternative."""
    cell = evidence.cell(place.dataset, place.cell)
    first, table = cell.results[0], place.table
    figures = {(str(figure.dataset), figure.cell): figure for figure in evidence.params.figures}
    figure = figures.get((place.dataset, place.cell))
    report = figure.report if figure else None
    return Number(
        place=place,
        cell=cell,
        first=first,
        logged=logged(evidence, table, row) if table and row else None,
        logged_for=_logged_for(evidence, place),
        own_epochs=own_epochs(evidence, place.key),
        places=decimals(first.test_images),
        paper=evidence.paper.accuracy(table, place.label) if table else None,
        verdict=row_verdict(evidence, table, row) if table and row else None,
        interval=row_interval(evidence, cell),
        as_paper=conditions(evidence, place.dataset, [place.cell]).as_paper,
        scores=_scores(first, evidence.paper.report(report).output_dict() if report else {}),
        matrix=_matrix(first),
        mistakes=first.most_confused,
        settings=_settings(evidence, place),
        assumptions=_assumptions(evidence, place),
        origins=[origin(result, f"{_asked(place)} --budget {result.budget}") for result in cell.results],
        log=figure.log if figure else None,
        report=report,
    )


def _asked(place: Place) -> str:
    words = [place.table, place.label] if place.table else [place.key]
    return shlex.join(words)


def logged(evidence: Evidence, table: Table, row: Row) -> Logged | None:
    """The second number of a table's row; None where the text's setting is the logs' too."""
    cell = evidence.as_logged(table, row)
    if cell is None:
        return None
    places, verdict = decimals(evidence.test_images(cell.key.dataset)), row_verdict(evidence, table, row, cell)
    return Logged(
        name=cell.key.name,
        differs=as_logged_differs(evidence, table, row),
        id=f"{cell.key.dataset}/{cell.key.name}" if cell.has_run else None,
        planned=bool(cell.planned),
        cell=cell,
        ours=fixed(cell.mean, places) if cell.has_run else NOT_RUN,
        remark=remark(cell).strip(" ()") if cell.has_run else "",
        difference=signed(verdict.difference, places) if verdict else NOTHING,
        verdict=verdict,
        interval=row_interval(evidence, cell),
    )


def _logged_for(evidence: Evidence, place: Place) -> list[tuple[Table, str, str]]:
    """Table, address and label of the rows whose printed logs suggest this cell."""
    return [
        (number, f"{number}/{row.cell}" if cell.has_run else number, row.row)
        for number, table in evidence.params.tables.items()
        for row, cell in evidence.rows(number)
        if place.table is None and (table.dataset, row.as_logged) == (place.dataset, place.cell)
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


def _settings(evidence: Evidence, place: Place) -> list[Setting]:
    """Every setting of the training; a cell's own stand first, beside what the base cell says where that differs."""
    run = evidence.cell(place.dataset, place.cell).results[0].run.config
    asked = flatten(evidence.params.find(place.key)[1].model_dump())
    base = flatten(evidence.params.find(f"{place.dataset}/{place.base}")[1].model_dump())
    found = flatten(run.model_dump())
    return list(_lines(found, asked, base))


def _assumptions(evidence: Evidence, place: Place) -> list[Assumption]:
    """The assumptions that the number's row rests on; an alternative's are those of the cell it is compared with."""
    cell = place.cell if place.table else place.base
    _, row = evidence.place(place.dataset, cell)
    settings = evidence.params.find(f"{place.dataset}/{cell}")[1]
    return [one for one in evidence.params.assumptions if one.applies.to(place.dataset, settings, row)]


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
