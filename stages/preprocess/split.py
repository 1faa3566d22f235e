"""The split into training and validation images, and the statistics for standardising."""

import numpy as np
import torch
from numpy.typing import NDArray

from stages.core.errors import ParamError


def permutation(count: int, seed: int) -> NDArray[np.int64]:
    """A permutation of `count` indices that depends on the seed alone."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).numpy()


def split(count: int, train: int, validation: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and of the validation images, in random order, without overlap.

    Raises ParamError when the two do not add up to the images there are: the paper's logs leave none over.
    """
    if train + validation != count:
        raise ParamError("train_images + validation_images", train + validation, f"{count}, the images there are")
    order = permutation(count, seed)
    return order[:train], order[train:]


def channel_statistics(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, with pixels scaled to [0, 1].

    From integer sums, so that the result does not depend on the order of additions.
    """
    means, deviations = [], []
    values = np.arange(256, dtype=np.int64)
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        pixels = int(counts.sum())
        total, squares = int((counts * values).sum()), int((counts * values**2).sum())
        variance = (squares * pixels - total**2) / pixels**2  # exact integers until this division
        means.append(total / pixels / 255)
        deviations.append(variance**0.5 / 255)
    return means, deviations
