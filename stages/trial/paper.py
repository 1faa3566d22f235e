"""Everything that the paper prints, from data/paper/*.csv. Numbers stay text: how they were rounded is evidence."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from stages.config.schema import Dataset
from stages.core.errors import CorruptFileError, MissingFileError
from stages.engine.networks import families

PAPER_FOLDER = Path("data/paper")


def _known(family: str) -> str:
    if family not in families():
        raise PydanticCustomError("family", "one of the families {known}", {"known": ", ".join(families())})
    return family


Family = Annotated[str, AfterValidator(_known)]
Number = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]
Signed = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Some = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, Field(ge=0)]
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
SUMMARY = ("accuracy", "macro avg", "weighted avg")


class _Line(BaseModel):
    """A line of a CSV file; its fields are the file's columns."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Row(_Line):
    """A table's row: accuracy in percent."""

    table: str
    row: str
    accuracy: Number


class ReportLine(_Line):
    """A class of a classification report, or one of its three summary lines: shares from 0 to 1."""

    figure: str
    dataset: Dataset
    family: Family
    label: str
    precision: Number | Literal[""]
    recall: Number | Literal[""]
    f1: Number
    support: Whole


class Epoch(_Line):
    """An epoch of a training log: accuracies in percent, minutes since the start."""

    figure: str
    dataset: Dataset
    family: Family
    epoch: Whole
    steps: Whole
    train_accuracy: Number
    validation_accuracy: Number
    elapsed_minutes: Number


class Final(_Line):
    """A log's closing lines: minutes in all, test accuracy in percent."""

    figure: str
    total_minutes: Number
    test_accuracy: Number


class Claim(_Line):
    """Something that the prose says of the numbers. Empty `dataset`, `families` or `where`: of all of them.

    `reading` is `printed` where `value` stands in the paper, `ours` where it is what we take a word like "much" for.
    `where` holds table numbers, row labels or published networks, as the quantity demands; `exceptions` holds names of
    classes.
    """

    section: str
    says: str
    quantity: Quantity
    relation: Relation
    value: Some
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


class Published(_Line):
    """What the publication that introduced a network says of it, or what follows from its tables."""

    network: str
    quantity: Quantity
    value: Number
    source: str


@dataclass(frozen=True)
class Report:
    """A classification report: its classes in printed order, and its three summary lines."""

    figure: str
    dataset: Dataset
    family: Family
    classes: tuple[ReportLine, ...]
    accuracy: ReportLine
    averages: tuple[ReportLine, ReportLine]  # macro, weighted

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"Fig. {self.figure}"


@dataclass(frozen=True)
class Log:
    """A training log."""

    figure: str
    dataset: Dataset
    family: Family
    epochs: tuple[Epoch, ...]
    total_minutes: str
    test_accuracy: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"Fig. {self.figure}"


@dataclass(frozen=True)
class Paper:
    """All that is on trial, and what is published elsewhere of its networks."""

    rows: tuple[Row, ...]
    reports: tuple[Report, ...]
    logs: tuple[Log, ...]
    claims: tuple[Claim, ...]
    published: tuple[Published, ...]


_L = TypeVar("_L", bound=_Line)
_F = TypeVar("_F", ReportLine, Epoch)


def read_paper(folder: Path = PAPER_FOLDER) -> Paper:
    """Read the six files. Raises MissingFileError, or CorruptFileError with file, line, column and what is allowed."""
    finals = {final.figure: final for final in _read(folder / "finals.csv", Final)}
    logs = []
    for figure, epochs in _by_figure(_read(folder / "logs.csv", Epoch)).items():
        if figure not in finals:
            raise CorruptFileError(folder / "finals.csv", f"no figure {figure}", "every log's closing lines")
        head, final = epochs[0], finals[figure]
        logs.append(Log(figure, head.dataset, head.family, tuple(epochs), final.total_minutes, final.test_accuracy))
    return Paper(
        tuple(_read(folder / "tables.csv", Row)),
        tuple(_reports(folder / "reports.csv")),
        tuple(logs),
        tuple(_read(folder / "claims.csv", Claim)),
        tuple(_read(folder / "published.csv", Published)),
    )


def _reports(path: Path) -> list[Report]:
    reports = []
    for figure, lines in _by_figure(_read(path, ReportLine)).items():
        summary = {line.label: line for line in lines if line.label in SUMMARY}
        if missing := set(SUMMARY) - summary.keys():
            raise CorruptFileError(path, f"figure {figure} has no {', '.join(sorted(missing))}", "classes and summary")
        for line in lines:
            if line.label != SUMMARY[0] and not (line.precision and line.recall):
                raise CorruptFileError(path, f"figure {figure}, {line.label}: no precision or recall", "both")
        classes = tuple(line for line in lines if line.label not in SUMMARY)
        accuracy, macro, weighted = (summary[label] for label in SUMMARY)
        head = lines[0]
        reports.append(Report(figure, head.dataset, head.family, classes, accuracy, (macro, weighted)))
    return reports


def _by_figure(lines: list[_F]) -> dict[str, list[_F]]:
    figures: dict[str, list[_F]] = {}
    for line in lines:
        figures.setdefault(line.figure, []).append(line)
    return figures


def _read(path: Path, kind: type[_L]) -> list[_L]:
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    try:
        return [_line(path, number, kind, line) for number, line in _lines(path, kind)]
    except UnicodeDecodeError as error:
        raise CorruptFileError(path, f"byte {error.object[error.start]:#04x}", "text in UTF-8") from None
    except csv.Error as error:
        raise CorruptFileError(path, str(error), "CSV") from None


def _lines(path: Path, kind: type[_Line]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line with its number. The csv module, as pandas takes a field too many in the first line for an index."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        columns = next(lines, [])
        if missing := kind.model_fields.keys() - set(columns):
            found = f"no column {', '.join(sorted(missing))}" if columns else "no line"
            raise CorruptFileError(path, found, f"columns {', '.join(kind.model_fields)}")
        for fields in filter(None, lines):
            if len(fields) != len(columns):
                wanted = f"{len(columns)}, with quotes around a field that has a comma"
                raise CorruptFileError(path, f"line {lines.line_num} has {len(fields)} fields", wanted)
            yield lines.line_num, dict(zip(columns, fields, strict=True))


def _line(path: Path, number: int, kind: type[_L], line: Any) -> _L:
    try:
        return kind.model_validate(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = f"line {number}, {first['loc'][0]} {first['input']!r}"
        raise CorruptFileError(path, found, first["msg"].removeprefix("Input should be ")) from None
