"""Where numbers stand in the book: their addresses, and the way from one page to the next."""

from collections.abc import Iterator
from dataclasses import dataclass

from stages.config.schema import Row, Table
from stages.report.evidence import Evidence


@dataclass(frozen=True)
class Place:
    """A number's place: a row of a table, or an alternative (`table` is None, `label` the cell's name).

    `base` is the cell it is compared with: the first row of its table, the base of its study, or the row that it is
    the as-logged cell of. `parent` is the address of the table or study.
    """

    table: Table | None
    label: str
    dataset: str
    cell: str
    base: str
    caption: str
    parent: str

    @property
    def key(self) -> str:
        """The cell's name with its data set."""
        return f"{self.dataset}/{self.cell}"

    @property
    def id(self) -> str:
        """The page's address, behind `#/`."""
        return f"{self.table or self.dataset}/{self.cell}"


def places(evidence: Evidence) -> Iterator[tuple[Place, Row | None]]:
    """All numbers that have a result: the rows of the tables in their order, then the alternatives, each once."""
    seen = set()
    for place, row in _planned(evidence):
        if place.key not in seen and evidence.cell(place.dataset, place.cell).has_run:
            seen.add(place.key)
            yield place, row


def _planned(evidence: Evidence) -> Iterator[tuple[Place, Row | None]]:
    """All places: of the tables' rows, of the studies' alternatives, and of as-logged cells."""
    params = evidence.params
    for number, table in params.tables.items():
        for row in table.rows:
            first, caption = table.rows[0].cell, f"Table {number}: {table.caption}"
            yield Place(number, row.row, table.dataset, row.cell, first, caption, number), row
    for name, study in params.studies.items():
        for cell in study.alternatives:
            yield Place(None, cell, study.dataset, cell, study.base, f"Study {name}", f"study/{name}"), None
    for number, table in params.tables.items():
        for row in table.rows:
            if row.as_logged:
                caption = f"Table {number}: {table.caption}"
                yield Place(None, row.as_logged, table.dataset, row.as_logged, row.cell, caption, number), None
