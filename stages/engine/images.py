"""Images in memory: uint8 arrays on the device, gathered, resized and standardised batch by batch."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from stages.core.errors import CorruptFileError, MissingFileError
from stages.engine.numerics import Numerics

EVALUATION_BATCH = 250  # images; without gradients, so it bounds memory and changes no training


class Labelled(NamedTuple):
    """Images as uint8 of shape (n, channels, height, width) and labels as int64 of shape (n,), on one device."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | Literal["all"]) -> "Labelled":
        """The first `count` images, or all."""
        return self if count == "all" else Labelled(self.images[:count], self.labels[:count])

    def take(self, indices: NDArray[np.int64]) -> "Labelled":
        """The images at `indices`."""
        chosen = torch.from_numpy(indices).to(self.labels.device)
        return Labelled(self.images[chosen], self.labels[chosen])


class Standardise(NamedTuple):
    """uint8 images -> resized to (input_size, input_size) and standardised per channel (III-B "Data normalization")."""

    mean: torch.Tensor
    std: torch.Tensor
    input_size: int
    numerics: Numerics

    @classmethod
    def of(cls, description: Mapping[str, Any], input_size: int, numerics: Numerics) -> "Standardise":
        """From the `dataset.json` that preprocess writes: statistics of the training split, in [0, 1]."""
        shape = (1, -1, 1, 1)
        mean = torch.tensor(description["mean"], dtype=torch.float32, device=numerics.device).view(shape)
        std = torch.tensor(description["std"], dtype=torch.float32, device=numerics.device).view(shape)
        return cls(mean, std, input_size, numerics)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, height, width) uint8 -> (n, channels, input_size, input_size), channels last."""
        batch = (images.to(torch.float32) / 255 - self.mean) / self.std
        if images.shape[-1] != self.input_size:
            size, smaller = (self.input_size, self.input_size), self.input_size < images.shape[-1]
            batch = F.interpolate(batch, size, mode="bilinear", align_corners=False, antialias=smaller)
        return batch.to(self.numerics.dtype, memory_format=torch.channels_last)


def load(
    images: Path, labels: Path, sha256: Mapping[str, str], device: torch.device, count: int | Literal["all"]
) -> Labelled:
    """Read the first `count` images and labels of two .npy files onto the device.

    `sha256` has the hash of each file, by its name without `.npy`. Raises MissingFileError, and CorruptFileError for a
    file with another hash, or when there are fewer than `count`, or not as many of both.
    """
    stop = None if count == "all" else count
    arrays = [read_array(path, sha256.get(path.stem))[:stop] for path in (images, labels)]
    found = [len(array) for array in arrays]
    if len({*found, stop or found[0]}) > 1:
        raise CorruptFileError(images, f"{found[0]} images, {found[1]} labels", f"{count} of each")
    return Labelled(
        torch.from_numpy(arrays[0].copy()).to(device), torch.from_numpy(arrays[1].astype(np.int64)).to(device)
    )


def read_array(path: Path, sha256: str | None) -> NDArray[np.uint8]:
    """Read an array from the bytes that were hashed. Raises CorruptFileError when the hash is another one."""
    if not path.is_file():
        raise MissingFileError(path, "dvc repro preprocess")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise CorruptFileError(path, f"sha256 {found}", f"{sha256}, as dataset.json says")
    return np.load(io.BytesIO(content), allow_pickle=False)


def evenly_spread(total: int, count: int | Literal["all"]) -> NDArray[np.int64]:
    """`count` indices spread evenly over `total`, since a test split may be ordered (MNIST's second half is harder)."""
    return np.arange(total) if count == "all" else np.arange(count) * total // count


def batches(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size`; the last one is smaller when `size` does not divide `count`."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
