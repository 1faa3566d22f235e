"""The printed forms of the paper's Figs. 6-17: the classification report as scikit-learn lays it out, and the log."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_COLUMNS = ("precision", "recall", "f1-score")
_SUMMARIES = ("accuracy", "macro avg", "weighted avg")


class LogLine(NamedTuple):
    """One epoch: accuracies in percent, minutes since the start."""

    train: float
    validation: float
    minutes: float


class Log(NamedTuple):
    """A training log: steps an epoch, the epochs that were run of those that were planned, test accuracy in percent."""

    steps: int
    planned: int
    lines: list[LogLine]
    test_accuracy: float


def report_text(report: Mapping[str, Any], classes: Sequence[str], digits: int = 3) -> str:
    """scikit-learn's text layout of its own `output_dict`; the paper prints three digits.

    Laid out here because the dictionary is what the results hold, and scikit-learn takes seconds to import.
    """
    width = max(map(len, [*classes, *_SUMMARIES]))
    support = int(report["macro avg"]["support"])
    return "\n".join(
        [
            f"{'':>{width}}  " + " ".join(f"{name:>9}" for name in (*_COLUMNS, "support")),
            "",
            *(_report_line(name, report[name], width, digits) for name in classes),
            "",
            f"{'accuracy':>{width}}  {'':>9} {'':>9} {report['accuracy']:>9.{digits}f} {support:>9}",
            *(_report_line(name, report[name], width, digits) for name in _SUMMARIES[1:]),
            "",
        ]
    )


def _report_line(label: str, scores: Mapping[str, float], width: int, digits: int) -> str:
    numbers = " ".join(f"{scores[name]:>9.{digits}f}" for name in _COLUMNS)
    return f"{label:>{width}}  {numbers} {int(scores['support']):>9}"


def log_text(log: Log) -> str:
    """The log as the paper prints it, less the progress bars."""
    lines = []
    for epoch, line in enumerate(log.lines, 1):
        accuracies = f"Train: {line.train:.2f}% | Validation: {line.validation:.2f}%"
        lines += [f"Epoch: {epoch:03}/{log.planned:03} | {accuracies}", f"Time elapsed: {line.minutes:.2f} min"]
    total = log.lines[-1].minutes if log.lines else 0.0
    return "\n".join([*lines, f"Total Training Time: {total:.2f} min", f"Test accuracy {log.test_accuracy:.2f}%"])
