"""Results that do not hold together are refused with a message that says why; those that are missing are left out."""

import json
from typing import Any

import pytest

from stages.core.errors import CorruptFileError
from tests.unit.report.conftest import epoch_time

CELL = "cifar10/vgg16-adam"
EPOCH_TIMES = [epoch_time(6.0).model_dump(mode="json")]


def refusal(project: Any) -> str:
    with pytest.raises(CorruptFileError) as caught:
        project.evidence()
    assert "vgg16-adam-s0.json" in caught.value.message
    return caught.value.message


def test_every_planned_cell_and_seed_is_read(filled: Any) -> None:
    evidence = filled.evidence()
    assert sum(cell.has_run for cell in evidence.cells.values()) == 35
    assert len(evidence.cells) == len(evidence.params.cell_keys(planned=False))
    cell = evidence.cells["cifar10/resnet18-lr1e-2-sgd"]
    assert cell.first.stage == "evaluate-study-cifar10@quick-resnet18-lr1e-2-sgd-0"
    assert cell.mean == pytest.approx(100 * filled.read("cifar10/resnet18-lr1e-2-sgd")["accuracy"])


def test_a_result_that_is_missing_is_left_out(filled: Any) -> None:
    filled.remove(CELL)
    cell = filled.evidence().cells[CELL]
    assert (cell.planned, cell.results, cell.first, cell.mean, cell.std) == ((0,), (), None, None, None)


def test_seeds_are_each_cells_own(project: Any) -> None:
    more = {"mnist": {"cells": [], "seeds": []}, "cifar10": {"cells": ["resnet18-adam"], "seeds": [2, 1]}}
    project.edit(lambda raw: raw.update(more_seeds=more))
    cells = project.fill().evidence().cells
    assert cells["cifar10/resnet18-adam"].seeds == [0, 1, 2]
    assert cells["cifar10/resnet18"].seeds == [0]
    assert [result.stage for result in cells["cifar10/resnet18-adam"].results] == [
        "evaluate-cifar10@quick-resnet18-adam-0",
        "evaluate-more-cifar10@quick-resnet18-adam-1",
        "evaluate-more-cifar10@quick-resnet18-adam-2",
    ]


def test_what_is_not_planned_is_not_read(filled: Any) -> None:
    filled.edit(lambda raw: raw["study_cells"].update(cifar10=[]))
    cell = filled.evidence().cells["cifar10/resnet18-lr1e-2-sgd"]
    assert (cell.planned, cell.results) == ((), ())


def test_a_binding_of_other_content_is_refused(filled: Any) -> None:
    filled.change(CELL, rebind=False, predictions=filled.read(CELL)["predictions"][::-1])
    assert "binding is not that of run, code, testing, numerics, data, logits" in refusal(filled)


def test_other_code_than_todays_is_no_matter_here(filled: Any) -> None:
    filled.change(CELL, run__provenance__code__sha256="0" * 64, provenance__code__sha256="1" * 64)
    assert filled.evidence().cells[CELL].has_run


def test_validation_predictions_are_counted_again(filled: Any) -> None:
    count = filled.read(CELL)["run"]["counts"]["validation"]
    filled.change(CELL, run__validated={"predictions": "1" * count, "labels": "1" * count})
    assert "last validation accuracy" in refusal(filled)
    filled.change(CELL, run__validated={"predictions": "1", "labels": "1"})
    assert f"validation predictions are of 1, counts.validation says {count}" in refusal(filled)


def test_half_a_file(filled: Any) -> None:
    path = filled.path(CELL)
    path.write_text(path.read_text()[:5000])
    assert "not JSON" in refusal(filled)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("schema", 1, "schema: 1"),
        ("run__cell", "cifar10/vgg16", "run.cell cifar10/vgg16; expected cifar10/vgg16-adam, as the file's place says"),
        ("run__cell", "mnist/vgg16-adam", "config of cifar10, seed 0 in a run of mnist/vgg16-adam"),
        ("run__budget", "paper", "run.budget paper; expected quick"),
        ("run__seed", 1, "config of cifar10, seed 0 in a run of cifar10/vgg16-adam, 1"),
        ("accuracy", 0.5001, "correct of 1000 make"),
        ("accuracy", float("nan"), "NaN is not finite"),
        ("test_images", 999, "test_images 999; expected 1000, as budget quick asks for"),
        ("predictions", "01234", "predictions are of 5, test_images says 1000"),
        ("labels", "xyz", "labels: 'xyz'"),
        ("classes", list("abcdefghij"), "classes"),
        ("history", [], "history"),
        ("stage", "", "stage: ''"),
        ("run__outcome", "killed", "run.outcome: 'killed'"),
        ("at_chance", "no", "at_chance: 'no'"),
        ("run__times__epochs", EPOCH_TIMES, "timed epochs 1, epochs of the history 2"),
        ("run__mlflow", {"run_id": "not an id"}, "run.mlflow.run_id"),
        ("run__config__cell__lr", 0.5, "trained with cell.lr 0.5; expected cell.lr 0.001, as params.yaml says now"),
        ("run__config__images", 801, "trained with images 801; expected images 800"),
        ("run__config__cell__depth", 12, "trained with cell.depth 12; expected cell.depth 16"),
    ],
)
def test_entry_that_is_wrong(filled: Any, name: str, value: object, said: str) -> None:
    filled.change(CELL, **{name: value})
    assert said in refusal(filled)


def test_entry_that_is_absent(filled: Any) -> None:
    content = filled.read(CELL)
    del content["run"]["numerics"]["device"]
    filled.path(CELL).write_text(json.dumps(content))
    assert "no run.numerics.device" in refusal(filled)


def test_confusion_matrix_that_counts_too_many(filled: Any) -> None:
    confusion = filled.read(CELL)["confusion"]
    confusion[0][1] += 1
    filled.change(CELL, confusion=confusion)
    assert "test_images says 1000, the confusion matrix counts 1001" in refusal(filled)


def test_confusion_matrix_of_other_predictions(filled: Any) -> None:
    confusion = filled.read(CELL)["confusion"]
    confusion[0][1] += 1
    confusion[0][2] -= 1
    filled.change(CELL, confusion=confusion)
    assert "the confusion matrix is another" in refusal(filled)


def test_accuracy_that_the_diagonal_does_not_have(filled: Any) -> None:
    correct = filled.read(CELL)["correct"] + 1
    filled.change(CELL, correct=correct, accuracy=correct / 1000)
    assert f"correct says {correct}, the diagonal of the confusion matrix counts {correct - 1}" in refusal(filled)


def test_report_of_other_predictions(filled: Any) -> None:
    filled.change(CELL, report__cat__support=1)
    assert "support of cat says 1" in refusal(filled)


def test_history_too_short_for_a_finished_run(filled: Any) -> None:
    content = filled.read(CELL)
    shorter = {"history": content["history"][:1], "run__times__epochs": EPOCH_TIMES}
    filled.change(CELL, **shorter)
    assert "1 epochs, finished" in refusal(filled)
    filled.change(CELL, run__outcome="diverged")
    assert filled.evidence().cells[CELL].first.outcome == "diverged"


def test_run_that_was_not_mirrored(filled: Any) -> None:
    filled.change(CELL, run__mlflow=None)
    assert filled.evidence().cells[CELL].first.mlflow_run == ""
