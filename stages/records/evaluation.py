"""The result of a cell and seed: what stage `evaluate` found, with the record of the training behind it.

Tables, pages and audits are made from it alone: it holds predictions and labels of all test images, and the logits lie
beside it in git, so a clone without weights can count everything again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from stages.config.cells import CellKey
from stages.config.settings import Testing
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import digest, file_hash
from stages.records.digits import Digits, digits_array
from stages.records.provenance import Dependency, Provenance
from stages.records.record import BoundRecord, Count, Md5, Natural, NonEmptyStr, Ratio, Section, Sha256, Word
from stages.records.run import DIVERGED, FINISHED, Epoch, NumericsRecord, Span, TrainingRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AT_CHANCE = "at chance"


class Mistake(Section):
    """A wrongly predicted test image: its index in the test split, both classes, the probability, a small picture."""

    test_image: Natural
    label: Natural
    predicted: Natural
    probability: Ratio
    png: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$")]  # base64


class PredictionHashes(Section):
    """sha256 of the predictions' arrays."""

    logits: Sha256 = Field(alias="logits.npy")
    labels: Sha256 = Field(alias="labels.npy")


class File(Section):
    """The file that a result was read from."""

    path: NonEmptyStr
    md5: Md5


class Evaluation(BoundRecord):
    """One trained network on the test split. `file` is where it was read from, and is not part of it."""

    version: Literal[2] = Field(default=2, alias="schema")
    stage: Word
    provenance: Provenance
    testing: Testing
    numerics: NumericsRecord
    times: Span
    classes: Annotated[list[str], Field(min_length=2)]
    test_images: Count
    correct: Natural
    accuracy: Ratio
    at_chance: bool
    loss: float | None
    report: dict[str, dict[str, float] | float]  # scikit-learn's classification_report
    confusion: list[list[Natural]]  # rows: true classes
    predictions: Digits
    labels: Digits
    most_confused: list[Mistake]
    history: Annotated[list[Epoch], Field(min_length=1)]
    run: TrainingRun
    sha256: PredictionHashes
    binding: Sha256
    file: File | None = Field(default=None, exclude=True)

    @classmethod
    def read(cls, path: Path | str, made_by: str) -> Self:
        """Read a result. Raises MissingFileError or CorruptFileError."""
        found = super().read(path, made_by)
        return found.model_copy(update={"file": File(path=Path(path).as_posix(), md5=file_hash(path))})

    @property
    def cell(self) -> str:
        """The cell's name with its data set."""
        return self.run.cell

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.run.dataset

    @property
    def budget(self) -> str:
        """The budget's name."""
        return self.run.budget

    @property
    def seed(self) -> int:
        """The training's seed."""
        return self.run.seed

    @property
    def percent(self) -> float:
        """Test accuracy in percent."""
        return 100 * self.correct / self.test_images

    @property
    def right(self) -> "NDArray[np.bool_]":
        """Which test images were named right, of shape (test images,)."""
        return digits_array(self.predictions) == digits_array(self.labels)

    @property
    def outcome(self) -> str:
        """How the training ended: FINISHED, DIVERGED, or AT_CHANCE, where it finished and has learned nothing."""
        return DIVERGED if self.run.outcome == DIVERGED else AT_CHANCE if self.at_chance else FINISHED

    @property
    def mlflow_run(self) -> str:
        """The id of the MLflow run; empty when the training was not mirrored."""
        return self.run.mlflow.run_id if self.run.mlflow else ""

    @property
    def run_folder(self) -> tuple[str, Dependency]:
        """Path and hashes of the tested run. KeyError without."""
        return self.provenance.input(WEIGHTS, HISTORY, RECORD)

    @property
    def description(self) -> tuple[str, Dependency]:
        """Path and hash of the data set's description. KeyError without."""
        return self.provenance.input(DESCRIPTION)

    @property
    def test_arrays(self) -> tuple[str, Dependency]:
        """Path and hashes of the folder of test arrays. KeyError without."""
        return self.provenance.input("images.npy", "labels.npy")

    def expected_binding(self) -> str:
        """One sha256 over run, code, testing, numerics, test arrays, logits, labels and predictions."""
        return digest(
            {
                "run": self.run.binding,
                "code": self.provenance.code.sha256,
                "testing": self.testing.model_dump(mode="json"),
                "numerics": self.numerics.model_dump(mode="json", exclude_unset=True),
                "data": {name: self.run.data.sha256.get(name) for name in ("test_images", "test_labels")},
                "logits": self.sha256.logits,
                "labels": self.sha256.labels,
                "predicted": [self.predictions, self.labels],
            }
        )

    @model_validator(mode="after")
    def _holds_together(self, info: ValidationInfo) -> Self:
        if not info.context and self.binding != self.expected_binding():
            parts = "run, code, testing, numerics, data, logits, labels and predictions"
            raise ValueError(f"binding is not that of {parts}")
        return self


ReadResult = Callable[[Path, str], Evaluation]  # as `Evaluation.read`: the file, and what makes it


class ResultReader:
    """Reads each result once, whoever asks for it. One that is refused is read again, and raises again."""

    def __init__(self) -> None:
        self._read: dict[Path, Evaluation] = {}

    def read(self, path: Path, made_by: str) -> Evaluation:
        """The result in a file. Raises as `Evaluation.read`, naming `made_by`."""
        if path not in self._read:
            self._read[path] = Evaluation.read(path, made_by)
        return self._read[path]


def results_folder(budget: str) -> Path:
    """Where `evaluate` puts the results of a budget."""
    return Path("reports", budget, "cells")


def result_path(cells: Path, key: CellKey, seed: int) -> Path:
    """Where `evaluate` puts the result of a cell and seed."""
    return cells / key.dataset / f"{key.name}-s{seed}.json"


def seed_of(path: Path, cells: Path, key: CellKey) -> int | None:
    """The seed of the result at `path`, in the folder `cells`; None for what is no result of the cell."""
    seed = path.stem.rpartition("-s")[2]
    return int(seed) if seed.isdecimal() and path == result_path(cells, key, int(seed)) else None


def logits_path(result: Path) -> Path:
    """Where the logits of a result lie: beside its JSON file, float32 of shape (test images, classes)."""
    return result.with_suffix(".npy")
