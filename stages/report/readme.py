"""Writes the six tables of a budget into README.md: the paper's number and ours side by side.

    python -m stages.report.readme [--budget paper] [--readme README.md]

In:  reports/<budget>/cells/ (what `evaluate` wrote), data/paper/*.csv, params.yaml, dvc.lock (what the budget plans).
Out: README.md, with the lines between the two comments that name this command made anew, and no other line changed.
The first comment names the budget; --budget writes another one there.
"""

import stages.core.environment  # noqa: F401  # isort: skip

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from textwrap import fill

import click

from stages.config.schema import DATASETS, PAPER_TABLES, Dataset, Table
from stages.core.errors import CorruptFileError, MissingFileError, StageError
from stages.core.files import write_text
from stages.core.progress import say
from stages.records.evaluation import results_folder
from stages.records.planned import NOT_PLANNED, NOT_RUN
from stages.report.evidence import Evidence, evidence_of
from stages.report.formats import listed
from stages.report.markdown import document, escape, table
from stages.report.outcomes import absent, remark
from stages.report.rows import TableRow, lines, table_rows
from stages.report.studies import SuggestedRow, suggested_rows
from stages.report.tables import table_index
from stages.stats.verdicts import CLOSE, FAR, NEAR, UNJUDGED

Rows = Mapping[Table, Sequence[TableRow]]
Suggested = Mapping[tuple[str, str], SuggestedRow]
_OTHER_ROW = "another row"
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


def with_tables(readme: str, evidence: Evidence) -> str:
    """A README with a budget's tables between its two comments."""
    block = document(_BEGIN.format(budget=evidence.budget_name), tables_block(evidence), _END)
    return _BLOCK.sub(lambda _: block.rstrip(), readme, count=1)


def tables_block(evidence: Evidence) -> str:
    """Caption, counts, and one table of all rows: those of a label on both data sets stand on one line."""
    tables = {number: table_rows(evidence, number) for number in evidence.params.paper_tables}
    suggested = suggested_rows(evidence)
    header = ["row"]
    for dataset in DATASETS:
        header += [f"{evidence.dataset(dataset).title}: paper", "ours", "difference", "as logged"]
    printed = []
    for family in dict.fromkeys(settings.family for settings in evidence.params.paper_tables.values()):
        printed += _family_lines(evidence, family, tables, suggested)
    shown = table(header, printed, numbers=[1, 2, 5, 6])
    return document(_caption(evidence, tables, suggested), shown, _others(evidence))


def _family_lines(evidence: Evidence, family: str, tables: Rows, suggested: Suggested) -> list[list[str]]:
    """The links to a family's tables, then its rows."""
    settings = evidence.params.paper_tables.items()
    numbers = {table.dataset: number for number, table in settings if table.family == family}
    by_label = {dataset: {row.row: row for row in tables[number]} for dataset, number in numbers.items()}
    links = [_links(evidence.budget_name, numbers.get(dataset)) for dataset in DATASETS]
    printed = [["", *chain.from_iterable(links)]]
    for label in dict.fromkeys(label for dataset in DATASETS for label in by_label.get(dataset, {})):
        cells = [_cells(by_label.get(dataset, {}).get(label), suggested) for dataset in DATASETS]
        printed.append([escape(label), *chain.from_iterable(cells)])
    return printed


def _others(evidence: Evidence) -> str:
    """The ways to the tables that the paper does not have; empty without one."""
    ways = [
        f"[Table {number}](reports/{evidence.budget_name}/tables/table_{table_index(number)}.md): "
        f"{escape(evidence.params.tables[number].caption)}"
        for number in evidence.params.shown_tables
        if number not in PAPER_TABLES
    ]
    return f"Not in the paper: {'; '.join(ways)}." if ways else ""


def _links(budget: str, number: Table | None) -> list[str]:
    """The way to a table's own page, as wide as its numbers."""
    if number is None:
        return [""] * 4
    return [f"[Table {number}](reports/{budget}/tables/table_{table_index(number)}.md)", "", "", ""]


def _cells(row: TableRow | None, suggested: Suggested) -> list[str]:
    """A row's numbers on one data set."""
    if row is None:
        return [""] * 4
    judged = f"{row.difference_text} {row.verdict.word}" if row.verdict else ""
    return [row.paper or "", _accuracy(row), judged, _as_logged(row, suggested)]


def _as_logged(row: TableRow, suggested: Suggested) -> str:
    if (logged := row.as_logged) is None:
        return _OTHER_ROW if (row.key.dataset, row.key.name) in suggested else ""
    return _accuracy(logged) + (f" {logged.verdict.word}" if logged.verdict else "")


def _accuracy(row: TableRow) -> str:
    """The mean, with deviation and number of several seeds, and how the trainings ended, if not well."""
    if not row.has_run:
        return row.mean_text
    return row.mean_text + (f" ± {row.std_text} ({row.n})" if row.std is not None else "") + remark(row.results)


def _caption(evidence: Evidence, tables: Rows, suggested: Suggested) -> str:
    """The conditions, the seeds, what the columns are, and how many rows of each verdict there are."""
    sentences = [
        f"Test accuracy in percent, budget `{evidence.budget_name}` ({escape(evidence.budget.caption)}).",
        _seeds([line for rows in tables.values() for line in lines(rows)]),
        "*Difference* is ours less the paper's, in points; the verdict is by the distance to the nearest number that "
        "rounds to the printed one (98 stands for 97.5 to 98.5). *As logged* is the row trained with the setting that "
        "the printed logs or numbers suggest, which the linked table names; empty where that is the text's.",
        *_suggestions(evidence, suggested),
        *(_counts(evidence, dataset, tables) for dataset in DATASETS),
    ]
    return fill(" ".join(sentences), _WIDTH, break_on_hyphens=False, break_long_words=False)


def _suggestions(evidence: Evidence, suggested: Suggested) -> Iterator[str]:
    """A sentence for each pair of rows of which one's setting is suggested for the other, on one data set or both."""
    pairs: dict[tuple[str, str, str], list[SuggestedRow]] = {}
    for one in suggested.values():
        pairs.setdefault((one.row, one.other, one.study.assumption), []).append(one)
    tables = evidence.params.paper_tables.values()
    for (label, other, assumption), found in pairs.items():
        stands_on = {table.dataset for table in tables if label in {row.row for row in table.rows}}
        here = [one.dataset for one in found]
        on = "" if stands_on == set(here) else f" on {_titles(evidence, here)}"
        followed = [one for one in found if not one.is_studied]
        why = [f"; on {_titles(evidence, [one.dataset])} by {one.study_in_words(evidence)}" for one in followed]
        yield (
            f"*{_OTHER_ROW.capitalize()}*: the setting suggested for {escape(label)}{on} is that of the row "
            f"{escape(other)} ({assumption}{''.join(why)})."
        )


def _titles(evidence: Evidence, datasets: Sequence[str]) -> str:
    return listed([evidence.dataset(name).title for name in dict.fromkeys(datasets)])


def _seeds(rows: Sequence[TableRow]) -> str:
    """How many trainings stand behind a number."""
    counts = {row.n for row in rows} - {0}
    if not counts:
        return "Nothing has been run."
    if counts == {1}:
        return "Each number is one training (n = 1); how far another seed would move it is unknown."
    several = " or ".join(str(count) for count in sorted(counts - {1}))
    few = " Two seeds say little about the deviation." if 2 in counts else ""
    alone = " A number without ± is one training." if 1 in counts else ""
    return f"Mean of {several} seeds ± sample standard deviation (number of seeds).{few}{alone}"


def _counts(evidence: Evidence, dataset: Dataset, tables: Rows) -> str:
    """How many rows on a data set have which verdict, and how many points it stands for."""
    verdicts, title = evidence.params.verdicts, evidence.dataset(dataset).title
    rows = [row for rows in tables.values() for row in rows if row.key.dataset == dataset]
    counts = Counter(row.verdict.word if row.verdict else absent(row.results) for row in rows)
    meaning: dict[str, str] = {
        CLOSE: f" (within {verdicts.close.of(dataset):g} points of the printed number)",
        NEAR: f" (within {verdicts.near.of(dataset):g})",
    }
    words = [
        word
        for word in (CLOSE, NEAR, FAR, UNJUDGED, NOT_RUN, NOT_PLANNED)
        if counts[word] or word in (CLOSE, NEAR, FAR)
    ]
    counted = listed([f"{counts[word]} {word}{meaning.get(word, '')}" for word in words])
    return f"**Of {counts.total()} rows on {title}:** {counted}."


@click.command()
@click.option("--budget", help="one of params.yaml's budgets; by default the one whose tables are there")
@click.option("--readme", type=click.Path(dir_okay=False, path_type=Path), default=Path("README.md"), show_default=True)
def main(budget: str | None, readme: Path) -> None:
    """Write the six tables of a budget into README.md."""
    if not readme.is_file():
        raise MissingFileError(readme, "git (run from the top folder of the repository)")
    text = readme.read_text(encoding="utf-8")
    budget = budget or written_budget(text, readme)
    evidence, cells = evidence_of(budget), results_folder(budget)
    if not evidence.has_results:
        raise StageError(f"{cells} has no result of budget {budget}; make launch trains and tests what is left")
    write_text(readme, with_tables(text, evidence))
    say(f"{readme}: tables of budget {budget}, from {cells}")


if __name__ == "__main__":
    main()
