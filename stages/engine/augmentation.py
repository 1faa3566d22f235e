"""The transformed copy of the training images that the paper adds back to the training set (III-B).

Image i is transformed with a generator seeded from (seed, i), so the copy depends neither on how the work is divided
nor on the number of processes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from stages.config.params import Augmentation

CHUNK = 2500  # images a task: small enough for a progress line, large enough to hide the cost of sending them


def transforms(settings: Augmentation) -> Callable[[torch.Tensor], torch.Tensor]:
    """Random rotation, colour jitter and horizontal flip, in the order in which the paper lists them."""
    return v2.Compose(
        [
            v2.RandomRotation(settings.rotation_degrees),
            v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue),
            v2.RandomHorizontalFlip(settings.flip_probability),
        ]
    )


def augment_chunk(images: NDArray[np.uint8], first: int, settings: Augmentation) -> NDArray[np.uint8]:
    """Transform images of shape (n, channels, height, width); the first has index `first` in the training split."""
    torch.set_num_threads(1)
    transform = transforms(settings)
    copies = np.empty_like(images)
    for offset, image in enumerate(images):
        torch.manual_seed(image_seed(settings.seed, first + offset))
        copies[offset] = transform(torch.from_numpy(image.copy())).numpy()
    return copies


def image_seed(seed: int, index: int) -> int:
    """The seed of one image's transforms."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)


def augment(images: NDArray[np.uint8], settings: Augmentation) -> Iterator[NDArray[np.uint8]]:
    """Transform all images, chunk by chunk in order, on all cores."""
    starts = range(0, len(images), CHUNK)
    with ProcessPoolExecutor(max_workers=cpu_count(), mp_context=get_context("spawn")) as pool:
        chunks = [images[start : start + CHUNK] for start in starts]
        yield from pool.map(augment_chunk, chunks, starts, [settings] * len(chunks))
