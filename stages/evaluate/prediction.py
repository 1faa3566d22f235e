"""A trained network's predictions on the test split: plain PyTorch in float32, whatever format the training had.

bfloat16 logits tie in some images, and another machine could then not repeat the predictions.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from stages.config.settings import Cell
from stages.core.errors import CorruptFileError
from stages.engine.images import Labelled, Standardise, evenly_spread, load
from stages.engine.network import network_of
from stages.engine.numerics import set_up
from stages.engine.prediction import finite, predict


class LabelledPredictions(NamedTuple):
    """Logits of shape (n, classes), labels of shape (n,), the mean loss (None: not finite), and how it was computed.

    `images` (n, channels, height, width) are what was predicted, `test_indices` (n,) their indices in the test split.

    A diverged network's logits may be NaN. `numpy.argmax` takes the first NaN of a row for its largest, so that its
    predictions are counted like any other's, and come out at chance.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.uint8]
    loss: float | None
    numerics: dict[str, Any]
    images: NDArray[np.uint8]
    test_indices: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.uint8]:
        """The class that is predicted for each image."""
        return self.logits.argmax(1).astype(np.uint8)


def predict_test(
    cell: Cell,
    weights: Path,
    trained_with: Mapping[str, Any],
    description: Mapping[str, Any],
    test: Path,
    count: int | Literal["all"],
) -> LabelledPredictions:
    """Predict `count` test images, spread evenly over the split.

    `weights` is the cell's trained safetensors file, `trained_with` the `numerics` of its run record: testing takes its
    device and its number of threads. `test` is the folder of the test arrays that `description` (preprocess's
    dataset.json) describes.
    """
    device = trained_with["device"].partition(":")[0]  # `cuda: name` of a training on CUDA
    numerics = set_up("float32", trained_with["threads"], device)
    total = description["images"]["test"]
    test_indices = evenly_spread(total, count)
    part = load_test(test, description["sha256"], total, numerics.device).take(test_indices)
    standardise = Standardise.of(description, cell.input_size, numerics)
    predicted = predict(trained_network(cell, description, weights, numerics.device), part, standardise)
    return LabelledPredictions(
        predicted.logits.cpu().numpy(),
        part.labels.cpu().numpy().astype(np.uint8),
        finite(predicted.loss.item()),
        numerics.describe(),
        part.images.cpu().numpy(),
        test_indices,
    )


def trained_network(cell: Cell, description: Mapping[str, Any], weights: Path, device: torch.device) -> nn.Module:
    """The cell's network with trained weights, on the device, channels last as its input is."""
    with torch.device("meta"):  # the weights are read, not drawn
        model = network_of(cell, description)
    model.load_state_dict(load_file(weights), assign=True)
    return model.to(device).to(memory_format=torch.channels_last)


def load_test(test: Path, sha256: Mapping[str, str], total: int, device: torch.device) -> Labelled:
    """The whole test split. Raises CorruptFileError when it is not the one that `sha256` (of dataset.json) names."""
    hashes = {name: sha256[f"test_{name}"] for name in ("images", "labels")}
    whole = load(test / "images.npy", test / "labels.npy", hashes, device, "all")
    if len(whole) != total:
        raise CorruptFileError(test, f"{len(whole)} images", f"{total}")
    return whole
