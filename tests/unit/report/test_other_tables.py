"""A table that the paper does not have: rows of any families, in every page, with nothing of the paper beside them."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stages.audit.numbers import in_table, planned
from stages.book.page import book
from stages.config.schema import PAPER_TABLES
from stages.core.errors import CorruptFileError
from stages.records.planned import params_of_pages
from stages.report import curves
from stages.report.claims import table_cells
from stages.report.evidence import Evidence, gather
from stages.report.gallery import gallery
from stages.report.ledger import ledger, ledger_csv
from stages.report.pages import text_files
from stages.report.readme import tables_block
from stages.report.rows import all_rows, table_rows
from stages.report.tables import OTHER_COLUMNS, summary_line, table_body, table_csv
from stages.report.views import view_files
from stages.track.describe import placement

ROWS = {"LeNet-5": "lenet5", "VGG16": "vgg16-lr1e-2-momentum", "ResNet34 | mine": "mine", "Not run": "absent"}


def add(raw: dict[str, Any]) -> None:
    """Table S1b: an alternative of a family of its own, one of Table IV, a cell of `cells`, one that does not run."""
    raw["networks"]["lenet5"] = {"family": "lenet", "init": "pytorch"}
    raw["networks"]["resnet34"] = raw["networks"]["resnet18"] | {"depth": 34}
    raw["cells"]["cifar10"]["mine"] = {"network": "resnet34", "optimizer": "adam"}
    raw["alternatives"]["cifar10"]["lenet5"] = {"network": "lenet5", "optimizer": "sgd-momentum", "lr": 0.01}
    raw["alternatives"]["cifar10"]["absent"] = {"network": "lenet5", "optimizer": "adam"}
    rows = [{"row": row, "cell": cell} for row, cell in ROWS.items()]
    raw["tables"]["S1b"] = {"caption": "Networks of <ours>", "dataset": "cifar10", "rows": rows}
    raw["study_cells"]["cifar10"] = ["vgg16-lr1e-2-momentum"]
    raw["more_cells"]["cifar10"] = ["lenet5"]


@pytest.fixture
def evidence(project: Any) -> Evidence:
    project.edit(add)
    return project.fill().evidence()


def texts(evidence: Evidence) -> dict[str, str]:
    folders = text_files(evidence, *map(Path, ("tables", "figures", "studies", "views", "cards")))
    return {f"{folder}/{name}": text for folder, files in folders.items() for name, text in files.items()}


def test_a_row_has_its_number_and_costs_and_nothing_of_the_paper(evidence: Evidence) -> None:
    lenet, vgg, mine, absent = table_rows(evidence, "S1b")
    for row in (lenet, vgg, mine, absent):
        assert (row.paper, row.difference, row.verdict, row.as_logged) == (None, None, None, None)
    lines = list(csv.DictReader(io.StringIO(table_csv(evidence, "S1b"))))
    assert [line["row"] for line in lines] == list(ROWS)
    assert all(list(line) == OTHER_COLUMNS for line in lines)
    assert not {"paper", "difference", "verdict"} & set(OTHER_COLUMNS)
    assert float(lines[0]["mean"]) == pytest.approx(lenet.mean)
    costs = [lines[0][name] for name in ("parameters", "multiply_adds", "training_seconds")]
    assert costs == ["11181642", "37000000", "12.0"]
    assert lines[0]["stages"].startswith("evaluate-supplement-cifar10@quick-lenet5-0;train-supplement-cifar10@quick-")
    assert lines[1]["stages"].startswith("evaluate-study-cifar10@quick-")
    assert lines[2]["stages"].startswith("evaluate-cifar10@quick-mine-0;")
    assert (lines[3]["n"], lines[3]["outcome"], lines[3]["training_seconds"]) == ("0", "not planned", "")


def test_every_page_has_it(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "_saved", lambda figure, **options: b"")
    found = texts(evidence)
    page, overview = found["tables/table_s1b.md"], found["tables/tables.md"]
    assert page.startswith("# Table S1b: Networks of &lt;ours&gt;\n")
    assert "The paper has no such table" in page
    assert "difference" not in page
    assert "800 to 2500 of 45000 training images" in page  # VGG's share is smaller
    assert re.search(r"\| ResNet34 \\\| mine \| [\d.]+ \|.*\| 11,181,642 \| 37,000,000 \| 12 s \|", page)
    assert overview.startswith("# Tables I to VI, S1b, budget `quick`")
    assert "[Stages, MLflow runs and curves](table_s1b.md), [CSV](table_s1b.csv)" in overview
    assert set(json.loads(found["views/metrics.json"])["Table S1b"]) == set(ROWS) - {"Not run"}
    assert "S1b,LeNet-5,ours," in found["views/accuracy.csv"]
    assert "S1b,LeNet-5,paper," not in found["views/accuracy.csv"]
    assert "S1b,LeNet-5,cifar10/lenet5,quick," in ledger_csv(ledger(evidence))
    assert "Not in the paper: [Table S1b](reports/quick/tables/table_s1b.md)" in tables_block(evidence)
    assert "LeNet-5" not in tables_block(evidence)
    assert "LeNet-5" in summary_line(evidence, "S1b")
    assert "curves_table_s1b.png" in gallery(evidence)


def test_the_book_has_a_page_for_each_number_once(evidence: Evidence) -> None:
    page = book(evidence, [], [])
    for address in ("S1b/lenet5", "S1b/mine", "cifar10/vgg16-lr1e-2-momentum"):
        assert page.count(f'id="/{address}"') == 1
    assert 'id="/S1b/vgg16-lr1e-2-momentum"' not in page
    assert page.count('href="#/cifar10/vgg16-lr1e-2-momentum"') >= 2  # from Table IV and from S1b
    section = page.split('id="/S1b/lenet5"')[1].split("</section>\n<section")[0]
    assert "Verdict" not in section.split("<h2>")[0]


def test_its_numbers_are_asked_for_by_table_and_row(evidence: Evidence) -> None:
    numbers = in_table(planned(evidence.params), "s1b")
    assert [(number.row, str(number.key)) for number in numbers] == [
        ("LeNet-5", "cifar10/lenet5"),
        ("ResNet34 | mine", "cifar10/mine"),
    ]  # that of Table IV is asked for there
    assert [row.row for row in all_rows(evidence) if row.table == "S1b"] == list(ROWS)[:3]
    assert placement(evidence.params, "cifar10", "lenet5")[:2] == ("Table S1b: Networks of <ours>", "LeNet-5")
    assert placement(evidence.params, "cifar10", "vgg16-lr1e-2-momentum")[0] == "Table IV: VGG on CIFAR10"


def test_the_paper_s_claims_and_tables_are_as_without_it(project: Any, evidence: Evidence) -> None:
    def remove(raw: dict[str, Any]) -> None:
        del raw["tables"]["S1b"], raw["cells"]["cifar10"]["mine"]
        raw["more_cells"]["cifar10"] = []

    compared = [str(cell.key) for cell in table_cells(evidence)]
    paper = {number: (table_csv(evidence, number), table_body(evidence, number)) for number in PAPER_TABLES}
    project.edit(remove)
    without = project.evidence()
    assert [str(cell.key) for cell in table_cells(without)] == compared  # of these C1 to C7 are judged
    assert {number: (table_csv(without, number), table_body(without, number)) for number in PAPER_TABLES} == paper


def test_a_result_is_shown_after_its_switch_is_off_while_its_settings_are_today_s(
    project: Any, evidence: Evidence
) -> None:
    def switch_off(raw: dict[str, Any]) -> None:
        raw["more_cells"]["cifar10"] = []
        raw["study_cells"]["cifar10"] = []

    def change(raw: dict[str, Any]) -> None:
        raw["alternatives"]["cifar10"]["lenet5"]["lr"] = 0.02

    def of_table() -> list[str]:
        params = params_of_pages("quick", cells=project.cells)
        found = gather(params, "quick", project.cells, evidence.paper)
        return [row.row for row in table_rows(found, "S1b") if row.has_run]

    project.edit(switch_off)
    assert [str(key) for key in project.params.cell_keys() if key.section == "alternatives"] == []  # nothing is run
    assert of_table() == ["LeNet-5", "VGG16", "ResNet34 | mine"]
    params = params_of_pages("quick", cells=project.cells)
    for cell, block in (("cifar10/lenet5", "supplement"), ("cifar10/vgg16-lr1e-2-momentum", "study")):
        key, _ = params.find(cell)
        assert params.stage("evaluate", key, "quick", 0) == f"evaluate-{block}-cifar10@quick-{key.name}-0"
    project.edit(change)
    assert of_table() == ["VGG16", "ResNet34 | mine"]
    project.path("cifar10/vgg16-lr1e-2-momentum").write_text("{")
    with pytest.raises(CorruptFileError, match=r"vgg16-lr1e-2-momentum-s0\.json"):
        of_table()


def test_it_is_not_shown_while_no_row_of_its_own_runs(project: Any, evidence: Evidence) -> None:
    def switch_off(raw: dict[str, Any]) -> None:
        raw["tables"]["S1b"]["rows"] = [row for row in raw["tables"]["S1b"]["rows"] if row["cell"] != "mine"]
        del raw["cells"]["cifar10"]["mine"]
        raw["more_cells"]["cifar10"] = []

    assert evidence.params.shown_tables[-1] == "S1b"
    project.edit(switch_off)
    without = project.evidence()
    assert without.params.shown_tables == ["I", "II", "III", "IV", "V", "VI"]
    assert "S1b" not in "".join(view_files(without).values()) + ledger_csv(ledger(without))
    assert "S1b" not in tables_block(without)
