"""The same content printed twice, where two trainings should have given two."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.matching import assigned_row, table_accuracies
from stages.config.params import Params
from stages.paper.schema import Figure, Paper, PrintedLog, PrintedReport

COPIED_FIGURE = "copied-figure"
SAME_ROW = "same-row-same-number"


def copied_figure(paper: Paper, params: Params) -> Iterator[Finding]:
    """Two reports, or two logs, of different trainings that agree digit for digit."""
    kinds: tuple[tuple[str, Sequence[PrintedReport | PrintedLog]], ...] = (
        ("report", paper.reports),
        ("log", paper.logs),
    )
    for kind, figures in kinds:
        for one, other in combinations(figures, 2):
            digits = _digits(one)
            if digits == _digits(other) and _of_different_trainings(paper, params, one, other):
                yield Finding(
                    COPIED_FIGURE,
                    Confidence.CERTAIN,
                    (one.place, other.place),
                    f"a {kind} of {_named(one, params)}",
                    f"a {kind} of {_named(other, params)}",
                    f"All {len(digits)} numbers of the two {kind}s are the same: one is printed under two captions.",
                )


def _digits(figure: PrintedReport | PrintedLog) -> list[str]:
    """What a training decides: a report's scores, a log's accuracies."""
    if isinstance(figure, PrintedReport):
        lines = (*figure.classes, *figure.averages)
        return [text for line in lines for text in (line.precision, line.recall, line.f1)] + [figure.accuracy.f1]
    return [text for epoch in figure.epochs for text in (epoch.train_accuracy, epoch.validation_accuracy)]


def _of_different_trainings(paper: Paper, params: Params, one: Figure, other: Figure) -> bool:
    rows = [assigned_row(paper, params, figure.figure) for figure in (one, other)]
    return (one.dataset, one.family) != (other.dataset, other.family) or rows[0] != rows[1]


def _named(figure: Figure, params: Params) -> str:
    kind = (figure.dataset, figure.family)
    captions = [table.caption for table in params.paper_tables.values() if (table.dataset, table.family) == kind]
    return captions[0] if captions else f"{figure.family} on {figure.dataset}"


def same_row_same_number(paper: Paper, params: Params) -> Iterator[Finding]:
    """A row that prints the same digits on two data sets."""
    for one, other in combinations(table_accuracies(paper, params), 2):
        if one.row == other.row and one.dataset != other.dataset and one.accuracy == other.accuracy:
            titles = [params.datasets.of(row.dataset).title for row in (one, other)]
            yield Finding(
                SAME_ROW,
                Confidence.LIKELY,
                (other.place, one.place),
                f"{other.accuracy} % on {titles[1]}",
                f"{one.accuracy} % on {titles[0]}",
                "The row of the same name has the same digits on the other data set: one may be copied from the other.",
            )
