"""Which number is asked for: by table and row, by cell, or by its value as printed."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from stages.core.errors import CorruptFileError, ParamError, StageError
from stages.core.params import CellKey, Table, read_yaml
from stages.core.provenance import DVC_FILE
from stages.core.records import read_json
from stages.report.evidence import Evidence
from stages.report.formats import decimals


@dataclass(frozen=True)
class Number:
    """One number of the tables or of a study, over all its seeds: where it is printed, and its cell.

    `plain` is what its settings are compared with: the first row of its table, or the base of its study.
    """

    table: str
    row: str
    key: CellKey
    plain: CellKey
    paper: str | None


def every_number(evidence: Evidence) -> list[Number]:
    """The rows of the tables in their order, then the planned alternatives of the studies."""
    params, found = evidence.params, []
    for table, settings in params.tables.items():
        plain = CellKey("cells", settings.dataset, settings.rows[0].cell)
        for row in settings.rows:
            key = CellKey("cells", settings.dataset, row.cell)
            found.append(Number(table, row.row, key, plain, evidence.paper.accuracy(table, row.row)))
    for name, study in params.studies.items():
        plain = CellKey("cells", study.dataset, study.base)
        for cell in study.alternatives:
            if cell in params.study_cells.of(study.dataset):
                found.append(Number(name, cell, CellKey("alternatives", study.dataset, cell), plain, None))
    return found


def asked(evidence: Evidence, words: tuple[str, ...]) -> Number:
    """The one number that the words name: TABLE ROW, CELL or ROW, in large or small letters.

    Raises a StageError that lists what they may mean when it is not one.
    """
    numbers = every_number(evidence)
    if len(words) > 1:
        return _by_row(numbers, words[0], " ".join(words[1:]))
    (word,) = words
    found = [number for number in numbers if _same(word, number.row, number.key.name, str(number.key))]
    if len(found) > 1:
        raise StageError(
            "\n".join([f"{word!r} names {len(found)} numbers; ask for one of them:", *listing(found, evidence)])
        )
    if not found:
        names = [name for number in numbers for name in (number.row, str(number.key), number.key.name)]
        raise ParamError("number", word, f"a table and a row, a cell, or a printed value{_near(word, names)}")
    return found[0]


def listing(numbers: Iterable[Number], evidence: Evidence) -> list[str]:
    """A line for each number, with the command that explains it."""
    default = evidence.budget_name == evidence.params.budget
    budget = "" if default else f" --budget {evidence.budget_name}"
    return [
        f'  python -m stages.audit explain {number.table} "{number.row}"{budget}    ({number.key})'
        for number in numbers
    ]


def _by_row(numbers: list[Number], table: str, row: str) -> Number:
    tables = list(dict.fromkeys(number.table for number in numbers))
    places = {str(place): name for place, name in enumerate(get_args(Table), 1)}
    name = places.get(table, table)
    of_table = [number for number in numbers if _same(name, number.table)]
    if not of_table:
        raise ParamError("table", table, "one of " + ", ".join(tables) + _near(table, tables))
    found = [number for number in of_table if _same(row, number.row, number.key.name)]
    if not found:
        rows = [number.row for number in of_table]
        raise ParamError(f"row of {name}", row, "one of " + "; ".join(rows) + _near(row, rows))
    return found[0]


def of_value(evidence: Evidence, word: str, files: "ResultFiles") -> dict[Number, list[str]]:
    """The numbers that are printed with this value, each with whose it is: `paper`, `ours`, or both.

    Raises ParamError, naming the nearest, when there is none.
    """
    value, numbers = Decimal(word.removesuffix("%")), every_number(evidence)
    ours = printed(evidence, numbers, files)
    found: dict[Number, list[str]] = {}
    for number in numbers:
        texts = {"paper": number.paper, "ours": ours.get(number)}
        if whose := [name for name, text in texts.items() if text is not None and Decimal(text) == value]:
            found[number] = whose
    if not found:
        known = {text for number in numbers for text in (number.paper, ours.get(number)) if text}
        near = sorted(known, key=lambda text: (abs(Decimal(text) - value), text))[:3]
        raise ParamError("value", word, f"a number as the tables print it, the nearest: {', '.join(near)}")
    return found


def printed(evidence: Evidence, numbers: list[Number], files: "ResultFiles") -> dict[Number, str]:
    """Our numbers as the tables print them; a number whose results are not all there yet is left out."""
    texts = {}
    for number in numbers:
        paths = [files.of(number.key, seed) for seed in evidence.params.seeds]
        if all(path.is_file() for path in paths):
            results = [read_json(path, "dvc repro") for path in paths]
            mean = fmean(map(_percent, results, paths))
            texts[number] = f"{mean:.{decimals(evidence.test_images(number.key.dataset))}f}"
    return texts


def _percent(result: Any, path: Path) -> float:
    try:
        return 100 * result["correct"] / result["test_images"]
    except (KeyError, TypeError, ZeroDivisionError):
        raise CorruptFileError(path, "no counts of its images", "correct and test_images, as evaluate writes") from None


class ResultFiles:
    """Where the evaluations of a budget put their results, as dvc.yaml says."""

    def __init__(self, budget: str) -> None:
        self.budget = budget
        self._stages = read_yaml(DVC_FILE)["stages"]

    def of(self, key: CellKey, seed: int) -> Path:
        """The result of a cell and seed. Raises StageError when dvc.yaml has no one file for it."""
        stage = self._stages.get(f"evaluate-{key.stage_suffix}", {})
        found = [path for entry in stage.get("plots", ()) for path in (entry if isinstance(entry, dict) else [entry])]
        if len(found) != 1:
            raise StageError(f"{DVC_FILE}: evaluate-{key.stage_suffix} has {len(found)} plots; expected one file")
        (text,) = found
        for name, value in (("budget", self.budget), ("cell", key.name), ("seed", str(seed))):
            text = text.replace(f"${{item.{name}}}", value)
        return Path(text)


def is_value(word: str) -> bool:
    """Whether a word is a number, as `82.3` or `82.3%`."""
    try:
        return Decimal(word.removesuffix("%")).is_finite()
    except InvalidOperation:
        return False


def _same(word: str, *names: str) -> bool:
    return " ".join(word.casefold().split()) in {name.casefold() for name in names}


def _near(word: str, names: list[str]) -> str:
    by_name = {name.casefold(): name for name in names}
    near = [by_name[name] for name in get_close_matches(word.casefold(), list(by_name), n=3)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
