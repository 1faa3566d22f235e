"""The training loop: one step per batch from arrays in memory, one evaluation per epoch, no waiting for the device.

The loss is taken in float32. Losses and hits are summed on the device and read once an epoch. Every random draw comes
from (seed, purpose, epoch), so an epoch does not depend on how the earlier ones were run.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from stages.core.settings import Run
from stages.learn.arithmetic import Arithmetic
from stages.learn.images import EVALUATION_BATCH, Labelled, Standardise, batches
from stages.learn.models import split_outputs
from stages.learn.optimizers import build_optimizer
from stages.learn.seeding import derive, epoch_order


class Splits(NamedTuple):
    """What a training sees: never the test split. `sample` is the fixed sample whose training accuracy is reported."""

    train: Labelled
    sample: Labelled
    validation: Labelled


class Predictions(NamedTuple):
    """Logits as float32 of shape (n, classes) and the mean cross-entropy, on the device."""

    logits: torch.Tensor
    loss: torch.Tensor


def place(model: nn.Module, arithmetic: Arithmetic) -> nn.Module:
    """Move a network to the device, in the memory layout that is fast there."""
    return model.to(arithmetic.device).to(memory_format=arithmetic.layout)


class Epoch(NamedTuple):
    """One epoch: its metrics, as they enter the history, its wall times in seconds, and when it ended."""

    metrics: dict[str, Any]
    train_seconds: float
    seconds: float
    ended: float


def train(
    model: nn.Module,
    run: Run,
    splits: Splits,
    standardise: Standardise,
    arithmetic: Arithmetic,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[int], None],
) -> str:
    """Train `model` in place for the run's epochs and return the outcome: `finished` or `diverged`.

    A run has diverged when its training loss is no longer finite; it stops after that epoch, since no later step can
    bring the weights back. `on_epoch` is called after each epoch, `on_step` after each step with its number of
    images.
    """
    place(model, arithmetic)
    optimizer = build_optimizer(run.cell, run.training, model.parameters())
    for number in range(1, run.epochs + 1):
        start = time.perf_counter()
        loss = _train_epoch(model, optimizer, run, splits.train, standardise, arithmetic, number, on_step)
        trained = time.perf_counter()
        metrics = {"epoch": number, "train_loss": finite(loss)}
        for name, part in (("train", splits.sample), ("validation", splits.validation)):
            predicted = predict(model, part, standardise, arithmetic)
            metrics[f"{name}_accuracy"] = accuracy(predicted.logits, part.labels)
            metrics["train_sample_loss" if name == "train" else "validation_loss"] = finite(predicted.loss.item())
        on_epoch(Epoch(metrics, trained - start, time.perf_counter() - start, time.time()))
        if metrics["train_loss"] is None:
            return "diverged"
    return "finished"


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Run,
    data: Labelled,
    standardise: Standardise,
    arithmetic: Arithmetic,
    number: int,
    on_step: Callable[[int], None],
) -> float:
    """One pass over the training images; returns the mean of the total loss (auxiliary heads included)."""
    model.train()
    torch.manual_seed(derive(run.seed, "dropout", number))
    order = epoch_order(len(data), run.seed, number).to(arithmetic.device)
    total = torch.zeros((), device=arithmetic.device)
    for part in batches(len(data), run.cell.batch_size):
        chosen = order[part]
        with arithmetic.autocast():
            outputs = model(standardise(data.images[chosen]))
        loss = total_loss(outputs, data.labels[chosen], getattr(run.cell, "auxiliary_weight", 0.0))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(chosen)
        on_step(len(chosen))
    return (total / len(data)).item()


def total_loss(outputs: Any, labels: torch.Tensor, auxiliary_weight: float) -> torch.Tensor:
    """Cross-entropy in float32, plus the weighted ones of GoogLeNet's auxiliary heads (III-A.2: weight 0.3)."""
    logits, auxiliary = split_outputs(outputs)
    loss = F.cross_entropy(logits.float(), labels)
    for head in auxiliary:
        loss = loss + auxiliary_weight * F.cross_entropy(head.float(), labels)
    return loss


@torch.inference_mode()
def predict(model: nn.Module, data: Labelled, standardise: Standardise, arithmetic: Arithmetic) -> Predictions:
    """Evaluate in evaluation mode, in the order of the images."""
    model.eval()
    logits = []
    for part in batches(len(data), EVALUATION_BATCH):
        with arithmetic.autocast():
            outputs = model(standardise(data.images[part]))
        logits.append(split_outputs(outputs)[0].float())
    joined = torch.cat(logits)
    return Predictions(joined, F.cross_entropy(joined, data.labels))


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images whose largest logit is that of their label."""
    return int((logits.argmax(1) == labels).sum().item()) / len(labels)


def finite(value: float) -> float | None:
    """`value`, or None where it is infinite or not a number: JSON has neither."""
    return value if value - value == 0 else None
