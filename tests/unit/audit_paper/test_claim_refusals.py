"""A claim that no rule can test is refused with one line that says what is allowed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.audit_paper.__main__ import main
from stages.audit_paper.rules import findings
from stages.config.params import Params
from stages.core.errors import CorruptFileError, ParamError
from stages.engine.networks import families
from stages.paper.schema import Claim, Paper

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("says", "change", "message"),
    [
        ("depth", {"relation": "above"}, "relation 'above': 'at most' for accuracy spread"),
        ("depth", {"value": "little"}, "value 'little': a number"),
        ("depth", {"reading": "ours"}, "value '30': one of params.yaml's claims.depth.margin, "),
        (
            "gap",
            {"value": "claims.cost.cheapest"},
            "value 'claims.cost.cheapest': one of params.yaml's claims.depth.margin, ",
        ),
        ("scores of digits", {"reading": "ours"}, "reading 'ours': printed for every score"),
        ("gap", {"reading": "printed"}, "value 'claims.overfitting.gap': a number like 80"),
        ("augmentation", {"where": ("VGG16",)}, "where 'VGG16': two rows"),
        (
            "augmentation",
            {"where": ("VGG16 with Data Augmentaton", "VGG16")},
            "where 'VGG16 with Data Augmentaton': one of VGG16, VGG11, VGG19, VGG16 with lr=0.01, ",
        ),
        ("depth", {"where": ("VGG16", "ResNet18")}, "where 'ResNet18': one of VGG16, "),
        ("depth", {"where": ()}, "where '': rows of one family and data set"),
        ("depth", {"where": ("VGG16", "ResNet18"), "families": ()}, "where 'VGG16;ResNet18': rows of one"),
        ("size of VGG", {"where": ("VGG99",)}, "where 'VGG99': one of VGG16 for parameters"),
        ("input of VGG", {"where": ("VGG16", "VGG99")}, "where 'VGG99': one of VGG16 for input side"),
        ("heading over IV", {"where": ("IV", "VII")}, "where 'VII': one of I, II, III, IV, V, VI for data set"),
        ("scores of digits", {"where": ("VGG16",)}, "where 'VGG16': an empty where for every score"),
        ("scores of objects", {"exceptions": ("horse", "unicorn")}, "exceptions 'unicorn': one of airplane, "),
        ("scores of digits", {"quantity": "precision", "relation": "mostly above"}, ": precision or recall or f1"),
        ("ResNet is fast", {"value": "mlp"}, ": " + " or ".join(families())),
        ("colours", {"dataset": ""}, "dataset '': a data set"),
        ("depth", {"value": "1/0"}, "value '1/0': a number like 80 or 0.5 for accuracy spread"),
        ("epochs", {"value": "1e1"}, "value '1e1': a number"),
        ("size of VGG", {"value": "1/0"}, "value '1/0': a number like 224 or 140M"),
        ("size of VGG", {"value": "many"}, "value 'many': a number like 224 or 140M"),
    ],
)
def test_a_claim_that_cannot_be_tested_is_refused(
    paper: Paper, params: Params, says: str, change: dict[str, object], message: str
) -> None:
    def changed(claim: Claim) -> Claim:
        return claim.model_copy(update=change) if claim.says == says else claim

    with pytest.raises(ParamError) as error:
        findings(replace(paper, claims=tuple(map(changed, paper.claims))), params)
    place, column = error.value.key.rsplit(", ", 1)
    assert place == f"data/paper/claims.csv: {says!r}"
    assert message in f"{column} {error.value.value!r}: {error.value.allowed}"


def test_a_claim_about_a_table_that_params_does_not_have_is_no_mistake(paper: Paper, params: Params) -> None:
    fewer = params.model_copy(update={"tables": {number: params.tables[number] for number in ("I", "IV")}})
    of_resnet = [each for each in paper.claims if each.says == "momentum"]
    assert findings(replace(paper, claims=tuple(of_resnet)), fewer) == []


def test_a_report_with_a_class_too_few_is_refused(clean: Callable[[int], Paper], params: Params) -> None:
    paper = clean(1)
    first = paper.reports[0]
    short = replace(paper, reports=(replace(first, classes=first.classes[1:]), *paper.reports[1:]))
    with pytest.raises(CorruptFileError, match=r"Fig\. 6 has 9 classes; expected 10"):
        findings(short, params)


def test_a_mistake_ends_the_stage_with_one_line_and_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REPOSITORY / "data" / "paper", tmp_path / "data" / "paper")
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    tables = tmp_path / "data" / "paper" / "tables.csv"
    tables.write_text(tables.read_text().replace("99.1", "high", 1))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["--out", "page.md"])
    assert done.exit_code == 1
    assert done.output.startswith("Error: data/paper/tables.csv: line 2, accuracy: 'high' is not allowed; allowed: ")
    assert len(done.output.splitlines()) == 1
    assert not Path("page.md").exists()
