"""Writes the six tables of a budget into README.md: the paper's number and ours side by side.

    python -m stages.report.readme [--budget paper] [--readme README.md]

In:  reports/<budget>/tables/table_1..6.csv; params.yaml (data set and family of each table, tolerances of verdicts).
Out: README.md, with the lines between the two comments that name this command made anew, and no other line changed.
The first comment names the budget; --budget writes another one there.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import click

from stages.config.params import Params, load_params
from stages.config.schema import DATASETS, Dataset, Table
from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import write_text
from stages.core.progress import say
from stages.records.run import FINISHED
from stages.report.formats import decimals, fixed, listed, signed
from stages.report.markdown import document, escape, table
from stages.report.outcomes import NOT_RUN
from stages.report.results import expected_test_images
from stages.report.tables import table_index
from stages.stats.verdicts import CLOSE, FAR, NEAR, UNJUDGED

Line = Mapping[str, str]  # of a table's CSV file, by its columns
_WIDTH = 118  # characters of a line of prose
_COMMAND = "python -m stages.report.readme"
_BEGIN = "<!-- tables of {budget}: made by " + _COMMAND + " -->"
_END = "<!-- end of what " + _COMMAND + " makes -->"
_BLOCK = re.compile(re.escape(_BEGIN).replace(r"\{budget\}", "([a-z0-9_-]+)") + "\n.*?" + re.escape(_END), re.DOTALL)


def written_budget(readme: str, path: Path | str) -> str:
    """The budget whose tables a README has. Raises CorruptFileError for one without the two comments."""
    if not (found := _BLOCK.search(readme)):
        raise CorruptFileError(path, "the comments around the tables are not there", f"{_BEGIN}, later {_END}")
    return found[1]


def with_tables(readme: str, params: Params, budget: str, lines: Mapping[Table, Sequence[Line]]) -> str:
    """A README with a budget's tables between its two comments."""
    block = document(_BEGIN.format(budget=budget), tables_block(params, budget, lines), _END)
    return _BLOCK.sub(lambda _: block.rstrip(), readme, count=1)


def tables_block(params: Params, budget: str, lines: Mapping[Table, Sequence[Line]]) -> str:
    """Caption, counts, and one table of all rows: those of a label on both data sets stand on one line."""
    header = ["row"]
    for dataset in DATASETS:
        header += [f"{params.datasets.of(dataset).title}: paper", "ours", "difference", "as logged"]
    rows = []
    for family in dict.fromkeys(settings.family for settings in params.tables.values()):
        rows += _family_rows(params, budget, family, lines)
    shown = table(header, rows, numbers=[1, 2, 5, 6])
    return document(_caption(params, budget, lines), shown)


def _family_rows(params: Params, budget: str, family: str, lines: Mapping[Table, Sequence[Line]]) -> list[list[str]]:
    """The links to a family's tables, then its rows."""
    numbers = {settings.dataset: number for number, settings in params.tables.items() if settings.family == family}
    by_label = {dataset: {line["row"]: line for line in lines[number]} for dataset, number in numbers.items()}
    rows = [["", *(cell for dataset in DATASETS for cell in _links(budget, numbers.get(dataset)))]]
    for label in dict.fromkeys(label for dataset in DATASETS for label in by_label.get(dataset, {})):
        row = [escape(label)]
        for dataset in DATASETS:
            line = by_label.get(dataset, {}).get(label)
            row += _cells(line, decimals(expected_test_images(params, budget, dataset))) if line else [""] * 4
        rows.append(row)
    return rows


def _links(budget: str, number: Table | None) -> list[str]:
    """The way to a table's own page, as wide as its numbers."""
    if number is None:
        return [""] * 4
    return [f"[Table {number}](reports/{budget}/tables/table_{table_index(number)}.md)", "", "", ""]


def _cells(line: Line, places: int) -> list[str]:
    """A row's numbers on one data set."""
    difference = f"{_signed(line['difference'], places)} {line['verdict']}".strip()
    logged = f"{_accuracy(line, 'as_logged_', places)} {line['as_logged_verdict']}".strip() if line["as_logged"] else ""
    return [line["paper"], _accuracy(line, "", places), difference, logged]


def _accuracy(line: Line, prefix: str, places: int) -> str:
    """The mean, with the deviation over several seeds and how the trainings ended, if not well."""
    if not line[f"{prefix}mean"]:
        return NOT_RUN
    std, outcome = line[f"{prefix}std"], line[f"{prefix}outcome"]
    spread = f" ± {fixed(float(std), places)}" if std else ""
    ended = "" if outcome == FINISHED else f" ({escape(outcome.replace(';', ', '))})"
    return fixed(float(line[f"{prefix}mean"]), places) + spread + ended


def _signed(difference: str, places: int) -> str:
    return signed(float(difference), places) if difference else ""


def _caption(params: Params, budget: str, lines: Mapping[Table, Sequence[Line]]) -> str:
    """The conditions, the seeds, what the columns are, and how many rows of each verdict there are."""
    sentences = [
        f"Test accuracy in percent, budget `{budget}` ({escape(params.chosen_budget(budget).caption)}).",
        _seeds([line for table_lines in lines.values() for line in table_lines]),
        "*Difference* is ours less the paper's, in points; the verdict is by the distance to the nearest number that "
        "rounds to the printed one (98 stands for 97.5 to 98.5). *As logged* is the row trained with the setting that "
        "the printed logs or numbers suggest, which the linked table names; empty where that is the text's.",
        *(_counts(params, dataset, lines) for dataset in DATASETS),
    ]
    return fill(" ".join(sentences), _WIDTH, break_on_hyphens=False, break_long_words=False)


def _seeds(lines: Sequence[Line]) -> str:
    """How many trainings stand behind a number."""
    counts = {int(line[column] or 0) for line in lines for column in ("n", "as_logged_n")} - {0}
    if not counts:
        return "Nothing has been run."
    if counts == {1}:
        return "Each number is one training (n = 1); how far another seed would move it is unknown."
    several = " or ".join(str(count) for count in sorted(counts - {1}))
    alone = "; a number without ± is one training" if 1 in counts else ""
    return f"Mean of {several} seeds, ± their standard deviation{alone}."


def _counts(params: Params, dataset: Dataset, lines: Mapping[Table, Sequence[Line]]) -> str:
    """How many rows on a data set have which verdict, and how many points it stands for."""
    verdicts, title = params.verdicts, params.datasets.of(dataset).title
    numbers = [number for number, settings in params.tables.items() if settings.dataset == dataset]
    counts = Counter(line["verdict"] or NOT_RUN for number in numbers for line in lines[number])
    meaning: dict[str, str] = {
        CLOSE: f" (within {verdicts.close.of(dataset):g} points of the printed number)",
        NEAR: f" (within {verdicts.near.of(dataset):g})",
    }
    words = [word for word in (CLOSE, NEAR, FAR, UNJUDGED, NOT_RUN) if counts[word] or word in (CLOSE, NEAR, FAR)]
    counted = listed([f"{counts[word]} {word}{meaning.get(word, '')}" for word in words])
    return f"**Of {counts.total()} rows on {title}:** {counted}."


def read_lines(folder: Path, number: Table, budget: str) -> list[dict[str, str]]:
    """The lines of a table's CSV file."""
    path = folder / f"table_{table_index(number)}.csv"
    if not path.is_file():
        raise MissingFileError(path, f"dvc repro aggregate-tables@{budget}")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@click.command()
@click.option("--budget", help="one of params.yaml's budgets; by default the one whose tables are there")
@click.option("--readme", type=click.Path(dir_okay=False, path_type=Path), default=Path("README.md"), show_default=True)
def main(budget: str | None, readme: Path) -> None:
    """Write the six tables of a budget into README.md."""
    params = load_params()
    if not readme.is_file():
        raise MissingFileError(readme, "git (run from the top folder of the repository)")
    text = readme.read_text(encoding="utf-8")
    there = written_budget(text, readme)
    budget = budget or there
    params.chosen_budget(budget)
    folder = Path("reports", budget, "tables")
    lines = {number: read_lines(folder, number, budget) for number in params.tables}
    write_text(readme, with_tables(text, params, budget, lines))
    say(f"{readme}: tables of budget {budget}, from {folder}")


if __name__ == "__main__":
    main()
