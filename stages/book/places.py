"""Where numbers stand in the book: their addresses, and the way from one page to the next."""

from collections.abc import Iterator
from dataclasses import dataclass

from stages.config.params import Row, Table
from stages.report.evidence import Evidence


@dataclass(frozen=True)
class Place:
    """A number's place: a row of a table, or an alternative of a study (`table` is None, `label` the cell's name).

    `base` is the cell it is compared with: the first row of its table, or the base of its study.
    """

    table: Table | None
    label: str
    dataset: str
    cell: str
    base: str
    caption: str

    @property
    def key(self) -> str:
        """The cell's name with its data set."""
        return f"{self.dataset}/{self.cell}"

    @property
    def id(self) -> str:
        """The page's address, behind `#/`."""
        return f"{self.table or self.dataset}/{self.cell}"


def places(evidence: Evidence) -> Iterator[tuple[Place, Row | None]]:
    """All numbers: the rows of the tables in their order, then the planned alternatives of the studies, each once."""
    params = evidence.params
    for number, table in params.tables.items():
        for row in table.rows:
            caption = f"Table {number}: {table.caption}"
            yield Place(number, row.row, table.dataset, row.cell, table.rows[0].cell, caption), row
    seen = set()
    for name, study in params.studies.items():
        for cell in study.alternatives:
            if cell in params.study_cells.of(study.dataset) and (study.dataset, cell) not in seen:
                seen.add((study.dataset, cell))
                yield Place(None, cell, study.dataset, cell, study.base, f"Study {name}"), None
