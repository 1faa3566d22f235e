"""Rows whose printed logs suggest another setting than the text: both numbers are printed, and which is which."""

import csv
import io
import json
from typing import Any

import pytest

from stages.report.tables import summary_line, table_body, table_csv
from tests.unit.book.conftest import Tree

CELL, LOGGED = "cifar10/resnet18-adam", "cifar10/resnet18-adam-3x3-stem"
LABEL = "ResNet18 with Adam, as logged"


@pytest.fixture
def logged(project: Any) -> Any:
    """A project in which the as-logged cell of Table V runs too."""
    project.edit(lambda raw: raw["study_cells"].update(cifar10=["resnet18-adam-3x3-stem"]))
    return project.fill()


def printed(evidence: Any) -> list[str]:
    return table_body(evidence, "V").splitlines()


def line_of(evidence: Any, row: str) -> dict[str, str]:
    lines = csv.DictReader(io.StringIO(table_csv(evidence, "V")))
    return next(line for line in lines if line["row"] == row)


def test_both_numbers_stand_in_the_table(logged: Any) -> None:
    evidence = logged.evidence()
    text, logs = (logged.read(cell)["correct"] / 10 for cell in (CELL, LOGGED))
    lines = printed(evidence)
    place = next(at for at, line in enumerate(lines) if line.startswith("| ResNet18 with Adam |"))
    assert lines[place].startswith(f"| ResNet18 with Adam | 81.8 | {text:.1f} |")
    assert lines[place + 1].startswith(f"| {LABEL} | 81.8 | {logs:.1f} |")
    (note,) = (line for line in lines if line.startswith("Each row follows the paper's text."))
    assert note.endswith(f"{LABEL}: `resnet18-adam-3x3-stem`, `stem` 3x3 instead of 7x7.")
    line = line_of(evidence, "ResNet18 with Adam")
    assert (float(line["mean"]), float(line["as_logged_mean"])) == pytest.approx((text, logs))
    assert float(line["as_logged_difference"]) == pytest.approx(logs - 81.8)
    assert (line["as_logged"], line["as_logged_n"]) == ("resnet18-adam-3x3-stem", "1")
    assert line["as_logged_differs"] == "stem 3x3 instead of 7x7"
    assert line["as_logged_stages"].startswith("evaluate-study-cifar10@quick-resnet18-adam-3x3-stem-0;train-study-")
    assert f"ResNet18 with Adam {text:.1f} (81.8), {LABEL} {logs:.1f} (81.8)" in summary_line(evidence, "V")


def test_other_rows_have_no_such_columns(logged: Any) -> None:
    line = line_of(logged.evidence(), "ResNet18")
    assert {value for name, value in line.items() if name.startswith("as_logged")} == {""}
    assert list(line)[:12] == [
        "row", "paper", "mean", "std", "n", "difference", "stages", "runs", "outcome", "low", "high", "verdict",
    ]  # fmt: skip


def test_one_that_is_not_planned_is_named_and_says_so(filled: Any) -> None:
    evidence = filled.evidence()
    lines = printed(evidence)
    assert f"| {LABEL} | 81.8 | not planned | – | – | 0 | – | – |" in lines
    assert any(line.endswith("(not planned: `study_cells` in params.yaml does not name it).") for line in lines)
    line = line_of(evidence, "ResNet18 with Adam")
    assert (line["as_logged"], line["as_logged_mean"], line["as_logged_n"], line["as_logged_outcome"]) == (
        "resnet18-adam-3x3-stem", "", "0", "not planned",
    )  # fmt: skip
    assert "as logged" not in summary_line(evidence, "V")


def test_one_that_is_planned_and_has_not_run_is_counted(logged: Any) -> None:
    logged.remove(LOGGED)
    lines = printed(logged.evidence())
    assert "**6 of 7 planned trainings are done.**" in lines[0]
    assert f"| {LABEL} | 81.8 | not run | – | – | 0 | – | – |" in lines
    (note,) = (line for line in lines if line.startswith("Each row follows the paper's text."))
    assert note.endswith(f"{LABEL}: `resnet18-adam-3x3-stem`, `stem` 3x3 instead of 7x7.")  # and not "not planned"


def test_the_stage_prints_both_in_ledger_and_book(logged: Any) -> None:
    assert logged.aggregate(figures="empty").exit_code == 0
    numbers = json.loads(logged.text("ledger.json"))["numbers"]
    row, own = (
        next(one for one in numbers if (one["table"], one["row"]) == ("V", label))
        for label in ("ResNet18 with Adam", LABEL)
    )
    logs = logged.read(LOGGED)["correct"] / 10
    assert row["as_logged"]["cell"] == own["cell"] == LOGGED
    assert row["as_logged"]["mean"] == own["mean"] == pytest.approx(logs)
    assert (own["paper"], own["as_logged"], len(own["seeds"])) == ("81.8", None, 1)
    header, *lines = logged.text("ledger.csv").splitlines()
    columns = header.split(",")
    assert [name.startswith("as_logged") for name in columns] == sorted(
        name.startswith("as_logged") for name in columns
    )
    found = next(line for line in csv.DictReader([header, *lines]) if line["cell"] == CELL)
    assert (found["as_logged_cell"], float(found["as_logged_mean"])) == (LOGGED, pytest.approx(logs))

    root = Tree(logged.text("index.html")).root
    (table,) = root.all("div", id="/V")
    (line,) = (line for line in table.all("tr", class_="logged") if "as logged stem 3x3" in line.text)
    assert "as logged stem 3x3 instead of 7x7" in line.text
    assert line.all("a", class_="value")[0].text == f"{logs:.1f}"
    (page,) = root.all("section", id="/V/resnet18-adam")
    assert (
        f"This follows the paper’s text. Its printed logs or numbers suggest stem 3x3 instead of 7x7: {logs:.1f}"
        in page.text
    )
    (page,) = root.all("section", id="/cifar10/resnet18-adam-3x3-stem")
    assert "The setting that the printed logs or numbers suggest for ResNet18 with Adam (Table V)" in page.text


def test_one_without_a_study_has_a_page_below_its_table(project: Any) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["study_cells"]["cifar10"] = ["resnet18-adam-3x3-stem"]
        raw["studies"]["resnet18-stem"]["alternatives"] = ["resnet18-adam-64"]

    project.edit(change)
    done = project.fill().aggregate(figures="empty")
    assert done.exit_code == 0, done.output
    (page,) = Tree(project.text("index.html")).root.all("section", id="/cifar10/resnet18-adam-3x3-stem")
    assert page.all("p", class_="over")[0].all("a")[0].attributes["href"] == "#/V"
    assert not (project.out("studies") / "resnet18-stem.md").exists()
