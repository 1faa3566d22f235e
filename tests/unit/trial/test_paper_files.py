"""A file of the paper that cannot be read, or a claim that no rule can test, is one line that says what is allowed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.audit_paper import main
from stages.config.params import Params
from stages.core.errors import CorruptFileError, MissingFileError
from stages.trial.audit import findings
from stages.trial.paper import Claim, Paper, read_paper
from tests.shipped import shipped_text

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY / "data" / "paper", tmp_path / "paper"))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["tables", "reports", "logs", "finals", "claims", "published"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / f"{name}.csv").unlink()
    with pytest.raises(MissingFileError, match=rf"{name}\.csv is missing"):
        read_paper(folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tables", "accuracy", "percentage", "no column accuracy; expected columns table, row, accuracy"),
        ("tables", "99.1", "about 99", "line 2, accuracy 'about 99'"),
        ("reports", "6,mnist", "6,mnst", "line 2, dataset 'mnst'; expected 'mnist' or 'cifar10'"),
        ("reports", "0.993", "", "figure 6, 0: no precision or recall"),
        ("reports", "macro avg", "mean", "figure 6 has no macro avg"),
        ("logs", "7,mnist,vgg,1,782", "7,mnist,vgg,1,many", "line 2, steps 'many'"),
        ("finals", "9,cifar10", "99,cifar10", "no figure 9"),
        ("claims", "parameters,equals", "weights,equals", "line 2, quantity 'weights'"),
        ("claims", "vgg;resnet;googlenet", "vgg;lenet", "families 'lenet'"),
        ("claims", "has 140M parameters", "has 140M, parameters", "line 2 has 11 fields; expected 10, with quotes"),
        ("claims", "has 4M parameters", "has 4M, parameters", "line 3 has 11 fields; expected 10, with quotes"),
        ("claims", "140M,printed,,vgg,VGG16,", "140M,printed", "line 2 has 6 fields; expected 10"),
        ("claims", '"on CIFAR10 all classes', '"on" CIFAR10 all classes', "expected after '\"'; expected CSV"),
        ("claims", "equals,140M", "equals,", "line 2, value ''; expected String should have at least 1 character"),
    ],
)
def test_a_bad_line_is_named(folder: Path, name: str, old: str, new: str, message: str) -> None:
    edit(folder / f"{name}.csv", old, new)
    with pytest.raises(CorruptFileError) as error:
        read_paper(folder)
    assert str(folder / f"{name}.csv") in str(error.value)
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
    with pytest.raises(CorruptFileError) as error:
        read_paper(folder)
    assert str(error.value).startswith(f"{folder / 'claims.csv'}: {message}")


def test_a_byte_order_mark_as_spreadsheets_write_it_is_no_part_of_a_column(folder: Path, real: Paper) -> None:
    file = folder / "claims.csv"
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert read_paper(folder) == real


@pytest.mark.parametrize(
    ("says", "change", "message"),
    [
        ("depth", {"relation": "above"}, "relation 'above'; expected 'at most' for accuracy spread"),
        ("depth", {"value": "little"}, "value 'little'; expected a number"),
        ("augmentation", {"where": ("VGG16",)}, "where 'VGG16'; expected two rows"),
        (
            "augmentation",
            {"where": ("VGG16 with Data Augmentaton", "VGG16")},
            "where 'VGG16 with Data Augmentaton'; expected one of VGG16, VGG11, VGG19, VGG16 with lr=0.01, ",
        ),
        ("depth", {"where": ("VGG16", "ResNet18")}, "where 'ResNet18'; expected one of VGG16, "),
        ("depth", {"where": ()}, "where ''; expected rows of one family and data set"),
        ("depth", {"where": ("VGG16", "ResNet18"), "families": ()}, "where 'VGG16;ResNet18'; expected rows of one"),
        ("size of VGG", {"where": ("VGG99",)}, "where 'VGG99'; expected one of VGG16 for parameters"),
        ("input of VGG", {"where": ("VGG16", "VGG99")}, "where 'VGG99'; expected one of VGG16 for input side"),
        (
            "heading over IV",
            {"where": ("IV", "VII")},
            "where 'VII'; expected one of I, II, III, IV, V, VI for data set",
        ),
        ("scores of digits", {"where": ("VGG16",)}, "where 'VGG16'; expected an empty where for every score"),
        ("scores of objects", {"exceptions": ("horse", "unicorn")}, "exceptions unicorn; expected classes of cifar10"),
        (
            "scores of digits",
            {"quantity": "precision", "relation": "mostly above"},
            "expected precision or recall or f1",
        ),
        ("ResNet is fast", {"value": "lenet"}, "expected googlenet or resnet or vgg"),
        ("colours", {"dataset": ""}, "no dataset; expected a data set"),
        ("depth", {"value": "1/0"}, "value '1/0'; expected a number like 80 or 0.5 for accuracy spread"),
        ("epochs", {"value": "1e1"}, "value '1e1'; expected a number"),
        ("size of VGG", {"value": "1/0"}, "value '1/0'; expected a number like 224 or 140M"),
        ("size of VGG", {"value": "many"}, "value 'many'; expected a number like 224 or 140M"),
    ],
)
def test_a_claim_that_cannot_be_tested_is_refused(
    paper: Paper, params: Params, says: str, change: dict[str, object], message: str
) -> None:
    def changed(claim: Claim) -> Claim:
        return claim.model_copy(update=change) if claim.says == says else claim

    with pytest.raises(CorruptFileError) as error:
        findings(replace(paper, claims=tuple(map(changed, paper.claims))), params)
    assert message in str(error.value)
    assert repr(says) in str(error.value)


def test_a_claim_about_a_table_that_is_not_on_trial_is_no_mistake(paper: Paper, params: Params) -> None:
    fewer = params.model_copy(update={"tables": {number: params.tables[number] for number in ("I", "IV")}})
    of_resnet = [each for each in paper.claims if each.says == "momentum"]
    assert findings(replace(paper, claims=tuple(of_resnet)), fewer) == []


def test_a_report_with_a_class_too_few_is_refused(clean: Callable[[int], Paper], params: Params) -> None:
    paper = clean(1)
    first = paper.reports[0]
    short = replace(paper, reports=(replace(first, classes=first.classes[1:]), *paper.reports[1:]))
    with pytest.raises(CorruptFileError, match=r"Fig\. 6 has 9 classes; expected 10"):
        findings(short, params)


def test_a_mistake_ends_the_stage_with_one_line_and_no_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    folder.rename(tmp_path / "data" / "paper")
    (tmp_path / "params.yaml").write_text(shipped_text())
    edit(tmp_path / "data" / "paper" / "tables.csv", "99.1", "high")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["--out", "page.md"])
    assert done.exit_code == 1
    assert done.output.startswith("Error: data/paper/tables.csv: line 2, accuracy 'high'")
    assert len(done.output.splitlines()) == 1
    assert not Path("page.md").exists()
