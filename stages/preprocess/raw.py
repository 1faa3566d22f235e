"""Reads the canonical files of MNIST (IDX) and CIFAR10 (binary version) into arrays; nothing is unpickled."""

from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import CorruptFileError, MissingFileError

_IDX_HEADER = {1: 8, 3: 16}  # bytes: magic number and one 32-bit size per dimension
_IDX_UINT8 = 0x0800
_CIFAR_SHAPE = (3, 32, 32)


class Images(NamedTuple):
    """Images as uint8 of shape (n, channels, height, width) and labels as uint8 of shape (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def read_mnist(folder: Path, part: str) -> Images:
    """Read `part` (`train` or `test`) of MNIST: shape (n, 1, 28, 28)."""
    prefix = {"train": "train", "test": "t10k"}[part]
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte", dimensions=3)
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte", dimensions=1)
    return Images(images[:, None], labels)


def read_cifar10(folder: Path, part: str) -> Images:
    """Read `part` (`train` or `test`) of CIFAR10: shape (n, 3, 32, 32), channels red, green, blue."""
    names = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}[part]
    records = np.concatenate([_read_records(folder / name) for name in names])
    return Images(np.ascontiguousarray(records[:, 1:]).reshape(-1, *_CIFAR_SHAPE), records[:, 0].copy())


READERS = {"mnist": read_mnist, "cifar10": read_cifar10}


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    content, header = _bytes(path), _IDX_HEADER[dimensions]
    if content.size < header:
        raise CorruptFileError(path, f"{content.size} bytes", f"an IDX file of {dimensions} axes")
    magic, *shape = (int(word) for word in content[:header].view(">u4"))
    if magic != _IDX_UINT8 + dimensions or content.size - header != prod(shape):
        raise CorruptFileError(path, f"magic number {magic:#x}, sizes {shape}", f"an IDX file of {dimensions} axes")
    return content[header:].reshape(shape)


def _read_records(path: Path) -> NDArray[np.uint8]:
    content, size = _bytes(path), 1 + prod(_CIFAR_SHAPE)
    if not content.size or content.size % size:
        raise CorruptFileError(path, f"{content.size} bytes", f"records of {size} bytes, a label and an image each")
    return content.reshape(-1, size)


def _bytes(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise MissingFileError(path, "dvc repro download")
    return np.fromfile(path, np.uint8)
