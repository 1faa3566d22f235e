"""Where numbers stand: in the rows of the paper's tables, and as the alternatives of studies."""

from typing import NamedTuple

from stages.config.params import CellKey, Params


class Place(NamedTuple):
    """Where a number is printed, over all its seeds, and its cell.

    `plain` is what its settings are compared with: the first row of its table, or the base of its study.
    """

    table: str  # a table's Roman number, or the study's name
    row: str  # the row's label, or the alternative's name
    key: CellKey
    plain: CellKey


def places(params: Params) -> list[Place]:
    """The tables' rows in their order, then the studies' planned alternatives; one of two studies stands in both."""
    found = []
    for table, settings in params.tables.items():
        plain = CellKey("cells", settings.dataset, settings.rows[0].cell)
        for row in settings.rows:
            found.append(Place(table, row.row, CellKey("cells", settings.dataset, row.cell), plain))
    for name, study in params.studies.items():
        plain = CellKey("cells", study.dataset, study.base)
        for cell in study.alternatives:
            if cell in params.study_cells.of(study.dataset):
                found.append(Place(name, cell, CellKey("alternatives", study.dataset, cell), plain))
    return found
