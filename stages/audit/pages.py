"""The tables and all pages about them once more, from the results, against the files as text; and what DVC has of them.

Only what makes pages of results runs here, so a number that was changed in a table has nowhere to come from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from stages.audit.architectures import check_architectures
from stages.audit.checks import check_entry, check_out, check_specs
from stages.audit.compare import ExpectedPage, PageFindings, compare, compare_lines, compare_rows
from stages.audit.findings import Finding, invalid, judged, missing, page_differs
from stages.audit.numbers import Number
from stages.audit.pipeline import Stage
from stages.audit.started import check_attempts
from stages.audit.workspace import Workspace
from stages.audit_paper.page import paper_audit_page
from stages.audit_paper.rules import findings
from stages.book.networks import read_networks
from stages.book.page import book
from stages.core.errors import StageError
from stages.core.regular import LARGEST_PAGE, is_there, read_regular
from stages.paper.reading import read_paper
from stages.records.evaluation import Evaluation
from stages.records.test_split import LABELS, true_labels
from stages.report.claims import judge_claims
from stages.report.evidence import CellResults, Evidence
from stages.report.ledger import ledger, ledger_csv, ledger_json
from stages.report.pages import text_files
from stages.report.results import ChangedSettingsError, read_result
from stages.report.tables import table_csv, table_index, table_page

_SURPLUS = 10_000  # characters that a page may have beside twice its own before it is compared no more


def check_pages(numbers: Sequence[Number], workspace: Workspace) -> PageFindings:
    """Make the pages of a budget's planned `numbers` again, from the results that there are, and compare.

    A result that cannot stand in a table is its number's finding. Pages about all numbers cannot be made then, nor
    without a result that dvc.lock has, nor of results that contradict each other; the rows and lines of the tables
    still are. A page says of a number without a result that it is not run.
    """
    found = PageFindings(numbers)
    results, refused = _results(numbers, workspace, found)
    stage = workspace.stages.tables()
    if not results and not refused:
        found.add([], missing(stage.option("cells"), f"no number has a result yet; dvc repro {stage.name}"))
        return found
    if absent := _absent_labels(results):
        found.add([], *(missing(file, f"git checkout {file}") for file in absent))
        return found
    found.add([], *judged("the true labels", _other_labels(results)))
    gone = _gone(numbers, workspace)
    found.add([], *(missing(workspace.result(one), _how_again(one, workspace)) for one in gone))
    pages = None if refused or gone else _made(_all_pages, workspace, results, stage, found)
    whole = pages is not None
    for page in pages or _made(_tables, workspace, results, stage, found) or ():
        found.add([], *judged(page.path, _compared(page, whole, [*refused, *gone], found)))
    check_architectures(workspace, results, found)
    found.add([], *judged("the pages", _recorded(workspace, but=stage.option("cells") if gone else None)))
    found.add([], *judged("the attempts", check_attempts(workspace, list(results.values()))))
    return found


def _compared(page: ExpectedPage, whole: bool, refused: Sequence[Number], found: PageFindings) -> Iterator[Finding]:
    """Compare a page; what differs goes to `found`, and is yielded where there is no page to compare."""
    if not is_there(page.path):
        yield missing(page.path, f"dvc repro {page.made_by}")
        return
    text = read_regular(page.path, page.made_by, LARGEST_PAGE).decode(errors="replace")
    if len(text) > 2 * len(page.expected) + _SURPLUS:
        yield page_differs(page.path, f"{len(text)} characters", f"{len(page.expected)}")
    elif whole:
        compare(page, text, found)
    elif page.path.suffix == ".csv":
        compare_rows(page, text, found, skip=refused)
    else:
        compare_lines(page, text, found, skip=refused)


def _gone(numbers: Iterable[Number], workspace: Workspace) -> list[Number]:
    """The numbers whose result dvc.lock has, and that is not here."""

    def is_gone(number: Number) -> bool:
        path, stage = workspace.result(number), workspace.stages.evaluate(number.key, number.seed).name
        return not is_there(path) and workspace.lock.md5(stage, "outs", path.as_posix()) is not None

    return [number for number in numbers if is_gone(number)]


def _how_again(number: Number, workspace: Workspace) -> str:
    stage = workspace.stages.evaluate(number.key, number.seed).name
    return f"git checkout, or dvc repro {stage}; without it only the tables' other rows are compared"


def _absent_labels(numbers: Iterable[Number]) -> list[Path]:
    """The files of true labels that are not here: without them no page can say which numbers are recounted."""
    files = dict.fromkeys(LABELS / f"{number.key.dataset}.npy" for number in numbers)
    return [file for file in files if not file.is_file()]


def _other_labels(numbers: Iterable[Number]) -> Iterator[Finding]:
    """The files of true labels that are not those of their data set, whatever the results' own labels are."""
    for dataset in dict.fromkeys(number.key.dataset for number in numbers):
        file = LABELS / f"{dataset}.npy"
        try:
            true_labels(dataset, count=1)
        except StageError as error:
            found = error.message.removeprefix(f"{file}: ")
            yield invalid(file, f"{found} (git checkout {file}; git log {file} says which commit changed it)")


def _recorded(workspace: Workspace, but: Path | None) -> Iterator[Finding]:
    """dvc.lock of the specs, the tables, what they were made from and what they were, and the sheets of samples.

    The tables' input `but` is not looked at.
    """
    yield from check_specs(workspace)
    specs = workspace.stages.resolve().option("out")  # checked already
    yield from check_entry(workspace.stages.architectures(), workspace, but=specs)
    for stage in (workspace.stages.tables(), workspace.stages.paper()):
        yield from check_entry(stage, workspace, but)
    for dataset in {table.dataset for table in workspace.params.tables.values()}:
        preprocess = workspace.stages.preprocess(dataset)
        yield from check_out(preprocess.option("samples-out"), preprocess, workspace)


def _results(
    numbers: Sequence[Number], workspace: Workspace, printed: PageFindings
) -> tuple[dict[Number, Evaluation], list[Number]]:
    """The results that can stand in a table, and the numbers whose result cannot."""
    cells, found, refused = workspace.stages.tables().option("cells"), {}, []
    for number in numbers:
        if not is_there(workspace.result(number)):
            continue  # said of the number's chain
        try:
            found[number] = read_result(cells, workspace.params, workspace.budget, number.key, number.seed)
        except StageError as error:
            refused.append(number)
            outdated = isinstance(error, ChangedSettingsError)
            where = workspace.result(number)
            found_there = error.message.removeprefix(f"{where}: ")
            finding = invalid(where, found_there)._replace(outdated=outdated)
            printed.add([number], finding)
    return found, refused


def _made(
    make: Callable[[Workspace, dict[Number, Evaluation], Stage], Iterator[ExpectedPage]],
    workspace: Workspace,
    results: dict[Number, Evaluation],
    stage: Stage,
    printed: PageFindings,
) -> list[ExpectedPage] | None:
    """The pages; None where the stage would be refused, as for results that contradict each other, which is said."""
    try:
        return list(make(workspace, results, stage))
    except StageError as error:
        printed.add([], invalid(stage.name, f"no pages can be made: {error.message}"))
        return None


def _all_pages(workspace: Workspace, results: dict[Number, Evaluation], stage: Stage) -> Iterator[ExpectedPage]:
    """Every page of all results."""
    evidence = _evidence(workspace, results)
    tables = {f"table_{table_index(table)}": table for table in workspace.params.shown_tables}
    folders = [stage.option(f"{name}-out") for name in ("tables", "figures", "studies", "views", "cards")]
    for folder, files in text_files(evidence, *folders).items():
        for name, text in files.items():
            yield ExpectedPage(folder / name, text, tables.get(Path(name).stem), stage.name)
    numbers = ledger(evidence)
    yield ExpectedPage(stage.option("ledger-out"), ledger_csv(numbers), None, stage.name)
    yield ExpectedPage(stage.option("ledger-json-out"), ledger_json(evidence.budget_name, numbers), None, stage.name)
    of_paper = findings(evidence.paper, workspace.params)
    networks = read_networks(stage.option("architectures"), workspace.budget)
    yield ExpectedPage(
        stage.option("book-out"), book(evidence, judge_claims(evidence), of_paper, networks), None, stage.name
    )
    of_audit = workspace.stages.paper()
    yield ExpectedPage(of_audit.option("out"), paper_audit_page(of_paper), None, of_audit.name)


def _tables(workspace: Workspace, results: dict[Number, Evaluation], stage: Stage) -> Iterator[ExpectedPage]:
    """The tables, and the ledger's lines, of the results that can stand there."""
    evidence = _evidence(workspace, results)
    for table in workspace.params.shown_tables:
        path = stage.option("tables-out") / f"table_{table_index(table)}"
        yield ExpectedPage(path.with_suffix(".csv"), table_csv(evidence, table), table, stage.name)
        yield ExpectedPage(path.with_suffix(".md"), table_page(evidence, table, ""), table, stage.name)
    yield ExpectedPage(stage.option("ledger-out"), ledger_csv(ledger(evidence)), None, stage.name)


def _evidence(workspace: Workspace, results: dict[Number, Evaluation]) -> Evidence:
    """What the tables are made from: the results by cell, those without any among them."""
    params, cells = workspace.params, {}
    by_cell = defaultdict(list)
    for number, result in sorted(results.items(), key=lambda item: item[0].seed):
        by_cell[number.key].append(result)
    for key in params.cell_keys(planned=False):
        cells[str(key)] = CellResults(key, tuple(params.seeds_of(key)), tuple(by_cell[key]))
    return Evidence(params, workspace.budget, cells, read_paper(), workspace.attempts)
