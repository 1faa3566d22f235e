"""The settings that decide a number: one cell, and what a budget changes of it. A dependency of every train stage.

A cell in `params.yaml` is complete: architecture, optimizer, batch, input size, augmentation, nothing inherited at run
time (YAML anchors keep it short). A budget says how much of the data and how many epochs, and may override single
settings, which the tables' captions then print. `resolve` joins the two.
"""

from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Images = Count | Literal["all"]
InputSize = Annotated[int, Field(le=512)]  # and at least what the family's layers leave a pixel of
T = TypeVar("T")
Dataset = Literal["mnist", "cifar10"]
Family = Literal["vgg", "resnet", "googlenet"]
Precision = Literal["auto", "bfloat16", "float32"]
DATASETS: tuple[Dataset, ...] = get_args(Dataset)
FAMILIES: tuple[Family, ...] = get_args(Family)
SMALLEST_INPUT: dict[str, int] = {
    "vgg": 32,  # five max-pools halve it to one pixel
    "resnet": 1,  # every strided layer is padded, so one pixel stays one pixel
    "googlenet": 15,  # one pixel at the inception modules 4a to 4e
}


class Strict(BaseModel):
    """A frozen section of `params.yaml` that refuses unknown keys, naming the known ones, and converts no types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, section: Any) -> Any:
        for key in section if isinstance(section, dict) else ():
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise PydanticCustomError("unknown_key", "one of the keys {known}", {"known": known, "key": key})
        return section


class Cell(Strict):
    """What every family's cell has. `ARCHITECTURE` names the keys that describe the network itself."""

    ARCHITECTURE: ClassVar[tuple[str, ...]]

    init: Literal["torchvision", "pytorch"]
    optimizer: Literal["rmsprop", "sgd", "adam"]
    lr: Annotated[float, Field(gt=0, le=1)]
    momentum: Fraction
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    input_size: InputSize
    augment: bool

    @field_validator("momentum")
    @classmethod
    def _momentum_belongs_to_sgd(cls, momentum: float, cell: ValidationInfo) -> float:
        optimizer = cell.data.get("optimizer", "sgd")
        if momentum and optimizer != "sgd":
            raise PydanticCustomError("momentum", "0 with optimizer {name}: only sgd has one here", {"name": optimizer})
        return momentum

    def architecture(self) -> dict[str, Any]:
        """The settings that describe the network, as keyword arguments of its builder."""
        return {key: getattr(self, key) for key in self.ARCHITECTURE}


class VggCell(Cell):
    """VGG (Simonyan and Zisserman 2014, Table 1): depth counts the layers that have weights."""

    ARCHITECTURE: ClassVar = ("depth", "batch_norm", "hidden_layers", "dropout", "init")

    family: Literal["vgg"]
    depth: Literal[11, 16, 19]
    batch_norm: Literal["none", "before_relu", "after_relu"]
    hidden_layers: Annotated[list[Annotated[int, Field(ge=1, le=16384)]], Field(max_length=4)]
    dropout: Fraction
    input_size: Annotated[InputSize, Field(ge=SMALLEST_INPUT["vgg"])]


class ResNetCell(Cell):
    """ResNet (He et al. 2015, Table 1)."""

    ARCHITECTURE: ClassVar = ("depth", "stem", "init")

    family: Literal["resnet"]
    depth: Literal[18]
    stem: Literal["7x7", "3x3"]
    input_size: Annotated[InputSize, Field(ge=SMALLEST_INPUT["resnet"])]


class GoogLeNetCell(Cell):
    """GoogLeNet (Szegedy et al. 2014, Table 1) with both auxiliary heads."""

    ARCHITECTURE: ClassVar = ("dropout", "init")

    family: Literal["googlenet"]
    dropout: Fraction
    auxiliary_weight: Annotated[float, Field(ge=0, le=1)]
    input_size: Annotated[InputSize, Field(ge=SMALLEST_INPUT["googlenet"])]


AnyCell = Annotated[VggCell | ResNetCell | GoogLeNetCell, Field(discriminator="family")]


class Share(Strict):
    """What a budget gives one family on one data set; `overrides` replaces settings of its cells."""

    images: Images
    validation_images: Images
    sample_images: Count
    epochs: Annotated[int, Field(ge=1, le=10000)]
    overrides: dict[str, Any]


class PerFamily(Strict, Generic[T]):
    """One value for each family of networks."""

    vgg: T
    resnet: T
    googlenet: T

    def of(self, family: str) -> T:
        """The value of a family, by its name."""
        return getattr(self, family)


class PerDataset(Strict, Generic[T]):
    """One value for each data set."""

    mnist: T
    cifar10: T

    def of(self, dataset: str) -> T:
        """The value of a data set, by its name."""
        return getattr(self, dataset)


class RmspropConstants(Strict):
    """Constants of RMSprop that the paper does not print."""

    alpha: Fraction
    eps: Annotated[float, Field(gt=0, lt=1)]


class AdamConstants(Strict):
    """Constants of Adam (Kingma and Ba 2014, section 2) that the paper does not print."""

    beta1: Fraction
    beta2: Fraction
    eps: Annotated[float, Field(gt=0, lt=1)]


class Training(Strict):
    """What all trainings share."""

    precision: Precision
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    rmsprop: RmspropConstants
    adam: AdamConstants


class Run(Strict):
    """One training, resolved: nothing about its arithmetic is decided anywhere else."""

    dataset: Dataset
    cell: AnyCell
    images: Images
    validation_images: Images
    sample_images: Count
    epochs: Count
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    training: Training


_CELL: TypeAdapter[Any] = TypeAdapter(AnyCell)


def override(cell: Cell, overrides: dict[str, Any]) -> Any:
    """A cell with some of its settings replaced. Raises pydantic's ValidationError for what the cell does not allow."""
    return _CELL.validate_python({**cell.model_dump(), **overrides})


def resolve(dataset: str, cell: Cell, share: Share, seed: int, training: Training) -> Run:
    """Join a cell, its budget's share and a seed to the one description of a training."""
    return Run.model_validate(
        {
            "dataset": dataset,
            "cell": override(cell, share.overrides),
            "seed": seed,
            "training": training,
            **share.model_dump(exclude={"overrides"}),
        }
    )
