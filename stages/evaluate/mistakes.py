"""The test images that a network is surest to take for something else, small enough to stand in the result itself.

A page about a number can then show them on a clone that has neither the data nor the predictions.
"""

from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHOWN = 8  # images of one result


def most_confused(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], logits: NDArray[np.float32], test_indices: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """At most `SHOWN` of the wrongly predicted images, the surest first.

    `images` is of shape (n, channels, height, width), `labels` (n,), `logits` (n, classes); `test_indices` (n,) are the
    images' indices in the test split. Of a network whose logits are not finite there are none: it is sure of nothing.
    """
    finite = np.asarray(np.isfinite(logits).all(axis=1))
    probabilities = softmax(np.where(finite[:, None], logits, 0.0))
    predicted = logits.argmax(1)
    confidence = np.where(finite & (predicted != labels), probabilities.max(1), -1.0)
    surest = np.argsort(-confidence, kind="stable")[:SHOWN]
    return [
        {
            "test_image": int(test_indices[place]),
            "label": int(labels[place]),
            "predicted": int(predicted[place]),
            "probability": round(float(confidence[place]), 6),
            "png": b64encode(png(images[place])).decode(),
        }
        for place in surest
        if confidence[place] >= 0
    ]


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Logits of shape (n, classes) as probabilities, each row's largest taken off first so that none overflows."""
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def png(image: NDArray[np.uint8]) -> bytes:
    """An image of shape (channels, height, width), with one channel or three, as PNG."""
    buffer = BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(buffer, "png", optimize=True)
    return buffer.getvalue()
