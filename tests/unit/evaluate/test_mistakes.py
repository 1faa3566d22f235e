"""The most confident errors: which images they are, in which order, and that their pictures are theirs."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax as reference

from stages.evaluate.mistakes import SHOWN, most_confused, softmax

N, CLASSES = 30, 4
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, CLASSES, N).astype(np.uint8)
LOGITS = RANDOM.normal(scale=3, size=(N, CLASSES)).astype(np.float32)
PLACES = np.arange(N) * 7


def images(channels: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (N, channels, 9, 9), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_surest_mistakes_and_their_pictures(channels: int) -> None:
    pictures = images(channels)
    found = most_confused(pictures, LABELS, LOGITS, PLACES)
    wrong = [k for k in range(N) if LOGITS[k].argmax() != LABELS[k]]
    wrong.sort(key=lambda k: -reference(LOGITS[k].astype(float)).max())
    assert len(wrong) > SHOWN
    assert [entry["test_image"] for entry in found] == [7 * k for k in wrong[:SHOWN]]
    for k, entry in zip(wrong, found, strict=False):
        assert (entry["label"], entry["predicted"]) == (LABELS[k], LOGITS[k].argmax())
        assert entry["probability"] == pytest.approx(reference(LOGITS[k].astype(float)).max(), abs=1e-6)
        shown = np.asarray(Image.open(BytesIO(b64decode(entry["png"]))))
        expected = pictures[k][0] if channels == 1 else pictures[k].transpose(1, 2, 0)
        assert np.array_equal(shown, expected)


def test_fewer_mistakes_than_places() -> None:
    labels = LOGITS.argmax(1).astype(np.uint8)
    labels[5] = (labels[5] + 1) % CLASSES
    assert [entry["test_image"] for entry in most_confused(images(1), labels, LOGITS, PLACES)] == [35]


def test_a_diverged_network_is_sure_of_nothing() -> None:
    logits = LOGITS.copy()
    logits[1:] = np.nan
    labels = np.full(N, (LOGITS[0].argmax() + 1) % CLASSES, np.uint8)
    assert [entry["test_image"] for entry in most_confused(images(1), labels, logits, PLACES)] == [0]


def test_softmax_of_large_logits() -> None:
    assert np.allclose(softmax(LOGITS * 1000), reference(LOGITS.astype(float) * 1000, axis=1))
