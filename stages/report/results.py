"""Reads what `evaluate` wrote, one JSON file for each cell and seed, and refuses what does not hold together.

The record checks itself (`stages.records.evaluation`). Here is what needs params.yaml, and what a record counts twice:
cell, budget, seed and settings are those asked for now, and accuracy, confusion matrix, report and history are those of
the predictions and the epochs.
"""

from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from stages.config.cells import CellKey, changed_settings
from stages.config.params import Params, resolve_count
from stages.config.settings import Run
from stages.core.errors import ContradictionError, CorruptFileError
from stages.core.filenames import DESCRIPTION
from stages.core.files import flatten
from stages.records.digits import digits_array
from stages.records.evaluation import Evaluation, ReadResult, result_path
from stages.records.run import FINISHED, RecordedSettings

_SAME = 1e-9  # fractions of whole images differ by 1e-5 or more


class ChangedSettingsError(CorruptFileError):
    """A result of other settings than params.yaml has now: `dvc repro` makes it again."""


def read_result(
    cells: Path, params: Params, budget: str, key: CellKey, seed: int, read: ReadResult = Evaluation.read
) -> Evaluation:
    """Read and check one result. Raises MissingFileError, naming the stage that makes it, or CorruptFileError."""
    path = result_path(cells, key, seed)
    result = read(path, f"dvc repro {params.stage('evaluate', key, budget, seed)}")
    _check_identity(path, result, key, budget, seed)
    if changed := settings_then_and_now(result.run.config, params.run(str(key), budget, seed)):
        found, today = changed
        raise ChangedSettingsError(path, f"trained with {found}", f"{today}, as params.yaml says now (run dvc repro)")
    check_result(path, result, params)
    return result


def check_result(path: Path, result: Evaluation, params: Params) -> None:
    """Raise CorruptFileError for a result that does not add up, or is not of the sizes that its budget asks for."""
    _check_inputs(path, result)
    _check_counts(path, result, expected_test_images(params, result.budget, result.dataset))
    _check_matrix(path, result, params.datasets.of(result.dataset).classes)
    _check_report(path, result)
    _check_history(path, result)


def settings_then_and_now(found: RecordedSettings, today: Run) -> tuple[str, str] | None:
    """The settings in which a result's training is not today's, as found and as of today; None if in none.

    A table's caption prints today's settings, so a result of other settings must not stand under it.
    """
    if found.are_of(today):
        return None
    ours, theirs = flatten(found.model_dump(mode="json")), flatten(today.model_dump(mode="json"))
    changed = changed_settings(ours, theirs)
    of_file, of_params = (", ".join(f"{name} {of.get(name)}" for name in changed) for of in (ours, theirs))
    return of_file, of_params


def expected_test_images(params: Params, budget: str, dataset: str) -> int:
    """How many test images a budget evaluates on."""
    return resolve_count(params.testing(dataset, budget).images, params.datasets.of(dataset).test_images)


def _check(path: Path, what: str, found: Any, other: Any, says: str) -> None:
    """Refuse a file of which `what` is `found`, where `says` and `other` tell what it should be."""
    same = isclose(found, other, abs_tol=_SAME) if isinstance(other, float) else found == other
    if not same:
        raise CorruptFileError(path, f"{what} {found}", f"{other}, {says}")


def _agree(path: Path, what: str, found: Any, other: Any, whose: str) -> None:
    """Refuse a file of which `what` is `found`, where another place of it, `whose`, has it otherwise."""
    same = isclose(found, other, abs_tol=_SAME) if isinstance(other, float) else found == other
    if not same:
        raise ContradictionError(path, f"{what} {found}", f"{whose} {other}")


def _check_identity(path: Path, result: Evaluation, key: CellKey, budget: str, seed: int) -> None:
    says = "as the file's place says"
    _check(path, "run.cell", result.cell, str(key), says)
    _check(path, "run.budget", result.budget, budget, says)
    _check(path, "run.seed", result.seed, seed, says)


def _check_inputs(path: Path, result: Evaluation) -> None:
    """The evaluation must have read the run and the data that the record says it did."""
    try:
        _, arrays = result.run.training_arrays
        _, description = result.description
        _ = result.test_arrays, result.run_folder
    except KeyError as error:
        where = f"no one input with {error.args[0]}"
        raise CorruptFileError(path, where, "the inputs that dvc.yaml names, in both provenances") from None
    trained_on = (arrays.files or {}).get(DESCRIPTION)
    _agree(path, f"the test read {DESCRIPTION} of md5", description.md5, trained_on, "the training one of")


def _check_counts(path: Path, result: Evaluation, test_images: int) -> None:
    _check(path, "test_images", result.test_images, test_images, f"as budget {result.budget} asks for")
    of_correct = f"{result.correct} correct of {result.test_images} make"
    _agree(path, "accuracy says", result.accuracy, float(result.correct / result.test_images), of_correct)
    for name, images in (("predictions", result.predictions), ("labels", result.labels)):
        _agree(path, f"{name} are of", len(images), result.test_images, "test_images says")


def _check_matrix(path: Path, result: Evaluation, classes: list[str]) -> None:
    _check(path, "classes", result.classes, classes, "as params.yaml has them")
    size = len(classes)
    _check(path, "rows of the confusion matrix", [len(row) for row in result.confusion], [size] * size, "by class")
    counted, hits = sum(map(sum, result.confusion)), sum(result.confusion[index][index] for index in range(size))
    _agree(path, "test_images says", result.test_images, counted, "the confusion matrix counts")
    _agree(path, "correct says", result.correct, hits, "the diagonal of the confusion matrix counts")
    labels, predictions = digits_array(result.labels), digits_array(result.predictions)
    if (highest := max(labels.max(), predictions.max())) >= size:
        raise CorruptFileError(path, f"class {highest} in labels or predictions", f"0 to {size - 1}")
    recount = np.bincount(labels * size + predictions, minlength=size * size).reshape(size, size)
    if recount.tolist() != result.confusion:
        raise ContradictionError(path, "the confusion matrix is another", "not that of its labels and predictions")


def _check_report(path: Path, result: Evaluation) -> None:
    names = [*result.classes, "accuracy", "macro avg", "weighted avg"]
    _check(path, "lines of the report", sorted(result.report), sorted(names), "as scikit-learn writes")
    _agree(path, "accuracy of the report says", result.report["accuracy"], float(result.accuracy), "accuracy says")
    for name, row in zip(result.classes, result.confusion, strict=True):
        scores = result.report[name]
        found = scores.get("support") if isinstance(scores, dict) else scores
        _agree(path, f"support of {name} says", found, sum(row), "the confusion matrix counts")


def _check_history(path: Path, result: Evaluation) -> None:
    epochs, planned = len(result.history), result.run.config.epochs
    if epochs > planned or (epochs < planned and result.run.outcome == FINISHED):
        raise CorruptFileError(path, f"{epochs} epochs, {result.run.outcome}", f"{planned} epochs")
    validated = result.run.validated
    images, counted = len(validated.predictions), result.run.counts.validation
    _agree(path, "validation predictions are of", images, counted, "counts.validation says")
    last = result.history[-1].validation_accuracy
    _agree(path, "last validation accuracy says", last, validated.accuracy, "its validation predictions make")
    _check(path, "epochs", [line.epoch for line in result.history], list(range(1, epochs + 1)), "one after the other")
    _agree(path, "timed epochs", len(result.run.times.epochs), epochs, "epochs of the history")
