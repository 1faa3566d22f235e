"""Our contender: the training engine, fed as its own loop feeds it; without one of its parts; with checkpoints."""

import os
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.families import DATA, INPUT_SIZE, description, run_of
from benchmarks.race import WARM_UP, Steps
from benchmarks.rates import per_second
from stages.config.settings import Precision, Run
from stages.engine import flat, layers, numerics
from stages.engine.checkpoints import Checkpoint
from stages.engine.images import Labelled, Standardise, load
from stages.engine.loop import EpochResult, Trainer
from stages.engine.network import network_of
from stages.engine.seeding import derive

SCRATCH = Path(".cache/bench")  # checkpoints, on the disk that trainings write theirs to


def _no_products() -> None:
    layers.PRODUCT_PIXELS = layers.WEIGHT_GRADIENT_PIXELS = 0  # kernels of 1x1 stay products


def _no_kept_pages() -> None:
    numerics.keep_pages = lambda: False


def _no_chunks() -> None:
    flat.CHUNK = 1 << 40


def _no_dropout() -> None:
    del layers.LAYERS[nn.Dropout]


TAKE_OUT: dict[str, Callable[[], None]] = {
    "bfloat16": lambda: None,  # a setting of the run
    "products": _no_products,  # of small convolutions; the library's instead
    "pages": _no_kept_pages,  # what a step frees goes back to the system
    "chunks": _no_chunks,  # each update is of all parameters
    "dropout": _no_dropout,  # PyTorch's own
}


class Ready(NamedTuple):
    """A training before its first step, and the images it is fed."""

    trainer: Trainer
    data: Labelled


def ready(run: Run, threads: int) -> Ready:
    """Load the data, build network and optimizer, on the processor."""
    described = description()
    fixed = numerics.set_up(run.precision, threads, "cpu")
    data = load(DATA / "train_images.npy", DATA / "train_labels.npy", described["sha256"], fixed.device, "all")
    torch.manual_seed(derive(run.seed, "weights"))
    standardise = Standardise.of(described, INPUT_SIZE, fixed)
    return Ready(Trainer(network_of(run.cell, described), run, standardise, fixed), data)


def ours(family: str, threads: int, optimizer: str = "adam", deterministic: bool = True) -> Callable[[], Steps]:
    """Get ready; the steps gather a batch, train on it and wait for nothing."""
    made_ready = ready(run_of(family, optimizer), threads)
    torch.use_deterministic_algorithms(deterministic)
    return stepping(made_ready)


def without(part: str, family: str, threads: int) -> Callable[[], Steps]:
    """The same without one of the engine's `PARTS`, which is taken out of this process for good."""
    TAKE_OUT[part]()
    return stepping(ready(run_without(part, family), threads))


def run_without(part: str, family: str) -> Run:
    """The family's training; without bfloat16, in float32."""
    precision: Precision = "float32" if part == "bfloat16" else "auto"
    return run_of(family, precision=precision)


def stepping(made_ready: Ready) -> Callable[[], Steps]:
    """What starts the steps of a training that is ready."""
    trainer, data = made_ready

    def steps() -> Steps:
        total = torch.zeros((), device=trainer.numerics.device)
        for epoch in count(1):
            for loss, images in trainer.steps(data, epoch):
                total += loss * images
                yield images

    return steps


def saving(family: str, threads: int, repetitions: int, seconds: float) -> dict[str, list[float]]:
    """Train, and write the checkpoint with Adam's state, the largest: `images` a second, `checkpoint` in seconds.

    As in a training, the checkpoint before lies on the disk by then, and nothing else waits to be written.
    """
    made_ready = ready(run_of(family), threads)
    epochs = [EpochResult({"epoch": 1, "train_loss": 1.0}, 1.0, 1.0, 1.0, time.time(), 0, "")]
    SCRATCH.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[float]] = {"images": [], "checkpoint": []}
    steps = stepping(made_ready)()
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        checkpoint = Checkpoint(Path(folder) / "s0", {})
        for _ in range(repetitions):
            for _ in range(WARM_UP):
                next(steps)
            found["images"].append(per_second(steps, seconds, time.perf_counter))
            os.sync()
            start = time.perf_counter()
            checkpoint.save(made_ready.trainer, epochs, [{}])
            found["checkpoint"].append(time.perf_counter() - start)
    return found
