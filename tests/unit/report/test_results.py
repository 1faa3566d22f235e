"""Results that are missing, or do not hold together, are refused with a message that says why."""

import json
from typing import Any

import pytest

from stages.core.errors import CorruptFileError, MissingFileError

CELL = "cifar10/vgg16-adam"


def refusal(project: Any) -> str:
    with pytest.raises(CorruptFileError) as caught:
        project.evidence()
    assert "vgg16-adam-s0.json" in caught.value.message
    return caught.value.message


def test_every_planned_cell_and_seed_is_read(filled: Any) -> None:
    evidence = filled.evidence()
    assert len(evidence.cells) == 35
    cell = evidence.cells["cifar10/resnet18-lr1e-2-sgd"]
    assert cell.first.stages.evaluate == "evaluate-study-cifar10@quick-resnet18-lr1e-2-sgd-0"
    assert cell.mean == pytest.approx(100 * filled.read("cifar10/resnet18-lr1e-2-sgd")["accuracy"])


def test_missing_result_names_its_stage(filled: Any) -> None:
    filled.path(CELL).unlink()
    with pytest.raises(MissingFileError, match=r"vgg16-adam-s0\.json.*evaluate-cifar10@quick-vgg16-adam-0"):
        filled.evidence()


def test_missing_study_result_names_its_stage(filled: Any) -> None:
    filled.path("cifar10/resnet18-lr1e-2-sgd").unlink()
    with pytest.raises(MissingFileError, match="evaluate-study-cifar10@quick-resnet18-lr1e-2-sgd-0"):
        filled.evidence()


def test_half_a_file(filled: Any) -> None:
    path = filled.path(CELL)
    path.write_text(path.read_text()[:5000])
    assert "not JSON" in refusal(filled)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("schema", 2, "schema: 2"),
        ("cell", "cifar10/vgg16", "cell cifar10/vgg16; expected cifar10/vgg16-adam"),
        ("dataset", "mnist", "dataset mnist; expected cifar10"),
        ("budget", "paper", "budget paper; expected quick"),
        ("seed", 1, "seed 1; expected 0"),
        ("accuracy", 0.5001, "accuracy 0.5001; expected"),
        ("accuracy", float("nan"), "accuracy: nan"),
        ("test_images", 999, "test_images 999; expected 1000"),
        ("predictions", "01234", "number of predictions 5; expected 1000"),
        ("labels", "xyz", "labels: 'xyz'"),
        ("classes", list("abcdefghij"), "classes"),
        ("history", [], "history"),
        ("stages", {"train": "", "evaluate": "x"}, "stages.train"),
        ("run__outcome", "killed", "run.outcome: 'killed'"),
        ("at_chance", "no", "at_chance: 'no'"),
        ("run__times__epochs", [{"seconds": 1.0}], "timed epochs 1; expected 2"),
        ("run__mlflow", {"run_id": "not an id"}, "run.mlflow.run_id"),
        ("run__config__cell__lr", 0.5, "trained with cell.lr 0.5; expected cell.lr 0.001, as params.yaml says now"),
        ("run__config__images", 801, "trained with images 801; expected images 800"),
        ("run__config__cell__depth", 12, "run.config.cell"),
    ],
)
def test_entry_that_is_wrong(filled: Any, name: str, value: object, said: str) -> None:
    filled.change(CELL, **{name: value})
    assert said in refusal(filled)


def test_entry_that_is_absent(filled: Any) -> None:
    content = filled.read(CELL)
    del content["run"]["device"]
    filled.path(CELL).write_text(json.dumps(content))
    assert "run.device" in refusal(filled)


def test_confusion_matrix_that_counts_too_many(filled: Any) -> None:
    confusion = filled.read(CELL)["confusion"]
    confusion[0][1] += 1
    filled.change(CELL, confusion=confusion)
    assert "sum of the confusion matrix 1001; expected 1000" in refusal(filled)


def test_confusion_matrix_of_other_predictions(filled: Any) -> None:
    confusion = filled.read(CELL)["confusion"]
    confusion[0][1] += 1
    confusion[0][2] -= 1
    filled.change(CELL, confusion=confusion)
    assert "another confusion matrix" in refusal(filled)


def test_accuracy_that_the_diagonal_does_not_have(filled: Any) -> None:
    correct = filled.read(CELL)["correct"] + 1
    filled.change(CELL, correct=correct, accuracy=correct / 1000)
    assert "diagonal of the confusion matrix" in refusal(filled)


def test_report_of_other_predictions(filled: Any) -> None:
    filled.change(CELL, report__cat__support=1)
    assert "support of cat 1" in refusal(filled)


def test_history_too_short_for_a_finished_run(filled: Any) -> None:
    content = filled.read(CELL)
    shorter = {"history": content["history"][:1], "run__times__epochs": [{"seconds": 6.0}]}
    filled.change(CELL, **shorter)
    assert "1 epochs, finished" in refusal(filled)
    filled.change(CELL, run__outcome="diverged")
    assert filled.evidence().cells[CELL].first.outcome == "diverged"


def test_run_that_was_not_mirrored(filled: Any) -> None:
    filled.change(CELL, run__mlflow=None)
    assert filled.evidence().cells[CELL].first.mlflow_run == ""
    filled.change(CELL, run__mlflow={"run_id": None})
    assert filled.evidence().cells[CELL].first.mlflow_run == ""
