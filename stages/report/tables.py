"""Tables I-VI: the paper's number beside ours, as CSV and as markdown, with the stages and runs that made each.

In the markdown, an as-logged number stands in a line of its own below its row; in the CSV, in further columns.
"""

from typing import Any, get_args

from stages.config.schema import Table
from stages.records.run import NumericsRecord
from stages.report.captions import done_count, interval_title, table_caption
from stages.report.evidence import Evidence
from stages.report.formats import csv_text, exact
from stages.report.markdown import plain
from stages.report.outcomes import legend, remark
from stages.report.render import Page, markdown
from stages.report.rows import TableRow, lines, table_rows

_COST = ["parameters", "multiply_adds", "seconds_per_epoch", "images_per_second"]
_OURS = ["mean", "std", "n", "difference", "stages", "runs", "outcome", "low", "high", "verdict", *_COST]
_AS_LOGGED = ["as_logged", "as_logged_differs", *(f"as_logged_{name}" for name in _OURS)]
COLUMNS = ["row", "paper", *_OURS, *_AS_LOGGED]


def table_index(number: Table) -> int:
    """A Roman table number as it stands in file names."""
    return get_args(Table).index(number) + 1


def cost_name(dataset: str) -> str:
    """The file name of a data set's accuracies against training times."""
    return f"cost_{dataset}.png"


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
        **{name: exact(getattr(row.cost, name, None)) for name in _COST},
    }


def table_body(evidence: Evidence, number: Table) -> str:
    """Caption, table and footnotes: what `tables.md` and the table's own file have in common."""
    return markdown("table_body", table=table_content(evidence, number)).rstrip()


def table_page(evidence: Evidence, number: Table, figures: str) -> Page:
    """A table's own file: the table, its curves, its stages and runs. `figures` is the way to the figures' folder."""
    return markdown("table", table=table_content(evidence, number), figures=figures)


def table_content(evidence: Evidence, number: Table) -> dict[str, Any]:
    """What templates print of a table."""
    rows = table_rows(evidence, number)
    every = lines(rows)
    runs = [(row, result) for row in every for result in row.results.results]
    return {
        "number": number,
        "index": table_index(number),
        "title": evidence.params.tables[number].caption,
        "caption": table_caption(evidence, number),
        "interval_title": interval_title(evidence),
        "lines": every,
        "legend": legend([row.results for row in every]),
        "logged": [row.as_logged for row in rows if row.as_logged],
        "added": [row.row for row in rows if row.paper is None],
        "runs": runs,
        "numerics": sorted({_numerics(result.run.numerics) for _, result in runs}),
        "curves": curves_name(number),
    }


def _numerics(found: NumericsRecord) -> str:
    return f"{found.device}, {found.precision}, {found.threads} thread{'s' if found.threads > 1 else ''}"


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
