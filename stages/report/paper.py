"""The paper's printed numbers, from data/paper/*.csv. Accuracies of its tables stay text, with the printed digits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.core.errors import CorruptFileError, MissingFileError, ParamError
from stages.report.logs import Log, LogLine

PAPER_FOLDER = Path("data/paper")
_COLUMNS = {
    "tables": ("table", "row", "accuracy"),
    "reports": ("figure", "label", "precision", "recall", "f1", "support"),
    "logs": ("figure", "epoch", "steps", "train_accuracy", "validation_accuracy", "elapsed_minutes"),
    "finals": ("figure", "test_accuracy"),
}
_TEXT = ("table", "row", "accuracy", "figure", "label")


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
    """Read the four files. Raises MissingFileError or CorruptFileError."""
    frames = {name: _read(folder / f"{name}.csv", columns) for name, columns in _COLUMNS.items()}
    tables = frames["tables"]
    keys = zip(tables["table"], tables["row"], strict=True)
    finals = dict(zip(frames["finals"]["figure"], frames["finals"]["test_accuracy"], strict=True))
    return Paper(
        dict(zip(keys, tables["accuracy"], strict=True)),
        {str(figure): _report(lines) for figure, lines in frames["reports"].groupby("figure", sort=False)},
        {str(figure): _log(lines, finals[figure]) for figure, lines in frames["logs"].groupby("figure", sort=False)},
    )


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    frame = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, str))
    if missing := set(columns) - set(frame.columns):
        raise CorruptFileError(path, f"no column {', '.join(sorted(missing))}", f"columns {', '.join(columns)}")
    for number in pd.to_numeric(frame["accuracy"], errors="coerce") if "accuracy" in frame else ():
        if not 0 <= number <= 100:
            raise CorruptFileError(path, f"accuracy {number}", "percentages")
    return frame


def _report(lines: pd.DataFrame) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for line in lines.to_dict("records"):
        scores = {key: line[key] for key in ("precision", "recall", "support")} | {"f1-score": line["f1"]}
        report[str(line["label"])] = line["f1"] if line["label"] == "accuracy" else scores
    return report


def _log(lines: pd.DataFrame, test_accuracy: float) -> Log:
    columns = (lines["train_accuracy"], lines["validation_accuracy"], lines["elapsed_minutes"])
    epochs = [LogLine(*map(float, values)) for values in zip(*columns, strict=True)]
    return Log(int(lines["steps"].iloc[0]), len(epochs), epochs, float(test_accuracy))


def _known(kind: str, known: dict[str, Any], figure: str) -> Any:
    if figure not in known:
        raise ParamError(f"params.yaml: {kind}", figure, "a figure of data/paper: " + ", ".join(known))
    return known[figure]
