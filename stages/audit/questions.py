"""Which number is to be explained: by table and row, by cell, or by its value as printed."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from stages.audit.numbers import in_row, in_table, selected
from stages.audit.pipeline import Stages
from stages.config.cells import CellKey
from stages.core.errors import ParamError, StageError, did_you_mean
from stages.core.regular import is_there
from stages.records.evaluation import Evaluation
from stages.report.evidence import CellResults, Evidence
from stages.report.rows import TableRow, all_rows


def asked(evidence: Evidence, words: tuple[str, ...], for_results: bool = False) -> TableRow:
    """The one number that the words name: TABLE ROW, CELL or ROW, in large or small letters.

    A cell that stands in several tables has the same results in each; `for_results` takes it where it stands first.
    Raises a StageError that lists what they may mean when it is not one.
    """
    numbers = all_rows(evidence)
    word = " ".join(words)
    found = selected(numbers, words) if len(words) > 1 else in_table(numbers, word) or in_row(numbers, word)
    if len(found) > 1 and not (for_results and len({number.key for number in found}) == 1):
        named = [f'  {number.table} "{number.row}"    ({number.key})' for number in found]
        lines = named if for_results else listing(found, evidence)
        raise StageError("\n".join([f"{word!r} names {len(found)} numbers; ask for one of them:", *lines]))
    if not found:
        names = [name for number in numbers for name in (number.row, str(number.key), number.key.name)]
        raise ParamError("number", word, f"a table and a row, a cell, or a printed value{did_you_mean(word, names)}")
    return found[0]


def listing(numbers: Iterable[TableRow], evidence: Evidence) -> list[str]:
    """A line for each number, with the command that explains it."""
    default = evidence.budget_name == evidence.params.budget
    budget = "" if default else f" --budget {evidence.budget_name}"
    return [
        f'  python -m stages.audit explain {number.table} "{number.row}"{budget}    ({number.key})'
        for number in numbers
    ]


def of_value(evidence: Evidence, word: str) -> dict[TableRow, list[str]]:
    """The numbers that are printed with this value, each with whose it is: `paper`, `ours`, or both.

    Raises ParamError, naming the nearest, when there is none.
    """
    value, texts = Decimal(word.removesuffix("%")), printed(evidence)
    found: dict[TableRow, list[str]] = {}
    for number, by_whom in texts.items():
        if whose := [name for name, text in by_whom.items() if Decimal(text) == value]:
            found[number] = whose
    if not found:
        known = {text for by_whom in texts.values() for text in by_whom.values()}
        nearest = sorted(known, key=lambda text: (abs(Decimal(text) - value), text))[:3]
        others = [name for name in evidence.params.budgets if name != evidence.budget_name]
        elsewhere = f"; of another budget: --budget {' or '.join(others)}" if others else ""
        there = f"a number as the tables of budget {evidence.budget_name} print it, the nearest: {', '.join(nearest)}"
        raise ParamError("value", word, there + elsewhere)
    return found


def printed(evidence: Evidence) -> dict[TableRow, dict[str, str]]:
    """Every number as the tables print it, `paper` and `ours`, as far as the paper has it and there are results."""
    found = {}
    for row in all_rows(evidence):
        texts = {"paper": None if row.is_as_logged else row.paper, "ours": row.mean_text if row.has_run else None}
        found[row] = {name: text for name, text in texts.items() if text is not None}
    return found


def with_results(evidence: Evidence, keys: Iterable[CellKey], stages: Stages) -> Evidence:
    """The same with the results of these cells, of those seeds that have one. Raises CorruptFileError."""
    cells = {}
    for key in keys:
        seeds = evidence.params.seeds_of(key)
        paths = [stages.result(key, seed) for seed in seeds]
        results = [Evaluation.read(path, "dvc repro") for path in paths if is_there(path)]
        cells[str(key)] = CellResults(key, tuple(seeds), tuple(results))
    return replace(evidence, cells=evidence.cells | cells)


def is_value(word: str) -> bool:
    """Whether a word is a number, as `82.3` or `82.3%`."""
    try:
        return Decimal(word.removesuffix("%")).is_finite()
    except InvalidOperation:
        return False
