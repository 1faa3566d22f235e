"""Tables I-VI: the paper's number beside ours, as CSV and as markdown, with the stages and runs that made each.

In the markdown, an as-logged number stands in a line of its own below its row; in the CSV, in further columns.
"""

from typing import get_args

from stages.config.schema import Table
from stages.report.captions import done_count, interval_title, table_caption
from stages.report.evidence import Evidence
from stages.report.formats import NOTHING, csv_text, exact
from stages.report.markdown import code, document, escape, folded, plain, table
from stages.report.outcomes import legend, mark, remark
from stages.report.rows import TableRow, lines, table_rows

_OURS = ["mean", "std", "n", "difference", "stages", "runs", "outcome", "low", "high", "verdict"]
_AS_LOGGED = ["as_logged", "as_logged_differs", *(f"as_logged_{name}" for name in _OURS)]
COLUMNS = ["row", "paper", *_OURS, *_AS_LOGGED]


def table_index(number: Table) -> int:
    """A Roman table number as it stands in file names."""
    return get_args(Table).index(number) + 1


def curves_name(number: Table) -> str:
    """The file name of a table's curves."""
    return f"curves_table_{table_index(number)}.png"


def table_csv(evidence: Evidence, number: Table) -> str:
    """A table as CSV; accuracies in percent, differences in points.

    What follows from results is empty for a row without any, but for n, which is 0, and the outcome, `not run`. The
    columns `as_logged...` are empty for a row whose setting is the logs' too.
    """
    return csv_text(COLUMNS, [_csv_line(row) for row in table_rows(evidence, number)])


def _csv_line(row: TableRow) -> dict[str, object]:
    line = {"row": row.row, "paper": row.paper, **_ours(row)}
    if logged := row.as_logged:
        line |= {"as_logged": logged.key.name, "as_logged_differs": plain(logged.differs)}
        line |= {f"as_logged_{name}": value for name, value in _ours(logged).items()}
    return line


def _ours(row: TableRow) -> dict[str, object]:
    """The columns from `mean` on."""
    stages = [stage for result in row.results.results for stage in (result.stage, result.run.stage)]
    low, high = row.interval or (None, None)
    return {
        **row.statistics(),
        "stages": ";".join(stages),
        "runs": ";".join(result.mlflow_run for result in row.results.results),
        "low": exact(low),
        "high": exact(high),
        "verdict": row.verdict.word if row.verdict else None,
    }


def table_body(evidence: Evidence, number: Table) -> str:
    """Caption, table and footnotes: what `tables.md` and the table's own file have in common."""
    rows = table_rows(evidence, number)
    header = ["row", "paper", "ours", interval_title(evidence), "std", "n", "difference", "verdict"]
    printed = table(header, [_line(row) for row in lines(rows)], numbers=range(1, len(header) - 1))
    return document(table_caption(evidence, number), printed, *_footnotes(rows)).rstrip()


def _line(row: TableRow) -> list[str]:
    return [
        escape(row.row),
        row.paper or NOTHING,
        row.mean_text + mark(row.results),
        row.interval_text,
        row.std_text,
        str(row.n),
        row.difference_text,
        row.verdict.word if row.verdict else NOTHING,
    ]


def _footnotes(rows: list[TableRow]) -> list[str]:
    notes = legend([row.results for row in lines(rows)])
    notes += _as_logged_notes([row.as_logged for row in rows if row.as_logged])
    added = [escape(row.row) for row in rows if row.paper is None]
    if added:
        notes.append(f"Rows without a number of the paper are not in its table: {'; '.join(added)}.")
    return notes


def _as_logged_notes(logged: list[TableRow]) -> list[str]:
    """What the lines with `as logged` are: one text for all of a table; none where it has no such line."""
    settings = [
        f"{escape(row.row)}: {code(row.key.name)}, {row.differs}"
        + ("" if row.results.planned else " (not planned: `study_cells` in params.yaml does not name it)")
        for row in logged
    ]
    if not settings:
        return []
    return [
        "Each row follows the paper's text. A line *as logged* has the setting that the paper's printed logs or "
        f"numbers suggest instead, held against the same printed number. {'. '.join(settings)}."
    ]


def table_page(evidence: Evidence, number: Table, figures: str) -> str:
    """A table's own file: the table, its curves, its stages and runs. `figures` is the way to the figures' folder."""
    name = evidence.params.tables[number].caption
    curves = f"![Validation accuracy, Table {number}]({figures}/{curves_name(number)})"
    rows = lines(table_rows(evidence, number))
    drawn = curves if any(row.has_run for row in rows) else ""
    return document(f"# Table {number}: {escape(name)}", table_body(evidence, number), _provenance(rows), drawn)


def _provenance(rows: list[TableRow]) -> str:
    """Which stages and MLflow runs made each number, folded away below the table."""
    listed, numerics = [], set()
    for row in rows:
        for result in row.results.results:
            found = result.run.numerics
            shown = code(result.mlflow_run) if result.mlflow_run else "not mirrored"
            stages = [code(result.stage), code(result.run.stage)]
            listed.append([escape(row.row), str(result.seed), result.outcome, *stages, shown])
            numerics.add(f"{found.device}, {found.precision}, {found.threads} thread{'s' if found.threads > 1 else ''}")
    if not listed:
        return ""
    header = ["row", "seed", "outcome", "evaluate stage", "train stage", "MLflow run"]
    listing = table(header, listed, numbers=[1])
    return folded("Stages and MLflow runs", f"{listing}\n\nTrained on: {escape('; '.join(sorted(numerics)))}.")


def summary_line(evidence: Evidence, number: Table) -> str:
    """A table in one line, for the terminal: each number's accuracy, and the paper's in brackets."""
    rows = lines(table_rows(evidence, number))
    done = done_count([row.results for row in rows])
    counted = f" ({done} trainings)" if done else ""
    numbers = ", ".join(_summary(row) for row in rows if row.has_run or not row.is_as_logged)
    return f"Table {number}, {evidence.params.tables[number].caption}, ours (paper){counted}: {numbers}"


def _summary(row: TableRow) -> str:
    paper = f" ({row.paper})" if row.paper else ""
    return f"{row.row} {row.mean_text}{paper}" + (remark(row.results) if row.has_run else "")
