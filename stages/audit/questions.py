"""Which number is asked for: by table and row, by cell, or by its value as printed."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from statistics import fmean
from typing import get_args

from stages.core.errors import ParamError, StageError
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

    @property
    def command(self) -> str:
        """The command that explains it."""
        return f'python -m stages.audit explain {self.table} "{self.row}"'

    def __str__(self) -> str:
        return f"Table {self.table}, {self.row}" if self.table in get_args(Table) else f"study {self.table}, {self.row}"


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


def asked(evidence: Evidence, words: tuple[str, ...], files: "ResultFiles") -> Number:
    """The one number that the words name: TABLE ROW, CELL, ROW or VALUE, in large or small letters.

    Raises a StageError that lists what they may mean when it is not one."""
    numbers = every_number(evidence)
    if len(words) > 1:
        return _by_row(numbers, words[0], " ".join(words[1:]))
    (word,) = words
    if (value := _value(word)) is not None:
        return _by_value(evidence, numbers, word, value, files)
    found = [number for number in numbers if _same(word, number.row, number.key.name, str(number.key))]
    if found:
        return _only(found, word)
    names = [name for number in numbers for name in (number.row, str(number.key), number.key.name)]
    raise ParamError("number", word, f"a table and a row, a cell, or a printed value{_near(word, names)}")


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


def _by_value(evidence: Evidence, numbers: list[Number], word: str, value: Decimal, files: "ResultFiles") -> Number:
    ours = printed(evidence, numbers, files)
    found = {}
    for number in numbers:
        of_paper = number.paper is not None and Decimal(number.paper) == value
        of_us = number in ours and Decimal(ours[number]) == value
        if of_paper or of_us:
            found[number] = " and ".join(["the paper's"] * of_paper + ["ours"] * of_us)
    if not found:
        known = [str(text) for number in numbers for text in (number.paper, ours.get(number)) if text]
        near = sorted(set(known), key=lambda text: abs(Decimal(text) - value))[:3]
        raise ParamError("value", word, f"a number as the tables print it, near it: {', '.join(near)}")
    return _only(list(found), word, lambda number: f", {found[number]}")


def printed(evidence: Evidence, numbers: list[Number], files: "ResultFiles") -> dict[Number, str]:
    """Our numbers as the tables print them; a number whose results are not all there yet is left out."""
    texts = {}
    for number in numbers:
        paths = [files.of(number.key, seed) for seed in evidence.params.seeds]
        if all(path.is_file() for path in paths):
            results = [read_json(path, "dvc repro") for path in paths]
            mean = fmean(100 * result["correct"] / result["test_images"] for result in results)
            texts[number] = f"{mean:.{decimals(evidence.test_images(number.key.dataset))}f}"
    return texts


class ResultFiles:
    """Where the evaluations of a budget put their results, as dvc.yaml says."""

    def __init__(self, budget: str) -> None:
        self.budget = budget
        self._stages = read_yaml(DVC_FILE)["stages"]

    def of(self, key: CellKey, seed: int) -> Path:
        """The result of a cell and seed. Raises StageError when dvc.yaml has no one file for it."""
        stage = self._stages.get(f"evaluate-{key.stage_suffix}", {})
        metrics = [
            path for entry in stage.get("metrics", ()) for path in (entry if isinstance(entry, dict) else [entry])
        ]
        if len(metrics) != 1:
            raise StageError(f"{DVC_FILE}: evaluate-{key.stage_suffix} has {len(metrics)} metrics; expected one file")
        (text,) = metrics
        for name, value in (("budget", self.budget), ("cell", key.name), ("seed", str(seed))):
            text = text.replace(f"${{item.{name}}}", value)
        return Path(text)


def _only(found: list[Number], word: str, remark: Callable[[Number], str] = lambda number: "") -> Number:
    if len(found) == 1:
        return found[0]
    lines = [f"  {number.command}    ({number.key}{remark(number)})" for number in found]
    raise StageError("\n".join([f"{word!r} is one of {len(found)} numbers; ask for one of them:", *lines]))


def _value(word: str) -> Decimal | None:
    try:
        value = Decimal(word.removesuffix("%").strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _same(word: str, *names: str) -> bool:
    return " ".join(word.casefold().split()) in {name.casefold() for name in names}


def _near(word: str, names: list[str]) -> str:
    by_name = {name.casefold(): name for name in names}
    near = [by_name[name] for name in get_close_matches(word.casefold(), list(by_name), n=3)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
