"""The files that DVC's own commands show, against the tables and the results."""

import csv
import json
from io import StringIO
from typing import Any

import pytest

from stages.report.views import view_files


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


@pytest.fixture
def seeded(project: Any) -> Any:
    project.edit(lambda raw: raw.update(seeds=[0, 1]))
    return project.fill()


def test_metrics_are_the_means_of_the_tables(seeded: Any) -> None:
    found = json.loads(view_files(seeded.evidence())["metrics.json"])
    assert {table: len(rows) for table, rows in found.items()} == {
        "Table I": 8, "Table II": 6, "Table III": 3, "Table IV": 8, "Table V": 6, "Table VI": 3,
    }  # fmt: skip
    percents = [100 * seeded.read("cifar10/vgg16-adam", seed)["accuracy"] for seed in (0, 1)]
    assert found["Table IV"]["VGG16 with ADAM"] == pytest.approx(sum(percents) / 2)


def test_accuracy_has_the_papers_number_beside_ours(seeded: Any) -> None:
    seeded.edit(lambda raw: raw["tables"]["VI"]["rows"][2].update(row="a row of our own"))
    files = view_files(seeded.evidence())
    metrics, found = json.loads(files["metrics.json"]), lines(str(files["accuracy.csv"]))
    assert [line["source"] for line in found].count("ours") == 34
    assert [line["source"] for line in found].count("paper") == 33
    assert {line["source"] for line in found if line["row"] == "a row of our own"} == {"ours"}
    for line in found:
        if line["source"] == "ours":
            assert float(line["accuracy"]) == metrics[f"Table {line['table']}"][line["row"]]
    assert {"table": "IV", "row": "VGG16 with ADAM", "source": "paper", "accuracy": "82.3"} in found


def test_curves_have_every_epoch_of_every_seed(seeded: Any) -> None:
    found = lines(str(view_files(seeded.evidence())["curves.csv"]))
    assert len(found) == 34 * 2 * 2
    history = seeded.read("mnist/resnet18", 1)["history"]
    ours = [line for line in found if (line["table"], line["row"], line["seed"]) == ("II", "ResNet18", "1")]
    assert [line["epoch"] for line in ours] == ["1", "2"]
    accuracies = [float(line["validation_accuracy"]) for line in ours]
    assert accuracies == pytest.approx([100 * epoch["validation_accuracy"] for epoch in history], abs=1e-6)
