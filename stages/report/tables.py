"""Tables I-VI: the paper's number beside ours, as CSV and as markdown, with the stages and runs that made each."""

from typing import get_args

import pandas as pd

from stages.config.params import Row, Table
from stages.report.captions import table_caption
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import EXACT, NOTHING, decimals, fixed, signed
from stages.report.markdown import code, document, escape, folded, table
from stages.report.outcomes import legend, mark, outcome, remark
from stages.report.verdicts import interval_text, interval_title, row_interval, row_verdict

COLUMNS = ["row", "paper", "mean", "std", "n", "difference", "stages", "runs", "outcome", "low", "high", "verdict"]


def table_index(number: Table) -> int:
    """A Roman table number as it stands in file names."""
    return get_args(Table).index(number) + 1


def curves_name(number: Table) -> str:
    """The file name of a table's curves."""
    return f"curves_table_{table_index(number)}.png"


def table_frame(evidence: Evidence, number: Table) -> pd.DataFrame:
    """A table with the columns of its CSV file; accuracies in percent, differences in points."""
    settings = evidence.params.tables[number]
    rows = [_line(evidence, number, row, evidence.cell(settings.dataset, row.cell)) for row in settings.rows]
    return pd.DataFrame(rows, columns=COLUMNS)


def _line(evidence: Evidence, number: Table, row: Row, cell: CellResults) -> tuple[object, ...]:
    verdict, interval = row_verdict(evidence, number, row), row_interval(evidence, cell)
    paper, difference = (verdict.paper, _exact(verdict.difference)) if verdict else (None, None)
    stages = [stage for result in cell.results for stage in (result.stages.evaluate, result.stages.train)]
    runs = [result.mlflow_run for result in cell.results]
    ours = (_exact(cell.mean), _exact(cell.std), len(cell.results), difference)
    low, high = interval or (None, None)
    made_by = (";".join(stages), ";".join(runs), outcome(cell))
    return (row.row, paper, *ours, *made_by, _exact(low), _exact(high), verdict.word if verdict else None)


def _exact(value: float | None) -> float | None:
    return None if value is None else round(value, EXACT)


def table_csv(frame: pd.DataFrame) -> str:
    """A table as CSV."""
    return frame.to_csv(index=False, lineterminator="\n")


def table_body(evidence: Evidence, number: Table, frame: pd.DataFrame) -> str:
    """Caption, table and footnotes: what `tables.md` and the table's own file have in common."""
    settings = evidence.params.tables[number]
    cells = [evidence.cell(settings.dataset, row.cell) for row in settings.rows]
    rows = [_printed(evidence, number, row, cell) for row, cell in zip(settings.rows, cells, strict=True)]
    header = ["row", "paper", "ours", interval_title(evidence), "std", "n", "difference", "verdict"]
    printed = table(header, rows, numbers=range(1, len(header) - 1))
    return document(table_caption(evidence, number), printed, *_footnotes(frame, cells)).rstrip()


def _printed(evidence: Evidence, number: Table, row: Row, cell: CellResults) -> list[str]:
    verdict = row_verdict(evidence, number, row)
    places = decimals(cell.first.test_images)
    return [
        escape(row.row),
        verdict.paper if verdict else NOTHING,
        fixed(cell.mean, places) + mark(cell),
        interval_text(row_interval(evidence, cell), places),
        fixed(cell.std, places),
        str(len(cell.results)),
        signed(verdict.difference if verdict else None, places),
        verdict.word if verdict else NOTHING,
    ]


def _footnotes(frame: pd.DataFrame, cells: list[CellResults]) -> list[str]:
    notes = legend(cells)
    added = [escape(row) for row in frame["row"][frame["paper"].isna()]]
    if added:
        notes.append(f"Rows without a number of the paper are not in its table: {'; '.join(added)}.")
    return notes


def table_page(evidence: Evidence, number: Table, frame: pd.DataFrame, figures: str) -> str:
    """A table's own file: the table, its curves, its stages and runs. `figures` is the way to the figures' folder."""
    name = evidence.params.tables[number].caption
    curves = f"![Validation accuracy, Table {number}]({figures}/{curves_name(number)})"
    body = table_body(evidence, number, frame)
    return document(f"# Table {number}: {escape(name)}", body, provenance(evidence, number), curves)


def provenance(evidence: Evidence, number: Table) -> str:
    """Which stages and MLflow runs made each number, folded away below the table."""
    settings = evidence.params.tables[number]
    rows, machines = [], set()
    for row in settings.rows:
        for result in evidence.cell(settings.dataset, row.cell).results:
            run = result.run
            shown = code(result.mlflow_run) if result.mlflow_run else "not mirrored"
            stages = [code(result.stages.evaluate), code(result.stages.train)]
            rows.append([escape(row.row), str(result.seed), result.outcome, *stages, shown])
            machines.add(f"{run.device}, {run.precision}, {run.threads} thread{'s' if run.threads > 1 else ''}")
    header = ["row", "seed", "outcome", "evaluate stage", "train stage", "MLflow run"]
    listing = table(header, rows, numbers=[1])
    return folded("Stages and MLflow runs", f"{listing}\n\nTrained on: {escape('; '.join(sorted(machines)))}.")


def summary_line(evidence: Evidence, number: Table) -> str:
    """A table in one line, for the terminal: each row's accuracy, and the paper's in brackets."""
    settings = evidence.params.tables[number]
    places = decimals(evidence.test_images(settings.dataset))
    numbers = []
    for row in settings.rows:
        paper = evidence.paper.accuracy(number, row.row)
        cell = evidence.cell(settings.dataset, row.cell)
        numbers.append(f"{row.row} {cell.mean:.{places}f}" + (f" ({paper})" if paper else "") + remark(cell))
    return f"Table {number}, {settings.caption}, ours (paper): {', '.join(numbers)}"
