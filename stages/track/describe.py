"""What the MLflow run of a training says: names, parameters, tags, data set, from the records and params.yaml alone."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from stages.config.params import Params
from stages.config.schema import TableSettings
from stages.config.settings import Run
from stages.core.files import flatten, json_hash
from stages.records.data import DatasetDescription
from stages.records.evaluation import Evaluation
from stages.records.provenance import GitState
from stages.records.run import Epoch, RecordedSettings, TrainingRun

# Petroff's eight colours (arXiv:2107.02270), distinct to colour-blind readers too; MLflow's own may be given twice.
_COLOURS = ("#1845fb", "#ff5e02", "#c91f16", "#c849a9", "#adad7d", "#86c8dd", "#578dff", "#656364")

ADDED, COMPLETED, THERE = "added", "completed", "there already"  # what can be done with a run


class TrainingStart(NamedTuple):
    """What is known of a training when it starts; `folder` is that of the training arrays, `started` ISO 8601."""

    cell: str
    budget: str
    seed: int
    stage: str
    settings: Run | RecordedSettings
    git: GitState
    data: DatasetDescription
    folder: str
    started: str

    @classmethod
    def of(cls, run: TrainingRun) -> Self:
        """The start of a recorded training."""
        folder, _ = run.training_arrays
        return cls(
            run.cell,
            run.budget,
            run.seed,
            run.stage,
            run.config,
            run.provenance.git,
            run.data,
            folder,
            run.times.started,
        )


def identity(run: TrainingRun) -> tuple[str, int]:
    """The stage and its start in milliseconds since the epoch, which no other run in any store has."""
    return run.stage, milliseconds(run.times.started)


def placement(params: Params, dataset: str, name: str) -> tuple[str, str, dict[str, str]]:
    """The experiment and the run name of a cell (its table and row, or its study), and the tags that say so."""
    others = {number: table for number, table in params.tables.items() if number not in params.paper_tables}
    if found := _in_tables(params.paper_tables, dataset, name):
        return found
    for study_name, study in params.studies.items():
        if study.dataset == dataset and name in study.alternatives:
            return f"Study {study_name}", name, {"study": study_name}
    return _in_tables(others, dataset, name) or (f"Other cells on {dataset}", name, {})


def _in_tables(tables: Mapping[str, TableSettings], dataset: str, name: str) -> tuple[str, str, dict[str, str]] | None:
    """The `placement` of a cell in some tables; None where it is in none of them."""
    for number, table in tables.items():
        for row in table.rows:
            if (table.dataset, row.cell) == (dataset, name):
                colour = _COLOURS[table.rows.index(row) % len(_COLOURS)]
                tags = {"table": number, "row": row.row, "mlflow.runColor": colour}
                return f"Table {number}: {table.caption}", row.row, tags
            if (table.dataset, row.as_logged) == (dataset, name):
                tags = {"table": number, "row": row.row, "as_logged": "true"}
                return f"Table {number}: {table.caption}", f"{row.row}, as logged", tags
    return None


def description(start: TrainingStart, params: Params) -> dict[str, Any]:
    """Everything with which a run is opened, as JSON data; times in milliseconds since the epoch."""
    dataset, _, name = start.cell.partition("/")
    experiment, run_name, tags = placement(params, dataset, name)
    return {
        "experiment": experiment,
        "run_name": run_name,
        "start_time": milliseconds(start.started),
        "parameters": parameters(start.settings),
        "tags": tags | run_tags(start),
        "dataset": dataset_input(start),
    }


def run_tags(start: TrainingStart) -> dict[str, str]:
    """The tags that place a run in the pipeline and in the history of the sources."""
    return {
        "cell": start.cell,
        "budget": start.budget,
        "seed": str(start.seed),
        "dvc_stage": start.stage,
        "git_commit": start.git.commit,
        "git_dirty": str(start.git.dirty).lower(),
        "mlflow.source.name": "stages/train/__main__.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": start.git.commit,
    }


def dataset_input(start: TrainingStart) -> dict[str, str]:
    """The training images as an MLflow data set; the digest is the start of the sha256 of their array."""
    return {
        "name": f"{start.data.dataset.upper()} training split",
        "digest": start.data.sha256["train_images"][:16],
        "source_type": "local",
        "source": json.dumps({"uri": start.folder}),
    }


def parameters(settings: Run | RecordedSettings) -> dict[str, str]:
    """A run's settings under dotted names, as MLflow prints them: those that the run uses.

    A cell has the settings of its family and its optimizer alone. Those of a layer that its network does not have are
    left out, lest a comparison of runs shows a difference where there is none.
    """
    whole = settings.model_dump(mode="json")
    used = whole | {"cell": {name: value for name, value in whole["cell"].items() if _is_used(name, whole["cell"])}}
    return {name: str(value) for name, value in flatten(used).items()}


def _is_used(name: str, cell: dict[str, Any]) -> bool:
    """Whether a cell's network has the layers that a setting is of."""
    if name in ("batch_norm_eps", "batch_norm_momentum"):
        return cell.get("batch_norm") != "none"
    if name == "dropout":  # VGG's follows each hidden layer; GoogLeNet has no `hidden_layers`
        return cell.get("hidden_layers") != []
    return True


def epoch_metrics(epoch: Epoch) -> dict[str, float | None]:
    """An epoch of the history as metrics: losses under their own names, accuracies in percent."""
    return {
        "train_loss": epoch.train_loss,
        "train_sample_accuracy_percent": _percent(epoch.train_sample_accuracy),
        "train_sample_loss": epoch.train_sample_loss,
        "validation_accuracy_percent": _percent(epoch.validation_accuracy),
        "validation_loss": epoch.validation_loss,
    }


def _percent(share: float) -> float:
    """A share of the images as the tables print it; more decimals than any number of images supports."""
    return round(100 * share, 6)


def run_metrics(run: TrainingRun) -> dict[str, float | None]:
    """What a training has once, as it ends: its speed, its duration, and the size of its network."""
    return {
        "images_per_second": run.images_per_second,
        "seconds": run.times.seconds,
        "network.parameters": float(run.network.parameters),  # MLflow asks numpy what an int is
        "network.multiply_adds": float(run.network.multiply_adds),
    }


def finite(metrics: dict[str, float | None]) -> dict[str, float]:
    """Those of the metrics that MLflow can hold: None, NaN and infinities have no place there."""
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}


def end_tags(run: TrainingRun) -> dict[str, str]:
    """The tags that only a training that has ended can have.

    `record_sha256` is that of run.json. `recorded_run_id` is the run's id in the record, and so in the tables: a run
    that a sync makes anew has another id, and is found by this tag.
    """
    recorded = {"recorded_run_id": run.mlflow.run_id} if run.mlflow else {}
    return {
        "outcome": run.outcome,
        "device": run.numerics.device,
        "precision": run.numerics.precision,
        "threads": str(run.numerics.threads),
        "run_by": run.provenance.run_by,
        **recorded,
        "record_sha256": json_hash(run.content(), "sha256"),
    }


def tested_metrics(result: Evaluation) -> dict[str, float | None]:
    """What `evaluate` found, as metrics of the training's run: accuracy in percent, the report's scores as shares."""
    values: dict[str, float | None] = {"test_accuracy_percent": _percent(result.accuracy), "test_loss": result.loss}
    for average in ("macro avg", "weighted avg"):
        scores = result.report[average]
        for name in ("precision", "recall", "f1-score"):
            values[f"test_{average.split()[0]}_{name.split('-')[0]}"] = (
                scores[name] if isinstance(scores, dict) else None
            )
    return values


def tested_tags(result: Evaluation) -> dict[str, str]:
    """The tags that only a tested run can have; `result_sha256` is that of the result's JSON file."""
    return {
        "evaluate_stage": result.stage,
        "at_chance": str(result.at_chance).lower(),
        "evaluated": result.times.ended,
        "result_sha256": json_hash(result.content(), "sha256"),
    }


def milliseconds(timestamp: str) -> int:
    """An ISO 8601 time as MLflow wants it."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
