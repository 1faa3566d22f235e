"""Reads what `evaluate` wrote, one JSON file for each cell and seed, and refuses what does not hold together.

Nothing about where a number comes from is guessed: a result names its cell, budget, seed, stages, MLflow run and
resolved settings itself, and each of these must be what params.yaml asks for now.
"""

from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from stages.config.params import CellKey, Params, counted, flatten
from stages.config.settings import Count, Run
from stages.core.errors import CorruptFileError
from stages.core.filenames import DESCRIPTION
from stages.core.files import file_hash, read_json
from stages.records.provenance import stage_name
from stages.report.origins import Evaluated, Md5, PredictionSha256, Section, Some, Span, Trained

Share = Annotated[float, Field(ge=0, le=1)]
_SAME = 1e-9  # fractions of whole images differ by 1e-5 or more
FINISHED, DIVERGED, AT_CHANCE = "finished", "diverged", "at chance"


class Stages(Section):
    """The DVC stages that made a result."""

    train: Some
    evaluate: Some


class Epoch(Section):
    """One epoch of the history; a loss that was not finite is None."""

    epoch: Count
    train_loss: float | None
    train_accuracy: Share
    validation_accuracy: Share
    validation_loss: float | None


class Counts(Section):
    """Images and steps of an epoch."""

    sample: Count
    validation: Count
    steps_per_epoch: Count


class EpochTime(Section):
    """How long one epoch took, its evaluations included."""

    seconds: Annotated[float, Field(ge=0)]


class Times(Span):
    """How long the training took, and each epoch of it."""

    epochs: list[EpochTime]


class Mirror(Section):
    """Where MLflow shows the run."""

    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None
    experiment: str | None = None


class RunRecord(Trained):
    """What the reports need of a training's run record."""

    config: Run
    counts: Counts
    outcome: Literal["finished", "diverged"]
    parameters: Count
    images_per_second: Annotated[float, Field(gt=0)]
    times: Times
    mlflow: Mirror | None


class Mistake(Section):
    """A test image that was named wrongly: its place in the test split, both classes, and how sure the network was."""

    test_image: Annotated[int, Field(ge=0)]
    label: Annotated[int, Field(ge=0)]
    predicted: Annotated[int, Field(ge=0)]
    probability: Share
    png: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$")]  # base64


class File(Section):
    """The file that a result was read from."""

    path: Some
    md5: Md5


class Result(Section):
    """One evaluated training."""

    version: Literal[1] = Field(alias="schema")
    cell: str
    dataset: str
    budget: str
    seed: int
    stages: Stages
    test_images: Count
    correct: Annotated[int, Field(ge=0)]
    accuracy: Share
    at_chance: bool
    loss: float | None
    classes: list[str]
    report: dict[str, dict[str, float] | float]
    confusion: list[list[Annotated[int, Field(ge=0)]]]
    predictions: Annotated[str, Field(pattern=r"^[0-9]+$")]
    labels: Annotated[str, Field(pattern=r"^[0-9]+$")]
    most_confused: list[Mistake]
    history: Annotated[list[Epoch], Field(min_length=1)]
    run: RunRecord
    evaluated: Evaluated
    sha256: PredictionSha256
    file: File

    @property
    def percent(self) -> float:
        """Test accuracy in percent."""
        return 100 * self.correct / self.test_images

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which test images were named right, of shape (test images,)."""
        return _digits(self.predictions) == _digits(self.labels)

    @property
    def outcome(self) -> str:
        """How the training ended: FINISHED, DIVERGED, or AT_CHANCE, where it finished and has learned nothing."""
        return DIVERGED if self.run.outcome == DIVERGED else AT_CHANCE if self.at_chance else FINISHED

    @property
    def mlflow_run(self) -> str:
        """The id of the MLflow run; empty when the training was not mirrored."""
        mirror = self.run.mlflow
        return mirror.run_id or "" if mirror else ""


class ChangedSettingsError(CorruptFileError):
    """A result of other settings than params.yaml has now: `dvc repro` makes it again."""


def result_path(cells: Path, key: CellKey, seed: int) -> Path:
    """Where `evaluate` puts the result of a cell and seed."""
    return cells / key.dataset / f"{key.name}-s{seed}.json"


def read_result(cells: Path, params: Params, budget: str, key: CellKey, seed: int) -> Result:
    """Read and check one result. Raises MissingFileError, naming the stage that makes it, or CorruptFileError."""
    path = result_path(cells, key, seed)
    result = parse_result(path, stage_name("evaluate", key, budget, seed))
    if changed := changed_settings(result.run.config, params.run(str(key), budget, seed)):
        found, expected = changed
        raise ChangedSettingsError(
            path, f"trained with {found}", f"{expected}, as params.yaml says now (run dvc repro)"
        )
    check_result(path, result, params, budget, key, seed)
    return result


def parse_result(path: Path, stage: str) -> Result:
    """Read a result that `stage` makes, whatever it is of. Raises MissingFileError or CorruptFileError."""
    raw = read_json(path, f"dvc repro {stage}")
    if not isinstance(raw, dict):
        raise CorruptFileError(path, f"a {type(raw).__name__}", f"what {stage} writes (run dvc repro)")
    try:
        return Result.model_validate({**raw, "file": {"path": path.as_posix(), "md5": file_hash(path)}})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        if first["type"] == "missing":
            raise CorruptFileError(path, f"no {where}", f"what {stage} writes (run dvc repro)") from None
        found = f"{where}: {repr(first['input'])[:60]}"
        raise CorruptFileError(path, found, first["msg"].removeprefix("Input should be ")) from None


def check_result(path: Path, result: Result, params: Params, budget: str, key: CellKey, seed: int) -> None:
    """Raise CorruptFileError for a result that is of another cell, budget or seed, or does not hold together."""
    _check_identity(path, result, key, budget, seed)
    _check_origin(path, result)
    _check_counts(path, result, expected_test_images(params, budget, key.dataset))
    _check_matrix(path, result, params.datasets.of(key.dataset).classes)
    _check_report(path, result)
    _check_history(path, result)


def changed_settings(found: Run, expected: Run) -> tuple[str, str] | None:
    """The settings in which a result's training is not the expected one, as found and as expected; None if in none.

    A table's caption prints today's settings, so a result of other settings must not stand under it.
    """
    if found == expected:
        return None
    ours, theirs = flatten(found.model_dump()), flatten(expected.model_dump())
    changed = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    of_file, of_params = (", ".join(f"{name} {of.get(name)}" for name in changed) for of in (ours, theirs))
    return of_file, of_params


def expected_test_images(params: Params, budget: str, dataset: str) -> int:
    """How many test images a budget evaluates on."""
    return counted(params.chosen_budget(budget).test_images.of(dataset), params.datasets.of(dataset).test_images)


def _expect(path: Path, what: str, found: Any, expected: Any) -> None:
    same = isclose(found, expected, abs_tol=_SAME) if isinstance(expected, float) else found == expected
    if not same:
        raise CorruptFileError(path, f"{what} {found}", str(expected))


def _check_identity(path: Path, result: Result, key: CellKey, budget: str, seed: int) -> None:
    _expect(path, "dataset", result.dataset, key.dataset)
    _expect(path, "cell", result.cell, str(key))
    _expect(path, "budget", result.budget, budget)
    _expect(path, "seed", result.seed, seed)


def _check_origin(path: Path, result: Result) -> None:
    """The evaluation must have read the run and the data that the result says it did."""
    training, tested = result.run, result.evaluated
    for where, made in (("run", training), ("evaluated", tested)):
        if not made.code:
            raise CorruptFileError(path, f"no source in {where}.deps", "the sources that dvc.yaml names")
    try:
        _, arrays = training.training_arrays
        _, description = tested.description
        _ = tested.test_arrays, tested.run_folder
    except KeyError as error:
        where = f"no one input with {error.args[0]}"
        raise CorruptFileError(path, where, "the inputs that dvc.yaml names, in run.deps and evaluated.deps") from None
    _expect(path, "run.stage", training.stage, result.stages.train)
    _expect(path, "run.data.dataset", training.data.dataset, result.dataset)
    trained_on = (arrays.files or {}).get(DESCRIPTION)
    _expect(path, f"evaluated.deps: {DESCRIPTION}", description.md5, trained_on)


def _check_counts(path: Path, result: Result, test_images: int) -> None:
    _expect(path, "test_images", result.test_images, test_images)
    _expect(path, "accuracy", result.accuracy, float(result.correct / result.test_images))
    _expect(path, "number of predictions", len(result.predictions), result.test_images)
    _expect(path, "number of labels", len(result.labels), result.test_images)


def _check_matrix(path: Path, result: Result, classes: list[str]) -> None:
    _expect(path, "classes", result.classes, classes)
    size = len(classes)
    _expect(path, "columns of the confusion matrix", [len(row) for row in result.confusion], [size] * size)
    _expect(path, "sum of the confusion matrix", sum(map(sum, result.confusion)), result.test_images)
    _expect(path, "diagonal of the confusion matrix", sum(result.confusion[k][k] for k in range(size)), result.correct)
    labels, predictions = _digits(result.labels), _digits(result.predictions)
    _expect(path, "highest class", max(labels.max(), predictions.max()) < size, True)
    counted = np.bincount(labels * size + predictions, minlength=size * size).reshape(size, size)
    if counted.tolist() != result.confusion:
        raise CorruptFileError(path, "another confusion matrix", "the one of its labels and predictions")


def _digits(text: str) -> NDArray[np.int64]:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64) - ord("0")


def _check_report(path: Path, result: Result) -> None:
    names = [*result.classes, "accuracy", "macro avg", "weighted avg"]
    _expect(path, "lines of the report", sorted(result.report), sorted(names))
    _expect(path, "accuracy of the report", result.report["accuracy"], float(result.accuracy))
    for name, row in zip(result.classes, result.confusion, strict=True):
        scores = result.report[name]
        found = scores.get("support") if isinstance(scores, dict) else scores
        _expect(path, f"support of {name}", found, sum(row))


def _check_history(path: Path, result: Result) -> None:
    epochs, planned = len(result.history), result.run.config.epochs
    if epochs > planned or (epochs < planned and result.run.outcome == "finished"):
        raise CorruptFileError(path, f"{epochs} epochs, {result.run.outcome}", f"{planned} epochs")
    _expect(path, "epochs", [line.epoch for line in result.history], list(range(1, epochs + 1)))
    _expect(path, "timed epochs", len(result.run.times.epochs), epochs)
