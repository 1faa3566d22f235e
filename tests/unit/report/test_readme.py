"""README's tables: which numbers stand in them, that no other line changes, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stages.config.schema import Table
from stages.report.readme import main, read_lines, tables_block

BEFORE, AFTER = "# A title\n\nWords.\n\n", "\n\nMore words.\n"
EMPTY = (
    "<!-- tables of quick: made by python -m stages.report.readme -->\n"
    "<!-- end of what python -m stages.report.readme makes -->"
)


@pytest.fixture
def with_tables(filled: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tables of `quick` in the working folder, and a README without."""
    assert filled.aggregate().exit_code == 0
    tables = filled.folder / "reports" / "quick" / "tables"
    tables.parent.mkdir(parents=True)
    tables.symlink_to(filled.out("tables"))
    (filled.folder / "README.md").write_text(BEFORE + EMPTY + AFTER)
    monkeypatch.chdir(filled.folder)
    return filled


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def lines(project: Any) -> dict[Table, list[dict[str, str]]]:
    return {number: read_lines(project.out("tables"), number, "quick") for number in project.params.tables}


def block(project: Any, found: dict[Table, list[dict[str, str]]]) -> list[str]:
    return tables_block(project.params, "quick", found).splitlines()


def test_every_row_stands_there_once_and_nothing_else_changes(with_tables: Any) -> None:
    assert run().exit_code == 0
    text = Path("README.md").read_text()
    assert text.startswith(BEFORE)
    assert text.endswith(AFTER)
    assert run().exit_code == 0
    assert Path("README.md").read_text() == text
    for number, table in with_tables.params.tables.items():
        for row, line in zip(table.rows, lines(with_tables)[number], strict=True):
            (shown,) = (one for one in text.splitlines() if one.startswith(f"| {row.row} |"))
            assert f"| {line['paper']} | {float(line['mean']):.1f}" in shown


def test_a_row_of_one_data_set_alone_leaves_the_other_empty(with_tables: Any) -> None:
    shown = block(with_tables, lines(with_tables))
    (line,) = (line for line in shown if line.startswith("| GoogLeNet with adam |"))
    assert line.endswith("|  |  |  |  |")
    assert (
        "**Of 17 rows on CIFAR10:** 0 close (within 2.5 points of the printed number), 0 near (within 5), "
        in " ".join(shown)
    )


def test_seeds_outcomes_and_what_has_not_run_are_said(with_tables: Any) -> None:
    found = lines(with_tables)
    assert "Each number is one training (n = 1)" in block(with_tables, found)[0]
    found["V"][0] |= {"std": "1.5", "n": "3", "mean": "50.0", "difference": "-28.9", "verdict": "far"}
    found["V"][1] |= {"mean": "", "n": "0", "difference": "", "verdict": "", "outcome": "not run"}
    found["V"][2] |= {"mean": "10.0", "outcome": "1 of 3 diverged;2 of 3 at chance"}
    text = "\n".join(block(with_tables, found))
    assert "| 78.9 | 50.0 ± 1.5 | −28.9 far |" in text
    assert "| 80.4 | not run |  | not run |" in text
    assert "10.0 (1 of 3 diverged, 2 of 3 at chance)" in text
    assert "Mean of 3 seeds, ± their standard deviation; a number without ± is one training." in " ".join(text.split())


def test_another_budget_is_written_where_the_comment_names_it(with_tables: Any) -> None:
    Path("README.md").write_text(BEFORE + EMPTY.replace("quick", "paper") + AFTER)
    refused = run()
    assert refused.exit_code == 1
    assert (
        "reports/paper/tables/table_1.csv is missing; it is made by: dvc repro aggregate-tables@paper" in refused.output
    )
    assert run("--budget", "quick").exit_code == 0
    assert "<!-- tables of quick: " in Path("README.md").read_text()


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (BEFORE + AFTER, (), "the comments around the tables are not there"),
        (BEFORE + EMPTY + AFTER, ("--budget", "mine"), "'mine' is not allowed"),
    ],
)
def test_refusals_leave_the_file_as_it_is(with_tables: Any, text: str, words: tuple[str, ...], said: str) -> None:
    Path("README.md").write_text(text)
    refused = run(*words)
    assert refused.exit_code == 1
    assert said in refused.output
    assert Path("README.md").read_text() == text
