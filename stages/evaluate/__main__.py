"""Stage 4: test one trained run. The only stage that reads the test split.

    python -m stages.evaluate cifar10/vgg16-adam --budget quick --seed 0 \\
        --run data/runs/quick/cifar10/vgg16-adam/s0 --description data/processed/quick/cifar10/train/dataset.json \\
        --test data/processed/quick/cifar10/test --metrics-out reports/quick/cells/cifar10/vgg16-adam-s0.json \\
        --predictions-out data/predictions/quick/cifar10/vgg16-adam-s0

In:  a run folder (stage `train`), the test arrays and dataset.json (stage `preprocess`), the budget's number of test
     images.
Out: <metrics-out>, accuracy and whether it is at chance, scikit-learn's report, confusion matrix, predictions and
     labels as digits, the surest mistakes as small pictures, the history and the run record, so that tables need
     nothing else; <predictions-out>/ logits.npy (float32, (n, classes)), labels.npy, report.txt, confusion.png. Run by
     DVC, it adds the test metrics to the training's MLflow run; by hand it leaves that alone.
A diverged training is evaluated like any other: its logits may be NaN, and its test loss is then null.
"""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from stages.config.params import counted, load_params
from stages.core.filenames import HISTORY
from stages.core.files import atomic_path, file_hash, read_json, write_json, write_text
from stages.core.imports import without_collection
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.evaluate.trained import checked_record
from stages.records import provenance
from stages.track.client import Mirror
from stages.track.describe import tested_metrics, tested_tags

if TYPE_CHECKING:
    from stages.evaluate.prediction import Predicted


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
    inputs = [description, test, run_folder]
    with exclusive(predictions_out), Mirror(provenance.run_by_dvc(stage)) as mirror:
        metrics_out.unlink(missing_ok=True)
        started = time.time()
        record = checked_record(run_folder, cell, budget, params.run(cell, budget, seed))
        if record["mlflow"]:
            mirror.resume(record["mlflow"]["run_id"])
        taken = provenance.take("evaluate", key, budget, seed, inputs)
        data = read_json(description, "dvc repro preprocess")
        count = counted(params.chosen_budget(budget).test_images.of(key.dataset), data["images"]["test"])
        with without_collection():  # here, so that a wrong parameter is refused without waiting for PyTorch
            from stages.evaluate.prediction import predict_test
        predicted = predict_test(record, run_folder, data, test, count)
        metrics = {
            "schema": 1,
            **{name: record[name] for name in ("cell", "budget", "seed")},
            "dataset": key.dataset,
            "stages": {"train": record["stage"], "evaluate": stage},
            "evaluated": {name: taken[name] for name in ("params", "deps", "git")}
            | {"environment": provenance.environment(), "times": times(started)}
            | predicted.numerics,
            **scored(predicted, data["classes"], count),
            "history": read_json(run_folder / HISTORY, record["stage"]),
            "run": record,
        }
        files = write_predictions(predicted, metrics, predictions_out)
        metrics["sha256"] = {file.name: file_hash(file, "sha256") for file in files if file.suffix == ".npy"}
        write_json(metrics_out, metrics)
        mirror_metrics(mirror, metrics, [metrics_out, *(file for file in files if file.suffix != ".npy")])
        provenance.refuse_changes(taken, "evaluate", key, budget, seed, inputs, started)
    chance = ", at chance" if metrics["at_chance"] else ""
    say(f"{stage}: {metrics['accuracy']:.2%} of {metrics['test_images']} test images{chance}")


def scored(predicted: "Predicted", classes: list[str], count: int) -> dict[str, Any]:
    """What the metrics file says of the predictions: numbers, and the predictions themselves as digits."""
    with without_collection():
        from stages.evaluate.metrics import digits, score
        from stages.evaluate.mistakes import most_confused

    return {
        "classes": classes,
        **score(predicted.labels, predicted.classes, classes, count),
        "loss": predicted.loss,
        "predictions": digits(predicted.classes),
        "labels": digits(predicted.labels),
        "most_confused": most_confused(predicted.images, predicted.labels, predicted.logits, predicted.places),
    }


def write_predictions(predicted: "Predicted", metrics: dict[str, Any], out: Path) -> list[Path]:
    """Write logits and labels as arrays, the report as text and the confusion matrix as a figure."""
    from stages.evaluate.confusion import save_confusion
    from stages.evaluate.report import report_text

    for name, array in (("logits", predicted.logits), ("labels", predicted.labels)):
        with atomic_path(out / f"{name}.npy") as temporary:
            np.save(temporary, array, allow_pickle=False)
    write_text(out / "report.txt", report_text(metrics["report"], metrics["classes"]))
    save_confusion(metrics["confusion"], metrics["classes"], metrics["cell"], out / "confusion.png")
    return [out / name for name in ("logits.npy", "labels.npy", "report.txt", "confusion.png")]


def mirror_metrics(mirror: Mirror, metrics: dict[str, Any], artifacts: list[Path]) -> None:
    """Add the test metrics to the run of the training, if there is one."""
    if not metrics["run"]["mlflow"]:
        say("warning: the training has no MLflow run, so its test metrics are in files only")
        return
    ended = datetime.fromisoformat(metrics["evaluated"]["times"]["ended"]).timestamp()
    mirror.metrics(tested_metrics(metrics), step=0, at=ended)  # at a later step MLflow draws a lone dot, not a bar
    mirror.close(artifacts, tested_tags(metrics), None)


def times(started: float) -> dict[str, Any]:
    """From when to when the predictions were made and counted."""
    ended = time.time()
    return {
        "started": provenance.timestamp(started),
        "ended": provenance.timestamp(ended),
        "seconds": round(ended - started, 3),
    }


if __name__ == "__main__":
    main()
