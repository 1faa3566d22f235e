"""The reader of data/paper: digit for digit, and one line that names the place of a mistake."""

import shutil
from pathlib import Path

import pytest

from stages.core.errors import MissingFileError, ParamError, StageError
from stages.paper.reading import read_paper
from stages.paper.schema import Paper
from stages.report.logs import LogLine, printed_log

DATA = Path(__file__).resolve().parents[3] / "data" / "paper"


@pytest.fixture(scope="module")
def paper() -> Paper:
    return read_paper(DATA)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "paper"))


def test_numbers_are_as_printed(paper: Paper) -> None:
    assert paper.epochs == 10
    assert paper.accuracy("I", "VGG19") == "83"
    assert paper.accuracy("IV", "VGG19") == "78.5"
    assert paper.accuracy("I", "mine") is None
    log = paper.log("9")
    assert (log.place, log.dataset, log.family, log.test_accuracy) == ("Fig. 9", "cifar10", "vgg", "82.28")
    assert (log.epochs[4].train_accuracy, log.total_minutes) == ("90.25", "5.86")


def test_a_report_is_scikit_learns_dictionary(paper: Paper) -> None:
    report = paper.report("8").output_dict()
    assert report["2"] == {"precision": 0.824, "recall": 0.702, "f1-score": 0.758, "support": 1000}
    assert report["accuracy"] == 0.823
    assert list(report) == ["accuracy", *map(str, range(10)), "macro avg", "weighted avg"]


def test_a_log_becomes_numbers(paper: Paper) -> None:
    log = printed_log(paper.log("9"))
    assert log.lines[4] == LogLine(90.25, 82.18, 2.93)
    assert (log.steps, log.planned, log.test_accuracy) == (1407, 10, 82.28)


def test_a_figure_that_shows_no_such_thing_is_refused(paper: Paper) -> None:
    with pytest.raises(ParamError, match="log: '8' is not allowed; allowed: a figure of data/paper: 7, 9"):
        paper.log("8")


@pytest.mark.parametrize("name", ["tables", "reports", "logs", "finals", "claims", "published"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / f"{name}.csv").unlink()
    with pytest.raises(MissingFileError, match=rf"{name}\.csv is missing"):
        read_paper(folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tables", "accuracy", "percentage", "no column accuracy; expected columns table, row, accuracy"),
        ("tables", "99.1", "about 99", "line 2, accuracy: 'about 99' is not allowed; allowed: a percentage like 12 or"),
        ("tables", "99.1", "991", "line 2, accuracy: '991' is not allowed; allowed: a percentage"),
        ("tables", "99.1", "nan", "line 2, accuracy: 'nan' is not allowed; allowed: a percentage"),
        ("reports", "6,mnist", "6,mnst", "line 2, dataset: 'mnst' is not allowed; allowed: 'mnist' or 'cifar10'"),
        (
            "reports",
            "0.993,0.998",
            "99.3,0.998",
            "line 2, precision: '99.3' is not allowed; allowed: a share like",
        ),
        ("reports", "0.993", "", "figure 6, 0: no precision or recall"),
        ("reports", "macro avg", "mean", "figure 6 has no macro avg"),
        (
            "logs",
            "7,mnist,vgg,1,782",
            "7,mnist,vgg,1,many",
            "line 2, steps: 'many' is not allowed; allowed: a valid",
        ),
        (
            "logs",
            "2.00",
            "-2.00",
            "line 2, elapsed_minutes: '-2.00' is not allowed; allowed: a number",
        ),
        ("finals", "9,cifar10", "99,cifar10", "no figure 9; expected the closing lines of every log in logs.csv"),
        (
            "claims",
            "parameters,equals",
            "weights,equals",
            "line 2, quantity: 'weights' is not allowed; allowed: 'f1'",
        ),
        ("claims", "vgg;resnet;googlenet", "vgg;mlp", "families: 'mlp' is not allowed; allowed: one of the fam"),
        ("claims", "has 140M parameters", "has 140M, parameters", "line 2 has 11 fields; expected 10, with quotes"),
        ("claims", "has 4M parameters", "has 4M, parameters", "line 3 has 11 fields; expected 10, with quotes"),
        ("claims", "140M,printed,,vgg,VGG16,", "140M,printed", "line 2 has 6 fields; expected 10"),
        ("claims", '"on CIFAR10 all classes', '"on" CIFAR10 all classes', "expected after '\"'; expected CSV"),
        (
            "claims",
            "equals,140M",
            "equals,",
            "line 2, value: '' is not allowed; allowed: String should have",
        ),
    ],
)
def test_a_bad_line_is_named(folder: Path, name: str, old: str, new: str, message: str) -> None:
    file = folder / f"{name}.csv"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(StageError) as error:
        read_paper(folder)
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no line; expected columns section, says"),
        ("section,says\nII,d\u00e9j\u00e0 vu\n".encode("latin-1"), "byte 0xe9; expected text in UTF-8"),
    ],
)
def test_a_file_that_is_no_csv_in_utf8_is_named(folder: Path, content: bytes, message: str) -> None:
    (folder / "claims.csv").write_bytes(content)
    with pytest.raises(StageError) as error:
        read_paper(folder)
    assert str(error.value).startswith(f"{folder / 'claims.csv'}: {message}")


def test_a_file_with_columns_alone_is_refused(folder: Path) -> None:
    file = folder / "logs.csv"
    file.write_text(file.read_text().splitlines(keepends=True)[0])
    with pytest.raises(StageError, match=r"logs\.csv: no line below the columns"):
        read_paper(folder)


def test_a_byte_order_mark_as_spreadsheets_write_it_is_no_part_of_a_column(folder: Path, paper: Paper) -> None:
    file = folder / "claims.csv"
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert read_paper(folder) == paper
