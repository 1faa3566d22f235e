"""Where numbers stand: in the rows of the paper's tables, and as the alternatives of studies and of rows."""

from typing import NamedTuple

from stages.config.cells import CellKey
from stages.config.params import Params
from stages.config.schema import Row


class Place(NamedTuple):
    """Where a number is printed, over all its seeds, and its cell.

    `plain` is what its settings are compared with: the first row of its table, the base of its study, or the row that
    it is `as_logged` of.
    """

    table: str  # a table's Roman number, or the study's name
    row: str  # the row's label, or the alternative's name
    key: CellKey
    plain: CellKey
    as_logged: str | None = None  # the label of the row whose printed logs suggest this setting, if it is such a one

    @property
    def printed(self) -> str:
        """The label of the row of the paper's table that the number is held against."""
        return self.as_logged or self.row


def as_logged_label(row: Row) -> str:
    """What a row's second number is called, that of the setting which the printed logs suggest."""
    return f"{row.row}, as logged"


def places(params: Params) -> list[Place]:
    """The tables' rows, each with its planned as-logged cell behind it, then the studies' planned alternatives.

    An alternative of two studies stands in both; a table's cell that is a study's alternative, in its table alone.
    """
    planned = set(params.cell_keys())
    found = []
    for table, settings in params.tables.items():
        first = CellKey("cells", settings.dataset, settings.rows[0].cell)
        for row in settings.rows:
            own = CellKey("cells", settings.dataset, row.cell)
            found.append(Place(table, row.row, own, first))
            logged = CellKey("alternatives", settings.dataset, row.as_logged or "")
            if logged in planned:
                found.append(Place(table, as_logged_label(row), logged, own, row.row))
    for name, study in params.studies.items():
        base = CellKey("cells", study.dataset, study.base)
        for cell in study.alternatives:
            key = CellKey("alternatives", study.dataset, cell)
            if key in planned:
                found.append(Place(name, cell, key, base))
    return found
