"""Confusion matrices as pictures: the same bytes on every run, nothing cut off, shades that follow the shares."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.evaluate.confusion import confusion_png, save_confusion

DIGITS = list("0123456789")
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TITLE = "CIFAR10, GoogLeNet with SGD and data augmentation and a label of the user's own\nsecond line"


def picture(confusion: list[list[int]], classes: list[str], title: str = "t") -> np.ndarray:
    return np.asarray(Image.open(BytesIO(confusion_png(confusion, classes, title))).convert("RGB"))


def matrix(hits: int, others: int = 0, classes: int = 10) -> list[list[int]]:
    return (np.eye(classes, dtype=int) * (hits - others) + others).tolist()


@pytest.mark.parametrize("classes", [DIGITS, NAMES, ["a", "b"], [*NAMES[:9], "a class with quite a long name"]])
@pytest.mark.parametrize("title", ["t", TITLE])
def test_nothing_is_cut_off(classes: list[str], title: str) -> None:
    shown = picture(matrix(10000, classes=len(classes)), classes, title)
    edges = [shown[:4], shown[-4:], shown[:, :4], shown[:, -4:]]
    assert all((edge == 255).all() for edge in edges)


def test_save(tmp_path: Path) -> None:
    save_confusion(matrix(90, 1), NAMES, "cifar10/vgg16", tmp_path / "deep" / "confusion.png")
    saved = (tmp_path / "deep" / "confusion.png").read_bytes()
    assert saved == confusion_png(matrix(90, 1), NAMES, "cifar10/vgg16")
    assert saved.startswith(b"\x89PNG")


def test_rows_are_shaded_by_their_own_share() -> None:
    """Of the true class: a row of 10 hits in 10 is as dark as one of 1000 in 1000, and an empty row is white."""
    confusion = [[10, 0, 0], [0, 1000, 0], [0, 0, 0]]
    shown = picture(confusion, ["a", "b", "c"])
    colours, counts = np.unique(shown.reshape(-1, 3), axis=0, return_counts=True)
    darkest = next(colour for colour, count in zip(colours, counts, strict=True) if count > 2000 and colour.sum() < 300)
    rows = np.flatnonzero((shown == darkest).all(2).sum(1) > 20)
    assert np.ptp(rows) + 1 >= 2 * 44 - 2  # two tiles below each other
    assert darkest.tolist() == [0x1D, 0x11, 0x47]
