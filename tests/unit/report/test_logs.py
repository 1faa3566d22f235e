"""The training log in the paper's form."""

from stages.report.logs import Log, LogLine, log_text


def test_log_has_the_papers_form() -> None:
    log = Log(391, 10, [LogLine(96.79, 95.08, 0.58), LogLine(98.805, 97.12, 1.16)], 98.29)
    assert log_text(log).splitlines() == [
        "Epoch: 001/010 | Train: 96.79% | Validation: 95.08%",
        "Time elapsed: 0.58 min",
        "Epoch: 002/010 | Train: 98.81% | Validation: 97.12%",
        "Time elapsed: 1.16 min",
        "Total Training Time: 1.16 min",
        "Test accuracy 98.29%",
    ]
