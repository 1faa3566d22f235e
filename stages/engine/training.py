"""One training, from its settings and arrays to its weights: all that makes the weights is called from here.

No file is read or written but the arrays and the checkpoint. `stages.train` writes weights, history and run record.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.config.settings import Run
from stages.engine.checkpoints import Checkpoint
from stages.engine.images import Standardise
from stages.engine.loop import EpochResult, Trainer, train
from stages.engine.network import multiply_adds, network_of, parameter_count
from stages.engine.numerics import Device, set_up
from stages.engine.prediction import predict
from stages.engine.seeding import derive
from stages.engine.splits import Splits


class TrainingSession:
    """A training that is ready to run: resumed after its checkpoint's last epoch, or from its first weights.

    `epochs` and `machines` grow while it trains; `epochs[i].machine` is an index into `machines`. `numerics`, `counts`
    and `network` (parameters, multiply-adds) are as the run record has them, `resumed_after` is the number of epochs
    that the checkpoint had.
    """

    def __init__(
        self,
        run: Run,
        description: Mapping[str, Any],
        data: Path,
        out: Path,
        *,
        device: Device,
        machine: Mapping[str, Any],
        identity_of: Callable[[dict[str, Any]], Mapping[str, Any]],
    ) -> None:
        """Set up the process, load the arrays in `data` that `description` (dataset.json) describes, build the network.

        The checkpoint lies beside the folder `out`. It is used when it was written with the identity that
        `identity_of` gives for this process's `numerics`. `machine` describes this machine, as JSON.
        """
        numerics = set_up(run.precision, run.threads, device)
        splits = Splits.of(run, description, data, numerics.device)
        self.network = network_size(run, description)
        torch.manual_seed(derive(run.seed, "weights"))
        standardise = Standardise.of(description, run.cell.input_size, numerics)
        self.trainer = Trainer(network_of(run.cell, description), run, standardise, numerics)
        self.splits = splits
        self.numerics = numerics.describe()
        self.counts = splits.counts(run)
        self.checkpoint = Checkpoint(out, identity_of(self.numerics))
        self.epochs, self.machines = self.checkpoint.load(self.trainer)
        self.resumed_after = len(self.epochs)
        here = json.loads(json.dumps(machine))  # as it comes back from a checkpoint
        if here not in self.machines:
            self.machines.append(here)
        self.machine = self.machines.index(here)

    def train(self, on_epoch: Callable[[EpochResult], None], on_step: Callable[[int], None]) -> str:
        """Train the epochs that are left and return the outcome, `finished` or `diverged`.

        After each epoch the checkpoint is written, then `on_epoch` is called; `on_step` after each step, with its
        number of images. The checkpoint stays until the caller removes it.
        """

        def after_epoch(epoch: EpochResult) -> None:
            self.epochs.append(epoch)
            self.checkpoint.save(self.trainer, self.epochs, self.machines)
            on_epoch(epoch)

        return train(self.trainer, self.splits, tuple(self.epochs), after_epoch, on_step, self.machine)

    def weights(self) -> dict[str, Tensor]:
        """The network's parameters and buffers by name, float32, in PyTorch's order of dimensions, on the processor."""
        return self.trainer.weights()

    def predict_validation(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The classes that the network, as it is now, predicts for the validation images, and their labels; (n,)."""
        predicted = predict(self.trainer.model, self.splits.validation, self.trainer.standardise)
        return predicted.logits.cpu().numpy().argmax(1), self.splits.validation.labels.cpu().numpy()

    def history(self) -> list[dict[str, Any]]:
        """The metrics of each epoch."""
        return [epoch.metrics for epoch in self.epochs]

    @property
    def images_per_epoch(self) -> int:
        """How many images the steps of one epoch train on."""
        return len(self.splits.train)

    def images_per_second(self) -> float:
        """Images trained on by the second of the epochs' steps, evaluation apart."""
        return self.images_per_epoch * len(self.epochs) / sum(epoch.train_seconds for epoch in self.epochs)


def network_size(run: Run, description: Mapping[str, Any]) -> dict[str, int]:
    """How large the run's network is: `parameters`, and `multiply_adds` of one image's forward pass when tested."""
    with torch.device("meta"):
        model = network_of(run.cell, description)
    operations = multiply_adds(model, description["channels"], run.cell.input_size)
    return {"parameters": parameter_count(model), "multiply_adds": operations}
