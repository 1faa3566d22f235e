"""Draws a confusion matrix (the paper's Figs. 18-23), with the same bytes on every run.

With Pillow: matplotlib takes half a second to import and as long again for a hundred numbers, once for every evaluated
cell. The typeface is matplotlib's, as in the other figures, read without importing it.
"""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from stages.core.files import write_bytes

_TYPEFACE = "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf"
# All lengths in pixels
_SIZE, _TITLE_SIZE = 16, 18  # of the letters
_TILE = (56, 44)  # at least so wide, and wider where a class's name is
_GAP = 10
_LINE = 28
_KEY, _KEY_TEXT = (150, 12), "share of the true class: 0"  # the bar that explains the shades
_SHADES = ("white", "#e75263", "#1d1147")  # of the shares 0, 1/2 and 1; lightness falls evenly
_GREY = "#b3b3b3"
_WARNING = "#b3001b"
_DARK = 0.5  # from this share on, white digits are easier to read than black ones


class _Frame(NamedTuple):
    """Where the matrix stands in the picture."""

    left: int
    top: int
    tile: tuple[int, int]
    classes: int

    @property
    def right(self) -> int:
        return self.left + self.tile[0] * self.classes

    @property
    def bottom(self) -> int:
        return self.top + self.tile[1] * self.classes

    def centre(self, row: int, column: int) -> tuple[float, float]:
        return self.left + self.tile[0] * (column + 0.5), self.top + self.tile[1] * (row + 0.5)


def confusion_png(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str, mark: str = "") -> bytes:
    """A confusion matrix as PNG: counts, shaded by the share of the true class, so that rows compare.

    `mark` stands in the lower right corner, in the colour of a warning.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    frame = _frame(classes, title)
    key = _width(_KEY_TEXT, _SIZE) + _KEY[0] + _width("1", _SIZE) + 2 * _GAP
    right = max(frame.right, frame.left + _width(title, _TITLE_SIZE), frame.left + key)
    picture = Image.new("RGB", (right + 2 * _GAP, frame.bottom + 4 * _LINE), "white")
    size = (frame.tile[0] * len(classes), frame.tile[1] * len(classes))
    picture.paste(_shaded(shares).resize(size, Image.Resampling.NEAREST), (frame.left, frame.top))
    draw = ImageDraw.Draw(picture)
    draw.text((frame.left, _GAP), title, "black", _font(_TITLE_SIZE), spacing=8)
    _annotate(draw, frame, counts, shares)
    _name_classes(draw, frame, classes)
    _explain_shades(picture, draw, frame)
    corner = (picture.width - _GAP, frame.bottom + 3 * _LINE // 2)
    draw.text(corner, mark, _WARNING, _font(_SIZE), anchor="rm")
    buffer = BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def save_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str, path: Path) -> None:
    """Draw a confusion matrix into a file, whole or not at all."""
    write_bytes(path, confusion_png(confusion, classes, title))


def _frame(classes: Sequence[str], title: str) -> _Frame:
    widest = max(_width(name, _SIZE) for name in classes)
    left = max(widest, _width("true class", _SIZE)) + 2 * _GAP
    top = _GAP + _LINE * (title.count("\n") + 2)
    return _Frame(left, top, (max(_TILE[0], widest + _GAP), _TILE[1]), len(classes))


def _shaded(shares: NDArray[np.float64]) -> Image.Image:
    """A picture of one pixel a share."""
    levels = Image.fromarray(np.rint(255 * shares).astype(np.uint8))
    return ImageOps.colorize(levels, black=_SHADES[0], mid=_SHADES[1], white=_SHADES[2])


def _annotate(draw: ImageDraw.ImageDraw, frame: _Frame, counts: np.ndarray, shares: NDArray[np.float64]) -> None:
    for (true, predicted), count in np.ndenumerate(counts):
        colour = "white" if shares[true, predicted] > _DARK else "black" if count else _GREY
        draw.text(frame.centre(true, predicted), str(count), colour, _font(_SIZE), anchor="mm")


def _name_classes(draw: ImageDraw.ImageDraw, frame: _Frame, classes: Sequence[str]) -> None:
    for place, name in enumerate(classes):
        across, down = frame.centre(place, place)
        draw.text((frame.left - _GAP, down), name, "black", _font(_SIZE), anchor="rm")
        draw.text((across, frame.bottom + _LINE // 2), name, "black", _font(_SIZE), anchor="mm")
    draw.text((frame.left - _GAP, frame.top - _LINE // 2), "true class", "black", _font(_SIZE), anchor="rm")
    draw.text((frame.left, frame.bottom + 3 * _LINE // 2), "predicted class", "black", _font(_SIZE), anchor="lm")


def _explain_shades(picture: Image.Image, draw: ImageDraw.ImageDraw, frame: _Frame) -> None:
    """The key to the shades, on the last line."""
    middle, left = frame.bottom + 3 * _LINE, frame.left + _width(_KEY_TEXT, _SIZE) + _GAP
    top, right = middle - _KEY[1] // 2, left + _KEY[0]
    picture.paste(_shaded(np.linspace(0, 1, _KEY[0])[None]).resize(_KEY), (left, top))
    draw.rectangle((left, top, right - 1, top + _KEY[1] - 1), outline=_GREY)
    draw.text((frame.left, middle), _KEY_TEXT, "black", _font(_SIZE), anchor="lm")
    draw.text((right + _GAP, middle), "1", "black", _font(_SIZE), anchor="lm")


def _width(text: str, size: int) -> int:
    return max(round(_font(size).getlength(line)) for line in text.split("\n"))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(distribution("matplotlib").locate_file(_TYPEFACE)), size)
