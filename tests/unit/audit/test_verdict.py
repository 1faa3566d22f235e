"""The exit status that a fork's CI takes: 0 when rows and claims are as asked, else 1 and the list of what is not."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stages.audit.verdict import main
from stages.config.reading import read_yaml
from stages.report.rows import table_rows
from tests.unit.report.conftest import ROOT


def verdict(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def as_paper(audited: Any) -> Any:
    """Table III under the paper's conditions."""

    def change(raw: dict[str, Any]) -> None:
        raw["budgets"]["quick"] = raw["budgets"]["paper"]

    audited.edit(change)
    for row in audited.params.tables["III"].rows:
        audited.put(audited.params.find(f"mnist/{row.cell}")[0], 0, "quick")
    audited.keep(*(f"mnist/{row.cell}" for row in audited.params.tables["III"].rows))
    return audited


def test_under_other_conditions_no_row_is_met(audited: Any) -> None:
    done = verdict("IV")
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert len(lines) == 9
    assert all("cannot be judged" in line for line in lines[:-1])
    assert lines[-1] == "budget quick: 0 of 8 met"
    assert verdict("--rows", "any").exit_code == 0
    audited.remove("cifar10/vgg16")
    missing = verdict("--rows", "any")
    assert missing.exit_code == 1
    assert missing.output.startswith("Table IV, VGG16: not run\n")


def test_rows_are_held_to_the_tolerances(as_paper: Any) -> None:
    evidence = as_paper.evidence()
    words = [row.verdict.word for row in table_rows(evidence, "III") if row.verdict]
    done = verdict("III", "--json")
    found = json.loads(done.stdout)
    assert [one["met"] for one in found["asked"]] == [word == "close" for word in words]
    assert (done.exit_code, found["met"]) == (1, False)
    as_paper.edit(lambda raw: raw["verdicts"]["near"].update(mnist=100.0))
    assert verdict("III").exit_code == 1
    near = verdict("III", "--rows", "near")
    assert (near.exit_code, near.output) == (0, "budget quick: 3 of 3 met\n")


def test_claims_are_asked_by_name(audited: Any) -> None:
    done = verdict("--rows", "any", "--claims", "C1,C5")
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == "budget quick: 34 of 36 met"
    assert "\nclaim C5: cannot be told\n" in "\n" + done.output
    assert len(json.loads(verdict("--claims", "all", "--json").stdout)["asked"]) == 34 + 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["VII"],
            "TABLE or CELL: 'VII' is not allowed; allowed: one of (did you mean VI or II or III?): I, II",
        ),
        (
            ["IV", "VGG17"],
            "ROW of IV: 'VGG17' is not allowed; allowed: one of (did you mean VGG19 or VGG16 ",
        ),
        (["--claims", ","], "--claims: '' is not allowed; allowed: all, or some of C1"),
        (["--claims", "C9"], "--claims: 'C9' is not allowed; allowed: all, or some of C1"),
    ],
)
def test_what_there_is_not_is_refused(audited: Any, words: list[str], said: str) -> None:
    done = verdict(*words)
    assert done.exit_code == 1
    assert said in done.output


def test_the_workflow_runs_the_commands_that_there_are() -> None:
    jobs = read_yaml(ROOT / ".github/workflows/tests.yml")["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [run.split()[1] for run in runs if run.startswith("make ")]
    assert targets == ["check", "repro"]
    assert all(f"\n{target}: " in makefile for target in targets)
    assert makefile.count('$(PYTEST) -m "not slow"') == makefile.count("not slow") == 1  # of `make test` alone
    modules = [run.split() for run in runs if " -m " in run]
    assert [words[3] for words in modules] == ["verify", "verdict"]
