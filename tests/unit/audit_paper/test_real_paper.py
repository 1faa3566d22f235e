"""The rules, on the real paper: what is known not to add up is found, and nothing of it stands in the code."""

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.audit_paper.__main__ import main
from stages.audit_paper.finding import Confidence
from stages.audit_paper.page import paper_audit_page
from stages.audit_paper.rules import findings
from stages.config.loading import load_params
from stages.config.params import Params
from stages.paper.schema import Paper

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = sorted(path for name in ("paper", "audit_paper") for path in (REPOSITORY / "stages" / name).glob("*.py"))

KNOWN = [
    ("copied-figure", ("Fig. 6", "Fig. 10")),
    ("copied-figure", ("Fig. 11", "Fig. 13")),
    ("figure-and-tables", ("Fig. 6", "Table I")),
    ("figure-and-tables", ("Fig. 7", "Table I")),
    ("figure-and-tables", ("Fig. 11", "Table III")),
    ("report-and-log", ("Fig. 8", "Fig. 9")),
    ("report-and-log", ("Fig. 10", "Fig. 11")),
    ("steps", ("Fig. 11",)),
    (
        "same-row-same-number",
        ("Table VI: GoogLeNet with data augmentation", "Table III: GoogLeNet with data augmentation"),
    ),
    ("outlier", ("Table VI: GoogLeNet with data augmentation",)),
    ("epoch-times", ("Fig. 7",)),
    ("claim", ("Section IV-C", "Fig. 8")),
    ("claim", ("Section IV-C", "Fig. 12")),
    ("claim", ("Section IV-C", "Fig. 14")),
    ("claim", ("Section IV-C", "Fig. 16")),
    ("claim", ("Section V", "Fig. 17")),
    ("claim", ("Section V", "Table I")),
    ("claim", ("Section V", "Table IV")),
    ("claim", ("Section III-C", "Fig. 15")),
    ("claim-and-claim", ("Section IV-B.2", "Table IV")),
    ("claim-and-claim", ("Section IV-B.2", "Table V")),
    ("claim-and-claim", ("Section IV-B.2", "Table VI")),
    ("claim-and-source", ("Section II",)),
    ("claim-and-source", ("Section III-A.1",)),
    ("claim-without-row", ("Section V", "Table III", "Table VI")),
]


@pytest.mark.parametrize(("rule", "places"), KNOWN)
def test_a_known_contradiction_is_found(real: Paper, params: Params, rule: str, places: tuple[str, ...]) -> None:
    assert (rule, places) in {(each.rule, each.places) for each in findings(real, params)}


def test_what_the_reports_print_adds_up(real: Paper, params: Params) -> None:
    sound = {"f1-of-class", "averages", "supports", "whole-images", "validation-images", "figure-and-cell"}
    assert not sound & {each.rule for each in findings(real, params)}


def test_the_classes_and_scores_that_break_a_claim_are_named(real: Paper, params: Params) -> None:
    found = [each for each in findings(real, params) if each.places[0] == "Section IV-C"]
    broken = "2: precision 0.964, 2: f1 0.979, 8: recall 0.975, 8: f1 0.978, 9: recall 0.962, 9: f1 0.973"
    assert sorted((each.places[1:], each.contradicts) for each in found) == [
        (("Fig. 12",), "airplane: f1 0.796, bird: f1 0.674"),
        (("Fig. 14",), broken),
        (("Fig. 16",), "bird: f1 0.730"),
        (("Fig. 8",), "bird: f1 0.758"),
        (("Fig. 8", "Fig. 12", "Fig. 16"), "precision can be above recall in 15 of 30 classes"),
    ]


def test_the_bounds_that_the_paper_prints_for_scores_are_those_of_our_claims(real: Paper, params: Params) -> None:
    ours, printed = params.claims.classes, [each for each in real.claims if each.quantity in ("f1", "every score")]
    assert {each.dataset for each in printed} == {"mnist", "cifar10"}
    for each in printed:
        assert float(each.value) == pytest.approx(100 * ours.f1.of(each.dataset))
        assert sorted(each.exceptions) == sorted(ours.excepted.of(each.dataset))


def test_a_claim_of_the_prose_and_its_test_on_our_numbers_speak_of_the_same(real: Paper, params: Params) -> None:
    """Of the same families, and by the same threshold: of a claim in points, where no number is printed, by its key."""
    by_quantity = {each.quantity: each for each in real.claims}
    assert sorted(by_quantity["train-validation gap"].families) == sorted(params.claims.overfitting.families)
    assert by_quantity["training minutes"].value == params.claims.cost.cheapest
    in_points = [each for each in real.claims if each.quantity in ("accuracy spread", "accuracy gain")]
    assert {each.value for each in [*in_points, by_quantity["train-validation gap"]]} == {
        "claims.depth.margin",
        "claims.optimizer.margin",
        "claims.augmentation.margin",
        "claims.overfitting.gap",
    }


def test_what_our_readings_ask_for_is_said(real: Paper, params: Params) -> None:
    found = {each.places[1]: each.sentence for each in findings(real, params) if each.printed.startswith("depth")}
    for table, points in (("Table I", "16.10"), ("Table IV", "5.00")):
        margin = params.claims.depth.margin.of(params.tables[table.split()[1]].dataset)
        reading = f"At most {margin:g} is our reading (claims.depth.margin in params.yaml)."
        assert found[table] == f"The rows differ by {points} points. {reading}"


def test_steps_say_which_data_set_they_would_fit(real: Paper, params: Params) -> None:
    (found,) = [each for each in findings(real, params) if each.rule == "steps"]
    assert found.sentence == "It would fit CIFAR10 (45000 images, batches of 128)."


def test_no_code_names_a_figure_a_row_a_class_or_a_number_of_the_paper(real: Paper, params: Params) -> None:
    printed = {row.row for row in real.rows} | {row.accuracy for row in real.rows if "." in row.accuracy}
    printed |= {f"Table {number}" for number in params.tables} | {f"Fig. {log.figure}" for log in real.logs}
    printed |= {"mnist", "cifar10", "vgg", "resnet", "googlenet", "airplane", "bird", "deer"}
    for source in SOURCES:
        tree = ast.parse(source.read_text())
        described = (ast.Module, ast.FunctionDef, ast.ClassDef)
        docstrings = [ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, described)]
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        in_code = [repr(value) for value in constants if value not in docstrings]
        assert not [(source.name, value) for value in in_code for text in printed if text in value]


def test_the_page_has_every_finding_under_its_confidence(real: Paper, params: Params) -> None:
    found = findings(real, params)
    page = paper_audit_page(found)
    for confidence in Confidence:
        of_kind = [each for each in found if each.confidence == confidence]
        section = page.split(f"## {confidence.capitalize()}\n")[1].split("\n## ")[0]
        assert section.count("| `") == len(of_kind)
        assert f" {len(of_kind)} {confidence.value}" in page.splitlines()[2]
    assert all(line.count("|") in (0, 5, 6) for line in page.splitlines())


def test_the_stage_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: Paper) -> None:
    monkeypatch.chdir(REPOSITORY)
    done = CliRunner().invoke(main, ["--out", str(tmp_path / "page.md")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "page.md").read_text() == paper_audit_page(findings(real, load_params()))
