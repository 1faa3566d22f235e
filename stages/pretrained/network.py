"""A cell's trained network, ready to predict: the module with its weights, its classes, and the transform of an image.

    from stages.pretrained import load

    network = load("cifar10/vgg16-adam", budget="paper")
    logits = network.model(network.transform(image)[None])

In:  params.yaml, reports/<budget>/cells (in git), and the weights under data/runs (`dvc pull`, or the training).
The weights are used only if they have the sha256 that the result was counted with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from stages.config.loading import load_params
from stages.config.settings import Cell
from stages.core.errors import CorruptFileError, MissingFileError, ParamError
from stages.core.filenames import WEIGHTS
from stages.core.files import file_hash
from stages.engine.images import Standardise
from stages.engine.numerics import Numerics
from stages.evaluate.prediction import trained_network
from stages.records.evaluation import Evaluation, result_path, results_folder, seed_of

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Pretrained:
    """A trained network in evaluation mode.

    `model` maps (n, channels, side, side) to logits (n, classes), both float32. `transform` maps a PIL image of any
    size and mode to one such input, (channels, side, side), on the model's device. `result` is what the network came
    to on the test split, with the record of its training.
    """

    model: nn.Module
    classes: list[str]
    transform: Callable[[Image.Image], Tensor]
    result: Evaluation

    def probabilities(self, image: Image.Image) -> dict[str, float]:
        """The probability of each class for one image, the likeliest first."""
        with torch.inference_mode():
            shares = self.model(self.transform(image)[None]).softmax(1)[0].tolist()
        return dict(sorted(zip(self.classes, shares, strict=True), key=lambda pair: -pair[1]))


def load(
    cell: str, budget: str | None = None, seed: int | None = None, device: str = "cpu", project: Path | str = PROJECT
) -> Pretrained:
    """The network of a cell, as `cifar10/vgg16-adam`, that a budget's training with a seed came to.

    By default the budget is the one that params.yaml chooses, and the seed the lowest that has a result. Raises
    ParamError for an unknown cell, budget or seed, MissingFileError, naming the command that makes it, without result
    or weights, and CorruptFileError for other weights than the result was counted with.
    """
    project = Path(project)
    params = load_params(project / "params.yaml")
    key, _ = params.find(cell)
    params.chosen_budget(budget)
    name = budget or params.budget
    first = "" if name == params.budget else f"with budget: {name} in params.yaml, "
    cells = project / results_folder(name)
    seeds = {path: seed_of(path, cells, key) for path in (cells / key.dataset).glob("*.json")}
    found = {one: path for path, one in seeds.items() if one is not None}
    if seed is not None and found and seed not in found:
        raise ParamError("seed", seed, "one of " + ", ".join(map(str, sorted(found))))
    chosen = min(found, default=params.seeds[0]) if seed is None else seed
    stage = params.stage("evaluate", key, name, chosen)
    result = Evaluation.read(found.get(chosen, result_path(cells, key, chosen)), f"{first}dvc repro {stage}")
    run, _ = result.run_folder
    weights = project / run / WEIGHTS
    if not weights.is_file():
        raise MissingFileError(weights, f"{first}dvc pull {run} or dvc repro {result.run.stage}")
    if (sha256 := file_hash(weights, "sha256")) != result.run.sha256.weights:
        expected = f"{result.run.sha256.weights}, with which {result.stage} counted {result.percent:g} %"
        raise CorruptFileError(weights, f"sha256 {sha256}", f"{expected} ({first}dvc repro -f {result.run.stage})")
    return _loaded(result, weights, torch.device(device))


def _loaded(result: Evaluation, weights: Path, device: torch.device) -> Pretrained:
    data, cell = result.run.data, Cell.of(result.run.config.cell.model_dump())
    description = data.content()
    model = trained_network(cell, description, weights, device).eval()
    numerics = Numerics(device, torch.float32, torch.get_num_threads())
    standardise = Standardise.of(description, cell.input_size, numerics)
    transform = partial(_transformed, "L" if data.channels == 1 else "RGB", data.size, standardise)
    return Pretrained(model, list(data.classes), transform, result)


def _transformed(mode: str, side: int, standardise: Standardise, image: Image.Image) -> Tensor:
    """An image as the test split has them, cut to a square and resized where it is not so, then standardised."""
    converted = image.convert(mode)
    if converted.size != (side, side):
        converted = ImageOps.fit(converted, (side, side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(converted, np.uint8).reshape(side, side, -1)).permute(2, 0, 1)
    return standardise(pixels[None].to(standardise.mean.device))[0]
