"""Rows whose setting another row of the table has: where a study suggests it, where it does not, and what is said."""

from typing import Any

import pytest

from stages.report.readme import tables_block
from stages.report.studies import suggested_rows
from stages.report.tables import table_body

BASE, OTHER = "vgg16", "vgg16-momentum"
PRINTED = 78.6  # of both rows in Table IV
SENTENCE = "VGG16 has no such line: the setting suggested for it is that of the row VGG16 with SGD and momentum"


@pytest.fixture
def paper(project: Any) -> Any:
    """The two cells of a study under the paper's conditions, without results of others."""

    def change(raw: dict[str, Any]) -> None:
        raw["budget"] = "paper"
        for dataset in raw["datasets"].values():
            dataset["test_images"] = 1000

    project.edit(change)
    return project


def put(project: Any, dataset: str, distances: dict[str, float], printed: float = PRINTED) -> None:
    """Results of cells whose validation accuracy ends some points from the printed accuracy."""
    for cell, distance in distances.items():
        key = project.params.find(f"{dataset}/{cell}")[0]
        project.put(key, 0, "paper")
        history = project.read(str(key))["history"]
        history[-1]["validation_accuracy"] = (printed - distance) / 100
        project.change(str(key), history=history)


def found(project: Any) -> dict[tuple[str, str], tuple[str, str]]:
    return {place: (one.row, one.other) for place, one in suggested_rows(project.evidence()).items()}


def readme(project: Any) -> str:
    return " ".join(tables_block(project.evidence()).split())


def study_of_mnist(raw: dict[str, Any]) -> None:
    """The same question on MNIST, where Table I prints 99.1."""
    study = raw["studies"]["vgg16-plain-optimizer"]
    raw["studies"]["mine"] = {**study, "dataset": "mnist", "printed": {"log": None, "table": "I", "row": "VGG16"}}


def test_a_label_of_both_data_sets_follows_the_one_that_is_studied_and_says_so(paper: Any) -> None:
    put(paper, "cifar10", {BASE: 20, OTHER: 2})
    pair = ("VGG16", "VGG16 with SGD and momentum")
    assert found(paper) == {("mnist", BASE): pair, ("cifar10", BASE): pair}
    evidence = paper.evidence()
    assert f" {SENTENCE} (A1, by the study on CIFAR10)." in table_body(evidence, "I")
    assert f" {SENTENCE} (A1)." in table_body(evidence, "IV")
    assert "has no such line" not in table_body(evidence, "V")
    text = readme(paper)
    assert (
        "*Another row*: the setting suggested for VGG16 is that of the row VGG16 with SGD and momentum "
        "(A1; on MNIST by the study on CIFAR10)."
    ) in text
    (line,) = (one for one in tables_block(evidence).splitlines() if one.startswith("| VGG16 |"))
    assert line.count("another row") == 2


def test_a_study_of_the_rows_own_data_set_goes_before_one_of_another(paper: Any) -> None:
    paper.edit(study_of_mnist)
    put(paper, "cifar10", {BASE: 20, OTHER: 2})
    put(paper, "mnist", {BASE: 1, OTHER: 2}, printed=99.1)
    assert found(paper) == {("cifar10", BASE): ("VGG16", "VGG16 with SGD and momentum")}
    assert "has no such line" not in table_body(paper.evidence(), "I")
    assert "the setting suggested for VGG16 on CIFAR10 is that of the row VGG16 with SGD and momentum (A1)." in readme(
        paper
    )


@pytest.mark.parametrize("distances", [{BASE: 2, OTHER: 20}, {BASE: 2, OTHER: 2}, {OTHER: 2}])
def test_nothing_is_suggested_where_the_base_is_as_close_or_has_not_run(
    paper: Any, distances: dict[str, float]
) -> None:
    put(paper, "cifar10", distances)
    assert found(paper) == {}
    assert "*Another row*" not in readme(paper)
    assert "has no such line" not in table_body(paper.evidence(), "IV")


def test_a_row_with_an_as_logged_row_has_its_line_and_no_suggestion(paper: Any) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["tables"]["IV"]["rows"][0]["as_logged"] = "vgg16-adam-lr1e-4"

    paper.edit(change)
    put(paper, "cifar10", {BASE: 20, OTHER: 2})
    assert set(found(paper)) == {("mnist", BASE)}
    assert "VGG16 has no such line" not in table_body(paper.evidence(), "IV")


def test_a_table_without_any_as_logged_row_says_it_too(paper: Any) -> None:
    def change(raw: dict[str, Any]) -> None:
        for row in raw["tables"]["IV"]["rows"]:
            row.pop("as_logged", None)

    paper.edit(change)
    put(paper, "cifar10", {BASE: 20, OTHER: 2})
    assert f" {SENTENCE} (A1)." in table_body(paper.evidence(), "IV")


def test_other_conditions_than_the_papers_suggest_nothing(filled: Any) -> None:
    assert suggested_rows(filled.evidence()) == {}
