"""Figures: the same bytes on every run, whatever a user's settings are; every label inside the picture."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from stages.core.errors import ParamError
from stages.report.figures import Curve, confusion_png, curves_png, save_confusion
from stages.report.gallery import gallery

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CONFUSION = (np.eye(10, dtype=int) * 90 + 1).tolist()
LONG = "GoogLeNet with adam and data augmentation and a label of the user's own that is $long$"


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("L"))


def test_same_bytes_whatever_the_users_settings() -> None:
    curves = [Curve("a", [1.0, 2.0], [[1.0, 2.0]])]
    first = confusion_png(CONFUSION, CLASSES, "t"), curves_png(curves, "t")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight"}):
        assert (confusion_png(CONFUSION, CLASSES, "t"), curves_png(curves, "t")) == first
    assert b"matplotlib" not in first[0].lower()


def test_save_confusion(tmp_path: Path) -> None:
    save_confusion(CONFUSION, CLASSES, "cifar10/vgg16", tmp_path / "deep" / "confusion.png")
    assert (tmp_path / "deep" / "confusion.png").read_bytes() == confusion_png(CONFUSION, CLASSES, "cifar10/vgg16")


@pytest.mark.parametrize("rows", [1, 3, 12])
def test_nothing_is_cut_off(rows: int) -> None:
    curves = [Curve(f"{LONG} {row}", [10.0 + row, 99.0], [[9.0, 99.0], [11.0, 99.0]]) for row in range(rows)]
    shown = pixels(curves_png(curves, "title\nsecond line"))
    edges = [shown[0], shown[-1], shown[:, 0], shown[:, -1]]
    assert all((edge == 255).all() for edge in edges)


def test_two_figures_of_one_name_are_refused(project: Any) -> None:
    project.edit(lambda raw: raw["figures"].append(raw["figures"][0]))
    with pytest.raises(ParamError, match="one cell for each family and data set"):
        gallery(project.fill().evidence())
