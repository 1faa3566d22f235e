"""A trained network's predictions on the test split, with the arithmetic of its training."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from stages.config.settings import Run
from stages.core.errors import CorruptFileError
from stages.core.filenames import WEIGHTS
from stages.engine.images import Labelled, Standardise, evenly_spread, load
from stages.engine.loop import finite, predict
from stages.engine.network import network_of, place
from stages.engine.numerics import Numerics, set_up


class Predicted(NamedTuple):
    """Logits of shape (n, classes), labels of shape (n,), the mean loss (None: not finite), and how it was computed.

    `images` (n, channels, height, width) are what was predicted, `places` (n,) their indices in the test split.

    A diverged network's logits may be NaN. `numpy.argmax` takes the first NaN of a row for its largest, so that its
    predictions are counted like any other's, and come out at chance.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.uint8]
    loss: float | None
    numerics: dict[str, Any]
    images: NDArray[np.uint8]
    places: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.uint8]:
        """The class that each image is taken for."""
        return self.logits.argmax(1).astype(np.uint8)


def predict_test(record: dict[str, Any], folder: Path, data: dict[str, Any], test: Path, count: int) -> Predicted:
    """Predict `count` test images, spread evenly over the split.

    `record` is the run record in `folder`, `data` preprocess's dataset.json, `test` the folder of the test arrays.
    """
    run = Run.model_validate(record["config"])
    device = record["device"].partition(":")[0]  # `cuda: name` of a training on CUDA
    numerics = set_up(record["precision"], record["threads"], device)
    places = evenly_spread(data["images"]["test"], count)
    part = chosen_images(test, data["images"]["test"], places, numerics)
    standardise = Standardise.of(data, run.cell.input_size, numerics)
    predicted = predict(trained_network(run, data, folder, numerics), part, standardise)
    return Predicted(
        predicted.logits.cpu().numpy(),
        part.labels.cpu().numpy().astype(np.uint8),
        finite(predicted.loss.item()),
        numerics.describe(),
        part.images.cpu().numpy(),
        places,
    )


def trained_network(run: Run, data: dict[str, Any], folder: Path, numerics: Numerics) -> nn.Module:
    """The run's network with its weights, on the device."""
    with torch.device("meta"):  # the weights are read, not drawn
        model = network_of(run, data)
    model.load_state_dict(load_file(folder / WEIGHTS), assign=True)
    return place(model, numerics)


def chosen_images(test: Path, every: int, places: NDArray[np.int64], numerics: Numerics) -> Labelled:
    """The images at `places` of the test split's `every`. Raises CorruptFileError when there are more or fewer."""
    whole = load(test, "images", "labels", numerics.device, "all")
    if not len(whole.images) == len(whole.labels) == every:
        raise CorruptFileError(test, f"{len(whole.images)} images, {len(whole.labels)} labels", f"{every} of each")
    return whole.take(places)
