"""What a training sees of a data set: never the test split."""

from pathlib import Path
from typing import NamedTuple

import torch

from stages.config.settings import Run
from stages.engine.images import Labelled, load


class Splits(NamedTuple):
    """Images on the device. `sample` is the fixed sample whose training accuracy is reported."""

    train: Labelled
    sample: Labelled
    validation: Labelled

    @classmethod
    def of(cls, run: Run, data: Path, device: torch.device) -> "Splits":
        """The run's share of preprocess's arrays; an augmented run has the transformed copies behind the images."""
        train = plain = load(data, "train_images", "train_labels", device, run.images)
        if run.cell.augment:
            copies = load(data, "augmented_images", "train_labels", device, run.images)
            train = Labelled(*(torch.cat(pair) for pair in zip(plain, copies, strict=True)))
        validation = load(data, "validation_images", "validation_labels", device, run.validation_images)
        return cls(train, plain.first(run.sample_images), validation)

    def counts(self, run: Run) -> dict[str, int]:
        """How many images each part has, and how many steps an epoch is."""
        plain = len(self.train) // 2 if run.cell.augment else len(self.train)
        return {
            "train": plain,
            "augmented": len(self.train) - plain,
            "validation": len(self.validation),
            "sample": len(self.sample),
            "steps_per_epoch": -(-len(self.train) // run.cell.batch_size),
        }
