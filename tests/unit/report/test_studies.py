"""Studies: distances computed again, the closest alternative, and what a quick run cannot decide."""

from typing import Any

import numpy as np
import pytest

from stages.core.errors import ParamError
from stages.report.differences import differences_text
from stages.report.overview import overview_page
from stages.report.studies import Comparison, compare_studies
from stages.report.study_pages import study_page

STEM = ["resnet18-adam-3x3-stem", "resnet18-adam-64"]
OPTIMIZER = "resnet18-lr1e-2-optimizer"
PRINTED = [65.60, 73.76]  # Fig. 17, the epochs that quick has


def plan(project: Any, cells: list[str], budget: str = "quick") -> Any:
    def choose(raw: dict[str, Any]) -> None:
        raw["study_cells"]["cifar10"] = cells
        raw["budget"] = budget
        raw["budgets"]["quick"]["train"]["cifar10"]["resnet"] = {"overrides": {}}  # 64 and 32 stay apart

    project.edit(choose)
    return project.fill()


def the_study(evidence: Any, name: str = "resnet18-stem") -> Comparison:
    (comparison,) = (one for one in compare_studies(evidence) if one.name == name)
    return comparison


def test_held_against_an_accuracy(filled: Any) -> None:
    """Without a printed log the last validation accuracy decides; test accuracy is shown beside."""
    evidence = filled.evidence()
    comparison = the_study(evidence, OPTIMIZER)
    for candidate in comparison.candidates:
        accuracy = filled.read(f"cifar10/{candidate.name}")["history"][-1]["validation_accuracy"]
        assert candidate.distance == pytest.approx(abs(100 * accuracy - 80.4))
    near, far = sorted(comparison.candidates, key=lambda candidate: candidate.distance)
    assert f"Closest: `{near.name}`" in comparison.verdict
    assert f"{near.distance:.2f} points from the printed accuracy" in comparison.verdict
    assert f"{far.distance - near.distance:.2f} points further" in comparison.verdict
    page = study_page(evidence, comparison)
    for said in (
        'Which optimizer is behind "ResNet18 with lr=0.01" on CIFAR10?',
        "**Assumption A1.**",
        'Table V, "ResNet18 with lr=0.01": 80.4 %',
        "`optimizer` sgd instead of rmsprop",
        "**This run cannot decide the assumption.**",
        "`train-study-cifar10@quick-resnet18-lr1e-2-sgd-0`",
        comparison.verdict,
    ):
        assert said in page


def test_held_against_a_curve(project: Any) -> None:
    evidence = plan(project, STEM).evidence()
    comparison = the_study(evidence)
    assert comparison.compared == 2
    for candidate in comparison.candidates:
        history = project.read(f"cifar10/{candidate.name}")["history"]
        curve = [100 * epoch["validation_accuracy"] for epoch in history]
        assert candidate.distance == pytest.approx(np.abs(np.subtract(curve, PRINTED)).mean())
    page = study_page(evidence, comparison)
    assert "over epochs 1 to 2, which the log and every cell here have" in page
    assert "| 1 | 65.60 |" in page
    assert "| 3 | 79.26 | – | – | – |" in page
    assert "Not run: `resnet18-adam-96`" in page


def test_the_alternative_that_repeats_the_curve_is_closest(project: Any) -> None:
    plan(project, STEM)
    history = project.read("cifar10/resnet18-adam-64")["history"]
    for epoch, printed in zip(history, PRINTED, strict=True):
        epoch["validation_accuracy"] = (printed + 1) / 100  # to the nearest of the validation images
    project.change("cifar10/resnet18-adam-64", history=history)
    comparison = the_study(project.evidence())
    assert comparison.ranking[0].name == "resnet18-adam-64"
    assert "`input_size` 64 instead of 32), 1.02 points from the printed curve" in comparison.verdict


def test_epochs_that_a_diverged_cell_lacks_are_compared_for_none(project: Any) -> None:
    plan(project, STEM)
    history = project.read("cifar10/resnet18-adam-64")["history"]
    times = project.read("cifar10/resnet18-adam-64")["run"]["times"]["epochs"]
    shorter = {"history": history[:1], "run__times__epochs": times[:1], "run__outcome": "diverged"}
    project.change("cifar10/resnet18-adam-64", **shorter)
    comparison = the_study(project.evidence())
    assert comparison.compared == 1
    base = project.read("cifar10/resnet18-adam")["history"][0]["validation_accuracy"]
    assert comparison.candidates[0].distance == pytest.approx(abs(100 * base - 65.6))
    assert "(diverged)" in study_page(project.evidence(), comparison)


def test_equally_close(filled: Any) -> None:
    history = filled.read("cifar10/resnet18-lr1e-2")["history"]
    filled.change("cifar10/resnet18-lr1e-2-sgd", history=history)
    assert the_study(filled.evidence(), OPTIMIZER).verdict.startswith(
        "Equally close: `resnet18-lr1e-2` (the base) and "
    )


def test_no_warning_under_the_papers_conditions(project: Any) -> None:
    for dataset in ("mnist", "cifar10"):
        project.edit(lambda raw, dataset=dataset: raw["datasets"][dataset].update(test_images=1000))
    evidence = plan(project, STEM, "paper").evidence()
    comparison = the_study(evidence)
    assert comparison.compared == 3  # resnet18-adam-64 asks for three epochs of the ten
    assert [candidate.epochs for candidate in comparison.candidates] == [10, 10, 3]
    assert "cannot decide" not in study_page(evidence, comparison)
    assert "decides nothing" not in overview_page(evidence, [comparison], "f", "s")


def test_printed_row_of_the_users_own(project: Any) -> None:
    def rename(raw: dict[str, Any]) -> None:
        raw["tables"]["V"]["rows"][1]["row"] = "mine"
        raw["studies"]["resnet18-lr1e-2-optimizer"]["printed"]["row"] = "mine"

    project.edit(rename)
    with pytest.raises(ParamError, match="'mine' is not allowed; allowed: a row that Table V of the paper prints"):
        compare_studies(project.fill().evidence())


def test_ledger_and_list_say_what_was_not_run(filled: Any) -> None:
    evidence = filled.evidence()
    comparisons = compare_studies(evidence)
    page = overview_page(evidence, comparisons, "../figures", "../studies")
    assumptions, listed = (page.split(f"\n## {title}\n")[1].split("\n## ")[0] for title in ("Assumptions", "Studies"))
    lines = [line for line in assumptions.splitlines() if line.startswith("| A")]
    assert [line.split(" | ")[0] for line in lines] == [f"| A{number}" for number in range(1, 17)]
    assert "[`resnet18-lr1e-2-optimizer`](../studies/resnet18-lr1e-2-optimizer.md)" in lines[0]
    assert "[`vgg16-plain-optimizer`](../studies/vgg16-plain-optimizer.md)" in lines[0]  # its alternative is a row's
    assert "`vgg16-head` (not run)" in lines[8]
    assert "&lt;data set&gt;" in lines[2]
    assert "| `resnet18-stem` | Which stem" in listed
    assert "| A10 | not run |" in listed
    assert "this decides nothing" in listed


def test_an_alternative_that_is_a_tables_cell_is_compared(filled: Any) -> None:
    comparison = the_study(filled.evidence(), "vgg16-plain-optimizer")
    assert [candidate.name for candidate in comparison.candidates] == ["vgg16", "vgg16-momentum"]
    assert comparison.candidates[1].differs == "`optimizer` sgd, `momentum` 0.9 instead of rmsprop"


def test_what_changes_together_is_one_change(project: Any) -> None:
    params = project.params
    for base, other, said in (
        ("googlenet-sgd", "googlenet-sgd-momentum-lr1e-2", "`lr` 0.01, `momentum` 0.9 instead of 0.001, 0.0"),
        (
            "googlenet-sgd",
            "googlenet-sgd-no-norm-xavier",
            "`batch_norm` none, `init` xavier instead of before_relu, torchvision",
        ),
        ("vgg16", "vgg16-adam", "`optimizer` adam instead of rmsprop"),
        ("resnet18-adam", "resnet18-adam-float32", "`precision` float32 instead of auto"),
        ("vgg16", "vgg11", "`depth` 11 instead of 16"),
        ("vgg16-adam", "vgg16-adam", ""),
    ):
        assert differences_text(params, "quick", "cifar10", base, other) == said
    several = differences_text(params, "quick", "cifar10", "vgg16", "vgg16-adam-linear-head")
    assert several == "`optimizer` adam instead of rmsprop; `hidden_layers` [] instead of [4096, 4096]"


def test_a_cell_with_fewer_epochs_is_compared_over_these_alone(project: Any) -> None:
    evidence = plan(project, ["resnet18-adam-64"], "paper").evidence()
    comparison = the_study(evidence)
    for candidate in comparison.candidates:
        history = project.read(f"cifar10/{candidate.name}")["history"]
        assert len(history) == candidate.epochs == (3 if candidate.differs else 10)
        curve = [100 * epoch["validation_accuracy"] for epoch in history[:3]]
        assert candidate.distance == pytest.approx(np.abs(np.subtract(curve, [*PRINTED, 79.26])).mean())
    page = study_page(evidence, comparison)
    assert "over epochs 1 to 3, which the log and every cell here have" in page
    assert "| `resnet18-adam-64` | `input_size` 64 instead of 32 | 3 |" in page
    assert "Not run: `resnet18-adam-3x3-stem` and `resnet18-adam-96`" in page
    assert comparison.verdict.endswith("Not run: 2 of 4.")
