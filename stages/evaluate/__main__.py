"""Stage `evaluate`: test one trained run. The only stage that reads the test split.

    python -m stages.evaluate cifar10/vgg16-adam --budget quick --seed 0 \\
        --run data/runs/quick/cifar10/vgg16-adam/s0 --description data/processed/quick/cifar10/train/dataset.json \\
        --test data/processed/quick/cifar10/test --metrics-out reports/quick/cells/cifar10/vgg16-adam-s0.json \\
        --logits-out reports/quick/cells/cifar10/vgg16-adam-s0.npy \\
        --predictions-out data/predictions/quick/cifar10/vgg16-adam-s0

In:  the cell's spec (stage `resolve`), a run folder (stage `train`), the test arrays and dataset.json (stage
     `preprocess`).
Out: <metrics-out>, the result (`stages.records.evaluation`): accuracy and whether it is at chance, scikit-learn's
     report, confusion matrix, predictions and labels, the most confident mistakes as small pictures, the history and
     the run record, so that tables need nothing else; <logits-out>, float32 (n, classes); <predictions-out>/
     labels.npy, report.txt, confusion.png. Run by DVC, it adds the test metrics to the training's MLflow run; by hand
     it leaves that alone.
The network is tested in float32, whatever format it was trained in. A diverged training is evaluated like any other:
its logits may be NaN, and its test loss is then null.
"""

import stages.core.environment  # noqa: F401  # isort: skip

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from stages.config.loading import load_params
from stages.config.params import Params
from stages.core.filenames import HISTORY, WEIGHTS
from stages.core.files import atomic_path, file_hash, read_json, write_text
from stages.core.imports import without_collection
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.evaluate.trained import check_trained_on, checked_run
from stages.records import provenance
from stages.records.data import DatasetDescription
from stages.records.digits import digits
from stages.records.evaluation import Evaluation
from stages.records.run import TrainingRun
from stages.records.spec import check_spec, resolve_spec, spec_path
from stages.track.client import Mirror
from stages.track.describe import tested_metrics, tested_tags

if TYPE_CHECKING:
    from stages.evaluate.prediction import LabelledPredictions

# Modules beside those of the fingerprint that a test may load: they check, record, mirror and draw.
ALLOWED = ("stages/config/", "stages/core/", "stages/records/", "stages/track/", "stages/evaluate/")


@click.command()
@click.argument("cell")
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--spec", "spec_file", type=click.Path(path_type=Path), help="by default reports/<budget>/specs/<cell>.json"
)
@click.option("--run", "run_folder", type=click.Path(path_type=Path), required=True, help="folder of the trained run")
@click.option("--description", type=click.Path(path_type=Path), required=True, help="the data set's dataset.json")
@click.option("--test", type=click.Path(path_type=Path), required=True, help="folder of the test arrays")
@click.option("--metrics-out", type=click.Path(path_type=Path), required=True)
@click.option("--logits-out", type=click.Path(path_type=Path), required=True)
@click.option("--predictions-out", type=click.Path(path_type=Path), required=True)
def main(
    cell: str,
    budget: str | None,
    seed: int,
    spec_file: Path | None,
    run_folder: Path,
    description: Path,
    test: Path,
    metrics_out: Path,
    logits_out: Path,
    predictions_out: Path,
) -> None:
    """Evaluate CELL's trained run on the test split."""
    params = load_params()
    budget = budget or params.budget
    key, _ = params.find(cell)
    stage = params.stage("evaluate", key, budget, seed)
    spec_file = spec_file or spec_path(Path(f"reports/{budget}/specs"), cell)
    spec = check_spec(spec_file, resolve_spec(params, budget, cell), "evaluate")
    with exclusive(predictions_out), Mirror(provenance.run_by_dvc(stage)) as mirror:
        metrics_out.unlink(missing_ok=True)
        started = time.time()
        run = checked_run(run_folder, spec, seed)
        if run.mlflow:
            mirror.resume(run.mlflow.run_id)
        taken = provenance.snapshot_inputs("evaluate", stage, spec, spec_file, [description, test, run_folder])
        data = DatasetDescription.read(description, "dvc repro preprocess")
        spec.check_data(data, description)
        check_trained_on(data, run, description)
        with without_collection():  # here, so that a wrong parameter is refused without waiting for PyTorch
            from stages.evaluate.prediction import predict_test

        predicted = predict_test(
            spec.settings.cell,
            run_folder / WEIGHTS,
            run.numerics.model_dump(mode="json"),
            data.content(),
            test,
            spec.testing.images,
        )
        found = scored(predicted, data.classes)
        write_predictions(predicted, found, run, logits_out, predictions_out)
        provenance.assert_unchanged(taken, "evaluate", stage, spec, started)
        provenance.assert_modules("evaluate", spec.settings.cell.family, ALLOWED)
        result = Evaluation.bound(
            stage=stage,
            provenance=taken,
            testing=spec.testing,
            numerics=predicted.numerics,
            times=times(started),
            classes=data.classes,
            **found,
            loss=predicted.loss,
            history=read_json(run_folder / HISTORY, run.stage),
            run=run,
            sha256={
                "logits.npy": file_hash(logits_out, "sha256"),
                "labels.npy": file_hash(predictions_out / "labels.npy", "sha256"),
            },
        )
        result.write(metrics_out)
        drawn = [predictions_out / "report.txt", predictions_out / "confusion.png"]
        mirror_metrics(mirror, result, [metrics_out, logits_out, *drawn], params)
    chance = ", at chance" if result.at_chance else ""
    say(f"{stage}: {result.accuracy:.2%} of {result.test_images} test images{chance}")


def scored(predicted: "LabelledPredictions", classes: list[str]) -> dict[str, Any]:
    """What the result says of the predictions: numbers, and the predictions themselves as digits."""
    with without_collection():
        from stages.evaluate.metrics import score
        from stages.evaluate.mistakes import most_confused

    return {
        **score(predicted.labels, predicted.classes, classes, len(predicted.test_indices)),
        "predictions": digits(predicted.classes),
        "labels": digits(predicted.labels),
        "most_confused": most_confused(predicted.images, predicted.labels, predicted.logits, predicted.test_indices),
    }


def write_predictions(
    predicted: "LabelledPredictions", found: dict[str, Any], run: TrainingRun, logits_out: Path, out: Path
) -> None:
    """Write logits and labels as arrays, the report as text and the confusion matrix as a figure."""
    from stages.evaluate.confusion import save_confusion
    from stages.evaluate.report import report_text

    save_array(logits_out, predicted.logits)
    save_array(out / "labels.npy", predicted.labels)
    write_text(out / "report.txt", report_text(found["report"], run.data.classes))
    save_confusion(found["confusion"], run.data.classes, run.cell, out / "confusion.png")


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as .npy, whole or not at all."""
    with atomic_path(path) as temporary:
        np.save(temporary, array, allow_pickle=False)


def mirror_metrics(mirror: Mirror, result: Evaluation, artifacts: list[Path], params: Params) -> None:
    """Add the test metrics to the run of the training, if there is one; `artifacts` begin with the result's file."""
    if not result.run.mlflow:
        say("warning: the training has no MLflow run, so its test metrics are in files only")
        return
    row = None
    if mirror.process and len(params.seeds_of(params.find(result.cell)[0])) > 1:
        from stages.sync.rows import row_of  # what makes the tables, which one seed's run does without

        row = row_of(params, result, artifacts[0].parent.parent)
    ended = datetime.fromisoformat(result.times.ended).timestamp()
    mirror.metrics(tested_metrics(result), step=0, at=ended)  # at a later step MLflow draws a lone dot, not a bar
    mirror.close(artifacts, tested_tags(result), None, row=row)


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
