"""The transformed copies of the training images, made on all cores. They are the same on any number of them."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count

import numpy as np
import torch
from numpy.typing import NDArray

from stages.engine.augmentation import Augmentation, augment

CHUNK = 2500  # images a task: small enough for a progress line, large enough to hide the cost of sending them


def augmented_chunks(images: NDArray[np.uint8], augmentation: Augmentation) -> Iterator[NDArray[np.uint8]]:
    """Transform all images of shape (n, channels, height, width), chunk by chunk in order."""
    starts = range(0, len(images), CHUNK)
    with ProcessPoolExecutor(cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        chunks = [images[start : start + CHUNK] for start in starts]
        yield from pool.map(augment, chunks, [augmentation] * len(chunks), starts)
