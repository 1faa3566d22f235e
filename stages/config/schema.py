"""The types of `params.yaml`, section by section. Checks across sections are in `checks`.

Settings of a cell are described in `settings`; here are the sections that name them, and those of tables, verdicts,
claims, studies and assumptions, which decide no number.
"""

import re
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from stages.config.settings import Cell, Count, Device, Epochs, Fraction, Images, Precision, Seed, Strict, Threads

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=80)]  # of files and folders too
Dataset = Literal["mnist", "cifar10"]
PaperTable = Literal["I", "II", "III", "IV", "V", "VI"]
PAPER_TABLES: tuple[str, ...] = get_args(PaperTable)
Points = Annotated[float, Field(gt=0, le=100)]  # between two accuracies in percent
DATASETS: tuple[Dataset, ...] = get_args(Dataset)
T = TypeVar("T")


def _table(number: str) -> str:
    if not is_table(number):
        others = "S and a number (S1, S2b) for a table that the paper does not have"
        raise PydanticCustomError(
            "table", "one of {known}, or {others}", {"known": ", ".join(PAPER_TABLES), "others": others}
        )
    return number


def is_table(name: str) -> bool:
    """Whether a name is that of a table: the paper's Roman numbers, or S1, S2b and so on for those that it lacks."""
    return name in PAPER_TABLES or re.fullmatch(r"S[1-9][0-9]*[a-z]?", name) is not None


Table = Annotated[str, AfterValidator(_table)]


class PerDataset(Strict, Generic[T]):
    """One value for each data set."""

    mnist: T
    cifar10: T

    def of(self, dataset: str) -> T:
        """The value of a data set, by its name."""
        return getattr(self, dataset)


class Augmentation(Strict):
    """How a copy of a training image is transformed (torchvision.transforms.v2's parameters)."""

    seed: Seed
    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Field(ge=0, le=0.5)]
    flip_probability: Annotated[float, Field(ge=0, le=1)]


class DatasetSettings(Strict):
    """A data set: its size, its split and its augmented copy. A dependency of its preprocess stage."""

    title: str
    channels: Literal[1, 3]
    size: Count
    classes: Annotated[list[str], Field(min_length=2, max_length=10)]  # a result holds a digit for each prediction
    train_images: Count
    validation_images: Count
    test_images: Count
    split_seed: Seed
    augmentation: Augmentation


class MoreSeeds(Strict):
    """Further trainings: each of the cells (of tables or studies) with each of the seeds."""

    cells: list[Name]
    seeds: list[Seed]


class BudgetShare(Strict):
    """What a budget gives a family's cells on one data set; `overrides` replaces settings of the cells."""

    images: Images
    validation_images: Images
    sample_images: Count
    epochs: Epochs
    overrides: dict[str, Any]


class Budget(Strict):
    """How many images and epochs every training gets, in which number format, on which device.

    `train` has a share for each data set: `default` for all families, and for a family what differs from that. `device`
    may change bits and makes nothing stale; the run record has it.
    """

    caption: str
    precision: Precision
    threads: Threads
    device: Device
    train: PerDataset[dict[str, dict[str, Any]]]
    augmented_images: PerDataset[Images]  # of the training split, that preprocess makes a transformed copy of
    test_images: PerDataset[Images]  # evaluated on, spread evenly over the test split


class Row(Strict):
    """One number: its label, in the paper's table as printed there, and the cell that makes it.

    `cell` follows the paper's text; `as_logged`, an alternative, the setting that its logs or numbers suggest instead.
    """

    row: str
    cell: Name
    as_logged: Name | None = None


class TableSettings(Strict):
    """A table. One of the paper's has a family.

    Another one has rows of any families, and no number of the paper beside them.
    """

    caption: str
    dataset: Dataset
    family: str = ""
    rows: Annotated[list[Row], Field(min_length=1)]


class Figures(Strict):
    """The paper's appendix figures of one family on one data set, and the cell that stands for them here."""

    dataset: Dataset
    cell: str
    report: str | None
    log: str | None
    confusion: str


class Printed(Strict):
    """What a study is held against: a log's validation curve, or the accuracy of a table's row."""

    log: str | None
    table: PaperTable
    row: str


class Study(Strict):
    """A question the paper leaves open: a table's cell, and other cells that differ from it in one setting each."""

    question: str
    assumption: str
    dataset: Dataset
    base: str
    alternatives: Annotated[list[str], Field(min_length=1)]
    printed: Printed


class Applies(Strict):
    """Which numbers rest on an assumption: those of these families and data sets whose cell has these settings.

    If `row_names` has words, the printed row label must contain one of them; it must contain no word of `row_omits`.
    Case does not matter.
    """

    families: Annotated[list[str], Field(min_length=1)]
    datasets: Annotated[list[Dataset], Field(min_length=1)]
    settings: dict[str, Any]
    row_names: list[str]
    row_omits: list[str]

    def to(self, dataset: str, cell: Cell, row: str) -> bool:
        """Whether the number of this cell, in a row with this label, rests on the assumption."""
        words = row.casefold().split()
        named = not self.row_names or any(word.casefold() in words for word in self.row_names)
        omitted = not any(word.casefold() in words for word in self.row_omits)
        settings = cell.model_dump()
        chosen = settings["family"] in self.families and dataset in self.datasets
        return (
            chosen and named and omitted and all(settings.get(name) == value for name, value in self.settings.items())
        )


class Assumption(Strict):
    """One line of the assumption ledger: what the paper leaves out, what we assume, why, and where to change it.

    `decides` names the settings of a cell that stand for it, and `applies` the numbers that rest on it.
    """

    id: Annotated[str, Field(pattern=r"^A[0-9]+$")]
    point: str
    assumption: str
    reason: str
    change: str
    decides: list[str]
    applies: Applies


class Verdicts(Strict):
    """When a number counts as the paper's, and how sure the intervals beside it are."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    close: PerDataset[Points]
    near: PerDataset[Points]


class Margin(Strict):
    """How many points still count as little, on each data set."""

    margin: PerDataset[Points]


class OverfittingClaim(Strict):
    """Families that are said not to overfit, and from which gap of training over validation accuracy on they do."""

    families: Annotated[list[str], Field(min_length=1)]
    gap: PerDataset[Points]


class ClassesClaim(Strict):
    """What every class's F1 is said to be above, and the classes of which it is not said."""

    f1: PerDataset[Fraction]
    excepted: PerDataset[list[str]]


class CostClaim(Strict):
    """The family that is said to be the cheapest to train."""

    cheapest: str


class Claims(Strict):
    """The thresholds of the paper's claims, as tests. C5 has none."""

    level: Annotated[float, Field(gt=0, lt=0.5)]
    depth: Margin  # C1
    optimizer: Margin  # C2
    augmentation: Margin  # C3
    overfitting: OverfittingClaim  # C4
    classes: ClassesClaim  # C6
    cost: CostClaim  # C7
