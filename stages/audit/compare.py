"""A page that is here against the one that its results give: what differs, and which number it is about.

CSV files are compared by row and column, the ledger by number and key, other pages by line. A difference belongs to the
number whose row or line it is, else to the page.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from stages.audit.findings import Finding, page_differences, page_differs
from stages.audit.numbers import Number
from stages.report.render import RenderedText as Rendered

RowKey = tuple[Any, Any, Any]  # table, label and seed, as far as a CSV file has such columns
_LONG, _SHOWN, _BEFORE = 160, 120, 40  # characters: of a line that is cut; what is shown of it, and how much alike


class PageFindings:
    """Differences in the pages: `of_numbers` by number, `of_pages` the rest."""

    def __init__(self, numbers: Sequence[Number]) -> None:
        self.numbers = numbers
        self.of_numbers: dict[Number, list[Finding]] = defaultdict(list)
        self.of_pages: list[Finding] = []

    def add(self, owners: Sequence[Number], *findings: Finding) -> None:
        """Findings about these numbers; about the page, where there are none."""
        for owner in owners if findings else ():
            self.of_numbers[owner].extend(findings)
        if not owners:
            self.of_pages.extend(findings)


class ExpectedPage(NamedTuple):
    """A page as the results give it, the table that it is of, if of one, and the DVC stage that makes it."""

    path: Path
    expected: str
    table: str | None
    made_by: str


def compare(page: ExpectedPage, found: str, printed: PageFindings) -> None:
    """Compare the whole of a page."""
    if found == page.expected:
        return
    if page.path.suffix == ".csv" and compare_rows(page, found, printed, whole=True):
        return  # else it is the order of rows or columns, or the quotes
    if page.path.suffix == ".json" and _compare_numbers(page, found, printed):
        return  # else it is no JSON any more, or of another form
    rest = []
    for finding, owners in _lines(page, found, printed.numbers):
        if owners:
            printed.add(owners, finding)
        else:
            rest.append(finding)
    if rest:
        command = f"dvc repro --single-item {page.made_by}, then git diff {page.path}"
        more = f" ({len(rest) - 1} more lines differ; all are shown by: {command})" if len(rest) > 1 else ""
        printed.add([], rest[0]._replace(held_against=rest[0].held_against + more))


def compare_rows(
    page: ExpectedPage, found: str, printed: PageFindings, skip: Sequence[Number] = (), whole: bool = False
) -> bool:
    """Compare a CSV file's rows with those that the results give; return whether any differs.

    Surplus rows are named for a `whole` page alone, and only if another row differs. Rows of numbers in `skip` are left
    out. If table, label and seed do not identify each row, none is compared.
    """
    rows, expected = (list(csv.DictReader(text.splitlines())) for text in (found, page.expected))
    theirs, ours = _by_key(expected), _by_key(rows)
    if len(theirs) < len(expected):
        return False
    counts = Counter(map(_row_key, rows))
    differs = False
    for key, row in theirs.items():
        where, owners = _of_row(page, key, printed.numbers)
        if set(owners) & set(skip):
            continue
        gone = [page_differs(where, "no such row", "one")]
        findings = page_differences(where, ours[key], row) if key in ours else gone
        if counts[key] > 1:
            findings = [*findings, page_differs(where, f"the row {counts[key]} times", "it once")]
        printed.add(owners, *findings)
        differs |= bool(findings)
    for key, row in ours.items() if differs and whole else ():
        if key not in theirs:
            where, owners = _of_row(page, key, printed.numbers)
            printed.add(owners, page_differs(where, repr(",".join(map(str, row.values()))), "no such row"))
    return differs


def _of_row(page: ExpectedPage, key: RowKey, numbers: Sequence[Number]) -> tuple[str, list[Number]]:
    """Where a finding says that a row stands, and the numbers that it is about."""
    table, label, seed = key
    where = ", ".join(filter(None, [str(page.path), table, label, f"seed {seed}" if seed else None]))
    return where, numbers_of(numbers, table or page.table, label, seed or None)  # of a row that is not run, no seed


def _compare_numbers(page: ExpectedPage, found: str, printed: PageFindings) -> bool:
    """Compare the ledger's entries; return whether any differs. Only then are surplus entries named."""
    try:
        ledger = json.loads(found)
        ours, theirs = _entries(ledger), _entries(json.loads(page.expected))
        counts = Counter((entry["table"], entry["row"]) for entry in ledger["numbers"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    differs = False
    for (table, row), entry in theirs.items():
        owners = numbers_of(printed.numbers, table, row, None)
        where = f"{page.path}, {table}, {row}"
        findings = list(page_differences(where, ours.get((table, row)), entry))
        if counts[table, row] > 1:
            findings.append(page_differs(where, f"the entry {counts[table, row]} times", "it once"))
        printed.add(owners, *findings)
        differs |= bool(findings)
    for table, row in [key for key in ours if key not in theirs] if differs else ():
        owners = numbers_of(printed.numbers, table, row, None)
        printed.add(owners, page_differs(f"{page.path}, {table}, {row}", "an entry", "no such entry"))
    return differs


def _entries(ledger: Any) -> dict[tuple[str, str], Any]:
    """The ledger's numbers by table and row, and their seeds by seed."""
    return {
        (entry["table"], entry["row"]): entry | {"seeds": {str(seed["seed"]): seed for seed in entry["seeds"]}}
        for entry in ledger["numbers"]
    }


def compare_lines(page: ExpectedPage, found: str, printed: PageFindings, skip: Sequence[Number] = ()) -> None:
    """Compare the lines of a page that belong to a number not in `skip`; other lines may stand between them."""
    there = set(found.splitlines())
    for line, about in zip(page.expected.splitlines(), owners(page, printed.numbers), strict=True):
        if about and line not in there and not set(about) & set(skip):
            printed.add(about, page_differs(page.path, "no such line", repr(line)))


def numbers_of(numbers: Sequence[Number], table: str | None, row: str | None, seed: str | None) -> list[Number]:
    """The numbers of a table's row; of one seed, or of all."""
    return [
        number for number in numbers if (number.table, number.row) == (table, row) and seed in (None, str(number.seed))
    ]


def owners(page: ExpectedPage, numbers: Sequence[Number]) -> list[list[Number]]:
    """Of each line of a page as the results give it, the numbers that it is about, as what made the page says."""
    about = page.expected.about if isinstance(page.expected, Rendered) else []
    return [
        [number for number in numbers if one and str(number.key) == one.cell and one.seed in (None, number.seed)]
        for one in about or [None] * len(page.expected.splitlines())
    ]


def _lines(page: ExpectedPage, found: str, numbers: Sequence[Number]) -> Iterator[tuple[Finding, list[Number]]]:
    """The lines that differ, each with the numbers that it is about; a line too many with those of its row."""
    ours, theirs = found.splitlines(), page.expected.splitlines()
    of_lines = owners(page, numbers)
    for kind, start, end, there, until in SequenceMatcher(None, ours, theirs).get_opcodes():
        if kind == "equal":
            continue
        for place, (one, other) in enumerate(zip_longest(ours[start:end], theirs[there:until])):
            text, expected = _apart(one, other)
            finding = page_differs(f"{page.path}, line {start + place + 1}", text, expected)
            if other is not None or page.path.suffix == ".html":  # a book's line is about what its section is about
                yield finding, of_lines[min(there + place, len(theirs) - 1)]
            else:
                yield finding, _of_surplus(page, one or "", there, theirs, of_lines, numbers)
    if ours == theirs:
        yield page_differs(page.path, "other line ends", "those that were written"), []


def _of_surplus(
    page: ExpectedPage,
    line: str,
    there: int,
    lines: Sequence[str],
    of_lines: Sequence[list[Number]],
    numbers: Sequence[Number],
) -> list[Number]:
    """The numbers that a surplus line belongs to: those of the line it repeats, or of the row it names.

    Of several lines of that row the nearest counts; `lines` are the page's as the results give it, with their numbers
    in `of_lines`, and `there` is the place among them.
    """
    if page.path.suffix == ".csv":
        row = next(csv.DictReader([lines[0], line]), {})
        return numbers_of(numbers, row.get("table") or page.table, row.get("row"), row.get("seed"))
    cells, owned = line.split(" | ")[:2], [place for place, owners in enumerate(of_lines) if owners]
    same = [place for place in owned if lines[place] == line]
    if len(cells) == 2:  # of a table: a label, and a seed or the paper's number
        same = same or [place for place in owned if lines[place].split(" | ")[:2] == cells]
        same = same or [place for place in owned if lines[place].split(" | ")[0] == cells[0]]
    return of_lines[min(same, key=lambda place: abs(place - there))] if same else []


def _apart(one: str | None, other: str | None) -> tuple[str, str]:
    """Two lines that differ, to be shown; of two long ones, from shortly before the first difference on."""
    if one is None or other is None:
        shown = ("no such line" if line is None else repr(line) for line in (one, other))
        return next(shown), next(shown)
    least = min(len(one), len(other))
    differs = next((place for place in range(least) if one[place] != other[place]), least)
    start = differs - _BEFORE if least > _LONG and differs > _BEFORE else 0
    ours, theirs = (f"... {line[start : start + _SHOWN]!r}" if start else repr(line) for line in (one, other))
    return ours, theirs


def _by_key(rows: Iterable[Mapping[Any, Any]]) -> dict[RowKey, dict[Any, Any]]:
    """The rows of a CSV file by table, label and seed, as far as it has such columns."""
    return {_row_key(row): {**row} for row in rows}


def _row_key(row: Mapping[Any, Any]) -> RowKey:
    return row.get("table"), row.get("row"), row.get("seed")
