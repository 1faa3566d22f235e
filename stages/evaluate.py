"""Stage 4: test one trained run. The only stage that reads the test split.

    python -m stages.evaluate cifar10/vgg16-adam --budget quick --seed 0 \\
        --run data/runs/quick/cifar10/vgg16-adam/s0 --description data/processed/cifar10/train/dataset.json \\
        --test data/processed/cifar10/test --metrics-out reports/quick/cells/cifar10/vgg16-adam-s0.json \\
        --predictions-out data/predictions/quick/cifar10/vgg16-adam-s0

In:  a run folder (stage `train`), the test arrays and dataset.json (stage `preprocess`), the budget's number of test
     images.
Out: <metrics-out>, accuracy, scikit-learn's report, confusion matrix, predictions and labels as digits, the history and
     the run record, so that tables need nothing else; <predictions-out>/ logits.npy (float32, (n, classes)),
     labels.npy, report.txt, confusion.png. Run by DVC, it adds the test metrics to the training's MLflow
     run; by hand it leaves that alone.
"""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from stages.core import provenance
from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.imports import without_collection
from stages.core.locks import exclusive
from stages.core.params import load_params
from stages.core.progress import say
from stages.core.records import atomic_path, file_hash, read_json, write_json, write_text
from stages.core.runs import HISTORY, RECORD, WEIGHTS
from stages.core.settings import Run
from stages.track.client import Mirror


@click.command()
@click.argument("cell")
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--run", "run_folder", type=click.Path(path_type=Path), required=True, help="folder of the trained run")
@click.option("--description", type=click.Path(path_type=Path), required=True, help="the data set's dataset.json")
@click.option("--test", type=click.Path(path_type=Path), required=True, help="folder of the test arrays")
@click.option("--metrics-out", type=click.Path(path_type=Path), required=True)
@click.option("--predictions-out", type=click.Path(path_type=Path), required=True)
def main(
    cell: str,
    budget: str | None,
    seed: int,
    run_folder: Path,
    description: Path,
    test: Path,
    metrics_out: Path,
    predictions_out: Path,
) -> None:
    """Evaluate CELL's trained run on the test split."""
    params = load_params()
    budget = budget or params.budget
    key, _ = params.find(cell)
    stage = provenance.stage_name("evaluate", key, budget, seed)
    with exclusive(predictions_out), Mirror(provenance.run_by_dvc(stage)) as mirror:
        metrics_out.unlink(missing_ok=True)
        started = time.time()
        record = checked_record(run_folder, cell, budget, seed, params.run(cell, budget, seed))
        if record["mlflow"]:
            mirror.resume(record["mlflow"]["run_id"])
        classes = read_json(description, "dvc repro preprocess")["classes"]
        inputs = [description, test, run_folder]
        taken = provenance.take("evaluate", key, budget, seed, inputs)
        count = params.chosen_budget(budget).test_images.of(key.dataset)
        predicted = predict_test(record, run_folder, description, test, count)
        scored = score_predictions(predicted, classes)
        metrics = {
            "schema": 1,
            **{name: record[name] for name in ("cell", "budget", "seed")},
            "dataset": key.dataset,
            "stages": {"train": record["stage"], "evaluate": taken.pop("stage")},
            "evaluated": taken | {"environment": provenance.environment()} | predicted["arithmetic"],
            **scored,
            "history": read_json(run_folder / HISTORY, record["stage"]),
            "run": record,
        }
        files = write_predictions(predicted, metrics, predictions_out)
        metrics["sha256"] = {file.name: file_hash(file, "sha256") for file in files if file.suffix == ".npy"}
        write_json(metrics_out, metrics)
        mirror_metrics(mirror, metrics, [metrics_out, *(file for file in files if file.suffix != ".npy")])
        provenance.refuse_changes(taken, "evaluate", key, budget, seed, inputs, started)
    say(f"{metrics['stages']['evaluate']}: {metrics['accuracy']:.2%} of {metrics['test_images']} test images")


def checked_record(folder: Path, cell: str, budget: str, seed: int, run: Run) -> dict[str, Any]:
    """The run record, once it is this cell's with today's settings, and the weights are those it names.

    Raises CorruptFileError or MissingFileError.
    """
    path = folder / RECORD
    record = read_json(path, f"dvc repro, stage train of {cell}")
    if (record["cell"], record["budget"], record["seed"]) != (cell, budget, seed):
        found = f"the run of {record['cell']}, budget {record['budget']}, seed {record['seed']}"
        raise CorruptFileError(path, found, f"{cell}, budget {budget}, seed {seed}")
    if record["config"] != run.model_dump():
        expected = f"those of params.yaml (dvc repro -f {record['stage']})"
        raise CorruptFileError(path, "a training with other settings", expected)
    for name, expected in record["sha256"].items():
        if not (folder / name).is_file():
            raise MissingFileError(folder / name, record["stage"])
        found = file_hash(folder / name, "sha256")
        if found != expected:
            raise CorruptFileError(folder / name, f"sha256 {found}", f"{expected}, as run.json says")
    return record


def predict_test(record: dict[str, Any], folder: Path, description: Path, test: Path, count: Any) -> dict[str, Any]:
    """Logits, labels and mean loss on `count` test images, spread evenly over the split; shapes as in the docstring."""
    with without_collection():
        import torch
        from safetensors.torch import load_file

        from stages.learn.arithmetic import set_up
        from stages.learn.engine import finite, place, predict
        from stages.learn.images import Standardise, evenly_spread, load
        from stages.learn.network import network_of

    run = Run.model_validate(record["config"])
    data = read_json(description, "dvc repro preprocess")
    arithmetic = set_up(record["precision"], record["threads"])
    with torch.device("meta"):
        model = network_of(run, data)
    model.load_state_dict(load_file(folder / WEIGHTS), assign=True)
    whole = load(test, "images", "labels", arithmetic.device, "all")
    if not len(whole.images) == len(whole.labels) == data["images"]["test"]:
        found = f"{len(whole.images)} images, {len(whole.labels)} labels"
        raise CorruptFileError(test, found, f"{data['images']['test']} of each")
    part = whole.take(evenly_spread(len(whole), count))
    predicted = predict(
        place(model, arithmetic), part, Standardise.of(data, run.cell.input_size, arithmetic), arithmetic
    )
    return {
        "logits": predicted.logits.cpu().numpy(),
        "labels": part.labels.cpu().numpy().astype(np.uint8),
        "loss": finite(predicted.loss.item()),
        "arithmetic": arithmetic.describe(),
        "expected": data["images"]["test"] if count == "all" else count,
    }


def score_predictions(predicted: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """What the metrics file says of the predictions: numbers, and the predictions themselves as digits."""
    with without_collection():
        from stages.score.metrics import digits, score

    labels = predicted["labels"]
    predictions = predicted["logits"].argmax(1).astype(np.uint8)
    return {
        "classes": classes,
        **score(labels, predictions, classes, predicted["expected"]),
        "loss": predicted["loss"],
        "predictions": digits(predictions),
        "labels": digits(labels),
    }


def write_predictions(predicted: dict[str, Any], metrics: dict[str, Any], out: Path) -> list[Path]:
    """Write logits and labels as arrays, the report as text and the confusion matrix as a figure."""
    with without_collection():
        from stages.report.figures import save_confusion
    from stages.report.forms import report_text

    for name in ("logits", "labels"):
        with atomic_path(out / f"{name}.npy") as temporary:
            np.save(temporary, predicted[name], allow_pickle=False)
    write_text(out / "report.txt", report_text(metrics["report"], metrics["classes"]))
    save_confusion(metrics["confusion"], metrics["classes"], metrics["cell"], out / "confusion.png")
    return [out / name for name in ("logits.npy", "labels.npy", "report.txt", "confusion.png")]


def mirror_metrics(mirror: Mirror, metrics: dict[str, Any], artifacts: list[Path]) -> None:
    """Add the test metrics to the run of the training, if there is one."""
    if not metrics["run"]["mlflow"]:
        say("warning: the training has no MLflow run, so its test metrics are in files only")
        return
    values = {"test_accuracy": metrics["accuracy"], "test_loss": metrics["loss"]}
    for average in ("macro avg", "weighted avg"):
        for name in ("precision", "recall", "f1-score"):
            values[f"test_{average.split()[0]}_{name.split('-')[0]}"] = metrics["report"][average][name]
    mirror.metrics(values, step=0)  # one value a run: MLflow draws it as a bar, and at a later step as a lone dot
    mirror.close(artifacts, {"evaluate_stage": metrics["stages"]["evaluate"]}, None)


if __name__ == "__main__":
    main()
