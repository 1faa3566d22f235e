"""The tables and all pages about them once more, from the results, against the files as text; and what DVC has of them.

Only what makes pages of results runs here, so a number that was changed in a table has nowhere to come from.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from stages.audit.checks import Here, check_entry, check_out
from stages.audit.findings import Finding, broken, missing
from stages.audit.numbers import Number
from stages.core.errors import StageError
from stages.core.params import Table
from stages.report.evidence import CellResults, Evidence
from stages.report.markdown import escape
from stages.report.pages import text_files
from stages.report.paper import PAPER_FOLDER, read_paper
from stages.report.results import Result, read_result
from stages.report.tables import table_csv, table_frame, table_index, table_page

_SECTION = re.compile(r"^#+ Table ([IV]+)\b")


class Printed(NamedTuple):
    """What does not hold of the pages: of each number's own lines, and of the rest of them."""

    of_numbers: dict[Number, list[Finding]]
    of_pages: list[Finding]


def check_pages(numbers: Sequence[Number], here: Here) -> Printed:
    """Make the pages of a budget's planned `numbers` again, and compare.

    A result that cannot stand in a table is its number's finding; the other rows of its table are still compared.
    """
    printed = Printed(defaultdict(list), [])
    results = _results(numbers, here, printed)
    stage = here.tables()
    folders = stage.option("tables-out"), stage.option("figures-out"), stage.option("studies-out")
    whole = len(results) == len(numbers)
    if whole:
        evidence = _evidence(here, results)
        for folder, files in text_files(evidence, *folders).items():
            for name, text in files.items():
                _compare(folder / name, text, numbers, printed, stage.name)
    else:
        for table in here.params.tables:
            _compare_rows(table, folders[0], results, numbers, here, printed)
    printed.of_pages.extend(_recorded(here))
    return printed


def value(number: Number, here: Here) -> float | None:
    """The accuracy of a number in percent, as its result has it; None where there is none to read."""
    try:
        cells = here.tables().option("cells")
        return read_result(cells, here.params, here.budget, number.key, number.seed).percent
    except StageError:
        return None


def _recorded(here: Here) -> Iterator[Finding]:
    """dvc.lock of the tables, what they were made from and what they were, and of the sheets of sample images."""
    yield from check_entry(here.tables(), here)
    for dataset in {table.dataset for table in here.params.tables.values()}:
        preprocess = here.preprocess(dataset)
        yield from check_out(preprocess.option("samples-out"), preprocess, here)


def _results(numbers: Sequence[Number], here: Here, printed: Printed) -> dict[Number, Result]:
    cells, found = here.tables().option("cells"), {}
    for number in numbers:
        if not here.result(number).is_file():
            continue  # said of the number's chain
        try:
            found[number] = read_result(cells, here.params, here.budget, number.key, number.seed)
        except StageError as error:
            printed.of_numbers[number].append(broken(here.result(number), error.message, "a result for the tables"))
    return found


def _evidence(here: Here, results: dict[Number, Result]) -> Evidence:
    by_cell = defaultdict(list)
    for number, result in results.items():
        by_cell[number.key].append(result)
    cells = {str(key): CellResults(key, tuple(found)) for key, found in by_cell.items()}
    return Evidence(here.params, here.budget, cells, read_paper(PAPER_FOLDER))


def _compare(path: Path, expected: str, numbers: Sequence[Number], printed: Printed, made_by: str) -> None:
    """Line by line; a line that is a number's goes to that number."""
    if not path.is_file():
        printed.of_pages.append(missing(path, f"dvc repro {made_by}"))
        return
    found = path.read_text(errors="replace")
    if found == expected:
        return
    section = None
    lines = zip_longest(found.splitlines(), expected.splitlines())
    for place, (ours, theirs) in enumerate(lines, 1):
        heading = _SECTION.match(theirs or "")
        section = heading[1] if heading else section
        if ours != theirs:
            finding = broken(f"{path}, line {place}", repr(ours), f"{theirs!r}, as the results have it")
            owner = _owner(theirs or "", section, numbers)
            printed.of_numbers[owner].append(finding) if owner else printed.of_pages.append(finding)


def _compare_rows(
    table: Table, folder: Path, results: dict[Number, Result], numbers: Sequence[Number], here: Here, printed: Printed
) -> None:
    """The lines of those rows of a table that have all their results, in its CSV file and on its page."""
    settings = here.params.tables[table]
    waiting = {number.row for number in numbers if number.table == table and number not in results}
    rows = [row for row in settings.rows if row.row not in waiting]
    if not rows:
        return
    tables = {**here.params.tables, table: settings.model_copy(update={"rows": rows})}
    evidence = replace(_evidence(here, results), params=here.params.model_copy(update={"tables": tables}))
    frame = table_frame(evidence, table)
    texts = {"csv": table_csv(frame), "md": table_page(evidence, table, frame, "figures")}
    for kind, text in texts.items():
        path = folder / f"table_{table_index(table)}.{kind}"
        if not path.is_file():
            printed.of_pages.append(missing(path, f"dvc repro {here.tables().name}"))
            continue
        there = path.read_text(errors="replace").splitlines()
        for line in text.splitlines():
            owner = _owner(line, table, numbers)
            if owner and line not in there:
                finding = broken(path, "no such line", f"{line!r}, as the results have it")
                printed.of_numbers[owner].append(finding)


def _owner(line: str, section: str | None, numbers: Sequence[Number]) -> Number | None:
    """The number that a line is about: it names its stage, or begins with its row's label in its table's section."""
    for number in numbers:
        stage = f"evaluate-{number.key.stage_suffix}@"
        if re.search(rf"{re.escape(stage)}[a-z0-9_-]+?-{re.escape(number.key.name)}-{number.seed}\b", line):
            return number
    label = line.removeprefix("| ").partition(" | ")[0]
    return next(
        (
            number
            for number in numbers
            if number.table == section and line.startswith("| ") and escape(number.row) == label
        ),
        None,
    )
