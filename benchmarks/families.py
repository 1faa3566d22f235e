"""What is measured: the paper's three families on CIFAR10 at 32x32, as runs of the engine, and the data they read.

The settings are written out: they are those of the paper's networks (shared by many cells of params.yaml), with batch
sizes of its logs and PyTorch's constants, so that benchmarks of different commits measure the same work.
"""

from pathlib import Path
from typing import Any, NamedTuple

from stages.config.settings import Cell, Precision, Run
from stages.core.errors import MissingFileError
from stages.core.files import read_json

DATA = Path("data/processed/quick/cifar10/train")
MADE_BY = "dvc repro preprocess@quick-cifar10"
INPUT_SIZE = 32
LR = 0.001


class Family(NamedTuple):
    """The settings of a family's network, and the batch size to measure it with."""

    network: dict[str, Any]
    batch_size: int


FAMILIES = {
    "vgg16": Family(
        {
            "family": "vgg",
            "depth": 16,
            "batch_norm": "before_relu",
            "batch_norm_eps": 1e-5,
            "batch_norm_momentum": 0.1,
            "hidden_layers": [4096, 4096],
            "dropout": 0.5,
            "init": "torchvision",
        },
        32,
    ),
    "resnet18": Family(
        {
            "family": "resnet",
            "depth": 18,
            "stem": "7x7",
            "batch_norm_eps": 1e-5,
            "batch_norm_momentum": 0.1,
            "init": "torchvision",
        },
        64,
    ),
    "googlenet": Family(
        {
            "family": "googlenet",
            "batch_norm": "before_relu",
            "batch_norm_eps": 0.001,
            "batch_norm_momentum": 0.1,
            "dropout": 0.4,
            "auxiliary_dropout": 0.7,
            "auxiliary_weight": 0.3,
            "init": "torchvision",
        },
        128,
    ),
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "rmsprop": {"optimizer": "rmsprop", "alpha": 0.99, "eps": 1e-8},
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}
# Of the engine, each taken out in the ablation; and what the tables call it.
PARTS = {
    "bfloat16": "bfloat16",
    "products": "convolutions as products",
    "pages": "malloc keeps pages",
    "chunks": "updates in chunks",
    "dropout": "our dropout",
}


def run_of(family: str, optimizer: str = "adam", seed: int = 0, precision: Precision = "auto", threads: int = 1) -> Run:
    """The family's training with one of `OPTIMIZERS`; how many images and epochs it takes, the benchmark decides."""
    network, batch_size = FAMILIES[family]
    given = {"lr": LR, "weight_decay": 0.0, "batch_size": batch_size, "input_size": INPUT_SIZE, "augment": "none"}
    return Run(
        dataset="cifar10",
        cell=Cell.of({**network, **OPTIMIZERS[optimizer], **given}),
        images="all",
        validation_images="all",
        sample_images=1,
        epochs=1,
        precision=precision,
        threads=threads,
        seed=seed,
    )


def description() -> dict[str, Any]:
    """Preprocess's dataset.json. Raises MissingFileError, naming the command, when it or an array is not there."""
    described = read_json(DATA / "dataset.json", MADE_BY)
    for name in ("train_images.npy", "train_labels.npy"):
        if not (DATA / name).is_file():
            raise MissingFileError(DATA / name, MADE_BY)
    return described
