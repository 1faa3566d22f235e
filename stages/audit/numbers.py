"""The numbers of a budget, one for each planned cell and seed, and which of them a user means."""

from typing import NamedTuple

from stages.core.errors import ParamError
from stages.core.params import CellKey, Params


class Number(NamedTuple):
    """One accuracy: where it is printed, and the cell and seed behind it."""

    table: str  # a table's Roman number, or the study's name
    row: str  # the row's label, or the alternative's name
    key: CellKey
    seed: int

    def __str__(self) -> str:
        return f"{self.table}, {self.row}, seed {self.seed}"


def planned(params: Params) -> list[Number]:
    """Every number that params.yaml asks for: the tables' rows in their order, then the studies' alternatives."""
    places: list[tuple[str, str, CellKey]] = [
        (number, row.row, CellKey("cells", table.dataset, row.cell))
        for number, table in params.tables.items()
        for row in table.rows
    ]
    places += [(_study_of(params, key), key.name, key) for key in params.cell_keys() if key.section == "alternatives"]
    return [Number(*place, seed) for place in places for seed in params.seeds]


def chosen(numbers: list[Number], where: str | None, row: str | None, seed: int | None) -> list[Number]:
    """Those of a table (or study), of a row in it, of a cell (`cifar10/vgg16-adam`), of a seed; None means all.

    Letters may be large or small. Raises ParamError, naming what there is, when nothing is left.
    """
    found = numbers
    if where is not None:
        found = [number for number in found if _same(where, number.table, str(number.key))]
        if not found:
            known = dict.fromkeys([number.table for number in numbers] + [str(number.key) for number in numbers])
            raise ParamError("TABLE or CELL", where, "one of " + ", ".join(known))
    if row is not None:
        rows = list(dict.fromkeys(number.row for number in found))
        found = [number for number in found if _same(row, number.row)]
        if not found:
            raise ParamError(f"ROW of {where}", row, "one of " + ", ".join(rows))
    if seed is not None:
        seeds = sorted({number.seed for number in found})
        found = [number for number in found if number.seed == seed]
        if not found:
            raise ParamError("seed", seed, "one of " + ", ".join(map(str, seeds)))
    return found


def _same(word: str, *names: str) -> bool:
    return word.casefold() in {name.casefold() for name in names}


def _study_of(params: Params, key: CellKey) -> str:
    return next(
        name
        for name, study in params.studies.items()
        if study.dataset == key.dataset and key.name in study.alternatives
    )
