"""`dataset.json`: what a data set's arrays are and what they were made from, as `preprocess` writes it."""

from typing import Annotated, Any

from pydantic import Field

from stages.core.errors import CorruptFileError
from stages.records.canonical import CANONICAL
from stages.records.record import Count, Md5, Natural, NonEmptyStr, Record, Section, Sha256

TRAIN_ARRAYS = ("train_images", "train_labels", "validation_images", "validation_labels", "augmented_images")
TEST_ARRAYS = ("test_images", "test_labels")


class ImageCounts(Section):
    """Images of each split, and transformed copies."""

    train: Count
    validation: Count
    test: Count
    augmented: Natural


class MadeFrom(Section):
    """The data set's settings, and the raw files by name."""

    settings: Annotated[dict[str, Any], Field(min_length=1)]
    raw_md5: Annotated[dict[str, Md5], Field(min_length=1)]
    raw_sha256: Annotated[dict[str, Sha256], Field(min_length=1)]


class DatasetDescription(Record):
    """A data set's arrays: their sizes, classes, statistics and hashes.

    `mean` and `std` are of the training split by channel, with pixels in [0, 1]; `sha256` is of each array's .npy file.
    """

    dataset: NonEmptyStr
    channels: Count
    size: Count
    classes: Annotated[list[str], Field(min_length=2)]
    images: ImageCounts
    mean: list[float]
    std: list[float]
    sha256: Annotated[dict[str, Sha256], Field(min_length=1)]
    made_from: MadeFrom

    def check_canonical(self, path: object) -> None:
        """Raise CorruptFileError, naming `path`, unless the raw files were the canonical bytes of the data set."""
        canonical = CANONICAL.get(self.dataset)
        if canonical is None:
            raise CorruptFileError(path, f"dataset {self.dataset}", "one of " + ", ".join(CANONICAL))
        found = self.made_from.raw_sha256
        for spec in canonical:
            if found.get(spec.name) != spec.sha256:
                raise CorruptFileError(
                    path,
                    f"made from another {spec.name} (sha256 {found.get(spec.name)})",
                    f"sha256 {spec.sha256}, the canonical bytes (run dvc repro download preprocess)",
                )
        missing = [name for name in (*TRAIN_ARRAYS, *TEST_ARRAYS) if name not in self.sha256]
        if missing:
            raise CorruptFileError(path, f"no sha256 of {', '.join(missing)}", "one for each array")
