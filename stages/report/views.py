"""What DVC's own commands show of a budget: the accuracies for `dvc metrics`, and two files for `dvc plots`.

How the plots look is said in dvc.yaml (`plots`) and in the Vega-Lite templates under .dvc/plots.
"""

import json
from collections.abc import Sequence

import pandas as pd

from stages.config.schema import Table
from stages.report.evidence import Evidence

METRICS, ACCURACY, CURVES = "metrics.json", "accuracy.csv", "curves.csv"
_PLACES = 6  # decimals: more than any number of images supports, less than floating point's noise


def view_files(evidence: Evidence) -> dict[str, str]:
    """The content of the three files, by their names; accuracies in percent.

    metrics.json has {table: {row: test accuracy}}, accuracy.csv the paper's number and ours as two lines of each row,
    ours the mean over the seeds; curves.csv has the validation accuracy after each epoch of each seed. A row without
    results has the paper's number alone.
    """
    return {METRICS: _metrics(evidence), ACCURACY: _accuracy(evidence), CURVES: _curves(evidence)}


def _metrics(evidence: Evidence) -> str:
    tables = evidence.params.tables
    rows = {
        f"Table {number}": {row: round(ours, _PLACES) for row, _, ours in _rows(evidence, number) if ours is not None}
        for number in tables
    }
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _accuracy(evidence: Evidence) -> str:
    lines = []
    for number in evidence.params.tables:
        for row, paper, ours in _rows(evidence, number):
            lines += [] if paper is None else [(number, row, "paper", float(paper))]
            lines += [] if ours is None else [(number, row, "ours", round(ours, _PLACES))]
    return _csv(["table", "row", "source", "accuracy"], lines)


def _rows(evidence: Evidence, number: Table) -> list[tuple[str, str | None, float | None]]:
    """Label, the paper's accuracy as printed, and ours, of every row of a table."""
    return [(row.row, evidence.paper.accuracy(number, row.row), cell.mean) for row, cell in evidence.rows(number)]


def _curves(evidence: Evidence) -> str:
    lines = [
        (number, row.row, result.seed, line.epoch, round(100 * line.validation_accuracy, _PLACES))
        for number in evidence.params.tables
        for row, cell in evidence.rows(number)
        for result in cell.results
        for line in result.history
    ]
    return _csv(["table", "row", "seed", "epoch", "validation_accuracy"], lines)


def _csv(columns: list[str], lines: Sequence[tuple[object, ...]]) -> str:
    return pd.DataFrame(lines, columns=columns).to_csv(index=False, lineterminator="\n")
