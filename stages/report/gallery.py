"""Which figures a budget's reports have: the matrices that params.yaml lists, the curves of each table, and
the curves that the paper prints.

What has no result is left out.
"""

from stages.config.schema import Figures, Table
from stages.core.errors import ParamError
from stages.evaluate.confusion import confusion_png
from stages.records.evaluation import Evaluation
from stages.report.curves import Curve, curves_png
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import decimals, fixed
from stages.report.outcomes import remark
from stages.report.printed_curves import NAME, printed_curves_png, printed_panels
from stages.report.rows import TableRow, lines, table_rows
from stages.report.tables import curves_name


def gallery(evidence: Evidence) -> dict[str, bytes]:
    """Every figure as PNG, by its file name."""
    figures: dict[str, Figures] = {}
    for figure in evidence.params.figures:
        name = confusion_name(evidence, figure)
        if name in figures:
            raise ParamError("params.yaml: figures", figure.cell, "one cell for each family and data set")
        figures[name] = figure
    matrices = {
        name: _confusion(evidence, figure, result)
        for name, figure in figures.items()
        if (result := evidence.cell(figure.dataset, figure.cell).first)
    }
    drawn = {
        number: [row for row in lines(table_rows(evidence, number)) if row.has_run]
        for number in evidence.params.shown_tables
    }
    curves = {curves_name(number): _curves(evidence, number, rows) for number, rows in drawn.items() if rows}
    return matrices | curves | _printed(evidence)


def confusion_name(evidence: Evidence, figure: Figures) -> str:
    """The file name of a confusion matrix."""
    _, cell = evidence.params.find(f"{figure.dataset}/{figure.cell}")
    return f"confusion_{figure.dataset}_{cell.family}.png"


def _confusion(evidence: Evidence, figure: Figures, result: Evaluation) -> bytes:
    _, row = evidence.place(figure.dataset, figure.cell)
    title = (
        f"{evidence.dataset(figure.dataset).title}, {row} (as the paper's Fig. {figure.confusion})\n"
        f"budget {evidence.budget_name}, {result.test_images} test images, seed {result.seed}, "
        f"accuracy {fixed(result.percent, decimals(result.test_images))} %"
    )
    return confusion_png(result.confusion, result.classes, title)


def _curves(evidence: Evidence, number: Table, rows: list[TableRow]) -> bytes:
    table = evidence.params.tables[number]
    curves = [Curve(row.row + remark(row.results), row.results.curve, row.results.curves) for row in rows]
    families = {evidence.params.find(str(row.key))[1].family for row in rows}
    counts = sorted({evidence.validation_images(table.dataset, family) for family in families})
    validation = " to ".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))
    shown = _seeds([row.results for row in rows])
    title = f"Table {number}, {table.caption}\nbudget {evidence.budget_name}, {validation} validation images, {shown}"
    return curves_png(curves, title)


def _printed(evidence: Evidence) -> dict[str, bytes]:
    """The printed curves beside ours, where any of them has a result."""
    panels = printed_panels(evidence)
    if not panels:
        return {}
    shown = _seeds([cell for panel in panels for cell in (panel.base, panel.alternative) if cell])
    conditions = f"budget {evidence.budget_name} ({evidence.budget.caption}), {shown}"
    return {
        NAME: printed_curves_png(
            evidence, panels, f"The validation curves that the paper prints, and ours\n{conditions}"
        )
    }


def _seeds(cells: list[CellResults]) -> str:
    """Which seeds the curves are of."""
    seeds = {tuple(cell.seeds) for cell in cells}
    counts = {len(of_cell) for of_cell in seeds}
    if len(seeds) == 1 and counts == {1}:
        return f"seed {cells[0].seeds[0]}"
    number = f"{counts.pop()} seeds" if len(counts) == 1 else "each line's seeds"
    return f"mean of {number} (thin: each)"
