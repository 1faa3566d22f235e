"""Logs a trained network as a model of its MLflow run, which `mlflow.pytorch.load_model` gives back.

    python -m stages.track log-model cifar10/vgg16-adam --budget paper [--seed 0]

In:  what `stages.pretrained` takes: the cell's result, and its weights, which must have the recorded sha256. The run
     must be in MLflow (`python -m stages.track sync` brings it).
Out: a logged model `network` (torch's exported program, without a pickle) with signature and input example: images
     that the network got wrong, as its result has them. It is loaded again before it is left there, and must name these
     images as the stored predictions do. A second time adds nothing.
"""

import base64
import io
from typing import TYPE_CHECKING

import click

from stages.config.loading import load_params
from stages.core.errors import StageError
from stages.core.imports import without_collection
from stages.core.progress import say
from stages.records.evaluation import Evaluation
from stages.sync.sync import StoredRuns, failed, quiet

if TYPE_CHECKING:
    import torch

    from stages.pretrained import Pretrained
    from stages.track.store.models import Models
    from stages.track.store.runs import Store, StoredRun

NAME = "network"
_TAG = "weights_sha256"
_FEWEST = 2  # images: of one alone the exported program would take one at a time


@click.command("log-model")
@click.argument("cell")
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="by default the lowest that has a result")
def log_model(cell: str, budget: str | None, seed: int | None) -> None:
    """Log the trained network of CELL, as `cifar10/vgg16-adam`, as a model of its MLflow run."""
    load_params().find(cell)  # a wrong name is refused without waiting for PyTorch
    quiet()
    with without_collection():
        from stages.pretrained import load
    network = load(cell, budget, seed)
    with without_collection():
        from stages.track.store.models import Models
        from stages.track.store.runs import FAILURES, Store
    try:
        store = Store()
        run, models = _run_of(network.result, store), Models(store)
        sha256 = network.result.run.sha256.weights
        there = [model for model, tags in models.of_run(run, NAME) if tags.get(_TAG) == sha256]
        model = there[0] if there else _logged(network, models, run)
    except FAILURES as error:
        raise failed(error, 0, 1, "models", "run log-model again") from error
    say(f"{'there already' if there else 'logged'}: mlflow.pytorch.load_model('models:/{model}')")


def _run_of(result: Evaluation, store: "Store") -> "StoredRun":
    found = StoredRuns(store.trainings(result.budget)).run_of(result.run)
    if found is None or found.deleted:
        raise StageError(f"{result.run.stage} has no run in MLflow; python -m stages.track sync brings it")
    return found


def _logged(network: "Pretrained", models: "Models", run: "StoredRun") -> str:
    """Log, load again and compare; the model's id. Its tag `weights_sha256`, set last, says that it was compared.

    The model is removed where it predicts otherwise (StageError), and after any other exception.
    """
    import torch

    images = example(network)
    with torch.inference_mode():
        logits = network.model(images)
    tags = {"cell": network.result.cell, "budget": network.result.budget}
    model = models.log(run, NAME, network.model, images.numpy(), logits.numpy(), tags)
    try:
        with torch.inference_mode():
            again = models.load(model)(images).argmax(1)
        stored = [mistake.predicted for mistake in network.result.most_confused]
        if not torch.equal(again, logits.argmax(1)) or again.tolist()[: len(stored)] != stored:
            raise StageError(f"the model names {again.tolist()} what {network.result.stage} named {stored}: not logged")
        models.accept(run, model, {_TAG: network.result.run.sha256.weights})
    except BaseException:
        models.remove(model)
        raise
    return model


def example(network: "Pretrained") -> "torch.Tensor":
    """The images of the result's most confident errors as inputs (n, channels, side, side); black ones are added."""
    import torch
    from PIL import Image

    kept = [Image.open(io.BytesIO(base64.b64decode(one.png))) for one in network.result.most_confused]
    black = [Image.new("RGB", (network.result.run.data.size,) * 2)] * (_FEWEST - len(kept))
    return torch.stack([network.transform(image) for image in kept + black]).contiguous()
