"""Settings of small networks and trainings, written out, so that tests of the engine need no params.yaml."""

from typing import Any

from stages.config.settings import Cell, NetworkSettings, Run, family_settings
from stages.engine.numerics import Numerics, set_up

NETWORKS: dict[str, dict[str, Any]] = {
    "vgg": {
        "family": "vgg",
        "depth": 11,
        "batch_norm": "before_relu",
        "batch_norm_eps": 1e-5,
        "batch_norm_momentum": 0.1,
        "hidden_layers": [16],
        "dropout": 0.5,
        "init": "torchvision",
    },
    "resnet": {
        "family": "resnet",
        "depth": 18,
        "stem": "7x7",
        "batch_norm_eps": 1e-5,
        "batch_norm_momentum": 0.1,
        "init": "torchvision",
    },
    "googlenet": {
        "family": "googlenet",
        "batch_norm": "before_relu",
        "batch_norm_eps": 0.001,
        "batch_norm_momentum": 0.1,
        "dropout": 0.4,
        "auxiliary_dropout": 0.7,
        "auxiliary_weight": 0.3,
        "init": "torchvision",
    },
}
FAMILIES = tuple(sorted(NETWORKS))  # of the paper's tables; a family that a user adds needs no test here
# Adam and RMSprop divide by the gradient's size plus eps. With a larger one than usual, rounding cannot turn a gradient
# of almost nothing into a full step, and the engine can be held against the plain loop as closely as with SGD.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "rmsprop": {"optimizer": "rmsprop", "lr": 0.001, "weight_decay": 0.0, "alpha": 0.9, "eps": 1e-3},
    "sgd": {"optimizer": "sgd", "lr": 0.01, "weight_decay": 0.0, "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "lr": 0.01, "weight_decay": 0.0, "momentum": 0.9},
    "adam": {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3},
}
DEFAULT_OPTIMIZER = {"vgg": "rmsprop", "resnet": "rmsprop", "googlenet": "adam"}
IMAGES = 7  # a batch of four and one of three


def network_settings(family: str, **changes: Any) -> NetworkSettings:
    return family_settings(family).model_validate({**NETWORKS[family], **changes})


def cell_of(family: str, **changes: Any) -> Cell:
    """A cell with batches of four, smallest usual input and no wide layers; `changes` may name another optimizer."""
    optimizer = {} if "optimizer" in changes else OPTIMIZERS[DEFAULT_OPTIMIZER[family]]
    given = {"batch_size": 4, "input_size": 32, "augment": "none"}
    return Cell.of({**NETWORKS[family], **given, **optimizer, **changes})


def run_of(cell: Cell, **changes: Any) -> Run:
    """A run of a few images for one epoch in float32 on one thread."""
    settings: dict[str, Any] = {
        "dataset": "mnist",
        "cell": cell,
        "images": IMAGES,
        "validation_images": 2,
        "sample_images": 3,
        "epochs": 1,
        "precision": "float32",
        "threads": 1,
        "seed": 0,
    }
    return Run.model_validate({**settings, **changes})


def numerics_of(run: Run, threads: int = 1) -> Numerics:
    """Set up for the run's format on the processor."""
    return set_up(run.precision, threads, "cpu")
