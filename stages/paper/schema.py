"""The types of what the paper prints. Numbers stay text, since how they were rounded is evidence."""

import re
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from stages.config.schema import Dataset
from stages.core.errors import ParamError
from stages.engine.networks import families

T = TypeVar("T")


def _known(family: str) -> str:
    if family not in families():
        raise PydanticCustomError("family", "one of the families {known}", {"known": ", ".join(families())})
    return family


def _numeral(what: str, most: float = inf) -> AfterValidator:
    """Check that a text is a number of at most `most`, in digits; `what` says so."""

    def check(text: str) -> str:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) > most:
            raise PydanticCustomError("numeral", "{what}", {"what": what})
        return text

    return AfterValidator(check)


Family = Annotated[str, AfterValidator(_known)]
Number = Annotated[str, _numeral("a number like 12 or 12.5")]
Percent = Annotated[str, _numeral("a percentage like 12 or 12.5", 100)]
Share = Annotated[str, _numeral("a share like 0.125", 1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Listed = BeforeValidator(lambda text: tuple(filter(None, text.split(";"))))
Words = Annotated[tuple[str, ...], Listed]
Quantity = Literal[
    "f1",
    "precision",
    "recall",
    "every score",
    "accuracy",
    "accuracy spread",
    "accuracy gain",
    "row",
    "train-validation gap",
    "batch size",
    "epochs",
    "training minutes",
    "training images",
    "test images",
    "classes",
    "image side",
    "channels",
    "data set",
    "initial learning rate",
    "parameters",
    "input side",
    "modules between inner max-pools",
]
Relation = Literal["equals", "above", "at least", "at most", "mostly above", "lowest", "is printed", "is named"]


class Line(BaseModel):
    """A line of a CSV file; its fields are the columns that are read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class PrintedRow(Line):
    """A row of tables.csv: an accuracy in percent."""

    table: str
    row: str
    accuracy: Percent


class ReportLine(Line):
    """A line of reports.csv: a class, or one of the three summary lines. That of the accuracy has an F1 alone."""

    figure: str
    dataset: Dataset
    family: Family
    label: str
    precision: Share | Literal[""]
    recall: Share | Literal[""]
    f1: Share
    support: Natural


class PrintedEpoch(Line):
    """A line of logs.csv: accuracies in percent, minutes since the start."""

    figure: str
    dataset: Dataset
    family: Family
    epoch: Positive
    steps: Positive
    train_accuracy: Percent
    validation_accuracy: Percent
    elapsed_minutes: Number


class LogEnd(Line):
    """A line of finals.csv, with which a log ends: minutes in all, test accuracy in percent."""

    figure: str
    total_minutes: Number
    test_accuracy: Percent


class Claim(Line):
    """A line of claims.csv: what the prose says of numbers. Empty `dataset`, `families` or `where`: of all of them.

    `reading` is `printed` where the paper prints `value`, and `ours` where it is what we take a word for: for words
    like "little" a key of params.yaml. `where` holds table numbers, row labels or published networks, as the quantity
    demands; `exceptions` holds names of classes.
    """

    section: str
    says: str
    quantity: Quantity
    relation: Relation
    value: Annotated[str, Field(min_length=1)]
    reading: Literal["printed", "ours"]
    dataset: Dataset | Literal[""]
    families: Annotated[tuple[Family, ...], Listed]
    where: Words
    exceptions: Words

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"Section {self.section}"

    def speaks_of(self, dataset: str, family: str) -> bool:
        """Whether a data set and family are among those the claim is about."""
        return self.dataset in ("", dataset) and (not self.families or family in self.families)


class Published(Line):
    """A line of published.csv: what the publication of a network says of it, or what follows from its tables."""

    network: str
    quantity: Quantity
    value: Number
    source: str


@dataclass(frozen=True)
class Figure:
    """A figure of the appendix, by its number; data set and family are its caption's."""

    figure: str
    dataset: Dataset
    family: Family

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"Fig. {self.figure}"


@dataclass(frozen=True)
class PrintedReport(Figure):
    """A classification report: its classes in printed order, and its three summary lines."""

    classes: tuple[ReportLine, ...]
    accuracy: ReportLine
    averages: tuple[ReportLine, ReportLine]  # macro, weighted

    def output_dict(self) -> dict[str, Any]:
        """The report in the form of scikit-learn's `output_dict`."""
        found: dict[str, Any] = {"accuracy": float(self.accuracy.f1)}
        for line in (*self.classes, *self.averages):
            scores = {"precision": line.precision, "recall": line.recall, "f1-score": line.f1}
            found[line.label] = {name: float(score) for name, score in scores.items()} | {"support": line.support}
        return found


@dataclass(frozen=True)
class PrintedLog(Figure):
    """A training log."""

    epochs: tuple[PrintedEpoch, ...]
    total_minutes: str
    test_accuracy: str


@dataclass(frozen=True)
class Paper:
    """Everything that is printed, and what is published elsewhere of the paper's networks."""

    rows: tuple[PrintedRow, ...]
    reports: tuple[PrintedReport, ...]
    logs: tuple[PrintedLog, ...]
    claims: tuple[Claim, ...]
    published: tuple[Published, ...]

    @property
    def epochs(self) -> int:
        """How many epochs the paper trains."""
        return max(len(log.epochs) for log in self.logs)

    def accuracy(self, table: str, row: str) -> str | None:
        """A row's accuracy; None for a row that the paper does not have."""
        return next((each.accuracy for each in self.rows if (each.table, each.row) == (table, row)), None)

    def report(self, figure: str) -> PrintedReport:
        """A figure's report. Raises ParamError for a figure that shows none."""
        return _of_figure("report", {report.figure: report for report in self.reports}, figure)

    def log(self, figure: str) -> PrintedLog:
        """A figure's log. Raises ParamError for a figure that shows none."""
        return _of_figure("log", {log.figure: log for log in self.logs}, figure)


def _of_figure(kind: str, known: dict[str, T], figure: str) -> T:
    if figure not in known:
        raise ParamError(f"params.yaml: {kind}", figure, "a figure of data/paper: " + ", ".join(known))
    return known[figure]
