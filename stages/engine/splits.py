"""What a training sees of a data set: never the test split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from stages.config.settings import Run
from stages.engine.augmentation import Augmentation, augment
from stages.engine.images import Labelled, load


class Splits(NamedTuple):
    """Images on the device. `sample` is the fixed sample whose training accuracy is reported.

    With `fresh`, each epoch trains on the training images transformed anew.
    """

    train: Labelled
    sample: Labelled
    validation: Labelled
    fresh: Augmentation | None = None
    run_seed: int = 0

    @classmethod
    def of(cls, run: Run, description: Mapping[str, Any], data: Path, device: torch.device) -> "Splits":
        """The run's share of preprocess's arrays in `data`, which `description` (dataset.json) describes.

        An appending cell has the transformed copies behind the images.
        """
        sha256 = description["sha256"]
        labels = data / "train_labels.npy"
        train = plain = load(data / "train_images.npy", labels, sha256, device, run.images)
        if run.cell.augment == "append":
            copies = load(data / "augmented_images.npy", labels, sha256, device, run.images)
            train = Labelled(*(torch.cat(pair) for pair in zip(plain, copies, strict=True)))
        validation = load(
            data / "validation_images.npy", data / "validation_labels.npy", sha256, device, run.validation_images
        )
        fresh = Augmentation.of(description) if run.cell.augment == "fresh" else None
        return cls(train, plain.first(run.sample_images), validation, fresh, run.seed)

    def of_epoch(self, number: int) -> Labelled:
        """The images that epoch `number`, from 1 on, trains on."""
        if self.fresh is None:
            return self.train
        images = augment(self.train.images.cpu().numpy(), self.fresh, epoch=number, run_seed=self.run_seed)
        return Labelled(torch.from_numpy(images).to(self.train.images.device), self.train.labels)

    def counts(self, run: Run) -> dict[str, int]:
        """How many images each part has (`augmented`: appended to the others), and how many steps an epoch is."""
        appended = len(self.train) // 2 if run.cell.augment == "append" else 0
        return {
            "train": len(self.train) - appended,
            "augmented": appended,
            "validation": len(self.validation),
            "sample": len(self.sample),
            "steps_per_epoch": -(-len(self.train) // run.cell.batch_size),
        }
