"""Curves: the same bytes on every run, whatever a user's settings are; every label inside the picture."""

from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from stages.core.errors import ParamError
from stages.report.curves import Curve, curves_drawing
from stages.report.gallery import gallery
from stages.report.matrices import matrix_drawing

LONG = "GoogLeNet with adam and data augmentation and a label of the user's own that is $long$"


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("L"))


def test_same_bytes_whatever_the_users_settings() -> None:
    curves = [Curve("a", [1.0, 2.0], [[1.0, 2.0]])]
    drawings = (
        lambda: curves_drawing(curves, "t"),
        lambda: matrix_drawing([[3, 1], [0, 4]], ["a", "b"], "t", ""),
    )
    for drawn in drawings:
        first = drawn()
        with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight"}):
            assert drawn() == first
        for content in first.values():
            assert b"CreationDate" not in content
            assert mpl.__version__.encode() not in content


def test_seeds_of_unequal_length_are_drawn_apart() -> None:
    """A diverged seed ends early; its line must not run on to the next seed's first epoch."""
    shown = pixels(curves_drawing([Curve("a", [50.0], [[50.0], [50.0, 50.0]])], "t")[".png"])
    both = pixels(curves_drawing([Curve("a", [50.0], [[50.0, 50.0], [50.0]])], "t")[".png"])
    assert (shown == both).all()


@pytest.mark.parametrize("rows", [1, 3, 12])
def test_nothing_is_cut_off(rows: int) -> None:
    curves = [Curve(f"{LONG} {row}", [10.0 + row, 99.0], [[9.0, 99.0], [11.0, 99.0]]) for row in range(rows)]
    shown = pixels(curves_drawing(curves, f"{LONG}, {LONG}\nsecond line")[".png"])
    edges = [shown[0], shown[-1], shown[:, 0], shown[:, -1]]
    assert all((edge == 255).all() for edge in edges)


def test_two_figures_of_one_name_are_refused(project: Any) -> None:
    project.edit(lambda raw: raw["figures"].append(raw["figures"][0]))
    with pytest.raises(ParamError, match="one cell for each family and data set"):
        gallery(project.fill().evidence())
