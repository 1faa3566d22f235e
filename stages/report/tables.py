"""The tables as CSV and as markdown, with the stages and runs that made each number.

Tables I-VI have the paper's number beside ours. In the markdown, an as-logged number stands in a line of its own below
its row; in the CSV, in further columns. A table that the paper does not have says instead what each network costs.
"""

from typing import Any

from stages.config.schema import PAPER_TABLES, Table
from stages.core.progress import duration
from stages.records.run import NumericsRecord
from stages.report.captions import done_count, interval_title, table_caption
from stages.report.evidence import Evidence
from stages.report.formats import NOTHING, csv_text, exact
from stages.report.markdown import plain
from stages.report.outcomes import legend, remark
from stages.report.render import RenderedText, markdown
from stages.report.rows import TableRow, lines, table_rows
from stages.report.studies import SuggestedRow, suggested_rows

_TIMES = ["seconds_per_epoch", "images_per_second", "training_seconds"]
_COST = ["parameters", "multiply_adds", *_TIMES, "device", "timed"]
_OURS = ["mean", "std", "n", "difference", "stages", "runs", "outcome", "low", "high", "verdict", *_COST]
_AS_LOGGED = ["as_logged", "as_logged_differs", *(f"as_logged_{name}" for name in _OURS)]
COLUMNS = ["row", "paper", *_OURS, *_AS_LOGGED]
_OF_PAPER = {"difference", "verdict"}
OTHER_COLUMNS = ["row", *(name for name in _OURS if name not in _OF_PAPER)]


def table_index(number: Table) -> str:
    """A table's number as it stands in file names: 4 for IV, s1a for S1a."""
    return str(PAPER_TABLES.index(number) + 1) if number in PAPER_TABLES else number.lower()


def cost_name(dataset: str) -> str:
    """The file name of a data set's accuracies against training times."""
    return f"cost_{dataset}.png"


def curves_name(number: Table) -> str:
    """The file name of a table's curves."""
    return f"curves_table_{table_index(number)}.png"


def table_csv(evidence: Evidence, number: Table) -> str:
    """A table as CSV; accuracies in percent, differences in points.

    What follows from results is empty for a row without any, but for n, which is 0, and the outcome, `not run` or
    `not planned`. The
    columns `as_logged...` are empty for a row whose setting is the logs' too. A table that the paper does not have has
    no column of the paper's. What the cost columns count, `stages.report.cost.Cost` says.
    """
    rows = table_rows(evidence, number)
    if number not in PAPER_TABLES:
        return csv_text(OTHER_COLUMNS, [_other_line(row) for row in rows])
    return csv_text(COLUMNS, [_csv_line(row) for row in rows])


def _other_line(row: TableRow) -> dict[str, object]:
    ours = {name: value for name, value in _ours(row).items() if name not in _OF_PAPER}
    return {"row": row.row, **ours}


def cost_texts(row: TableRow) -> list[str]:
    """Parameters, multiply-adds and time of training, as they are printed; dashes for a row without a result."""
    if row.cost is None:
        return [NOTHING] * 3
    return [
        f"{row.cost.parameters:,}",
        f"{row.cost.multiply_adds:,}",
        duration(row.cost.training_seconds) + row.cost.share(row.n),
    ]


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
        **{name: getattr(row.cost, name, None) for name in _COST},
        **{name: exact(getattr(row.cost, name, None)) for name in _TIMES},
    }


def table_body(evidence: Evidence, number: Table) -> str:
    """Caption, table and footnotes: what `tables.md` and the table's own file have in common."""
    return markdown("table_body", table=table_content(evidence, number)).rstrip()


def table_page(evidence: Evidence, number: Table, figures: str) -> RenderedText:
    """A table's own file: the table, its curves, its stages and runs. `figures` is the way to the figures' folder."""
    return markdown("table", table=table_content(evidence, number), figures=figures)


def table_content(evidence: Evidence, number: Table) -> dict[str, Any]:
    """What templates print of a table."""
    rows = table_rows(evidence, number)
    every, suggested = lines(rows), suggested_rows(evidence)
    places = [(row.key.dataset, row.key.name) for row in rows]
    runs = [(row, result) for row in every for result in row.results.results]
    return {
        "number": number,
        "index": table_index(number),
        "of_paper": number in PAPER_TABLES,
        "costs": {row.row: cost_texts(row) for row in rows},
        "title": evidence.params.tables[number].caption,
        "caption": table_caption(evidence, number),
        "interval_title": interval_title(evidence),
        "lines": every,
        "legend": legend([row.results for row in every]),
        "logged": [row.as_logged for row in rows if row.as_logged],
        "suggested": [_suggestion(evidence, suggested[key]) for key in places if key in suggested],
        "added": [row.row for row in rows if row.paper is None and number in PAPER_TABLES],
        "runs": runs,
        "numerics": sorted({_numerics(result.run.numerics) for _, result in runs}),
        "curves": curves_name(number),
    }


def _suggestion(evidence: Evidence, found: SuggestedRow) -> tuple[str, str, str]:
    """Both labels of a suggestion, and what it rests on."""
    why = "" if found.is_studied else f", by {found.study_in_words(evidence)}"
    return found.row, found.other, found.study.assumption + why


def _numerics(found: NumericsRecord) -> str:
    return f"{found.device}, {found.precision}, {found.threads} thread{'s' if found.threads > 1 else ''}"


def summary_line(evidence: Evidence, number: Table) -> str:
    """A table in one line, for the terminal: each number's accuracy, and the paper's in brackets."""
    rows = lines(table_rows(evidence, number))
    done = done_count([row.results for row in rows])
    counted = f" ({done} trainings)" if done else ""
    numbers = ", ".join(_summary(row) for row in rows if row.has_run or not row.is_as_logged)
    of_whom = "ours (paper)" if number in PAPER_TABLES else "ours"
    return f"Table {number}, {evidence.params.tables[number].caption}, {of_whom}{counted}: {numbers}"


def _summary(row: TableRow) -> str:
    paper = f" ({row.paper})" if row.paper else ""
    return f"{row.row} {row.mean_text}{paper}" + (remark(row.results) if row.has_run else "")
