"""The test split of each data set, by hashes that anyone can compute from its canonical raw files.

`TEST_SPLIT` has the sha256 of the whole split's arrays as `numpy.save` writes them: uint8, images of shape (10000,
channels, height, width), labels of shape (10000,), in the order of the raw files. The labels themselves are small
enough for git (`data/labels/<data set>.npy`), so that an accuracy can be counted again without any other data, by
labels that nobody can exchange: the code has their hash, and so has everybody with the raw files.

Of MNIST the labels lie in `t10k-labels-idx1-ubyte` behind 8 bytes, of CIFAR10 in `test_batch.bin`, the first of each
3073 bytes. These hashes stand apart from those of the raw files (`canonical.py`), on which DVC's download depends.
"""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import file_hash

LABELS = Path("data/labels")


class TestSplit(NamedTuple):
    """sha256 of the arrays of a whole test split, as .npy files."""

    images: str
    labels: str


TEST_SPLIT = {
    "mnist": TestSplit(
        images="b5eacb271cad91d8c5bf59205ea56ee965234df25fec7b7a62a5092130040326",
        labels="ff7e84b144c037e7215dfa787d6773550c5db83029d9a4e7bae6e90f605f081d",
    ),
    "cifar10": TestSplit(
        images="efbfa3b24c4f91c6febe8a57d87b6448f2c1226d8b2aa24d14db1eea85ad46c6",
        labels="19004b019bd095265b4ce6637c9ff979c66abcbc8e658a665f791b487cdea5eb",
    ),
}


def true_labels(dataset: str, count: int) -> NDArray[np.uint8]:
    """The labels of `count` test images, spread over the split as `evaluate` spreads them; uint8 of shape (count,).

    Raises MissingFileError, or CorruptFileError when the file holds other labels than those of the data set.
    """
    file, expected = LABELS / f"{dataset}.npy", TEST_SPLIT[dataset].labels
    if not file.is_file():
        raise MissingFileError(file, f"git checkout {file}")
    if file.stat().st_size > 1 << 20 or (found := file_hash(file, "sha256")) != expected:
        what = "too large" if file.stat().st_size > 1 << 20 else f"sha256 {found}"
        raise CorruptFileError(file, what, f"{expected}, the labels of {dataset}'s test split")
    labels: NDArray[np.uint8] = np.load(BytesIO(file.read_bytes()), allow_pickle=False)
    return labels[chosen_indices(len(labels), count)]


def chosen_indices(total: int, count: int) -> NDArray[np.int64]:
    """`stages.engine.images.evenly_spread`, whose module waits for PyTorch; a test holds the two together."""
    return np.arange(count) * total // count
