"""Our contender: the training engine, fed as its own loop feeds it."""

from collections.abc import Callable
from itertools import count

import torch

from benchmarks.families import DATA, INPUT_SIZE, description, run_of
from benchmarks.race import Steps
from stages.learn.arithmetic import set_up
from stages.learn.engine import Trainer
from stages.learn.images import Standardise, load
from stages.learn.network import network_of
from stages.learn.seeding import derive


def ours(family: str, threads: int, optimizer: str = "adam", deterministic: bool = True) -> Callable[[], Steps]:
    """Load the data, build network and optimizer; the steps gather a batch, train on it and wait for nothing."""
    run, described = run_of(family, optimizer), description()
    arithmetic = set_up(run.training.precision, threads, "cpu")
    torch.use_deterministic_algorithms(deterministic)
    data = load(DATA, "train_images", "train_labels", arithmetic.device, "all")
    torch.manual_seed(derive(run.seed, "weights"))
    standardise = Standardise.of(described, INPUT_SIZE, arithmetic)
    trainer = Trainer(network_of(run, described), run, standardise, arithmetic)

    def steps() -> Steps:
        total = torch.zeros((), device=arithmetic.device)
        for epoch in count(1):
            for loss, images in trainer.steps(data, epoch):
                total += loss * images
                yield images

    return steps
