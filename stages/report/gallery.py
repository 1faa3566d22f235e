"""Which figures a budget's reports have: the matrices that params.yaml lists, the curves of each table, and
the curves that the paper prints, and accuracy against training time.

Each is there as PNG, PDF and SVG. What has no result is left out. Under other conditions than the paper's the budget's
name is in each picture.
"""

from pathlib import Path

from stages.config.schema import PAPER_TABLES, Figures, Table
from stages.core.errors import ParamError
from stages.evaluate.confusion import confusion_png
from stages.records.evaluation import Evaluation
from stages.report.claims import under_paper_conditions
from stages.report.cost_figure import Point, cost_drawing
from stages.report.curves import Curve, curves_drawing
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import decimals, fixed
from stages.report.matrices import matrix_drawing
from stages.report.outcomes import remark
from stages.report.printed_curves import NAME, printed_drawing, printed_panels
from stages.report.rows import TableRow, lines, table_rows
from stages.report.tables import cost_name, curves_name


def gallery(evidence: Evidence) -> dict[str, bytes]:
    """Every figure, by its file name."""
    figures: dict[str, Figures] = {}
    for figure in evidence.params.figures:
        name = confusion_name(evidence, figure)
        if name in figures:
            raise ParamError("params.yaml: figures", figure.cell, "one cell for each family and data set")
        figures[name] = figure
    mark = "" if under_paper_conditions(evidence) else f"{evidence.budget_name}: not the paper's conditions"
    drawn = {
        name: _confusion(evidence, figure, result, mark)
        for name, figure in figures.items()
        if (result := evidence.cell(figure.dataset, figure.cell).first)
    }
    for number in evidence.params.shown_tables:
        if rows := [row for row in lines(table_rows(evidence, number)) if row.has_run]:
            drawn[curves_name(number)] = _curves(evidence, number, rows, mark)
    drawn |= _printed(evidence, mark) | _costs(evidence, mark)
    return {Path(name).stem + suffix: content for name, files in drawn.items() for suffix, content in files.items()}


def confusion_name(evidence: Evidence, figure: Figures) -> str:
    """The file name of a confusion matrix."""
    _, cell = evidence.params.find(f"{figure.dataset}/{figure.cell}")
    return f"confusion_{figure.dataset}_{cell.family}.png"


def _confusion(evidence: Evidence, figure: Figures, result: Evaluation, mark: str) -> dict[str, bytes]:
    _, row = evidence.place(figure.dataset, figure.cell)
    title = (
        f"{evidence.dataset(figure.dataset).title}, {row} (as the paper's Fig. {figure.confusion})\n"
        f"budget {evidence.budget_name}, {result.test_images} test images, seed {result.seed}, "
        f"accuracy {fixed(result.percent, decimals(result.test_images))} %"
    )
    png = confusion_png(result.confusion, result.classes, title, mark)
    return {".png": png, **matrix_drawing(result.confusion, result.classes, title, mark)}


def _curves(evidence: Evidence, number: Table, rows: list[TableRow], mark: str) -> dict[str, bytes]:
    table = evidence.params.tables[number]
    curves = [Curve(row.row + remark(row.results), row.results.curve, row.results.curves) for row in rows]
    families = {evidence.params.find(str(row.key))[1].family for row in rows}
    counts = sorted({evidence.validation_images(table.dataset, family) for family in families})
    validation = " to ".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))
    shown = _seeds([row.results for row in rows])
    title = f"Table {number}, {table.caption}\nbudget {evidence.budget_name}, {validation} validation images, {shown}"
    return curves_drawing(curves, title, mark)


def _printed(evidence: Evidence, mark: str) -> dict[str, dict[str, bytes]]:
    """The printed curves beside ours, where any of them has a result."""
    panels = printed_panels(evidence)
    if not panels:
        return {}
    shown = _seeds([cell for panel in panels for cell in (panel.base, panel.alternative) if cell])
    conditions = f"budget {evidence.budget_name} ({evidence.budget.caption}), {shown}"
    title = f"The validation curves that the paper prints, and ours\n{conditions}"
    return {NAME: printed_drawing(evidence, panels, title, mark)}


def _costs(evidence: Evidence, mark: str) -> dict[str, dict[str, bytes]]:
    """Accuracy against training time, for each data set with a result."""
    drawn = {}
    for dataset, points in cost_points(evidence).items():
        title = f"{evidence.dataset(dataset).title}, accuracy against training time\nbudget {evidence.budget_name}"
        drawn[cost_name(dataset)] = cost_drawing(points, f"{title}, evaluations not counted", mark)
    return drawn


def cost_points(evidence: Evidence) -> dict[str, list[Point]]:
    """The rows with a result, and the as-logged ones, as points, by data set."""
    found: dict[str, list[Point]] = {}
    for number in evidence.params.shown_tables:
        where = "" if number in PAPER_TABLES else f", Table {number}"  # a row there may be named as one of the paper
        for row in lines(table_rows(evidence, number)):
            if row.cost is None or row.mean is None:
                continue
            family = evidence.params.find(str(row.key))[1].family
            label = f"{row.mean_text}  {row.row}{where}{remark(row.results)}{row.cost.share(row.n, 'time of ')}"
            point = Point(label, family, row.cost.device, row.cost.training_seconds, row.mean)
            found.setdefault(row.key.dataset, []).append(point)
    return found


def _seeds(cells: list[CellResults]) -> str:
    """Which seeds the curves are of."""
    seeds = {tuple(cell.seeds) for cell in cells}
    counts = {len(of_cell) for of_cell in seeds}
    if len(seeds) == 1 and counts == {1}:
        return f"seed {cells[0].seeds[0]}"
    number = f"{counts.pop()} seeds" if len(counts) == 1 else "each line's seeds"
    return f"mean of {number} (thin: each)"
