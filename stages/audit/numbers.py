"""The numbers of a budget, and which of them a user's words mean: a table, a row, a cell."""

import hashlib
from collections.abc import Iterable, Sequence
from math import comb
from typing import NamedTuple, TypeVar

from stages.config.cells import CellKey
from stages.config.params import Params
from stages.config.schema import PAPER_TABLES
from stages.core.errors import ParamError, did_you_mean, few
from stages.report.rows import TableRow, first_rows, planned_rows


class Number(NamedTuple):
    """One accuracy: where it is printed, and the cell and seed behind it."""

    table: str
    row: str
    key: CellKey
    seed: int

    def __str__(self) -> str:
        return f"{self.table}, {self.row}, seed {self.seed}"


_LISTED = 24  # names that a message lists
Printed = TypeVar("Printed", TableRow, Number)


def planned(params: Params) -> list[Number]:
    """Every number that params.yaml asks for, by place and seed; each cell where it stands first."""
    first = first_rows(planned_rows(params))
    return [Number(row.table, row.row, key, seed) for key, row in first.items() for seed in row.results.planned]


def in_table(numbers: Sequence[Printed], word: str) -> list[Printed]:
    """Those of a table, named as `IV`, `iv` or `4`, or of a study."""
    by_place = {str(place): name for place, name in enumerate(PAPER_TABLES, 1)}
    return [number for number in numbers if _same(by_place.get(word, word), number.table)]


def in_row(numbers: Sequence[Printed], word: str) -> list[Printed]:
    """Those of a row or a cell, by the row's label or the cell's name, with its data set or without."""
    return [number for number in numbers if _same(word, number.row, number.key.name, str(number.key))]


def selected(numbers: Sequence[Printed], words: Sequence[str]) -> list[Printed]:
    """Those that the words name: a table (or study) or a cell, then the words of a row of it.

    Raises ParamError, naming what there is, when there is none.
    """
    where, label = words[0], " ".join(words[1:])
    found = in_table(numbers, where) or in_row(numbers, where)
    if not found:
        known = [*(number.table for number in numbers), *(str(number.key) for number in numbers)]
        others = [name for number in numbers for name in (number.row, number.key.name)]
        raise ParamError("TABLE or CELL", where, _one_of(known, ", ", where, others))
    if len(words) > 1:
        rows = [number.row for number in found]
        found = in_row(found, label)
        if not found:
            raise ParamError(f"ROW of {where}", label, _one_of(rows, "; ", label))
    return found


def chosen(numbers: list[Number], where: str | None, row: str | None, seed: int | None) -> list[Number]:
    """Those that are `selected` by `where` and `row`, of a seed; None means all. Raises ParamError for none."""
    words = [word for word in (where, row) if word is not None]
    found = selected(numbers, words) if words else numbers
    if seed is not None:
        seeds = sorted({number.seed for number in found})
        found = [number for number in found if number.seed == seed]
        if not found:
            raise ParamError("--seed", seed, "one of " + ", ".join(map(str, seeds)))
    return found


def drawn(numbers: Sequence[Number], count: int, seed: int) -> list[Number]:
    """`count` of the numbers, drawn by lot: those whose sha256 of `<seed>/<cell>/<the number's seed>` is smallest."""

    def place(number: Number) -> str:
        return hashlib.sha256(f"{seed}/{number.key}/{number.seed}".encode()).hexdigest()

    return sorted(numbers, key=place)[:count]


def found_with(total: int, forged: int, count: int) -> float:
    """The probability that `count` of `total` numbers, drawn by lot, have at least one of the forged ones."""
    return 1 - comb(total - forged, count) / comb(total, count)


def chance(total: int, count: int, seed: int) -> str:
    """How likely so many drawn numbers find a share of forged ones, for a reader of the output."""
    shares = dict.fromkeys(share for share in (1, -(-total // 10), -(-total // 2)) if 0 < share <= total)
    odds = ", ".join(f"{share} forged with {100 * found_with(total, share, count):.0f} %" for share in shares)
    return f"trained again: {count} of {total} numbers, drawn with --draw {seed}; so many find {odds}"


def _one_of(known: Iterable[str], separator: str, word: str, names: Iterable[str] = ()) -> str:
    """What is allowed, with those that may have been meant first; `names` are allowed too, and not listed."""
    listed = list(dict.fromkeys(known))
    hint = did_you_mean(word, [*listed, *names])
    return f"one of{f'{hint}:' if hint else ''} {few(listed, _LISTED, separator)}"


def _same(word: str, *names: str) -> bool:
    """Whether a word is one of the names, in large or small letters."""
    return " ".join(word.casefold().split()) in {name.casefold() for name in names}
