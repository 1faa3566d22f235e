"""The stage as a command: which files it leaves, that they repeat to the byte, and what it refuses."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.config.schema import DATASETS
from tests.unit.report.conftest import Project

OF_TABLES = {"vgg16-plain-optimizer.md", "resnet18-plain-optimizer.md"}  # studies of which rows are the alternatives
DRAWN = {f"confusion_{data}_{net}" for data in DATASETS for net in ("vgg", "resnet", "googlenet")}
DRAWN |= {*(f"cost_{data}" for data in DATASETS), *(f"curves_table_{n}" for n in range(1, 7)), "printed_curves"}
STARTS = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
FILES = {
    "tables": {"tables.md", "claims.md", "appendix.md", "numbers.tex"}
    | {f"table_{n}.{kind}" for n in range(1, 7) for kind in ("md", "csv", "tex")},
    "figures": {f"{name}.{kind}" for name in DRAWN for kind in ("png", "pdf", "svg")},
    "studies": {"resnet18-lr1e-2-optimizer.md", *OF_TABLES},
    "views": {"metrics.json", "accuracy.csv", "curves.csv"},
}


def contents(project: Any) -> dict[Path, bytes]:
    out = project.folder / "out"
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_files(finished: Any) -> None:
    assert {path.suffix for path in finished.out("cards").iterdir()} == {".md"}
    for name, files in FILES.items():
        assert {path.name for path in finished.out(name).iterdir()} == files
    for figure in finished.out("figures").iterdir():
        assert figure.read_bytes().startswith(STARTS[figure.suffix])
        assert b"matplotlib v" not in figure.read_bytes()


def test_says_the_accuracies_and_where_the_tables_are(finished: Any) -> None:
    said = (finished.folder / "said").read_text().splitlines()
    assert len(said) == 8
    assert said[-2].endswith("out/index.html")
    assert re.match(r"Table VI, GoogLeNet on CIFAR10, ours \(paper\): GoogLeNet with SGD \d+\.\d \(76\.48\), ", said[5])
    assert said[-1].endswith("out/tables/tables.md")


def test_overview_has_tables_ledger_studies_and_links(finished: Any) -> None:
    text = finished.text("tables/tables.md")
    for number in ("I", "II", "III", "IV", "V", "VI"):
        assert f"\n## Table {number}: " in text
    assert text.count("n = 1") == 6
    order = [
        text.index(part) for part in ("## Table VI", "## Assumptions", "## Studies", "(claims.md)", "(appendix.md)")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("page", ["tables.md", "appendix.md", "table_1.md", "table_6.md"])
def test_every_link_leads_somewhere(finished: Any, page: str) -> None:
    """But for the sample sheets, which `preprocess` makes: the pipeline's test follows those."""
    links = re.findall(r"\]\(((?!\.\./samples)[^)]+)\)", finished.text(f"tables/{page}"))
    assert links
    assert all((finished.out("tables") / link).is_file() for link in links)


def test_runs_repeat_to_the_byte_and_leave_nothing_stale(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Project.at(shutil.copytree(finished.folder, tmp_path / "copy"))
    monkeypatch.chdir(copy.folder)
    for name in ("studies/old.md", "figures/old.png", "figures/old.pdf", "tables/old.csv", "tables/old.tex"):
        (copy.folder / "out" / name).write_text("of a former run")
    assert copy.aggregate(figures="png").exit_code == 0  # that the other kinds repeat is tested where they are drawn
    here, there = (str(project.folder).encode() for project in (copy, finished))  # the book names its results' files
    expected = {
        path: content
        for path, content in contents(finished).items()
        if path.parts[0] != "figures" or path.suffix == ".png"
    }
    assert {path: content.replace(here, there) for path, content in contents(copy).items()} == expected


def test_refusal_is_one_line_and_leaves_the_old_pages(filled: Any) -> None:
    assert filled.aggregate(figures="empty").exit_code == 0
    before = contents(filled)
    filled.change("mnist/vgg16", correct=3)
    done = filled.aggregate(figures="empty")
    assert done.exit_code == 1
    assert re.fullmatch(r"Error: .*vgg16-s0\.json: accuracy .*\n", done.output)
    assert contents(filled) == before


def test_without_any_result_it_says_so_and_leaves_the_old_pages(filled: Any) -> None:
    assert filled.aggregate(figures="empty").exit_code == 0
    before = contents(filled)
    filled.keep()
    done = filled.aggregate(figures="empty")
    assert done.exit_code == 1
    assert re.fullmatch(r"Error: .*cells has no result of budget quick yet, .*; run dvc repro\n", done.output)
    assert contents(filled) == before
    shutil.rmtree(filled.cells)
    assert filled.aggregate(figures="empty").exit_code == 1


def test_no_study_planned_leaves_those_between_rows(project: Any) -> None:
    project.edit(lambda raw: raw["study_cells"].update(cifar10=[]))
    project.edit(lambda raw: raw.update(figures=[]))
    assert project.fill().aggregate(figures="empty").exit_code == 0
    assert {path.name for path in project.out("studies").iterdir()} == OF_TABLES
    missing = len(project.params.studies) - len(OF_TABLES)
    logged = sum(row.as_logged is not None for table in project.params.tables.values() for row in table.rows)
    overview = project.text("tables/tables.md")
    assert (overview.count("| not run |"), overview.count("| not planned |")) == (missing, logged)


def test_the_working_folder_is_no_output_folder(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (filled.folder / "README.md").write_text("mine")
    monkeypatch.setattr(filled, "out", lambda name: Path())
    done = filled.aggregate(figures="empty")
    assert done.exit_code == 1
    assert "tables-out: '.' is not allowed; allowed: a folder of its own" in done.output
    assert (filled.folder / "README.md").read_text() == "mine"


def test_nothing_beside_the_ledger_is_touched(filled: Any) -> None:
    (filled.folder / "out").mkdir()
    (filled.folder / "out" / "mine.csv").write_text("mine")
    assert filled.aggregate(figures="empty").exit_code == 0
    assert {path.name for path in (filled.folder / "out").iterdir()} >= {"mine.csv", "ledger.csv", "ledger.json"}


def test_imports_neither_torch_nor_mlflow() -> None:
    root = Path(__file__).parents[3]
    program = (
        "import sys, stages.aggregate_tables; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'mlflow', 'sklearn'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
