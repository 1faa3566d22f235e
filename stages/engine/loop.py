"""The training loop: one step per batch from arrays in memory, one evaluation per epoch, no synchronisation in between.

The loss is computed in float32. Losses are summed on the device and read once an epoch. Every random draw comes from
(seed, purpose, epoch), so an epoch does not depend on how the earlier ones were run.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.config.settings import Run
from stages.engine.flat import FlatParameters
from stages.engine.images import Labelled, Standardise, batches
from stages.engine.layers import swap_layers
from stages.engine.network import split_outputs
from stages.engine.numerics import Numerics
from stages.engine.optimizers import Optimizer
from stages.engine.prediction import accuracy, finite, predict
from stages.engine.seeding import derive, epoch_order
from stages.engine.splits import Splits


class EpochResult(NamedTuple):
    """One epoch: its metrics, as they enter the history, its times in seconds, and when it ended.

    `train_seconds` are those of the steps, `seconds` those of the whole epoch, fresh images and evaluations included,
    `cpu_seconds` what the process computed meanwhile. `machine` is an index into the list of the machines that the
    training has run on, `parameters_sha256` the hash of the parameters that the epoch left (float32, in flat memory).
    """

    metrics: dict[str, Any]
    train_seconds: float
    seconds: float
    cpu_seconds: float
    ended: float
    machine: int
    parameters_sha256: str


class Trainer:
    """A network in training: its flat parameters, its optimizer, and the step."""

    def __init__(self, model: nn.Module, run: Run, standardise: Standardise, numerics: Numerics) -> None:
        self.model = swap_layers(model.to(numerics.device))
        self.run = run
        self.standardise = standardise
        self.numerics = numerics
        self.parameters = FlatParameters(self.model, numerics.dtype)
        self.optimizer = Optimizer(run.cell, self.parameters)
        self.auxiliary_weight = run.cell.loss_weight_of_heads

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Forward, backward and update on (n, channels, height, width) uint8 images; returns the loss, a scalar."""
        loss = total_loss(self.model(self.standardise(images)), labels, self.auxiliary_weight)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def steps(self, data: Labelled, number: int) -> Iterator[tuple[Tensor, int]]:
        """Take the steps of epoch `number`; yields after each its loss, a scalar, and its number of images."""
        self.model.train()
        torch.manual_seed(derive(self.run.seed, "dropout", number))
        order = epoch_order(len(data), self.run.seed, number).to(self.numerics.device)
        for part in batches(len(data), self.run.cell.batch_size):
            chosen = order[part]
            yield self.step(data.images[chosen], data.labels[chosen]), len(chosen)

    def epoch(self, data: Labelled, number: int, on_step: Callable[[int], None]) -> float:
        """One pass over the training images; returns the mean of the total loss (auxiliary heads included)."""
        total = torch.zeros((), device=self.numerics.device)
        for loss, count in self.steps(data, number):
            total += loss * count
            on_step(count)
        return (total / len(data)).item()

    def weights(self) -> dict[str, Tensor]:
        """The network's parameters and buffers by name, float32, in PyTorch's order of dimensions, on the CPU."""
        state = self.parameters.state_dict()
        return {name: value.contiguous(memory_format=torch.contiguous_format).cpu() for name, value in state.items()}

    def parameters_sha256(self) -> str:
        """The hash of the parameters, float32 in the order of flat memory."""
        return hashlib.sha256(self.parameters.master.cpu().numpy().data).hexdigest()

    def is_finite(self) -> bool:
        """Whether all parameters are finite."""
        return bool(self.parameters.master.isfinite().all())

    def state(self) -> dict[str, Tensor]:
        """The tensors that later epochs depend on, besides the run's settings; not copies, but those in use."""
        optimizer = {f"optimizer.{name}": value for name, value in self.optimizer.state.items()}
        buffers = {f"buffer.{name}": value for name, value in self.model.named_buffers()}
        return {"parameters": self.parameters.master, **optimizer, **buffers}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved `state`. Raises KeyError or RuntimeError when it is another network's."""
        with torch.no_grad():
            for name, value in self.state().items():
                value.copy_(state[name])
        self.parameters.refresh()


def train(
    trainer: Trainer,
    splits: Splits,
    finished: Sequence[EpochResult],
    on_epoch: Callable[[EpochResult], None],
    on_step: Callable[[int], None],
    machine: int = 0,
) -> str:
    """Train for the run's epochs, after those already `finished`, and return the outcome: `finished` or `diverged`.

    A run has diverged when its training loss or a parameter is no longer finite; it stops after that epoch, since no
    later step can bring the parameters back. `on_epoch` is called after each epoch, `on_step` after each step with its
    number of images. `machine` is noted in each epoch.
    """
    diverged = bool(finished) and _has_diverged(trainer, finished[-1].metrics)
    for number in range(len(finished) + 1, trainer.run.epochs + 1):
        if diverged:
            break
        start, computed = time.perf_counter(), time.process_time()
        images = splits.of_epoch(number)
        begun = time.perf_counter()
        loss = trainer.epoch(images, number, on_step)
        trained = time.perf_counter()
        metrics = {"epoch": number, "train_loss": finite(loss)}
        for name, part in (("train_sample", splits.sample), ("validation", splits.validation)):
            predicted = predict(trainer.model, part, trainer.standardise)
            metrics[f"{name}_accuracy"] = accuracy(predicted.logits, part.labels)
            metrics[f"{name}_loss"] = finite(predicted.loss.item())
        diverged = _has_diverged(trainer, metrics)
        on_epoch(
            EpochResult(
                metrics=metrics,
                train_seconds=trained - begun,
                seconds=time.perf_counter() - start,
                cpu_seconds=time.process_time() - computed,
                ended=time.time(),
                machine=machine,
                parameters_sha256=trainer.parameters_sha256(),
            )
        )
    return "diverged" if diverged else "finished"


def _has_diverged(trainer: Trainer, metrics: Mapping[str, Any]) -> bool:
    return metrics["train_loss"] is None or not trainer.is_finite()


def total_loss(outputs: Any, labels: Tensor, auxiliary_weight: float) -> Tensor:
    """Cross-entropy in float32 or wider, plus the weighted ones of GoogLeNet's heads (III-A.2: weight 0.3)."""
    logits, auxiliary = split_outputs(outputs)
    wide = torch.promote_types(logits.dtype, torch.float32)  # in bfloat16 the sum would stick
    loss = F.cross_entropy(logits.to(wide), labels)
    for head in auxiliary:
        loss = loss + auxiliary_weight * F.cross_entropy(head.to(wide), labels)
    return loss
