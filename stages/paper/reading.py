"""How `data/paper/*.csv` is read. A mistake is one line that names file, line, column, value and what is allowed."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from stages.config.reading import param_error
from stages.core.errors import CorruptFileError, MissingFileError
from stages.paper.schema import (
    Claim,
    Line,
    LogEnd,
    Paper,
    PrintedEpoch,
    PrintedLog,
    PrintedReport,
    PrintedRow,
    Published,
    ReportLine,
)

PAPER_FOLDER = Path("data/paper")
SUMMARY = ("accuracy", "macro avg", "weighted avg")
L = TypeVar("L", bound=Line)
F = TypeVar("F", ReportLine, PrintedEpoch)


def read_paper(folder: Path = PAPER_FOLDER) -> Paper:
    """Read the six files. Raises MissingFileError, CorruptFileError or, for a value that is not allowed, ParamError.

    Without pandas, whose import alone takes longer than an answer of `python -m stages.audit explain` may.
    """
    logs = _by_figure(_read(folder / "logs.csv", PrintedEpoch))
    ends = {end.figure: end for end in _read(folder / "finals.csv", LogEnd)}
    if unfinished := logs.keys() - ends.keys():
        found = f"no figure {', '.join(sorted(unfinished))}"
        raise CorruptFileError(folder / "finals.csv", found, "the closing lines of every log in logs.csv")
    reports = _by_figure(_read(folder / "reports.csv", ReportLine))
    return Paper(
        rows=tuple(_read(folder / "tables.csv", PrintedRow)),
        reports=tuple(_report(folder / "reports.csv", lines) for lines in reports.values()),
        logs=tuple(_log(epochs, ends[figure]) for figure, epochs in logs.items()),
        claims=tuple(_read(folder / "claims.csv", Claim)),
        published=tuple(_read(folder / "published.csv", Published)),
    )


def _report(path: Path, lines: list[ReportLine]) -> PrintedReport:
    head, by_label = lines[0], {line.label: line for line in lines}
    if missing := [label for label in SUMMARY if label not in by_label]:
        raise CorruptFileError(path, f"figure {head.figure} has no {', '.join(missing)}", "classes and summary")
    for line in lines:
        if line.label != SUMMARY[0] and not (line.precision and line.recall):
            raise CorruptFileError(path, f"figure {head.figure}, {line.label}: no precision or recall", "both")
    classes = tuple(line for line in lines if line.label not in SUMMARY)
    accuracy, macro, weighted = (by_label[label] for label in SUMMARY)
    return PrintedReport(head.figure, head.dataset, head.family, classes, accuracy, (macro, weighted))


def _log(epochs: list[PrintedEpoch], end: LogEnd) -> PrintedLog:
    head = epochs[0]
    return PrintedLog(head.figure, head.dataset, head.family, tuple(epochs), end.total_minutes, end.test_accuracy)


def _by_figure(lines: list[F]) -> dict[str, list[F]]:
    figures: dict[str, list[F]] = {}
    for line in lines:
        figures.setdefault(line.figure, []).append(line)
    return figures


def _read(path: Path, kind: type[L]) -> list[L]:
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    try:
        found = [_line(path, number, kind, fields) for number, fields in _lines(path, kind)]
    except UnicodeDecodeError as error:
        raise CorruptFileError(path, f"byte {error.object[error.start]:#04x}", "text in UTF-8") from None
    except csv.Error as error:
        raise CorruptFileError(path, str(error), "CSV") from None
    if not found:
        raise CorruptFileError(path, "no line below the columns", "what the paper prints")
    return found


def _lines(path: Path, kind: type[Line]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line with its number."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        columns = next(lines, [])
        if missing := [name for name in kind.model_fields if name not in columns]:
            found = f"no column {', '.join(missing)}" if columns else "no line"
            raise CorruptFileError(path, found, f"columns {', '.join(kind.model_fields)}")
        for fields in filter(None, lines):
            if len(fields) != len(columns):
                wanted = f"{len(columns)}, with quotes around a field that has a comma"
                raise CorruptFileError(path, f"line {lines.line_num} has {len(fields)} fields", wanted)
            yield lines.line_num, dict(zip(columns, fields, strict=True))


def _line(path: Path, number: int, kind: type[L], fields: dict[str, str]) -> L:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise param_error(error, fields, f"{path}: line {number}, ") from None
