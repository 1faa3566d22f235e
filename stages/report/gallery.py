"""Which figures a budget's reports have: the matrices that params.yaml lists, and the curves of each table."""

from stages.config.params import Figures, Table
from stages.core.errors import ParamError
from stages.evaluate.confusion import confusion_png
from stages.report.curves import Curve, curves_png
from stages.report.evidence import Evidence
from stages.report.formats import decimals, fixed
from stages.report.outcomes import remark
from stages.report.tables import curves_name


def gallery(evidence: Evidence) -> dict[str, bytes]:
    """Every figure as PNG, by its file name."""
    figures: dict[str, Figures] = {}
    for figure in evidence.params.figures:
        name = confusion_name(evidence, figure)
        if name in figures:
            raise ParamError("params.yaml: figures", figure.cell, "one cell for each family and data set")
        figures[name] = figure
    matrices = {name: _confusion(evidence, figure) for name, figure in figures.items()}
    return matrices | {curves_name(number): _curves(evidence, number) for number in evidence.params.tables}


def confusion_name(evidence: Evidence, figure: Figures) -> str:
    """The file name of a confusion matrix."""
    _, cell = evidence.params.find(f"{figure.dataset}/{figure.cell}")
    return f"confusion_{figure.dataset}_{cell.family}.png"


def _confusion(evidence: Evidence, figure: Figures) -> bytes:
    result = evidence.cell(figure.dataset, figure.cell).first
    _, row = evidence.place(figure.dataset, figure.cell)
    title = (
        f"{evidence.dataset(figure.dataset).title}, {row} (as the paper's Fig. {figure.confusion})\n"
        f"budget {evidence.budget_name}, {result.test_images} test images, seed {result.seed}, "
        f"accuracy {fixed(result.percent, decimals(result.test_images))} %"
    )
    return confusion_png(result.confusion, result.classes, title)


def _curves(evidence: Evidence, number: Table) -> bytes:
    table = evidence.params.tables[number]
    curves = []
    for row in table.rows:
        cell = evidence.cell(table.dataset, row.cell)
        curves.append(Curve(row.row + remark(cell), cell.curve, cell.curves))
    validation = evidence.validation_images(table.dataset, table.family)
    seeds = evidence.params.seeds
    shown = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of {len(seeds)} seeds (thin: each)"
    title = f"Table {number}, {table.caption}\nbudget {evidence.budget_name}, {validation} validation images, {shown}"
    return curves_png(curves, title)
