"""The readers of canonical bytes: tiny files made here by hand, whole and damaged."""

import struct
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import CorruptFileError, MissingFileError
from stages.preprocess.raw import READERS, read_cifar10, read_mnist

RECORD = 1 + 3 * 32 * 32
MNIST_FILES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}


def write_mnist(folder: Path, part: str = "train", count: int = 2, rows: int = 3, columns: int = 4) -> bytes:
    """IDX files as http://yann.lecun.com/exdb/mnist defines them: big-endian header, then one byte a pixel."""
    pixels = bytes(range(count * rows * columns))
    images = folder / MNIST_FILES[part]
    images.write_bytes(struct.pack(">IIII", 0x803, count, rows, columns) + pixels)
    labels = folder / images.name.replace("images-idx3", "labels-idx1")
    labels.write_bytes(struct.pack(">II", 0x801, count) + bytes(range(count)))
    return pixels


def cifar_record(label: int, seed: int) -> bytes:
    return bytes([label]) + np.random.default_rng(seed).integers(0, 256, RECORD - 1, np.uint8).tobytes()


@pytest.mark.parametrize("part", ["train", "test"])
def test_mnist_is_read_pixel_for_pixel(tmp_path: Path, part: str) -> None:
    pixels = write_mnist(tmp_path, part)
    found = read_mnist(tmp_path, part)
    assert (found.images.shape, found.images.dtype) == ((2, 1, 3, 4), np.uint8)
    assert found.images.tobytes() == pixels
    assert found.images[1, 0, 2, 3] == 23  # the last pixel of the last row of the second image
    assert found.labels.tolist() == [0, 1]


def test_cifar10_is_read_channel_by_channel_and_batch_by_batch(tmp_path: Path) -> None:
    records = [cifar_record(label, label) for label in range(10)]
    for i in range(5):
        (tmp_path / f"data_batch_{i + 1}.bin").write_bytes(records[2 * i] + records[2 * i + 1])
    found = read_cifar10(tmp_path, "train")
    assert (found.images.shape, found.images.dtype) == ((10, 3, 32, 32), np.uint8)
    assert found.labels.tolist() == list(range(10))
    for record, image in zip(records, found.images, strict=True):
        assert image[0].tobytes() == record[1:1025]  # red, then green, then blue, each row by row
        assert image[2, 31, 31] == record[-1]
        assert image[1, 0, 0] == record[1 + 1024]


def test_cifar10_s_test_part_is_one_batch(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(cifar_record(9, 0))
    assert read_cifar10(tmp_path, "test").labels.tolist() == [9]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x00\x08",
        struct.pack(">III", 0x803, 2, 3),
        struct.pack(">IIII", 0x801, 2, 3, 4) + bytes(24),
        struct.pack(">IIII", 0xD03, 2, 3, 4) + bytes(24),
        struct.pack("<IIII", 0x803, 2, 3, 4) + bytes(24),
        struct.pack(">IIII", 0x803, 2, 3, 4) + bytes(23),
        struct.pack(">IIII", 0x803, 2, 3, 4) + bytes(25),
        struct.pack(">IIII", 0x803, 2**31, 2**31, 4) + bytes(24),
        struct.pack(">IIII", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(24),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    write_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"train-images-idx3-ubyte: .*; expected an IDX file of 3 axes"):
        read_mnist(tmp_path, "train")


@pytest.mark.parametrize("size", [0, 1, RECORD - 1, RECORD + 1, 2 * RECORD - 1])
def test_a_truncated_cifar10_batch_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes(size))
    with pytest.raises(CorruptFileError, match=rf"test_batch.bin: {size} bytes; expected records of 3073 bytes"):
        read_cifar10(tmp_path, "test")


@pytest.mark.parametrize("dataset", sorted(READERS))
def test_a_missing_file_names_the_stage_that_makes_it(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(MissingFileError, match="is missing; it is made by: dvc repro download"):
        READERS[dataset](tmp_path, "train")
