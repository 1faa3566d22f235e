"""What DVC's own commands show of a budget: the accuracies for `dvc metrics`, and two files for `dvc plots`.

How the plots look is said in dvc.yaml (`plots`) and in the Vega-Lite templates under .dvc/plots.
"""

import json
from collections.abc import Sequence

from stages.report.evidence import Evidence
from stages.report.formats import csv_text, exact
from stages.report.rows import TableRow, table_rows

METRICS, ACCURACY, CURVES = "metrics.json", "accuracy.csv", "curves.csv"


def view_files(evidence: Evidence) -> dict[str, str]:
    """The content of the three files, by their names; accuracies in percent.

    metrics.json has {table: {row: test accuracy}}, accuracy.csv the paper's number and ours as two lines of each row,
    ours the mean over the seeds; curves.csv has the validation accuracy after each epoch of each seed. A row without
    results has the paper's number alone.
    """
    return {METRICS: _metrics(evidence), ACCURACY: _accuracy(evidence), CURVES: _curves(evidence)}


def _metrics(evidence: Evidence) -> str:
    tables = {
        f"Table {number}": {row.row: exact(row.mean) for row in table_rows(evidence, number) if row.has_run}
        for number in evidence.params.shown_tables
    }
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"


def _accuracy(evidence: Evidence) -> str:
    lines: list[tuple[object, ...]] = []
    for row in _rows(evidence):
        lines += [(row.table, row.row, "paper", float(row.paper))] if row.paper else []
        lines += [(row.table, row.row, "ours", exact(row.mean))] if row.has_run else []
    return _csv(["table", "row", "source", "accuracy"], lines)


def _curves(evidence: Evidence) -> str:
    lines = [
        (row.table, row.row, result.seed, line.epoch, exact(100 * line.validation_accuracy))
        for row in _rows(evidence)
        for result in row.results.results
        for line in result.history
    ]
    return _csv(["table", "row", "seed", "epoch", "validation_accuracy"], lines)


def _rows(evidence: Evidence) -> list[TableRow]:
    """The rows of all tables."""
    return [row for number in evidence.params.shown_tables for row in table_rows(evidence, number)]


def _csv(columns: list[str], lines: Sequence[tuple[object, ...]]) -> str:
    return csv_text(columns, [dict(zip(columns, line, strict=True)) for line in lines])
