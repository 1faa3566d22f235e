"""`run.json`: what one training was, as stage `train` writes it when the training has ended."""

from operator import eq
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from stages.config.settings import Images, Run
from stages.core.files import digest
from stages.records.data import DatasetDescription
from stages.records.digits import Digits
from stages.records.provenance import Dependency, Environment, Provenance
from stages.records.record import BoundRecord, Count, Natural, NonEmptyStr, Ratio, Seconds, Section, Sha256, Time, Word

FINISHED, DIVERGED = "finished", "diverged"
BOUND = "cell, budget, seed, code, settings, data, numerics, outcome, weights, history, epochs and validation"


class Epoch(Section):
    """One epoch of the history. A loss that was not finite is None; accuracies are shares of the images."""

    epoch: Count
    train_loss: float | None  # mean over the epoch's steps, auxiliary heads included
    train_sample_accuracy: Ratio  # on the sample of the training images, after the epoch
    train_sample_loss: float | None
    validation_accuracy: Ratio
    validation_loss: float | None


class EpochTime(Section):
    """What one epoch took: wall time (`seconds` includes its evaluations), the processor time of its process.

    `machine` is the index of its machine in `machines`, `parameters_sha256` the hash of the parameters that it left,
    so that a training can be repeated and compared epoch by epoch.
    """

    train_seconds: Seconds
    seconds: Seconds
    cpu_seconds: Seconds
    ended: Time
    machine: Natural
    parameters_sha256: Sha256


class Span(Section):
    """From when to when, with the seconds between."""

    started: Time
    ended: Time
    seconds: Seconds


class TrainingTimes(Span):
    """When the training ran. After a restart `started` is the last start; `epochs` has every epoch's own time."""

    epochs: list[EpochTime]


class Counts(Section):
    """Images of each part, and steps in an epoch."""

    train: Count
    augmented: Natural
    validation: Count
    sample: Count
    steps_per_epoch: Count


class Validated(Section):
    """The class that the trained network predicts for each validation image, in their order, and its label."""

    predictions: Digits
    labels: Digits

    @property
    def accuracy(self) -> float:
        """The share of the images that are named right."""
        return sum(map(eq, self.predictions, self.labels)) / len(self.labels)


class RecordedCell(BaseModel):
    """The settings of a cell, as they were recorded; beside these, those of its family and optimizer."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)

    family: NonEmptyStr
    optimizer: NonEmptyStr
    lr: float
    batch_size: Count
    input_size: Count
    augment: NonEmptyStr


class NetworkSize(Section):
    """Trainable parameters, and multiply-adds of one image's forward pass."""

    parameters: Count
    multiply_adds: Count


class Backend(Section):
    """The software and instructions that did the arithmetic."""

    torch: NonEmptyStr
    cuda: str | None
    cudnn: int | None
    capability: NonEmptyStr
    instructions: list[str]
    processor: str | None = None
    l1d_cache: Natural | None = None
    l2_cache: Natural | None = None
    build: Sha256 | None = None


class NumericsRecord(Section):
    """What bits depend on beside settings, code and data."""

    device: NonEmptyStr
    precision: Literal["bfloat16", "emulated bfloat16", "float32"]  # emulated: `stages.engine.products`
    threads: Count
    backend: Backend


class RunHashes(Section):
    """sha256 of the files of a run."""

    weights: Sha256 = Field(alias="weights.safetensors")
    history: Sha256 = Field(alias="history.json")


class MlflowRun(Section):
    """The run in MLflow that mirrors the training."""

    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    experiment: str | None = None


class RecordedSettings(BaseModel):
    """The settings that a training had, as they were recorded: a later version may have other settings."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)

    dataset: NonEmptyStr
    cell: RecordedCell
    images: Images
    validation_images: Images
    sample_images: Count
    epochs: Count
    precision: NonEmptyStr
    threads: Count
    seed: Natural

    def are_of(self, run: Run) -> bool:
        """Whether they are the settings of a training of today."""
        return self.model_dump(mode="json") == run.model_dump(mode="json")


class TrainingRun(BoundRecord):
    """One training: cell, seed and budget, what it was made from, and what came out.

    `checksum` is the sha256 of all other fields, those included that are not bound, as times and machine: a bit that
    has flipped on the disk is noticed. Records from before have none. Whoever forges a record can forge it too.
    """

    version: Literal[2] = Field(default=2, alias="schema")
    cell: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]
    budget: NonEmptyStr
    seed: Natural
    stage: Word
    provenance: Provenance
    config: RecordedSettings
    data: DatasetDescription
    network: NetworkSize
    counts: Counts
    numerics: NumericsRecord
    times: TrainingTimes
    machines: Annotated[list[Environment], Field(min_length=1)]
    resumed_after: Natural  # epochs behind the checkpoint that the last start went on from
    outcome: Literal["finished", "diverged"]
    images_per_second: Annotated[float, Field(gt=0)]
    peak_memory: Count  # of the process, in bytes
    validated: Validated
    sha256: RunHashes
    mlflow: MlflowRun | None
    binding: Sha256
    checksum: Sha256 | None = None

    @field_validator("config", mode="before")
    @classmethod
    def _as_recorded(cls, settings: Any) -> Any:
        return settings.model_dump(mode="json") if isinstance(settings, Run) else settings

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.cell.partition("/")[0]

    @property
    def name(self) -> str:
        """The cell's name without its data set."""
        return self.cell.partition("/")[2]

    @property
    def training_arrays(self) -> tuple[str, Dependency]:
        """Path and hashes of the folder of training arrays. KeyError without."""
        return self.provenance.input("train_images.npy", "train_labels.npy")

    def with_checksum(self) -> Self:
        """The same record with the checksum of its other fields."""
        return self.model_copy(update={"checksum": self.expected_checksum()})

    def expected_checksum(self) -> str:
        """One sha256 over all fields but the checksum."""
        return digest({name: value for name, value in self.content().items() if name != "checksum"})

    def expected_binding(self) -> str:
        """One sha256 over cell, budget, seed, code, settings, data, numerics, outcome and all that came out."""
        return digest(
            {
                "cell": self.cell,
                "budget": self.budget,
                "seed": self.seed,
                "code": self.provenance.code.sha256,
                "settings": self.config.model_dump(mode="json"),
                "data": self.data.content(),
                "numerics": self.numerics.model_dump(mode="json", exclude_unset=True),
                "outcome": self.outcome,
                "weights": self.sha256.weights,
                "history": self.sha256.history,
                "epochs": [epoch.parameters_sha256 for epoch in self.times.epochs],
                "validated": [self.validated.predictions, self.validated.labels],
            }
        )

    @model_validator(mode="after")
    def _holds_together(self, info: ValidationInfo) -> Self:
        if self.config.seed != self.seed or self.config.dataset != self.dataset:
            raise ValueError(
                f"config of {self.config.dataset}, seed {self.config.seed} in a run of {self.cell}, {self.seed}"
            )
        if self.data.dataset != self.dataset:
            raise ValueError(f"data of {self.data.dataset} in a run of {self.cell}")
        if any(epoch.machine >= len(self.machines) for epoch in self.times.epochs):
            raise ValueError("times.epochs names a machine that machines does not have")
        if len(self.validated.predictions) != len(self.validated.labels):
            raise ValueError("validated has not as many predictions as labels")
        if not info.context and self.binding != self.expected_binding():
            raise ValueError(f"binding is not that of {BOUND}")
        if not info.context and self.checksum not in (None, self.expected_checksum()):
            raise ValueError("checksum is not that of the other fields: one of them was changed")
        return self
