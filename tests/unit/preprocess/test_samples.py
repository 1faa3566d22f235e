"""Sample sheets: one row a class, the first ten images of each, twice as large."""

import numpy as np
import pytest

from stages.preprocess.samples import PER_CLASS, SCALE, sample_sheet

PADDING = 2


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_the_first_images_of_each_class(channels: int) -> None:
    classes, size = 3, 5
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (60, channels, size, size), np.uint8)
    labels = random.permutation(np.repeat(np.arange(classes, dtype=np.uint8), [30, 27, 3]))
    sheet = np.asarray(sample_sheet(images, labels, classes))
    cell = size + PADDING
    assert sheet.shape == (SCALE * (classes * cell + PADDING), SCALE * (PER_CLASS * cell + PADDING), 3)
    plain = sheet[::SCALE, ::SCALE]
    assert np.array_equal(np.repeat(np.repeat(plain, SCALE, 0), SCALE, 1), sheet)
    for label in range(classes):
        found = images[labels == label]
        for place in range(PER_CLASS):
            top, left = PADDING + label * cell, PADDING + place * cell
            shown = plain[top : top + size, left : left + size]
            expected = found[place].transpose(1, 2, 0) if place < len(found) else np.zeros((size, size, 1), np.uint8)
            assert np.array_equal(shown, np.broadcast_to(expected, shown.shape))


def test_tiles_are_set_apart_by_white() -> None:
    images, labels = np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1], np.uint8)
    sheet = np.asarray(sample_sheet(images, labels, 2))
    assert (sheet[: SCALE * PADDING] == 255).all()
    assert (sheet[:, : SCALE * PADDING] == 255).all()
