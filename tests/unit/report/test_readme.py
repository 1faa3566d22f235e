"""README's tables: which numbers stand in them, that no other line changes, and what is refused."""

import csv
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stages.report.readme import main, tables_block
from stages.report.rows import table_rows
from stages.report.tables import table_csv

BEFORE, AFTER = "# A title\n\nWords.\n\n", "\n\nMore words.\n"
EMPTY = (
    "<!-- tables of quick: made by python -m stages.report.readme -->\n"
    "<!-- end of what python -m stages.report.readme makes -->"
)


@pytest.fixture
def with_results(filled: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Results of `quick` in the working folder, and a README without tables."""
    cells = filled.folder / "reports" / "quick" / "cells"
    cells.parent.mkdir(parents=True)
    cells.symlink_to(filled.cells)
    (filled.folder / "README.md").write_text(BEFORE + EMPTY + AFTER)
    monkeypatch.chdir(filled.folder)
    return filled


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def block(project: Any) -> list[str]:
    return tables_block(project.evidence()).splitlines()


def test_every_row_stands_there_once_and_nothing_else_changes(with_results: Any) -> None:
    assert run().exit_code == 0
    text = Path("README.md").read_text()
    assert text.startswith(BEFORE)
    assert text.endswith(AFTER)
    assert run().exit_code == 0
    assert Path("README.md").read_text() == text
    evidence = with_results.evidence()
    for number, table in with_results.params.tables.items():
        printed = csv.DictReader(table_csv(evidence, number).splitlines())
        for row, line in zip(table.rows, printed, strict=True):
            (shown,) = (one for one in text.splitlines() if one.startswith(f"| {row.row} |"))
            assert f"| {line['paper']} | {float(line['mean']):.1f}" in shown


def test_a_row_of_one_data_set_alone_leaves_the_other_empty(with_results: Any) -> None:
    shown = block(with_results)
    (line,) = (line for line in shown if line.startswith("| GoogLeNet with adam |"))
    assert line.endswith("|  |  |  |  |")
    assert (
        "**Of 17 rows on CIFAR10:** 0 close (within 2.5 points of the printed number), 0 near (within 5), "
        in " ".join(shown)
    )


def test_seeds_outcomes_and_what_has_not_run_are_said(with_results: Any) -> None:
    assert "Each number is one training (n = 1)" in block(with_results)[0]
    more = {"mnist": {"cells": [], "seeds": []}, "cifar10": {"cells": ["resnet18", "resnet18-sgd"], "seeds": [1, 2]}}
    with_results.edit(lambda raw: raw.update(more_seeds=more))
    with_results.fill()
    with_results.remove("cifar10/resnet18-lr1e-2")
    with_results.change("cifar10/resnet18-sgd", 0, run__outcome="diverged")
    for seed in (1, 2):
        with_results.change("cifar10/resnet18-sgd", seed, at_chance=True)
    shown, (row, _, sgd, *_) = block(with_results), table_rows(with_results.evidence(), "V")
    text = "\n".join(shown)
    assert f"| 78.9 | {row.mean:.1f} ± {row.std:.1f} (3) | {row.difference:+.1f} cannot".replace("-", "−") in text
    assert "| 80.4 | not run |  | not planned |" in text
    assert f"{sgd.mean:.1f} ± {sgd.std:.1f} (3) (1 of 3 diverged, 2 of 3 at chance)" in text
    said = "Mean of 3 seeds ± sample standard deviation (number of seeds). A number without ± is one training."
    assert said in " ".join(text.split())


def test_another_budget_is_written_where_the_comment_names_it(with_results: Any) -> None:
    Path("README.md").write_text(BEFORE + EMPTY.replace("quick", "paper") + AFTER)
    refused = run()
    assert refused.exit_code == 1
    assert (
        "reports/paper/cells has no result of budget paper; make launch trains and tests what is left" in refused.output
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
def test_refusals_leave_the_file_as_it_is(with_results: Any, text: str, words: tuple[str, ...], said: str) -> None:
    Path("README.md").write_text(text)
    refused = run(*words)
    assert refused.exit_code == 1
    assert said in refused.output
    assert Path("README.md").read_text() == text
