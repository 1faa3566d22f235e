"""Tables I-VI: the paper's number beside ours, as CSV and as markdown, with the stages and runs that made each.

A row's cell follows the paper's text. Where the printed logs or numbers suggest another setting (`as_logged`), its
number stands in a line of its own below the row, and in further columns of the CSV.
"""

from typing import get_args

import pandas as pd

from stages.config.schema import Row, Table
from stages.report.captions import done_count, table_caption
from stages.report.differences import differences_text
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import EXACT, NOTHING, decimals, fixed, signed
from stages.report.markdown import code, document, escape, folded, table
from stages.report.outcomes import NOT_RUN, legend, mark, outcome, remark
from stages.report.places import as_logged_label
from stages.report.verdicts import interval_text, interval_title, row_interval, row_verdict

_OURS = ["mean", "std", "n", "difference", "stages", "runs", "outcome", "low", "high", "verdict"]
_AS_LOGGED = ["as_logged", "as_logged_differs", *(f"as_logged_{name}" for name in _OURS)]
COLUMNS = ["row", "paper", *_OURS, *_AS_LOGGED]


def table_index(number: Table) -> int:
    """A Roman table number as it stands in file names."""
    return get_args(Table).index(number) + 1


def curves_name(number: Table) -> str:
    """The file name of a table's curves."""
    return f"curves_table_{table_index(number)}.png"


def table_frame(evidence: Evidence, number: Table) -> pd.DataFrame:
    """A table with the columns of its CSV file; accuracies in percent, differences in points.

    What follows from results is empty for a row without any, but for n, which is 0, and the outcome, `not run`. The
    columns `as_logged...` are empty for a row whose setting is the logs' too.
    """
    rows = []
    for row, cell in evidence.rows(number):
        ours, logged = _ours(evidence, number, row, cell), _as_logged(evidence, number, row)
        rows.append([row.row, evidence.paper.accuracy(number, row.row), *ours, *logged])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"as_logged_n": "Int64"})


def _ours(evidence: Evidence, number: Table, row: Row, cell: CellResults) -> list[object]:
    """The columns of a cell that is held against a row, from `mean` on."""
    verdict = row_verdict(evidence, number, row, cell)
    low, high = row_interval(evidence, cell) or (None, None)
    stages = [stage for result in cell.results for stage in (result.stage, result.run.stage)]
    runs = [result.mlflow_run for result in cell.results]
    return [
        _exact(cell.mean),
        _exact(cell.std),
        len(cell.results),
        _exact(verdict.difference) if verdict else None,
        ";".join(stages) or None,
        ";".join(runs) or None,
        outcome(cell),
        _exact(low),
        _exact(high),
        verdict.word if verdict else None,
    ]


def _as_logged(evidence: Evidence, number: Table, row: Row) -> list[object]:
    logged = evidence.as_logged(number, row)
    if not logged:
        return [None] * len(_AS_LOGGED)
    differs = as_logged_differs(evidence, number, row).replace("`", "")
    return [logged.key.name, differs, *_ours(evidence, number, row, logged)]


def as_logged_differs(evidence: Evidence, number: Table, row: Row) -> str:
    """What a row's as-logged cell sets differently from the row's own, as markdown."""
    dataset = evidence.params.tables[number].dataset
    return differences_text(evidence.params, evidence.budget_name, dataset, row.cell, row.as_logged or row.cell)


def _exact(value: float | None) -> float | None:
    return None if value is None else round(value, EXACT)


def table_csv(frame: pd.DataFrame) -> str:
    """A table as CSV."""
    return frame.to_csv(index=False, lineterminator="\n")


def table_body(evidence: Evidence, number: Table, frame: pd.DataFrame) -> str:
    """Caption, table and footnotes: what `tables.md` and the table's own file have in common."""
    header = ["row", "paper", "ours", interval_title(evidence), "std", "n", "difference", "verdict"]
    printed = table(header, list(_lines(evidence, number)), numbers=range(1, len(header) - 1))
    return document(table_caption(evidence, number), printed, *_footnotes(evidence, number, frame)).rstrip()


def _lines(evidence: Evidence, number: Table) -> list[list[str]]:
    """The lines of the table: each row, and its as-logged cell behind it."""
    lines = []
    for row, cell in evidence.rows(number):
        lines.append(_line(evidence, number, row, row.row, cell))
        if logged := evidence.as_logged(number, row):
            lines.append(_line(evidence, number, row, as_logged_label(row), logged))
    return lines


def _line(evidence: Evidence, number: Table, row: Row, label: str, cell: CellResults) -> list[str]:
    verdict = row_verdict(evidence, number, row, cell)
    places = decimals(evidence.test_images(cell.key.dataset))
    return [
        escape(label),
        evidence.paper.accuracy(number, row.row) or NOTHING,
        fixed(cell.mean, places) + mark(cell) if cell.has_run else NOT_RUN,
        interval_text(row_interval(evidence, cell), places),
        fixed(cell.std, places),
        str(len(cell.results)),
        signed(verdict.difference if verdict else None, places),
        verdict.word if verdict else NOTHING,
    ]


def _footnotes(evidence: Evidence, number: Table, frame: pd.DataFrame) -> list[str]:
    notes = legend([cell for _, cell in evidence.labelled(number)])
    notes += as_logged_notes(evidence, number)
    added = [escape(row) for row in frame["row"][frame["paper"].isna()]]
    if added:
        notes.append(f"Rows without a number of the paper are not in its table: {'; '.join(added)}.")
    return notes


def as_logged_notes(evidence: Evidence, number: Table) -> list[str]:
    """What the lines with `as logged` are: one text for all of a table; none where it has no such line."""
    settings = [
        f"{escape(as_logged_label(row))}: {code(logged.key.name)}, {as_logged_differs(evidence, number, row)}"
        + ("" if logged.planned else " (not planned: `study_cells` in params.yaml does not name it)")
        for row, logged in ((row, evidence.as_logged(number, row)) for row, _ in evidence.rows(number))
        if logged
    ]
    if not settings:
        return []
    return [
        "Each row follows the paper's text. A line *as logged* has the setting that the paper's printed logs or "
        f"numbers suggest instead, held against the same printed number. {'. '.join(settings)}."
    ]


def table_page(evidence: Evidence, number: Table, frame: pd.DataFrame, figures: str) -> str:
    """A table's own file: the table, its curves, its stages and runs. `figures` is the way to the figures' folder."""
    name = evidence.params.tables[number].caption
    curves = f"![Validation accuracy, Table {number}]({figures}/{curves_name(number)})"
    body = table_body(evidence, number, frame)
    drawn = curves if has_curves(evidence, number) else ""
    return document(f"# Table {number}: {escape(name)}", body, provenance(evidence, number), drawn)


def has_curves(evidence: Evidence, number: Table) -> bool:
    """Whether any number of a table has a result, so that there are curves to draw."""
    return any(cell.has_run for _, cell in evidence.labelled(number))


def provenance(evidence: Evidence, number: Table) -> str:
    """Which stages and MLflow runs made each number, folded away below the table."""
    rows, numerics = [], set()
    for label, cell in evidence.labelled(number):
        for result in cell.results:
            found = result.run.numerics
            shown = code(result.mlflow_run) if result.mlflow_run else "not mirrored"
            stages = [code(result.stage), code(result.run.stage)]
            rows.append([escape(label), str(result.seed), result.outcome, *stages, shown])
            numerics.add(f"{found.device}, {found.precision}, {found.threads} thread{'s' if found.threads > 1 else ''}")
    if not rows:
        return ""
    header = ["row", "seed", "outcome", "evaluate stage", "train stage", "MLflow run"]
    listing = table(header, rows, numbers=[1])
    return folded("Stages and MLflow runs", f"{listing}\n\nTrained on: {escape('; '.join(sorted(numerics)))}.")


def summary_line(evidence: Evidence, number: Table) -> str:
    """A table in one line, for the terminal: each number's accuracy, and the paper's in brackets."""
    settings = evidence.params.tables[number]
    places = decimals(evidence.test_images(settings.dataset))
    numbers = []
    for row, cell in evidence.rows(number):
        paper = evidence.paper.accuracy(number, row.row)
        numbers.append(_summary(row.row, cell, paper, places))
        logged = evidence.as_logged(number, row)
        if logged and logged.has_run:
            numbers.append(_summary(as_logged_label(row), logged, paper, places))
    done = done_count([cell for _, cell in evidence.labelled(number)])
    counted = f" ({done} trainings)" if done else ""
    return f"Table {number}, {settings.caption}, ours (paper){counted}: {', '.join(numbers)}"


def _summary(label: str, cell: CellResults, paper: str | None, places: int) -> str:
    shown = fixed(cell.mean, places) if cell.has_run else NOT_RUN
    return f"{label} {shown}" + (f" ({paper})" if paper else "") + (remark(cell) if cell.has_run else "")
