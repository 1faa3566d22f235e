"""The tables and all pages about them once more, from the results, against the files as text; and what DVC has of them.

Only what makes pages of results runs here, so a number that was changed in a table has nowhere to come from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stages.audit.checks import Here, check_entry, check_out
from stages.audit.compare import Page, Printed, compare, compare_lines, compare_rows
from stages.audit.findings import Finding, broken, missing
from stages.audit.numbers import Number
from stages.audit.pipeline import Stage
from stages.book.page import book
from stages.config.params import Params
from stages.config.settings import DATASETS
from stages.core.errors import StageError
from stages.report.claims import judge_claims
from stages.report.evidence import CellResults, Evidence
from stages.report.ledger import ledger_csv, ledger_json
from stages.report.pages import text_files
from stages.report.paper import PAPER_FOLDER, read_paper
from stages.report.results import ChangedSettingsError, Result, read_result
from stages.report.tables import table_csv, table_frame, table_index, table_page
from stages.trial.audit import findings
from stages.trial.page import paper_audit_page
from stages.trial.paper import read_paper as read_printed


def check_pages(numbers: Sequence[Number], here: Here) -> Printed:
    """Make the pages of a budget's planned `numbers` again, and compare.

    A result that cannot stand in a table is its number's finding. Pages about all numbers cannot be made then, nor of
    results that contradict each other; the rows and lines of the tables still are.
    """
    printed = Printed(numbers)
    results = _results(numbers, here, printed)
    stage, complete = here.stages.tables(), len(results) == len(numbers)
    pages = _made(_all_pages, here, results, stage, printed) if complete else None
    whole = pages is not None
    for page in pages or _made(_tables, here, results, stage, printed) or ():
        if not page.path.is_file():
            printed.add([], missing(page.path, f"dvc repro {stage.name}"))
            continue
        found = page.path.read_text(errors="replace")
        if whole:
            compare(page, found, printed)
        elif page.path.suffix == ".csv":
            compare_rows(page, found, printed)
        else:
            compare_lines(page, found, printed)
    printed.add([], *_recorded(here))
    return printed


def value(number: Number, here: Here) -> float | None:
    """The accuracy of a number in percent, as its result has it; None where there is none to read."""
    try:
        cells = here.stages.tables().option("cells")
        return read_result(cells, here.params, here.budget, number.key, number.seed).percent
    except StageError:
        return None


def _recorded(here: Here) -> Iterator[Finding]:
    """dvc.lock of the tables, what they were made from and what they were, and of the sheets of sample images."""
    for stage in (here.stages.tables(), here.stages.paper()):
        yield from check_entry(stage, here)
    for dataset in {table.dataset for table in here.params.tables.values()}:
        preprocess = here.stages.preprocess(dataset)
        yield from check_out(preprocess.option("samples-out"), preprocess, here)


def _results(numbers: Sequence[Number], here: Here, printed: Printed) -> dict[Number, Result]:
    cells, found = here.stages.tables().option("cells"), {}
    for number in numbers:
        if not here.result(number).is_file():
            continue  # said of the number's chain
        try:
            found[number] = read_result(cells, here.params, here.budget, number.key, number.seed)
        except StageError as error:
            outdated = isinstance(error, ChangedSettingsError)
            printed.add([number], broken(here.result(number), error.message, "a result for the tables", outdated))
    return found


def _made(
    make: Callable[[Here, dict[Number, Result], Stage], Iterator[Page]],
    here: Here,
    results: dict[Number, Result],
    stage: Stage,
    printed: Printed,
) -> list[Page] | None:
    """The pages; None where the stage would be refused, as for results that contradict each other, which is said."""
    try:
        return list(make(here, results, stage))
    except StageError as error:
        printed.add([], broken(stage.name, error.message, "what pages can be made of"))
        return None


def _all_pages(here: Here, results: dict[Number, Result], stage: Stage) -> Iterator[Page]:
    """Every page of all results."""
    evidence = _evidence(here, here.params, results)
    tables = {f"table_{table_index(table)}": table for table in here.params.tables}
    folders = [stage.option(f"{name}-out") for name in ("tables", "figures", "studies", "views")]
    for folder, files in text_files(evidence, *folders).items():
        for name, text in files.items():
            yield Page(folder / name, text, tables.get(Path(name).stem))
    yield Page(stage.option("ledger-out"), ledger_csv(evidence), None)
    yield Page(stage.option("ledger-json-out"), ledger_json(evidence), None)
    of_paper = findings(read_printed(PAPER_FOLDER), here.params)
    yield Page(stage.option("book-out"), book(evidence, judge_claims(evidence), of_paper), None)
    yield Page(here.stages.paper().option("out"), paper_audit_page(of_paper), None)


def _tables(here: Here, results: dict[Number, Result], stage: Stage) -> Iterator[Page]:
    """The tables, and the ledger's lines, of those rows that have a result for every seed."""
    params = _with_rows(here.params, results)
    evidence = _evidence(here, params, results)
    for table in params.tables:
        path, frame = stage.option("tables-out") / f"table_{table_index(table)}", table_frame(evidence, table)
        yield Page(path.with_suffix(".csv"), table_csv(frame), table)
        yield Page(path.with_suffix(".md"), table_page(evidence, table, frame, ""), table)
    yield Page(stage.option("ledger-out"), ledger_csv(evidence), None)


def _with_rows(params: Params, results: dict[Number, Result]) -> Params:
    """The parameters, with those rows and alternatives alone that have a result for every seed."""
    found = {(number.key, number.seed) for number in results}
    whole = {str(key) for key in params.cell_keys() if {(key, seed) for seed in params.seeds} <= found}
    tables = {}
    for number, table in params.tables.items():
        if rows := [row for row in table.rows if f"{table.dataset}/{row.cell}" in whole]:
            tables[number] = table.model_copy(update={"rows": rows})
    planned: dict[str, list[str]] = {
        dataset: [name for name in params.study_cells.of(dataset) if f"{dataset}/{name}" in whole]
        for dataset in DATASETS
    }
    return params.model_copy(update={"tables": tables, "study_cells": params.study_cells.model_copy(update=planned)})


def _evidence(here: Here, params: Params, results: dict[Number, Result]) -> Evidence:
    by_cell = defaultdict(list)
    for number, result in results.items():
        by_cell[number.key].append(result)
    cells = {str(key): CellResults(key, tuple(found)) for key, found in by_cell.items()}
    return Evidence(params, here.budget, cells, read_paper(PAPER_FOLDER))
