"""What a network predicts of images in memory, and how much of it is right."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.engine.images import EVALUATION_BATCH, Labelled, Standardise, batches
from stages.engine.network import split_outputs


class Predictions(NamedTuple):
    """Logits as float32 of shape (n, classes) and the mean cross-entropy, on the device."""

    logits: Tensor
    loss: Tensor


@torch.inference_mode()
def predict(model: nn.Module, data: Labelled, standardise: Standardise) -> Predictions:
    """Evaluate a network in evaluation mode, image by image in their order."""
    model.eval()
    logits = []
    for part in batches(len(data), EVALUATION_BATCH):
        logits.append(split_outputs(model(standardise(data.images[part])))[0].float())
    joined = torch.cat(logits)
    return Predictions(joined, F.cross_entropy(joined, data.labels))


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is that of their label."""
    return int((logits.argmax(1) == labels).sum().item()) / len(labels)


def finite(value: float) -> float | None:
    """`value`, or None where it is infinite or not a number: JSON has neither."""
    return value if value - value == 0 else None
