"""The settings that decide a number: their types and ranges, whatever file they are written in.

A cell's settings are flat: those of its network's family, those of its optimizer, and those of its input. Which
settings a cell has depends on family and optimizer, so `cell_type` joins the three. `TrainingSettings` adds what a
budget gives each cell: this is what a spec holds (`stages.resolve`) and what a training is run with. This module is
part of the fingerprint of every training.
"""

from functools import cache
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, create_model, field_validator, model_validator
from pydantic_core import PydanticCustomError

from stages.engine.networks import families, family_module

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Images = Count | Literal["all"]
Epochs = Annotated[int, Field(ge=1, le=10000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Epsilon = Annotated[float, Field(gt=0, lt=1)]  # added to a denominator
Momentum = Annotated[float, Field(gt=0, le=1)]  # of the newest value in a running mean
Augment = Literal["none", "append", "fresh"]
Precision = Literal["auto", "bfloat16", "float32"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Threads = Annotated[int, Field(ge=1, le=1024)]


class Strict(BaseModel):
    """A frozen section that refuses unknown keys, naming the known ones, and converts no types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, section: Any) -> Any:
        for key in section if isinstance(section, dict) else ():
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise PydanticCustomError("unknown_key", "one of the keys {known}", {"known": known, "key": key})
        return section


class NetworkSettings(Strict):
    """What every network has. Each family has a subclass `Settings` in its module in `stages.engine.networks`.

    `SMALLEST_INPUT` is the side length in pixels below which some layer would be left without a pixel.
    """

    SMALLEST_INPUT: ClassVar[int] = 1

    family: str
    init: Literal["torchvision", "pytorch", "xavier"]

    @property
    def loss_weight_of_heads(self) -> float:
        """The weight of each auxiliary head's loss, for a network that has such heads."""
        return 0.0

    def build(self, *, channels: int, classes: int, input_size: int) -> Any:
        """The network as a torch module: (n, channels, input_size, input_size) -> logits (n, classes)."""
        raise NotImplementedError


class OptimizerSettings(Strict):
    """What every optimizer has."""

    optimizer: str
    lr: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Fraction  # L2 penalty, as torch.optim adds it to the gradient


class Rmsprop(OptimizerSettings):
    """RMSprop (Hinton, lecture 6e, 2012), as `torch.optim.RMSprop`."""

    optimizer: Literal["rmsprop"]
    alpha: Fraction
    eps: Epsilon


class Sgd(OptimizerSettings):
    """Stochastic gradient descent, as `torch.optim.SGD`."""

    optimizer: Literal["sgd"]
    momentum: Fraction


class Adam(OptimizerSettings):
    """Adam (Kingma and Ba 2014, Algorithm 1), as `torch.optim.Adam`."""

    optimizer: Literal["adam"]
    beta1: Fraction
    beta2: Fraction
    eps: Epsilon


OPTIMIZERS: dict[str, type[OptimizerSettings]] = {"rmsprop": Rmsprop, "sgd": Sgd, "adam": Adam}


class Cell(NetworkSettings, OptimizerSettings):
    """One configuration of network, optimizer and input; its other settings are those of family and optimizer."""

    batch_size: Annotated[int, Field(ge=2, le=4096)]
    input_size: Annotated[int, Field(ge=1, le=512)]  # side length in pixels that images are resized to
    augment: Augment

    @field_validator("input_size")
    @classmethod
    def _holds_a_pixel(cls, input_size: int) -> int:
        if input_size < cls.SMALLEST_INPUT:
            smallest = {"smallest": cls.SMALLEST_INPUT}
            raise PydanticCustomError("input_size", "{smallest} or more for this network", smallest)
        return input_size

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Cell":
        """A cell from its flat settings. Raises pydantic's ValidationError."""
        return _typed(settings).model_validate(settings)

    def replaced(self, **settings: Any) -> "Cell":
        """The cell with some settings replaced. Raises pydantic's ValidationError for what it does not allow."""
        return Cell.of({**self.model_dump(), **settings})


def family_settings(family: str) -> type[NetworkSettings]:
    """The settings of a family's networks. KeyError for an unknown family."""
    if family not in families():
        raise KeyError(family)
    return cast(type[NetworkSettings], family_module(family).Settings)


@cache
def cell_type(family: str, optimizer: str) -> type[Cell]:
    """The type of the cells of a family and an optimizer. KeyError for an unknown one."""
    bases = (family_settings(family), OPTIMIZERS[optimizer], Cell)
    return cast(type[Cell], create_model(f"{family}-{optimizer}", __base__=bases))


def _typed(settings: dict[str, Any]) -> type[Cell]:
    """The type for a family and an optimizer; without a known pair a type that refuses, naming the known ones."""
    family, optimizer = settings.get("family"), settings.get("optimizer")
    if family in families() and optimizer in tuple(OPTIMIZERS):
        return cell_type(str(family), str(optimizer))
    return _Untyped


class _Untyped(Cell):
    """A cell of an unknown family or optimizer: validation always fails and names the known ones."""

    @field_validator("family", "optimizer", mode="before")
    @classmethod
    def _known(cls, value: Any, info: Any) -> Any:
        known = {"family": families(), "optimizer": list(OPTIMIZERS)}[info.field_name]
        if value not in known:
            raise PydanticCustomError("name", "one of {known}", {"known": ", ".join(known)})
        return value

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, section: Any) -> Any:
        return {key: value for key, value in section.items() if key in cls.model_fields}


class TrainingSettings(Strict):
    """One training but for its seed: nothing that decides its bits is decided anywhere else, but by the machine.

    Images are counted in the training and the validation split; `sample_images` of the training images are evaluated
    after each epoch. An augmented cell trains on `images` transformed copies on top (append) or instead (fresh).
    """

    dataset: str
    cell: SerializeAsAny[Cell]
    images: Images
    validation_images: Images
    sample_images: Count
    epochs: Epochs
    precision: Precision
    threads: Threads

    @field_validator("cell", mode="before")
    @classmethod
    def _typed_cell(cls, cell: Any) -> Any:
        return Cell.of(cell) if isinstance(cell, dict) else cell

    def seeded(self, seed: int) -> "Run":
        """The training with a seed."""
        return Run.model_validate({**self.model_dump(), "seed": seed})


class Run(TrainingSettings):
    """One training."""

    seed: Seed


class Testing(Strict):
    """How a trained network is tested: on how many images, spread evenly over the test split."""

    images: Images
