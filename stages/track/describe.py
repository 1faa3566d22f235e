"""What MLflow is told of a run: names, parameters, tags and data set, from the run record and params.yaml alone."""

import json
import math
from datetime import datetime
from typing import Any

from stages.config.params import Params, flatten
from stages.core.files import json_hash

# Petroff's eight colours (arXiv:2107.02270), told apart by colour-blind readers too; MLflow's own may be given twice.
_COLOURS = ("#1845fb", "#ff5e02", "#c91f16", "#c849a9", "#adad7d", "#86c8dd", "#578dff", "#656364")


def placement(params: Params, dataset: str, name: str) -> tuple[str, str, dict[str, str]]:
    """The experiment and the run name of a cell (its table and row, or its study), and the tags that say so."""
    for number, table in params.tables.items():
        for row in table.rows:
            if (table.dataset, row.cell) == (dataset, name):
                colour = _COLOURS[table.rows.index(row) % len(_COLOURS)]
                tags = {"table": number, "row": row.row, "mlflow.runColor": colour}
                return f"Table {number}: {table.caption}", row.row, tags
    for study_name, study in params.studies.items():
        if study.dataset == dataset and name in study.alternatives:
            return f"Study {study_name}", name, {"study": study_name}
    return f"Other cells on {dataset}", name, {}


def description(record: dict[str, Any], params: Params) -> dict[str, Any]:
    """Everything with which a run is opened; times in milliseconds since the epoch."""
    dataset, _, name = record["cell"].partition("/")
    experiment, run_name, tags = placement(params, dataset, name)
    return {
        "experiment": experiment,
        "run_name": run_name,
        "start_time": milliseconds(record["times"]["started"]),
        "parameters": parameters(record["config"]),
        "tags": tags | run_tags(record),
        "dataset": dataset_input(record),
    }


def run_tags(record: dict[str, Any]) -> dict[str, str]:
    """The tags that place a run in the pipeline and in the history of the sources."""
    return {
        "cell": record["cell"],
        "budget": record["budget"],
        "seed": str(record["seed"]),
        "dvc_stage": record["stage"],
        "git_commit": record["git"]["commit"],
        "git_dirty": str(record["git"]["dirty"]).lower(),
        "mlflow.source.name": "stages/train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": record["git"]["commit"],
    }


def dataset_input(record: dict[str, Any]) -> dict[str, str]:
    """The training images as an MLflow data set; the digest is the start of the sha256 of their array."""
    folder = next(path for path in record["deps"] if not path.startswith("stages/"))
    data = record["data"]
    return {
        "name": f"{data['title']} training split",
        "digest": data["sha256"]["train_images"][:16],
        "source_type": "local",
        "source": json.dumps({"uri": folder}),
    }


def parameters(config: dict[str, Any]) -> dict[str, str]:
    """A run's settings under dotted names, as MLflow prints them."""
    return {name: str(value) for name, value in flatten(config).items()}


def epoch_metrics(epoch: dict[str, Any]) -> dict[str, float | None]:
    """An epoch of the history as metrics, each under its own name."""
    return {name: value for name, value in epoch.items() if name != "epoch"}


def run_metrics(record: dict[str, Any]) -> dict[str, float | None]:
    """What is measured once for a training, as it ends."""
    return {"images_per_second": record["images_per_second"], "seconds": record["times"]["seconds"]}


def finite(metrics: dict[str, float | None]) -> dict[str, float]:
    """Those of the metrics that MLflow can hold: None, NaN and infinities have no place there."""
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}


def end_tags(record: dict[str, Any]) -> dict[str, str]:
    """The tags that only a training that has ended can have.

    `record_sha256` is that of run.json. `recorded_run_id` is the run's id in the record, and so in the tables: a run
    that a sync makes anew has another id, and is found by this tag.
    """
    tags = {name: str(record[name]) for name in ("outcome", "device", "precision", "threads", "run_by")}
    recorded = {"recorded_run_id": record["mlflow"]["run_id"]} if record["mlflow"] else {}
    return tags | recorded | {"record_sha256": json_hash(record, "sha256")}


def tested_metrics(result: dict[str, Any]) -> dict[str, float | None]:
    """What `evaluate` found, as metrics of the training's run."""
    values = {"test_accuracy": result["accuracy"], "test_loss": result["loss"]}
    for average in ("macro avg", "weighted avg"):
        for name in ("precision", "recall", "f1-score"):
            values[f"test_{average.split()[0]}_{name.split('-')[0]}"] = result["report"][average][name]
    return values


def tested_tags(result: dict[str, Any]) -> dict[str, str]:
    """The tags that only a tested run can have; `result_sha256` is that of the result's JSON file."""
    return {
        "evaluate_stage": result["stages"]["evaluate"],
        "at_chance": str(result["at_chance"]).lower(),
        "evaluated": result["evaluated"]["times"]["ended"],
        "result_sha256": json_hash(result, "sha256"),
    }


def milliseconds(timestamp: str) -> int:
    """An ISO 8601 time as MLflow wants it."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
