"""Transformed training images (III-B): random rotation, colour jitter and horizontal flip.

Image i is transformed in epoch e of the training with seed s by a generator seeded from (augmentation's seed, i, e, s),
so it depends neither on how the work is divided nor on what was drawn before. Epoch 0 of seed 0 is the copy that
preprocess makes and an appending cell trains on; a cell with fresh augmentation trains on those of its own epochs, from
1 on, and seed.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2


class Augmentation(NamedTuple):
    """How strongly images are transformed; params.yaml says what each number means."""

    seed: int
    rotation_degrees: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    flip_probability: float

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Self:
        """As preprocess's dataset.json has it, from which the copies there were made."""
        return cls(**description["made_from"]["settings"]["augmentation"])


def transforms(augmentation: Augmentation) -> Callable[[torch.Tensor], torch.Tensor]:
    """Random rotation, colour jitter and horizontal flip, in the order in which the paper lists them."""
    return v2.Compose(
        [
            v2.RandomRotation(augmentation.rotation_degrees),
            v2.ColorJitter(augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue),
            v2.RandomHorizontalFlip(augmentation.flip_probability),
        ]
    )


def augment(
    images: NDArray[np.uint8], augmentation: Augmentation, first: int = 0, *, epoch: int = 0, run_seed: int = 0
) -> NDArray[np.uint8]:
    """Transform images of shape (n, channels, height, width); the first has index `first` in the training split.

    `epoch` and the training's seed are 0 for the copy that is made once, which all trainings share. The state of
    PyTorch's generator on the processor is put back; no other generator is touched.
    """
    transform = transforms(augmentation)
    transformed = np.empty_like(images)
    state = torch.get_rng_state()
    try:
        for offset, image in enumerate(images):
            torch.default_generator.manual_seed(image_seed(augmentation.seed, first + offset, epoch, run_seed))
            transformed[offset] = transform(torch.from_numpy(image.copy())).numpy()
    finally:
        torch.set_rng_state(state)
    return transformed


def image_seed(seed: int, index: int, epoch: int = 0, run_seed: int = 0) -> int:
    """The seed of one image's transforms in one epoch of one training."""
    return int(np.random.SeedSequence([seed, index, epoch, run_seed]).generate_state(1, np.uint64)[0] >> 1)
