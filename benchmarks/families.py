"""What is measured: the paper's three families on CIFAR10 at 32x32, as runs of the engine, and the data they read."""

from pathlib import Path
from typing import Any, NamedTuple

from stages.config.params import load_params
from stages.config.settings import Precision, Run
from stages.core.errors import MissingFileError
from stages.core.files import read_json

DATA = Path("data/processed/quick/cifar10/train")
MADE_BY = "dvc repro preprocess@quick-cifar10"
INPUT_SIZE = 32


class Family(NamedTuple):
    """A cell of params.yaml that has the family's architecture, and the batch size to measure it with."""

    cell: str
    batch_size: int


FAMILIES = {
    "vgg16": Family("cifar10/vgg16-adam", 32),
    "resnet18": Family("cifar10/resnet18-adam", 64),
    "googlenet": Family("cifar10/googlenet-sgd", 128),
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.0},
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam", "momentum": 0.0},
}
# Of the engine, each taken out in the ablation; and what the tables call it.
PARTS = {
    "bfloat16": "bfloat16",
    "products": "convolutions as products",
    "pages": "malloc keeps pages",
    "chunks": "updates in chunks",
    "dropout": "our dropout",
}
LR = 0.001


def run_of(family: str, optimizer: str = "adam", seed: int = 0, precision: Precision = "auto") -> Run:
    """The family's training under params.yaml's constants: batch size and input as measured, one of `OPTIMIZERS`."""
    cell, batch_size = FAMILIES[family]
    config = load_params().run(cell, "paper", seed).model_dump()
    config["cell"] |= {"batch_size": batch_size, "input_size": INPUT_SIZE, "lr": LR, **OPTIMIZERS[optimizer]}
    config["training"] |= {"precision": precision}
    return Run.model_validate(config)


def description() -> dict[str, Any]:
    """Preprocess's dataset.json. Raises MissingFileError, naming the command, when it or an array is not there."""
    described = read_json(DATA / "dataset.json", MADE_BY)
    for name in ("train_images.npy", "train_labels.npy"):
        if not (DATA / name).is_file():
            raise MissingFileError(DATA / name, MADE_BY)
    return described
