"""The paper's printed numbers, from data/paper/*.csv. Accuracies of its tables stay text, with the printed digits."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import CorruptFileError, MissingFileError, ParamError
from stages.report.logs import Log, LogLine

PAPER_FOLDER = Path("data/paper")
_COLUMNS = {
    "tables": ("table", "row", "accuracy"),
    "reports": ("figure", "label", "precision", "recall", "f1", "support"),
    "logs": ("figure", "epoch", "steps", "train_accuracy", "validation_accuracy", "elapsed_minutes"),
    "finals": ("figure", "test_accuracy"),
}
_TEXT = ("table", "row", "figure", "dataset", "family", "label")  # every other column holds numbers
_MAY_BE_EMPTY = ("precision", "recall")  # the report's line of the accuracy has neither
Line = dict[str, str]


@dataclass(frozen=True)
class Paper:
    """Everything printed: accuracies by (table, row); classification reports and logs by the number of their figure."""

    accuracies: dict[tuple[str, str], str]
    reports: dict[str, dict[str, Any]]
    logs: dict[str, Log]

    @property
    def epochs(self) -> int:
        """How many epochs the paper trains."""
        return max(len(log.lines) for log in self.logs.values())

    def accuracy(self, table: str, row: str) -> str | None:
        """A table's printed accuracy; None for a row that the paper does not have."""
        return self.accuracies.get((table, row))

    def report(self, figure: str) -> dict[str, Any]:
        """A figure's classification report, in the form of scikit-learn's `output_dict`; its classes are digits."""
        return _known("report", self.reports, figure)

    def log(self, figure: str) -> Log:
        """A figure's training log."""
        return _known("log", self.logs, figure)


def read_paper(folder: Path = PAPER_FOLDER) -> Paper:
    """Read the four files. Raises MissingFileError or CorruptFileError.

    Without pandas, whose import alone takes longer than an answer of `python -m stages.audit explain` may.
    """
    lines = {name: _read(folder / f"{name}.csv", columns) for name, columns in _COLUMNS.items()}
    finals = {line["figure"]: float(line["test_accuracy"]) for line in lines["finals"]}
    if unfinished := _by_figure(lines["logs"]).keys() - finals.keys():
        missing = f"no figure {', '.join(sorted(unfinished))}"
        raise CorruptFileError(folder / "finals.csv", missing, "the test accuracy of every log in logs.csv")
    return Paper(
        {(line["table"], line["row"]): line["accuracy"] for line in lines["tables"]},
        {figure: _report(of) for figure, of in _by_figure(lines["reports"]).items()},
        {figure: _log(of, finals[figure]) for figure, of in _by_figure(lines["logs"]).items()},
    )


def _read(path: Path, columns: tuple[str, ...]) -> list[Line]:
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, restkey="more", restval="")
        if missing := set(columns) - set(reader.fieldnames or ()):
            raise CorruptFileError(path, f"no column {', '.join(sorted(missing))}", f"columns {', '.join(columns)}")
        lines = list(reader)
    for number, line in enumerate(lines, 2):
        for name in columns:
            _check(path, number, name, line[name])
    return lines


def _check(path: Path, number: int, name: str, text: str) -> None:
    if name in _TEXT or (name in _MAY_BE_EMPTY and not text):
        return
    try:
        value = float(text)
    except ValueError:
        raise CorruptFileError(path, f"{name} {text!r} in line {number}", "a number") from None
    percent = name.endswith("accuracy")
    if not value >= 0 or (percent and value > 100):
        raise CorruptFileError(path, f"{name} {text} in line {number}", "percentages" if percent else "0 or more")


def _by_figure(lines: list[Line]) -> dict[str, list[Line]]:
    figures: dict[str, list[Line]] = {}
    for line in lines:
        figures.setdefault(line["figure"], []).append(line)
    return figures


def _report(lines: list[Line]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for line in lines:
        if line["label"] == "accuracy":
            report["accuracy"] = float(line["f1"])
        else:
            scores = {name: float(line[name]) for name in ("precision", "recall")}
            report[line["label"]] = scores | {"f1-score": float(line["f1"]), "support": int(line["support"])}
    return report


def _log(lines: list[Line], test_accuracy: float) -> Log:
    columns = ("train_accuracy", "validation_accuracy", "elapsed_minutes")
    epochs = [LogLine(*(float(line[name]) for name in columns)) for line in lines]
    return Log(int(lines[0]["steps"]), len(epochs), epochs, test_accuracy)


def _known(kind: str, known: dict[str, Any], figure: str) -> Any:
    if figure not in known:
        raise ParamError(f"params.yaml: {kind}", figure, "a figure of data/paper: " + ", ".join(known))
    return known[figure]
