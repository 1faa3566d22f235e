"""The page of one number: what stands on it, taken from the evidence and ready to be set."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stages.book.origin import Origin, origin
from stages.book.places import Place
from stages.config.params import Assumption, Row, flatten
from stages.report.conditions import conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import NOTHING, decimals, fixed, signed
from stages.report.outcomes import remark
from stages.report.results import Mistake
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
class Number:
    """Everything on a number's page. Accuracies are in percent."""

    place: Place
    cell: CellResults
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
        return self.cell.first.classes


def number_page(evidence: Evidence, place: Place, row: Row | None) -> Number:
    """The page of a cell; `row` is its row in the table that `place` names, None for an alternative of a study."""
    cell = evidence.cell(place.dataset, place.cell)
    table = place.table
    figures = {(str(figure.dataset), figure.cell): figure for figure in evidence.params.figures}
    figure = figures.get((place.dataset, place.cell))
    report = figure.report if figure else None
    return Number(
        place=place,
        cell=cell,
        places=decimals(cell.first.test_images),
        paper=evidence.paper.accuracy(table, place.label) if table else None,
        verdict=row_verdict(evidence, table, row) if table and row else None,
        interval=row_interval(evidence, cell),
        as_paper=conditions(evidence, place.dataset, [place.cell]).as_paper,
        scores=_scores(cell, evidence.paper.report(report) if report else {}),
        matrix=_matrix(cell),
        mistakes=cell.first.most_confused,
        settings=_settings(evidence, place),
        assumptions=_assumptions(evidence, place),
        origins=[origin(result, f"{_asked(place)} --budget {result.budget}") for result in cell.results],
        log=figure.log if figure else None,
        report=report,
    )


def _asked(place: Place) -> str:
    words = [place.table, place.label] if place.table else [place.key]
    return shlex.join(words)


def _scores(cell: CellResults, printed: dict[str, Any]) -> list[Scores]:
    """The report's lines; the paper's reports name the classes by their digits."""
    report, classes = cell.first.report, cell.first.classes
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


def _matrix(cell: CellResults) -> list[tuple[str, list[HeatCell]]]:
    first = cell.first
    return [
        (name, [HeatCell(images, images / sum(row) if sum(row) else 0.0) for images in row])
        for name, row in zip(first.classes, first.confusion, strict=True)
    ]


def _settings(evidence: Evidence, place: Place) -> list[Setting]:
    """Every setting of the training; a cell's own stand first, beside what the base cell says where that differs."""
    run = evidence.cell(place.dataset, place.cell).first.run.config
    asked = flatten(evidence.params.find(place.key)[1].model_dump())
    base = flatten(evidence.params.find(f"{place.dataset}/{place.base}")[1].model_dump())
    found = flatten(run.model_dump())
    return list(_lines(found, asked, base))


def _assumptions(evidence: Evidence, place: Place) -> list[Assumption]:
    """The assumptions that the number's row rests on; an alternative's are those of its study's base."""
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
