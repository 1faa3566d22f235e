"""The training log in the form of the paper's Figs. 6-17."""

from typing import NamedTuple

from stages.paper.schema import PrintedLog


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


def printed_log(log: PrintedLog) -> Log:
    """A log as the paper prints it."""
    lines = [
        LogLine(float(epoch.train_accuracy), float(epoch.validation_accuracy), float(epoch.elapsed_minutes))
        for epoch in log.epochs
    ]
    return Log(log.epochs[0].steps, len(lines), lines, float(log.test_accuracy))


def log_text(log: Log) -> str:
    """The log as the paper prints it, less the progress bars."""
    lines = []
    for epoch, line in enumerate(log.lines, 1):
        accuracies = f"Train: {line.train:.2f}% | Validation: {line.validation:.2f}%"
        lines += [f"Epoch: {epoch:03}/{log.planned:03} | {accuracies}", f"Time elapsed: {line.minutes:.2f} min"]
    total = log.lines[-1].minutes if log.lines else 0.0
    return "\n".join([*lines, f"Total Training Time: {total:.2f} min", f"Test accuracy {log.test_accuracy:.2f}%"])
